//! WDFTIMER: facts T-1 to T-28.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Gate, Preemption, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

/// 100 ns in a millisecond.
const MS: u64 = 10_000;
/// Seeds for the windows that are narrow.
const MANY: std::ops::Range<u64> = 0..400;

fn passive_attributes(parent: usize) -> WDF_OBJECT_ATTRIBUTES {
    let mut attributes = attributes(parent);
    attributes.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
    attributes
}

/// Counts the callbacks of a timer.
fn counted(timer: Timer) -> Arc<std::sync::atomic::AtomicU32> {
    let runs = counter();
    let seen = Arc::clone(&runs);
    timer.on_run(move |_| {
        seen.fetch_add(1, SeqCst);
    });
    runs
}

/// T-1: three sizes are accepted, others are not; the shorter ones are not read beyond their end.
#[test]
fn three_config_sizes_are_accepted() {
    assert_eq!(size_of::<WDF_TIMER_CONFIG>(), 40);
    strict(1)
        .run(|| {
            let setup = Setup::new();
            for size in [0, 16, 24, 28, 32, 39, 40, 48] {
                let mut config = timer_config();
                config.Size = size;
                if size <= 32 {
                    // T-2: this field is not there for the sizes below, so it cannot collide with
                    // the delay.
                    config.UseHighResolutionTimer = 1;
                }
                if size <= 24 {
                    config.TolerableDelay = 5;
                }
                let accepted = [24, 32, 40].contains(&size);
                let status = try_timer(config, attributes(setup.device.0));
                sim_assert_eq!(status.is_ok(), accepted, "size {size}: {status:?}");
            }
            setup.finish();
        })
        .unwrap();
}

/// T-3, T-5: the order of the checks.
#[test]
fn create_checks_in_order() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut bad = passive_attributes(setup.driver.handle() as usize);
            bad.SynchronizationScope = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeQueue;
            let mut config = timer_config();
            config.Period = 0x8000_0000;
            config.TolerableDelay = 1;
            config.UseHighResolutionTimer = 1;
            config.Size = 41;
            sim_assert_eq!(try_timer(config, bad), Err(STATUS_INFO_LENGTH_MISMATCH));
            config.Size = 40;
            sim_assert_eq!(
                try_timer(config, bad),
                Err(STATUS_INVALID_PARAMETER),
                "period"
            );
            config.Period = 0x7FFF_FFFF;
            sim_assert_eq!(
                try_timer(config, bad),
                Err(STATUS_INVALID_PARAMETER),
                "both"
            );
            config.UseHighResolutionTimer = 0;
            let status = try_timer(config, bad);
            sim_assert_eq!(status, Err(STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID));
            bad.SynchronizationScope = _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone;
            sim_assert_eq!(try_timer(config, bad), Err(STATUS_NOT_SUPPORTED), "T-5");
            config.Period = 0;
            sim_assert_eq!(
                try_timer(config, bad),
                Err(STATUS_INVALID_DEVICE_REQUEST),
                "T-6"
            );
            let status = try_timer(config, attributes(0));
            sim_assert_eq!(status, Err(STATUS_WDF_PARENT_NOT_SPECIFIED));
            setup.finish();
        })
        .unwrap();
}

/// T-3: for a 1.33 client the tolerable delay has no upper bound.
#[test]
fn tolerable_delay_is_not_bounded() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut config = timer_config();
            config.TolerableDelay = u32::MAX;
            sim_assert!(try_timer(config, attributes(setup.device.0)).is_ok());
            setup.finish();
        })
        .unwrap();
}

/// T-3, D-2 rows 4 and 5: bad pointers are bug checks.
#[test]
fn create_bug_checks_on_bad_pointers() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let mut attributes = attributes(setup.device.0);
        let mut config = timer_config();
        // SAFETY: a NULL result pointer is a case of the table; the rest is good for the call.
        let _ = unsafe {
            unsafe_wdf!(
                WdfTimerCreate,
                &raw mut config,
                &raw mut attributes,
                null_mut()
            )
        };
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,4)");
}

