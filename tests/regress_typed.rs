//! The typed face against detach: safe code does not reach a queue that detach has freed.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::{
    Attachment, Config, Host, Tasklet, TaskletItem, Work, WorkItem, Workqueue, attach, counters,
    impl_has_tasklet, impl_has_work,
};
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

/// The last detach destroys a queue that is left (BH13). Its handle refuses from then on, also when the
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

/// A tasklet that was left at detach is enabled under the next attach: it runs there, its owner is dropped, and the
/// counts of that attach hold.
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

/// It is enabled, or killed, while nothing is attached: the schedule is over, and its owner is dropped. Under the
/// next attach the tasklet is like a new one, however the calls follow each other.
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
