//! A tasklet may be scheduled while it runs, so it has no single owner.
use std::sync::Arc;
use bottomhalf::{Tasklet, TaskletItem, impl_has_tasklet};

pub struct Ring {
    pub clean: Tasklet<Ring>,
}
impl_has_tasklet! { impl HasTasklet<Self> for Ring { self.clean } }
impl TaskletItem for Ring {
    fn run(_: &Arc<Self>) {}
}
pub fn schedule(ring: &Arc<Ring>) -> bool {
    let owner = Box::pin(Ring { clean: Tasklet::new() }); //= let owner = Arc::clone(ring);
    ring.clean.schedule(owner).is_ok()
    //~^ E0308 mismatched types
}
