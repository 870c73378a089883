//! The queue holds a box, as the function says, and not an `Arc`.
use std::pin::Pin;
use bottomhalf::{Work, WorkItem, Workqueue, impl_has_work};

struct Port {
    work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Pin<Box<Self>>;
    fn run(_: Self::Pointer) {}
}

pub fn queue(port: Port) -> bool {
    let port = std::sync::Arc::new(port); //= let port = Box::pin(port);
    Workqueue::system().enqueue(port).is_ok()
    //~^ E0271 type mismatch resolving
}
