//! The typed face: an interrupt schedules a tasklet, the tasklet queues a work, a delayed work arms itself.
//! Whatever is queued holds a reference to the sensor: nothing is freed early, and there is no `unsafe`.
#![deny(unsafe_code)]

#[path = "host/mod.rs"]
pub(crate) mod host;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use bottomhalf::linux::msecs_to_jiffies as ms;
use bottomhalf::{Attachment, DelayedWork, Tasklet, TaskletItem, Work, WorkItem, Workqueue};
use bottomhalf::{impl_has_delayed_work, impl_has_tasklet, impl_has_work};
use kmdf_mock::world::{self, Interrupt};

struct Sensor {
    read: Tasklet<Sensor>,
    evaluate: Work<Sensor>,
    report: DelayedWork<Sensor, 1>,
    queue: Workqueue,
    samples: AtomicU32,
}
impl_has_tasklet! { impl HasTasklet<Self> for Sensor { self.read } }
impl_has_work! { impl HasWork<Self> for Sensor { self.evaluate } }
impl_has_delayed_work! { impl HasDelayedWork<Self, 1> for Sensor { self.report } }

impl TaskletItem for Sensor {
    fn run(this: &Arc<Self>) {
        host::say("tasklet: a sample is read");
        this.samples.fetch_add(1, SeqCst);
        // Refused, it hands the reference back: the work is queued already, and sees this sample too.
        let _ = this.queue.enqueue::<_, 0>(Arc::clone(this));
    }
}
impl WorkItem<0> for Sensor {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        let samples = this.samples.load(SeqCst);
        host::say(&format!("work: samples so far: {samples}; it may block"));
    }
}
impl WorkItem<1> for Sensor {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        host::say("delayed work: again in 20 ms");
        let _ = Workqueue::system().enqueue_delayed::<_, 1>(this, ms(20));
    }
}

/// The driver's life, once it is attached. Returns how many samples it has read.
pub(crate) fn live(attachment: Attachment) -> u32 {
    let sensor = Arc::new(Sensor {
        read: Tasklet::new(),
        evaluate: Work::new(),
        report: DelayedWork::new(),
        queue: Workqueue::ordered(c"sensor").build().expect("memory"),
        samples: AtomicU32::new(0),
    });
    let weak = Arc::downgrade(&sensor);
    let line = Interrupt::connect("sensor", 7, move || {
        let sensor = weak.upgrade();
        let _ = sensor.map(|sensor| sensor.read.schedule(Arc::clone(&sensor)));
    });
    let _ = Workqueue::system().enqueue_delayed::<_, 1>(Arc::clone(&sensor), 0);
    for cpu in [0, 1, 2, 3, 0, 1] {
        line.raise(cpu);
        world::sleep_100ns(80_000);
    }
    // The interrupt is quiet. First who queues, then what it queued; each cancel hands a reference back.
    sensor.read.kill();
    drop((sensor.evaluate.cancel_sync(), sensor.report.cancel_sync()));
    let sensor = Arc::into_inner(sensor).expect("no queue holds a reference any more");
    drop(sensor.queue);
    attachment.detach(); // nothing of ours runs after it
    sensor.samples.into_inner()
}

pub(crate) fn main() {
    println!("samples: {}", host::machine(1, live));
}
