//! Rows W of facts/linux: works.
//!
//! Where the two rules for works differ, the row's comment says so; everywhere else one expectation
//! holds for both.

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Gate, Interrupt, run_on_cpu};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Rig, SelfReentrant, Trace, Work, Wq, rows, wait_until};

/// A call that another thread of the machine makes.
struct Call<T> {
    thread: world::Thread,
    value: Arc<Mutex<Option<T>>>,
}

/// Makes `f` in a thread of its own, and returns once that thread has ended or waits.
fn call<T: Send + 'static>(name: &str, f: impl FnOnce() -> T + Send + 'static) -> Call<T> {
    let value = Arc::new(Mutex::new(None));
    let place = Arc::clone(&value);
    let body = move || {
        let value = f();
        *place.lock().unwrap() = Some(value);
    };
    let call = Call {
        thread: world::spawn(name, None, body),
        value,
    };
    world::settle();
    call
}

impl<T> Call<T> {
    fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
    /// What it returned, once it has.
    fn join(self) -> T {
        self.thread.join();
        let value = self.value.lock().unwrap().take();
        value.expect("a thread that has ended has left its value")
    }
}

/// A bare work with what its two functions count, for rows that the rig's items cannot play.
#[repr(C)]
struct Bare {
    work: work_struct,
    gate: Option<Gate>,
    first: Arc<AtomicU32>,
    second: Arc<AtomicU32>,
}

impl Bare {
    fn new(gate: Option<Gate>) -> Self {
        Self {
            work: work_struct::new(),
            gate,
            first: Arc::default(),
            second: Arc::default(),
        }
    }
}

/// Waits for the gate if there is one, then counts.
unsafe extern "C" fn first(work: *mut work_struct) {
    // SAFETY: the work is the first member of a `Bare` that its row keeps.
    let bare = unsafe { &*work.cast::<Bare>() };
    if let Some(gate) = &bare.gate {
        gate.wait();
    }
    bare.first.fetch_add(1, Ordering::SeqCst);
}

/// Counts.
unsafe extern "C" fn second(work: *mut work_struct) {
    // SAFETY: as in `first`.
    let bare = unsafe { &*work.cast::<Bare>() };
    bare.second.fetch_add(1, Ordering::SeqCst);
}

/// Counts, then frees the container: nothing of it is there afterwards.
unsafe extern "C" fn frees_itself(work: *mut work_struct) {
    let bare = work.cast::<Bare>();
    // SAFETY: as in `first`.
    let count = unsafe { Arc::clone(&(*bare).first) };
    // SAFETY: the work is not pending, so the memory is the driver's (I2).
    unsafe { world::pool::free(bare) };
    // Give whoever might still follow the address time to do it.
    kmdf_mock::sync::preempt();
    count.fetch_add(1, Ordering::SeqCst);
}

/// Occupies an ordered queue: the item runs until `gate` opens.
fn block(queue: Wq, gate: &Gate) -> Work {
    let blocker = Work::gated(gate);
    sim_assert_eq!(blocker.queue(queue), true);
    blocker.wait_begun(1);
    blocker
}

/// An item whose n-th run waits for the n-th gate.
fn gated_by_run(gates: &[Gate; 2]) -> Work {
    let gates = gates.clone();
    Work::new(move |_, run| gates[run as usize - 1].wait())
}

/// W01: queued while idle it becomes pending, runs once, and is not pending afterwards.
#[test]
fn w01_queued_once_runs_once() {
    rows(|_| {
        let work = Work::counting();
        sim_assert_eq!(work.queue(Wq::system()), true);
        work.flush();
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(work.pending(), false);
        work.free();
    });
}

/// W02: while it is pending it cannot be queued again, on its own queue or on another, and it runs once.
#[test]
fn w02_a_pending_work_is_not_queued_again() {
    rows(|_| {
        let (queue, gate) = (Wq::ordered(), Gate::new());
        let blocker = block(queue, &gate);
        let work = Work::counting();
        sim_assert_eq!(work.queue(queue), true);
        sim_assert_eq!(work.queue(queue), false);
        sim_assert_eq!(work.queue(Wq::system()), false);
        world::settle();
        sim_assert_eq!((work.pending(), work.runs()), (true, 0));
        gate.open();
        queue.flush();
        world::settle();
        sim_assert_eq!((work.pending(), work.runs()), (false, 1));
        queue.destroy();
        blocker.free();
        work.free();
    });
}

