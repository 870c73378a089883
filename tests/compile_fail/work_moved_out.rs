//! A work in a pinned box stays where it is.
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

pub fn unpin(port: Pin<Box<Port>>) -> bool {
    let port = Pin::into_inner(port).work; //= let port = &port.as_ref().get_ref().work;
    //~^ E0277 `PhantomPinned` cannot be unpinned
    port.is_pending()
}
pub fn queue(port: Pin<Box<Port>>) -> bool {
    Workqueue::system().enqueue(port).is_ok()
}
