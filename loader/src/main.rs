//! `kmdf-loader [options] driver.sys`: the options are described in the README.

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
            Arg::Long("machine") => {
                options.machine = match parser.value()?.string()?.as_str() {
                    "usual" => Machine::Usual,
                    "scenarios" => Machine::Scenarios,
                    "timeline" => Machine::Timeline,
                    other => {
                        return Err(format!(
                            "{other:?} is no machine: usual, scenarios or timeline"
                        )
                        .into());
                    }
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
            Arg::Long("argument") => options.argument = parser.value()?.string()?,
            Arg::Long("elsewhere") => options.elsewhere = true,
            Arg::Long("ioctl") => options.ioctls.push(code(&parser.value()?.string()?)?),
            Arg::Long("link") => options.link = Some(parser.value()?.string()?),
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

/// A number, decimal, or hexadecimal after `0x`.
fn code(text: &str) -> Result<u32, lexopt::Error> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| format!("{text:?} is no control code").into())
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
