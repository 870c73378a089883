//! An owner that cannot go to another thread.
use std::rc::Rc;
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
    pub other: Option<Rc<()>>, //= pub other: Option<Arc<()>>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    //~^ E0277 `Rc<()>` cannot be sent between threads safely
    //~^^ E0277 `Rc<()>` cannot be shared between threads safely
    fn run(_: Self::Pointer) {}
}
