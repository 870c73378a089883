//! The thread of a CPU that takes over what is too much for its DPC (H-15, D-25; linux.md 1.2: 10 rounds or
//! 2 ms, then ksoftirqd).
//!
//! Which drain runs a tasklet is not to be seen by it: the same rows hold, whoever serves the CPU.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::counters;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Tasklet, Trace, Work, machine, rows_with_on, spin_until};

const SCHED: u64 = TASKLET_STATE_SCHED;
const RUN: u64 = TASKLET_STATE_RUN;

/// The DPC watchdog waits for 5 ms only: what keeps a CPU at DISPATCH_LEVEL for longer is convicted.
fn impatient(seed: u64) -> Sim {
    let preemption = [
        Preemption::Seldom,
        Preemption::Often,
        Preemption::Often,
        Preemption::Always,
    ];
    machine(seed)
        .preemption(preemption[seed as usize % preemption.len()])
        .watchdog_100ns(20_000, 50_000)
}

/// As [`impatient`], for runs that wait for something.
fn patient(seed: u64) -> Sim {
    impatient(seed).watchdog_100ns(500_000, 1_000_000)
}

/// As [`impatient`], with one CPU: everybody depends on the turns that the drain gives.
fn alone(seed: u64) -> Sim {
    impatient(seed).cpus(1)
}

/// A tasklet that schedules itself until it is stopped, one way or the other.
struct Storm {
    tasklet: Tasklet,
    stopped: Arc<AtomicU32>,
}

impl Storm {
    /// One of `cpu`, which is with the CPU's thread when this returns.
    fn overflowing(cpu: u32) -> Self {
        let before = counters().overflows;
        let storm = Self::on(cpu, |_| {});
        support::wait_until(|| counters().overflows > before);
        storm
    }

    /// One of `cpu`; each run does `body` first.
    fn on(cpu: u32, body: impl Fn(Tasklet) + Send + Sync + 'static) -> Self {
        let stopped = Arc::new(AtomicU32::new(0));
        let stop = Arc::clone(&stopped);
        let tasklet = Tasklet::new(move |tasklet, _| {
            body(tasklet);
            if stop.load(SeqCst) == 0 {
                tasklet.schedule();
            }
        });
        world::spawn("starter", Some(cpu), move || tasklet.schedule()).join();
        Self { tasklet, stopped }
    }

    fn stop(&self) {
        self.stopped.store(1, SeqCst);
    }

    fn end(self) {
        self.stop();
        self.tasklet.kill();
        self.tasklet.free();
    }
}

/// Asserts that every run was at DISPATCH_LEVEL on `cpu`, and never two at once.
fn ran_only_on(tasklet: Tasklet, cpu: u32) {
    let seen = tasklet.seen();
    for run in 0..seen.runs() as usize {
        sim_assert_eq!((seen.cpu(run), seen.irql(run)), (cpu, 2));
    }
    sim_assert_eq!(seen.most_inside(), 1);
}

/// H-15: a tasklet that schedules itself for ever is handed to the thread; the CPU's other threads, its DPCs
/// and its interrupts get their turns, and it runs on, at DISPATCH_LEVEL, on its CPU.
#[test]
fn h15_a_storm_leaves_the_cpu_to_others() {
    rows_with_on(impatient, NonReentrant, 60, |_| {
        let storm = Storm::overflowing(1);
        let (runs, work) = (storm.tasklet.runs(), Work::counting());
        world::run_on_cpu(1, || {
            for _ in 0..20 {
                world::sleep_100ns(1_000);
                work.schedule();
            }
        });
        sim_assert!(storm.tasklet.runs() > runs, "the tasklet goes on meanwhile");
        work.flush();
        sim_assert!(work.runs() >= 1);
        ran_only_on(storm.tasklet, 1);
        storm.end();
        work.free();
    });
}

/// H-15 on a machine with one CPU, where the killer has no other: T13 there.
#[test]
fn t13_a_storm_is_killed_on_its_own_cpu() {
    rows_with_on(alone, NonReentrant, 100, |_| {
        let tasklet = Tasklet::new(|tasklet, _| tasklet.schedule());
        tasklet.schedule();
        world::sleep_100ns(100_000);
        sim_assert!(counters().overflows > 0);
        tasklet.kill();
        let runs = tasklet.runs();
        sim_assert_eq!(tasklet.state(), 0);
        world::settle();
        sim_assert_eq!(tasklet.runs(), runs);
        tasklet.free();
    });
}

