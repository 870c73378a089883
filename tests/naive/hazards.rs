//! The hazards: who is tried for what, and the verdict.

use std::cell::RefCell;

use bottomhalf::WorkReentrance::{self, NonReentrant, SelfReentrant};
use kmdf_mock::world::{Failure, Sim, Verifier, seeds};

use super::port::{Bottomhalf, Naive};
use super::{rig, scenarios};

/// Seeds that each hazard is tried with.
pub const SEEDS: u64 = 100;
/// The name of a use after free.
pub const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)";

const BOTH: &[WorkReentrance] = &[SelfReentrant, NonReentrant];

/// One hazard of facts/hazards.
#[derive(Clone, Copy)]
pub struct Hazard {
    /// Its number, and a word if there are two of that number.
    pub id: &'static str,
    /// What Linux allows.
    allows: &'static str,
    /// How the name of a conviction begins. Another name is no conviction: the test fails.
    convicted_as: &'static str,
    /// The machine, from the one with the seed.
    machine: fn(Sim) -> Sim,
    naive: fn(),
    bottomhalf: fn(),
    /// The rules for works that bottomhalf is tried under.
    reentrance: &'static [WorkReentrance],
    /// Whether bottomhalf passes. Where it does not, it has to be convicted by the same name with every
    /// seed, so that a limit that is lifted shows here.
    passes: bool,
}

/// A hazard's conviction.
pub struct Verdict {
    /// The hazard.
    pub id: &'static str,
    allows: &'static str,
    name: String,
    /// The first seed that convicts.
    seed: u64,
    /// Its report.
    pub first: Failure,
    convicted: u64,
    seeds: u64,
    /// Runs that bottomhalf passed.
    pub passes: u64,
    limits: u64,
}

/// A row: the scenario for both sides.
macro_rules! hazard {
    ($id:literal, $allows:literal, $scenario:ident, $as:expr, $reentrance:expr, $machine:expr) => {
        Hazard {
            id: $id,
            allows: $allows,
            convicted_as: $as,
            machine: $machine,
            naive: scenarios::$scenario::<Naive>,
            bottomhalf: scenarios::$scenario::<Bottomhalf>,
            reentrance: $reentrance,
            passes: true,
        }
    };
    ($id:literal, $allows:literal, $scenario:ident, $as:expr, $reentrance:expr) => {
        hazard!($id, $allows, $scenario, $as, $reentrance, |sim| sim)
    };
    ($id:literal, $allows:literal, $scenario:ident, $as:expr) => {
        hazard!($id, $allows, $scenario, $as, BOTH)
    };
}

/// A machine whose DPC watchdog waits for 5 ms only; what it waits for here never ends.
fn impatient(sim: Sim) -> Sim {
    sim.watchdog_100ns(20_000, 50_000)
}

/// Every hazard that is tried.
#[rustfmt::skip]
pub const HAZARDS: &[Hazard] = &[
    hazard!("H-1", "INIT_WORK in an ISR", init_work_in_isr, "KMDF_IRQL(WdfWorkItemCreate)"),
    hazard!("H-3", "a work frees itself", work_frees_itself, FREED),
    hazard!("H-4", "works come and go, nothing stays", works_come_and_go,
        "WDFWORKITEMs that 50 freed works left behind: 50"),
    hazard!("H-9", "queue_work in an ISR", queue_work_in_isr, "KMDF_IRQL(WdfWorkItemEnqueue)"),
    hazard!("H-9 off", "the same, on a machine without verifier", queue_work_in_isr,
        "DV(0xC4,0x31)", BOTH, |sim| sim.verifier(Verifier::Off)),
    hazard!("H-14", "a tasklet never overlaps itself", schedule_on_two_cpus,
        "the function runs 2 times at once"),
    hazard!("H-15", "a tasklet schedules itself for ever", tasklet_schedules_itself,
        "DPC_WATCHDOG(0x133,1)", BOTH, impatient),
    hazard!("H-17", "after tasklet_kill nothing runs", kill_running_and_scheduled,
        "tasklet_kill returned during a run"),
    hazard!("H-18", "a disabled tasklet is scheduled", schedule_disabled,
        "DPC_WATCHDOG(0x133,1)", BOTH, impatient),
    hazard!("H-19", "a work never overlaps itself (3.7)", queue_running,
        "the function runs 2 times at once", &[NonReentrant]),
    hazard!("H-20", "queue_work of a pending work is false", queue_twice,
        "queue_work of an idle and of a pending work", BOTH, |sim| sim.cpus(1)),
    hazard!("H-21", "flush_work of a work that requeues itself", flush_requeueing,
        "SIM_LIVELOCK(flush of "),
    hazard!("H-22", "a cancelled pending work does not run", cancel_pending,
        "runs of a work that was cancelled while pending", BOTH, |sim| sim.workers(1)),
    hazard!("H-25", "mod_delayed_work of a due work delays it", modify_due,
        "runs 80 jiffies before the time it was moved to", BOTH, |sim| sim.workers(1)),
    hazard!("H-26", "a delayed work never overlaps itself (3.7)", rearm_and_go_on,
        "the function runs 2 times at once", &[NonReentrant]),
    hazard!("H-26 lost", "an armed work runs or is cancelled", due_twice,
        "accepted, and run or cancelled", BOTH, |sim| sim.workers(1)),
    hazard!("H-27", "an armed work runs or is cancelled", arm_while_cancelled,
        "accepted, and run or cancelled"),
    hazard!("H-28", "a delayed work never runs early", not_early,
        "a delay of 11 jiffies was over after ", BOTH, |sim| sim.tick_100ns(156_250)),
];

