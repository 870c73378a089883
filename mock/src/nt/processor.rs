//! CPUs that come online, and the callbacks that hear of it (N-25).
//!
//! One lock, which threads block on, orders additions, registrations and deregistrations: a callback is not
//! called any more once its deregistration has returned.

use crate::abi::{
    KE_PROCESSOR_CHANGE_ADD_EXISTING, KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT as Context,
    KE_PROCESSOR_CHANGE_NOTIFY_STATE as Notify, NTSTATUS, PPROCESSOR_CALLBACK_FUNCTION, PVOID,
    STATUS_SUCCESS, STATUS_UNSUCCESSFUL, ULONG,
};
use crate::engine::ThreadId;
use crate::nt::check::{call, ceiling, done};
use crate::nt::cpu::number_of;
use crate::nt::state::Waiting;
use crate::nt::wait;
use crate::world::fail;
use crate::world::state::World;

/// What threads wait for: no dispatcher object has this address.
const LOCK: usize = 1;

/// A registered callback.
#[derive(Clone, Copy)]
struct Callback {
    number: usize,
    function: PPROCESSOR_CALLBACK_FUNCTION,
    context: PVOID,
}

// SAFETY: the context is a value that is passed back to the driver that registered it.
unsafe impl Send for Callback {}

/// The callbacks of a machine, and who holds the lock over them.
#[derive(Default)]
pub(crate) struct ChangeCallbacks {
    registered: Vec<Callback>,
    numbers: usize,
    holder: Option<ThreadId>,
}

impl ChangeCallbacks {
    /// How many callbacks are registered.
    pub(crate) fn len(&self) -> usize {
        self.registered.len()
    }
}

/// Asks for a call of `CallbackFunction` at PASSIVE_LEVEL before and after each CPU that comes online; with
/// the flag also, before this returns, for each active CPU. Null: a call for an active CPU reported an error.
///
/// # Safety
/// The function may be called with `CallbackContext` until the callback is deregistered.
pub unsafe extern "C" fn KeRegisterProcessorChangeCallback(
    CallbackFunction: PPROCESSOR_CALLBACK_FUNCTION,
    CallbackContext: PVOID,
    Flags: ULONG,
) -> PVOID {
    let w = call();
    ceiling(
        w,
        "KeRegisterProcessorChangeCallback",
        0,
        "DV(0xC4,0x20003)",
    );
    if CallbackFunction.is_none() || w.allocation_fails() {
        return core::ptr::null_mut();
    }
    lock(w);
    let callback = w.nt.with(|nt| {
        nt.change.numbers += 1;
        Callback {
            number: nt.change.numbers,
            function: CallbackFunction,
            context: CallbackContext,
        }
    });
    let wanted = if Flags & KE_PROCESSOR_CHANGE_ADD_EXISTING == 0 {
        Ok(())
    } else {
        introduce(w, callback)
    };
    if wanted.is_ok() {
        w.nt.with(|nt| nt.change.registered.push(callback));
    }
    unlock(w);
    done(w);
    match wanted {
        Ok(()) => core::ptr::without_provenance_mut(callback.number * 16),
        Err(_) => core::ptr::null_mut(),
    }
}

/// Ends a registration. The callback does not run when this returns, and is not called again.
///
/// # Safety
/// None beyond being called in a world: a handle that is none fails the run.
pub unsafe extern "C" fn KeDeregisterProcessorChangeCallback(CallbackHandle: PVOID) {
    let w = call();
    ceiling(
        w,
        "KeDeregisterProcessorChangeCallback",
        0,
        "DV(0xC4,0x20003)",
    );
    lock(w);
    let found = w.nt.with(|nt| {
        let before = nt.change.registered.len();
        nt.change
            .registered
            .retain(|callback| callback.number * 16 != CallbackHandle.addr());
        nt.change.registered.len() < before
    });
    unlock(w);
    if !found {
        fail(
            "INVALID_PARAMETER(KeDeregisterProcessorChangeCallback)",
            "the handle is that of no registered callback".to_owned(),
        );
    }
    done(w);
}

