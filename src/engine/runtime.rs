//! The runtime: what one attached driver image has, and how it ends.
//!
//! # Invariants
//!
//! - **G1** Whoever reads the runtime's address does so raised. [`Runtime::synchronize`] returns
//!   after every raised section that began before it has ended: a DPC of ours runs on a CPU only
//!   when nothing on that CPU is at DISPATCH or above, and makes the calls that were left to it also
//!   while the CPU's thread has the tasklets (O3). So what was unpublished before it may be freed
//!   after it.
//! - **G2** A call that blocks is a *visitor*, counted from a raised section on; detach waits for
//!   it.
//! - **G3** Once `closing` is set and a grace period has passed nothing new is accepted.
//! - **G4** An item is counted as accepted before it can be found, and as run or cancelled after: in
//!   every snapshot `accepted = run + cancelled + pending`, and nothing is negative.

use core::pin::pin;
use core::ptr::NonNull;

use intrusive_collections::LinkedList;

use super::backend::{Backend, Status};
use super::drain::CpuLists;
use super::locked::{Locked, Raised};
use super::queue::QueueAdapter;
use super::rescue::Rescuer;
use super::running::Running;
use super::softirq::Off;
use super::sub_queue::SubQueue;
use super::tasklet_wait::TaskletWaits;
use super::timers::Timers;
use super::wait::{Deferred, Waiter, Waiters};
use crate::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

/// Counts since attach. `accepted = run + cancelled + pending`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Schedulings and queueings that made an item pending.
    pub accepted: u64,
    /// Runs of a function.
    pub run: u64,
    /// Pending items that a cancel took back.
    pub cancelled: u64,
    /// Items that are pending now.
    pub pending: u64,
    /// Callbacks of the WDFDPCs.
    pub dpc_callbacks: u64,
    /// Times that a CPU had so many tasklets that its DPC left them to its thread.
    pub overflows: u64,
    /// Callbacks of the WDFWORKITEMs.
    pub work_item_callbacks: u64,
    /// Callbacks of the WDFTIMERs.
    pub timer_callbacks: u64,
    /// Times that a rescuer served a queue whose worker did not come.
    pub rescues: u64,
}

/// What a CPU has of its own. On cache lines of its own.
#[repr(align(128))]
pub(crate) struct PerCpu<B: Backend> {
    /// Its CPU.
    pub(crate) index: u32,
    /// What it belongs to, for the CPU's thread.
    pub(crate) runtime: AtomicPtr<Runtime<B>>,
    pub(crate) lists: Locked<CpuLists<B>>,
    /// Address of the tasklet that this CPU's drain follows (T4), or zero.
    pub(crate) running: AtomicUsize,
    /// Address of the tasklet whose count this CPU changes (T4), or zero.
    pub(crate) touching: AtomicUsize,
    /// Address of the item whose function is on this CPU, under any interrupt, or zero.
    pub(crate) serving: AtomicUsize,
    pub(crate) off: Off,
    pub(crate) dpc_callbacks: AtomicU64,
    pub(crate) overflows: AtomicU64,
    accepted: AtomicU64,
    run: AtomicU64,
    cancelled: AtomicU64,
}

impl<B: Backend> PerCpu<B> {
    /// As [`Runtime::count_accepted`], for a raised caller that has found its CPU's slot.
    #[inline]
    pub(crate) fn count_accepted(&self) {
        // ORDERING: published by whatever publishes the item.
        self.accepted.fetch_add(1, Relaxed);
    }
}

/// Callers that are inside a blocking call (G2).
struct Visitors<B: Backend> {
    count: usize,
    waiters: Waiters<B>,
}

/// What the driver chose for the whole image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Works may overlap themselves.
    pub(crate) reentrant: bool,
    /// The works of every bound queue are pinned to their CPU.
    pub(crate) pin_bound: bool,
}