/// W04: on an ordered queue a work that queues itself at its end goes behind one that was queued
/// meanwhile: A B A.
#[test]
fn w04_requeue_from_inside_goes_to_the_tail() {
    rows(|_| {
        let (queue, gate, trace) = (Wq::ordered(), Gate::new(), Trace::default());
        let a = {
            let (gate, trace) = (gate.clone(), trace.clone());
            Work::new(move |me, run| {
                trace.add('A');
                if run == 1 {
                    gate.wait();
                    sim_assert_eq!(me.queue(queue), true);
                }
            })
        };
        let b = {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add('B'))
        };
        sim_assert_eq!(a.queue(queue), true);
        a.wait_begun(1);
        sim_assert_eq!(b.queue(queue), true);
        gate.open();
        queue.destroy();
        sim_assert_eq!(trace.get(), "ABA");
        sim_assert_eq!(a.seen().most_inside(), 1);
        a.free();
        b.free();
    });
}

/// W05: if it queues itself before the other one is queued, it is first: A A B.
#[test]
fn w05_an_early_requeue_keeps_its_place() {
    rows(|_| {
        let (queue, gate, trace) = (Wq::ordered(), Gate::new(), Trace::default());
        let requeued = Gate::new();
        let a = {
            let (gate, requeued, trace) = (gate.clone(), requeued.clone(), trace.clone());
            Work::new(move |me, run| {
                trace.add('A');
                if run == 1 {
                    sim_assert_eq!(me.queue(queue), true);
                    requeued.open();
                    gate.wait();
                }
            })
        };
        let b = {
            let trace = trace.clone();
            Work::new(move |_, _| trace.add('B'))
        };
        sim_assert_eq!(a.queue(queue), true);
        requeued.wait();
        sim_assert_eq!(a.pending(), true);
        sim_assert_eq!(b.queue(queue), true);
        gate.open();
        queue.destroy();
        sim_assert_eq!(trace.get(), "AAB");
        sim_assert_eq!(a.seen().most_inside(), 1);
        a.free();
        b.free();
    });
}

/// W09: `cancel_work_sync` of an idle work says no; of a queued one it says yes, and it never runs.
#[test]
fn w09_cancel_sync_of_an_idle_and_of_a_queued_work() {
    rows(|_| {
        let (queue, gate) = (Wq::ordered(), Gate::new());
        let work = Work::counting();
        sim_assert_eq!(work.cancel_sync(), false);
        let blocker = block(queue, &gate);
        sim_assert_eq!(work.queue(queue), true);
        sim_assert_eq!(work.cancel_sync(), true);
        sim_assert_eq!(work.pending(), false);
        gate.open();
        queue.flush();
        world::settle();
        sim_assert_eq!(work.runs(), 0);
        queue.destroy();
        blocker.free();
        work.free();
    });
}

/// W10: `cancel_work_sync` of a running work waits for it, lets nobody queue it meanwhile, and says that
/// it was not pending; afterwards it can be queued.
#[test]
fn w10_cancel_sync_waits_and_refuses_queueing_meanwhile() {
    rows(|_| {
        let (queue, gate) = (Wq::bound(), Gate::new());
        let work = Work::gated(&gate);
        sim_assert_eq!(work.queue(queue), true);
        work.wait_begun(1);
        let seen = work.seen();
        let cancel = call("cancel", move || (work.cancel_sync(), seen.inside()));
        sim_assert_eq!(cancel.is_over(), false);
        sim_assert_eq!(work.queue(queue), false);
        sim_assert_eq!(work.queue(Wq::system()), false);
        gate.open();
        sim_assert_eq!(cancel.join(), (false, 0));
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(work.queue(queue), true);
        work.flush();
        sim_assert_eq!(work.runs(), 2);
        queue.destroy();
        work.free();
    });
}

