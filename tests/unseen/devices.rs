//! What goes with devices: resets with works disabled, `WQ_BH` completions, devm, works on the stack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::support::{Work, Wq, rows, sleep_jiffies, spin_until, wait_until};

/// W37, W38, R: a reset shuts the event work out with `disable_work_sync`, twice nested, while interrupts go on
/// queueing it; after the outer enable an interrupt or `enable_and_queue_work` gets through again.
#[test]
fn no_event_runs_inside_a_reset() {
    rows(|_| {
        let resetting = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&resetting);
        let event = Work::new(move |_, _| sim_assert_eq!(seen.load(SeqCst), 0));
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        let line = Interrupt::connect("card", 7, move || {
            count.fetch_add(u32::from(event.schedule()), SeqCst);
        });
        let resets = [(); 2].map(|()| {
            let (resetting, accepted) = (Arc::clone(&resetting), Arc::clone(&accepted));
            // SAFETY: the event outlives the threads.
            world::spawn("reset", None, move || unsafe {
                for _ in 0..4 {
                    if disable_work_sync(event.work()) {
                        accepted.fetch_sub(1, SeqCst);
                    }
                    resetting.fetch_add(1, SeqCst);
                    sleep_jiffies(1);
                    resetting.fetch_sub(1, SeqCst);
                    let queued = enable_work(event.work()) && event.schedule();
                    accepted.fetch_add(u32::from(queued), SeqCst);
                }
            })
        });
        for _ in 0..20 {
            line.raise(world::choose(4));
            world::sleep_100ns(u64::from(world::choose(60_000)));
        }
        for reset in resets {
            reset.join();
        }
        wait_until(|| line.is_idle());
        event.flush();
        sim_assert_eq!(event.runs(), accepted.load(SeqCst));
        sim_assert!(event.schedule());
    });
}

/// Q22, W35, W36: completions come through a `WQ_BH` queue from interrupts of all CPUs; they are cancelled from
/// DISPATCH_LEVEL, by a call that waits. Queueings and runs and cancels agree, and none is inside afterwards.
#[test]
fn completions_in_bottom_halves_are_cancelled_at_dispatch_level() {
    rows(|_| {
        let wq = Wq::with(WQ_BH | WQ_HIGHPRI, 0);
        let done = Work::new(|_, _| sim_assert!(in_serving_softirq()));
        let accepted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&accepted);
        let line = Interrupt::connect("card", 9, move || {
            count.fetch_add(u32::from(done.queue(wq)), SeqCst);
        });
        // What no `WQ_BH` queue has had yet may not be cancelled there, in Linux too.
        sim_assert!(done.queue(wq));
        accepted.fetch_add(1, SeqCst);
        let mut cancelled = 0;
        for _ in 0..12 {
            line.raise(world::choose(4));
            line.raise(world::choose(4));
            if world::choose(2) == 0 {
                let cpu = world::choose(4);
                let took = world::run_on_cpu(cpu, || world::at_dispatch(|| done.cancel_sync()));
                cancelled += u32::from(took);
            }
        }
        wait_until(|| line.is_idle());
        wq.flush();
        sim_assert_eq!(accepted.load(SeqCst), done.runs() + cancelled);
        sim_assert_eq!(done.seen().most_inside(), 1);
        wq.destroy();
    });
}

/// W03, W07, W10, W37 for `WQ_BH`: a work that runs on one CPU, seen and disabled from another at DISPATCH_LEVEL;
/// the disable spins until the run is over.
#[test]
fn a_bottom_half_that_runs_is_disabled_by_spinning() {
    rows(|_| {
        let wq = Wq::with(WQ_BH, 0);
        let flag = Arc::new(AtomicU32::new(0));
        let spun = Arc::clone(&flag);
        let work = Work::new(move |me, run| {
            sim_assert!(current_work().is_null());
            spin_until(&spun);
            sim_assert!(run == 2 || !me.queue(wq), "queued already, or disabled");
        });
        // SAFETY: item and queue are alive.
        unsafe {
            // Not from CPU 2, which the work keeps.
            let seen = work.seen();
            world::run_on_cpu(1, || {
                sim_assert!(crate::queue_on(2, wq, work));
                while seen.inside() == 0 {
                    kmdf_mock::sync::preempt();
                }
                sim_assert_eq!(work_busy(work.work()), WORK_BUSY_RUNNING);
                sim_assert!(work.queue(wq) && !work.queue(wq));
                sim_assert_eq!(work_busy(work.work()), 3);
                // It ends when the disable has taken the second queueing away.
                let ender = world::spawn("ender", Some(3), move || {
                    wait_until(|| !work.pending());
                    flag.store(1, SeqCst);
                });
                local_bh_disable();
                sim_assert!(disable_work_sync(work.work()));
                sim_assert_eq!(work.seen().inside(), 0);
                local_bh_enable();
                ender.join();
            });
            sim_assert_eq!(work.runs(), 1);
            sim_assert!(!work.queue(wq));
            sim_assert!(enable_and_queue_work(wq.0, work.work()));
        }
        wq.destroy();
        sim_assert_eq!(work.runs(), 2);
    });
}

