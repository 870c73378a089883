//! Tasklets that get lost, overlap, or wait for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Tasklet, sleep_jiffies, spin_until, wait_until};
use super::{
    Calls, LINUX, blocked, convicts, each, end, give_way, holds, impatient, racing, rows, single,
    start,
};

/// A schedule as it is where a disabled tasklet is not scheduled.
fn dropped_while_disabled(tasklet: Tasklet) {
    if tasklet.count() == 0 {
        tasklet.schedule();
    }
}

/// A tasklet that spins at DISPATCH_LEVEL, on the CPU that schedules it, until `flag` is set.
fn hog(flag: &Arc<AtomicU32>) -> Tasklet {
    let flag = Arc::clone(flag);
    Tasklet::new(move |_, _| spin_until(&flag))
}

/// Starts `hog` on `cpu` and waits until it is inside. The thread is under the drain, so it is not joined.
fn start_on(cpu: u32, hog: Tasklet) -> world::Thread {
    let thread = world::spawn("starter", Some(cpu), move || hog.schedule());
    hog.wait_begun(1);
    thread
}

/// B-27, B-36, B-49: a schedule of a disabled tasklet is kept: it runs once as soon as it is enabled, also
/// if schedules, disables and enables race.
#[test]
fn b27_b36_b49_a_schedule_while_disabled_is_kept() {
    fn scenario(_: &Rig, calls: Calls) {
        let tasklet = Tasklet::counting();
        for round in 1..=3 {
            (calls.disable)(tasklet);
            (calls.schedule)(tasklet);
            world::settle();
            sim_assert_eq!(tasklet.runs(), round - 1);
            (calls.enable)(tasklet);
            world::settle();
            sim_assert_eq!(tasklet.runs(), round, "the schedule is lost");
        }
        let toggler = world::spawn("toggler", Some(2), move || {
            (calls.disable)(tasklet);
            give_way(8);
            (calls.enable)(tasklet);
        });
        let scheduler = world::spawn("scheduler", Some(1), move || {
            give_way(8);
            (calls.schedule)(tasklet);
        });
        toggler.join();
        scheduler.join();
        world::settle();
        sim_assert_eq!(tasklet.runs(), 4, "the schedule is lost");
        end(tasklet);
    }
    holds(racing, 150, scenario);
    let schedule = dropped_while_disabled;
    convicts(
        racing,
        scenario,
        Calls { schedule, ..LINUX },
        "the schedule is lost",
    );
}

/// B-28: a tasklet is scheduled and, before it can run, disabled: the disable does not wait for a run that
/// cannot come, and the enable makes it run.
#[test]
fn b28_disabling_a_scheduled_tasklet_returns() {
    fn scenario(_: &Rig, calls: Calls) {
        let tasklet = Tasklet::counting();
        let (scheduled, go) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (tell, wait) = (Arc::clone(&scheduled), Arc::clone(&go));
        let scheduler = world::spawn("scheduler", Some(1), move || {
            world::at_dispatch(|| {
                (calls.schedule)(tasklet);
                tell.store(1, SeqCst);
                spin_until(&wait);
            });
        });
        world::run_on_cpu(2, || {
            spin_until(&scheduled);
            let disabler = start("disabler", move || (calls.disable)(tasklet));
            // It may come before or after the drain has looked at the tasklet.
            give_way(20);
            sim_assert_eq!(tasklet.runs(), 0);
            disabler.join();
            go.store(1, SeqCst);
        });
        scheduler.join();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, TASKLET_STATE_SCHED));
        (calls.enable)(tasklet);
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        end(tasklet);
    }
    holds(racing, 100, scenario);
    let disable: fn(Tasklet) = |tasklet| {
        tasklet.disable();
        wait_until(|| tasklet.state() == 0);
    };
    convicts(
        impatient,
        scenario,
        Calls { disable, ..LINUX },
        "SIM_LIVELOCK",
    );
}

