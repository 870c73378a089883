//! What the last detach reports.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use kmdf_mock::sim_assert_eq;
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Preemption, Sim, run_on_cpu};
use support::{NonReentrant, Rig, Tasklet, machine, rows_with_on};

fn busy(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Always)
}

/// A tasklet that is scheduled while it runs elsewhere is not "disabled at detach" (BH11): detach counts
/// what is left after everything has run.
#[test]
fn a_tasklet_that_runs_elsewhere_is_not_left_over() {
    rows_with_on(busy, NonReentrant, 300, |rig: &Rig| {
        let go = Arc::new(AtomicBool::new(false));
        let wait = Arc::clone(&go);
        let tasklet = Tasklet::new(move |_, run| {
            while run == 1 && !wait.load(SeqCst) {
                preempt();
            }
            for _ in 0..50 {
                preempt();
            }
        });
        let starts = world::spawn("starts", Some(3), move || tasklet.schedule());
        while tasklet.runs() == 0 {
            preempt();
        }
        run_on_cpu(1, || tasklet.schedule());
        let open = world::spawn("opens", Some(2), move || go.store(true, SeqCst));
        rig.detach();
        open.join();
        starts.join();
        sim_assert_eq!(tasklet.runs(), 2);
        sim_assert_eq!(tasklet.state(), 0);
        tasklet.free();
    });
}
