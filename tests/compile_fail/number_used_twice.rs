//! Two fields cannot be the same work.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub up: Work<Port>,
    pub down: Work<Port>, //= pub down: Work<Port, 1>,
}
impl_has_work! { impl HasWork<Self> for Port { self.up } }
impl_has_work! { impl HasWork<Self, 1> for Port { self.down } }
//~^ E0308 mismatched types
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
impl WorkItem<1> for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
