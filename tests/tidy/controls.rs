//! What each check has to find, and what it must not mistake for it.

use std::collections::BTreeSet;

use super::source::Source;
use super::{cases, contract, house, misuse};

fn set<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// `complaints` are as many as `expected`, and each begins with its place and holds its words.
fn complain(complaints: &[String], expected: &[(&str, &str)]) {
    assert_eq!(complaints.len(), expected.len(), "{complaints:#?}");
    for (complaint, (place, words)) in complaints.iter().zip(expected) {
        assert!(
            complaint.starts_with(&format!("{place}: ")),
            "{complaint} is not at {place}"
        );
        assert!(
            complaint.contains(words),
            "{complaint} does not say {words}"
        );
    }
}

const CONTRACT: &str = "\
# The contract

| ID | function | IRQL | effect | rows |
|---|---|---|---|---|
| WORK-1 | `INIT_WORK` | any | plain | W19 |
| WORK-2 | `queue_work`, `flush_work` | any; PASSIVE, blocks | queues | W01 W02 |
| WORK-3 | `Kind::Plain` | | `a|b` | W28 |

| ID | function | IRQL | promise | tests |
|---|---|---|---|---|
| ATTACH-1 | `attach(Host, &Config)` | PASSIVE | makes | `tests/attach.rs` |

| code | when | what happens |
|---|---|---|
| BH01 | always | nothing |
| BH02 | never | nothing |
";

const LINUX: &str = "pub use crate::work::*;\npub use crate::engine::time::{HZ, msecs};\n";

const WORK: &str = "\
/// Kinds.
pub enum Kind {
    Plain,
}
/// Makes it. Linux: `INIT_WORK`.
///
/// IRQL: any. Does not block.
#[must_use]
pub const fn INIT_WORK() {}
/// Queues. Linux: `queue_work`. IRQL: any.
pub unsafe fn queue_work() -> bool { false }
/// Waits. Linux: `flush_work`.
///
/// IRQL: = PASSIVE. Blocks.
pub unsafe fn flush_work() {}
pub unsafe fn attach() {}
fn helper() {}
pub(crate) fn inner() {}
";

fn rows() -> Vec<contract::Row> {
    let (rows, complaints) = contract::rows(CONTRACT);
    assert_eq!(complaints, Vec::<String>::new());
    rows
}

fn checked(text: &str, rows: &[contract::Row]) -> (Vec<String>, Vec<String>) {
    let sources = [
        Source::new("src/work.rs", text),
        Source::new("src/engine/time.rs", "pub fn other() {}\n"),
    ];
    let linux = Source::new("src/linux.rs", LINUX);
    let mut public = contract::public(&linux, &sources);
    public.retain(|(_, item)| item.name != "attach");
    (
        contract::names(rows, &public, &sources),
        [contract::origins(&public), contract::levels(rows, &public)].concat(),
    )
}

#[test]
fn a_table_is_read_with_its_columns() {
    let rows = rows();
    let ids: Vec<_> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["WORK-1", "WORK-2", "WORK-3", "ATTACH-1"]);
    assert_eq!(rows[1].names, ["queue_work", "flush_work"]);
    assert_eq!(rows[1].rows, ["W01", "W02"]);
    assert_eq!(
        (rows[2].irql.as_str(), rows[2].rows.as_slice()),
        ("", ["W28".to_owned()].as_slice())
    );
    assert_eq!(
        (rows[3].names[0].as_str(), rows[3].tests[0].as_str()),
        ("attach", "tests/attach.rs")
    );
    let spelled = "| ID | function | tests, rows |\n|---|---|---|\n| WORK-1 | `a(64)`, `b(_x)`, `c(Host)`, `d()` | `src/a.rs`, D31 |\n";
    let rows = contract::rows(spelled).0;
    assert_eq!(rows[0].names, ["a", "a64", "b", "b_x", "c", "d"]);
    assert_eq!(
        (rows[0].tests[0].as_str(), rows[0].rows[0].as_str()),
        ("src/a.rs", "D31")
    );
    let broken = "| ID | function |\n|---|---|\n| WORK-1 |\n| Work-2 | `x` |\n";
    complain(
        &contract::rows(broken).1,
        &[
            ("shim-api.md:3", "1 cells of 2"),
            ("shim-api.md:4", "no ID"),
        ],
    );
}

