//! The same seed gives the same run.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{Dpc, Event, Timer, WorkItem};
use kmdf_mock::world::{self, Interrupt, Sim, Traced};

/// A bit of everything: interrupts, DPCs, timers, work items, threads, waits.
fn scenario(seed: u64) -> Traced<u64> {
    Sim::new(seed).run_traced(|| {
        let event = Arc::new(Event::synchronization());
        let set = Arc::clone(&event);
        let item = Arc::new(WorkItem::new(move || {
            set.set();
        }));
        let queue = Arc::clone(&item);
        let dpc = Dpc::new(move || queue.queue());
        let interrupt = Arc::new(Interrupt::connect("nic", 6, {
            let dpc = dpc.clone();
            move || {
                dpc.insert();
            }
        }));
        let raised = Arc::clone(&interrupt);
        let timer = Timer::new(move || raised.raise(world::choose(4)));
        let threads: Vec<_> = (0..3)
            .map(|n| {
                world::spawn(&format!("busy {n}"), None, || {
                    for _ in 0..30 {
                        kmdf_mock::sync::preempt();
                    }
                })
            })
            .collect();
        timer.set(-400_000);
        event.wait(None);
        threads.into_iter().for_each(world::Thread::join);
        world::now_100ns()
    })
}

/// Two runs of a seed have equal traces, event by event; different seeds differ.
#[test]
fn a_seed_replays_exactly() {
    let mut fingerprints = BTreeSet::new();
    for seed in 0..100 {
        let (first, second) = (scenario(seed), scenario(seed));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_eq!(
            (first.result.unwrap(), first.steps),
            (second.result.unwrap(), second.steps)
        );
        assert!(first.trace.len() > 20, "the scenario does something");
        fingerprints.insert(first.fingerprint);
    }
    assert!(
        fingerprints.len() > 90,
        "different seeds differ: {} of 100",
        fingerprints.len()
    );
}

/// A run does not depend on what the process did before, nor on the OS thread.
#[test]
fn a_seed_replays_on_another_thread() {
    let here = scenario(7).trace;
    let there = std::thread::spawn(|| {
        for seed in 0..5 {
            scenario(seed);
        }
        scenario(7).trace
    });
    assert_eq!(here, there.join().unwrap());
}

/// `KMDF_MOCK_SEED` selects one seed, and the report of a failure says how.
#[test]
fn a_failure_says_how_to_replay() {
    let failure = Sim::new(42)
        .run(|| world::fail("ASSERT", "on purpose".to_owned()))
        .unwrap_err();
    assert_eq!(failure.code(), "ASSERT");
    assert_eq!(failure.message(), "on purpose");
    let expected = "replay: KMDF_MOCK_SEED=42 cargo test --test determinism \
                    a_failure_says_how_to_replay -- --exact";
    // Cargo names the package, a binary that is started by hand does not know it.
    assert_eq!(failure.replay().replace(" -p kmdf-mock", ""), expected);
    assert_eq!(failure.to_string().lines().next(), Some(failure.replay()));
}

/// A panic in a world is a failure of the run, whatever thread panics.
#[test]
fn a_panic_is_a_failure() {
    let failure = Sim::new(1)
        .run(|| world::spawn("bad", None, || panic!("on purpose")).join())
        .unwrap_err();
    assert_eq!(failure.code(), "PANIC");
    let message = failure.message();
    assert!(
        message.starts_with("on purpose (") && message.contains("determinism.rs:"),
        "{message}"
    );
}
