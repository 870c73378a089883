//! The typed face against detach: safe code does not reach a queue that detach has freed.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::{
    Attachment, Config, DelayedWork, Host, Tasklet, TaskletItem, Work, WorkItem, Workqueue, attach,
    counters, impl_has_delayed_work, impl_has_tasklet, impl_has_work,
};
use kmdf_mock::sync::preempt;
use kmdf_mock::world::{self, Driver, Preemption};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, machine, reports};

struct Counter {
    runs: AtomicU32,
    work: Work<Counter>,
}

impl_has_work! { impl HasWork<Counter> for Counter { self.work } }

impl WorkItem for Counter {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        this.runs.fetch_add(1, SeqCst);
    }
}

fn counter() -> Arc<Counter> {
    Arc::new(Counter {
        runs: AtomicU32::new(0),
        work: Work::new(),
    })
}

fn attached(driver: &Driver) -> Attachment {
    let host = Host::Driver(driver.handle().cast());
    // SAFETY: every scenario keeps its driver loaded until it has detached.
    unsafe { attach(host, &Config::new(NonReentrant)) }.expect("a fresh machine has the resources")
}

fn worlds(seeds: u64, scenario: fn()) {
    world::seeds(0..seeds, |seed| {
        if let Err(failure) = machine(seed).preemption(Preemption::Always).run(scenario) {
            panic!("{failure}");
        }
    });
}

/// TYPED-5: the last detach destroys a queue that is left (BH13). Its handle refuses from then on, also when the
/// image is attached again, and dropping it does nothing.
#[test]
fn a_queue_that_outlives_its_attachment_refuses() {
    worlds(50, || {
        let driver = Driver::load();
        let attachment = attached(&driver);
        let queue = Workqueue::ordered(c"old").build().expect("memory is there");
        attachment.detach();
        let item = counter();
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&item)).is_err());
        queue.flush();
        let attachment = attached(&driver);
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&item)).is_err());
        queue.flush();
        let fresh = Workqueue::ordered(c"new").build().expect("memory is there");
        drop(queue);
        sim_assert!(fresh.enqueue::<_, 0>(Arc::clone(&item)).is_ok());
        fresh.flush();
        sim_assert_eq!(item.runs.load(SeqCst), 1);
        drop(fresh);
        attachment.detach();
        driver.unload();
        sim_assert_eq!(reports().iter().filter(|code| *code == "BH13").count(), 1);
    });
}

/// A queue is used and dropped by one thread while another one detaches for the last time.
#[test]
fn a_queue_is_used_while_the_image_detaches() {
    worlds(400, || {
        let driver = Driver::load();
        let attachment = attached(&driver);
        let queue = Workqueue::ordered(c"q").build().expect("memory is there");
        let user = world::spawn("user", None, move || {
            for _ in 0..3 {
                let _refused = queue.enqueue::<_, 0>(counter());
                queue.flush();
            }
        });
        world::sleep_100ns(u64::from(world::choose(3)));
        attachment.detach();
        user.join();
        driver.unload();
    });
}

/// A queue is drained by one thread while another one detaches for the last time and so destroys it (BH13): the
/// drain does not touch it any more.
#[test]
fn a_queue_is_drained_while_the_image_detaches() {
    worlds(200, || {
        let driver = Driver::load();
        let attachment = attached(&driver);
        let queue = Workqueue::ordered(c"q").build().expect("memory is there");
        let others = [(); 2].map(|()| {
            world::spawn("other", Some(3), || {
                for _ in 0..1_500 {
                    preempt();
                }
            })
        });
        let user = world::spawn("user", Some(3), move || {
            for _ in 0..20 {
                queue.drain();
            }
        });
        for _ in 0..world::choose(300) {
            preempt();
        }
        attachment.detach();
        user.join();
        others.into_iter().for_each(world::Thread::join);
        driver.unload();
    });
}

struct Parked {
    runs: AtomicU32,
    tasklet: Tasklet<Parked>,
}

impl_has_tasklet! { impl HasTasklet<Self> for Parked { self.tasklet } }

impl TaskletItem for Parked {
    fn run(this: &Arc<Self>) {
        this.runs.fetch_add(1, SeqCst);
    }
}

/// A tasklet that a detach has left scheduled and disabled, with its owner (BH11).
fn left_by_a_detach(driver: &Driver) -> Arc<Parked> {
    let attachment = attached(driver);
    let parked = Arc::new(Parked {
        runs: AtomicU32::new(0),
        tasklet: Tasklet::new_disabled(),
    });
    sim_assert!(parked.tasklet.schedule(Arc::clone(&parked)).is_ok());
    attachment.detach();
    sim_assert_eq!(reports(), ["BH11"]);
    sim_assert_eq!(Arc::strong_count(&parked), 2);
    parked
}

/// TYPED-8: a tasklet that was left at detach is enabled under the next attach: it runs there, its owner is
/// dropped, and the counts of that attach hold.
#[test]
fn a_tasklet_left_at_detach_runs_under_the_next_attach() {
    worlds(50, || {
        let driver = Driver::load();
        let parked = left_by_a_detach(&driver);
        let attachment = attached(&driver);
        parked.tasklet.enable();
        parked.tasklet.kill();
        sim_assert_eq!(parked.runs.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&parked), 1);
        sim_assert_eq!(counters().pending, 0);
        attachment.detach();
        driver.unload();
    });
}

