//! Works that run as tasklets do, on WQ_BH queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Tasklet, Work, Wq, spin_until, wait_until};
use super::{Calls, LINUX, Reached, convicts, each, give_way, holds, racing, rows, single};

/// B-64: nothing of a work is touched after its function, on a WQ_BH queue either, where Linux's cure for the
/// tasklets that cannot free themselves is: works of such queues free themselves in their functions, at
/// DISPATCH_LEVEL.
#[test]
fn b64_a_bottom_half_work_frees_itself() {
    rows(racing, 60, |_| {
        for flags in [WQ_BH, WQ_BH | WQ_HIGHPRI] {
            let wq = Wq::with(flags, 0);
            for delay in [0, 0, 1] {
                let works = [0; 3].map(|_| Work::new(|work, _| work.free()));
                let seen = works.map(Work::seen);
                world::at_dispatch(|| {
                    each(works, |work| sim_assert!(work.queue_delayed(wq, delay)));
                });
                wait_until(|| seen.iter().all(|seen| seen.ended() == 1));
                sim_assert!(seen.iter().all(|seen| seen.irql(0) == 2));
            }
            wq.destroy();
        }
    });
}

/// B-65: a sync cancel of a bottom half work on a machine with one CPU: the run needs the CPU that the caller is
/// on, and gets it. A caller that spins at a raised IRQL does not let it.
#[test]
fn b65_cancelling_a_bottom_half_work_on_one_cpu() {
    static CANCELLED: Reached = Reached::new();
    static RAN: Reached = Reached::new();
    fn scenario(_: &Rig, calls: Calls) {
        let wq = Wq::with(WQ_BH, 0);
        let work = Work::new(|_, _| give_way(6));
        let line = Arc::new(Interrupt::connect("line", 5, move || _ = work.queue(wq)));
        let raiser = {
            let line = Arc::clone(&line);
            world::spawn("raiser", None, move || {
                for _ in 0..10 {
                    line.raise(0);
                    give_way(6);
                }
            })
        };
        for _ in 0..10 {
            let runs = work.runs();
            let cancelled = if world::choose(2) == 0 {
                (calls.cancel_sync)(work)
            } else {
                // Where the run cannot come before the cancel.
                world::at_dispatch(|| {
                    work.queue(wq);
                    (calls.cancel_sync)(work)
                })
            };
            sim_assert_eq!(work.seen().inside(), 0);
            CANCELLED.note(cancelled);
            RAN.note(work.runs() > runs);
            give_way(10);
        }
        raiser.join();
        wait_until(|| line.is_idle());
        wq.destroy();
        work.free();
    }
    holds(single, 60, scenario);
    CANCELLED.check();
    RAN.check();
    let cancel_sync: fn(Work) -> bool = |work| {
        let gate = Arc::new(AtomicU32::new(0));
        let opens = Arc::clone(&gate);
        let behind = Tasklet::new(move |_, _| opens.store(1, SeqCst));
        world::at_dispatch(|| {
            behind.schedule();
            spin_until(&gate);
        });
        work.cancel_sync()
    };
    convicts(
        single,
        scenario,
        Calls {
            cancel_sync,
            ..LINUX
        },
        "DPC_WATCHDOG",
    );
}
