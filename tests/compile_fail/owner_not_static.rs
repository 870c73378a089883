//! A container that borrows may be gone when the work runs.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

pub struct Port<'a> {
    pub work: Work<Port<'a>>,
    pub name: &'a str,
}
impl_has_work! { impl{'a} HasWork<Self> for Port<'a> { self.work } }
impl<'a> WorkItem for Port<'a> { //= impl WorkItem for Port<'static> {
    type Pointer = Arc<Self>; //~ E0477 does not fulfill the required lifetime
    fn run(_: Self::Pointer) {}
}
