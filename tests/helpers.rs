//! The small calls around the items: on the stack, deferrable, of the old forms, in process context, and
//! what a device takes back when it goes.

mod support;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bottomhalf::linux::*;
use bottomhalf::{Config, Host, attach};
use kmdf_mock::world::{self, Driver, Gate, Interrupt};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{Tasklet, Trace, Work, Wq, machine, reports, rows, still_waits, wait_until};

/// A counter and the items of one frame. Its address is the frame's, and a frame that is gone is one whose
/// memory was given back: a touch of it is convicted.
#[repr(C)]
struct Frame {
    work: work_struct,
    delayed: delayed_work,
    runs: AtomicU32,
    gate: Gate,
}

unsafe extern "C" fn count_work(work: *mut work_struct) {
    let frame = from_work!(Frame, work, work);
    // SAFETY: the frame outlives its works, or the scenario is about that it does not.
    unsafe { (*frame).runs.fetch_add(1, SeqCst) };
}

unsafe extern "C" fn count_delayed(work: *mut work_struct) {
    let frame = from_work!(Frame, work, delayed.work);
    // SAFETY: as above.
    unsafe { (*frame).runs.fetch_add(1, SeqCst) };
}

unsafe extern "C" fn wait_for_gate(work: *mut work_struct) {
    let frame = from_work!(Frame, work, work);
    // SAFETY: as above.
    let frame = unsafe { &*frame };
    let gate = frame.gate.clone();
    frame.runs.fetch_add(1, SeqCst);
    gate.wait();
}

impl Frame {
    fn new() -> *mut Self {
        world::pool::alloc(Self {
            work: work_struct::new(),
            delayed: delayed_work::new(),
            runs: AtomicU32::new(0),
            gate: Gate::new(),
        })
    }
}

/// A frame in use.
#[derive(Clone, Copy)]
struct Here(*mut Frame);
// SAFETY: the frame's parts are atomic; scenarios end it when nobody uses it.
unsafe impl Send for Here {}

impl Here {
    fn enter() -> Self {
        Self(Frame::new())
    }
    fn work(self) -> *mut work_struct {
        // SAFETY: inside the frame.
        unsafe { &raw mut (*self.0).work }
    }
    fn delayed(self) -> *mut delayed_work {
        // SAFETY: inside the frame.
        unsafe { &raw mut (*self.0).delayed }
    }
    fn runs(self) -> u32 {
        // SAFETY: the frame is there.
        unsafe { (*self.0).runs.load(SeqCst) }
    }
    fn open(self) {
        // SAFETY: the frame is there.
        unsafe { (*self.0).gate.open() };
    }
    /// The frame ends.
    fn leave(self) {
        // SAFETY: the scenario does not use it any more.
        unsafe { world::pool::free(self.0) };
    }
}

/// Does `f`, which must report `codes` in this order, each line naming `call`.
fn reporting<R>(codes: &[&str], call: &str, f: impl FnOnce() -> R) -> R {
    let (lines, before) = (world::debug_log().len(), reports().len());
    let result = f();
    sim_assert_eq!(reports().split_off(before), codes);
    for line in world::debug_log().split_off(lines) {
        sim_assert!(line.contains(&format!(" {call}(item ")), "{line}");
    }
    result
}

/// W21: a work on the stack: `INIT_WORK_ONSTACK`, scheduled, flushed, `destroy_work_on_stack`. It runs once;
/// nothing is said.
#[test]
fn w21_a_work_on_the_stack() {
    rows(|_| {
        for _ in 0..2 {
            let here = Here::enter();
            // SAFETY: the items live until `leave`, by which they are not pending.
            unsafe {
                INIT_WORK_ONSTACK(here.work(), count_work);
                sim_assert!(schedule_work(here.work()));
                flush_work(here.work());
                destroy_work_on_stack(here.work());
            }
            sim_assert_eq!(here.runs(), 1);
            here.leave();
        }
    });
}

