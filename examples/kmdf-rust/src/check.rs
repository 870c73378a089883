//! The promises of bottomhalf, one check for each. It does not matter who calls [`run`], as long as it is at
//! PASSIVE_LEVEL and nothing of the image is attached.

use alloc::string::String;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, WorkReentrance, Workqueue, attach};
use wdk_sys::{_MODE, FALSE, LARGE_INTEGER, ntddk};

/// What the checks have found: a line for each, and the sum.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

/// A promise that is not kept: what was seen instead.
type Checked = Result<(), &'static str>;

const CHECKS: [(&str, fn() -> Checked); 12] = [
    ("tasklet_once", tasklet_once),
    ("tasklet_never_parallel", tasklet_never_parallel),
    ("tasklet_kill", tasklet_kill_waits),
    ("work_once", work_once),
    ("work_requeues_itself", work_requeues_itself),
    ("flush_waits", flush_waits),
    ("cancel_sync_waits", cancel_sync_waits),
    ("delayed_never_early", delayed_never_early),
    ("delayed_mod_and_cancel", delayed_mod_and_cancel),
    ("ordered_in_order", ordered_in_order),
    ("destroy_drains", destroy_drains),
    ("closure_runs", closure_runs),
];

/// Attaches, runs every check, and detaches.
pub(crate) fn run(host: Host) -> Report {
    let mut report = Report {
        text: String::new(),
        passed: 0,
        failed: 0,
    };
    match attached(host) {
        Ok(attachment) => {
            for (name, check) in CHECKS {
                report.add(name, check());
            }
            report.add("removal_under_load", removal_under_load(host, attachment));
        }
        Err(what) => report.add("attach", Err(what)),
    }
    let _ = writeln!(
        report.text,
        "{} passed, {} failed",
        report.passed, report.failed
    );
    report
}

impl Report {
    fn add(&mut self, name: &str, checked: Checked) {
        let written = match checked {
            Ok(()) => {
                self.passed += 1;
                writeln!(self.text, "PASS {name}")
            }
            Err(what) => {
                self.failed += 1;
                writeln!(self.text, "FAIL {name} {what}")
            }
        };
        // Writing to a string cannot fail.
        let _ = written;
    }
}

fn attached(host: Host) -> Result<Attachment, &'static str> {
    let config = Config::new(WorkReentrance::NonReentrant);
    // SAFETY: the handle is the driver's, which outlives this call, and so the attachment.
    unsafe { attach(host, &config) }.map_err(|_| "attach failed")
}

fn expect(kept: bool, otherwise: &'static str) -> Checked {
    if kept { Ok(()) } else { Err(otherwise) }
}

/// Sleeps.
fn sleep_ms(ms: i64) {
    let mut interval = LARGE_INTEGER {
        QuadPart: -ms * 10_000,
    };
    // SAFETY: at PASSIVE_LEVEL; the interval outlives the call.
    let _status = unsafe {
        ntddk::KeDelayExecutionThread(_MODE::KernelMode as i8, FALSE as u8, &mut interval)
    };
}

/// Waits until something is so, for five seconds at most. Whether it is.
fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..5_000 {
        if is_so() {
            return true;
        }
        sleep_ms(1);
    }
    is_so()
}

/// The address of a static item, as C writes `&item`. Statics stay in place, and are initialised where they are
/// declared: that is what the calls below ask for.
macro_rules! item {
    ($item:ident) => {
        (&raw const $item).cast_mut()
    };
}

/// How often something ran, and how many ran at once.
struct Runs {
    begun: AtomicU32,
    inside: AtomicU32,
    most: AtomicU32,
}

impl Runs {
    const fn new() -> Self {
        Self {
            begun: AtomicU32::new(0),
            inside: AtomicU32::new(0),
            most: AtomicU32::new(0),
        }
    }

    /// From zero again.
    fn reset(&self) {
        for count in [&self.begun, &self.inside, &self.most] {
            count.store(0, SeqCst);
        }
    }

    /// One run. Returns which, from 1.
    fn count(&self, during: impl FnOnce()) -> u32 {
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(inside, SeqCst);
        let run = self.begun.fetch_add(1, SeqCst) + 1;
        during();
        self.inside.fetch_sub(1, SeqCst);
        run
    }

    fn begun(&self) -> u32 {
        self.begun.load(SeqCst)
    }
}

fn stall_us(us: u32) {
    // SAFETY: no condition; a short time.
    unsafe { ntddk::KeStallExecutionProcessor(us) };
}

static ONCE: tasklet_struct = DECLARE_TASKLET(once);
static ONCE_RUNS: Runs = Runs::new();

unsafe extern "C" fn once(_: *mut tasklet_struct) {
    ONCE_RUNS.count(|| ());
}

