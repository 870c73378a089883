//! The calls that a driver makes, over the naive mapping and over bottomhalf.
//!
//! A scenario is generic over [`Linux`], so what differs between a conviction and a pass is the mapping.

use bottomhalf::{Attachment, Config, Host, WorkReentrance, attach, linux};
use kmdf_mock::WDFDEVICE;
use kmdf_mock::world::{Driver, debug_log};

use super::mapping;

/// The Linux calls of a driver, with Linux's names.
pub trait Linux: Sized + 'static {
    /// `struct tasklet_struct`.
    type Tasklet: 'static;
    /// `struct work_struct`.
    type Work: 'static;
    /// `struct delayed_work`; `work` is its first member.
    type DelayedWork: 'static;

    /// Prepares a driver for deferred work.
    fn attach(driver: &Driver, reentrance: WorkReentrance) -> Self;
    /// Ends it. Returns complaints about what the driver did.
    fn detach(self, driver: &Driver) -> Vec<String>;

    /// Memory of a tasklet, not set up.
    fn tasklet() -> Self::Tasklet;
    /// Memory of a work, not initialised.
    fn work() -> Self::Work;
    /// Memory of a delayed work, not initialised.
    fn delayed_work() -> Self::DelayedWork;

    unsafe fn tasklet_setup(t: *mut Self::Tasklet, f: unsafe extern "C" fn(*mut Self::Tasklet));
    unsafe fn tasklet_schedule(t: *mut Self::Tasklet);
    unsafe fn tasklet_kill(t: *mut Self::Tasklet);
    unsafe fn tasklet_disable(t: *mut Self::Tasklet);
    unsafe fn tasklet_enable(t: *mut Self::Tasklet);

    unsafe fn INIT_WORK(work: *mut Self::Work, f: unsafe extern "C" fn(*mut Self::Work));
    unsafe fn schedule_work(work: *mut Self::Work) -> bool;
    unsafe fn flush_work(work: *mut Self::Work) -> bool;
    unsafe fn cancel_work_sync(work: *mut Self::Work) -> bool;

    unsafe fn INIT_DELAYED_WORK(
        dwork: *mut Self::DelayedWork,
        f: unsafe extern "C" fn(*mut Self::Work),
    );
    unsafe fn schedule_delayed_work(dwork: *mut Self::DelayedWork, delay: u64) -> bool;
    unsafe fn mod_delayed_work(dwork: *mut Self::DelayedWork, delay: u64) -> bool;
    unsafe fn cancel_delayed_work(dwork: *mut Self::DelayedWork) -> bool;
    unsafe fn cancel_delayed_work_sync(dwork: *mut Self::DelayedWork) -> bool;
}

/// Writes the calls of one side: each is the function of the same name in `$module`.
macro_rules! calls {
    ($module:path, $tasklet:ty, $work:ty, $dwork:ty) => {
        type Tasklet = $tasklet;
        type Work = $work;
        type DelayedWork = $dwork;
        calls! { $module:
            tasklet_setup(t: *mut $tasklet, f: unsafe extern "C" fn(*mut $tasklet)) -> ();
            tasklet_schedule(t: *mut $tasklet) -> ();
            tasklet_kill(t: *mut $tasklet) -> ();
            tasklet_disable(t: *mut $tasklet) -> ();
            tasklet_enable(t: *mut $tasklet) -> ();
            INIT_WORK(work: *mut $work, f: unsafe extern "C" fn(*mut $work)) -> ();
            flush_work(work: *mut $work) -> bool;
            cancel_work_sync(work: *mut $work) -> bool;
            INIT_DELAYED_WORK(dwork: *mut $dwork, f: unsafe extern "C" fn(*mut $work)) -> ();
            cancel_delayed_work(dwork: *mut $dwork) -> bool;
            cancel_delayed_work_sync(dwork: *mut $dwork) -> bool;
        }
        unsafe fn schedule_work(work: *mut $work) -> bool {
            use $module as m;
            // SAFETY: by the caller's word.
            unsafe { m::queue_work(m::system_wq(), work) }
        }
        unsafe fn schedule_delayed_work(dwork: *mut $dwork, delay: u64) -> bool {
            use $module as m;
            // SAFETY: by the caller's word.
            unsafe { m::queue_delayed_work(m::system_wq(), dwork, delay) }
        }
        unsafe fn mod_delayed_work(dwork: *mut $dwork, delay: u64) -> bool {
            use $module as m;
            // SAFETY: by the caller's word.
            unsafe { m::mod_delayed_work(m::system_wq(), dwork, delay) }
        }
    };
    ($module:path: $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {$(
        unsafe fn $name($($arg: $type),*) -> $result {
            use $module as m;
            // SAFETY: by the caller's word.
            unsafe { m::$name($($arg),*) }
        }
    )*};
}

/// One WDF object per Linux object, parented to the driver's device.
pub struct Naive {
    device: WDFDEVICE,
}

impl Linux for Naive {
    calls!(
        mapping,
        mapping::tasklet_struct,
        mapping::work_struct,
        mapping::delayed_work
    );

    fn attach(driver: &Driver, _reentrance: WorkReentrance) -> Self {
        let device = driver.add_device();
        mapping::set_device(device);
        Self { device }
    }
    fn detach(self, driver: &Driver) -> Vec<String> {
        driver.remove_device(self.device);
        Vec::new()
    }
    fn tasklet() -> Self::Tasklet {
        // SAFETY: null pointers, no function, zero.
        unsafe { core::mem::zeroed() }
    }
    fn work() -> Self::Work {
        // SAFETY: as above.
        unsafe { core::mem::zeroed() }
    }
    fn delayed_work() -> Self::DelayedWork {
        // SAFETY: as above.
        unsafe { core::mem::zeroed() }
    }
}

/// The library, on a control device of its own.
pub struct Bottomhalf {
    attachment: Attachment,
}

impl Linux for Bottomhalf {
    calls!(
        linux,
        linux::tasklet_struct,
        linux::work_struct,
        linux::delayed_work
    );

    fn attach(driver: &Driver, reentrance: WorkReentrance) -> Self {
        let host = Host::Driver(driver.handle().cast());
        // SAFETY: the driver stays loaded until after `detach`.
        let attachment = unsafe { attach(host, &Config::new(reentrance)) };
        Self {
            attachment: attachment.expect("a fresh machine has the resources"),
        }
    }
    fn detach(self, _driver: &Driver) -> Vec<String> {
        self.attachment.detach();
        debug_log()
            .into_iter()
            .filter(|line| line.starts_with("bottomhalf "))
            .collect()
    }
    fn tasklet() -> Self::Tasklet {
        linux::tasklet_struct::new()
    }
    fn work() -> Self::Work {
        linux::work_struct::new()
    }
    fn delayed_work() -> Self::DelayedWork {
        linux::delayed_work::new()
    }
}
