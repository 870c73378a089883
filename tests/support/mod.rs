//! The rig of the row tests: a simulated machine with a driver attached, and items that record what
//! happens to them.
//!
//! A scenario is a plain function over a [`Rig`]. [`rows`] runs it for a range of seeds; after it the rig
//! detaches, unloads the driver and checks what must always hold: nothing is left pending, and no
//! diagnostic is unexpected.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, WorkReentrance, attach, counters};
use kmdf_mock::sim_assert;
use kmdf_mock::world::{self, Driver, Gate, Sim};

pub use WorkReentrance::{NonReentrant, SelfReentrant};

/// One tick of the machine: 1/HZ, so that jiffies and timer expiry coincide.
pub const TICK_100NS: u32 = 40_000;

/// How many seeds a deterministic row is run with.
pub const SEEDS: u64 = 50;

/// A machine with a driver attached.
pub struct Rig {
    driver: Driver,
    attachment: Mutex<Option<Arc<Attachment>>>,
    /// What the driver chose.
    pub reentrance: WorkReentrance,
    /// Diagnostic codes that the scenario expects.
    expected: Mutex<Vec<&'static str>>,
    /// Diagnostic codes that may come or not.
    allowed: Mutex<Vec<&'static str>>,
}

/// Runs `scenario` with both rules for works, for [`SEEDS`] seeds each.
pub fn rows(scenario: fn(&Rig)) {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with(reentrance, SEEDS, scenario);
    }
}

/// Runs `scenario` with one rule, for `seeds` seeds.
pub fn rows_with(reentrance: WorkReentrance, seeds: u64, scenario: fn(&Rig)) {
    rows_with_on(machine, reentrance, seeds, scenario);
}

/// As [`rows_with`], on a machine of the scenario's own.
pub fn rows_with_on(
    machine: fn(u64) -> Sim,
    reentrance: WorkReentrance,
    seeds: u64,
    scenario: fn(&Rig),
) {
    world::seeds(0..seeds, |seed| {
        let run = machine(seed).run(move || {
            let rig = Rig::new(reentrance);
            scenario(&rig);
            rig.finish();
        });
        if let Err(failure) = run {
            panic!("{failure}\nwith {reentrance:?}");
        }
    });
}

/// The machine of the rows: 4 CPUs, 16 workers, a tick of one jiffy.
pub fn machine(seed: u64) -> Sim {
    Sim::new(seed).cpus(4).tick_100ns(TICK_100NS).workers(16)
}

impl Rig {
    /// Loads a driver and attaches it. With every other seed the works of bound queues are pinned.
    pub fn new(reentrance: WorkReentrance) -> Self {
        let pin = world::seed().is_some_and(|seed| seed % 2 == 1);
        Self::with(reentrance, &Config::new(reentrance).pin_bound(pin))
    }

    /// Loads a driver and attaches it with this configuration.
    pub fn with(reentrance: WorkReentrance, config: &Config) -> Self {
        let driver = Driver::load();
        let host = Host::Driver(driver.handle().cast());
        // SAFETY: the driver stays loaded until `finish` has detached.
        let attachment = unsafe { attach(host, config) };
        let attachment = attachment.expect("a fresh machine has the resources");
        Self {
            driver,
            attachment: Mutex::new(Some(Arc::new(attachment))),
            reentrance,
            expected: Mutex::new(Vec::new()),
            allowed: Mutex::default(),
        }
    }

