//! The calls that the plant makes, and what it tells of them.

use std::sync::Arc;

use bottomhalf::linux::*;
use kmdf_mock::world::{self, choose, run_on_cpu};

use super::{BH, BOUND, Fault, Plant, UNBOUND};
use crate::ledger::{Call, Home, law};
use crate::shapes::{Event, pick};
use crate::support::{TICK_100NS, Work, Wq};
use crate::table::Actor;

/// A call, and as whom it is made.
type Deed = (Actor, Box<dyn Fn() -> bool>);

/// A call that queues, for a CPU.
fn on_cpu(cpu: u32, work: Work, wq: Wq, call: Call, delay: u64) -> Deed {
    let (cpu, item) = (cpu as i32, work.dwork());
    // SAFETY: the item and the queue are alive until the plant is wound up.
    let queue = move || unsafe { queue_work_on(cpu, wq.0, item.cast()) };
    // SAFETY: as above.
    let delayed = move || unsafe { queue_delayed_work_on(cpu, wq.0, item, delay) };
    // SAFETY: as above.
    let modify = move || unsafe { mod_delayed_work_on(cpu, wq.0, item, delay) };
    if matches!(call, Call::Modify(_)) {
        (Actor::Modify, Box::new(modify))
    } else if !matches!(call, Call::QueueDelayed(_)) {
        (Actor::Queue, Box::new(queue))
    } else if delay == 0 {
        (Actor::Queue, Box::new(delayed))
    } else {
        (Actor::QueueDelayed, Box::new(delayed))
    }
}

/// Whether a call blocks.
fn waits(call: Call) -> bool {
    matches!(
        call,
        Call::CancelSync | Call::Flush | Call::FlushDelayed | Call::DisableSync
    )
}

/// A work that frees its own memory.
#[repr(C)]
struct Once {
    item: delayed_work,
    plant: Arc<Plant>,
    account: usize,
}

unsafe extern "C" fn run_once(work: *mut work_struct) {
    let once = work.cast::<Once>();
    // SAFETY: alive until freed below.
    let (plant, account) = unsafe { (Arc::clone(&(*once).plant), (*once).account) };
    let run = plant.enter(account);
    plant.linger();
    // SAFETY: the work is not pending, and nobody else knows it.
    unsafe { world::pool::free(once) };
    plant.linger();
    plant.leave(account, run);
    plant.reach("a work freed itself");
}

impl Plant {
    /// A random call that does not wait. `function` is the account of the caller.
    pub(super) fn poke(&self, function: Option<usize>) {
        let tasklet = match self.shape.name {
            "tasklets" => choose(4) > 0,
            _ => choose(4) == 0,
        };
        if tasklet {
            return self.schedule(choose(self.tasklets().len() as u32) as usize, false);
        }
        let account = choose(self.jobs().len() as u32) as usize;
        let call = self.any_call(account, 8);
        self.call(account, call, function == Some(account));
    }

    /// A random call on a work; from 8 on one that waits. Delays are random too, see [`Self::call`].
    pub(super) fn any_call(&self, account: usize, kinds: u32) -> Call {
        let plain = self.jobs()[account].plain;
        if !self.shape.calls.is_empty() {
            let call = pick(self.shape.calls);
            let wrong = plain && matches!(call, Call::QueueDelayed(_) | Call::Modify(_));
            let allowed = !wrong && (kinds > 8 || !waits(call));
            return if allowed { call } else { Call::Queue };
        }
        match choose(kinds) {
            3 | 4 if !plain => Call::QueueDelayed(0),
            5 | 6 if !plain => Call::Modify(0),
            0..=6 => Call::Queue,
            7 => Call::Cancel,
            8 | 9 => Call::CancelSync,
            10 if !plain => Call::FlushDelayed,
            _ => Call::Flush,
        }
    }

