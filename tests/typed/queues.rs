//! Queues that are dropped, drained and flushed while they hold owners.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bottomhalf::linux::*;
use bottomhalf::{
    DelayedWork, Status, Work, WorkItem, Workqueue, WorkqueueRef, impl_has_delayed_work,
    impl_has_work,
};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{SelfReentrant, rows, still_waits, wait_until};
use super::{device, request};

/// A delayed work in a box.
struct Later {
    work: DelayedWork<Later>,
    done: Arc<AtomicU32>,
}
impl_has_delayed_work! { impl HasDelayedWork<Self> for Later { self.work } }
impl WorkItem for Later {
    type Pointer = Pin<Box<Self>>;
    fn run(this: Self::Pointer) {
        this.done.fetch_add(1, SeqCst);
    }
}

/// TYPED-6: a queue that is dropped while works are armed for it runs each once, at once, and every owner comes
/// back: an `Arc`, a box, a closure. In Linux this is a use after free.
#[test]
fn a_dropped_queue_runs_what_is_armed_for_it() {
    rows(|rig| {
        rig.expect(&["BH10"]);
        let (device, freed) = device();
        let done = Arc::new(AtomicU32::new(0));
        let queue = Workqueue::unbound(c"armed").build().unwrap();
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 100_000)
                .is_ok()
        );
        let boxed = Box::pin(Later {
            work: DelayedWork::new(),
            done: Arc::clone(&done),
        });
        sim_assert!(queue.enqueue_delayed(boxed, 100_000).is_ok());
        let counted = Arc::clone(&done);
        let spawned = queue.try_spawn_delayed(
            move || {
                counted.fetch_add(1, SeqCst);
            },
            100_000,
        );
        sim_assert!(spawned.is_ok());
        drop(queue);
        sim_assert_eq!(device.barks.load(SeqCst), 1);
        sim_assert_eq!(done.load(SeqCst), 2);
        sim_assert_eq!(Arc::strong_count(&done), 1);
        sim_assert_eq!(Arc::strong_count(&device), 1);
        drop(device);
        sim_assert_eq!(freed.load(SeqCst), 1);
    });
}

/// A container that owns its queue.
struct Port {
    tick: DelayedWork<Port>,
    queue: Workqueue,
    freed: Arc<AtomicU32>,
}
impl_has_delayed_work! { impl HasDelayedWork<Self> for Port { self.tick } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(_this: Arc<Self>) {}
}
impl Drop for Port {
    fn drop(&mut self) {
        self.freed.fetch_add(1, SeqCst);
    }
}

/// TYPED-5: the queue is a part of the container, and the works that are armed for it hold the container: an
/// armed work keeps both alive, and the run that drops the last reference is a work of that queue. It cannot end
/// the queue that it runs on (BH07): the detach does (BH13).
#[test]
fn a_container_dropped_by_a_work_of_its_own_queue_leaves_the_queue_to_the_detach() {
    rows(|rig| {
        rig.expect(&["BH07", "BH13"]);
        let freed = Arc::new(AtomicU32::new(0));
        let port = Arc::new(Port {
            tick: DelayedWork::new(),
            queue: Workqueue::ordered(c"own").build().unwrap(),
            freed: Arc::clone(&freed),
        });
        sim_assert!(port.queue.enqueue_delayed(Arc::clone(&port), 3).is_ok());
        drop(port);
        wait_until({
            let freed = Arc::clone(&freed);
            move || freed.load(SeqCst) == 1
        });
    });
}

/// TYPED-5: the right order: cancel, which hands the owner back, and then drop.
#[test]
fn a_container_that_is_cancelled_first_takes_its_queue_along() {
    rows(|_| {
        let freed = Arc::new(AtomicU32::new(0));
        let port = Arc::new(Port {
            tick: DelayedWork::new(),
            queue: Workqueue::ordered(c"own").build().unwrap(),
            freed: Arc::clone(&freed),
        });
        sim_assert!(port.queue.enqueue_delayed(Arc::clone(&port), 3).is_ok());
        drop(port.tick.cancel_sync());
        sim_assert_eq!(Arc::strong_count(&port), 1);
        drop(port);
        sim_assert_eq!(freed.load(SeqCst), 1);
    });
}

/// TYPED-11, Q01: a flush waits for what is queued. Q03: a drain also for what the works queue meanwhile, and
/// refuses others, whose owner comes back (BH02).
#[test]
fn a_drain_refuses_others_and_hands_their_owner_back() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let (device, _) = device();
        let queue = Arc::new(Workqueue::unbound(c"drain").build().unwrap());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        let flusher = world::spawn("flusher", None, {
            let queue = Arc::clone(&queue);
            move || queue.flush()
        });
        let drainer = world::spawn("drainer", None, {
            let queue = Arc::clone(&queue);
            move || queue.drain()
        });
        still_waits(&flusher);
        still_waits(&drainer);
        let done = Arc::new(AtomicU32::new(0));
        sim_assert!(queue.enqueue(request(&done)).is_err());
        sim_assert!(queue.try_spawn(|| {}).is_err());
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 0)
                .is_err()
        );
        sim_assert_eq!(Arc::strong_count(&done), 1, "the box came back and is gone");
        device.gate.open();
        flusher.join();
        drainer.join();
        sim_assert!(
            queue.enqueue(request(&done)).is_ok(),
            "it takes works again"
        );
        queue.flush();
        sim_assert_eq!(done.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&device), 1);
    });
}

