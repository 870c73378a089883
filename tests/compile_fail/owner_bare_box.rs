//! A box that is not pinned could be moved out of.
use std::pin::Pin;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Box<Self>; //= type Pointer = Pin<Box<Self>>;
    //~^ E0277 a queue cannot hold `Box<Port>`
    fn run(_: Self::Pointer) {}
}