/// W11: nor can the function queue itself while it is being cancelled: it runs once in all.
#[test]
fn w11_cancel_sync_refuses_the_functions_own_requeue() {
    rows(|_| {
        let (queue, gate) = (Wq::bound(), Gate::new());
        let inner = gate.clone();
        let work = Work::new(move |me, _| {
            inner.wait();
            sim_assert_eq!(me.queue(queue), false);
        });
        sim_assert_eq!(work.queue(queue), true);
        work.wait_begun(1);
        let cancel = call("cancel", move || work.cancel_sync());
        sim_assert_eq!(cancel.is_over(), false);
        gate.open();
        sim_assert_eq!(cancel.join(), false);
        world::settle();
        sim_assert_eq!((work.runs(), work.pending()), (1, false));
        queue.destroy();
        work.free();
    });
}

/// W12: running and queued, two `cancel_work_sync` and a `flush_work` at once: the first takes the
/// queued instance, the second finds none, the flush waits, a cancel that does not wait finds none
/// either. All three return after the run has ended, and there is no other.
#[test]
fn w12_two_cancels_and_a_flush_at_once() {
    rows(|_| {
        let (queue, gate) = (Wq::ordered(), Gate::new());
        let work = block(queue, &gate);
        sim_assert_eq!(work.queue(queue), true);
        let seen = [work.seen(), work.seen(), work.seen()];
        let [of_a, of_b, of_c] = seen;
        let a = call("cancel A", move || (work.cancel_sync(), of_a.inside()));
        let b = call("cancel B", move || (work.cancel_sync(), of_b.inside()));
        let c = call("flush C", move || (work.flush(), of_c.inside()));
        sim_assert_eq!(
            (a.is_over(), b.is_over(), c.is_over()),
            (false, false, false)
        );
        sim_assert_eq!(work.cancel_delayed(), false);
        gate.open();
        sim_assert_eq!(a.join(), (true, 0));
        sim_assert_eq!(b.join(), (false, 0));
        sim_assert_eq!(c.join(), (true, 0));
        queue.flush();
        sim_assert_eq!((work.runs(), work.pending()), (1, false));
        queue.destroy();
        work.free();
    });
}

/// W13: running and queued, `cancel_work_sync` says yes, waits for the run, and the second is dropped.
///
/// On a queue with room NonReentrant does the same. SelfReentrant has no queued instance then, both
/// run: the call says no and waits for both.
#[test]
fn w13_cancel_sync_of_a_running_and_queued_work() {
    rows(|rig| {
        let (ordered, gate) = (Wq::ordered(), Gate::new());
        let work = block(ordered, &gate);
        sim_assert_eq!(work.queue(ordered), true);
        let cancel = call("cancel", move || work.cancel_sync());
        sim_assert_eq!(cancel.is_over(), false);
        gate.open();
        sim_assert_eq!(cancel.join(), true);
        ordered.destroy();
        sim_assert_eq!(work.runs(), 1);
        work.free();

        let (bound, gates) = (Wq::bound(), [Gate::new(), Gate::new()]);
        let overlaps = rig.reentrance == SelfReentrant;
        let work = gated_by_run(&gates);
        sim_assert_eq!(work.queue(bound), true);
        work.wait_begun(1);
        sim_assert_eq!(work.queue(bound), true);
        world::settle();
        sim_assert_eq!(work.seen().inside(), if overlaps { 2 } else { 1 });
        let seen = work.seen();
        let cancel = call("cancel", move || (work.cancel_sync(), seen.inside()));
        sim_assert_eq!(cancel.is_over(), false);
        gates[0].open();
        if overlaps {
            world::settle();
            sim_assert_eq!(cancel.is_over(), false, "the other instance still runs");
            gates[1].open();
        }
        sim_assert_eq!(cancel.join(), (!overlaps, 0));
        bound.destroy();
        sim_assert_eq!(work.runs(), if overlaps { 2 } else { 1 });
        work.free();
    });
}

