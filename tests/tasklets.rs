//! Rows T of facts/linux: tasklets. After the rows, the races that their promises rest on.
//! T17 and T18 are in `tests/tail.rs`; the thread that a CPU with too many tasklets has, in `tests/overflow.rs`.

mod support;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt, Preemption, Sim, Thread};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Flag, NonReentrant, Tasklet, Trace, machine, rows, rows_with_on, wait_until};

/// SCHED and RUN of `tasklet_struct::state`.
const SCHED: u64 = TASKLET_STATE_SCHED;
const RUN: u64 = TASKLET_STATE_RUN;

/// A tasklet whose first run waits for the flag.
fn gated() -> (Tasklet, Flag) {
    let flag = Flag::default();
    let gate = flag.clone();
    let tasklet = Tasklet::new(move |_, run| {
        if run == 1 {
            gate.spin();
        }
    });
    (tasklet, flag)
}

/// Schedules `tasklet` from a thread of `cpu`, and returns when that is done.
fn schedule_on(cpu: u32, tasklet: Tasklet) {
    world::spawn("scheduler", Some(cpu), move || tasklet.schedule()).join();
}

/// Starts `tasklet` on `cpu` and waits until it is inside. The thread may be under the drain, so it is
/// not joined here.
fn start_on(cpu: u32, tasklet: Tasklet) -> Thread {
    let thread = world::spawn("starter", Some(cpu), move || tasklet.schedule());
    tasklet.wait_begun(1);
    thread
}

/// Does `f` in a thread of its own, and waits until it blocks in it.
fn blocked_in(name: &str, f: impl FnOnce() + Send + 'static) -> Thread {
    let thread = world::spawn(name, None, f);
    wait_until(|| thread.is_blocked() || thread.is_finished());
    sim_assert!(!thread.is_finished(), "{name} returns instead of waiting");
    thread
}

/// Kills and frees.
fn end(tasklet: Tasklet) {
    tasklet.kill();
    tasklet.free();
}

/// A tasklet that adds a letter.
fn letter(trace: &Trace, letter: char) -> Tasklet {
    let trace = trace.clone();
    Tasklet::new(move |_, _| trace.add(letter))
}

/// T01: scheduled once, it runs once, at DISPATCH_LEVEL, and its state is zero afterwards.
#[test]
fn t01_scheduled_once_runs_once() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        sim_assert_eq!(tasklet.seen().irql(0), 2);
        end(tasklet);
    });
}

/// T02: scheduled twice where it cannot run, it is marked and does not run; it has run exactly once when
/// that section ends.
#[test]
fn t02_scheduled_twice_before_the_run_runs_once() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                tasklet.schedule();
                tasklet.schedule();
                sim_assert_eq!(tasklet.state(), SCHED);
                sim_assert_eq!(tasklet.runs(), 0);
            });
            sim_assert_eq!(
                tasklet.runs(),
                1,
                "bottom halves run as they are let in again"
            );
        });
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        end(tasklet);
    });
}

/// T03: scheduled by its own callback it runs once more, after that and never inside it.
#[test]
fn t03_scheduled_by_itself_runs_again() {
    rows(|_| {
        let tasklet = Tasklet::new(|tasklet, run| {
            if run == 1 {
                tasklet.schedule();
                sim_assert_eq!(tasklet.state(), SCHED | RUN);
            }
        });
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 2);
        sim_assert_eq!(tasklet.seen().most_inside(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        end(tasklet);
    });
}

/// T04: scheduled on CPU 2 while it runs on CPU 1, it is scheduled and running, does not run twice at
/// once, and runs again on CPU 2, the CPU that scheduled it, as soon as it has ended on CPU 1.
#[test]
fn t04_scheduled_elsewhere_while_it_runs_runs_there_next() {
    rows(|_| {
        let (tasklet, flag) = gated();
        let starter = start_on(1, tasklet);
        schedule_on(2, tasklet);
        for _ in 0..4 {
            sim_assert_eq!(tasklet.state(), SCHED | RUN);
            sim_assert_eq!(tasklet.runs(), 1);
            world::sleep_100ns(u64::from(support::TICK_100NS) / 8);
        }
        flag.set();
        world::settle();
        let seen = tasklet.seen();
        sim_assert_eq!(seen.runs(), 2);
        sim_assert_eq!((seen.cpu(0), seen.cpu(1)), (1, 2));
        sim_assert_eq!(seen.most_inside(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        starter.join();
        end(tasklet);
    });
}

/// T05: tasklets of one CPU run in the order in which they were scheduled.
#[test]
fn t05_one_cpu_is_first_come_first_served() {
    rows(|_| {
        let trace = Trace::default();
        let tasklets = ['A', 'B', 'C'].map(|name| letter(&trace, name));
        world::at_dispatch(|| tasklets.iter().for_each(|tasklet| tasklet.schedule()));
        world::settle();
        sim_assert_eq!(trace.get(), "ABC");
        tasklets.into_iter().for_each(end);
    });
}

/// T06: a high-priority tasklet runs before a normal one that was scheduled earlier.
#[test]
fn t06_high_priority_runs_first() {
    rows(|_| {
        let trace = Trace::default();
        let (a, b) = (letter(&trace, 'A'), letter(&trace, 'B'));
        world::at_dispatch(|| {
            a.schedule();
            b.hi_schedule();
        });
        world::settle();
        sim_assert_eq!(trace.get(), "BA");
        end(a);
        end(b);
    });
}

/// T07: a disabled tasklet that is scheduled does not run and stays marked, however often it is
/// scheduled; enabled it runs once. The CPU does not burn meanwhile: the machine comes to rest.
#[test]
fn t07_disabled_it_stays_scheduled_until_enabled() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 0);
        sim_assert_eq!(tasklet.state(), SCHED);
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 0);
        tasklet.enable();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        sim_assert_eq!(tasklet.state(), 0);
        end(tasklet);
    });
}

