//! Compiles the scenarios and the small Linux environment that they run in.

use std::path::Path;

/// What a kernel has instead.
const KERNEL_ONLY: [&str; 1] = ["module.c"];

/// The C files of `folder`, in the order of their names.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "c"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            !KERNEL_ONLY.iter().any(|other| name == *other)
        })
        .collect();
    files.sort();
    files
}

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let compat = here.join("../drivers/compat");
    let includes = [
        compat.join("include"),
        root.join("include"),
        root.join("capi/host/include"),
    ];
    for folder in &includes {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    cc::Build::new()
        .files(sources(here))
        .files(sources(&compat))
        .files(sources(&compat.join("tests")))
        .include(here)
        .include(&compat)
        .includes(&includes)
        .std("c11")
        .extra_warnings(true)
        .flag("-Wno-unused-parameter")
        .warnings_into_errors(true)
        // The groups of scenarios are found by weak references, which take nothing out of an archive.
        .link_lib_modifier("+whole-archive")
        .compile("conformance");
}
