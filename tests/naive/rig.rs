//! Items that record their runs, in memory whose later use the machine convicts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::WorkReentrance;
use kmdf_mock::world::{self, Driver};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::port::Linux;

/// A jiffy, in units of 100 ns.
pub const JIFFY_100NS: u64 = 40_000;

/// Loads a driver, runs a scenario over one side, and takes everything down in order.
pub fn drive<L: Linux>(reentrance: WorkReentrance, scenario: fn()) {
    let driver = Driver::load();
    let linux = L::attach(&driver, reentrance);
    scenario();
    world::settle();
    let complaints = linux.detach(&driver);
    driver.unload();
    sim_assert!(
        complaints.is_empty(),
        "the scenario is correct, but: {complaints:?}"
    );
}

/// What an item saw. Its locks are never held across a call into the machine.
#[derive(Default)]
pub struct Seen {
    runs: AtomicU32,
    inside: AtomicU32,
    ended: AtomicU32,
}

impl Seen {
    /// Runs that have begun.
    pub fn runs(&self) -> u32 {
        self.runs.load(SeqCst)
    }
    /// Runs that have ended.
    pub fn ended(&self) -> u32 {
        self.ended.load(SeqCst)
    }
}

type Body<T> = Box<dyn Fn(Item<T>, u32) + Send + Sync>;

/// A Linux object inside a driver's structure.
#[repr(C)]
pub struct Container<T> {
    item: T,
    seen: Arc<Seen>,
    /// Two runs at once fail the machine.
    exclusive: bool,
    body: Body<T>,
}

/// A pointer to such a structure: copied freely, as in C.
pub struct Item<T>(*mut Container<T>);
impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Item<T> {}
// SAFETY: the Linux objects are made for sharing, and the rest is atomic, constant or in `Arc`s.
unsafe impl<T> Send for Item<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Item<T> {}

/// A tasklet of `L`.
pub type Tasklet<L> = Item<<L as Linux>::Tasklet>;
/// A work of `L`.
pub type Work<L> = Item<<L as Linux>::Work>;
/// A delayed work of `L`.
pub type DelayedWork<L> = Item<<L as Linux>::DelayedWork>;

/// The function of every item. `Raw` is what Linux passes: the item, or its first member.
unsafe extern "C" fn run<T, Raw>(raw: *mut Raw) {
    let item = Item::<T>(raw.cast());
    // SAFETY: the Linux object is the first member, and an item that is to run is not freed.
    let (seen, exclusive, body) = unsafe {
        (
            Arc::clone(&(*item.0).seen),
            (*item.0).exclusive,
            &raw const (*item.0).body,
        )
    };
    let number = seen.runs.fetch_add(1, SeqCst) + 1;
    let inside = seen.inside.fetch_add(1, SeqCst) + 1;
    sim_assert!(
        inside == 1 || !exclusive,
        "the function runs {inside} times at once"
    );
    // SAFETY: the item is alive until its body frees it, and such a body does not return to it.
    unsafe { (*body)(item, number) };
    seen.inside.fetch_sub(1, SeqCst);
    seen.ended.fetch_add(1, SeqCst);
}

impl<T> Item<T> {
    fn alloc(item: T, exclusive: bool, body: impl Fn(Self, u32) + Send + Sync + 'static) -> Self {
        Self(world::pool::alloc(Container {
            item,
            seen: Arc::default(),
            exclusive,
            body: Box::new(body),
        }))
    }
    fn raw(self) -> *mut T {
        self.0.cast()
    }
    /// What it saw; valid also after `free`.
    pub fn seen(self) -> Arc<Seen> {
        // SAFETY: the item is alive.
        unsafe { Arc::clone(&(*self.0).seen) }
    }
    /// Runs that have begun.
    pub fn runs(self) -> u32 {
        self.seen().runs()
    }
    /// Waits until `count` runs have begun.
    pub fn wait_begun(self, count: u32) {
        let seen = self.seen();
        wait_until(|| seen.runs() >= count);
    }
    /// Fails the machine unless every run that began has ended.
    pub fn assert_not_running(self, call: &str) {
        let seen = self.seen();
        let ended = seen.ended();
        sim_assert_eq!(
            ended,
            seen.runs(),
            "{call} returned during a run (ended, begun)"
        );
    }
    /// Gives the memory back, as `kfree` does: any later touch is convicted.
    pub fn free(self) {
        // SAFETY: the scenario does not use it any more.
        unsafe { world::pool::free(self.0) };
    }
}

