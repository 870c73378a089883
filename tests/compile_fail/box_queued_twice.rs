//! A box that is queued is the queue's.
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

pub fn queue(port: Pin<Box<Port>>) {
    let queued = Workqueue::system().enqueue(port);
    let _ = Workqueue::system().enqueue(port); //= if let Err(port) = queued { let _ = Workqueue::system().enqueue(port); }
    //~^ E0382 use of moved value: `port`
}
