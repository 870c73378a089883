//! What Linux allows and one WDF object per Linux object does not keep: a scenario per hazard.
//!
//! Each is a correct Linux driver in a few lines, generic over the mapping. Its assertions are what Linux
//! promises; none looks at how the promise is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use kmdf_mock::world::{self, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::port::Linux;
use super::rig::*;

/// A device's IRQL.
const DIRQL: u8 = 5;

fn flag() -> (Arc<AtomicU32>, Arc<AtomicU32>) {
    let flag = Arc::new(AtomicU32::new(0));
    (Arc::clone(&flag), flag)
}

/// A work that occupies the machine's only worker thread until the gate opens.
fn occupy_the_worker<L: Linux>() -> Gate {
    let gate = Gate::new();
    let closed = gate.clone();
    let blocker = work::<L>(move |_, _| closed.wait());
    schedule_work::<L>(blocker);
    blocker.wait_begun(1);
    gate
}

/// H-1: INIT_WORK in an interrupt service routine.
pub fn init_work_in_isr<L: Linux>() {
    let work = raw_work::<L>();
    let line = Interrupt::connect("nic", DIRQL, move || init::<L>(work));
    line.raise(0);
    world::settle();
    schedule_work::<L>(work);
    world::settle();
    sim_assert_eq!(work.runs(), 1);
}

/// H-3, row W18: a work frees the structure that it is in.
pub fn work_frees_itself<L: Linux>() {
    let work = work::<L>(|work, _| work.free());
    let seen = work.seen();
    schedule_work::<L>(work);
    world::settle();
    sim_assert_eq!(seen.ended(), 1);
}

/// H-3: a delayed work frees the structure that it is in.
pub fn delayed_work_frees_itself<L: Linux>() {
    let work = delayed_work::<L>(false, |work, _| work.free());
    let seen = work.seen();
    schedule_delayed_work::<L>(work, 1);
    sleep_jiffies(10);
    world::settle();
    sim_assert_eq!(seen.ended(), 1);
}

/// H-4: works come and go, and nothing of them stays.
pub fn works_come_and_go<L: Linux>() {
    let before = world::counters();
    for _ in 0..50 {
        let work = work::<L>(|_, _| {});
        schedule_work::<L>(work);
        world::settle();
        sim_assert_eq!(work.runs(), 1);
        work.free();
    }
    let made = world::counters() - before;
    sim_assert_eq!(
        made.objects_work_item,
        0,
        "WDFWORKITEMs that 50 freed works left behind"
    );
}

/// H-9, row W27: an interrupt service routine queues a work.
pub fn queue_work_in_isr<L: Linux>() {
    let work = work::<L>(|_, _| sim_assert_eq!(world::current_irql(), 0));
    let line = Interrupt::connect("nic", DIRQL, move || {
        sim_assert!(schedule_work::<L>(work), "the work was idle");
    });
    line.raise(0);
    world::settle();
    sim_assert_eq!(work.runs(), 1);
}

/// H-14, row T04: a tasklet is scheduled on one CPU while it runs on another.
pub fn schedule_on_two_cpus<L: Linux>() {
    let tasklet = exclusive_tasklet::<L>(|_, _| compute(100));
    let threads = [0, 1].map(|cpu| {
        world::spawn("scheduler", Some(cpu), move || {
            tasklet_schedule::<L>(tasklet)
        })
    });
    for thread in threads {
        thread.join();
    }
    world::settle();
    sim_assert!(
        (1..=2).contains(&tasklet.runs()),
        "two schedules are one run or two"
    );
    tasklet_kill::<L>(tasklet);
}

/// H-15, row T13: a tasklet schedules itself until somebody says stop.
pub fn tasklet_schedules_itself<L: Linux>() {
    let (stop, stopped) = flag();
    let tasklet = tasklet::<L>(move |tasklet, _| {
        if stopped.load(SeqCst) == 0 {
            tasklet_schedule::<L>(tasklet);
        }
    });
    tasklet_schedule::<L>(tasklet);
    sleep_jiffies(25);
    stop.store(1, SeqCst);
    tasklet_kill::<L>(tasklet);
    tasklet.assert_not_running("tasklet_kill");
}

