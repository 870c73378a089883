//! House rules that can be read off a file.

use super::source::{Item, Source, words};

/// Lines of a file without its tests, and of a function.
pub(crate) const FILE: usize = 500;
pub(crate) const FUNCTION: usize = 60;

/// The first line of the tests of a file: `#[cfg(test)]` before a module with a body.
fn tests_begin(source: &Source) -> Option<usize> {
    let lines: Vec<&str> = source.code.lines().map(str::trim).collect();
    lines
        .windows(2)
        .position(|pair| {
            pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
        })
        .map(|index| index + 1)
}

/// Files of more than [`FILE`] lines, their tests not counted, and functions of more than [`FUNCTION`].
pub(crate) fn lengths(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let end = tests_begin(source).unwrap_or(source.text.lines().count() + 1);
        if end - 1 > FILE && !source.file.ends_with("tests.rs") {
            complaints.push(format!(
                "{}:{FILE}: the file has {} lines without its tests, more than {FILE}: move a part of it to a file \
                 of its own",
                source.file,
                end - 1
            ));
        }
        let long = |item: &&Item| {
            item.line < end && !item.is_macro && item.last + 1 - item.line > FUNCTION
        };
        for item in source.items().iter().filter(long) {
            complaints.push(format!(
                "{}:{}: {} has {} lines, more than {FUNCTION}: divide it",
                source.file,
                item.line,
                item.name,
                item.last + 1 - item.line
            ));
        }
    }
    complaints
}

/// Words that mark something unfinished. Put together here, so that this file has none.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
];

/// Marks of unfinished things, and ignored tests, anywhere.
pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            let place = format!("{}:{}", source.file, index + 1);
            let marks = |mark: &&&str| match mark.strip_suffix('!') {
                Some(name) => line.contains(**mark) && words(line).any(|word| word == name),
                None => words(line).any(|word| word == **mark),
            };
            for mark in UNFINISHED.iter().filter(marks) {
                complaints.push(format!(
                    "{place}: {mark}: finish it, or describe it in an issue and take the mark out"
                ));
            }
            if line.contains(concat!("#[ig", "nore")) {
                complaints.push(format!(
                    "{place}: an ignored test: make it pass, or take it out"
                ));
            }
            if line.contains(concat!("#[should_", "panic]")) {
                complaints.push(format!(
                    "{place}: should_panic without a text: say which, by expected = \"…\""
                ));
            }
        }
    }
    complaints
}

/// Folders that exist on somebody's machine only.
const MACHINE: [&str; 4] = ["work", "home", "root", "tmp"];

/// Absolute paths into [`MACHINE`].
pub(crate) fn paths(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        for (index, line) in source.text.lines().enumerate() {
            if let Some(path) = machine_path(line) {
                complaints.push(format!(
                    "{}:{}: /{path} is a path of one machine: use one below the repository, or mktemp",
                    source.file,
                    index + 1
                ));
            }
        }
    }
    complaints
}

fn machine_path(line: &str) -> Option<&'static str> {
    let begins = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_.}*)/-".contains(c))
    };
    let slashes = line.match_indices('/').map(|(at, _)| at);
    slashes.filter(|at| begins(*at)).find_map(|at| {
        MACHINE.into_iter().find(|folder| {
            let rest = line[at + 1..].strip_prefix(folder);
            rest.is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() || "_-.".contains(c))
            })
        })
    })
}

/// The orders of an access.
const ORDERS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// Functions that make an access with an order, and have no comment that gives the reason of one.
pub(crate) fn orderings(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let end = tests_begin(source).unwrap_or(usize::MAX);
        let lines: Vec<&str> = source.text.lines().collect();
        for item in source
            .items()
            .iter()
            .filter(|item| item.line < end && !item.is_test)
        {
            let said = lines[item.line - 1..item.last]
                .iter()
                .any(|line| line.contains("ORDERING:"));
            let code = source.code.lines().enumerate();
            let first = code
                .skip(item.line)
                .take(item.last - item.line)
                .find(|(_, line)| words(line).any(|word| ORDERS.contains(&word)));
            if let (false, Some((index, _))) = (said || item.doc.contains("ORDERING:"), first) {
                complaints.push(format!(
                    "{}:{}: {} gives no reason for its orders: say what they pair with, in a comment that begins \
                     with ORDERING:",
                    source.file,
                    index + 1,
                    item.name
                ));
            }
        }
    }
    complaints
}

/// The version of a manifest's `[workspace.package]`.
pub(crate) fn version(manifest: &str) -> Option<&str> {
    let section = manifest.split_once("[workspace.package]")?.1;
    section
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}

/// The changelog begins with the version of the manifest or with what is not released; and no version of it
/// is the manifest's successor.
pub(crate) fn changelog(text: &str, manifest: &str) -> Vec<String> {
    let Some(version) = version(manifest) else {
        return vec!["Cargo.toml:1: no version in [workspace.package]: write it there".to_owned()];
    };
    let headings = text.lines().enumerate().filter_map(|(index, line)| {
        let name = line.strip_prefix("## [")?.split(']').next()?;
        Some((index + 1, name))
    });
    let numbers = |version: &str| -> Vec<u32> {
        version
            .split(['.', '-', '+'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
    let mut complaints = Vec::new();
    for (position, (line, name)) in headings.clone().enumerate() {
        let is_unreleased = name == "Unreleased";
        if position == 0 && !is_unreleased && name != version {
            complaints.push(format!(
                "CHANGELOG.md:{line}: begins with {name}, and Cargo.toml says {version}: make them agree, or begin \
                 with [Unreleased]"
            ));
        } else if position > 0 && !is_unreleased && numbers(name) > numbers(version) {
            complaints.push(format!(
                "CHANGELOG.md:{line}: {name} is later than {version} of Cargo.toml: raise the version there"
            ));
        }
    }
    if headings.count() == 0 {
        complaints.push("CHANGELOG.md:1: no version: begin with \"## [Unreleased]\"".to_owned());
    }
    complaints
}
