//! Waiting for a tasklet, asleep or spinning, and the lock that a driver can take on it.
//!
//! Who sleeps leaves a [`Waiter`] in a shard; the end of a run, and an unlock, wake it. Who spins
//! watches RUN.

use core::pin::{Pin, pin};

use super::backend::{Backend, Irql};
use super::diagnostic::Diagnostic;
use super::item::tasklet_struct;
use super::locked::{Locked, Raised};
use super::runtime::Runtime;
use super::tasklet::{RUN, SCHED, report};
use super::wait::{Deferred, Waiter, Waiters, take_ready};
use crate::sync::Ordering::SeqCst;
use crate::sync::{AtomicU32, relax};

/// Waits for tasklets, sharded by address.
pub(crate) struct TaskletWaits<B: Backend> {
    shards: [TaskletShard<B>; 16],
}

pub(crate) struct TaskletShard<B: Backend> {
    /// How many wait here: the run's end looks at this before it takes the lock.
    count: AtomicU32,
    waiters: Locked<Waiters<B>>,
}

/// What a waiter's `limit` says.
mod phase {
    /// `tasklet_kill` wants SCHED.
    pub(super) const WANTS_SCHED: u64 = 0;
    /// The drain has left SCHED to the killer.
    pub(super) const OWNS_SCHED: u64 = 1;
    /// Waits only for the run to end.
    pub(super) const RUN_END: u64 = 2;
}

impl<B: Backend> TaskletWaits<B> {
    pub(crate) fn new() -> Self {
        Self {
            shards: core::array::from_fn(|_| TaskletShard {
                count: AtomicU32::new(0),
                waiters: Locked::new(Waiters::default()),
            }),
        }
    }

    fn shard(&self, address: usize) -> &TaskletShard<B> {
        let mixed = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &self.shards[(mixed >> 60) as usize]
    }

    /// Leaves SCHED of the tasklet at `address`, whose run begins, to a killer if one waits.
    pub(crate) fn hand_to_killer(&self, address: usize, raised: &Raised<B>) -> bool {
        let shard = self.shard(address);
        // ORDERING: SeqCst: a killer counts itself before it tries SCHED once more, so either it is
        // seen here or its try comes after SCHED is cleared.
        if shard.count.load(SeqCst) == 0 {
            return false;
        }
        let waiters = shard.waiters.lock(raised);
        let killer = waiters
            .iter()
            .find(|waiter| waiter.address == address && waiter.limit.get() == phase::WANTS_SCHED);
        if let Some(killer) = killer {
            killer.limit.set(phase::OWNS_SCHED);
        }
        killer.is_some()
    }

    /// Wakes those who wait for the tasklet at `address`: they look for themselves. Who wants SCHED
    /// is woken only if it is `free`; else a run will come, and hand it over.
    pub(crate) fn wake(
        &self,
        address: usize,
        free: bool,
        raised: &Raised<B>,
        deferred: &mut Deferred<B>,
    ) {
        let shard = self.shard(address);
        // ORDERING: SeqCst: the caller has published the end of the run before this; a waiter
        // counts itself before it looks whether the run has ended.
        if shard.count.load(SeqCst) == 0 {
            return;
        }
        let mut waiters = shard.waiters.lock(raised);
        take_ready(&mut waiters, &mut deferred.woken, |waiter| {
            waiter.address == address && (free || waiter.limit.get() != phase::WANTS_SCHED)
        });
    }
}

impl<B: Backend> Runtime<B> {
    /// Makes SCHED the caller's: at once, or when the next run begins and hands it over (row T13).
    pub(crate) fn claim_sched(&self, tasklet: &tasklet_struct) {
        let address = core::ptr::from_ref(tasklet).addr();
        let shard = self.tasklet_waits.shard(address);
        // ORDERING: SeqCst, here and below: see `hand_to_killer`.
        while tasklet.state.fetch_or(SCHED, SeqCst) & SCHED != 0 {
            let waiter = pin!(Waiter::<B>::new(address));
            let waiter = waiter.into_ref();
            waiter.prepare();
            waiter.limit.set(phase::WANTS_SCHED);
            self.link_waiter(shard, waiter);
            if tasklet.state.fetch_or(SCHED, SeqCst) & SCHED == 0 {
                // Ours after all. If a run has woken the waiter meanwhile its event must be taken.
                self.unlink_waiter(shard, waiter);
                return;
            }
            waiter.wait();
            shard.count.fetch_sub(1, SeqCst);
            if waiter.limit.get() == phase::OWNS_SCHED {
                return;
            }
        }
    }

