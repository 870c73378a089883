//! docs/coverage.md says which test stands for which row and fact. This test makes the list from
//! the sources and compares, so that a name in the list is the name of a test.
//!
//! `COVERAGE=write cargo test --test coverage` writes the list anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A test: its target, its name, and the IDs that its doc comment names.
#[derive(Debug)]
struct Test {
    place: String,
    ids: BTreeSet<String>,
}

/// Rows of the Linux table that the API of this release reaches. Left out: calls that are not there yet
/// (`tasklet_trylock`, `queue_work_on`, `work_on_cpu`, `execute_in_process_context`,
/// `workqueue_set_max_active`, WQ_BH, rcu_work …).
const ROWS: &str = "
    T01 T02 T03 T04 T05 T06 T07 T08 T09 T10 T11 T12 T13 T14 T15 T16 T17 T18 T19 T20 T21 T22 T23 T24 T25 T26 T27 T28
    T29 T31
    W01 W02 W04 W05 W06 W07 W08 W09 W10 W11 W12 W13 W14 W15 W16 W17 W18 W19 W20 W21 W22 W24 W25 W27 W28 W29 W30 W31 W33
    W34 W35 W36 W37 W38 W39 W40
    Q01 Q02 Q03 Q04 Q05 Q06 Q07 Q08 Q10 Q11 Q12 Q14 Q15 Q16 Q17 Q20 Q21 Q24 Q25
    D01 D02 D03 D04 D05 D06 D07 D08 D09 D10 D11 D12 D13 D14 D15 D16 D17 D18 D20 D21 D22 D23 D24 D25 D26 D27 D28
    D29 D31 D32";

/// What the simulator must reproduce before its answers prove anything: P0, items 1 to 11.
const P0: &str = "
    N-41 D-18 D-19 D-20 D-21 D-22 D-23
    D-8 D-9 D-10 D-11 D-12 D-13 D-14 D-15 D-16 D-17 D-24 D-30
    W-7 W-8 W-9 W-10 W-11 W-12 W-14 W-15
    W-17 T-17
    W-18 W-19 W-20
    D-26 D-27 D-28 W-22 W-23 W-24 T-22 T-23
    T-11 T-12 T-13 T-14 T-15 T-16 T-18 T-19 T-20 T-21 T-24 T-25
    V-2 V-4 V-8
    N-2 W-16 D-32
    H-3";

/// What the naive mapping is convicted of.
const HAZARDS: &str = "H-3 H-9 H-14 H-17 H-19 H-21 H-22";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// IDs in a line: `T04`, `DS1`, `D-14`, `B-22`, with nothing alphanumeric around them.
fn ids(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter_map(|word| {
            let word = word.trim_matches('-');
            let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
            let letters = word.len() - digits.len();
            let number = digits.strip_prefix('-').unwrap_or(digits);
            let is_id = (1..=2).contains(&letters)
                && !number.is_empty()
                && number.chars().all(|c| c.is_ascii_digit())
                && (digits.starts_with('-') || number.len() == 2 || letters == 2);
            is_id.then(|| word.to_owned())
        })
}

/// The tests of a source text: functions under `#[test]`, and the lines `name: …;` of a macro that makes
/// one function under `#[test]` of each.
fn tests_in(file: &str, text: &str) -> Vec<Test> {
    let by_macro = text.contains("fn $");
    let mut tests = Vec::new();
    let (mut named, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim) {
        let made = by_macro && line.ends_with(';') && !named.is_empty();
        if let Some(doc) = line.strip_prefix("///") {
            named.extend(ids(doc));
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(name) = name_of(line, is_test, made) {
            tests.push(Test {
                place: format!("{file}::{name}"),
                ids: std::mem::take(&mut named),
            });
            is_test = false;
        } else if !line.starts_with("#[") {
            (named, is_test) = (BTreeSet::new(), false);
        }
    }
    tests
}

/// The name of the test that a line makes, if it makes one.
fn name_of(line: &str, is_test: bool, made: bool) -> Option<&str> {
    let name = match line.strip_prefix("fn ") {
        Some(rest) if is_test => rest.split('(').next()?,
        None if made => line.split_once(": ")?.0,
        Some(_) | None => return None,
    };
    let is_name = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_name.then_some(name)
}

fn all_tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for folder in ["src", "tests", "mock/src", "mock/tests"] {
        let mut files = Vec::new();
        sources(&root().join(folder), &mut files);
        for path in files {
            let file = path.strip_prefix(root()).unwrap().display().to_string();
            tests.extend(tests_in(&file, &fs::read_to_string(&path).unwrap()));
        }
    }
    tests
}

