//! Removal: everything that a driver has under way, taken away at any moment.
//!
//! All items are in tracked memory and are freed as soon as the calls promise that they can be: a later
//! touch fails the run, and so does a function that is called after its detach has returned.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, WorkReentrance, attach};
use kmdf_mock::world::{self, Driver, Gate, Interrupt, Preemption, Sim, Thread};
use kmdf_mock::{WDFDEVICE, sim_assert, sim_assert_eq};
use support::{
    NonReentrant, Rig, SelfReentrant, Tasklet, Work, Wq, machine, reports, rows, spin_until,
    wait_until,
};

/// Seeds of a storm, for each rule.
const STORMS: u64 = 300;

/// Switches at every point, now and then, or seldom, on one to four CPUs, as the seed has it.
fn stormy(seed: u64) -> Sim {
    let cpus = [4, 2, 1, 4][(seed / 3 % 4) as usize];
    pinnable(seed).cpus(cpus)
}

/// The same with four CPUs, for scenarios that name them.
fn pinnable(seed: u64) -> Sim {
    let preemption = match seed % 3 {
        0 => Preemption::Always,
        1 => Preemption::Often,
        _ => Preemption::Seldom,
    };
    machine(seed).preemption(preemption)
}

/// Runs `scenario` with both rules, for `seeds` seeds each; nothing is attached.
fn storms(seeds: u64, scenario: fn(WorkReentrance)) {
    storms_on(stormy, seeds, scenario);
}