/// T05, T06, T29, H-16: while the thread serves, tasklets of the CPU keep their order: high priority first, each
/// in the order of its first schedule.
#[test]
fn t29_the_order_holds_while_the_thread_serves() {
    rows_with_on(impatient, NonReentrant, 100, |_| {
        let storm = Storm::overflowing(2);
        for _ in 0..5 {
            let trace = Trace::default();
            let letter = |letter: char| {
                let trace = trace.clone();
                Tasklet::new(move |_, _| trace.add(letter))
            };
            let [a, b, c, d] = ['A', 'B', 'C', 'D'].map(letter);
            world::run_on_cpu(2, || {
                world::at_dispatch(|| {
                    a.schedule();
                    b.schedule();
                    b.hi_schedule();
                    c.hi_schedule();
                    d.hi_schedule();
                });
            });
            support::wait_until(|| trace.get().len() == 4);
            sim_assert_eq!(trace.get(), "CDAB");
            for tasklet in [a, b, c, d] {
                tasklet.kill();
                ran_only_on(tasklet, 2);
                tasklet.free();
            }
        }
        storm.end();
    });
}

/// The order holds across the hand-over itself: tasklets of many rounds, each of which schedules the next
/// one of its kind, run as if one drain had served them all.
#[test]
fn the_order_holds_across_the_hand_over() {
    rows_with_on(impatient, NonReentrant, 100, |_| {
        let trace = Trace::default();
        let chain = |letter: char, hi: bool| {
            let trace = trace.clone();
            Tasklet::new(move |tasklet, run| {
                trace.add(letter);
                if run == 30 {
                    return;
                }
                if hi {
                    tasklet.hi_schedule();
                } else {
                    tasklet.schedule();
                }
            })
        };
        let tasklets = [
            chain('a', false),
            chain('A', true),
            chain('b', false),
            chain('B', true),
        ];
        let before = counters().overflows;
        world::run_on_cpu(3, || {
            world::at_dispatch(|| {
                let [a, hi_a, b, hi_b] = tasklets;
                a.schedule();
                hi_a.hi_schedule();
                b.schedule();
                hi_b.hi_schedule();
            });
        });
        support::wait_until(|| trace.get().len() == 120);
        sim_assert!(counters().overflows > before, "30 rounds are too many");
        sim_assert_eq!(trace.get(), "ABab".repeat(30));
        for tasklet in tasklets {
            tasklet.kill();
            ran_only_on(tasklet, 3);
            tasklet.free();
        }
    });
}

/// T04 with the thread of one CPU and the DPC of another: scheduled on CPU 2 while it runs on CPU 1, a
/// tasklet runs next on CPU 2.
#[test]
fn t04_the_second_run_is_on_the_scheduling_cpu() {
    rows_with_on(patient, NonReentrant, 100, |_| {
        let storms = [1, 2].map(Storm::overflowing);
        let gate = Arc::new(AtomicU32::new(0));
        let opened = Arc::clone(&gate);
        let tasklet = Tasklet::new(move |_, run| {
            if run == 1 {
                spin_until(&opened);
            }
        });
        let first = world::spawn("first", Some(1), move || tasklet.schedule());
        tasklet.wait_begun(1);
        world::spawn("second", Some(2), move || {
            tasklet.schedule();
            sim_assert_eq!(tasklet.state(), SCHED | RUN);
            gate.store(1, SeqCst);
        })
        .join();
        tasklet.wait_begun(2);
        first.join();
        tasklet.kill();
        let seen = tasklet.seen();
        sim_assert_eq!((seen.cpu(0), seen.cpu(1)), (1, 2));
        sim_assert_eq!((seen.runs(), seen.most_inside()), (2, 1));
        tasklet.free();
        storms.into_iter().for_each(Storm::end);
    });
}