/// W21 for the delayed forms, `INIT_DELAYED_WORK_ONSTACK` and `INIT_DEFERRABLE_WORK_ONSTACK`: armed, flushed or
/// cancelled, `destroy_delayed_work_on_stack`.
#[test]
fn w21_a_delayed_work_on_the_stack() {
    rows(|_| {
        for init in [INIT_DELAYED_WORK_ONSTACK, INIT_DEFERRABLE_WORK_ONSTACK] {
            let here = Here::enter();
            // SAFETY: as above.
            unsafe {
                init(here.delayed(), count_delayed);
                sim_assert!(schedule_delayed_work(here.delayed(), 3));
                flush_delayed_work(here.delayed());
                sim_assert!(schedule_delayed_work(here.delayed(), 3));
                sim_assert!(cancel_delayed_work_sync(here.delayed()));
                destroy_delayed_work_on_stack(here.delayed());
            }
            sim_assert_eq!(here.runs(), 1);
            here.leave();
        }
    });
}

/// BH20: a frame ends while its work is queued, behind another or not yet begun, or its delayed work is
/// armed. It is taken back and said so: nothing touches the frame later.
#[test]
fn bh20_a_frame_ends_under_its_items() {
    rows(|rig| {
        rig.expect(&["BH20"]);
        let (wq, gate) = (Wq::ordered(), Gate::new());
        let first = Work::gated(&gate);
        sim_assert!(first.queue(wq));
        let here = Here::enter();
        // SAFETY: the items are taken back before the frame ends; that they are pending is the mistake.
        unsafe {
            INIT_WORK_ONSTACK(here.work(), count_work);
            INIT_DELAYED_WORK_ONSTACK(here.delayed(), count_delayed);
            sim_assert!(queue_work(wq.0, here.work()));
            sim_assert!(queue_delayed_work(wq.0, here.delayed(), 2));
            reporting(&["BH20"], "destroy_work_on_stack", || {
                destroy_work_on_stack(here.work());
            });
            reporting(&["BH20"], "destroy_delayed_work_on_stack", || {
                destroy_delayed_work_on_stack(here.delayed());
            });
        }
        sim_assert_eq!(here.runs(), 0);
        here.leave();
        gate.open();
        support::sleep_jiffies(5);
        wq.destroy();
        first.free();
    });
}

/// BH20: a work that runs and is queued once more: the second run does not happen, and the call returns
/// when the first is over.
#[test]
fn bh20_a_frame_ends_under_a_running_work() {
    rows(|rig| {
        rig.expect(&["BH20"]);
        let wq = Wq::ordered();
        let here = Here::enter();
        // SAFETY: as above.
        unsafe {
            INIT_WORK_ONSTACK(here.work(), wait_for_gate);
            sim_assert!(queue_work(wq.0, here.work()));
            wait_until(|| here.runs() == 1);
            sim_assert!(queue_work(wq.0, here.work()));
        }
        let ended = world::spawn("frame", None, move || {
            // SAFETY: as above.
            reporting(&["BH20"], "destroy_work_on_stack", || unsafe {
                destroy_work_on_stack(here.work());
            });
        });
        still_waits(&ended);
        here.open();
        ended.join();
        sim_assert_eq!(here.runs(), 1);
        here.leave();
        wq.destroy();
    });
}

/// A work that only runs may be past its last use of the frame: nothing is said, and nobody waits for it.
#[test]
fn a_frame_may_end_while_its_work_runs_to_its_end() {
    rows(|_| {
        let here = Here::enter();
        // SAFETY: the function uses the frame before it waits, and not after.
        let gate = unsafe {
            INIT_WORK_ONSTACK(here.work(), wait_for_gate);
            sim_assert!(schedule_work(here.work()));
            wait_until(|| here.runs() == 1);
            destroy_work_on_stack(here.work());
            (*here.0).gate.clone()
        };
        here.leave();
        gate.open();
        flush_scheduled_work();
    });
}

/// BH20 and BH06: at DISPATCH_LEVEL the item is taken back too, and that the call could not wait is said.
#[test]
fn bh20_at_dispatch() {
    rows(|rig| {
        rig.expect(&["BH20", "BH06"]);
        let here = Here::enter();
        // SAFETY: as above.
        unsafe {
            INIT_DELAYED_WORK_ONSTACK(here.delayed(), count_delayed);
            sim_assert!(schedule_delayed_work(here.delayed(), 20));
            let call = "destroy_delayed_work_on_stack";
            reporting(&["BH20", "BH06"], call, || {
                world::at_dispatch(|| destroy_delayed_work_on_stack(here.delayed()));
            });
        }
        here.leave();
        support::sleep_jiffies(30);
    });
}