fn storms_on(machine: fn(u64) -> Sim, seeds: u64, scenario: fn(WorkReentrance)) {
    for rule in [SelfReentrant, NonReentrant] {
        world::seeds(0..seeds, |seed| {
            if let Err(failure) = machine(seed).run(move || scenario(rule)) {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

fn attached(driver: &Driver, rule: WorkReentrance) -> Attachment {
    let host = Host::Driver(driver.handle().cast());
    // SAFETY: every scenario keeps its driver loaded until it has detached.
    unsafe { attach(host, &Config::new(rule)) }.expect("a fresh machine has the resources")
}

/// Accepted, run and cancelled, as the driver sees it.
#[derive(Default)]
struct Ledger {
    accepted: AtomicU32,
    cancelled: AtomicU32,
    /// Set when the items may be freed: from then on no function may be called.
    gone: AtomicBool,
}

impl Ledger {
    fn accept(&self, accepted: bool) {
        self.accepted.fetch_add(u32::from(accepted), SeqCst);
    }
    fn cancel(&self, cancelled: bool) {
        self.cancelled.fetch_add(u32::from(cancelled), SeqCst);
    }
    fn check_alive(&self) {
        sim_assert!(
            !self.gone.load(SeqCst),
            "a function is called after removal"
        );
    }
}

/// An adapter of a driver: a device, its items, its interrupt, and a thread that keeps queueing.
struct Adapter {
    device: WDFDEVICE,
    ledger: Arc<Ledger>,
    tasklet: Tasklet,
    work: Work,
    delayed: Work,
    /// Only for `mod_delayed_work`, whose `false` does not say whether it was accepted.
    modified: Work,
    wq: Wq,
    line: Arc<Interrupt>,
    stop: Arc<AtomicBool>,
    producer: Thread,
}

/// A work that queues itself again, on `wq` and two times in three, until `stop` is set or it is refused.
fn requeueing(ledger: &Arc<Ledger>, stop: &Arc<AtomicBool>, wq: Wq, delay: u64) -> Work {
    let (ledger, stop) = (Arc::clone(ledger), Arc::clone(stop));
    Work::new(move |work, _| {
        ledger.check_alive();
        if !stop.load(SeqCst) && world::choose(3) > 0 {
            ledger.accept(work.queue_delayed(wq, delay));
        }
        kmdf_mock::sync::preempt();
        ledger.check_alive();
    })
}

/// A tasklet that schedules `work`, and two times in three itself.
fn rescheduling(ledger: &Arc<Ledger>, stop: &Arc<AtomicBool>, work: Work, wq: Wq) -> Tasklet {
    let (ledger, stop) = (Arc::clone(ledger), Arc::clone(stop));
    Tasklet::new(move |tasklet, _| {
        ledger.check_alive();
        ledger.accept(work.queue(wq));
        if !stop.load(SeqCst) && world::choose(3) > 0 {
            tasklet.schedule();
        }
        kmdf_mock::sync::preempt();
        ledger.check_alive();
    })
}

impl Adapter {
    /// Adds a device to `driver`, with everything; the image is attached.
    fn new(driver: &Driver) -> Self {
        let device = driver.add_device();
        let (ledger, stop) = (Arc::default(), Arc::default());
        let wq = match world::choose(4) {
            0 => Wq::bound(),
            1 => Wq::ordered(),
            2 => Wq::with(WQ_UNBOUND, 3),
            _ => Wq::with(0, 1),
        };
        let work = requeueing(&ledger, &stop, wq, 0);
        let delayed = requeueing(&ledger, &stop, Wq::system(), 1);
        let modified = requeueing(&Arc::default(), &stop, wq, 1);
        let tasklet = rescheduling(&ledger, &stop, work, wq);
        let isr = Arc::clone(&ledger);
        let line = Interrupt::connect("adapter", 8, move || {
            isr.check_alive();
            tasklet.hi_schedule();
            isr.accept(delayed.queue_delayed(Wq::system(), 2));
        });
        let line = Arc::new(line);
        let producer = {
            let (ledger, stop) = (Arc::clone(&ledger), Arc::clone(&stop));
            let line = Arc::clone(&line);
            world::spawn("producer", None, move || {
                while !stop.load(SeqCst) {
                    produce(&ledger, &line, tasklet, [work, delayed, modified], wq);
                }
            })
        };
        Self {
            device,
            ledger,
            tasklet,
            work,
            delayed,
            modified,
            wq,
            line,
            stop,
            producer,
        }
    }

    /// Ends everything that calls in from outside.
    fn stop_producing(&self) {
        self.stop.store(true, SeqCst);
        wait_until(|| self.producer.is_finished() && self.line.is_idle());
    }

    /// Frees the items; a function that is called from here on fails the run.
    fn free(self, driver: &Driver) {
        self.ledger.gone.store(true, SeqCst);
        let [work, delayed] = [self.work, self.delayed].map(Work::runs);
        let ledger = &self.ledger;
        sim_assert_eq!(
            ledger.accepted.load(SeqCst),
            work + delayed + ledger.cancelled.load(SeqCst),
            "accepted = run + cancelled"
        );
        for item in [self.work, self.delayed, self.modified] {
            sim_assert!(!item.pending());
            item.free();
        }
        sim_assert_eq!(self.tasklet.state(), 0);
        self.tasklet.free();
        driver.remove_device(self.device);
    }

    /// What a careful driver does in its remove callback.
    fn remove(self, driver: &Driver, attachment: Attachment) {
        self.stop_producing();
        self.tasklet.kill();
        self.ledger.cancel(self.delayed.cancel_delayed_sync());
        self.ledger.cancel(self.work.cancel_sync());
        self.modified.cancel_delayed_sync();
        self.wq.destroy();
        attachment.detach();
        self.free(driver);
    }
}

/// How many CPUs the machine has.
fn active_cpus() -> u32 {
    let all_groups = u16::MAX;
    // SAFETY: the call has no requirement.
    unsafe { kmdf_mock::ntddk::KeQueryActiveProcessorCountEx(all_groups) }
}

/// One step of a producer.
fn produce(ledger: &Ledger, line: &Interrupt, tasklet: Tasklet, works: [Work; 3], wq: Wq) {
    let [work, delayed, modified] = works;
    match world::choose(8) {
        0 => line.raise(world::choose(active_cpus())),
        1 => tasklet.schedule(),
        2 => ledger.accept(work.queue(wq)),
        3 => ledger.accept(delayed.queue_delayed(Wq::system(), u64::from(world::choose(3)))),
        4 => ledger.cancel(delayed.cancel_delayed()),
        5 => ledger.cancel(work.cancel_delayed()),
        6 => {
            modified.modify(wq, u64::from(world::choose(3)));
        }
        _ => world::sleep_100ns(u64::from(world::choose(3 * support::TICK_100NS))),
    }
}

/// Lets a seed-chosen time pass.
fn a_while() {
    for _ in 0..world::choose(400) {
        kmdf_mock::sync::preempt();
    }
    world::sleep_100ns(u64::from(world::choose(4 * support::TICK_100NS)));
}

/// Only these codes were reported.
fn only(codes: &[&str]) {
    for code in reports() {
        sim_assert!(codes.contains(&code.as_str()), "unexpected {code}");
    }
}

/// ATTACH-4, H-34, O-17: the storm. One to three adapters are at work when all attaches are taken back, each by a
/// thread of its own, at a moment that the seed picks, with nothing stopped before. When the last detach
/// has returned nothing runs any more, everything that was accepted has run or was cancelled, what comes
/// later is refused, and memory, devices and driver can go (B-17, B-18).
#[test]
fn a_storm_ends_when_the_last_detach_returns() {
    storms(STORMS, |rule| {
        let driver = Driver::load();
        let count = 1 + world::choose(3);
        let attachments: Vec<Attachment> = (0..count).map(|_| attached(&driver, rule)).collect();
        let adapters: Vec<Adapter> = (0..count).map(|_| Adapter::new(&driver)).collect();
        a_while();
        let detaching: Vec<Thread> = attachments
            .into_iter()
            .map(|attachment| world::spawn("remove", None, move || attachment.detach()))
            .collect();
        detaching.into_iter().for_each(Thread::join);
        let runs_of = |adapter: &Adapter| {
            let works = [adapter.work, adapter.delayed, adapter.modified];
            adapter.tasklet.runs() + works.map(Work::runs).iter().sum::<u32>()
        };
        let before: Vec<u32> = adapters.iter().map(runs_of).collect();
        a_while();
        adapters.iter().for_each(Adapter::stop_producing);
        sim_assert_eq!(before, adapters.iter().map(runs_of).collect::<Vec<_>>());
        adapters
            .into_iter()
            .for_each(|adapter| adapter.free(&driver));
        driver.unload();
        only(&["BH03", "BH10", "BH13"]);
    });
}

/// ATTACH-3: the orderly removal of design §10 F: two adapters of one driver go in either order, each with the calls
/// that Linux drivers make; the other one's work goes on meanwhile and after.
#[test]
fn two_adapters_are_removed_in_either_order() {
    storms(STORMS, |rule| {
        let driver = Driver::load();
        let mut adapters: Vec<(Adapter, Attachment)> = (0..2)
            .map(|_| {
                let attachment = attached(&driver, rule);
                (Adapter::new(&driver), attachment)
            })
            .collect();
        a_while();
        let (first, attachment) = adapters.swap_remove(world::choose(2) as usize);
        first.remove(&driver, attachment);
        let (second, attachment) = adapters.remove(0);
        let before = second.work.runs();
        wait_until(|| second.work.runs() > before);
        second.remove(&driver, attachment);
        driver.unload();
        only(&[]);
    });
}

/// O-17: a driver without PnP detaches in its unload callback; nothing runs after that has returned.
#[test]
fn a_driver_detaches_in_its_unload_callback() {
    storms(STORMS, |rule| {
        let driver = Driver::load_non_pnp();
        let attachment = attached(&driver, rule);
        let (ledger, stop): (Arc<Ledger>, Arc<AtomicBool>) = (Arc::default(), Arc::default());
        let work = requeueing(&ledger, &stop, Wq::system(), 0);
        let delayed = requeueing(&ledger, &stop, Wq::system(), 1);
        let tasklet = rescheduling(&ledger, &stop, work, Wq::system());
        tasklet.schedule();
        ledger.accept(delayed.queue_delayed(Wq::system(), 1));
        a_while();
        let after = Arc::clone(&ledger);
        driver.on_unload(move || {
            attachment.detach();
            after.gone.store(true, SeqCst);
        });
        driver.unload();
        let runs = work.runs() + delayed.runs();
        sim_assert_eq!(runs, ledger.accepted.load(SeqCst));
        sim_assert_eq!(tasklet.state(), 0);
        tasklet.free();
        work.free();
        delayed.free();
        only(&["BH03", "BH10"]);
    });
}

/// Detach waits for a work that blocks, on a queue of the driver's own and on `system_wq`.
#[test]
fn detach_waits_for_a_work_that_blocks() {
    storms(50, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let gate = Gate::new();
        let works = [Work::gated(&gate), Work::gated(&gate)];
        sim_assert!(works[0].schedule());
        sim_assert!(works[1].queue(Wq::ordered()));
        works.iter().for_each(|work| work.wait_begun(1));
        let detach = world::spawn("detach", None, move || attachment.detach());
        world::settle();
        sim_assert!(!detach.is_finished() && detach.is_blocked());
        gate.open();
        detach.join();
        for work in works {
            sim_assert_eq!((work.runs(), work.seen().inside()), (1, 0));
            work.free();
        }
        driver.unload();
        only(&["BH13"]);
    });
}

/// A work that queues itself again for ever is refused once detach has begun, so detach comes to an end;
/// and so does a delayed work that arms itself again.
#[test]
fn detach_ends_works_that_queue_themselves() {
    storms(100, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let work = Work::new(|work, _| {
            work.schedule();
        });
        let delayed = Work::new(|work, _| {
            work.queue_delayed(Wq::system(), 1);
        });
        sim_assert!(work.schedule() && delayed.queue_delayed(Wq::system(), 1));
        delayed.wait_begun(2);
        attachment.detach();
        let runs = [work.runs(), delayed.runs()];
        world::settle();
        sim_assert_eq!([work.runs(), delayed.runs()], runs);
        sim_assert!(
            reports().contains(&"BH03".to_owned()),
            "the last queueing is refused"
        );
        work.free();
        delayed.free();
        driver.unload();
        only(&["BH03", "BH10"]);
    });
}

/// BH10: delayed works that are armed at detach run once, then, and are reported, each by its own line;
/// their time has not come.
#[test]
fn delayed_works_that_are_armed_run_once_at_detach() {
    storms(50, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let delayed = [0; 3].map(|_| Work::counting());
        for (step, work) in delayed.iter().enumerate() {
            sim_assert!(work.queue_delayed(Wq::system(), 1000 + step as u64));
        }
        world::settle();
        sim_assert_eq!(delayed.map(Work::runs), [0; 3]);
        let begin = jiffies();
        attachment.detach();
        sim_assert!(
            jiffies() < begin + 100,
            "detach does not wait for the timers"
        );
        sim_assert_eq!(delayed.map(Work::runs), [1; 3]);
        sim_assert_eq!(reports(), ["BH10"; 3]);
        delayed.into_iter().for_each(Work::free);
        driver.unload();
    });
}

/// BH11: a tasklet that is disabled and scheduled at detach does not run and is reported; its memory is
/// the driver's again, and the calls that end its life return.
#[test]
fn a_disabled_tasklet_does_not_run_at_detach() {
    storms(50, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.schedule();
        attachment.detach();
        sim_assert_eq!(reports(), ["BH11"]);
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, TASKLET_STATE_SCHED));
        tasklet.enable();
        tasklet.kill();
        world::settle();
        sim_assert_eq!((tasklet.runs(), tasklet.state()), (0, 0));
        tasklet.free();
        driver.unload();
    });
}