    /// Makes a call on a job and tells it.
    pub(super) fn call(&self, account: usize, call: Call, own: bool) {
        let job = &self.jobs()[account];
        let (queue, cpu) = match job.home {
            // Not on both kinds of queue: between a worker and a drain nobody promises non-reentrance.
            Home::Any => (choose(BH as u32) as usize, None),
            Home::Queue(queue) => (queue, None),
            Home::Pinned(queue, cpu) => (queue, Some(cpu)),
        };
        let wq = self.lines[queue];
        let tell = |on| self.tell(account, (job.work, on), wq, call, own);
        match cpu {
            Some(cpu) if job.on => tell(Some(cpu)),
            Some(cpu) if world::current_irql() < 2 => run_on_cpu(cpu, || tell(None)),
            Some(cpu) if cpu != world::current_cpu() => {}
            _ => tell(None),
        }
    }

    /// Tells a call on a work, which may have a CPU of its own, makes it, tells its answer.
    pub(super) fn tell(
        &self,
        account: usize,
        (work, on): (Work, Option<u32>),
        wq: Wq,
        call: Call,
        own: bool,
    ) {
        let delay = match choose(8) {
            0 | 1 => 0,
            2..=4 => 1,
            5 => 2,
            6 => 1000,
            _ => u64::MAX,
        };
        // A delay with the sign bit lies in the past (row D22).
        let whole = if delay > 1000 { 0 } else { delay };
        let short = if self.is(Fault::ShortDelay) { 2 } else { 0 };
        let time = (whole + short) * u64::from(TICK_100NS);
        let told = if matches!(call, Call::QueueDelayed(_)) {
            Call::QueueDelayed(time)
        } else if matches!(call, Call::Modify(_)) {
            Call::Modify(time)
        } else {
            call
        };
        let now = world::now_100ns();
        let ticket = self.lock().works.begin(account, told, own, now);
        let (actor, make) = match on.filter(|_| !self.is(Fault::WrongCpu)) {
            Some(cpu) if call.arms() => on_cpu(cpu, work, wq, call, delay),
            _ => self.really(work, wq, call, delay),
        };
        let mut answer = self.witness.acting(actor, make);
        let pending = matches!(call, Call::CancelSync | Call::DisableSync) && work.pending();
        match (self.fault, call) {
            (Some(Fault::ForgetCancel), Call::Cancel) => answer = false,
            (Some(Fault::ForgetQueue), Call::Queue) if choose(8) == 0 => answer = false,
            (Some(Fault::PhantomQueue), Call::Queue) => answer = true,
            _ => {}
        }
        let now = world::now_100ns();
        let verdict = self.lock().works.end(ticket, answer, pending, now);
        self.must(verdict);
    }

