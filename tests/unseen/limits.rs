//! Calls about CPUs, limits that change, and the ends of the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::queue_on;
use crate::support::{
    NonReentrant, SelfReentrant, Trace, Work, Wq, punctual, rows, rows_on, rows_with_on,
    sleep_jiffies, wait_until,
};

/// Q09, W26, Q08: per-CPU queues take works for all CPUs; the limit goes up and down while they run, and never more
/// of one CPU are inside than it allowed when they began; each runs where it was queued.
#[test]
fn a_limit_that_changes_is_kept_on_every_cpu() {
    rows(|_| {
        let wq = Wq::with(WQ_PERCPU, 1);
        let gates = [Gate::new(), Gate::new()];
        let batch = |gate: &Gate| [(); 12].map(|()| Work::gated(gate));
        let [first, second] = [batch(&gates[0]), batch(&gates[1])];
        let queue = |works: &[Work; 12]| {
            for (cpu, work) in (0_i32..).zip(works) {
                sim_assert!(queue_on(cpu % 4, wq, *work));
            }
        };
        let begun = |works: &[Work; 12]| works.iter().map(|work| work.runs()).sum::<u32>();
        queue(&first);
        for (limit, most) in [(1, 4), (2, 8), (1, 8), (3, 12)] {
            // SAFETY: the queue is alive.
            unsafe { workqueue_set_max_active(wq.0, limit) };
            world::settle();
            sim_assert_eq!(begun(&first), most, "{limit}");
            // SAFETY: the queue is alive.
            sim_assert_eq!(unsafe { workqueue_congested(1, wq.0) }, most < 12);
        }
        // SAFETY: the queue is alive.
        unsafe { workqueue_set_max_active(wq.0, 1) };
        queue(&second);
        world::settle();
        sim_assert_eq!(begun(&second), 0);
        gates[0].open();
        wait_until(|| begun(&second) == 4);
        world::settle();
        sim_assert_eq!(begun(&second), 4);
        gates[1].open();
        wq.flush();
        for (cpu, work) in (0_u32..).zip(first.iter().chain(&second)) {
            sim_assert_eq!(work.runs(), 1);
            sim_assert_eq!(work.seen().cpu(0), cpu % 4);
        }
        wq.destroy();
    });
}

unsafe extern "C" fn where_am_i(total: *mut core::ffi::c_void) -> i64 {
    // SAFETY: the argument is the counter, which outlives the call.
    unsafe { &*total.cast::<AtomicU32>() }.fetch_add(1, SeqCst);
    sim_assert!(in_task());
    sleep_jiffies(1);
    -100 - i64::from(world::current_cpu())
}

/// W23: calls on all CPUs at once, from threads and from works, each with the value of its own CPU; CPUs that do not
/// exist are refused.
#[test]
fn calls_on_cpus_from_anywhere_have_their_own_values() {
    rows(|_| {
        let total = Arc::new(AtomicU32::new(0));
        let call = {
            let total = Arc::clone(&total);
            move |cpu: i32| {
                let arg = Arc::as_ptr(&total).cast_mut().cast();
                // SAFETY: the counter outlives the call.
                unsafe { work_on_cpu(cpu, where_am_i, arg) }
            }
        };
        let threads = [0, 1, 2, 3, 3].map(|cpu| {
            let call = call.clone();
            world::spawn("caller", None, move || {
                sim_assert_eq!(call(cpu), -100 - i64::from(cpu))
            })
        });
        let inside = call.clone();
        let work = Work::new(move |_, _| sim_assert_eq!(inside(2), -102));
        sim_assert!(work.schedule());
        sim_assert_eq!(call(4), -19);
        sim_assert_eq!(call(-1), -19);
        for thread in threads {
            thread.join();
        }
        work.flush();
        sim_assert_eq!(total.load(SeqCst), 6);
    });
}

