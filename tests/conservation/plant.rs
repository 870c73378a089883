//! The plant: queues, works, tasklets, an interrupt and threads, all doing random things and telling the
//! accounts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bottomhalf::linux::*;
use bottomhalf::{WorkReentrance, counters};
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Interrupt, choose, run_on_cpu};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::ledger::{self, Call, Home, Limits, law};
use crate::support::{NonReentrant, Rig, SelfReentrant, TICK_100NS, Tasklet, Work, Wq, wait_until};
use crate::tasklets;

/// What a schedule reached, and how often.
pub(crate) type Reached = BTreeMap<&'static str, u64>;

/// One thing that is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A cancel that took a work back is told as one that did not.
    ForgetCancel,
    /// An accepted queueing is told as a refused one.
    ForgetQueue,
    /// A refused queueing is told as an accepted one.
    PhantomQueue,
    /// A function is entered twice for one queueing.
    RunTwice,
    /// A delay is told longer than it is.
    ShortDelay,
    /// `flush_work` is told, and not called.
    NoFlush,
    /// `flush_workqueue` is told, and not called.
    NoFlushQueue,
    /// A cancel that does not wait is told as one that does.
    NoWait,
    /// What is told to be an ordered queue is not one.
    NotOrdered,
    /// `max_active` is told lower than it is.
    MoreActive,
    /// The driver attaches with the other rule than is told.
    Overlap,
    /// `tasklet_kill` is told, and not called.
    NoKill,
    /// `tasklet_disable` is told, and neither it nor the enable is called.
    NoDisable,
    /// A schedule is told, and now and then not called.
    LostSchedule,
    /// Before a queue is destroyed a work that is pending on it is taken off.
    LostAtDestroy,
}

/// Index of the system queue.
const SYSTEM: usize = 0;
/// Index of the ordered queue.
const ORDERED: usize = 3;
/// Index of the unbound queue.
const UNBOUND: usize = 2;
/// Index of the bound queue.
const BOUND: usize = 1;

/// What the traffic of a schedule is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Everything, at leisure.
    Fair,
    /// A few calls on one or two works, without a pause.
    WorkStorm([Call; 3]),
    /// The same with tasklets.
    TaskletStorm,
}

