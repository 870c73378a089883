//! Rust source as the checks read it: comments and literals told from code, functions with their bodies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// One file. `code` has the length and the lines of `text`, with blanks for comments and for what is
/// inside string and character literals.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) code: String,
}

/// A function or a `macro_rules!` of a file. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    /// The type whose `impl` or the trait whose body it stands in.
    pub(crate) owner: Option<String>,
    pub(crate) is_macro: bool,
    /// `pub`, and not `pub(crate)`; for a macro, `#[macro_export]`.
    pub(crate) is_public: bool,
    pub(crate) is_test: bool,
    /// The doc comment, joined to one line.
    pub(crate) doc: String,
    /// The line of the name.
    pub(crate) line: usize,
    /// The line of the closing brace.
    pub(crate) last: usize,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folders` whose names end in one of `endings`, in order.
pub(crate) fn files(folders: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    paths.sort();
    paths.dedup();
    let ends = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        endings.iter().any(|ending| name.ends_with(ending))
    };
    paths
        .iter()
        .filter(|path| ends(path))
        .filter_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            let place = path.strip_prefix(root()).expect("below the root");
            Some(Source::new(&place.display().to_string(), &text))
        })
        .collect()
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap_or_default();
    if path.is_file() {
        found.push(path.to_owned());
    } else if path.is_dir() && name != "target" && name != ".git" {
        for entry in fs::read_dir(path).expect("a folder can be listed") {
            walk(&entry.expect("an entry can be read").path(), found);
        }
    }
}

impl Item {
    /// `Workqueue::drain`, or the name alone.
    pub(crate) fn path(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{owner}::{}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let is_rust = file.ends_with(".rs");
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            code: if is_rust {
                code_of(text)
            } else {
                text.to_owned()
            },
        }
    }

    /// The functions and macros, in order, those inside others included.
    pub(crate) fn items(&self) -> Vec<Item> {
        let lines: Vec<&str> = self.text.lines().collect();
        let owners = self.owners();
        let mut found = Vec::new();
        let (mut start, mut number) = (0, 0);
        for line in self.code.lines() {
            if let Some((name, is_macro)) = named(line) {
                let (doc, attributes) = above(&lines[..number]);
                let is_public = if is_macro {
                    attributes.contains("macro_export")
                } else {
                    line.trim_start().starts_with("pub ")
                };
                let inside = |(first, last, _): &&(usize, usize, String)| {
                    (*first..=*last).contains(&(number + 1))
                };
                found.push(Item {
                    name: name.to_owned(),
                    owner: owners
                        .iter()
                        .rev()
                        .find(inside)
                        .map(|(_, _, owner)| owner.clone()),
                    is_macro,
                    is_public,
                    is_test: attributes.contains("#[test]"),
                    doc,
                    line: number + 1,
                    last: number + 1 + body_lines(&self.code[start..]),
                });
            }
            start += line.len() + 1;
            number += 1;
        }
        found
    }

    /// The blocks of `impl` and `trait`: first line, last line, the type or trait.
    fn owners(&self) -> Vec<(usize, usize, String)> {
        let (mut found, mut start) = (Vec::new(), 0);
        for (number, line) in self.code.lines().enumerate() {
            let code = &self.code[start..];
            start += line.len() + 1;
            let first = words(line).find(|word| !["pub", "crate", "unsafe"].contains(word));
            if line.starts_with(' ') || !matches!(first, Some("impl" | "trait")) {
                continue;
            }
            let header = code.split(['{', ';']).next().unwrap_or_default();
            let named = match header.split_once(" for ") {
                Some((_, named)) => named,
                None => without_generics(header),
            };
            let named = named.split(" where ").next().unwrap_or_default();
            let path = named.split('<').next().unwrap_or_default();
            if let Some(owner) = words(path).last() {
                found.push((number + 1, number + 1 + body_lines(code), owner.to_owned()));
            }
        }
        found
    }

    /// The constants and statics: name, first line, last line.
    pub(crate) fn constants(&self) -> Vec<(String, usize, usize)> {
        let (mut found, mut start) = (Vec::new(), 0);
        for (number, line) in self.code.lines().enumerate() {
            let named = words(line).find(|word| !["pub", "crate", "super"].contains(word));
            if matches!(named, Some("const" | "static")) && !line.contains("fn ") {
                let name = words(line)
                    .skip_while(|word| !["const", "static"].contains(word))
                    .nth(1);
                let last = number + 1 + body_lines(&self.code[start..]);
                found.extend(name.map(|name| (name.to_owned(), number + 1, last)));
            }
            start += line.len() + 1;
        }
        found
    }

    /// The words of the lines `first` to `last` of the code.
    pub(crate) fn words(&self, first: usize, last: usize) -> BTreeSet<String> {
        let lines = self.code.lines().skip(first - 1).take(last + 1 - first);
        lines.flat_map(words).map(str::to_owned).collect()
    }
}

/// The identifiers of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// `impl<T: X<Y>> Name<T>` from `Name` on; `trait Name` likewise.
fn without_generics(header: &str) -> &str {
    let rest = header
        .trim_start_matches("pub ")
        .trim_start_matches("unsafe ");
    let rest = rest.trim_start_matches("impl").trim_start_matches("trait");
    let mut depth = 0_usize;
    for (at, c) in rest.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if !rest[..at].ends_with('-') => depth = depth.saturating_sub(1),
            _ if depth == 0 && !c.is_whitespace() => return &rest[at..],
            _ => {}
        }
    }
    rest
}

/// The name that a line of code gives to a function or macro.
fn named(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start();
    let (rest, is_macro) = match line.strip_prefix("macro_rules! ") {
        Some(rest) => (rest, true),
        None => {
            let (before, rest) = line.split_once("fn ")?;
            let modifiers = words(before).all(|word| {
                [
                    "pub", "crate", "super", "const", "unsafe", "extern", "async",
                ]
                .contains(&word)
            });
            let plain = before
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "() \"".contains(c));
            if !modifiers || !plain {
                return None;
            }
            (rest, false)
        }
    };
    let name = words(rest).next()?;
    rest.starts_with(name).then_some((name, is_macro))
}

/// The doc comment, joined, and the attributes that stand directly above the end of `lines`.
fn above(lines: &[&str]) -> (String, String) {
    let (mut doc, mut attributes) = (Vec::new(), String::new());
    let mut depth = 0_i32;
    for line in lines.iter().rev().map(|line| line.trim()) {
        if let Some(rest) = line.strip_prefix("///") {
            doc.push(rest.trim());
        } else if depth == 0 && !line.ends_with(']') {
            break;
        } else {
            // An attribute of several lines is read from its last line to its first.
            let count = |c| i32::try_from(line.matches(c).count()).expect("a short line");
            depth += count(']') - count('[');
            attributes.insert_str(0, line);
        }
    }
    doc.reverse();
    (doc.join(" "), attributes)
}

/// How many lines after the first the item goes on that begins at the start of `code`: to the brace that
/// closes its body, or to the semicolon of a declaration.
fn body_lines(code: &str) -> usize {
    let (mut depth, mut lines) = (0_usize, 0);
    for (at, c) in code.char_indices() {
        match c {
            '\n' => lines += 1,
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' && !code[at + 1..].trim_start().starts_with(';') {
                    return lines;
                }
            }
            ';' if depth == 0 => return lines,
            _ => {}
        }
    }
    lines
}

/// `text` with blanks for comments and for the insides of literals.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_or_comment(bytes, at);
        match end {
            Some((from, to)) => {
                for byte in &mut out[from..to] {
                    if *byte != b'\n' {
                        *byte = b' ';
                    }
                }
                at = to.max(at + 1);
            }
            None => at += 1,
        }
    }
    String::from_utf8(out).expect("only whole literals and comments are blanked")
}

/// What to blank of the literal or comment that begins at `at`, if one does.
fn literal_or_comment(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = &bytes[at..];
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if rest.starts_with(b"//") {
        let length = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
        return Some((at, at + length));
    }
    if rest.starts_with(b"/*") {
        return Some((at, at + block_comment(rest)));
    }
    if rest[0] == b'"' {
        return Some((at, at + closing(rest, b'"')));
    }
    if rest[0] == b'\'' {
        // A lifetime has no closing quote after one character.
        let is_char = rest.get(1) == Some(&b'\\')
            || rest[1..]
                .iter()
                .take(6)
                .skip(1)
                .position(|&b| b == b'\'')
                .is_some_and(|n| {
                    std::str::from_utf8(&rest[1..n + 2]).is_ok_and(|s| s.chars().count() == 1)
                });
        return is_char.then(|| (at, at + closing(rest, b'\'')));
    }
    let starts = at == 0 || !word(bytes[at - 1]);
    let raw = [&b"r"[..], b"br", b"cr"]
        .into_iter()
        .find(|p| rest.starts_with(p))?;
    let hashes = rest[raw.len()..].iter().take_while(|&&b| b == b'#').count();
    if !starts || rest.get(raw.len() + hashes) != Some(&b'"') {
        return None;
    }
    let end = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let from = raw.len() + hashes + 1;
    let length = rest[from..].windows(end.len()).position(|w| w == end);
    Some((
        at,
        at + length.map_or(rest.len(), |length| from + length + end.len()),
    ))
}

/// The length of the literal that begins with `quote`.
fn closing(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    rest.len().min(at + 1)
}

/// The length of a block comment, which may have others inside.
fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (1, 2);
    while at < rest.len() && depth > 0 {
        match &rest[at..rest.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}
