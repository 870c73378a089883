//! Attach and detach: hosts, counting, failures, and what is refused outside.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, Status, WorkReentrance, attach, counters};
use kmdf_mock::world::{self, Driver, Preemption, Sim};
use kmdf_mock::{WDFDEVICE, sim_assert, sim_assert_eq};
use support::{NonReentrant, SelfReentrant, Tasklet, Work, Wq, machine, reports};

/// Seeds of a test that has no race of its own.
const FEW: u64 = 20;
/// Seeds of a race.
const MANY: u64 = 300;

/// Runs `scenario` on machines of `seeds` seeds; nothing is attached.
fn worlds(seeds: u64, scenario: fn()) {
    on(machine, seeds, scenario);
}

fn on(machine: fn(u64) -> Sim, seeds: u64, scenario: fn()) {
    world::seeds(0..seeds, |seed| {
        if let Err(failure) = machine(seed).run(scenario) {
            panic!("{failure}");
        }
    });
}

/// Switches at every point, now and then, or seldom, on one to four CPUs, as the seed has it. With one CPU
/// a thread that is preempted stays so for long.
fn busy(seed: u64) -> Sim {
    let preemption = match seed % 3 {
        0 => Preemption::Always,
        1 => Preemption::Often,
        _ => Preemption::Seldom,
    };
    let cpus = [4, 1, 2, 1][(seed / 3 % 4) as usize];
    machine(seed).cpus(cpus).preemption(preemption)
}

fn try_attach(host: Host, rule: WorkReentrance) -> Result<Attachment, Status> {
    // SAFETY: every scenario keeps its driver loaded, and its devices, until it has detached.
    unsafe { attach(host, &Config::new(rule)) }
}

fn attached(host: Host) -> Attachment {
    try_attach(host, NonReentrant).expect("a fresh machine has the resources")
}

fn on_driver(driver: &Driver) -> Host {
    Host::Driver(driver.handle().cast())
}

fn on_device(device: WDFDEVICE) -> Host {
    Host::Device(device.cast())
}

/// One tasklet, one work and one delayed work are accepted and run.
fn works() {
    let (tasklet, work, delayed) = (Tasklet::counting(), Work::counting(), Work::counting());
    tasklet.schedule();
    sim_assert!(work.schedule());
    sim_assert!(delayed.queue_delayed(Wq::system(), 2));
    tasklet.kill();
    work.flush();
    delayed.flush_delayed();
    sim_assert_eq!((tasklet.runs(), work.runs(), delayed.runs()), (1, 1, 1));
    tasklet.free();
    for item in [work, delayed] {
        item.cancel_delayed_sync();
        item.free();
    }
}

/// Everything that makes something pending is refused and reported (BH03), and leaves the item as it was.
fn refuses() {
    let before = reports().len();
    let (tasklet, work) = (Tasklet::counting(), Work::counting());
    tasklet.schedule();
    tasklet.hi_schedule();
    sim_assert_eq!(work.schedule(), false);
    sim_assert_eq!(work.queue_delayed(Wq::system(), 3), false);
    sim_assert_eq!(work.queue_delayed(Wq::system(), 0), false);
    sim_assert_eq!(work.modify(Wq::system(), 3), false);
    sim_assert!(alloc_workqueue(c"Q", 0, 0).is_null());
    let reported = reports().split_off(before);
    sim_assert_eq!(reported, ["BH03"; 7]);
    sim_assert!(system_wq().is_null());
    sim_assert_eq!((tasklet.state(), work.pending()), (0, false));
    sim_assert_eq!((work.cancel_sync(), work.flush()), (false, false));
    tasklet.disable();
    tasklet.enable();
    tasklet.kill();
    world::settle();
    sim_assert_eq!((tasklet.runs(), work.runs(), tasklet.count()), (0, 0, 0));
    sim_assert_eq!(counters(), bottomhalf::Counters::default());
    tasklet.free();
    work.free();
}

fn no_reports() {
    sim_assert_eq!(reports(), Vec::<String>::new());
}

/// The WDF objects made since `before`: DPCs, timers, work items.
fn objects_since(before: world::Counters) -> (u64, u64, u64) {
    let made = world::counters() - before;
    (made.objects_dpc, made.objects_timer, made.objects_work_item)
}

/// ATTACH-3, O-16: hosted on the driver, the runtime has a control device of its own, and takes it away at
/// detach: the driver unloads.
#[test]
fn a_driver_hosts_the_runtime() {
    worlds(FEW, || {
        let driver = Driver::load();
        let attachment = attached(on_driver(&driver));
        works();
        attachment.detach();
        driver.unload();
        no_reports();
    });
}

