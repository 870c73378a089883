//! The bugs of others (facts/peers) that a C face could have anew: scenarios in C, over the headers, by number.
//!
//! Each scenario runs for many seeds under both rules for works, and once more with a mistake planted, which
//! it has to convict. `programs/kit.h` says how one is run by hand.

#[path = "programs/mod.rs"]
mod programs;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bottomhalf::linux::*;
use programs::Program;

macro_rules! program {
    ($static:ident, $name:literal) => {
        static $static: LazyLock<Program> = LazyLock::new(|| {
            let source = concat!("tests/programs/", $name, ".c");
            Program::compile($name, &["tests/programs/kit.c", source])
        });
    };
}
program!(DECLARED, "declared");
program!(MEMORY, "memory");
program!(MISTAKES, "mistakes");
program!(ANSWERS, "answers");
program!(LEVELS, "levels");

/// The scenario holds for every seed, under both rules; and with its mistake planted it says `convicts`.
#[track_caller]
fn holds(program: &Program, scenario: &str, seeds: u64, convicts: &str) {
    let times: u64 =
        std::env::var("BOTTOMHALF_SOAK").map_or(1, |times| times.parse().expect("a number"));
    let seeds = (seeds * times).to_string();
    program.run(&[scenario, "0", &seeds]).succeeds();
    program
        .run(&[scenario, "0", "200", "plant"])
        .fails_with(convicts);
}

unsafe extern "C" fn no_work(_: *mut work_struct) {}
unsafe extern "C" fn no_tasklet(_: *mut tasklet_struct) {}
unsafe extern "C" fn no_old(_: usize) {}

/// The bytes of an item, with dots for its function, which is at the same place in all of them.
fn bytes_of<T>(item: &T) -> String {
    let start = core::ptr::from_ref(item).cast::<u8>();
    (0..size_of::<T>())
        .map(|at| match at {
            24..32 => "..".to_owned(),
            // SAFETY: it lies in the item, which nobody changes, and which has no padding.
            _ => format!("{:02x}", unsafe { start.add(at).read() }),
        })
        .collect()
}

