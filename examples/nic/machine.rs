//! One run: a machine, a driver image with bottomhalf attached, a card, and the driver's removal.
//!
//! [`run`] is called inside a world. It does not know which engine runs it.

use std::sync::Arc;

use bottomhalf::{Config, Host, WorkReentrance, attach, counters};
use indicatif::ProgressBar;
use kmdf_mock::world::{self, Driver, Gate};

use crate::capture::Capture;
use crate::device::Device;
use crate::driver::{Adapter, Observer, Removed};
use crate::ledger::Ledger;
use crate::report::Group;
use crate::tally::Tallies;

/// How long a late run is waited for: in virtual time, and in real time.
const LATE_SIM_100NS: u64 = 20_000_000;
const LATE_LIVE_100NS: u64 = 500_000;

/// What to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The frames; at least one.
    pub(crate) capture: Arc<Capture>,
    /// CPUs of the machine.
    pub(crate) cpus: u32,
    /// Remove the driver when so many frames have arrived.
    pub(crate) remove_at: Option<u32>,
    /// Remove the driver wrongly.
    pub(crate) careless: bool,
    /// The rule for works.
    pub(crate) reentrance: WorkReentrance,
    /// Shows the progress.
    pub(crate) bar: ProgressBar,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was accounted for.
    pub(crate) ledger: Ledger,
    /// Frames that the card had received and the removal dropped.
    pub(crate) dropped: u64,
    /// Frames that the card had not received.
    pub(crate) unread: u64,
    /// Numbers for the report.
    pub(crate) groups: Vec<Group>,
    /// Promises that were broken. Empty, unless there is a bug.
    pub(crate) broken: Vec<String>,
}

/// Runs `plan` in the world of the caller.
pub(crate) fn run(plan: Plan) -> Outcome {
    let driver = Driver::load();
    let host = Host::Driver(driver.handle().cast());
    // SAFETY: the handle is the loaded driver's, which is unloaded after the detach.
    let attachment = unsafe { attach(host, &Config::new(plan.reentrance)) };
    let attachment = attachment.expect("a fresh machine has the resources");

    let frames = u32::try_from(plan.capture.len()).expect("fewer than 2^32 frames");
    let device = Arc::new(Device::new(frames, plan.cpus));
    let tallies = Arc::new(Tallies::default());
    let end = Gate::new();
    let observer = Observer {
        bar: plan.bar.clone(),
        all: end.clone(),
    };
    let capture = Arc::clone(&plan.capture);
    let adapter = Adapter::probe(Arc::clone(&device), capture, Arc::clone(&tallies), observer)
        .expect("a fresh machine has the resources");
    let card = Arc::clone(&device);
    let alarm = plan.remove_at.map(|at| (at, end.clone()));
    let wire = world::spawn("wire", None, move || card.wire(alarm));

    end.wait();
    let removed = adapter.remove(wire, plan.careless);
    tallies.removed();
    let shim = counters();
    world::sleep_100ns(if world::is_sim() {
        LATE_SIM_100NS
    } else {
        LATE_LIVE_100NS
    });
    let groups = groups(&device, &tallies, &removed);
    let mut broken = broken_promises(&plan, &device, &tallies, &removed);
    let later = counters();
    if (later.accepted, later.run) != (shim.accepted, shim.run) {
        broken.push(format!(
            "the shim was busy after remove: {shim:?}, then {later:?}"
        ));
    }
    attachment.detach();
    driver.unload();
    let said = world::debug_log();
    broken.extend(
        said.into_iter()
            .filter(|line| line.starts_with("bottomhalf ")),
    );
    Outcome {
        ledger: removed.ledger,
        dropped: removed.dropped,
        unread: u64::from(frames) - device.received(),
        groups,
        broken,
    }
}

/// What must hold after any removal, and does not.
fn broken_promises(
    plan: &Plan,
    device: &Device,
    tallies: &Tallies,
    removed: &Removed,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut promise = |holds: bool, what: String| {
        if !holds {
            broken.push(what);
        }
    };
    let (received, delivered) = (device.received(), removed.ledger.total.packets);
    promise(
        received == delivered + removed.dropped,
        format!(
            "{received} received, {delivered} delivered, {} dropped",
            removed.dropped
        ),
    );
    promise(
        !removed.held,
        "a queue still holds the driver after remove".to_owned(),
    );
    let interrupt = tallies.interrupt.count();
    promise(
        interrupt.inside == 0 && interrupt.late == 0,
        format!("the interrupt outlives remove: {interrupt:?}"),
    );
    let mut accepted = 0;
    for (name, tally) in tallies.items() {
        let count = tally.count();
        accepted += count.accepted;
        promise(
            count.accepted == count.run + count.cancelled,
            format!("{name}: accepted is not run + cancelled: {count:?}"),
        );
        promise(
            count.inside == 0 && count.late == 0,
            format!("{name} outlives remove: {count:?}"),
        );
        let serial = matches!(name, "clean" | "account");
        promise(
            count.overlaps == 0 || !(serial || plan.reentrance == WorkReentrance::NonReentrant),
            format!("{name} overlaps itself: {count:?}"),
        );
    }
    let shim = counters();
    promise(shim.pending == 0, format!("pending after remove: {shim:?}"));
    promise(
        shim.accepted == shim.run + shim.cancelled + shim.pending,
        format!("the shim's counters do not add up: {shim:?}"),
    );
    promise(
        shim.accepted == accepted,
        format!("the driver counts {accepted} accepted items, the shim {shim:?}"),
    );
    broken
}