/// Tasklets that are scheduled, running, or scheduled on one CPU while they run on another, when detach
/// begins: it waits for all of those runs, and reports none as left over.
#[test]
fn detach_waits_for_tasklets_wherever_they_are() {
    storms_on(pinnable, STORMS, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let open = Arc::new(AtomicU32::new(0));
        let flag = Arc::clone(&open);
        let running = Tasklet::new(move |_, run| {
            if run == 1 {
                spin_until(&flag);
            }
        });
        let starter = world::spawn("starter", Some(1), move || running.schedule());
        running.wait_begun(1);
        let waiting = [0; 3].map(|_| Tasklet::counting());
        world::run_on_cpu(2, || {
            running.schedule();
            waiting.iter().for_each(|tasklet| tasklet.schedule());
        });
        let opener = world::spawn("opener", Some(3), move || {
            a_while();
            open.store(1, SeqCst);
        });
        attachment.detach();
        let seen = running.seen();
        sim_assert_eq!((seen.runs(), seen.inside(), seen.most_inside()), (2, 0, 1));
        sim_assert_eq!(waiting.map(Tasklet::runs), [1; 3]);
        waiting.into_iter().chain([running]).for_each(|tasklet| {
            sim_assert_eq!(tasklet.state(), 0);
            tasklet.free();
        });
        starter.join();
        opener.join();
        driver.unload();
        only(&[]);
    });
}

