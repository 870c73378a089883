//! A work that others may have queued is not replaced.
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

pub fn renew(port: &Arc<Port>) -> bool {
    port.work = Work::new(); //= let port = Arc::new(Port { work: Work::new() });
    //~^ E0594 cannot assign to data in an `Arc`
    Workqueue::system().enqueue(Arc::clone(&port)).is_ok()
}
