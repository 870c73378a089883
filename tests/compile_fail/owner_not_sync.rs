//! An `Arc` is shared between threads, so its target has to be `Sync`.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
    pub count: std::cell::Cell<u32>, //= pub count: std::sync::atomic::AtomicU32,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Arc<Self>; //~ E0277 `Cell<u32>` cannot be shared between threads safely
    fn run(_: Self::Pointer) {}
}
