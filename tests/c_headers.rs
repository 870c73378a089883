//! The C headers: every name of `bottomhalf::linux` is in them, with the level of its row; they compile, and
//! what must not compile does not; items and constants are those of Rust.
//!
//! This is the LP64 half, with the host's C compiler. Windows, C++ and other compilers: `ci/headers.sh`.
#![cfg(unix)]

#[path = "tidy/contract.rs"]
#[allow(dead_code, reason = "tests/tidy.rs uses the rest")]
mod contract;
#[path = "c_headers/header.rs"]
mod header;
#[path = "tidy/source.rs"]
#[allow(dead_code, reason = "tests/tidy.rs uses the rest")]
mod source;

mod cases {
    //! What `contract` takes from the tests of tests/tidy.rs.

    /// No ID is looked for here.
    pub(crate) fn ids(_: &str) -> impl Iterator<Item = String> {
        std::iter::empty()
    }
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bottomhalf::linux::*;
use header::Declared;
use source::{Source, words};

fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn file(name: &str) -> Source {
    let found = source::files(&[name], &[""]);
    found
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("{name} cannot be read"))
}

/// The source with blanks for comments, which the C of this repository has in Rust's form.
fn as_code(source: Source) -> Source {
    let code = Source::new("code.rs", &source.text).code;
    Source { code, ..source }
}

fn headers() -> Vec<Source> {
    let headers: Vec<Source> = source::files(&["include"], &[".h"])
        .into_iter()
        .map(as_code)
        .collect();
    assert!(
        headers.len() >= 14,
        "the headers are not seen: {}",
        headers.len()
    );
    headers
}

fn fixtures() -> Vec<Source> {
    let all = source::files(&["tests/headers"], &[".c"]);
    let compiled = |source: &Source| !source.file.contains("/reject/");
    let fixtures: Vec<Source> = all.into_iter().filter(compiled).map(as_code).collect();
    assert!(
        fixtures.len() >= 10,
        "the fixtures are not seen: {}",
        fixtures.len()
    );
    fixtures
}

/// The functions and macros of `bottomhalf::linux`, without methods.
fn linux_names() -> BTreeSet<String> {
    let sources = source::files(&["src"], &[".rs"]);
    let public = contract::public(&file("src/linux.rs"), &sources);
    let free = public.into_iter().filter(|(_, item)| item.owner.is_none());
    let names: BTreeSet<String> = free.map(|(_, item)| item.name).collect();
    assert!(
        names.len() >= 120,
        "the Linux names are not seen: {}",
        names.len()
    );
    names
}

/// The constants of `bottomhalf::linux`.
fn linux_constants() -> BTreeSet<String> {
    let modules = source::files(&["src"], &[".rs"]);
    let linux = file("src/linux.rs");
    let of = |source: &Source| {
        let module = source
            .file
            .trim_start_matches("src/")
            .trim_end_matches(".rs")
            .replace('/', "::");
        let code: Vec<&str> = if linux.code.contains(&format!("crate::{module}::*")) {
            source
                .code
                .lines()
                .filter(|line| line.starts_with("pub const "))
                .collect()
        } else {
            Vec::new()
        };
        let names = code.iter().filter_map(|line| {
            let name = words(line.trim_start_matches("pub const ")).next()?;
            name.chars()
                .all(|c| !c.is_lowercase())
                .then(|| name.to_owned())
        });
        names.collect::<Vec<String>>()
    };
    let mut names: BTreeSet<String> = modules.iter().flat_map(of).collect();
    names.extend(["HZ", "INITIAL_JIFFIES"].map(str::to_owned));
    // Not a constant but a function, by a name without lower case.
    names.retain(|name| !name.ends_with("INITIALIZER") && !name.starts_with("DECLARE_"));
    assert!(names.len() >= 20, "the constants are not seen: {names:?}");
    names
}

fn all_declared(headers: &[Source]) -> Vec<(&Source, Declared)> {
    let of = |header| {
        header::declared(header)
            .into_iter()
            .map(move |declared| (header, declared))
    };
    headers.iter().flat_map(of).collect()
}

