//! The account of the numbers: each bug of facts/peers has a test that names it, or one reason why there is
//! none, in docs/peers.md.

use super::each;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The only reasons for which a bug has no test.
const REASONS: [&str; 3] = ["needs C", "needs another kernel's feature", "not this API"];

/// Where tests are.
const FOLDERS: [&str; 5] = ["src", "tests", "mock/src", "mock/tests", "capi/tests"];

/// The numbers in a line of prose: `B-24`, with nothing alphanumeric around it.
fn cited(line: &str) -> BTreeSet<u32> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter_map(|word| word.trim_matches('-').strip_prefix("B-"))
        .filter(|digits| digits.len() == 2)
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The numbers in the name of a test: `b07_b34_…`.
fn in_name(name: &str) -> BTreeSet<u32> {
    name.split('_')
        .map_while(|word| word.strip_prefix('b').filter(|digits| digits.len() == 2))
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

/// The tests of a source text, each with the numbers that its comment or its name gives.
fn tests_in(text: &str) -> Vec<(String, BTreeSet<u32>)> {
    let mut tests = Vec::new();
    let (mut named, mut is_test) = (BTreeSet::new(), false);
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            named.extend(cited(comment));
        } else if line == "#[test]" {
            is_test = true;
        } else if line.starts_with("#[") {
        } else {
            if let Some(rest) = line.strip_prefix("fn ").filter(|_| is_test) {
                let name = rest.split('(').next().unwrap_or_default();
                named.extend(in_name(name));
                tests.push((name.to_owned(), std::mem::take(&mut named)));
            }
            (named, is_test) = (BTreeSet::new(), false);
        }
    }
    tests
}

/// The rows of a table whose first cell is a number: that, and the second cell.
fn rows(text: &str) -> Vec<(u32, String)> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("| B-")?.strip_suffix('|'))
        .filter_map(|row| {
            let mut cells = row.split(" | ").map(str::trim);
            let number = cells.next()?.parse().ok()?;
            Some((number, cells.next()?.to_owned()))
        })
        .collect()
}

/// What is wrong with the account.
fn complaints(facts: &str, reasons: &str, tests: &[(String, BTreeSet<u32>)]) -> Vec<String> {
    let known: BTreeSet<u32> = rows(facts).into_iter().map(|row| row.0).collect();
    let mut given: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (number, reason) in rows(reasons) {
        given.entry(number).or_default().push(reason);
    }
    let mut wrong = Vec::new();
    for number in &known {
        let tested = tests.iter().any(|test| test.1.contains(number));
        match (tested, given.get(number).map_or(0, Vec::len)) {
            (true, 0) | (false, 1) => {}
            (false, 0) => wrong.push(format!("B-{number:02} has no test and no reason")),
            (true, _) => wrong.push(format!("B-{number:02} has a test, and a reason not to")),
            (false, _) => wrong.push(format!("B-{number:02} has more than one reason")),
        }
    }
    for (number, reasons) in &given {
        if !known.contains(number) {
            wrong.push(format!("B-{number:02} has a reason and is no fact"));
        }
        for reason in reasons
            .iter()
            .filter(|reason| !REASONS.contains(&reason.as_str()))
        {
            wrong.push(format!(
                "B-{number:02}: {reason:?} is not one of the reasons"
            ));
        }
    }
    for (name, numbers) in tests {
        for number in numbers.difference(&known) {
            wrong.push(format!("{name} names B-{number:02}, which is no fact"));
        }
    }
    wrong
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Each of the seventy bugs has a test that names it, or exactly one of the reasons.
#[test]
fn every_number_has_a_test_or_a_reason() {
    let mut files = Vec::new();
    each(FOLDERS, |folder| sources(&root().join(folder), &mut files));
    let tests: Vec<_> = files
        .iter()
        .flat_map(|path| tests_in(&read(path)))
        .collect();
    let facts = read(&root().join("docs/facts/peers.md"));
    let numbers: Vec<u32> = rows(&facts).into_iter().map(|row| row.0).collect();
    assert_eq!(numbers.len(), 70, "{numbers:?}");
    assert_eq!(
        numbers.iter().copied().collect::<BTreeSet<_>>(),
        (1..=70).collect()
    );
    let wrong = complaints(&facts, &read(&root().join("docs/peers.md")), &tests);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Control: a number without a test, one with a test and a reason, two reasons, a reason of one's own, a
/// function that is no test, and numbers that are no facts are all found.
#[test]
fn a_wrong_account_is_found() {
    let facts = (1..=7)
        .map(|number| {
            format!("| B-{number:02} | What happened. | What to show. | x | inferred |\n")
        })
        .collect::<String>();
    let number = |number: u32| format!("B-{number:02}");
    let source = format!(
        "/// {}: in the comment.\n#[test]\nfn one() {{}}\n/// {}: no test.\nfn helper() {{}}\n\
         #[test]\n#[cfg(unix)]\nfn b03_b04_in_the_name() {{}}\n#[test]\nfn b71_unknown() {{}}\n",
        number(1),
        number(2)
    );
    let tests = tests_in(&source);
    let reasons = concat!(
        "| B-04 | needs C |\n| B-05 | not this API |\n| B-05 | needs C |\n| B-06 | too hard |\n",
        "| B-07 | needs another kernel's feature |\n| B",
        "-72 | needs C |\n"
    );
    let expected = [
        "B-02 has no test and no reason".to_owned(),
        "B-04 has a test, and a reason not to".to_owned(),
        "B-05 has more than one reason".to_owned(),
        "B-06: \"too hard\" is not one of the reasons".to_owned(),
        format!("{} has a reason and is no fact", number(72)),
        format!("b71_unknown names {}, which is no fact", number(71)),
    ];
    assert_eq!(complaints(&facts, reasons, &tests), expected);
    assert_eq!(
        cited(concat!("B", "-1 BB-12 B", "-123 WDF-B-9 B-24.")),
        BTreeSet::from([24])
    );
}
