//! The queue gets a reference of its own.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, Workqueue, impl_has_work};

struct Port {
    work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}

pub fn queue(port: Arc<Port>) -> bool {
    let queued = Workqueue::system().enqueue(port); //= let queued = Workqueue::system().enqueue(Arc::clone(&port));
    port.work.is_pending() && queued.is_ok()
    //~^ E0382 borrow of moved value: `port`
}