/// Everything.
pub(crate) struct Runtime<B: Backend> {
    pub(crate) backend: B,
    /// Works may overlap themselves: `WorkReentrance::SelfReentrant`.
    pub(crate) reentrant: bool,
    /// The works of every bound queue are pinned to their CPU.
    pub(crate) pin_bound: bool,
    /// Tells this runtime from those that the image had before. Set before it is published.
    pub(crate) generation: u64,
    cpus: NonNull<PerCpu<B>>,
    cpu_count: u32,
    pub(crate) running: Running<B>,
    pub(crate) tasklet_waits: TaskletWaits<B>,
    /// One for each [`TimerLevel`](super::backend::TimerLevel).
    pub(super) timers: [Locked<Timers>; 2],
    /// A look after the queues is due, see [`super::rescue`].
    pub(super) look_is_due: AtomicBool,
    /// The rescuer of all queues that have none of their own.
    pub(super) rescuer: Rescuer<B>,
    pub(crate) queues: Locked<LinkedList<QueueAdapter<B>>>,
    /// How often the runtime is frozen; changes under the lock of `queues`.
    pub(crate) freezes: AtomicU32,
    closing: AtomicBool,
    visitors: Locked<Visitors<B>>,
    pub(crate) work_item_callbacks: AtomicU64,
    pub(crate) timer_callbacks: AtomicU64,
    pub(super) rescues: AtomicU64,
}

// SAFETY: the per-CPU array is `PerCpu`s that all CPUs share by atomics and locks; the rest is
// `Sync`.
unsafe impl<B: Backend> Sync for Runtime<B> {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl<B: Backend> Send for Runtime<B> {}

impl<B: Backend> Runtime<B> {
    /// Bytes of the per-CPU array of `cpus` CPUs, with room to align it.
    pub(crate) const fn per_cpu_size(cpus: u32) -> usize {
        (cpus as usize + 1) * size_of::<PerCpu<B>>()
    }

    /// A runtime for `cpus` CPUs.
    ///
    /// # Safety
    ///
    /// `memory` is `per_cpu_size(cpus)` writable bytes that outlive the runtime.
    pub(crate) unsafe fn new(backend: B, rules: Rules, cpus: u32, memory: NonNull<u8>) -> Self {
        let offset = memory.as_ptr().align_offset(align_of::<PerCpu<B>>());
        // SAFETY: the size has one element to spare for the alignment.
        let array = unsafe { memory.add(offset) }.cast::<PerCpu<B>>();
        for index in 0..cpus as usize {
            let value = PerCpu {
                index: index as u32,
                runtime: AtomicPtr::new(core::ptr::null_mut()),
                lists: Locked::new(CpuLists::new()),
                running: AtomicUsize::new(0),
                touching: AtomicUsize::new(0),
                serving: AtomicUsize::new(0),
                off: Off::new(),
                dpc_callbacks: AtomicU64::new(0),
                overflows: AtomicU64::new(0),
                accepted: AtomicU64::new(0),
                run: AtomicU64::new(0),
                cancelled: AtomicU64::new(0),
            };
            // SAFETY: within the memory that the caller gave.
            unsafe { array.add(index).write(value) };
        }
        Self {
            backend,
            reentrant: rules.reentrant,
            pin_bound: rules.pin_bound,
            generation: 0,
            cpus: array,
            cpu_count: cpus,
            running: Running::new(),
            tasklet_waits: TaskletWaits::new(),
            timers: [Locked::new(Timers::new()), Locked::new(Timers::new())],
            look_is_due: AtomicBool::new(false),
            rescuer: Rescuer::new(),
            queues: Locked::new(LinkedList::new(QueueAdapter::NEW)),
            freezes: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            visitors: Locked::new(Visitors {
                count: 0,
                waiters: Waiters::default(),
            }),
            work_item_callbacks: AtomicU64::new(0),
            timer_callbacks: AtomicU64::new(0),
            rescues: AtomicU64::new(0),
        }
    }

