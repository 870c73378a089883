//! Bottom halves off and on, and the tests for the caller's context (linux.md 1.2, 5).

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::ntddk::{KeLowerIrql, KfRaiseIrql};
use kmdf_mock::world::{self, Interrupt, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Tasklet, Trace, Work, machine, reports, rows, rows_with_on};

/// Does `f` with the bottom halves of the CPU off.
fn bh_off<R>(f: impl FnOnce() -> R) -> R {
    local_bh_disable();
    let result = f();
    local_bh_enable();
    result
}

/// A tasklet that adds a letter.
fn letter(trace: &Trace, letter: char) -> Tasklet {
    let trace = trace.clone();
    Tasklet::new(move |_, _| trace.add(letter))
}

/// Kills and frees.
fn end(tasklet: Tasklet) {
    tasklet.kill();
    tasklet.free();
}

/// A machine whose drains are interrupted at every point in every other seed.
fn busy(seed: u64) -> Sim {
    let preemption = if seed.is_multiple_of(2) {
        Preemption::Always
    } else {
        Preemption::Often
    };
    machine(seed).preemption(preemption)
}

/// A part of a row: what is done with bottom halves off, or checked right after.
type Step = fn(&[Tasklet; 3], &Trace);

/// What the row tables call "BH off: do; BH on", on CPU 1, three times; `check` comes right after the enable. In
/// a `storm` other tasklets keep the CPU's thread busy meanwhile.
fn row(storm: bool, off: Step, check: Step) {
    let stopped = Arc::new(AtomicU32::new(u32::from(!storm)));
    // Three of them: the thread is found in the middle of a round.
    let stormy = [0; 3].map(|_| {
        let stop = Arc::clone(&stopped);
        Tasklet::new(move |tasklet, _| {
            if stop.load(SeqCst) == 0 {
                tasklet.schedule();
            }
        })
    });
    world::spawn("storm", Some(1), move || {
        stormy.iter().for_each(|tasklet| tasklet.schedule());
    })
    .join();
    support::wait_until(|| !storm || bottomhalf::counters().overflows > 0);
    let trace = Trace::default();
    let tasklets = ['A', 'B', 'C'].map(|name| letter(&trace, name));
    for _ in 0..3 {
        let before = trace.get().len();
        world::run_on_cpu(1, || {
            bh_off(|| {
                off(&tasklets, &trace);
                sim_assert_eq!(trace.get().len(), before, "bottom halves are off");
            });
            check(&tasklets, &trace);
        });
    }
    stopped.store(1, SeqCst);
    tasklets.into_iter().chain(stormy).for_each(end);
}

/// Runs a row with and without a storm.
fn with_bh_off(off: Step, check: Step) {
    for storm in [false, true] {
        world::seeds(0..support::SEEDS, |seed| {
            let run = busy(seed).run(move || {
                let rig = support::Rig::new(NonReentrant);
                row(storm, off, check);
                rig.finish();
            });
            if let Err(failure) = run {
                panic!("{failure}\nstorm: {storm}");
            }
        });
    }
}

/// T02: scheduled twice with bottom halves off it is marked and does not run; exactly one run when
/// `local_bh_enable` returns, also where the CPU's thread has the tasklets.
#[test]
fn t02_one_run_when_bh_enable_returns() {
    with_bh_off(
        |[a, _, _], _| {
            a.schedule();
            a.schedule();
            sim_assert_eq!(a.state(), TASKLET_STATE_SCHED);
        },
        |[a, _, _], trace| {
            sim_assert_eq!(trace.get(), "A".repeat(a.runs() as usize));
            sim_assert!(trace.get().len() <= 3);
            sim_assert_eq!(a.state(), 0);
        },
    );
}

/// T05: A, B, C run in this order, before `local_bh_enable` returns.
#[test]
fn t05_first_come_first_served() {
    with_bh_off(
        |tasklets, _| tasklets.iter().for_each(|tasklet| tasklet.schedule()),
        |_, trace| sim_assert!(trace.get().ends_with("ABC")),
    );
}