/// B-32: whoever kills or disables a tasklet makes progress on a machine with one CPU, where its run needs
/// the very CPU that the caller is on. A caller that spins at a raised IRQL does not.
#[test]
fn b32_kill_and_disable_make_progress_on_one_cpu() {
    fn scenario(_: &Rig, calls: Calls) {
        let tasklet = Tasklet::counting();
        let line = Arc::new(Interrupt::connect("line", 5, move || {
            (calls.schedule)(tasklet)
        }));
        let raiser = {
            let line = Arc::clone(&line);
            world::spawn("raiser", None, move || {
                for _ in 0..10 {
                    line.raise(0);
                    give_way(6);
                }
            })
        };
        let disabler = world::spawn("disabler", None, move || {
            for _ in 0..10 {
                (calls.disable)(tasklet);
                sim_assert!(tasklet.state() & TASKLET_STATE_RUN == 0);
                (calls.enable)(tasklet);
            }
        });
        for _ in 0..10 {
            world::at_dispatch(|| (calls.schedule)(tasklet));
            (calls.kill)(tasklet);
            give_way(6);
        }
        raiser.join();
        disabler.join();
        wait_until(|| line.is_idle());
        world::settle();
        end(tasklet);
    }
    holds(single, 60, scenario);
    let kill: fn(Tasklet) = |tasklet| {
        world::at_dispatch(|| {
            tasklet.schedule();
            while tasklet.state() != 0 {
                kmdf_mock::sync::preempt();
            }
        });
    };
    convicts(single, scenario, Calls { kill, ..LINUX }, "DPC_WATCHDOG");
}

/// B-33: disables nest, three deep: only the last enable lets the tasklet run.
#[test]
fn b33_disables_nest_three_deep() {
    fn scenario(_: &Rig, calls: Calls) {
        let tasklet = Tasklet::counting();
        for _ in 0..3 {
            (calls.disable)(tasklet);
        }
        (calls.schedule)(tasklet);
        for _ in 0..2 {
            (calls.enable)(tasklet);
            world::settle();
            sim_assert_eq!(tasklet.runs(), 0, "it runs while it is disabled");
        }
        (calls.enable)(tasklet);
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.count()), (1, 0));
        end(tasklet);
    }
    holds(racing, 30, scenario);
    let enable: fn(Tasklet) = |tasklet| {
        while tasklet.count() > 0 {
            tasklet.enable();
        }
    };
    convicts(
        racing,
        scenario,
        Calls { enable, ..LINUX },
        "it runs while it is disabled",
    );
}

/// B-38: a tasklet that waits on the list of a busy CPU is killed and freed: the kill waits for its run, so
/// nothing on the list points to freed memory.
#[test]
fn b38_killed_behind_a_busy_runner_it_is_not_touched() {
    fn scenario(_: &Rig, calls: Calls) {
        let go = Arc::new(AtomicU32::new(0));
        let (hog, victim) = (hog(&go), Tasklet::counting());
        let seen = victim.seen();
        // An interrupt of that CPU puts it behind the hog, whose drain is under way.
        let line = Arc::new(Interrupt::connect("line", 5, move || {
            (calls.schedule)(victim)
        }));
        let starter = start_on(1, hog);
        line.raise(1);
        wait_until(|| line.is_idle() && victim.state() != 0);
        let killer = start("killer", move || {
            (calls.kill)(victim);
            victim.free();
        });
        give_way(200);
        go.store(1, SeqCst);
        killer.join();
        starter.join();
        world::settle();
        sim_assert_eq!(seen.runs(), 1);
        end(hog);
    }
    holds(racing, 60, scenario);
    let kill: fn(Tasklet) = |_| {};
    convicts(racing, scenario, Calls { kill, ..LINUX }, "FREED");
}

/// B-39: while a long tasklet keeps one CPU, an interrupt of another one schedules a tasklet, without an
/// allocation, and that runs at once.
#[test]
fn b39_a_long_tasklet_holds_up_its_own_cpu_only() {
    fn scenario(_: &Rig, calls: Calls) {
        let go = Arc::new(AtomicU32::new(0));
        let (hog, other) = (hog(&go), Tasklet::counting());
        let starter = start_on(1, hog);
        let line = Arc::new(Interrupt::connect("line", 9, move || {
            let before = world::counters().pool_allocations;
            (calls.schedule)(other);
            sim_assert_eq!(world::counters().pool_allocations, before, "allocations");
        }));
        line.raise(2);
        other.wait_begun(1);
        sim_assert_eq!((hog.seen().inside(), other.seen().cpu(0)), (1, 2));
        go.store(1, SeqCst);
        starter.join();
        end(hog);
        end(other);
    }
    holds(racing, 40, scenario);
    let allocates: fn(Tasklet) = |tasklet| {
        // SAFETY: legal, but for the IRQL.
        unsafe { kmdf_mock::ntddk::ExAllocatePool2(0x40, 16, 1) };
        tasklet.schedule();
    };
    let planted = Calls {
        schedule: allocates,
        ..LINUX
    };
    convicts(racing, scenario, planted, "DV(0xC4,0x2)");
}

