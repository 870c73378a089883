//! A work's function is not a tasklet's.
use std::sync::Arc;
use bottomhalf::{Tasklet, TaskletItem, WorkItem, impl_has_tasklet};

pub struct Ring {
    pub clean: Tasklet<Ring>,
}
impl_has_tasklet! { impl HasTasklet<Self> for Ring { self.clean } }
impl WorkItem for Ring { type Pointer = Arc<Self>; fn run(_: Arc<Self>) {} } //= impl TaskletItem for Ring { fn run(_: &Arc<Self>) {} }
pub fn make() -> Ring {
    Ring { clean: Tasklet::new() }
    //~^ E0277 `Ring` has no function for this tasklet
}
