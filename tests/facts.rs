//! Every fact number cited in this repository resolves in `docs/facts.md` and the files it
//! indexes, and every row of those files is complete.
//!
//! A citation is one of the forms of [`FAMILIES`]: `D`, hyphen, number for a KMDF fact; letter
//! and two digits for a conformance row. Prose such as *UTF-8*, *N-th* or a power state with one
//! digit is not a citation. Numbers in this file are assembled with `concat!`, so that the file
//! passes its own test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// How the digits after a family's prefix are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digits {
    /// Up to three digits.
    UpToThree,
    /// Exactly two digits.
    Two,
    /// Exactly one digit.
    One,
    /// A zero, one digit and possibly one small letter.
    ZeroAndOne,
}

/// Prefix, shape of the number, and the numbers that must exist (first and last).
#[derive(Clone, Copy, Debug)]
struct Family {
    prefix: &'static str,
    digits: Digits,
    first: u32,
    last: u32,
}

const fn family(prefix: &'static str, digits: Digits, first: u32, last: u32) -> Family {
    Family {
        prefix,
        digits,
        first,
        last,
    }
}

/// Longest prefixes first where one is the beginning of another.
const FAMILIES: [Family; 18] = [
    family("BIND-", Digits::UpToThree, 1, 26),
    family("DS", Digits::One, 1, 5),
    family("D-", Digits::UpToThree, 1, 33),
    family("W-", Digits::UpToThree, 1, 34),
    family("T-", Digits::UpToThree, 1, 35),
    family("S-", Digits::UpToThree, 1, 15),
    family("IO-", Digits::UpToThree, 1, 22),
    family("O-", Digits::UpToThree, 1, 21),
    family("N-", Digits::UpToThree, 1, 44),
    family("B-", Digits::UpToThree, 1, 70),
    family("H-", Digits::UpToThree, 1, 44),
    family("V-", Digits::UpToThree, 1, 8),
    family("C-", Digits::UpToThree, 1, 5),
    family("T", Digits::Two, 1, 31),
    family("W", Digits::Two, 1, 40),
    family("Q", Digits::Two, 1, 25),
    family("D", Digits::Two, 1, 32),
    family("R", Digits::ZeroAndOne, 2, 6),
];

/// The evidence marks a row may carry, one or several, separated by commas.
const MARKS: [&str; 4] = ["read", "documented", "observed", "inferred"];

/// The directories and files that may cite facts, from the package root.
const CITING: [&str; 15] = [
    "src",
    "mock/src",
    "mock/tests",
    "tests",
    "examples",
    "benches",
    "capi",
    "cross",
    "ci",
    "include",
    "docs",
    "shim-api.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

/// The suffixes of files that are read.
const SUFFIXES: [&str; 7] = ["rs", "md", "c", "h", "toml", "sh", "py"];

/// The length of the citation that starts at `at`, if one does.
fn citation_at(text: &[u8], at: usize) -> Option<usize> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if at > 0 && word(text[at - 1]) {
        return None;
    }
    if at > 1 && text[at - 1] == b'-' && text[at - 2].is_ascii_alphabetic() {
        return None;
    }
    FAMILIES.iter().find_map(|family| {
        let start = at + family.prefix.len();
        if !text[at..].starts_with(family.prefix.as_bytes()) {
            return None;
        }
        let digits = text[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let mut end = start + digits;
        let shaped = match family.digits {
            Digits::UpToThree => (1..=3).contains(&digits),
            Digits::Two => digits == 2,
            Digits::One => digits == 1,
            Digits::ZeroAndOne => digits == 2 && text[start] == b'0',
        };
        if family.digits == Digits::ZeroAndOne && text.get(end).is_some_and(u8::is_ascii_lowercase)
        {
            end += 1;
        }
        let closed = text.get(end).is_none_or(|&byte| !word(byte));
        (shaped && closed).then_some(end - at)
    })
}

/// Every citation in `text`, with its line number.
fn citations(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bytes = line.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match citation_at(bytes, at) {
                Some(length) => {
                    found.push((index + 1, line[at..at + length].to_owned()));
                    at += length;
                }
                None => at += 1,
            }
        }
    }
    found
}