/// T08: disabling counts: one enable of two changes nothing, the second lets it run once.
#[test]
fn t08_disabling_counts() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.disable();
        tasklet.schedule();
        tasklet.enable();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.count()), (0, 1));
        tasklet.enable();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.count()), (1, 0));
        end(tasklet);
    });
}

/// T09: disabling and enabling what is not scheduled runs nothing.
#[test]
fn t09_disable_and_enable_run_nothing() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.enable();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, 0));
        end(tasklet);
    });
}

/// T10: killing an idle tasklet returns and leaves it usable.
#[test]
fn t10_killed_while_idle_it_can_be_scheduled_again() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.kill();
        sim_assert_eq!(tasklet.state(), 0);
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        end(tasklet);
    });
}

/// T11: kill does not cancel: what is scheduled runs first.
#[test]
fn t11_kill_lets_a_scheduled_tasklet_run() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.schedule();
        tasklet.kill();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        tasklet.free();
    });
}

/// T12: kill waits for a run that is under way.
#[test]
fn t12_kill_waits_for_the_run() {
    rows(|_| {
        let (tasklet, flag) = gated();
        let starter = start_on(1, tasklet);
        let killer = blocked_in("killer", move || tasklet.kill());
        sim_assert_eq!(tasklet.seen().inside(), 1);
        flag.set();
        killer.join();
        sim_assert_eq!((tasklet.seen().inside(), tasklet.state()), (0, 0));
        sim_assert_eq!(tasklet.runs(), 1);
        starter.join();
        tasklet.free();
    });
}

/// T13: kill ends a tasklet that schedules itself for ever, and it does not run after that. The killer
/// is on another CPU: the one of the tasklet stays at DISPATCH_LEVEL (D-21).
#[test]
fn t13_kill_ends_a_tasklet_that_schedules_itself() {
    rows(|_| {
        let tasklet = Tasklet::new(|tasklet, _| tasklet.schedule());
        let starter = start_on(1, tasklet);
        tasklet.kill();
        let runs = tasklet.runs();
        sim_assert!(runs >= 1);
        sim_assert_eq!(tasklet.state(), 0);
        world::settle();
        sim_assert_eq!(tasklet.runs(), runs, "it runs after the kill");
        starter.join();
        tasklet.free();
    });
}

/// T14: killing a disabled tasklet that is not scheduled returns at once and leaves it disabled.
#[test]
fn t14_kill_of_a_disabled_idle_tasklet_returns() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.kill();
        sim_assert_eq!(
            (tasklet.count(), tasklet.state(), tasklet.runs()),
            (1, 0, 0)
        );
        tasklet.free();
    });
}

/// T15: killing a disabled tasklet that is scheduled waits until it is enabled and has run once.
#[test]
fn t15_kill_of_a_disabled_scheduled_tasklet_waits_for_enable() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.schedule();
        let killer = blocked_in("killer", move || tasklet.kill());
        world::settle();
        sim_assert!(!killer.is_finished());
        sim_assert_eq!(tasklet.runs(), 0);
        tasklet.enable();
        killer.join();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        tasklet.free();
    });
}

/// T16: disable waits for a run that is under way.
#[test]
fn t16_disable_waits_for_the_run() {
    rows(|_| {
        let (tasklet, flag) = gated();
        let starter = start_on(1, tasklet);
        let disabler = blocked_in("disabler", move || tasklet.disable());
        sim_assert_eq!(tasklet.seen().inside(), 1);
        sim_assert_eq!(tasklet.count(), 1);
        flag.set();
        disabler.join();
        sim_assert_eq!(tasklet.seen().inside(), 0);
        starter.join();
        end(tasklet);
    });
}