/// A tasklet that is scheduled runs once, and once if it is scheduled twice before that.
fn tasklet_once() -> Checked {
    ONCE_RUNS.reset();
    local_bh_disable();
    // SAFETY: see `item!`.
    unsafe {
        tasklet_schedule(item!(ONCE));
        tasklet_schedule(item!(ONCE));
    }
    let early = ONCE_RUNS.begun();
    local_bh_enable();
    expect(early == 0, "it ran while bottom halves were disabled")?;
    expect(soon(|| ONCE_RUNS.begun() > 0), "it did not run")?;
    sleep_ms(20);
    expect(ONCE_RUNS.begun() == 1, "scheduled twice, it ran twice")?;
    // SAFETY: see `item!`.
    unsafe { tasklet_schedule(item!(ONCE)) };
    expect(soon(|| ONCE_RUNS.begun() == 2), "it did not run again")
}

const LOADERS: usize = 4;
static LOADED: tasklet_struct = DECLARE_TASKLET(loaded);
static LOADED_RUNS: Runs = Runs::new();
static LOADERS_WORK: [work_struct; LOADERS] = [const { DECLARE_WORK(load) }; LOADERS];

unsafe extern "C" fn loaded(_: *mut tasklet_struct) {
    LOADED_RUNS.count(|| stall_us(2));
}

unsafe extern "C" fn load(_: *mut work_struct) {
    for _ in 0..100 {
        // SAFETY: see `item!`.
        unsafe { tasklet_schedule(item!(LOADED)) };
        stall_us(1);
    }
}

/// A tasklet never runs on two processors at once, whoever schedules it.
fn tasklet_never_parallel() -> Checked {
    LOADED_RUNS.reset();
    let queue = alloc_workqueue(c"check-load", WQ_UNBOUND, 0);
    expect(!queue.is_null(), "no memory")?;
    for work in &LOADERS_WORK {
        // SAFETY: a static work; the queue was just made.
        unsafe { queue_work(queue, (&raw const *work).cast_mut()) };
    }
    // SAFETY: the queue was made above, and this is its end; see `item!`.
    unsafe {
        destroy_workqueue(queue);
        tasklet_kill(item!(LOADED));
    }
    expect(LOADED_RUNS.begun() > 0, "it did not run")?;
    expect(
        LOADED_RUNS.most.load(SeqCst) == 1,
        "it ran on two processors at once",
    )
}

static KILLED: tasklet_struct = DECLARE_TASKLET(killed);
static KILLED_DONE: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn killed(_: *mut tasklet_struct) {
    stall_us(200);
    KILLED_DONE.store(true, SeqCst);
}

/// When tasklet_kill returns, what was scheduled has run to its end.
fn tasklet_kill_waits() -> Checked {
    KILLED_DONE.store(false, SeqCst);
    // SAFETY: see `item!`.
    unsafe {
        tasklet_schedule(item!(KILLED));
        tasklet_kill(item!(KILLED));
    }
    expect(KILLED_DONE.load(SeqCst), "it had not ended")
}

static GATE: work_struct = DECLARE_WORK(gate);
static GATE_OPEN: AtomicBool = AtomicBool::new(false);
static BEHIND: work_struct = DECLARE_WORK(behind);
static BEHIND_RUNS: Runs = Runs::new();

/// Holds an ordered queue until it is opened.
unsafe extern "C" fn gate(_: *mut work_struct) {
    soon(|| GATE_OPEN.load(SeqCst));
}

unsafe extern "C" fn behind(_: *mut work_struct) {
    BEHIND_RUNS.count(|| ());
}

/// A work that is queued runs once, and once if it is queued twice before that; a cancelled one does not run.
fn work_once() -> Checked {
    BEHIND_RUNS.reset();
    GATE_OPEN.store(false, SeqCst);
    let queue = alloc_ordered_workqueue(c"check-once", 0);
    expect(!queue.is_null(), "no memory")?;
    // SAFETY: the queue was just made and ends here; see `item!`.
    let (first, second, cancelled, again, ran) = unsafe {
        queue_work(queue, item!(GATE));
        let first = queue_work(queue, item!(BEHIND));
        let cancelled = cancel_work_sync(item!(BEHIND));
        let again = queue_work(queue, item!(BEHIND));
        let second = queue_work(queue, item!(BEHIND));
        GATE_OPEN.store(true, SeqCst);
        flush_workqueue(queue);
        let ran = BEHIND_RUNS.begun();
        destroy_workqueue(queue);
        (first, second, cancelled, again, ran)
    };
    expect(first && again, "queue_work refused an idle work")?;
    expect(!second, "queue_work took a pending work")?;
    expect(cancelled, "cancel_work_sync did not find a pending work")?;
    expect(ran == 1, "it did not run exactly once")
}

