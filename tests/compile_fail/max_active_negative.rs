//! A number of works is not negative.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::bound(c"q").max_active(-1).build() //= Workqueue::bound(c"q").max_active(1).build()
    //~^ E0600 cannot apply unary operator `-`
}
