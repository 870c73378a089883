//! Rows T of facts/linux: tasklets.

mod support;

use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Tasklet, rows};

/// T01: scheduled once, it runs once, and its state is zero afterwards.
#[test]
fn t01_scheduled_once_runs_once() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        sim_assert!(
            tasklet.seen().irql(0) == 2,
            "a tasklet runs at DISPATCH_LEVEL"
        );
        tasklet.kill();
        tasklet.free();
    });
}