/// T19: a schedule while a kill waits is lost.
#[test]
fn t19_scheduled_during_a_kill_is_lost() {
    rows(|_| {
        let (tasklet, flag) = gated();
        let starter = start_on(1, tasklet);
        let killer = blocked_in("killer", move || tasklet.kill());
        tasklet.schedule();
        schedule_on(2, tasklet);
        flag.set();
        killer.join();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        starter.join();
        tasklet.free();
    });
}

/// T20: a tasklet of the old form hands its data to its function.
#[test]
fn t20_the_old_form_hands_over_its_data() {
    static DATA: AtomicUsize = AtomicUsize::new(0);
    unsafe extern "C" fn note(data: usize) {
        DATA.store(data, SeqCst);
    }
    rows(|_| {
        DATA.store(0, SeqCst);
        let tasklet = world::pool::alloc(tasklet_struct::new());
        // SAFETY: fresh memory, which is killed before it is freed.
        unsafe {
            tasklet_init(tasklet, note, 0x1234);
            tasklet_schedule(tasklet);
            world::settle();
            sim_assert_eq!(DATA.load(SeqCst), 0x1234);
            tasklet_kill(tasklet);
            world::pool::free(tasklet);
        }
    });
}

thread_local! {
    /// Runs of the callbacks below. A simulated machine lives on one thread.
    static RUNS: Cell<[u32; 2]> = const { Cell::new([0; 2]) };
}

fn runs_of(callback: usize) -> u32 {
    RUNS.get()[callback]
}

unsafe extern "C" fn first_callback(_: *mut tasklet_struct) {
    let [first, second] = RUNS.get();
    RUNS.set([first + 1, second]);
}

unsafe extern "C" fn second_callback(_: *mut tasklet_struct) {
    let [first, second] = RUNS.get();
    RUNS.set([first, second + 1]);
}

/// T21: one that is declared disabled has count 1 and state 0, and runs only after it is enabled. It is a
/// static, as in a driver, and is left as it was declared for the next machine.
#[test]
fn t21_declared_disabled_runs_after_enable() {
    static DECLARED: tasklet_struct = DECLARE_TASKLET_DISABLED(first_callback);
    rows(|_| {
        RUNS.set([0; 2]);
        let tasklet = (&raw const DECLARED).cast_mut();
        sim_assert_eq!((DECLARED.count(), DECLARED.state()), (1, 0));
        // SAFETY: a static stays in place, a static initialiser made it, and all its bytes are atomic.
        unsafe {
            tasklet_schedule(tasklet);
            world::settle();
            sim_assert_eq!(runs_of(0), 0);
            tasklet_enable(tasklet);
            world::settle();
            sim_assert_eq!(runs_of(0), 1);
            tasklet_kill(tasklet);
            tasklet_disable(tasklet);
        }
    });
}

/// T22: the callback runs as a soft interrupt does: at DISPATCH_LEVEL, not in an interrupt, not as a
/// thread; interrupts come in meanwhile.
#[test]
fn t22_runs_at_dispatch_with_interrupts_on() {
    rows(|_| {
        let came = Flag::default();
        let inside = came.clone();
        let line = Interrupt::connect("line", 6, move || {
            sim_assert_eq!(world::current_irql(), 6);
            came.set();
        });
        let tasklet = Tasklet::new(move |_, _| {
            sim_assert_eq!(world::current_irql(), 2);
            line.raise(world::current_cpu());
            inside.spin();
            sim_assert_eq!(world::current_irql(), 2);
        });
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        end(tasklet);
    });
}

/// T23: it runs on the CPU whose thread scheduled it.
#[test]
fn t23_runs_on_the_cpu_that_scheduled_it() {
    rows(|_| {
        for cpu in 0..4 {
            let tasklet = Tasklet::counting();
            schedule_on(cpu, tasklet);
            world::settle();
            sim_assert_eq!((tasklet.runs(), tasklet.seen().cpu(0)), (1, cpu));
            end(tasklet);
        }
    });
}

/// T24: scheduled by an interrupt it runs after the handler, on the CPU that took the interrupt.
#[test]
fn t24_scheduled_by_an_interrupt_runs_after_it() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        let line = Interrupt::connect("line", 9, move || {
            tasklet.schedule();
            sim_assert_eq!(tasklet.runs(), 0, "it runs inside the handler");
            sim_assert_eq!(tasklet.state(), SCHED);
        });
        world::run_on_cpu(0, || line.raise(3));
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.seen().cpu(0)), (1, 3));
        sim_assert_eq!(tasklet.seen().irql(0), 2);
        end(tasklet);
    });
}