/// W14: `flush_work` of a work that was never queued, or has long ended, does not wait and says so.
#[test]
fn w14_flush_of_an_idle_work_does_not_wait() {
    rows(|_| {
        let work = Work::counting();
        sim_assert_eq!(work.flush(), false);
        sim_assert_eq!(work.schedule(), true);
        world::settle();
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(work.flush(), false);
        work.free();
    });
}

/// W15: `flush_work` of a running and queued work returns after both runs have ended, and says that it
/// waited.
///
/// On a queue with room SelfReentrant runs both at once; the flush waits for both all the same,
/// whichever ends first.
#[test]
fn w15_flush_waits_for_the_running_and_the_queued_instance() {
    fn both(queue: Wq, order: [usize; 2]) {
        let gates = [Gate::new(), Gate::new()];
        let work = gated_by_run(&gates);
        sim_assert_eq!(work.queue(queue), true);
        work.wait_begun(1);
        sim_assert_eq!(work.queue(queue), true);
        world::settle();
        let seen = work.seen();
        let flush = call("flush", move || (work.flush(), seen.runs(), seen.inside()));
        for index in order {
            sim_assert_eq!(flush.is_over(), false);
            gates[index].open();
            if index == order[0] {
                world::settle();
            }
        }
        sim_assert_eq!(flush.join(), (true, 2, 0));
        queue.destroy();
        work.free();
    }
    rows(|rig| {
        both(Wq::ordered(), [0, 1]);
        both(Wq::bound(), [0, 1]);
        if rig.reentrance == SelfReentrant {
            both(Wq::bound(), [1, 0]);
        }
    });
}

/// W16: if the function queues itself after the flush has begun, the flush returns when the first run
/// has ended, with the requeued instance still pending; in the end there are two runs.
#[test]
fn w16_flush_does_not_wait_for_a_later_requeue() {
    rows(|_| {
        let queue = Wq::ordered();
        let (gate_a, gate_b) = (Gate::new(), Gate::new());
        let inner = gate_a.clone();
        let a = Work::new(move |me, run| {
            if run == 1 {
                inner.wait();
                sim_assert_eq!(me.queue(queue), true);
            }
        });
        let b = Work::gated(&gate_b);
        sim_assert_eq!(a.queue(queue), true);
        a.wait_begun(1);
        sim_assert_eq!(b.queue(queue), true);
        let flush = call("flush", move || (a.flush(), a.runs(), a.pending()));
        sim_assert_eq!(flush.is_over(), false);
        gate_a.open();
        sim_assert_eq!(flush.join(), (true, 1, true));
        gate_b.open();
        queue.destroy();
        sim_assert_eq!(a.runs(), 2);
        a.free();
        b.free();
    });
}

/// W17: `flush_work` does not wait for works behind its own.
#[test]
fn w17_flush_does_not_wait_for_works_behind() {
    rows(|_| {
        let queue = Wq::ordered();
        let (gate_a, gate_b) = (Gate::new(), Gate::new());
        let a = block(queue, &gate_a);
        let b = Work::gated(&gate_b);
        sim_assert_eq!(b.queue(queue), true);
        let flush = call("flush", move || a.flush());
        sim_assert_eq!(flush.is_over(), false);
        gate_a.open();
        sim_assert_eq!(flush.join(), true);
        world::settle();
        sim_assert_eq!(b.seen().inside(), 1, "B is still unfinished");
        gate_b.open();
        queue.destroy();
        a.free();
        b.free();
    });
}

/// W18: the function may free the memory that the work is in; nobody touches it afterwards. The memory
/// is tracked: a later touch fails the run.
#[test]
fn w18_the_function_frees_its_container() {
    rows(|_| {
        let queue = Wq::bound();
        let mut counts = Vec::new();
        for round in 0..4 {
            let bare = world::pool::alloc(Bare::new(None));
            // SAFETY: alive until the work runs.
            counts.push(unsafe { Arc::clone(&(*bare).first) });
            let work: *mut work_struct = bare.cast();
            // SAFETY: fresh memory.
            unsafe { INIT_WORK(work, frees_itself) };
            let target = if round % 2 == 0 { queue.0 } else { system_wq() };
            // SAFETY: initialised, and in place until its function frees it.
            sim_assert_eq!(unsafe { queue_work(target, work) }, true);
        }
        queue.flush();
        world::settle();
        sim_assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
        queue.destroy();
    });
}