    /// The diagnostics with these codes are part of the scenario.
    pub fn expect(&self, codes: &[&'static str]) {
        self.expected.lock().unwrap().extend(codes);
    }

    /// The diagnostics with these codes may come.
    pub fn allow(&self, codes: &[&'static str]) {
        self.allowed.lock().unwrap().extend(codes);
    }

    /// The attach, for calls that are made on it. Not to be kept beyond the detach.
    pub fn attachment(&self) -> Arc<Attachment> {
        let attachment = self.attachment.lock().unwrap().clone();
        attachment.expect("the rig is attached")
    }

    /// What a further attach is made on.
    pub fn host(&self) -> Host {
        Host::Driver(self.driver.handle().cast())
    }

    /// Detaches, and returns when that is over.
    pub fn detach(&self) {
        let attachment = self.attachment.lock().unwrap().take();
        drop(attachment);
    }

    /// Detaches, unloads, and checks what always holds.
    pub fn finish(self) {
        world::settle();
        let counts = counters();
        // Only a scenario about the end of a queue or of the runtime leaves something behind.
        let leaves = ["BH10", "BH11", "BH13"];
        let left = |codes: &Mutex<Vec<&str>>| {
            codes
                .lock()
                .unwrap()
                .iter()
                .any(|code| leaves.contains(code))
        };
        let may_leave = left(&self.expected) || left(&self.allowed);
        sim_assert!(counts.pending == 0 || may_leave, "left pending: {counts:?}");
        self.detach();
        self.driver.unload();
        let expected = self.expected.lock().unwrap();
        let found = reports();
        let allowed = self.allowed.lock().unwrap();
        for code in &found {
            sim_assert!(
                expected.contains(&code.as_str()) || allowed.contains(&code.as_str()),
                "unexpected diagnostic {code}: {found:?}"
            );
        }
        for code in expected.iter() {
            sim_assert!(
                found.iter().any(|found| found == code),
                "{code} was not reported: {found:?}"
            );
        }
    }
}

/// The codes of the diagnostics that were printed, in their order.
pub fn reports() -> Vec<String> {
    world::debug_log()
        .iter()
        .filter_map(|line| line.strip_prefix("bottomhalf "))
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect()
}

/// A queue that is destroyed at the end of the scenario.
#[derive(Clone, Copy)]
pub struct Wq(pub *mut workqueue_struct);
// SAFETY: a workqueue is used from any thread.
unsafe impl Send for Wq {}
// SAFETY: as above.
unsafe impl Sync for Wq {}

impl Wq {
    /// Row tables' P: `alloc_workqueue(name, 0, 0)`.
    pub fn bound() -> Self {
        Self(alloc_workqueue(c"P", 0, 0))
    }
    /// Row tables' O.
    pub fn ordered() -> Self {
        Self(alloc_ordered_workqueue(c"O", 0))
    }
    /// `alloc_workqueue(name, flags, max_active)`.
    pub fn with(flags: u32, max_active: i32) -> Self {
        Self(alloc_workqueue(c"Q", flags, max_active))
    }
    pub fn system() -> Self {
        Self(system_wq())
    }
    pub fn flush(self) {
        // SAFETY: the scenario has not destroyed it.
        unsafe { flush_workqueue(self.0) };
    }
    pub fn destroy(self) {
        // SAFETY: the scenario destroys it once.
        unsafe { destroy_workqueue(self.0) };
    }
}

/// What an item saw, shared between the machine's threads. Only atomics and short locks: a lock is never
/// held across a call into the machine.
#[derive(Default)]
pub struct Seen {
    runs: AtomicU32,
    inside: AtomicU32,
    most_inside: AtomicU32,
    /// CPU and IRQL of each run, in the order in which they began.
    began: Mutex<Vec<(u32, u8)>>,
}

impl Seen {
    fn enter(&self) -> u32 {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        self.began
            .lock()
            .unwrap()
            .push((world::current_cpu(), world::current_irql()));
        run
    }
    fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
    /// Runs that have begun.
    pub fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
    /// Runs that are under way.
    pub fn inside(&self) -> u32 {
        self.inside.load(Ordering::SeqCst)
    }
    /// Most runs at one time.
    pub fn most_inside(&self) -> u32 {
        self.most_inside.load(Ordering::SeqCst)
    }
    /// CPU of run `index`, from 0.
    pub fn cpu(&self, index: usize) -> u32 {
        self.began.lock().unwrap()[index].0
    }
    /// IRQL of run `index`, from 0.
    pub fn irql(&self, index: usize) -> u8 {
        self.began.lock().unwrap()[index].1
    }
}

type Body<T> = Box<dyn Fn(T, u32) + Send + Sync>;

/// A delayed work (or just its `work`) in tracked memory: a touch after `free` is convicted.
#[repr(C)]
pub struct WorkItem {
    pub item: delayed_work,
    seen: Arc<Seen>,
    /// Called in each run, with the item and the number of the run from 1.
    body: Body<Work>,
}

/// A handle to a [`WorkItem`]: copied freely, as C code copies pointers.
#[derive(Clone, Copy)]
pub struct Work(pub *mut WorkItem);
// SAFETY: the item's own parts are atomic or in `Arc`s; scenarios free it when nobody uses it.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

unsafe extern "C" fn run_work(work: *mut work_struct) {
    let handle = Work(work.cast());
    let item = handle.0;
    // SAFETY: `work` is the first member, and a pending item is not freed.
    let (seen, body) = unsafe { (Arc::clone(&(*item).seen), &raw const (*item).body) };
    let run = seen.enter();
    // SAFETY: the item is alive until its body frees it, and a body that does so does not return to it.
    unsafe { (*body)(handle, run) };
    seen.leave();
}

impl Work {
    /// An initialised item whose function does `body`.
    pub fn new(body: impl Fn(Self, u32) + Send + Sync + 'static) -> Self {
        let item = WorkItem {
            item: delayed_work::new(),
            seen: Arc::default(),
            body: Box::new(body),
        };
        let handle = Self(world::pool::alloc(item));
        // SAFETY: fresh memory.
        unsafe { INIT_DELAYED_WORK(handle.dwork(), run_work) };
        handle
    }
    /// One that only counts.
    pub fn counting() -> Self {
        Self::new(|_, _| {})
    }
    /// One whose every run waits for `gate`.
    pub fn gated(gate: &Gate) -> Self {
        let gate = gate.clone();
        Self::new(move |_, _| gate.wait())
    }
    pub fn work(self) -> *mut work_struct {
        self.0.cast()
    }
    pub fn dwork(self) -> *mut delayed_work {
        self.0.cast()
    }
    /// What it saw; valid also after `free`.
    pub fn seen(self) -> Arc<Seen> {
        // SAFETY: the item is alive.
        unsafe { Arc::clone(&(*self.0).seen) }
    }
    pub fn runs(self) -> u32 {
        self.seen().runs()
    }
    /// Waits until `count` runs have begun.
    pub fn wait_begun(self, count: u32) {
        let seen = self.seen();
        wait_until(move || seen.runs() >= count);
    }
    pub fn init(self) {
        // SAFETY: the scenario says that it is not pending.
        unsafe { INIT_DELAYED_WORK(self.dwork(), run_work) };
    }
    pub fn init_deferrable(self) {
        // SAFETY: as in `init`.
        unsafe { INIT_DEFERRABLE_WORK(self.dwork(), run_work) };
    }
    pub fn queue(self, wq: Wq) -> bool {
        // SAFETY: item and queue are alive in every scenario.
        unsafe { queue_work(wq.0, self.work()) }
    }
    pub fn schedule(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { schedule_work(self.work()) }
    }
    pub fn schedule_delayed(self, delay: u64) -> bool {
        // SAFETY: as in `queue`.
        unsafe { schedule_delayed_work(self.dwork(), delay) }
    }
    pub fn queue_delayed(self, wq: Wq, delay: u64) -> bool {
        // SAFETY: as in `queue`.
        unsafe { queue_delayed_work(wq.0, self.dwork(), delay) }
    }
    pub fn modify(self, wq: Wq, delay: u64) -> bool {
        // SAFETY: as in `queue`.
        unsafe { mod_delayed_work(wq.0, self.dwork(), delay) }
    }
    pub fn cancel_delayed(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { cancel_delayed_work(self.dwork()) }
    }
    pub fn cancel_delayed_sync(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { cancel_delayed_work_sync(self.dwork()) }
    }
    pub fn cancel_sync(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { cancel_work_sync(self.work()) }
    }
    pub fn flush(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { flush_work(self.work()) }
    }
    pub fn flush_delayed(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { flush_delayed_work(self.dwork()) }
    }
    pub fn pending(self) -> bool {
        // SAFETY: as in `queue`.
        unsafe { work_pending(self.work()) }
    }
    /// Gives the memory back; any later touch is convicted.
    pub fn free(self) {
        // SAFETY: the scenario does not use it any more.
        unsafe { world::pool::free(self.0) };
    }
}

/// A tasklet in tracked memory.
#[repr(C)]
pub struct TaskletItem {
    pub item: tasklet_struct,
    seen: Arc<Seen>,
    body: Body<Tasklet>,
}

/// A handle to a [`TaskletItem`].
#[derive(Clone, Copy)]
pub struct Tasklet(pub *mut TaskletItem);
// SAFETY: as for `Work`.
unsafe impl Send for Tasklet {}
// SAFETY: as above.
unsafe impl Sync for Tasklet {}

unsafe extern "C" fn run_tasklet(tasklet: *mut tasklet_struct) {
    let handle = Tasklet(tasklet.cast());
    // SAFETY: the item is the first member, and a running tasklet is not freed.
    let item = unsafe { &*handle.0 };
    let run = item.seen.enter();
    (item.body)(handle, run);
    item.seen.leave();
}

impl Tasklet {
    pub fn new(body: impl Fn(Self, u32) + Send + Sync + 'static) -> Self {
        let item = TaskletItem {
            item: tasklet_struct::new(),
            seen: Arc::default(),
            body: Box::new(body),
        };
        let handle = Self(world::pool::alloc(item));
        // SAFETY: fresh memory.
        unsafe { tasklet_setup(handle.raw(), run_tasklet) };
        handle
    }
    pub fn counting() -> Self {
        Self::new(|_, _| {})
    }
    pub fn raw(self) -> *mut tasklet_struct {
        self.0.cast()
    }
    pub fn seen(self) -> Arc<Seen> {
        // SAFETY: the item is alive.
        unsafe { Arc::clone(&(*self.0).seen) }
    }
    pub fn runs(self) -> u32 {
        self.seen().runs()
    }
    pub fn state(self) -> u64 {
        // SAFETY: the item is alive.
        unsafe { (*self.0).item.state() }
    }
    pub fn count(self) -> i32 {
        // SAFETY: the item is alive.
        unsafe { (*self.0).item.count() }
    }
    pub fn wait_begun(self, count: u32) {
        let seen = self.seen();
        wait_until(move || seen.runs() >= count);
    }
    pub fn schedule(self) {
        // SAFETY: the item is alive and initialised in every scenario.
        unsafe { tasklet_schedule(self.raw()) };
    }
    pub fn hi_schedule(self) {
        // SAFETY: as in `schedule`.
        unsafe { tasklet_hi_schedule(self.raw()) };
    }
    pub fn kill(self) {
        // SAFETY: as in `schedule`.
        unsafe { tasklet_kill(self.raw()) };
    }
    pub fn disable(self) {
        // SAFETY: as in `schedule`.
        unsafe { tasklet_disable(self.raw()) };
    }
    pub fn enable(self) {
        // SAFETY: as in `schedule`.
        unsafe { tasklet_enable(self.raw()) };
    }
    pub fn free(self) {
        // SAFETY: the scenario does not use it any more.
        unsafe { world::pool::free(self.0) };
    }
}

/// Sleeps until `condition` holds. The machine's deadlock and step limits bound it.
pub fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        world::sleep_100ns(u64::from(TICK_100NS) / 4);
    }
}

