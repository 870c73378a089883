//! The small Linux environment of the scenarios and of the real drivers, `tests/drivers/compat`: its own tests, which
//! are C, on the simulated machine.

use std::ffi::{CStr, c_char};

use bottomhalf_conformance::machine::Kind;
use kmdf_mock::world;

/// Seeds of each test.
const SEEDS: u64 = 25;

type Test = unsafe extern "C" fn() -> *const c_char;

fn run(test: Test, seed: u64) -> Result<(), String> {
    let ran = Kind::FourCpus.run(seed, move || {
        // SAFETY: on a machine with the environment there.
        let fault = unsafe { test() };
        // SAFETY: not null: a literal.
        let text = (!fault.is_null()).then(|| unsafe { CStr::from_ptr(fault) });
        text.map(|text| text.to_string_lossy().into_owned())
    })?;
    match ran.result {
        Some(fault) => Err(fault),
        None if ran.blocks != 0 => Err(format!("{} blocks are left", ran.blocks)),
        None => Ok(()),
    }
}

macro_rules! tests {
    ($($(#[$doc:meta])* $name:ident = $test:ident;)*) => {
        unsafe extern "C" {
            $(fn $test() -> *const c_char;)*
        }
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                world::seeds(0..SEEDS, |seed| {
                    if let Err(error) = run($test, seed) {
                        panic!("{error}");
                    }
                });
            }
        )*
    };
}

tests! {
    a_completion_times_out_and_counts = test_completion_times_out;
    a_completion_wakes_one_waiter_for_each_time = test_completion_wakes_one_waiter_each;
    a_completion_of_all_wakes_all_and_stays = test_completion_of_all;
    a_completion_is_completed_in_an_interrupt = test_completion_in_an_interrupt;
    a_wait_ends_when_its_condition_holds_or_its_time_is_over = test_wait_event;
    a_mutex_has_one_owner = test_mutex;
    a_thread_is_bound_and_stopped = test_kthread;
    stopping_a_thread_wakes_it = test_kthread_stop_wakes;
    a_thread_is_itself = test_current;
    a_timer_expires_in_a_hard_interrupt_of_its_cpu = test_hrtimer;
    a_timer_restarts = test_hrtimer_restarts;
    a_timer_that_is_cancelled_does_not_expire = test_hrtimer_cancel;
    a_spin_lock_keeps_interrupts_out = test_spinlock_against_interrupts;
    interrupts_and_preemption_nest = test_irqs_off;
    a_call_runs_in_an_interrupt_of_its_cpu = test_call_on_cpu;
    memory_is_zeroed_copied_and_freed = test_memory;
    memory_is_there_above_dispatch_level = test_memory_above_dispatch;
    delays_are_never_short = test_delays;
    lists_link = test_lists;
    bits_and_atomics_calculate = test_bits_and_atomics;
    messages_are_cut_and_warnings_counted = test_messages;
    a_device_has_memory = test_device;
    an_interrupt_of_a_sys_is_a_raised_dpc = test_interrupt_by_dpc;
}

unsafe extern "C" {
    fn test_memory_leak() -> *const c_char;
    fn test_reserve_leak() -> *const c_char;
    fn test_waits_for_ever() -> *const c_char;
}

/// The controls: a block that is not freed is found.
#[test]
fn a_leak_is_found() {
    let error = run(test_memory_leak, 0).expect_err("a block is left");
    assert!(error.contains("left 1 pool blocks"), "{error}");
    let error = run(test_reserve_leak, 0).expect_err("a block is left");
    assert_eq!(error, "1 blocks are left");
}

/// The control: a run that waits for ever is found.
#[test]
fn a_wait_for_ever_is_found() {
    let error = run(test_waits_for_ever, 0).expect_err("nobody wakes it");
    assert!(error.contains("DEADLOCK"), "{error}");
}