/// TYPED-2: a modify on a queue that refuses takes a pending work off the queue where it was, and its owner is
/// dropped: none is lost, none is given back twice.
#[test]
fn a_modify_that_is_refused_drops_the_owner_that_was_held() {
    rows(|rig| {
        rig.expect(&["BH02"]);
        let (blocker, _) = device();
        let (device, freed) = device();
        let calm = Workqueue::unbound(c"calm").build().unwrap();
        let busy = Arc::new(Workqueue::unbound(c"busy").build().unwrap());
        sim_assert!(busy.enqueue::<_, 0>(Arc::clone(&blocker)).is_ok());
        let drainer = world::spawn("drainer", None, {
            let busy = Arc::clone(&busy);
            move || busy.drain()
        });
        still_waits(&drainer);
        sim_assert!(
            calm.enqueue_delayed::<_, 1>(Arc::clone(&device), 50_000)
                .is_ok()
        );
        sim_assert_eq!(Arc::strong_count(&device), 2);
        let spare = busy.modify_delayed::<_, 1>(Arc::clone(&device), 0);
        sim_assert!(spare.is_some(), "nothing was queued");
        drop(spare);
        sim_assert_eq!(Arc::strong_count(&device), 1, "and nobody holds it");
        sim_assert!(!device.watchdog.is_pending());
        blocker.gate.open();
        drainer.join();
        drop(device);
        sim_assert_eq!(freed.load(SeqCst), 1);
    });
}

/// TYPED-10: what each kind of builder can say, and what it makes: `max_active` works at once, or one.
#[test]
fn builders_make_the_queues_that_they_say() {
    rows(|_| {
        let at_once = |queue: Workqueue| {
            let inside = Arc::new(AtomicU32::new(0));
            let most = Arc::new(AtomicU32::new(0));
            world::at_dispatch(|| {
                for _ in 0..6 {
                    let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
                    let spawned = queue.try_spawn(move || {
                        most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                        world::sleep_100ns(1000);
                        inside.fetch_sub(1, SeqCst);
                    });
                    sim_assert!(spawned.is_ok());
                }
            });
            drop(queue);
            most.load(SeqCst)
        };
        let bound = Workqueue::bound(c"b")
            .max_active(3)
            .cpu_intensive()
            .highpri()
            .build();
        sim_assert_eq!(at_once(bound.unwrap()), 3);
        let unbound = Workqueue::unbound(c"u").mem_reclaim().max_active(2).build();
        sim_assert_eq!(at_once(unbound.unwrap()), 2);
        let ordered = Workqueue::ordered(c"o").freezable().mem_reclaim().build();
        sim_assert_eq!(at_once(ordered.unwrap()), 1);
    });
}

/// TYPED-10, TYPED-14, Q22: closures of a bottom-half queue run at DISPATCH_LEVEL on the CPU that queues, in order; the
/// system has two such queues.
#[test]
fn bottom_halves_run_at_dispatch() {
    rows(|_| {
        let own = Workqueue::bh(c"own").highpri().build().unwrap();
        let (first, last) = (Workqueue::system_bh(), Workqueue::system_bh_highpri());
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (number, queue) in [&*own, &first, &last, &*own].into_iter().enumerate() {
            let seen = Arc::clone(&seen);
            let spawned = world::run_on_cpu(2, || {
                queue.try_spawn(move || {
                    sim_assert_eq!((world::current_irql(), world::current_cpu()), (2, 2));
                    seen.lock().unwrap().push(number);
                })
            });
            sim_assert!(spawned.is_ok());
        }
        drop(own);
        world::settle();
        let seen = seen.lock().unwrap().clone();
        sim_assert_eq!(seen.len(), 4);
        let place = |number| seen.iter().position(|seen| *seen == number);
        sim_assert!(place(0) < place(3));
    });
}

