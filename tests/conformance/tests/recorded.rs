//! Every scenario on the simulated KMDF, held against what Linux answered: `recorded/linux-*.txt`.
//!
//! A test of this binary is a scenario, run for a number of seeds with a process of its own for each; it is named by
//! the scenario's id. Arguments are as of other tests: parts of names, `--exact`, `--skip`, `--list`,
//! `--test-threads N`, and `--nocapture`, which shows every different answer.
//!
//! | In the environment | |
//! |---|---|
//! | `CONFORMANCE_SEEDS=N` | the first N seeds of each scenario, instead of 12 |
//! | `CONFORMANCE_SEEDS=M:N` | N seeds, beginning with seed M |
//! | `KMDF_MOCK_SEED=N` | this seed only, as the replay line of a failure says |

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bottomhalf_conformance::compare::{self, Finding, Linux, Ours};
use bottomhalf_conformance::fork;
use bottomhalf_conformance::scenarios::{self, Scenario};

/// Seeds of each scenario in a plain test run.
const SEEDS: u64 = 12;

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command line says.
struct Arguments {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
    show: bool,
    at_once: usize,
}

impl Arguments {
    fn read() -> Self {
        let mut all = Self {
            filters: Vec::new(),
            skipped: Vec::new(),
            exact: false,
            list: false,
            show: false,
            at_once: std::thread::available_parallelism().map_or(1, usize::from),
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => all.exact = true,
                "--skip" => all.skipped.extend(words.next()),
                "--list" => all.list = true,
                "--nocapture" | "--no-capture" => all.show = true,
                "--test-threads" => {
                    let number = words.next().and_then(|word| word.parse().ok());
                    all.at_once = number.expect("--test-threads is followed by a number");
                }
                // What else the usual harness knows changes how it prints.
                "--format" | "--color" | "--logfile" => drop(words.next()),
                word if word.starts_with('-') => {}
                word => all.filters.push(word.to_owned()),
            }
        }
        all
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        let wanted = self.filters.is_empty() || self.filters.iter().any(fits);
        wanted && !self.skipped.iter().any(fits)
    }
}

/// The seeds that the environment asks for.
fn seeds() -> Vec<u64> {
    let number = |text: &str| -> u64 {
        text.parse()
            .unwrap_or_else(|_| panic!("{text:?} is no number"))
    };
    if let Ok(text) = std::env::var("KMDF_MOCK_SEED") {
        return vec![number(&text)];
    }
    let (first, count) = match std::env::var("CONFORMANCE_SEEDS") {
        Ok(text) => match text.split_once(':') {
            Some((first, count)) => (number(first), number(count)),
            None => (0, number(&text)),
        },
        Err(_) => (0, SEEDS),
    };
    (first..first + count).collect()
}

fn read(path: &str) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What was recorded of Linux.
fn linux() -> Result<Linux, String> {
    Ok(Linux {
        older: compare::answers(&read("recorded/linux-6.1.txt")?)?,
        newer: compare::answers(&read("recorded/linux-6.12.txt")?)?,
    })
}

/// What is wrong, by the test that it fails.
#[derive(Default)]
struct Faults(BTreeMap<String, Vec<String>>);

impl Faults {
    fn add(&mut self, test: &str, what: String) {
        self.0.entry(test.to_owned()).or_default().push(what);
    }
}

/// The test that asks whether the answers are those of the whole table: no scenario is missing, and none is there
/// that no kernel was asked.
const COMPLETE: &str = "every_row_is_asked_and_answered";

/// The control: runs that fail, panic, end their process or never end are found, and those between them are not
/// touched.
const CONTROL: &str = "runs_that_do_not_end_well_are_found";

fn control(faults: &mut Faults) {
    let job = |index: usize| match index {
        0 => Ok("first".to_owned()),
        1 => Err("an error".to_owned()),
        2 => std::process::exit(112),
        3 => std::process::abort(),
        4 => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => Ok("x".repeat(1 << 17)),
    };
    let mut results = BTreeMap::new();
    fork::each(6, 3, Duration::from_millis(500), job, |index, result| {
        results.insert(index, result);
    });
    let expected = [
        (0, "first"),
        (1, "an error"),
        (2, "status 112"),
        (3, "ended by signal 6"),
        (4, "it took too long"),
        (5, "xxx"),
    ];
    for (index, text) in expected {
        let is_good = matches!(index, 0 | 5);
        let fits = match &results[&index] {
            Ok(answer) => is_good && answer.starts_with(text),
            Err(error) => !is_good && error.contains(text),
        };
        if !fits {
            faults.add(CONTROL, format!("run {index}: {:?}", results[&index]));
        }
    }
}

fn replay(id: &str, seed: u64) -> String {
    format!(
        "replay: KMDF_MOCK_SEED={seed} cargo test -p bottomhalf-conformance --test recorded -- --exact {id}"
    )
}