/// ATTACH-1: hosted on a device, the runtime leaves it as it found it: PnP removes it afterwards.
#[test]
fn a_device_hosts_the_runtime() {
    worlds(FEW, || {
        let driver = Driver::load();
        let device = driver.add_device();
        let attachment = attached(on_device(device));
        works();
        attachment.detach();
        driver.remove_device(device);
        driver.unload();
        no_reports();
    });
}

/// ATTACH-3, H-8: hosted on the driver, the runtime survives the removal of any of the driver's devices.
#[test]
fn a_device_that_goes_does_not_take_the_runtime() {
    worlds(FEW, || {
        let driver = Driver::load();
        let device = driver.add_device();
        let attachment = attached(on_driver(&driver));
        driver.remove_device(device);
        works();
        attachment.detach();
        driver.unload();
    });
}

/// ATTACH-4: dropping an attachment detaches.
#[test]
fn dropping_detaches() {
    worlds(FEW, || {
        let driver = Driver::load();
        drop(attached(on_driver(&driver)));
        refuses();
        driver.unload();
    });
}

/// ATTACH-1: attaches are counted: after one of two detaches, whichever, everything still works; the second ends
/// it. The second attach makes no object.
#[test]
fn attaches_are_counted() {
    for first_goes_first in [true, false] {
        let scenario = if first_goes_first {
            || counted(true)
        } else {
            || counted(false)
        };
        worlds(FEW, scenario);
    }
}

fn counted(first_goes_first: bool) {
    let driver = Driver::load();
    let first = attached(on_driver(&driver));
    let before = world::counters();
    let second = attached(on_driver(&driver));
    sim_assert_eq!(objects_since(before), (0, 0, 0));
    let (goes, stays) = if first_goes_first {
        (first, second)
    } else {
        (second, first)
    };
    goes.detach();
    works();
    stays.detach();
    refuses();
    driver.unload();
}

/// After the last detach the image can attach again, with another host and another rule.
#[test]
fn attach_works_again_after_detach() {
    worlds(FEW, || {
        let driver = Driver::load();
        attached(on_driver(&driver)).detach();
        let device = driver.add_device();
        let again = try_attach(on_device(device), SelfReentrant).expect("nothing is attached");
        works();
        again.detach();
        let third = attached(on_driver(&driver));
        works();
        third.detach();
        driver.unload();
        no_reports();
    });
}

/// ATTACH-2: a second attach must name the same host and the same rule. A refused one counts for nothing.
#[test]
fn a_second_attach_elsewhere_is_refused() {
    worlds(FEW, || {
        let driver = Driver::load();
        let devices = [driver.add_device(), driver.add_device()];
        let refused = |host, rule| {
            sim_assert_eq!(
                try_attach(host, rule).err(),
                Some(Status::INVALID_DEVICE_REQUEST)
            );
        };
        let attachment = attached(on_device(devices[0]));
        refused(on_device(devices[1]), NonReentrant);
        refused(on_driver(&driver), NonReentrant);
        refused(on_device(devices[0]), SelfReentrant);
        let same = attached(on_device(devices[0]));
        works();
        attachment.detach();
        same.detach();
        refuses();
        let attachment = attached(on_driver(&driver));
        refused(on_device(devices[0]), NonReentrant);
        refused(on_driver(&driver), SelfReentrant);
        works();
        attachment.detach();
        refuses();
        driver.unload();
    });
}

/// ATTACH-2: a null handle is refused by name, attached or not, and so is attaching above APC_LEVEL.
#[test]
fn a_bad_attach_is_refused() {
    worlds(FEW, || {
        let driver = Driver::load();
        let nulls = || {
            for host in [
                Host::Driver(core::ptr::null_mut()),
                Host::Device(core::ptr::null_mut()),
            ] {
                let status = try_attach(host, NonReentrant).err();
                sim_assert_eq!(status, Some(Status::INVALID_PARAMETER));
            }
        };
        nulls();
        let high = world::at_dispatch(|| try_attach(on_driver(&driver), NonReentrant));
        sim_assert_eq!(high.err(), Some(Status::INVALID_DEVICE_REQUEST));
        let attachment = attached(on_driver(&driver));
        nulls();
        works();
        attachment.detach();
        refuses();
        driver.unload();
    });
}

/// ATTACH-5, BH03: before the first attach and after the last detach everything is refused and said.
#[test]
fn nothing_is_accepted_outside_an_attach() {
    worlds(FEW, || {
        let driver = Driver::load();
        refuses();
        attached(on_driver(&driver)).detach();
        refuses();
        let attachment = attached(on_driver(&driver));
        works();
        attachment.detach();
        driver.unload();
    });
}

