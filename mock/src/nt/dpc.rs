//! DPCs (D-8 to D-24, D-30): one queue per CPU, drained at DISPATCH_LEVEL.

use crate::abi::{
    _KDPC_IMPORTANCE, BOOLEAN, KDPC, KDPC_IMPORTANCE, NTSTATUS, PKDEFERRED_ROUTINE, PKDPC,
    PPROCESSOR_NUMBER, PRKDPC, PVOID, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use crate::nt::check::{call, done};
use crate::nt::cpu::index_of;
use crate::nt::state::{Cpu, Flush, NtState, QueuedDpc, Waiting};
use crate::nt::timer::{self, Expired};
use crate::nt::wait;
use crate::world::state::World;
use crate::world::{fail, pool};

/// The object type of a KDPC.
const DPC_OBJECT: u8 = 19;
/// Added to the number of the target CPU; smaller numbers mean no target.
const TARGETED: u16 = 0x800;
/// Queue depth above which even an unimportant DPC is worth an interrupt (D-23).
const MAXIMUM_DEPTH: usize = 4;
/// So often the rate of requests counts as low, when any DPC is worth an interrupt (D-23).
const LOW_RATE_ONE_IN: u32 = 4;

/// Initialises a DPC: Medium importance, no target CPU.
///
/// # Safety
/// `Dpc` is valid for a write and not queued. It stays in place while it is queued (N-16).
pub unsafe extern "C" fn KeInitializeDpc(
    Dpc: PRKDPC,
    DeferredRoutine: PKDEFERRED_ROUTINE,
    DeferredContext: PVOID,
) {
    let w = call();
    pool::touch(w, Dpc.addr(), "KeInitializeDpc");
    let fresh = KDPC {
        Type: DPC_OBJECT,
        Importance: _KDPC_IMPORTANCE::MediumImportance as u8,
        Number: 0,
        DpcListEntry: 0,
        ProcessorHistory: 0,
        DeferredRoutine,
        DeferredContext,
        SystemArgument1: core::ptr::null_mut(),
        SystemArgument2: core::ptr::null_mut(),
        DpcData: core::ptr::null_mut(),
    };
    // SAFETY: the caller promises valid memory that is not queued.
    w.nt.with(|_| unsafe { Dpc.write(fresh) });
}

/// Queues a DPC; any IRQL. TRUE: it was not queued and now is. FALSE: it is queued already and nothing
/// changed (D-8, D-10). A running DPC is not queued (D-11).
///
/// # Safety
/// `Dpc` is initialised and stays in place until its routine has begun.
pub unsafe extern "C" fn KeInsertQueueDpc(
    Dpc: PRKDPC,
    SystemArgument1: PVOID,
    SystemArgument2: PVOID,
) -> BOOLEAN {
    let w = call();
    check(w, Dpc, "KeInsertQueueDpc");
    let here = w.engine.cpu();
    let low_rate = w.engine.choose(LOW_RATE_ONE_IN) == 0;
    let arguments = [SystemArgument1, SystemArgument2];
    let queued = match w.nt.with(|nt| queue(nt, Dpc, here, arguments)) {
        Insertion::Queued {
            cpu,
            urgent,
            sequence,
        } => Some((cpu, urgent, sequence)),
        Insertion::QueuedAlready => None,
        Insertion::NoSuchCpu(cpu) => fail(
            "TIMER_OR_DPC_INVALID(0xC7,3)",
            format!("a DPC is queued to CPU {cpu}, which is not active"),
        ),
    };
    if let Some((cpu, urgent, sequence)) = queued {
        w.count(|counters| counters.dpc_inserts += 1);
        w.trace_event("KeInsertQueueDpc", sequence, u64::from(cpu));
        if urgent || low_rate {
            w.engine.request_drain(w, cpu);
        } else {
            w.engine
                .alarm(w, w.engine.last_tick() + u64::from(w.config.tick));
        }
    }
    done(w);
    BOOLEAN::from(queued.is_some())
}

/// What became of an insertion.
enum Insertion {
    Queued {
        cpu: u32,
        urgent: bool,
        sequence: u64,
    },
    QueuedAlready,
    NoSuchCpu(u32),
}

fn queue(nt: &mut NtState, raw: PRKDPC, here: u32, arguments: [PVOID; 2]) -> Insertion {
    // SAFETY: the caller found an initialised DPC; the lock of the world serialises every access.
    let dpc = unsafe { &mut *raw };
    if !dpc.DpcData.is_null() {
        return Insertion::QueuedAlready;
    }
    let cpu = if dpc.Number >= TARGETED {
        u32::from(dpc.Number - TARGETED)
    } else {
        here
    };
    if cpu >= nt.active {
        return Insertion::NoSuchCpu(cpu);
    }
    [dpc.SystemArgument1, dpc.SystemArgument2] = arguments;
    dpc.DpcData = core::ptr::without_provenance_mut(cpu as usize + 1);
    let importance = i32::from(dpc.Importance);
    let sequence = nt.next_sequence();
    let entry = QueuedDpc { sequence, dpc: raw };
    let queue = &mut nt.cpus[cpu as usize].dpcs;
    if importance == _KDPC_IMPORTANCE::HighImportance {
        queue.push_front(entry);
    } else {
        queue.push_back(entry);
    }
    let urgent = is_urgent(importance, cpu == here, queue.len());
    Insertion::Queued {
        cpu,
        urgent,
        sequence,
    }
}

/// Whether the insertion asks for a drain now (D-23).
fn is_urgent(importance: i32, own_cpu: bool, depth: usize) -> bool {
    match importance {
        _KDPC_IMPORTANCE::HighImportance | _KDPC_IMPORTANCE::MediumHighImportance => true,
        _KDPC_IMPORTANCE::LowImportance => depth > MAXIMUM_DEPTH,
        _ => own_cpu || depth > MAXIMUM_DEPTH,
    }
}

/// Takes a DPC out of its queue; any IRQL. TRUE: it will not run for that insertion (D-12, D-31).
///
/// # Safety
/// `Dpc` is initialised.
pub unsafe extern "C" fn KeRemoveQueueDpc(Dpc: PRKDPC) -> BOOLEAN {
    let w = call();
    check(w, Dpc, "KeRemoveQueueDpc");
    let removed = w.nt.with(|nt| {
        // SAFETY: `check` found an initialised DPC; the lock of the world serialises every access.
        let dpc = unsafe { &mut *Dpc };
        let queued = dpc.DpcData.addr();
        if queued == 0 {
            return false;
        }
        dpc.DpcData = core::ptr::null_mut();
        nt.cpus[queued - 1].dpcs.retain(|entry| entry.dpc != Dpc);
        end_flushes(w, nt);
        true
    });
    w.trace_event("KeRemoveQueueDpc", u64::from(removed), 0);
    done(w);
    BOOLEAN::from(removed)
}

/// Sets the importance for later insertions (D-24).
///
/// # Safety
/// `Dpc` is initialised.
pub unsafe extern "C" fn KeSetImportanceDpc(Dpc: PRKDPC, Importance: KDPC_IMPORTANCE) {
    let w = call();
    check(w, Dpc, "KeSetImportanceDpc");
    // SAFETY: `check` found an initialised DPC; the lock of the world serialises every access.
    w.nt.with(|_| unsafe { (*Dpc).Importance = Importance as u8 });
}

/// Sets the CPU of later insertions (D-24, N-20).
///
/// # Safety
/// `Dpc` is initialised, `ProcNumber` readable.
pub unsafe extern "C" fn KeSetTargetProcessorDpcEx(
    Dpc: PKDPC,
    ProcNumber: PPROCESSOR_NUMBER,
) -> NTSTATUS {
    let w = call();
    check(w, Dpc, "KeSetTargetProcessorDpcEx");
    // SAFETY: the caller promises a readable number.
    let Some(cpu) = index_of(w, unsafe { *ProcNumber }) else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: `check` found an initialised DPC; the lock of the world serialises every access.
    w.nt.with(|_| unsafe { (*Dpc).Number = TARGETED + cpu as u16 });
    STATUS_SUCCESS
}

/// Waits until every DPC that is queued or running now, on any CPU, has run (D-30). PASSIVE_LEVEL.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeFlushQueuedDpcs() {
    let w = call();
    w.count(|counters| counters.dpc_flushes += 1);
    wait::check_irql(w, "KeFlushQueuedDpcs", None);
    let me = w.engine.thread();
    let (below, cpus) = w.nt.with(|nt| {
        let below = nt.sequence + 1;
        let busy: Vec<u32> = (0..nt.active)
            .filter(|&c| is_busy(&nt.cpus[c as usize], below))
            .collect();
        if !busy.is_empty() {
            nt.flushes.push(Flush { thread: me, below });
            nt.threads[me].waiting = Some(Waiting::DpcFlush);
        }
        (below, busy)
    });
    w.trace_event("KeFlushQueuedDpcs", below, cpus.len() as u64);
    for &cpu in &cpus {
        w.engine.request_drain(w, cpu);
    }
    let waits = !cpus.is_empty();
    while waits
        && w.nt
            .with(|nt| nt.flushes.iter().any(|flush| flush.thread == me))
    {
        w.engine.block(w, None);
    }
    w.nt.with(|nt| nt.threads[me].waiting = None);
    done(w);
}

