//! AutomaticSerialization: which lock is held around a callback (facts S-1 to S-8).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::hooks;
use super::object::{Body, Object};
use super::primitives::{FxEvent, FxLock};
use super::verifier::{self, Break};
use crate::abi::*;
use crate::ntddk;

/// The callback lock of a device.
#[derive(Debug)]
pub(super) struct CallbackLock {
    owner_name: Arc<str>,
    /// The holder's identity, zero if free; to notice recursion (S-6).
    holder: AtomicUsize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Dispatch level: callbacks run at DISPATCH and other CPUs spin.
    Spin(FxLock),
    /// Passive level: callbacks run in a critical region and other threads block.
    Mutex(FxEvent),
}

/// What [`CallbackLock::release`] needs back.
#[derive(Debug)]
pub(super) struct Held {
    irql: KIRQL,
}

impl CallbackLock {
    /// The lock of a device whose callbacks are passive or not.
    pub(super) fn create(owner_name: &Arc<str>, passive: bool) -> Arc<Self> {
        let form = if passive {
            Form::Mutex(FxEvent::uninit())
        } else {
            Form::Spin(FxLock::new())
        };
        let lock = Arc::new(Self {
            owner_name: Arc::clone(owner_name),
            holder: AtomicUsize::new(0),
            form,
        });
        if let Form::Mutex(event) = &lock.form {
            event.init(_EVENT_TYPE::SynchronizationEvent, true);
        }
        lock
    }

    /// Takes the lock for a callback of `object`.
    pub(super) fn acquire(&self, object: &str) -> Held {
        let me = hooks::current_thread();
        if self.holder.load(Ordering::Relaxed) == me {
            hooks::fail(
                "WDF_VIOLATION(0x10D,2)",
                format!(
                    "{object}: the callback lock of {} is taken twice",
                    self.owner_name
                ),
            );
        }
        let irql = match &self.form {
            Form::Spin(lock) => lock.acquire(),
            Form::Mutex(event) => {
                // SAFETY: the calls pair up with those in `release`, on the same thread.
                unsafe { ntddk::KeEnterCriticalRegion() };
                event.wait(&format!("the callback lock of {}", self.owner_name), None);
                0
            }
        };
        self.holder.store(me, Ordering::Relaxed);
        Held { irql }
    }

    /// Gives the lock back.
    pub(super) fn release(&self, held: Held) {
        self.holder.store(0, Ordering::Relaxed);
        match &self.form {
            Form::Spin(lock) => lock.release(held.irql),
            Form::Mutex(event) => {
                event.set();
                // SAFETY: the region was entered by `acquire`, on this thread.
                unsafe { ntddk::KeLeaveCriticalRegion() };
            }
        }
    }
}

/// The lock for callbacks of an object under `parent`: none, one, or the mismatch of S-3. The flag
/// that is compared is the immediate parent's; the lock is that of the device above it (S-5).
pub(super) fn effective(
    parent: &Arc<Object>,
    serialize: bool,
    passive_callbacks: bool,
) -> Result<Option<Arc<CallbackLock>>, NTSTATUS> {
    if !serialize {
        return Ok(None);
    }
    let device = parent.device().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
    let Body::Device(device) = &device.body else {
        return Err(STATUS_INVALID_DEVICE_REQUEST);
    };
    let scope = device.scope;
    if scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent
        || scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone
    {
        return Ok(None);
    }
    if parent.passive_callbacks.load(Ordering::Relaxed) != passive_callbacks {
        verifier::record(Break::SerializationMismatch, parent.name());
        return Err(STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL);
    }
    Ok(device.callback_lock.get().map(Arc::clone))
}
