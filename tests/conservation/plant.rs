//! The plant: queues, works, tasklets, an interrupt and threads, all doing random things and telling the
//! accounts.

mod traffic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, WorkReentrance, counters};
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Interrupt, choose};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::ledger::{self, Call, Home, Limits, law};
use crate::shapes::{Items, Shape, pick};
use crate::support::{NonReentrant, Rig, SelfReentrant, TICK_100NS, Tasklet, Work, Wq, wait_until};
use crate::table::Actor;
use crate::tasklets;
use crate::witness::{Hits, Witness};

/// What a schedule reached, and how often.
pub(crate) type Reached = BTreeMap<&'static str, u64>;

/// What a schedule was seen to do.
pub(crate) struct Outcome {
    pub(crate) reached: Reached,
    pub(crate) hits: Hits,
}

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
    /// `disable_work` and `enable_work` are told, and not called.
    NoDisableWork,
    /// `tasklet_disable` is told, and neither it nor the enable is called.
    NoDisable,
    /// A schedule is told, and now and then not called.
    LostSchedule,
    /// `tasklet_trylock` is told, and neither it nor the unlock is called.
    NoLock,
    /// Freeze and thaw are told, and not called.
    NoFreeze,
    /// A work that is told to be queued for a CPU is queued for any.
    WrongCpu,
    /// What is told to be a queue of bottom halves is not one.
    NotBh,
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
/// Index of the queue whose works run at DISPATCH_LEVEL.
const BH: usize = 4;