/// Runs the scenarios, each with each seed, and returns what they answered.
fn run(scenarios: &[&Scenario], seeds: &[u64], arguments: &Arguments, faults: &mut Faults) -> Ours {
    let mut ours = Ours::default();
    let mut seen = BTreeSet::new();
    let job = |index: usize| scenarios[index / seeds.len()].run(seeds[index % seeds.len()]);
    fork::each(
        scenarios.len() * seeds.len(),
        arguments.at_once,
        PATIENCE,
        job,
        |index, result| {
            let (scenario, seed) = (scenarios[index / seeds.len()], seeds[index % seeds.len()]);
            match result {
                Ok(answer) => {
                    let line = format!("{} {answer}", scenario.id);
                    if arguments.show && !seen.contains(&line) {
                        println!("{line}");
                        seen.insert(line);
                    }
                    let answers = [(scenario.id.clone(), answer)].into();
                    ours.add(seed, &answers);
                }
                Err(error) => {
                    faults.add(
                        &scenario.id,
                        format!("{}\n{error}", replay(&scenario.id, seed)),
                    );
                }
            }
        },
    );
    ours
}

/// Holds the answers against what was recorded, and if `complete` what was recorded against the table of rows.
fn held(ours: &Ours, complete: bool) -> Result<Vec<Finding>, String> {
    let linux = linux()?;
    let contract = compare::deviations(&read("../../shim-api.md")?)?;
    let deviating = compare::answers(&read("recorded/deviating.txt")?)?;
    let mut findings = compare::hold(ours, &linux, &contract, &deviating);
    if complete {
        let facts = read("../../docs/facts/linux.md")?;
        findings.extend(compare::asked(&compare::rows(&facts), &linux, &contract));
        findings.extend(compare::kept(&facts, &linux, &contract, &deviating));
    }
    Ok(findings)
}

/// Distributes the findings over the tests.
fn judge(findings: Vec<Finding>, names: &BTreeSet<&str>, all: bool, faults: &mut Faults) {
    for finding in findings {
        let text = finding.to_string();
        match finding {
            Finding::Differs { id, seed, .. }
            | Finding::Drifts { id, seed, .. }
            | Finding::Hangs { id, seed, .. } => {
                faults.add(&id, format!("{}\n{text}", replay(&id, seed)));
            }
            Finding::Unknown(id) => faults.add(&id, text),
            // One seed may not be enough to see that a scenario deviates.
            Finding::DoesNotDeviate(id) if all => faults.add(&id, text),
            // Also where the test of the whole table is filtered out: without a seed nothing was asked.
            Finding::Missing(id) if names.contains(id.as_str()) => faults.add(&id, text),
            Finding::Missing(_) if all => faults.add(COMPLETE, text),
            Finding::DoesNotDeviate(_) | Finding::Missing(_) => {}
            Finding::NoSuchRow(_)
            | Finding::NotAsked(_)
            | Finding::Askable(_)
            | Finding::AskedOfOne { .. }
            | Finding::RowIsGone(_)
            | Finding::NotNamed(_)
            | Finding::KernelsDiffer { .. }
            | Finding::MayNotDeviate(_) => faults.add(COMPLETE, text),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::read();
    let all = scenarios::all();
    let chosen: Vec<&Scenario> = all
        .iter()
        .filter(|scenario| arguments.wants(&scenario.id))
        .collect();
    let complete = arguments.wants(COMPLETE);
    let mut names: Vec<&str> = chosen.iter().map(|scenario| scenario.id.as_str()).collect();
    names.extend(
        [COMPLETE, CONTROL]
            .iter()
            .filter(|name| arguments.wants(name)),
    );
    if arguments.list {
        names.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", names.len());
    let began = std::time::Instant::now();
    let mut faults = Faults::default();
    let seeds = seeds();
    let ours = run(&chosen, &seeds, &arguments, &mut faults);
    let whole = chosen.len() == all.len() && std::env::var_os("KMDF_MOCK_SEED").is_none();
    match held(&ours, complete) {
        // Nothing is known about any of them.
        Err(error) => names
            .iter()
            .for_each(|name| faults.add(name, error.clone())),
        Ok(findings) => judge(
            findings,
            &names.iter().copied().collect(),
            whole,
            &mut faults,
        ),
    }
    if names.contains(&CONTROL) {
        control(&mut faults);
    }
    for id in scenarios::twice(&all) {
        faults.add(COMPLETE, format!("{id} stands twice among the scenarios"));
    }
    report(&names, &all, &faults, began.elapsed())
}

/// Prints what became of each test, as the usual harness does.
fn report(names: &[&str], all: &[Scenario], faults: &Faults, took: Duration) -> ExitCode {
    let mut details = String::new();
    let (mut passed, mut failed) = (0, 0);
    for name in names {
        match faults.0.get(*name) {
            None => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Some(texts) => {
                failed += 1;
                println!("test {name} ... FAILED");
                // The first ones say enough of a scenario that fails with many seeds.
                for text in texts.iter().take(2) {
                    let _ = write!(
                        details,
                        "\n---- {name} ({} in all) ----\n{text}\n",
                        texts.len()
                    );
                }
            }
        }
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    print!("{details}");
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        all.len() + 2 - names.len(),
        took.as_secs_f64()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
