//! `kmdf-loader [--engine sim|live] [--seed N] [--cpus N] [--devices N] [--machine conformance|timeline]
//! [--argument TEXT] [--elsewhere] [--coverage FILE] [--limit SECONDS] driver.sys`

use std::path::PathBuf;

use kmdf_loader::{Engine, Machine, Options, USAGE, run};
use lexopt::{Arg, Parser, ValueExt as _};

/// The options of the command line.
fn options() -> Result<Options, lexopt::Error> {
    let mut options = Options::new(PathBuf::new());
    let mut parser = Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("engine") => {
                options.engine = match parser.value()?.string()?.as_str() {
                    "sim" => Engine::Sim,
                    "live" => Engine::Live,
                    other => return Err(format!("{other:?} is no engine: sim or live").into()),
                };
            }
            Arg::Long("seed") => options.seed = parser.value()?.parse()?,
            Arg::Long("cpus") => {
                options.cpus = parser.value()?.parse()?;
                if !(1..=64).contains(&options.cpus) {
                    return Err("a machine has 1 to 64 CPUs".into());
                }
            }
            Arg::Long("devices") => options.devices = parser.value()?.parse()?,
            Arg::Long("machine") => {
                let name = parser.value()?.string()?;
                options.machine = Machine::named(&name)
                    .ok_or_else(|| format!("{name:?} is no machine: conformance or timeline"))?;
            }
            Arg::Long("argument") => options.argument = parser.value()?.string()?,
            Arg::Long("elsewhere") => options.elsewhere = true,
            Arg::Long("coverage") => options.coverage = Some(parser.value()?.into()),
            Arg::Long("limit") => options.limit = parser.value()?.parse()?,
            Arg::Value(path) if options.path.as_os_str().is_empty() => options.path = path.into(),
            Arg::Short(_) | Arg::Long(_) | Arg::Value(_) => return Err(argument.unexpected()),
        }
    }
    if options.path.as_os_str().is_empty() {
        return Err("say which driver".into());
    }
    Ok(options)
}

fn main() {
    let status = match options() {
        Ok(options) => run(&options),
        Err(error) => {
            eprintln!("kmdf-loader: {error}");
            USAGE
        }
    };
    std::process::exit(status);
}
