//! Adds up what callgrind has counted, without the simulator, and holds it against the budgets.
//!
//! A dump has, for each function, the instructions of its lines by source file, and whom it calls. An
//! operation costs the instructions of the functions that its `op_…` function reaches without going through the
//! simulator, but for lines of the simulator that were inlined there. That is the library, and what it uses of
//! `core` and of its two dependencies.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

/// What an operation may cost.
struct Budget {
    operation: &'static str,
    /// More fails.
    most: f64,
    /// What the design wants, where that is less.
    goal: Option<f64>,
    /// Linux's own counts of it: 6.1 and 6.12, guest instructions on one CPU.
    linux: (u32, u32),
    /// Calls that make one operation.
    calls: u64,
}

/// The design's budget is held.
const fn held(operation: &'static str, most: f64, linux: (u32, u32)) -> Budget {
    Budget {
        operation,
        most,
        goal: None,
        linux,
        calls: 1,
    }
}

/// One and a half times Linux's count, in the kernel whose rules the library follows: 6.12.
const fn as_linux(operation: &'static str, linux: (u32, u32)) -> Budget {
    held(operation, linux.1 as f64 * 1.5, linux)
}

const BUDGETS: [Budget; 11] = [
    // A refused call.
    held("tasklet_schedule_pending", 25.0, (4, 4)),
    held("queue_work_pending", 25.0, (24, 31)),
    held("queue_delayed_work_pending", 25.0, (25, 34)),
    // Linux does without a lock, for its lists belong to the CPU and interrupts are off; and without a
    // runtime that may be absent or end. The rest is five calls and registers saved around them.
    Budget {
        goal: Some(60.0),
        ..held("tasklet_schedule_idle", 70.0, (41, 44))
    },
    as_linux("queue_work_idle", (260, 232)),
    as_linux("queue_delayed_work_idle", (258, 319)),
    // The design gives no budget for these.
    as_linux("mod_delayed_work_pending", (437, 489)),
    as_linux("cancel_delayed_work_pending", (204, 229)),
    as_linux("cancel_work_pending", (199, 242)),
    as_linux("cancel_work_idle", (103, 122)),
    // Two entries into the runtime, where Linux has an addition and a subtraction.
    Budget {
        calls: 2,
        ..held("tasklet_disable_enable", 125.0, (34, 36))
    },
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
        let over = each > budget.most;
        let note = match budget.goal {
            _ if over => "  over its budget".to_owned(),
            Some(goal) if each > goal => format!("  the design wants {goal:.0}"),
            Some(_) | None => String::new(),
        };
        println!(
            "{:30} {each:12.1} {:8.0} {:>8} {:>8}{note}",
            budget.operation, budget.most, budget.linux.0, budget.linux.1
        );
        good &= !over;
    }
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
