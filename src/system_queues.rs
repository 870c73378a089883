//! The queues that every image has, as `linux/workqueue.h` has them.
//!
//! In Linux they belong to the whole kernel, and are variables. Here they belong to the driver image:
//! attach makes them, a WDFWORKITEM each but for the two of `WQ_BH`, and only the driver's own works are on them. So what Linux
//! warns about, flushing one of them, waits for nobody else here.
//!
//! Each function returns null while nothing is attached. A driver may keep what it returns: it is a
//! name, so after another attach it means the queue of that one.

use crate::kmdf::{System, system_name};
use crate::workqueue::{flush_workqueue, workqueue_struct};

/// The queue of `schedule_work` and `schedule_delayed_work`: bound, the default `max_active`. Linux:
/// `system_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_wq() -> *mut workqueue_struct {
    system_name(System::PerCpu).cast()
}

/// [`system_wq`] under its new name. Linux: `system_percpu_wq`, since 6.17.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_percpu_wq() -> *mut workqueue_struct {
    system_wq()
}

/// A bound queue for works that are to run before others: made with `WQ_HIGHPRI`. Linux:
/// `system_highpri_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_highpri_wq() -> *mut workqueue_struct {
    system_name(System::Highpri).cast()
}

/// A bound queue for works that take long, so that a flush of [`system_wq`] does not wait for them.
/// Linux: `system_long_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_long_wq() -> *mut workqueue_struct {
    system_name(System::Long).cast()
}

/// A queue with one FIFO for all CPUs: made with `WQ_UNBOUND`. Linux: `system_unbound_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_unbound_wq() -> *mut workqueue_struct {
    system_name(System::Unbound).cast()
}

/// [`system_unbound_wq`] under its new name. Linux: `system_dfl_wq`, since 6.17.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_dfl_wq() -> *mut workqueue_struct {
    system_unbound_wq()
}

/// As [`system_dfl_wq`], for works that take long. Linux: `system_dfl_long_wq`, since 7.1.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_dfl_long_wq() -> *mut workqueue_struct {
    system_name(System::UnboundLong).cast()
}

/// A bound queue that stands still while the driver is frozen: made with `WQ_FREEZABLE`. Linux:
/// `system_freezable_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_freezable_wq() -> *mut workqueue_struct {
    system_name(System::Freezable).cast()
}

/// A queue for works that may run on any CPU to save power: made with `WQ_POWER_EFFICIENT`, which means
/// bound, as in Linux without its option. Linux: `system_power_efficient_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_power_efficient_wq() -> *mut workqueue_struct {
    system_name(System::PowerEfficient).cast()
}

/// [`system_power_efficient_wq`] that stands still while the driver is frozen. Linux:
/// `system_freezable_power_efficient_wq`.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_freezable_power_efficient_wq() -> *mut workqueue_struct {
    system_name(System::FreezablePowerEfficient).cast()
}

/// A queue whose works run as tasklets do: made with `WQ_BH`. Linux: `system_bh_wq`, since 6.9.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_bh_wq() -> *mut workqueue_struct {
    system_name(System::BottomHalf).cast()
}

/// [`system_bh_wq`] for works that run before the others: made with `WQ_HIGHPRI` too. Linux:
/// `system_bh_highpri_wq`, since 6.9.
///
/// IRQL: any. Does not block.
#[must_use]
pub fn system_bh_highpri_wq() -> *mut workqueue_struct {
    system_name(System::BottomHalfHighpri).cast()
}

/// Waits until every work that is queued on [`system_wq`] now has run. Linux: `flush_scheduled_work`,
/// which warns, since there it waits for the whole kernel's.
///
/// IRQL: = PASSIVE. Blocks. From a work of that queue (BH07), or at DISPATCH_LEVEL (BH06), it returns at
/// once and says so.
pub fn flush_scheduled_work() {
    // SAFETY: null or a name, which is looked up.
    unsafe { flush_workqueue(system_wq()) };
}