/// T06: A scheduled and B scheduled high: B, A.
#[test]
fn t06_high_priority_first() {
    with_bh_off(
        |[a, b, _], _| {
            a.schedule();
            b.hi_schedule();
        },
        |_, trace| sim_assert!(trace.get().ends_with("BA")),
    );
}

/// T29: A, B, then B and C high: C A B, and B once.
#[test]
fn t29_scheduled_again_it_keeps_its_place() {
    with_bh_off(
        |[a, b, c], _| {
            a.schedule();
            b.schedule();
            b.hi_schedule();
            c.hi_schedule();
        },
        |[_, b, _], trace| {
            sim_assert!(trace.get().ends_with("CAB"));
            sim_assert_eq!(trace.get().matches('B').count(), b.runs() as usize);
        },
    );
}

/// It nests: only the outermost enable lets the bottom halves run, and the level is as before.
#[test]
fn disabling_nests() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        world::run_on_cpu(2, || {
            bh_off(|| {
                bh_off(|| {
                    bh_off(|| tasklet.schedule());
                    sim_assert_eq!((tasklet.runs(), world::current_irql()), (0, 2));
                });
                sim_assert_eq!((tasklet.runs(), world::current_irql()), (0, 2));
            });
            sim_assert_eq!((tasklet.runs(), world::current_irql()), (1, 0));
        });
        sim_assert_eq!(tasklet.seen().cpu(0), 2);
        end(tasklet);
    });
}

/// Inside a raised section, and inside a tasklet, an enable leaves the level and the bottom halves as they
/// are: they run when the section ends.
#[test]
fn an_enable_restores_the_level_of_its_disable() {
    rows(|_| {
        let inner = Tasklet::counting();
        let outer = Tasklet::new(move |_, _| {
            bh_off(|| inner.schedule());
            sim_assert_eq!((inner.runs(), world::current_irql()), (0, 2));
        });
        outer.schedule();
        world::settle();
        sim_assert_eq!(inner.runs(), 1);
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                bh_off(|| inner.schedule());
                sim_assert_eq!((inner.runs(), world::current_irql()), (1, 2));
            });
            sim_assert_eq!(inner.runs(), 2);
        });
        [inner, outer].into_iter().for_each(end);
    });
}

/// While they are off the caller stays on its CPU and no tasklet of that CPU runs; what others schedule on
/// other CPUs does.
#[test]
fn bottom_halves_of_one_cpu_are_off() {
    rows_with_on(busy, NonReentrant, 100, |_| {
        let (here, there) = (Tasklet::counting(), Tasklet::counting());
        world::run_on_cpu(1, || {
            let line = Interrupt::connect("line", 5, move || here.schedule());
            bh_off(|| {
                line.raise(1);
                let other = world::spawn("other", Some(2), move || there.schedule());
                while there.runs() == 0 || !line.is_idle() {
                    kmdf_mock::sync::preempt();
                }
                sim_assert_eq!((world::current_cpu(), here.runs()), (1, 0));
                other
            })
            .join();
            sim_assert_eq!(here.runs(), 1);
        });
        [here, there].into_iter().for_each(end);
    });
}

/// G1 and X2 of the engine: a detach waits for a section with bottom halves off.
#[test]
fn detach_waits_for_the_section() {
    rows_with_on(busy, NonReentrant, 100, |rig| {
        let section = Arc::new(AtomicU32::new(0));
        let ends = Arc::clone(&section);
        let thread = world::spawn("section", Some(1), move || {
            local_bh_disable();
            ends.store(1, SeqCst);
            for _ in 0..500 {
                kmdf_mock::sync::preempt();
            }
            ends.store(2, SeqCst);
            local_bh_enable();
        });
        support::wait_until(|| section.load(SeqCst) > 0);
        rig.detach();
        sim_assert_eq!(section.load(SeqCst), 2, "the runtime went under a section");
        thread.join();
    });
}