    /// The slots of all CPUs.
    pub(crate) fn all_cpus(&self) -> &[PerCpu<B>] {
        // SAFETY: `new` has written that many, and they live as long as the runtime.
        unsafe { core::slice::from_raw_parts(self.cpus.as_ptr(), self.cpu_count as usize) }
    }

    /// The slot of `cpu`; a CPU beyond the array (H-36) shares the first.
    pub(crate) fn slot_of(&self, cpu: u32) -> u32 {
        if cpu < self.cpu_count { cpu } else { 0 }
    }

    /// What `cpu` has of its own.
    #[inline]
    pub(crate) fn per_cpu(&self, cpu: u32) -> &PerCpu<B> {
        // SAFETY: `slot_of` answers less than `cpu_count`, and `new` has written that many.
        unsafe { self.cpus.add(self.slot_of(cpu) as usize).as_ref() }
    }

    /// The sub-queue at an address that a word names.
    ///
    /// # Safety
    ///
    /// The word was read in the raised section that `'a` lies in, or the queue is known to stay.
    pub(crate) unsafe fn sub_at<'a>(address: usize) -> &'a SubQueue<B> {
        let sub = core::ptr::with_exposed_provenance::<SubQueue<B>>(address);
        // SAFETY: Q4, by the caller's word.
        unsafe { &*sub }
    }

    /// An item becomes pending. Counted before others can find it, so that no run or cancel of it is
    /// counted first (G4).
    pub(crate) fn count_accepted(&self, _raised: &Raised<B>) {
        self.per_cpu(B::cpu()).count_accepted();
    }

    /// An item that was counted as accepted is refused by its queue after all.
    pub(crate) fn count_refused(&self, _raised: &Raised<B>) {
        // ORDERING: nobody has found the item in between; as in `count_accepted`.
        self.per_cpu(B::cpu()).accepted.fetch_sub(1, Relaxed);
    }

    /// A function is about to be called.
    pub(crate) fn count_run(&self, _raised: &Raised<B>) {
        // ORDERING: Release: who sees this sees that the item was accepted (`counters`).
        self.per_cpu(B::cpu()).run.fetch_add(1, Release);
    }

    /// A pending item was taken back.
    pub(crate) fn count_cancelled(&self, _raised: &Raised<B>) {
        // ORDERING: as in `count_run`.
        self.per_cpu(B::cpu()).cancelled.fetch_add(1, Release);
    }

    /// The counts now.
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters {
            // ORDERING: counters of callbacks; nothing is derived from them.
            work_item_callbacks: self.work_item_callbacks.load(Relaxed),
            timer_callbacks: self.timer_callbacks.load(Relaxed),
            rescues: self.rescues.load(Relaxed),
            ..Counters::default()
        };
        for cpu in self.all_cpus() {
            // ORDERING: Acquire pairs with the Release of `count_run` and `count_cancelled`.
            counters.run += cpu.run.load(Acquire);
            counters.cancelled += cpu.cancelled.load(Acquire);
            counters.dpc_callbacks += cpu.dpc_callbacks.load(Relaxed);
            counters.overflows += cpu.overflows.load(Relaxed);
        }
        // After all of those: whatever ended by then is among what was accepted by now (G4).
        for cpu in self.all_cpus() {
            counters.accepted = counters.accepted.wrapping_add(cpu.accepted.load(Acquire));
        }
        counters.pending = counters.accepted - counters.run - counters.cancelled;
        counters
    }

    /// Whether queueing is refused because the runtime ends (G3).
    pub(crate) fn is_closing(&self) -> bool {
        // ORDERING: SeqCst: set before the grace period that detach waits for.
        self.closing.load(SeqCst)
    }

