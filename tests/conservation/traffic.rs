//! The calls that the plant makes, and what it tells of them.

use std::sync::Arc;

use bottomhalf::linux::*;
use kmdf_mock::world::{self, choose, run_on_cpu};

use super::{Fault, Plant};
use crate::ledger::{Call, Home, law};
use crate::support::{TICK_100NS, Work, Wq};

/// What the traffic of a schedule is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weather {
    /// Everything, at leisure.
    Fair,
    /// A few calls on one or two works, without a pause.
    WorkStorm([Call; 3]),
    /// The same with tasklets.
    TaskletStorm,
}

impl Weather {
    pub(super) fn choose() -> Self {
        match choose(8) {
            0..=2 => Self::WorkStorm(core::array::from_fn(|_| match choose(10) {
                0..=2 => Call::Queue,
                3 | 4 => Call::QueueDelayed(0),
                5 | 6 => Call::Modify(0),
                7 => Call::Cancel,
                8 => Call::CancelSync,
                _ => Call::FlushDelayed,
            })),
            3 => Self::TaskletStorm,
            _ => Self::Fair,
        }
    }
}

/// Whether a call blocks.
fn waits(call: Call) -> bool {
    matches!(call, Call::CancelSync | Call::Flush | Call::FlushDelayed)
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
        let tasklet = match self.weather {
            Weather::TaskletStorm => choose(4) > 0,
            Weather::Fair | Weather::WorkStorm(_) => choose(4) == 0,
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
        if let Weather::WorkStorm(calls) = self.weather {
            let call = calls[choose(3) as usize];
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
            Home::Any => (choose(self.lines.len() as u32) as usize, None),
            Home::Queue(queue) => (queue, None),
            Home::Pinned(queue, cpu) => (queue, Some(cpu)),
        };
        let wq = self.lines[queue];
        match cpu {
            Some(cpu) if world::current_irql() < 2 => {
                run_on_cpu(cpu, || self.tell(account, job.work, wq, call, own));
            }
            Some(cpu) if cpu != world::current_cpu() => {}
            _ => self.tell(account, job.work, wq, call, own),
        }
    }

    /// Tells a call, makes it, tells its answer.
    pub(super) fn tell(&self, account: usize, work: Work, wq: Wq, call: Call, own: bool) {
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
        let told = match call {
            Call::QueueDelayed(_) => Call::QueueDelayed(time),
            Call::Modify(_) => Call::Modify(time),
            Call::Queue | Call::Cancel | Call::CancelSync | Call::Flush | Call::FlushDelayed => {
                call
            }
        };
        let now = world::now_100ns();
        let ticket = self.lock().works.begin(account, told, own, now);
        let mut answer = match call {
            Call::Queue => work.queue(wq),
            Call::QueueDelayed(_) => work.queue_delayed(wq, delay),
            Call::Modify(_) => work.modify(wq, delay),
            Call::Cancel => work.cancel_delayed(),
            Call::CancelSync if self.is(Fault::NoWait) => work.cancel_delayed(),
            Call::CancelSync => work.cancel_delayed_sync(),
            Call::Flush | Call::FlushDelayed if self.is(Fault::NoFlush) => false,
            Call::Flush => work.flush(),
            Call::FlushDelayed => work.flush_delayed(),
        };
        let pending = call == Call::CancelSync && work.pending();
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

    pub(super) fn schedule(&self, account: usize, own: bool) {
        let tasklet = self.tasklets()[account];
        let ticket = self.lock().tasklets.schedule_begins(account, own);
        let lost = self.is(Fault::LostSchedule) && choose(2) == 0;
        match choose(3) {
            _ if lost => {}
            0 => tasklet.hi_schedule(),
            _ => tasklet.schedule(),
        }
        self.lock().tasklets.schedule_ends(ticket);
    }

    pub(super) fn kill(&self, account: usize) {
        let tasklet = self.tasklets()[account];
        let ticket = self.lock().tasklets.kill_begins(account);
        if !self.is(Fault::NoKill) {
            tasklet.kill();
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
        let really = !self.is(Fault::NoDisable);
        if really {
            tasklet.disable();
        }
        let disabled = self.lock().tasklets.disable_ends(account);
        self.must(disabled);
        if choose(2) == 0 {
            self.schedule(account, false);
        }
        self.linger();
        self.lock().tasklets.enable_begins(account);
        if really {
            tasklet.enable();
        }
    }

    /// What a thread does.
    pub(super) fn traffic(self: &Arc<Self>) {
        let events = match self.weather {
            Weather::Fair => 8 + choose(24),
            Weather::WorkStorm(_) | Weather::TaskletStorm => 40 + choose(120),
        };
        for _ in 0..events {
            let job = choose(self.jobs().len() as u32) as usize;
            let tasklet = choose(self.tasklets().len() as u32) as usize;
            let event = match self.weather {
                Weather::Fair => choose(24),
                Weather::WorkStorm(_) if choose(24) == 0 => 21,
                Weather::WorkStorm(_) => [0, 0, 0, 0, 0, 0, 12, 18][choose(8) as usize],
                Weather::TaskletStorm => [12, 13, 13, 13, 15, 15, 16, 18][choose(8) as usize],
            };
            match event {
                0..=11 => {
                    let call = self.any_call(job, 12);
                    self.call(job, call, false);
                }
                12 => world::at_dispatch(|| self.poke(None)),
                13 | 14 => self.schedule(tasklet, false),
                15 => self.kill(tasklet),
                16 => self.disable_for_a_while(tasklet),
                17 => self.flush_queue(),
                18 | 19 => self.nic.get().expect("built").raise(choose(self.cpus)),
                20 => {
                    let queue = self.lines[choose(self.lines.len() as u32) as usize];
                    self.start_once(queue, choose(3).into());
                }
                21 if choose(3) == 0 => self.private_queue(),
                _ => self.linger(),
            }
        }
    }

    pub(super) fn flush_queue(&self) {
        let queue = choose(self.lines.len() as u32) as usize;
        let ticket = self.lock().works.flush_begins(queue);
        if !self.is(Fault::NoFlushQueue) {
            self.lines[queue].flush();
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
        let queue = match choose(3) {
            0 => Wq::ordered(),
            1 => Wq::with(0, 1),
            _ => Wq::with(WQ_UNBOUND, 2),
        };
        // Now and then more than a worker runs before it gives its thread back.
        let fair = self.weather == Weather::Fair;
        let count = if fair && choose(4) == 0 {
            40
        } else {
            1 + choose(3)
        };
        let accounts: Vec<_> = (0..count).map(|_| self.start_once(queue, 0)).collect();
        // And a work that others cancel and queue elsewhere while this queue goes.
        let mut roaming = self.jobs().iter().enumerate();
        if let Some((account, job)) = roaming.find(|(_, job)| job.home == Home::Any) {
            self.tell(account, job.work, queue, Call::Queue, false);
        }
        queue.destroy();
        let ended = accounts
            .iter()
            .all(|account| self.lock().works.ended(*account) == 1);
        self.must(law("destroy_workqueue", ended, || {
            format!("{accounts:?} have not run")
        }));
    }
}