/// Asserts what each test says, in the order of the table in `bottomhalf::interrupt`.
#[track_caller]
fn probe(expected: [bool; 7]) {
    let found = [
        in_interrupt(),
        in_softirq(),
        in_serving_softirq(),
        in_hardirq(),
        in_task(),
        in_atomic(),
        irqs_disabled(),
    ];
    sim_assert_eq!(found, expected);
    sim_assert_eq!(in_irq(), in_hardirq());
}

const THREAD: [bool; 7] = [false, false, false, false, true, false, false];
const BH_OFF: [bool; 7] = [true, true, false, false, true, true, false];
const TASKLET: [bool; 7] = [true, true, true, false, false, true, false];
const INTERRUPT: [bool; 7] = [true, false, false, true, false, true, true];
const OVER_BH_OFF: [bool; 7] = [true, true, false, true, false, true, true];
const OVER_TASKLET: [bool; 7] = [true, true, true, true, false, true, true];

/// Lets an interrupt come in here and now, which finds `expected`.
fn interrupted(expected: [bool; 7]) {
    let came = Arc::new(AtomicU32::new(0));
    let set = Arc::clone(&came);
    let line = Interrupt::connect("line", 6, move || {
        probe(expected);
        set.store(1, SeqCst);
    });
    line.raise(world::current_cpu());
    support::spin_until(&came);
}

/// T22: a tasklet is in an interrupt and in a soft one that is served, not in a hard one nor in a task, and
/// interrupts come in; what interrupts it is in a hard one.
#[test]
fn t22_the_context_of_a_tasklet() {
    rows(|_| {
        let tasklet = Tasklet::new(|_, _| {
            probe(TASKLET);
            bh_off(|| probe(TASKLET));
            interrupted(OVER_TASKLET);
            probe(TASKLET);
        });
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        end(tasklet);
    });
}

/// T22 where the CPU's thread runs the tasklet, and where `local_bh_enable` does: the same context. Between
/// two tasklets the thread is none.
#[test]
fn t22_the_context_is_the_same_whoever_drains() {
    rows_with_on(busy, NonReentrant, 60, |_| {
        let stopped = Arc::new(AtomicU32::new(0));
        let stop = Arc::clone(&stopped);
        let storm = Tasklet::new(move |tasklet, _| {
            probe(TASKLET);
            if stop.load(SeqCst) == 0 {
                tasklet.schedule();
            }
        });
        let probing = Tasklet::new(|_, _| probe(TASKLET));
        world::spawn("storm", Some(1), move || storm.schedule()).join();
        support::wait_until(|| bottomhalf::counters().overflows > 0);
        world::run_on_cpu(1, || {
            for _ in 0..10 {
                bh_off(|| probing.schedule());
                probe(THREAD);
            }
        });
        sim_assert!(probing.runs() >= 1);
        stopped.store(1, SeqCst);
        [storm, probing].into_iter().for_each(end);
    });
}

/// W06, W27: a work is in a task, whoever queued it; an interrupt over it is one.
#[test]
fn w06_w27_the_context_of_a_work() {
    rows(|_| {
        let work = Work::new(|_, _| {
            probe(THREAD);
            interrupted(INTERRUPT);
        });
        work.schedule();
        work.flush();
        let line = Interrupt::connect("line", 5, move || {
            sim_assert!(in_hardirq());
            work.schedule();
        });
        line.raise(1);
        support::wait_until(|| work.seen().ended() == 2);
        sim_assert!(line.is_idle());
        work.free();
    });
}

/// The rest of the table: a thread, bottom halves off, a raised section, and interrupts over them.
#[test]
fn the_context_of_threads_and_sections() {
    rows(|_| {
        world::run_on_cpu(3, || {
            probe(THREAD);
            world::at_irql(1, || probe(THREAD));
            interrupted(INTERRUPT);
            world::at_dispatch(|| probe(BH_OFF));
            bh_off(|| {
                probe(BH_OFF);
                interrupted(OVER_BH_OFF);
                bh_off(|| probe(BH_OFF));
                probe(BH_OFF);
            });
            probe(THREAD);
        });
    });
}