#[test]
fn an_id_that_stands_twice_is_found() {
    let mut rows = rows();
    rows[2].id = "WORK-1".to_owned();
    complain(
        &contract::unique(&rows),
        &[("shim-api.md:7", "WORK-1 is the ID of line 5 already")],
    );
}

#[test]
fn a_whole_contract_passes() {
    assert_eq!(checked(WORK, &rows()), (Vec::new(), Vec::new()));
}

#[test]
fn a_function_without_a_row_is_found() {
    let text = format!("{WORK}/// Linux: `x`. IRQL: any.\npub fn cancel_work() {{}}\n");
    complain(
        &checked(&text, &rows()).0,
        &[("src/work.rs:20", "cancel_work has no row")],
    );
    let text = format!(
        "{WORK}/// Linux: `x`. IRQL: any.\n#[macro_export]\nmacro_rules! INIT_OTHER {{ () => {{}} }}\n"
    );
    complain(
        &checked(&text, &rows()).0,
        &[("src/work.rs:21", "INIT_OTHER has no row")],
    );
    let text = format!("{WORK}macro_rules! inside {{ () => {{}} }}\n");
    assert_eq!(checked(&text, &rows()).0, Vec::<String>::new());
}

#[test]
fn a_row_without_a_function_is_found() {
    let text = WORK
        .replace("fn flush_work", "fn wait_work")
        .replace("`flush_work`", "`wait_work`");
    let (names, _) = checked(&text, &rows());
    complain(
        &names,
        &[
            ("src/work.rs:15", "wait_work has no row"),
            ("shim-api.md:6", "no public `flush_work`"),
        ],
    );
    let (names, _) = checked(&WORK.replace("Plain", "Simple"), &rows());
    complain(&names, &[("shim-api.md:7", "no public `Plain`")]);
}

#[test]
fn a_level_that_is_missing_or_another_is_found() {
    let levels = |from: &str, to: &str| {
        let text = WORK.replacen(from, to, 1);
        assert_ne!(text, WORK);
        checked(&text, &rows()).1
    };
    complain(
        &levels("/// IRQL: any. Does not block.\n", ""),
        &[("src/work.rs:8", "does not say its level")],
    );
    complain(
        &levels("IRQL: any. Does", "IRQL: <= APC. Does"),
        &[("src/work.rs:9", "WORK-1 in line 5")],
    );
    complain(
        &levels("PASSIVE. Blocks.", "PASSIVE."),
        &[("src/work.rs:15", "WORK-2 in line 6")],
    );
    complain(
        &levels("PASSIVE. Blocks.", "PASSIVE. Does not block."),
        &[("src/work.rs:15", "WORK-2")],
    );
    complain(
        &levels("IRQL: any.\npub", "IRQL: as above.\npub"),
        &[("src/work.rs:11", "does not say its level")],
    );
    complain(
        &levels(" Linux: `flush_work`.", ""),
        &[("src/work.rs:15", "does not name its source")],
    );
    let mut rows = rows();
    rows[1].irql = "any; PASSIVE, blocks; any".to_owned();
    assert_eq!(checked(WORK, &rows).1, Vec::<String>::new());
    rows[1].irql = "any; sometimes".to_owned();
    complain(
        &checked(WORK, &rows).1,
        &[("shim-api.md:6", "gives no level to flush_work")],
    );
}

#[test]
fn an_id_without_a_test_is_found() {
    let named = BTreeSet::from([("tests/attach.rs".to_owned(), "ATTACH-1".to_owned())]);
    let stands = set(["W19", "W01", "W02", "W28", "ATTACH-1"]);
    assert_eq!(
        contract::tested(&rows(), &stands, &named),
        Vec::<String>::new()
    );
    let without_a_row = set(["W19", "W01", "W28", "ATTACH-1"]);
    let complaints = contract::tested(&rows(), &without_a_row, &named);
    complain(
        &complaints,
        &[(
            "shim-api.md:6",
            "WORK-2 has no test (rows without one: [\"W02\"])",
        )],
    );
    let by_name = set(["W19", "W01", "WORK-2", "W28", "ATTACH-1"]);
    assert_eq!(
        contract::tested(&rows(), &by_name, &named),
        Vec::<String>::new()
    );
    let elsewhere = BTreeSet::from([("tests/other.rs".to_owned(), "ATTACH-1".to_owned())]);
    let complaints = contract::tested(&rows(), &stands, &elsewhere);
    complain(
        &complaints,
        &[(
            "shim-api.md:11",
            "held in tests/attach.rs, but no test there names it",
        )],
    );
}

