//! The framework object: memory, references, parent and children, contexts.
//!
//! What happens when one is deleted lives in [`super::rundown`]; handles live in
//! [`super::registry`].
//!
//! # Layer
//!
//! Framework: NT calls below, through [`super::primitives`] and [`super::hooks`].
//!
//! # Invariants
//!
//! - **O1** An object is in the handle table from its commit until its destroy callback returned.
//! - **O2** `refs` starts at one. The owner of that reference is the delete path, which drops it
//!   exactly once, in `DeletedAndDisposed`.
//! - **O3** A child is in its parent's list exactly while its `parent` is set; both change with the
//!   child's lock held, and the parent's inside it (child before parent, as in the framework).
//! - **O4** No mutex of this module is held across a call down or a callback.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::device::DeviceBody;
use super::dpc::DpcBody;
use super::driver::DriverBody;
use super::primitives::FxLock;
use super::queue::QueueBody;
use super::request::RequestBody;
use super::timer::TimerBody;
use super::work_item::WorkItemBody;
use super::{attributes, hooks, wdf};
use crate::abi::*;

/// Bytes before the parts of the block that drivers see: a mark for the debugger and padding, so
/// that neither the KDPC nor the context has the address of the handle.
const HEADER: usize = 16;
const MARK: u64 = 0x5446_4557_4b43_4f4d;

/// Object types with a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Driver,
    Device,
    General,
    Dpc,
    WorkItem,
    Timer,
    Queue,
    Request,
}

impl Kind {
    pub(super) const COUNT: usize = 8;

    pub(super) const fn handle_name(self) -> &'static str {
        match self {
            Self::Driver => "WDFDRIVER",
            Self::Device => "WDFDEVICE",
            Self::General => "WDFOBJECT",
            Self::Dpc => "WDFDPC",
            Self::WorkItem => "WDFWORKITEM",
            Self::Timer => "WDFTIMER",
            Self::Queue => "WDFQUEUE",
            Self::Request => "WDFREQUEST",
        }
    }

    /// Dispose, and with it the cleanup callback, must run at PASSIVE (D-28, W-23, T-22, IO-10).
    const fn disposes_at_passive(self) -> bool {
        match self {
            Self::Driver | Self::General | Self::Request => false,
            Self::Device | Self::Dpc | Self::WorkItem | Self::Timer | Self::Queue => true,
        }
    }
}

/// What an object type adds.
#[derive(Debug)]
pub(super) enum Body {
    Driver(DriverBody),
    Device(DeviceBody),
    General,
    Dpc(DpcBody),
    WorkItem(WorkItemBody),
    Timer(TimerBody),
    Queue(QueueBody),
    Request(RequestBody),
}

/// Where an object is on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Created,
    WaitingForEarlyDispose,
    DisposingEarly,
    DeferredDisposing,
    DisposingChildren,
    Disposed,
    DeletedDisposing,
    DeferredDeleting,
    WaitingForParentDelete,
    DeletedAndDisposed,
    DeferredDestroy,
    Destroyed,
}

/// A typed context; the first one lies in the object's own block (O-2).
#[derive(Debug)]
struct Context {
    type_info: PCWDF_OBJECT_CONTEXT_TYPE_INFO,
    data: *mut u8,
    cleanup: PFN_WDF_OBJECT_CONTEXT_CLEANUP,
    destroy: PFN_WDF_OBJECT_CONTEXT_DESTROY,
}

/// The part of an object that its lock guards.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: State,
    pub(super) parent: Weak<Object>,
    pub(super) children: Vec<Arc<Object>>,
    pub(super) device: Weak<Object>,
    pub(super) committed: bool,
    context: Option<Context>,
}

/// One framework object.
pub(crate) struct Object {
    kind: Kind,
    name: Arc<str>,
    block: *mut u8,
    pub(super) body: Body,
    pub(super) lock: FxLock,
    refs: AtomicI32,
    pub(super) passive_callbacks: AtomicBool,
    pub(super) no_delete: AtomicBool,
    inner: Mutex<Inner>,
}