/// One drain of a CPU at a time: the tasklets of a CPU never overlap, whether its DPC or its thread runs
/// them.
#[test]
fn tasklets_of_a_cpu_never_overlap() {
    rows_with_on(impatient, NonReentrant, 100, |_| {
        let inside: Arc<[AtomicU32; 4]> = Arc::default();
        let crowd: Vec<Storm> = (0..8)
            .map(|index| {
                let inside = Arc::clone(&inside);
                Storm::on(index % 2, move |_| {
                    let here = &inside[world::current_cpu() as usize];
                    sim_assert_eq!(here.fetch_add(1, SeqCst), 0, "two drains of a CPU");
                    kmdf_mock::sync::preempt();
                    here.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        support::wait_until(|| counters().overflows >= 2);
        world::sleep_100ns(5_000);
        crowd.into_iter().for_each(Storm::end);
    });
}

/// O3 of the engine: what an interrupt has left to the DPC does not wait for the thread.
#[test]
fn calls_of_interrupts_do_not_wait_for_the_thread() {
    rows_with_on(impatient, NonReentrant, 60, |_| {
        let storm = Storm::overflowing(1);
        let work = Work::counting();
        let line = Interrupt::connect("line", 5, move || {
            work.schedule();
        });
        let overflows = counters().overflows;
        for run in 1..=5 {
            line.raise(1);
            support::wait_until(|| work.runs() == run);
        }
        sim_assert_eq!(
            counters().overflows,
            overflows,
            "the DPC serves tasklets while the thread does"
        );
        support::wait_until(|| line.is_idle());
        storm.end();
        work.flush();
        work.free();
    });
}

/// T07, T15, T16, T31 against the thread: disabled under the storm it does not run, kill waits for it, enabled it runs.
#[test]
fn t15_disable_and_kill_under_the_thread() {
    rows_with_on(impatient, NonReentrant, 100, |_| {
        let storm = Storm::overflowing(1);
        let tasklet = Tasklet::counting();
        for round in 0..4 {
            tasklet.disable();
            world::spawn("scheduler", Some(1), move || tasklet.schedule()).join();
            world::sleep_100ns(2_000);
            sim_assert_eq!((tasklet.runs(), tasklet.state()), (round, SCHED));
            let enabler = world::spawn("enabler", Some(round % 4), move || tasklet.enable());
            tasklet.kill();
            sim_assert_eq!((tasklet.runs(), tasklet.state()), (round + 1, 0));
            enabler.join();
        }
        ran_only_on(tasklet, 1);
        storm.tasklet.disable();
        sim_assert_eq!(storm.tasklet.seen().inside(), 0);
        let runs = storm.tasklet.runs();
        world::settle();
        sim_assert_eq!(storm.tasklet.runs(), runs, "a disabled storm is over");
        storm.stop();
        storm.tasklet.enable();
        storm.end();
        tasklet.free();
    });
}

/// T4 of the engine with the thread in the picture: killed and freed while threads and DPCs of all CPUs
/// serve it, a tasklet is not touched any more.
#[test]
fn t28_freed_after_kill_under_storms() {
    rows_with_on(impatient, NonReentrant, 150, |_| {
        let storms = [0, 1, 2, 3].map(|cpu| Storm::on(cpu, |_| {}));
        for _ in 0..3 {
            let victim = Tasklet::new(|tasklet, run| {
                if run < 20 {
                    tasklet.schedule();
                }
            });
            let schedulers = [0, 1, 2, 3].map(|cpu: u32| {
                world::spawn("scheduler", Some(cpu), move || {
                    victim.schedule();
                    victim.hi_schedule();
                })
            });
            schedulers.into_iter().for_each(world::Thread::join);
            let seen = victim.seen();
            victim.kill();
            sim_assert_eq!(seen.inside(), 0);
            victim.free();
            sim_assert_eq!(seen.most_inside(), 1);
        }
        storms.into_iter().for_each(Storm::end);
    });
}

/// Detach while storms rage on every CPU: what is scheduled runs, what wants to go on is refused (BH03), the
/// threads end, and nothing is touched afterwards.
#[test]
fn detach_ends_storms_and_threads() {
    rows_with_on(impatient, NonReentrant, 100, |rig| {
        rig.allow(&["BH03"]);
        let storms = [0, 1, 2, 3].map(|cpu| Storm::on(cpu, |_| {}));
        let other = Tasklet::counting();
        world::spawn("scheduler", Some(1), move || other.schedule()).join();
        let before = world::counters();
        rig.detach();
        sim_assert_eq!((world::counters() - before).threads, 0);
        sim_assert_eq!(other.runs(), 1);
        let runs = storms.each_ref().map(|storm| storm.tasklet.runs());
        world::settle();
        for (storm, runs) in storms.into_iter().zip(runs) {
            sim_assert_eq!(storm.tasklet.runs(), runs, "it runs after the detach");
            sim_assert_eq!(storm.tasklet.state(), 0);
            storm.tasklet.free();
        }
        other.free();
    });
}

/// Detach finds tasklets that wait for the run of another one to enable them: they run too, wherever they
/// are parked and however many there are, and are not taken for ones that are left behind (BH11).
#[test]
fn detach_waits_for_what_a_run_enables() {
    rows_with_on(impatient, NonReentrant, 60, |rig| {
        let mut all = vec![Tasklet::counting()];
        for _ in 0..30 {
            let next = all[all.len() - 1];
            next.disable();
            all.push(Tasklet::new(move |_, _| {
                for _ in 0..300 {
                    kmdf_mock::sync::preempt();
                }
                next.enable();
            }));
        }
        let cpus = [0, 1, 2, 3].into_iter().cycle();
        for (cpu, &tasklet) in cpus.zip(&all) {
            world::spawn("scheduler", Some(cpu), move || tasklet.schedule()).join();
        }
        rig.detach();
        sim_assert!(all.iter().all(|tasklet| tasklet.runs() == 1));
        all.into_iter().for_each(Tasklet::free);
    });
}

/// A machine whose clock ticks twelve times while a round of long tasklets lasts.
fn fine_ticks(seed: u64) -> Sim {
    machine(seed)
        .tick_100ns(5_000)
        .watchdog_100ns(25_000, 35_000)
}

/// D-25: a round that takes too long is put back and goes on in the thread, before what was scheduled since:
/// sixty tasklets that take 0.1 ms each are not the CPU's fate.
#[test]
fn a_long_round_is_handed_over_in_the_middle() {
    rows_with_on(fine_ticks, NonReentrant, 20, |_| {
        let order = Arc::new(AtomicU32::new(0));
        let numbered = |index: u32, then: Option<Tasklet>| {
            let order = Arc::clone(&order);
            Tasklet::new(move |_, _| {
                sim_assert_eq!(order.fetch_add(1, SeqCst), index);
                if let Some(then) = then {
                    then.schedule();
                }
                for _ in 0..1_000 {
                    kmdf_mock::sync::preempt();
                }
            })
        };
        let second: Vec<Tasklet> = (60..120).map(|index| numbered(index, None)).collect();
        let first: Vec<Tasklet> = (0..60)
            .map(|index| numbered(index, Some(second[index as usize])))
            .collect();
        world::run_on_cpu(1, || {
            world::at_dispatch(|| first.iter().for_each(|tasklet| tasklet.schedule()));
        });
        support::wait_until(|| order.load(SeqCst) == 120);
        sim_assert!(counters().overflows >= 1);
        for tasklet in first.into_iter().chain(second) {
            tasklet.kill();
            ran_only_on(tasklet, 1);
            tasklet.free();
        }
    });
}

/// Control of the two tests above: a tasklet that does not end is the driver's own fault, and no thread helps.
#[test]
#[should_panic(expected = "DPC_WATCHDOG(0x133,")]
fn a_single_run_without_end_is_convicted() {
    rows_with_on(impatient, NonReentrant, 1, |_| {
        let tasklet = Tasklet::new(|_, _| {
            loop {
                kmdf_mock::sync::preempt();
            }
        });
        tasklet.schedule();
        tasklet.kill();
    });
}

/// A thread for each active CPU at attach, whatever the number of tasklets; none at all is made later.
#[test]
fn a_thread_for_each_active_cpu() {
    rows_with_on(
        |seed| machine(seed).cpus(3).max_cpus(6),
        NonReentrant,
        5,
        |_| {
            // And the rescuer.
            sim_assert_eq!(world::counters().threads, 4);
            let storms = [0, 1, 2].map(Storm::overflowing);
            sim_assert_eq!(world::counters().threads, 4);
            storms.into_iter().for_each(Storm::end);
        },
    );
}
