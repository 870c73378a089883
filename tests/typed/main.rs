//! The typed face: ownership goes with the queueing, and comes back.

#[path = "../support/mod.rs"]
mod support;

mod closures;
mod disable;
mod queues;
mod tasklets;
mod traffic;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bottomhalf::{
    DelayedWork, HasWork, Tasklet, TaskletItem, Work, WorkItem, Workqueue, impl_has_delayed_work,
    impl_has_tasklet, impl_has_work,
};
use kmdf_mock::world::{self, Gate};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::rows;

/// A device with one of each.
struct Device {
    clean: Tasklet<Device>,
    reset: Work<Device>,
    watchdog: DelayedWork<Device, 1>,
    gate: Gate,
    cleaned: AtomicU32,
    resets: AtomicU32,
    barks: AtomicU32,
    freed: Arc<AtomicU32>,
}

impl_has_tasklet! { impl HasTasklet<Device> for Device { self.clean } }
impl_has_work! { impl HasWork<Device> for Device { self.reset } }
impl_has_delayed_work! { impl HasDelayedWork<Device, 1> for Device { self.watchdog } }

impl TaskletItem for Device {
    fn run(this: &Arc<Self>) {
        sim_assert_eq!(world::current_irql(), 2);
        this.cleaned.fetch_add(1, Ordering::SeqCst);
    }
}

impl WorkItem for Device {
    type Pointer = Arc<Device>;
    fn run(this: Arc<Self>) {
        sim_assert_eq!(world::current_irql(), 0);
        this.resets.fetch_add(1, Ordering::SeqCst);
        this.gate.wait();
    }
}

impl WorkItem<1> for Device {
    type Pointer = Arc<Device>;
    fn run(this: Arc<Self>) {
        this.barks.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.freed.fetch_add(1, Ordering::SeqCst);
    }
}

fn device() -> (Arc<Device>, Arc<AtomicU32>) {
    let freed = Arc::new(AtomicU32::new(0));
    let device = Arc::new(Device {
        clean: Tasklet::new(),
        reset: Work::new(),
        watchdog: DelayedWork::new(),
        gate: Gate::new(),
        cleaned: AtomicU32::new(0),
        resets: AtomicU32::new(0),
        barks: AtomicU32::new(0),
        freed: Arc::clone(&freed),
    });
    (device, freed)
}

/// TYPED-1: the queue holds the reference while the work is pending and gives it to the run: the last one
/// frees the device, inside the function. Dropping the queue runs what is pending (B-49).
#[test]
fn the_run_may_drop_the_last_reference() {
    rows(|_| {
        let (device, freed) = device();
        device.gate.open();
        let queue = Workqueue::unbound(c"typed").build().unwrap();
        sim_assert!(queue.enqueue::<_, 0>(device).is_ok());
        drop(queue);
        sim_assert_eq!(freed.load(Ordering::SeqCst), 1);
    });
}

/// TYPED-1, TYPED-3: a refused queueing hands the reference back, and a cancel returns the one that the queue held.
#[test]
fn refused_and_cancelled_references_come_back() {
    rows(|_| {
        let (device, freed) = device();
        let queue = Workqueue::ordered(c"typed").build().unwrap();
        let (blocker, _) = self::device();
        let gate = blocker.gate.clone();
        sim_assert!(queue.enqueue::<_, 0>(blocker).is_ok());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&device)).is_ok());
        sim_assert!(
            queue.enqueue::<_, 0>(Arc::clone(&device)).is_err(),
            "it is pending"
        );
        sim_assert_eq!(Arc::strong_count(&device), 2);
        sim_assert!(device.reset.cancel_sync().is_some());
        sim_assert_eq!(Arc::strong_count(&device), 1);
        sim_assert!(device.reset.cancel_sync().is_none(), "it is idle");
        gate.open();
        drop(queue);
        sim_assert_eq!(device.resets.load(Ordering::SeqCst), 0);
        drop(device);
        sim_assert_eq!(freed.load(Ordering::SeqCst), 1);
    });
}

/// TYPED-1, TYPED-2, TYPED-3: a delayed work keeps its device; modifying a pending one hands the spare reference
/// back.
#[test]
fn a_delayed_work_keeps_its_device() {
    rows(|_| {
        let (device, freed) = device();
        let queue = Workqueue::bound(c"typed").build().unwrap();
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 1000)
                .is_ok()
        );
        sim_assert!(
            queue
                .enqueue_delayed::<_, 1>(Arc::clone(&device), 1)
                .is_err()
        );
        sim_assert!(
            queue
                .modify_delayed::<_, 1>(Arc::clone(&device), 2)
                .is_some(),
            "a spare one"
        );
        sim_assert_eq!(Arc::strong_count(&device), 2);
        support::wait_until({
            let device = Arc::clone(&device);
            move || device.barks.load(Ordering::SeqCst) == 1
        });
        sim_assert!(
            queue
                .modify_delayed::<_, 1>(Arc::clone(&device), 1000)
                .is_none(),
            "it is armed"
        );
        sim_assert!(device.watchdog.cancel_sync().is_some());
        drop(queue);
        drop(device);
        sim_assert_eq!(freed.load(Ordering::SeqCst), 1);
    });
}