    /// Waits until every raised section that began before has ended (G1). A CPU that is not active
    /// yet has none, and must not be asked: its DPC cannot be queued (H-36). IRQL: <= APC.
    pub(crate) fn synchronize(&self) {
        for cpu in 0..B::active_cpus().min(self.cpu_count) {
            let waiter = pin!(Waiter::<B>::new(0));
            let waiter = waiter.into_ref();
            waiter.prepare();
            let mut deferred = Deferred::new();
            deferred.woken.push_back(waiter.handle());
            self.defer_to(cpu, deferred, &Raised::new());
            waiter.wait();
        }
    }

    /// Ends the threads, and returns when no tasklet will run any more, unless somebody outside makes
    /// one runnable. New ones are refused since a grace period ago, but a run may put another tasklet
    /// on a list: one that was scheduled during its run, or one that it enables. Runs find the
    /// runtime only while it is published. IRQL: = PASSIVE.
    pub(crate) fn finish_tasklets(&self) {
        self.end_keepers();
        loop {
            let before = self.counters();
            if before.pending == 0 {
                return;
            }
            // At the end of the first period the runs that had begun are over, and what they made
            // runnable is on a list. In the second its DPC takes it, or has done its share and comes
            // again; in the third it takes it for certain, and by the end of the fourth at least one
            // run has begun.
            for _ in 0..4 {
                self.synchronize();
            }
            if self.counters().run == before.run {
                return;
            }
        }
    }

    /// Counts the caller in (G2). IRQL: <= APC; the caller is raised while it reads the runtime.
    pub(crate) fn visit(&self, raised: &Raised<B>) {
        self.visitors.lock(raised).count += 1;
    }

    /// Counts the caller out. The runtime may be freed once this returns.
    pub(crate) fn depart(&self) {
        let raised = Raised::new();
        let mut deferred = Deferred::new();
        {
            let mut visitors = self.visitors.lock(&raised);
            visitors.count -= 1;
            if visitors.count == 0 {
                deferred
                    .woken
                    .back_mut()
                    .splice_after(visitors.waiters.take());
            }
        }
        deferred.deliver(self, raised);
    }

    /// Refuses all queueing and runs what is pending, until nothing is. IRQL: = PASSIVE.
    pub(crate) fn close(&self) {
        // ORDERING: SeqCst: G3.
        self.closing.store(true, SeqCst);
        self.synchronize();
        self.run_all();
        if self.wait_for_visitors() {
            self.run_all();
        }
    }

    /// Runs what is pending, until nothing is.
    fn run_all(&self) {
        loop {
            let expired = self.expire_all();
            let waited = self.wait_until_queues_are_idle();
            self.synchronize();
            if expired == 0 && !waited && !self.wait_until_queues_are_idle() {
                return;
            }
        }
    }

    /// Starts the threads of the runtime. IRQL: = PASSIVE.
    ///
    /// # Safety
    ///
    /// The runtime is in its final place, and [`Self::end_threads`] is called before it goes.
    pub(crate) unsafe fn start_threads(&self) -> Result<(), Status> {
        // SAFETY: by the caller's word.
        unsafe { self.rescuer.start(self) }?;
        self.start_keepers()
    }

    /// Ends what [`Self::start_threads`] has started, if it has. There is no queue any more.
    /// IRQL: = PASSIVE.
    pub(crate) fn end_threads(&self) {
        self.end_keepers();
        self.rescuer.end(self);
    }

    /// Waits until nobody is inside a blocking call (G2); whether somebody was. IRQL: = PASSIVE.
    pub(crate) fn wait_for_visitors(&self) -> bool {
        let waiter = pin!(Waiter::<B>::new(0));
        let waiter = waiter.into_ref();
        waiter.prepare();
        let waits = {
            let raised = Raised::<B>::new();
            let mut visitors = self.visitors.lock(&raised);
            let waits = visitors.count > 0;
            if waits {
                visitors.waiters.push_back(waiter.handle());
            }
            waits
        };
        if waits {
            waiter.wait();
        }
        waits
    }
}
