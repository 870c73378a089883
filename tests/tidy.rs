//! IDs, tests, code and IRQL lines agree, and the house rules that a machine can check hold.
//!
//! Not here: who may name which crate or type (`ci/fences.sh`, clippy), which crates there are (`ci/tree.sh`),
//! that cited facts and rows exist (`tests/facts.rs`), that every unsafe block has its SAFETY comment
//! (clippy), and that every row of Linux has a test (`tests/coverage.rs`).

#[path = "tidy/cases.rs"]
#[allow(dead_code, reason = "tests/coverage.rs uses the rest")]
mod cases;
#[path = "tidy/contract.rs"]
mod contract;
#[path = "tidy/controls.rs"]
mod controls;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/misuse.rs"]
mod misuse;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;

use cases::Case;
use source::Source;

/// Where tests are.
const TESTS: [&str; 6] = [
    "src",
    "tests",
    "mock/src",
    "mock/tests",
    "capi/tests",
    "examples",
];

/// Files that are read as text.
const TEXT: [&str; 10] = [
    ".rs", ".md", ".toml", ".sh", ".c", ".h", ".txt", ".tsv", ".inf", "run",
];

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn file(name: &str) -> Source {
    let found = source::files(&[name], &[""]);
    found
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("{name} cannot be read"))
}

fn contract_rows() -> Vec<contract::Row> {
    let (rows, complaints) = contract::rows(&file("shim-api.md").text);
    none(&complaints);
    assert!(
        rows.len() >= 40,
        "the tables of shim-api.md are not seen: {} rows",
        rows.len()
    );
    rows
}

fn all_cases() -> Vec<Case> {
    let cases: Vec<Case> = source::files(&TESTS, &[".rs"])
        .iter()
        .flat_map(cases::cases)
        .collect();
    assert!(
        cases.len() >= 500,
        "the tests are not seen: {}",
        cases.len()
    );
    cases
}

/// Every file of the repository that holds text, but its history and what is built.
fn everything() -> Vec<Source> {
    let files = source::files(&[""], &TEXT);
    for must in [
        ".ci/run",
        "ci/lib.sh",
        "src/lib.rs",
        "docs/facts.md",
        "mock/src/lib.rs",
    ] {
        assert!(
            files.iter().any(|source| source.file == must),
            "{must} is not read"
        );
    }
    files
}

#[test]
fn ids_of_the_contract_are_unique() {
    none(&contract::unique(&contract_rows()));
}

#[test]
fn functions_and_rows_name_each_other() {
    let sources = source::files(&["src"], &[".rs"]);
    let mut public = contract::public(&file("src/linux.rs"), &sources);
    assert!(
        public.len() >= 45,
        "the Linux names are not seen: {}",
        public.len()
    );
    public.extend(contract::faces(&sources));
    let all = source::files(&["src", "capi/src"], &[".rs"]);
    none(&contract::names(&contract_rows(), &public, &all));
}

#[test]
fn doc_comments_name_their_source_and_the_level_of_their_row() {
    let sources = source::files(&["src"], &[".rs"]);
    let mut public = contract::public(&file("src/linux.rs"), &sources);
    none(&contract::origins(&public));
    public.extend(contract::faces(&sources));
    none(&contract::levels(&contract_rows(), &public));
}

#[test]
fn every_id_of_the_contract_has_a_test() {
    let cases = all_cases();
    let stands = cases
        .iter()
        .flat_map(|case| case.ids.iter().cloned())
        .collect();
    let of = |case: &Case| -> Vec<_> {
        case.ids
            .iter()
            .map(|id| (case.file.clone(), id.clone()))
            .collect()
    };
    let named = cases.iter().flat_map(of).collect();
    none(&contract::tested(&contract_rows(), &stands, &named));
}

#[test]
fn diagnostics_have_rows_and_tests() {
    let engine = file("src/engine/diagnostic.rs");
    let (codes, complaints) = misuse::codes(&engine);
    none(&complaints);
    assert!(codes.len() >= 15, "the codes are not seen: {codes:?}");
    let rows = misuse::rows(&file("shim-api.md").text);
    let tests = source::files(&["tests", "capi/tests"], &[".rs"]);
    let own = |source: &&Source| !source.file.starts_with("tests/tidy");
    let tested: BTreeSet<String> = tests
        .iter()
        .filter(own)
        .flat_map(|source| misuse::mentioned(&source.text).map(|(_, code)| code.to_owned()))
        .collect();
    none(&misuse::agree(&engine.file, &codes, &rows, &tested));
    let mut naming = source::files(
        &[
            "src",
            "capi/src",
            "docs",
            "examples",
            "shim-api.md",
            "README.md",
        ],
        &[".rs", ".md"],
    );
    naming.extend(tests.into_iter().filter(|source| own(&source)));
    none(&misuse::known(&naming, &codes));
}

#[test]
fn files_and_functions_are_short() {
    none(&house::lengths(&source::files(
        &["src", "mock/src", "capi/src"],
        &[".rs"],
    )));
}

#[test]
fn nothing_is_left_unfinished() {
    none(&house::unfinished(&everything()));
}

#[test]
fn no_path_of_one_machine_is_named() {
    none(&house::paths(&everything()));
}

#[test]
fn orders_have_reasons() {
    let sources = source::files(
        &[
            "src/engine",
            "src/kmdf",
            "src/typed",
            "src/tasklet.rs",
            "src/work.rs",
        ],
        &[".rs"],
    );
    none(&house::orderings(&sources));
}

#[test]
fn the_changelog_is_that_of_this_version() {
    none(&house::changelog(
        &file("CHANGELOG.md").text,
        &file("Cargo.toml").text,
    ));
}
