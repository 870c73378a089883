//! A stand-in for `wdk-build` 0.6.0: tells the linker how a KMDF driver is linked, and asks for no WDK.
//!
//! The arguments are those of the real crate, but for these: `/KERNEL`, `/MAP` and `/MAPINFO`, which the
//! linker of LLVM does not need, are left out, and `/RELEASE` is added, since that linker writes the
//! checksum of the image only then. The libraries of the WDK are taken from the folder that
//! `WDK_STANDIN_LIBRARIES` names.

use std::fmt;

/// What is wrong with a driver's configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The driver is not compiled with `-C target-feature=+crt-static`.
    StaticCrtNotEnabled,
    /// The environment lacks a variable.
    Missing(&'static str),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StaticCrtNotEnabled => f.write_str(
                "compile the driver with -C target-feature=+crt-static (.cargo/config.toml)",
            ),
            Self::Missing(name) => write!(f, "the variable {name} is not set"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The arguments of the linker for a KMDF driver.
const ARGUMENTS: [&str; 10] = [
    "/DRIVER",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE",
    "/ENTRY:FxDriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/OPT:REF,ICF",
    "/INTEGRITYCHECK",
    "/MANIFEST:NO",
    "/RELEASE",
];

/// What a driver's build script calls.
///
/// # Errors
/// The C runtime is not linked statically, or the libraries are nowhere.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    let features = std::env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    if !features.split(',').any(|feature| feature == "crt-static") {
        return Err(ConfigError::StaticCrtNotEnabled);
    }
    let libraries = std::env::var("WDK_STANDIN_LIBRARIES")
        .map_err(|_| ConfigError::Missing("WDK_STANDIN_LIBRARIES"))?;
    println!("cargo::rerun-if-env-changed=WDK_STANDIN_LIBRARIES");
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
    for library in ["ntoskrnl", "WdfLdr", "WdfDriverEntry"] {
        println!("cargo::rerun-if-changed={libraries}/{library}.lib");
        println!("cargo::rustc-cdylib-link-arg={libraries}/{library}.lib");
    }
    println!("cargo::rustc-link-search={libraries}");
    println!(
        "cargo::rustc-check-cfg=cfg(driver_model__driver_type, values(\"WDM\",\"KMDF\",\"UMDF\"))"
    );
    println!("cargo::rustc-cfg=driver_model__driver_type=\"KMDF\"");
    Ok(())
}
