//! Owners are neither lost nor made: random traffic on one container.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::{Workqueue, counters};
use kmdf_mock::world::{self, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{NonReentrant, Rig, SelfReentrant, machine, rows_with_on};
use super::{Device, device};

fn preempted(seed: u64) -> Sim {
    machine(seed).preemption(Preemption::Always)
}

/// One call, by chance; the owners that come back are dropped.
fn call(device: &Arc<Device>, queues: &[Workqueue]) {
    let queue = &queues[world::choose(queues.len() as u32) as usize];
    let own = || Arc::clone(device);
    match world::choose(14) {
        0..3 => drop(queue.enqueue::<_, 0>(own())),
        3 => drop(queue.enqueue_delayed::<_, 1>(own(), u64::from(world::choose(3)))),
        4..6 => drop(queue.modify_delayed::<_, 1>(own(), u64::from(world::choose(3)))),
        6 => drop(device.reset.cancel()),
        7 => drop(device.reset.cancel_sync()),
        8 => drop(device.watchdog.cancel()),
        9 => drop(device.watchdog.cancel_sync()),
        10 => {
            drop(device.reset.disable());
            drop(device.watchdog.disable_sync());
            device.watchdog.enable();
            device.reset.enable();
        }
        11 => drop(device.clean.schedule(own())),
        12 => device.clean.kill(),
        _ => drop(device.watchdog.flush()),
    }
}

fn scenario(_: &Rig) {
    let (device, freed) = device();
    device.gate.open();
    let queues: Arc<[Workqueue]> = Arc::new([
        Workqueue::ordered(c"ordered").build().unwrap(),
        Workqueue::bound(c"bound").max_active(2).build().unwrap(),
    ]);
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let (device, queues) = (Arc::clone(&device), Arc::clone(&queues));
            world::spawn("caller", None, move || {
                for _ in 0..12 {
                    call(&device, &queues);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.join();
    }
    drop(device.watchdog.cancel_sync());
    drop(queues);
    device.clean.kill();
    sim_assert_eq!(Arc::strong_count(&device), 1);
    sim_assert_eq!(counters().pending, 0);
    let runs = [&device.resets, &device.barks, &device.cleaned]
        .map(|count: &AtomicU32| count.load(SeqCst));
    sim_assert_eq!(u64::from(runs.iter().sum::<u32>()), counters().run);
    drop(device);
    sim_assert!(freed.load(SeqCst) == 1);
}

/// TYPED-13: threads queue, cancel, disable, modify, kill and flush the items of one container by chance:
/// afterwards the only reference is the test's own, and each accepted queueing was run or cancelled (R of the
/// conservation law).
#[test]
fn owners_are_conserved_under_random_traffic() {
    for reentrance in [SelfReentrant, NonReentrant] {
        rows_with_on(preempted, reentrance, 400, scenario);
    }
}

/// The checker's negative control: one owner that is forgotten fails the scenario.
#[test]
fn a_lost_owner_is_found() {
    let run = machine(1).run(|| {
        let rig = Rig::new(NonReentrant);
        let (device, _) = device();
        std::mem::forget(Arc::clone(&device));
        sim_assert_eq!(Arc::strong_count(&device), 1);
        rig.finish();
    });
    assert_eq!(
        run.map_err(|failure| failure.code().to_owned()),
        Err("ASSERT".to_owned())
    );
}
