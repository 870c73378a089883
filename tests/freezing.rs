//! Queues that stand still between `Attachment::freeze` and `thaw`, as WQ_FREEZABLE ones do in Linux's suspend.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, attach};
use kmdf_mock::world::{self, Driver, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{
    NonReentrant, SEEDS, Trace, Work, Wq, machine, reports, rows, rows_with, sleep_jiffies,
    still_waits,
};

/// A bound, an unbound, and an ordered freezable queue.
fn freezable() -> [Wq; 3] {
    [
        Wq::with(WQ_FREEZABLE, 0),
        Wq::with(WQ_FREEZABLE | WQ_UNBOUND, 2),
        Wq(alloc_ordered_workqueue(c"O", WQ_FREEZABLE)),
    ]
}

fn freezer(attachment: &Arc<Attachment>) -> world::Thread {
    let attachment = Arc::clone(attachment);
    world::spawn("suspend", None, move || attachment.freeze())
}

/// ATTACH-7, ATTACH-8: a frozen queue takes works and starts none; thawed it runs all of them, an ordered one in order. Queues
/// without the flag go on.
#[test]
fn a_frozen_queue_holds_its_works_until_it_is_thawed() {
    rows(|rig| {
        for wq in freezable() {
            let trace = Trace::default();
            let works: Vec<Work> = "ABCD"
                .chars()
                .map(|letter| {
                    let trace = trace.clone();
                    Work::new(move |_, _| trace.add(letter))
                })
                .collect();
            let other = Work::counting();
            rig.attachment().freeze();
            for work in &works {
                sim_assert!(work.queue(wq));
                sim_assert!(!work.queue(wq), "it is pending");
            }
            sim_assert!(other.schedule());
            other.flush();
            sleep_jiffies(10);
            world::settle();
            sim_assert_eq!(trace.get(), "");
            sim_assert!(works.iter().all(|work| work.pending()));
            rig.attachment().thaw();
            wq.flush();
            sim_assert_eq!(trace.get().len(), 4);
            wq.destroy();
            other.free();
            works.into_iter().for_each(Work::free);
        }
        let ordered = Wq(alloc_ordered_workqueue(c"O", WQ_FREEZABLE));
        let trace = Trace::default();
        let [a, b] = ['A', 'B'].map(|letter| {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add(letter))
        });
        rig.attachment().freeze();
        a.queue(ordered);
        b.queue(ordered);
        rig.attachment().thaw();
        ordered.destroy();
        sim_assert_eq!(trace.get(), "AB");
        a.free();
        b.free();
    });
}

/// ATTACH-7: `freeze` returns when the works that run have ended, not before. What is queued meanwhile does not start, not
/// even in the place of one that ends.
#[test]
fn freeze_waits_for_the_works_that_run() {
    rows(|rig| {
        for wq in freezable() {
            let gates = [Gate::new(), Gate::new()];
            let [first, second] = [0, 1].map(|index: usize| Work::gated(&gates[index]));
            let later = Work::counting();
            first.queue(wq);
            first.wait_begun(1);
            second.queue(wq);
            world::settle();
            let frozen = freezer(&rig.attachment());
            still_waits(&frozen);
            sim_assert!(later.queue(wq));
            gates[0].open();
            world::settle();
            // An ordered queue has not started the second one.
            sim_assert_eq!(frozen.is_finished(), second.runs() == 0);
            gates[1].open();
            frozen.join();
            sim_assert_eq!((first.seen().inside(), second.seen().inside()), (0, 0));
            sim_assert_eq!(later.runs(), 0);
            rig.attachment().thaw();
            wq.destroy();
            sim_assert_eq!(second.runs() + later.runs(), 2);
            [first, second, later].into_iter().for_each(Work::free);
        }
    });
}

