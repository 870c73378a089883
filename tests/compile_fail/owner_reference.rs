//! A queue outlives every borrow: a reference is no owner.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = &'static Self; //= type Pointer = Arc<Self>;
    //~^ E0277 a queue cannot hold `&'static Port`
    fn run(_: Self::Pointer) {}
}
