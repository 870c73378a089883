//! Rows W of facts/linux: works.

mod support;

use kmdf_mock::sim_assert_eq;
use support::{Work, Wq, rows};

/// W01: queued while idle it becomes pending, runs once, and is not pending afterwards.
#[test]
fn w01_queued_once_runs_once() {
    rows(|_| {
        let work = Work::counting();
        sim_assert_eq!(work.queue(Wq::system()), true);
        work.flush();
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(work.pending(), false);
        work.free();
    });
}
