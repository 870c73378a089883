//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use bottomhalf::WorkReentrance;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
A network driver in the manner of Linux, on KMDF: tasklet, work, delayed work.

usage: nic [OPTIONS] [FILE]

  FILE              pcap or pcapng file of Ethernet frames (default: a capture of its own)
  --cpus N          CPUs of the machine, 1 to 64 (default 4)
  --seed N          simulate, with the schedule that N stands for; without it, run live
  --packets N       only the first N packets
  --remove-at N     remove the driver when N packets have arrived
  --careless        forget to cancel the watchdog in remove, and see it found out
  --non-reentrant   WorkReentrance::NonReentrant (default: SelfReentrant)
  --json            print the report as JSON
  --help            print this
";

/// CPUs that a machine may have: one group of processors.
const CPUS_MAX: u32 = 64;

/// What the user wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The capture file; the embedded capture if there is none.
    pub(crate) file: Option<PathBuf>,
    /// CPUs of the machine.
    pub(crate) cpus: u32,
    /// Seed of the simulation; live if there is none.
    pub(crate) seed: Option<u64>,
    /// Limit of the packets.
    pub(crate) packets: Option<u32>,
    /// Remove the driver after so many packets.
    pub(crate) remove_at: Option<u32>,
    /// Remove the driver wrongly.
    pub(crate) careless: bool,
    /// The rule for works.
    pub(crate) reentrance: WorkReentrance,
    /// Report as JSON.
    pub(crate) json: bool,
    /// Print the help and do nothing.
    pub(crate) help: bool,
}

/// Reads the command line, without the program's name.
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut options = Options {
        file: None,
        cpus: 4,
        seed: None,
        packets: None,
        remove_at: None,
        careless: false,
        reentrance: WorkReentrance::SelfReentrant,
        json: false,
        help: false,
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("cpus") => options.cpus = parser.value()?.parse_with(cpus)?,
            Long("seed") => options.seed = Some(parser.value()?.parse()?),
            Long("packets") => options.packets = Some(parser.value()?.parse()?),
            Long("remove-at") => options.remove_at = Some(parser.value()?.parse()?),
            Long("non-reentrant") => options.reentrance = WorkReentrance::NonReentrant,
            Long("careless") => options.careless = true,
            Long("json") => options.json = true,
            Long("help") | Short('h') => options.help = true,
            Value(file) if options.file.is_none() => options.file = Some(file.into()),
            other @ (Long(_) | Short(_) | Value(_)) => return Err(other.unexpected()),
        }
    }
    Ok(options)
}

fn cpus(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(cpus) if (1..=CPUS_MAX).contains(&cpus) => Ok(cpus),
        _ => Err(format!("a machine has 1 to {CPUS_MAX} CPUs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_arguments_the_default_capture_runs_live() {
        let options = parse([] as [&str; 0]).unwrap();
        assert_eq!((options.file, options.seed, options.cpus), (None, None, 4));
    }

    #[test]
    fn every_option_is_read() {
        let line =
            "--cpus 2 --seed 7 a.pcap --packets 10 --remove-at=5 --careless --non-reentrant --json";
        let options = parse(line.split(' ')).unwrap();
        let wanted = Options {
            file: Some("a.pcap".into()),
            cpus: 2,
            seed: Some(7),
            packets: Some(10),
            remove_at: Some(5),
            careless: true,
            reentrance: WorkReentrance::NonReentrant,
            json: true,
            help: false,
        };
        assert_eq!(options, wanted);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for (line, part) in [
            ("--cpus 0", "1 to 64 CPUs"),
            ("--cpus 65", "1 to 64 CPUs"),
            ("--seed x", "invalid digit"),
            ("--fast", "--fast"),
            ("a.pcap b.pcap", "b.pcap"),
            ("--packets", "missing argument"),
        ] {
            let error = parse(line.split(' ')).unwrap_err().to_string();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
