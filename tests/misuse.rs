//! Misuse: every diagnostic of `src/engine/diagnostic.rs`, provoked by a driver that makes the mistake. Each
//! is reported by its code and names the call and the item; what the documentation says then holds: the
//! call returns, the item is what it was or what is said, no memory is lost, and the driver unloads.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Driver, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Rig, SelfReentrant, Tasklet, Work, Wq, machine, reports, wait_until};

/// Seeds for each rule.
const SEEDS: u64 = 40;

/// Runs `scenario` with both rules. It reports `codes`, all of them and no other; what the driver has
/// taken from the pool is back there after its unload.
fn misuse(codes: &'static [&'static str], scenario: fn(&Rig)) {
    for rule in [SelfReentrant, NonReentrant] {
        world::seeds(0..SEEDS, |seed| {
            let run = machine(seed).run(move || {
                let rig = Rig::new(rule);
                rig.expect(codes);
                scenario(&rig);
                rig.finish();
                let pool = world::counters();
                sim_assert_eq!(pool.pool_allocations, pool.pool_frees, "memory is lost");
            });
            if let Err(failure) = run {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

/// Does `f`, which must report `codes` in this order, each line naming `call` and the item at `address`.
fn reporting<R>(codes: &[&str], call: &str, address: usize, f: impl FnOnce() -> R) -> R {
    reporting_at(codes, &format!("{call}(item {address:#x}, "), f)
}

/// The same for a call about the queue that was allocated as `name`.
fn reporting_queue<R>(codes: &[&str], call: &str, name: &str, f: impl FnOnce() -> R) -> R {
    reporting_at(codes, &format!("{call}(workqueue \"{name}\")"), f)
}

fn reporting_at<R>(codes: &[&str], place: &str, f: impl FnOnce() -> R) -> R {
    let (lines, before) = (world::debug_log().len(), reports().len());
    let result = f();
    sim_assert_eq!(reports().split_off(before), codes);
    for line in world::debug_log().split_off(lines) {
        sim_assert!(line.contains(place), "{line} does not name {place}");
        let what = line.split_once("): ").map_or("", |(_, what)| what);
        let advice = what.split_once(". ").map_or("", |(_, advice)| advice);
        sim_assert!(advice.len() > 15, "{line} does not say what to do");
    }
    result
}

fn silently<R>(f: impl FnOnce() -> R) -> R {
    reporting(&[], "", 0, f)
}

fn address_of<T>(item: *const T) -> usize {
    item.addr()
}

/// BH01: an item that no init call has prepared is not queued, whatever queues it, and its memory stays
/// as it was; initialised it works.
#[test]
fn bh01_queueing_what_was_never_initialised() {
    misuse(&["BH01"], |_| {
        let work = Work::counting();
        // SAFETY: the item is idle, and zeroed bytes are a valid one that is not initialised.
        unsafe { work.dwork().write(delayed_work::new()) };
        let here = address_of(work.work());
        let refused = |call: &str, queue: &dyn Fn() -> bool| {
            sim_assert_eq!(reporting(&["BH01"], call, here, queue), false);
            sim_assert!(!work.pending());
        };
        refused("queue_work", &|| work.queue(Wq::system()));
        refused("queue_work", &|| work.schedule());
        refused("queue_work", &|| work.queue_delayed(Wq::system(), 0));
        refused("queue_delayed_work", &|| {
            work.queue_delayed(Wq::system(), 2)
        });
        refused("queue_work", &|| work.modify(Wq::system(), 2));
        work.init();
        sim_assert!(silently(|| work.schedule()));
        work.flush();
        sim_assert_eq!(work.runs(), 1);
        work.free();
    });
}

/// BH01 for tasklets.
#[test]
fn bh01_scheduling_what_was_never_initialised() {
    misuse(&["BH01"], |_| {
        let tasklet = world::pool::alloc(tasklet_struct::new());
        let here = address_of(tasklet);
        // SAFETY: the memory is there; that it is not initialised is the mistake.
        unsafe {
            reporting(&["BH01"], "tasklet_schedule", here, || {
                tasklet_schedule(tasklet)
            });
            reporting(&["BH01"], "tasklet_hi_schedule", here, || {
                tasklet_hi_schedule(tasklet);
            });
            sim_assert_eq!(((*tasklet).state(), (*tasklet).count()), (0, 0));
            tasklet_kill(tasklet);
            world::pool::free(tasklet);
        }
    });
}

/// BH02: who queues from outside to a queue that is being destroyed is refused; the item is idle and can
/// go elsewhere. The queue's own works may go on queueing to it.
#[test]
fn bh02_queueing_to_a_queue_that_is_being_destroyed() {
    misuse(&["BH02"], |_| {
        let wq = Wq::ordered();
        let gate = Gate::new();
        let (inside, outside) = (Work::counting(), Work::counting());
        let wait = gate.clone();
        let running = Work::new(move |_, _| {
            wait.wait();
            sim_assert!(inside.queue(wq), "a work of the queue may queue to it");
        });
        sim_assert!(running.queue(wq));
        running.wait_begun(1);
        let destroy = world::spawn("destroy", None, move || wq.destroy());
        wait_until(|| destroy.is_blocked());
        let refused = reporting(&["BH02"], "queue_work", address_of(outside.work()), || {
            outside.queue(wq)
        });
        sim_assert_eq!(refused, false);
        sim_assert!(!outside.pending());
        let modified = reporting(&["BH02"], "queue_work", address_of(outside.work()), || {
            outside.modify(wq, 0)
        });
        sim_assert_eq!((modified, outside.pending()), (false, false));
        sim_assert!(silently(|| outside.schedule()));
        outside.flush();
        gate.open();
        destroy.join();
        sim_assert_eq!((running.runs(), inside.runs(), outside.runs()), (1, 1, 1));
        [running, inside, outside].into_iter().for_each(Work::free);
    });
}

/// BH03: nothing is accepted before attach and after detach; nothing is lost by it.
#[test]
fn bh03_queueing_while_detached() {
    misuse(&["BH03"], |rig| {
        rig.detach();
        let (work, tasklet) = (Work::counting(), Tasklet::counting());
        let here = address_of(work.work());
        let no = reporting(&["BH03"], "queue_work", here, || work.schedule());
        sim_assert_eq!(no, false);
        let no = reporting(&["BH03"], "queue_delayed_work", here, || {
            work.queue_delayed(Wq::system(), 5)
        });
        sim_assert_eq!(no, false);
        let there = address_of(tasklet.raw());
        reporting(&["BH03"], "tasklet_schedule", there, || tasklet.schedule());
        sim_assert_eq!((work.pending(), tasklet.state()), (false, 0));
        work.free();
        tasklet.free();
    });
}

/// BH04: a null queue, as `alloc_workqueue` returns it when memory is short, takes nothing.
#[test]
fn bh04_queueing_on_a_null_queue() {
    misuse(&["BH04"], |_| {
        let null = Wq(core::ptr::null_mut());
        let work = Work::counting();
        let here = address_of(work.work());
        let queue = reporting(&["BH04"], "queue_work", here, || work.queue(null));
        let delayed = reporting(&["BH04"], "queue_delayed_work", here, || {
            work.queue_delayed(null, 3)
        });
        let modified = reporting(&["BH04"], "mod_delayed_work", here, || work.modify(null, 3));
        sim_assert_eq!([queue, delayed, modified], [false; 3]);
        silently(|| {
            null.flush();
            null.destroy();
        });
        sim_assert!(!work.pending() && work.schedule());
        work.flush();
        work.free();
    });
}

/// BH05: cancelling, flushing or disabling what was never initialised returns at once, and leaves it so: queueing
/// it afterwards is still BH01.
#[test]
fn bh05_waiting_for_what_was_never_initialised() {
    misuse(&["BH05", "BH14", "BH01"], |_| {
        let work = Work::counting();
        // SAFETY: the item is idle, and zeroed bytes are a valid one that is not initialised.
        unsafe { work.dwork().write(delayed_work::new()) };
        let here = address_of(work.work());
        let returns = |call: &str, wait: &dyn Fn() -> bool| {
            sim_assert_eq!(reporting(&["BH05"], call, here, wait), false);
        };
        returns("cancel_work_sync", &|| work.cancel_sync());
        returns("cancel_delayed_work_sync", &|| work.cancel_delayed_sync());
        returns("flush_work", &|| work.flush());
        returns("flush_delayed_work", &|| work.flush_delayed());
        sim_assert_eq!(silently(|| work.cancel_delayed()), false);
        // SAFETY: the item is valid, and not initialised.
        returns("disable_work", &|| unsafe { disable_work(work.work()) });
        // SAFETY: as above.
        returns("disable_work_sync", &|| unsafe {
            disable_work_sync(work.work())
        });
        // SAFETY: as above.
        reporting(&["BH14"], "enable_work", here, || unsafe {
            enable_work(work.work())
        });
        sim_assert_eq!(
            reporting(&["BH01"], "queue_work", here, || work.schedule()),
            false
        );
        work.init();
        sim_assert!(work.schedule());
        work.flush();
        work.free();
    });
}

/// BH06: a call that waits does not wait at DISPATCH_LEVEL: what it can do without waiting it does, what
/// it cannot it leaves, and it returns.
#[test]
fn bh06_waiting_at_dispatch() {
    misuse(&["BH06"], |_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let [running, pending, armed] = [Work::gated(&gate), Work::counting(), Work::counting()];
        let at = |call: &str, work: Work, wait: &dyn Fn() -> bool| {
            reporting(&["BH06"], call, address_of(work.work()), || {
                world::at_dispatch(wait)
            })
        };
        sim_assert!(running.queue(wq));
        running.wait_begun(1);
        sim_assert_eq!(at("flush_work", running, &|| running.flush()), false);
        sim_assert_eq!(
            at("cancel_work_sync", running, &|| running.cancel_sync()),
            false
        );
        sim_assert_eq!(running.seen().inside(), 1);
        // A pending work is cancelled, as it is without waiting.
        sim_assert!(armed.queue_delayed(wq, 500));
        let cancelled = at("cancel_delayed_work_sync", armed, &|| {
            armed.cancel_delayed_sync()
        });
        sim_assert_eq!((cancelled, armed.pending()), (true, false));
        // An armed one is queued, as `flush_delayed_work` does first, and not waited for.
        sim_assert!(armed.queue_delayed(wq, 500));
        sim_assert_eq!(
            at("flush_delayed_work", armed, &|| armed.flush_delayed()),
            false
        );
        armed.wait_begun(1);
        reporting_queue(&["BH06"], "flush_workqueue", "P", || {
            world::at_dispatch(|| wq.flush());
        });
        reporting_queue(&["BH06"], "destroy_workqueue", "P", || {
            world::at_dispatch(|| wq.destroy());
        });
        sim_assert!(pending.queue(wq), "the queue was not destroyed");
        gate.open();
        wq.destroy();
        sim_assert_eq!((running.runs(), pending.runs(), armed.runs()), (1, 1, 1));
        [running, pending, armed].into_iter().for_each(Work::free);
    });
}

/// BH06 for tasklets: a kill does nothing, a disable disables and does not wait; also in the tasklet's own
/// callback, and in an interrupt.
#[test]
fn bh06_waiting_for_a_tasklet_at_dispatch() {
    misuse(&["BH06"], |_| {
        let killed = Tasklet::new(|tasklet, _| {
            let here = address_of(tasklet.raw());
            reporting(&["BH06"], "tasklet_kill", here, || tasklet.kill());
        });
        killed.schedule();
        killed.wait_begun(1);
        killed.kill();
        let tasklet = Tasklet::counting();
        let here = address_of(tasklet.raw());
        world::at_dispatch(|| {
            tasklet.schedule();
            reporting(&["BH06"], "tasklet_kill", here, || tasklet.kill());
            reporting(&["BH06"], "tasklet_disable", here, || tasklet.disable());
            sim_assert_eq!((tasklet.state(), tasklet.count()), (TASKLET_STATE_SCHED, 1));
        });
        let line = Interrupt::connect("line", 5, move || {
            reporting(&["BH06"], "tasklet_disable", here, || tasklet.disable());
        });
        line.raise(world::current_cpu());
        wait_until(|| line.is_idle());
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.count()), (0, 2));
        tasklet.enable();
        tasklet.enable();
        tasklet.kill();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (1, 0));
        tasklet.free();
        killed.free();
    });
}

/// BH07: a work that waits for itself, where Linux deadlocks: flush returns, cancel cancels what it has
/// queued and does not wait for the caller. Afterwards the work is as good as before.
#[test]
fn bh07_a_work_that_waits_for_itself() {
    misuse(&["BH07"], |_| {
        let work = Work::new(|work, run| {
            if run > 1 {
                return;
            }
            let here = address_of(work.work());
            let own = |call: &str, wait: &dyn Fn() -> bool| reporting(&["BH07"], call, here, wait);
            sim_assert_eq!(own("flush_work", &|| work.flush()), false);
            sim_assert_eq!(own("cancel_work_sync", &|| work.cancel_sync()), false);
            sim_assert!(work.queue_delayed(Wq::system(), 900));
            sim_assert_eq!(
                own("cancel_delayed_work_sync", &|| work.cancel_delayed_sync()),
                true
            );
            sim_assert!(!work.pending());
            sim_assert!(work.queue_delayed(Wq::system(), 1), "it is not disabled");
        });
        sim_assert!(work.schedule());
        work.wait_begun(2);
        work.flush();
        sim_assert!(work.schedule());
        sim_assert!(!work.cancel_sync() || !work.pending());
        work.free();
    });
}

/// BH07: a work that flushes or destroys the queue that runs it is told so; the queue stays.
#[test]
fn bh07_a_work_that_waits_for_its_queue() {
    misuse(&["BH07"], |_| {
        let wq = Wq::bound();
        let work = Work::new(move |_, _| {
            reporting_queue(&["BH07"], "flush_workqueue", "P", || wq.flush());
            reporting_queue(&["BH07"], "destroy_workqueue", "P", || wq.destroy());
        });
        for _ in 0..2 {
            sim_assert!(work.queue(wq));
            wq.flush();
        }
        wq.destroy();
        sim_assert_eq!(work.runs(), 2);
        work.free();
    });
}

/// BH07: the last detach from a work would wait for that work. It does not happen, and the image stays
/// attached; one that is not the last is fine there.
#[test]
fn bh07_a_work_that_detaches() {
    for rule in [SelfReentrant, NonReentrant] {
        world::seeds(0..SEEDS, |seed| {
            let run = machine(seed).run(move || {
                let driver = Arc::new(Driver::load());
                let twice = [0, 1].map(|_| {
                    let host = bottomhalf::Host::Driver(driver.handle().cast());
                    // SAFETY: the driver stays loaded to the end of the run.
                    unsafe { bottomhalf::attach(host, &bottomhalf::Config::new(rule)) }.ok()
                });
                let attachments = Arc::new(std::sync::Mutex::new(twice));
                let work = Work::new(move |_, run| {
                    let attachment = attachments.lock().unwrap()[run as usize - 1].take();
                    let codes: &[&str] = if run == 1 { &[] } else { &["BH07"] };
                    reporting(codes, "detach", 0, || drop(attachment));
                });
                for _ in 0..3 {
                    if work.runs() < 2 {
                        sim_assert!(work.schedule());
                        work.flush();
                    }
                }
                sim_assert_eq!(work.runs(), 2);
                sim_assert!(!system_wq().is_null(), "it stays attached");
                work.free();
            });
            if let Err(failure) = run {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

/// BH08: a work that is disabled 65 535 times is not disabled once more, and the cancel that could not
/// disable it takes no disable back. The calls that disable and stay so belong to a later version, so
/// the depth is written here, as the word of the work has it.
#[test]
fn bh08_disabled_too_often() {
    const DEPTH: u64 = 0xFFFF << 16;
    misuse(&["BH08"], |_| {
        let work = Work::counting();
        // SAFETY: the first word of an idle work, which nobody else uses.
        let word = unsafe { &*work.work().cast::<AtomicU64>() };
        word.fetch_or(DEPTH, SeqCst);
        sim_assert_eq!(work.schedule(), false);
        let cancelled = reporting(&["BH08"], "disable_work", address_of(work.work()), || {
            work.cancel_sync()
        });
        sim_assert_eq!(cancelled, false);
        sim_assert_eq!(word.load(SeqCst) & DEPTH, DEPTH);
        work.init();
        sim_assert!(work.schedule());
        work.flush();
        work.free();
    });
}

/// BH09: one enable too many makes the count negative, as in Linux, and the tasklet does not run; a
/// disable makes it zero again, and what was scheduled meanwhile runs.
#[test]
fn bh09_enabled_once_too_often() {
    misuse(&["BH09"], |_| {
        let tasklet = Tasklet::counting();
        let here = address_of(tasklet.raw());
        reporting(&["BH09"], "tasklet_enable", here, || tasklet.enable());
        sim_assert_eq!(tasklet.count(), -1);
        tasklet.schedule();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, TASKLET_STATE_SCHED));
        silently(|| tasklet.disable());
        world::settle();
        sim_assert_eq!((tasklet.count(), tasklet.runs()), (0, 1));
        tasklet.kill();
        tasklet.free();
    });
}

/// BH09, BH29, BH05: unpaired calls, and a disable of what was never initialised, are reported without an attach too.
#[test]
fn bh09_bh29_bh05_before_the_attach() {
    let run = machine(0).run(|| {
        let driver = Driver::load();
        let tasklet = Tasklet::counting();
        let here = address_of(tasklet.raw());
        reporting(&["BH09"], "tasklet_enable", here, || tasklet.enable());
        silently(|| tasklet.disable());
        sim_assert_eq!(tasklet.count(), 0);
        // SAFETY: the tasklet is alive, and so is the work below, which zeroed bytes make.
        reporting(&["BH29"], "tasklet_unlock", here, || unsafe {
            tasklet_unlock(tasklet.raw())
        });
        // SAFETY: as above.
        silently(|| unsafe { sim_assert!(tasklet_trylock(tasklet.raw())) });
        // SAFETY: as above.
        silently(|| unsafe { tasklet_unlock(tasklet.raw()) });
        let mut work = work_struct::new();
        let work = &raw mut work;
        reporting(&["BH05"], "disable_work", address_of(work), || {
            // SAFETY: as above.
            sim_assert_eq!(unsafe { disable_work(work) }, false);
        });
        tasklet.free();
        driver.unload();
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

/// BH10: delayed works that are armed for a queue that is destroyed run once, at once; each is reported.
/// Those of other queues keep their time.
#[test]
fn bh10_destroying_a_queue_with_armed_delayed_works() {
    misuse(&["BH10"], |_| {
        let wq = Wq::ordered();
        let [one, two, other] = [0; 3].map(|_| Work::counting());
        sim_assert!(one.queue_delayed(wq, 800) && two.queue_delayed(wq, 900));
        sim_assert!(other.queue_delayed(Wq::system(), 700));
        let begin = jiffies();
        let before = reports().len();
        wq.destroy();
        sim_assert!(
            jiffies() < begin + 100,
            "destroy does not wait for the timers"
        );
        sim_assert_eq!(reports().split_off(before), ["BH10"; 2]);
        sim_assert_eq!([one, two, other].map(Work::runs), [1, 1, 0]);
        sim_assert_eq!([one, two, other].map(Work::pending), [false, false, true]);
        sim_assert!(other.cancel_delayed_sync());
        [one, two, other].into_iter().for_each(Work::free);
    });
}

/// BH10 with one that arms itself again in every run: it runs once more, what it arms then is refused
/// (BH02), and the destroy comes to an end.
#[test]
fn bh10_destroying_a_queue_with_a_delayed_work_that_arms_itself() {
    misuse(&["BH10", "BH02"], |_| {
        let wq = Wq::bound();
        let last = Arc::new(AtomicU32::new(1));
        let accepted = Arc::clone(&last);
        let work = Work::new(move |work, _| {
            accepted.store(u32::from(work.queue_delayed(wq, 300)), SeqCst);
        });
        sim_assert!(work.queue_delayed(wq, 1));
        work.wait_begun(1);
        wait_until(|| work.pending());
        wq.destroy();
        sim_assert_eq!((work.runs(), work.pending()), (2, false));
        sim_assert_eq!(last.load(SeqCst), 0);
        work.free();
    });
}

/// BH02 and BH10 at once: somebody outside is in the middle of arming a delayed work for a queue when its
/// destroy begins. Either it is refused, or it was in time and runs before the destroy has returned.
#[test]
fn bh10_arming_while_the_destroy_begins() {
    for rule in [SelfReentrant, NonReentrant] {
        world::seeds(0..500, |seed| {
            let run = machine(seed).run(move || {
                let rig = Rig::new(rule);
                rig.allow(&["BH02", "BH10"]);
                let wq = Wq::bound();
                let work = Work::counting();
                let started = Arc::new(AtomicU32::new(0));
                let armed = Arc::new(AtomicU32::new(0));
                let (begin, result) = (Arc::clone(&started), Arc::clone(&armed));
                let outside = world::spawn("outside", Some(1), move || {
                    // At DISPATCH_LEVEL, so that the queue cannot be gone before the call is over.
                    world::at_dispatch(|| {
                        begin.store(1, SeqCst);
                        let accepted = work.queue_delayed(wq, 400);
                        result.store(u32::from(accepted), SeqCst);
                    });
                });
                while started.load(SeqCst) == 0 {
                    kmdf_mock::sync::preempt();
                }
                wq.destroy();
                outside.join();
                sim_assert_eq!((work.runs(), work.pending()), (armed.load(SeqCst), false));
                world::sleep_100ns(500 * u64::from(support::TICK_100NS));
                sim_assert_eq!(work.runs(), armed.load(SeqCst));
                work.free();
                rig.finish();
            });
            if let Err(failure) = run {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

/// BH11: a tasklet that is scheduled and disabled at detach does not run; its memory can be freed.
#[test]
fn bh11_detaching_with_a_disabled_tasklet() {
    misuse(&["BH11"], |rig| {
        let tasklets = [0; 2].map(|_| Tasklet::counting());
        for tasklet in tasklets {
            tasklet.disable();
            tasklet.schedule();
        }
        rig.detach();
        sim_assert_eq!(tasklets.map(Tasklet::runs), [0; 2]);
        for tasklet in tasklets {
            tasklet.kill();
            tasklet.free();
        }
    });
}

/// BH12: `max_active` outside 1 to 512 is clamped to the nearest of these, and said; zero is no mistake.
#[test]
fn bh12_max_active_out_of_range() {
    misuse(&["BH12"], |_| {
        let most = |max_active: i32, code: &[&str]| {
            let wq = reporting_queue(code, "alloc_workqueue", "Q", || {
                Wq::with(WQ_UNBOUND, max_active)
            });
            let gate = Gate::new();
            let works = [0; 3].map(|_| Work::gated(&gate));
            works.iter().for_each(|work| sim_assert!(work.queue(wq)));
            world::settle();
            let inside: u32 = works.iter().map(|work| work.seen().inside()).sum();
            gate.open();
            wq.destroy();
            works.into_iter().for_each(Work::free);
            inside
        };
        sim_assert_eq!(most(-1, &["BH12"]), 1);
        sim_assert_eq!(most(i32::MIN, &["BH12"]), 1);
        sim_assert_eq!(most(513, &["BH12"]), 3);
        sim_assert_eq!(most(i32::MAX, &["BH12"]), 3);
        sim_assert_eq!(most(0, &[]), 3);
        sim_assert_eq!(most(512, &[]), 3);
        sim_assert_eq!(most(1, &[]), 1);
    });
}

/// BH13: a queue that nobody has destroyed is destroyed by detach, after its works have run.
#[test]
fn bh13_detaching_with_a_queue_that_is_there() {
    misuse(&["BH13"], |rig| {
        let queues = [Wq::bound(), Wq::ordered()];
        let gate = Gate::new();
        let works = queues.map(|wq| {
            let work = Work::gated(&gate);
            sim_assert!(work.queue(wq));
            work
        });
        gate.open();
        rig.detach();
        sim_assert_eq!(reports(), ["BH13"; 2]);
        sim_assert_eq!(works.map(Work::runs), [1; 2]);
        works.into_iter().for_each(Work::free);
    });
}

/// Control: a driver that makes no mistake reports nothing, with the same items and calls.
#[test]
fn no_mistake_no_diagnostic() {
    misuse(&[], |_| {
        let wq = Wq::with(0, 2);
        let (tasklet, work, delayed) = (Tasklet::counting(), Work::counting(), Work::counting());
        tasklet.disable();
        tasklet.schedule();
        tasklet.enable();
        sim_assert!(work.queue(wq) && delayed.queue_delayed(wq, 50));
        tasklet.kill();
        work.flush();
        sim_assert!(delayed.cancel_delayed_sync());
        wq.flush();
        wq.destroy();
        sim_assert_eq!((tasklet.runs(), work.runs(), delayed.runs()), (1, 1, 0));
        tasklet.free();
        work.free();
        delayed.free();
    });
}

/// BH15: a workqueue made at DISPATCH_LEVEL, or in an interrupt, is not made; memory is not touched.
#[test]
fn bh15_a_workqueue_made_too_high() {
    misuse(&["BH15"], |_| {
        sim_assert!(world::at_dispatch(Wq::bound).0.is_null());
        let isr = world::Interrupt::connect("maker", 9, || sim_assert!(Wq::ordered().0.is_null()));
        isr.raise(0);
        world::settle();
        sim_assert!(isr.is_idle());
    });
}
