//! The live engine: OS threads in real time.
//!
//! A thread of the world is an OS thread. A virtual CPU is a dispatch lock, a device lock and a thread that
//! drains its DPC queue. Raising the IRQL to DISPATCH_LEVEL takes the dispatch lock of the thread's CPU,
//! raising it further takes the device lock too; lowering it drains the DPC queue first. Threads below
//! DISPATCH_LEVEL run in parallel whatever their CPU: more interleavings than a machine has, not fewer.
//!
//! A failure prints its report and ends the process with status 111.

mod cpu;
mod lock;
mod thread;
mod watchdog;

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::rng::Rng;
use crate::engine::{Engine, Entry, ThreadId};
use crate::nt::state::{Kind, NtState};
use crate::world::config::Config;
use crate::world::state::World;

use cpu::Cpu;
use thread::Parker;

/// The exit status of a process whose world has failed.
const STATUS: i32 = 111;
/// Ticks that a machine has been up when its world begins.
const UPTIME_TICKS: u64 = 1_000;
/// Time at DISPATCH_LEVEL after which `KeShouldYieldProcessor` says yes (D-25).
const YIELD_AFTER: Duration = Duration::from_micros(100);
/// Between two looks of `settle`.
const POLL: Duration = Duration::from_micros(200);
/// Quiet looks in a row that count as settled.
const QUIET: u32 = 5;
/// How long a world that ends waits for its threads to leave.
const LEAVE: Duration = Duration::from_secs(2);

thread_local! {
    static ID: Cell<ThreadId> = const { Cell::new(ThreadId::MAX) };
    static CPU: Cell<u32> = const { Cell::new(0) };
    static IRQL: Cell<u8> = const { Cell::new(0) };
    static AFFINITY: Cell<u64> = const { Cell::new(0) };
    /// When this thread's IRQL last rose from below DISPATCH_LEVEL.
    static HIGH_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether this thread holds the dispatch lock of its CPU: not in an interrupt.
    static HAS_DISPATCH: Cell<bool> = const { Cell::new(false) };
}

/// The live engine of one world.
pub(crate) struct Live {
    began: Instant,
    tick: u64,
    cpus: Vec<Cpu>,
    parkers: Mutex<Vec<Arc<Parker>>>,
    alarm: Mutex<u64>,
    alarm_changed: Condvar,
    choices: AtomicU64,
    stopping: AtomicBool,
    /// OS threads of the world that have not left it.
    alive: AtomicUsize,
}

impl Live {
    /// An engine for the world of `config`.
    pub(crate) fn new(config: &Config) -> Self {
        let entropy = RandomState::new().build_hasher().finish();
        Self {
            began: Instant::now(),
            tick: u64::from(config.tick),
            cpus: (0..config.max_cpus).map(|_| Cpu::default()).collect(),
            parkers: Mutex::default(),
            alarm: Mutex::new(u64::MAX),
            alarm_changed: Condvar::new(),
            choices: AtomicU64::new(entropy),
            stopping: AtomicBool::new(false),
            alive: AtomicUsize::new(0),
        }
    }

    fn parker(&self, thread: ThreadId) -> Arc<Parker> {
        let mut parkers = self.parkers.lock().unwrap_or_else(PoisonError::into_inner);
        while parkers.len() <= thread {
            parkers.push(Arc::default());
        }
        Arc::clone(&parkers[thread])
    }

    fn instant(&self, time: u64) -> Instant {
        let since = time.saturating_sub(self.tick * UPTIME_TICKS);
        self.began + Duration::from_nanos(since.saturating_mul(100))
    }

    fn drain_here(&self, w: &World) {
        self.set_irql(w, 2);
        self.set_irql(w, 0);
    }

