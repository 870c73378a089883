//! Checks the KMDF minor version that the library is built for, and says whether this is the build
//! that a driver gets.

use std::env;

/// The minor versions whose function table the library fits.
const MINORS: std::ops::RangeInclusive<u32> = 27..=33;
/// The one that is taken if nobody says another.
const DEFAULT: &str = "33";

fn main() {
    println!("cargo::rerun-if-env-changed=BOTTOMHALF_KMDF_MINOR");
    println!("cargo::rustc-check-cfg=cfg(driver)");
    let minor = env::var("BOTTOMHALF_KMDF_MINOR").unwrap_or_else(|_| DEFAULT.to_owned());
    match minor.parse::<u32>() {
        Ok(number) if MINORS.contains(&number) => {
            println!("cargo::rustc-env=BOTTOMHALF_KMDF_MINOR={number}");
        }
        Ok(_) | Err(_) => println!(
            "cargo::error=BOTTOMHALF_KMDF_MINOR is {minor:?}, but the library fits KMDF 1.{} to 1.{}: set it to \
             the KMDF_VERSION_MINOR that the driver is compiled with",
            MINORS.start(),
            MINORS.end()
        ),
    }
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let windows = env::var_os("CARGO_CFG_WINDOWS").is_some()
        || env::var_os("CARGO_CFG_WDK_STANDIN").is_some();
    if feature("KMDF") && !feature("MOCK") && windows {
        println!("cargo::rustc-cfg=driver");
    }
}
