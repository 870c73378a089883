//! CPUs that come online and the callbacks that hear of it: facts N-23, N-25, H-34, H-36.

mod common;

use std::ffi::c_void;
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use common::Dpc;
use kmdf_mock::KE_PROCESSOR_CHANGE_NOTIFY_STATE::{
    KeProcessorAddCompleteNotify as COMPLETE, KeProcessorAddFailureNotify as FAILURE,
    KeProcessorAddStartNotify as START,
};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{
    KE_PROCESSOR_CHANGE_ADD_EXISTING, NTSTATUS, PKE_PROCESSOR_CHANGE_NOTIFY_CONTEXT, PNTSTATUS,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ntddk, sim_assert, sim_assert_eq,
};

/// What a callback was called with: state, CPU, status, and how many CPUs were active then.
type Call = (i32, u32, NTSTATUS, u32);

/// A driver's end of the callback.
#[derive(Default)]
struct Listener {
    calls: Mutex<Vec<Call>>,
    /// The CPU that it refuses, plus one.
    refuses: AtomicU32,
}

unsafe extern "C" fn listen(
    context: *mut c_void,
    change: PKE_PROCESSOR_CHANGE_NOTIFY_CONTEXT,
    status: PNTSTATUS,
) {
    // SAFETY: the context is a `Listener` that lives as long as the world; the others are NT's.
    let (listener, change) = unsafe { (&*context.cast::<Listener>(), *change) };
    sim_assert_eq!(world::current_irql(), 0);
    sim_assert_eq!(u32::from(change.ProcNumber.Number), change.NtNumber);
    // SAFETY: as above.
    sim_assert_eq!(unsafe { *status }, STATUS_SUCCESS);
    let call = (change.State, change.NtNumber, change.Status, active());
    listener.calls.lock().unwrap().push(call);
    if change.State == START && listener.refuses.load(SeqCst) == change.NtNumber + 1 {
        // SAFETY: as above.
        unsafe { *status = STATUS_INSUFFICIENT_RESOURCES };
    }
}

impl Listener {
    fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn register(&'static self, flags: u32) -> *mut c_void {
        // SAFETY: the listener lives for ever.
        unsafe {
            ntddk::KeRegisterProcessorChangeCallback(
                Some(listen),
                from_ref(self).cast_mut().cast(),
                flags,
            )
        }
    }

    fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn active() -> u32 {
    // SAFETY: the call has no requirement.
    unsafe { ntddk::KeQueryActiveProcessorCountEx(0) }
}

fn machine(seed: u64) -> Sim {
    Sim::new(seed).cpus(2).max_cpus(4)
}

/// N-25: a callback hears of a CPU before and after it is online, at PASSIVE_LEVEL; after its deregistration it
/// hears nothing.
#[test]
fn a_callback_is_told_before_and_after() {
    world::seeds(0..50, |seed| {
        machine(seed)
            .run(|| {
                let listener = Listener::new();
                let handle = listener.register(0);
                sim_assert!(!handle.is_null());
                sim_assert_eq!(listener.take(), []);
                sim_assert_eq!(world::add_cpu(), 2);
                sim_assert_eq!(listener.take(), [(START, 2, 0, 2), (COMPLETE, 2, 0, 3)]);
                // SAFETY: the call has no requirement.
                unsafe { ntddk::KeDeregisterProcessorChangeCallback(handle) };
                sim_assert_eq!(world::add_cpu(), 3);
                sim_assert_eq!(listener.take(), []);
            })
            .unwrap();
    });
}

/// N-25: with the flag a new callback is told of the active CPUs first.
#[test]
fn a_callback_can_ask_for_the_active_cpus() {
    machine(1)
        .run(|| {
            let listener = Listener::new();
            sim_assert!(
                !listener
                    .register(KE_PROCESSOR_CHANGE_ADD_EXISTING)
                    .is_null()
            );
            let told = [(START, 0), (START, 1), (COMPLETE, 0), (COMPLETE, 1)];
            sim_assert_eq!(listener.take(), told.map(|(state, cpu)| (state, cpu, 0, 2)));
            let (other, refusal) = (Listener::new(), STATUS_INSUFFICIENT_RESOURCES);
            other.refuses.store(2, SeqCst);
            sim_assert!(other.register(KE_PROCESSOR_CHANGE_ADD_EXISTING).is_null());
            let told = [(START, 0, 0, 2), (START, 1, 0, 2), (FAILURE, 0, refusal, 2)];
            sim_assert_eq!(other.take(), told);
            world::add_cpu();
            sim_assert_eq!(other.take(), []);
        })
        .unwrap();
}

/// N-25: a callback can refuse a CPU at the start; the one before it is told of the failure, the CPU stays out,
/// and the next attempt succeeds.
#[test]
fn a_start_can_be_refused() {
    machine(2)
        .run(|| {
            let (first, second) = (Listener::new(), Listener::new());
            first.register(0);
            second.register(0);
            second.refuses.store(3, SeqCst);
            let refusal = STATUS_INSUFFICIENT_RESOURCES;
            sim_assert_eq!(world::try_add_cpu(), Err(refusal));
            sim_assert_eq!(active(), 2);
            sim_assert_eq!(first.take(), [(START, 2, 0, 2), (FAILURE, 2, refusal, 2)]);
            sim_assert_eq!(second.take(), [(START, 2, 0, 2)]);
            second.refuses.store(0, SeqCst);
            sim_assert_eq!(world::try_add_cpu(), Ok(2));
            sim_assert_eq!(first.take(), [(START, 2, 0, 2), (COMPLETE, 2, 0, 3)]);
        })
        .unwrap();
}

/// N-25, H-36: a DPC for the new CPU is legal from the completion on, in the callback already; at the start it is
/// 0xC7 with parameter 1 = 3.
#[test]
fn a_dpc_for_the_new_cpu_waits_for_the_completion() {
    static DPC: kmdf_mock::image::Static<Mutex<Option<Dpc>>> =
        kmdf_mock::image::Static::new(|| Mutex::new(None));
    static STATE: kmdf_mock::image::Static<AtomicU32> =
        kmdf_mock::image::Static::new(|| AtomicU32::new(0));
    unsafe extern "C" fn queue(
        _: *mut c_void,
        change: PKE_PROCESSOR_CHANGE_NOTIFY_CONTEXT,
        _: PNTSTATUS,
    ) {
        // SAFETY: NT passes a valid context.
        if unsafe { (*change).State } == STATE.get().load(SeqCst) as i32 {
            let dpc = DPC.get().lock().unwrap().take();
            sim_assert!(dpc.is_some_and(|dpc| dpc.insert()));
        }
    }
    let run = |seed, state: i32| {
        machine(seed).run(move || {
            let ran = Arc::new(AtomicU32::new(0));
            let seen = Arc::clone(&ran);
            let dpc = Dpc::new(move || seen.store(world::current_cpu(), SeqCst));
            dpc.set_target(2);
            *DPC.get().lock().unwrap() = Some(dpc.clone());
            STATE.get().store(state as u32, SeqCst);
            // SAFETY: the callback wants no context.
            unsafe { ntddk::KeRegisterProcessorChangeCallback(Some(queue), null_mut(), 0) };
            world::add_cpu();
            world::settle();
            ran.load(SeqCst)
        })
    };
    world::seeds(0..20, |seed| assert_eq!(run(seed, COMPLETE).unwrap(), 2));
    let early = run(0, START).unwrap_err();
    assert_eq!(early.code(), "TIMER_OR_DPC_INVALID(0xC7,3)");
}

/// N-25: two additions and a deregistration from another thread exclude each other: no callback runs once its
/// deregistration has returned, and every start is followed by its completion.
#[test]
fn a_deregistration_waits_for_the_callback() {
    let cut_off = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&cut_off);
    world::seeds(0..200, move |seed| {
        let seen = Arc::clone(&seen);
        machine(seed)
            .run(move || {
                let listener = Listener::new();
                let handle = listener.register(0).expose_provenance();
                let adder = world::spawn("adder", None, || {
                    world::add_cpu();
                    world::add_cpu();
                });
                // SAFETY: the call has no requirement.
                unsafe {
                    ntddk::KeDeregisterProcessorChangeCallback(
                        std::ptr::with_exposed_provenance_mut(handle),
                    );
                }
                let told = listener.take();
                for pair in told.chunks(2) {
                    sim_assert_eq!(pair.len(), 2);
                    sim_assert_eq!((pair[0].0, pair[1].0), (START, COMPLETE));
                }
                adder.join();
                sim_assert_eq!(listener.take(), []);
                seen.fetch_add(u32::from(told.len() == 2), SeqCst);
            })
            .unwrap();
    });
    assert!(cut_off.load(SeqCst) > 0, "no seed deregistered between two");
}