/// T-4: a NULL callback is accepted and skipped.
#[test]
fn null_callback_is_accepted() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let mut config = timer_config();
            config.EvtTimerFunc = None;
            let timer = try_timer(config, attributes(setup.device.0)).unwrap();
            timer.start_ms(1);
            world::sleep_100ns(100 * MS);
            sim_assert!(!timer.start_ms(1), "it expired");
            setup.finish();
        })
        .unwrap();
}

/// T-6: a parent that is on its way out takes no timer, and a failed create calls no callbacks
/// (O-8).
#[test]
fn create_under_a_dying_parent_is_refused() {
    for_seeds(|| {
        let setup = Setup::new();
        let parent = general(setup.device.0);
        parent.on_cleanup(move || {
            for attributes in [attributes(parent.0), passive_attributes(parent.0)] {
                let status = try_timer(timer_config(), with_context(attributes));
                sim_assert_eq!(status, Err(STATUS_DELETE_PENDING));
            }
        });
        parent.delete();
        setup.finish();
    });
}

/// T-6, T-10: a create that fails for want of an NT timer or of a work item leaves a count in
/// order: the parent goes, and the driver with it.
#[test]
fn failed_create_leaves_the_counts_in_order() {
    let mut refused = 0;
    for nth in 1..40 {
        refused += strict(nth)
            .fail_allocation(nth)
            .run(|| {
                let config = WDF_DRIVER_CONFIG {
                    Size: size_of::<WDF_DRIVER_CONFIG>() as u32,
                    EvtDriverUnload: Some(nothing),
                    DriverInitFlags: _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as u32,
                    ..Default::default()
                };
                let Ok(driver) = world::Driver::load_with(config) else {
                    return 0;
                };
                let mut refused = 0;
                if let Ok(device) = driver.control_device(None) {
                    let parent = device as usize;
                    for attributes in [attributes(parent), passive_attributes(parent)] {
                        if let Err(status) = try_timer(timer_config(), attributes) {
                            sim_assert_eq!(status, STATUS_INSUFFICIENT_RESOURCES);
                            refused += 1;
                        }
                    }
                }
                driver.unload();
                refused
            })
            .unwrap();
    }
    assert!(
        refused > 2,
        "object, NT timer and work item were each missing once: {refused}"
    );
}

unsafe extern "C" fn nothing(_driver: WDFDRIVER) {}

/// T-7: a dispatch timer unless its own attributes say passive.
#[test]
fn callback_level_is_that_of_the_own_attributes() {
    for_seeds(|| {
        let setup = Setup::new();
        let mut device = attributes(0);
        device.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
        let passive_device = setup.driver.control_device(Some(&mut device)).unwrap();
        let inheriting = timer(passive_device as usize);
        let passive = setup.passive_timer();
        let [low, high] = [counter(), counter()];
        let (seen_low, seen_high) = (Arc::clone(&low), Arc::clone(&high));
        inheriting.on_run(move |_| {
            sim_assert_eq!(u32::from(world::current_irql()), DISPATCH_LEVEL);
            seen_high.fetch_add(1, SeqCst);
        });
        passive.on_run(move |_| {
            sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
            seen_low.fetch_add(1, SeqCst);
        });
        inheriting.start_ms(1);
        passive.start_ms(1);
        world::sleep_100ns(100 * MS);
        world::settle();
        sim_assert_eq!((low.load(SeqCst), high.load(SeqCst)), (1, 1));
        Device(passive_device as usize).delete();
        setup.finish();
    });
}

/// T-9, T-11: creation and start work at DISPATCH.
#[test]
fn create_and_start_work_at_dispatch() {
    for_seeds(|| {
        let setup = Setup::new();
        let device = setup.device.0;
        let timer = world::at_dispatch(|| {
            let timer = passive_timer(device);
            timer.start_ms(5);
            timer
        });
        let runs = counted(timer);
        world::sleep_100ns(100 * MS);
        world::settle();
        sim_assert_eq!(runs.load(SeqCst), 1);
        setup.finish();
    });
}

