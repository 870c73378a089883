//! shim-api.md against the code: rows, names, levels.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Item, Source, words};

/// A row of one of the tables that promise something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) line: usize,
    /// What the column *function* or *call* has in backticks, spelled out.
    pub(crate) names: Vec<String>,
    /// The column *IRQL*, if the table has one.
    pub(crate) irql: String,
    /// The last column: rows of docs/facts/linux.md.
    pub(crate) rows: Vec<String>,
    /// The last column, in backticks: files of tests.
    pub(crate) tests: Vec<String>,
}

/// The cells of a Markdown table row. A bar in backticks belongs to its cell.
pub(crate) fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in inner.chars() {
        quoted ^= c == '`';
        if c == '|' && !quoted {
            cells.push(String::new());
        } else {
            cells.last_mut().expect("never empty").push(c);
        }
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

/// What stands in backticks, in order.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `QUEUE-3`: capitals, a hyphen, a number.
fn is_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(family, number)| {
        family.len() > 2
            && family.chars().all(|c| c.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
    })
}

/// The rows with an ID, and a complaint for each line of a table that cannot be read.
pub(crate) fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    let mut columns: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let Some(cells) = cells(line) else {
            columns.clear();
            continue;
        };
        if columns.is_empty() {
            columns = cells;
            continue;
        }
        if columns[0] != "ID" || cells[0].starts_with('-') {
            continue;
        }
        let place = format!("shim-api.md:{}", index + 1);
        if !is_id(&cells[0]) || cells.len() != columns.len() {
            complaints.push(format!(
                "{place}: the row {} has {} cells of {} or no ID like QUEUE-3: write it like the rows around it",
                cells[0],
                cells.len(),
                columns.len()
            ));
            continue;
        }
        let cell = |names: &[&str]| {
            let at = columns
                .iter()
                .position(|column| names.contains(&column.as_str()));
            at.map(|at| cells[at].clone()).unwrap_or_default()
        };
        let names = cell(&["function", "call"]);
        let held = cell(&["rows", "tests", "tests, rows"]);
        rows.push(Row {
            id: cells[0].clone(),
            line: index + 1,
            names: quoted(&names).flat_map(spelled).collect(),
            irql: cell(&["IRQL"]),
            rows: held
                .split('`')
                .step_by(2)
                .flat_map(super::cases::ids)
                .collect(),
            tests: quoted(&held).map(str::to_owned).collect(),
        });
    }
    (rows, complaints)
}

/// The names in a pair of backticks: without arguments, so that `attach(Host, &Config)` is `attach`, and both
/// that `time_after(64)` and `round_jiffies(_relative)` stand for.
fn spelled(name: &str) -> Vec<String> {
    let bare = name
        .split(['(', '!', '<'])
        .next()
        .unwrap_or_default()
        .trim();
    let suffix = name
        .strip_prefix(bare)
        .and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let is_suffix = |suffix: &&str| {
        suffix.starts_with(|c: char| c == '_' || c.is_ascii_digit())
            && suffix
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let longer = suffix
        .filter(is_suffix)
        .map(|suffix| format!("{bare}{suffix}"));
    [Some(bare.to_owned()), longer]
        .into_iter()
        .flatten()
        .collect()
}

/// IDs that stand twice.
pub(crate) fn unique(rows: &[Row]) -> Vec<String> {
    let mut seen = BTreeMap::new();
    let twice = rows.iter().filter_map(|row| {
        let first = *seen.entry(&row.id).or_insert(row.line);
        (first != row.line).then(|| {
            format!(
                "shim-api.md:{}: {} is the ID of line {first} already: take the next number of the family",
                row.line, row.id
            )
        })
    });
    twice.collect()
}

/// The public functions and macros with a Linux name: those of the modules that `bottomhalf::linux` passes
/// on, and exported macros but those of the typed face.
pub(crate) fn public<'a>(linux: &Source, sources: &'a [Source]) -> Vec<(&'a Source, Item)> {
    let mut whole = BTreeSet::new();
    let mut single = BTreeSet::new();
    for statement in linux.code.split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else {
            continue;
        };
        match path.split_once("::{") {
            Some((_, list)) => single.extend(words(list)),
            None if path.ends_with("::*") => {
                let path = path.trim_end_matches("::*").trim_start_matches("crate::");
                whole.insert(format!("src/{}.rs", path.replace("::", "/")));
                whole.insert(format!("src/{}/mod.rs", path.replace("::", "/")));
            }
            None => single.extend(words(path).last()),
        }
    }
    let of = |source: &'a Source| {
        let all = whole.contains(&source.file);
        let items = source
            .items()
            .into_iter()
            .filter(move |item| item.is_public);
        items.map(move |item| (source, item, all))
    };
    sources
        .iter()
        .flat_map(of)
        .filter(|(_, item, all)| match item.is_macro {
            true => !item.name.starts_with("impl_") && !item.name.starts_with("__"),
            false => *all || single.contains(item.name.as_str()),
        })
        .map(|(source, item, _)| (source, item))
        .collect()
}

/// The public functions of the typed face and of attach.
pub(crate) fn faces(sources: &[Source]) -> Vec<(&Source, Item)> {
    let of =
        |source: &&Source| source.file.starts_with("src/typed/") || source.file == "src/attach.rs";
    let items = |source| {
        Source::items(source)
            .into_iter()
            .map(move |item| (source, item))
    };
    let public = sources.iter().filter(of).flat_map(items);
    public
        .filter(|(_, item)| item.is_public && !item.is_macro)
        .collect()
}

