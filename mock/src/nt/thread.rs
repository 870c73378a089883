//! System threads (N-26, N-32) and critical regions (N-5).

use crate::abi::{
    ACCESS_MASK, HANDLE, KPRIORITY, KPROCESSOR_MODE, NTSTATUS, PHANDLE, PKSTART_ROUTINE, PKTHREAD,
    POBJECT_ATTRIBUTES, POBJECT_HANDLE_INFORMATION, POBJECT_TYPE, PVOID,
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_SUCCESS, ULONG,
};
use crate::engine::{Entry, ThreadId};
use crate::nt::check::{call, ceiling, done};
use crate::nt::state::{Kind, Thread};
use crate::nt::wait;
use crate::world::state::{World, current};
use crate::world::{fail, pool};

/// Creates a system thread at PASSIVE_LEVEL.
///
/// # Safety
/// `ThreadHandle` is writable; `StartRoutine` may be called with `StartContext`.
pub unsafe extern "C" fn PsCreateSystemThread(
    ThreadHandle: PHANDLE,
    DesiredAccess: ULONG,
    ObjectAttributes: POBJECT_ATTRIBUTES,
    ProcessHandle: HANDLE,
    ClientId: crate::abi::PCLIENT_ID,
    StartRoutine: PKSTART_ROUTINE,
    StartContext: PVOID,
) -> NTSTATUS {
    let w = call();
    let _ = (DesiredAccess, ObjectAttributes, ProcessHandle, ClientId);
    ceiling(w, "PsCreateSystemThread", 0, "DV(0xC4,0x20003)");
    let Some(routine) = StartRoutine else {
        return STATUS_INVALID_PARAMETER;
    };
    if w.allocation_fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let context = StartContext.expose_provenance();
    let number =
        w.nt.with(|nt| nt.threads.iter().filter(|t| t.kind == Kind::Driver).count());
    let id = create(
        w,
        format!("driver thread {number}"),
        Kind::Driver,
        None,
        Box::new(move || {
            // SAFETY: the creator promises that the routine may be called with this context.
            unsafe { routine(core::ptr::with_exposed_provenance_mut(context)) };
        }),
    );
    w.count(|counters| counters.threads += 1);
    let handle = w.nt.with(|nt| {
        nt.handles.push(Some(id));
        nt.threads[id].references += 1;
        nt.handles.len() * 4
    });
    // SAFETY: the caller promises a writable handle.
    unsafe { ThreadHandle.write(core::ptr::without_provenance_mut(handle)) };
    done(w);
    STATUS_SUCCESS
}

/// Ends the calling system thread.
///
/// # Safety
/// The caller is a thread of [`PsCreateSystemThread`] and holds nothing on its stack that others use.
pub unsafe extern "C" fn PsTerminateSystemThread(ExitStatus: NTSTATUS) -> NTSTATUS {
    let w = call();
    let _ = ExitStatus;
    ended(w);
    w.engine.exit(w)
}

/// The current thread; in a DPC or an interrupt the interrupted one (N-26).
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeGetCurrentThread() -> PKTHREAD {
    let w = call();
    object_of(w, w.engine.thread())
}

/// Sets the priority of a thread, 1 to 31, and returns the one before. PASSIVE_LEVEL.
///
/// # Safety
/// `Thread` is a referenced thread object.
pub unsafe extern "C" fn KeSetPriorityThread(Thread: PKTHREAD, Priority: KPRIORITY) -> KPRIORITY {
    let w = call();
    ceiling(w, "KeSetPriorityThread", 0, "DV(0xC4,0x20003)");
    let Some(id) = thread_of_object(w, Thread.cast()) else {
        fail(
            "OBJECT_TYPE_INVALID(0x189)",
            "KeSetPriorityThread on no thread object".to_owned(),
        );
    };
    if !(1..=31).contains(&Priority) {
        fail(
            "INVALID_PARAMETER(KeSetPriorityThread)",
            format!("KeSetPriorityThread to {Priority}, which is reserved or no priority"),
        );
    }
    let before =
        w.nt.with(|nt| core::mem::replace(&mut nt.threads[id].priority, Priority));
    w.engine.priority_changed(w, id);
    w.trace_event("KeSetPriorityThread", id as u64, Priority as u64);
    done(w);
    before
}

/// The priority of a thread. PASSIVE_LEVEL.
///
/// # Safety
/// `Thread` is a referenced thread object.
pub unsafe extern "C" fn KeQueryPriorityThread(Thread: PKTHREAD) -> KPRIORITY {
    let w = call();
    ceiling(w, "KeQueryPriorityThread", 0, "DV(0xC4,0x20003)");
    let Some(id) = thread_of_object(w, Thread.cast()) else {
        fail(
            "OBJECT_TYPE_INVALID(0x189)",
            "KeQueryPriorityThread on no thread object".to_owned(),
        );
    };
    w.nt.with(|nt| nt.threads[id].priority)
}

