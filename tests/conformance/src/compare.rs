//! Holds what bottomhalf answers to the scenarios against what Linux answered.
//!
//! Answers are lines: the id of a row or of a scenario beyond the table of rows, a blank, and `key=value` pairs.
//! What may differ is what the table *Deviations from Linux* of `shim-api.md` names, and nothing else; how it
//! differs is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The rows that no kernel can be asked, and why.
pub const NOT_ASKABLE: [(&str, &str); 3] = [
    (
        "D30",
        "rcu_work: not part of bottomhalf, for KMDF has no grace periods",
    ),
    ("Q25", "a kernel that is asked deadlocks"),
    (
        "DS5",
        "from the documentation before Linux 3.7; since then the order is not fixed",
    ),
];

/// The rows whose expected column says that ours may differ. The contract names them too; it can name no others, for
/// an engine that does something else than Linux is not right because the contract says so.
pub const MAY_DEVIATE: [&str; 6] = ["Q04", "W22", "D20", "D23", "W28", "W30"];

/// What the two kernels answer differently, each rightly: what a call does was changed between them.
pub const KERNELS_DIFFER: [&str; 4] = ["D13", "Q13", "Q452", "W454"];

/// One answer to each scenario: what one run of the suite prints.
pub type Answers = BTreeMap<String, String>;

/// Reads the lines of a run. Empty lines and those that begin with `#` are skipped.
///
/// # Errors
/// A line that answers nothing, and a scenario that is answered twice.
pub fn answers(text: &str) -> Result<Answers, String> {
    let mut answers = Answers::new();
    for line in text.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, answer) = line
            .split_once(' ')
            .ok_or_else(|| format!("this line answers nothing: {line}"))?;
        if !is_id(id) {
            return Err(format!("this line does not begin with an id: {line}"));
        }
        if answers.insert(id.to_owned(), answer.to_owned()).is_some() {
            return Err(format!("{id} is answered twice"));
        }
    }
    Ok(answers)
}

/// The rows of the table of facts, `docs/facts/linux.md`, that ask for a behaviour.
#[must_use]
pub fn rows(facts: &str) -> BTreeSet<String> {
    facts
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next())
        .filter(|id| is_id(id))
        .map(str::to_owned)
        .collect()
}

/// The rows that only a later kernel than the older one can be asked: what they do begins with a version.
#[must_use]
pub fn later_rows(facts: &str) -> BTreeSet<String> {
    let (rows, mut later) = (rows(facts), BTreeSet::new());
    for line in facts.lines() {
        let mut cells = line.split('|').skip(1).map(str::trim);
        if let (Some(id), Some(setup)) = (cells.next(), cells.next())
            && rows.contains(id)
            && setup.starts_with("6.")
        {
            later.insert(id.to_owned());
        }
    }
    later
}

/// The ids in the first column of the table of deviations of the contract, `shim-api.md`.
///
/// # Errors
/// The contract has no such table, or it names no row.
pub fn deviations(contract: &str) -> Result<BTreeSet<String>, String> {
    let table = contract
        .split("\n## ")
        .find(|section| section.starts_with("Deviations from Linux\n"))
        .ok_or("the contract has no section `Deviations from Linux`")?;
    let ids: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.strip_prefix('|')?.split('|').next())
        .flat_map(|cell| cell.split(|c: char| !c.is_ascii_alphanumeric()))
        .filter(|word| is_id(word))
        .map(str::to_owned)
        .collect();
    if ids.is_empty() {
        return Err("the table of deviations names no row".to_owned());
    }
    Ok(ids)
}

/// Whether a word is the id of a row (`T04`, `DS1`) or of a scenario beyond the rows (`T401`, `J401`).
fn is_id(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    match &word[..word.len() - digits.len()] {
        "T" | "W" | "Q" | "D" => all_digits && (2..=3).contains(&digits.len()),
        "DS" => all_digits && (1..=3).contains(&digits.len()),
        // What is asked of jiffies; no row of the table is.
        "J" => all_digits && digits.len() == 3,
        _ => false,
    }
}

/// What the two kernels answered. Ours has to be the newer one's answer, or the older one's where only that was
/// asked.
#[derive(Debug, Clone, Default)]
pub struct Linux {
    /// Linux 6.1.
    pub older: Answers,
    /// Linux 6.12.
    pub newer: Answers,
}

impl Linux {
    /// The answer that ours is held against.
    #[must_use]
    pub fn answer(&self, id: &str) -> Option<&str> {
        self.newer
            .get(id)
            .or_else(|| self.older.get(id))
            .map(String::as_str)
    }