/// Every function, macro and constant of Rust exists in C, under its Linux name.
#[test]
fn every_linux_name_is_in_the_headers() {
    let headers = headers();
    let declared: BTreeSet<String> = all_declared(&headers)
        .into_iter()
        .map(|(_, declared)| declared.item.name)
        .collect();
    let wanted: Vec<String> = linux_names().into_iter().chain(linux_constants()).collect();
    let missing = |name: &&String| !declared.contains(*name);
    let missing: Vec<_> = wanted.iter().filter(missing).collect();
    assert!(missing.is_empty(), "not in include/: {missing:?}");
}

/// The control of the test above: a header without them lacks them.
#[test]
fn a_name_in_a_comment_or_a_call_is_not_declared() {
    let text = "/* queue_work(x); */\n\n/* A. IRQL: any. */\nstatic inline int b(int c)\n{\n    return queue_work(c);\n}\n\
                /* D. IRQL: any. */\n#define d(x) e(x)\n#define f 1\nenum {\n    G,\n    H = 2\n};\n";
    let header = as_code(Source::new("h.h", text));
    let declared = header::declared(&header);
    let names: Vec<&str> = declared
        .iter()
        .map(|declared| declared.item.name.as_str())
        .collect();
    assert_eq!(names, ["b", "d", "f", "G", "H"]);
    let docs: Vec<&str> = declared
        .iter()
        .map(|declared| declared.item.doc.as_str())
        .collect();
    assert_eq!(
        docs[..3],
        ["A. IRQL: any.", "D. IRQL: any.", "D. IRQL: any."]
    );
}

/// Each has a comment with the level of its row in shim-api.md, and the annotation for the WDK is the same.
#[test]
fn comments_and_annotations_have_the_level_of_the_row() {
    let (rows, complaints) = contract::rows(&file("shim-api.md").text);
    none(&complaints);
    let headers = headers();
    let names = linux_names();
    let all = all_declared(&headers);
    let (mut public, mut complaints) = (Vec::new(), Vec::new());
    for (source, declared) in &all {
        let is_linux = names.contains(&declared.item.name);
        let is_ours = source.file == "include/bottomhalf.h" && !declared.item.is_macro;
        if (is_linux && !declared.item.doc.is_empty()) || (is_ours && is_function(declared)) {
            public.push((*source, declared.item.clone()));
            complaints.extend(annotation(source, declared));
        }
    }
    let documented: BTreeSet<&String> = public.iter().map(|(_, item)| &item.name).collect();
    let attach = ["bottomhalf_attach_driver", "bottomhalf_config_init"];
    let seen = |name: &&str| documented.contains(&(*name).to_owned());
    assert!(attach.iter().all(seen), "{documented:?}");
    let bare: Vec<&String> = names
        .iter()
        .filter(|name| !documented.contains(name))
        .collect();
    assert!(bare.is_empty(), "without a comment: {bare:?}");
    complaints.extend(contract::levels(&rows, &public));
    none(&complaints);
}

/// Whether it is a function that drivers call, not an enumerator, nor a name that a macro makes.
fn is_function(declared: &Declared) -> bool {
    declared.item.name.starts_with("bottomhalf_")
}

/// What is wrong with the WDK's annotation of a function.
fn annotation(source: &Source, declared: &Declared) -> Option<String> {
    // They may be called at DISPATCH_LEVEL too, for a work that was on a WQ_BH queue last (QUEUE-28).
    let beyond = ["cancel_work_sync", "disable_work_sync"].contains(&declared.item.name.as_str());
    let said = declared.item.doc.split_once("IRQL: ")?.1;
    let level = words(said).next()?;
    let level = if beyond { "DISPATCH" } else { level };
    let wanted = format!("BOTTOMHALF_IRQL_{}", level.to_uppercase());
    let has = words(&declared.attributes).any(|word| word == wanted);
    (!declared.item.is_macro && !has).then(|| {
        format!(
            "{}:{}: {} is not annotated with {wanted}",
            source.file, declared.item.line, declared.item.name
        )
    })
}

/// The control of the test above.
#[test]
fn a_wrong_level_and_a_missing_annotation_are_found() {
    let text = "/* A. IRQL: any. */\nBOTTOMHALF_IRQL_ANY\nstatic inline void flush_work(int c)\n{\n}\n\n\
                /* B. IRQL: any. */\nstatic inline void queue_work(int c)\n{\n}\n";
    let header = as_code(Source::new("h.h", text));
    let declared = header::declared(&header);
    assert_eq!(annotation(&header, &declared[0]), None);
    assert!(
        annotation(&header, &declared[1]).is_some_and(|text| text.starts_with("h.h:8: queue_work"))
    );
    let (rows, _) = contract::rows(&file("shim-api.md").text);
    let public: Vec<_> = declared
        .into_iter()
        .map(|declared| (&header, declared.item))
        .collect();
    let complaints = contract::levels(&rows, &public);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].starts_with("h.h:3: flush_work says"),
        "{complaints:?}"
    );
}