/// A queue that one thread is destroying when another one detaches is destroyed once, and is no queue that
/// was left over.
#[test]
fn detach_waits_for_a_destroy_that_is_under_way() {
    storms(100, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.queue(wq));
        work.wait_begun(1);
        let destroy = world::spawn("destroy", None, move || wq.destroy());
        wait_until(|| destroy.is_blocked());
        let detach = world::spawn("detach", None, move || attachment.detach());
        wait_until(|| detach.is_blocked());
        gate.open();
        detach.join();
        destroy.join();
        work.free();
        driver.unload();
        only(&[]);
    });
}

/// Whoever waits in a flush or a kill while another thread detaches is let go before detach returns.
#[test]
fn detach_lets_waiters_go() {
    storms(50, |rule| {
        let driver = Driver::load();
        let attachment = attached(&driver, rule);
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(work.schedule());
        work.wait_begun(1);
        let waiters = [
            world::spawn("flush", None, move || {
                work.flush();
            }),
            world::spawn("cancel", None, move || {
                work.cancel_sync();
            }),
            world::spawn("queue", None, move || Wq::system().flush()),
        ];
        wait_until(|| waiters.iter().all(Thread::is_blocked));
        let detach = world::spawn("detach", None, move || attachment.detach());
        world::settle();
        sim_assert!(!detach.is_finished());
        gate.open();
        detach.join();
        waiters.into_iter().for_each(Thread::join);
        work.free();
        driver.unload();
        only(&[]);
    });
}