/// Functions without a row, and names of rows that the code does not have.
pub(crate) fn names(rows: &[Row], public: &[(&Source, Item)], sources: &[Source]) -> Vec<String> {
    let promised: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| &row.names)
        .map(String::as_str)
        .collect();
    let mut complaints = Vec::new();
    for (source, item) in public {
        if !promised.contains(item.path().as_str()) {
            complaints.push(format!(
                "{}:{}: {} has no row in shim-api.md: add it to the function column of a row, with IRQL, \
                 effect and rows",
                source.file,
                item.line,
                item.path()
            ));
        }
    }
    let mut defined = BTreeSet::new();
    for source in sources {
        let lines = source
            .code
            .lines()
            .filter(|line| line.contains("pub ") || line.contains("macro_rules!"));
        defined.extend(lines.flat_map(words));
        // The members of public enumerations stand on lines of their own.
        defined.extend(source.code.lines().filter_map(|line| {
            let line = line.trim().trim_end_matches(',');
            line.starts_with(|c: char| c.is_ascii_uppercase())
                .then(|| words(line).next())?
        }));
    }
    for row in rows {
        for name in &row.names {
            if let Some(part) = name.split("::").find(|part| !defined.contains(part)) {
                complaints.push(format!(
                    "shim-api.md:{}: {} names `{name}`, but src/ defines no public `{part}`: correct the \
                     name or take it out of the row",
                    row.line, row.id
                ));
            }
        }
    }
    complaints
}

/// Where a function may be called, as a row or a doc comment says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) most: &'static str,
    pub(crate) blocks: bool,
}

/// `any`, `PASSIVE, blocks`, `<= APC`, `= PASSIVE. Blocks while it runs`.
fn level(text: &str) -> Option<Level> {
    let first = words(text).next()?;
    let most = ["any", "PASSIVE", "APC", "DISPATCH"]
        .into_iter()
        .find(|level| *level == first)?;
    let lower = text.to_lowercase();
    Some(Level {
        most,
        blocks: lower.contains("blocks") && !lower.contains("not block"),
    })
}

/// The level of the function at `index` of `count` of a row: parts separated by `;` are the functions' in
/// order, one part is that of all.
fn level_in_row(row: &Row, index: usize) -> Option<Level> {
    let parts: Vec<&str> = row.irql.split(';').collect();
    level(match parts.len() {
        1 => parts[0],
        _ => parts.get(index)?,
    })
}

/// Doc comments that do not name the function of Linux, or of NT, that they stand for.
pub(crate) fn origins(public: &[(&Source, Item)]) -> Vec<String> {
    let marks = ["Linux: `", "Linux's `", "NT: `", "KMDF: "];
    // Methods have no counterpart of their own.
    let unnamed = public
        .iter()
        .filter(|(_, item)| item.owner.is_none())
        .filter(|(_, item)| !marks.iter().any(|mark| item.doc.contains(mark)));
    unnamed
        .map(|(source, item)| {
            format!(
                "{}:{}: {} does not name its source: write \"Linux: `{}`.\" or \"NT: `…`.\" in its doc comment",
                source.file,
                item.line,
                item.path(),
                item.name
            )
        })
        .collect()
}

/// Doc comments without an `IRQL:` line, and levels that are not those of the row.
pub(crate) fn levels(rows: &[Row], public: &[(&Source, Item)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (source, item) in public {
        let path = item.path();
        let place = format!("{}:{}: {path}", source.file, item.line);
        let Some(said) = item
            .doc
            .split_once("IRQL: ")
            .and_then(|(_, rest)| level(rest))
        else {
            complaints.push(format!(
                "{place} does not say its level: write \"IRQL: any.\", \"IRQL: <= APC.\", \"IRQL: <= DISPATCH.\" or \
                 \"IRQL: = PASSIVE. Blocks.\" in its doc comment"
            ));
            continue;
        };
        for row in rows {
            let Some(index) = row.names.iter().position(|name| *name == path) else {
                continue;
            };
            match level_in_row(row, index) {
                None if row.irql.is_empty() => {}
                None => complaints.push(format!(
                    "shim-api.md:{}: {} gives no level to {}: write any, APC, DISPATCH or PASSIVE, one for \
                     all functions or one for each, separated by semicolons",
                    row.line, row.id, path
                )),
                Some(promised) if promised == said => {}
                Some(promised) => complaints.push(format!(
                    "{place} says {said:?}, and {} in line {} of shim-api.md says {promised:?}: make them agree",
                    row.id, row.line
                )),
            }
        }
    }
    complaints
}

/// IDs that no test stands for: none that names the ID, by `named` with the test's file, and none for one of
/// the ID's rows. Files in the column *tests* hold such a test each.
pub(crate) fn tested(
    rows: &[Row],
    stands: &BTreeSet<String>,
    named: &BTreeSet<(String, String)>,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for row in rows {
        let place = format!("shim-api.md:{}: {}", row.line, row.id);
        let by_rows = !row.rows.is_empty() && row.rows.iter().all(|id| stands.contains(id));
        if !by_rows && !stands.contains(&row.id) {
            let untested: Vec<_> = row.rows.iter().filter(|id| !stands.contains(*id)).collect();
            complaints.push(format!(
                "{place} has no test (rows without one: {untested:?}): name {} in the doc comment of the test \
                 that holds it",
                row.id
            ));
        }
        for file in &row.tests {
            if !named.contains(&(file.clone(), row.id.clone())) {
                complaints.push(format!(
                    "{place} is said to be held in {file}, but no test there names it: name {} in the doc \
                     comment of the test, or correct the file",
                    row.id
                ));
            }
        }
    }
    complaints
}
