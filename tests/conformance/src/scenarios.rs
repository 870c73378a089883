//! The scenarios, which are C, and one run of one of them.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::sync::{Mutex, PoisonError};

use kmdf_mock::world;

use crate::machine::{Kind, Ran};

unsafe extern "C" {
    fn conformance_run(group: *const c_char, only: *const c_char) -> c_int;
    fn conformance_scenario(
        number: c_uint,
        id: *mut *const c_char,
        group: *mut *const c_char,
    ) -> bool;
    fn compat_warnings() -> c_uint;
}

/// What the scenario that runs has printed. A process runs one machine at a time.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn lines() -> std::sync::MutexGuard<'static, Vec<String>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one line of a scenario's.
///
/// # Safety
/// `line` ends with a zero.
#[unsafe(no_mangle)]
unsafe extern "C" fn conformance_emit(line: *const c_char) {
    // SAFETY: by the caller's word; the text is copied before the call returns.
    let line = unsafe { CStr::from_ptr(line) };
    lines().push(line.to_string_lossy().into_owned());
}

/// How many diagnostics bottomhalf has printed so far, and warnings the environment.
#[unsafe(no_mangle)]
extern "C" fn conformance_diagnostics() -> c_uint {
    let printed = world::debug_log()
        .iter()
        .filter(|line| line.starts_with("bottomhalf "))
        .count();
    // SAFETY: reads one number.
    printed as c_uint + unsafe { compat_warnings() }
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The row of the table of facts that it asks, or its own name if no row asks that.
    pub id: String,
    /// What has to be asked of the same machine.
    pub group: String,
}

/// Every scenario that is built in, in the order of the sources.
///
/// # Panics
/// If the kit names one that is no text, or none at all.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let text = |at: *const c_char| {
        // SAFETY: the names are literals of the kit's tables.
        let text = unsafe { CStr::from_ptr(at) };
        text.to_str().expect("a name is ASCII").to_owned()
    };
    let scenarios: Vec<Scenario> = (0..)
        .map_while(|number| {
            let (mut id, mut group) = (std::ptr::null(), std::ptr::null());
            // SAFETY: both pointers are writable.
            let is_there = unsafe { conformance_scenario(number, &raw mut id, &raw mut group) };
            is_there.then(|| Scenario {
                id: text(id),
                group: text(group),
            })
        })
        .collect();
    assert!(!scenarios.is_empty(), "no scenario is built in");
    scenarios
}

/// The ids that stand more than once among the scenarios.
#[must_use]
pub fn twice(scenarios: &[Scenario]) -> BTreeSet<&str> {
    let mut seen = BTreeSet::new();
    scenarios
        .iter()
        .map(|scenario| scenario.id.as_str())
        .filter(|id| !seen.insert(*id))
        .collect()
}

/// The diagnostics that a scenario causes, always the same ones. All others cause none.
const DIAGNOSTICS: &[(&str, &[&str])] = &[
    ("D26", &["BH05"]),
    ("Q04", &["BH02"]),
    ("Q19", &["BH19"]),
    ("Q21", &["BH12"]),
    ("Q23", &["BH21"]),
    ("Q450", &["BH12"]),
    ("Q451", &["BH19"]),
    ("Q452", &["BH23"]),
    ("T418", &["BH09"]),
    ("T501", &["BH06"]),
    ("T502", &["BH28"]),
    ("W20", &["BH05"]),
    ("W22", &["BH01"]),
    ("W39", &["BH14"]),
    ("W501", &["BH14"]),
    ("W502", &["BH08"]),
    ("W503", &["BH06"]),
    ("W504", &["BH05", "BH14"]),
    ("W505", &["BH27"]),
    ("W506", &["BH28"]),
];

/// Diagnostics of a detach that finds something left.
const LEFT: [&str; 3] = ["BH10", "BH11", "BH13"];

/// The codes of what was printed; a line that is none of bottomhalf's is itself.
fn codes(printed: &[String]) -> BTreeSet<&str> {
    printed
        .iter()
        .map(|line| {
            let words = line.strip_prefix("bottomhalf ");
            words
                .and_then(|words| words.split(' ').next())
                .unwrap_or(line)
        })
        .collect()
}

