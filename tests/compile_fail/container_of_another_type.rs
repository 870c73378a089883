//! The container is not the type that is named.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
}
pub struct Other;
impl_has_work! { impl HasWork<Other> for Port { self.work } } //= impl_has_work! { impl HasWork<Port> for Port { self.work } }
//~^ E0308 mismatched types
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
