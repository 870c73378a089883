//! Runs the scenarios in a driver image and holds their answers against those that the host's are held against.
//!
//! `through_sys LOADER DRIVER WIDTHS SEEDS [ID...]`: `kmdf-loader`, the image, the file with the answers that
//! differ because of the width of `unsigned long`, how many seeds each scenario runs with, and the only
//! scenarios to run. If `CONFORMANCE_COVERAGE` names a folder, each run writes there which instructions have run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use bottomhalf_conformance::compare::{self, Answers, Finding, Linux, Ours};
use bottomhalf_conformance::fork;
use bottomhalf_conformance::machine::{Kind, Ran};
use bottomhalf_conformance::scenarios::{self, Scenario, amiss, answer_of};

/// How long one run may take.
const PATIENCE: Duration = Duration::from_secs(100);

/// What the command line says.
struct Given {
    loader: String,
    driver: String,
    widths: Answers,
    seeds: u64,
    only: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn given() -> Result<Given, String> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [loader, driver, widths, seeds, only @ ..] = words.as_slice() else {
        return Err("through_sys LOADER DRIVER WIDTHS SEEDS [ID...]".to_owned());
    };
    let seeds = seeds
        .parse()
        .map_err(|_| format!("{seeds:?} is no number"))?;
    Ok(Given {
        loader: loader.clone(),
        driver: driver.clone(),
        widths: compare::answers(&read(Path::new(widths))?)?,
        seeds,
        only: only.to_vec(),
    })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// A file of this repository, by its path from this package.
fn recorded(path: &str) -> Result<String, String> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

/// What Linux answered, and in place of that what a Linux with this width of `unsigned long` answers.
fn linux(widths: &Answers) -> Result<Linux, String> {
    let mut linux = Linux {
        older: compare::answers(&recorded("recorded/linux-6.1.txt")?)?,
        newer: compare::answers(&recorded("recorded/linux-6.12.txt")?)?,
    };
    for (id, answer) in widths {
        match linux.answer(id) {
            None => {
                return Err(format!(
                    "{id} differs by its width, and Linux was not asked"
                ));
            }
            Some(same) if same == answer => {
                return Err(format!(
                    "{id} differs by its width, and answers as Linux does"
                ));
            }
            Some(_) => drop(linux.newer.insert(id.clone(), answer.clone())),
        }
    }
    Ok(linux)
}

impl Given {
    fn command(&self, scenario: &Scenario, seed: u64) -> Command {
        let (machine, cpus) = match scenarios::kind(scenario) {
            Kind::FourCpus => ("scenarios", "4"),
            Kind::Timeline => ("timeline", "1"),
        };
        let mut command = Command::new(&self.loader);
        command.args(["--seed", &seed.to_string(), "--cpus", cpus]);
        command.args(["--machine", machine, "--argument", &scenario.id]);
        if let Some(folder) = env::var_os("CONFORMANCE_COVERAGE") {
            let name = format!("{}-{seed}", scenario.id);
            command.arg("--coverage").arg(Path::new(&folder).join(name));
        }
        command.arg(&self.driver);
        command
    }