impl Hazard {
    /// The hazard with this number.
    pub fn by_id(id: &str) -> &'static Self {
        HAZARDS
            .iter()
            .find(|hazard| hazard.id == id)
            .expect("a hazard of the list")
    }

    fn machine(&self, seed: u64) -> Sim {
        (self.machine)(Sim::new(seed).tick_100ns(40_000))
    }

    /// Tries the naive mapping with every seed, and bottomhalf with the same ones.
    pub fn judge(&self) -> Verdict {
        let convictions = RefCell::new(Vec::new());
        let runs = RefCell::new((0, 0, 0));
        seeds(0..SEEDS, |seed| {
            let naive = self.naive;
            let run = self
                .machine(seed)
                .run(move || rig::drive::<Naive>(NonReentrant, naive));
            convictions
                .borrow_mut()
                .extend(run.err().map(|failure| (seed, failure)));
            let (passes, limits) = self.try_bottomhalf(seed);
            let mut runs = runs.borrow_mut();
            *runs = (runs.0 + 1, runs.1 + passes, runs.2 + limits);
        });
        let convictions = convictions.into_inner();
        for (_, failure) in &convictions {
            self.check_name(failure);
        }
        let convicted = convictions.len() as u64;
        let Some((seed, first)) = convictions.into_iter().next() else {
            panic!("{}: no seed convicts the naive mapping", self.id);
        };
        let (seeds, passes, limits) = runs.into_inner();
        Verdict {
            id: self.id,
            allows: self.allows,
            name: name(&first),
            seed,
            first,
            convicted,
            seeds,
            passes,
            limits,
        }
    }

    /// Runs the same scenario over bottomhalf: how often it passes, and how often it meets a known limit.
    fn try_bottomhalf(&self, seed: u64) -> (u64, u64) {
        let (mut passes, mut limits) = (0, 0);
        for &reentrance in self.reentrance {
            let scenario = self.bottomhalf;
            let machine = self.machine(seed);
            match machine.run(move || rig::drive::<Bottomhalf>(reentrance, scenario)) {
                Ok(()) if self.passes => passes += 1,
                Ok(()) => panic!(
                    "{}: bottomhalf passes, so this is no limit any more",
                    self.id
                ),
                Err(failure) if self.passes => {
                    panic!("{}: bottomhalf with {reentrance:?}: {failure}", self.id)
                }
                Err(failure) => {
                    self.check_name(&failure);
                    limits += 1;
                }
            }
        }
        (passes, limits)
    }

    fn check_name(&self, failure: &Failure) {
        assert!(
            name(failure).starts_with(self.convicted_as),
            "{}: convicted for another reason than {}: {failure}",
            self.id,
            self.convicted_as
        );
    }
}

/// Controls of the trial itself.
mod controls {
    use super::*;

    /// A mapping that passes is not convicted, and that is a failure.
    #[test]
    #[should_panic(expected = "H-14: no seed convicts the naive mapping")]
    fn a_pass_is_no_conviction() {
        let naive = scenarios::plain_use::<Naive>;
        let hazard = Hazard {
            naive,
            ..*Hazard::by_id("H-14")
        };
        hazard.judge();
    }

    /// A conviction by another name is a failure.
    #[test]
    #[should_panic(expected = "H-14: convicted for another reason than the function runs 2 times")]
    fn another_name_is_no_conviction() {
        let naive = scenarios::queue_work_in_isr::<Naive>;
        let hazard = Hazard {
            naive,
            ..*Hazard::by_id("H-14")
        };
        hazard.judge();
    }

    /// What bottomhalf does wrong is found.
    #[test]
    #[should_panic(expected = "H-14: bottomhalf with SelfReentrant: replay: KMDF_MOCK_SEED=")]
    fn bottomhalf_is_tried_too() {
        let hazard = Hazard {
            bottomhalf: || kmdf_mock::sim_assert!(false, "a scenario that fails"),
            ..*Hazard::by_id("H-14")
        };
        hazard.judge();
    }

    /// A limit that is not there any more is found.
    #[test]
    #[should_panic(expected = "H-14: bottomhalf passes, so this is no limit any more")]
    fn a_lifted_limit_is_found() {
        let hazard = Hazard {
            passes: false,
            ..*Hazard::by_id("H-14")
        };
        hazard.judge();
    }
}

/// What a failure is called: its code, or the assertion without its place.
fn name(failure: &Failure) -> String {
    if failure.code() != "ASSERT" {
        return failure.code().to_owned();
    }
    let message = failure.message();
    let end = message.rfind(" (").unwrap_or(message.len());
    message[..end].to_owned()
}

/// The table of all verdicts.
pub fn table(verdicts: &[Verdict]) -> String {
    let heads = [
        "hazard",
        "Linux allows",
        "naive mapping convicted as",
        "seed",
        "seeds",
        "bottomhalf",
    ];
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(verdicts.iter().map(|verdict| {
        [
            verdict.id.to_owned(),
            verdict.allows.to_owned(),
            verdict.name.clone(),
            verdict.seed.to_string(),
            format!("{}/{}", verdict.convicted, verdict.seeds),
            match verdict.limits {
                0 => format!("{} pass", verdict.passes),
                limits => format!("{limits} convicted too"),
            },
        ]
    }));
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::from("\n");
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&line(row));
        if number == 0 {
            text.push_str(&line(&rule));
        }
    }
    text
}
