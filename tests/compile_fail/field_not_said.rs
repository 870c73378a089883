//! Nobody has said which field is the work.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, Workqueue, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
}
//= impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Arc<Self>) {}
}
pub fn queue(port: Arc<Port>) -> bool {
    Workqueue::system().enqueue(port).is_ok()
    //~^ E0277 `Port` does not say which field is this work
}
