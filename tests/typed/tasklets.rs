//! Tasklets that are disabled, killed, or hold the last reference.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::{Tasklet, TaskletItem, Workqueue, impl_has_tasklet};
use kmdf_mock::world;
use kmdf_mock::{sim_assert, sim_assert_eq};

use super::support::{Trace, rows, still_waits};

/// Two tasklets that leave letters.
struct Card {
    first: Tasklet<Card>,
    second: Tasklet<Card, 1>,
    trace: Trace,
    freed_at: Arc<AtomicU32>,
    queue: Option<Workqueue>,
}
impl_has_tasklet! { impl HasTasklet<Self> for Card { self.first } }
impl_has_tasklet! { impl HasTasklet<Self, 1> for Card { self.second } }

impl TaskletItem for Card {
    fn run(this: &Arc<Self>) {
        this.trace.add('f');
    }
}
impl TaskletItem<1> for Card {
    fn run(this: &Arc<Self>) {
        this.trace.add('s');
        // Counts from the next run on (row T18).
        this.second.disable_nosync();
    }
}
impl Drop for Card {
    fn drop(&mut self) {
        self.freed_at
            .store(100 + u32::from(world::current_irql()), SeqCst);
    }
}

fn card(queue: Option<Workqueue>) -> (Arc<Card>, Arc<AtomicU32>) {
    let freed_at = Arc::new(AtomicU32::new(0));
    let card = Card {
        first: Tasklet::new_disabled(),
        second: Tasklet::new(),
        trace: Trace::default(),
        freed_at: Arc::clone(&freed_at),
        queue,
    };
    (Arc::new(card), freed_at)
}

/// TYPED-8, T07, T08, T25: a disabled tasklet stays scheduled, with its owner, and runs when it is enabled.
#[test]
fn a_disabled_tasklet_runs_when_it_is_enabled() {
    rows(|_| {
        let (card, _) = card(None);
        sim_assert!(card.first.schedule(Arc::clone(&card)).is_ok());
        sim_assert!(card.first.schedule(Arc::clone(&card)).is_err());
        world::settle();
        sim_assert!(card.first.is_scheduled());
        sim_assert_eq!(card.trace.get(), "");
        sim_assert_eq!(Arc::strong_count(&card), 2);
        card.first.disable();
        card.first.enable();
        world::settle();
        sim_assert_eq!(card.trace.get(), "", "disabled once more");
        card.first.enable();
        world::settle();
        sim_assert_eq!(card.trace.get(), "f");
        sim_assert!(!card.first.is_scheduled());
        sim_assert_eq!(Arc::strong_count(&card), 1);
    });
}

/// TYPED-4, T06: high priority comes first.
#[test]
fn a_hi_schedule_comes_first() {
    rows(|_| {
        let (card, _) = card(None);
        card.first.enable();
        world::at_dispatch(|| {
            sim_assert!(card.first.schedule(Arc::clone(&card)).is_ok());
            sim_assert!(card.second.hi_schedule(Arc::clone(&card)).is_ok());
        });
        world::settle();
        sim_assert_eq!(card.trace.get(), "sf");
        card.second.enable();
        sim_assert_eq!(Arc::strong_count(&card), 1);
    });
}

/// TYPED-4, TYPED-8, T12, T13: a kill waits for the disabled tasklet's run; schedules meanwhile are refused and
/// hand their owner back.
#[test]
fn a_kill_refuses_and_waits() {
    rows(|_| {
        let (card, _) = card(None);
        sim_assert!(card.first.schedule(Arc::clone(&card)).is_ok());
        let killer = world::spawn("killer", None, {
            let card = Arc::clone(&card);
            move || card.first.kill()
        });
        still_waits(&killer);
        sim_assert!(card.first.schedule(Arc::clone(&card)).is_err());
        card.first.enable();
        killer.join();
        sim_assert_eq!(card.trace.get(), "f");
        sim_assert_eq!(Arc::strong_count(&card), 1);
        sim_assert!(
            card.first.schedule(Arc::clone(&card)).is_ok(),
            "after it, again"
        );
        card.first.kill();
    });
}

/// TYPED-4: the last reference goes with the run, at DISPATCH_LEVEL. A container that owns a queue cannot end it
/// there: it is left to the detach (BH06, BH13), and nothing is touched that is gone.
#[test]
fn the_last_reference_is_dropped_at_dispatch() {
    rows(|rig| {
        rig.expect(&["BH06", "BH13"]);
        let queue = Workqueue::unbound(c"lost").build().unwrap();
        let (card, freed_at) = card(Some(queue));
        card.first.enable();
        let first = Arc::clone(&card);
        sim_assert!(first.queue.is_some());
        world::at_dispatch(|| {
            sim_assert!(card.first.schedule(first).is_ok());
            drop(card);
        });
        world::settle();
        sim_assert_eq!(freed_at.load(SeqCst), 102);
    });
}