/// T25: set up again after a kill, with another callback, it calls that one.
#[test]
fn t25_set_up_again_calls_the_new_callback() {
    rows(|_| {
        RUNS.set([0; 2]);
        let tasklet = world::pool::alloc(DECLARE_TASKLET(first_callback));
        // SAFETY: it is killed before it is set up again and before it is freed.
        unsafe {
            tasklet_schedule(tasklet);
            tasklet_kill(tasklet);
            tasklet_setup(tasklet, second_callback);
            tasklet_schedule(tasklet);
            world::settle();
            tasklet_kill(tasklet);
            world::pool::free(tasklet);
        }
        sim_assert_eq!(RUNS.get(), [1, 1]);
    });
}

/// T26: two tasklets run at the same time on two CPUs.
#[test]
fn t26_two_tasklets_run_in_parallel() {
    rows(|_| {
        let (first, open_first) = gated();
        let (second, open_second) = gated();
        let starters = [start_on(1, first), start_on(2, second)];
        sim_assert_eq!((first.seen().inside(), second.seen().inside()), (1, 1));
        open_first.set();
        open_second.set();
        for starter in starters {
            starter.join();
        }
        end(first);
        end(second);
    });
}

/// T27, R06: the last run sees what was stored before the last schedule, also if that schedule was
/// refused because the tasklet was scheduled already.
#[test]
fn t27_a_refused_schedule_publishes() {
    rows(|_| {
        let stored = Arc::new(AtomicU32::new(0));
        let last = Arc::new(AtomicU32::new(0));
        let (read, note) = (Arc::clone(&stored), Arc::clone(&last));
        let tasklet = Tasklet::new(move |_, _| note.store(read.load(SeqCst), SeqCst));
        world::at_dispatch(|| {
            stored.store(1, SeqCst);
            tasklet.schedule();
            stored.store(2, SeqCst);
            tasklet.schedule();
        });
        world::settle();
        sim_assert_eq!((tasklet.runs(), last.load(SeqCst)), (1, 2));
        let writers = [0, 1, 2, 3].map(|cpu| {
            let stored = Arc::clone(&stored);
            world::spawn("writer", Some(cpu), move || {
                for _ in 0..8 {
                    stored.fetch_add(1, SeqCst);
                    tasklet.schedule();
                }
            })
        });
        for writer in writers {
            writer.join();
        }
        world::settle();
        sim_assert_eq!(last.load(SeqCst), 2 + 4 * 8);
        end(tasklet);
    });
}

/// T28: once kill has returned nobody touches the memory, while the tasklet was wanted by all CPUs and
/// their drains are busy with others. The memory is tracked: a touch fails the run.
#[test]
fn t28_freed_after_kill_it_is_not_touched() {
    rows_with_on(busy_machine, NonReentrant, 100, |_| {
        let others = [0, 1, 2, 3].map(|_| Tasklet::counting());
        let victims = [0, 1, 2, 3, 4, 5].map(|_| Tasklet::counting());
        let threads = [0, 1, 2, 3].map(|cpu: u32| {
            let (victims, other) = (victims, others[cpu as usize]);
            world::spawn("scheduler", Some(cpu), move || {
                for victim in victims {
                    other.schedule();
                    victim.schedule();
                    other.hi_schedule();
                }
            })
        });
        for thread in threads {
            thread.join();
        }
        let killers = victims.map(|victim| world::spawn("killer", None, move || end(victim)));
        for other in others {
            schedule_on(world::choose(4), other);
        }
        for killer in killers {
            killer.join();
        }
        world::settle();
        others.into_iter().for_each(end);
    });
}

/// T29: a tasklet keeps the place of its first schedule: scheduled normal and then high, it stays among
/// the normal ones; and it runs once.
#[test]
fn t29_scheduled_again_it_keeps_its_place() {
    rows(|_| {
        let trace = Trace::default();
        let [a, b, c] = ['A', 'B', 'C'].map(|name| letter(&trace, name));
        world::at_dispatch(|| {
            a.schedule();
            b.schedule();
            b.hi_schedule();
            c.hi_schedule();
        });
        world::settle();
        sim_assert_eq!(trace.get(), "CAB");
        [a, b, c].into_iter().for_each(end);
    });
}

fn trylock(tasklet: Tasklet) -> bool {
    // SAFETY: the item is alive in every scenario.
    unsafe { tasklet_trylock(tasklet.raw()) }
}

fn unlock(tasklet: Tasklet) {
    // SAFETY: as in `trylock`.
    unsafe { tasklet_unlock(tasklet.raw()) };
}

fn disable_in_atomic(tasklet: Tasklet) {
    // SAFETY: as in `trylock`.
    unsafe { tasklet_disable_in_atomic(tasklet.raw()) };
}

fn unlock_wait(tasklet: Tasklet) {
    // SAFETY: as in `trylock`.
    unsafe { tasklet_unlock_wait(tasklet.raw()) };
}

