//! The system queues: each by name, in every state of the attach, and what sets one apart from another.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, attach};
use kmdf_mock::ntddk::{KeGetCurrentThread, KeSetPriorityThread};
use kmdf_mock::world::{self, Driver, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Trace, Work, Wq, machine, reports, rows, still_waits};

/// One of the functions.
type Queue = fn() -> *mut workqueue_struct;

/// The queues, with the names that messages give them.
const QUEUES: [(Queue, &str); 8] = [
    (system_wq, "events"),
    (system_highpri_wq, "events_highpri"),
    (system_long_wq, "events_long"),
    (system_unbound_wq, "events_unbound"),
    (system_dfl_long_wq, "events_dfl_long"),
    (system_freezable_wq, "events_freezable"),
    (system_power_efficient_wq, "events_power_efficient"),
    (
        system_freezable_power_efficient_wq,
        "events_freezable_pwr_efficient",
    ),
];

/// The new names, and the queues that they mean.
const NEW_NAMES: [(Queue, Queue); 2] = [
    (system_percpu_wq, system_wq),
    (system_dfl_wq, system_unbound_wq),
];

/// The bound ones, whose `max_active` counts per CPU.
const UNBOUND: [Queue; 2] = [system_unbound_wq, system_dfl_long_wq];

fn attached(driver: &Driver) -> Attachment {
    let host = Host::Driver(driver.handle().cast());
    // SAFETY: every scenario keeps its driver loaded until it has detached.
    unsafe { attach(host, &Config::new(NonReentrant)) }.expect("a fresh machine has the resources")
}

/// The priority of the caller's thread.
fn priority() -> i32 {
    // SAFETY: the caller's own thread, at PASSIVE_LEVEL; it is set back at once.
    unsafe {
        let thread = KeGetCurrentThread();
        let now = KeSetPriorityThread(thread, 15);
        KeSetPriorityThread(thread, now.max(1));
        now
    }
}

