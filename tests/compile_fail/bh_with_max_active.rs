//! A queue of bottom halves runs one work at a time on each CPU.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::bh(c"q").max_active(2).build() //= Workqueue::bound(c"q").max_active(2).build()
    //~^ E0599 method `max_active`
}
