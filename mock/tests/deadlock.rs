//! Worlds that are stuck: who waits for whom, by name.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{Event, WorkItem, run};
use kmdf_mock::sync::{self, SpinLock};
use kmdf_mock::world::{self, Preemption, Sim};

/// Two threads that wait for each other's end.
#[test]
fn a_deadlock_is_reported_by_name() {
    for seed in 0..50 {
        let failure = Sim::new(seed)
            .run(|| {
                let event = Arc::new(Event::notification());
                let mine = Arc::clone(&event);
                let thread = world::spawn("reader", None, move || {
                    mine.wait(None);
                });
                thread.join();
                event.set();
            })
            .unwrap_err();
        assert_eq!(
            failure.code(),
            "SIM_DEADLOCK(main waits for the end of thread reader; reader waits for event 1)"
        );
        assert!(
            failure.to_string().starts_with("replay: KMDF_MOCK_SEED="),
            "{failure}"
        );
    }
}

/// W-30, H-32: a work item that waits for another one, when every worker thread is taken.
#[test]
fn a_starved_pool_is_reported() {
    let failure = Sim::new(1)
        .workers(2)
        .run(|| {
            let gate = world::Gate::new();
            let waits: Vec<_> = (0..2)
                .map(|_| {
                    let gate = gate.clone();
                    WorkItem::new(move || gate.wait())
                })
                .collect();
            let opens = gate.clone();
            let opener = WorkItem::new(move || opens.open());
            waits.iter().for_each(WorkItem::queue);
            world::settle();
            opener.queue();
            gate.wait();
        })
        .unwrap_err();
    assert!(
        failure
            .code()
            .starts_with("SIM_DEADLOCK(main waits for event"),
        "{failure}"
    );
    assert!(
        failure
            .to_string()
            .contains("1 work item(s) wait for a worker thread: 2 exist, 0 idle"),
        "{failure}"
    );
}

/// Two CPUs that spin for locks in opposite orders.
#[test]
fn a_livelock_is_reported_by_name() {
    static A: SpinLock = SpinLock::new();
    static B: SpinLock = SpinLock::new();
    let both = |first: &'static SpinLock, second: &'static SpinLock| {
        move || {
            first.lock();
            for _ in 0..50 {
                sync::preempt();
            }
            second.lock();
        }
    };
    let failure = Sim::new(5)
        .step_limit(100_000)
        .run(move || {
            let other = world::spawn("other", Some(1), both(&A, &B));
            both(&B, &A)();
            other.join();
        })
        .unwrap_err();
    assert!(failure.code().starts_with("SIM_LIVELOCK("), "{failure}");
    assert!(failure.code().contains("main runs on CPU"), "{failure}");
    assert!(
        failure.code().contains("other runs on CPU 1 at IRQL 0"),
        "{failure}"
    );
}

/// A world in which only time passes is a livelock too, not a hang.
#[test]
fn polling_for_ever_is_reported() {
    let failure = Sim::new(1)
        .run(|| {
            loop {
                world::sleep_100ns(1);
            }
        })
        .unwrap_err();
    assert!(failure.code().starts_with("SIM_LIVELOCK"), "{failure}");
}

/// Without preemption a context that spins still gives way to the one it waits for.
#[test]
fn spinning_gives_way_without_preemption() {
    for preemption in [
        Preemption::Never,
        Preemption::Seldom,
        Preemption::Often,
        Preemption::Always,
    ] {
        for seed in 0..20 {
            Sim::new(seed)
                .preemption(preemption)
                .run(|| {
                    let lock = Arc::new(SpinLock::new());
                    let count = Arc::new(AtomicU32::new(0));
                    let threads: Vec<_> = (0..3)
                        .map(|n| {
                            let (lock, count) = (Arc::clone(&lock), Arc::clone(&count));
                            world::spawn("taker", Some(n), move || {
                                for _ in 0..10 {
                                    lock.lock();
                                    let before = count.load(Ordering::Relaxed);
                                    sync::preempt();
                                    count.store(before + 1, Ordering::Relaxed);
                                    lock.unlock();
                                }
                            })
                        })
                        .collect();
                    threads.into_iter().for_each(world::Thread::join);
                    kmdf_mock::sim_assert_eq!(count.load(Ordering::Relaxed), 30);
                })
                .unwrap();
        }
    }
}

/// A context that loops on something the simulation does not see hangs its OS thread: the monitor names the world
/// and ends the process.
#[test]
fn a_hang_is_reported_by_name() {
    if std::env::var_os("KMDF_MOCK_CONTROL").is_some() {
        let _ = Sim::new(9).run(|| {
            let flag = AtomicU32::new(0);
            while flag.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
        });
        return;
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["a_hang_is_reported_by_name", "--exact"])
        .env("KMDF_MOCK_CONTROL", "1")
        .env("KMDF_MOCK_HANG_SECONDS", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(113), "{text}");
    assert!(
        text.starts_with("replay: KMDF_MOCK_SEED=9 cargo test"),
        "{text}"
    );
    assert!(text.contains("SIM_HANG"), "{text}");
}

/// `settle` waits for everything that needs no time, and for nothing that does.
#[test]
fn settle_does_not_let_time_pass() {
    run(0..100, |_| {
        let ran = Arc::new(AtomicU32::new(0));
        let mark = Arc::clone(&ran);
        let item = WorkItem::new(move || {
            mark.fetch_add(1, Ordering::SeqCst);
        });
        let late = Arc::clone(&ran);
        let timer = common::Timer::new(move || {
            late.fetch_add(100, Ordering::SeqCst);
        });
        timer.set(-100_000_000);
        item.queue();
        let begin = world::now_100ns();
        world::settle();
        kmdf_mock::sim_assert_eq!(ran.load(Ordering::SeqCst), 1);
        kmdf_mock::sim_assert!(world::now_100ns() - begin < 10_000);
    });
}
