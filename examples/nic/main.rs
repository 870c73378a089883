//! A network driver in the manner of Linux, running on KMDF.
//!
//! ```text
//! cargo run --release --example nic                      # its own capture, live
//! cargo run --release --example nic -- my.pcapng         # yours
//! cargo run --release --example nic -- --seed 7          # simulated; the same every time
//! cargo run --release --example nic -- --remove-at 5000  # the driver goes while packets arrive
//! ```
//!
//! The card (`device`) is fed from a capture file and interrupts. The driver (`driver`, `stats`)
//! defers: interrupt → tasklet → work, and delayed works beside them. The work tells flows apart and
//! verifies checksums (`packet`, `checksum`), and adds up what it finds (`ledger`). At the end the
//! driver is removed, the books are checked (`machine`), and a table is printed (`report`).
//! `ci/nic-vs-tshark.sh` compares the table with what tshark says, `ci/nic-removal.sh` removes the
//! driver at many moments of many schedules.

mod backlog;
mod capture;
mod checksum;
mod device;
mod driver;
mod ledger;
mod machine;
mod options;
mod packet;
mod report;
mod stats;
mod tally;

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use kmdf_mock::world::{Live, Sim};

use crate::capture::{Capture, CaptureError};
use crate::machine::{Outcome, Plan};
use crate::options::Options;
use crate::report::Report;

/// The embedded capture; `ci/make-capture.sh` made it.
static DEFAULT_CAPTURE: &[u8] = include_bytes!("default.pcap");

fn main() -> ExitCode {
    let options = match options::parse(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("nic: {error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    if options.help {
        print!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nic: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does it all. An error that leaves something to report is an error nevertheless, after the report.
fn run(options: &Options) -> Result<(), String> {
    let (name, (mut capture, error)) = load(options)?;
    let fault = error.map(|error| error.to_string());
    let error = fault.as_ref().map(|fault| format!("{name}: {fault}"));
    if let Some(packets) = options.packets {
        capture.truncate(packets as usize);
    }
    if capture.len() == 0 {
        return Err(error.unwrap_or(format!("{name}: no packets")));
    }
    let total = capture.len() as u64;
    let outcome = simulate(options, capture)?;
    let report = Report {
        source: name,
        engine: engine(options),
        error: fault,
        total,
        dropped: outcome.dropped,
        unread: outcome.unread,
        ledger: outcome.ledger,
        groups: outcome.groups,
    };
    let text = if options.json {
        report.json()
    } else {
        report.to_string()
    };
    show(&text)?;
    let broken = outcome
        .broken
        .iter()
        .map(|broken| format!("broken promise: {broken}"));
    let errors: Vec<String> = broken.chain(error).collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\nnic: "))
    }
}

/// Prints the report. Whoever closes the pipe early has seen enough.
fn show(text: &str) -> Result<(), String> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("output: {error}")),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The capture and its name.
fn load(options: &Options) -> Result<(String, (Capture, Option<CaptureError>)), String> {
    match &options.file {
        None => Ok(("default capture".to_owned(), capture::read(DEFAULT_CAPTURE))),
        Some(path) => {
            let name = path.display().to_string();
            let file = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
            Ok((name, capture::read(&file)))
        }
    }
}

/// Runs the driver in a machine.
fn simulate(options: &Options, capture: Capture) -> Result<Outcome, String> {
    let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} packets")
        .expect("the template is right");
    // Draws on standard error, and not at all unless that is a terminal.
    let bar = ProgressBar::new(capture.len() as u64).with_style(style);
    let plan = Plan {
        capture: Arc::new(capture),
        cpus: options.cpus,
        remove_at: options.remove_at,
        careless: options.careless,
        reentrance: options.reentrance,
        bar: bar.clone(),
    };
    let outcome = match options.seed {
        Some(seed) => Sim::new(seed).cpus(options.cpus).run(|| machine::run(plan)),
        None => Live::new().cpus(options.cpus).run(|| machine::run(plan)),
    };
    bar.finish_and_clear();
    outcome.map_err(|failure| {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let replay = format!(
            "cargo run --release --example nic -- {}",
            arguments.join(" ")
        );
        format!("replay: {replay}\n{failure}")
    })
}

/// What the report says about the machine.
fn engine(options: &Options) -> String {
    let engine = options
        .seed
        .map_or("live".to_owned(), |seed| format!("simulated, seed {seed}"));
    format!("{engine}, {} CPUs, {:?}", options.cpus, options.reentrance)
}