/// H-17: a tasklet runs on one CPU and is scheduled on another when it is killed.
pub fn kill_running_and_scheduled<L: Linux>() {
    let tasklet = tasklet::<L>(|_, _| compute(2_000));
    let (scheduled, set) = flag();
    let first = world::spawn("first", Some(1), move || tasklet_schedule::<L>(tasklet));
    let seen = tasklet.seen();
    poll_until(|| seen.runs() == 1);
    let second = world::spawn("second", Some(2), move || {
        world::at_dispatch(|| {
            tasklet_schedule::<L>(tasklet);
            set.store(1, SeqCst);
            compute(500);
        });
    });
    poll_until(|| scheduled.load(SeqCst) == 1);
    tasklet_kill::<L>(tasklet);
    tasklet.assert_not_running("tasklet_kill");
    first.join();
    second.join();
}

/// H-18, row T07: a disabled tasklet is scheduled, and stays so.
pub fn schedule_disabled<L: Linux>() {
    let tasklet = tasklet::<L>(|_, _| {});
    tasklet_disable::<L>(tasklet);
    tasklet_schedule::<L>(tasklet);
    sleep_jiffies(25);
    sim_assert_eq!(tasklet.runs(), 0);
    tasklet_enable::<L>(tasklet);
    world::settle();
    sim_assert_eq!(tasklet.runs(), 1);
}

/// H-19, row W03: a work is queued while it runs. Non-reentrant, as in Linux since 3.7.
pub fn queue_running<L: Linux>() {
    let gate = Gate::new();
    let closed = gate.clone();
    let work = exclusive_work::<L>(move |_, run| {
        if run == 1 {
            closed.wait();
        }
    });
    schedule_work::<L>(work);
    work.wait_begun(1);
    sim_assert!(schedule_work::<L>(work), "a running work is not pending");
    world::settle();
    gate.open();
    world::settle();
    sim_assert_eq!(work.runs(), 2);
}

/// H-20, row W02: a work is queued twice before it runs. The machine has one CPU, which is at
/// DISPATCH_LEVEL meanwhile.
pub fn queue_twice<L: Linux>() {
    let work = work::<L>(|_, _| {});
    let queued = world::at_dispatch(|| [schedule_work::<L>(work), schedule_work::<L>(work)]);
    world::settle();
    sim_assert_eq!(work.runs(), 1);
    sim_assert_eq!(
        queued,
        [true, false],
        "queue_work of an idle and of a pending work"
    );
}

/// H-21, rows W16 and W40: a work that queues itself again and again is flushed.
pub fn flush_requeueing<L: Linux>() {
    let (stop, stopped) = flag();
    let work = work::<L>(move |work, _| {
        sleep_jiffies(250);
        if stopped.load(SeqCst) == 0 {
            schedule_work::<L>(work);
        }
    });
    let seen = work.seen();
    schedule_work::<L>(work);
    flush_work::<L>(work);
    sim_assert!(seen.ended() >= 1, "the run that was queued is over");
    stop.store(1, SeqCst);
    cancel_work_sync::<L>(work);
}

/// H-22, row W09: a pending work is cancelled. The only worker thread is busy, so that it stays pending.
pub fn cancel_pending<L: Linux>() {
    let gate = occupy_the_worker::<L>();
    let work = work::<L>(|_, _| {});
    sim_assert!(schedule_work::<L>(work));
    let opener = world::spawn("opener", None, move || {
        world::settle();
        gate.open();
    });
    let cancelled = cancel_work_sync::<L>(work);
    opener.join();
    world::settle();
    sim_assert_eq!(
        work.runs(),
        0,
        "runs of a work that was cancelled while pending"
    );
    sim_assert!(cancelled, "cancel_work_sync of a pending work is true");
}

/// H-25, row D07: a delayed work whose time has come waits for a worker thread, and is moved to later.
pub fn modify_due<L: Linux>() {
    let gate = occupy_the_worker::<L>();
    let work = delayed_work::<L>(false, |_, _| {});
    schedule_delayed_work::<L>(work, 1);
    sleep_jiffies(3);
    let pending = mod_delayed_work::<L>(work, 100);
    gate.open();
    sleep_jiffies(20);
    sim_assert_eq!(
        work.runs(),
        0,
        "runs 80 jiffies before the time it was moved to"
    );
    sim_assert!(pending, "mod_delayed_work of a pending work is true");
    sleep_jiffies(90);
    sim_assert_eq!(work.runs(), 1);
}