fn unlock_spin_wait(tasklet: Tasklet) {
    // SAFETY: as in `trylock`.
    unsafe { tasklet_unlock_spin_wait(tasklet.raw()) };
}

/// T30: `tasklet_trylock` of an idle tasklet succeeds, a second one does not; scheduled meanwhile it does not
/// run, and `tasklet_unlock` lets it run once, on the CPU that scheduled it.
#[test]
fn t30_locked_it_runs_after_the_unlock() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        sim_assert!(trylock(tasklet));
        sim_assert!(!trylock(tasklet));
        schedule_on(2, tasklet);
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, SCHED | RUN));
        world::run_on_cpu(1, || unlock(tasklet));
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        sim_assert_eq!(tasklet.seen().cpu(0), 2);
        end(tasklet);
    });
}

/// `tasklet_trylock` of a running tasklet fails.
#[test]
fn a_running_tasklet_cannot_be_locked() {
    rows(|_| {
        let (tasklet, flag) = gated();
        let starter = start_on(1, tasklet);
        sim_assert!(!trylock(tasklet));
        flag.set();
        starter.join();
        tasklet.kill();
        sim_assert!(trylock(tasklet));
        unlock(tasklet);
        sim_assert_eq!(tasklet.state(), 0);
        end(tasklet);
    });
}

/// `tasklet_unlock_wait` and `tasklet_kill` of a locked tasklet wait for the unlock.
#[test]
fn waits_end_with_the_unlock() {
    rows(|_| {
        let tasklet = Tasklet::counting();
        sim_assert!(trylock(tasklet));
        let waiter = blocked_in("waiter", move || unlock_wait(tasklet));
        let killer = blocked_in("killer", move || tasklet.kill());
        unlock(tasklet);
        waiter.join();
        killer.join();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, 0));
        tasklet.free();
    });
}

/// `tasklet_disable_in_atomic` at DISPATCH_LEVEL, and in an interrupt, returns when the run on the other CPU has
/// ended, and the tasklet does not run after it.
#[test]
fn disable_in_atomic_spins_until_the_run_is_over() {
    rows(|_| {
        for in_interrupt in [false, true] {
            let (tasklet, flag) = gated();
            let starter = start_on(1, tasklet);
            let opener = world::spawn("opener", Some(3), move || {
                world::sleep_100ns(3_000);
                flag.set();
            });
            let check = move || {
                disable_in_atomic(tasklet);
                sim_assert_eq!(tasklet.seen().inside(), 0);
                tasklet.schedule();
            };
            if in_interrupt {
                let line = Interrupt::connect("line", 6, check);
                line.raise(2);
                wait_until(|| line.is_idle());
            } else {
                world::run_on_cpu(2, || world::at_dispatch(check));
            }
            opener.join();
            starter.join();
            world::settle();
            sim_assert_eq!((tasklet.runs(), tasklet.count()), (1, 1));
            tasklet.enable();
            end(tasklet);
        }
    });
}

/// BH16: spinning for a tasklet from its own function, or from an interrupt of its CPU, cannot end: it does
/// not wait, disables all the same, and says so. From an interrupt of another CPU it waits.
#[test]
fn bh16_spinning_on_the_own_cpu_is_reported() {
    rows(|rig| {
        rig.expect(&["BH16"]);
        let reported = || support::reports().len();
        let tasklet = Tasklet::new(move |tasklet, run| {
            if run != 1 {
                return;
            }
            let before = reported();
            unlock_spin_wait(tasklet);
            disable_in_atomic(tasklet);
            sim_assert_eq!((reported() - before, tasklet.count()), (2, 1));
            let came = Flag::default();
            let set = came.clone();
            let line = Interrupt::connect("line", 5, move || {
                disable_in_atomic(tasklet);
                sim_assert_eq!((reported() - before, tasklet.count()), (3, 2));
                set.set();
            });
            line.raise(world::current_cpu());
            came.spin();
            tasklet.enable();
            tasklet.enable();
        });
        schedule_on(1, tasklet);
        world::settle();
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 2);
        end(tasklet);
    });
}

/// BH29: unlocking what is not locked is reported and changes nothing.
#[test]
fn bh28_unlocking_without_a_lock_is_reported() {
    rows(|rig| {
        rig.expect(&["BH29"]);
        let tasklet = Tasklet::counting();
        unlock(tasklet);
        sim_assert_eq!(tasklet.state(), 0);
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1);
        end(tasklet);
    });
}

