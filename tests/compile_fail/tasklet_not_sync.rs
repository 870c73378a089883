//! A tasklet runs on whatever CPU, while others use its container.
use std::sync::Arc;
use bottomhalf::{Tasklet, TaskletItem, impl_has_tasklet};

pub struct Ring {
    pub clean: Tasklet<Ring>,
    pub next: std::cell::Cell<usize>, //= pub next: std::sync::atomic::AtomicUsize,
}
impl_has_tasklet! { impl HasTasklet<Self> for Ring { self.clean } }
impl TaskletItem for Ring { //~ E0277 `Cell<usize>` cannot be shared between threads safely
    fn run(_: &Arc<Self>) {}
}
