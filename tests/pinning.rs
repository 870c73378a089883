//! Works on a CPU of their own: the calls named `_on`, `WQ_PERCPU`, and `Config::pin_bound`.
//!
//! The simulator convicts a worker that gives its thread back to NT with another affinity than it was lent
//! with, so every scenario here is a test of that too.

mod support;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use bottomhalf::Config;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Driver, Gate, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{
    NonReentrant, Rig, SEEDS, SelfReentrant, Trace, Work, Wq, machine, rows, rows_with,
    rows_with_on, sleep_jiffies,
};

/// Runs `scenario` with both rules, on images that pin every bound work.
fn pinned_rows(scenario: fn(&Rig)) {
    for rule in [SelfReentrant, NonReentrant] {
        world::seeds(0..SEEDS, |seed| {
            let run = machine(seed).run(move || {
                let rig = Rig::with(rule, &Config::new(rule).pin_bound(true));
                scenario(&rig);
                rig.finish();
            });
            if let Err(failure) = run {
                panic!("{failure}\nwith {rule:?}");
            }
        });
    }
}

fn queue_on(cpu: i32, wq: Wq, work: Work) -> bool {
    // SAFETY: item and queue are alive in every scenario.
    unsafe { queue_work_on(cpu, wq.0, work.work()) }
}

fn queue_delayed_on(cpu: i32, wq: Wq, work: Work, delay: u64) -> bool {
    // SAFETY: as in `queue_on`.
    unsafe { queue_delayed_work_on(cpu, wq.0, work.dwork(), delay) }
}

fn modify_on(cpu: i32, wq: Wq, work: Work, delay: u64) -> bool {
    // SAFETY: as in `queue_on`.
    unsafe { mod_delayed_work_on(cpu, wq.0, work.dwork(), delay) }
}

fn busy(work: Work) -> u32 {
    // SAFETY: as in `queue_on`.
    unsafe { work_busy(work.work()) }
}

/// A work that stays a while, and is on `cpu` all the time.
fn stays_on(cpu: u32) -> Work {
    Work::new(move |_, _| {
        for _ in 0..3 {
            sim_assert_eq!(world::current_cpu(), cpu);
            sleep_jiffies(1);
        }
        sim_assert_eq!(world::current_cpu(), cpu);
        sim_assert_eq!(world::current_irql(), 0);
    })
}

/// W26: `queue_work_on(3)` runs on CPU 3, and stays there; so does `schedule_work_on`.
#[test]
fn w26_queue_work_on_runs_on_that_cpu() {
    rows(|_| {
        let wq = Wq::bound();
        let works: Vec<Work> = (0..4).map(stays_on).collect();
        world::run_on_cpu(1, || {
            for (cpu, work) in works.iter().enumerate() {
                sim_assert!(queue_on(cpu as i32, wq, *work));
            }
        });
        wq.flush();
        // SAFETY: the item is alive.
        sim_assert!(unsafe { schedule_work_on(2, works[2].work()) });
        works[2].flush();
        sim_assert_eq!(works[2].runs(), 2);
        wq.destroy();
        works.into_iter().for_each(Work::free);
    });
}

/// W26: `queue_work` from CPU 1 runs on CPU 1, on a bound queue of an image that pins, and on a WQ_PERCPU
/// queue of any image.
#[test]
fn w26_queue_work_runs_on_the_cpu_that_queues() {
    fn from_cpu_1(wq: Wq) {
        let work = stays_on(1);
        for _ in 0..3 {
            world::run_on_cpu(1, || sim_assert!(work.queue(wq)));
            work.flush();
        }
        sim_assert_eq!(work.runs(), 3);
        work.free();
    }
    pinned_rows(|_| {
        let wq = Wq::bound();
        from_cpu_1(wq);
        from_cpu_1(Wq::system());
        wq.destroy();
    });
    rows(|_| {
        let wq = Wq::with(WQ_PERCPU, 0);
        from_cpu_1(wq);
        wq.destroy();
    });
}