/// The rows that a test function names by its first word, as `t04_…` names a row, a KMDF fact or
/// a bug. Each entry holds the spellings of which one must resolve.
fn named_by_tests(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(rest) = line
            .trim_start()
            .trim_start_matches("pub ")
            .strip_prefix("fn ")
        else {
            continue;
        };
        let bytes = rest.as_bytes();
        let named = bytes.len() > 3
            && matches!(bytes[0], b't' | b'w' | b'q' | b'd' | b'b')
            && bytes[1].is_ascii_digit()
            && bytes[2].is_ascii_digit()
            && bytes[3] == b'_';
        if named {
            let letter = rest[..1].to_ascii_uppercase();
            let number: u32 = rest[1..3].parse().expect("two digits are a number");
            found.push((
                index + 1,
                vec![
                    format!("{letter}{number:02}"),
                    format!("{letter}-{number}"),
                    format!("{letter}-{number:02}"),
                ],
            ));
        }
    }
    found
}

/// One line for each citation and each test name in `text` that `ids` does not hold.
fn unresolved(ids: &BTreeSet<String>, place: &str, text: &str) -> Vec<String> {
    let cited = citations(text)
        .into_iter()
        .filter(|(_, id)| !ids.contains(id))
        .map(|(line, id)| {
            let hint = match id.strip_prefix("B-").map(str::len) {
                Some(1) => format!(
                    " (a peer's bug is written B-{0:0>2}, a binding BIND-{0})",
                    &id[2..]
                ),
                Some(_) | None => String::new(),
            };
            format!("{place}:{line}: {id} is not in docs/facts.md{hint}")
        });
    let named = named_by_tests(text)
        .into_iter()
        .filter(|(_, spellings)| !spellings.iter().any(|id| ids.contains(id)))
        .map(|(line, spellings)| {
            format!(
                "{place}:{line}: a test is named after {}, which is not a fact",
                spellings[0]
            )
        });
    cited.chain(named).collect()
}

/// The cells of a Markdown table row, without the outer bars.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split(" | ").map(str::trim).collect())
}

/// What the fact files define: each id with the number of its rows, and every complaint.
fn defined(files: &[(String, String)]) -> (BTreeMap<String, usize>, Vec<String>) {
    let mut ids = BTreeMap::new();
    let mut complaints = Vec::new();
    for (place, text) in files {
        for (index, line) in text.lines().enumerate() {
            let Some(row) = cells(line) else { continue };
            let id = row[0];
            if citation_at(id.as_bytes(), 0) != Some(id.len()) {
                continue;
            }
            *ids.entry(id.to_owned()).or_insert(0) += 1;
            if let Some(complaint) = incomplete(&row) {
                complaints.push(format!("{place}:{}: {id} {complaint}", index + 1));
            }
        }
    }
    complaints.extend(
        ids.iter()
            .filter(|(_, rows)| **rows > 1)
            .map(|(id, _)| format!("{id} is defined twice")),
    );
    (ids, complaints)
}

/// Why a row does not count: a fact needs a statement, a source and evidence marks.
fn incomplete(row: &[&str]) -> Option<&'static str> {
    let [_, statement, .., source, marks] = row else {
        return Some("has fewer than four cells");
    };
    if statement.split_whitespace().count() < 2 {
        return Some("has no statement");
    }
    if source.len() < 3 {
        return Some("has no source");
    }
    if !marks.split(", ").all(|mark| MARKS.contains(&mark)) {
        return Some("has an unknown evidence mark");
    }
    None
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All readable files below `path`, in order, as (place, text).
fn read_tree(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        let mut inside: Vec<PathBuf> = fs::read_dir(path)
            .expect("the directory can be listed")
            .map(|entry| entry.expect("the entry can be read").path())
            .collect();
        inside.sort();
        for entry in inside.iter().filter(|entry| !entry.ends_with("target")) {
            read_tree(entry, found);
        }
    } else if path
        .extension()
        .is_some_and(|end| SUFFIXES.iter().any(|known| end == *known))
    {
        // A capture or another binary under a text suffix holds no citation.
        if let Ok(text) = fs::read_to_string(path) {
            let place = path
                .strip_prefix(root())
                .expect("the file is in the package");
            found.push((place.display().to_string(), text));
        }
    }
}

fn fact_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    read_tree(&root().join("docs/facts.md"), &mut files);
    read_tree(&root().join("docs/facts"), &mut files);
    files
}

fn known_ids() -> BTreeSet<String> {
    defined(&fact_files()).0.into_keys().collect()
}