/// ATTACH-6: conservation while everything goes on, seen by the runtime's own counters: at rest,
/// `accepted = run + cancelled + pending`, and nothing is pending (the rig checks it at its end).
#[test]
fn counters_conserve_through_a_storm() {
    fn scenario(rig: &Rig) {
        let (ledger, stop): (Arc<Ledger>, Arc<AtomicBool>) = (Arc::default(), Arc::default());
        let wq = Wq::bound();
        let work = requeueing(&ledger, &stop, wq, 0);
        let delayed = requeueing(&ledger, &stop, wq, 1);
        let tasklet = rescheduling(&ledger, &stop, work, wq);
        let producers = [0, 1].map(|_| {
            let ledger = Arc::clone(&ledger);
            world::spawn("producer", None, move || {
                for _ in 0..12 {
                    tasklet.schedule();
                    ledger.accept(work.queue(wq));
                    ledger.accept(delayed.queue_delayed(wq, 1));
                    ledger.cancel(work.cancel_delayed());
                    ledger.cancel(delayed.cancel_delayed());
                }
            })
        });
        producers.into_iter().for_each(Thread::join);
        tasklet.kill();
        stop.store(true, SeqCst);
        wq.flush();
        ledger.cancel(delayed.cancel_delayed_sync());
        wq.destroy();
        let counts = bottomhalf::counters();
        let mine = ledger.accepted.load(SeqCst);
        let runs = work.runs() + delayed.runs();
        sim_assert_eq!(mine, runs + ledger.cancelled.load(SeqCst));
        sim_assert_eq!(counts.pending, 0);
        sim_assert_eq!(counts.run, u64::from(runs + tasklet.runs()));
        sim_assert_eq!(counts.cancelled, u64::from(ledger.cancelled.load(SeqCst)));
        sim_assert!(rig.reentrance == SelfReentrant || work.seen().most_inside() <= 1);
        tasklet.free();
        work.free();
        delayed.free();
    }
    rows(scenario);
}
