//! The tests of the repository, with the IDs that their doc comments name and the words of their bodies.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Item, Source, words};

/// A test.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    /// `T04`, `D-14`, `B-22`, `QUEUE-3`.
    pub(crate) ids: BTreeSet<String>,
    /// The words of its doc comment and of its body, and of what it calls in its own file.
    pub(crate) words: BTreeSet<String>,
}

impl Case {
    /// `tests/works.rs::w01_…`.
    pub(crate) fn place(&self) -> String {
        format!("{}::{}", self.file, self.name)
    }
}

/// IDs in a text, with nothing alphanumeric around them.
pub(crate) fn ids(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter_map(|word| {
            let word = word.trim_matches('-');
            let digits = word.trim_start_matches(|c: char| c.is_ascii_uppercase());
            let letters = word.len() - digits.len();
            let number = digits.strip_prefix('-').unwrap_or(digits);
            let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
            let is_id = match (letters, digits.starts_with('-')) {
                (0, _) => false,
                (_, true) => true,
                (1, false) => number.len() == 2,
                (2, false) => true,
                (_, false) => false,
            };
            (is_id && is_number).then(|| word.to_owned())
        })
}

/// The tests of a file: functions under `#[test]`, and, where a macro of the file makes one function under
/// `#[test]` of each, the lines `name: …;`.
pub(crate) fn cases(source: &Source) -> Vec<Case> {
    let items = source.items();
    let reach = Reach::new(source, &items);
    let mut cases: Vec<Case> = items
        .iter()
        .filter(|item| item.is_test)
        .map(|item| Case {
            file: source.file.clone(),
            name: item.name.clone(),
            ids: ids(&item.doc).collect(),
            words: reach.of(item),
        })
        .collect();
    if source.code.contains("fn $") {
        cases.extend(made(source, &reach));
    }
    cases
}

fn made(source: &Source, reach: &Reach) -> Vec<Case> {
    let (mut cases, mut doc) = (Vec::new(), String::new());
    for (index, line) in source.text.lines().map(str::trim).enumerate() {
        if let Some(rest) = line.strip_prefix("///") {
            doc.push_str(rest);
            continue;
        }
        let name = line.split_once(": ").map_or("", |(name, _)| name);
        let is_name = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if is_name && line.ends_with(';') && !doc.is_empty() {
            let own = source.words(index + 1, index + 1);
            cases.push(Case {
                file: source.file.clone(),
                name: name.to_owned(),
                ids: ids(&doc).collect(),
                words: reach.from(own, &doc),
            });
        }
        doc.clear();
    }
    cases
}

/// Which words the functions and constants of a file lead to.
struct Reach {
    named: BTreeMap<String, BTreeSet<String>>,
}

impl Reach {
    fn new(source: &Source, items: &[Item]) -> Self {
        let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for item in items {
            let body = source.words(item.line, item.last);
            named.entry(item.name.clone()).or_default().extend(body);
        }
        for (name, first, last) in source.constants() {
            named
                .entry(name)
                .or_default()
                .extend(source.words(first, last));
        }
        Self { named }
    }

    fn of(&self, item: &Item) -> BTreeSet<String> {
        self.from(BTreeSet::from([item.name.clone()]), &item.doc)
    }

    /// The words of `doc`; `own`, and the words of every function that they name, and so on.
    fn from(&self, own: BTreeSet<String>, doc: &str) -> BTreeSet<String> {
        let mut open: Vec<String> = own.iter().cloned().collect();
        let mut words = own;
        while let Some(word) = open.pop() {
            for next in self.named.get(word.as_str()).into_iter().flatten() {
                if words.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        words.extend(self::words(doc).map(str::to_owned));
        words
    }
}
