//! Every exported function with each of its arguments null or zeroed, one at a time; at PASSIVE_LEVEL, at
//! DISPATCH_LEVEL and in an interrupt; before the attach, attached, and after the detach. Nothing crashes, the
//! IRQL is the same afterwards, the library is as good as before, and misuse is reported.
//!
//! The calls are those of the prototypes of the headers. What they answer is held against
//! `programs/arguments.txt`, and that against rules; with `BOTTOMHALF_WRITE=1` in the environment it is written anew.

#[path = "programs/mod.rs"]
mod programs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use programs::Program;

fn header(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../include")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A C text without its comments and the lines of the preprocessor.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("/*") {
        code.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    code.push_str(rest);
    code.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
}

/// An argument: what the program gives for it, its type for a cast, and its name.
#[derive(Debug)]
struct Argument {
    kind: &'static str,
    cast: String,
    name: String,
}

/// A prototype.
#[derive(Debug)]
struct Prototype {
    result: String,
    name: String,
    arguments: Vec<Argument>,
}

/// What an argument of this type and name is.
fn argument(text: &str) -> Argument {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let name = match text.split_once("(*") {
        Some((_, rest)) => rest.split(')').next().unwrap_or_default(),
        None => text.rsplit([' ', '*']).next().unwrap_or_default(),
    };
    let kinds: [(&str, &'static str); 21] = [
        ("(*callback)(struct tasklet_struct", "FUNCTION_OF_TASKLET"),
        ("(*func)(uintptr_t", "FUNCTION_OF_DATA"),
        ("(*func)(void *", "FUNCTION_ON_CPU"),
        ("(*release)(void *", "FUNCTION_OF_ACTION"),
        ("work_func_t ", "FUNCTION_OF_WORK"),
        ("struct tasklet_struct *", "TASKLET"),
        ("struct work_struct *", "WORK"),
        ("struct delayed_work *", "DWORK"),
        ("struct workqueue_struct *", "WQ"),
        ("struct execute_work *", "EXECUTE"),
        ("struct devm_list *", "LIST"),
        ("struct devm_action *", "ACTION"),
        ("struct bottomhalf_config *", "CONFIG"),
        ("struct bottomhalf_attachment *", "ATTACHMENT"),
        ("struct bottomhalf_counters *", "COUNTERS"),
        ("const char *", "NAME"),
        ("void *", "DATA"),
        ("WDFDRIVER ", "DRIVER"),
        ("WDFDEVICE ", "DEVICE"),
        (" flags", "FLAGS"),
        ("int", "NUMBER"),
    ];
    let kind = kinds
        .iter()
        .find(|(pattern, _)| text.contains(pattern))
        .unwrap_or_else(|| panic!("what is {text}?"))
        .1;
    let cast = match text.split_once("(*") {
        Some((result, rest)) => {
            let arguments = rest.split_once(')').map_or("", |(_, rest)| rest);
            format!("{result}(*){arguments}")
        }
        None => text[..text.len() - name.len()].trim().to_owned(),
    };
    Argument {
        kind,
        cast,
        name: name.to_owned(),
    }
}

/// The arguments of a list, divided at the commas that are not in parentheses.
fn arguments(list: &str) -> Vec<Argument> {
    if list.trim() == "void" {
        return Vec::new();
    }
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in list.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(letter);
    }
    parts.iter().map(|part| argument(part.trim())).collect()
}

/// The prototypes of the library's functions.
fn prototypes(text: &str) -> Vec<Prototype> {
    let mut found = Vec::new();
    for statement in code(text).split([';', '{', '}']) {
        let Some((head, rest)) = statement.split_once('(') else {
            continue;
        };
        let name = head.trim().rsplit([' ', '*', '\n']).next().unwrap();
        let result = head[..head.len() - name.len()].trim();
        if !name.starts_with("bottomhalf_")
            || result.is_empty()
            || result.contains("return")
            || result.contains("inline")
        {
            continue;
        }
        let list = rest
            .trim_end()
            .strip_suffix(')')
            .unwrap_or_else(|| panic!("{statement}"));
        let result = result
            .split_whitespace()
            .filter(|word| !word.starts_with("BOTTOMHALF_"))
            .collect::<Vec<_>>()
            .join(" ");
        found.push(Prototype {
            result,
            name: name.to_owned(),
            arguments: arguments(list),
        });
    }
    found
}

/// The table of calls in C.
fn calls(prototypes: &[Prototype]) -> String {
    let (mut functions, mut rows) = (String::new(), String::new());
    for Prototype {
        result,
        name,
        arguments,
    } in prototypes
    {
        let given: Vec<String> = arguments
            .iter()
            .enumerate()
            .map(|(at, argument)| format!("({})(uintptr_t)given[{at}]", argument.cast))
            .collect();
        let call = format!("{name}({})", given.join(", "));
        let (answer, body) = match result.as_str() {
            "void" => ("0", format!("{call}; return 0;")),
            "bool" => ("'b'", format!("return {call};")),
            "int32_t" | "int64_t" | "NTSTATUS" => {
                ("'i'", format!("return (uint64_t)(int64_t){call};"))
            }
            pointer if pointer.ends_with('*') => {
                ("'p'", format!("return (uint64_t)(uintptr_t){call};"))
            }
            _ => ("0", format!("return (uint64_t){call};")),
        };
        writeln!(
            functions,
            "static uint64_t call_{name}(void *const *given) {{ (void)given; {body} }}"
        )
        .unwrap();
        let kinds: Vec<&str> = arguments.iter().map(|argument| argument.kind).collect();
        let names: Vec<String> = arguments
            .iter()
            .map(|argument| format!("{:?}", argument.name))
            .collect();
        writeln!(
            rows,
            "    {{ {name:?}, {answer}, call_{name}, {}, {{ {} }}, {{ {} }} }},",
            arguments.len(),
            if kinds.is_empty() {
                "KINDS".to_owned()
            } else {
                kinds.join(", ")
            },
            if names.is_empty() {
                "NULL".to_owned()
            } else {
                names.join(", ")
            },
        )
        .unwrap();
    }
    format!(
        "{functions}\nstatic const struct call calls[] = {{\n{rows}}};\n\
         static const size_t number_of_calls = ARRAYSIZE(calls);\n"
    )
}

/// What was answered and reported: function and argument, then the phases, each with its three levels.
type Table = BTreeMap<(String, String), [[String; 3]; 3]>;

const PHASES: [&str; 3] = ["before", "attached", "after"];
const LEVELS: [&str; 3] = ["passive", "dispatch", "interrupt"];
const ATTACHED: usize = 1;

fn at(places: [&str; 3], name: &str) -> usize {
    places.iter().position(|place| *place == name).unwrap()
}

/// The lines of the program.
fn answers(said: &str) -> Table {
    let mut table = Table::new();
    for line in said.lines() {
        let cells: Vec<&str> = line.split('|').collect();
        let [name, given, phase, level, answer, codes] = cells[..] else {
            panic!("{line}");
        };
        let name = name.strip_prefix("bottomhalf_").unwrap().to_owned();
        let row = table.entry((name, given.to_owned())).or_default();
        let cell = format!("{answer} {codes}");
        let cell = if cell == " " { "-" } else { cell.trim() };
        cell.clone_into(&mut row[at(PHASES, phase)][at(LEVELS, level)]);
    }
    table
}

/// The same, to be read: a cell for each phase, divided where the levels differ.
fn text(table: &Table) -> String {
    let mut text = "# What each exported function answers and reports with one argument null or zeroed, or with good ones:\n\
                    # before the attach, attached, and after the detach; at PASSIVE_LEVEL / DISPATCH_LEVEL / in an interrupt,\n\
                    # once if that is the same. Written by: BOTTOMHALF_WRITE=1 cargo test -p bottomhalf-c --test arguments\n"
        .to_owned();
    for ((name, given), phases) in table {
        let given = if given.is_empty() { "good" } else { given };
        write!(text, "{name} | {given}").unwrap();
        for levels in phases {
            let same = levels.iter().all(|level| *level == levels[0]);
            let cell = if same {
                levels[0].clone()
            } else {
                levels.join(" / ")
            };
            write!(text, " | {cell}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// The highest level of each function, as the headers annotate it.
fn highest_levels() -> BTreeMap<String, String> {
    let names = [
        "bottomhalf.h",
        "bottomhalf/work.h",
        "bottomhalf/delayed_work.h",
        "bottomhalf/queue.h",
        "linux/interrupt.h",
        "linux/bottom_half.h",
        "linux/preempt.h",
        "linux/devm-helpers.h",
    ];
    let mut levels = BTreeMap::new();
    for text in names.map(|name| code(&header(name))) {
        for part in text.split("BOTTOMHALF_IRQL_").skip(1) {
            let level = part.split_whitespace().next().unwrap();
            let head = part.split(['{', ';']).next().unwrap();
            // What is annotated before the name may have parentheses of its own: the format's positions.
            let declared = head
                .rsplit_once("static inline")
                .map_or(head, |(_, rest)| rest);
            let name = declared.split('(').next().unwrap();
            let name = name.rsplit([' ', '*', '\n']).next().unwrap();
            let name = name.strip_prefix("bottomhalf_").unwrap_or(name);
            levels.insert(name.to_owned(), level.to_owned());
        }
    }
    levels
}

/// What may be null: the caller's own datum; a description; a function, which leaves the item as zeroed memory; the
/// queue that Linux takes for the caller's.
fn may_be_null(name: &str, argument: &str) -> bool {
    let of_init = name.starts_with("INIT_") || ["tasklet_setup", "tasklet_init"].contains(&name);
    ["arg", "data"].contains(&argument)
        || (of_init && ["func", "callback"].contains(&argument))
        || [
            ("set_worker_desc", "description"),
            ("workqueue_congested", "wq"),
        ]
        .contains(&(name, argument))
}

/// Functions that queue, and those that wait.
fn queues(name: &str) -> bool {
    let begins = [
        "queue_",
        "schedule_",
        "mod_",
        "tasklet_schedule",
        "tasklet_hi_",
        "enable_and_queue",
    ];
    begins.iter().any(|begin| name.starts_with(begin))
}
fn waits(name: &str) -> bool {
    name.ends_with("_sync") || name == "flush_work" || name == "flush_delayed_work"
}

/// Functions whose level counts only when there is something to do: an item that is pending on the stack, an entry
/// in the list, works that were held back; and those whose answer is a hint.
const NOTHING_TO_DO: [&str; 6] = [
    "destroy_work_on_stack",
    "destroy_delayed_work_on_stack",
    "devm_release_all",
    "workqueue_set_max_active",
    "get_counters",
    "current_work",
];

/// Whether the cell says that something is wrong: a code, or an error status.
fn says(cell: &str) -> bool {
    cell.contains("BH") || cell.starts_with("-1073741")
}

/// Misuse that nobody reports, and good calls that are taken for misuse.
fn complaints(table: &Table, highest: &BTreeMap<String, String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for ((name, given), phases) in table {
        let mut silent = |phase: usize, level: usize, why: &str| {
            if !says(&phases[phase][level]) {
                complaints.push(format!(
                    "{name}, {given}, {}, {}: {why}",
                    PHASES[phase], LEVELS[level]
                ));
            }
        };
        let (argument, kind) = given.split_once(' ').unwrap_or((given, ""));
        for (phase, level) in (0..9).map(|n| (n / 3, n % 3)) {
            if kind == "null" && !may_be_null(name, argument) {
                silent(phase, level, "a null pointer is not reported");
            }
            if kind == "zeroed" && queues(name) {
                silent(phase, level, "an item that was never initialised is queued");
            }
            if kind == "zeroed" && waits(name) && phase == ATTACHED {
                silent(
                    phase,
                    level,
                    "nobody says that there is nothing to wait for",
                );
            }
            let highest = highest.get(name).map_or("", String::as_str);
            let above = match highest {
                "PASSIVE" | "APC" => level > 0,
                "DISPATCH" => level > 1,
                _ => false,
            };
            if kind.is_empty()
                && phase == ATTACHED
                && above
                && !NOTHING_TO_DO.contains(&name.as_str())
            {
                silent(phase, level, "the IRQL is not reported");
            }
            if kind.is_empty() && queues(name) && phase != ATTACHED {
                silent(phase, level, "nothing is attached, and nobody says so");
            }
        }
    }
    complaints
}

/// CAPI-12, B-02: what every exported function answers when an argument is null or zeroed. Nothing faults, the IRQL
/// is as before (the program looks), works still run, and what is misuse is reported.
#[test]
fn every_argument_may_be_null_or_zeroed() {
    let mut all = prototypes(&header("bottomhalf/abi.h"));
    all.extend(prototypes(&header("bottomhalf.h")));
    assert!(
        all.len() > 110,
        "the prototypes are not seen: {}",
        all.len()
    );
    fs::write(programs::scratch().join("arguments.inc"), calls(&all)).unwrap();
    let program = Program::compile("arguments", &["tests/programs/arguments.c"]);
    let table = answers(&program.run(&[]).succeeds());
    let asked: BTreeSet<&str> = table.keys().map(|(name, _)| name.as_str()).collect();
    assert_eq!(asked.len(), all.len(), "not every function was called");
    let complaints = complaints(&table, &highest_levels());
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));

    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/arguments.txt");
    if env::var_os("BOTTOMHALF_WRITE").is_some() {
        fs::write(&list, text(&table)).unwrap();
    }
    let recorded = fs::read_to_string(&list).unwrap();
    let found = text(&table);
    let changed: Vec<_> = found
        .lines()
        .zip(recorded.lines())
        .filter(|(found, recorded)| found != recorded)
        .collect();
    assert!(
        found == recorded,
        "found, and recorded in {}: {changed:#?}",
        list.display()
    );
}

/// Control: a call that says nothing where it should is found, whatever the mistake.
#[test]
fn silence_is_found() {
    let highest = highest_levels();
    assert!(
        highest.len() > 70,
        "the annotations are not seen: {highest:?}"
    );
    assert_eq!(highest["tasklet_kill"], "PASSIVE");
    assert_eq!(highest["alloc_workqueue"], "PASSIVE");
    assert_eq!(highest["attach_driver"], "PASSIVE");
    for (name, given, cells) in [
        ("queue_work", "wq null", 9),
        ("tasklet_kill", "t null", 9),
        ("queue_work", "work zeroed", 9),
        ("flush_work", "work zeroed", 3),
        ("tasklet_kill", "", 2),
        ("bottomhalf_thaw", "", 0),
        ("thaw", "", 1),
        ("queue_work", "", 6),
        ("INIT_WORK", "func null", 0),
    ] {
        let silent = Table::from([((name.to_owned(), given.to_owned()), Default::default())]);
        assert_eq!(complaints(&silent, &highest).len(), cells, "{name} {given}");
    }
}