/// TYPED-8: it is enabled, or killed, while nothing is attached: the schedule is over, and its owner is dropped.
/// Under the next attach the tasklet is like a new one, however the calls follow each other.
#[test]
fn a_tasklet_left_at_detach_is_over_when_it_is_enabled_or_killed_unattached() {
    worlds(200, || {
        let driver = Driver::load();
        let parked = left_by_a_detach(&driver);
        let enabled = world::choose(2) == 0;
        if enabled {
            parked.tasklet.enable();
        } else {
            parked.tasklet.kill();
        }
        sim_assert_eq!(Arc::strong_count(&parked), 1);
        sim_assert!(!parked.tasklet.is_scheduled());
        let attachment = attached(&driver);
        world::at_dispatch(|| {
            if !enabled {
                parked.tasklet.enable();
            }
            sim_assert!(parked.tasklet.schedule(Arc::clone(&parked)).is_ok());
            sim_assert!(parked.tasklet.schedule(Arc::clone(&parked)).is_err());
        });
        parked.tasklet.kill();
        sim_assert_eq!(parked.runs.load(SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&parked), 1);
        sim_assert_eq!(counters().pending, 0);
        attachment.detach();
        driver.unload();
    });
}

/// TYPED-7: a disable counts whether something is attached or not, and so does an enable: each undoes the other over a detach
/// and an attach.
#[test]
fn a_work_is_disabled_and_enabled_while_nothing_is_attached() {
    worlds(50, || {
        let driver = Driver::load();
        let item = counter();
        sim_assert!(item.work.disable().is_none(), "before the first attach");
        let attachment = attached(&driver);
        let system = Workqueue::system();
        sim_assert!(system.enqueue(Arc::clone(&item)).is_err());
        sim_assert!(item.work.disable_sync().is_none());
        attachment.detach();
        sim_assert!(!item.work.enable(), "twice disabled");
        sim_assert!(item.work.enable());
        let attachment = attached(&driver);
        sim_assert!(system.enqueue(Arc::clone(&item)).is_ok());
        system.flush();
        sim_assert_eq!(item.runs.load(SeqCst), 1);
        attachment.detach();
        sim_assert!(item.work.disable_sync().is_none());
        sim_assert!(item.work.enable());
        sim_assert!(item.work.enable(), "one too many");
        driver.unload();
        sim_assert_eq!(reports(), ["BH14"]);
    });
}

/// One of each, for traffic while attaches come and go.
struct Card {
    clean: Tasklet<Card>,
    work: Work<Card>,
    tick: DelayedWork<Card, 1>,
}

impl_has_tasklet! { impl HasTasklet<Self> for Card { self.clean } }
impl_has_work! { impl HasWork<Self> for Card { self.work } }
impl_has_delayed_work! { impl HasDelayedWork<Self, 1> for Card { self.tick } }

impl TaskletItem for Card {
    fn run(this: &Arc<Self>) {
        drop(Workqueue::system().enqueue::<_, 0>(Arc::clone(this)));
    }
}
impl WorkItem for Card {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        drop(Workqueue::system().modify_delayed::<_, 1>(this, 1));
    }
}
impl WorkItem<1> for Card {
    type Pointer = Arc<Self>;
    fn run(_this: Arc<Self>) {}
}

/// TYPED-13: threads use the items while the image detaches and attaches again: a call is refused or accepted,
/// and after the last detach every owner has come back.
#[test]
fn owners_are_conserved_while_attaches_come_and_go() {
    worlds(300, || {
        let driver = Driver::load();
        let card = Arc::new(Card {
            clean: Tasklet::new(),
            work: Work::new(),
            tick: DelayedWork::new(),
        });
        let users: Vec<_> = (0..2)
            .map(|_| {
                let card = Arc::clone(&card);
                world::spawn("user", None, move || {
                    for _ in 0..20 {
                        let own = Arc::clone(&card);
                        match world::choose(8) {
                            0 => drop(card.clean.schedule(own)),
                            1 => drop(Workqueue::system().enqueue::<_, 0>(own)),
                            2 => drop(Workqueue::system().enqueue_delayed::<_, 1>(own, 1)),
                            3 => drop(card.work.cancel_sync()),
                            4 => drop(card.tick.cancel()),
                            5 => {
                                drop(card.work.disable());
                                card.work.enable();
                            }
                            6 => card.clean.kill(),
                            _ => drop(Workqueue::system().try_spawn(move || drop(own))),
                        }
                        world::sleep_100ns(u64::from(world::choose(20)));
                    }
                })
            })
            .collect();
        for _ in 0..3 {
            let attachment = attached(&driver);
            world::sleep_100ns(u64::from(world::choose(200)));
            attachment.detach();
        }
        for user in users {
            user.join();
        }
        sim_assert_eq!(Arc::strong_count(&card), 1);
        sim_assert!(!card.work.is_pending() && !card.tick.is_pending());
        sim_assert!(!card.clean.is_scheduled());
        driver.unload();
    });
}