fn groups(device: &Device, tallies: &Tallies, removed: &Removed) -> Vec<Group> {
    let run = |tally: &crate::tally::Tally| tally.count().run;
    let shim = counters();
    vec![
        Group {
            title: "card",
            numbers: vec![
                ("frames received", device.received()),
                ("stalls", device.stalls()),
                ("interrupts", run(&tallies.interrupt)),
            ],
        },
        Group {
            title: "driver runs",
            numbers: tallies
                .items()
                .map(|(name, tally)| (name, run(tally)))
                .to_vec(),
        },
        Group {
            title: "statistics",
            numbers: vec![
                ("frames", removed.stats.frames()),
                ("stalls", removed.stats.stalls()),
            ],
        },
        Group {
            title: "bottomhalf",
            numbers: vec![
                ("accepted", shim.accepted),
                ("run", shim.run),
                ("cancelled", shim.cancelled),
                ("pending", shim.pending),
            ],
        },
        Group {
            title: "callbacks",
            numbers: vec![
                ("WDFDPC", shim.dpc_callbacks),
                ("WDFWORKITEM", shim.work_item_callbacks),
                ("WDFTIMER", shim.timer_callbacks),
            ],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture;
    use kmdf_mock::world::Sim;

    const PACKETS: usize = 400;

    fn plan(cpus: u32, remove_at: Option<u32>, reentrance: WorkReentrance) -> Plan {
        let (mut capture, error) = capture::read(crate::DEFAULT_CAPTURE);
        assert_eq!(error, None);
        capture.truncate(PACKETS);
        Plan {
            capture: Arc::new(capture),
            cpus,
            remove_at,
            careless: false,
            reentrance,
            bar: ProgressBar::hidden(),
        }
    }

    fn outcome(seed: u64, plan: Plan) -> Outcome {
        let cpus = plan.cpus;
        match Sim::new(seed).cpus(cpus).run(|| run(plan)) {
            Ok(outcome) => outcome,
            Err(failure) => panic!("{failure}"),
        }
    }

    #[test]
    fn every_packet_is_accounted_for_under_both_rules() {
        for seed in 0..20 {
            for reentrance in [WorkReentrance::SelfReentrant, WorkReentrance::NonReentrant] {
                let outcome = outcome(seed, plan(4, None, reentrance));
                assert_eq!(outcome.broken, [""; 0], "seed {seed}, {reentrance:?}");
                assert_eq!(outcome.ledger.total.packets, PACKETS as u64, "seed {seed}");
                assert_eq!((outcome.dropped, outcome.unread), (0, 0), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_removal_at_any_moment_loses_nothing() {
        let mut dropped = 0;
        for seed in 0..100 {
            let remove_at = u32::try_from(seed * 37 % PACKETS as u64).unwrap();
            let plan = plan(
                1 + remove_at % 4,
                Some(remove_at),
                WorkReentrance::SelfReentrant,
            );
            let outcome = outcome(seed, plan);
            assert_eq!(outcome.broken, [""; 0], "seed {seed}");
            let sum = outcome.ledger.total.packets + outcome.dropped + outcome.unread;
            assert_eq!(sum, PACKETS as u64, "seed {seed}");
            dropped += outcome.dropped;
        }
        assert!(dropped > 0, "no removal found frames in the ring");
    }

    /// The moderation is pushed off frame by frame, and runs once the wire has been quiet: the link is
    /// down for a while after frame 500.
    #[test]
    fn a_quiet_wire_ends_the_moderation() {
        for seed in 0..20 {
            let (mut capture, _) = capture::read(crate::DEFAULT_CAPTURE);
            capture.truncate(1_000);
            let plan = Plan {
                capture: Arc::new(capture),
                ..plan(4, None, WorkReentrance::NonReentrant)
            };
            let outcome = outcome(seed, plan);
            assert_eq!(outcome.broken, [""; 0], "seed {seed}");
            let numbers = outcome.groups.iter().flat_map(|group| &group.numbers);
            let runs = numbers
                .filter(|(name, _)| *name == "moderate")
                .map(|(_, runs)| *runs);
            assert!(runs.sum::<u64>() > 0, "seed {seed}");
        }
    }

    #[test]
    fn a_seed_decides_everything() {
        let [first, second] = [(); 2].map(|()| {
            let plan = plan(4, Some(300), WorkReentrance::SelfReentrant);
            let outcome = outcome(5, plan);
            (
                outcome.dropped,
                outcome.unread,
                format!("{:?}", outcome.groups),
            )
        });
        assert_eq!(first, second);
    }

    #[test]
    fn a_removal_that_forgets_the_watchdog_is_found_out() {
        let plan = plan(4, None, WorkReentrance::SelfReentrant);
        let outcome = outcome(
            1,
            Plan {
                careless: true,
                ..plan
            },
        );
        for rule in [
            "a queue still holds the driver",
            "watchdog: accepted is not run + cancelled",
            "watchdog outlives remove",
            "pending after remove",
            "the shim was busy after remove",
        ] {
            let found = outcome.broken.iter().any(|broken| broken.contains(rule));
            assert!(found, "{rule} is not in {:?}", outcome.broken);
        }
    }
}