/// A work, and how it may be used.
struct Job {
    work: Work,
    home: Home,
    plain: bool,
    /// It is queued for the CPU of its home, whoever calls; else on that CPU, if it has one.
    on: bool,
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
    shape: &'static Shape,
    /// What is told of the bound queue.
    max_active: u32,
    /// A tasklet that runs schedules itself as long as calls are left: more than a DPC may do.
    busy: bool,
    /// Works of bound queues run on the CPU that they are queued on.
    pin: bool,
    /// The unbound queue can be frozen.
    freezable: bool,
    attachment: Mutex<Option<Arc<Attachment>>>,
    witness: Arc<Witness>,
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

/// Gives way for a few preemption points at any IRQL.
fn give_way() {
    for _ in 0..choose(30) {
        preempt();
    }
}

/// Runs one schedule; what it reached.
pub(crate) fn scenario(reentrance: WorkReentrance, cpus: u32, fault: Option<Fault>) -> Outcome {
    let told = reentrance;
    let reentrance = match (fault, told) {
        (Some(Fault::Overlap), _) | (_, SelfReentrant) => SelfReentrant,
        (_, NonReentrant) => NonReentrant,
    };
    let pin = choose(2) == 0;
    let rig = Rig::with(reentrance, &Config::new(reentrance).pin_bound(pin));
    // A drain refuses others, and a queue is destroyed with works armed.
    rig.allow(&["BH02", "BH10"]);
    let plant = Plant::build(told, (&rig, pin), cpus, fault);
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
    let hits = plant.witness.hits();
    rig.finish();
    Outcome { reached, hits }
}

impl Plant {
    fn build(
        told: WorkReentrance,
        (rig, pin): (&Rig, bool),
        cpus: u32,
        fault: Option<Fault>,
    ) -> Arc<Self> {
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
        let freezable = choose(2) == 0;
        let freeze = if freezable { WQ_FREEZABLE } else { 0 };
        let flag = |flag, one_in| if choose(one_in) == 0 { flag } else { 0 };
        let bound = flag(WQ_MEM_RECLAIM, 8) | flag(WQ_HIGHPRI, 4);
        let lines = vec![
            Wq::system(),
            Wq::with(bound, (max_active + more) as i32),
            Wq::with(
                WQ_UNBOUND | freeze | flag(WQ_MEM_RECLAIM, 8),
                2 + more as i32,
            ),
            ordered,
            Wq::with(
                match fault {
                    Some(Fault::NotBh) => WQ_HIGHPRI,
                    _ => WQ_BH | flag(WQ_HIGHPRI, 2),
                },
                0,
            ),
        ];
        let mut works = ledger::Accounts::new(told == NonReentrant);
        for (ordered, max_active, bound, alone) in [
            (false, 256, true, false),
            (false, max_active, true, false),
            (false, 2, false, false),
            (true, 1, false, false),
            // A CPU's drain runs one at a time.
            (false, 1, true, true),
        ] {
            works.add_queue(Limits {
                ordered,
                max_active,
                bound,
                alone,
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
            shape: Shape::choose(),
            max_active,
            busy: choose(16) == 0,
            pin,
            freezable,
            attachment: Mutex::new(Some(rig.attachment())),
            witness: Witness::new(rig.reentrance),
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
            6 => (Home::Queue(BOUND), false),
            7 => (Home::Pinned(BOUND, cpu), false),
            8 => (Home::Queue(BH), false),
            9 => (Home::Queue(BH), true),
            _ => (Home::Pinned(BH, cpu), true),
        };
        let [main, delayed] = [kind(choose(11)), kind(4 + choose(5))];
        let fair = [main, main, delayed, kind(choose(11)), kind(choose(11))];
        let plain = kind(pick(&[0, 1, 2, 3, 9, 10]));
        let (kinds, count) = match self.shape.items {
            Items::Any(most) => (fair, 1 + choose(most)),
            Items::Delayed => ([delayed; 5], 1 + choose(4) / 3),
            Items::Neighbours => ([plain; 5], 2 + choose(2)),
        };
        let jobs = kinds.into_iter().take(count as usize);
        let jobs = jobs.map(|(home, plain)| {
            let account = self.lock().works.add_work(home, plain);
            let plant = Arc::clone(self);
            let work = Work::new(move |_, _| plant.run_job(account));
            let rule = if home.is_at(BH) {
                Some(NonReentrant)
            } else {
                None
            };
            self.witness.watch_work(work, rule);
            let pinned = matches!(home, Home::Pinned(..));
            Job {
                work,
                home,
                plain,
                on: pinned && (!plain || choose(2) == 0),
            }
        });
        let _ = self.jobs.set(jobs.collect());
        let tasklets = (0..1 + choose(2)).map(|_| {
            let account = self.lock().tasklets.add();
            let plant = Arc::clone(self);
            let tasklet = Tasklet::new(move |_, _| plant.run_tasklet(account));
            self.witness.watch_tasklet(tasklet);
            tasklet
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

    /// Gives way for a while, and lets time pass if it may.
    fn linger(&self) {
        let may_sleep = self.shape.leisurely && world::current_irql() < 2;
        match choose(8) {
            _ if !may_sleep => (0..choose(3)).for_each(|_| preempt()),
            0 => world::sleep_100ns(u64::from(1 + choose(4 * TICK_100NS))),
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
        // The jobs are the first works of either bookkeeping, in the same order.
        self.witness.work_enters(account);
        let run = self.enter(account);
        self.check_cpu(account);
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
        self.check_cpu(account);
        self.leave(account, run);
        self.witness.work_leaves(account);
    }

    /// A work that is queued for a CPU runs there, from beginning to end.
    fn check_cpu(&self, account: usize) {
        let job = &self.jobs()[account];
        if job.home.is_at(BH) {
            let irql = world::current_irql();
            let level = law("bh", irql == 2, || {
                format!("work {account} is at IRQL {irql}")
            });
            self.must(level);
            self.reach("ran as a bottom half");
        }
        let Home::Pinned(queue, wanted) = job.home else {
            return;
        };
        if job.on || self.pin || queue == BH {
            let cpu = world::current_cpu();
            let there = law("cpu", cpu == wanted, || {
                format!("work {account} is on CPU {cpu}, not {wanted}")
            });
            self.must(there);
            self.reach("ran on its CPU");
        }
    }

    fn attachment(&self) -> Arc<Attachment> {
        let attachment = self.attachment.lock().unwrap().clone();
        attachment.expect("attached until the plant is wound up")
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
        self.must(self.witness.tasklet_enters(account));
        let entered = self.lock().tasklets.run_begins(account);
        self.must(entered);
        give_way();
        match choose(6) {
            _ if self.busy => self.produce("by a tasklet", || self.schedule(account, true)),
            0 => self.produce("by a tasklet", || self.schedule(account, true)),
            1 => self.produce("by a tasklet", || self.poke(None)),
            _ => {}
        }
        self.lock().tasklets.run_ends(account);
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
        if hurry {
            for (account, _) in self.jobs().iter().enumerate().filter(|(_, job)| job.plain) {
                self.call(account, Call::Queue, false);
            }
        } else {
            self.wait_a_while(|books| books.works.close().is_ok());
        }
        self.destroy_queues();
        *self.attachment.lock().unwrap() = None;
        let early = hurry && choose(2) == 0;
        if early {
            let last = self.start_once(self.lines[SYSTEM], 0);
            if self.lock().works.ended(last) == 0 {
                self.reach("detached with works pending");
            }
            self.witness.acting(Actor::End, || rig.detach());
        } else {
            self.wait_for_rest();
            world::settle();
            self.wait_a_while(|books| books.works.close().is_ok());
        }
        self.compare(early);
        for job in self.jobs() {
            sim_assert_eq!(job.work.pending(), false);
            Witness::unwatch(job.work);
            job.work.free();
        }
        for tasklet in self.tasklets() {
            sim_assert_eq!(tasklet.state(), 0);
            Witness::unwatch_tasklet(*tasklet);
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

    /// Waits until the accounts are settled and nothing is pending: a ledger that is not certain of a work
    /// may close before that work has run. The counters are read first, without the books: no lock is held
    /// across a call into the machine.
    fn wait_for_rest(&self) {
        for _ in 0..1000 {
            let pending = counters().pending;
            if pending == 0 && self.lock().works.close().is_ok() {
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
                    let cancel = || job.work.cancel_delayed();
                    self.witness.acting(Actor::Cancel, cancel);
                }
            }
            self.witness.acting(Actor::End, || line.destroy());
            let at_rest = self.lock().works.destroy_ends(queue);
            self.must(at_rest);
        }
    }

    /// All accounts are settled, and the crate's own counters say the same.
    fn compare(&self, detached: bool) {
        let works = self.lock().works.close();
        let sums = self.must(works);
        let tasklets = self.lock().tasklets.close();
        let tasklets = self.must(tasklets);
        if detached {
            return;
        }
        let counts = counters();
        if counts.overflows > 0 {
            self.reach("a DPC left its tasklets to the thread");
        }
        if counts.rescues > 0 {
            self.reach("a rescuer came");
        }
        let within = |what: &str, value: u64, (least, most): (u64, u64)| {
            sim_assert!(
                (least..=most).contains(&value),
                "counters: {what} {value}, and {least} to {most}"
            );
        };
        sim_assert_eq!(counts.run, sums.run + tasklets, "counters: run");
        within("cancelled", counts.cancelled, sums.cancelled);
        sim_assert_eq!(counts.pending, 0, "counters: pending");
        within("accepted", counts.accepted - tasklets, sums.accepted);
    }
}
