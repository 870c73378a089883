//! IRQLs, allocations, and items that nobody has used yet.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Config, Host, WorkReentrance, attach};
use kmdf_mock::world::{self, Driver, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Tasklet, Work, Wq, machine, sleep_jiffies, wait_until};
use super::{
    BOTH, Calls, LINUX, blocked, cancel, convicts, each, end, holds, racing, rows, run_first,
};

/// Calls that do not wait, as the driver may make them at any IRQL.
const SHORT: [fn(Work, Tasklet, Wq); 15] = [
    |work, _, wq| _ = work.queue(wq),
    |work, _, _| _ = work.schedule(),
    |work, _, wq| _ = work.queue_delayed(wq, 0),
    |work, _, wq| _ = work.queue_delayed(wq, 3),
    |work, _, wq| _ = work.modify(wq, 2),
    |work, _, wq| _ = work.modify(wq, 0),
    |work, _, _| _ = cancel(work),
    |work, _, _| _ = work.cancel_delayed(),
    // SAFETY: the items are alive, here and below.
    |work, _, _| _ = unsafe { disable_work(work.work()) },
    // SAFETY: as above.
    |work, _, wq| _ = unsafe { enable_and_queue_work(wq.0, work.work()) },
    // SAFETY: as above.
    |work, _, _| _ = unsafe { work_busy(work.work()) > 0 },
    |_, tasklet, _| tasklet.schedule(),
    |_, tasklet, _| tasklet.hi_schedule(),
    // SAFETY: as above.
    |_, tasklet, _| unsafe { tasklet_disable_nosync(tasklet.raw()) },
    |_, tasklet, _| tasklet.enable(),
];

/// Calls that may wait.
const LONG: [fn(Work, Tasklet, Wq); 8] = [
    |work, _, _| _ = work.flush(),
    |work, _, _| _ = work.flush_delayed(),
    |work, _, _| _ = work.cancel_sync(),
    |work, _, _| _ = work.cancel_delayed_sync(),
    |_, _, wq| wq.flush(),
    |_, tasklet, _| tasklet.disable(),
    |_, tasklet, _| tasklet.enable(),
    |_, tasklet, _| tasklet.kill(),
];

/// B-02: every call leaves the IRQL as it found it, at every level at which it may be made.
#[test]
fn b02_every_call_restores_the_irql() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, work, tasklet) = (Wq::bound(), Work::counting(), Tasklet::counting());
        let all = |irql: u8, calls: &[fn(Work, Tasklet, Wq)]| {
            for (index, call) in calls.iter().enumerate() {
                let after = world::at_irql(irql, || {
                    call(work, tasklet, wq);
                    world::current_irql()
                });
                sim_assert_eq!((after, world::current_irql()), (irql, 0), "call {index}");
            }
        };
        for irql in [0, 1, 2, 3, 9, 12] {
            all(irql, &SHORT);
        }
        for irql in [0, 1] {
            all(irql, &LONG);
        }
        (calls.queue)(work, wq);
        sim_assert_eq!(world::current_irql(), 0, "queue_work");
        let wq_of_this = Wq::ordered();
        wq_of_this.destroy();
        sim_assert_eq!(world::current_irql(), 0);
        work.cancel_delayed_sync();
        wq.destroy();
        work.free();
        end(tasklet);
    }
    holds(racing, 20, scenario);
    // The lock that was taken first is released first, with what was the IRQL under it.
    let queue: fn(Work, Wq) -> bool = |work, wq| {
        // SAFETY: legal; that it is not taken back is the mistake.
        unsafe { kmdf_mock::ntddk::KfRaiseIrql(2) };
        work.queue(wq)
    };
    convicts(racing, scenario, Calls { queue, ..LINUX }, "queue_work");
}

unsafe extern "C" fn nothing(_: *mut work_struct) {}
unsafe extern "C" fn nothing_much(_: *mut tasklet_struct) {}

/// A work and a tasklet are initialised, used and freed, without a call that ends them, in memory of the
/// test's own.
fn used_and_forgotten() {
    let mut work = work_struct::new();
    let mut dwork = delayed_work::new();
    let mut tasklet = tasklet_struct::new();
    // SAFETY: they live to the end of the function, and are idle then.
    unsafe {
        INIT_WORK(&raw mut work, nothing);
        INIT_DELAYED_WORK(&raw mut dwork, nothing);
        tasklet_setup(&raw mut tasklet, nothing_much);
        sim_assert!(schedule_work(&raw mut work));
        sim_assert!(schedule_delayed_work(&raw mut dwork, 0));
        tasklet_schedule(&raw mut tasklet);
        world::settle();
        sim_assert!(!work_pending(&raw const work) && tasklet.state() == 0);
    }
}

/// B-10: initialising and using items allocates nothing and makes no object, so a thousand of them leave
/// nothing behind.
#[test]
fn b10_items_come_and_go_without_an_allocation() {
    rows(machine, 3, |_| {
        used_and_forgotten();
        let before = world::counters();
        (0..1000).for_each(|_| used_and_forgotten());
        let made = world::counters() - before;
        let objects = [made.objects_dpc, made.objects_timer, made.objects_work_item];
        sim_assert_eq!((made.pool_allocations, objects), (0, [0; 3]));
    });
}

