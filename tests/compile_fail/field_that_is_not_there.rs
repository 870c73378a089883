//! There is no such field.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port {
    pub work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.wrok } } //= impl_has_work! { impl HasWork<Self> for Port { self.work } }
//~^ E0609 no field `wrok` on type
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