/// T-11: start from an interrupt is above its ceiling.
#[test]
fn start_at_dirql_is_convicted() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let timer = setup.timer();
        world::at_irql(5, || timer.start_ms(1));
    });
    assert_eq!(code_of(result), "KMDF_IRQL(WdfTimerStart)");
}

/// T-11: a positive due time is an absolute one; in the past it expires soon.
#[test]
fn absolute_due_time_in_the_past_expires_soon() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let timer = setup.timer();
            let runs = counted(timer);
            timer.start(1);
            world::sleep_100ns(20 * MS);
            sim_assert_eq!(runs.load(SeqCst), 1);
            setup.finish();
        })
        .unwrap();
}

/// T-12: start returns whether the timer was armed, and replaces the due time.
#[test]
fn start_returns_whether_it_was_armed() {
    for_seeds(|| {
        let setup = Setup::new();
        let timer = setup.timer();
        let runs = counted(timer);
        sim_assert!(!timer.start_ms(1000));
        sim_assert!(timer.start_ms(50));
        world::sleep_100ns(200 * MS);
        sim_assert_eq!(runs.load(SeqCst), 1, "once, at the new time");
        sim_assert!(!timer.start_ms(50), "it has expired");
        sim_assert!(timer.stop(false));
        sim_assert!(!timer.stop(false));
        sim_assert!(!timer.stop(true));
        world::sleep_100ns(2000 * MS);
        sim_assert_eq!(runs.load(SeqCst), 1);
        setup.finish();
    });
}

/// T-13: a start while the timer runs down is dropped with a break.
#[test]
fn start_while_running_down_is_dropped() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let timer = setup.passive_timer();
                let (begun, go) = (Gate::new(), Gate::new());
                let (started, wait) = (begun.clone(), go.clone());
                timer.on_run(move |_| {
                    started.open();
                    wait.wait();
                });
                timer.start_ms(1);
                begun.wait();
                let deleter = world::spawn("deleter", None, move || timer.delete());
                world::settle();
                sim_assert!(deleter.is_blocked());
                sim_assert!(!timer.start_ms(1));
                sim_assert_eq!(breaks("TIMER_START_RUNNING_DOWN"), 1);
                go.open();
                deleter.join();
                setup.finish();
            })
            .unwrap();
    });
}

/// T-13, T-16: a start that races a delete is the driver's bug: it is dropped, or finds the handle
/// gone, or fires into an object that is gone, and is then convicted by name.
///
/// A tick of 400 ns, so that a timer can expire inside the window between arming and letting go.
#[test]
fn start_that_races_a_delete_is_convicted() {
    let mut codes = std::collections::BTreeMap::new();
    for seed in 0..2000 {
        let result = strict(seed)
            .tick_100ns(4)
            .preemption(Preemption::Always)
            .run(|| {
                let setup = Setup::new();
                let timer = setup.timer().on_run(|_| linger());
                let go = Gate::new();
                let (gate, first) = (go.clone(), go.clone());
                let starter = world::spawn("starter", Some(0), move || {
                    first.wait();
                    timer.start(0);
                });
                let deleter = world::spawn("deleter", Some(1), move || {
                    go.wait();
                    timer.delete();
                });
                gate.open();
                starter.join();
                deleter.join();
                world::sleep_100ns(5000);
                setup.finish();
            });
        let code = result
            .err()
            .map_or("none".to_owned(), |failure| failure.code().to_owned());
        *codes.entry(code).or_insert(0) += 1;
    }
    let allowed = [
        "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)",
        "WDF_VIOLATION(0x10D,5)",
        "none",
    ];
    for code in codes.keys() {
        assert!(
            allowed.contains(&code.as_str()) || code == "TIMER_OR_DPC_INVALID(0xC7,0)",
            "{codes:?}"
        );
    }
    for code in allowed {
        assert!(codes.contains_key(code), "{code} in {codes:?}");
    }
}