/// Whether a CPU has something numbered below `below` queued or running.
fn is_busy(cpu: &Cpu, below: u64) -> bool {
    cpu.running.is_some_and(|sequence| sequence < below)
        || cpu.dpcs.iter().any(|entry| entry.sequence < below)
        || cpu.expired.iter().any(|entry| entry.sequence < below)
}

/// Wakes the flushes whose DPCs have all run.
pub(crate) fn end_flushes(w: &World, nt: &mut NtState) {
    let NtState { flushes, cpus, .. } = nt;
    flushes.retain(|flush| {
        let busy = cpus.iter().any(|cpu| is_busy(cpu, flush.below));
        if !busy {
            w.engine.wake(w, flush.thread);
        }
        busy
    });
}

/// Fails the run if memory with a queued DPC in it is freed (D-27).
pub(crate) fn check_freed(w: &World, range: std::ops::Range<usize>, name: &str) {
    let queued = w.nt.with(|nt| {
        nt.cpus
            .iter()
            .flat_map(|cpu| &cpu.dpcs)
            .any(|entry| range.contains(&entry.dpc.addr()))
    });
    if queued {
        fail(
            "TIMER_OR_DPC_INVALID(0xC7,1)",
            format!("{name} is freed while a DPC in it is queued"),
        );
    }
}