/// B-43: on a machine that is idle, one schedule, by a thread or by an interrupt, brings the run about with
/// nothing else to help it along, and before any time passes.
#[test]
fn b43_one_schedule_on_an_idle_machine_runs() {
    fn scenario(_: &Rig, calls: Calls) {
        let tasklet = Tasklet::counting();
        let line = Arc::new(Interrupt::connect("line", 7, move || {
            (calls.schedule)(tasklet)
        }));
        for cpu in 0..4 {
            sleep_jiffies(20);
            line.raise(cpu);
            world::settle();
            sim_assert_eq!(tasklet.runs(), 2 * cpu + 1, "nobody wakes the runner");
            sleep_jiffies(20);
            world::spawn("scheduler", Some(cpu), move || (calls.schedule)(tasklet)).join();
            world::settle();
            sim_assert_eq!(tasklet.runs(), 2 * cpu + 2, "nobody wakes the runner");
        }
        end(tasklet);
    }
    holds(racing, 30, scenario);
    let sleeps: fn(Tasklet) = |tasklet| {
        // It is on the list, and what makes the list move comes with the next tasklet.
        // SAFETY: the item is alive.
        unsafe { tasklet_disable_nosync(tasklet.raw()) };
        tasklet.schedule();
    };
    let planted = Calls {
        schedule: sleeps,
        ..LINUX
    };
    convicts(racing, scenario, planted, "nobody wakes the runner");
}

/// B-46: a schedule never calls the function itself: as long as the caller keeps bottom halves out, by IRQL,
/// nothing runs on its CPU.
#[test]
fn b46_a_schedule_does_not_run_the_function() {
    fn scenario(_: &Rig, calls: Calls) {
        let held = Arc::new(AtomicU32::new(0));
        let inside = Arc::clone(&held);
        let check = move || {
            let free = world::current_cpu() != 1 || inside.load(SeqCst) == 0;
            sim_assert!(free, "it runs under its caller's lock");
        };
        let tasklet = Tasklet::new({
            let check = check.clone();
            move |_, _| check()
        });
        let work = super::Work::new(move |_, _| check());
        world::run_on_cpu(1, || {
            for irql in [2, 2, 9] {
                world::at_irql(irql, || {
                    held.store(1, SeqCst);
                    (calls.schedule)(tasklet);
                    tasklet.hi_schedule();
                    tasklet.enable_after_disable();
                    let _ = (calls.queue)(work, super::Wq::system());
                    let _ = (calls.modify)(work, super::Wq::system(), 0);
                    give_way(30);
                    held.store(0, SeqCst);
                });
                world::settle();
            }
        });
        sim_assert_eq!(tasklet.runs(), 3);
        end(tasklet);
        work.flush();
        work.free();
    }
    holds(racing, 60, scenario);
    let schedule: fn(Tasklet) = |tasklet| {
        // SAFETY: the callback is the word before the last of a tasklet that is set up.
        let callback = unsafe { tasklet.raw().byte_add(24).cast::<tasklet_callback>().read() };
        // SAFETY: its own callback and tasklet.
        unsafe { callback(tasklet.raw()) };
    };
    convicts(
        racing,
        scenario,
        Calls { schedule, ..LINUX },
        "it runs under its caller's lock",
    );
}

impl Tasklet {
    /// An enable that makes the tasklet runnable, at any IRQL.
    fn enable_after_disable(self) {
        // SAFETY: the item is alive in every scenario.
        unsafe { tasklet_disable_nosync(self.raw()) };
        self.enable();
    }
}

