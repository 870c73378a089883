//! The symbols of the library, the functions of Rust and the prototypes of the headers are the same set. What is
//! defined in a library that is built is looked at by `ci/capi.sh`; here it is the sources that are read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Functions of `bottomhalf::linux` that are initialisers, macros or inline functions of the headers.
const IN_THE_HEADERS: [&str; 28] = [
    "DECLARE_DEFERRABLE_WORK",
    "DECLARE_DELAYED_WORK",
    "DECLARE_TASKLET",
    "DECLARE_TASKLET_DISABLED",
    "DECLARE_TASKLET_DISABLED_OLD",
    "DECLARE_TASKLET_OLD",
    "DECLARE_WORK",
    "__DELAYED_WORK_INITIALIZER",
    "__WORK_INITIALIZER",
    "time_after",
    "time_after64",
    "time_after_eq",
    "time_after_eq64",
    "time_before",
    "time_before64",
    "time_before_eq",
    "time_before_eq64",
    "time_in_range",
    "time_in_range64",
    "time_in_range_open",
    "time_is_after_eq_jiffies",
    "time_is_after_eq_jiffies64",
    "time_is_after_jiffies",
    "time_is_after_jiffies64",
    "time_is_before_eq_jiffies",
    "time_is_before_eq_jiffies64",
    "time_is_before_jiffies",
    "time_is_before_jiffies64",
];
/// As above; the last one is `container_of` there.
const ALSO_IN_THE_HEADERS: [&str; 1] = ["to_delayed_work"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of every file below `folder` with that ending.
fn texts(folder: &Path, ending: &str) -> String {
    let mut all = String::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return all;
    };
    for entry in entries {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            all.push_str(&texts(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            all.push_str(&text(&path));
        }
    }
    all
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The names in the blocks of the macros that export, with the prefix; and those that are exported one by one.
fn exported(sources: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = None;
    let mut lines = sources.lines().peekable();
    while let Some(line) = lines.next() {
        match line {
            "forward! {" | "init! {" | "make! {" | "wait! {" => inside = Some("bottomhalf_"),
            "nt! {" | "wdf! {" | "plain! {" => inside = Some(""),
            "}" => inside = None,
            _ => {}
        }
        if let Some(prefix) = inside
            && let Some((name, _)) = line.trim().split_once('(')
            && let Some(name) = name.split(" = ").next()
            && line.starts_with("    ")
            && !line.starts_with("     ")
            && is_name(name)
        {
            found.insert(format!("{prefix}{name}"));
        }
        if let Some(rest) = line.split_once("export_name = \"").map(|(_, rest)| rest) {
            found.insert(rest.split('"').next().unwrap_or_default().to_owned());
        }
        if line == "#[unsafe(no_mangle)]"
            && let Some((_, rest)) = lines.peek().and_then(|next| next.split_once(" fn "))
        {
            found.insert(rest.split('(').next().unwrap_or_default().to_owned());
        }
    }
    found
}

/// The public functions of the modules that `bottomhalf::linux` passes on.
fn of_linux() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in text(&root().join("src/linux.rs")).lines() {
        let Some(module) = line
            .strip_prefix("pub use crate::")
            .and_then(|rest| rest.strip_suffix("::*;"))
        else {
            continue;
        };
        let source = text(&root().join(format!("src/{module}.rs")));
        for line in source.lines().filter(|line| line.starts_with("pub ")) {
            if let Some((_, rest)) = line
                .split_once(" fn ")
                .or_else(|| line.split_once("pub fn "))
            {
                found.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

/// The prototypes in a C text whose names begin with the library's prefix.
fn declared(headers: &str) -> BTreeSet<String> {
    declared_by(headers, |name| name.starts_with("bottomhalf_"))
}

/// The prototypes in a C text whose names `is_ours` takes: comments, macros and functions left out.
fn declared_by(headers: &str, is_ours: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut code = String::new();
    let mut rest = headers;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    let statements = code
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.trim_end_matches('\\'))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = BTreeSet::new();
    for statement in statements.split([';', '{', '}']) {
        let Some((head, _)) = statement.split_once('(') else {
            continue;
        };
        let name = head
            .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next();
        // A prototype has a type before its name, a call has not.
        let typed = head.trim().contains([' ', '*', '\n']);
        if let Some(name) = name
            && is_ours(name)
            && typed
            && !head.contains("inline")
            && !head.contains("return")
            && !head.contains('=')
        {
            found.insert(name.to_owned());
        }
    }
    found
}

/// Every symbol of the library, without the one that names a KMDF version.
fn symbols() -> BTreeSet<String> {
    let sources = texts(&root().join("capi/src"), "rs");
    let all = exported(&sources);
    all.into_iter()
        .filter(|name| name.starts_with("bottomhalf_"))
        .filter(|name| !name.starts_with("bottomhalf_is_built_for_kmdf_"))
        .collect()
}

/// CAPI-11: each function of `bottomhalf::linux` has its symbol, but for what the headers have themselves; and
/// there is no symbol for a function that Rust has not.
#[test]
fn every_function_of_linux_has_its_symbol() {
    let functions = of_linux();
    assert!(
        functions.len() > 120,
        "the functions are not seen: {}",
        functions.len()
    );
    let own: BTreeSet<String> = IN_THE_HEADERS
        .iter()
        .chain(&ALSO_IN_THE_HEADERS)
        .map(|name| (*name).to_owned())
        .collect();
    let gone: Vec<_> = own.difference(&functions).collect();
    assert!(
        gone.is_empty(),
        "{gone:?} is not in bottomhalf::linux any more"
    );
    let wanted: BTreeSet<String> = functions
        .difference(&own)
        .map(|name| format!("bottomhalf_{name}"))
        .collect();
    let of_attach = [
        "bottomhalf_attach_device",
        "bottomhalf_attach_driver",
        "bottomhalf_detach",
        "bottomhalf_freeze",
        "bottomhalf_get_counters",
        "bottomhalf_thaw",
    ];
    let mut symbols = symbols();
    for name in of_attach {
        assert!(symbols.remove(name), "{name} is not exported");
    }
    let missing: Vec<_> = wanted.difference(&symbols).collect();
    let extra: Vec<_> = symbols.difference(&wanted).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:?}, extra: {extra:?}"
    );
}

/// CAPI-11: the prototypes of the headers and the symbols of the library are the same set.
#[test]
fn the_headers_declare_every_symbol() {
    let (declared, symbols) = (declared(&texts(&root().join("include"), "h")), symbols());
    let undeclared: Vec<_> = symbols.difference(&declared).collect();
    let undefined: Vec<_> = declared.difference(&symbols).collect();
    assert!(
        undeclared.is_empty() && undefined.is_empty(),
        "no prototype: {undeclared:?}, no symbol: {undefined:?}"
    );
}

/// The names of the functions of a kind that the host's headers declare: those that `is_ours` takes.
fn on_the_host(is_ours: fn(&str) -> bool) -> BTreeSet<String> {
    let headers = texts(&root().join("capi/host/include"), "h");
    declared_by(&headers, is_ours)
}

/// CAPI-11: what the headers of the host declare of NT, of KMDF and of the harness is what the library exports.
#[test]
fn the_headers_of_the_host_declare_every_symbol() {
    let sources = texts(&root().join("capi/src/host"), "rs");
    let is_ours = |name: &str| {
        [
            "Ke",
            "Kf",
            "Ex",
            "Io",
            "Ps",
            "Ob",
            "Zw",
            "Wdf",
            "kmdf_mock_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    };
    let (declared, symbols) = (on_the_host(is_ours), exported(&sources));
    assert!(symbols.len() > 100, "the symbols are not seen: {symbols:?}");
    let undeclared: Vec<_> = symbols.difference(&declared).collect();
    let undefined: Vec<_> = declared.difference(&symbols).collect();
    assert!(
        undeclared.is_empty() && undefined.is_empty(),
        "no prototype: {undeclared:?}, no symbol: {undefined:?}"
    );
}

/// CAPI-11: a missing symbol, and one too many, are seen; a comment, a call and a macro are no prototype.
#[test]
fn the_readers_see_what_is_there() {
    let rust = "forward! {\n    one(a: u32);\n    two(\n        b: u32\n    );\n}\n#[unsafe(export_name = \
                \"bottomhalf_three\")]\n#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn bottomhalf_four(\n";
    let rust: Vec<_> = exported(rust).into_iter().collect();
    assert_eq!(
        rust,
        [
            "bottomhalf_four",
            "bottomhalf_one",
            "bottomhalf_three",
            "bottomhalf_two"
        ]
    );
    let c = "/* bottomhalf_no(void); */\n#define X bottomhalf_no2(void)\nint bottomhalf_one(void);\nbool\nbottomhalf_two(int\n a);\n\
             static inline int bottomhalf_no3(void)\n{\n    return bottomhalf_no4(1);\n}\nvoid *bottomhalf_three(void);\n\
             static inline int f(void)\n{\n    bottomhalf_no5(2);\n}\n";
    let c: Vec<_> = declared(c).into_iter().collect();
    assert_eq!(c, ["bottomhalf_one", "bottomhalf_three", "bottomhalf_two"]);
}

/// CAPI-9: the code of the bug check in the sources, in the contract and in the header is the same.
#[test]
fn the_bug_check_has_one_code() {
    let source = text(&root().join("capi/src/panic.rs"));
    assert!(source.contains("BUG_CHECK_PANIC: u32 = 0x4248_0001;"));
    assert!(text(&root().join("shim-api.md")).contains("0x42480001"));
    let header = text(&root().join("include/bottomhalf.h"));
    assert!(header.contains("#define BOTTOMHALF_BUG_CHECK_PANIC 0x42480001\n"));
}
