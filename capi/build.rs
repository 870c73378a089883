//! Settles the KMDF minor version that the library is built for, and says whether this is the build that a
//! driver gets.
//!
//! In that build the minor version is the one that `wdk-sys` is configured with: `target-kmdf-version-minor` in
//! the manifest that is beside the lock file above the build's output, where `wdk-build` looks for it too.

use std::env;
use std::path::PathBuf;

/// The minor versions whose function table the library fits.
const MINORS: std::ops::RangeInclusive<u32> = 27..=33;
/// The one that is taken if nobody says another.
const DEFAULT: u32 = 33;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BOTTOMHALF_KMDF_MINOR");
    println!("cargo::rustc-check-cfg=cfg(driver)");
    let driver = is_for_a_driver();
    if driver {
        println!("cargo::rustc-cfg=driver");
    }
    match minor(driver) {
        Ok(minor) => println!("cargo::rustc-env=BOTTOMHALF_KMDF_MINOR={minor}"),
        Err(complaint) => println!("cargo::error={complaint}"),
    }
}

/// Whether the KMDF is that of Windows, and not the simulated one.
fn is_for_a_driver() -> bool {
    let feature = |name: &str| env::var_os(format!("CARGO_FEATURE_{name}")).is_some();
    let windows = env::var_os("CARGO_CFG_WINDOWS").is_some()
        || env::var_os("CARGO_CFG_WDK_STANDIN").is_some();
    feature("KMDF") && !feature("MOCK") && windows
}

/// The minor version that is asked for, or why there is none.
fn minor(driver: bool) -> Result<u32, String> {
    let asked = env::var("BOTTOMHALF_KMDF_MINOR").ok();
    let configured = if driver { configured() } else { None };
    let minor = match &asked {
        Some(text) => text
            .parse()
            .map_err(|_| format!("BOTTOMHALF_KMDF_MINOR is {text:?}, which is no number"))?,
        None => configured.unwrap_or(DEFAULT),
    };
    if !MINORS.contains(&minor) {
        return Err(format!(
            "BOTTOMHALF_KMDF_MINOR is {minor}, but the library fits KMDF 1.{} to 1.{}: set it to the \
             KMDF_VERSION_MINOR that the driver is compiled with",
            MINORS.start(),
            MINORS.end()
        ));
    }
    match configured {
        Some(other) if other != minor => Err(format!(
            "BOTTOMHALF_KMDF_MINOR is {minor}, but target-kmdf-version-minor in the manifest is {other}, which \
             is what wdk-sys is built for: build with bash capi/install.sh --target windows --kmdf-minor {minor}"
        )),
        _ => Ok(minor),
    }
}

/// What `wdk-sys` is configured with, if a manifest says so.
fn configured() -> Option<u32> {
    let out = PathBuf::from(env::var_os("OUT_DIR")?);
    let top = out
        .ancestors()
        .find(|path| path.join("Cargo.lock").exists())?;
    let manifest = top.join("Cargo.toml");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let text = std::fs::read_to_string(manifest).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "target-kmdf-version-minor").then(|| value.trim().parse().ok())?
    })
}
