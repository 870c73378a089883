//! Works of an unbound queue are not counted per CPU.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::unbound(c"q").cpu_intensive().build() //= Workqueue::bound(c"q").cpu_intensive().build()
    //~^ E0599 method named `cpu_intensive`
}