/// TYPED-10: a queue that is not reentrant keeps a work from overlapping itself, whatever the attach says; on a
/// per-CPU queue it runs where it was queued.
#[test]
fn builders_say_how_a_work_meets_itself_and_where_it_runs() {
    rows(|rig| {
        for non_reentrant in [true, false] {
            let (device, _) = device();
            let builder = Workqueue::unbound(c"own").max_active(4);
            let builder = if non_reentrant {
                builder.non_reentrant()
            } else {
                builder
            };
            let queue = builder.build().unwrap();
            sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
            wait_until({
                let device = Arc::clone(&device);
                move || device.resets.load(SeqCst) == 1
            });
            sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
            world::settle();
            let overlaps = rig.reentrance == SelfReentrant && !non_reentrant;
            sim_assert_eq!(device.resets.load(SeqCst), if overlaps { 2 } else { 1 });
            device.gate.open();
            drop(queue);
            sim_assert_eq!(device.resets.load(SeqCst), 2);
        }
        let queue = Workqueue::bound(c"where").percpu().build().unwrap();
        // None ends before the last one is made: a closure in the memory of one that has just ended might be
        // taken for it, as in Linux, and run where that one ran.
        let gate = Gate::new();
        for cpu in 0..4 {
            let gate = gate.clone();
            let spawned = world::run_on_cpu(cpu, || {
                queue.try_spawn(move || {
                    sim_assert_eq!(world::current_cpu(), cpu);
                    gate.wait();
                })
            });
            sim_assert!(spawned.is_ok());
        }
        gate.open();
    });
}

/// TYPED-10: a queue cannot be made at DISPATCH_LEVEL (BH15), and the error says that it is the state and not the
/// memory.
#[test]
fn a_queue_is_not_made_at_dispatch() {
    rows(|rig| {
        rig.expect(&["BH15"]);
        let made = world::at_dispatch(|| Workqueue::bound(c"high").build());
        sim_assert!(matches!(made, Err(Status::INVALID_DEVICE_REQUEST)));
    });
}

/// A work whose function queues the next one.
struct Node {
    work: Work<Node>,
    next: Mutex<Option<Pin<Box<Node>>>>,
    done: Arc<AtomicU32>,
    queue: Arc<Workqueue>,
}
impl_has_work! { impl HasWork<Self> for Node { self.work } }
impl WorkItem for Node {
    type Pointer = Pin<Box<Self>>;
    fn run(this: Self::Pointer) {
        this.done.fetch_add(1, SeqCst);
        let next = this.next.lock().unwrap().take();
        if let Some(next) = next {
            let queue = Arc::clone(&next.queue);
            sim_assert!(queue.enqueue(next).is_ok(), "a work of the queue itself");
        }
    }
}

/// TYPED-11, Q03: works that a drained queue's own works queue are accepted, and waited for.
#[test]
fn a_drain_waits_for_a_chain() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        let queue = Arc::new(Workqueue::ordered(c"chain").build().unwrap());
        let chain = (0..5).fold(None, |next, _| {
            Some(Box::pin(Node {
                work: Work::new(),
                next: Mutex::new(next),
                done: Arc::clone(&done),
                queue: Arc::clone(&queue),
            }))
        });
        sim_assert!(queue.enqueue(chain.expect("five nodes")).is_ok());
        queue.drain();
        sim_assert_eq!(done.load(SeqCst), 5);
        sim_assert_eq!(Arc::strong_count(&queue), 1);
    });
}

/// A system queue: the typed call and Linux's name for it.
type SystemQueue = (fn() -> WorkqueueRef, fn() -> *mut workqueue_struct);

/// TYPED-14: each system queue is the one of its Linux name: a closure that blocks on it keeps the flush of that
/// queue waiting, and of no other.
#[test]
fn a_system_queue_is_the_one_of_its_linux_name() {
    const ALL: [SystemQueue; 8] = [
        (Workqueue::system, system_wq),
        (Workqueue::system_highpri, system_highpri_wq),
        (Workqueue::system_long, system_long_wq),
        (Workqueue::system_unbound, system_unbound_wq),
        (Workqueue::system_dfl_long, system_dfl_long_wq),
        (Workqueue::system_freezable, system_freezable_wq),
        (Workqueue::system_power_efficient, system_power_efficient_wq),
        (
            Workqueue::system_freezable_power_efficient,
            system_freezable_power_efficient_wq,
        ),
    ];
    rows(|_| {
        let chosen = world::choose(ALL.len() as u32) as usize;
        let (gate, opened) = (Gate::new(), Gate::new());
        let (waits, begins) = (gate.clone(), opened.clone());
        let spawned = ALL[chosen].0().try_spawn(move || {
            begins.open();
            waits.wait();
        });
        sim_assert!(spawned.is_ok());
        opened.wait();
        let flushers = ALL.map(|(_, name)| {
            // SAFETY: a name lasts as long as the image.
            world::spawn("flusher", None, move || unsafe { flush_workqueue(name()) })
        });
        world::settle();
        for (index, flusher) in flushers.iter().enumerate() {
            sim_assert_eq!(flusher.is_finished(), index != chosen);
        }
        gate.open();
        ALL[chosen].0().flush();
        for flusher in flushers {
            flusher.join();
        }
    });
}