/// A tasklet that does `body`, with the number of the run from 1.
pub fn tasklet<L: Linux>(body: impl Fn(Tasklet<L>, u32) + Send + Sync + 'static) -> Tasklet<L> {
    setup::<L>(Item::alloc(L::tasklet(), false, body))
}

/// A tasklet that may not run twice at once.
pub fn exclusive_tasklet<L: Linux>(
    body: impl Fn(Tasklet<L>, u32) + Send + Sync + 'static,
) -> Tasklet<L> {
    setup::<L>(Item::alloc(L::tasklet(), true, body))
}

fn setup<L: Linux>(item: Tasklet<L>) -> Tasklet<L> {
    // SAFETY: fresh memory.
    unsafe { L::tasklet_setup(item.raw(), run::<L::Tasklet, L::Tasklet>) };
    item
}

/// A work that does `body`.
pub fn work<L: Linux>(body: impl Fn(Work<L>, u32) + Send + Sync + 'static) -> Work<L> {
    init_work::<L>(Item::alloc(L::work(), false, body))
}

/// A work that may not run twice at once.
pub fn exclusive_work<L: Linux>(body: impl Fn(Work<L>, u32) + Send + Sync + 'static) -> Work<L> {
    init_work::<L>(Item::alloc(L::work(), true, body))
}

fn init_work<L: Linux>(item: Work<L>) -> Work<L> {
    // SAFETY: fresh memory.
    unsafe { L::INIT_WORK(item.raw(), run::<L::Work, L::Work>) };
    item
}

/// A work's memory before its INIT_WORK.
pub fn raw_work<L: Linux>() -> Work<L> {
    Item::alloc(L::work(), false, |_, _| {})
}

/// INIT_WORK, in the context of the caller.
pub fn init<L: Linux>(work: Work<L>) {
    init_work::<L>(work);
}

/// A delayed work that does `body`.
pub fn delayed_work<L: Linux>(
    exclusive: bool,
    body: impl Fn(DelayedWork<L>, u32) + Send + Sync + 'static,
) -> DelayedWork<L> {
    let item = Item::alloc(L::delayed_work(), exclusive, body);
    // SAFETY: fresh memory.
    unsafe { L::INIT_DELAYED_WORK(item.raw(), run::<L::DelayedWork, L::Work>) };
    item
}

/// Writes the Linux calls on items as plain functions: scenarios keep their items alive, and free them only
/// where the scenario is about that.
macro_rules! calls {
    ($($item:ident { $($name:ident($($arg:ident: $type:ty)?) $(-> $result:ty)?;)* })*) => {$($(
        #[doc = concat!("Linux: `", stringify!($name), "`.")]
        pub fn $name<L: Linux>(item: $item<L> $(, $arg: $type)?) $(-> $result)? {
            // SAFETY: the item is initialised and alive in every scenario.
            unsafe { L::$name(item.raw() $(, $arg)?) }
        }
    )*)*};
}
calls! {
    Tasklet { tasklet_schedule(); tasklet_kill(); tasklet_disable(); tasklet_enable(); }
    Work { schedule_work() -> bool; flush_work() -> bool; cancel_work_sync() -> bool; }
    DelayedWork {
        schedule_delayed_work(delay: u64) -> bool;
        mod_delayed_work(delay: u64) -> bool;
        cancel_delayed_work() -> bool;
        cancel_delayed_work_sync() -> bool;
    }
}

/// Sleeps until `condition` holds. The machine's limits bound it.
pub fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        world::sleep_100ns(JIFFY_100NS / 4);
    }
}

/// Sleeps for so many jiffies.
pub fn sleep_jiffies(jiffies: u64) {
    world::sleep_100ns(jiffies * JIFFY_100NS);
}

/// A bounded number of points at which others may go on; what a busy function at DISPATCH_LEVEL is.
pub fn compute(points: u32) {
    for _ in 0..points {
        kmdf_mock::sync::preempt();
    }
}

/// Polls until `condition` holds, without giving the CPU away: for what may be over soon.
pub fn poll_until(condition: impl Fn() -> bool) {
    while !condition() {
        kmdf_mock::sync::preempt();
    }
}