static AGAIN: work_struct = DECLARE_WORK(again);
static AGAIN_RUNS: Runs = Runs::new();
const AGAIN_TIMES: u32 = 10;

unsafe extern "C" fn again(work: *mut work_struct) {
    AGAIN_RUNS.count(|| {
        if AGAIN_RUNS.begun() < AGAIN_TIMES {
            // SAFETY: see `item!`.
            unsafe { schedule_work(work) };
            stall_us(20);
        }
    });
}

/// A work that queues itself while it runs runs again, and never in parallel with itself.
fn work_requeues_itself() -> Checked {
    AGAIN_RUNS.reset();
    // SAFETY: see `item!`.
    unsafe { schedule_work(item!(AGAIN)) };
    expect(
        soon(|| AGAIN_RUNS.begun() == AGAIN_TIMES),
        "it did not run ten times",
    )?;
    // SAFETY: see `item!`.
    let pending = unsafe { cancel_work_sync(item!(AGAIN)) };
    expect(!pending, "it was queued once more")?;
    expect(
        AGAIN_RUNS.most.load(SeqCst) == 1,
        "it ran in parallel with itself",
    )
}

static SLOW: work_struct = DECLARE_WORK(slow);
static SLOW_BEGUN: AtomicBool = AtomicBool::new(false);
static SLOW_DONE: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn slow(_: *mut work_struct) {
    SLOW_BEGUN.store(true, SeqCst);
    sleep_ms(20);
    SLOW_DONE.store(true, SeqCst);
}

/// Queues the slow work and waits until it runs.
fn begin_slow() -> Checked {
    SLOW_BEGUN.store(false, SeqCst);
    SLOW_DONE.store(false, SeqCst);
    // SAFETY: see `item!`.
    unsafe { schedule_work(item!(SLOW)) };
    expect(soon(|| SLOW_BEGUN.load(SeqCst)), "it did not run")
}

/// When flush_work returns, the work has ended.
fn flush_waits() -> Checked {
    begin_slow()?;
    // SAFETY: see `item!`.
    unsafe { flush_work(item!(SLOW)) };
    expect(SLOW_DONE.load(SeqCst), "it had not ended")?;
    // SAFETY: see `item!`.
    let waited = unsafe { flush_work(item!(SLOW)) };
    expect(!waited, "flush_work says that an idle work was not idle")
}

/// When cancel_work_sync returns, the work does not run.
fn cancel_sync_waits() -> Checked {
    begin_slow()?;
    // SAFETY: see `item!`.
    let pending = unsafe { cancel_work_sync(item!(SLOW)) };
    expect(SLOW_DONE.load(SeqCst), "it had not ended")?;
    expect(!pending, "a running work was called pending")
}

static LATER: delayed_work = DECLARE_DELAYED_WORK(later);
static LATER_RUNS: Runs = Runs::new();
static LATER_AT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn later(_: *mut work_struct) {
    LATER_AT.store(jiffies(), SeqCst);
    LATER_RUNS.count(|| ());
}

/// A delayed work never runs before its time.
fn delayed_never_early() -> Checked {
    for ms in [0, 1, 10, 50] {
        LATER_RUNS.reset();
        let delay = msecs_to_jiffies(ms);
        let due = jiffies() + delay;
        // SAFETY: see `item!`.
        let taken = unsafe { schedule_delayed_work(item!(LATER), delay) };
        expect(taken, "an idle delayed work was refused")?;
        expect(soon(|| LATER_RUNS.begun() > 0), "it did not run")?;
        expect(
            time_after_eq(LATER_AT.load(SeqCst), due),
            "it ran too early",
        )?;
        // SAFETY: see `item!`.
        unsafe { flush_delayed_work(item!(LATER)) };
    }
    Ok(())
}

/// mod_delayed_work moves the time, and cancel_delayed_work_sync takes the work back.
fn delayed_mod_and_cancel() -> Checked {
    LATER_RUNS.reset();
    // SAFETY: see `item!`.
    unsafe {
        schedule_delayed_work(item!(LATER), secs_to_jiffies(3_600));
        let moved = mod_delayed_work(system_wq(), item!(LATER), msecs_to_jiffies(10));
        expect(moved, "mod_delayed_work did not find an armed one")?;
        expect(soon(|| LATER_RUNS.begun() > 0), "it did not run")?;
        flush_delayed_work(item!(LATER));
        schedule_delayed_work(item!(LATER), msecs_to_jiffies(20));
        let taken = cancel_delayed_work_sync(item!(LATER));
        expect(taken, "cancel_delayed_work_sync did not find an armed one")?;
    }
    sleep_ms(60);
    expect(LATER_RUNS.begun() == 1, "a cancelled one ran")
}

