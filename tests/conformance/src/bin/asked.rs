//! Says which rows Linux was asked: `asked CONTRACT FACTS OLDER NEWER`, the last two being files of answers. Fails
//! when a row was asked of no kernel that can be, and when the table of deviations names something else than a row.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::{env, fs};

use bottomhalf_conformance::compare::{
    Answers, Linux, NOT_ASKABLE, answers, asked, deviations, rows,
};

fn main() -> ExitCode {
    match tell(&env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn tell(files: &[String]) -> Result<(), String> {
    let [contract, facts, older, newer] = files else {
        return Err("asked CONTRACT FACTS OLDER NEWER".to_owned());
    };
    let read = |file: &String| fs::read_to_string(file).map_err(|why| format!("{file}: {why}"));
    let (rows, deviations) = (rows(&read(facts)?), deviations(&read(contract)?)?);
    let (older, newer) = (read(older)?, read(newer)?);
    let linux = Linux {
        older: answers(&older)?,
        newer: answers(&newer)?,
    };
    count(&older, &linux.older, &rows);
    count(&newer, &linux.newer, &rows);
    for (id, reason) in NOT_ASKABLE {
        println!("not asked: {id} ({reason})");
    }
    for (id, older, newer) in linux.disagreements() {
        println!("the kernels differ: {id}\n  older: {older}\n  newer: {newer}");
    }
    let findings = asked(&rows, &linux, &deviations);
    if findings.is_empty() {
        println!("every row that can be asked was asked");
        return Ok(());
    }
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(findings.join("\n"))
}

/// The first line of a file of answers names the kernel.
fn count(text: &str, answers: &Answers, rows: &BTreeSet<String>) {
    let kernel = text.lines().next().unwrap_or_default();
    let of_rows = answers.keys().filter(|id| rows.contains(*id)).count();
    println!(
        "{}: {of_rows} of {} rows, and {} scenarios beyond them",
        kernel.trim_start_matches("# "),
        rows.len(),
        answers.len() - of_rows
    );
}