/// Each is used in a fixture, so it is known to compile.
#[test]
fn every_linux_name_is_used_in_a_fixture() {
    let fixtures = fixtures();
    let used: BTreeSet<&str> = fixtures
        .iter()
        .flat_map(|fixture| words(&fixture.code))
        .collect();
    let unused = |name: &String| !used.contains(name.as_str());
    let unused: Vec<_> = linux_names()
        .into_iter()
        .chain(linux_constants())
        .filter(unused)
        .collect();
    assert!(unused.is_empty(), "in no file of tests/headers: {unused:?}");
}

/// The list of the library's symbols has one for each function that is not all in the header.
#[test]
fn the_list_of_symbols_is_complete() {
    let abi = as_code(file("include/bottomhalf/abi.h"));
    let symbols: BTreeSet<String> = header::declared(&abi)
        .into_iter()
        .map(|declared| declared.item.name)
        .collect();
    // Macros over other names, and what is compared without the library.
    let whole = |name: &str| {
        name.starts_with("time_")
            || name.starts_with("DECLARE_")
            || name.ends_with("_INITIALIZER")
            || [
                "container_of",
                "from_work",
                "from_tasklet",
                "to_delayed_work",
            ]
            .contains(&name)
    };
    let names = linux_names();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !whole(name) && !symbols.contains(&format!("bottomhalf_{name}")))
        .collect();
    assert!(missing.is_empty(), "not in abi.h: {missing:?}");
    let strange = |symbol: &&String| {
        let name = symbol.strip_prefix("bottomhalf_");
        symbol.as_str() != "BOTTOMHALF_ABI_H" && !name.is_some_and(|name| names.contains(name))
    };
    let strange: Vec<_> = symbols.iter().filter(strange).collect();
    assert!(
        strange.is_empty(),
        "no function of bottomhalf::linux: {strange:?}"
    );
}

#[test]
fn headers_and_fixtures_keep_to_the_house_rules() {
    let mut sources = headers();
    sources.extend(
        source::files(&["tests/headers"], &[".c", ".h"])
            .into_iter()
            .map(as_code),
    );
    let complaints: Vec<String> = sources.iter().flat_map(header::rejected).collect();
    none(&complaints);
    let bad = "int a;\n#define b(c) ({ typeof(c) d = c; d; })\n#define e(f, args...) g(f, ##__VA_ARGS__)\t\n";
    let found = header::rejected(&as_code(Source::new("bad.h", bad)));
    assert_eq!(found.len(), 6, "{found:#?}");
}

fn build() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("c_headers");
    std::fs::create_dir_all(&folder).expect("a folder below target");
    folder
}

