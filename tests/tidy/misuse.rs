//! The diagnostics: codes of the engine, rows of the contract and tests are the same set.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::cells;
use super::source::{Source, words};

/// `BH` and two digits.
fn is_code(word: &str) -> bool {
    word.len() == 4 && word.starts_with("BH") && word[2..].chars().all(|c| c.is_ascii_digit())
}

/// The codes that the engine gives to its diagnostics, with their lines; a code that stands twice is a
/// complaint.
pub(crate) fn codes(engine: &Source) -> (BTreeMap<String, usize>, Vec<String>) {
    let (mut found, mut complaints) = (BTreeMap::new(), Vec::new());
    for (index, line) in engine.text.lines().enumerate() {
        // `Name => "BH01"` in a match, or `Name = "BH01"` in a list.
        let Some((_, rest)) = line.split_once("= \"").or_else(|| line.split_once("=> \"")) else {
            continue;
        };
        let code = rest.split('"').next().unwrap_or_default().to_owned();
        if !is_code(&code) {
            continue;
        }
        if let Some(first) = found.insert(code.clone(), index + 1) {
            complaints.push(format!(
                "{}:{}: {code} is the code of line {first} already: take the next number",
                engine.file,
                index + 1
            ));
        }
    }
    (found, complaints)
}

/// The codes of the contract's table of misuse, with their lines.
pub(crate) fn rows(contract: &str) -> BTreeMap<String, usize> {
    let lines = contract.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let code = cells(line)?.first()?.clone();
            is_code(&code).then_some((code, index + 1))
        })
        .collect()
}

/// The codes that a text names anywhere.
pub(crate) fn mentioned(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.flat_map(|(index, line)| {
        words(line)
            .filter(|word| is_code(word))
            .map(move |word| (index + 1, word))
    })
}

/// Codes without a row, rows without a code, codes without a test.
pub(crate) fn agree(
    engine: &str,
    codes: &BTreeMap<String, usize>,
    rows: &BTreeMap<String, usize>,
    tested: &BTreeSet<String>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (code, line) in codes {
        if !rows.contains_key(code) {
            complaints.push(format!(
                "{engine}:{line}: {code} has no row: add one to the table of misuse in shim-api.md"
            ));
        }
        if !tested.contains(code) {
            complaints.push(format!(
                "{engine}:{line}: {code} has no test: write one in tests/misuse.rs that expects its line"
            ));
        }
    }
    for (code, line) in rows {
        if !codes.contains_key(code) {
            complaints.push(format!(
                "shim-api.md:{line}: {code} is no code of {engine}: take the row out, or add the diagnostic"
            ));
        }
    }
    complaints
}

/// Codes that a file names and the engine does not have.
pub(crate) fn known(sources: &[Source], codes: &BTreeMap<String, usize>) -> Vec<String> {
    let of = |source: &Source| {
        let unknown = mentioned(&source.text).filter(|(_, code)| !codes.contains_key(*code));
        unknown
            .map(|(line, code)| {
                format!(
                    "{}:{line}: {code} is no diagnostic: correct the code",
                    source.file
                )
            })
            .collect::<Vec<_>>()
    };
    sources.iter().flat_map(of).collect()
}
