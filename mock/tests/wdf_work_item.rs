//! WDFWORKITEM: facts W-1 to W-28.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use kmdf_mock::call_unsafe_wdf_function_binding as unsafe_wdf;
use kmdf_mock::world::{self, Driver, Gate, Sim, Verifier};
use kmdf_mock::*;
use wdf_common::*;

const SECOND: u64 = 10_000_000;

/// W-1: the config has 24 bytes.
#[test]
fn config_is_24_bytes() {
    assert_eq!(size_of::<WDF_WORKITEM_CONFIG>(), 24);
}

/// W-2: attributes and parent, config size, NULL function, attribute rules, device, in this order.
#[test]
fn create_checks_in_order() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let device = setup.device.0;
            let mut config = WDF_WORKITEM_CONFIG::default();
            let status = try_work_item(config, attributes(0));
            sim_assert_eq!(status, Err(STATUS_WDF_PARENT_NOT_SPECIFIED));
            let mut bad = attributes(setup.driver.handle() as usize);
            bad.SynchronizationScope = 0;
            sim_assert_eq!(try_work_item(config, bad), Err(STATUS_INFO_LENGTH_MISMATCH));
            config.Size = 24;
            sim_assert_eq!(try_work_item(config, bad), Err(STATUS_INVALID_PARAMETER));
            let config = work_item_config();
            let status = try_work_item(config, bad);
            sim_assert_eq!(status, Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID));
            bad.SynchronizationScope = 1;
            sim_assert_eq!(
                try_work_item(config, bad),
                Err(STATUS_INVALID_DEVICE_REQUEST)
            );
            sim_assert!(try_work_item(config, attributes(device)).is_ok());
            setup.finish();
        })
        .unwrap();
}

/// W-2, D-2 rows 4 and 5: bad pointers are bug checks.
#[test]
fn create_bug_checks_on_bad_pointers() {
    let null_config = strict(1).run(|| {
        let setup = Setup::new();
        let mut attributes = attributes(setup.device.0);
        let mut handle = null_mut();
        // SAFETY: a NULL config is a case of the table; the rest is good for the call.
        let _ = unsafe {
            unsafe_wdf!(
                WdfWorkItemCreate,
                null_mut(),
                &raw mut attributes,
                &raw mut handle
            )
        };
    });
    assert_eq!(code_of(null_config), "WDF_VIOLATION(0x10D,4)");
    let bad_parent = strict(1).run(|| {
        let _setup = Setup::new();
        let _ = try_work_item(work_item_config(), attributes(0x1000));
    });
    assert_eq!(code_of(bad_parent), "WDF_VIOLATION(0x10D,5)");
}

/// W-4: one NT work item per WDFWORKITEM, for life: enqueueing allocates nothing.
#[test]
fn enqueue_allocates_nothing() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let item = setup.work_item().on_run(|_| {});
            let before = world::counters();
            for _ in 0..10 {
                item.enqueue();
                item.flush();
            }
            sim_assert_eq!((world::counters() - before).pool_allocations, 0);
            setup.finish();
        })
        .unwrap();
}

/// W-5: enqueue works at DISPATCH, creation too; the callback runs at PASSIVE in a system worker.
#[test]
fn enqueue_at_dispatch_runs_at_passive() {
    for_seeds(|| {
        let setup = Setup::new();
        let device = setup.device.0;
        let runs = counter();
        let seen = Arc::clone(&runs);
        let item = world::at_dispatch(|| work_item(device)).on_run(move |_| {
            sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
            seen.fetch_add(1, SeqCst);
        });
        world::at_dispatch(|| item.enqueue());
        world::settle();
        sim_assert_eq!(runs.load(SeqCst), 1);
        setup.finish();
    });
}

/// W-5: enqueue from an interrupt is above its ceiling.
#[test]
fn enqueue_at_dirql_is_convicted() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let item = setup.work_item();
        world::at_irql(5, || item.enqueue());
    });
    assert_eq!(code_of(result), "KMDF_IRQL(WdfWorkItemEnqueue)");
}

/// W-8: any number of enqueues before the handler starts give one callback.
#[test]
fn enqueues_before_the_start_are_one_run() {
    world::seeds(SEEDS, |seed| {
        strict(seed)
            .cpus(1)
            .run(|| {
                let setup = Setup::new();
                let runs = counter();
                let seen = Arc::clone(&runs);
                let item = setup.work_item().on_run(move |_| {
                    seen.fetch_add(1, SeqCst);
                });
                // The only CPU is kept at DISPATCH: no worker starts meanwhile.
                world::at_dispatch(|| (0..3).for_each(|_| item.enqueue()));
                world::settle();
                sim_assert_eq!(runs.load(SeqCst), 1);
                setup.finish();
            })
            .unwrap();
    });
}

