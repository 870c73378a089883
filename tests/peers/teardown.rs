//! The end of a queue and of a driver.

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Work, Wq, sleep_jiffies};
use super::{
    Calls, LINUX, any_queue, blocked, convicts, each, give_way, holds, racing, rows, start,
};

/// B-05: a queue is made, used and destroyed a thousand times over all seeds, with works still on their way
/// to it; a queueing after that has an answer, and no function is called any more.
#[test]
fn b05_queues_come_and_go_under_their_works() {
    fn scenario(rig: &Rig, calls: Calls) {
        rig.allow(&["BH02"]);
        let work = Work::new(|_, _| give_way(5));
        for _ in 0..10 {
            let wq = any_queue();
            let producer = start("producer", move || {
                // At DISPATCH_LEVEL the queue cannot be gone before the call is over.
                world::at_dispatch(|| u32::from(work.queue(wq)))
            });
            give_way(20);
            let accepted = producer.join();
            (calls.destroy)(wq);
            let runs = work.seen().ended();
            sim_assert_eq!((accepted, work.pending()), (1, false), "over at the end");
            sim_assert_eq!(work.runs(), runs, "over at the end");
        }
        sim_assert_eq!(work.runs(), 10);
        work.free();
    }
    holds(racing, 50, scenario);
    convicts(
        racing,
        scenario,
        Calls {
            destroy: |_| {},
            ..LINUX
        },
        "over at the end",
    );
}

/// B-06: any number of flushes of a queue at once return: each is woken, not just one of them.
#[test]
fn b06_every_flush_of_a_queue_is_woken() {
    fn scenario(_: &Rig, calls: Calls) {
        let (wq, gate) = (Wq::bound(), Gate::new());
        let work = Work::gated(&gate);
        super::run_first(work, wq);
        let flushes: Vec<_> = (0..6)
            .map(|_| {
                blocked("flush_workqueue", move || {
                    (calls.flush_queue)(wq);
                    work.seen().inside()
                })
            })
            .collect();
        gate.open();
        flushes
            .into_iter()
            .for_each(|flush| sim_assert_eq!(flush.join(), 0));
        wq.destroy();
        work.free();
    }
    holds(racing, 30, scenario);
    convicts(
        racing,
        scenario,
        Calls {
            flush_queue: |_| {},
            ..LINUX
        },
        "returns early",
    );
}

/// B-14: what is pending when a queue is destroyed runs: a hundred works, some of them held back, also if the
/// queue is frozen.
#[test]
fn b14_destroy_runs_what_is_pending() {
    fn scenario(rig: &Rig, calls: Calls) {
        let frozen = world::choose(2) == 0;
        let wq = Wq::with(WQ_FREEZABLE, 2);
        if frozen {
            rig.attachment().freeze();
        }
        let works: Vec<_> = (0..100).map(|_| Work::counting()).collect();
        works.iter().for_each(|work| sim_assert!(work.queue(wq)));
        (calls.destroy)(wq);
        let ended = works.iter().filter(|work| work.seen().ended() == 1).count();
        sim_assert_eq!(ended, 100, "works that ran");
        if frozen {
            rig.attachment().thaw();
        }
        works.into_iter().for_each(Work::free);
    }
    holds(racing, 20, scenario);
    convicts(
        racing,
        scenario,
        Calls {
            destroy: |_| {},
            ..LINUX
        },
        "works that ran",
    );
}

/// B-19: after detach and unload no timer is armed: time passes, and nothing fires.
#[test]
fn b19_nothing_fires_after_unload() {
    rows(racing, 40, |rig| {
        rig.allow(&["BH03", "BH10"]);
        let again = Work::new(|work, _| {
            work.schedule_delayed(1);
        });
        let later = Work::counting();
        sim_assert!(again.schedule_delayed(1) && later.schedule_delayed(50));
        sleep_jiffies(2);
        give_way(60);
        rig.detach();
        let (runs, fired) = ([again.runs(), later.runs()], world::counters());
        sim_assert_eq!(runs[1], 1);
        sim_assert!(!again.schedule_delayed(1), "nothing is armed any more");
        sleep_jiffies(200);
        let now = world::counters();
        sim_assert_eq!([again.runs(), later.runs()], runs);
        sim_assert_eq!(now.timer_callbacks, fired.timer_callbacks);
        sim_assert_eq!(now.timer_expiries, fired.timer_expiries);
        each([again, later], Work::free);
    });
}

/// B-16: works that queue themselves, on queues that nobody has destroyed, do not keep a driver from being
/// unloaded: the end comes within a few milliseconds.
#[test]
fn b16_unload_ends_works_that_queue_themselves() {
    rows(racing, 60, |rig| {
        rig.allow(&["BH02", "BH03", "BH10", "BH13"]);
        let queues = [any_queue(), any_queue(), Wq::system()];
        let works = queues.map(|wq| {
            Work::new(move |work, run| {
                work.queue_delayed(wq, u64::from(run % 2));
                give_way(5);
            })
        });
        for (work, wq) in works.into_iter().zip(queues) {
            super::run_first(work, wq);
        }
        give_way(200);
        if world::choose(2) == 0 {
            // A suspended device can be removed.
            rig.attachment().freeze();
        }
        let begin = jiffies();
        rig.detach();
        sim_assert!(
            jiffies() <= begin + 2,
            "the end takes {} jiffies",
            jiffies() - begin
        );
        let runs = works.map(Work::runs);
        sleep_jiffies(10);
        sim_assert_eq!(works.map(Work::runs), runs);
        each(works, Work::free);
    });
}
