//! The field is not a work.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
    pub speed: u64,
}
impl_has_work! { impl HasWork<Self> for Port { self.speed } } //= impl_has_work! { impl HasWork<Self> for Port { self.work } }
//~^ E0308 mismatched types
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
