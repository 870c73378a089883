//! The examples for driver authors: what they show holds on many schedules, and each is as short as it is said to be.

#![expect(clippy::duplicate_mod, reason = "each example brings its host along")]

#[path = "../examples/linux_named.rs"]
mod linux_named;
#[path = "../examples/removal.rs"]
mod removal;
#[path = "../examples/typed.rs"]
mod typed;

use std::fs;
use std::path::Path;

use bottomhalf::Counters;
use kmdf_mock::world;

/// Runs the driver of `examples/typed.rs`: the interrupts are far enough from each other for a sample each.
#[test]
fn the_typed_driver_reads_every_sample() {
    world::seeds(0..200, |seed| {
        assert_eq!(typed::host::machine(seed, typed::live), 6);
    });
    typed::main();
}

/// Runs the driver of `examples/linux_named.rs`. Its items are statics, so its machines run one after another.
#[test]
fn the_linux_named_driver_counts_every_interrupt() {
    world::seeds(0..200, |seed| {
        assert_eq!(linux_named::host::machine(seed, linux_named::live), 5);
    });
    linux_named::main();
}

/// Runs the driver of `examples/removal.rs`: whatever the schedule, everything that was accepted has run or was
/// cancelled when the driver detaches, and there was load.
#[test]
fn a_removal_under_load_leaves_nothing() {
    world::seeds(0..400, |seed| {
        let Counters {
            accepted,
            run,
            cancelled,
            pending,
            ..
        } = removal::host::machine(seed, removal::live);
        assert_eq!((accepted, pending), (run + cancelled, 0));
        assert!(run > 50, "{run} runs");
    });
    removal::main();
}

/// They are to be read at a glance, and the typed one has no `unsafe`.
#[test]
fn each_example_is_short() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["typed", "linux_named", "removal"] {
        let text = fs::read_to_string(folder.join(name).with_extension("rs")).unwrap();
        assert!(
            text.lines().count() <= 80,
            "{name}: {} lines",
            text.lines().count()
        );
        let has_unsafe = text.lines().any(|line| line.contains("unsafe {"));
        assert_eq!(has_unsafe, name == "linux_named", "{name}");
    }
}
