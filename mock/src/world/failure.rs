//! Why a run failed.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crate::world::state::{World, current, try_current};

/// Trace lines that a report shows.
const TAIL: usize = 40;

/// Why a run failed: NT's name for it, and what led there.
#[derive(Clone)]
pub struct Failure {
    code: String,
    message: String,
    replay: String,
    notes: Vec<String>,
    trace: Vec<String>,
}

impl Failure {
    /// A failure of `w` as it is now.
    pub(crate) fn new(w: &World, code: &str, message: String, notes: Vec<String>) -> Self {
        let names: Vec<String> = w.nt.with(|nt| {
            nt.threads
                .iter()
                .map(|thread| thread.name.clone())
                .collect()
        });
        let name = |id: usize| {
            names
                .get(id)
                .cloned()
                .unwrap_or_else(|| format!("thread {id}"))
        };
        Self {
            code: code.to_owned(),
            message,
            replay: w.replay.clone(),
            notes,
            trace: w.trace.with(|trace| trace.tail(TAIL, name)),
        }
    }

    /// The name of the failure, e.g. `WDF_VIOLATION(0x10D,5)`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What went wrong, in a sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The command line that runs the same world again.
    pub fn replay(&self) -> &str {
        &self.replay
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.replay)?;
        write!(f, "{}: {}", self.code, self.message)?;
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        if !self.trace.is_empty() {
            write!(f, "\nlast events (step, CPU, IRQL, thread):")?;
        }
        for line in &self.trace {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Failure {}

/// Records a failure of the current world and stops the calling context for good. Never unwinds.
///
/// # Panics
/// Outside a world.
pub fn fail(code: &str, message: String) -> ! {
    let w = current();
    let notes = PROGRAM
        .get()
        .map_or_else(Vec::new, |program| (program.notes)());
    record(w, code, message, notes);
    w.engine.stop(w)
}

/// Records the first failure of a world.
pub(crate) fn record(w: &World, code: &str, message: String, notes: Vec<String>) {
    let failure = Failure::new(w, code, message, notes);
    w.failure.with(|first| {
        first.get_or_insert(failure);
    });
    w.failed.store(true, Ordering::Relaxed);
}

/// What `sim_assert!` calls: fails the world, or panics outside one.
#[doc(hidden)]
#[track_caller]
pub fn assertion_failed(message: String) -> ! {
    if try_current().is_some() {
        let place = std::panic::Location::caller();
        fail(
            "ASSERT",
            format!("{message} ({}:{})", place.file(), place.line()),
        )
    }
    panic!("{message}")
}

thread_local! {
    /// The seed that `seeds` runs now: the one that replays, whatever the test makes of it.
    static OUTER_SEED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Sets the seed that replay lines name, and returns the one before.
pub(crate) fn set_outer_seed(seed: Option<u64>) -> Option<u64> {
    OUTER_SEED.replace(seed)
}

/// What a program other than a test says about the failures of its worlds.
#[derive(Debug)]
pub struct Program {
    /// The first line of a report: what runs the same world again.
    pub replay: String,
    /// Called where a driver's call fails, on the stack of the call: what the report says about the place.
    pub notes: fn() -> Vec<String>,
}

static PROGRAM: OnceLock<Program> = OnceLock::new();

/// Describes the program, before its first world. The first description counts.
pub fn describe_program(program: Program) {
    PROGRAM.get_or_init(|| program);
}

/// The command line that runs the current test again with its seed; of a program that cargo does not run, its own.
pub(crate) fn replay_line(seed: Option<u64>) -> String {
    if let Some(program) = PROGRAM.get() {
        return program.replay.clone();
    }
    let mut line = String::from("replay: ");
    if let Some(seed) = OUTER_SEED.get().or(seed) {
        line.push_str(&format!("KMDF_MOCK_SEED={seed} "));
    }
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    if package.is_empty() && !is_made_for_tests() {
        line.push_str(&std::env::args().collect::<Vec<_>>().join(" "));
        return line;
    }
    line.push_str("cargo test");
    if !package.is_empty() {
        line.push_str(&format!(" -p {package}"));
    }
    match test_binary() {
        Some(name) if name == package.replace('-', "_") => line.push_str(" --lib"),
        Some(name) => line.push_str(&format!(" --test {name}")),
        None => {}
    }
    match std::thread::current().name() {
        Some(name) if name != "main" => line.push_str(&format!(" {name} -- --exact")),
        Some(_) | None => {}
    }
    line
}

/// Whether cargo has made this program as a test: it lies among the dependencies.
fn is_made_for_tests() -> bool {
    let path = std::env::current_exe().unwrap_or_default();
    path.parent().is_some_and(|folder| folder.ends_with("deps"))
}

/// The name of the test binary: the file's, without cargo's hash.
fn test_binary() -> Option<&'static str> {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let path = std::env::current_exe().ok()?;
        let stem = path.file_stem()?.to_str()?;
        Some(
            stem.rsplit_once('-')
                .map_or(stem, |(name, _)| name)
                .to_owned(),
        )
    };
    NAME.get_or_init(find).as_deref()
}