/// ATTACH-7, ATTACH-8: freezes count: the works start with the last thaw, over all attaches of the image. A second freeze waits for
/// what runs, too.
#[test]
fn freezes_are_counted_over_all_attaches() {
    for rule in [support::SelfReentrant, NonReentrant] {
        world::seeds(0..SEEDS, |seed| {
            let run = machine(seed).run(move || {
                let driver = Driver::load();
                let host = Host::Driver(driver.handle().cast());
                // SAFETY: the driver stays until it is unloaded below.
                let both = [(); 2].map(|()| unsafe { attach(host, &Config::new(rule)).unwrap() });
                let [one, two] = both.map(Arc::new);
                let wq = Wq::with(WQ_FREEZABLE, 0);
                let gate = Gate::new();
                let (running, held) = (Work::gated(&gate), Work::counting());
                running.queue(wq);
                running.wait_begun(1);
                let threads = [freezer(&one), freezer(&two), freezer(&two)];
                world::settle();
                sim_assert!(threads.iter().all(|thread| !thread.is_finished()));
                gate.open();
                threads.into_iter().for_each(world::Thread::join);
                held.queue(wq);
                one.thaw();
                two.thaw();
                world::settle();
                sim_assert_eq!(held.runs(), 0);
                // The last freeze goes with the attach that made it.
                drop(two);
                held.flush();
                sim_assert_eq!(held.runs(), 1);
                wq.destroy();
                drop(one);
                driver.unload();
                running.free();
                held.free();
                sim_assert!(reports().is_empty());
            });
            if let Err(failure) = run {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

/// A thaw wakes a freeze that still waits: it has nothing to wait for any more.
#[test]
fn a_thaw_ends_a_freeze_that_waits() {
    rows(|rig| {
        let wq = Wq::with(WQ_FREEZABLE, 1);
        let gate = Gate::new();
        let (running, held) = (Work::gated(&gate), Work::counting());
        running.queue(wq);
        running.wait_begun(1);
        held.queue(wq);
        let frozen = freezer(&rig.attachment());
        still_waits(&frozen);
        rig.attachment().thaw();
        frozen.join();
        gate.open();
        wq.destroy();
        sim_assert_eq!(held.runs(), 1);
        running.free();
        held.free();
    });
}

/// While a queue is frozen a cancel takes a work back at once, a flush of the work or of the queue waits for the
/// thaw, and a work can be queued again.
#[test]
fn cancel_goes_on_and_flush_waits_for_the_thaw() {
    rows(|rig| {
        for wq in freezable() {
            let works = [(); 3].map(|()| Work::counting());
            rig.attachment().freeze();
            works.iter().for_each(|work| sim_assert!(work.queue(wq)));
            sim_assert!(works[0].cancel_sync());
            // SAFETY: the item is alive.
            sim_assert!(unsafe { cancel_work(works[1].work()) });
            sim_assert!(works[1].queue(wq));
            let queue = world::spawn("flush", None, move || wq.flush());
            let work = world::spawn("flush_work", None, move || sim_assert!(works[2].flush()));
            still_waits(&queue);
            still_waits(&work);
            sim_assert!(works[1].cancel_sync());
            still_waits(&queue);
            rig.attachment().thaw();
            work.join();
            queue.join();
            sim_assert_eq!(works.map(Work::runs), [0, 0, 1]);
            wq.destroy();
            works.into_iter().for_each(Work::free);
        }
    });
}

/// A delayed work that comes due while its queue is frozen is queued, and runs after the thaw; one that is armed
/// meanwhile, too; one that is flushed waits; one that is cancelled does not run.
#[test]
fn delayed_works_that_come_due_wait_for_the_thaw() {
    rows(|rig| {
        for wq in freezable() {
            let works = [(); 4].map(|()| Work::counting());
            sim_assert!(works[0].queue_delayed(wq, 3));
            sim_assert!(works[3].queue_delayed(wq, 3));
            rig.attachment().freeze();
            sim_assert!(works[1].queue_delayed(wq, 2));
            sim_assert!(works[2].queue_delayed(wq, 1000));
            sleep_jiffies(20);
            sim_assert!(works.iter().all(|work| work.pending()));
            let flush = world::spawn("flush", None, move || {
                works[2].flush_delayed();
            });
            still_waits(&flush);
            sim_assert!(works[3].cancel_delayed());
            sim_assert_eq!(works.map(Work::runs), [0; 4]);
            rig.attachment().thaw();
            flush.join();
            wq.destroy();
            sim_assert_eq!(works.map(Work::runs), [1, 1, 1, 0]);
            works.into_iter().for_each(Work::free);
        }
    });
}

/// ATTACH-7: a queue that is made while the image is frozen is frozen, if it is freezable.
#[test]
fn a_queue_made_while_frozen_is_frozen() {
    rows(|rig| {
        rig.attachment().freeze();
        let work = Work::counting();
        for wq in freezable() {
            let before = work.runs();
            sim_assert!(work.queue(wq));
            world::settle();
            sim_assert_eq!(work.runs(), before);
            wq.destroy();
            sim_assert_eq!(work.runs(), before + 1);
        }
        let plain = Wq::bound();
        work.queue(plain);
        work.flush();
        plain.destroy();
        rig.attachment().thaw();
        work.free();
    });
}

/// A queue that is destroyed while it is frozen runs what is pending, armed works included (BH10): a removal in
/// suspend must not hang.
#[test]
fn destroy_thaws_the_queue() {
    rows(|rig| {
        rig.expect(&["BH10"]);
        for wq in freezable() {
            let other = Wq::with(WQ_FREEZABLE, 0);
            let (works, held) = ([(); 3].map(|()| Work::counting()), Work::counting());
            rig.attachment().freeze();
            works[0].queue(wq);
            works[1].queue_delayed(wq, 2);
            works[2].queue_delayed(wq, 100_000);
            held.queue(other);
            sleep_jiffies(5);
            wq.destroy();
            sim_assert_eq!(works.map(Work::runs), [1; 3]);
            sim_assert_eq!(held.runs(), 0, "other queues stay frozen");
            rig.attachment().thaw();
            other.destroy();
            sim_assert_eq!(held.runs(), 1);
            works.into_iter().for_each(Work::free);
            held.free();
        }
    });
}

/// Destroying a queue whose works run while a freeze waits for them ends that freeze as far as this queue goes.
#[test]
fn destroy_ends_a_freeze_that_waits_for_the_queue() {
    rows(|rig| {
        let wq = Wq::with(WQ_FREEZABLE, 0);
        let gate = Gate::new();
        let work = Work::gated(&gate);
        work.queue(wq);
        work.wait_begun(1);
        let frozen = freezer(&rig.attachment());
        still_waits(&frozen);
        let destroy = world::spawn("destroy", None, move || wq.destroy());
        frozen.join();
        still_waits(&destroy);
        gate.open();
        destroy.join();
        rig.attachment().thaw();
        work.free();
    });
}

/// ATTACH-8: a detach while frozen thaws what the attach has frozen, and runs everything.
#[test]
fn detach_thaws_and_runs_everything() {
    rows(|rig| {
        rig.expect(&["BH10", "BH13"]);
        let wq = Wq::with(WQ_FREEZABLE, 1);
        let works = [(); 3].map(|()| Work::counting());
        rig.attachment().freeze();
        rig.attachment().freeze();
        works[0].queue(wq);
        works[1].queue(wq);
        works[2].queue_delayed(wq, 100_000);
        world::settle();
        rig.detach();
        sim_assert_eq!(works.map(Work::runs), [1; 3]);
        works.into_iter().for_each(Work::free);
    });
}

/// With NonReentrant a twin that is held on a freezable queue, behind a run
/// on another queue, counts as running: a freeze waits for it.
#[test]
fn freeze_waits_for_a_held_twin() {
    rows_with(NonReentrant, SEEDS, |rig| {
        let (plain, wq) = (Wq::bound(), Wq::with(WQ_FREEZABLE, 0));
        let gate = Gate::new();
        let work = Work::gated(&gate);
        work.queue(plain);
        work.wait_begun(1);
        work.queue(wq);
        world::settle();
        let frozen = freezer(&rig.attachment());
        still_waits(&frozen);
        gate.open();
        frozen.join();
        sim_assert_eq!(work.seen().ended(), 2);
        rig.attachment().thaw();
        plain.destroy();
        wq.destroy();
        work.free();
    });
}

/// ATTACH-7, BH07, BH06, BH30: a freeze from a work of a freezable queue, and one at DISPATCH_LEVEL, freezes and does not
/// wait; a thaw too many does nothing.
#[test]
fn misuse_of_freeze_is_answered() {
    rows(|rig| {
        rig.expect(&["BH07", "BH06", "BH30"]);
        let wq = Wq::with(WQ_FREEZABLE, 0);
        let work = Work::new({
            let attachment = rig.attachment();
            move |_, run| {
                if run == 1 {
                    attachment.freeze();
                    sim_assert_eq!(reports(), ["BH07"]);
                }
            }
        });
        work.queue(wq);
        work.flush();
        sim_assert!(work.queue(wq));
        world::settle();
        sim_assert_eq!(work.runs(), 1);
        world::at_dispatch(|| rig.attachment().freeze());
        sim_assert_eq!(reports(), ["BH07", "BH06"]);
        rig.attachment().thaw();
        world::settle();
        sim_assert_eq!(work.runs(), 1);
        world::at_dispatch(|| rig.attachment().thaw());
        work.flush();
        sim_assert_eq!(work.runs(), 2);
        rig.attachment().thaw();
        sim_assert_eq!(reports(), ["BH07", "BH06", "BH30"]);
        work.queue(wq);
        work.flush();
        sim_assert_eq!(work.runs(), 3, "still not frozen, and not thawed twice");
        wq.destroy();
        work.free();
    });
}

/// Storms: threads queue, arm and cancel while one freezes and thaws and one makes and destroys queues. Between the
/// end of a freeze and its thaw nothing of the queue that stays begins or runs, and nothing is lost.
#[test]
fn storms_of_freeze_and_thaw() {
    rows(|rig| {
        rig.allow(&["BH10"]);
        let wq = Wq::with(WQ_FREEZABLE, 2);
        let (still, inside) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let works: Vec<Work> = (0..4)
            .map(|_| {
                let (still, inside) = (Arc::clone(&still), Arc::clone(&inside));
                Work::new(move |_, _| {
                    inside.fetch_add(1, SeqCst);
                    sim_assert!(!still.load(SeqCst), "a work of a frozen queue begins");
                    kmdf_mock::sync::preempt();
                    inside.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        let balance = Arc::new(AtomicU32::new(0));
        let mut threads: Vec<_> = (0..2)
            .map(|_| {
                let (works, balance) = (works.clone(), Arc::clone(&balance));
                world::spawn("queues", None, move || {
                    for _ in 0..15 {
                        let work = works[world::choose(4) as usize];
                        let (more, fewer) = match world::choose(6) {
                            0 => (false, work.cancel_sync()),
                            1 => (work.queue_delayed(wq, 1), false),
                            2 => (false, work.cancel_delayed()),
                            _ => (work.queue(wq), false),
                        };
                        balance.fetch_add(u32::from(more), SeqCst);
                        balance.fetch_sub(u32::from(fewer), SeqCst);
                    }
                })
            })
            .collect();
        let attachment = rig.attachment();
        threads.push(world::spawn("suspends", None, move || {
            for _ in 0..8 {
                attachment.freeze();
                sim_assert_eq!(inside.load(SeqCst), 0);
                still.store(true, SeqCst);
                sleep_jiffies(u64::from(world::choose(2)));
                still.store(false, SeqCst);
                attachment.thaw();
            }
        }));
        threads.push(world::spawn("ends queues", None, move || {
            for _ in 0..5 {
                let wq = Wq::with(WQ_FREEZABLE, 1);
                let work = Work::counting();
                let queued = u32::from(work.queue(wq));
                wq.destroy();
                sim_assert_eq!(work.runs(), queued);
                work.free();
            }
        }));
        threads.into_iter().for_each(world::Thread::join);
        for work in &works {
            work.flush_delayed();
        }
        wq.destroy();
        let runs: u32 = works.iter().map(|work| work.runs()).sum();
        sim_assert_eq!(runs, balance.load(SeqCst));
        works.into_iter().for_each(Work::free);
    });
}
