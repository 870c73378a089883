//! The field is a work, but of another container.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub other: Work<Other>,
    pub work: Work<Port>,
}
pub struct Other;
impl_has_work! { impl HasWork<Self> for Port { self.other } } //= impl_has_work! { impl HasWork<Self> for Port { self.work } }
//~^ E0308 mismatched types
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