/// The tests of each ID that is asked for.
fn by_id<'a>(wanted: &str, tests: &'a [Test]) -> Vec<(String, Vec<&'a str>)> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in tests {
        for id in &test.ids {
            found.entry(id).or_default().push(&test.place);
        }
    }
    let of = |id: &str| found.get(id).cloned().unwrap_or_default();
    wanted
        .split_whitespace()
        .map(|id| (id.to_owned(), of(id)))
        .collect()
}

fn table(title: &str, wanted: &str, tests: &[Test], out: &mut String) -> Vec<String> {
    let mut missing = Vec::new();
    writeln!(out, "## {title}\n\n| ID | tests |\n|---|---|").unwrap();
    for (id, places) in by_id(wanted, tests) {
        if places.is_empty() {
            missing.push(id.clone());
        }
        let places: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
        writeln!(out, "| {id} | {} |", places.join("<br>")).unwrap();
    }
    out.push('\n');
    missing
}

/// Every row, fact and hazard that is asked for has a test, and docs/coverage.md is the list of
/// them.
#[test]
fn every_row_and_fact_has_a_test_and_the_list_is_true() {
    let tests = all_tests();
    let mut list = String::from(
        "# Coverage\n\nWhich test stands for which row of the Linux table and which fact about KMDF. The IDs \
         are those of [facts.md](facts.md).\nMade from the tests' own doc comments by `COVERAGE=write cargo \
         test --test coverage`; the test fails when it is not true.\n\n",
    );
    let mut missing = table("Linux rows", ROWS, &tests, &mut list);
    missing.extend(table(
        "KMDF facts that the simulator must reproduce (P0)",
        P0,
        &tests,
        &mut list,
    ));
    missing.extend(table(
        "Hazards that convict the naive mapping",
        HAZARDS,
        &tests,
        &mut list,
    ));
    assert!(missing.is_empty(), "without a test: {missing:?}");
    let path = root().join("docs/coverage.md");
    if std::env::var("COVERAGE").is_ok_and(|value| value == "write") {
        fs::write(&path, &list).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == list,
        "docs/coverage.md is not true: run COVERAGE=write cargo test --test coverage"
    );
}

/// Negative control: an ID without a test is missed, a function that is no test does not count, and
/// a word that merely looks like an ID does not either.
#[test]
fn a_missing_test_is_found() {
    let text = "/// T04: twice.\n#[test]\nfn t04_twice() {}\n/// T05: not a test.\nfn t05_helper() {}\n\
                /// UTF-8 and D-14.\n#[test]\nfn other() {}\n";
    let tests = tests_in("x.rs", text);
    let found = by_id("T04 T05 D-14 F-8", &tests);
    let counts: Vec<_> = found
        .iter()
        .map(|(id, places)| (id.as_str(), places.len()))
        .collect();
    assert_eq!(counts, [("T04", 1), ("T05", 0), ("D-14", 1), ("F-8", 0)]);
    let plain = "/// H-14: a field.\nh14_field: u32;\n";
    assert!(tests_in("x.rs", plain).is_empty(), "no macro, no test");
    let made = format!("#[test]\n fn $test() {{}}\n{plain}");
    assert_eq!(
        by_id("H-14", &tests_in("x.rs", &made))[0].1,
        ["x.rs::h14_field"]
    );
}