/// W-7: between the unlock and the queueing of the NT item, another thread's enqueue is coalesced
/// with a run that starts later; no enqueue is ever without a run that starts after it.
#[test]
fn every_enqueue_is_followed_by_a_start() {
    for_seeds(|| {
        let setup = Setup::new();
        let posted = counter();
        let handled = counter();
        let (all, done) = (Arc::clone(&posted), Arc::clone(&handled));
        let item = setup.work_item().on_run(move |_| {
            let now = all.load(SeqCst);
            done.fetch_max(now, SeqCst);
        });
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let posted = Arc::clone(&posted);
                world::spawn("poster", None, move || {
                    for _ in 0..4 {
                        posted.fetch_add(1, SeqCst);
                        item.enqueue();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(world::Thread::join);
        item.flush();
        sim_assert_eq!(
            handled.load(SeqCst),
            12,
            "the callback sees all work posted before"
        );
        setup.finish();
    });
}

/// W-11, W-12, observed in §12: the queued mark is cleared before the callback; enqueued again from
/// there, the item overlaps itself.
#[test]
fn item_overlaps_itself() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let both = Gate::new();
        let (seen, open) = (Arc::clone(&inside), both.clone());
        let item = setup.work_item().on_run(move |item| {
            seen.during(|| {
                if seen.total() == 1 {
                    item.enqueue();
                    open.wait();
                } else {
                    open.open();
                }
            });
        });
        item.enqueue();
        world::settle();
        sim_assert_eq!(inside.most(), 2, "the first run waited for the second");
        setup.finish();
    });
}

/// W-12: nothing in the framework bounds the overlap; the worker pool does (W-30).
#[test]
fn overlap_is_bounded_by_the_workers_alone() {
    let result = Sim::new(1).workers(4).run(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let gate = Gate::new();
        let (seen, wait) = (Arc::clone(&inside), gate.clone());
        let item = setup.work_item().on_run(move |item| {
            seen.during(|| {
                if seen.total() < 6 {
                    item.enqueue();
                }
                wait.wait();
            });
        });
        item.enqueue();
        world::settle();
        let most = inside.most();
        gate.open();
        item.flush();
        let total = inside.total();
        setup.finish();
        (most, total)
    });
    assert_eq!(result.unwrap(), (4, 6));
}

/// W-14, W-15: a flush waits for what is queued and what runs, and for nothing else.
#[test]
fn flush_waits_until_idle() {
    for_seeds(|| {
        let setup = Setup::new();
        let inside = Inside::new();
        let seen = Arc::clone(&inside);
        let item = setup.work_item().on_run(move |_| seen.during(linger));
        item.flush();
        sim_assert_eq!(inside.total(), 0, "a never queued item is idle");
        for round in 1..4 {
            item.enqueue();
            item.flush();
            sim_assert_eq!((inside.total(), inside.now()), (round, 0));
        }
        setup.finish();
    });
}

/// W-19: a flush also waits for runs that were queued after it began.
#[test]
fn flush_waits_for_later_runs_too() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let item = setup.work_item().on_run(move |item| {
            if seen.load(SeqCst) < 4 {
                item.enqueue();
            }
            linger();
            seen.fetch_add(1, SeqCst);
        });
        item.enqueue();
        item.flush();
        sim_assert!(runs.load(SeqCst) >= 4, "{} runs", runs.load(SeqCst));
        setup.finish();
    });
}

/// W-19: an item that queues itself for ever is never idle.
#[test]
fn flush_of_an_always_requeued_item_is_a_livelock() {
    let quick = Sim::new(1).step_limit(200_000).run(|| {
        let setup = Setup::new();
        let item = setup.work_item().on_run(|item| item.enqueue());
        item.enqueue();
        item.flush();
    });
    assert!(code_of(quick).starts_with("SIM_LIVELOCK"));
    let slow = Sim::new(1).run(|| {
        let setup = Setup::new();
        let item = setup.work_item().on_run(|item| {
            item.enqueue();
            world::sleep_100ns(SECOND);
        });
        item.enqueue();
        item.flush();
    });
    assert_eq!(code_of(slow), "SIM_LIVELOCK(flush of WDFWORKITEM#1)");
}

