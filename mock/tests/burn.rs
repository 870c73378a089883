//! Time that code uses and time that passes: facts D-25, N-13, N-21, N-27, N-28, N-41, T-29, T-33.

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use common::{Dpc, run};
use kmdf_mock::world::{self, Gate, Interrupt, Live, Preemption, Sim};
use kmdf_mock::{_KDPC_IMPORTANCE, ntddk, sim_assert, sim_assert_eq};

/// 100 ns in a millisecond.
const MS: u64 = 10_000;

/// A machine on which only burning and waiting take time, with a tick of 4 ms.
fn machine(seed: u64) -> Sim {
    Sim::new(seed).cpus(4).tick_100ns(40_000).point_100ns(0)
}

/// As `machine`; a thread gives its CPU up only to wait, or when its turn of a burn is over.
fn exact(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Never)
}

/// When things happened, in milliseconds and from the start on.
#[derive(Clone)]
struct Log(u64, Arc<Mutex<Vec<(u64, String)>>>);

impl Log {
    fn new() -> Self {
        Self(world::now_100ns(), Arc::default())
    }

    fn now(&self) -> u64 {
        let passed = world::now_100ns() - self.0;
        sim_assert_eq!(passed % MS, 0, "nothing else takes time");
        passed / MS
    }

    fn add(&self, what: &str) {
        let now = self.now();
        self.1.lock().unwrap().push((now, what.to_owned()));
    }

    fn times(&self, what: &str) -> Vec<u64> {
        let log = self.1.lock().unwrap();
        let mut times: Vec<u64> = log
            .iter()
            .filter(|(_, other)| other == what)
            .map(|&(time, _)| time)
            .collect();
        times.sort_unstable();
        times
    }
}