/// W19: a work that has ended can be initialised with another function, which then runs.
#[test]
fn w19_initialised_again_with_another_function() {
    rows(|_| {
        let bare = world::pool::alloc(Bare::new(None));
        let work: *mut work_struct = bare.cast();
        // SAFETY: fresh memory.
        unsafe { INIT_WORK(work, first) };
        // SAFETY: initialised.
        sim_assert_eq!(unsafe { schedule_work(work) }, true);
        world::settle();
        // SAFETY: it has ended.
        unsafe { INIT_WORK(work, second) };
        // SAFETY: initialised.
        sim_assert_eq!(unsafe { schedule_work(work) }, true);
        world::settle();
        // SAFETY: alive until the free below.
        let counts = unsafe { (Arc::clone(&(*bare).first), Arc::clone(&(*bare).second)) };
        sim_assert_eq!(counts.0.load(Ordering::SeqCst), 1);
        sim_assert_eq!(counts.1.load(Ordering::SeqCst), 1);
        // SAFETY: idle.
        unsafe { world::pool::free(bare) };
    });
}

/// W20: cancelling and flushing zeroed memory is reported (BH05) and answered with no.
#[test]
fn w20_zeroed_memory_is_diagnosed() {
    rows(|rig| {
        rig.expect(&["BH05"]);
        let work = world::pool::alloc(work_struct::new());
        // SAFETY: zeroed memory is a work that was never initialised.
        sim_assert_eq!(unsafe { cancel_work_sync(work) }, false);
        // SAFETY: as above.
        sim_assert_eq!(unsafe { flush_work(work) }, false);
        let said = world::debug_log();
        sim_assert_eq!(said.iter().filter(|line| line.contains("BH05")).count(), 2);
        // SAFETY: nothing uses it.
        unsafe { world::pool::free(work) };
    });
}

/// W21: a work on the stack of its user: initialised, scheduled, flushed, gone. It runs once.
#[test]
fn w21_a_work_on_the_stack() {
    rows(|_| {
        for _ in 0..2 {
            let mut bare = Bare::new(None);
            let work: *mut work_struct = (&raw mut bare).cast();
            // SAFETY: it lives until the flush below has returned.
            unsafe { INIT_WORK(work, first) };
            // SAFETY: initialised.
            sim_assert_eq!(unsafe { schedule_work(work) }, true);
            // SAFETY: as above.
            unsafe { flush_work(work) };
            sim_assert_eq!(bare.first.load(Ordering::SeqCst), 1);
        }
    });
}

/// W22: a work whose function is set but which was never initialised. Linux takes it and never runs it;
/// here it is refused and reported (BH01), a listed deviation.
#[test]
fn w22_an_uninitialised_work_is_refused() {
    rows(|rig| {
        rig.expect(&["BH01"]);
        let bare = world::pool::alloc(Bare::new(None));
        let work: *mut work_struct = bare.cast();
        // The layout is Linux's: the function is the last of 32 bytes, and some drivers write it.
        // SAFETY: inside the work, which nobody else uses.
        unsafe { work.byte_add(24).cast::<work_func_t>().write(first) };
        // SAFETY: valid memory; that it was never initialised is what the row is about.
        sim_assert_eq!(unsafe { schedule_work(work) }, false);
        world::settle();
        // SAFETY: as above.
        sim_assert_eq!(unsafe { work_pending(work) }, false);
        // SAFETY: alive until the free below.
        let runs = unsafe { (*bare).first.load(Ordering::SeqCst) };
        sim_assert_eq!(runs, 0);
        // SAFETY: idle.
        unsafe { world::pool::free(bare) };
    });
}