/// B-28 from the other side: the tasklet runs when it is disabled, so the disable waits, and for no longer
/// than the run.
#[test]
fn b28_disabling_a_running_tasklet_waits_for_the_run() {
    rows(racing, 30, |_| {
        let go = Arc::new(AtomicU32::new(0));
        let hog = hog(&go);
        let starter = start_on(1, hog);
        hog.schedule();
        let disabler = start("disabler", move || {
            hog.disable();
            hog.seen().inside()
        });
        wait_until(|| disabler.thread.is_blocked() || disabler.thread.is_finished());
        sim_assert!(!disabler.thread.is_finished(), "it does not wait");
        go.store(1, SeqCst);
        sim_assert_eq!(disabler.join(), 0);
        starter.join();
        world::settle();
        sim_assert_eq!(hog.runs(), 1, "the second run waits for the enable");
        hog.enable();
        world::settle();
        sim_assert_eq!(hog.runs(), 2);
        let killed = blocked_kill(hog);
        killed.free();
    });
}

/// Kills a tasklet that is disabled and scheduled: the kill waits for the enable (T15).
fn blocked_kill(tasklet: Tasklet) -> Tasklet {
    tasklet.disable();
    tasklet.schedule();
    let killer = blocked("killer", move || tasklet.kill());
    tasklet.enable();
    killer.join();
    tasklet
}

/// Linux: `tasklet_trylock`.
fn trylock(tasklet: Tasklet) -> bool {
    // SAFETY: the item is alive in every scenario.
    unsafe { tasklet_trylock(tasklet.raw()) }
}

/// Linux: `tasklet_unlock`.
fn unlock(tasklet: Tasklet) {
    // SAFETY: as in `trylock`, and the caller has locked it.
    unsafe { tasklet_unlock(tasklet.raw()) };
}

/// B-36 with the lock: a schedule while somebody has locked the tasklet is kept, also if it is disabled in the
/// meantime, and is seen by a run when both are over.
#[test]
fn b36_a_schedule_while_locked_is_kept() {
    fn scenario(_: &Rig, calls: Calls) {
        let (stored, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (read, note) = (Arc::clone(&stored), Arc::clone(&seen));
        let tasklet = Tasklet::new(move |_, _| note.store(read.load(SeqCst), SeqCst));
        sim_assert!(trylock(tasklet) && !trylock(tasklet));
        (calls.schedule)(tasklet);
        world::settle();
        sim_assert_eq!(tasklet.runs(), 0, "it runs while it is locked");
        // Nobody runs it, but it is locked: a disable that waits would wait.
        // SAFETY: the item is alive.
        unsafe { tasklet_disable_nosync(tasklet.raw()) };
        unlock(tasklet);
        world::settle();
        sim_assert_eq!(tasklet.runs(), 0, "it runs while it is disabled");
        (calls.enable)(tasklet);
        world::settle();
        sim_assert_eq!(tasklet.runs(), 1, "the schedule is lost");
        let locker = world::spawn("locker", Some(1), move || {
            for _ in 0..6 {
                if trylock(tasklet) {
                    give_way(5);
                    unlock(tasklet);
                }
            }
        });
        let schedulers = [2, 3].map(|cpu| {
            let stored = Arc::clone(&stored);
            world::spawn("scheduler", Some(cpu), move || {
                for _ in 0..6 {
                    stored.fetch_add(1, SeqCst);
                    (calls.schedule)(tasklet);
                    give_way(5);
                }
            })
        });
        locker.join();
        each(schedulers, world::Thread::join);
        world::settle();
        sim_assert_eq!(seen.load(SeqCst), 12, "the schedule is lost");
        sim_assert_eq!((tasklet.state(), tasklet.seen().most_inside()), (0, 1));
        end(tasklet);
    }
    holds(racing, 150, scenario);
    // The run is dropped, and SCHED with it.
    let schedule: fn(Tasklet) = |tasklet| {
        if tasklet.state() & TASKLET_STATE_RUN == 0 {
            tasklet.schedule();
        }
    };
    convicts(
        racing,
        scenario,
        Calls { schedule, ..LINUX },
        "the schedule is lost",
    );
}