/// T-14, T-19, observed in §12: a start during another thread's waiting stop is dropped, and it is
/// the stop that returns TRUE. Dispatch timer.
#[test]
fn start_during_a_stop_is_dropped_and_the_stop_returns_true() {
    for_seeds(|| {
        let setup = Setup::new();
        let timer = setup.timer();
        let inside = Inside::new();
        let (begun, go) = (Gate::new(), flag());
        let (seen, started, end) = (Arc::clone(&inside), begun.clone(), Arc::clone(&go));
        timer.on_run(move |_| {
            seen.during(|| {
                started.open();
                spin_until(|| end.load(SeqCst));
            });
        });
        timer.start_ms(1);
        begun.wait();
        let result = counter();
        let stop_result = Arc::clone(&result);
        let stopper = world::spawn("stopper", None, move || {
            stop_result.store(1 + u32::from(timer.stop(true)), SeqCst);
        });
        spin_until(|| stopper.is_blocked());
        sim_assert!(!timer.start_ms(1), "dropped");
        go.store(true, SeqCst);
        stopper.join();
        sim_assert_eq!(result.load(SeqCst), 2, "the stop returns TRUE");
        world::sleep_100ns(200 * MS);
        sim_assert_eq!(inside.total(), 1, "the timer is not armed");
        setup.finish();
    });
}

/// T-14, T-19, observed in §12: the same for a passive timer.
#[test]
fn start_during_a_stop_of_a_passive_timer_is_dropped() {
    for_seeds(|| {
        let setup = Setup::new();
        let timer = setup.passive_timer();
        let inside = Inside::new();
        let (begun, go) = (Gate::new(), Gate::new());
        let (seen, started, wait) = (Arc::clone(&inside), begun.clone(), go.clone());
        timer.on_run(move |_| {
            seen.during(|| {
                started.open();
                wait.wait();
            });
        });
        timer.start_ms(1);
        begun.wait();
        let result = counter();
        let stop_result = Arc::clone(&result);
        let stopper = world::spawn("stopper", None, move || {
            stop_result.store(1 + u32::from(timer.stop(true)), SeqCst);
        });
        world::settle();
        sim_assert!(stopper.is_blocked(), "the stop waits for the callback");
        sim_assert!(!timer.start_ms(1));
        go.open();
        stopper.join();
        sim_assert_eq!(result.load(SeqCst), 2);
        world::sleep_100ns(200 * MS);
        sim_assert_eq!(inside.total(), 1);
        setup.finish();
    });
}

/// T-15: due time 0 fires soon on an ordinary timer and is a bug check on a high-resolution one.
#[test]
fn due_time_zero() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let timer = setup.timer();
            let runs = counted(timer);
            timer.start(0);
            world::sleep_100ns(20 * MS);
            sim_assert_eq!(runs.load(SeqCst), 1);
            setup.finish();
        })
        .unwrap();
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let mut config = timer_config();
        config.UseHighResolutionTimer = 2;
        try_timer(config, attributes(setup.device.0))
            .unwrap()
            .start(0);
    });
    assert_eq!(code_of(result), "INVALID_PARAMETER(ExSetTimer)");
}

/// T-31, T-27: a high-resolution timer of 3 ms is never early and at most 1 ms late, whatever the tick, at
/// DISPATCH_LEVEL; a passive one is never early either, and comes through a worker thread. T-30: an ordinary one waits
/// for a tick.
#[test]
fn high_resolution_does_not_wait_for_a_tick() {
    fn fires_after(seed: u64, high: bool, passive: bool) -> u64 {
        let at = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = Arc::clone(&at);
        Sim::new(seed)
            .point_100ns(0)
            .timers_on_time()
            .run(move || {
                let setup = Setup::new();
                let mut config = timer_config();
                config.AutomaticSerialization = 0;
                config.UseHighResolutionTimer = u8::from(high);
                let own = if passive {
                    passive_attributes(setup.device.0)
                } else {
                    let mut own = attributes(setup.device.0);
                    own.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch;
                    own
                };
                let start = world::now_100ns();
                let timer = try_timer(config, with_context(own)).unwrap();
                timer.on_run(move |_| {
                    sim_assert_eq!(world::current_irql(), if passive { 0 } else { 2 });
                    seen.store(world::now_100ns() - start, SeqCst);
                });
                timer.start_ms(3);
                world::sleep_100ns(100 * MS);
                setup.finish();
            })
            .unwrap();
        at.load(SeqCst)
    }
    for passive in [false, true] {
        world::seeds(SEEDS, |seed| {
            let after = fires_after(seed, true, passive);
            assert!((3 * MS..=4 * MS).contains(&after), "{after}");
            assert_eq!(fires_after(seed, false, passive), 156_250);
        });
    }
}