/// D01 for the deferrable forms, `DECLARE_DEFERRABLE_WORK` and `INIT_DEFERRABLE_WORK`: a delayed work like any
/// other.
#[test]
fn d01_a_deferrable_work_is_a_delayed_work() {
    rows(|_| {
        let here = Here::enter();
        // SAFETY: idle.
        unsafe { here.delayed().write(DECLARE_DEFERRABLE_WORK(count_delayed)) };
        for round in 1..=2 {
            let armed = jiffies();
            // SAFETY: the frame lives until `leave`, by which they are not pending.
            unsafe {
                sim_assert!(schedule_delayed_work(here.delayed(), 5));
                sim_assert!(delayed_work_pending(here.delayed()));
                wait_until(|| here.runs() == round);
                sim_assert!(time_after_eq(jiffies(), armed + 5));
                flush_work(&raw mut (*here.delayed()).work);
                INIT_DEFERRABLE_WORK(here.delayed(), count_delayed);
            }
        }
        here.leave();
    });
}

/// `__WORK_INITIALIZER` and `__DELAYED_WORK_INITIALIZER` are what the `DECLARE_` forms are, also in a constant.
#[test]
fn the_initialisers_by_name() {
    rows(|_| {
        let here = Here::enter();
        // SAFETY: idle; then the frame lives until both are over.
        unsafe {
            here.work().write(const { __WORK_INITIALIZER(count_work) });
            let initial = const { __DELAYED_WORK_INITIALIZER(count_delayed) };
            here.delayed().write(initial);
            sim_assert!(schedule_work(here.work()));
            sim_assert!(schedule_delayed_work(here.delayed(), 1));
            flush_work(here.work());
            flush_delayed_work(here.delayed());
        }
        sim_assert_eq!(here.runs(), 2);
        here.leave();
    });
}

/// WORK-15: `work_data_bits`. The word of a work says pending in Linux's bit, in every state.
#[test]
fn work_data_bits_say_pending() {
    rows(|_| {
        let (gate, wq) = (Gate::new(), Wq::ordered());
        let work = Work::gated(&gate);
        let pending = || {
            // SAFETY: the item is alive.
            let bits = unsafe { work_data_bits(work.work()) };
            sim_assert_eq!(bits & WORK_STRUCT_PENDING != 0, work.pending());
            bits >> WORK_STRUCT_PENDING_BIT & 1
        };
        sim_assert_eq!(pending(), 0);
        sim_assert!(work.queue_delayed(wq, 1000));
        sim_assert_eq!(pending(), 1, "armed");
        sim_assert!(work.modify(wq, 0));
        work.wait_begun(1);
        sim_assert_eq!(pending(), 0, "running");
        sim_assert!(work.queue(wq));
        sim_assert_eq!(pending(), 1, "running and queued");
        gate.open();
        work.flush();
        sim_assert_eq!(pending(), 0);
        wq.destroy();
        work.free();
    });
}

/// A container whose members are found by the macros, and what its functions have found.
#[repr(C)]
struct Container {
    before: u64,
    tasklet: tasklet_struct,
    timeout: delayed_work,
    found: Mutex<Vec<usize>>,
}

unsafe extern "C" fn found_by_tasklet(tasklet: *mut tasklet_struct) {
    let this: *mut Container = from_tasklet!(Container, tasklet, tasklet);
    // SAFETY: the tasklet is the member of a container that the scenario keeps.
    unsafe { &*this }.found.lock().unwrap().push(this.addr());
}

unsafe extern "C" fn found_by_work(work: *mut work_struct) {
    let this: *mut Container = from_work!(Container, to_delayed_work(work).cast(), timeout.work);
    // SAFETY: the delayed work is the member of a container that the scenario keeps.
    unsafe { &*this }.found.lock().unwrap().push(this.addr());
}