/// N-25: the misuses. A callback that deregisters itself waits for itself; a handle that is none; a status that is
/// changed after the start; above PASSIVE_LEVEL.
#[test]
fn misuse_is_convicted() {
    unsafe extern "C" fn deregisters(
        _: *mut c_void,
        _: PKE_PROCESSOR_CHANGE_NOTIFY_CONTEXT,
        _: PNTSTATUS,
    ) {
        // SAFETY: that it deadlocks is the point.
        unsafe { ntddk::KeDeregisterProcessorChangeCallback(null_mut()) };
    }
    unsafe extern "C" fn refuses(
        _: *mut c_void,
        change: PKE_PROCESSOR_CHANGE_NOTIFY_CONTEXT,
        status: PNTSTATUS,
    ) {
        // SAFETY: NT passes valid pointers.
        unsafe {
            if (*change).State == COMPLETE {
                *status = STATUS_INSUFFICIENT_RESOURCES;
            }
        }
    }
    let code = |f: fn()| {
        let result = machine(1).run(f);
        result.err().map(|failure| failure.code().to_owned())
    };
    let deadlock = code(|| {
        // SAFETY: the callback wants no context.
        unsafe { ntddk::KeRegisterProcessorChangeCallback(Some(deregisters), null_mut(), 0) };
        world::add_cpu();
    });
    assert_eq!(
        deadlock.as_deref(),
        Some("SIM_DEADLOCK(main waits for a processor change to be over)")
    );
    let late = code(|| {
        // SAFETY: the callback wants no context.
        unsafe { ntddk::KeRegisterProcessorChangeCallback(Some(refuses), null_mut(), 0) };
        world::add_cpu();
    });
    assert_eq!(late.as_deref(), Some("INVALID_PARAMETER(OperationStatus)"));
    // SAFETY: that the handle is none is the point.
    let none = code(|| unsafe { ntddk::KeDeregisterProcessorChangeCallback(null_mut()) });
    assert_eq!(
        none.as_deref(),
        Some("INVALID_PARAMETER(KeDeregisterProcessorChangeCallback)")
    );
    let high = code(|| {
        world::at_dispatch(|| Listener::new().register(0));
    });
    assert_eq!(high.as_deref(), Some("DV(0xC4,0x20003)"));
}

/// H-34, N-25: an image that goes while a callback is registered leaves a pointer into itself behind.
#[test]
fn an_image_does_not_leave_a_callback_behind() {
    let unload = |deregister: bool| {
        machine(1).run(move || {
            let driver = world::Driver::load();
            let handle = Listener::new().register(0);
            if deregister {
                // SAFETY: the call has no requirement.
                unsafe { ntddk::KeDeregisterProcessorChangeCallback(handle) };
            }
            driver.unload();
        })
    };
    assert!(unload(true).is_ok());
    let failure = unload(false).unwrap_err();
    assert_eq!(failure.code(), "DRIVER_UNLOADED_PENDING(0xCE)");
    assert!(failure.message().contains("1 processor change callbacks"));
}