/// T-16: the callback may run and delete the timer before the start returns.
#[test]
fn callback_may_delete_the_timer_before_the_start_returns() {
    for_seeds(|| {
        let setup = Setup::new();
        let destroyed = counter();
        let seen = Arc::clone(&destroyed);
        let timer = setup.timer().on_run(Timer::delete).on_destroy(move || {
            seen.fetch_add(1, SeqCst);
        });
        timer.start(0);
        world::sleep_100ns(100 * MS);
        world::settle();
        sim_assert_eq!(destroyed.load(SeqCst), 1);
        setup.finish();
    });
}

/// T-17, observed in §12: a waiting stop from the own callback returns FALSE and cancels nothing.
#[test]
fn waiting_stop_from_the_own_callback_does_not_cancel() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let runs = counter();
                let seen = Arc::clone(&runs);
                let timer = setup.passive_timer().on_run(move |timer| {
                    if seen.fetch_add(1, SeqCst) == 0 {
                        sim_assert!(!timer.start_ms(500));
                        sim_assert!(!timer.stop(true));
                    }
                });
                timer.start_ms(1);
                world::sleep_100ns(2000 * MS);
                world::settle();
                sim_assert_eq!(runs.load(SeqCst), 2, "it fired again");
                sim_assert_eq!(breaks("TIMER_STOP_OWN_CALLBACK"), 1);
                setup.finish();
            })
            .unwrap();
    });
}

/// T-17 for a dispatch timer, without a verifier: recognised, refused, not cancelled.
#[test]
fn waiting_stop_from_a_dispatch_callback_does_not_cancel() {
    Sim::new(1)
        .verifier(Verifier::Off)
        .run(|| {
            let setup = Setup::new();
            let runs = counter();
            let seen = Arc::clone(&runs);
            let timer = setup.timer().on_run(move |timer| {
                if seen.fetch_add(1, SeqCst) == 0 {
                    timer.start_ms(500);
                    sim_assert!(!timer.stop(true));
                }
            });
            timer.start_ms(1);
            world::sleep_100ns(2000 * MS);
            sim_assert_eq!(runs.load(SeqCst), 2);
            setup.finish();
        })
        .unwrap();
}

/// T-18: with the verifier on and above PASSIVE, a waiting stop is refused and cancels nothing.
#[test]
fn verifier_refuses_a_waiting_stop_above_passive() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            let timer = setup.timer();
            let runs = counted(timer);
            timer.start_ms(100);
            world::at_dispatch(|| sim_assert!(!timer.stop(true)));
            sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 1);
            world::sleep_100ns(500 * MS);
            sim_assert_eq!(runs.load(SeqCst), 1);
            setup.finish();
        })
        .unwrap();
}

/// T-19: a waiting stop waits for a running callback, dispatch and passive.
#[test]
fn waiting_stop_waits_for_the_callback() {
    for passive in [false, true] {
        world::seeds(SEEDS, |seed| {
            strict(seed)
                .run(move || {
                    let setup = Setup::new();
                    let timer = if passive {
                        setup.passive_timer()
                    } else {
                        setup.timer()
                    };
                    let inside = Inside::new();
                    let seen = Arc::clone(&inside);
                    timer.on_run(move |_| seen.during(linger));
                    timer.start_ms(1);
                    let nap = u64::from(world::choose(30)) * MS;
                    world::sleep_100ns(nap);
                    let cancelled = timer.stop(true);
                    sim_assert_eq!(inside.now(), 0);
                    sim_assert_eq!(inside.total(), u32::from(!cancelled));
                    world::sleep_100ns(100 * MS);
                    sim_assert_eq!(inside.total(), u32::from(!cancelled));
                    setup.finish();
                })
                .unwrap();
        });
    }
}

