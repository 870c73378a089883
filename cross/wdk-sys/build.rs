//! Writes the `call_unsafe_wdf_function_binding!` of this crate, as the build script of `wdk-sys` does:
//! the macro of `wdk-macros` wants the path of the file with the prototypes as a literal.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that `wdk-macros` keeps next to its build output, and never refreshes.
const SIGNATURE_CACHE: &str = "cached_function_info_map.json";

fn main() -> io::Result<()> {
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or(io::ErrorKind::NotFound)
    };
    let prototypes = variable("CARGO_MANIFEST_DIR")?
        .join("../../mock/src/abi/functions.rs")
        .canonicalize()?;
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", prototypes.display());

    let out_dir = variable("OUT_DIR")?;
    // OUT_DIR is `build/<package>-<hash>/out`; the cache lies in that of another package.
    if let Some(build) = out_dir.ancestors().nth(2) {
        forget_signatures(build)?;
    }
    let source = format!(
        "/// Calls a WDF function by its name through the function table.\n\
         ///\n\
         /// # Safety\n\
         /// The arguments obey the rules of the function's documentation.\n\
         #[macro_export]\n\
         macro_rules! call_unsafe_wdf_function_binding {{\n    \
             ($($tokens:tt)*) => {{\n        \
                 $crate::__proc_macros::call_unsafe_wdf_function_binding!({:?}, $($tokens)*)\n    \
             }};\n\
         }}\n",
        prototypes.display().to_string()
    );
    fs::write(out_dir.join("call_unsafe_wdf_function_binding.rs"), source)
}

/// Removes every signature cache under `folder`.
fn forget_signatures(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget_signatures(&entry.path())?;
        } else if entry.file_name() == SIGNATURE_CACHE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
