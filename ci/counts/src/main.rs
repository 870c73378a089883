//! The operations that `ci/counts.sh` counts the instructions of.
//!
//! Each operation has a function `op_…`, whose calls callgrind counts: callgrind is told to begin and to dump
//! there. They are made at DISPATCH_LEVEL on a simulated machine with one CPU, so that nothing else
//! runs; the simulator's own instructions are subtracted by `bin/budget.rs`.

use std::hint::black_box;

use bottomhalf::linux::*;
use bottomhalf::{Config, Host, WorkReentrance, attach};
use kmdf_mock::world::{self, Driver, Preemption, Sim};

/// Items of a batch: Linux's counts are of as many.
const BATCH: usize = 1000;

/// Everything that the operations work on.
struct Bench {
    wq: *mut workqueue_struct,
    tasklets: Vec<tasklet_struct>,
    works: Vec<delayed_work>,
}

unsafe extern "C" fn nothing(_: *mut work_struct) {}
unsafe extern "C" fn no_tasklet(_: *mut tasklet_struct) {}

/// A call in the way of a driver: not inlined, and behind the loop of the negative control.
macro_rules! call {
    ($function:expr, $($argument:expr),*) => {{
        // SAFETY: the bench's items and queue are initialised, and stay in place until the end.
        let mut call = || unsafe { black_box($function)($($argument),*) };
        if cfg!(feature = "slow") { slowly(call) } else { call() }
    }};
}

/// Executes some 40 instructions too many.
#[inline(never)]
fn slowly<R>(mut call: impl FnMut() -> R) -> R {
    for round in 0..20_u32 {
        black_box(round);
    }
    call()
}

type OnTasklet = unsafe fn(*mut tasklet_struct);
type OnWork = unsafe fn(*mut workqueue_struct, *mut work_struct) -> bool;
type OnDelayed = unsafe fn(*mut workqueue_struct, *mut delayed_work, u64) -> bool;
type Cancel = unsafe fn(*mut delayed_work) -> bool;

impl Bench {
    #[inline(always)]
    fn each_tasklet(&mut self, call: OnTasklet) {
        for tasklet in &mut self.tasklets {
            call!(call, tasklet);
        }
    }

    #[inline(always)]
    fn each_work(&mut self, call: OnWork, answer: bool) {
        let wq = self.wq;
        for work in &mut self.works {
            assert_eq!(call!(call, wq, &raw mut work.work), answer);
        }
    }

    /// Delays from all over, none twice.
    #[inline(always)]
    fn each_delayed(&mut self, call: OnDelayed, answer: bool) {
        let wq = self.wq;
        for (index, work) in self.works.iter_mut().enumerate() {
            let delay = 1000 + (index * 7919 % BATCH) as u64;
            assert_eq!(call!(call, wq, work, delay), answer);
        }
    }

    #[inline(always)]
    fn each_cancel(&mut self, call: Cancel, answer: bool) {
        for work in &mut self.works {
            assert_eq!(call!(call, work), answer);
        }
    }
}

macro_rules! operations {
    ($($name:ident: $bench:ident => $body:expr;)*) => { $(
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name($bench: &mut Bench) {
            // Or else functions of the same body become one.
            black_box(stringify!($name));
            $body;
        }
    )* };
}

operations! {
    op_tasklet_schedule_idle: bench => bench.each_tasklet(tasklet_schedule);
    op_tasklet_schedule_pending: bench => bench.each_tasklet(tasklet_schedule);
    op_tasklet_disable_enable: bench => {
        bench.each_tasklet(tasklet_disable_nosync);
        bench.each_tasklet(tasklet_enable)
    };
    op_queue_work_idle: bench => bench.each_work(queue_work, true);
    op_queue_work_pending: bench => bench.each_work(queue_work, false);
    op_cancel_work_pending: bench => bench.each_cancel(cancel_delayed_work, true);
    op_cancel_work_idle: bench => bench.each_cancel(cancel_delayed_work, false);
    op_queue_delayed_work_idle: bench => bench.each_delayed(queue_delayed_work, true);
    op_queue_delayed_work_pending: bench => bench.each_delayed(queue_delayed_work, false);
    op_mod_delayed_work_pending: bench => bench.each_delayed(mod_delayed_work, true);
    op_cancel_delayed_work_pending: bench => bench.each_cancel(cancel_delayed_work, true);
}

/// Runs every operation once, in an order in which each finds the state that its name says.
fn run(bench: &mut Bench) {
    world::at_dispatch(|| {
        for operation in [
            op_tasklet_disable_enable,
            op_tasklet_schedule_idle,
            op_tasklet_schedule_pending,
            op_queue_work_idle,
            op_queue_work_pending,
            op_cancel_work_pending,
            op_cancel_work_idle,
            op_queue_delayed_work_idle,
            op_queue_delayed_work_pending,
            op_mod_delayed_work_pending,
            op_cancel_delayed_work_pending,
        ] {
            operation(bench);
        }
    });
}

fn main() {
    let machine = Sim::new(0)
        .cpus(1)
        .preemption(Preemption::Never)
        .step_limit(100_000_000);
    let run = machine.run(|| {
        let driver = Driver::load();
        let host = Host::Driver(driver.handle().cast());
        // SAFETY: the driver stays loaded until the attachment is dropped below.
        let attachment = unsafe { attach(host, &Config::new(WorkReentrance::NonReentrant)) };
        let attachment = attachment.expect("a fresh machine has the resources");
        let mut bench = Bench {
            wq: alloc_workqueue(c"counts", 0, 0),
            tasklets: (0..BATCH).map(|_| tasklet_struct::new()).collect(),
            works: (0..BATCH).map(|_| delayed_work::new()).collect(),
        };
        for tasklet in &mut bench.tasklets {
            // SAFETY: fresh memory.
            unsafe { tasklet_setup(tasklet, no_tasklet) };
        }
        for work in &mut bench.works {
            // SAFETY: fresh memory.
            unsafe { INIT_DELAYED_WORK(work, nothing) };
        }
        run(&mut bench);
        world::settle();
        // SAFETY: every work has been cancelled.
        unsafe { destroy_workqueue(bench.wq) };
        attachment.detach();
        driver.unload();
    });
    run.unwrap_or_else(|failure| panic!("{failure}"));
}
