//! A box goes to another thread, so its target has to be `Send`; it need not be `Sync`.
use std::pin::Pin;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
    pub count: std::rc::Rc<u32>, //= pub count: std::cell::Cell<u32>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Pin<Box<Self>>; //~ E0277 `Rc<u32>` cannot be sent between threads safely
    fn run(_: Self::Pointer) {}
}
