//! Adds up what callgrind has counted, without the simulator, and holds it against the budgets.
//!
//! A dump has, for each function, the instructions of its lines by source file, and whom it calls. An
//! operation costs the instructions of the functions that its `op_…` function reaches without going through the
//! simulator, but for lines of the simulator that were inlined there. That is the library, and what it uses of
//! `core` and of its two dependencies.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

/// Operation, budget, and Linux's own counts of it (6.1 and 6.12, guest instructions on one CPU).
struct Budget {
    operation: &'static str,
    most: Option<f64>,
    linux: (u32, u32),
    /// Calls that make one operation.
    calls: u64,
}

const fn budget(operation: &'static str, most: f64, linux: (u32, u32)) -> Budget {
    Budget {
        operation,
        most: Some(most),
        linux,
        calls: 1,
    }
}

const fn shown(operation: &'static str, linux: (u32, u32), calls: u64) -> Budget {
    Budget {
        operation,
        most: None,
        linux,
        calls,
    }
}

/// A refused call: 25. A tasklet that is idle: 60. Queueing and arming: one and a half times the smaller of
/// Linux's counts.
const BUDGETS: [Budget; 11] = [
    budget("tasklet_schedule_pending", 25.0, (4, 4)),
    budget("queue_work_pending", 25.0, (24, 31)),
    budget("queue_delayed_work_pending", 25.0, (25, 34)),
    budget("tasklet_schedule_idle", 60.0, (41, 44)),
    budget("queue_work_idle", 1.5 * 232.0, (260, 232)),
    budget("queue_delayed_work_idle", 1.5 * 258.0, (258, 319)),
    shown("mod_delayed_work_pending", (437, 489), 1),
    shown("cancel_delayed_work_pending", (204, 229), 1),
    shown("cancel_work_pending", (199, 242), 1),
    shown("cancel_work_idle", (103, 122), 1),
    shown("tasklet_disable_enable", (34, 36), 2),
];

/// Whether a function is of the simulator, or of `std`, which only the simulator uses, or looks up the statics
/// of the image, of which the simulator has one set per machine.
fn is_simulator(function: &str) -> bool {
    let name = function.trim_start_matches(['<', '&', '*']);
    [
        "kmdf_mock::",
        "std::",
        "alloc::",
        "bottomhalf::kmdf::image::image",
    ]
    .iter()
    .any(|module| name.starts_with(module))
}

/// Whether a source file is.
fn is_simulators(file: &str) -> bool {
    file.contains("/mock/src/") || file.contains("/library/std/") || file.contains("/std/src/")
}

/// Names that callgrind abbreviates: `(7) name` the first time, `(7)` after.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn resolve(&mut self, text: &str) -> String {
        let (number, name) = text.split_once(' ').unwrap_or((text, ""));
        if !name.is_empty() {
            self.0.insert(number.to_owned(), name.to_owned());
        }
        self.0
            .get(number)
            .cloned()
            .unwrap_or_else(|| text.to_owned())
    }
}

/// What one dump says of an operation.
#[derive(Debug, PartialEq)]
struct Measured {
    operation: String,
    calls: u64,
    instructions: u64,
}

/// What a dump says of one function.
#[derive(Default)]
struct Function {
    /// Its own instructions, without those of the simulator's lines.
    own: u64,
    /// Whom it calls, and how often.
    calls: Vec<(String, u64)>,
}

/// Reads a dump.
fn read(dump: &str) -> BTreeMap<String, Function> {
    let (mut names, mut files) = (Names::default(), Names::default());
    let (mut function, mut file, mut callee) = (String::new(), String::new(), String::new());
    let mut calls = None;
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    for line in dump.lines() {
        match line.split_once('=') {
            Some(("fn", name)) => function = names.resolve(name),
            Some(("cfn", name)) => callee = names.resolve(name),
            Some(("fl" | "fi" | "fe", name)) => file = files.resolve(name),
            Some(("cfi" | "cfl", name)) => drop(files.resolve(name)),
            Some(("calls", count)) => {
                calls = count
                    .split(' ')
                    .next()
                    .and_then(|count| count.parse::<u64>().ok());
            }
            Some(_) => {}
            None => {
                let Some(cost) = cost_of(line) else { continue };
                let entry = functions.entry(function.clone()).or_default();
                match calls.take() {
                    // The cost is the callee's, with all that it calls.
                    Some(count) => entry.calls.push((callee.clone(), count)),
                    None if is_simulators(&file) => {}
                    None => entry.own += cost,
                }
            }
        }
    }
    functions
}

/// The instructions of a line of costs: a position, which may be relative, and a number.
fn cost_of(line: &str) -> Option<u64> {
    let (position, cost) = line.split_once(' ')?;
    let relative = position.starts_with(['+', '-', '*']);
    if !relative && position.parse::<u64>().is_err() {
        return None;
    }
    cost.trim().parse().ok()
}

/// The operation that a dump is of, without the simulator.
fn measure(functions: &BTreeMap<String, Function>) -> Option<Measured> {
    let name = functions.keys().find(|name| name.starts_with("op_"))?;
    let mut reached = vec![name.as_str()];
    let (mut calls, mut instructions, mut next) = (0, 0, 0);
    while let Some(name) = reached.get(next) {
        let Some(function) = functions.get(*name) else {
            next += 1;
            continue;
        };
        // The loop of the operation itself does not count.
        if next > 0 {
            instructions += function.own;
        }
        for (callee, count) in function.calls.iter().filter(|call| !is_simulator(&call.0)) {
            if next == 0 {
                calls += count;
            }
            if !reached.contains(&callee.as_str()) {
                reached.push(callee);
            }
        }
        next += 1;
    }
    Some(Measured {
        operation: name.strip_prefix("op_")?.to_owned(),
        calls,
        instructions,
    })
}

fn main() -> ExitCode {
    let mut found = BTreeMap::new();
    for path in std::env::args().skip(1) {
        let dump = fs::read_to_string(&path).expect("a dump of callgrind");
        if let Some(measured) = measure(&read(&dump)) {
            found.insert(measured.operation.clone(), measured);
        }
    }
    println!(
        "{:30} {:>12} {:>8} {:>8} {:>8}",
        "operation", "instructions", "budget", "6.1", "6.12"
    );
    let mut good = true;
    for budget in &BUDGETS {
        let Some(measured) = found.get(budget.operation) else {
            println!("{:30} was not measured", budget.operation);
            good = false;
            continue;
        };
        let each = (measured.instructions * budget.calls) as f64 / measured.calls as f64;
        let most = budget
            .most
            .map_or("-".to_owned(), |most| format!("{most:.0}"));
        let over = budget.most.is_some_and(|most| each > most);
        println!(
            "{:30} {each:12.1} {most:>8} {:>8} {:>8}{}",
            budget.operation,
            budget.linux.0,
            budget.linux.1,
            if over { "  over its budget" } else { "" }
        );
        good &= !over;
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