/// BH29: a tasklet that is set up again while it is scheduled does not run for the schedule that was lost,
/// and can be scheduled again. Linux warns too (linux.md 3.7).
#[test]
fn bh28_set_up_while_scheduled_is_reported() {
    unsafe extern "C" fn never(_: *mut tasklet_struct) {
        sim_assert!(false, "the lost schedule ran");
    }
    rows(|rig| {
        rig.expect(&["BH29"]);
        let tasklet = Tasklet::counting();
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                tasklet.schedule();
                // SAFETY: misuse, made harmless by the lone place on the list of this CPU.
                unsafe { tasklet_setup(tasklet.raw(), never) };
            });
        });
        world::settle();
        sim_assert_eq!(tasklet.state(), 0);
        end(tasklet);
    });
}

/// T1 and T3 of the engine with lockers: what is done under the lock excludes the run, and no schedule is
/// lost, whoever unlocks.
#[test]
fn a_locked_section_excludes_the_run() {
    rows_with_on(busy_machine, NonReentrant, 300, |_| {
        let mine = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&mine);
        let tasklet = Tasklet::new(move |_, _| {
            sim_assert_eq!(other.load(SeqCst), 0, "it runs while it is locked");
            kmdf_mock::sync::preempt();
            sim_assert_eq!(other.load(SeqCst), 0, "it is locked while it runs");
        });
        let lockers = [0, 1].map(|cpu| {
            let mine = Arc::clone(&mine);
            world::spawn("locker", Some(cpu), move || {
                for _ in 0..6 {
                    if trylock(tasklet) {
                        sim_assert_eq!(mine.fetch_add(1, SeqCst), 0, "two hold the lock");
                        kmdf_mock::sync::preempt();
                        mine.fetch_sub(1, SeqCst);
                        unlock(tasklet);
                    }
                }
            })
        });
        let schedulers = [1, 2].map(|cpu| {
            world::spawn("scheduler", Some(cpu), move || {
                for _ in 0..6 {
                    tasklet.schedule();
                }
            })
        });
        for thread in lockers.into_iter().chain(schedulers) {
            thread.join();
        }
        world::settle();
        sim_assert_eq!(tasklet.state(), 0, "a schedule is lost");
        sim_assert!((1..=12).contains(&tasklet.runs()));
        end(tasklet);
    });
}

/// T4 of the engine: the killer frees the tasklet while the unlock that let it run is still under way.
#[test]
fn freed_after_kill_while_the_unlock_is_under_way() {
    rows_with_on(busy_machine, NonReentrant, 1000, |_| {
        let tasklet = Tasklet::counting();
        let seen = tasklet.seen();
        sim_assert!(trylock(tasklet));
        let go = Flag::default();
        let (first, second) = (go.clone(), go.clone());
        let unlocker = world::spawn("unlocker", Some(2), move || {
            first.spin();
            unlock(tasklet);
        });
        let killer = world::spawn("killer", Some(3), move || {
            second.spin();
            end(tasklet);
        });
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                tasklet.schedule();
                go.set();
            });
        });
        unlocker.join();
        killer.join();
        world::settle();
        sim_assert_eq!(seen.runs(), 1);
    });
}

/// T31: a disabled tasklet does not hold up the ones behind it.
#[test]
fn t31_a_disabled_tasklet_holds_up_nobody() {
    rows(|_| {
        let trace = Trace::default();
        let (a, b) = (letter(&trace, 'A'), letter(&trace, 'B'));
        a.disable();
        world::at_dispatch(|| {
            a.schedule();
            b.schedule();
        });
        world::settle();
        sim_assert_eq!(trace.get(), "B");
        a.enable();
        world::settle();
        sim_assert_eq!(trace.get(), "BA");
        end(a);
        end(b);
    });
}

/// A machine that switches at every point in three of four seeds.
fn busy_machine(seed: u64) -> Sim {
    let preemption = if seed.is_multiple_of(4) {
        Preemption::Often
    } else {
        Preemption::Always
    };
    machine(seed).preemption(preemption)
}

/// H-16: under load all high-priority tasklets of a CPU run before the normal ones, each in their order;
/// what they schedule meanwhile waits for the next round, and is sorted there in the same way.
#[test]
fn hi_runs_before_normal_under_load() {
    rows(|_| {
        let trace = Trace::default();
        let [n, h] = ['n', 'h'].map(|name| letter(&trace, name));
        let late = trace.clone();
        let a = Tasklet::new(move |_, _| {
            n.schedule();
            h.hi_schedule();
            late.add('a');
        });
        let normals = ['b', 'c', 'd', 'e'].map(|name| letter(&trace, name));
        let highs = ['A', 'B', 'C', 'D'].map(|name| letter(&trace, name));
        world::at_dispatch(|| {
            a.schedule();
            for (normal, high) in normals.iter().zip(&highs) {
                normal.schedule();
                high.hi_schedule();
            }
        });
        world::settle();
        sim_assert_eq!(trace.get(), "ABCDabcdehn");
        [a, n, h].into_iter().for_each(end);
        normals.into_iter().chain(highs).for_each(end);
    });
}