#[test]
fn a_diagnostic_without_row_or_test_is_found() {
    let engine = Source::new(
        "engine.rs",
        "match self {\nA => \"BH01\",\nB = \"BH03\",\nC => \"BH01\",\n}\n",
    );
    let (codes, complaints) = misuse::codes(&engine);
    complain(
        &complaints,
        &[("engine.rs:4", "BH01 is the code of line 2 already")],
    );
    let rows = misuse::rows(CONTRACT);
    complain(
        &misuse::agree("engine.rs", &codes, &rows, &set(["BH01"])),
        &[
            ("engine.rs:3", "BH03 has no row"),
            ("engine.rs:3", "BH03 has no test"),
            ("shim-api.md:16", "BH02 is no code"),
        ],
    );
    let sources = [Source::new("x.rs", "// BH03, BH9 and BHxx\n// BH77\n")];
    complain(
        &misuse::known(&sources, &codes),
        &[("x.rs:2", "BH77 is no diagnostic")],
    );
}

#[test]
fn a_long_file_and_a_long_function_are_found() {
    let body = "    call();\n".repeat(house::FUNCTION - 1);
    let long = format!("fn short() {{}}\nfn long(\n) {{\n{body}}}\n");
    let complaints = house::lengths(&[Source::new("src/a.rs", &long)]);
    complain(
        &complaints,
        &[("src/a.rs:2", "long has 62 lines, more than 60")],
    );
    let just = format!(
        "fn just() {{\n{}}}\n",
        "    call();\n".repeat(house::FUNCTION - 2)
    );
    assert_eq!(
        house::lengths(&[Source::new("src/a.rs", &just)]),
        Vec::<String>::new()
    );

    let lines = "// A line.\n".repeat(house::FILE);
    assert_eq!(
        house::lengths(&[Source::new("src/b.rs", &lines)]),
        Vec::<String>::new()
    );
    let tests = format!("{lines}#[cfg(test)]\nmod tests {{\n{body}}}\n");
    assert_eq!(
        house::lengths(&[Source::new("src/b.rs", &tests)]),
        Vec::<String>::new()
    );
    let longer = format!("// One more.\n{tests}");
    complain(
        &house::lengths(&[Source::new("src/b.rs", &longer)]),
        &[("src/b.rs:500", "has 501 lines")],
    );
}

#[test]
fn what_is_unfinished_is_found() {
    let marked = [
        concat!("// TO", "DO: later"),
        concat!("    to", "do!()"),
        concat!("text XX", "X text"),
        concat!("#[ig", "nore = \"slow\"]"),
        concat!("#[should_", "panic]"),
    ];
    for line in marked {
        let complaints = house::unfinished(&[Source::new("a.md", &format!("first\n{line}\n"))]);
        assert_eq!(complaints.len(), 1, "{line}: {complaints:?}");
        assert!(complaints[0].starts_with("a.md:2: "), "{complaints:?}");
    }
    let fine = concat!(
        "mastodons XX",
        "XX to_",
        "do todos #[should_",
        "panic(expected = \"x\")]"
    );
    assert_eq!(
        house::unfinished(&[Source::new("a.md", fine)]),
        Vec::<String>::new()
    );
}

#[test]
fn a_path_of_one_machine_is_found() {
    let planted = [
        concat!("see /wo", "rk/notes.md"),
        concat!("\"/ro", "ot\""),
        concat!("cd /ho", "me/me && ls"),
        concat!("`/t", "mp/log`"),
        concat!("/t", "mp"),
    ];
    for line in planted {
        let complaints = house::paths(&[Source::new("a.sh", &format!("\n{line}\n"))]);
        complain(&complaints, &[("a.sh:2", "is a path of one machine")]);
    }
    let fine = "src/work.rs, $root/home, ./work/x, ../tmp/x, crate/work, $dest/root/usr, and/or/root, /workshop, \
                ${x}/root/usr, //work";
    assert_eq!(
        house::paths(&[Source::new("a.sh", fine)]),
        Vec::<String>::new()
    );
}

#[test]
fn an_order_without_a_reason_is_found() {
    let text = "fn a(x: &A) {\n    // ORDERING: pairs with `b`.\n    x.load(Acquire);\n}\n\
                fn b(x: &A) {\n    // Relaxed is enough.\n    x.load(Ordering::Relaxed);\n}\n\
                fn c() { call(\"Acquire\"); }\n\
                #[cfg(test)]\nmod tests {\n    fn d(x: &A) {\n        x.load(SeqCst);\n    }\n}\n";
    let complaints = house::orderings(&[Source::new("src/a.rs", text)]);
    complain(
        &complaints,
        &[("src/a.rs:7", "b gives no reason for its orders")],
    );
}

