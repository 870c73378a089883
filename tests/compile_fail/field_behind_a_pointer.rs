//! The field is not within the container, so the container is not found from it.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub inner: Inner, //= pub inner: Nested,
}
pub type Inner = Box<Nested>;
pub struct Nested {
    pub work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.inner.work } }
//~^ E0609 no field `work` on type
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
