//! Kinds of queues are Linux's.
use bottomhalf::{Builder, Ordered, QueueKind, Status, Workqueue};

pub enum Mine {}
impl QueueKind for Mine {} //= pub type Kind = Ordered;
//~^ E0277 the trait bound `Mine:
pub fn make(builder: Builder<'_, Ordered>) -> Result<Workqueue, Status> {
    builder.build()
}
pub fn any<K: QueueKind>() {}