fn check(w: &World, dpc: PRKDPC, what: &str) {
    pool::touch(w, dpc.addr(), what);
    // SAFETY: the caller promises an initialised DPC, so the type byte is readable.
    if unsafe { (*dpc).Type } != DPC_OBJECT {
        fail(
            "TIMER_OR_DPC_INVALID(0xC7,2)",
            format!("{what} on memory that is no initialised DPC"),
        );
    }
}

/// What a drain runs next.
enum Next {
    Dpc(PKDEFERRED_ROUTINE, QueuedDpc, PVOID, PVOID, PVOID),
    Timer(Expired),
}

/// Empties the queue of the current CPU, with what is queued meanwhile (D-21). The engine calls this at
/// DISPATCH_LEVEL, on whatever thread it has interrupted.
pub(crate) fn drain(w: &World) {
    let cpu = w.engine.cpu();
    while let Some((next, sequence)) = take_next(w, cpu) {
        w.engine.routine(w, true);
        w.engine.preempt(w);
        match next {
            Next::Timer(expired) => timer::run_expired(w, expired),
            Next::Dpc(routine, entry, context, first, second) => {
                w.count(|counters| counters.dpc_callbacks += 1);
                w.trace_event("DPC begins", sequence, 0);
                if let Some(routine) = routine {
                    // SAFETY: the arguments are those of the driver's own insertion.
                    unsafe { routine(entry.dpc, context, first, second) };
                }
                w.trace_event("DPC ends", sequence, 0);
            }
        }
        check_exit(w, cpu);
        w.nt.with(|nt| {
            nt.cpus[cpu as usize].running = None;
            end_flushes(w, nt);
        });
        w.engine.routine(w, false);
        w.engine.preempt(w);
    }
}

fn check_exit(w: &World, cpu: u32) {
    let irql = w.engine.irql();
    if irql != 2 {
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            format!("a DPC routine returned at IRQL {irql}"),
        );
    }
    assert!(
        w.engine.cpu() == cpu,
        "kmdf-mock: a DPC moved to another CPU"
    );
}

/// Takes the next DPC or expiry; their order against each other is not defined (D-33). The queued mark is
/// cleared before the routine is called (D-11).
fn take_next(w: &World, cpu: u32) -> Option<(Next, u64)> {
    w.nt.with(|nt| {
        let state = &mut nt.cpus[cpu as usize];
        let timer_first = match (state.expired.is_empty(), state.dpcs.is_empty()) {
            (true, true) => return None,
            (false, true) => true,
            (true, false) => false,
            (false, false) => w.engine.choose(2) == 0,
        };
        let next = if timer_first {
            let expired = state.expired.pop_front()?;
            let sequence = expired.sequence;
            (Next::Timer(expired), sequence)
        } else {
            let entry = state.dpcs.pop_front()?;
            // SAFETY: a queued DPC stays in place (N-16); `check_freed` watches over tracked memory.
            let dpc = unsafe { &mut *entry.dpc };
            dpc.DpcData = core::ptr::null_mut();
            let run = (
                dpc.DeferredContext,
                dpc.SystemArgument1,
                dpc.SystemArgument2,
            );
            (
                Next::Dpc(dpc.DeferredRoutine, entry, run.0, run.1, run.2),
                entry.sequence,
            )
        };
        state.running = Some(next.1);
        Some(next)
    })
}
