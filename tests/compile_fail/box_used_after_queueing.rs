//! Nobody looks at a box while the queue has it.
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

pub fn queue(port: Pin<Box<Port>>) -> bool {
    let queued = Workqueue::system().enqueue(port);
    port.work.is_pending() && queued.is_ok() //= queued.is_ok_and(|()| true)
    //~^ E0382 borrow of moved value: `port`
}
