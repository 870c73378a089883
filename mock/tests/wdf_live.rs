//! The WDF layer on the live engine: the same code on OS threads. What must hold in every schedule.

#![allow(missing_docs, reason = "tests")]

mod wdf_common;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

use kmdf_mock::world::{self, Driver, Live};
use kmdf_mock::*;
use wdf_common::*;

/// 100 ns in a millisecond.
const MS: u64 = 10_000;

fn live() -> Live {
    Live::new().cpus(2).tick_100ns(10_000)
}

fn count(runs: &Arc<AtomicU32>) -> impl Fn() + Send + Sync + use<> {
    let runs = Arc::clone(runs);
    move || {
        runs.fetch_add(1, SeqCst);
    }
}

/// D-8, W-8, T-25, D-26, W-22, T-23: a driver's life with one of each object.
#[test]
fn driver_lives_and_unloads() {
    live()
        .run(|| {
            let setup = Setup::new();
            let [dpcs, items, timers] = [counter(), counter(), counter()];
            let (on_dpc, on_item, on_timer) = (count(&dpcs), count(&items), count(&timers));
            let dpc = setup.dpc().on_run(move |_| {
                sim_assert_eq!(u32::from(world::current_irql()), DISPATCH_LEVEL);
                on_dpc();
            });
            let item = setup.work_item().on_run(move |_| {
                sim_assert_eq!(u32::from(world::current_irql()), PASSIVE_LEVEL);
                on_item();
            });
            let timer = setup.passive_timer().on_run(move |_| on_timer());
            for round in 1..=50 {
                sim_assert!(dpc.enqueue());
                dpc.cancel(true);
                item.enqueue();
                item.flush();
                sim_assert_eq!(items.load(SeqCst), round);
            }
            timer.start_ms(2);
            world::sleep_100ns(100 * MS);
            sim_assert_eq!(timers.load(SeqCst), 1);
            sim_assert!(!timer.start_ms(10_000));
            sim_assert!(timer.stop(true));
            item.enqueue();
            item.delete();
            sim_assert_eq!(items.load(SeqCst), 51);
            setup.finish();
        })
        .unwrap();
}

/// W-7, W-14, W-19: many enqueuers and a flush: every post is seen.
#[test]
fn every_post_is_handled() {
    live()
        .run(|| {
            let setup = Setup::new();
            let [posted, handled] = [counter(), counter()];
            let (all, done) = (Arc::clone(&posted), Arc::clone(&handled));
            let item = setup.work_item().on_run(move |_| {
                done.fetch_max(all.load(SeqCst), SeqCst);
            });
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let posted = Arc::clone(&posted);
                    world::spawn("poster", None, move || {
                        for _ in 0..500 {
                            posted.fetch_add(1, SeqCst);
                            item.enqueue();
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            item.flush();
            sim_assert_eq!(handled.load(SeqCst), 2000);
            setup.finish();
        })
        .unwrap();
}

/// T-19: after a waiting stop nothing of the timer runs, if nobody starts it meanwhile.
#[test]
fn waiting_stop_is_the_end_of_the_callback() {
    live()
        .run(|| {
            let setup = Setup::new();
            for timer in [setup.timer(), setup.passive_timer()] {
                let inside = Inside::new();
                let seen = Arc::clone(&inside);
                timer.on_run(move |timer| {
                    seen.during(linger);
                    timer.start_ms(1);
                });
                for _ in 0..20 {
                    timer.start_ms(1);
                    world::sleep_100ns(3 * MS);
                    timer.stop(true);
                    timer.stop(true);
                    sim_assert_eq!(inside.now(), 0);
                }
            }
            setup.finish();
        })
        .unwrap();
}

/// D-28, W-23, O-6: deletes from everywhere, with enqueues around them, clean up once each.
#[test]
fn deletes_from_everywhere() {
    live()
        .run(|| {
            let driver = Driver::load_non_pnp();
            let device = driver.control_device(None).unwrap() as usize;
            let cleaned = counter();
            for round in 0..100 {
                let seen = count(&cleaned);
                let item = work_item(device).on_cleanup(seen);
                if round % 2 == 0 {
                    item.on_run(WorkItem::delete);
                    item.enqueue();
                } else {
                    item.enqueue();
                    world::at_dispatch(|| item.delete());
                }
                let seen = count(&cleaned);
                let dpc = dpc(device).on_cleanup(seen);
                dpc.on_run(Dpc::delete);
                sim_assert!(dpc.enqueue());
            }
            driver.unload();
            sim_assert_eq!(cleaned.load(SeqCst), 200);
        })
        .unwrap();
}

/// S-6: the callback lock excludes on OS threads too.
#[test]
fn serialized_callbacks_exclude_each_other() {
    live()
        .run(|| {
            let driver = Driver::load_non_pnp();
            let mut passive = attributes(0);
            passive.ExecutionLevel = _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive;
            passive.SynchronizationScope =
                _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice;
            let device = driver.control_device(Some(&mut passive)).unwrap() as usize;
            let inside = Inside::new();
            let mut config = work_item_config();
            config.AutomaticSerialization = 1;
            for _ in 0..4 {
                let seen = Arc::clone(&inside);
                try_work_item(config, with_context(attributes(device)))
                    .unwrap()
                    .on_run(move |_| seen.during(|| world::sleep_100ns(MS)))
                    .enqueue();
            }
            driver.unload();
            sim_assert_eq!((inside.most(), inside.total()), (1, 4));
        })
        .unwrap();
}