/// BH06: a detach above APC_LEVEL cannot wait, so it does not happen; the runtime goes on working.
#[test]
fn detach_at_dispatch_is_refused() {
    worlds(FEW, || {
        let driver = Driver::load();
        let attachment = attached(on_driver(&driver));
        world::at_dispatch(|| attachment.detach());
        sim_assert_eq!(reports(), ["BH06"]);
        works();
        // The attach that was not taken back keeps the control device, so the driver stays loaded.
        sim_assert!(!driver.handle().is_null());
    });
}

/// Design §9: one WDFDPC for each CPU that the machine can have, two WDFTIMERs, one WDFWORKITEM for each of
/// the eight system queues; one WDFWORKITEM more for each queue, and none for an item.
#[test]
fn objects_are_few_whatever_the_items() {
    for (cpus, max_cpus) in [(1, 1), (2, 8), (4, 4), (64, 64)] {
        let run = machine(u64::from(cpus))
            .cpus(cpus)
            .max_cpus(max_cpus)
            .run(move || {
                let driver = Driver::load();
                let before = world::counters();
                let attachment = attached(on_driver(&driver));
                sim_assert_eq!(objects_since(before), (u64::from(max_cpus), 2, 8));
                let queues = [Wq::bound(), Wq::ordered(), Wq::with(WQ_UNBOUND, 3)];
                sim_assert_eq!(objects_since(before), (u64::from(max_cpus), 2, 11));
                for _ in 0..5 {
                    works();
                }
                queues.into_iter().for_each(Wq::destroy);
                sim_assert_eq!(objects_since(before), (u64::from(max_cpus), 2, 11));
                attachment.detach();
                driver.unload();
                no_reports();
            });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    }
}