/// T-20, reproduced in §12: a start that passed its check before the stop marked itself arms the
/// timer after the cancel that succeeded. The stop returns TRUE, and the timer fires.
///
/// The stop cannot return before the start has: its flush waits for a DPC that waits for the start.
/// A fire after a TRUE stop is therefore the hole, and not a start that came later.
#[test]
fn a_timer_can_fire_after_a_waiting_stop_returned_true() {
    let mut fired = 0;
    for seed in MANY {
        let late = strict(seed)
            .preemption(Preemption::Always)
            .run(|| {
                let setup = Setup::new();
                let timer = setup.timer();
                let runs = counted(timer);
                timer.start_ms(500);
                let (started, held) = (flag(), flag());
                let (wait, hold) = (Arc::clone(&started), Arc::clone(&held));
                let holder = setup.dpc().target(3).on_run(move |_| {
                    hold.store(true, SeqCst);
                    spin_until(|| wait.load(SeqCst));
                });
                let stopped = world::run_on_cpu(1, || {
                    holder.enqueue();
                    spin_until(|| held.load(SeqCst));
                    let starter = world::spawn("starter", Some(0), move || {
                        timer.start_ms(100);
                        started.store(true, SeqCst);
                    });
                    let stopped = timer.stop(true);
                    starter.join();
                    stopped
                });
                sim_assert_eq!(runs.load(SeqCst), 0, "nothing is due yet");
                world::sleep_100ns(1000 * MS);
                let late = runs.load(SeqCst) > 0;
                setup.finish();
                stopped && late
            })
            .unwrap();
        fired += u32::from(late);
    }
    assert!(fired > 0, "no seed of {MANY:?} reached the hole");
    assert!(
        u64::from(fired) < MANY.end / 2,
        "the hole is a window, not the rule: {fired}"
    );
}

/// T-21: two waiting stops at once are a break.
#[test]
fn concurrent_waiting_stops_are_a_break() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let (begun, go) = (Gate::new(), Gate::new());
                let (started, wait) = (begun.clone(), go.clone());
                let timer = setup.passive_timer().on_run(move |_| {
                    started.open();
                    wait.wait();
                });
                timer.start_ms(1);
                begun.wait();
                let stop = move || {
                    timer.stop(true);
                };
                let first = world::spawn("first", None, stop);
                world::settle();
                let second = world::spawn("second", None, stop);
                world::settle();
                sim_assert_eq!(breaks("TIMER_STOP_CONCURRENT"), 1);
                go.open();
                first.join();
                second.join();
                setup.finish();
            })
            .unwrap();
    });
}

/// T-21: the first stop to finish clears the mark of the second, whose protection against starts is
/// gone.
#[test]
fn a_start_gets_through_when_one_of_two_stops_has_ended() {
    let through = count_seeds(|| {
        let setup = Setup::new();
        let timer = setup.timer();
        let go = Gate::new();
        let mut stoppers = Vec::new();
        let ended = counter();
        let slipped = counter();
        for cpu in 0..2 {
            let (go, ended) = (go.clone(), Arc::clone(&ended));
            stoppers.push(world::spawn("stopper", Some(cpu), move || {
                go.wait();
                timer.stop(true);
                ended.fetch_add(1, SeqCst);
            }));
        }
        go.open();
        let slip = Arc::clone(&slipped);
        let starter = world::spawn("starter", Some(2), move || {
            spin_until(|| ended.load(SeqCst) >= 1);
            timer.start_ms(1000);
            // Armed, though the second stop has not returned.
            if ended.load(SeqCst) == 1 && timer.stop(false) {
                slip.store(1, SeqCst);
            }
        });
        starter.join();
        stoppers.into_iter().for_each(world::Thread::join);
        setup.finish();
        slipped.load(SeqCst) == 1
    });
    assert!(through > 0, "no seed of {SEEDS:?} let a start through");
}