/// D01, D22, D04: works armed before the wrap of the low 32 bits of `jiffies` for times behind it are in time, in the
/// order of their times; delays with the sign bit are due at once, the longest one without it is never.
#[test]
fn delays_across_the_wrap_are_in_time() {
    for rule in [SelfReentrant, NonReentrant] {
        rows_with_on(punctual, rule, 3, |_| {
            let left = (1 << 32) - jiffies();
            sim_assert!(left <= 300 * HZ);
            let trace = Trace::default();
            let letter = |letter| {
                let trace = trace.clone();
                Work::new(move |_, _| trace.add(letter))
            };
            let works = ['a', 'b', 'c', 'd', 'e', 'f'].map(letter);
            let never = u64::MAX >> 1;
            let delays = [left + 40, left - 30, left + 10, never, 1 << 63, u64::MAX];
            let start = jiffies();
            for (work, delay) in works.iter().zip(delays) {
                sim_assert!(work.schedule_delayed(delay));
            }
            sleep_jiffies(3);
            let soon = trace.get();
            sim_assert!(soon == "ef" || soon == "fe", "{soon}");
            sleep_jiffies(left - 60);
            sim_assert_eq!(trace.get(), soon);
            wait_until(|| works[2].runs() == 1);
            sim_assert!(time_after_eq(jiffies(), start + delays[2]));
            sim_assert!(time_before(jiffies(), start + delays[2] + 4));
            wait_until(|| works[0].runs() == 1);
            sim_assert_eq!(trace.get(), soon + "bca");
            sim_assert!(works[3].pending() && works[3].modify(Wq::system(), 1));
            sleep_jiffies(4);
            sim_assert_eq!(works[3].runs(), 1);
        });
    }
}

/// W28, W29, Q19, Q11: one work on two queues of different kinds from all CPUs: without reentrance never twice at once,
/// and never a queueing without its run; an ordered queue keeps one at a time whatever CPU is asked for.
#[test]
fn a_work_on_two_queues_runs_as_often_as_it_was_taken() {
    rows(|rig| {
        let queues = [Wq::with(WQ_PERCPU, 2), Wq::with(WQ_UNBOUND | WQ_HIGHPRI, 0)];
        let work = Work::new(|_, _| world::sleep_100ns(u64::from(world::choose(9_000))));
        let taken = Arc::new(AtomicU32::new(0));
        let ordered = Wq::ordered();
        let alone = Work::new(|_, _| world::sleep_100ns(u64::from(world::choose(9_000))));
        let threads = [0_i32, 1, 2, 3].map(|cpu| {
            let taken = Arc::clone(&taken);
            world::spawn("queuer", None, move || {
                for turn in 0..6 {
                    let more = queue_on((cpu + 1) % 4, queues[turn % 2], work);
                    queue_on(cpu, ordered, alone);
                    taken.fetch_add(u32::from(more), SeqCst);
                    world::sleep_100ns(u64::from(world::choose(9_000)));
                }
            })
        });
        for thread in threads {
            thread.join();
        }
        for wq in queues {
            wq.destroy();
        }
        ordered.destroy();
        sim_assert_eq!(work.runs(), taken.load(SeqCst));
        sim_assert_eq!(alone.seen().most_inside(), 1);
        if rig.reentrance == NonReentrant {
            sim_assert_eq!(work.seen().most_inside(), 1);
        }
    });
}

/// D14, D06, R: two periodic works of one device that put each other off, on an unbound and a reclaiming queue, run on
/// until both are cancelled in the order that Linux drivers use.
#[test]
fn works_that_put_each_other_off_are_stopped() {
    rows_on(punctual, 30, |_| {
        let queues = [Wq::with(WQ_UNBOUND, 0), Wq::with(WQ_MEM_RECLAIM, 1)];
        let slow = Work::new(move |me, _| {
            me.queue_delayed(queues[0], 3);
        });
        let fast = Work::new(move |me, run| {
            slow.modify(queues[0], u64::from(run % 3));
            me.queue_delayed(queues[1], 2);
        });
        sim_assert!(fast.queue_delayed(queues[1], 0));
        sleep_jiffies(20);
        fast.cancel_delayed_sync();
        slow.cancel_delayed_sync();
        let runs = (fast.runs(), slow.runs());
        sim_assert!(runs.0 >= 5 && runs.1 >= 5, "{runs:?}");
        sleep_jiffies(10);
        sim_assert_eq!((fast.runs(), slow.runs()), runs);
        for wq in queues {
            wq.destroy();
        }
    });
}
