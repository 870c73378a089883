//! The field is the work with another number.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub up: Work<Port>,
    pub down: Work<Port, 1>,
}
impl_has_work! { impl HasWork<Self> for Port { self.down } } //= impl_has_work! { impl HasWork<Self> for Port { self.up } }
//~^ E0308 mismatched types
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