    /// What is called for a call that is told, and as whom.
    fn really(&self, work: Work, wq: Wq, call: Call, delay: u64) -> (Actor, Box<dyn Fn() -> bool>) {
        let item = move || work.work();
        match call {
            Call::Queue => (Actor::Queue, Box::new(move || work.queue(wq))),
            Call::QueueDelayed(_) if delay == 0 => {
                (Actor::Queue, Box::new(move || work.queue_delayed(wq, 0)))
            }
            Call::QueueDelayed(_) => {
                let queue = move || work.queue_delayed(wq, delay);
                (Actor::QueueDelayed, Box::new(queue))
            }
            Call::Modify(_) => (Actor::Modify, Box::new(move || work.modify(wq, delay))),
            Call::CancelSync if !self.is(Fault::NoWait) => {
                let cancel = move || work.cancel_delayed_sync();
                (Actor::CancelSync, Box::new(cancel))
            }
            Call::Cancel | Call::CancelSync => {
                (Actor::Cancel, Box::new(move || work.cancel_delayed()))
            }
            Call::Flush | Call::FlushDelayed if self.is(Fault::NoFlush) => {
                (Actor::Flush, Box::new(|| false))
            }
            Call::Flush => (Actor::Flush, Box::new(move || work.flush())),
            Call::FlushDelayed => (Actor::FlushDelayed, Box::new(move || work.flush_delayed())),
            Call::Disable | Call::DisableSync | Call::Enable if self.is(Fault::NoDisableWork) => {
                (Actor::Disable, Box::new(move || call == Call::Enable))
            }
            Call::EnableAndQueue if self.is(Fault::NoDisableWork) => {
                (Actor::Queue, Box::new(move || work.queue(wq)))
            }
            Call::Disable => {
                // SAFETY: the item is alive.
                let disable = move || unsafe { disable_work(item()) };
                (Actor::Disable, Box::new(disable))
            }
            Call::DisableSync => {
                // SAFETY: the item is alive.
                let disable = move || unsafe { disable_work_sync(item()) };
                (Actor::DisableSync, Box::new(disable))
            }
            Call::Enable => {
                // SAFETY: the item is alive.
                let enable = move || unsafe { enable_work(item()) };
                (Actor::Enable, Box::new(enable))
            }
            Call::EnableAndQueue => {
                // SAFETY: the item and the queue are alive.
                let enable = move || unsafe { enable_work(item()) && queue_work(wq.0, item()) };
                (Actor::EnableAndQueue, Box::new(enable))
            }
        }
    }

    /// Disables a work, does what does not wait, enables it.
    pub(super) fn disable_work_for_a_while(&self, account: usize) {
        self.call(account, pick(&[Call::Disable, Call::DisableSync]), false);
        if choose(2) == 0 {
            let call = self.any_call(account, 8);
            self.call(account, call, false);
        }
        self.linger();
        // There is no call that enables and queues for a CPU.
        let on = self.jobs()[account].on;
        let enable = pick(&[Call::Enable, Call::EnableAndQueue]);
        self.call(account, if on { Call::Enable } else { enable }, false);
    }

    pub(super) fn schedule(&self, account: usize, own: bool) {
        let tasklet = self.tasklets()[account];
        let ticket = self.lock().tasklets.schedule_begins(account, own);
        let lost = self.is(Fault::LostSchedule) && choose(2) == 0;
        match choose(3) {
            _ if lost => {}
            0 => self
                .witness
                .acting(Actor::HiSchedule, || tasklet.hi_schedule()),
            _ => self.witness.acting(Actor::Schedule, || tasklet.schedule()),
        }
        self.lock().tasklets.schedule_ends(ticket);
    }

    pub(super) fn kill(&self, account: usize) {
        let tasklet = self.tasklets()[account];
        let ticket = self.lock().tasklets.kill_begins(account);
        if !self.is(Fault::NoKill) {
            self.witness.acting(Actor::Kill, || tasklet.kill());
        }
        let state = tasklet.state();
        let ended = self.lock().tasklets.kill_ends(ticket, state);
        if self.must(ended) {
            self.reach("a kill without schedules");
        }
    }

    /// Disables, does what does not wait, enables.
    pub(super) fn disable_for_a_while(&self, account: usize) {
        let tasklet = self.tasklets()[account];
        let enable = || {
            self.witness
                .acting(Actor::TaskletEnable, || tasklet.enable())
        };
        if choose(4) == 0 {
            // A run that has begun may still enter the function: nothing is told of it.
            // SAFETY: the item is alive.
            let disable = || unsafe { tasklet_disable_nosync(tasklet.raw()) };
            self.witness.acting(Actor::DisableNosync, disable);
            self.linger();
            return enable();
        }
        let really = !self.is(Fault::NoDisable);
        if really {
            let disable = || tasklet.disable();
            self.witness.acting(Actor::TaskletDisable, disable);
        }
        let disabled = self.lock().tasklets.disable_ends(account);
        self.must(disabled);
        if choose(2) == 0 {
            self.schedule(account, false);
        }
        self.linger();
        self.lock().tasklets.enable_begins(account);
        if really {
            enable();
        }
    }