fn cc(arguments: &[&str]) -> Output {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let root = source::root();
    let mut command = Command::new(&compiler);
    command.current_dir(root.join("tests/headers"));
    command.args([
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-I../../include",
        "-Iwdk",
    ]);
    command.arg(format!("-DBOTTOMHALF_HZ={HZ}")).args(arguments);
    command
        .output()
        .unwrap_or_else(|error| panic!("{compiler} does not start: {error}"))
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn object(name: &str) -> String {
    let stem = Path::new(name)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    build().join(format!("{stem}.o")).display().to_string()
}

const KMDF: &str = "-DKMDF_VERSION_MINOR=33";

#[test]
fn fixtures_compile() {
    for fixture in fixtures() {
        let name = fixture.file.trim_start_matches("tests/headers/");
        let made = cc(&[KMDF, "-c", name, "-o", &object(name)]);
        assert!(made.status.success(), "{name}:\n{}", text_of(&made));
    }
}

#[test]
fn each_header_compiles_alone() {
    for header in headers() {
        let name = header.file.trim_start_matches("include/").to_owned();
        let place = build().join(format!("alone_{}.c", name.replace(['/', '.'], "_")));
        std::fs::write(&place, format!("#include <{name}>\n#include <{name}>\n")).expect("written");
        let place = place.display().to_string();
        let made = cc(&[KMDF, "-c", &place, "-o", &object(&place)]);
        assert!(made.status.success(), "{name}:\n{}", text_of(&made));
    }
}

/// What the comment of a fixture expects of this compiler: lines `all c: a|b`, alternatives as they are.
fn expected(fixture: &Source) -> Vec<String> {
    let heads = ["all both", "all c", "host both", "host c"];
    let lines = fixture
        .text
        .lines()
        .filter_map(|line| line.strip_prefix(" * "));
    let of = |line: &str| {
        heads
            .iter()
            .find_map(|head| line.strip_prefix(&format!("{head}: ")).map(str::to_owned))
    };
    lines.filter_map(of).collect()
}

/// What must not compile does not; and what must not compile on Windows alone compiles here.
#[test]
fn mistakes_do_not_compile() {
    let fixtures = source::files(&["tests/headers/reject"], &[".c"]);
    let (mut refused, mut taken) = (0, 0);
    for fixture in &fixtures {
        let name = fixture.file.trim_start_matches("tests/headers/");
        let made = cc(&[KMDF, "-c", name, "-o", &object(name)]);
        if expected(fixture).is_empty() {
            taken += 1;
            assert!(made.status.success(), "{name}:\n{}", text_of(&made));
        } else {
            refused += 1;
            assert!(!made.status.success(), "{name} compiles");
        }
    }
    assert!(
        refused >= 15 && taken >= 5,
        "{refused} refused, {taken} taken"
    );
}

/// A driver that is compiled for another KMDF does not link, and the name of the symbol says why.
#[test]
fn another_kmdf_does_not_link() {
    let link = |minor: &str| {
        let program = build()
            .join(format!("linked_{minor}"))
            .display()
            .to_string();
        let define = format!("-DKMDF_VERSION_MINOR={minor}");
        cc(&[&define, "attach.c", "link.c", "-o", &program])
    };
    let good = link("33");
    assert!(good.status.success(), "{}", text_of(&good));
    let bad = link("27");
    assert!(!bad.status.success(), "it links");
    assert!(
        text_of(&bad).contains("bottomhalf_is_built_for_kmdf_1_27"),
        "{}",
        text_of(&bad)
    );
}

/// What the C program prints: name and value.
fn printed() -> BTreeMap<String, String> {
    let program = build().join("print").display().to_string();
    let made = cc(&[KMDF, "print.c", "-o", &program]);
    assert!(made.status.success(), "{}", text_of(&made));
    let output = Command::new(&program).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("ASCII");
    let pair = |line: &str| {
        line.rsplit_once(' ')
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The bytes of an item, in hexadecimal.
fn bytes_of<T, const N: usize>(item: T) -> String {
    const { assert!(size_of::<T>() == N) };
    // SAFETY: an item has no padding, and is as large as the array.
    let bytes: [u8; N] = unsafe { std::ptr::read((&raw const item).cast()) };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Items are the same bytes, however C makes them.
#[test]
fn items_of_c_are_those_of_rust() {
    // SAFETY: never called; any number but zero can be a function pointer.
    let callback: tasklet_callback = unsafe { std::mem::transmute(0x1112_1314_1516_1718_usize) };
    // SAFETY: as above.
    let func: tasklet_func = unsafe { std::mem::transmute(0x2122_2324_2526_2728_usize) };
    // SAFETY: as above.
    let work: work_func_t = unsafe { std::mem::transmute(0x3132_3334_3536_3738_usize) };
    let mut initialised = tasklet_struct::new();
    // SAFETY: it is nobody else's.
    unsafe { tasklet_init(&raw mut initialised, func, 0x4142_4344_4546_4748) };
    let ready = || bytes_of::<_, 40>(DECLARE_TASKLET(callback));
    let idle = || bytes_of::<_, 32>(DECLARE_WORK(work));
    let unarmed = || bytes_of::<_, 88>(DECLARE_DELAYED_WORK(work));
    let wanted = [
        ("DECLARE_TASKLET", ready()),
        (
            "DECLARE_TASKLET_DISABLED",
            bytes_of::<_, 40>(DECLARE_TASKLET_DISABLED(callback)),
        ),
        (
            "DECLARE_TASKLET_OLD",
            bytes_of::<_, 40>(DECLARE_TASKLET_OLD(func)),
        ),
        (
            "DECLARE_TASKLET_DISABLED_OLD",
            bytes_of::<_, 40>(DECLARE_TASKLET_DISABLED_OLD(func)),
        ),
        ("tasklet_setup", ready()),
        ("tasklet_init", bytes_of::<_, 40>(initialised)),
        ("DECLARE_WORK", idle()),
        ("INIT_WORK", idle()),
        ("INIT_WORK_ONSTACK", idle()),
        ("DECLARE_DELAYED_WORK", unarmed()),
        (
            "DECLARE_DEFERRABLE_WORK",
            bytes_of::<_, 88>(DECLARE_DEFERRABLE_WORK(work)),
        ),
        ("INIT_DELAYED_WORK", unarmed()),
        ("INIT_DELAYED_WORK_ONSTACK", unarmed()),
        ("INIT_DEFERRABLE_WORK", unarmed()),
        ("INIT_DEFERRABLE_WORK_ONSTACK", unarmed()),
    ];
    let printed = printed();
    for (name, bytes) in wanted {
        assert_eq!(printed.get(name), Some(&bytes), "{name}");
    }
}

/// Constants are the same, but that Linux gives the states of a tasklet as numbers of bits.
#[test]
fn constants_of_c_are_those_of_rust() {
    let bit = |mask: u64| u64::from(mask.trailing_zeros());
    let wanted = [
        ("TASKLET_STATE_SCHED", bit(TASKLET_STATE_SCHED)),
        ("TASKLET_STATE_RUN", bit(TASKLET_STATE_RUN)),
        ("HZ", HZ),
        ("INITIAL_JIFFIES", INITIAL_JIFFIES),
        ("MAX_JIFFY_OFFSET", MAX_JIFFY_OFFSET),
        ("WORK_BUSY_PENDING", u64::from(WORK_BUSY_PENDING)),
        ("WORK_BUSY_RUNNING", u64::from(WORK_BUSY_RUNNING)),
        ("WORK_CPU_UNBOUND", WORK_CPU_UNBOUND as u64),
        ("WORK_STRUCT_PENDING", WORK_STRUCT_PENDING),
        (
            "WORK_STRUCT_PENDING_BIT",
            u64::from(WORK_STRUCT_PENDING_BIT),
        ),
        ("WQ_BH", u64::from(WQ_BH)),
        ("WQ_CPU_INTENSIVE", u64::from(WQ_CPU_INTENSIVE)),
        ("WQ_DFL_ACTIVE", WQ_DFL_ACTIVE as u64),
        ("WQ_FREEZABLE", u64::from(WQ_FREEZABLE)),
        ("WQ_HIGHPRI", u64::from(WQ_HIGHPRI)),
        ("WQ_MAX_ACTIVE", WQ_MAX_ACTIVE as u64),
        ("WQ_MEM_RECLAIM", u64::from(WQ_MEM_RECLAIM)),
        ("WQ_NON_REENTRANT", u64::from(WQ_NON_REENTRANT)),
        ("WQ_PERCPU", u64::from(WQ_PERCPU)),
        ("WQ_POWER_EFFICIENT", u64::from(WQ_POWER_EFFICIENT)),
        ("WQ_SYSFS", u64::from(WQ_SYSFS)),
        ("WQ_UNBOUND", u64::from(WQ_UNBOUND)),
        ("WQ_UNBOUND_MAX_ACTIVE", WQ_UNBOUND_MAX_ACTIVE as u64),
        ("secs_to_jiffies(3)", secs_to_jiffies(3)),
        ("offsetof(struct delayed_work, timer.expires)", 56),
        ("sizeof(struct devm_list)", size_of::<devm_list>() as u64),
        (
            "sizeof(struct devm_action)",
            size_of::<devm_action>() as u64,
        ),
        (
            "sizeof(struct execute_work)",
            size_of::<execute_work>() as u64,
        ),
    ];
    let named: BTreeSet<&str> = wanted.iter().map(|(name, _)| *name).collect();
    let constants = linux_constants();
    let left_out: Vec<_> = constants
        .iter()
        .filter(|name| !named.contains(name.as_str()))
        .collect();
    assert!(left_out.is_empty(), "not compared: {left_out:?}");
    let printed = printed();
    for (name, value) in wanted {
        assert_eq!(printed.get(name), Some(&value.to_string()), "{name}");
    }
}