    /// Sleeps until the function does not run and no drain follows the tasklet. IRQL: <= APC.
    pub(crate) fn wait_until_not_running(&self, tasklet: &tasklet_struct) {
        let address = core::ptr::from_ref(tasklet).addr();
        let shard = self.tasklet_waits.shard(address);
        while self.is_running(tasklet) {
            let waiter = pin!(Waiter::<B>::new(address));
            let waiter = waiter.into_ref();
            waiter.prepare();
            waiter.limit.set(phase::RUN_END);
            self.link_waiter(shard, waiter);
            if !self.is_running(tasklet) {
                self.unlink_waiter(shard, waiter);
                return;
            }
            waiter.wait();
            // ORDERING: as in `link_waiter`; a count too high costs a look at the list.
            shard.count.fetch_sub(1, SeqCst);
        }
    }

    /// Whether RUN is set or a drain still follows the tasklet (T4).
    fn is_running(&self, tasklet: &tasklet_struct) -> bool {
        let address = core::ptr::from_ref(tasklet).addr();
        // ORDERING: SeqCst: RUN is cleared before `running`, so both clear means that it is over.
        tasklet.state.load(SeqCst) & RUN != 0
            || self
                .all_cpus()
                .iter()
                .any(|cpu| cpu.running.load(SeqCst) == address)
    }

    /// Whether a CPU changes the count of the tasklet, or unlocks it (T4).
    pub(crate) fn is_touched(&self, address: usize) -> bool {
        // ORDERING: SeqCst: pairs with `touch`.
        self.all_cpus()
            .iter()
            .any(|cpu| cpu.touching.load(SeqCst) == address)
    }

    fn link_waiter(&self, shard: &TaskletShard<B>, waiter: Pin<&Waiter<B>>) {
        let raised = Raised::<B>::new();
        let mut waiters = shard.waiters.lock(&raised);
        // ORDERING: SeqCst: counted before the caller looks again.
        shard.count.fetch_add(1, SeqCst);
        waiters.push_back(waiter.handle());
    }

    /// Takes a waiter back; if it has been taken off the list already, waits for its event (A1).
    fn unlink_waiter(&self, shard: &TaskletShard<B>, waiter: Pin<&Waiter<B>>) {
        let linked = {
            let raised = Raised::<B>::new();
            let mut waiters = shard.waiters.lock(&raised);
            let linked = waiters
                .iter()
                .any(|other| core::ptr::eq(other, waiter.get_ref()));
            if linked {
                waiter.unlink(&mut waiters);
            }
            linked
        };
        if !linked {
            waiter.wait();
        }
        // ORDERING: as in `link_waiter`; a count too high costs a look at the list.
        shard.count.fetch_sub(1, SeqCst);
    }

    /// Sleeps until RUN is clear. IRQL: <= APC, else it does not wait.
    pub(crate) fn tasklet_unlock_wait(&self, tasklet: &tasklet_struct, call: &'static str) {
        if B::irql() > Irql::APC {
            report(Diagnostic::WaitAtDispatch, tasklet, call).print::<B>();
        } else {
            self.wait_until_not_running(tasklet);
        }
    }

    /// Spins until RUN is clear. IRQL: any. On the CPU whose run the caller has interrupted, or is
    /// part of, it cannot end, and so it does not wait.
    pub(crate) fn tasklet_spin_wait(&self, tasklet: &tasklet_struct, call: &'static str) {
        // At DISPATCH_LEVEL and above the caller stays on its CPU; below, no run is under it.
        let on_top = B::irql() >= Irql::DISPATCH
            && self.per_cpu(B::cpu()).serving.load(SeqCst) == core::ptr::from_ref(tasklet).addr();
        // ORDERING: SeqCst: pairs with the end of the run, or with the unlock; what the run has
        // stored is seen by the caller.
        while tasklet.state.load(SeqCst) & RUN != 0 {
            if on_top {
                report(Diagnostic::SpinOnOwnCpu, tasklet, call).print::<B>();
                return;
            }
            relax();
        }
    }

    /// Clears RUN, which the caller has set by `tasklet_trylock`; what was parked meanwhile runs.
    /// IRQL: any.
    pub(crate) fn tasklet_unlock(&self, tasklet: &tasklet_struct, raised: Raised<B>) {
        let address = core::ptr::from_ref(tasklet).addr();
        let mut deferred = Deferred::new();
        self.touch(tasklet, &raised, || {
            // ORDERING: SeqCst: Release for the waiters and for the next run, and T3.
            if tasklet.state.fetch_and(!RUN, SeqCst) & RUN == 0 {
                raised.say(report(Diagnostic::StateLost, tasklet, "tasklet_unlock"));
            }
            self.unpark_if_runnable(tasklet, &raised);
        });
        self.tasklet_waits
            .wake(address, false, &raised, &mut deferred);
        deferred.deliver(self, raised);
    }
}

/// Sets RUN if it is clear, and so keeps the tasklet from running; `true` if the caller has it now.
/// IRQL: any.
pub(crate) fn trylock(tasklet: &tasklet_struct) -> bool {
    // ORDERING: SeqCst: as the drain's (T1): either of them sees the other.
    tasklet.state.fetch_or(RUN, SeqCst) & RUN == 0
}