    /// Locks, if that is possible, does what does not wait, unlocks.
    fn lock_for_a_while(&self, account: usize) {
        let tasklet = self.tasklets()[account];
        let really = !self.is(Fault::NoLock);
        // SAFETY: the item is alive.
        let lock = || !really || unsafe { tasklet_trylock(tasklet.raw()) };
        self.lock().tasklets.trylock_begins(account);
        let taken = self.witness.acting(Actor::Trylock, lock);
        let locked = self.lock().tasklets.trylock_ends(account, taken);
        self.must(locked);
        if !taken {
            return;
        }
        self.schedule(account, false);
        self.linger();
        self.lock().tasklets.unlock_begins(account);
        if really {
            // SAFETY: the item is alive, and locked by this thread.
            let unlock = || unsafe { tasklet_unlock(tasklet.raw()) };
            self.witness.acting(Actor::Unlock, unlock);
        }
        self.lock().tasklets.unlock_ends(account);
        self.reach("a tasklet was locked");
    }

    /// What a thread does.
    pub(super) fn traffic(self: &Arc<Self>) {
        let (least, more) = self.shape.events;
        for _ in 0..least + choose(more) {
            let job = choose(self.jobs().len() as u32) as usize;
            let tasklet = choose(self.tasklets().len() as u32) as usize;
            match self.shape.event() {
                Event::Work => {
                    let call = self.any_call(job, 12);
                    self.call(job, call, false);
                }
                Event::DisableWork => self.disable_work_for_a_while(job),
                Event::Poke => world::at_dispatch(|| self.poke(None)),
                Event::Schedule => self.schedule(tasklet, false),
                Event::Kill => self.kill(tasklet),
                Event::DisableTasklet => self.disable_for_a_while(tasklet),
                Event::LockTasklet => self.lock_for_a_while(tasklet),
                Event::FlushQueue => self.flush_queue(),
                Event::DrainQueue => self.drain_queue(),
                Event::MaxActive => self.change_max_active(),
                Event::Freeze => self.freeze_for_a_while(),
                Event::Interrupt => self.nic.get().expect("built").raise(choose(self.cpus)),
                Event::Once => {
                    let queue = pick(&self.lines);
                    self.start_once(queue, choose(3).into());
                }
                Event::PrivateQueue => {
                    if choose(3) == 0 {
                        self.private_queue();
                    }
                }
                Event::Linger => self.linger(),
            }
        }
    }

    /// Gives a queue another `max_active`, which is not above what is told of it.
    fn change_max_active(&self) {
        let (queue, most) = pick(&[(BOUND, self.max_active), (UNBOUND, 2)]);
        let more = if self.is(Fault::MoreActive) { 2 } else { 0 };
        let wanted = 1 + choose(most) + more;
        // SAFETY: the queue is alive until the plant is wound up.
        unsafe { workqueue_set_max_active(self.lines[queue].0, wanted as i32) };
        self.reach("max_active changed");
    }

    /// Freezes, does what does not wait, thaws.
    fn freeze_for_a_while(&self) {
        if !self.freezable {
            return;
        }
        let really = !self.is(Fault::NoFreeze);
        if really {
            self.attachment().freeze();
        }
        let frozen = self.lock().works.freeze_ends(UNBOUND);
        self.must(frozen);
        let mut frozen = self.jobs().iter().filter(|job| job.home.is_at(UNBOUND));
        if frozen.any(|job| job.work.pending()) {
            self.reach("froze with works pending");
        }
        self.poke(None);
        self.linger();
        self.lock().works.thaw_begins(UNBOUND);
        if really {
            self.attachment().thaw();
        }
    }