/// WORK-15, TASKLET-9: `from_tasklet` and `from_work` find the container in a callback, and `container_of` from
/// any member, keeping the pointer's constness.
#[test]
fn a_container_is_found_by_its_member() {
    rows(|_| {
        let this = world::pool::alloc(Container {
            before: 7,
            tasklet: DECLARE_TASKLET(found_by_tasklet),
            timeout: DECLARE_DELAYED_WORK(found_by_work),
            found: Mutex::default(),
        });
        // SAFETY: the container is alive until it is freed, by which its items are over.
        unsafe {
            tasklet_schedule(&raw mut (*this).tasklet);
            tasklet_kill(&raw mut (*this).tasklet);
            sim_assert!(schedule_delayed_work(&raw mut (*this).timeout, 1));
            flush_delayed_work(&raw mut (*this).timeout);
            sim_assert_eq!(*(*this).found.lock().unwrap(), [this.addr(); 2]);
            let (member, first) = (&raw const (*this).found, &raw mut (*this).before);
            let from_const: *const Container = container_of!(member, Container, found);
            let from_mut: *mut Container = container_of!(first, Container, before);
            sim_assert_eq!((from_const, from_mut), (this.cast_const(), this));
            world::pool::free(this);
        }
    });
}

/// A tasklet of the old form, and where its function leaves what it got.
#[repr(C)]
struct OldTasklet {
    tasklet: tasklet_struct,
    got: Mutex<Vec<usize>>,
}

unsafe extern "C" fn take_data(data: usize) {
    let old: *const OldTasklet = core::ptr::with_exposed_provenance(data & !7);
    // SAFETY: the scenario has set the data to the tasklet's address and a few low bits.
    unsafe { &*old }.got.lock().unwrap().push(data & 7);
}

/// T20 and T21 for the old declarations, `DECLARE_TASKLET_OLD` and `DECLARE_TASKLET_DISABLED_OLD`, with
/// `set_data`: the function gets the data that the driver sets; the disabled one
/// runs only once it is enabled.
#[test]
fn t21_tasklets_of_the_old_form() {
    rows(|_| {
        for (declared, count) in [
            (DECLARE_TASKLET_OLD(take_data), 0),
            (DECLARE_TASKLET_DISABLED_OLD(take_data), 1),
        ] {
            let old = world::pool::alloc(OldTasklet {
                tasklet: declared,
                got: Mutex::default(),
            });
            let here = old.expose_provenance();
            let tasklet: *mut tasklet_struct = old.cast();
            // SAFETY: the tasklet is alive until it is freed, by which it is killed.
            unsafe {
                sim_assert_eq!(((*tasklet).count(), (*tasklet).state()), (count, 0));
                (*tasklet).set_data(here | 3);
                tasklet_schedule(tasklet);
                world::settle();
                let early = (*old).got.lock().unwrap().len() as i32;
                sim_assert_eq!(early, 1 - count);
                if count > 0 {
                    tasklet_enable(tasklet);
                }
                tasklet_kill(tasklet);
                (*tasklet).set_data(here | 5);
                tasklet_hi_schedule(tasklet);
                tasklet_kill(tasklet);
                sim_assert_eq!(*(*old).got.lock().unwrap(), [3, 5]);
                world::pool::free(old);
            }
        }
    });
}

/// What a function of `execute_in_process_context` saw: the IRQL, and whether the call had returned.
#[repr(C)]
struct Executed {
    room: execute_work,
    seen: Mutex<Vec<(u8, bool)>>,
    returned: AtomicU32,
}

unsafe extern "C" fn executed(work: *mut work_struct) {
    let this = from_work!(Executed, work, room.work);
    // SAFETY: the scenario keeps it.
    let this = unsafe { &*this };
    let returned = this.returned.load(SeqCst) == 1;
    let mut seen = this.seen.lock().unwrap();
    seen.push((world::current_irql(), returned));
}

#[derive(Clone, Copy)]
struct Executor(*mut Executed);
// SAFETY: its parts are atomic or locked; the scenario frees it at its end.
unsafe impl Send for Executor {}
// SAFETY: as above.
unsafe impl Sync for Executor {}

