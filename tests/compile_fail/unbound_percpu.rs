//! Works of an unbound queue run on any CPU.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::unbound(c"q").percpu().build() //= Workqueue::bound(c"q").percpu().build()
    //~^ E0599 no method named `percpu`
}
