//! In a packed container the work is not aligned.
use std::sync::Arc;
use bottomhalf::{Work, WorkItem, impl_has_work};

#[repr(C, packed)] //= #[repr(C)]
pub struct Port { //~ E0588 packed type cannot transitively contain
    pub tag: u8,
    pub work: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.work } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_: Self::Pointer) {}
}
