//! An ordered queue runs one work at a time.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::ordered(c"q").max_active(2).build() //= Workqueue::unbound(c"q").max_active(2).build()
    //~^ E0599 method `max_active`
}
