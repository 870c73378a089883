//! Removal under load: interrupts come on four CPUs, a work queues itself for ever, a watchdog arms itself, and
//! then the device goes. The order is what makes it safe: first who queues, then what it queued.

#[path = "host/mod.rs"]
pub(crate) mod host;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use bottomhalf::{Attachment, Counters, Workqueue, counters};
use bottomhalf::{DelayedWork, Tasklet, TaskletItem, Work, WorkItem};
use kmdf_mock::world::{self, Interrupt};

struct Card {
    clean: Tasklet<Card>,
    poll: Work<Card>,
    watchdog: DelayedWork<Card, 1>,
    queue: Workqueue,
    masked: AtomicBool,
}
bottomhalf::impl_has_tasklet! { impl HasTasklet<Self> for Card { self.clean } }
bottomhalf::impl_has_work! { impl HasWork<Self> for Card { self.poll } }
bottomhalf::impl_has_delayed_work! { impl HasDelayedWork<Self, 1> for Card { self.watchdog } }

impl TaskletItem for Card {
    fn run(this: &Arc<Self>) {
        let _ = this.queue.enqueue::<_, 0>(Arc::clone(this));
    }
}
impl WorkItem<0> for Card {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        world::sleep_100ns(500);
        let _ = this.clean.schedule(Arc::clone(&this));
        let _ = Arc::clone(&this).queue.enqueue::<_, 0>(this);
    }
}
impl WorkItem<1> for Card {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let _ = Arc::clone(&this).queue.enqueue_delayed::<_, 1>(this, 1);
    }
}

/// The device comes, works, and goes. Returns the counts at the end.
pub(crate) fn live(attachment: Attachment) -> Counters {
    let card = Arc::new(Card {
        clean: Tasklet::new(),
        poll: Work::new(),
        watchdog: DelayedWork::new(),
        queue: Workqueue::unbound(c"card").build().expect("memory"),
        masked: AtomicBool::new(false),
    });
    let weak = Arc::downgrade(&card);
    let line = Arc::new(Interrupt::connect("card", 7, move || {
        let card = weak.upgrade().filter(|card| !card.masked.load(SeqCst));
        let _ = card.map(|card| card.clean.schedule(Arc::clone(&card)));
    }));
    let _ = card.queue.enqueue_delayed::<_, 1>(Arc::clone(&card), 0);
    let wire = host::storm(&line);
    world::sleep_100ns(60_000);
    host::print_counts(&counters()); // In the middle of it, the device is removed.
    card.masked.store(true, SeqCst); // 1. The source: the card interrupts no more,
    while !line.is_idle() {
        world::sleep_100ns(100); // and no service routine is under way.
    }
    drop(card.poll.disable_sync()); // 2. The tasklet and this work queue each other: one is disabled,
    card.clean.kill(); // so that the other's last run queues nothing.
    drop(card.watchdog.cancel_sync()); // 3. Held off while it is cancelled, also by itself.
    let card = Arc::into_inner(card).expect("no queue holds a reference any more");
    drop(card.queue); // 4. Nothing is on it.
    let counts = counters();
    attachment.detach(); // 5. Nothing of ours runs any more: the driver may be unloaded.
    wire.join();
    counts
}

pub(crate) fn main() {
    host::print_counts(&host::machine(1, live));
}