    /// Takes the dispatch lock of this thread's CPU, or of another one that it may run on if that is free and
    /// its own is not.
    fn take_dispatch(&self) {
        let own = CPU.get();
        if !self.cpus[own as usize].dispatch.try_lock() {
            let others = (0..self.cpus.len() as u32).filter(|cpu| AFFINITY.get() & (1 << cpu) != 0);
            match others
                .into_iter()
                .find(|&cpu| self.cpus[cpu as usize].dispatch.try_lock())
            {
                Some(cpu) => CPU.set(cpu),
                None => self.cpus[own as usize].dispatch.lock(),
            }
        }
        HAS_DISPATCH.set(true);
        HIGH_SINCE.set(Some(Instant::now()));
        self.cpus[CPU.get() as usize]
            .since
            .note_dispatch(self.now());
    }

    /// Whether nothing of the world runs but the calling thread.
    fn is_quiet(&self, w: &World) -> bool {
        let me = ID.get();
        let now = self.now();
        w.nt.with(|nt| {
            let NtState {
                threads,
                cpus,
                timers,
                work,
                ..
            } = nt;
            let blocked = threads.iter().enumerate().all(|(id, thread)| {
                let waits = thread.waiting.is_some() && thread.wait_status.is_none();
                id == me || thread.finished || thread.kind == Kind::Idle || waits
            });
            let halted = cpus.iter().all(|cpu| {
                cpu.dpcs.is_empty()
                    && cpu.expired.is_empty()
                    && cpu.running.is_none()
                    && cpu.asserted.is_empty()
            });
            let due = timers.next().is_some_and(|due| due <= now);
            blocked && halted && !due && work.waiting() == 0
        }) && !self.cpus.iter().any(Cpu::in_interrupt)
    }

    /// Lets the service threads and the idle workers leave. True: every OS thread of the world has left.
    pub(crate) fn leave(&self) -> bool {
        self.stopping.store(true, Ordering::SeqCst);
        self.cpus.iter().for_each(Cpu::notify);
        self.alarm_changed.notify_all();
        for parker in self
            .parkers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            parker.wake();
        }
        let end = Instant::now() + LEAVE;
        while self.alive.load(Ordering::SeqCst) > 0 {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }
}

/// A time of the world on the clock of the host.
fn duration(time_100ns: u64) -> Duration {
    Duration::from_nanos(time_100ns.saturating_mul(100))
}

/// Moves the current thread, which holds no CPU, if its affinity excludes the one it is on.
fn leave_forbidden_cpu() {
    let affinity = AFFINITY.get();
    if affinity & (1 << CPU.get()) == 0 {
        CPU.set(affinity.trailing_zeros());
    }
}

impl Engine for Live {
    fn as_live(&self) -> Option<&Live> {
        Some(self)
    }

    fn preempt(&self, w: &World) {
        if IRQL.get() < 2 && self.cpus[CPU.get() as usize].wants_drain() {
            let irql = IRQL.get();
            self.drain_here(w);
            IRQL.set(irql);
        }
        if self.cpus[CPU.get() as usize].has_interrupt() {
            self.serve_interrupts_here(w);
        }
    }

    fn spin(&self, _w: &World, _lock: usize) {
        std::hint::spin_loop();
        std::thread::yield_now();
    }

    fn unlocked(&self, _w: &World, _lock: usize) {
        // Who spins sees it.
    }

    fn cpu(&self) -> u32 {
        CPU.get()
    }

    fn irql(&self) -> u8 {
        IRQL.get()
    }

    fn thread(&self) -> ThreadId {
        ID.get()
    }

    fn set_irql(&self, w: &World, irql: u8) {
        let old = IRQL.get();
        if old < 2 && irql >= 2 {
            self.take_dispatch();
        }
        let cpu = &self.cpus[CPU.get() as usize];
        if old < 3 && irql >= 3 {
            cpu.device.lock();
        }
        if old >= 3 && irql < 3 {
            IRQL.set(2);
            cpu.device.unlock();
        }
        if HAS_DISPATCH.get() && irql < 2 {
            cpu.drain(w);
            HAS_DISPATCH.set(false);
            cpu.since.note_dispatch(0);
            cpu.dispatch.unlock();
            cpu.notify_if_wanted();
            leave_forbidden_cpu();
        }
        IRQL.set(irql);
    }