impl Weather {
    fn choose() -> Self {
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

/// A work, and how it may be used.
struct Job {
    work: Work,
    home: Home,
    plain: bool,
}

struct Books {
    works: ledger::Accounts,
    tasklets: tasklets::Accounts,
}

/// Everything that the threads, functions and interrupts of one schedule share.
struct Plant {
    books: Mutex<Books>,
    fault: Option<Fault>,
    cpus: u32,
    weather: Weather,
    /// Real and told queues, by index.
    lines: Vec<Wq>,
    jobs: OnceLock<Vec<Job>>,
    tasklets: OnceLock<Vec<Tasklet>>,
    nic: OnceLock<Interrupt>,
    /// Accounts of the works that free themselves.
    once: Mutex<Vec<usize>>,
    /// No calls by functions and interrupts any more, except chains on the own queue.
    stopped: AtomicBool,
    /// Functions and interrupts that are making a call.
    producing: AtomicU32,
    /// Calls that functions and interrupts may still make.
    budget: AtomicU32,
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

/// Gives way for a few preemption points at any IRQL.
fn give_way() {
    for _ in 0..choose(30) {
        preempt();
    }
}

/// Whether a call blocks.
fn waits(call: Call) -> bool {
    matches!(call, Call::CancelSync | Call::Flush | Call::FlushDelayed)
}

/// Runs one schedule; what it reached.
pub(crate) fn scenario(reentrance: WorkReentrance, cpus: u32, fault: Option<Fault>) -> Reached {
    let told = reentrance;
    let reentrance = match (fault, told) {
        (Some(Fault::Overlap), _) | (_, SelfReentrant) => SelfReentrant,
        (_, NonReentrant) => NonReentrant,
    };
    let rig = Rig::new(reentrance);
    let plant = Plant::build(told, cpus, fault);
    let threads: Vec<_> = (0..3 + choose(2))
        .map(|index| {
            let worker = Arc::clone(&plant);
            let cpu = index % plant.cpus;
            world::spawn("traffic", Some(cpu), move || worker.traffic())
        })
        .collect();
    for thread in threads {
        thread.join();
    }
    plant.wind_up(&rig);
    let reached = plant.lock().works.reached.clone();
    rig.finish();
    reached
}

impl Plant {
    fn build(told: WorkReentrance, cpus: u32, fault: Option<Fault>) -> Arc<Self> {
        let max_active = 1 + choose(2);
        let more = if fault == Some(Fault::MoreActive) {
            2
        } else {
            0
        };
        let ordered = match fault {
            Some(Fault::NotOrdered) => Wq::with(WQ_UNBOUND, 4),
            _ => Wq::ordered(),
        };
        let lines = vec![
            Wq::system(),
            Wq::with(0, (max_active + more) as i32),
            Wq::with(WQ_UNBOUND, 2 + more as i32),
            ordered,
        ];
        let mut works = ledger::Accounts::new(told == NonReentrant);
        for (ordered, max_active, bound) in [
            (false, 256, true),
            (false, max_active, true),
            (false, 2, false),
            (true, 1, false),
        ] {
            works.add_queue(Limits {
                ordered,
                max_active,
                bound,
                cpus,
            });
        }
        let plant = Arc::new(Self {
            books: Mutex::new(Books {
                works,
                tasklets: tasklets::Accounts::default(),
            }),
            fault,
            cpus,
            weather: Weather::choose(),
            lines,
            jobs: OnceLock::new(),
            tasklets: OnceLock::new(),
            nic: OnceLock::new(),
            once: Mutex::default(),
            stopped: AtomicBool::new(false),
            producing: AtomicU32::new(0),
            budget: AtomicU32::new(40),
        });
        plant.furnish();
        plant
    }

    /// Makes the items: few, so that they are used at the same time.
    fn furnish(self: &Arc<Self>) {
        let cpu = choose(self.cpus);
        let kind = |which| match which {
            0 => (Home::Queue(ORDERED), true),
            1 => (Home::Queue(UNBOUND), true),
            2 => (Home::Pinned(BOUND, cpu), true),
            3 => (Home::Any, true),
            4 => (Home::Any, false),
            5 => (Home::Queue(ORDERED), false),
            _ => (Home::Queue(BOUND), false),
        };
        let main = kind(choose(7));
        let kinds = [main, main, kind(4), kind(choose(7)), kind(choose(7))];
        let (skip, most) = match self.weather {
            Weather::Fair => (0, 5),
            // Works that may be delayed.
            Weather::WorkStorm(_) => (2, 2),
            Weather::TaskletStorm => (2, 1),
        };
        let count = 1 + choose(most) as usize;
        let jobs = kinds.into_iter().skip(skip).take(count);
        let jobs = jobs.map(|(home, plain)| {
            let account = self.lock().works.add_work(home, plain);
            let plant = Arc::clone(self);
            let work = Work::new(move |_, _| plant.run_job(account));
            Job { work, home, plain }
        });
        let _ = self.jobs.set(jobs.collect());
        let tasklets = (0..1 + choose(2)).map(|_| {
            let account = self.lock().tasklets.add();
            let plant = Arc::clone(self);
            Tasklet::new(move |_, _| plant.run_tasklet(account))
        });
        let _ = self.tasklets.set(tasklets.collect());
        let plant = Arc::clone(self);
        let nic = Interrupt::connect("nic", 5, move || {
            plant.produce("by an interrupt", || plant.poke(None));
        });
        let _ = self.nic.set(nic);
    }

    fn jobs(&self) -> &[Job] {
        self.jobs.get().expect("built")
    }

    fn tasklets(&self) -> &[Tasklet] {
        self.tasklets.get().expect("built")
    }

    /// The accounts. Never held across a call into the machine.
    fn lock(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// Gives way for a while at PASSIVE_LEVEL.
    fn linger(&self) {
        match choose(8) {
            _ if self.weather != Weather::Fair => (0..choose(3)).for_each(|_| preempt()),
            0 => world::sleep_100ns(u64::from(1 + choose(2 * TICK_100NS))),
            1 => world::sleep_100ns(u64::from(1 + choose(400))),
            2 | 3 => {}
            _ => give_way(),
        }
    }

    fn reach(&self, what: &'static str) {
        self.lock().works.reach(what);
    }

    /// Fails the schedule if a law is broken.
    fn must<T>(&self, verdict: Result<T, String>) -> T {
        verdict.unwrap_or_else(|broken| world::fail("LEDGER", broken))
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn enter(&self, account: usize) -> u32 {
        let now = world::now_100ns();
        let mut entered = self.lock().works.run_begins(account, now);
        if entered.is_ok() && self.is(Fault::RunTwice) && choose(8) == 0 {
            let run = entered.unwrap_or_default();
            self.lock().works.run_ends(account, run);
            entered = self.lock().works.run_begins(account, now);
        }
        self.must(entered)
    }

    fn leave(&self, account: usize, run: u32) {
        self.lock().works.run_ends(account, run);
    }

    /// Makes a call on behalf of a function or an interrupt, if it may.
    fn produce(&self, who: &'static str, call: impl FnOnce()) {
        let left = self.budget.load(Ordering::SeqCst);
        if self.stopped.load(Ordering::SeqCst) || left == 0 {
            return;
        }
        self.budget.store(left - 1, Ordering::SeqCst);
        self.producing.fetch_add(1, Ordering::SeqCst);
        call();
        self.reach(who);
        self.producing.fetch_sub(1, Ordering::SeqCst);
    }

    fn run_job(self: &Arc<Self>, account: usize) {
        let run = self.enter(account);
        self.linger();
        match choose(8) {
            0 | 1 => self.produce("by a function", || self.requeue(account)),
            2 => self.produce("by a function", || self.poke(Some(account))),
            3 if self.stopped.load(Ordering::SeqCst) => self.chain(account),
            _ => {}
        }
        if choose(2) == 0 {
            self.linger();
        }
        self.leave(account, run);
    }

    /// The function queues its own work.
    fn requeue(&self, account: usize) {
        let call = match choose(4) {
            0 if !self.jobs()[account].plain => Call::Modify(0),
            1 if !self.jobs()[account].plain => Call::QueueDelayed(0),
            _ => Call::Queue,
        };
        self.call(account, call, true);
    }

    /// The function queues its own work on its own queue, which may be being destroyed.
    fn chain(&self, account: usize) {
        let job = &self.jobs()[account];
        let left = self.budget.load(Ordering::SeqCst);
        if job.plain && job.home != Home::Any && left > 0 {
            self.budget.store(left - 1, Ordering::SeqCst);
            self.call(account, Call::Queue, true);
            self.reach("a chain after the stop");
        }
    }

    fn run_tasklet(&self, account: usize) {
        let entered = self.lock().tasklets.run_begins(account);
        self.must(entered);
        give_way();
        match choose(6) {
            0 => self.produce("by a tasklet", || self.schedule(account, true)),
            1 => self.produce("by a tasklet", || self.poke(None)),
            _ => {}
        }
        self.lock().tasklets.run_ends(account);
    }

    /// A random call that does not wait. `function` is the account of the caller.
    fn poke(&self, function: Option<usize>) {
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
    fn any_call(&self, account: usize, kinds: u32) -> Call {
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
    fn call(&self, account: usize, call: Call, own: bool) {
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
    fn tell(&self, account: usize, work: Work, wq: Wq, call: Call, own: bool) {
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
        let ticket = self
            .lock()
            .works
            .begin(account, told, own, world::now_100ns());
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

    fn schedule(&self, account: usize, own: bool) {
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

    fn kill(&self, account: usize) {
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
    fn disable_for_a_while(&self, account: usize) {
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
    fn traffic(self: &Arc<Self>) {
        let events = match self.weather {
            Weather::Fair => 8 + choose(24),
            Weather::WorkStorm(_) | Weather::TaskletStorm => 40 + choose(120),
        };
        for _ in 0..events {
            let job = choose(self.jobs().len() as u32) as usize;
            let tasklet = choose(self.tasklets().len() as u32) as usize;
            let event = match self.weather {
                Weather::Fair => choose(24),
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

    fn flush_queue(&self) {
        let queue = choose(self.lines.len() as u32) as usize;
        let ticket = self.lock().works.flush_begins(queue);
        if !self.is(Fault::NoFlushQueue) {
            self.lines[queue].flush();
        }
        let flushed = self.lock().works.flush_ends(ticket);
        self.must(flushed);
    }

    /// Makes a work that frees itself, and queues it after `delay` jiffies; its account.
    fn start_once(self: &Arc<Self>, queue: Wq, delay: u64) -> usize {
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
        let ticket = self
            .lock()
            .works
            .begin(account, call, false, world::now_100ns());
        // SAFETY: initialised, and in place until its function frees it.
        let answer = unsafe { queue_delayed_work(queue.0, item, delay) };
        let now = world::now_100ns();
        let verdict = self.lock().works.end(ticket, answer, false, now);
        self.must(verdict);
        account
    }

    /// Makes a queue, queues a few works and destroys it: they have all run.
    fn private_queue(self: &Arc<Self>) {
        let queue = match choose(3) {
            0 => Wq::ordered(),
            1 => Wq::with(0, 1),
            _ => Wq::with(WQ_UNBOUND, 2),
        };
        // Now and then more than a worker runs before it gives its thread back.
        let count = if choose(4) == 0 { 40 } else { 1 + choose(3) };
        let accounts: Vec<_> = (0..count).map(|_| self.start_once(queue, 0)).collect();
        queue.destroy();
        let ended = accounts
            .iter()
            .all(|account| self.lock().works.ended(*account) == 1);
        self.must(law("destroy_workqueue", ended, || {
            format!("{accounts:?} have not run")
        }));
    }

    /// Stops the traffic, lets everything end, compares all accounts.
    fn wind_up(self: &Arc<Self>, rig: &Rig) {
        wait_until(|| self.nic.get().expect("built").is_idle());
        self.stopped.store(true, Ordering::SeqCst);
        wait_until(|| self.producing.load(Ordering::SeqCst) == 0);
        for account in 0..self.tasklets().len() {
            if choose(2) == 0 {
                self.kill(account);
            }
        }
        for (account, job) in self.jobs().iter().enumerate() {
            if !job.plain {
                let call = [Call::FlushDelayed, Call::CancelSync, Call::Cancel][choose(3) as usize];
                self.call(account, call, false);
            }
        }
        let once = self.once.lock().unwrap().clone();
        self.wait_a_while(|books| once.iter().all(|account| books.works.ended(*account) == 1));
        let hurry = choose(2) == 0;
        if !hurry {
            self.wait_a_while(|books| books.works.close().is_ok());
        }
        self.destroy_queues();
        let early = hurry && choose(2) == 0;
        if early {
            let last = self.start_once(self.lines[SYSTEM], 0);
            if self.lock().works.ended(last) == 0 {
                self.reach("detached with works pending");
            }
            rig.detach();
        } else {
            self.wait_a_while(|books| books.works.close().is_ok());
            world::settle();
        }
        self.compare(early);
        for job in self.jobs() {
            sim_assert_eq!(job.work.pending(), false);
            job.work.free();
        }
        for tasklet in self.tasklets() {
            sim_assert_eq!(tasklet.state(), 0);
            tasklet.free();
        }
    }

    /// Waits until the accounts say so, or for so long that something must be lost.
    fn wait_a_while(&self, over: impl Fn(&Books) -> bool) {
        for _ in 0..1000 {
            if over(&self.lock()) {
                return;
            }
            world::sleep_100ns(u64::from(TICK_100NS) / 4);
        }
    }

    fn destroy_queues(&self) {
        for (queue, line) in self.lines.iter().enumerate().skip(1) {
            let mut at_home = self.jobs().iter().filter(|job| job.home.is_at(queue));
            let pending = at_home.find(|job| job.work.pending());
            if let Some(job) = pending {
                self.reach("a destroyed queue had works pending");
                if self.is(Fault::LostAtDestroy) {
                    job.work.cancel_delayed();
                }
            }
            line.destroy();
            let at_rest = self.lock().works.destroy_ends(queue);
            self.must(at_rest);
        }
    }

    /// All accounts are settled, and the crate's own counters say the same.
    fn compare(&self, detached: bool) {
        let works = self.lock().works.close();
        let (least, most, run, cancelled) = self.must(works);
        let tasklets = self.lock().tasklets.close();
        let tasklets = self.must(tasklets);
        if detached {
            return;
        }
        let counts = counters();
        sim_assert_eq!(counts.run, run + tasklets, "counters: run");
        sim_assert_eq!(counts.cancelled, cancelled, "counters: cancelled");
        sim_assert_eq!(counts.pending, 0, "counters: pending");
        let accepted = counts.accepted - tasklets;
        sim_assert!(
            (least..=most).contains(&accepted),
            "counters: accepted {accepted}, and {least} to {most}"
        );
    }
}