/// B-45: the static initialisers of C make the bytes that the calls make, those of the headers and those of the
/// library, and Rust's declarations too.
#[test]
fn b45_declared_items_are_initialised_ones_byte_for_byte() {
    holds(&DECLARED, "the_same_bytes", 1, "DECLARE_DELAYED_WORK");
    let said = DECLARED.run(&["the_same_bytes", "0", "1"]).succeeds();
    let found: BTreeMap<&str, &str> = said
        .lines()
        .filter_map(|line| line.strip_prefix("bytes ")?.split_once(' '))
        .collect();
    let wanted = [
        ("DECLARE_WORK", bytes_of(&DECLARE_WORK(no_work))),
        (
            "DECLARE_DELAYED_WORK",
            bytes_of(&DECLARE_DELAYED_WORK(no_work)),
        ),
        (
            "DECLARE_DEFERRABLE_WORK",
            bytes_of(&DECLARE_DEFERRABLE_WORK(no_work)),
        ),
        ("DECLARE_TASKLET", bytes_of(&DECLARE_TASKLET(no_tasklet))),
        (
            "DECLARE_TASKLET_OLD",
            bytes_of(&DECLARE_TASKLET_OLD(no_old)),
        ),
        (
            "DECLARE_TASKLET_DISABLED",
            bytes_of(&DECLARE_TASKLET_DISABLED(no_tasklet)),
        ),
        (
            "DECLARE_TASKLET_DISABLED_OLD",
            bytes_of(&DECLARE_TASKLET_DISABLED_OLD(no_old)),
        ),
    ];
    let wanted: BTreeMap<&str, &str> = wanted
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

/// B-45: declared items serve in every call, as statics, as members, as copies and on the stack: armed, run,
/// flushed, cancelled, disabled, killed.
#[test]
fn b45_declared_items_serve() {
    let refused = "schedule_delayed_work(item, ";
    holds(&DECLARED, "they_serve", 300, refused);
    holds(&DECLARED, "on_the_stack", 300, "BH20");
}

/// B-10: items are initialised, used and run while every allocation fails.
#[test]
fn b10_items_need_no_memory() {
    let needs = "INIT_WORK needs memory";
    holds(&MEMORY, "b10_without_memory", 30, needs);
}

/// B-10: a thousand items come and go without a call that ends them, and nothing of them is left.
#[test]
fn b10_a_thousand_items_leave_nothing() {
    let left = "the unloaded driver left 1000 pool blocks";
    holds(&MEMORY, "b10_a_thousand_items_leave_nothing", 4, left);
}

/// B-01, B-50, B-64: works, delayed works and works of `WQ_BH` queues queue themselves and then free themselves in
/// their function, while the counters are read. What is freed is out of reach.
#[test]
fn b01_b50_b64_items_free_themselves() {
    let touched = "PAGE_FAULT_IN_FREED_SPECIAL_POOL";
    holds(&MEMORY, "b01_b50_b64_items_free_themselves", 300, touched);
}

/// B-59: memory of a work whose function still runs is another work for the queue, a flush and a cancel, once it
/// is initialised with another function.
#[test]
fn b59_another_work_at_the_same_address() {
    let waits = "SIM_DEADLOCK";
    holds(&MEMORY, "b59_another_work_at_the_same_address", 300, waits);
}

/// B-68: an item that is freed, or initialised by a macro, while it is queued, armed or scheduled does not pass in
/// silence; the same without the mistake does.
#[test]
fn b68_freed_or_initialised_while_it_is_pending() {
    let freed = "PAGE_FAULT_IN_FREED_SPECIAL_POOL";
    // Rust's check, or the page fault of a build without it.
    let null = if cfg!(debug_assertions) {
        "null pointer"
    } else {
        "an access to 0x"
    };
    for (mistake, said) in [
        ("free_queued", freed),
        ("init_queued", "an access to 0x"),
        ("init_queued_and_queue", "SIM_DEADLOCK"),
        ("free_armed", freed),
        ("init_armed", null),
        ("free_scheduled", freed),
        ("setup_scheduled", "left pending"),
        ("disable_and_free_scheduled", "left pending"),
    ] {
        MISTAKES.run(&[mistake, "0", "1"]).fails_with(said);
        MISTAKES.run(&[mistake, "0", "50", "plant"]).succeeds();
    }
}

/// B-26, B-04: what thirteen calls return in each of seven states.
#[test]
fn b26_b04_every_answer_in_every_state() {
    let answer = "cancel_delayed_work_sync in state";
    holds(&ANSWERS, "b26_b04_every_answer_in_every_state", 150, answer);
}

/// B-11: what was cancelled can be queued again.
#[test]
fn b11_a_cancelled_work_can_be_queued_again() {
    let refused = "schedule_work(&item->dwork.work) does not hold";
    let scenario = "b11_a_cancelled_work_can_be_queued_again";
    holds(&ANSWERS, scenario, 300, refused);
}

/// B-15: `queue_work` looks at its argument, and coalesces.
#[test]
fn b15_each_work_runs_and_a_pending_one_is_not_queued_twice() {
    let scenario = "b15_each_work_runs_and_a_pending_one_is_not_queued_twice";
    holds(&ANSWERS, scenario, 300, "does not hold");
}

/// B-33: disables of every kind nest.
#[test]
fn b33_disables_nest() {
    let runs = "runs after the last enable";
    holds(&ANSWERS, "b33_disables_nest", 300, runs);
}

/// B-21: each question that reference pages leave open has one answer.
#[test]
fn b21_each_question_has_one_answer() {
    let scenario = "b21_each_question_has_one_answer";
    holds(&ANSWERS, scenario, 300, "does not hold");
}

/// B-42: a delay is an `unsigned long` that is relative: shorter, longer, zero, the longest and a negative one, before
/// and after the low half of the jiffies has wrapped.
#[test]
fn b42_delays_are_relative() {
    holds(&ANSWERS, "b42_delays_are_relative", 300, "SIM_LIVELOCK");
}

/// B-02: the functions of the headers leave the IRQL as they found it, at each level at which they may be called,
/// while somebody else uses the same items. (`tests/arguments.rs` looks at every exported function.)
#[test]
fn b02_every_call_restores_the_irql() {
    let raised = "the IRQL after the call";
    holds(&LEVELS, "b02_every_call_restores_the_irql", 300, raised);
}

/// B-29: works are queued, armed, modified and cancelled under a spin lock and in an interrupt.
#[test]
fn b29_queueing_under_a_lock_and_in_an_interrupt() {
    let scenario = "b29_queueing_under_a_lock_and_in_an_interrupt";
    holds(&LEVELS, scenario, 300, "runs: 1, but 0 is right");
}

/// B-46, B-27, B-36: a schedule does not call the function, and is kept while the tasklet is disabled or locked.
#[test]
fn b46_b27_b36_a_schedule_is_kept_and_does_not_call() {
    let scenario = "b46_b27_b36_a_schedule_is_kept_and_does_not_call";
    holds(&LEVELS, scenario, 300, "runs after the enable");
}

/// B-47: a work that its own function queues runs again, whatever the delay.
#[test]
fn b47_queued_by_its_own_function_it_runs_again() {
    let scenario = "b47_queued_by_its_own_function_it_runs_again";
    holds(&LEVELS, scenario, 300, "runs: ");
}