/// H-36: a CPU that comes after the attach works as the others do: a tasklet scheduled there runs there,
/// and detach waits for it.
#[test]
fn a_cpu_that_is_added_later_works_too() {
    world::seeds(0..MANY, |seed| {
        let run = machine(seed).cpus(2).max_cpus(4).run(|| {
            let driver = Driver::load();
            let attachment = attached(on_driver(&driver));
            works();
            sim_assert_eq!(world::add_cpu(), 2);
            let (tasklet, work) = (Tasklet::counting(), Work::counting());
            let scheduler = world::spawn("scheduler", Some(2), move || {
                tasklet.schedule();
                sim_assert!(work.schedule());
            });
            scheduler.join();
            attachment.detach();
            sim_assert_eq!((tasklet.runs(), work.runs()), (1, 1));
            sim_assert_eq!(tasklet.seen().cpu(0), 2);
            tasklet.free();
            work.free();
            driver.unload();
            no_reports();
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

/// What an attempt with a failing allocation came to.
#[derive(Debug, PartialEq)]
enum Attempt {
    /// The driver did not load: the allocation was not ours.
    NotLoaded,
    Refused,
    Attached,
}

/// Attaches on a machine whose allocation `nth`, and all later ones, fail.
fn attempt(nth: u64, on_its_device: bool) -> Attempt {
    let run = machine(nth).fail_allocation(nth).run(move || {
        let driver = Driver::load();
        let device = if on_its_device {
            match driver.try_add_device() {
                Ok(device) => Some(device),
                Err(_) => return Attempt::NotLoaded,
            }
        } else {
            None
        };
        let host = device.map_or(on_driver(&driver), on_device);
        let before = world::counters();
        let attempt = match try_attach(host, NonReentrant) {
            Ok(attachment) => {
                attachment.detach();
                Attempt::Attached
            }
            Err(status) => {
                sim_assert_eq!(status, Status::INSUFFICIENT_RESOURCES);
                Attempt::Refused
            }
        };
        let pool = world::counters() - before;
        sim_assert_eq!(
            pool.pool_allocations,
            pool.pool_frees,
            "{attempt:?} with allocation {nth} failing leaves memory behind"
        );
        sim_assert!(system_wq().is_null());
        sim_assert_eq!(Work::counting().schedule(), false);
        sim_assert_eq!(reports(), ["BH03"]);
        if let Some(device) = device {
            driver.remove_device(device);
        }
        driver.unload();
        attempt
    });
    match run {
        Ok(attempt) => attempt,
        Err(failure) if failure.code() == "SIM_DRIVER_REFUSED" => Attempt::NotLoaded,
        Err(failure) => panic!("allocation {nth} fails, device {on_its_device}: {failure}"),
    }
}

/// ATTACH-1: whichever allocation of an attach fails, the attach says so, leaves no object and no memory behind,
/// and the driver unloads.
#[test]
fn an_attach_that_fails_leaves_nothing_behind() {
    for on_its_device in [false, true] {
        let attempts: Vec<Attempt> = (1..200)
            .map(|nth| attempt(nth, on_its_device))
            .take_while(|attempt| *attempt != Attempt::Attached)
            .collect();
        let refused = attempts
            .iter()
            .filter(|attempt| **attempt == Attempt::Refused)
            .count();
        assert!(attempts.len() < 199, "no attach ever succeeds");
        // Runtime, DPC array, four DPCs, two timers, five threads, eight queues and their work items.
        assert!(
            refused >= 29,
            "only {refused} allocations were made to fail"
        );
    }
}

/// Threads attach, use and detach at the same time: each sees everything work between its own attach and
/// detach, and after the last one nothing is left.
#[test]
fn attaches_and_detaches_race() {
    on(busy, MANY, || {
        let driver = Arc::new(Driver::load());
        let threads = [0, 1, 2, 3].map(|_| {
            let driver = Arc::clone(&driver);
            world::spawn("adapter", None, move || {
                for _ in 0..3 {
                    let attachment = attached(on_driver(&driver));
                    let work = Work::counting();
                    sim_assert!(work.schedule(), "it is attached");
                    work.flush();
                    sim_assert_eq!(work.runs(), 1);
                    work.free();
                    attachment.detach();
                }
            })
        });
        for thread in threads {
            thread.join();
        }
        no_reports();
        refuses();
        unload(driver);
    });
}

/// A producer that nobody stops, while another thread attaches and detaches: each call is accepted and
/// runs, or is refused and said so; nothing else happens (G1, G3). Also a call that began before a detach
/// and goes on after the next attach finds the queue of that attach, not the freed one.
#[test]
fn a_producer_races_with_detach() {
    on(busy, MANY, || {
        let driver = Arc::new(Driver::load());
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        let (work, delayed) = (Work::counting(), Work::counting());
        let producer = world::spawn("producer", None, move || {
            for _ in 0..60 {
                count.fetch_add(u32::from(work.schedule()), SeqCst);
                count.fetch_add(u32::from(delayed.schedule_delayed(1)), SeqCst);
            }
        });
        for _ in 0..6 {
            let attachment = attached(on_driver(&driver));
            for _ in 0..world::choose(200) {
                kmdf_mock::sync::preempt();
            }
            attachment.detach();
        }
        producer.join();
        let runs = work.runs() + delayed.runs();
        sim_assert_eq!(
            runs,
            accepted.load(SeqCst),
            "accepted is run, at the latest by detach"
        );
        sim_assert!(!work.pending() && !delayed.pending());
        work.free();
        delayed.free();
        unload(driver);
    });
}

/// Calls that wait, and calls that only look, while another thread attaches and detaches: they return,
/// and touch nothing that detach has freed (G2).
#[test]
fn visitors_race_with_detach() {
    on(busy, MANY, || {
        let driver = Arc::new(Driver::load());
        let (work, tasklet) = (Work::counting(), Tasklet::counting());
        let visitors = [0, 1].map(|visitor| {
            world::spawn("visitor", None, move || {
                for _ in 0..6 {
                    if visitor == 0 {
                        work.schedule();
                        work.flush();
                        Wq::system().flush();
                        let _ = counters();
                    } else {
                        tasklet.schedule();
                        tasklet.kill();
                        work.cancel_sync();
                    }
                }
            })
        });
        for _ in 0..3 {
            attached(on_driver(&driver)).detach();
        }
        for visitor in visitors {
            visitor.join();
        }
        tasklet.kill();
        tasklet.free();
        work.free();
        unload(driver);
    });
}

/// Calls that do not wait and queue nothing, while another thread attaches and detaches: the runtime stays
/// until each of them has left it (G1).
#[test]
fn short_calls_race_with_detach() {
    on(busy, 2 * MANY, || {
        let driver = Driver::load();
        let (work, tasklet) = (Work::counting(), Tasklet::counting());
        let callers = [0, 1].map(|_| {
            world::spawn("caller", None, move || {
                for _ in 0..40 {
                    work.cancel_delayed();
                    tasklet.disable();
                    tasklet.enable();
                }
            })
        });
        for _ in 0..4 {
            attached(on_driver(&driver)).detach();
        }
        for caller in callers {
            caller.join();
        }
        tasklet.kill();
        sim_assert_eq!((tasklet.count(), work.pending()), (0, false));
        tasklet.free();
        work.free();
        driver.unload();
        no_reports();
    });
}

/// Flushes of `system_wq`, the one queue that detach takes away from under a caller.
#[test]
fn a_flush_of_the_system_queue_races_with_detach() {
    on(busy, 2 * MANY, || {
        let driver = Driver::load();
        let callers = [0, 1].map(|_| {
            world::spawn("caller", None, || {
                for _ in 0..40 {
                    Wq::system().flush();
                }
            })
        });
        for _ in 0..4 {
            attached(on_driver(&driver)).detach();
        }
        for caller in callers {
            caller.join();
        }
        driver.unload();
        no_reports();
    });
}

fn unload(driver: Arc<Driver>) {
    Arc::into_inner(driver)
        .expect("the threads are over")
        .unload();
}