/// Turns a handle of [`PsCreateSystemThread`] into a referenced thread object.
///
/// # Safety
/// `Object` is writable.
pub unsafe extern "C" fn ObReferenceObjectByHandle(
    Handle: HANDLE,
    DesiredAccess: ACCESS_MASK,
    ObjectType: POBJECT_TYPE,
    AccessMode: KPROCESSOR_MODE,
    Object: *mut PVOID,
    HandleInformation: POBJECT_HANDLE_INFORMATION,
) -> NTSTATUS {
    let w = call();
    let _ = (DesiredAccess, ObjectType, AccessMode, HandleInformation);
    ceiling(w, "ObReferenceObjectByHandle", 0, "DV(0xC4,0x20003)");
    let Some(id) = thread_of_handle(w, Handle) else {
        return STATUS_INVALID_HANDLE;
    };
    w.nt.with(|nt| nt.threads[id].references += 1);
    // SAFETY: the caller promises a writable pointer.
    unsafe { Object.write(object_of(w, id).cast()) };
    STATUS_SUCCESS
}

/// What a handle that is none gets.
const STATUS_INVALID_HANDLE: NTSTATUS = 0xC000_0008_u32 as i32;

/// Gives a reference of [`ObReferenceObjectByHandle`] back; returns how many are left.
///
/// # Safety
/// `Object` is a referenced thread object.
pub unsafe extern "C" fn ObfDereferenceObject(Object: PVOID) -> i64 {
    let w = call();
    let Some(id) = thread_of_object(w, Object) else {
        fail(
            "REFERENCE_BY_POINTER(0x18)",
            "ObfDereferenceObject on no object".to_owned(),
        );
    };
    w.nt.with(|nt| {
        nt.threads[id].references -= 1;
        nt.threads[id].references
    })
}

/// Closes a handle. The thread goes on.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn ZwClose(Handle: HANDLE) -> NTSTATUS {
    let w = call();
    ceiling(w, "ZwClose", 0, "DV(0xC4,0x20003)");
    let Some(id) = thread_of_handle(w, Handle) else {
        return STATUS_INVALID_HANDLE;
    };
    w.nt.with(|nt| {
        nt.handles[Handle.addr() / 4 - 1] = None;
        nt.threads[id].references -= 1;
    });
    STATUS_SUCCESS
}

/// Disables normal kernel APCs of the current thread (N-5).
///
/// # Safety
/// Each call is paired with [`KeLeaveCriticalRegion`].
pub unsafe extern "C" fn KeEnterCriticalRegion() {
    let w = call();
    ceiling(w, "KeEnterCriticalRegion", 1, "DV(0xC4,0x11A)");
    let me = w.engine.thread();
    w.nt.with(|nt| nt.threads[me].critical += 1);
}

/// Enables them again.
///
/// # Safety
/// Paired with [`KeEnterCriticalRegion`].
pub unsafe extern "C" fn KeLeaveCriticalRegion() {
    let w = call();
    ceiling(w, "KeLeaveCriticalRegion", 1, "DV(0xC4,0x11B)");
    let me = w.engine.thread();
    let left = w.nt.with(|nt| {
        let critical = &mut nt.threads[me].critical;
        let held = *critical > 0;
        *critical = critical.saturating_sub(1);
        held
    });
    if !left {
        fail(
            "DV(0xC4,0x40003)",
            "a critical region is left that was not entered".to_owned(),
        );
    }
}

/// Creates a thread of any kind and makes it runnable.
pub(crate) fn create(
    w: &World,
    name: String,
    kind: Kind,
    cpu: Option<u32>,
    body: Entry,
) -> ThreadId {
    let id = w.nt.with(|nt| {
        let affinity = cpu.map_or_else(|| nt.all_cpus(), |cpu| 1 << cpu);
        nt.add_thread(w, name, kind, affinity)
    });
    w.trace_event("thread created", id as u64, 0);
    let entry: Entry = Box::new(move || {
        body();
        ended(current());
    });
    w.engine.start(w, id, entry);
    id
}

/// The current thread has run to its end: marks its object and releases who waits for it.
fn ended(w: &World) {
    let irql = w.engine.irql();
    let me = w.engine.thread();
    if irql != 0 {
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            format!("a thread ends at IRQL {irql}"),
        );
    }
    let critical = w.nt.with(|nt| {
        let thread = &mut nt.threads[me];
        thread.finished = true;
        // The harness keeps its threads' objects; a driver has the references that it took (N-32).
        if thread.kind == Kind::Driver {
            thread.references -= 1;
        }
        let object = thread.object.addr();
        let critical = thread.critical;
        while wait::release_one(w, nt, object) {}
        critical
    });
    w.trace_event("thread ends", me as u64, 0);
    if critical != 0 {
        fail(
            "KERNEL_APC_PENDING_DURING_EXIT(0x20)",
            "a thread ends in a critical region".to_owned(),
        );
    }
}

/// The object of a thread.
pub(crate) fn object_of(w: &World, id: ThreadId) -> PKTHREAD {
    w.nt.with(|nt| nt.threads[id].object.cast())
}

/// The thread of an object, if it is one. An object without references is gone.
pub(crate) fn thread_of_object(w: &World, object: PVOID) -> Option<ThreadId> {
    let (id, unreferenced) = w.nt.with(|nt| {
        let same = |thread: &Thread| thread.object.addr() == object.addr();
        let id = nt.threads.iter().position(same)?;
        let thread = &nt.threads[id];
        Some((id, (thread.references <= 0).then(|| thread.name.clone())))
    })?;
    if let Some(name) = unreferenced {
        fail(
            pool::FREED,
            format!("the object of {name} is used without a reference"),
        );
    }
    Some(id)
}

fn thread_of_handle(w: &World, handle: HANDLE) -> Option<ThreadId> {
    let place = (handle.addr() / 4).checked_sub(1)?;
    w.nt.with(|nt| nt.handles.get(place).copied().flatten())
}
