//! Items that are declared, not initialised, as a driver's statics are; and the calls on delayed works that
//! are those of the work inside.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Work, Wq, rows};

/// A jiffy of HZ 250.
const JIFFY_100NS: u64 = 40_000;

/// An item that is its own container, with a count of its runs.
#[repr(C)]
struct Declared<T> {
    item: T,
    runs: AtomicU32,
}

impl<T> Declared<T> {
    fn new(item: T) -> Box<Self> {
        Box::new(Self {
            item,
            runs: AtomicU32::new(0),
        })
    }

    fn item(&mut self) -> *mut T {
        &raw mut self.item
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::Relaxed)
    }
}

unsafe extern "C" fn count_work(work: *mut work_struct) {
    // SAFETY: every declared work of this file is the first member of a `Declared`, which its scenario keeps
    // until it has run.
    let declared = unsafe { &*work.cast::<Declared<work_struct>>() };
    declared.runs.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" fn count_delayed(work: *mut work_struct) {
    let dwork = to_delayed_work(work);
    // SAFETY: as in `count_work`; the work is the first member of the delayed work.
    let declared = unsafe { &*dwork.cast::<Declared<delayed_work>>() };
    declared.runs.fetch_add(1, Ordering::Relaxed);
}

/// WORK-1, W01: a work that `DECLARE_WORK` has made needs no `INIT_WORK`: it is idle, and runs once for each
/// queueing.
#[test]
fn a_declared_work_runs() {
    rows(|_| {
        let mut declared = Declared::new(DECLARE_WORK(count_work));
        let work = declared.item();
        // SAFETY: the item lives until the end of the scenario, and has run by then.
        unsafe {
            sim_assert_eq!(work_pending(work), false);
            sim_assert_eq!(flush_work(work), false);
            sim_assert!(schedule_work(work));
            flush_work(work);
            sim_assert_eq!(declared.runs(), 1);
            sim_assert!(schedule_work(work));
            flush_work(work);
        }
        sim_assert_eq!(declared.runs(), 2);
    });
}

/// DELAYED-1, D01: a delayed work that `DECLARE_DELAYED_WORK` has made needs no `INIT_DELAYED_WORK`; its
/// function finds it by `to_delayed_work`, after its delay and not before.
#[test]
fn a_declared_delayed_work_runs() {
    rows(|_| {
        let mut declared = Declared::new(DECLARE_DELAYED_WORK(count_delayed));
        let dwork = declared.item();
        // SAFETY: as in `a_declared_work_runs`.
        unsafe {
            sim_assert_eq!(delayed_work_pending(dwork), false);
            let armed = jiffies();
            sim_assert!(schedule_delayed_work(dwork, 3));
            sim_assert!(delayed_work_pending(dwork));
            sim_assert_eq!(declared.runs(), 0);
            while delayed_work_pending(dwork) {
                world::sleep_100ns(JIFFY_100NS);
            }
            flush_delayed_work(dwork);
            sim_assert!(jiffies() >= armed + 3);
        }
        sim_assert_eq!(declared.runs(), 1);
    });
}

/// DELAYED-10, D27: `disable_delayed_work_sync` of a delayed work that runs waits for the run, `false`; an
/// armed one it cancels, `true`; each disable has to be taken back before it can be queued again.
#[test]
fn disable_delayed_work_sync_waits_for_the_run() {
    rows(|_| {
        let gate = Gate::new();
        let running = Work::gated(&gate);
        sim_assert!(running.queue_delayed(Wq::system(), 0));
        running.wait_begun(1);
        let opener = {
            let gate = gate.clone();
            world::spawn("opener", None, move || {
                world::sleep_100ns(10 * JIFFY_100NS);
                gate.open();
            })
        };
        // SAFETY: the items are alive in every scenario.
        unsafe {
            sim_assert_eq!(disable_delayed_work_sync(running.dwork()), false);
            sim_assert_eq!(running.seen().inside(), 0);
            sim_assert_eq!(running.queue_delayed(Wq::system(), 1), false);
            sim_assert!(enable_delayed_work(running.dwork()));
        }
        opener.join();
        sim_assert!(running.queue_delayed(Wq::system(), 1_000_000));
        // SAFETY: as above.
        unsafe {
            sim_assert!(disable_delayed_work_sync(running.dwork()));
            sim_assert_eq!(disable_delayed_work_sync(running.dwork()), false);
            sim_assert_eq!(enable_delayed_work(running.dwork()), false);
            sim_assert_eq!(running.queue_delayed(Wq::system(), 0), false);
            sim_assert!(enable_delayed_work(running.dwork()));
        }
        sim_assert_eq!(running.runs(), 1);
        running.free();
    });
}

/// What a driver has for a card: its items are members among others.
struct Card {
    seen: [AtomicU32; 3],
    clean: tasklet_struct,
    reset: work_struct,
    poll: delayed_work,
}

fn see(card: *mut Card, which: usize) {
    // SAFETY: the pointer is what one of the macros has found, and the card lives until its items have run.
    unsafe { (*card).seen[which].fetch_add(1, Ordering::Relaxed) };
}

unsafe extern "C" fn clean(tasklet: *mut tasklet_struct) {
    see(from_tasklet!(Card, tasklet, clean), 0);
}

unsafe extern "C" fn reset(work: *mut work_struct) {
    see(from_work!(Card, work, reset), 1);
}

unsafe extern "C" fn poll(work: *mut work_struct) {
    see(container_of!(work, Card, poll.work), 2);
}

/// TASKLET-9, WORK-15: `from_tasklet!`, `from_work!` and `container_of!` lead from the item that a function gets
/// to the container that the item is a member of.
#[test]
fn an_item_leads_to_its_container() {
    rows(|_| {
        let mut card = Box::new(Card {
            seen: [const { AtomicU32::new(0) }; 3],
            clean: DECLARE_TASKLET(clean),
            reset: DECLARE_WORK(reset),
            poll: DECLARE_DELAYED_WORK(poll),
        });
        // SAFETY: the card lives until the end of the scenario, and everything has run by then.
        unsafe {
            tasklet_schedule(&raw mut card.clean);
            sim_assert!(schedule_work(&raw mut card.reset));
            sim_assert!(schedule_delayed_work(&raw mut card.poll, 1));
            tasklet_kill(&raw mut card.clean);
            flush_work(&raw mut card.reset);
            flush_delayed_work(&raw mut card.poll);
        }
        let seen = card
            .seen
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        sim_assert_eq!(seen, [1, 1, 1]);
    });
}

/// WORK-19, W20: zeroed memory has no function; one that is initialised has it, also after its run.
#[test]
fn a_function_says_whether_an_item_was_initialised() {
    rows(|_| {
        let zeroed = Box::new(delayed_work::new());
        sim_assert!(zeroed.work.func().is_none());
        let work = Work::counting();
        // SAFETY: the item is alive until it is freed below.
        let func = || unsafe { (*work.work()).func().map(|func| func as usize) };
        let initialised = func();
        sim_assert!(initialised.is_some());
        sim_assert!(work.schedule());
        work.flush();
        sim_assert_eq!(func(), initialised);
        work.free();
    });
}