    /// Drains a queue while others use it: they are refused, and say so.
    fn drain_queue(&self) {
        let job = choose(self.jobs().len() as u32) as usize;
        let queue = match self.jobs()[job].home {
            Home::Queue(queue) | Home::Pinned(queue, _) => queue,
            Home::Any => 1 + choose(self.lines.len() as u32 - 1) as usize,
        };
        let ticket = self.lock().works.drain_begins(queue);
        self.witness.acting(Actor::End, || {
            // SAFETY: the queue is alive until the plant is wound up.
            unsafe { drain_workqueue(self.lines[queue].0) };
        });
        let drained = self.lock().works.drain_ends(ticket);
        self.must(drained);
        self.reach("drained");
    }

    pub(super) fn flush_queue(&self) {
        let queue = choose(self.lines.len() as u32) as usize;
        let ticket = self.lock().works.flush_begins(queue);
        if !self.is(Fault::NoFlushQueue) {
            self.witness
                .acting(Actor::Flush, || self.lines[queue].flush());
        }
        let flushed = self.lock().works.flush_ends(ticket);
        self.must(flushed);
    }

    /// Makes a work that frees itself, and queues it after `delay` jiffies; its account.
    pub(super) fn start_once(self: &Arc<Self>, queue: Wq, delay: u64) -> usize {
        let account = self.lock().works.add_work(Home::Any, false);
        self.once.lock().unwrap().push(account);
        let plant = Arc::clone(self);
        let once = world::pool::alloc(Once {
            item: delayed_work::new(),
            plant,
            account,
        });
        let item: *mut delayed_work = once.cast();
        // SAFETY: fresh memory.
        unsafe { INIT_DELAYED_WORK(item, run_once) };
        let call = Call::QueueDelayed(delay * u64::from(TICK_100NS));
        let now = world::now_100ns();
        let ticket = self.lock().works.begin(account, call, false, now);
        // SAFETY: initialised, and in place until its function frees it.
        let answer = unsafe { queue_delayed_work(queue.0, item, delay) };
        let now = world::now_100ns();
        let verdict = self.lock().works.end(ticket, answer, false, now);
        self.must(verdict);
        account
    }

    /// Makes a queue, queues a few works and destroys it: they have all run.
    pub(super) fn private_queue(self: &Arc<Self>) {
        let kind = choose(4);
        let queue = match kind {
            0 => Wq::ordered(),
            1 => Wq::with(0, 1),
            2 => Wq::with(WQ_BH, 0),
            _ => Wq::with(WQ_UNBOUND, 2),
        };
        // Now and then more than a worker runs before it gives its thread back.
        let count = if self.shape.leisurely && choose(4) == 0 {
            40
        } else {
            1 + choose(3)
        };
        let accounts: Vec<_> = (0..count).map(|_| self.start_once(queue, 0)).collect();
        // And a work that others cancel and queue elsewhere while this queue goes.
        let mut roaming = self.jobs().iter().enumerate();
        match roaming.find(|(_, job)| job.home == Home::Any && kind != 2) {
            Some((account, job)) if job.plain || choose(2) == 0 => {
                self.tell(account, (job.work, None), queue, Call::Queue, false);
            }
            Some((account, job)) => self.arm_for_the_end(account, job.work, queue),
            None => {}
        }
        self.witness.acting(Actor::End, || queue.destroy());
        let ended = accounts
            .iter()
            .all(|account| self.lock().works.ended(*account) == 1);
        self.must(law("destroy_workqueue", ended, || {
            format!("{accounts:?} have not run")
        }));
    }

    /// Arms a work for a queue that is about to be destroyed, which makes it due (BH10).
    fn arm_for_the_end(&self, account: usize, work: Work, queue: Wq) {
        let now = world::now_100ns();
        let told = Call::QueueDelayed(0);
        let ticket = self.lock().works.begin(account, told, false, now);
        let arm = || work.queue_delayed(queue, 50);
        let answer = self.witness.acting(Actor::QueueDelayed, arm);
        let now = world::now_100ns();
        let verdict = self.lock().works.end(ticket, answer, false, now);
        self.must(verdict);
    }
}