    fn start(&self, w: &World, id: ThreadId, entry: Entry) {
        self.start_thread(w, id, entry);
    }

    fn exit(&self, _w: &World) -> ! {
        thread::leave_for_good()
    }

    fn block(&self, w: &World, until: Option<u64>) {
        assert!(
            IRQL.get() < 2,
            "kmdf-mock: a context blocks at IRQL {}",
            IRQL.get()
        );
        self.preempt(w);
        self.parker(ID.get())
            .park(until.map(|until| self.instant(until)));
    }

    fn wake(&self, _w: &World, thread: ThreadId) {
        self.parker(thread).wake();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    fn move_to_affinity(&self, w: &World) {
        let affinity = w.nt.with(|nt| nt.threads[ID.get()].affinity);
        AFFINITY.set(affinity);
        if IRQL.get() < 2 {
            leave_forbidden_cpu();
        }
    }

    fn affinities_changed(&self, w: &World) {
        // The other threads learn it when they next ask for an affinity of their own.
        self.move_to_affinity(w);
    }

    fn request_drain(&self, _w: &World, cpu: u32) {
        let target = &self.cpus[cpu as usize];
        target.want_drain();
        let served_here =
            cpu == CPU.get() && ID.get() != ThreadId::MAX && (IRQL.get() < 2 || HAS_DISPATCH.get());
        if !served_here {
            target.notify();
        }
    }

    fn request_interrupt(&self, _w: &World, cpu: u32) {
        self.cpus[cpu as usize].want_interrupt();
        self.start_interrupt_thread(cpu);
        self.cpus[cpu as usize].notify();
    }

    fn now(&self) -> u64 {
        self.tick * UPTIME_TICKS + (self.began.elapsed().as_nanos() / 100) as u64
    }

    fn last_tick(&self) -> u64 {
        self.now() / self.tick * self.tick
    }

    fn alarm(&self, _w: &World, at: u64) {
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if at < *alarm {
            *alarm = at;
            self.alarm_changed.notify_all();
        }
    }

    fn burn(&self, w: &World, time: u64) {
        let end = Instant::now() + duration(time);
        while Instant::now() < end {
            self.preempt(w);
            std::hint::spin_loop();
        }
    }

    fn priority_changed(&self, _w: &World, _thread: ThreadId) {
        // The host schedules its threads as it likes.
    }

    fn settle(&self, w: &World) {
        let mut quiet = 0;
        while quiet < QUIET {
            self.preempt(w);
            for cpu in 0..self.cpus.len() as u32 {
                if w.nt.with(|nt| !nt.cpus[cpu as usize].dpcs.is_empty()) {
                    self.request_drain(w, cpu);
                }
            }
            std::thread::sleep(POLL);
            quiet = if self.is_quiet(w) { quiet + 1 } else { 0 };
        }
    }

    fn choose(&self, n: u32) -> u32 {
        let state = self
            .choices
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        Rng::new(state).below(n)
    }

    fn should_yield(&self, w: &World) -> bool {
        let limit = w.config.yield_after.map_or(YIELD_AFTER, duration);
        IRQL.get() >= 2
            && HIGH_SINCE
                .get()
                .is_some_and(|since| since.elapsed() > limit)
    }

    fn watchdog_left(&self, w: &World) -> (u64, u64) {
        self.limits_left(w)
    }

    fn routine(&self, w: &World, begins: bool) {
        self.note_routine(w, begins);
    }

    fn stop(&self, w: &World) -> ! {
        if let Some(failure) = w.failure.with(|failure| failure.clone()) {
            // Straight to the file: the process ends before the test harness shows what it captured.
            let _ = writeln!(std::io::stderr(), "{failure}");
        }
        // SAFETY: ending the process at once is what a bug check does.
        unsafe { libc::_exit(STATUS) }
    }
}