/// T-21: a stop that does not wait leaves a queued passive run alone.
#[test]
fn plain_stop_leaves_a_queued_run_alone() {
    Sim::new(1)
        .workers(1)
        .run(|| {
            let setup = Setup::new();
            let go = Gate::new();
            let wait = go.clone();
            let blocker = setup.work_item().on_run(move |_| wait.wait());
            blocker.enqueue();
            let timer = setup.passive_timer();
            let runs = counted(timer);
            timer.start_ms(1);
            world::sleep_100ns(100 * MS);
            sim_assert!(!timer.stop(false), "it has expired");
            go.open();
            world::settle();
            sim_assert_eq!(runs.load(SeqCst), 1);
            setup.finish();
        })
        .unwrap();
}

/// T-22, observed in §12: a dispatch timer may delete itself; the dispose is deferred to PASSIVE.
#[test]
fn dispatch_timer_may_delete_itself() {
    for_seeds(|| {
        let setup = Setup::new();
        let destroyed = counter();
        let seen = Arc::clone(&destroyed);
        let timer = setup.timer().on_run(Timer::delete).on_destroy(move || {
            sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
            seen.fetch_add(1, SeqCst);
        });
        timer.start_ms(1);
        world::sleep_100ns(100 * MS);
        world::settle();
        sim_assert_eq!(destroyed.load(SeqCst), 1);
        setup.finish();
    });
}

/// T-22, W-34, observed in §12: a passive timer that deletes itself waits for itself.
#[test]
fn passive_timer_that_deletes_itself_deadlocks() {
    world::seeds(SEEDS, |seed| {
        let result = Sim::new(seed).verifier(Verifier::On).run(|| {
            let setup = Setup::new();
            let timer = setup.passive_timer().on_run(Timer::delete);
            timer.start_ms(1);
            let never = Gate::new();
            never.wait();
        });
        let failure = result.expect_err("the timer waits for its own callback");
        assert!(failure.code().starts_with("SIM_DEADLOCK"), "{failure}");
        assert!(
            failure.to_string().contains("passive WDFTIMER#1"),
            "{failure}"
        );
    });
}

/// T-23, observed in §12: deletion cancels a pending timer.
#[test]
fn delete_cancels_a_pending_timer() {
    for_seeds(|| {
        let setup = Setup::new();
        for timer in [setup.timer(), setup.passive_timer()] {
            let runs = counted(timer);
            timer.start_ms(50);
            timer.delete();
            world::sleep_100ns(200 * MS);
            sim_assert_eq!(runs.load(SeqCst), 0);
        }
        setup.finish();
    });
}

/// T-23: a fire that is already with the worker runs before the delete returns.
#[test]
fn delete_lets_a_queued_passive_run_go_first() {
    Sim::new(1)
        .workers(1)
        .run(|| {
            let setup = Setup::new();
            let go = Gate::new();
            let wait = go.clone();
            setup.work_item().on_run(move |_| wait.wait()).enqueue();
            let timer = setup.passive_timer();
            let runs = counted(timer);
            timer.start_ms(1);
            world::sleep_100ns(100 * MS);
            let seen = Arc::clone(&runs);
            let deleter = world::spawn("deleter", None, move || {
                timer.delete();
                sim_assert_eq!(seen.load(SeqCst), 1);
            });
            world::settle();
            sim_assert!(deleter.is_blocked());
            go.open();
            deleter.join();
            setup.finish();
        })
        .unwrap();
}

/// T-24, W-33, observed in §12: fires that find an earlier one still queued are lost.
#[test]
fn passive_fires_are_lost_while_one_is_queued() {
    world::seeds(SEEDS, |seed| {
        strict(seed)
            .workers(1)
            .run(|| {
                let setup = Setup::new();
                let go = Gate::new();
                let wait = go.clone();
                setup.work_item().on_run(move |_| wait.wait()).enqueue();
                world::settle();
                let timer = setup.passive_timer();
                let runs = counted(timer);
                for _ in 0..3 {
                    sim_assert!(!timer.start_ms(1), "the one before has expired");
                    world::sleep_100ns(50 * MS);
                }
                go.open();
                world::settle();
                sim_assert_eq!(runs.load(SeqCst), 1, "three fires, one run");
                setup.finish();
            })
            .unwrap();
    });
}