/// What a run of the scenario `id` has done beside its answer that it must not.
pub fn amiss<R>(id: &str, ran: &Ran<R>) -> Option<String> {
    let expected: BTreeSet<&str> = DIAGNOSTICS
        .iter()
        .filter(|(other, _)| *other == id)
        .flat_map(|(_, codes)| codes.iter().copied())
        .collect();
    if ran.blocks != 0 {
        return Some(format!("{} blocks of memory are not freed", ran.blocks));
    }
    if ran.pending != 0 && !LEFT.iter().any(|code| expected.contains(code)) {
        return Some(format!("{} items are left pending", ran.pending));
    }
    (codes(&ran.printed) != expected).then(|| {
        format!(
            "the diagnostics {expected:?} are expected, and it printed: {}",
            ran.printed.join("; ")
        )
    })
}

/// The machine of a scenario.
#[must_use]
pub fn kind(scenario: &Scenario) -> Kind {
    match scenario.group.as_str() {
        "timelines" => Kind::Timeline,
        _ => Kind::FourCpus,
    }
}

impl Scenario {
    /// Runs it on a fresh machine. The answer is what it printed behind its id.
    ///
    /// # Errors
    /// What is wrong with the run, if something is: the machine failed, or the scenario printed something else
    /// than one line that begins with its id.
    ///
    /// # Panics
    /// If the id is no C string.
    pub fn run(&self, seed: u64) -> Result<String, String> {
        lines().clear();
        let id = CString::new(self.id.as_str()).expect("a name has no zero");
        let ran = kind(self).run(seed, move || {
            // SAFETY: on a machine with the driver attached, one call at a time; the id outlives the call.
            unsafe { conformance_run(std::ptr::null(), id.as_ptr()) }
        })?;
        let answer = answer_of(&self.id, &lines())?;
        if let Some(amiss) = amiss(&self.id, &ran) {
            return Err(format!("{amiss}\nit answered: {answer}"));
        }
        if ran.result != 1 {
            return Err(format!("{} scenarios ran instead of one", ran.result));
        }
        Ok(answer)
    }
}

/// The answer among the lines that the scenario `id` has printed.
///
/// # Errors
/// It is not one line, or another scenario's, or answers nothing.
pub fn answer_of(id: &str, lines: &[String]) -> Result<String, String> {
    match lines {
        [line] => line
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix(' '))
            .map(str::to_owned)
            .ok_or_else(|| format!("{id} printed: {line}")),
        _ => Err(format!("{id} printed {} lines: {lines:?}", lines.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::{Scenario, amiss, answer_of, twice};
    use crate::machine::Ran;

    fn printed(lines: &[&str]) -> Result<String, String> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        answer_of("T04", &lines)
    }

    #[test]
    fn one_line_is_an_answer() {
        assert_eq!(printed(&["T04 runs=2"]).as_deref(), Ok("runs=2"));
        assert_eq!(printed(&["T04 HANG a gate"]).as_deref(), Ok("HANG a gate"));
    }

    #[test]
    fn no_line_and_two_lines_and_other_lines_are_none() {
        for lines in [
            &[][..],
            &["T04 runs=2", "T04 runs=2"],
            &["T041 runs=2"],
            &["T04"],
            &["T05 runs=2"],
            &[""],
        ] {
            assert!(printed(lines).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn an_id_that_stands_twice_is_found() {
        let scenario = |id: &str| Scenario {
            id: id.to_owned(),
            group: "tasklets".to_owned(),
        };
        let scenarios = ["T01", "T02", "T01"].map(scenario);
        assert_eq!(twice(&scenarios).into_iter().collect::<Vec<_>>(), ["T01"]);
        assert!(twice(&scenarios[..2]).is_empty());
    }

    fn ran(pending: u64, blocks: u32, printed: &[&str]) -> Ran<()> {
        Ran {
            result: (),
            pending,
            blocks,
            printed: printed.iter().map(|line| (*line).to_owned()).collect(),
        }
    }

    #[test]
    fn what_a_run_must_not_do_is_found() {
        assert_eq!(amiss("T01", &ran(0, 0, &[])), None);
        assert_eq!(amiss("T418", &ran(0, 0, &["bottomhalf BH09 text"])), None);
        for (id, pending, blocks, printed) in [
            ("T01", 1, 0, &[][..]),
            ("T01", 0, 1, &[]),
            ("T01", 0, 0, &["bottomhalf BH09 text"]),
            ("T01", 0, 0, &["WARNING: text"]),
            ("T418", 0, 0, &[]),
            ("T418", 0, 0, &["bottomhalf BH08 text"]),
            (
                "T418",
                0,
                0,
                &["bottomhalf BH09 text", "bottomhalf BH08 text"],
            ),
        ] {
            assert!(
                amiss(id, &ran(pending, blocks, printed)).is_some(),
                "{id} {printed:?}"
            );
        }
    }
}
