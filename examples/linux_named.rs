//! Linux's names: a driver translated line by line. The items are statics, as in C; the calls are `unsafe`, as
//! they are there: that an item stays in place while it is queued is the driver's word.

#[path = "host/mod.rs"]
pub(crate) mod host;

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::Attachment;
use bottomhalf::linux::*;
use kmdf_mock::world::{self, Interrupt};

static RX: tasklet_struct = DECLARE_TASKLET(rx);
static REFILL: work_struct = DECLARE_WORK(refill);
static LINK: delayed_work = DECLARE_DELAYED_WORK(link);
static PACKETS: AtomicU32 = AtomicU32::new(0);

/// The address of a static item, as C writes `&item`.
macro_rules! item {
    ($item:ident) => {
        (&raw const $item).cast_mut()
    };
}

/// The interrupt service routine, at DIRQL.
fn interrupt() {
    PACKETS.fetch_add(1, SeqCst);
    // SAFETY: statics stay in place, and they were initialised where they were declared.
    unsafe { tasklet_schedule(item!(RX)) };
}

/// At DISPATCH_LEVEL; never on two CPUs at once. Scheduled twice before it began, it runs once.
unsafe extern "C" fn rx(_: *mut tasklet_struct) {
    // SAFETY: as in `interrupt`.
    let queued = unsafe { schedule_work(item!(REFILL)) };
    host::say(&format!(
        "rx: {} so far; refill queued: {queued}",
        PACKETS.load(SeqCst)
    ));
}

/// At PASSIVE_LEVEL; may block.
unsafe extern "C" fn refill(_: *mut work_struct) {
    host::say("refill; the link is looked at 30 ms from now");
    // SAFETY: as in `interrupt`.
    unsafe { mod_delayed_work(system_wq(), item!(LINK), msecs_to_jiffies(30)) };
}

/// At PASSIVE_LEVEL, when the delay is over.
unsafe extern "C" fn link(_: *mut work_struct) {
    host::say("link: no packet for 30 ms");
}

/// The driver's life, once it is attached. Returns how many packets came.
pub(crate) fn live(attachment: Attachment) -> u32 {
    let line = Interrupt::connect("card", 7, interrupt);
    for (cpu, pause) in [
        (0, 0),
        (1, 100_000),
        (2, 100_000),
        (3, 500_000),
        (0, 50_000),
    ] {
        line.raise(cpu);
        world::sleep_100ns(pause);
    }
    // The interrupt is quiet. First who queues, then what it queued.
    // SAFETY: as in `interrupt`.
    unsafe {
        tasklet_kill(item!(RX));
        cancel_work_sync(item!(REFILL));
        cancel_delayed_work_sync(item!(LINK));
    }
    attachment.detach(); // nothing of ours runs after it
    PACKETS.swap(0, SeqCst)
}

pub(crate) fn main() {
    println!("{} packets", host::machine(1, live));
}
