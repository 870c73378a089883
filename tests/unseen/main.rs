//! Drivers that no other test has: what real Linux drivers do with deferred work, translated with Linux's names,
//! and return values in states that the rows of the tables leave out.

#[path = "../support/mod.rs"]
mod support;

mod contexts;
mod corners;
mod devices;
mod drivers;
mod limits;

mod states;

use bottomhalf::linux::{drain_workqueue, queue_work_on};
use support::{Work, Wq};

fn queue_on(cpu: i32, wq: Wq, work: Work) -> bool {
    // SAFETY: both are alive in every scenario.
    unsafe { queue_work_on(cpu, wq.0, work.work()) }
}

fn drain(wq: Wq) {
    // SAFETY: as in `queue_on`.
    unsafe { drain_workqueue(wq.0) };
}
