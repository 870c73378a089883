//! Works of a queue of bottom halves have no thread that memory could be short for.
use bottomhalf::{Status, Workqueue};

pub fn make() -> Result<Workqueue, Status> {
    Workqueue::bh(c"q").mem_reclaim().build() //= Workqueue::ordered(c"q").mem_reclaim().build()
    //~^ E0599 method `mem_reclaim`
}
