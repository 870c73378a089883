//! Who is who: an address says where a work is, not which one it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::SeqCst};

use bottomhalf::Workqueue;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Rig, Tasklet, Work, Wq, machine, sleep_jiffies, wait_until};
use super::{BOTH, Calls, LINUX, blocked, convicts, each, holds, occupied, racing, roomy, rows};

/// Memory that is one object first and another one later, as an allocator gives it out: the work's function
/// changes, its address does not.
#[repr(C)]
struct Place {
    work: work_struct,
    gates: [Gate; 2],
    began: [AtomicU32; 2],
    ended: [AtomicU32; 2],
    wq: AtomicPtr<workqueue_struct>,
    answer: AtomicU32,
}

#[derive(Clone, Copy)]
struct Object(*mut Place);
// SAFETY: the place is made of atomics and gates, and lives until the scenario frees it.
unsafe impl Send for Object {}

impl Object {
    fn new(wq: Wq) -> Self {
        Self(world::pool::alloc(Place {
            work: work_struct::new(),
            gates: [Gate::new(), Gate::new()],
            began: Default::default(),
            ended: Default::default(),
            wq: AtomicPtr::new(wq.0),
            answer: AtomicU32::new(2),
        }))
    }
    fn place(&self) -> &Place {
        // SAFETY: alive until `free`.
        unsafe { &*self.0 }
    }
    fn work(self) -> *mut work_struct {
        self.0.cast()
    }
    /// Allocated for the object whose function is `func`.
    fn init(self, func: work_func_t) {
        // SAFETY: the work is not pending.
        unsafe { INIT_WORK(self.work(), func) };
    }
    fn queue(self, wq: Wq) -> bool {
        // SAFETY: it is initialised and stays in place.
        unsafe { queue_work(wq.0, self.work()) }
    }
    fn flush(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { flush_work(self.work()) }
    }
    fn cancel_sync(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { cancel_work_sync(self.work()) }
    }
    fn busy(self) -> u32 {
        // SAFETY: as in `queue`.
        unsafe { work_busy(self.work()) }
    }
    fn began(&self, who: usize) -> u32 {
        self.place().began[who].load(SeqCst)
    }
    fn ended(&self, who: usize) -> u32 {
        self.place().ended[who].load(SeqCst)
    }
    fn free(self) {
        // SAFETY: nothing of it runs or is pending any more.
        unsafe { world::pool::free(self.0) };
    }
}

fn run(work: *mut work_struct, who: usize) {
    let object = Object(work.cast());
    object.place().began[who].fetch_add(1, SeqCst);
    object.place().gates[who].wait();
    object.place().ended[who].fetch_add(1, SeqCst);
}

unsafe extern "C" fn former(work: *mut work_struct) {
    run(work, 0);
}

unsafe extern "C" fn latter(work: *mut work_struct) {
    run(work, 1);
}

/// Gives its memory back at once, gets it again for an object with another function, queues that, and waits
/// for it: with a flush, then with a cancel.
unsafe extern "C" fn recycles(work: *mut work_struct) {
    let object = Object(work.cast());
    let wq = Wq(object.place().wq.load(SeqCst));
    object.init(latter);
    sim_assert_eq!(object.busy(), 0);
    sim_assert!(object.queue(wq));
    let waited = object.flush();
    sim_assert_eq!(
        object.ended(1),
        1,
        "the flush of another work does not wait"
    );
    sim_assert!(object.queue(wq));
    wait_until(|| object.began(1) == 2);
    sim_assert_eq!(object.cancel_sync(), false);
    sim_assert_eq!(
        object.ended(1),
        2,
        "the cancel of another work does not wait"
    );
    object.place().answer.store(u32::from(waited), SeqCst);
}

