//! A builder is no queue.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Ok(Workqueue::bound(c"q")) //= Workqueue::bound(c"q").build()
    //~^ E0308 mismatched types
}