const MANY: usize = 16;
static IN_ORDER: [work_struct; MANY] = [const { DECLARE_WORK(in_order) }; MANY];
static NEXT: AtomicU32 = AtomicU32::new(0);
static OUT_OF_ORDER: AtomicBool = AtomicBool::new(false);

unsafe extern "C" fn in_order(work: *mut work_struct) {
    let first = (&raw const IN_ORDER).cast::<work_struct>();
    let index = (work as usize - first as usize) / size_of::<work_struct>();
    if NEXT.fetch_add(1, SeqCst) as usize != index {
        OUT_OF_ORDER.store(true, SeqCst);
    }
}

/// Queues all of them, behind the closed gate, and returns the queue.
fn many(name: &core::ffi::CStr) -> Result<*mut workqueue_struct, &'static str> {
    NEXT.store(0, SeqCst);
    OUT_OF_ORDER.store(false, SeqCst);
    GATE_OPEN.store(false, SeqCst);
    let queue = alloc_ordered_workqueue(name, 0);
    expect(!queue.is_null(), "no memory")?;
    // SAFETY: the queue was just made; see `item!`.
    unsafe {
        queue_work(queue, item!(GATE));
        for work in &IN_ORDER {
            queue_work(queue, (&raw const *work).cast_mut());
        }
    }
    Ok(queue)
}

/// The works of an ordered queue run one after the other, as they were queued.
fn ordered_in_order() -> Checked {
    let queue = many(c"check-order")?;
    let early = NEXT.load(SeqCst);
    GATE_OPEN.store(true, SeqCst);
    // SAFETY: the queue was made above, and this is its end.
    unsafe {
        flush_workqueue(queue);
        destroy_workqueue(queue);
    }
    expect(early == 0, "one ran while another did")?;
    expect(NEXT.load(SeqCst) as usize == MANY, "not all ran")?;
    expect(!OUT_OF_ORDER.load(SeqCst), "they ran out of order")
}

/// destroy_workqueue returns when everything that was queued has run.
fn destroy_drains() -> Checked {
    let queue = many(c"check-destroy")?;
    GATE_OPEN.store(true, SeqCst);
    // SAFETY: the queue was made above, and this is its end.
    unsafe { destroy_workqueue(queue) };
    expect(NEXT.load(SeqCst) as usize == MANY, "not all had run")
}

static CLOSURES: AtomicU32 = AtomicU32::new(0);

/// A closure is a work of its own, in memory of the pool.
fn closure_runs() -> Checked {
    CLOSURES.store(0, SeqCst);
    for add in [1, 10, 100] {
        let spawned = Workqueue::system().try_spawn(move || {
            CLOSURES.fetch_add(add, SeqCst);
        });
        expect(spawned.is_ok(), "it was refused")?;
    }
    expect(soon(|| CLOSURES.load(SeqCst) == 111), "not all ran")
}

static BUSY_TASKLET: tasklet_struct = DECLARE_TASKLET(busy_tasklet);
static BUSY_WORK: work_struct = DECLARE_WORK(busy_work);
static BUSY_LATER: delayed_work = DECLARE_DELAYED_WORK(busy_later);
static BUSY: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn busy_tasklet(_: *mut tasklet_struct) {
    BUSY.fetch_add(1, SeqCst);
    // SAFETY: see `item!`.
    unsafe { schedule_work(item!(BUSY_WORK)) };
}

unsafe extern "C" fn busy_work(work: *mut work_struct) {
    BUSY.fetch_add(1, SeqCst);
    // SAFETY: see `item!`.
    unsafe {
        tasklet_schedule(item!(BUSY_TASKLET));
        schedule_work(work);
    }
}

unsafe extern "C" fn busy_later(_: *mut work_struct) {
    BUSY.fetch_add(1, SeqCst);
    // SAFETY: see `item!`.
    unsafe { schedule_delayed_work(item!(BUSY_LATER), 1) };
}

/// Whatever is queued, and goes on queueing itself, has ended when detach returns; and the image can be attached
/// again.
fn removal_under_load(host: Host, first: Attachment) -> Checked {
    let mut attachment = first;
    for _ in 0..3 {
        let before = BUSY.load(SeqCst);
        // SAFETY: see `item!`.
        unsafe {
            tasklet_schedule(item!(BUSY_TASKLET));
            schedule_work(item!(BUSY_WORK));
            schedule_delayed_work(item!(BUSY_LATER), 1);
        }
        let busy = soon(|| BUSY.load(SeqCst).wrapping_sub(before) > 20);
        attachment.detach();
        let after = BUSY.load(SeqCst);
        sleep_ms(20);
        let quiet = BUSY.load(SeqCst) == after;
        attachment = attached(host)?;
        expect(busy, "there was no load")?;
        expect(quiet, "something ran after detach")?;
    }
    attachment.detach();
    Ok(())
}