/// B-59: a work is its address and its function. While a function still runs whose work is gone, its memory
/// has become another work: waiting for that one is not waiting for the old function.
#[test]
fn b59_another_work_at_the_address_of_one_that_runs() {
    rows(racing, 40, |_| {
        let wq = Wq::bound();
        let object = Object::new(wq);
        object.init(former);
        sim_assert!(object.queue(wq));
        wait_until(|| object.began(0) == 1);
        object.init(latter);
        sim_assert_eq!(
            (object.busy(), object.flush(), object.cancel_sync()),
            (0, false, false)
        );
        sim_assert!(object.queue(wq));
        wait_until(|| object.began(1) == 1);
        sim_assert_eq!(object.busy(), WORK_BUSY_RUNNING);
        let flush = blocked("flush", move || object.flush());
        let canceller = blocked("cancel", move || object.cancel_sync());
        object.place().gates[1].open();
        sim_assert_eq!((flush.join(), canceller.join()), (true, false));
        sim_assert!(object.queue(wq), "nobody holds it any more");
        object.flush();
        sim_assert_eq!([object.ended(0), object.ended(1)], [0, 2]);
        object.place().gates[0].open();
        wq.destroy();
        sim_assert_eq!(object.ended(0), 1);
        object.free();
    });
}

/// B-59: the old function itself may wait for the new work: that is not itself, so it is no BH07.
#[test]
fn b59_a_function_waits_for_the_next_work_in_its_memory() {
    rows(racing, 40, |_| {
        let wq = Wq::bound();
        let object = Object::new(wq);
        object.init(recycles);
        object.place().gates[1].open();
        sim_assert!(object.queue(wq));
        wait_until(|| object.place().answer.load(SeqCst) != 2);
        wq.destroy();
        sim_assert_eq!(object.ended(1), 2);
        object.free();
    });
}

/// B-59: a flush that has begun is about the instance of its time, not about those that are queued later.
#[test]
fn b59_a_flush_is_not_about_later_instances() {
    fn scenario(_: &Rig, calls: Calls) {
        let wq = Wq::ordered();
        let gates = [Gate::new(), Gate::new()];
        let of_run = gates.clone();
        let work = Work::new(move |work, run| {
            of_run[run as usize - 1].wait();
            if run == 1 {
                work.queue(wq);
            }
        });
        sim_assert!(work.queue(wq));
        work.wait_begun(1);
        let flush = blocked("flush", move || (calls.flush)(work));
        gates[0].open();
        work.wait_begun(2);
        world::settle();
        sim_assert!(
            flush.thread.is_finished(),
            "the flush waits for a later instance"
        );
        gates[1].open();
        sim_assert!(flush.join());
        wq.destroy();
        work.free();
    }
    holds(racing, 40, scenario);
    let flush: fn(Work) -> bool = |work| {
        while work.flush() {}
        true
    };
    let name = "the flush waits for a later instance";
    convicts(racing, scenario, Calls { flush, ..LINUX }, name);
}

/// A mistake of a driver, and what is said about it.
struct Mistake {
    make: fn(),
    said: &'static str,
}

const FREED: &str = "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)";

/// Mistakes with memory that is in use.
const MISTAKES: [Mistake; 7] = [
    Mistake {
        make: free_queued,
        said: FREED,
    },
    Mistake {
        make: free_armed,
        said: FREED,
    },
    Mistake {
        make: free_scheduled,
        said: FREED,
    },
    Mistake {
        make: disable_and_free_scheduled,
        said: "left pending",
    },
    Mistake {
        make: init_queued,
        said: "an access to 0x",
    },
    Mistake {
        make: init_queued_and_queue,
        said: "SIM_DEADLOCK",
    },
    Mistake {
        make: set_up_scheduled,
        said: "left pending",
    },
];

fn free_queued() {
    let gate = Gate::new();
    let (wq, _) = occupied(&gate);
    let work = Work::counting();
    sim_assert!(work.queue(wq));
    work.free();
    gate.open();
    wq.flush();
}

fn free_armed() {
    let work = Work::counting();
    sim_assert!(work.schedule_delayed(3));
    work.free();
    sleep_jiffies(10);
}

fn free_scheduled() {
    let tasklet = Tasklet::counting();
    world::at_dispatch(|| {
        tasklet.schedule();
        tasklet.free();
    });
    world::settle();
}

/// The disable of a driver that means a kill: the schedule stays.
fn disable_and_free_scheduled() {
    let tasklet = Tasklet::counting();
    tasklet.disable();
    tasklet.schedule();
    world::settle();
    tasklet.free();
}