/// TYPED-4: a tasklet's reference is dropped only when the engine is done with the tasklet: here it is the
/// last one, and the memory goes with it (B-64).
#[test]
fn a_tasklet_may_hold_the_last_reference() {
    rows(|_| {
        let (device, freed) = device();
        world::at_dispatch(|| {
            sim_assert!(device.clean.schedule(Arc::clone(&device)).is_ok());
            sim_assert!(
                device.clean.schedule(Arc::clone(&device)).is_err(),
                "it is scheduled"
            );
        });
        let (other, _) = self::device();
        sim_assert!(
            device.clean.schedule(other).is_err(),
            "not the owner of this tasklet"
        );
        device.clean.kill();
        sim_assert_eq!(device.cleaned.load(Ordering::SeqCst), 1);
        sim_assert_eq!(Arc::strong_count(&device), 1);
        sim_assert!(device.clean.schedule(Arc::clone(&device)).is_ok());
        drop(device);
        world::settle();
        sim_assert_eq!(freed.load(Ordering::SeqCst), 1);
    });
}

/// A work in a box, with a counter that says whether it has run.
struct Request {
    work: Work<Request>,
    done: Arc<AtomicU32>,
}

fn request(done: &Arc<AtomicU32>) -> Pin<Box<Request>> {
    Box::pin(Request {
        work: Work::new(),
        done: Arc::clone(done),
    })
}

impl_has_work! { impl HasWork<Request> for Request { self.work } }
impl WorkItem for Request {
    type Pointer = Pin<Box<Request>>;
    fn run(this: Self::Pointer) {
        this.done.fetch_add(1, Ordering::SeqCst);
    }
}

/// TYPED-1: a boxed request is a fire-and-forget work: made, queued, run, freed.
#[test]
fn a_boxed_request_frees_itself() {
    rows(|_| {
        let done = Arc::new(AtomicU32::new(0));
        for _ in 0..20 {
            sim_assert!(Workqueue::system().enqueue(request(&done)).is_ok());
        }
        world::settle();
        sim_assert_eq!(done.load(Ordering::SeqCst), 20);
        sim_assert_eq!(Arc::strong_count(&done), 1);
    });
}

/// A container with parameters of its own: the macro takes them, and the work finds the right function and
/// the right field for each instance of the type.
struct Holder<T, const N: usize> {
    items: [T; N],
    work: Work<Holder<T, N>>,
    sum: Arc<AtomicU32>,
}
impl_has_work! {
    impl{T: Into<u32> + Copy + Send + 'static, const N: usize} HasWork<Self> for Holder<T, N> { self.work }
}
impl<T: Into<u32> + Copy + Send + 'static, const N: usize> WorkItem for Holder<T, N> {
    type Pointer = Pin<Box<Self>>;
    fn run(this: Self::Pointer) {
        let sum = this.items.iter().map(|&item| item.into()).sum::<u32>();
        this.sum.fetch_add(sum, Ordering::SeqCst);
    }
}

fn holder<T: Copy, const N: usize>(items: [T; N], sum: &Arc<AtomicU32>) -> Pin<Box<Holder<T, N>>>
where
    Holder<T, N>: WorkItem + HasWork<Holder<T, N>>,
{
    Box::pin(Holder {
        items,
        work: Work::new(),
        sum: Arc::clone(sum),
    })
}

#[test]
fn a_generic_container_runs_its_own_function() {
    rows(|_| {
        let sum = Arc::new(AtomicU32::new(0));
        let system = Workqueue::system();
        sim_assert!(system.enqueue(holder([1_u8; 3], &sum)).is_ok());
        sim_assert!(system.enqueue(holder([100_u32, 200], &sum)).is_ok());
        sim_assert!(system.enqueue(holder([0_u16; 0], &sum)).is_ok());
        system.flush();
        sim_assert_eq!(sum.load(Ordering::SeqCst), 303);
        sim_assert_eq!(Arc::strong_count(&sum), 1);
    });
}

/// Two works of one type are told apart by their number, and a nested field may be one.
struct Port {
    inner: Inner,
    down: Work<Port, 1>,
    trace: support::Trace,
}
struct Inner {
    up: Work<Port>,
}
impl_has_work! { impl HasWork<Self> for Port { self.inner.up } }
impl_has_work! { impl HasWork<Port, 1> for Port { self.down } }
impl WorkItem for Port {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        this.trace.add('u');
    }
}
impl WorkItem<1> for Port {
    type Pointer = Arc<Self>;
    fn run(this: Arc<Self>) {
        this.trace.add('d');
    }
}

#[test]
fn the_number_of_a_work_chooses_its_function() {
    rows(|_| {
        let port = Arc::new(Port {
            inner: Inner { up: Work::new() },
            down: Work::new(),
            trace: support::Trace::default(),
        });
        let queue = Workqueue::ordered(c"port").build().unwrap();
        sim_assert!(queue.enqueue::<_, 1>(Arc::clone(&port)).is_ok());
        sim_assert!(queue.enqueue::<_, 0>(Arc::clone(&port)).is_ok());
        drop(queue);
        sim_assert_eq!(port.trace.get(), "du");
        sim_assert!(!port.down.is_pending() && !port.inner.up.is_pending());
        sim_assert_eq!(Arc::strong_count(&port), 1);
    });
}
