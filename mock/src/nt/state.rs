//! What NT keeps about a machine: CPUs, threads, waits, timers, worker queues, interrupt lines.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::abi::{KDPC, NTSTATUS};
use crate::engine::ThreadId;
use crate::nt::processor::ChangeCallbacks;
use crate::nt::timer::{Expired, Timers};
use crate::nt::workers::Workers;
use crate::world::config::Config;
use crate::world::pool;
use crate::world::state::World;

/// All of it, behind the lock of the world.
pub(crate) struct NtState {
    pub(crate) cpus: Vec<Cpu>,
    pub(crate) active: u32,
    pub(crate) threads: Vec<Thread>,
    pub(crate) handles: Vec<Option<ThreadId>>,
    pub(crate) waits: Vec<WaitBlock>,
    pub(crate) flushes: Vec<Flush>,
    pub(crate) timers: Timers,
    pub(crate) work: Workers,
    /// Work items that were ever allocated.
    pub(crate) work_items: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) change: ChangeCallbacks,
    /// Names of events in the order in which they were initialised: reports may not show addresses.
    events: BTreeMap<usize, u64>,
    next_event: u64,
    /// Orders DPCs and expiries, for `KeFlushQueuedDpcs` (D-30).
    pub(crate) sequence: u64,
}

/// One CPU as NT sees it.
#[derive(Default)]
pub(crate) struct Cpu {
    pub(crate) dpcs: VecDeque<QueuedDpc>,
    pub(crate) expired: VecDeque<Expired>,
    /// What runs now out of `dpcs` or `expired`, by its sequence number.
    pub(crate) running: Option<u64>,
    /// Interrupt lines asserted here.
    pub(crate) asserted: Vec<usize>,
}

/// A KDPC in the queue of a CPU.
#[derive(Clone, Copy)]
pub(crate) struct QueuedDpc {
    pub(crate) sequence: u64,
    pub(crate) dpc: *mut KDPC,
}

// SAFETY: the pointer is a key and a value for the driver; whoever queues a KDPC keeps it in place until it
// has left the queue (N-16), and every access is made under the lock of the world.
unsafe impl Send for QueuedDpc {}

/// What a thread is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The closure of `run`, or one of `world::spawn`.
    Harness,
    /// `PsCreateSystemThread`.
    Driver,
    /// A system worker thread.
    Worker,
    /// What a CPU runs when it has nothing else.
    Idle,
}

// SAFETY: the object is a block of the world's arena that is never freed, and is written once, when it is made.
unsafe impl Send for Thread {}

/// A thread object.
pub(crate) struct Thread {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The object that `PKTHREAD` points to.
    pub(crate) object: *mut ThreadObject,
    pub(crate) references: i64,
    pub(crate) finished: bool,
    /// The CPUs that it may run on.
    pub(crate) affinity: u64,
    /// The affinity before `KeSetSystemGroupAffinityThread`, while that is in force.
    pub(crate) user_affinity: Option<u64>,
    pub(crate) priority: i32,
    /// Depth of critical regions.
    pub(crate) critical: u32,
    pub(crate) waiting: Option<Waiting>,
    /// Who is expected to end the wait; shown in deadlock reports.
    pub(crate) wait_note: Option<Arc<str>>,
    /// How the wait ended; set by who ended it.
    pub(crate) wait_status: Option<NTSTATUS>,
}

/// The memory of a thread object, whose inside is NT's: its address is the identity of the thread.
#[derive(Debug)]
#[repr(C, align(16))]
pub(crate) struct ThreadObject {
    opaque: [u64; 16],
}

/// What a blocked thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// An event, by its name.
    Event(u64),
    /// A thread's end.
    Thread(ThreadId),
    /// A time.
    Sleep,
    /// `KeFlushQueuedDpcs`.
    DpcFlush,
    /// A work item to run.
    Work,
    /// The end of another registration or addition of a CPU.
    ProcessorChange,
    /// That nothing else runs.
    Settle,
}

/// One thread that waits for one object.
pub(crate) struct WaitBlock {
    pub(crate) object: usize,
    pub(crate) thread: ThreadId,
}

/// A `KeFlushQueuedDpcs` that is not over.
pub(crate) struct Flush {
    pub(crate) thread: ThreadId,
    /// Everything numbered below this is waited for.
    pub(crate) below: u64,
}

/// A connected interrupt.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) irql: u8,
    pub(crate) isr: Arc<dyn Fn() + Send + Sync>,
    pub(crate) running: u32,
}

impl NtState {
    /// A machine that has just booted.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            cpus: (0..config.max_cpus).map(|_| Cpu::default()).collect(),
            active: config.cpus,
            threads: Vec::new(),
            handles: Vec::new(),
            waits: Vec::new(),
            flushes: Vec::new(),
            timers: Timers::default(),
            work: Workers::new(config),
            work_items: 0,
            lines: Vec::new(),
            change: ChangeCallbacks::default(),
            events: BTreeMap::new(),
            next_event: 0,
            sequence: 0,
        }
    }

    /// The next number for a DPC or an expiry.
    pub(crate) fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// The mask of the active CPUs.
    pub(crate) fn all_cpus(&self) -> u64 {
        u64::MAX >> (64 - self.active)
    }

    /// A new thread object.
    pub(crate) fn add_thread(
        &mut self,
        w: &World,
        name: String,
        kind: Kind,
        affinity: u64,
    ) -> ThreadId {
        let id = self.threads.len();
        let object = ThreadObject { opaque: [0; 16] };
        self.threads.push(Thread {
            name,
            kind,
            object: pool::alloc_value(w, object, "KTHREAD"),
            references: 1,
            finished: false,
            affinity,
            user_affinity: None,
            priority: 8,
            critical: 0,
            waiting: None,
            wait_note: None,
            wait_status: None,
        });
        id
    }

    /// Names the event at `address`; a new initialisation gives a new name.
    pub(crate) fn name_event(&mut self, address: usize) {
        self.next_event += 1;
        self.events.insert(address, self.next_event);
    }

    /// The name of the event at `address`.
    pub(crate) fn event_name(&self, address: usize) -> u64 {
        self.events.get(&address).copied().unwrap_or(0)
    }

    /// Who waits for what, a line per blocked thread.
    pub(crate) fn who_waits(&self) -> Vec<String> {
        self.threads
            .iter()
            .filter_map(|thread| self.waiting_line(thread))
            .collect()
    }

    fn waiting_line(&self, thread: &Thread) -> Option<String> {
        let waiting = thread.waiting.filter(|_| !thread.finished)?;
        let what = match waiting {
            Waiting::Work => return None,
            Waiting::Event(0) => "an event that was never initialised".to_owned(),
            Waiting::Event(name) => format!("event {name}"),
            Waiting::Thread(id) => format!("the end of thread {}", self.threads[id].name),
            Waiting::Sleep => "a time".to_owned(),
            Waiting::DpcFlush => "queued DPCs (KeFlushQueuedDpcs)".to_owned(),
            Waiting::ProcessorChange => "a processor change to be over".to_owned(),
            Waiting::Settle => "the world to settle".to_owned(),
        };
        let note = thread
            .wait_note
            .as_ref()
            .map(|note| format!(" ({note})"))
            .unwrap_or_default();
        Some(format!("{} waits for {what}{note}", thread.name))
    }
}