/// Two works that are queued behind one that runs, and that one's gate.
fn two_queued() -> (Wq, [Work; 2], Gate) {
    let gate = Gate::new();
    let (wq, _) = occupied(&gate);
    let works = [0; 2].map(|_| Work::counting());
    each(works, |work| sim_assert!(work.queue(wq)));
    (wq, works, gate)
}

fn init_queued() {
    let (wq, [first, _], gate) = two_queued();
    first.init();
    gate.open();
    wq.destroy();
}

fn init_queued_and_queue() {
    let (wq, [first, _], gate) = two_queued();
    first.init();
    sim_assert!(first.queue(wq));
    gate.open();
    wq.destroy();
}

unsafe extern "C" fn nothing(_: *mut tasklet_struct) {}

fn set_up_scheduled() {
    let tasklet = Tasklet::counting();
    world::at_dispatch(|| {
        tasklet.schedule();
        // SAFETY: valid memory; that it is scheduled is the mistake.
        unsafe { tasklet_setup(tasklet.raw(), nothing) };
    });
    tasklet.disable();
    tasklet.schedule();
    world::settle();
    tasklet.free();
}

/// The environment of the process in which a mistake is made: a page fault or a panic ends it.
const MISTAKE: &str = "BOTTOMHALF_PEERS_MISTAKE";

/// B-68: memory of an item that is queued, armed or scheduled is freed, also after a disable where a kill is
/// due, or is initialised again. None of it passes in silence in the simulator: it names the touch, or what is left,
/// or stops where a list has lost its link.
#[test]
fn b68_freed_or_initialised_while_it_is_pending() {
    const NAME: &str = "identity::b68_freed_or_initialised_while_it_is_pending";
    if let Ok(number) = std::env::var(MISTAKE) {
        let number: usize = number.parse().unwrap();
        let (make, rule) = (MISTAKES[number / 2].make, BOTH[number % 2]);
        let run = machine(0).run(move || {
            let rig = Rig::new(rule);
            make();
            rig.finish();
        });
        panic!("{}", run.unwrap_err());
    }
    for number in 0..2 * MISTAKES.len() {
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(MISTAKE, number.to_string())
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&child.stderr);
        let said = MISTAKES[number / 2].said;
        assert!(!child.status.success(), "mistake {number} passes: {report}");
        assert!(
            report.contains(said),
            "mistake {number} is not {said}: {report}"
        );
    }
}

/// The control of B-68: the same items without the mistakes.
#[test]
fn b68_no_mistake_is_not_convicted() {
    rows(racing, 10, |_| {
        let (wq, works, gate) = two_queued();
        gate.open();
        wq.destroy();
        each(works, Work::init);
        each(works, |work| sim_assert!(work.schedule_delayed(1)));
        each(works, |work| sim_assert!(work.cancel_delayed_sync()));
        let tasklet = Tasklet::counting();
        tasklet.schedule();
        tasklet.kill();
        tasklet.free();
        each(works, Work::free);
    });
}

/// A closure of one type, whichever gate and count it is given.
fn spawned(gate: &Gate, began: &Arc<AtomicU32>) -> impl FnOnce() + Send + 'static {
    let (gate, began) = (gate.clone(), Arc::clone(began));
    move || {
        began.fetch_add(1, SeqCst);
        gate.wait();
    }
}

/// B-59: closures of one type are works with one function. As long as one runs, no other one may get its
/// address, or it would be taken for a second instance of that one and wait for its end.
#[test]
fn b59_closures_of_one_type_are_works_of_their_own() {
    rows(roomy, 20, |_| {
        let (gate, began) = (Gate::new(), Arc::new(AtomicU32::new(0)));
        let queue = Workqueue::unbound(c"closures").build().unwrap();
        for count in 1..=4 {
            sim_assert!(queue.try_spawn(spawned(&gate, &began)).is_ok());
            sleep_jiffies(5);
            sim_assert_eq!(began.load(SeqCst), count, "closures that began");
        }
        gate.open();
        drop(queue);
    });
}