/// B-10: on a machine whose every allocation fails from the attach on, items are initialised, queued, armed
/// and run as ever.
#[test]
fn b10_items_work_without_memory() {
    /// Whether the attach succeeds if allocation `nth` and all later ones fail; then everything else does.
    fn works(nth: u64, rule: WorkReentrance) -> bool {
        let run = machine(nth).fail_allocation(nth).run(move || {
            let driver = Driver::load();
            let host = Host::Driver(driver.handle().cast());
            // SAFETY: the driver stays loaded to the end.
            let Ok(attachment) = (unsafe { attach(host, &Config::new(rule)) }) else {
                driver.unload();
                return false;
            };
            sim_assert!(Wq::bound().0.is_null(), "allocations fail");
            used_and_forgotten();
            attachment.detach();
            driver.unload();
            true
        });
        match run {
            Ok(attached) => attached,
            Err(failure) if failure.code() == "SIM_DRIVER_REFUSED" => false,
            Err(failure) => panic!("allocation {nth} fails: {failure}"),
        }
    }
    for rule in BOTH {
        assert!(
            (1..200).any(|nth| works(nth, rule)),
            "no attach ever succeeds"
        );
    }
}

/// B-21: what reference pages leave open has one answer here. A second cancel says no; a flush of what was
/// never queued, or has ended, does not wait and says so; one of a running item waits to its end, as do kill
/// and disable; and a queued item has run when the flush returns.
#[test]
fn b21_each_question_has_one_answer() {
    rows(racing, 30, |_| {
        let (wq, gate) = (Wq::ordered(), Gate::new());
        let [running, queued, fresh] = [Work::gated(&gate), Work::counting(), Work::counting()];
        sim_assert_eq!([fresh.flush(), fresh.flush_delayed()], [false; 2]);
        sim_assert!(fresh.queue_delayed(wq, 300));
        sim_assert_eq!(
            [fresh.cancel_delayed(), fresh.cancel_delayed()],
            [true, false]
        );
        sim_assert!(fresh.queue_delayed(wq, 300));
        let twice = [fresh.cancel_delayed_sync(), fresh.cancel_delayed_sync()];
        sim_assert_eq!(twice, [true, false]);
        run_first(running, wq);
        sim_assert!(queued.queue(wq));
        let of_running = blocked("flush", move || (running.flush(), running.seen().inside()));
        let of_queued = blocked("flush", move || (queued.flush(), queued.seen().ended()));
        gate.open();
        sim_assert_eq!(
            (of_running.join(), of_queued.join()),
            ((true, 0), (true, 1))
        );
        sim_assert_eq!([running.flush(), queued.flush()], [false; 2]);
        let tasklet = Tasklet::new(|_, _| super::give_way(20));
        for wait in [Tasklet::kill, Tasklet::disable] {
            tasklet.schedule();
            super::give_way(20);
            wait(tasklet);
            sim_assert_eq!(tasklet.seen().inside(), 0);
        }
        tasklet.enable();
        wq.destroy();
        end(tasklet);
        each([running, queued, fresh], Work::free);
    });
}

/// B-29: every call that does not wait is made under a lock (at DISPATCH_LEVEL) and in an interrupt, with the
/// verifier watching: works are queued, armed, modified, cancelled, and run later at PASSIVE_LEVEL. (H-9
/// convicts the naive mapping of it.)
#[test]
fn b29_queueing_under_a_lock_and_in_an_interrupt() {
    rows(racing, 40, |_| {
        let wq = Wq::bound();
        for irql in [2, 5, 12] {
            let works = [0; 5].map(|_| Work::counting());
            let use_them = move || {
                let [queued, armed, modified, moved, cancelled] = works;
                sim_assert!(queued.queue(wq));
                sim_assert!(armed.queue_delayed(wq, 2));
                sim_assert!(!modified.modify(wq, 1));
                sim_assert!(!moved.modify(wq, 500) && moved.modify(wq, 0));
                sim_assert!(cancelled.queue_delayed(wq, 1) && cancelled.cancel_delayed());
            };
            let line = Interrupt::connect("line", irql.max(3), use_them);
            if irql == 2 {
                world::at_dispatch(use_them);
            } else {
                line.raise(2);
            }
            wait_until(|| works[0].runs() == 1 && works[1].runs() == 1);
            sleep_jiffies(4);
            wq.flush();
            sim_assert_eq!(works.map(Work::runs), [1, 1, 1, 1, 0]);
            works[..4]
                .iter()
                .for_each(|work| sim_assert_eq!(work.seen().irql(0), 0));
            sim_assert!(line.is_idle());
            each(works, Work::free);
        }
        wq.destroy();
    });
}

