//! A run of the tests, as cargo and the test harness print it.

use std::collections::BTreeMap;

use super::cases::Case;

/// What became of each test: by binary and path in it, whether it passed.
#[derive(Debug, Default)]
pub(crate) struct Run {
    results: BTreeMap<(String, String), bool>,
}

impl Run {
    /// Reads what `cargo test` printed.
    pub(crate) fn of(log: &str) -> Self {
        let (mut run, mut binary) = (Self::default(), String::new());
        for line in log.lines() {
            if let Some(path) = line.trim_start().strip_prefix("Running ") {
                binary = binary_name(path).unwrap_or_default();
            } else if line.trim_start().starts_with("Doc-tests ") {
                binary = "doctest".to_owned();
            } else if let Some((name, word)) = result(line) {
                let key = (binary.clone(), name.to_owned());
                let passed = run.results.entry(key).or_insert(true);
                *passed &= word == "ok";
            }
        }
        run
    }

    pub(crate) fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether the test ran, and passed wherever it ran; else what is wrong.
    pub(crate) fn passed(&self, case: &Case) -> Result<(), &'static str> {
        let binary = binary_of(&case.file).filter(|(name, is_folder)| {
            // The folder of a root file by another name: its modules are found by theirs.
            !is_folder || self.results.keys().any(|(binary, _)| binary == name)
        });
        let binary = binary.map(|(name, _)| name);
        let stem = case
            .file
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        let is_root = ["lib", "main", "mod"].contains(&stem) || binary == Some(stem);
        let fits = |path: &str| {
            let mut parts = path.rsplit("::");
            parts.next() == Some(&case.name) && (is_root || parts.any(|part| part == stem))
        };
        let mut ran = self
            .results
            .iter()
            .filter(|((name, path), _)| binary.is_none_or(|binary| binary == name) && fits(path))
            .map(|(_, passed)| *passed)
            .peekable();
        if ran.peek().is_none() {
            return Err("did not run");
        }
        ran.all(|passed| passed).then_some(()).ok_or("did not pass")
    }
}

/// `tests/works.rs (target/debug/deps/works-0123)` is `works`.
fn binary_name(path: &str) -> Option<String> {
    let file = path
        .rsplit_once('(')?
        .1
        .trim_end_matches(')')
        .rsplit('/')
        .next()?;
    Some(file.rsplit_once('-')?.0.to_owned())
}

/// `test t01 ... ok` and `test t02 - should panic ... FAILED`.
fn result(line: &str) -> Option<(&str, &str)> {
    let (name, word) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_end_matches(" - should panic"), word))
}

/// The binary that a file of tests is part of, and whether that is the name of its folder only; `None` if it
/// is shared.
fn binary_of(file: &str) -> Option<(&str, bool)> {
    let parts: Vec<&str> = file.split('/').collect();
    match parts.as_slice() {
        ["src", ..] => Some(("bottomhalf", false)),
        ["mock", "src", ..] => Some(("kmdf_mock", false)),
        ["tests" | "examples", name] | ["mock" | "capi", "tests", name] => {
            Some((name.strip_suffix(".rs")?, false))
        }
        ["tests", "support", ..] | ["mock" | "capi", "tests", ..] => None,
        ["tests" | "examples", folder, ..] => Some((folder, true)),
        _ => None,
    }
}