/// W24: a work that `max_active` holds back can be cancelled, and a flush of it waits until it has run.
#[test]
fn w24_cancel_and_flush_of_a_work_held_back() {
    rows(|_| {
        let (queue, gate) = (Wq::with(0, 1), Gate::new());
        let work = Work::counting();
        let blocker = run_on_cpu(1, || block(queue, &gate));
        sim_assert_eq!(run_on_cpu(1, || work.queue(queue)), true);
        world::settle();
        sim_assert_eq!((work.runs(), work.pending()), (0, true));
        sim_assert_eq!(work.cancel_sync(), true);
        sim_assert_eq!(run_on_cpu(1, || work.queue(queue)), true);
        let flush = call("flush", move || (work.flush(), work.runs()));
        sim_assert_eq!(flush.is_over(), false);
        gate.open();
        sim_assert_eq!(flush.join(), (true, 1));
        queue.destroy();
        blocker.free();
        work.free();
    });
}

/// W25: an idle work can go to another queue each time.
#[test]
fn w25_another_queue_when_idle() {
    rows(|_| {
        let (one, other) = (Wq::bound(), Wq::ordered());
        let work = Work::counting();
        sim_assert_eq!(work.queue(one), true);
        one.flush();
        sim_assert_eq!(work.queue(other), true);
        other.flush();
        sim_assert_eq!(work.runs(), 2);
        one.destroy();
        other.destroy();
        work.free();
    });
}

/// W27: queued by an interrupt it is accepted and runs at PASSIVE_LEVEL.
#[test]
fn w27_queued_from_an_interrupt() {
    rows(|_| {
        let queue = Wq::bound();
        let work = Work::counting();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let inside = Arc::clone(&answers);
        let nic = Interrupt::connect("nic", 7, move || {
            let answer = (work.queue(queue), world::current_irql(), work.runs());
            inside.lock().unwrap().push(answer);
        });
        nic.raise(2);
        world::settle();
        sim_assert_eq!(*answers.lock().unwrap(), [(true, 7, 0)]);
        sim_assert_eq!(work.runs(), 1);
        sim_assert_eq!(work.seen().irql(0), 0);
        queue.destroy();
        work.free();
    });
}

/// While the work runs on one queue it is queued on another, from `cpu`. In both cases it is accepted.
fn queued_on_another_queue(rig: &Rig, cpu: u32) {
    let (one, other, gate) = (Wq::bound(), Wq::bound(), Gate::new());
    let work = Work::gated(&gate);
    sim_assert_eq!(run_on_cpu(1, || work.queue(one)), true);
    work.wait_begun(1);
    sim_assert_eq!(run_on_cpu(cpu, || work.queue(other)), true);
    world::settle();
    let at_once = if rig.reentrance == SelfReentrant {
        2
    } else {
        1
    };
    sim_assert_eq!(work.seen().inside(), at_once);
    sim_assert_eq!(work.pending(), at_once == 1);
    gate.open();
    work.flush();
    sim_assert_eq!(work.runs(), 2);
    sim_assert_eq!(work.seen().most_inside(), at_once);
    one.destroy();
    other.destroy();
    work.free();
}

/// W28: while it runs it is queued on another queue from another CPU. Linux voids its guarantee there
/// and runs two at once. SelfReentrant does too, with every seed; NonReentrant stays strict, a listed
/// deviation: one after the other.
#[test]
fn w28_another_queue_and_another_cpu_while_running() {
    rows(|rig| queued_on_another_queue(rig, 2));
}

/// W29: the same from the same CPU: Linux, and NonReentrant, run one after the other. SelfReentrant
/// lets them overlap, as the driver asked for.
#[test]
fn w29_another_queue_and_the_same_cpu_while_running() {
    rows(|rig| queued_on_another_queue(rig, 1));
}

