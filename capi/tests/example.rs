//! The C driver of `examples/c-driver`, built as its Makefile does.

#[path = "programs/mod.rs"]
mod programs;

use std::fs;

use programs::{Program, scratch};

const FOLDER: &str = "../examples/c-driver";

/// The example with this text for its driver.
fn driver(name: &str, text: &str) -> Program {
    let source = scratch().join(name).with_extension("c");
    fs::write(&source, text).unwrap();
    let sources = [
        source.to_str().unwrap(),
        &format!("{FOLDER}/glue.c"),
        &format!("{FOLDER}/host.c"),
        &format!("-I{FOLDER}"),
    ];
    Program::compile(name, &sources)
}

fn text_of_the_driver() -> String {
    fs::read_to_string(format!("{}/{FOLDER}/sensor.c", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Every sample that the driver has taken is stored once, whatever the schedule, also when the device is pulled out.
#[test]
fn the_c_driver_stores_every_sample() {
    let said = driver("sensor", &text_of_the_driver())
        .run(&["300"])
        .succeeds();
    let end = "300 schedules on 4 CPUs: every sample that was taken was stored once";
    assert!(said.contains(end), "{said}");
}

/// Control: without `tasklet_disable` the work and the tasklet overwrite each other's counts, and some seed shows it;
/// a disable where a kill is due leaves a tasklet behind.
#[test]
fn a_c_driver_with_a_mistake_is_found() {
    let good = text_of_the_driver();
    let racing: String = good
        .lines()
        .filter(|line| !line.contains("tasklet_disable") && !line.contains("tasklet_enable"))
        .map(|line| format!("{line}\n"))
        .collect();
    let not_waiting = good.replace("tasklet_kill", "tasklet_disable");
    for (name, text, said) in [
        (
            "racing",
            racing,
            "every sample that was taken is stored once",
        ),
        ("not-waiting", not_waiting, "nothing was left pending"),
    ] {
        let run = driver(name, &text).run(&["300"]);
        run.fails_with(said);
        run.fails_with("replay: KMDF_MOCK_SEED=");
    }
}