/// W-20: a long wait prints a line every 60 s and goes on.
#[test]
fn long_flush_prints_and_goes_on() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let item = setup
                .work_item()
                .on_run(|_| world::sleep_100ns(70 * SECOND));
            item.enqueue();
            item.flush();
            let log = world::debug_log();
            let lines = log
                .iter()
                .filter(|line| line.contains("is waiting on WDFWORKITEM#1"));
            sim_assert_eq!(lines.count(), 1);
            setup.finish();
        })
        .unwrap();
}

/// W-18, observed in §12: a flush from the own callback is recognised and does not wait.
#[test]
fn flush_from_the_own_callback_returns_at_once() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let item = setup.work_item().on_run(|item| item.flush());
                item.enqueue();
                world::settle();
                sim_assert_eq!(breaks("WORKITEM_FLUSH_OWN_CALLBACK"), 1);
                setup.finish();
            })
            .unwrap();
    });
}

/// W-18: above PASSIVE the verifier refuses; the caller cannot tell.
#[test]
fn verifier_refuses_a_flush_above_passive() {
    Sim::new(1)
        .verifier(Verifier::On)
        .run(|| {
            let setup = Setup::new();
            let item = setup.work_item();
            world::at_dispatch(|| {
                item.enqueue();
                item.flush();
            });
            sim_assert_eq!(breaks("IRQL_TOO_HIGH"), 1);
            setup.finish();
        })
        .unwrap();
}

/// W-17, observed in §12: a second instance that starts takes the slot, and the first one's flush
/// waits for itself.
#[test]
fn own_flush_deadlocks_when_a_second_instance_runs() {
    world::seeds(SEEDS, |seed| {
        let result = strict(seed).run(|| {
            let setup = Setup::new();
            let second = Gate::new();
            let open = second.clone();
            let starts = counter();
            let item = setup.work_item().on_run(move |item| {
                if starts.fetch_add(1, SeqCst) == 0 {
                    item.enqueue();
                    open.wait();
                    item.flush();
                } else {
                    open.open();
                    world::sleep_100ns(SECOND);
                }
            });
            item.enqueue();
            world::sleep_100ns(1000 * SECOND);
        });
        let failure = result.expect_err("the first instance waits for itself");
        assert!(failure.code().starts_with("SIM_DEADLOCK("), "{failure}");
        assert!(
            failure.code().ends_with("waits for WDFWORKITEM#1)"),
            "{failure}"
        );
        assert!(
            failure.message().contains("its own callback among them"),
            "{failure}"
        );
    });
}

/// W-17: a second instance that ends clears the slot, with the same result.
#[test]
fn own_flush_deadlocks_after_a_second_instance_ended() {
    let result = strict(3).run(|| {
        let setup = Setup::new();
        let starts = counter();
        let item = setup.work_item().on_run(move |item| {
            if starts.fetch_add(1, SeqCst) == 0 {
                item.enqueue();
                world::sleep_100ns(SECOND);
                item.flush();
            }
        });
        item.enqueue();
        world::sleep_100ns(1000 * SECOND);
    });
    assert!(code_of(result).starts_with("SIM_DEADLOCK("));
}

/// W-9: an enqueue of a running-down item is dropped with a break; if the item is also queued,
/// without.
#[test]
fn enqueue_while_running_down_is_dropped() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .verifier(Verifier::On)
            .run(|| {
                let setup = Setup::new();
                let runs = counter();
                let (started, go) = (Gate::new(), Gate::new());
                let (seen, begun, wait) = (Arc::clone(&runs), started.clone(), go.clone());
                let item = setup.work_item().on_run(move |_| {
                    seen.fetch_add(1, SeqCst);
                    begun.open();
                    wait.wait();
                });
                item.enqueue();
                started.wait();
                let deleter = world::spawn("deleter", None, move || item.delete());
                world::settle();
                sim_assert!(deleter.is_blocked());
                item.enqueue();
                sim_assert_eq!(breaks("WORKITEM_ENQUEUE_RUNNING_DOWN"), 1);
                go.open();
                deleter.join();
                sim_assert_eq!(runs.load(SeqCst), 1);
                setup.finish();
            })
            .unwrap();
    });
}

/// W-9, second half: queued and running down is ignored silently.
#[test]
fn enqueue_of_a_queued_item_that_runs_down_is_silent() {
    Sim::new(1)
        .verifier(Verifier::On)
        .workers(1)
        .run(|| {
            let setup = Setup::new();
            let go = Gate::new();
            let wait = go.clone();
            let blocker = setup.work_item().on_run(move |_| wait.wait());
            blocker.enqueue();
            world::settle();
            let runs = counter();
            let seen = Arc::clone(&runs);
            let item = setup.work_item().on_run(move |_| {
                seen.fetch_add(1, SeqCst);
            });
            item.enqueue();
            let deleter = world::spawn("deleter", None, move || item.delete());
            world::settle();
            item.enqueue();
            sim_assert_eq!(breaks("WORKITEM_ENQUEUE_RUNNING_DOWN"), 0);
            go.open();
            deleter.join();
            sim_assert_eq!(runs.load(SeqCst), 1, "W-22: the pending instance ran");
            setup.finish();
        })
        .unwrap();
}

