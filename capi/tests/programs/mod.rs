//! C programs of tests: compiled against the headers and the static library that cargo has made beside the
//! test, and run as processes of their own, so that a page fault ends the program and not the test.

#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// The folder of the package.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// The newest static library of the package in the folder of this test: whenever the sources change, cargo
/// makes it anew before the test.
fn library() -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    let is_it = |path: &Path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libbottomhalf_c") && name.ends_with(".a")
    };
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| is_it(path))
        .max_by_key(|path| fs::metadata(path).unwrap().modified().unwrap())
        .unwrap_or_else(|| panic!("cargo has made no libbottomhalf_c in {}", folder.display()))
}

/// Where the test writes.
pub(crate) fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A compiled program.
#[derive(Clone, Debug)]
pub(crate) struct Program(PathBuf);

impl Program {
    /// Compiles `sources`, which are paths from the package's folder, as C11 with warnings as errors. `CC` in
    /// the environment names another compiler than `cc`.
    pub(crate) fn compile(name: &str, sources: &[&str]) -> Self {
        let program = scratch().join(name);
        let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let compiled = Command::new(&compiler)
            .current_dir(PACKAGE)
            .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
            .args(["-I../include", "-Ihost/include", "-Itests/programs"])
            .arg(format!("-I{}", scratch().display()))
            .args(sources)
            .arg(library())
            .args(["-lpthread", "-ldl", "-lm", "-o"])
            .arg(&program)
            .output()
            .unwrap_or_else(|error| panic!("{compiler} does not start: {error}"));
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{name}.c:\n{said}");
        Self(program)
    }

    /// Runs it. A failure then names this program in its replay line, and no test of cargo's.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(&self.0)
            .env_remove("CARGO_PKG_NAME")
            .args(arguments)
            .output()
            .unwrap();
        Run {
            good: status.success(),
            said: String::from_utf8_lossy(&stdout).into_owned(),
            complained: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

/// What a program has done.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) good: bool,
    pub(crate) said: String,
    pub(crate) complained: String,
}

impl Run {
    /// It has ended well.
    #[track_caller]
    pub(crate) fn succeeds(self) -> String {
        let Self {
            good,
            said,
            complained,
        } = self;
        assert!(good, "{said}\n{complained}");
        said
    }

    /// It has failed, and said why.
    #[track_caller]
    pub(crate) fn fails_with(&self, text: &str) {
        assert!(!self.good, "nobody notices: {}", self.said);
        let found = self.complained.contains(text) || self.said.contains(text);
        assert!(
            found,
            "{text} is expected:\n{}\n{}",
            self.said, self.complained
        );
    }
}