/// What a managed device has.
#[derive(Default)]
struct Managed {
    actions: [devm_action; 3],
    list: devm_list,
    event: work_struct,
    poll: delayed_work,
}

unsafe extern "C" fn poll(work: *mut work_struct) {
    // SAFETY: the device is released after its list.
    unsafe {
        let device = from_work!(Managed, work, poll.work);
        schedule_work(&raw mut (*device).event);
        schedule_delayed_work(to_delayed_work(work), 1);
    }
}

unsafe extern "C" fn event(work: *mut work_struct) {
    // SAFETY: as above.
    unsafe {
        mod_delayed_work(
            system_wq(),
            &raw mut (*from_work!(Managed, work, event)).poll,
            2,
        )
    };
}

unsafe extern "C" fn off(data: *mut core::ffi::c_void) {
    // SAFETY: the data is the device, which is alive.
    let device = unsafe { &*data.cast::<Managed>() };
    // SAFETY: as above. What was added before the works is released after them.
    let busy =
        unsafe { work_busy(&raw const device.event) + work_busy(&raw const device.poll.work) };
    sim_assert_eq!(busy, 0);
}

/// DEVM-2, D14: two managed works that start each other end with the device, in the reverse order of their start, at
/// any moment; nothing touches the device after it.
#[test]
fn a_managed_device_is_free_when_its_list_is_released() {
    rows(|_| {
        let device = world::pool::alloc(Managed::default());
        // SAFETY: the device is freed at the end.
        unsafe {
            let list = &raw mut (*device).list;
            let [first, second, third] = (&raw mut (*device).actions).as_mut().unwrap().each_mut();
            sim_assert_eq!(devm_add_action(list, first, off, device.cast()), 0);
            let work = &raw mut (*device).event;
            sim_assert_eq!(devm_work_autocancel(list, second, work, event), 0);
            let dwork = &raw mut (*device).poll;
            sim_assert_eq!(devm_delayed_work_autocancel(list, third, dwork, poll), 0);
            sim_assert!(schedule_delayed_work(dwork, 1));
            world::sleep_100ns(u64::from(world::choose(600_000)));
            // The driver stops what starts the poll from elsewhere, as Linux asks for.
            disable_work_sync(work);
            devm_release_all(list);
            world::pool::free(device);
        }
    });
}

unsafe extern "C" fn nothing(_: *mut work_struct) {}

/// W21: works on a frame, plain, delayed and deferrable, in a thread and in a work; an armed one is cancelled before
/// its frame goes.
#[test]
fn works_of_a_frame_end_with_it() {
    rows(|_| {
        let frame = || {
            let (mut work, mut dwork) = (work_struct::new(), delayed_work::new());
            let (work, dwork) = (&raw mut work, &raw mut dwork);
            // SAFETY: the frame waits for both.
            unsafe {
                INIT_WORK_ONSTACK(work, nothing);
                sim_assert!(queue_work(system_unbound_wq(), work));
                flush_work(work);
                sim_assert!(!work_pending(work));
                destroy_work_on_stack(work);
                INIT_DEFERRABLE_WORK_ONSTACK(dwork, nothing);
                sim_assert!(schedule_delayed_work(dwork, 500));
                flush_delayed_work(dwork);
                sim_assert!(!delayed_work_pending(dwork));
                destroy_delayed_work_on_stack(dwork);
                INIT_DELAYED_WORK_ONSTACK(dwork, nothing);
                sim_assert!(schedule_delayed_work(dwork, 500) && cancel_delayed_work_sync(dwork));
                destroy_delayed_work_on_stack(dwork);
            }
        };
        frame();
        let inside = Work::new(move |_, _| frame());
        sim_assert!(inside.schedule());
        inside.flush();
        sim_assert_eq!(inside.seen().ended(), 1);
    });
}
