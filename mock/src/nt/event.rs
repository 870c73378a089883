//! Events (N-1).

use crate::abi::{_EVENT_TYPE, BOOLEAN, EVENT_TYPE, KPRIORITY, LONG, PRKEVENT};
use crate::nt::check::{call, ceiling, done};
use crate::nt::state::NtState;
use crate::nt::wait;
use crate::world::state::World;
use crate::world::{fail, pool};

/// Dispatcher object types, in the low byte of the header as on NT.
const EVENT_NOTIFICATION: i32 = 0x0106_0000;
const EVENT_SYNCHRONIZATION: i32 = 0x0106_0001;

/// Initialises an event.
///
/// # Safety
/// `Event` is valid for a write; it stays in place as long as the event is used (N-1).
pub unsafe extern "C" fn KeInitializeEvent(Event: PRKEVENT, Type: EVENT_TYPE, State: BOOLEAN) {
    let w = call();
    pool::touch(w, Event.addr(), "KeInitializeEvent");
    let kind = if Type == _EVENT_TYPE::NotificationEvent {
        EVENT_NOTIFICATION
    } else {
        EVENT_SYNCHRONIZATION
    };
    w.nt.with(|nt| {
        // SAFETY: the caller promises a valid event; the lock of the world serialises every access.
        unsafe {
            (*Event).Header.Lock = kind;
            (*Event).Header.SignalState = LONG::from(State != 0);
        }
        nt.name_event(Event.addr());
    });
}

/// Signals an event and returns its previous state. `DV(0xC4,0x80)` above DISPATCH_LEVEL.
///
/// # Safety
/// `Event` is an initialised event.
pub unsafe extern "C" fn KeSetEvent(Event: PRKEVENT, Increment: KPRIORITY, Wait: BOOLEAN) -> LONG {
    let w = call();
    let _ = Increment;
    ceiling(
        w,
        "KeSetEvent",
        if Wait != 0 { 1 } else { 2 },
        "DV(0xC4,0x80)",
    );
    check(w, Event, "KeSetEvent");
    w.count(|counters| counters.events_set += 1);
    let before = w.nt.with(|nt| {
        // SAFETY: `check` found an initialised event, and the caller keeps it in place.
        let header = unsafe { &mut (*Event).Header };
        let before = header.SignalState;
        header.SignalState = 1;
        if header.Lock == EVENT_NOTIFICATION {
            while wait::release_one(w, nt, Event.addr()) {}
        } else if before == 0 && wait::release_one(w, nt, Event.addr()) {
            header.SignalState = 0;
        }
        w.trace_event(
            "KeSetEvent",
            nt.event_name(Event.addr()),
            u64::from(before != 0),
        );
        before
    });
    done(w);
    before
}

/// Makes an event non-signalled.
///
/// # Safety
/// `Event` is an initialised event.
pub unsafe extern "C" fn KeClearEvent(Event: PRKEVENT) {
    // SAFETY: as the caller's.
    unsafe { KeResetEvent(Event) };
}

/// Makes an event non-signalled and returns its previous state.
///
/// # Safety
/// `Event` is an initialised event.
pub unsafe extern "C" fn KeResetEvent(Event: PRKEVENT) -> LONG {
    let w = call();
    ceiling(w, "KeResetEvent", 2, "DV(0xC4,0x20003)");
    check(w, Event, "KeResetEvent");
    // SAFETY: `check` found an initialised event, and the caller keeps it in place.
    w.nt.with(|_| unsafe { core::mem::take(&mut (*Event).Header.SignalState) })
}

/// The state of an event.
///
/// # Safety
/// `Event` is an initialised event.
pub unsafe extern "C" fn KeReadStateEvent(Event: PRKEVENT) -> LONG {
    let w = call();
    check(w, Event, "KeReadStateEvent");
    // SAFETY: `check` found an initialised event, and the caller keeps it in place.
    w.nt.with(|_| unsafe { (*Event).Header.SignalState })
}

/// Whether the memory at `object` looks like an event.
pub(crate) fn is_event(object: PRKEVENT) -> bool {
    // SAFETY: the caller of the wait promises a dispatcher object; its header is readable.
    let kind = unsafe { (*object).Header.Lock };
    kind == EVENT_NOTIFICATION || kind == EVENT_SYNCHRONIZATION
}

/// Whether a wait on `event` is satisfied now; a synchronization event is consumed by that.
pub(crate) fn try_acquire(_nt: &mut NtState, event: PRKEVENT) -> bool {
    // SAFETY: the waiter checked that this is an initialised event; the lock of the world is held.
    let header = unsafe { &mut (*event).Header };
    let signalled = header.SignalState != 0;
    if signalled && header.Lock == EVENT_SYNCHRONIZATION {
        header.SignalState = 0;
    }
    signalled
}

/// Fails the run if `event` was freed or never initialised.
pub(crate) fn check(w: &World, event: PRKEVENT, what: &str) {
    pool::touch(w, event.addr(), what);
    if !is_event(event) {
        fail(
            "OBJECT_TYPE_INVALID(0x189)",
            format!("{what} on memory that is no initialised event"),
        );
    }
}
