//! What the types of the typed face refuse: each file of `tests/compile_fail` is a driver with one misuse, and does
//! not compile, for the reason that it names.
//!
//! In a file, `//~ CODE text` says which error its line has, `//~^ CODE text` which the line above has, one line more
//! for each `^`; these and no other errors must come. Exactly one line has a `//=`: what stands before it is the
//! misuse, what follows it is the line of the passing twin. So each misuse has a positive control, and they differ
//! by the line that matters. The twins are compiled with `forbid(unsafe_code)`: no driver needs it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error: the line, the code, and a part of the message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    line: usize,
    code: String,
    text: String,
}

/// A file of `tests/compile_fail`.
struct Case {
    name: String,
    misuse: String,
    twin: String,
    expected: Vec<Expected>,
}

impl Case {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self::parse(name, &fs::read_to_string(path).unwrap())
    }

    fn parse(name: String, text: &str) -> Self {
        let (mut misuse, mut twin, mut expected) = (String::new(), String::new(), Vec::new());
        for (index, line) in text.lines().enumerate() {
            let (before, after) = line.split_once("//=").unwrap_or((line, line));
            writeln!(misuse, "{before}").unwrap();
            writeln!(twin, "{after}").unwrap();
            if let Some((_, note)) = line.split_once("//~") {
                let above = note.chars().take_while(|&letter| letter == '^').count();
                let (code, text) = note[above..].trim().split_once(' ').unwrap();
                expected.push(Expected {
                    line: index + 1 - above,
                    code: code.to_owned(),
                    text: text.to_owned(),
                });
            }
        }
        let changed = misuse.lines().zip(twin.lines()).filter(|(a, b)| a != b);
        assert_eq!(changed.count(), 1, "{name}: the twin differs by one line");
        assert!(!expected.is_empty(), "{name} says no error");
        Self {
            name,
            misuse,
            twin,
            expected,
        }
    }

    /// Says how the errors in `output` differ from what the file says.
    fn judge(&self, output: &str) -> Result<(), String> {
        let place = format!("examples/{}.rs:", self.name);
        let found: BTreeSet<(usize, &str, &str)> = output
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(&place))
            .filter_map(|line| {
                let (line, rest) = line.split_once(':')?;
                let (_column, rest) = rest.split_once(": ")?;
                let (code, text) = rest.strip_prefix("error[")?.split_once("]: ")?;
                Some((line.parse().ok()?, code, text))
            })
            .collect();
        let matches = |expected: &Expected, found: &(usize, &str, &str)| {
            (expected.line, expected.code.as_str()) == (found.0, found.1)
                && found.2.contains(&expected.text)
        };
        for expected in &self.expected {
            if !found.iter().any(|found| matches(expected, found)) {
                return Err(format!(
                    "{}: {expected:?} is not among {found:?}",
                    self.name
                ));
            }
        }
        for found in &found {
            if !self
                .expected
                .iter()
                .any(|expected| matches(expected, found))
            {
                return Err(format!("{}: unexpected {found:?}", self.name));
            }
        }
        Ok(())
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| Case::read(path)).collect()
}

/// Writes `text` unless the file says so already, so that cargo sees no change.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Makes a package of the cases: the twins are modules of its library, each misuse is an example of its own.
fn package(cases: &[Case]) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let library = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("examples").exists() {
        fs::remove_dir_all(root.join("examples")).unwrap();
    }
    let manifest = format!(
        "[package]\nname = \"misuses\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies.bottomhalf]\npath = {library:?}\nfeatures = [\"alloc\"]\n"
    );
    write(&root.join("Cargo.toml"), &manifest);
    let lock = fs::read_to_string(library.join("Cargo.lock")).unwrap();
    write(&root.join("Cargo.lock"), &lock);
    let mut twins = "#![forbid(unsafe_code)]\n#![allow(warnings)]\n".to_owned();
    for case in cases {
        writeln!(twins, "pub mod {};", case.name).unwrap();
        write(&root.join(format!("src/{}.rs", case.name)), &case.twin);
        let misuse = format!("{}fn main() {{}}\n", case.misuse);
        write(&root.join(format!("examples/{}.rs", case.name)), &misuse);
    }
    write(&root.join("src/lib.rs"), &twins);
    root
}

/// Type-checks a part of the package; whether it compiles, and what was said.
fn check(root: &Path, part: &str) -> (bool, String) {
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--offline",
            "--keep-going",
            "--message-format=short",
            part,
        ])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", root.join("target"))
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs this test, so it is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

/// TYPED-10, TYPED-12: each misuse is refused with the error that its file names, and nothing else is wrong with
/// it: its twin compiles.
#[test]
fn each_misuse_is_refused_and_its_twin_compiles() {
    let cases = cases();
    let root = package(&cases);
    let (compiles, said) = check(&root, "--lib");
    assert!(compiles, "a twin does not compile:\n{said}");
    let (compiles, said) = check(&root, "--examples");
    assert!(!compiles);
    let amiss: Vec<String> = cases
        .iter()
        .filter_map(|case| case.judge(&said).err())
        .collect();
    assert!(amiss.is_empty(), "{}\n{said}", amiss.join("\n"));
}

/// The judge's own controls: an error that is missing, one in another line, with another code or text, and one too
/// many are found.
#[test]
fn a_wrong_error_is_found() {
    let case = Case::parse("x".to_owned(), "a //= b\n//~^ E0277 a queue\n");
    let good = "examples/x.rs:1:3: error[E0277]: such a queue cannot\n";
    assert_eq!(case.judge(good), Ok(()));
    for bad in [
        String::new(),
        good.replace(":1:", ":2:"),
        good.replace("E0277", "E0308"),
        good.replace("queue", "thread"),
        format!("{good}examples/x.rs:2:1: error[E0433]: more\n"),
    ] {
        assert!(case.judge(&bad).is_err(), "{bad}");
    }
}