/// W30: initialised again with the same function while it runs, and queued from another CPU and from the
/// same. Linux runs two at once in the first case and one after the other in the second. NonReentrant is
/// strict in both, a listed deviation; SelfReentrant overlaps in both.
#[test]
fn w30_initialised_again_while_running() {
    rows(|rig| {
        for cpu in [2, 1] {
            let (queue, gate) = (Wq::bound(), Gate::new());
            let work = Work::gated(&gate);
            sim_assert_eq!(run_on_cpu(1, || work.queue(queue)), true);
            work.wait_begun(1);
            work.init();
            sim_assert_eq!(run_on_cpu(cpu, || work.queue(queue)), true);
            world::settle();
            let at_once = if rig.reentrance == SelfReentrant {
                2
            } else {
                1
            };
            sim_assert_eq!(work.seen().inside(), at_once);
            gate.open();
            queue.flush();
            sim_assert_eq!(work.runs(), 2);
            sim_assert_eq!(work.seen().most_inside(), at_once);
            queue.destroy();
            work.free();
        }
    });
}

/// W31: initialised with another function while it runs, and queued: the new function runs while the
/// old one still does.
#[test]
fn w31_another_function_runs_beside_the_old_one() {
    rows(|_| {
        let (queue, gate) = (Wq::bound(), Gate::new());
        let bare = world::pool::alloc(Bare::new(Some(gate.clone())));
        let work: *mut work_struct = bare.cast();
        // SAFETY: alive until the free below.
        let counts = unsafe { [Arc::clone(&(*bare).first), Arc::clone(&(*bare).second)] };
        let counts = || counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        // SAFETY: fresh memory.
        unsafe { INIT_WORK(work, first) };
        // SAFETY: initialised; and so below.
        let accepted = run_on_cpu(1, || unsafe { queue_work(queue.0, work) });
        sim_assert_eq!(accepted, true);
        world::settle();
        // SAFETY: it runs, and is not pending.
        unsafe { INIT_WORK(work, second) };
        // SAFETY: as above.
        let accepted = run_on_cpu(1, || unsafe { queue_work(queue.0, work) });
        sim_assert_eq!(accepted, true);
        world::settle();
        sim_assert_eq!(counts(), [0, 1], "the old one still waits");
        gate.open();
        queue.destroy();
        sim_assert_eq!(counts(), [1, 1]);
        // SAFETY: idle.
        unsafe { world::pool::free(bare) };
    });
}

