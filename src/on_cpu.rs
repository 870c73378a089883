//! Functions that run on a CPU, and whose end the caller waits for.

use core::ffi::c_void;
use core::mem::offset_of;

use crate::engine::backend::{Backend, Irql};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::kmdf::Kmdf;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::work::{
    DECLARE_WORK, INIT_WORK, cancel_work_sync, flush_work, schedule_work_on, work_func_t,
    work_struct,
};

/// Function of [`work_on_cpu`]. What it returns is Linux's `long`.
pub type work_on_cpu_t = unsafe extern "C" fn(arg: *mut c_void) -> i64;

/// Linux's `ENODEV`, without its sign.
const ENODEV: i32 = 19;
/// Linux's `ENOMEM`.
const ENOMEM: i32 = 12;
/// Linux's `EDEADLK`.
const EDEADLK: i32 = 35;
/// Linux's `EINVAL`.
const EINVAL: i32 = 22;

/// A work on the stack of whoever waits for it.
#[repr(C)]
struct OnCpu {
    work: work_struct,
    func: work_on_cpu_t,
    arg: *mut c_void,
    result: AtomicU64,
}

/// Runs `func(arg)` on `cpu`, as a work of [`system_wq`](crate::system_queues::system_wq), and returns what it
/// returns. Linux: `work_on_cpu`.
///
/// `-ENODEV` (-19) if the CPU is not active, or nothing is attached (BH03); `-EDEADLK` (-35) from a work of
/// `system_wq` that takes the last place that `max_active` leaves for that CPU (BH07). Nothing was run then.
///
/// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL (BH06) nothing is run, and the result is `-EINVAL` (-22).
///
/// # Safety
///
/// `func` may be called with `arg` on another thread.
pub unsafe fn work_on_cpu(cpu: i32, func: work_on_cpu_t, arg: *mut c_void) -> i64 {
    if let Err(error) = may_wait("work_on_cpu") {
        return i64::from(-error);
    }
    if !is_active(cpu) {
        return i64::from(-ENODEV);
    }
    let on_cpu = OnCpu {
        work: DECLARE_WORK(run_on_cpu),
        func,
        arg,
        result: AtomicU64::new(0),
    };
    let this = (&raw const on_cpu).cast_mut();
    this.expose_provenance();
    let work = this.cast::<work_struct>();
    // SAFETY: it is initialised, and stays until the flush has returned: nobody can cancel it.
    if !unsafe { schedule_work_on(cpu, work) } {
        return i64::from(-ENODEV);
    }
    // SAFETY: as above.
    unsafe { flush_work(work) };
    // The flush is refused if the work is queued behind the caller (BH07). It must not stay.
    // SAFETY: as above.
    if unsafe { cancel_work_sync(work) } {
        return i64::from(-EDEADLK);
    }
    // ORDERING: the end of the flush orders the run before it.
    on_cpu.result.load(Relaxed).cast_signed()
}

/// [`work_on_cpu`]. Linux's form keeps the CPU from going offline meanwhile; on NT none goes. Linux:
/// `work_on_cpu_safe`.
///
/// IRQL: = PASSIVE. Blocks. Returns as [`work_on_cpu`] does.
///
/// # Safety
///
/// As for [`work_on_cpu`].
pub unsafe fn work_on_cpu_safe(cpu: i32, func: work_on_cpu_t, arg: *mut c_void) -> i64 {
    // SAFETY: by the caller's word.
    unsafe { work_on_cpu(cpu, func, arg) }
}

unsafe extern "C" fn run_on_cpu(work: *mut work_struct) {
    const { assert!(offset_of!(OnCpu, work) == 0) };
    let this = core::ptr::with_exposed_provenance::<OnCpu>(work.addr());
    // SAFETY: `work_on_cpu` waits for the end of this function, and keeps it until then.
    let this = unsafe { &*this };
    // SAFETY: by the word of its caller.
    let result = unsafe { (this.func)(this.arg) };
    // ORDERING: the end of the run publishes it.
    this.result.store(result.cast_unsigned(), Relaxed);
}

/// Runs `func` as a work on every active CPU, and waits until all of them have ended.
/// Linux: `schedule_on_each_cpu`.
///
/// Returns 0; `-ENOMEM` (-12) if there is no memory for a work for each CPU, and nothing was run; `-ENODEV`
/// (-19) if nothing is attached, or is any more (BH03), `-EDEADLK` (-35) as for [`work_on_cpu`], and not all
/// were run.
///
/// IRQL: = PASSIVE. Blocks. At DISPATCH_LEVEL (BH06) nothing is run, and the result is `-EINVAL` (-22). Pool
/// memory is allocated, and freed before it returns.
///
/// # Safety
///
/// `func` may be called on other threads. It does not free or queue its work.
pub unsafe fn schedule_on_each_cpu(func: work_func_t) -> i32 {
    if let Err(error) = may_wait("schedule_on_each_cpu") {
        return -error;
    }
    let cpus = Kmdf::active_cpus() as usize;
    let memory = Kmdf::allocate(cpus * size_of::<work_struct>());
    if memory.is_null() {
        return -ENOMEM;
    }
    let works = memory.cast::<work_struct>();
    let mut queued = 0;
    for cpu in 0..cpus {
        // SAFETY: there is room for `cpus` works, aligned to 16 bytes.
        unsafe { INIT_WORK(works.add(cpu), func) };
        // SAFETY: it stays until the flush below has returned.
        queued += usize::from(unsafe { schedule_work_on(cpu as i32, works.add(cpu)) });
    }
    let mut behind = 0;
    for cpu in 0..cpus {
        // SAFETY: as above; one that was refused is idle.
        unsafe { flush_work(works.add(cpu)) };
        // As in `work_on_cpu`.
        // SAFETY: as above.
        behind += usize::from(unsafe { cancel_work_sync(works.add(cpu)) });
    }
    // SAFETY: every work has run or is cancelled, and nobody else knows of them.
    unsafe { Kmdf::free(memory) };
    match (queued == cpus, behind) {
        (true, 0) => 0,
        (true, _) => -EDEADLK,
        (false, _) => -ENODEV,
    }
}

fn is_active(cpu: i32) -> bool {
    u32::try_from(cpu).is_ok_and(|cpu| cpu < Kmdf::active_cpus())
}

fn may_wait(call: &str) -> Result<(), i32> {
    if Kmdf::irql() > Irql::APC {
        report::<Kmdf>(Diagnostic::WaitAtDispatch, call, 0, 0);
        return Err(EINVAL);
    }
    Ok(())
}