/// The control of W26: without a pin a work does run elsewhere, and the assertion of these tests tells.
#[test]
fn w26_control_a_work_that_is_not_pinned_wanders() {
    world::seeds(0..10, |seed| {
        let run = machine(seed).run(|| {
            let rig = Rig::with(NonReentrant, &Config::new(NonReentrant));
            let wq = Wq::bound();
            let work = Work::counting();
            for _ in 0..60 {
                world::run_on_cpu(1, || work.queue(wq));
                work.flush();
            }
            let seen = work.seen();
            let elsewhere = (0..60).filter(|run| seen.cpu(*run) != 1).count();
            sim_assert!(elsewhere > 0, "60 runs, and each was on CPU 1");
            wq.destroy();
            work.free();
            rig.finish();
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

/// W03: a work that runs on CPU 1 and is queued for CPU 2 runs a second time after the first, on CPU 1. Queued
/// for a third CPU meanwhile it is pending already. On the same queue and on another one.
#[test]
fn w03_a_running_work_is_run_again_where_it_runs() {
    rows_with(NonReentrant, SEEDS, |_| {
        for same in [true, false] {
            let wq = Wq::bound();
            let other = if same { wq } else { Wq::bound() };
            let gate = Gate::new();
            let work = Work::gated(&gate);
            sim_assert!(queue_on(1, wq, work));
            work.wait_begun(1);
            sim_assert!(queue_on(2, other, work));
            sim_assert!(!queue_on(3, other, work));
            sim_assert_eq!(busy(work), WORK_BUSY_PENDING | WORK_BUSY_RUNNING);
            world::settle();
            sim_assert_eq!(work.runs(), 1);
            gate.open();
            work.flush();
            let seen = work.seen();
            sim_assert_eq!((seen.runs(), seen.most_inside()), (2, 1));
            sim_assert_eq!((seen.cpu(0), seen.cpu(1)), (1, 1));
            wq.destroy();
            if !same {
                other.destroy();
            }
            work.free();
        }
    });
}

/// W03 with SelfReentrant: the second instance runs at once, on the CPU asked for.
#[test]
fn w03_a_self_reentrant_work_overlaps_itself_on_the_cpu_asked_for() {
    rows_with(SelfReentrant, SEEDS, |_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        sim_assert!(queue_on(1, wq, work));
        work.wait_begun(1);
        sim_assert!(queue_on(2, wq, work));
        work.wait_begun(2);
        let seen = work.seen();
        sim_assert_eq!(seen.most_inside(), 2);
        sim_assert_eq!((seen.cpu(0), seen.cpu(1)), (1, 2));
        gate.open();
        wq.destroy();
        work.free();
    });
}

/// D19: `queue_delayed_work_on(2)` runs on CPU 2 when the delay is over, also when it is flushed, modified to
/// another CPU, or has no delay; `schedule_delayed_work_on` likewise.
#[test]
fn d19_a_delayed_work_runs_on_the_cpu_asked_for() {
    rows(|_| {
        let wq = Wq::bound();
        let work = Work::counting();
        let mut cpus = Vec::new();
        for (delay, cpu) in [(1, 2), (7, 3), (0, 1)] {
            sim_assert!(queue_delayed_on(cpu, wq, work, delay));
            cpus.push(cpu as u32);
            work.wait_begun(cpus.len() as u32);
        }
        // SAFETY: the item is alive.
        sim_assert!(unsafe { schedule_delayed_work_on(3, work.dwork(), 2) });
        cpus.push(3);
        work.wait_begun(4);
        sim_assert!(queue_delayed_on(1, wq, work, 1000));
        sim_assert!(modify_on(2, wq, work, 1));
        cpus.push(2);
        work.wait_begun(5);
        sim_assert!(!modify_on(0, wq, work, 1000));
        work.flush_delayed();
        cpus.push(0);
        sim_assert!(queue_delayed_on(1, wq, work, 1000));
        sim_assert!(modify_on(3, wq, work, 0));
        cpus.push(3);
        work.flush();
        let seen = work.seen();
        sim_assert_eq!(seen.runs(), cpus.len() as u32);
        for (run, cpu) in cpus.into_iter().enumerate() {
            sim_assert_eq!(seen.cpu(run), cpu);
        }
        wq.destroy();
        work.free();
    });
}

/// D18: with NonReentrant a timer that expires while the work runs has it run again on the CPU where it runs,
/// whatever CPU was asked for.
#[test]
fn d18_a_timer_that_expires_during_the_run_keeps_its_cpu() {
    rows_with(NonReentrant, SEEDS, |_| {
        let wq = Wq::bound();
        let gate = Gate::new();
        let work = Work::gated(&gate);
        queue_on(1, wq, work);
        work.wait_begun(1);
        sim_assert!(queue_delayed_on(2, wq, work, 1));
        sleep_jiffies(4);
        gate.open();
        work.flush_delayed();
        sim_assert_eq!((work.runs(), work.seen().most_inside()), (2, 1));
        sim_assert_eq!((work.seen().cpu(0), work.seen().cpu(1)), (1, 1));
        wq.destroy();
        work.free();
    });
}

/// WORK_CPU_UNBOUND asks for nothing: `queue_work_on` is `queue_work` then, and so are the delayed forms, also
/// for a work that was wanted on a CPU before. On an image that pins that is the CPU that queues.
#[test]
fn work_cpu_unbound_is_the_cpu_that_queues() {
    pinned_rows(|_| {
        let wq = Wq::bound();
        let work = Work::counting();
        queue_delayed_on(3, wq, work, 1);
        work.wait_begun(1);
        world::run_on_cpu(2, || sim_assert!(queue_on(WORK_CPU_UNBOUND, wq, work)));
        work.flush();
        world::run_on_cpu(1, || {
            sim_assert!(queue_delayed_on(WORK_CPU_UNBOUND, wq, work, 0));
        });
        work.flush();
        sim_assert_eq!((work.seen().cpu(1), work.seen().cpu(2)), (2, 1));
        sim_assert!(queue_delayed_on(WORK_CPU_UNBOUND, wq, work, 1));
        work.wait_begun(4);
        wq.destroy();
        work.free();
    });
}

/// A pinned work that waits behind another one is taken back by a cancel like any, and the next queueing asks
/// anew.
#[test]
fn a_pinned_work_is_cancelled_and_queued_for_another_cpu() {
    rows(|_| {
        let wq = Wq::with(0, 1);
        let gate = Gate::new();
        let (blocker, work) = (Work::gated(&gate), Work::counting());
        queue_on(2, wq, blocker);
        blocker.wait_begun(1);
        sim_assert!(queue_on(2, wq, work));
        // SAFETY: the item is alive.
        sim_assert!(unsafe { cancel_work(work.work()) });
        sim_assert!(queue_on(2, wq, work));
        sim_assert!(work.cancel_sync());
        sim_assert!(queue_on(3, wq, work));
        work.flush();
        sim_assert_eq!((work.runs(), work.seen().cpu(0)), (1, 3));
        gate.open();
        wq.destroy();
        blocker.free();
        work.free();
    });
}

/// W28, W29 and Q07: on an ordered and on an unbound queue the CPU is a hint that changes nothing: the order
/// is that of queueing, and `max_active` counts in all.
#[test]
fn q07_an_ordered_queue_takes_the_cpu_for_a_hint() {
    rows(|_| {
        let trace = Trace::default();
        let gate = Gate::new();
        let (ordered, unbound) = (Wq::ordered(), Wq::with(WQ_UNBOUND, 2));
        let letters: Vec<Work> = ['A', 'B', 'C', 'D']
            .into_iter()
            .map(|letter| {
                let (trace, gate) = (trace.clone(), gate.clone());
                Work::new(move |_, _| {
                    gate.wait();
                    trace.add(letter);
                })
            })
            .collect();
        for (cpu, work) in [1, 2, 3, 0].into_iter().zip(&letters) {
            sim_assert!(queue_on(cpu, ordered, *work));
        }
        let three: Vec<Work> = (0..3).map(|_| Work::gated(&gate)).collect();
        for (cpu, work) in three.iter().enumerate() {
            sim_assert!(queue_on(cpu as i32, unbound, *work));
        }
        world::settle();
        let inside = |works: &[Work]| works.iter().map(|work| work.seen().inside()).sum::<u32>();
        sim_assert_eq!((inside(&letters), inside(&three)), (1, 2));
        gate.open();
        ordered.destroy();
        unbound.destroy();
        sim_assert_eq!(trace.get(), "ABCD");
        letters.into_iter().chain(three).for_each(Work::free);
    });
}

/// H-36: a machine of 4 CPUs that may grow to 6.
fn growing(seed: u64) -> Sim {
    machine(seed).max_cpus(6)
}

/// BH18: a CPU that is out of range, or not active yet, is reported, and the work runs elsewhere: it is never
/// lost. Once the CPU is there it is taken.
#[test]
fn bh18_a_cpu_that_is_not_active_is_reported_and_the_work_runs() {
    for rule in [SelfReentrant, NonReentrant] {
        rows_with_on(growing, rule, SEEDS, |rig| {
            rig.expect(&["BH18"]);
            let wq = Wq::bound();
            let work = Work::counting();
            let mut runs = 0;
            for cpu in [4, 5, 6, 4096, -1, i32::MAX, i32::MIN] {
                let before = support::reports().len();
                sim_assert!(queue_on(cpu, wq, work));
                work.flush();
                sim_assert!(queue_delayed_on(cpu, wq, work, 1));
                work.flush_delayed();
                sim_assert!(!modify_on(cpu, wq, work, 0));
                work.flush();
                runs += 3;
                sim_assert_eq!(work.runs(), runs);
                sim_assert_eq!(support::reports().len() - before, 3);
            }
            let reported = support::reports().len();
            let fifth = world::add_cpu();
            sim_assert!(queue_on(fifth as i32, wq, work));
            work.flush();
            sim_assert_eq!(work.seen().cpu(runs as usize), fifth);
            sim_assert_eq!(support::reports().len(), reported);
            wq.destroy();
            work.free();
        });
    }
}

/// W27: from an interrupt, too.
#[test]
fn w27_queue_work_on_from_an_interrupt() {
    rows(|_| {
        let wq = Wq::bound();
        let work = stays_on(2);
        world::at_irql(9, || sim_assert!(queue_on(2, wq, work)));
        work.flush();
        sim_assert_eq!(work.runs(), 1);
        wq.destroy();
        work.free();
    });
}

/// Storms: threads on every CPU queue, modify, cancel and flush works that belong to a CPU each, between works
/// that do not care. No run of a pinned work is ever elsewhere, and none is lost.
#[test]
fn storms_keep_every_pinned_work_on_its_cpu() {
    rows(|_| {
        let queues = [Wq::bound(), Wq::with(0, 1), Wq::with(WQ_PERCPU, 2)];
        let pinned: Vec<Work> = (0..4)
            .map(|cpu| Work::new(move |_, _| sim_assert_eq!(world::current_cpu(), cpu)))
            .collect();
        let free = Work::counting();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let pinned = pinned.clone();
                world::spawn("storm", None, move || {
                    for _ in 0..12 {
                        let cpu = world::choose(4) as usize;
                        let (wq, work) = (queues[world::choose(3) as usize], pinned[cpu]);
                        match world::choose(6) {
                            0 => drop(work.cancel_delayed_sync()),
                            1 => drop(modify_on(cpu as i32, wq, work, u64::from(world::choose(3)))),
                            2 => drop(queue_delayed_on(cpu as i32, wq, work, 1)),
                            3 => drop(free.queue(wq)),
                            _ => drop(queue_on(cpu as i32, wq, work)),
                        }
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
        for work in &pinned {
            work.flush_delayed();
        }
        queues.into_iter().for_each(Wq::destroy);
        pinned.into_iter().for_each(Work::free);
        free.free();
    });
}

/// Doubles its argument and tells on which CPU.
unsafe extern "C" fn twice(arg: *mut core::ffi::c_void) -> i64 {
    sim_assert_eq!(world::current_irql(), 0);
    (arg.addr() * 2) as i64 * 100 + i64::from(world::current_cpu())
}

fn on_cpu(cpu: i32, arg: usize) -> [i64; 2] {
    let arg = core::ptr::without_provenance_mut(arg);
    // SAFETY: the function takes any argument.
    unsafe {
        [
            work_on_cpu(cpu, twice, arg),
            work_on_cpu_safe(cpu, twice, arg),
        ]
    }
}

/// W23: `work_on_cpu(2, f)` returns what f returned, and f ran on CPU 2; also from a work of the same queue. A
/// CPU that is not active, or none, is -ENODEV, and nothing is said.
#[test]
fn w23_work_on_cpu_returns_what_the_function_returned() {
    rows(|_| {
        for cpu in 0..4 {
            sim_assert_eq!(on_cpu(cpu, 21), [4200 + i64::from(cpu); 2]);
        }
        for cpu in [4, 1000, -1, WORK_CPU_UNBOUND] {
            sim_assert_eq!(on_cpu(cpu, 21), [-19; 2]);
        }
        let nested = Work::new(|_, _| sim_assert_eq!(on_cpu(2, 5), [1002; 2]));
        sim_assert!(nested.schedule());
        nested.flush();
        sim_assert_eq!(nested.runs(), 1);
        nested.free();
    });
}

/// W21, W23: many callers at once, each with a work on its own stack.
#[test]
fn w23_many_callers_at_once() {
    rows(|_| {
        let threads: Vec<_> = (0..5)
            .map(|index| {
                world::spawn("caller", None, move || {
                    for cpu in 0..4 {
                        let expected = index as i64 * 200 + i64::from(cpu);
                        sim_assert_eq!(on_cpu(cpu, index), [expected; 2]);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
    });
}

/// BH06: at DISPATCH_LEVEL neither call runs anything; BH03: nor without an attach.
#[test]
fn w23_work_on_cpu_where_it_cannot_wait_or_nothing_is_attached() {
    rows(|rig| {
        rig.expect(&["BH06", "BH03"]);
        world::at_dispatch(|| {
            sim_assert_eq!(on_cpu(2, 1), [-22; 2]);
            // SAFETY: the function may be called anywhere; it is not.
            sim_assert_eq!(unsafe { schedule_on_each_cpu(never) }, -22);
        });
        rig.detach();
        sim_assert_eq!(on_cpu(2, 1), [-19; 2]);
        // SAFETY: as above.
        sim_assert_eq!(unsafe { schedule_on_each_cpu(never) }, -19);
    });
}

unsafe extern "C" fn never(_work: *mut work_struct) {
    panic!("it was called");
}

/// Bit per CPU on which [`count_cpu`] ran, and 16 bits of how often it ran, by world: a seed's.
fn each(seed: u64) -> &'static AtomicU64 {
    static RAN: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
    &RAN[seed as usize % 64]
}

unsafe extern "C" fn count_cpu(work: *mut work_struct) {
    sim_assert_eq!(current_work(), work);
    let cpu = 1 << (16 + world::current_cpu());
    let ran = each(world::seed().unwrap());
    ran.fetch_or(cpu, SeqCst);
    ran.fetch_add(1, SeqCst);
}

/// CPU-6, H-36: `schedule_on_each_cpu` runs the function once on every active CPU, and on no other, and returns when the
/// last has ended; its memory is given back.
#[test]
fn schedule_on_each_cpu_runs_once_on_every_active_cpu() {
    for rule in [SelfReentrant, NonReentrant] {
        rows_with_on(growing, rule, SEEDS, |_| {
            let ran = each(world::seed().unwrap());
            for cpus in [4, 5] {
                ran.store(0, SeqCst);
                let before = world::counters();
                // SAFETY: the function may be called on any thread.
                sim_assert_eq!(unsafe { schedule_on_each_cpu(count_cpu) }, 0);
                sim_assert_eq!(ran.load(SeqCst), ((1 << cpus) - 1) << 16 | cpus);
                let after = world::counters();
                sim_assert_eq!(
                    after.pool_allocations - before.pool_allocations,
                    after.pool_frees - before.pool_frees
                );
                if cpus == 4 {
                    world::add_cpu();
                }
            }
        });
    }
}

/// CPU-6, V-1: `schedule_on_each_cpu` without memory is -ENOMEM, and runs nothing.
#[test]
fn schedule_on_each_cpu_without_memory() {
    let mut refused = 0;
    for nth in 1..60 {
        let run = machine(nth).fail_allocation(nth).run(move || {
            let driver = Driver::load();
            let host = bottomhalf::Host::Driver(driver.handle().cast());
            // SAFETY: the driver stays until it is unloaded below, after the detach.
            let attached = unsafe { bottomhalf::attach(host, &Config::new(NonReentrant)) };
            let mut result = 0;
            if let Ok(attachment) = attached {
                // SAFETY: it is not called.
                result = unsafe { schedule_on_each_cpu(counts_nothing) };
                attachment.detach();
            }
            driver.unload();
            sim_assert!(result == 0 || result == -12, "{result}");
            REFUSED.fetch_add(u32::from(result == -12), SeqCst);
        });
        // The first ones fail before there is a driver.
        match run {
            Err(failure) if failure.to_string().contains("SIM_DRIVER_REFUSED") => {}
            run => run.unwrap(),
        }
        refused += REFUSED.swap(0, SeqCst);
    }
    assert_eq!(refused, 1, "one of the failures hits the call and no other");
}

static REFUSED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn counts_nothing(_work: *mut work_struct) {}