#[test]
fn every_cited_fact_resolves() {
    let ids = known_ids();
    let mut files = Vec::new();
    for citing in CITING {
        read_tree(&root().join(citing), &mut files);
    }
    for must in ["src/", "mock/src/", "tests/", "docs/"] {
        assert!(
            files.iter().any(|(place, _)| place.starts_with(must)),
            "nothing read in {must}"
        );
    }
    // This file cites known numbers in a test below: a walk that misses them is blind.
    let own = files
        .iter()
        .find(|(place, _)| place == "tests/facts.rs")
        .expect("this file is read");
    assert!(
        citations(&own.1).len() >= 29,
        "the citations of this file are not seen"
    );
    let complaints: Vec<String> = files
        .iter()
        .flat_map(|(place, text)| unresolved(&ids, place, text))
        .collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_fact_row_is_complete_and_unique() {
    let (_, complaints) = defined(&fact_files());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_family_is_whole() {
    let ids = known_ids();
    let mut expected = BTreeSet::new();
    for family in FAMILIES {
        for number in family.first..=family.last {
            expected.insert(match family.digits {
                Digits::Two | Digits::ZeroAndOne => format!("{}{number:02}", family.prefix),
                Digits::UpToThree if family.prefix == "B-" => format!("B-{number:02}"),
                Digits::UpToThree | Digits::One => format!("{}{number}", family.prefix),
            });
        }
    }
    expected.insert(concat!("R", "02c").to_owned());
    let missing: Vec<_> = expected.difference(&ids).collect();
    let foreign: Vec<_> = ids.difference(&expected).collect();
    assert!(
        missing.is_empty() && foreign.is_empty(),
        "missing {missing:?}, foreign {foreign:?}"
    );
}

#[test]
fn an_unknown_number_of_each_family_is_reported() {
    let ids = known_ids();
    let text = concat!(
        "D",
        "-34 and (W",
        "-35), T",
        "-36; S",
        "-16, O",
        "-22. N",
        "-45/B",
        "-71 `B",
        "-5`\n",
        "H",
        "-45…H",
        "-46 V",
        "-9, C",
        "-6: BIND",
        "-27, D",
        "-05,\n",
        "rows T",
        "32, W",
        "41, Q",
        "26, D",
        "33, DS",
        "6, R",
        "07, R",
        "03c, IO",
        "-23."
    );
    let complaints = unresolved(&ids, "fixture", text);
    assert_eq!(complaints.len(), 22, "{complaints:#?}");
    assert_eq!(
        complaints[0],
        concat!("fixture:1: D", "-34 is not in docs/facts.md"),
        "the place, the line and the number are named"
    );
    assert!(
        complaints[7].contains("BIND-"),
        "a bare B number gets a hint: {}",
        complaints[7]
    );
}

#[test]
fn known_numbers_pass_in_every_notation() {
    let text = "D-14, (W-17), `T-20`; S-4…S-6 O-4..O-7 N-1/N-44 B-70 BIND-1 H-3: V-4. C-5\n\
                T04 W12 Q08 D13 DS3 R02 R02c D-1 D01 W-1 W01 T-1 T01 B-10 BIND-10";
    assert_eq!(citations(text).len(), 29);
    assert_eq!(
        unresolved(&known_ids(), "fixture", text),
        Vec::<String>::new()
    );
}

#[test]
fn words_that_look_alike_are_not_citations() {
    for text in [
        "UTF-8, N-th, T-shirt, D-Bus, x86-64, H-bridge",
        "0xD14, 0xC0000004, STATUS_D12, T04_SETUP, ISO-8601, power states D0 and D3",
        "WDF-T-99x, en-D-99, KMDF-D-99, W2000, D2026, B-2026-01-01, R10 and R12, C11, DS12",
    ] {
        assert_eq!(citations(text), Vec::new(), "{text}");
    }
}

#[test]
fn test_names_are_held_to_the_rows() {
    let ids = known_ids();
    let good = "fn t04_second_run_follows() {}\n    fn d14_cancel_does_not_wait() {}\n\
                fn b70_requeue() {}\nfn w1_is_no_row() {}\nfn q100_neither() {}";
    assert_eq!(unresolved(&ids, "fixture", good), Vec::<String>::new());
    let bad = "fn t88_no_such_row() {}\n    pub fn b99_no_such_bug() {}";
    assert_eq!(unresolved(&ids, "fixture", bad).len(), 2);
}

#[test]
fn bad_rows_are_reported() {
    let rows = concat!(
        "| D",
        "-1 | A whole statement. | a source | read |\n",
        "| D",
        "-1 | The same number again. | a source | read, observed |\n",
        "| D",
        "-2 | No mark at all. | a source | |\n",
        "| D",
        "-3 | An invented mark. | a source | certain |\n",
        "| D",
        "-4 | No source. |  | read |\n",
        "| D",
        "-5 | | a source | read |\n",
        "| D",
        "-6 | too short | read |\n",
        "| not an id | is skipped | a | b |\n"
    );
    let (ids, complaints) = defined(&[("fixture".to_owned(), rows.to_owned())]);
    assert_eq!(ids.len(), 6);
    assert_eq!(complaints.len(), 6, "{complaints:#?}");
}