// SAFETY: the block is written only through the context pointer handed to the driver, whose
// synchronisation is the driver's, and by `ntddk` through the KDPC; all other fields are shareable.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Object {
    /// Allocates an object with its context; `None` when the pool says no. It has no parent yet and
    /// nobody can name it before [`Object::commit`].
    pub(super) fn allocate(
        kind: Kind,
        attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
        body: Body,
    ) -> Option<Arc<Self>> {
        let extra = if kind == Kind::Dpc {
            size_of::<KDPC>()
        } else {
            0
        };
        let context_size = attributes.map_or(0, attributes::context_size);
        let name = wdf().registry.next_name(kind);
        let block = hooks::allocate(HEADER + extra + context_size)?;
        // SAFETY: the block is ours and at least `HEADER` bytes long.
        unsafe { block.cast::<u64>().write(MARK) };
        let context = attributes.map(|attributes| Context {
            type_info: attributes.ContextTypeInfo,
            data: block.wrapping_add(HEADER + extra),
            cleanup: None,
            destroy: None,
        });
        let inner = Inner {
            state: State::Created,
            parent: Weak::new(),
            children: Vec::new(),
            device: Weak::new(),
            committed: false,
            context,
        };
        Some(Arc::new(Self {
            kind,
            name,
            block,
            body,
            lock: FxLock::new(),
            refs: AtomicI32::new(1),
            passive_callbacks: AtomicBool::new(kind == Kind::WorkItem),
            no_delete: AtomicBool::new(false),
            inner: Mutex::new(inner),
        }))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn address(&self) -> usize {
        self.block as usize
    }

    pub(super) fn handle(&self) -> WDFOBJECT {
        self.block.cast()
    }

    /// The KDPC of a WDFDPC. It is part of the object's block, so its address is good exactly as
    /// long as the object's memory (D-6, D-24).
    pub(super) fn kdpc(&self) -> PKDPC {
        self.block.wrapping_add(HEADER).cast()
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.inner().state
    }

    /// Whether the object became visible.
    pub(super) fn is_committed(&self) -> bool {
        self.inner().committed
    }

    pub(super) fn set_state(&self, state: State) {
        self.inner().state = state;
    }

    /// Whether the delete path must be at PASSIVE.
    pub(super) fn disposes_at_passive(&self) -> bool {
        self.kind.disposes_at_passive() || self.passive_callbacks.load(Ordering::Relaxed)
    }

    /// The device an object belongs to: itself, or the nearest one above it (D-4).
    pub(super) fn device(self: &Arc<Self>) -> Option<Arc<Self>> {
        if self.kind == Kind::Device {
            return Some(Arc::clone(self));
        }
        self.inner().device.upgrade()
    }

    pub(super) fn add_ref(&self) {
        self.refs.fetch_add(1, Ordering::AcqRel);
    }

    /// Drops a reference; the last one destroys the object, here or at PASSIVE (O-5).
    pub(super) fn release(self: &Arc<Self>) {
        let before = self.refs.fetch_sub(1, Ordering::AcqRel);
        if before == 1 {
            self.final_release();
        } else if before < 1 {
            hooks::fail(
                "WDF_VIOLATION(0x10D,7)",
                format!("{}: more references were dropped than taken", self.name),
            );
        }
    }

    /// Makes the object visible: adds it to its parent, installs the driver's callbacks, and puts
    /// the handle into the table (D-2 row 11 is the failure).
    pub(super) fn commit(
        self: &Arc<Self>,
        attributes: Option<&WDF_OBJECT_ATTRIBUTES>,
        parent: Option<&Arc<Self>>,
    ) -> Result<WDFOBJECT, NTSTATUS> {
        let level = attributes.map_or(0, |attributes| attributes.ExecutionLevel);
        if level == _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive {
            self.passive_callbacks.store(true, Ordering::Relaxed);
        }
        if let Some(parent) = parent {
            let irql = self.lock.acquire();
            let added = parent.add_child(self);
            if added {
                self.inner().parent = Arc::downgrade(parent);
            }
            self.lock.release(irql);
            if !added {
                return Err(STATUS_DELETE_PENDING);
            }
        }
        let mut inner = self.inner();
        if let (Some(context), Some(attributes)) = (inner.context.as_mut(), attributes) {
            context.cleanup = attributes.EvtCleanupCallback;
            context.destroy = attributes.EvtDestroyCallback;
        }
        inner.committed = true;
        drop(inner);
        wdf().registry.insert(self);
        Ok(self.handle())
    }

    /// Adds a child unless this object is on its way out. The child's lock is held by the caller.
    fn add_child(self: &Arc<Self>, child: &Arc<Self>) -> bool {
        let irql = self.lock.acquire();
        let device = self.device();
        let mut inner = self.inner();
        let open = inner.state == State::Created;
        if open {
            inner.children.push(Arc::clone(child));
        }
        drop(inner);
        if let (true, Some(device)) = (open, device) {
            child.set_device(&device);
        }
        self.lock.release(irql);
        open
    }

    /// Removes a child unless this object is on its way out, in which case it disposes the child
    /// itself. The child's lock is held by the caller.
    pub(super) fn remove_child(&self, child: &Arc<Self>) -> bool {
        let irql = self.lock.acquire();
        let mut inner = self.inner();
        let open = inner.state == State::Created;
        if open {
            inner.children.retain(|other| !Arc::ptr_eq(other, child));
        }
        drop(inner);
        self.lock.release(irql);
        open
    }

    /// Records the device before the commit, for objects that are bound to one early.
    pub(super) fn set_device(&self, device: &Arc<Self>) {
        let mut inner = self.inner();
        if inner.device.upgrade().is_none() {
            inner.device = Arc::downgrade(device);
        }
    }

    /// The context of a type, found by the address of its type info (O-2).
    pub(super) fn context_of(&self, type_info: PCWDF_OBJECT_CONTEXT_TYPE_INFO) -> PVOID {
        match &self.inner().context {
            Some(context) if std::ptr::eq(context.type_info, type_info) => context.data.cast(),
            Some(_) | None => std::ptr::null_mut(),
        }
    }

    /// Forgets the driver's callbacks: a failed create calls none of them (O-8).
    pub(super) fn clear_callbacks(&self) {
        if let Some(context) = self.inner().context.as_mut() {
            context.cleanup = None;
            context.destroy = None;
        }
    }

    /// Calls the cleanup callback, once in the object's life.
    pub(super) fn call_cleanup(&self) {
        let mut inner = self.inner();
        let committed = inner.committed;
        let callback = inner
            .context
            .as_mut()
            .and_then(|context| context.cleanup.take());
        drop(inner);
        if let (true, Some(callback)) = (committed, callback) {
            hooks::callback(&self.name, "EvtCleanupCallback", || {
                // SAFETY: the driver gave this function for this object, whose memory is alive
                // until its destroy callback returned.
                unsafe { callback(self.handle()) }
            });
        }
    }

    /// Calls the destroy callback, the last one of the object's life.
    pub(super) fn call_destroy(&self) {
        self.call_cleanup();
        let mut inner = self.inner();
        let committed = inner.committed;
        let callback = inner
            .context
            .as_mut()
            .and_then(|context| context.destroy.take());
        drop(inner);
        if let (true, Some(callback)) = (committed, callback) {
            hooks::callback(&self.name, "EvtDestroyCallback", || {
                // SAFETY: as in `call_cleanup`; the block is freed only after this returns.
                unsafe { callback(self.handle()) }
            });
        }
    }

    /// Gives the block back. Nobody reaches it through a handle from here on (O1).
    pub(super) fn free_block(&self) {
        wdf().registry.remove(self);
        hooks::free(self.block);
    }

    /// Whether the memory is gone; a thunk that returns into such an object is a use after free.
    pub(super) fn is_destroyed(&self) -> bool {
        self.state() == State::Destroyed
    }
}
