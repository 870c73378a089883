//! Making workqueues: each call, each flag, and what is refused or put right.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Driver, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Work, Wq, machine, reports, rows};

/// A call that makes a queue, and its name in messages.
type Make = (fn() -> *mut workqueue_struct, &'static str);

const CALLS: [Make; 5] = [
    (|| alloc_workqueue(c"a", 0, 0), "alloc_workqueue"),
    (
        || alloc_ordered_workqueue(c"b", 0),
        "alloc_ordered_workqueue",
    ),
    (|| create_workqueue(c"c"), "create_workqueue"),
    (
        || create_singlethread_workqueue(c"d"),
        "create_singlethread_workqueue",
    ),
    (
        || create_freezable_workqueue(c"e"),
        "create_freezable_workqueue",
    ),
];

/// The flags that a driver may pass and that do not exclude others.
const FLAGS: [u32; 9] = [
    WQ_UNBOUND,
    WQ_FREEZABLE,
    WQ_MEM_RECLAIM,
    WQ_HIGHPRI,
    WQ_CPU_INTENSIVE,
    WQ_SYSFS,
    WQ_POWER_EFFICIENT,
    WQ_PERCPU,
    WQ_NON_REENTRANT,
];

/// Makes a queue by `make`, which reports `codes` in this order, naming `call` and the queue called `name`.
fn making(
    codes: &[&str],
    call: &str,
    name: &str,
    make: impl FnOnce() -> *mut workqueue_struct,
) -> Wq {
    let (lines, before) = (world::debug_log().len(), reports().len());
    let wq = Wq(make());
    sim_assert_eq!(reports().split_off(before), codes);
    for line in world::debug_log().split_off(lines) {
        let place = format!("{call}(workqueue \"{name}\"): ");
        sim_assert!(line.contains(&place), "{line} does not say {place}");
    }
    wq
}

/// Queues two works that wait, on CPU 1 and CPU 2, and says how many run at once.
fn at_once(wq: Wq) -> u32 {
    let gate = Gate::new();
    let works = [1, 2].map(|cpu| {
        let work = Work::gated(&gate);
        world::run_on_cpu(cpu, || sim_assert!(work.queue(wq)));
        work
    });
    world::settle();
    let inside = works.iter().map(|work| work.seen().inside()).sum();
    gate.open();
    wq.flush();
    for work in works {
        sim_assert_eq!(work.seen().ended(), 1);
        work.free();
    }
    inside
}

/// Whether the works of a queue run, and it can be destroyed.
fn works(wq: Wq) {
    sim_assert!(!wq.0.is_null());
    let (work, delayed) = (Work::counting(), Work::counting());
    sim_assert!(work.queue(wq));
    sim_assert!(delayed.queue_delayed(wq, 1));
    delayed.flush_delayed();
    wq.destroy();
    sim_assert_eq!((work.runs(), delayed.runs()), (1, 1));
    work.free();
    delayed.free();
}

/// Q18: `create_workqueue` is one at a time per CPU: works of two CPUs run at once, two of one CPU do not.
/// `create_singlethread_workqueue` is one at a time, and so is `create_freezable_workqueue`.
#[test]
fn q18_create_workqueue_is_serial_on_a_cpu_only() {
    rows(|_| {
        for (call, expected) in [
            (CALLS[2], 2),
            (CALLS[3], 1),
            (CALLS[4], 1),
            (CALLS[0], 2),
            (CALLS[1], 1),
        ] {
            let wq = Wq((call.0)());
            sim_assert_eq!(at_once(wq), expected, "{}", call.1);
            wq.destroy();
        }
        let gate = Gate::new();
        let wq = Wq(create_workqueue(c"serial"));
        let works = [0; 3].map(|_| Work::gated(&gate));
        world::run_on_cpu(3, || {
            works.iter().for_each(|work| sim_assert!(work.queue(wq)))
        });
        world::settle();
        let inside: u32 = works.iter().map(|work| work.seen().inside()).sum();
        sim_assert_eq!(inside, 1);
        gate.open();
        wq.destroy();
        works.into_iter().for_each(Work::free);
    });
}

/// QUEUE-7: `alloc_workqueue` and `alloc_ordered_workqueue` with each flag alone, and all that go together, make a queue whose works run; nothing is said.
#[test]
fn every_flag_is_taken() {
    rows(|_| {
        for flag in FLAGS {
            works(making(&[], "", "", || alloc_workqueue(c"one", flag, 0)));
        }
        let all = FLAGS.iter().fold(0, |all, flag| all | flag) & !WQ_PERCPU;
        works(making(&[], "", "", || alloc_workqueue(c"all", all, 7)));
        let ordered = all & !WQ_UNBOUND;
        let wq = making(&[], "", "", || alloc_ordered_workqueue(c"all", ordered));
        sim_assert_eq!(at_once(wq), 1);
        wq.destroy();
        for (call, _) in CALLS {
            works(making(&[], "", "", call));
        }
    });
}

/// The flags are Linux's bits, so that a driver's table of them means the same here.
#[test]
fn the_flags_have_linux_s_bits() {
    let bits = [WQ_BH, WQ_UNBOUND, WQ_FREEZABLE, WQ_MEM_RECLAIM, WQ_HIGHPRI];
    assert_eq!(bits, [1, 2, 4, 8, 16]);
    let bits = [WQ_CPU_INTENSIVE, WQ_SYSFS, WQ_POWER_EFFICIENT, WQ_PERCPU];
    assert_eq!(bits, [32, 64, 128, 256]);
    assert_eq!(
        (WQ_MAX_ACTIVE, WQ_UNBOUND_MAX_ACTIVE, WQ_DFL_ACTIVE),
        (512, 512, 256)
    );
}

/// Q21: at the limits nothing is said; one beyond them BH12, and the queue is there.
#[test]
fn q21_max_active_is_clamped_beyond_the_limits() {
    rows(|rig| {
        rig.expect(&["BH12"]);
        for flags in [0, WQ_UNBOUND] {
            for (max_active, codes) in [
                (1, &[][..]),
                (0, &[]),
                (WQ_MAX_ACTIVE, &[]),
                (WQ_MAX_ACTIVE + 1, &["BH12"]),
                (-1, &["BH12"]),
                (i32::MIN, &["BH12"]),
                (i32::MAX, &["BH12"]),
            ] {
                let before = reports().len();
                let wq = Wq(alloc_workqueue(c"limit", flags, max_active));
                sim_assert_eq!(reports().split_off(before), codes);
                works(wq);
            }
        }
    });
}

/// Q23: WQ_BH goes with WQ_HIGHPRI and WQ_PERCPU only, and with a `max_active` of 0: else there is no queue,
/// and BH21 says why. With those it is made, and its works run.
#[test]
fn q23_bh_with_what_excludes_it() {
    rows(|rig| {
        rig.expect(&["BH21"]);
        for flag in FLAGS {
            if [WQ_HIGHPRI, WQ_PERCPU, WQ_NON_REENTRANT].contains(&flag) {
                continue;
            }
            let wq = making(&["BH21"], "alloc_workqueue", "bh", || {
                alloc_workqueue(c"bh", WQ_BH | flag, 0)
            });
            sim_assert!(wq.0.is_null());
        }
        for max_active in [1, -1, WQ_DFL_ACTIVE] {
            let wq = making(&["BH21"], "alloc_workqueue", "bh", || {
                alloc_workqueue(c"bh", WQ_BH | WQ_HIGHPRI, max_active)
            });
            sim_assert!(wq.0.is_null());
        }
        for flags in [
            0,
            WQ_HIGHPRI,
            WQ_PERCPU,
            WQ_HIGHPRI | WQ_PERCPU | WQ_NON_REENTRANT,
        ] {
            works(making(&[], "", "", || {
                alloc_workqueue(c"bh", WQ_BH | flags, 0)
            }));
        }
        let wq = making(&["BH21"], "alloc_ordered_workqueue", "bh", || {
            alloc_ordered_workqueue(c"bh", WQ_BH)
        });
        sim_assert!(wq.0.is_null());
    });
}

/// BH22: bits that are no flag are said and ignored; also Linux's internal ones, which would make the queue
/// what the driver did not ask for.
#[test]
fn bh22_bits_that_are_no_flag() {
    rows(|rig| {
        rig.expect(&["BH22"]);
        for bit in [9, 15, 16, 17, 18, 19, 23, 25, 31] {
            let wq = making(&["BH22"], "alloc_workqueue", "bits", || {
                alloc_workqueue(c"bits", 1 << bit, 0)
            });
            let line = world::debug_log().pop().unwrap_or_default();
            sim_assert!(
                line.ends_with(&format!("(flags {:#x})", 1_u32 << bit)),
                "{line}"
            );
            sim_assert_eq!(at_once(wq), 2, "bit {bit} is ignored");
            works(wq);
        }
        let wq = making(&["BH22"], "alloc_ordered_workqueue", "bits", || {
            alloc_ordered_workqueue(c"bits", 1 << 30)
        });
        sim_assert_eq!(at_once(wq), 1);
        works(wq);
    });
}

/// BH23: 31 bytes of a name are kept; of a longer one the rest is cut off and said.
#[test]
fn bh23_a_name_that_is_too_long() {
    rows(|rig| {
        rig.expect(&["BH23", "BH07"]);
        let kept = "abcdefghijklmnopqrstuvwxyz01234";
        let whole = c"abcdefghijklmnopqrstuvwxyz01234";
        let long = c"abcdefghijklmnopqrstuvwxyz012345";
        let silent = making(&[], "", "", || alloc_workqueue(whole, 0, 0));
        let cut = making(&["BH23"], "create_workqueue", &format!("{kept}5"), || {
            create_workqueue(long)
        });
        for wq in [silent, cut] {
            let work = Work::new(move |_, _| wq.flush());
            let lines = world::debug_log().len();
            sim_assert!(work.queue(wq));
            work.flush();
            let line = world::debug_log().split_off(lines).concat();
            let place = format!("BH07 flush_workqueue(workqueue \"{kept}\"): ");
            sim_assert!(line.contains(&place), "{line}");
            work.free();
            wq.destroy();
        }
    });
}

/// BH25: bound and unbound at once: unbound wins, so that one FIFO serves all CPUs, and it is said.
#[test]
fn bh25_percpu_and_unbound() {
    rows(|rig| {
        rig.expect(&["BH25"]);
        let both = WQ_PERCPU | WQ_UNBOUND;
        let wq = making(&["BH25"], "alloc_workqueue", "both", || {
            alloc_workqueue(c"both", both, 1)
        });
        sim_assert_eq!(at_once(wq), 1);
        works(wq);
        let wq = making(&["BH25"], "alloc_ordered_workqueue", "both", || {
            alloc_ordered_workqueue(c"both", WQ_PERCPU)
        });
        sim_assert_eq!(at_once(wq), 1);
        works(wq);
    });
}

/// BH15: at DISPATCH_LEVEL no call makes a queue, and each says its own name.
#[test]
fn bh15_making_a_queue_at_dispatch() {
    rows(|rig| {
        rig.expect(&["BH15"]);
        for (make, call) in CALLS {
            let wq = Wq(world::at_dispatch(make));
            sim_assert!(wq.0.is_null());
            let line = world::debug_log().pop().unwrap_or_default();
            sim_assert!(line.contains(&format!("BH15 {call}(")), "{line}");
        }
    });
}

/// BH03: before attach no call makes a queue, and each says its own name.
#[test]
fn bh03_making_a_queue_before_attach() {
    let run = machine(0).run(|| {
        let driver = Driver::load();
        for (make, call) in CALLS {
            sim_assert!(make().is_null());
            let line = world::debug_log().pop().unwrap_or_default();
            sim_assert!(line.contains(&format!("BH03 {call}(")), "{line}");
        }
        driver.unload();
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}
