//! C headers as the checks read them: what each declares, with the comment above it.

use super::source::{Item, Source, words};

/// A function or macro of a header.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) item: Item,
    /// What stands between the comment and the name: attributes of the compiler.
    pub(crate) attributes: String,
}

/// The functions, macros and enumerators of a header, in order. Several macros in a row share the comment
/// above the first.
pub(crate) fn declared(header: &Source) -> Vec<Declared> {
    let (mut found, mut comment, mut attributes) = (Vec::new(), String::new(), String::new());
    let mut inside = None;
    for (number, line) in header.text.lines().enumerate() {
        let code = header.code.lines().nth(number).unwrap_or_default();
        if let Some(open) = &mut inside {
            read_comment(open, line);
            if line.contains("*/") {
                comment = inside.take().unwrap_or_default();
            }
            continue;
        }
        if line.starts_with("/*") {
            attributes.clear();
            let mut open = String::new();
            read_comment(&mut open, line);
            if line.contains("*/") {
                comment = open;
            } else {
                inside = Some(open);
            }
            continue;
        }
        if let Some(name) = name_of(code) {
            found.push(Declared {
                item: item(name, number + 1, &comment, code.starts_with("#define")),
                attributes: attributes.clone(),
            });
        }
        if line.starts_with("BOTTOMHALF_") || line.starts_with("template") {
            attributes.push_str(line);
        } else if !line.starts_with("#define ") && !line.starts_with("    ") {
            comment.clear();
            attributes.clear();
        }
    }
    found
}

fn item(name: &str, line: usize, doc: &str, is_macro: bool) -> Item {
    Item {
        name: name.to_owned(),
        owner: None,
        is_macro,
        is_public: true,
        is_test: false,
        doc: doc.to_owned(),
        line,
        last: line,
    }
}

fn read_comment(so_far: &mut String, line: &str) {
    let text = line.trim().trim_start_matches('/').trim_end_matches('/');
    let text = text.trim_matches('*').trim();
    if !so_far.is_empty() && !text.is_empty() {
        so_far.push(' ');
    }
    so_far.push_str(text);
}

/// The name that a line declares: of a macro, of a function that begins at the margin, or of an enumerator.
fn name_of(code: &str) -> Option<&str> {
    if let Some(rest) = code.strip_prefix("#define ") {
        return words(rest).next();
    }
    if code.starts_with("    ") {
        let line = code.trim().trim_end_matches(',');
        let name = words(line).next()?;
        let is_enumerator = name == line || line.starts_with(&format!("{name} = "));
        return (is_enumerator && name.chars().all(|c| !c.is_lowercase())).then_some(name);
    }
    let begins = code.starts_with(|c: char| c.is_ascii_alphabetic());
    if !begins || code.starts_with("BOTTOMHALF_") || code.starts_with("typedef") {
        return None;
    }
    words(code.split_once('(')?.0).last()
}

/// Lines that house rules or the cl.exe of MSVC reject: statement expressions, a `typeof` that is no keyword
/// there, and what is not the form of this repository.
pub(crate) fn rejected(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |line: usize, what: &str| {
        complaints.push(format!("{}:{line}: {what}", source.file));
    };
    let first = source.text.lines().next().unwrap_or_default();
    if first != "/* SPDX-License-Identifier: MIT OR Apache-2.0 */" {
        complain(1, "begin with the SPDX line");
    }
    if !source
        .text
        .lines()
        .nth(1)
        .unwrap_or_default()
        .starts_with("/*")
    {
        complain(2, "say in a comment what the file is");
    }
    for (index, line) in source.text.lines().enumerate() {
        let code = source.code.lines().nth(index).unwrap_or_default();
        if line.chars().count() > 110 {
            complain(index + 1, "more than 110 columns: wrap the line");
        }
        if line.contains('\t') || line.ends_with(' ') {
            complain(index + 1, "a tab, or a blank at the end");
        }
        if code.contains("({") {
            complain(index + 1, "a statement expression, which cl.exe has not");
        }
        if words(code).any(|word| word == "typeof") {
            complain(
                index + 1,
                "typeof: write __typeof__, which cl.exe has in every mode",
            );
        }
        if code.contains("##__VA_ARGS__") || code.contains("args...") {
            complain(
                index + 1,
                "variable arguments of GNU: write a function with a va_list",
            );
        }
    }
    if source.text.lines().count() > 500 {
        complain(500, "more than 500 lines: divide the file");
    }
    complaints
}
