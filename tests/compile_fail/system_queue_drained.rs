//! The system's queue is everybody's: to drain it would refuse the works of others.
use bottomhalf::{Workqueue, WorkqueueRef};

pub fn all_done(queue: &WorkqueueRef) { //= pub fn all_done(queue: &Workqueue) {
    queue.drain();
    //~^ E0599 no method named `drain`
    let _: &WorkqueueRef = queue;
}