    /// Every scenario that a kernel was asked.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<&str> {
        self.older
            .keys()
            .chain(self.newer.keys())
            .map(String::as_str)
            .collect()
    }

    /// What the two answer differently: id, the older one's answer, the newer one's.
    #[must_use]
    pub fn disagreements(&self) -> Vec<(&str, &str, &str)> {
        self.older
            .iter()
            .filter_map(|(id, older)| {
                let newer = self.newer.get(id)?;
                (older != newer).then_some((id.as_str(), older.as_str(), newer.as_str()))
            })
            .collect()
    }
}

/// What bottomhalf answered, over any number of runs: of each different answer the first run that gave it.
#[derive(Debug, Clone, Default)]
pub struct Ours {
    answers: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Ours {
    /// Adds the answers of a run, or some of them; `seed` names the run.
    pub fn add(&mut self, seed: u64, answers: &Answers) {
        for (id, answer) in answers {
            self.answers
                .entry(id.clone())
                .or_default()
                .entry(answer.clone())
                .or_insert(seed);
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A scenario is answered otherwise than by Linux, and the contract does not say so.
    Differs {
        /// The scenario.
        id: String,
        /// What Linux answers.
        linux: String,
        /// What bottomhalf answers.
        ours: String,
        /// A run that does.
        seed: u64,
    },
    /// A scenario that may deviate is answered otherwise than recorded of bottomhalf.
    Drifts {
        /// The scenario.
        id: String,
        /// What is recorded, or nothing.
        recorded: Option<String>,
        /// What bottomhalf answers.
        ours: String,
        /// A run that does.
        seed: u64,
    },
    /// A scenario did not come to its end, whether the contract names it or not.
    Hangs {
        /// The scenario.
        id: String,
        /// What it waited for.
        ours: String,
        /// A run that does.
        seed: u64,
    },
    /// A scenario that Linux was asked has no answer of ours.
    Missing(String),
    /// A scenario of ours that no kernel was asked.
    Unknown(String),
    /// The contract names a deviation, and there is none.
    DoesNotDeviate(String),
    /// The contract names a deviation of something that is neither a row nor a scenario.
    NoSuchRow(String),
    /// A row that no kernel was asked, and that is not on the list of those that cannot be.
    NotAsked(String),
    /// A row is on the list of those that cannot be asked, and was asked, or is no row.
    Askable(String),
    /// What one kernel was asked is not recorded of the other.
    AskedOfOne {
        /// The scenario.
        id: String,
        /// Whose answer is not there.
        missing: &'static str,
    },
    /// Something is recorded under the id of a row, and the table of facts has no such row.
    RowIsGone(String),
    /// A deviation is recorded that the contract does not name.
    NotNamed(String),
    /// The kernels answer differently what is not among [`KERNELS_DIFFER`], or alike what is.
    KernelsDiffer {
        /// The scenario.
        id: String,
        /// Whether they differ.
        differ: bool,
    },
    /// A deviation is recorded of a row that may not deviate.
    MayNotDeviate(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs {
                id,
                linux,
                ours,
                seed,
            } => write!(
                f,
                "{id} differs\n  Linux: {linux}\n  ours:  {ours} (seed {seed})"
            ),
            Self::Drifts {
                id,
                recorded,
                ours,
                seed,
            } => write!(
                f,
                "{id} may deviate from Linux, but not so\n  recorded: {}\n  ours:     {ours} (seed {seed})",
                recorded.as_deref().unwrap_or("nothing")
            ),
            Self::Hangs { id, ours, seed } => write!(f, "{id} {ours} (seed {seed})"),
            Self::Missing(id) => write!(f, "{id} has no answer of ours"),
            Self::Unknown(id) => write!(f, "{id} is not among the answers recorded of Linux"),
            Self::DoesNotDeviate(id) => {
                write!(
                    f,
                    "{id} is in the table of deviations and answers as Linux does"
                )
            }
            Self::NoSuchRow(id) => write!(
                f,
                "{id} is in the table of deviations, and no row or scenario has that id"
            ),
            Self::NotAsked(id) => write!(f, "{id} was asked of no kernel"),
            Self::Askable(id) => {
                write!(
                    f,
                    "{id} is on the list of rows that cannot be asked and does not belong there"
                )
            }
            Self::AskedOfOne { id, missing } => {
                write!(f, "the answer of Linux {missing} to {id} is not recorded")
            }
            Self::RowIsGone(id) => write!(f, "{id} is recorded, and the facts have no such row"),
            Self::NotNamed(id) => write!(
                f,
                "a deviation of {id} is recorded, and the table of deviations does not name it"
            ),
            Self::KernelsDiffer { id, differ } => {
                let what = if *differ { "do not answer" } else { "answer" };
                write!(
                    f,
                    "Linux 6.1 and 6.12 {what} alike to {id}, which is not what KERNELS_DIFFER says"
                )
            }
            Self::MayNotDeviate(id) => write!(
                f,
                "a deviation of {id} is recorded, and the facts do not say that it may deviate"
            ),
        }
    }
}

/// Holds our answers against Linux's, and those of the scenarios that may deviate against `deviating`: what is
/// recorded of them.
#[must_use]
pub fn hold(
    ours: &Ours,
    linux: &Linux,
    deviations: &BTreeSet<String>,
    deviating: &Answers,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, given) in &ours.answers {
        let Some(expected) = linux.answer(id) else {
            findings.push(Finding::Unknown(id.clone()));
            continue;
        };
        let may_deviate = deviations.contains(id);
        if may_deviate && given.keys().all(|answer| answer == expected) {
            findings.push(Finding::DoesNotDeviate(id.clone()));
            continue;
        }
        for (answer, &seed) in given {
            let (id, ours) = (id.clone(), answer.clone());
            if answer.starts_with("HANG") {
                findings.push(Finding::Hangs { id, ours, seed });
            } else if may_deviate {
                let recorded = deviating.get(&id).cloned();
                if recorded.as_ref() != Some(answer) {
                    findings.push(Finding::Drifts {
                        id,
                        recorded,
                        ours,
                        seed,
                    });
                }
            } else if answer != expected {
                findings.push(Finding::Differs {
                    id,
                    linux: expected.to_owned(),
                    ours,
                    seed,
                });
            }
        }
    }
    for id in linux.ids() {
        if !ours.answers.contains_key(id) {
            findings.push(Finding::Missing(id.to_owned()));
        }
    }
    findings
}

/// Holds what the kernels were asked against the table of rows, and the table of deviations against both.
#[must_use]
pub fn asked(
    rows: &BTreeSet<String>,
    linux: &Linux,
    deviations: &BTreeSet<String>,
) -> Vec<Finding> {
    let asked = linux.ids();
    let exempt: BTreeSet<&str> = NOT_ASKABLE.iter().map(|(id, _)| *id).collect();
    let mut findings = Vec::new();
    for row in rows {
        if !asked.contains(row.as_str()) && !exempt.contains(row.as_str()) {
            findings.push(Finding::NotAsked(row.clone()));
        }
    }
    for id in exempt {
        if asked.contains(id) || !rows.contains(id) {
            findings.push(Finding::Askable(id.to_owned()));
        }
    }
    for id in deviations {
        if !rows.contains(id) && !asked.contains(id.as_str()) {
            findings.push(Finding::NoSuchRow(id.clone()));
        }
    }
    findings
}

/// Holds what is recorded against itself and the table of facts: what one kernel answered the other did too, unless
/// the row is for later kernels only; the kernels differ where it is known that they do; nothing is
/// recorded of rows and deviations that are not there any more; and no row deviates that may not.
/// What lies beyond the rows may be asked of the newer kernel alone.
#[must_use]
pub fn kept(
    facts: &str,
    linux: &Linux,
    deviations: &BTreeSet<String>,
    deviating: &Answers,
) -> Vec<Finding> {
    let (rows, later) = (rows(facts), later_rows(facts));
    let mut findings = Vec::new();
    for id in linux.ids().into_iter().map(str::to_owned) {
        if names_row(&id) && !rows.contains(&id) {
            findings.push(Finding::RowIsGone(id));
        } else if !linux.newer.contains_key(&id) {
            let missing = "6.12";
            findings.push(Finding::AskedOfOne { id, missing });
        } else if !linux.older.contains_key(&id) && rows.contains(&id) && !later.contains(&id) {
            let missing = "6.1";
            findings.push(Finding::AskedOfOne { id, missing });
        }
    }
    for (id, older) in &linux.older {
        let differ = linux.newer.get(id).is_some_and(|newer| newer != older);
        if linux.newer.contains_key(id) && differ != KERNELS_DIFFER.contains(&id.as_str()) {
            let id = id.clone();
            findings.push(Finding::KernelsDiffer { id, differ });
        }
    }
    for id in deviating.keys() {
        if !deviations.contains(id) {
            findings.push(Finding::NotNamed(id.clone()));
        } else if names_row(id) && !MAY_DEVIATE.contains(&id.as_str()) {
            findings.push(Finding::MayNotDeviate(id.clone()));
        }
    }
    findings
}

/// Whether an id is in the form of a row's; scenarios beyond the rows have three digits.
fn names_row(id: &str) -> bool {
    id.bytes().filter(u8::is_ascii_digit).count() < 3
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