/// Runs `scenario` on a few machines; nothing is attached.
fn worlds(scenario: fn()) {
    world::seeds(0..20, |seed| {
        let run = machine(seed).run(scenario);
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}

/// W01 on each of them, by each of its names: a work and a delayed work are accepted and run, in a thread.
/// `system_wq`, `system_percpu_wq`, `system_highpri_wq`, `system_long_wq`, `system_unbound_wq`, `system_dfl_wq`,
/// `system_dfl_long_wq`, `system_freezable_wq`, `system_power_efficient_wq`,
/// `system_freezable_power_efficient_wq`.
#[test]
fn w01_works_run_on_every_system_queue() {
    rows(|_| {
        let queues = QUEUES.map(|(queue, _)| queue);
        for queue in queues.into_iter().chain(NEW_NAMES.map(|(new, _)| new)) {
            let wq = Wq(queue());
            let (work, delayed) = (Work::counting(), Work::counting());
            sim_assert!(work.queue(wq));
            sim_assert!(delayed.queue_delayed(wq, 2));
            wq.flush();
            delayed.flush_delayed();
            sim_assert_eq!((work.runs(), delayed.runs()), (1, 1));
            sim_assert_eq!((work.seen().irql(0), delayed.seen().irql(0)), (0, 0));
            work.free();
            delayed.free();
        }
    });
}

/// Eight queues, each with a name of its own; a new name of Linux is another name of the same queue.
#[test]
fn each_name_is_a_queue_of_its_own() {
    worlds(|| {
        let driver = Driver::load();
        let attachment = attached(&driver);
        let names = || QUEUES.map(|(queue, _)| queue().addr());
        let distinct: BTreeSet<usize> = names().into_iter().collect();
        sim_assert_eq!(distinct.len(), QUEUES.len());
        sim_assert!(!distinct.contains(&0));
        for (new, old) in NEW_NAMES {
            sim_assert_eq!(new(), old());
        }
        attachment.detach();
        driver.unload();
    });
}

/// Messages name each by Linux's name; and the queue that a work runs on is the one that it was queued on:
/// only from there a flush is refused (BH07).
#[test]
fn messages_have_linux_s_names() {
    rows(|rig| {
        rig.expect(&["BH07"]);
        for (queue, name) in QUEUES {
            let work = Work::new(move |_, _| Wq(queue()).flush());
            let lines = world::debug_log().len();
            sim_assert!(work.queue(Wq(queue())));
            work.flush();
            let line = world::debug_log().split_off(lines).concat();
            let place = format!("BH07 flush_workqueue(workqueue \"{name}\"): ");
            sim_assert!(line.contains(&place), "{line} does not say {place}");
            work.free();
        }
    });
}

/// A work that takes long on one queue holds up no flush of another, which is what `system_long_wq` is for.
#[test]
fn a_flush_waits_for_its_own_queue_only() {
    rows(|_| {
        for (index, (queue, _)) in QUEUES.into_iter().enumerate() {
            let gate = Gate::new();
            let (long, short) = (Work::gated(&gate), Work::counting());
            sim_assert!(long.queue(Wq(queue())));
            long.wait_begun(1);
            for (other, _) in QUEUES.into_iter().skip(index + 1) {
                sim_assert!(short.queue(Wq(other())));
                Wq(other()).flush();
            }
            sim_assert_eq!(short.runs() as usize, QUEUES.len() - index - 1);
            let flusher = world::spawn("flusher", None, move || Wq(queue()).flush());
            still_waits(&flusher);
            gate.open();
            flusher.join();
            long.free();
            short.free();
        }
    });
}

/// `flush_scheduled_work` waits for what `schedule_work` has queued, and not for what is only armed.
#[test]
fn flush_scheduled_work_waits_for_scheduled_works() {
    rows(|_| {
        let gate = Gate::new();
        let (work, armed) = (Work::gated(&gate), Work::counting());
        sim_assert!(work.schedule());
        sim_assert!(armed.schedule_delayed(50));
        let flusher = world::spawn("flusher", None, flush_scheduled_work);
        still_waits(&flusher);
        gate.open();
        flusher.join();
        sim_assert_eq!((work.seen().ended(), armed.runs()), (1, 0));
        sim_assert!(armed.cancel_delayed_sync());
        flush_scheduled_work();
        work.free();
        armed.free();
    });
}

/// The bound ones and the unbound ones have Linux's default `max_active`, 256: bound it counts per CPU, so
/// works of two CPUs may be twice as many at once.
#[test]
fn max_active_is_linux_s_default() {
    fn crowded(seed: u64) -> world::Sim {
        machine(seed).workers(600)
    }
    support::rows_on(crowded, 1, |_| {
        for (queue, _) in QUEUES {
            let gate = Gate::new();
            let works: Vec<Work> = (0..520).map(|_| Work::gated(&gate)).collect();
            for (index, half) in works.chunks(260).enumerate() {
                world::run_on_cpu(index as u32, || {
                    half.iter()
                        .for_each(|work| sim_assert!(work.queue(Wq(queue()))));
                });
            }
            world::settle();
            let inside: u32 = works.iter().map(|work| work.seen().inside()).sum();
            let unbound = UNBOUND.iter().any(|other| other() == queue());
            sim_assert_eq!(inside, if unbound { 256 } else { 512 });
            gate.open();
            Wq(queue()).flush();
            works.into_iter().for_each(Work::free);
        }
    });
}

/// Q22 on `system_bh_wq` and `system_bh_highpri_wq`: their works run at DISPATCH_LEVEL on the CPU that queues, those
/// of the second first; each is a queue of its own, is null while nothing is attached, and is not destroyed (BH24).
#[test]
fn q22_the_bottom_half_queues() {
    worlds(|| {
        let bottom_halves: [Queue; 2] = [system_bh_wq, system_bh_highpri_wq];
        sim_assert!(bottom_halves.iter().all(|queue| queue().is_null()));
        let driver = Driver::load();
        let attachment = attached(&driver);
        let all = QUEUES
            .into_iter()
            .map(|(queue, _)| queue)
            .chain(bottom_halves);
        let distinct: BTreeSet<usize> = all.map(|queue| queue().addr()).collect();
        sim_assert_eq!(distinct.len(), QUEUES.len() + 2);
        for cpu in 0..4 {
            let trace = Trace::default();
            let works = [(system_bh_wq as Queue, 'B'), (system_bh_highpri_wq, 'A')].map(
                |(queue, letter)| {
                    let trace = trace.clone();
                    (queue, Work::new(move |_, _| trace.add(letter)))
                },
            );
            world::run_on_cpu(cpu, || {
                world::at_dispatch(|| {
                    for (queue, work) in works {
                        sim_assert!(work.queue(Wq(queue())));
                    }
                    sim_assert_eq!(trace.get(), "");
                });
            });
            for (queue, work) in works {
                Wq(queue()).flush();
                let seen = work.seen();
                sim_assert_eq!((seen.runs(), seen.irql(0), seen.cpu(0)), (1, 2, cpu));
                work.free();
            }
            sim_assert_eq!(trace.get(), "AB");
        }
        for queue in bottom_halves {
            Wq(queue()).destroy();
        }
        sim_assert_eq!(reports(), ["BH24"; 2]);
        attachment.detach();
        sim_assert!(bottom_halves.iter().all(|queue| queue().is_null()));
        driver.unload();
    });
}

/// QUEUE-9: `system_freezable_wq` and `system_freezable_power_efficient_wq` stand still while the driver is
/// frozen, and run what they have taken when it is thawed; the others go on.
#[test]
fn the_freezable_ones_stand_still() {
    rows(|rig| {
        let freezable =
            [system_freezable_wq, system_freezable_power_efficient_wq].map(|queue| queue());
        rig.attachment().freeze();
        let works = QUEUES.map(|(queue, _)| {
            let work = Work::counting();
            sim_assert!(work.queue(Wq(queue())));
            work
        });
        world::settle();
        for (work, (queue, name)) in works.iter().zip(QUEUES) {
            let frozen = freezable.contains(&queue());
            sim_assert_eq!(
                (work.runs(), work.pending()),
                (u32::from(!frozen), frozen),
                "{name}"
            );
        }
        rig.attachment().thaw();
        for work in works {
            work.flush();
            sim_assert_eq!(work.runs(), 1);
            work.free();
        }
    });
}

/// QUEUE-9, Q16: works of `system_highpri_wq` run at priority 15, those of the others at the pool's.
#[test]
fn the_highpri_one_has_priority() {
    rows(|_| {
        for (queue, name) in QUEUES {
            let found = Arc::new(AtomicI32::new(0));
            let told = Arc::clone(&found);
            let work = Work::new(move |_, _| told.store(priority(), SeqCst));
            sim_assert!(work.queue(Wq(queue())));
            work.flush();
            let highest = found.load(SeqCst) == 15;
            sim_assert_eq!(highest, queue() == system_highpri_wq(), "{name}");
            work.free();
        }
    });
}

/// Before attach and after detach each name is null, and queueing on null is refused (BH03). A name that a
/// driver keeps means the queue of whatever attach is in force, and refuses while none is.
#[test]
fn a_name_outlives_the_attach() {
    worlds(|| {
        let driver = Driver::load();
        let nothing = || {
            for (queue, _) in QUEUES {
                sim_assert!(queue().is_null());
            }
            for (new, _) in NEW_NAMES {
                sim_assert!(new().is_null());
            }
        };
        nothing();
        let first = attached(&driver);
        let names = QUEUES.map(|(queue, _)| Wq(queue()));
        first.detach();
        nothing();
        let work = Work::counting();
        let refused = |wq: Wq| {
            let before = reports().len();
            sim_assert_eq!(work.queue(wq), false);
            sim_assert_eq!(work.queue_delayed(wq, 1), false);
            sim_assert_eq!(work.modify(wq, 1), false);
            sim_assert_eq!(reports().split_off(before), ["BH03"; 3]);
            wq.flush();
        };
        names.into_iter().for_each(refused);
        flush_scheduled_work();
        let second = attached(&driver);
        for (wq, (queue, _)) in names.into_iter().zip(QUEUES) {
            sim_assert_eq!(wq.0, queue());
            sim_assert!(work.queue(wq));
            wq.flush();
        }
        sim_assert_eq!(work.runs() as usize, QUEUES.len());
        second.detach();
        names.into_iter().for_each(refused);
        work.free();
        driver.unload();
    });
}

/// Detach runs what is queued on any of them and what is armed for any of them (BH10), and destroys them
/// without a word: the driver has not made them.
#[test]
fn detach_empties_and_destroys_them() {
    worlds(|| {
        let before = world::counters();
        let driver = Driver::load();
        let attachment = attached(&driver);
        let items: Vec<[Work; 2]> = QUEUES
            .iter()
            .map(|(queue, _)| {
                let (queued, armed) = (Work::counting(), Work::counting());
                sim_assert!(queued.queue(Wq(queue())));
                sim_assert!(armed.queue_delayed(Wq(queue()), 100_000));
                [queued, armed]
            })
            .collect();
        attachment.detach();
        sim_assert_eq!(reports(), ["BH10"; QUEUES.len()]);
        for item in items.into_iter().flatten() {
            sim_assert_eq!((item.runs(), item.pending()), (1, false));
            item.free();
        }
        driver.unload();
        let pool = world::counters() - before;
        sim_assert_eq!(pool.pool_allocations, pool.pool_frees);
    });
}

/// BH24: the system's queues are not the driver's to destroy. They stay as they are; draining one is allowed
/// and ends.
#[test]
fn bh24_a_system_queue_is_not_destroyed() {
    rows(|rig| {
        rig.expect(&["BH24"]);
        let gate = Gate::new();
        for (queue, _) in QUEUES {
            let (held, work) = (Work::gated(&gate), Work::counting());
            sim_assert!(held.queue(Wq(queue())));
            let before = reports().len();
            Wq(queue()).destroy();
            sim_assert_eq!(reports().split_off(before), ["BH24"]);
            let line = world::debug_log().pop().unwrap_or_default();
            sim_assert!(line.contains("BH24 destroy_workqueue(item "), "{line}");
            sim_assert!(work.queue(Wq(queue())), "it takes works as before");
            work.flush();
            sim_assert_eq!(work.runs(), 1);
            work.free();
            gate.open();
            // SAFETY: a name, which is looked up.
            unsafe { drain_workqueue(queue()) };
            sim_assert_eq!(held.seen().ended(), 1);
            held.free();
        }
    });
}

/// A thread that queues on each of them while another attaches and detaches: each call is accepted and
/// runs, or is refused and said so (G1).
#[test]
fn producers_race_with_detach() {
    world::seeds(0..100, |seed| {
        let run = machine(seed).run(|| {
            let driver = Driver::load();
            let works = QUEUES.map(|_| Work::counting());
            let producer = world::spawn("producer", None, move || {
                let mut accepted = 0;
                for _ in 0..6 {
                    for (work, (queue, _)) in works.iter().zip(QUEUES) {
                        accepted += u32::from(work.queue(Wq(queue())));
                    }
                }
                let pending = works.iter().any(|work| work.pending());
                let runs = || works.iter().map(|work| work.runs()).sum::<u32>();
                sim_assert!(pending || runs() <= accepted);
            });
            for _ in 0..3 {
                attached(&driver).detach();
            }
            producer.join();
            attached(&driver).detach();
            for work in works {
                sim_assert!(!work.pending());
                work.free();
            }
            driver.unload();
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}
