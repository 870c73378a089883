use bottomhalf::linux::*;
use bottomhalf::{Attachment, Config, Host, Status, WorkReentrance, attach};

static CLEAN: tasklet_struct = DECLARE_TASKLET(clean);
static ACCOUNT: work_struct = DECLARE_WORK(account);
static WATCHDOG: delayed_work = DECLARE_DELAYED_WORK(watchdog);

unsafe extern "C" fn clean(_: *mut tasklet_struct) {
    unsafe { schedule_work((&raw const ACCOUNT).cast_mut()) }; // at DISPATCH_LEVEL
}
unsafe extern "C" fn account(_: *mut work_struct) {} // at PASSIVE_LEVEL; may block
unsafe extern "C" fn watchdog(work: *mut work_struct) {
    unsafe { schedule_delayed_work(to_delayed_work(work), HZ) }; // again in a second
}
fn device_add(driver: *mut core::ffi::c_void) -> Result<Attachment, Status> { // in EvtDriverDeviceAdd
    let attached = unsafe { attach(Host::Driver(driver), &Config::new(WorkReentrance::SelfReentrant))? };
    unsafe { schedule_delayed_work((&raw const WATCHDOG).cast_mut(), HZ) };
    Ok(attached) // to keep in the device's context
}
fn isr() { unsafe { tasklet_schedule((&raw const CLEAN).cast_mut()) } } // EvtInterruptIsr, at DIRQL
fn device_remove(attached: Attachment) { // at PASSIVE_LEVEL: stop what re-arms itself, then detach
    unsafe { cancel_delayed_work_sync((&raw const WATCHDOG).cast_mut()) };
    unsafe { tasklet_kill((&raw const CLEAN).cast_mut()) };
    attached.detach(); // runs what is pending; nothing of ours runs after it
}