/// W33: what was stored before a queueing, accepted or refused, is seen by a run that a flush waits for.
#[test]
fn w33_a_refused_queueing_still_publishes() {
    rows(|_| {
        let queue = Wq::bound();
        let (stored, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let work = {
            let (stored, seen) = (Arc::clone(&stored), Arc::clone(&seen));
            Work::new(move |_, _| {
                let now = stored.load(Ordering::Relaxed);
                seen.fetch_max(now, Ordering::Relaxed);
            })
        };
        let others = [1, 2].map(|cpu| {
            world::spawn("queue", Some(cpu), move || {
                for _ in 0..20 {
                    work.queue(queue);
                }
            })
        });
        for value in 1..=20 {
            stored.store(value, Ordering::Relaxed);
            work.queue(queue);
            work.flush();
            sim_assert!(seen.load(Ordering::Relaxed) >= value);
        }
        for thread in others {
            thread.join();
        }
        queue.destroy();
        work.free();
    });
}

/// How often each of the three threads of W34 queues: 30 000 times over all seeds and threads.
const TIMES: u32 = 200;

/// Gives way, now and then for long enough that another worker can begin.
fn linger() {
    kmdf_mock::sync::preempt();
    if world::choose(8) == 0 {
        world::sleep_100ns(200);
    }
}

/// W34: three threads queue it again and again: it runs as often as it was accepted. NonReentrant: never
/// two at once. SelfReentrant: two at once are reached.
#[test]
fn w34_every_accepted_queueing_is_one_run() {
    static OVERLAPPED: AtomicBool = AtomicBool::new(false);
    static REFUSED: AtomicBool = AtomicBool::new(false);
    rows(|rig| {
        let queue = Wq::bound();
        let work = Work::new(|_, _| linger());
        let accepted = Arc::new(AtomicU32::new(0));
        let threads = [0, 1, 2].map(|cpu| {
            let accepted = Arc::clone(&accepted);
            world::spawn("queue", Some(cpu), move || {
                for _ in 0..TIMES {
                    accepted.fetch_add(u32::from(work.queue(queue)), Ordering::SeqCst);
                }
            })
        });
        for thread in threads {
            thread.join();
        }
        queue.destroy();
        sim_assert_eq!(work.runs(), accepted.load(Ordering::SeqCst));
        let most = work.seen().most_inside();
        if rig.reentrance == NonReentrant {
            sim_assert_eq!(most, 1);
        } else if most > 1 {
            OVERLAPPED.store(true, Ordering::SeqCst);
        }
        if work.runs() < 3 * TIMES {
            REFUSED.store(true, Ordering::SeqCst);
        }
        work.free();
    });
    assert!(OVERLAPPED.load(Ordering::SeqCst), "no seed overlapped");
    assert!(REFUSED.load(Ordering::SeqCst), "no queueing was refused");
}

/// W36: three threads queue it and a fourth cancels it with `cancel_work_sync`: accepted = runs +
/// cancelled; and when the producers pause, nobody is inside after the cancel, and nobody comes.
#[test]
fn w36_nobody_is_inside_after_cancel_sync() {
    static CANCELLED: AtomicBool = AtomicBool::new(false);
    rows(|_| {
        let queue = Wq::bound();
        let work = Work::new(|_, _| linger());
        let accepted = Arc::new(AtomicU32::new(0));
        let (paused, inside, left) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicU32::new(3)),
        );
        let threads = [0, 1, 2].map(|cpu| {
            let accepted = Arc::clone(&accepted);
            let (paused, inside, left) =
                (Arc::clone(&paused), Arc::clone(&inside), Arc::clone(&left));
            world::spawn("queue", Some(cpu), move || {
                for _ in 0..40 {
                    wait_until(|| !paused.load(Ordering::SeqCst));
                    inside.fetch_add(1, Ordering::SeqCst);
                    accepted.fetch_add(u32::from(work.queue(queue)), Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
                left.fetch_sub(1, Ordering::SeqCst);
            })
        });
        let mut cancelled = 0;
        while left.load(Ordering::SeqCst) > 0 {
            // With the producers at work: it returns, and only its answer counts.
            cancelled += u32::from(work.cancel_sync());
            paused.store(true, Ordering::SeqCst);
            wait_until(|| inside.load(Ordering::SeqCst) == 0);
            cancelled += u32::from(work.cancel_sync());
            let runs = work.runs();
            sim_assert_eq!(work.seen().inside(), 0);
            sim_assert_eq!(work.pending(), false);
            world::sleep_100ns(10);
            sim_assert_eq!(work.runs(), runs);
            paused.store(false, Ordering::SeqCst);
            world::sleep_100ns(u64::from(support::TICK_100NS) / 8);
        }
        for thread in threads {
            thread.join();
        }
        queue.destroy();
        sim_assert_eq!(work.runs() + cancelled, accepted.load(Ordering::SeqCst));
        if cancelled > 0 {
            CANCELLED.store(true, Ordering::SeqCst);
        }
        work.free();
    });
    assert!(CANCELLED.load(Ordering::SeqCst), "no seed cancelled");
}

/// W40: a running work that somebody else queues after the flush has begun: the flush returns once the
/// first run has ended, at the latest with the second.
#[test]
fn w40_an_external_requeue_during_a_flush() {
    rows(|rig| {
        let (queue, gates) = (Wq::bound(), [Gate::new(), Gate::new()]);
        let work = gated_by_run(&gates);
        sim_assert_eq!(work.queue(queue), true);
        work.wait_begun(1);
        let flush = call("flush", move || work.flush());
        sim_assert_eq!(flush.is_over(), false);
        sim_assert_eq!(work.queue(queue), true);
        world::settle();
        sim_assert_eq!(flush.is_over(), false, "the first run has not ended");
        if rig.reentrance == SelfReentrant {
            sim_assert_eq!(work.seen().inside(), 2);
        }
        gates[0].open();
        sim_assert_eq!(
            flush.join(),
            true,
            "though the second run waits for its gate"
        );
        gates[1].open();
        queue.destroy();
        sim_assert_eq!(work.runs(), 2);
        work.free();
    });
}