    /// The answer of one run, in a process of its own.
    fn ask(&self, scenario: &Scenario, seed: u64) -> Result<String, String> {
        let mut command = self.command(scenario, seed);
        let output = command.output().map_err(|why| why.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(format!("{}\n{said}", output.status));
        }
        let printed = said.lines().map(str::to_owned).collect();
        answer(
            &scenario.id,
            &String::from_utf8_lossy(&output.stdout),
            printed,
        )
    }
}

/// The answer among the lines of a run, if the run left nothing and printed what it has to.
fn answer(id: &str, text: &str, printed: Vec<String>) -> Result<String, String> {
    let (accounts, lines): (Vec<String>, Vec<String>) = text
        .lines()
        .map(str::to_owned)
        .partition(|line| line.starts_with('#'));
    let answer = answer_of(id, &lines)?;
    let [account] = accounts.as_slice() else {
        return Err(format!("{id} does not say once what it has left: {text}"));
    };
    let number = |key: &str| -> Result<u64, String> {
        let words = account.split(' ').filter_map(|word| word.split_once('='));
        let mut values = words.filter(|(name, _)| *name == key);
        let value = values.next().and_then(|(_, value)| value.parse().ok());
        value.ok_or_else(|| format!("{id} does not say {key}: {account}"))
    };
    if number("ran")? != 1 {
        return Err(format!("not one scenario ran: {account}"));
    }
    let ran = Ran {
        result: (),
        pending: number("pending")?,
        blocks: u32::try_from(number("blocks")?).map_err(|why| why.to_string())?,
        printed,
    };
    match amiss(id, &ran) {
        Some(amiss) => Err(format!("{amiss}\nit answered: {answer}")),
        None => Ok(answer),
    }
}

/// Whether a finding says something about this run.
fn counts(finding: &Finding, asked: &BTreeSet<&str>, all: bool) -> bool {
    match finding {
        Finding::Missing(id) => all || asked.contains(id.as_str()),
        Finding::DoesNotDeviate(_) => all,
        Finding::Differs { .. }
        | Finding::Drifts { .. }
        | Finding::Hangs { .. }
        | Finding::Unknown(_)
        | Finding::NoSuchRow(_)
        | Finding::NotAsked(_)
        | Finding::Askable(_)
        | Finding::AskedOfOne { .. }
        | Finding::RowIsGone(_)
        | Finding::NotNamed(_)
        | Finding::KernelsDiffer { .. }
        | Finding::MayNotDeviate(_) => true,
    }
}

fn run() -> Result<String, String> {
    let given = given()?;
    let all = scenarios::all();
    let chosen: Vec<&Scenario> = all
        .iter()
        .filter(|one| given.only.is_empty() || given.only.contains(&one.id))
        .collect();
    if chosen.len() != given.only.len() && !given.only.is_empty() || given.seeds == 0 {
        return Err("there is nothing to run, or no such scenario".to_owned());
    }
    let (mut ours, mut wrong) = (Ours::default(), Vec::new());
    let seeds = given.seeds as usize;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let of = |index: usize| (chosen[index / seeds], (index % seeds) as u64);
    let job = |index: usize| given.ask(of(index).0, of(index).1);
    fork::each(
        chosen.len() * seeds,
        at_once,
        PATIENCE,
        job,
        |index, result| {
            let (scenario, seed) = of(index);
            match result {
                Ok(answer) => ours.add(seed, &[(scenario.id.clone(), answer)].into()),
                Err(why) => wrong.push(format!(
                    "{} {why}\nreplay: {:?}",
                    scenario.id,
                    given.command(scenario, seed)
                )),
            }
        },
    );
    let linux = linux(&given.widths)?;
    let contract = compare::deviations(&recorded("../../shim-api.md")?)?;
    let deviating = compare::answers(&recorded("recorded/deviating.txt")?)?;
    let asked: BTreeSet<&str> = chosen.iter().map(|one| one.id.as_str()).collect();
    let whole = chosen.len() == all.len();
    let found = compare::hold(&ours, &linux, &contract, &deviating);
    let found = found.iter().filter(|one| counts(one, &asked, whole));
    wrong.extend(found.map(ToString::to_string));
    if wrong.is_empty() {
        Ok(report(&given, &asked))
    } else {
        let count = wrong.len();
        // The first ones say enough of what is wrong everywhere.
        wrong.truncate(20);
        Err(format!("{}\n{count} findings", wrong.join("\n")))
    }
}

fn report(given: &Given, asked: &BTreeSet<&str>) -> String {
    let widths: Vec<&str> = given
        .widths
        .keys()
        .map(String::as_str)
        .filter(|id| asked.contains(id))
        .collect();
    format!(
        "{} scenarios through the .sys, {} seeds each: {} answer as on the host, {} otherwise, by the width of \
         unsigned long: {}",
        asked.len(),
        given.seeds,
        asked.len() - widths.len(),
        widths.len(),
        widths.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn what_a_run_must_say_is_asked_for() {
        let account = "# ran=1 pending=0 blocks=0";
        let answered = |text: String| answer("T04", &text, Vec::new());
        assert_eq!(
            answered(format!("T04 runs=2\n{account}\n")).as_deref(),
            Ok("runs=2")
        );
        for text in [
            String::new(),
            "T04 runs=2\n".to_owned(),
            format!("T05 runs=2\n{account}\n"),
            format!("T04 runs=2\n{account}\n{account}\n"),
            "T04 runs=2\n# ran=1 pending=0\n".to_owned(),
            "T04 runs=2\n# ran=2 pending=0 blocks=0\n".to_owned(),
            "T04 runs=2\n# ran=1 pending=1 blocks=0\n".to_owned(),
            "T04 runs=2\n# ran=1 pending=0 blocks=1\n".to_owned(),
        ] {
            assert!(answered(text.clone()).is_err(), "{text}");
        }
        let printed = vec!["bottomhalf BH09 text".to_owned()];
        assert!(answer("T04", &format!("T04 runs=2\n{account}\n"), printed).is_err());
    }
}
