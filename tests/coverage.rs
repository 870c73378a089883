//! docs/coverage.md says which test stands for which row of Linux, which of Linux's functions, and which fact
//! about KMDF. The list is made of the tests' doc comments and of the log of a test run: a test that did not
//! run, or did not pass, stands for nothing.
//!
//! `bash ci/coverage.sh --write` writes the list anew. With the variable COVERAGE_LOG naming the log of
//! `cargo test --workspace`, as `ci/coverage.sh` does, this test reads it; without, as in `cargo test`, it
//! takes the tests of the sources for passed.

#[path = "tidy/cases.rs"]
mod cases;
#[path = "tidy/contract.rs"]
#[allow(dead_code, reason = "tests/tidy.rs uses the rest")]
mod contract;
#[path = "coverage/names.rs"]
mod names;
#[path = "coverage/run.rs"]
mod run;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{env, fs};

use cases::Case;
use contract::Row;
use run::Run;
use source::{Source, root};

/// Where tests are.
const TESTS: [&str; 6] = [
    "src",
    "tests",
    "mock/src",
    "mock/tests",
    "capi/tests",
    "examples",
];

/// How many tests of a function the list names.
const NAMED: usize = 3;

/// What the list says, and what is wrong with it.
#[derive(Debug, Default)]
struct List {
    text: String,
    complaints: Vec<String>,
}

impl List {
    /// A table of what `wanted` names and the tests of each.
    fn table(
        &mut self,
        title: &str,
        heading: &str,
        wanted: &[String],
        tests: &dyn Fn(&str) -> Vec<String>,
    ) {
        writeln!(self.text, "## {title}\n\n| {heading} | tests |\n|---|---|").unwrap();
        for name in wanted {
            let tests = tests(name);
            if tests.is_empty() {
                self.complaints.push(format!(
                    "{title}: {name} has no test that passes: name it in the doc comment of the test that holds it"
                ));
            }
            let tests: Vec<_> = tests.iter().map(|place| format!("`{place}`")).collect();
            writeln!(self.text, "| {name} | {} |", tests.join("<br>")).unwrap();
        }
        self.text.push('\n');
    }
}

impl List {
    /// What is not here, and why. It is not here indeed, and the contract says so of functions.
    fn exceptions(
        &mut self,
        exceptions: &[(&str, &str)],
        contract: &str,
        here: &dyn Fn(&str) -> bool,
    ) {
        let (_, not_here) = contract.split_once("## Not here").unwrap_or_default();
        self.text
            .push_str("## Not here\n\n| row or function | why |\n|---|---|\n");
        for (name, reason) in exceptions {
            writeln!(self.text, "| {name} | {reason} |").unwrap();
            if here(name) {
                self.complaints.push(format!(
                    "{name} is an exception of tests/coverage/names.rs, but it is here: take it out there"
                ));
            }
            let is_function = name.contains('_');
            if is_function && !contract::quoted(not_here).any(|quoted| quoted == *name) {
                self.complaints.push(format!(
                    "{name} is not here, and shim-api.md does not say so: name it under \"Not here\""
                ));
            }
        }
    }
}

/// The rows of docs/facts/linux.md, in order.
fn linux_rows(facts: &str) -> Vec<String> {
    let is_row = |id: &String| {
        let digits = id.trim_start_matches(|c: char| c.is_ascii_uppercase());
        !id.starts_with('R') && (digits.len() == 2 || id.starts_with("DS"))
    };
    let first = facts
        .lines()
        .filter_map(|line| contract::cells(line)?.first().cloned());
    first
        .filter(|cell| cases::ids(cell).next().as_ref() == Some(cell))
        .filter(is_row)
        .collect()
}

fn split(names: &str) -> Vec<String> {
    names.split_whitespace().map(str::to_owned).collect()
}

/// `names` without the exceptions; an exception that has a test or is in the code is none.
fn required(names: Vec<String>, exceptions: &[(&str, &str)]) -> Vec<String> {
    names
        .into_iter()
        .filter(|name| exceptions.iter().all(|(except, _)| except != name))
        .collect()
}

/// The tests that name an ID.
fn by_id(id: &str, cases: &[Case]) -> Vec<String> {
    cases
        .iter()
        .filter(|case| case.ids.contains(id))
        .map(Case::place)
        .collect()
}

/// What the functions of tests/support lead to.
type Support = BTreeMap<String, BTreeSet<String>>;

fn support(sources: &[Source]) -> Support {
    let mut found = Support::new();
    for source in sources
        .iter()
        .filter(|source| source.file.starts_with("tests/support"))
    {
        for item in source.items() {
            found
                .entry(item.name)
                .or_default()
                .extend(source.words(item.line, item.last));
        }
    }
    found
}