/// H-26, row D18: a delayed work arms itself and goes on running. Non-reentrant.
pub fn rearm_and_go_on<L: Linux>() {
    let work = delayed_work::<L>(true, |work, run| {
        if run < 3 {
            schedule_delayed_work::<L>(work, 1);
            sleep_jiffies(5);
        }
    });
    schedule_delayed_work::<L>(work, 1);
    sleep_jiffies(50);
    sim_assert_eq!(work.runs(), 3);
}

/// H-26, row D28: a delayed work whose time has come waits for a worker thread; it is cancelled and armed
/// again, and its time comes a second time. What was accepted has run or was cancelled.
pub fn due_twice<L: Linux>() {
    let gate = occupy_the_worker::<L>();
    let work = delayed_work::<L>(false, |_, _| {});
    let mut accepted = u32::from(schedule_delayed_work::<L>(work, 1));
    sleep_jiffies(3);
    let cancelled = u32::from(cancel_delayed_work::<L>(work));
    accepted += u32::from(schedule_delayed_work::<L>(work, 1));
    sleep_jiffies(3);
    gate.open();
    sleep_jiffies(3);
    sim_assert_eq!(
        accepted,
        work.runs() + cancelled,
        "accepted, and run or cancelled"
    );
}

/// H-27, row D13: an armed delayed work is armed again while somebody cancels it.
pub fn arm_while_cancelled<L: Linux>() {
    let work = delayed_work::<L>(false, |_, _| {});
    let (accepted, count) = flag();
    let arm = move || {
        count.fetch_add(u32::from(schedule_delayed_work::<L>(work, 5)), SeqCst);
    };
    arm();
    let armer = world::spawn("armer", None, arm);
    let cancelled = u32::from(cancel_delayed_work_sync::<L>(work));
    armer.join();
    sleep_jiffies(10);
    let accepted = accepted.load(SeqCst);
    sim_assert_eq!(
        accepted,
        work.runs() + cancelled,
        "accepted, and run or cancelled"
    );
}

/// H-28, row D01: a delayed work does not run before its time. The machine's tick is 15.625 ms.
pub fn not_early<L: Linux>() {
    const DELAY: u64 = 11;
    world::sleep_100ns(u64::from(world::choose(156_250)));
    let (ran, begun) = flag();
    let armed = world::now_100ns();
    let work = delayed_work::<L>(false, move |_, _| {
        // The jiffy in which the call was made may have been over at once.
        let whole = (world::now_100ns() - armed) / JIFFY_100NS;
        sim_assert!(
            whole + 1 >= DELAY,
            "a delay of {DELAY} jiffies was over after {whole}"
        );
        begun.store(1, SeqCst);
    });
    schedule_delayed_work::<L>(work, DELAY);
    wait_until(|| ran.load(SeqCst) == 1);
}

/// No hazard: what the naive mapping is good for.
pub fn plain_use<L: Linux>() {
    let tasklet = tasklet::<L>(|_, _| sim_assert_eq!(world::current_irql(), 2));
    tasklet_schedule::<L>(tasklet);
    world::settle();
    sim_assert_eq!(tasklet.runs(), 1);
    tasklet_kill::<L>(tasklet);

    let work = work::<L>(|_, _| sim_assert_eq!(world::current_irql(), 0));
    for run in 1..=3 {
        sim_assert!(schedule_work::<L>(work));
        flush_work::<L>(work);
        sim_assert_eq!(work.runs(), run);
    }
    sim_assert!(!cancel_work_sync::<L>(work));

    let delayed = delayed_work::<L>(true, |_, _| sim_assert_eq!(world::current_irql(), 0));
    sim_assert!(schedule_delayed_work::<L>(delayed, 10));
    sim_assert!(mod_delayed_work::<L>(delayed, 5));
    sleep_jiffies(30);
    sim_assert_eq!(delayed.runs(), 1);
    sim_assert!(schedule_delayed_work::<L>(delayed, 10));
    sim_assert!(cancel_delayed_work_sync::<L>(delayed));
    sleep_jiffies(30);
    sim_assert_eq!(delayed.runs(), 1);
}
