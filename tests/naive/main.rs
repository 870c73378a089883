//! The negative control: a naive mapping of Linux's deferred work to KMDF, convicted.
//!
//! [`mapping`] makes one WDF object per Linux object, behind the calls of the library. For each hazard of
//! facts/hazards there is a scenario that Linux allows; the simulator has to convict the mapping of it, by
//! name and by seed, and has to let bottomhalf pass with every one of the same seeds. A simulator that lets
//! the naive mapping pass would prove nothing about the library either.
//!
//! `KMDF_MOCK_SEED=N` runs one seed only. With `-- --nocapture` each test shows the conviction in full.

#![expect(
    non_camel_case_types,
    non_snake_case,
    reason = "the names of Linux's structures and calls"
)]
#![expect(unreachable_pub, reason = "`pub` is what the modules offer each other")]

mod hazards;
mod mapping;
mod port;
mod rig;
mod scenarios;

use std::io::Write as _;
use std::process::Command;

use bottomhalf::WorkReentrance::NonReentrant;
use kmdf_mock::world::{self, Sim};

use hazards::{FREED, HAZARDS, Hazard, SEEDS, Verdict};
use port::{Bottomhalf, Naive};

/// A test per hazard, named by it, and the list of their ids.
macro_rules! convictions {
    ($($(#[$doc:meta])* $test:ident: $id:literal;)*) => {
        $($(#[$doc])* #[test]
        fn $test() {
            let verdict = Hazard::by_id($id).judge();
            println!("{}", verdict.first);
        })*
        /// The hazards that have a test.
        const TESTED: &[&str] = &[$($id),*];
    };
}

convictions! {
    /// H-1: INIT_WORK in an interrupt service routine.
    h01_init_work_in_isr: "H-1";
    /// H-3: a work frees the structure that it is in; the mapping's later touch is found before it is made.
    h03_work_freed_in_its_own_function: "H-3";
    /// H-4: a WDFWORKITEM per work stays behind for each.
    h04_works_come_and_go: "H-4";
    /// H-9: `WdfWorkItemEnqueue` above its ceiling.
    h09_queue_work_in_isr: "H-9";
    /// H-9: the same without a verifier: the framework's lock lowers the IRQL of the interrupt.
    h09_queue_work_in_isr_unverified: "H-9 off";
    /// H-14: a WDFDPC runs on two CPUs at once.
    h14_tasklet_on_two_cpus: "H-14";
    /// H-15: a DPC that queues itself keeps its CPU.
    h15_tasklet_schedules_itself: "H-15";
    /// H-17: `WdfDpcCancel(TRUE)` removes the queued instance and does not wait for the running one.
    h17_kill_returns_during_a_run: "H-17";
    /// H-18: a disabled tasklet whose DPC queues itself keeps its CPU.
    h18_disabled_tasklet_scheduled: "H-18";
    /// H-19: a WDFWORKITEM runs again while it runs.
    h19_work_overlaps_itself: "H-19";
    /// H-20: `WdfWorkItemEnqueue` returns nothing.
    h20_queue_work_of_a_pending_work: "H-20";
    /// H-21: `WdfWorkItemFlush` waits for runs that are queued after it began.
    h21_flush_of_a_requeueing_work: "H-21";
    /// H-22: there is no cancel of a WDFWORKITEM.
    h22_cancelled_work_runs: "H-22";
    /// H-25: a fire that waits for a worker cannot be called back.
    h25_modified_delayed_work_runs_early: "H-25";
    /// H-26: a passive timer fires while its callback runs.
    h26_delayed_work_overlaps_itself: "H-26";
    /// H-26: a passive timer fires while an earlier fire waits for a worker, and the fire is lost.
    h26_fire_is_lost: "H-26 lost";
    /// H-27: `WdfTimerStart` during a `WdfTimerStop(TRUE)` is dropped, with the value of a success.
    h27_armed_while_cancelled: "H-27";
    /// H-28: a timer's due time counts from the last tick.
    h28_delayed_work_early: "H-28";
}

/// The whole table, and that no hazard is missing in it. It is shown whatever the test harness captures.
#[test]
fn conviction_table() {
    let verdicts: Vec<Verdict> = HAZARDS.iter().map(Hazard::judge).collect();
    for required in ["H-3", "H-9", "H-14", "H-17", "H-19", "H-21", "H-22"] {
        let verdict = verdicts.iter().find(|verdict| verdict.id == required);
        assert!(
            verdict.is_some_and(|verdict| verdict.passes > 0),
            "{required} is not in the table"
        );
    }
    let tested: Vec<&str> = verdicts.iter().map(|verdict| verdict.id).collect();
    assert_eq!(tested, TESTED, "every hazard has a test of its own");
    let _ = std::io::stdout().write_all(hazards::table(&verdicts).as_bytes());
}

/// H-3: a delayed work frees the structure that it is in, and the mapping reads it by a plain load. The
/// page faults, so that happens in a process of its own.
#[test]
fn h03_plain_read_after_free_faults() {
    const CHILD: &str = "BOTTOMHALF_NAIVE_FAULT";
    const NAME: &str = "h03_plain_read_after_free_faults";
    if std::env::var_os(CHILD).is_some() {
        let run = Sim::new(0).run(|| {
            rig::drive::<Naive>(NonReentrant, scenarios::delayed_work_frees_itself::<Naive>);
        });
        panic!("the page did not fault: {run:?}");
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(112), "{report}");
    assert!(report.contains(FREED), "{report}");
    assert!(report.contains("a plain access"), "{report}");
    world::seeds(0..SEEDS, |seed| {
        let run = Sim::new(seed).run(|| {
            let scenario = scenarios::delayed_work_frees_itself::<Bottomhalf>;
            rig::drive::<Bottomhalf>(NonReentrant, scenario);
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// In a driver without hazards the naive mapping works, with every seed: it is convicted of what it does
/// wrong, not of being there.
#[test]
fn the_mapping_works_in_plain_use() {
    world::seeds(0..SEEDS, |seed| {
        let run = Sim::new(seed).run(|| {
            rig::drive::<Naive>(NonReentrant, scenarios::plain_use::<Naive>);
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
        let run = Sim::new(seed).run(|| {
            rig::drive::<Bottomhalf>(NonReentrant, scenarios::plain_use::<Bottomhalf>);
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}