/// Tests of a function, the best first: those that stand for a row of its promise and call it, by
/// tests/support or not; then those that call it otherwise.
fn by_function(name: &str, rows: &[Row], cases: &[Case], support: &Support) -> Vec<String> {
    let promises = rows
        .iter()
        .filter(|row| row.names.iter().any(|named| named == name));
    let ids: BTreeSet<&str> = promises
        .flat_map(|row| row.rows.iter().chain([&row.id]))
        .map(String::as_str)
        .collect();
    let through: BTreeSet<&str> = support
        .iter()
        .filter(|(_, words)| words.contains(name))
        .map(|(function, _)| function.as_str())
        .collect();
    let mut found: Vec<(u8, String)> = cases
        .iter()
        .filter_map(|case| {
            let stands = case.ids.iter().any(|id| ids.contains(id.as_str()));
            let calls = case.words.contains(name);
            let rank = match (stands, calls) {
                (true, true) => 0,
                (true, false)
                    if case
                        .words
                        .iter()
                        .any(|word| through.contains(word.as_str())) =>
                {
                    1
                }
                (false, true) => 2,
                (_, false) => return None,
            };
            Some((rank, case.place()))
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .take(NAMED)
        .map(|(_, place)| place)
        .collect()
}

/// Everything in the list, of the tests `cases`.
fn list(cases: &[Case], sources: &[Source]) -> List {
    let facts = fs::read_to_string(root().join("docs/facts/linux.md")).unwrap();
    let contract = fs::read_to_string(root().join("shim-api.md")).unwrap();
    let (rows, _) = contract::rows(&contract);
    let support = support(sources);
    let all = linux_rows(&facts);
    assert_eq!(
        all.len(),
        133,
        "the rows of docs/facts/linux.md are not seen"
    );
    let mut list = List::default();
    list.text.push_str(
        "# Coverage\n\nWhich tests stand for which row of the Linux table, which of Linux's functions, and which fact \
         about KMDF. The IDs are\nthose of [facts.md](facts.md). Made from the log of a test run and the tests' own \
         doc comments by\n`bash ci/coverage.sh --write`: each test here has run and passed.\n\n",
    );
    let id = |id: &str| by_id(id, cases);
    list.table("Linux rows", "ID", &required(all, &names::EXCEPTIONS), &id);
    let present = functions(sources);
    let functions = required(present.clone(), &names::EXCEPTIONS);
    let function = |name: &str| by_function(name, &rows, cases, &support);
    list.table("Linux functions", "function", &functions, &function);
    list.table(
        "KMDF facts that the simulator must reproduce (P0)",
        "ID",
        &split(names::P0),
        &id,
    );
    list.table(
        "Hazards that convict the naive mapping",
        "ID",
        &split(names::HAZARDS),
        &id,
    );
    let here = |name: &str| !id(name).is_empty() || present.iter().any(|function| function == name);
    list.exceptions(&names::EXCEPTIONS, &contract, &here);
    list
}

/// Linux's functions: those that have to be here, then what else `bottomhalf::linux` has.
fn functions(sources: &[Source]) -> Vec<String> {
    let mut names = split(names::FUNCTIONS);
    let linux = sources
        .iter()
        .find(|source| source.file == "src/linux.rs")
        .expect("src/linux.rs is read");
    let mut others: Vec<String> = contract::public(linux, sources)
        .into_iter()
        .filter(|(source, _)| source.file.starts_with("src/"))
        .map(|(_, item)| item.name)
        .filter(|name| !names.contains(name))
        .collect();
    others.sort();
    others.dedup();
    names.extend(others);
    names
}

/// The tests that passed, and a complaint for each other one that stands for something.
fn passed(cases: Vec<Case>, run: &Run) -> (Vec<Case>, Vec<String>) {
    let mut complaints = Vec::new();
    let passed = cases.into_iter().filter(|case| match run.passed(case) {
        Ok(()) => true,
        Err(why) => {
            if !case.ids.is_empty() {
                complaints.push(format!(
                    "{} stands for {:?}, but {why}",
                    case.place(),
                    case.ids
                ));
            }
            false
        }
    });
    (passed.collect(), complaints)
}

/// Every row, function, fact and hazard that is asked for has a test that passes, and docs/coverage.md is
/// the list of them.
#[test]
fn every_row_and_function_has_a_test_and_the_list_is_true() {
    let sources = source::files(&TESTS, &[".rs"]);
    let mut cases: Vec<Case> = sources.iter().flat_map(cases::cases).collect();
    let mut complaints = Vec::new();
    if let Some(log) = env::var_os("COVERAGE_LOG") {
        let run = Run::of(&fs::read_to_string(&log).expect("the log can be read"));
        println!(
            "{} tests of the sources, {} results of the run",
            cases.len(),
            run.len()
        );
        (cases, complaints) = passed(cases, &run);
    }
    let mut list = list(&cases, &sources);
    complaints.append(&mut list.complaints);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
    let path = root().join("docs/coverage.md");
    if env::var("COVERAGE").is_ok_and(|value| value == "write") {
        fs::write(&path, &list.text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == list.text,
        "docs/coverage.md is not true: run bash ci/coverage.sh --write"
    );
}

const LOG: &str = "     Running unittests src/lib.rs (target/debug/deps/bottomhalf-0a1b)
running 1 test
test engine::word::tests::states ... ok
     Running tests/works.rs (target/debug/deps/works-0a1b)
test w01_queue ... ok
test table::w02_twice ... FAILED
test faces::w05_by_another_folder ... ok
test w03_other - should panic ... ok
test result: ok. 3 passed; 0 failed; 0 ignored
   Doc-tests bottomhalf
test src/typed/mod.rs - typed (line 4) ... ok
";

fn case(file: &str, name: &str, ids: &[&str], words: &[&str]) -> Case {
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Case {
        file: file.to_owned(),
        name: name.to_owned(),
        ids: set(ids),
        words: set(words),
    }
}

/// Negative control: a test that failed, one that did not run, and one of another file or binary do not
/// count.
#[test]
fn a_test_that_did_not_pass_does_not_count() {
    let run = Run::of(LOG);
    assert_eq!(run.len(), 6);
    let verdict = |file: &str, name: &str| run.passed(&case(file, name, &[], &[]));
    assert_eq!(verdict("tests/works.rs", "w01_queue"), Ok(()));
    assert_eq!(verdict("tests/works.rs", "w03_other"), Ok(()));
    assert_eq!(verdict("src/engine/word.rs", "states"), Ok(()));
    assert_eq!(
        verdict("tests/works/table.rs", "w02_twice"),
        Err("did not pass")
    );
    assert_eq!(verdict("tests/works.rs", "w04_absent"), Err("did not run"));
    assert_eq!(
        verdict("tests/tasklets.rs", "w01_queue"),
        Err("did not run")
    );
    assert_eq!(
        verdict("tests/works/other.rs", "w01_queue"),
        Err("did not run")
    );
    assert_eq!(verdict("mock/src/word.rs", "states"), Err("did not run"));
    let cases = vec![
        case("tests/works.rs", "w01_queue", &["W01"], &[]),
        case("tests/works/table.rs", "w02_twice", &["W02"], &[]),
        case("tests/works.rs", "helper_test", &[], &[]),
    ];
    let (left, complaints) = passed(cases, &run);
    assert_eq!(left.len(), 1);
    assert_eq!(
        complaints,
        ["tests/works/table.rs::w02_twice stands for {\"W02\"}, but did not pass"]
    );
}

/// Negative control: a row and a function without a test are found, also when a test merely names the row
/// and never calls the function.
#[test]
fn what_has_no_test_is_found() {
    let cases = [
        case("tests/a.rs", "a", &["W01"], &["queue"]),
        case("tests/a.rs", "b", &["T04"], &["queue_work"]),
        case("tests/a.rs", "c", &["W01"], &["cancel"]),
    ];
    let mut list = List::default();
    list.table("Rows", "ID", &split("W01 W02"), &|id| by_id(id, &cases));
    assert_eq!(list.complaints.len(), 1);
    assert!(
        list.complaints[0].starts_with("Rows: W02 has no test"),
        "{:?}",
        list.complaints
    );
    assert!(
        list.text
            .contains("| W01 | `tests/a.rs::a`<br>`tests/a.rs::c` |\n"),
        "{}",
        list.text
    );

    let (rows, _) = contract::rows(
        "| ID | function | rows |\n|---|---|---|\n| WORK-1 | `queue_work`, `flush_work` | W01 |\n",
    );
    let file = Source::new(
        "tests/support/mod.rs",
        "impl X {\n    fn queue() {\n        queue_work();\n    }\n}\n",
    );
    let support = support(&[file]);
    let tests = |name: &str| by_function(name, &rows, &cases, &support);
    assert_eq!(tests("queue_work"), ["tests/a.rs::a", "tests/a.rs::b"]);
    assert_eq!(tests("flush_work"), Vec::<String>::new());
}

/// Negative control: an exception that is here after all, and one that the contract does not name.
#[test]
fn an_exception_that_is_none_is_found() {
    let contract = "`queue_rcu_work`\n## Not here\n`queue_work_node`, rcu_work\n";
    let mut list = List::default();
    let exceptions = [
        ("D30", "a"),
        ("queue_work_node", "b"),
        ("queue_rcu_work", "c"),
    ];
    list.exceptions(&exceptions, contract, &|name| name == "D30");
    assert_eq!(list.complaints.len(), 2, "{:?}", list.complaints);
    assert!(list.complaints[0].starts_with("D30 is an exception"));
    assert!(
        list.complaints[1]
            .starts_with("queue_rcu_work is not here, and shim-api.md does not say so")
    );
    assert!(list.text.ends_with("| queue_rcu_work | c |\n"));
}

#[test]
fn the_rows_of_linux_are_told_from_other_tables() {
    let facts = "| ID | setup |\n|---|---|\n| T01 | once |\n| DS1 | all |\n| R02 | sums |\n| D-14 | a fact |\n| Q10 to Q12 | x |\n";
    assert_eq!(linux_rows(facts), ["T01", "DS1"]);
    assert_eq!(required(split("T01 D30"), &names::EXCEPTIONS), ["T01"]);
}