/// B-22: a thousand tasklets that are scheduled in one go on one CPU cost one `WdfDpcEnqueue`, and all
/// of them run.
#[test]
fn a_thousand_tasklets_cost_one_dpc() {
    rows_with_on(machine, NonReentrant, 4, |_| {
        let tasklets: Vec<Tasklet> = (0..1000).map(|_| Tasklet::counting()).collect();
        let enqueues = world::run_on_cpu(2, || {
            let before = world::counters().dpc_enqueues;
            world::at_dispatch(|| tasklets.iter().for_each(|tasklet| tasklet.schedule()));
            world::counters().dpc_enqueues - before
        });
        world::settle();
        sim_assert_eq!(enqueues, 1);
        sim_assert!(tasklets.iter().all(|tasklet| tasklet.runs() == 1));
        tasklets.into_iter().for_each(end);
    });
}

/// The cost of a schedule: none that is refused, and none after the first that finds the DPC queued,
/// makes a call down.
#[test]
fn a_refused_schedule_makes_no_call() {
    rows(|_| {
        let [a, b] = [0, 1].map(|_| Tasklet::counting());
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                let before = world::counters();
                a.schedule();
                sim_assert_eq!((world::counters() - before).dpc_enqueues, 1);
                a.schedule();
                a.hi_schedule();
                b.schedule();
                sim_assert_eq!((world::counters() - before).dpc_enqueues, 1);
            });
        });
        world::settle();
        sim_assert_eq!((a.runs(), b.runs()), (1, 1));
        end(a);
        end(b);
    });
}

/// T3 of the engine: a tasklet that one CPU enables while another one parks it is not lost, nor run
/// twice for one schedule.
#[test]
fn enabled_while_it_is_parked_it_is_not_lost() {
    rows_with_on(busy_machine, NonReentrant, 300, |_| {
        let tasklet = Tasklet::counting();
        let rounds = 6;
        for round in 1..=rounds {
            tasklet.disable();
            let scheduler = world::spawn("scheduler", Some(1), move || tasklet.schedule());
            let enabler = world::spawn("enabler", Some(2), move || tasklet.enable());
            scheduler.join();
            enabler.join();
            world::settle();
            sim_assert_eq!(tasklet.runs(), round, "each schedule is one run");
            sim_assert_eq!((tasklet.state(), tasklet.count()), (0, 0));
        }
        end(tasklet);
    });
}

/// T3 again, with every writer that may make a parked tasklet runnable: two CPUs toggle it, two schedule
/// it, all at once.
#[test]
fn toggled_and_scheduled_from_all_sides_it_comes_to_rest() {
    rows_with_on(busy_machine, NonReentrant, 200, |_| {
        let tasklet = Tasklet::counting();
        let togglers = [0, 1].map(|cpu| {
            world::spawn("toggler", Some(cpu), move || {
                for _ in 0..5 {
                    tasklet.disable();
                    tasklet.enable();
                }
            })
        });
        let schedulers = [2, 3].map(|cpu| {
            world::spawn("scheduler", Some(cpu), move || {
                for _ in 0..5 {
                    tasklet.schedule();
                }
            })
        });
        for thread in togglers.into_iter().chain(schedulers) {
            thread.join();
        }
        world::settle();
        sim_assert_eq!((tasklet.state(), tasklet.count()), (0, 0));
        sim_assert!((1..=10).contains(&tasklet.runs()));
        sim_assert_eq!(tasklet.seen().most_inside(), 1);
        let before = tasklet.runs();
        tasklet.schedule();
        world::settle();
        sim_assert_eq!(tasklet.runs(), before + 1, "it still works");
        end(tasklet);
    });
}

/// Between disable and enable the tasklet does not run: what is changed there is the caller's alone
/// (linux.md 1.5).
#[test]
fn a_disabled_section_excludes_the_run() {
    rows_with_on(busy_machine, NonReentrant, 200, |_| {
        let mine = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&mine);
        let tasklet = Tasklet::new(move |_, _| {
            sim_assert_eq!(other.load(SeqCst), 0, "it runs inside a disabled section");
            kmdf_mock::sync::preempt();
            sim_assert_eq!(
                other.load(SeqCst),
                0,
                "a disabled section begins inside the run"
            );
        });
        let schedulers = [2, 3].map(|cpu| {
            world::spawn("scheduler", Some(cpu), move || {
                for _ in 0..6 {
                    tasklet.schedule();
                }
            })
        });
        let sections = [0, 1].map(|_| {
            let mine = Arc::clone(&mine);
            world::spawn("section", None, move || {
                for _ in 0..4 {
                    tasklet.disable();
                    mine.fetch_add(1, SeqCst);
                    kmdf_mock::sync::preempt();
                    mine.fetch_sub(1, SeqCst);
                    tasklet.enable();
                }
            })
        });
        for thread in schedulers.into_iter().chain(sections) {
            thread.join();
        }
        end(tasklet);
    });
}