/// Spins, as a callback at DISPATCH must, until `flag` is set. Other CPUs go on.
pub fn spin_until(flag: &AtomicU32) {
    while flag.load(Ordering::SeqCst) == 0 {
        kmdf_mock::sync::preempt();
        core::hint::spin_loop();
    }
}

/// Letters in the order in which they came.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<String>>);

impl Trace {
    pub fn add(&self, letter: char) {
        self.0.lock().unwrap().push(letter);
    }
    pub fn get(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// Runs `scenario` with both rules for works on the machines that `machine` makes.
pub fn rows_on(machine: fn(u64) -> Sim, seeds: u64, scenario: fn(&Rig)) {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with_on(machine, reentrance, seeds, scenario);
    }
}

/// Waits until nothing can go on without time passing, and fails the world unless `thread` still waits.
#[track_caller]
pub fn still_waits(thread: &world::Thread) {
    world::settle();
    sim_assert!(!thread.is_finished(), "the call returned too early");
}

/// The machine of the rows, with timers that expire on the very tick: for rows that name the jiffy.
pub fn punctual(seed: u64) -> Sim {
    machine(seed).timers_on_time()
}

/// A machine with NT's default tick of 15.625 ms, almost four jiffies.
pub fn coarse(seed: u64) -> Sim {
    machine(seed).tick_100ns(156_250)
}

/// Sleeps for so many jiffies.
pub fn sleep_jiffies(count: u64) {
    world::sleep_100ns(count * 10_000_000 / HZ);
}

impl Work {
    /// `timer.expires`.
    pub fn expires(self) -> u64 {
        // SAFETY: the item is alive.
        unsafe { (*self.0).item.expires() }
    }
}

impl Seen {
    /// Runs that have ended.
    pub fn ended(&self) -> u32 {
        self.runs() - self.inside()
    }
}

/// Opens once; a callback waits for it by spinning, as it must at DISPATCH_LEVEL.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicU32>);

impl Flag {
    pub fn set(&self) {
        self.0.store(1, Ordering::SeqCst);
    }
    pub fn spin(&self) {
        spin_until(&self.0);
    }
}