/// While nothing is attached the level alone answers.
#[test]
fn the_context_while_nothing_is_attached() {
    rows(|rig| {
        rig.expect(&["BH03"]);
        rig.detach();
        probe(THREAD);
        world::at_dispatch(|| probe(BH_OFF));
        local_bh_disable();
        local_bh_enable();
        sim_assert_eq!(world::current_irql(), 0);
        sim_assert_eq!(reports(), ["BH03", "BH03"]);
    });
}

/// BH17: an enable without a disable, in a thread, under a spin lock, and in a tasklet; nothing changes.
#[test]
fn bh17_enabling_without_disabling() {
    rows(|rig| {
        rig.expect(&["BH17"]);
        local_bh_enable();
        sim_assert_eq!(world::current_irql(), 0);
        world::at_dispatch(|| {
            local_bh_enable();
            sim_assert_eq!(world::current_irql(), 2);
        });
        let tasklet = Tasklet::new(|_, _| {
            local_bh_enable();
            sim_assert_eq!(world::current_irql(), 2);
        });
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(reports(), ["BH17", "BH17", "BH17"]);
        bh_off(|| probe(BH_OFF));
        probe(THREAD);
        end(tasklet);
    });
}

/// BH17: in an interrupt neither does anything.
#[test]
fn bh17_in_an_interrupt() {
    rows(|rig| {
        rig.expect(&["BH17"]);
        world::run_on_cpu(1, || {
            let came = Arc::new(AtomicU32::new(0));
            let set = Arc::clone(&came);
            let line = Interrupt::connect("line", 6, move || {
                local_bh_disable();
                local_bh_enable();
                sim_assert_eq!(world::current_irql(), 6);
                set.store(1, SeqCst);
            });
            bh_off(|| {
                line.raise(1);
                support::spin_until(&came);
                probe(BH_OFF);
            });
            probe(THREAD);
        });
        sim_assert_eq!(reports(), ["BH17", "BH17"]);
    });
}

/// A section that was ended by lowering the level by hand does not spoil the next one.
#[test]
fn a_section_ended_by_hand_is_forgotten() {
    rows(|rig| {
        rig.expect(&["BH17"]);
        let tasklet = Tasklet::counting();
        world::run_on_cpu(1, || {
            local_bh_disable();
            // SAFETY: the level before the disable, which is what a spin lock taken before it would
            // restore.
            unsafe { KeLowerIrql(0) };
            local_bh_enable();
            bh_off(|| tasklet.schedule());
            sim_assert_eq!((tasklet.runs(), world::current_irql()), (1, 0));
        });
        end(tasklet);
    });
}

/// BH28: a callback that returns at another level, or with bottom halves off, is reported; the level is
/// restored and the drain goes on. Linux says so too (linux.md 3.7).
#[test]
fn bh27_a_callback_that_changes_the_level() {
    rows(|rig| {
        rig.expect(&["BH28"]);
        let mess: [fn(); 3] = [
            || {
                // SAFETY: misuse on purpose: the level is not lowered again.
                unsafe { KfRaiseIrql(5) };
            },
            local_bh_disable,
            || {
                local_bh_disable();
                // SAFETY: as above.
                unsafe { KfRaiseIrql(9) };
            },
        ];
        let after = Tasklet::counting();
        for leaves in mess {
            let messy = Tasklet::new(move |_, _| leaves());
            world::run_on_cpu(1, || {
                bh_off(|| {
                    messy.schedule();
                    after.schedule();
                });
                probe(THREAD);
            });
            end(messy);
            sim_assert_eq!(after.seen().irql(after.runs() as usize - 1), 2);
        }
        sim_assert_eq!((after.runs(), reports().len()), (3, 3));
        end(after);
    });
}