/// T-24, W-33, observed in §12: a fire that finds an earlier one running overlaps it.
#[test]
fn passive_fires_overlap_while_one_runs() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let both = Gate::new();
        let (seen, open) = (Arc::clone(&inside), both.clone());
        let timer = setup.passive_timer().on_run(move |timer| {
            seen.during(|| {
                if seen.total() == 1 {
                    timer.start_ms(1);
                    open.wait();
                } else {
                    open.open();
                }
            });
        });
        timer.start_ms(1);
        world::sleep_100ns(500 * MS);
        world::settle();
        sim_assert_eq!((inside.most(), inside.total()), (2, 2));
        setup.finish();
    });
}

/// T-25: a one-shot has left the queue when its callback runs: a restart from there returns FALSE.
#[test]
fn restart_from_the_callback_returns_false() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let timer = setup.timer().on_run(move |timer| {
            if seen.fetch_add(1, SeqCst) < 3 {
                sim_assert!(!timer.start_ms(10));
            }
        });
        timer.start_ms(10);
        world::sleep_100ns(500 * MS);
        sim_assert_eq!(runs.load(SeqCst), 4);
        setup.finish();
    });
}

/// T-28: a periodic timer goes on until it is stopped.
#[test]
fn periodic_timer_fires_until_stopped() {
    for_seeds(|| {
        let setup = Setup::new();
        let mut config = timer_config();
        config.Period = 50;
        let timer = try_timer(config, with_context(attributes(setup.device.0))).unwrap();
        let runs = counted(timer);
        timer.start_ms(50);
        world::sleep_100ns(1000 * MS);
        let fired = runs.load(SeqCst);
        sim_assert!((18..=21).contains(&fired), "{fired} fires in a second");
        sim_assert!(timer.stop(true), "it is armed for the next period");
        let fired = runs.load(SeqCst);
        world::sleep_100ns(500 * MS);
        sim_assert_eq!(runs.load(SeqCst), fired);
        setup.finish();
    });
}

/// T-30: an ordinary timer can be early by up to a tick, and late by up to a tick; never more.
#[test]
fn expiry_is_within_a_tick() {
    for_seeds(|| {
        let setup = Setup::new();
        let timer = setup.timer();
        let due = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let want = Arc::clone(&due);
        let runs = counter();
        let seen = Arc::clone(&runs);
        timer.on_run(move |_| {
            let off = world::now_100ns().abs_diff(want.load(SeqCst));
            sim_assert!(off <= 156_250 + MS, "{off}");
            seen.fetch_add(1, SeqCst);
        });
        for ms in [1, 10, 16, 40] {
            world::sleep_100ns(u64::from(world::choose(156_250)));
            due.store(world::now_100ns() + ms * MS, SeqCst);
            timer.start_ms(ms as i64);
            world::sleep_100ns(100 * MS);
        }
        sim_assert_eq!(runs.load(SeqCst), 4);
        setup.finish();
    });
}

/// The parent handle, and the counters of the calls and callbacks.
#[test]
fn counters_count_calls_and_callbacks() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let before = world::counters();
            let timer = setup.timer().on_run(|_| {});
            // SAFETY: the handle is good.
            let parent = unsafe { unsafe_wdf!(WdfTimerGetParentObject, timer.raw()) };
            sim_assert_eq!(parent as usize, setup.device.0);
            timer.start_ms(1);
            world::sleep_100ns(100 * MS);
            timer.stop(true);
            let span = world::counters() - before;
            sim_assert_eq!(
                (
                    span.objects_timer,
                    span.timer_starts,
                    span.timer_callbacks,
                    span.timer_stops
                ),
                (1, 1, 1, 1)
            );
            setup.finish();
        })
        .unwrap();
}
