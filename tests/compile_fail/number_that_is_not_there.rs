//! There is no work with this number.
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
    Workqueue::system().enqueue::<_, 5>(port).is_ok() //= Workqueue::system().enqueue::<_, 0>(port).is_ok()
    //~^ E0277 `Port` has no function for this work
    //~^^ E0277 `Port` does not say which field is this work
}