/// Three threads that burn 5 ms, sleep 10 ms and burn 5 ms on the CPUs that `cpu` names: when they began, slept,
/// woke and ended.
fn three(seed: u64, cpu: fn(u32) -> u32) -> [Vec<u64>; 4] {
    exact(seed)
        .run(move || {
            let log = Log::new();
            let threads: Vec<_> = (0..3)
                .map(|n| {
                    let log = log.clone();
                    world::spawn(&format!("w{n}"), Some(cpu(n)), move || {
                        world::burn_100ns(0);
                        log.add("begins");
                        world::burn_100ns(5 * MS);
                        log.add("sleeps");
                        world::sleep_100ns(10 * MS);
                        log.add("wakes");
                        world::burn_100ns(5 * MS);
                        log.add("ends");
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            ["begins", "sleeps", "wakes", "ends"].map(|what| log.times(what))
        })
        .unwrap()
}

/// T-33: a thread alone on its CPU: 5 ms of work, 10 ms of sleep, 5 ms of work are over after 20 ms, and what three
/// threads do on three CPUs happens at the same time.
#[test]
fn threads_of_different_cpus_burn_at_the_same_time() {
    world::seeds(0..50, |seed| {
        let [begins, sleeps, wakes, ends] = three(seed, |n| n);
        assert_eq!(begins, [0; 3]);
        assert_eq!(sleeps, [5; 3]);
        assert_eq!(wakes, [15; 3]);
        assert_eq!(ends, [20; 3]);
    });
}

/// N-21: the same three on one CPU share it: one burns at a time, and sleep costs no CPU.
#[test]
fn threads_of_one_cpu_share_it() {
    world::seeds(0..50, |seed| {
        let [_, sleeps, _, ends] = three(seed, |_| 2);
        assert_eq!(sleeps, [5, 10, 15]);
        assert_eq!(ends, [20, 25, 30]);
    });
}

/// T-29: two threads of a CPU that burn longer than a quantum, two ticks, take turns; with a longer tick one is
/// done before the other begins.
#[test]
fn long_burns_take_turns() {
    let ends = |seed, tick| {
        let run = exact(seed).tick_100ns(tick).run(|| {
            let log = Log::new();
            let threads = ["a", "b"].map(|name| {
                let log = log.clone();
                world::spawn(name, Some(1), move || {
                    world::burn_100ns(100 * MS);
                    log.add("ends");
                })
            });
            threads.into_iter().for_each(world::Thread::join);
            log.times("ends")
        });
        run.unwrap()
    };
    world::seeds(0..20, |seed| {
        assert_eq!(ends(seed, 10_000), [198, 200]);
        assert_eq!(ends(seed, 1_000_000), [100, 200]);
    });
}

/// T-29: turns go round: with a tick of 1 ms each of five threads that burn 20 ms has its first 2 ms before any has
/// its second.
#[test]
fn turns_go_round() {
    world::seeds(0..50, |seed| {
        let run = exact(seed).tick_100ns(10_000).run(|| {
            let log = Log::new();
            let threads: Vec<_> = (0..5)
                .map(|_| {
                    let log = log.clone();
                    world::spawn("burner", Some(1), move || {
                        log.add("begins");
                        world::burn_100ns(20 * MS);
                        log.add("ends");
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            (log.times("begins"), log.times("ends"))
        });
        let (begins, ends) = run.unwrap();
        assert_eq!(begins, [0, 2, 4, 6, 8]);
        assert_eq!(ends, [92, 94, 96, 98, 100]);
    });
}

/// T-29: DPCs in between do not make a turn longer: of two threads that burn 100 ms on a CPU with a tick of 4 ms, the
/// second begins when the first has burnt two ticks, after eight of them in this case.
#[test]
fn a_dpc_does_not_renew_the_turn() {
    world::seeds(0..20, |seed| {
        let run = exact(seed).run(|| {
            let log = Log::new();
            let dpc = Dpc::new(|| world::burn_100ns(MS));
            dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
            dpc.set_target(1);
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let log = log.clone();
                    world::spawn("burner", Some(1), move || {
                        log.add("begins");
                        world::burn_100ns(100 * MS);
                    })
                })
                .collect();
            world::run_on_cpu(0, || {
                for _ in 0..4 {
                    world::sleep_100ns(2 * MS);
                    dpc.insert();
                }
            });
            threads.into_iter().for_each(world::Thread::join);
            log.times("begins")
        });
        // The DPCs at 2, 4, 6 and 8 ms take a millisecond each.
        assert_eq!(run.unwrap(), [0, 12]);
    });
}

/// N-41: a DPC preempts a burn below DISPATCH_LEVEL, and its own time does not count for the burn; at
/// DISPATCH_LEVEL it waits for the end.
#[test]
fn a_dpc_preempts_a_burn() {
    let run = |seed, dispatch: bool| {
        let run = machine(seed).run(move || {
            let log = Log::new();
            let (in_dpc, in_thread) = (log.clone(), log.clone());
            let dpc = Dpc::new(move || {
                in_dpc.add("dpc begins");
                world::burn_100ns(MS);
                in_dpc.add("dpc ends");
            });
            dpc.set_importance(_KDPC_IMPORTANCE::MediumHighImportance);
            dpc.set_target(1);
            let burner = world::spawn("burner", Some(1), move || {
                let burn = || world::burn_100ns(10 * MS);
                if dispatch {
                    world::at_dispatch(burn);
                } else {
                    burn();
                }
                in_thread.add("ends");
            });
            world::run_on_cpu(0, || {
                world::sleep_100ns(2 * MS);
                dpc.insert();
            });
            burner.join();
            world::settle();
            ["dpc begins", "dpc ends", "ends"].map(|what| log.times(what)[0])
        });
        run.unwrap()
    };
    world::seeds(0..50, |seed| {
        assert_eq!(run(seed, false), [2, 3, 11]);
        let [begins, ends, thread] = run(seed, true);
        assert_eq!((begins, ends), (10, 11));
        assert_eq!(thread, 11, "lowering the IRQL runs the DPC first");
    });
}

/// N-41: an interrupt preempts a burn at a lower IRQL; at a higher one it waits until the IRQL is lowered.
#[test]
fn an_interrupt_preempts_a_burn_of_lower_irql() {
    let run = |seed, irql| {
        let run = machine(seed).run(move || {
            let log = Log::new();
            let seen = log.clone();
            let irq = Interrupt::connect("nic", 7, move || {
                seen.add("isr");
                world::burn_100ns(MS);
            });
            let other = log.clone();
            let burner = world::spawn("burner", Some(1), move || {
                world::at_irql(irql, || world::burn_100ns(10 * MS));
                other.add("ends");
            });
            world::run_on_cpu(0, || {
                world::sleep_100ns(4 * MS);
                irq.raise(1);
            });
            burner.join();
            ["isr", "ends"].map(|what| log.times(what)[0])
        });
        run.unwrap()
    };
    world::seeds(0..50, |seed| {
        assert_eq!(run(seed, 0), [4, 11]);
        assert_eq!(run(seed, 2), [4, 11]);
        assert_eq!(run(seed, 9), [10, 11]);
    });
}

/// D-25: what is burnt at DISPATCH_LEVEL counts for the watchdog, in a routine for its own limit; below
/// DISPATCH_LEVEL, and in pieces with the IRQL lowered in between, it does not.
#[test]
fn burning_at_dispatch_counts_for_the_watchdog() {
    let code = |f: fn()| {
        let run = machine(1).watchdog_100ns(20 * MS, 50 * MS).run(f);
        run.err().map(|failure| failure.code().to_owned())
    };
    assert_eq!(code(|| world::burn_100ns(1_000 * MS)), None);
    let pieces = || (0..10).for_each(|_| world::at_dispatch(|| world::burn_100ns(40 * MS)));
    assert_eq!(code(pieces), None);
    let whole = code(|| world::at_dispatch(|| world::burn_100ns(60 * MS)));
    assert_eq!(whole.as_deref(), Some("DPC_WATCHDOG(0x133,1)"));
    let long = code(|| {
        let dpc = Dpc::new(|| world::burn_100ns(30 * MS));
        dpc.insert();
        world::settle();
    });
    assert_eq!(long.as_deref(), Some("DPC_WATCHDOG(0x133,0)"));
    let short = code(|| {
        let dpc = Dpc::new(|| world::burn_100ns(15 * MS));
        dpc.insert();
        world::settle();
    });
    assert_eq!(short, None);
}

/// N-13, N-28, D-25: a CPU that spins for a lock whose holder burns waits as long as that takes, and its watchdog
/// counts the wait.
#[test]
fn a_spinning_cpu_waits_for_the_burn_of_the_holder() {
    let run = |seed, limit| {
        machine(seed).watchdog_100ns(limit, limit).run(|| {
            let log = Log::new();
            let lock = Arc::new(common::Lock::new());
            let gate = Gate::new();
            let (held, other) = (gate.clone(), Arc::clone(&lock));
            let holder = world::spawn("holder", Some(1), move || {
                other.with(|| {
                    held.open();
                    world::burn_100ns(5 * MS);
                });
            });
            gate.wait();
            world::run_on_cpu(0, || {
                world::at_dispatch(|| {
                    lock.with(|| log.add("has the lock"));
                    world::burn_100ns(2 * MS);
                });
            });
            holder.join();
            log.times("has the lock")[0]
        })
    };
    world::seeds(0..50, |seed| assert_eq!(run(seed, 10 * MS).unwrap(), 5));
    let long = run(1, 6 * MS).unwrap_err();
    assert_eq!(long.code(), "DPC_WATCHDOG(0x133,1)");
}

/// N-28: a stall takes its time, other CPUs go on meanwhile.
#[test]
fn other_cpus_go_on_during_a_stall() {
    world::seeds(0..50, |seed| {
        machine(seed)
            .run(|| {
                let log = Log::new();
                let other = log.clone();
                let thread = world::spawn("other", Some(1), move || {
                    world::sleep_100ns(3 * MS);
                    other.add("wakes");
                });
                world::run_on_cpu(0, || {
                    world::at_dispatch(|| {
                        // SAFETY: the call has no requirement.
                        unsafe { ntddk::KeStallExecutionProcessor(8_000) };
                    });
                });
                log.add("stalled");
                thread.join();
                sim_assert_eq!(log.times("wakes"), [3]);
                sim_assert_eq!(log.times("stalled"), [8]);
            })
            .unwrap();
    });
}

/// A burn is running code: the world settles after it.
#[test]
fn the_world_settles_after_the_burns() {
    machine(1)
        .run(|| {
            let log = Log::new();
            world::spawn("burner", None, || world::burn_100ns(7 * MS));
            world::settle();
            sim_assert_eq!(log.now(), 7);
        })
        .unwrap();
}

/// Burning for ever is no rest either.
#[test]
fn endless_burning_is_a_livelock() {
    let run = machine(1).step_limit(10_000).run(|| {
        loop {
            world::burn_100ns(MS);
        }
    });
    assert_eq!(
        run.unwrap_err().code(),
        "SIM_LIVELOCK(main runs on CPU 0 at IRQL 0)"
    );
}

/// N-27, T-33: the unbiased interrupt time moves by ticks, whatever their length, and is never ahead of the
/// precise one.
#[test]
fn the_unbiased_time_moves_by_ticks() {
    for tick in [10_000, 40_000, 156_250] {
        machine(1)
            .tick_100ns(tick)
            .run(move || {
                // SAFETY: the call has no requirement.
                let coarse = || unsafe { ntddk::KeQueryUnbiasedInterruptTime() };
                let none = std::ptr::null_mut();
                // SAFETY: a null pointer is allowed.
                let precise = || unsafe { ntddk::KeQueryInterruptTimePrecise(none) };
                // SAFETY: the call has no requirement.
                let increment = unsafe { ntddk::KeQueryTimeIncrement() };
                sim_assert_eq!(increment, tick);
                let (start, mut values) = (coarse(), Vec::new());
                for _ in 0..1_000 {
                    world::burn_100ns(1_000);
                    let (now, exact) = (coarse(), precise());
                    sim_assert_eq!(now % u64::from(tick), 0);
                    sim_assert!(now <= exact && exact < now + u64::from(tick));
                    values.push(now);
                }
                values.dedup();
                let ticks = 1_000_000 / u64::from(tick);
                sim_assert!((ticks..=ticks + 1).contains(&(values.len() as u64)));
                sim_assert_eq!(values[values.len() - 1] - start, ticks * u64::from(tick));
            })
            .unwrap();
    }
}

/// With the default cost of a point the same timeline holds to a fraction of a millisecond, and never early.
#[test]
fn points_take_a_little_time_by_default() {
    run(0..50, |_| {
        let start = world::now_100ns();
        world::burn_100ns(5 * MS);
        world::sleep_100ns(10 * MS);
        world::burn_100ns(5 * MS);
        let passed = world::now_100ns() - start;
        sim_assert!((20 * MS..20 * MS + 100).contains(&passed), "{passed}");
    });
}

/// Priorities are recorded only, unless the world is told to schedule by them: then a ready thread of a higher
/// priority gets its CPU at once.
#[test]
fn a_world_can_schedule_by_priority() {
    let preempted = |by_priority| {
        let code = move |seed| {
            let sim = exact(seed);
            let sim = if by_priority { sim.by_priority() } else { sim };
            let run = sim.run(|| {
                let (log, gate) = (Log::new(), Gate::new());
                let (first, second, opener) = (log.clone(), log.clone(), gate.clone());
                let high = world::spawn("high", Some(1), move || {
                    // SAFETY: the current thread's object is valid.
                    unsafe { ntddk::KeSetPriorityThread(ntddk::KeGetCurrentThread(), 16) };
                    gate.wait();
                    world::burn_100ns(2 * MS);
                    second.add("high");
                });
                world::settle();
                let low = world::spawn("low", Some(1), move || {
                    world::burn_100ns(6 * MS);
                    first.add("low");
                });
                world::run_on_cpu(0, || {
                    world::sleep_100ns(3 * MS);
                    opener.open();
                });
                low.join();
                high.join();
                ["low", "high"].map(|what| log.times(what)[0])
            });
            run.unwrap()
        };
        (0..20).map(code).collect::<Vec<_>>()
    };
    assert_eq!(preempted(true), [[8, 5]; 20]);
    assert_eq!(preempted(false), [[6, 8]; 20]);
}

/// N-28: on the live engine a burn takes at least its time.
#[test]
fn a_live_burn_takes_its_time() {
    let passed = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&passed);
    Live::new()
        .cpus(1)
        .run(move || {
            let start = world::now_100ns();
            world::burn_100ns(2 * MS);
            seen.store(world::now_100ns() - start, SeqCst);
        })
        .unwrap();
    assert!(passed.load(SeqCst) >= 2 * MS);
}