/// W-10: after the memory is gone the handle is named.
#[test]
fn enqueue_of_a_destroyed_item_is_a_bad_handle() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let item = setup.work_item();
        item.delete();
        item.enqueue();
    });
    assert_eq!(code_of(result), "WDF_VIOLATION(0x10D,5)");
}

/// W-22, observed in §12: deletion waits for the pending instance and runs it.
#[test]
fn delete_runs_the_pending_instance() {
    for_seeds(|| {
        let setup = Setup::new();
        let runs = counter();
        let seen = Arc::clone(&runs);
        let cleaned = Arc::clone(&runs);
        let item = setup
            .work_item()
            .on_run(move |_| {
                linger();
                seen.fetch_add(1, SeqCst);
            })
            .on_cleanup(move || sim_assert_eq!(cleaned.load(SeqCst), 1, "cleanup comes after"));
        item.enqueue();
        item.delete();
        sim_assert_eq!(runs.load(SeqCst), 1);
        setup.finish();
    });
}

/// W-23: deleted at DISPATCH, the object is disposed later, at PASSIVE, and still runs first.
#[test]
fn delete_at_dispatch_is_deferred() {
    for_seeds(|| {
        let setup = Setup::new();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let [run, cleanup, destroy] = [0; 3].map(|_| Arc::clone(&order));
        let note = |order: &std::sync::Mutex<Vec<&'static str>>, what| {
            sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
            order.lock().unwrap().push(what);
        };
        let item = setup
            .work_item()
            .on_run(move |_| note(&run, "run"))
            .on_cleanup(move || note(&cleanup, "cleanup"))
            .on_destroy(move || note(&destroy, "destroy"));
        world::at_dispatch(|| {
            item.enqueue();
            item.delete();
        });
        world::settle();
        sim_assert_eq!(*order.lock().unwrap(), ["run", "cleanup", "destroy"]);
        setup.finish();
    });
}

/// W-16: a callback that returns at DISPATCH is convicted under the worker's bug check.
#[test]
fn callback_that_returns_at_dispatch_is_convicted() {
    let result = strict(1).run(|| {
        let setup = Setup::new();
        let item = setup.work_item().on_run(|_| {
            // SAFETY: the IRQL is left raised on purpose.
            unsafe { ntddk::KfRaiseIrql(2) };
        });
        item.enqueue();
        item.flush();
    });
    assert_eq!(code_of(result), "WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1)");
}

/// W-24, W-26: deleted from its own callback, cleanup runs inside the delete, destroy after the
/// callback, and the context stays good in between.
#[test]
fn delete_from_the_own_callback_returns() {
    for_seeds(|| {
        let setup = Setup::new();
        let state = counter();
        let [run, cleanup, destroy] = [0; 3].map(|_| Arc::clone(&state));
        let item = setup
            .work_item()
            .on_run(move |item| {
                item.delete();
                sim_assert_eq!(run.load(SeqCst), 1, "cleanup ran inside the delete");
                linger();
                sim_assert!(!context_of(item.0).is_null());
                run.store(2, SeqCst);
            })
            .on_cleanup(move || cleanup.store(1, SeqCst))
            .on_destroy(move || {
                sim_assert_eq!(destroy.load(SeqCst), 2, "the callback is over");
                destroy.store(3, SeqCst);
            });
        item.enqueue();
        world::settle();
        sim_assert_eq!(state.load(SeqCst), 3);
        setup.finish();
    });
}

/// W-25, O-17: the unload waits for a run that is still out, though its object was deleted.
#[test]
fn unload_waits_for_a_run_of_a_deleted_item() {
    for_seeds(|| {
        let driver = Driver::load_non_pnp();
        let device = driver.control_device(None).unwrap() as usize;
        let (started, ended) = (Gate::new(), flag());
        let (begun, end) = (started.clone(), Arc::clone(&ended));
        let item = work_item(device).on_run(move |item| {
            item.delete();
            begun.open();
            world::sleep_100ns(SECOND);
            end.store(true, SeqCst);
        });
        item.enqueue();
        started.wait();
        driver.unload();
        sim_assert!(ended.load(SeqCst));
    });
}