/// Tells a new callback of the CPUs that are active already.
fn introduce(w: &World, callback: Callback) -> Result<(), NTSTATUS> {
    for cpu in 0..w.nt.with(|nt| nt.active) {
        let status = notify(w, callback, Notify::KeProcessorAddStartNotify, cpu, 0);
        if status < 0 {
            for known in 0..cpu {
                let state = Notify::KeProcessorAddFailureNotify;
                notify(w, callback, state, known, status);
            }
            return Err(status);
        }
    }
    for cpu in 0..w.nt.with(|nt| nt.active) {
        notify(w, callback, Notify::KeProcessorAddCompleteNotify, cpu, 0);
    }
    Ok(())
}

/// Brings the next CPU online, unless a callback objects: then everybody who had agreed hears of the failure.
pub(crate) fn add(w: &World) -> Result<u32, NTSTATUS> {
    lock(w);
    let (cpu, callbacks) = w.nt.with(|nt| (nt.active, nt.change.registered.clone()));
    assert!(
        cpu < w.config.max_cpus,
        "the machine has no CPU left to bring online"
    );
    for (place, &callback) in callbacks.iter().enumerate() {
        let status = notify(w, callback, Notify::KeProcessorAddStartNotify, cpu, 0);
        if status < 0 {
            for &other in &callbacks[..place] {
                notify(w, other, Notify::KeProcessorAddFailureNotify, cpu, status);
            }
            unlock(w);
            return Err(status);
        }
    }
    activate(w, cpu);
    for &callback in &callbacks {
        notify(w, callback, Notify::KeProcessorAddCompleteNotify, cpu, 0);
    }
    unlock(w);
    Ok(cpu)
}

fn activate(w: &World, cpu: u32) {
    w.nt.with(|nt| {
        let everywhere = nt.all_cpus();
        nt.active = cpu + 1;
        let now = nt.all_cpus();
        for thread in &mut nt.threads {
            if thread.affinity == everywhere {
                thread.affinity = now;
            }
            if thread.user_affinity == Some(everywhere) {
                thread.user_affinity = Some(now);
            }
        }
    });
    w.trace_event("CPU online", u64::from(cpu), 0);
    w.engine.affinities_changed(w);
    w.engine.preempt(w);
}

/// Calls a callback, and returns what it made of the status. Only a start can be refused.
fn notify(w: &World, callback: Callback, state: Notify::Type, cpu: u32, why: NTSTATUS) -> NTSTATUS {
    let mut context = Context {
        State: state,
        NtNumber: cpu,
        Status: why,
        ProcNumber: number_of(cpu),
    };
    let mut status = STATUS_SUCCESS;
    w.engine.preempt(w);
    if let Some(function) = callback.function {
        // SAFETY: the driver registered the function for calls with this context; the others are valid.
        unsafe { function(callback.context, &raw mut context, &raw mut status) };
    }
    let irql = w.engine.irql();
    if irql != 0 {
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            format!("a processor change callback returned at IRQL {irql}"),
        );
    }
    if status != STATUS_SUCCESS && state != Notify::KeProcessorAddStartNotify {
        fail(
            "INVALID_PARAMETER(OperationStatus)",
            format!("a processor change callback refuses in state {state}, after the start"),
        );
    }
    if status > 0 {
        STATUS_UNSUCCESSFUL
    } else {
        status
    }
}

fn lock(w: &World) {
    wait::check_irql(w, "the lock of processor changes", None);
    let me = w.engine.thread();
    let mut held = false;
    while !held {
        wait::wait(w, LOCK, Waiting::ProcessorChange, None, |nt| {
            held = nt.change.holder.is_none();
            if held {
                nt.change.holder = Some(me);
            }
            held
        });
    }
}

fn unlock(w: &World) {
    w.nt.with(|nt| {
        nt.change.holder = None;
        wait::release_one(w, nt, LOCK);
    });
}