#[test]
fn a_changelog_of_another_version_is_found() {
    let manifest = "[workspace.package]\nversion = \"0.2.0\"\n";
    let check = |text: &str| house::changelog(text, manifest);
    for fine in [
        "## [Unreleased]\n",
        "## [0.2.0]\n## [0.1.0]\n",
        "## [Unreleased]\n\n## [0.2.0] - 2026\n",
    ] {
        assert_eq!(check(fine), Vec::<String>::new(), "{fine}");
    }
    complain(
        &check("# C\n## [0.1.0]\n"),
        &[("CHANGELOG.md:2", "begins with 0.1.0")],
    );
    complain(
        &check("## [Unreleased]\n## [0.10.0]\n"),
        &[("CHANGELOG.md:2", "0.10.0 is later than 0.2.0")],
    );
    complain(&check("text\n"), &[("CHANGELOG.md:1", "no version")]);
    complain(
        &house::changelog("", "[package]\n"),
        &[("Cargo.toml:1", "no version")],
    );
}

#[test]
fn code_is_told_from_comments_and_literals() {
    let text =
        "a(\"x // {\", 'y', '\\'', b\"\\\"\", r#\"z\"{\"#); // {\n/* { /* } */ */ b::<'s>('}');\n";
    let code = Source::new("a.rs", text).code;
    assert_eq!(code.len(), text.len());
    let squeezed: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(squeezed, "a( , , , b , ); b::<'s>( );");
    let items = Source::new(
        "a.rs",
        "fn a() {\n    \"}\";\n}\nimpl X {\n    pub(crate) const unsafe fn b(\n    ) {}\n}\n",
    )
    .items();
    let places: Vec<_> = items
        .iter()
        .map(|item| (item.name.as_str(), item.line, item.last))
        .collect();
    assert_eq!(places, [("a", 1, 3), ("b", 5, 6)]);
    let text = "impl<T: A<B>, const ID: u64> Work<T, ID> {\n    pub fn a() {}\n}\nunsafe impl<T> A for crate::Queue<T>\nwhere\n    \
                T: B,\n{\n    fn b() {}\n}\npub trait Item {\n    fn c();\n}\nfn d() {}\n";
    let items = Source::new("a.rs", text).items();
    let owners: Vec<_> = items.iter().map(|item| item.owner.as_deref()).collect();
    assert_eq!(owners, [Some("Work"), Some("Queue"), Some("Item"), None]);
}

#[test]
fn a_test_is_told_from_a_function_with_its_doc_comment() {
    let text = "/// T04, QUEUE-3: twice.\n#[test]\nfn t04_twice() {\n    helper();\n}\n/// T05: not a test.\nfn helper() {\n    \
                queue_work();\n}\n/// UTF-8 and D-14, not R1.\n#[test]\nfn other() {\n    \
                for f in TABLE {}\n}\nconst TABLE: [F; 2] = [\n    F { f: flush_work },\n    F { f: g },\n];\n";
    let found = cases::cases(&Source::new("x.rs", text));
    let ids: Vec<_> = found
        .iter()
        .map(|case| (case.name.as_str(), case.ids.clone()))
        .collect();
    assert_eq!(
        ids,
        [
            ("t04_twice", set(["T04", "QUEUE-3"])),
            ("other", set(["UTF-8", "D-14"]))
        ]
    );
    let names = |index: usize, word: &str| found[index].words.contains(word);
    assert!(
        names(0, "queue_work") && !names(1, "queue_work"),
        "by a helper"
    );
    assert!(
        !names(0, "flush_work") && names(1, "flush_work"),
        "by a table"
    );
    let plain = "/// H-14: a field.\nh14_field: u32;\n";
    assert!(
        cases::cases(&Source::new("x.rs", plain)).is_empty(),
        "no macro, no test"
    );
    let made = format!("#[test]\n fn $test() {{}}\n{plain}");
    let made = cases::cases(&Source::new("x.rs", &made));
    assert_eq!(
        (made[0].place(), made[0].ids.clone()),
        ("x.rs::h14_field".to_owned(), set(["H-14"]))
    );
}