/// W-25: one run, one reference: the object's memory outlives a dereference by its user.
#[test]
fn parent_of_a_work_item_is_the_one_given() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let parent = general(setup.device.0);
            let item = work_item(parent.0);
            // SAFETY: the handle is good.
            let found = unsafe { unsafe_wdf!(WdfWorkItemGetParentObject, item.raw()) };
            sim_assert_eq!(found as usize, parent.0);
            setup.finish();
        })
        .unwrap();
}

/// W-28: items start in the order in which they were queued, if one worker serves them.
#[test]
fn items_start_in_queue_order() {
    world::seeds(SEEDS, |seed| {
        Sim::new(seed)
            .workers(1)
            .run(|| {
                let setup = Setup::new();
                let order = Arc::new(std::sync::Mutex::new(Vec::new()));
                let items: Vec<_> = (0..4)
                    .map(|number| {
                        let order = Arc::clone(&order);
                        setup
                            .work_item()
                            .on_run(move |_| order.lock().unwrap().push(number))
                    })
                    .collect();
                world::run_on_cpu(0, || items.iter().for_each(|item| item.enqueue()));
                world::settle();
                sim_assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3]);
                setup.finish();
            })
            .unwrap();
    });
}

/// W-27: work items go to the delayed queue: a critical one of the driver's own that comes later is
/// served by threads of its own, however busy those of the delayed queue are.
#[test]
fn items_go_to_the_delayed_queue() {
    unsafe extern "C" fn critical(_device: PDEVICE_OBJECT, context: PVOID) {
        // SAFETY: the context is the log, which outlives the world's run.
        let order = unsafe { &*context.cast::<std::sync::Mutex<Vec<&'static str>>>() };
        order.lock().unwrap().push("critical");
    }
    Sim::new(1)
        .workers(1)
        .run(|| {
            let setup = Setup::new();
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let go = Gate::new();
            let wait = go.clone();
            setup.work_item().on_run(move |_| wait.wait()).enqueue();
            world::settle();
            let seen = Arc::clone(&order);
            setup
                .work_item()
                .on_run(move |_| seen.lock().unwrap().push("delayed"))
                .enqueue();
            // SAFETY: the item is freed after it ran; the log lives until then.
            unsafe {
                let item = ntddk::IoAllocateWorkItem(null_mut());
                let log = Arc::as_ptr(&order).cast_mut().cast();
                ntddk::IoQueueWorkItem(item, Some(critical), 0, log);
                world::settle();
                ntddk::IoFreeWorkItem(item);
            }
            go.open();
            world::settle();
            sim_assert_eq!(*order.lock().unwrap(), ["critical", "delayed"]);
            setup.finish();
        })
        .unwrap();
}

/// W-30, H-32: with every worker blocked in a callback that waits for another callback, the world
/// says so.
#[test]
fn callbacks_that_wait_for_callbacks_starve_the_pool() {
    let result = Sim::new(1).workers(2).run(|| {
        let setup = Setup::new();
        let gate = Gate::new();
        let opener = gate.clone();
        let last = setup.work_item().on_run(move |_| opener.open());
        for _ in 0..2 {
            let wait = gate.clone();
            setup.work_item().on_run(move |_| wait.wait()).enqueue();
        }
        world::settle();
        last.enqueue();
        last.flush();
    });
    let code = code_of(result);
    assert!(code.starts_with("SIM_DEADLOCK"), "{code}");
}

/// O-12: a removal blocks on a running callback.
#[test]
fn removal_waits_for_a_running_callback() {
    for_seeds(|| {
        let setup = Setup::new();
        let (started, ended) = (Gate::new(), flag());
        let (begun, end) = (started.clone(), Arc::clone(&ended));
        let item = setup.work_item().on_run(move |_| {
            begun.open();
            world::sleep_100ns(SECOND);
            end.store(true, SeqCst);
        });
        item.enqueue();
        started.wait();
        setup.finish();
        sim_assert!(ended.load(SeqCst));
    });
}

/// The counters of the calls and callbacks.
#[test]
fn counters_count_calls_and_callbacks() {
    strict(1)
        .run(|| {
            let setup = Setup::new();
            let before = world::counters();
            let item = setup.work_item().on_run(|_| {});
            item.enqueue();
            item.flush();
            let span = world::counters() - before;
            sim_assert_eq!(
                (
                    span.objects_work_item,
                    span.work_item_enqueues,
                    span.work_item_callbacks
                ),
                (1, 1, 1)
            );
            sim_assert_eq!(span.work_item_flushes, 1);
            setup.finish();
        })
        .unwrap();
}
