//! The bound in real time: a context that runs without ever reaching a preemption point.
//!
//! The scheduler cannot interrupt a context. Code that loops on something the simulation does not see (an atomic
//! of `core`, a lock of the standard library that another context holds) would hang the test; a monitor thread
//! names the world instead and ends the process.

use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The exit status of a process with a context that never reaches a preemption point.
const STATUS: i32 = 113;
/// Real seconds between two preemption points; the environment variable of this name changes it, 0 means for
/// ever.
const VARIABLE: &str = "KMDF_MOCK_HANG_SECONDS";
const DEFAULT_SECONDS: u64 = 60;
/// Looks of the monitor per bound.
const LOOKS: u32 = 4;

/// What the monitor knows of a running world.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: AtomicU64,
    replay: String,
}

impl Pulse {
    /// The world passed a preemption point.
    pub(super) fn beat(&self) {
        self.beats
            .store(self.beats.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// Worlds that run now, with the beats that the monitor saw last and for how many looks.
type Watched = Vec<(Arc<Pulse>, u64, u32)>;

static WATCHED: Mutex<Watched> = Mutex::new(Vec::new());

/// Watches a world until the guard is dropped.
pub(super) fn watch(replay: &str) -> Watch {
    let pulse = Arc::new(Pulse {
        beats: AtomicU64::new(0),
        replay: replay.to_owned(),
    });
    static MONITOR: OnceLock<()> = OnceLock::new();
    MONITOR.get_or_init(start);
    lock().push((Arc::clone(&pulse), 0, 0));
    Watch { pulse }
}

/// A world under watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) pulse: Arc<Pulse>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock().retain(|(pulse, ..)| !Arc::ptr_eq(pulse, &self.pulse));
    }
}

fn lock() -> std::sync::MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start() {
    let seconds = std::env::var(VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(DEFAULT_SECONDS);
    if seconds == 0 {
        return;
    }
    let period = Duration::from_secs(seconds) / LOOKS;
    std::thread::Builder::new()
        .name("kmdf-mock monitor".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(period);
                lock().iter_mut().for_each(look);
            }
        })
        .expect("kmdf-mock: the operating system has no more threads");
}

fn look((pulse, last, looks): &mut (Arc<Pulse>, u64, u32)) {
    let beats = pulse.beats.load(Ordering::Relaxed);
    *looks = if beats == *last { *looks + 1 } else { 0 };
    *last = beats;
    if *looks > LOOKS {
        let _ = writeln!(
            std::io::stderr(),
            "{}\nSIM_HANG: a context runs without reaching a preemption point ({VARIABLE} bounds it)",
            pulse.replay
        );
        // SAFETY: ending the process at once is what a bug check does.
        unsafe { libc::_exit(STATUS) }
    }
}