impl Executor {
    fn new() -> Self {
        Self(world::pool::alloc(Executed {
            room: execute_work::default(),
            seen: Mutex::default(),
            returned: AtomicU32::new(0),
        }))
    }
    fn call(self) -> i32 {
        // SAFETY: the room is free, and stays until the function was called.
        unsafe {
            (*self.0).returned.store(0, SeqCst);
            let answer = execute_in_process_context(executed, &raw mut (*self.0).room);
            (*self.0).returned.store(1, SeqCst);
            answer
        }
    }
    fn take(self) -> Vec<(u8, bool)> {
        // SAFETY: the scenario frees it at its end.
        std::mem::take(&mut unsafe { &*self.0 }.seen.lock().unwrap())
    }
    fn free(self) {
        // SAFETY: not pending any more.
        unsafe { world::pool::free(self.0) };
    }
}

/// W32: `execute_in_process_context`. In a thread the function is called before the answer 0; in an interrupt, in a tasklet and at
/// DISPATCH_LEVEL the answer is 1, and it is called later, in a thread. In a work it is called at once too.
#[test]
fn w32_execute_in_process_context() {
    rows(|_| {
        let executor = Executor::new();
        sim_assert_eq!(executor.call(), 0);
        sim_assert_eq!(executor.take(), [(0, false)]);
        let answers = Arc::new(Mutex::new(Vec::new()));
        let answer = {
            let answers = Arc::clone(&answers);
            move || answers.lock().unwrap().push(executor.call())
        };
        let isr = answer.clone();
        let line = Interrupt::connect("line", 7, isr);
        line.raise(2);
        world::settle();
        let in_tasklet = answer.clone();
        let tasklet = Tasklet::new(move |_, _| in_tasklet());
        tasklet.schedule();
        tasklet.kill();
        world::settle();
        world::at_dispatch(&answer);
        world::settle();
        sim_assert_eq!(*answers.lock().unwrap(), [1, 1, 1]);
        let levels: Vec<u8> = executor.take().into_iter().map(|(irql, _)| irql).collect();
        sim_assert_eq!(levels, [0; 3]);
        let work = Work::new(move |_, _| answer());
        sim_assert!(work.schedule());
        work.flush();
        sim_assert_eq!(answers.lock().unwrap().last(), Some(&0));
        sim_assert_eq!(executor.take(), [(0, false)]);
        executor.free();
        work.free();
        tasklet.free();
    });
}