/// Everything that can be asked of a work that is idle, or fresh: nothing is there, so the answer is no.
fn nothing_is_there(work: *mut work_struct, dwork: *mut delayed_work) {
    // SAFETY: both are initialised and stay in place.
    unsafe {
        let answers = [
            cancel_work(work),
            cancel_work_sync(work),
            flush_work(work),
            work_pending(work),
            cancel_delayed_work(dwork),
            cancel_delayed_work_sync(dwork),
            flush_delayed_work(dwork),
            delayed_work_pending(dwork),
            disable_work(work),
            disable_delayed_work_sync(dwork),
        ];
        sim_assert_eq!(answers, [false; 10]);
        sim_assert_eq!(work_busy(work), 0);
        sim_assert!(enable_work(work) && enable_delayed_work(dwork));
    }
}

/// B-35: cancel, flush, disable and kill of items that were never queued find nothing, touch nothing, and
/// leave them as they were.
#[test]
fn b35_fresh_items_are_left_alone() {
    rows(racing, 20, |_| {
        for first in 0..3 {
            let (plain, delayed) = (Work::counting(), Work::counting());
            match first {
                0 => sim_assert!(!plain.cancel_sync() && !delayed.cancel_delayed_sync()),
                1 => sim_assert!(!plain.flush() && !delayed.flush_delayed()),
                _ => sim_assert!(!cancel(plain) && !delayed.cancel_delayed()),
            }
            nothing_is_there(plain.work(), delayed.dwork());
            sim_assert!(plain.schedule() && delayed.schedule_delayed(1));
            wait_until(|| plain.runs() + delayed.runs() == 2);
            sim_assert!(!plain.cancel_sync() && !delayed.cancel_delayed_sync());
            each([plain, delayed], Work::free);
            let tasklet = Tasklet::counting();
            match first {
                0 => tasklet.kill(),
                1 => {
                    tasklet.disable();
                    tasklet.enable();
                }
                _ => tasklet.disable(),
            }
            tasklet.kill();
            sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, 0));
            tasklet.free();
        }
    });
}

/// Runs of the items that are declared below. A simulated machine lives on one thread of the system.
static DECLARED_RUNS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

unsafe extern "C" fn run_work(_: *mut work_struct) {
    DECLARED_RUNS[0].fetch_add(1, SeqCst);
}
unsafe extern "C" fn run_delayed(_: *mut work_struct) {
    DECLARED_RUNS[1].fetch_add(1, SeqCst);
}
unsafe extern "C" fn run_tasklet(_: *mut tasklet_struct) {
    DECLARED_RUNS[2].fetch_add(1, SeqCst);
}

static WORK: work_struct = DECLARE_WORK(run_work);
static DELAYED: delayed_work = DECLARE_DELAYED_WORK(run_delayed);
static TASKLET: tasklet_struct = DECLARE_TASKLET(run_tasklet);

/// B-45: items that are declared, as statics or in memory that is filled from the declaration, serve in every
/// call as initialised ones do, whichever call comes first.
#[test]
fn b45_declared_items_serve_in_every_call() {
    fn serve(
        work: *mut work_struct,
        dwork: *mut delayed_work,
        tasklet: *mut tasklet_struct,
        first: u32,
    ) {
        DECLARED_RUNS.iter().for_each(|runs| runs.store(0, SeqCst));
        // SAFETY: all three stay in place, are initialised, and belong to this scenario.
        unsafe {
            match first {
                0 => nothing_is_there(work, dwork),
                1 => sim_assert!(!mod_delayed_work(system_wq(), dwork, 400)),
                2 => sim_assert!(schedule_delayed_work(dwork, 0)),
                _ => sim_assert!(schedule_delayed_work(dwork, 2)),
            }
            let pending = flush_delayed_work(dwork);
            let by_flush = u32::from(first > 0);
            sim_assert!(pending || first == 0 || DECLARED_RUNS[1].load(SeqCst) == 1);
            sim_assert_eq!(DECLARED_RUNS[1].load(SeqCst), by_flush);
            sim_assert!(schedule_delayed_work(dwork, 300) && cancel_delayed_work(dwork));
            sim_assert!(schedule_work(work));
            flush_work(work);
            tasklet_disable(tasklet);
            tasklet_schedule(tasklet);
            tasklet_enable(tasklet);
            tasklet_kill(tasklet);
            let runs = DECLARED_RUNS.each_ref().map(|runs| runs.load(SeqCst));
            sim_assert_eq!(runs, [1, by_flush, 1]);
            nothing_is_there(work, dwork);
        }
    }
    rows(racing, 20, |_| {
        let statics = (
            (&raw const WORK).cast_mut(),
            (&raw const DELAYED).cast_mut(),
        );
        for first in 0..4 {
            serve(statics.0, statics.1, (&raw const TASKLET).cast_mut(), first);
            let work = world::pool::alloc(DECLARE_WORK(run_work));
            let dwork = world::pool::alloc(DECLARE_DELAYED_WORK(run_delayed));
            let tasklet = world::pool::alloc(DECLARE_TASKLET(run_tasklet));
            serve(work, dwork, tasklet, first);
            // SAFETY: all of them are idle.
            unsafe {
                world::pool::free(work);
                world::pool::free(dwork);
                world::pool::free(tasklet);
            }
        }
    });
}