/// T13 with many killers of one tasklet that schedules itself: all of them return, and it has stopped.
#[test]
fn many_killers_of_one_tasklet_all_return() {
    rows_with_on(busy_machine, NonReentrant, 150, |_| {
        let tasklet = Tasklet::new(|tasklet, _| tasklet.schedule());
        let starter = start_on(1, tasklet);
        let killers =
            [0, 2, 3, 0, 2].map(|cpu| world::spawn("killer", Some(cpu), move || tasklet.kill()));
        for killer in killers {
            killer.join();
        }
        let runs = tasklet.runs();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (runs, 0));
        starter.join();
        tasklet.free();
    });
}

/// A kill, an enable and schedules at once: every call returns, each accepted schedule is one run, and
/// after the last kill the memory is not touched.
#[test]
fn kill_enable_and_schedule_race() {
    rows_with_on(busy_machine, NonReentrant, 300, |_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        let racers = [
            world::spawn("scheduler", Some(1), move || {
                tasklet.schedule();
                tasklet.schedule();
            }),
            world::spawn("scheduler", Some(3), move || tasklet.hi_schedule()),
            world::spawn("enabler", Some(2), move || tasklet.enable()),
            world::spawn("killer", None, move || tasklet.kill()),
        ];
        for racer in racers {
            racer.join();
        }
        tasklet.kill();
        sim_assert_eq!((tasklet.state(), tasklet.count()), (0, 0));
        sim_assert!(tasklet.runs() <= 3);
        tasklet.free();
        world::settle();
    });
}

/// T4 of the engine: the killer of a disabled tasklet frees it as soon as kill has returned, which may be
/// while the enable that let it run, or the drain that parked it, is still under way on another CPU.
#[test]
fn freed_after_kill_while_the_enable_is_under_way() {
    rows_with_on(busy_machine, NonReentrant, 1000, |_| {
        let tasklet = Tasklet::counting();
        let seen = tasklet.seen();
        tasklet.disable();
        let go = Flag::default();
        let (enable, kill) = (go.clone(), go.clone());
        let enabler = world::spawn("enabler", Some(2), move || {
            enable.spin();
            tasklet.enable();
        });
        let killer = world::spawn("killer", Some(3), move || {
            kill.spin();
            end(tasklet);
        });
        world::run_on_cpu(1, || {
            world::at_dispatch(|| {
                tasklet.schedule();
                go.set();
            });
        });
        enabler.join();
        killer.join();
        world::settle();
        sim_assert_eq!(seen.runs(), 1);
    });
}

/// T4 of the engine, the other end: the killer comes as the run ends, and frees the tasklet while the
/// drain that ran it is about to leave it.
#[test]
fn freed_after_kill_while_the_run_ends() {
    rows_with_on(busy_machine, NonReentrant, 1000, |_| {
        let go = Flag::default();
        let ends = go.clone();
        let tasklet = Tasklet::new(move |_, _| ends.set());
        let seen = tasklet.seen();
        let killers = world::spawn("killer", Some(3), move || {
            go.spin();
            end(tasklet);
        });
        schedule_on(1, tasklet);
        killers.join();
        world::settle();
        sim_assert_eq!((seen.runs(), seen.inside()), (1, 0));
    });
}

/// Interrupts of all CPUs schedule one tasklet while it runs: it never overlaps itself and the last
/// interrupt is seen (H-14).
#[test]
fn interrupts_of_all_cpus_share_one_tasklet() {
    rows_with_on(busy_machine, NonReentrant, 100, |_| {
        let raised = Arc::new(AtomicU32::new(0));
        let seen = Arc::new(AtomicU32::new(0));
        let (read, note) = (Arc::clone(&raised), Arc::clone(&seen));
        let all = Arc::clone(&raised);
        let tasklet = Tasklet::new(move |_, _| note.store(read.load(SeqCst), SeqCst));
        let line = Arc::new(Interrupt::connect("line", 7, move || {
            raised.fetch_add(1, SeqCst);
            tasklet.schedule();
        }));
        let raisers = [0, 1, 2, 3].map(|cpu: u32| {
            let line = Arc::clone(&line);
            world::spawn("raiser", None, move || {
                for step in 0..5 {
                    line.raise((cpu + step) % 4);
                }
            })
        });
        for raiser in raisers {
            raiser.join();
        }
        world::settle();
        sim_assert!(line.is_idle());
        sim_assert!(all.load(SeqCst) >= 4);
        sim_assert_eq!(seen.load(SeqCst), all.load(SeqCst));
        sim_assert_eq!(tasklet.seen().most_inside(), 1);
        end(tasklet);
    });
}
