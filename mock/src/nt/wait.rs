//! Waiting (N-2, N-4).

use std::sync::Arc;

use crate::abi::{
    BOOLEAN, KPROCESSOR_MODE, KWAIT_REASON, NTSTATUS, PLARGE_INTEGER, PRKEVENT, PVOID,
    STATUS_SUCCESS, STATUS_TIMEOUT,
};
use crate::nt::check::{call, done, in_dpc};
use crate::nt::state::{NtState, WaitBlock, Waiting};
use crate::nt::thread::thread_of_object;
use crate::nt::{event, timer};
use crate::world::state::{World, current};
use crate::world::{fail, pool};

/// Waits for an event or a thread.
///
/// # Safety
/// `Object` is an initialised event or a referenced thread object, `Timeout` null or readable.
pub unsafe extern "C" fn KeWaitForSingleObject(
    Object: PVOID,
    WaitReason: KWAIT_REASON,
    WaitMode: KPROCESSOR_MODE,
    Alertable: BOOLEAN,
    Timeout: PLARGE_INTEGER,
) -> NTSTATUS {
    let w = call();
    let _ = (WaitReason, WaitMode, Alertable);
    // SAFETY: the caller promises a readable time or null.
    let timeout = unsafe { Timeout.as_ref().map(|time| time.QuadPart) };
    check_irql(w, "KeWaitForSingleObject", timeout);
    let status = match thread_of_object(w, Object) {
        Some(thread) => wait(w, Object.addr(), Waiting::Thread(thread), timeout, |nt| {
            nt.threads[thread].finished
        }),
        None => {
            let event: PRKEVENT = Object.cast();
            event::check(w, event, "KeWaitForSingleObject");
            let name = w.nt.with(|nt| nt.event_name(event.addr()));
            wait(w, Object.addr(), Waiting::Event(name), timeout, |nt| {
                event::try_acquire(nt, event)
            })
        }
    };
    done(w);
    status
}

/// Lets the current thread sleep. Never early (T-33).
///
/// # Safety
/// `Interval` is readable.
pub unsafe extern "C" fn KeDelayExecutionThread(
    WaitMode: KPROCESSOR_MODE,
    Alertable: BOOLEAN,
    Interval: PLARGE_INTEGER,
) -> NTSTATUS {
    let w = call();
    let _ = (WaitMode, Alertable);
    // SAFETY: the caller promises a readable time.
    let time = unsafe { (*Interval).QuadPart };
    check_irql(
        w,
        "KeDelayExecutionThread",
        Some(if time == 0 { -1 } else { time }),
    );
    let until = timer::tick_at_or_after(w, timer::interrupt_time_of(w, time, w.engine.now()));
    if time != 0 {
        sleep_until(w, until);
    }
    done(w);
    STATUS_SUCCESS
}

/// Blocks the current thread until the interrupt time `until`.
pub(crate) fn sleep_until(w: &World, until: u64) {
    let me = w.engine.thread();
    w.count(|counters| counters.waits += 1);
    w.nt.with(|nt| nt.threads[me].waiting = Some(Waiting::Sleep));
    while w.engine.now() < until {
        w.engine.block(w, Some(until));
    }
    w.nt.with(|nt| nt.threads[me].waiting = None);
}

/// Fails a wait that is not allowed here (N-2): a DPC may not wait at all, code at DISPATCH_LEVEL may only
/// poll.
pub(crate) fn check_irql(w: &World, name: &str, timeout: Option<i64>) {
    let irql = w.engine.irql();
    if irql < 2 || (irql == 2 && timeout == Some(0)) {
        return;
    }
    if in_dpc(w) {
        fail(
            "ATTEMPTED_SWITCH_FROM_DPC(0xB8)",
            format!("{name} in a DPC at IRQL {irql}"),
        );
    }
    fail(
        "DV(0xC4,0x3B)",
        format!("{name} that may block, at IRQL {irql}"),
    );
}

/// Waits until `ready` says yes or somebody releases this thread from `object`.
pub(crate) fn wait(
    w: &World,
    object: usize,
    waiting: Waiting,
    timeout: Option<i64>,
    mut ready: impl FnMut(&mut NtState) -> bool,
) -> NTSTATUS {
    let me = w.engine.thread();
    let until = timeout
        .filter(|&time| time != 0)
        .map(|time| timer::wait_until(w, time));
    let done = w.nt.with(|nt| {
        if ready(nt) {
            return Some(STATUS_SUCCESS);
        }
        if timeout == Some(0) {
            return Some(STATUS_TIMEOUT);
        }
        let thread = &mut nt.threads[me];
        thread.waiting = Some(waiting);
        thread.wait_status = None;
        nt.waits.push(WaitBlock { object, thread: me });
        None
    });
    if let Some(status) = done {
        return status;
    }
    w.count(|counters| counters.waits += 1);
    w.trace_event("wait", 0, 0);
    loop {
        w.engine.block(w, until);
        let late = until.is_some_and(|until| w.engine.now() >= until);
        let status = w.nt.with(|nt| {
            let status = nt.threads[me]
                .wait_status
                .take()
                .or(late.then_some(STATUS_TIMEOUT))?;
            nt.waits.retain(|block| block.thread != me);
            nt.threads[me].waiting = None;
            Some(status)
        });
        if let Some(status) = status {
            return status;
        }
    }
}

/// Releases the thread that has waited longest for `object`, if there is one.
pub(crate) fn release_one(w: &World, nt: &mut NtState, object: usize) -> bool {
    let Some(place) = nt.waits.iter().position(|block| block.object == object) else {
        return false;
    };
    let thread = nt.waits.remove(place).thread;
    nt.threads[thread].wait_status = Some(STATUS_SUCCESS);
    w.engine.wake(w, thread);
    true
}

/// Runs `f`, a wait of the current thread, with a note that says in deadlock reports who is expected to
/// end it: "for work item 3 to become idle, running in worker 1".
pub(crate) fn waiting_for<R>(note: &str, f: impl FnOnce() -> R) -> R {
    let w = current();
    let me = w.engine.thread();
    let before =
        w.nt.with(|nt| nt.threads[me].wait_note.replace(Arc::from(note)));
    let result = f();
    w.nt.with(|nt| nt.threads[me].wait_note = before);
    result
}

/// Fails the run if somebody waits for an object inside memory that is freed.
pub(crate) fn check_freed(w: &World, range: std::ops::Range<usize>, name: &str) {
    let waiter = w.nt.with(|nt| {
        nt.waits
            .iter()
            .find(|block| range.contains(&block.object))
            .map(|block| nt.threads[block.thread].name.clone())
    });
    if let Some(waiter) = waiter {
        fail(
            pool::FREED,
            format!("{name} is freed while {waiter} waits for an object inside it"),
        );
    }
}