/// BH03: with nothing attached a thread's function is called all the same; at DISPATCH_LEVEL there is
/// nobody to call it, and that is said.
#[test]
fn bh03_execute_in_process_context_without_attach() {
    let run = machine(1).run(|| {
        let executor = Executor::new();
        sim_assert_eq!(executor.call(), 0);
        sim_assert_eq!(executor.take(), [(0, false)]);
        sim_assert_eq!(world::at_dispatch(|| executor.call()), 1);
        world::settle();
        sim_assert_eq!(executor.take(), []);
        sim_assert_eq!(reports(), ["BH03"]);
        executor.free();
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}

/// WORK-17: `set_worker_desc` is accepted from a work and from anybody else.
#[test]
fn set_worker_desc_is_accepted() {
    rows(|_| {
        let work = Work::new(|_, _| set_worker_desc(c"flush-8:0"));
        sim_assert!(work.schedule());
        work.flush();
        set_worker_desc(c"not a worker");
        world::at_dispatch(|| set_worker_desc(c"not even a thread"));
        work.free();
    });
}

/// WORK-18: `current_is_workqueue_rescuer`. While NT's pool has no thread left a work runs on a rescuer's, and
/// knows it, on a queue with a rescuer of its own and on one without; on a thread of the pool, and outside of
/// works, the answer is no.
#[test]
fn a_work_knows_that_it_is_rescued() {
    fn one_worker(seed: u64) -> world::Sim {
        machine(seed).workers(1)
    }
    support::rows_on(one_worker, 20, |_| {
        sim_assert!(!current_is_workqueue_rescuer());
        sim_assert!(!world::at_dispatch(current_is_workqueue_rescuer));
        let asking = || {
            let answer = Arc::new(AtomicU32::new(0));
            let told = Arc::clone(&answer);
            let work = Work::new(move |_, _| {
                told.store(1 + u32::from(current_is_workqueue_rescuer()), SeqCst);
            });
            (work, answer)
        };
        let gate = Gate::new();
        let (blocker, (pooled, by_pool)) = (Work::gated(&gate), asking());
        sim_assert!(pooled.schedule());
        pooled.flush();
        sim_assert_eq!(by_pool.load(SeqCst), 1);
        sim_assert!(blocker.schedule());
        blocker.wait_begun(1);
        let queues = [Wq::with(WQ_MEM_RECLAIM, 0), Wq::bound()];
        for wq in queues {
            let (work, answer) = asking();
            sim_assert!(work.queue(wq));
            work.flush();
            sim_assert_eq!(answer.load(SeqCst), 2);
            work.free();
        }
        gate.open();
        queues.into_iter().for_each(Wq::destroy);
        blocker.flush();
        blocker.free();
        pooled.free();
    });
}

/// A device's context: its list, and room for what it takes back.
#[repr(C)]
struct Context {
    list: devm_list,
    room: [devm_action; 4],
}

#[derive(Clone, Copy)]
struct Device(*mut Context);
// SAFETY: its parts are atomic; the scenario frees it at its end.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

impl Device {
    /// Zeroed, as KMDF makes a context.
    fn add() -> Self {
        Self(world::pool::alloc(Context {
            list: devm_list::new(),
            room: [const { devm_action::new() }; 4],
        }))
    }
    fn list(self) -> *mut devm_list {
        // SAFETY: inside the context.
        unsafe { &raw mut (*self.0).list }
    }
    fn room(self, index: usize) -> *mut devm_action {
        // SAFETY: inside the context.
        unsafe { &raw mut (*self.0).room[index] }
    }
    fn release(self) {
        // SAFETY: the context is there, and nobody else releases it.
        unsafe { devm_release_all(self.list()) };
    }
    fn remove(self) {
        self.release();
        // SAFETY: the device is gone.
        unsafe { world::pool::free(self.0) };
    }
}

unsafe extern "C" fn noted(data: *mut core::ffi::c_void) {
    // SAFETY: the scenario passes a trace and its letter, and keeps them.
    let (trace, letter) = unsafe { &*data.cast::<(Trace, char)>() };
    trace.add(*letter);
}

/// DEVM-2: `devm_release_all`. The zeroed context of a device is an empty list: KMDF zeroes it (O-2).
#[test]
fn zeroed_memory_is_an_empty_list() {
    // SAFETY: integers and raw pointers only.
    let zeroed = || unsafe { core::mem::zeroed::<Context>() };
    let mut context = zeroed();
    // SAFETY: valid, and nobody else's.
    unsafe {
        devm_release_all(&raw mut context.list);
        let (list, room) = (&raw mut context.list, &raw mut context.room[0]);
        let mut data = (Trace::default(), 'A');
        sim_assert_eq!(
            devm_add_action(list, room, noted, (&raw mut data).cast()),
            0
        );
        devm_release_all(list);
        assert_eq!(data.0.get(), "A");
    }
}

/// DEVM-1, DEVM-2: `devm_add_action`. What a device takes back goes newest first, as in Linux, and once; what is added while it goes, goes too.
#[test]
fn a_device_takes_back_newest_first() {
    rows(|_| {
        let device = Device::add();
        let trace = Trace::default();
        let mut letters = ['A', 'B', 'C'].map(|letter| (trace.clone(), letter));
        for (index, data) in letters.iter_mut().enumerate() {
            // SAFETY: action and data outlive the release.
            let added = unsafe {
                let data = (&raw mut *data).cast();
                devm_add_action(device.list(), device.room(index), noted, data)
            };
            sim_assert_eq!(added, 0);
        }
        device.release();
        sim_assert_eq!(trace.get(), "CBA");
        device.release();
        sim_assert_eq!(trace.get(), "CBA", "the list is empty now");
        // An action that was released can be added again.
        // SAFETY: as above.
        unsafe {
            let data = (&raw mut letters[0]).cast();
            sim_assert_eq!(
                devm_add_action(device.list(), device.room(2), noted, data),
                0
            );
        }
        device.remove();
        sim_assert_eq!(trace.get(), "CBAA");
    });
}

/// DEVM-1: `devm_work_autocancel` and `devm_delayed_work_autocancel`: what is queued or armed when the device goes does not run,
/// what runs is waited for, and in reverse order.
#[test]
fn a_device_cancels_its_works() {
    rows(|_| {
        let (device, here) = (Device::add(), Here::enter());
        let wq = Wq::ordered();
        // SAFETY: frame and device live until they are released.
        unsafe {
            let (work, delayed) = (here.work(), here.delayed());
            let status = devm_work_autocancel(device.list(), device.room(0), work, wait_for_gate);
            sim_assert_eq!(status, 0);
            let list = device.list();
            let status = devm_delayed_work_autocancel(list, device.room(1), delayed, count_delayed);
            sim_assert_eq!(status, 0);
            sim_assert!(queue_work(wq.0, work));
            wait_until(|| here.runs() == 1);
            sim_assert!(queue_work(wq.0, work), "while it runs");
            sim_assert!(queue_delayed_work(wq.0, delayed, 4));
            let removal = world::spawn("removal", None, move || device.remove());
            still_waits(&removal);
            sim_assert!(
                !delayed_work_pending(delayed),
                "the newest is cancelled first"
            );
            sim_assert!(!work_pending(work));
            here.open();
            removal.join();
        }
        support::sleep_jiffies(10);
        sim_assert_eq!(here.runs(), 1);
        here.leave();
        wq.destroy();
    });
}

/// BH26: an action that is on a list is not added again: the item is left as it is, and the list stays whole.
#[test]
fn bh26_an_action_is_added_twice() {
    rows(|rig| {
        rig.expect(&["BH26"]);
        let (device, here) = (Device::add(), Here::enter());
        let trace = Trace::default();
        let mut data = (trace.clone(), 'A');
        // SAFETY: as above; that it is added twice is the mistake.
        unsafe {
            let (list, room) = (device.list(), device.room(0));
            let data = (&raw mut data).cast();
            sim_assert_eq!(devm_add_action(list, room, noted, data), 0);
            let again = reporting(&["BH26"], "devm_add_action", || {
                devm_work_autocancel(list, room, here.work(), count_work)
            });
            sim_assert_eq!(again, -16);
            sim_assert_eq!(work_data_bits(here.work()), 0, "not initialised");
        }
        device.remove();
        sim_assert_eq!(trace.get(), "A");
        here.leave();
    });
}

/// Threads add actions at the same time, and a device that goes meanwhile releases each of them once.
#[test]
fn actions_are_added_at_the_same_time() {
    rows(|_| {
        let device = Device::add();
        let trace = Trace::default();
        let letters = Arc::new(['A', 'B', 'C', 'D'].map(|letter| (trace.clone(), letter)));
        let threads = [0, 1, 2, 3].map(|index| {
            let letters = Arc::clone(&letters);
            world::spawn("adder", None, move || {
                let data = (&raw const letters[index]).cast_mut().cast();
                // SAFETY: the letters outlive the device; each thread has an action of its own.
                unsafe { devm_add_action(device.list(), device.room(index), noted, data) };
            })
        });
        device.release();
        for thread in threads {
            thread.join();
        }
        device.remove();
        let mut released: Vec<char> = trace.get().chars().collect();
        released.sort_unstable();
        sim_assert_eq!(released, ['A', 'B', 'C', 'D']);
    });
}

/// H-8: a device whose list is released where KMDF takes its hardware away, before it is removed, leaves no
/// work behind that would use its context; the runtime goes on for the others.
#[test]
fn a_removed_device_leaves_nothing_behind() {
    world::seeds(0..20, |seed| {
        let run = machine(seed).run(|| {
            let driver = Driver::load();
            let host = Host::Driver(driver.handle().cast());
            // SAFETY: the driver stays loaded until it has detached.
            let attachment = unsafe { attach(host, &Config::new(support::NonReentrant)) };
            let attachment = attachment.expect("a fresh machine has the resources");
            let pnp = driver.add_device();
            let (device, here) = (Device::add(), Here::enter());
            // SAFETY: frame and device live until they are released.
            unsafe {
                let (list, room) = (device.list(), device.room(0));
                devm_delayed_work_autocancel(list, room, here.delayed(), count_delayed);
                sim_assert!(schedule_delayed_work(here.delayed(), 2));
            }
            device.remove();
            here.leave();
            driver.remove_device(pnp);
            support::sleep_jiffies(5);
            let other = Work::counting();
            sim_assert!(other.schedule());
            other.flush();
            other.free();
            attachment.detach();
            driver.unload();
            sim_assert_eq!(reports(), Vec::<String>::new());
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    });
}
