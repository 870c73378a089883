//! What the tests share: the C symbols as a C compiler sees them, and a machine to call them on.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses a part of it"
)]

use core::ffi::{c_char, c_void};

use bottomhalf_c::attach::{bottomhalf_attachment, bottomhalf_config, bottomhalf_counters};
use kmdf_mock::world::{self, Driver, Sim};
use kmdf_mock::{WDFDRIVER, sim_assert};

/// How many seeds a scenario is run with.
pub const SEEDS: u64 = 20;

/// Memory of an item, of whatever kind: larger than all of them.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Item(core::cell::Cell<[u64; 12]>);

// SAFETY: the bytes are the library's, which reaches them by their address.
unsafe impl Sync for Item {}
// SAFETY: as above.
unsafe impl Send for Item {}

impl Item {
    /// Zeroed memory that stays for good.
    pub fn leaked() -> *mut c_void {
        let item = Box::new(Self(core::cell::Cell::new([0; 12])));
        Box::into_raw(item).cast()
    }
}

/// A function of a work or a tasklet.
pub type Func = Option<unsafe extern "C" fn(item: *mut c_void)>;

unsafe extern "C" {
    pub fn bottomhalf_attach_driver(
        driver: WDFDRIVER,
        config: *const bottomhalf_config,
        attachment: *mut bottomhalf_attachment,
    ) -> i32;
    pub fn bottomhalf_attach_device(
        device: *mut c_void,
        config: *const bottomhalf_config,
        attachment: *mut bottomhalf_attachment,
    ) -> i32;
    pub fn bottomhalf_detach(attachment: *mut bottomhalf_attachment);
    pub fn bottomhalf_freeze(attachment: *mut bottomhalf_attachment);
    pub fn bottomhalf_thaw(attachment: *mut bottomhalf_attachment);
    pub fn bottomhalf_get_counters(counters: *mut bottomhalf_counters);
    #[link_name = concat!("bottomhalf_is_built_for_kmdf_1_", env!("BOTTOMHALF_KMDF_MINOR"))]
    pub fn bottomhalf_is_built_for_kmdf();

    pub fn bottomhalf_INIT_WORK(work: *mut c_void, func: Func);
    pub fn bottomhalf_INIT_DELAYED_WORK(dwork: *mut c_void, func: Func);
    pub fn bottomhalf_schedule_work(work: *mut c_void) -> bool;
    pub fn bottomhalf_queue_work(wq: *mut c_void, work: *mut c_void) -> bool;
    pub fn bottomhalf_queue_work_on(cpu: i32, wq: *mut c_void, work: *mut c_void) -> bool;
    pub fn bottomhalf_flush_work(work: *mut c_void) -> bool;
    pub fn bottomhalf_work_pending(work: *const c_void) -> bool;
    pub fn bottomhalf_queue_delayed_work_on(
        cpu: i32,
        wq: *mut c_void,
        dwork: *mut c_void,
        delay: u64,
    ) -> bool;
    pub fn bottomhalf_schedule_delayed_work(dwork: *mut c_void, delay: u64) -> bool;
    pub fn bottomhalf_flush_delayed_work(dwork: *mut c_void) -> bool;
    pub fn bottomhalf_tasklet_setup(t: *mut c_void, callback: Func);
    pub fn bottomhalf_tasklet_init(t: *mut c_void, func: Func, data: usize);
    pub fn bottomhalf_tasklet_schedule(t: *mut c_void);
    pub fn bottomhalf_tasklet_kill(t: *mut c_void);
    pub fn bottomhalf_execute_in_process_context(func: Func, ew: *mut c_void) -> i32;
    pub fn bottomhalf_work_on_cpu(
        cpu: i32,
        func: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
        arg: *mut c_void,
    ) -> i64;
    pub fn bottomhalf_work_on_cpu_safe(
        cpu: i32,
        func: Option<unsafe extern "C" fn(*mut c_void) -> i64>,
        arg: *mut c_void,
    ) -> i64;
    pub fn bottomhalf_schedule_on_each_cpu(func: Func) -> i32;
    pub fn bottomhalf_devm_add_action(
        device: *mut c_void,
        action: *mut c_void,
        release: Func,
        data: *mut c_void,
    ) -> i32;
    pub fn bottomhalf_devm_release_all(device: *mut c_void);
    pub fn bottomhalf_devm_work_autocancel(
        device: *mut c_void,
        action: *mut c_void,
        work: *mut c_void,
        func: Func,
    ) -> i32;
    pub fn bottomhalf_devm_delayed_work_autocancel(
        device: *mut c_void,
        action: *mut c_void,
        dwork: *mut c_void,
        func: Func,
    ) -> i32;
    pub fn bottomhalf_set_worker_desc(description: *const c_char);
    pub fn bottomhalf_alloc_workqueue(
        name: *const c_char,
        flags: u32,
        max_active: i32,
    ) -> *mut c_void;
    pub fn bottomhalf_alloc_ordered_workqueue(name: *const c_char, flags: u32) -> *mut c_void;
    pub fn bottomhalf_create_workqueue(name: *const c_char) -> *mut c_void;
    pub fn bottomhalf_create_singlethread_workqueue(name: *const c_char) -> *mut c_void;
    pub fn bottomhalf_create_freezable_workqueue(name: *const c_char) -> *mut c_void;
    pub fn bottomhalf_destroy_workqueue(wq: *mut c_void);
    pub fn bottomhalf_flush_workqueue(wq: *mut c_void);
    pub fn bottomhalf_workqueue_congested(cpu: i32, wq: *mut c_void) -> bool;
    pub fn bottomhalf_system_wq() -> *mut c_void;
    pub fn bottomhalf___round_jiffies(j: u64, cpu: u32) -> u64;
    pub fn bottomhalf___round_jiffies_up_relative(j: u64, cpu: u32) -> u64;
}

/// A config as `bottomhalf_config_init` fills it.
pub fn config() -> bottomhalf_config {
    bottomhalf_config {
        size: size_of::<bottomhalf_config>() as u32,
        hz: bottomhalf::linux::HZ as u32,
        kmdf_minor: bottomhalf_c::attach::KMDF_MINOR,
        reentrance: bottomhalf_c::attach::NON_REENTRANT,
        pin_bound: 0,
        high_resolution: 0,
        reserved: [0; 2],
    }
}

/// An attachment's memory that stays for good: zeroed, as a static of the driver is.
pub fn attachment() -> *mut bottomhalf_attachment {
    // SAFETY: integers are valid when all their bytes are zero.
    Box::into_raw(Box::new(unsafe { core::mem::zeroed() }))
}

/// Attaches on `driver`; it must succeed.
pub fn attached(driver: WDFDRIVER) -> *mut bottomhalf_attachment {
    let place = attachment();
    // SAFETY: the driver is loaded, and the memory stays.
    let status = unsafe { bottomhalf_attach_driver(driver, &config(), place) };
    sim_assert!(status == 0, "attach: {status:#010x}");
    place
}

/// The codes of the diagnostics so far.
pub fn reports() -> Vec<String> {
    let log = world::debug_log();
    log.iter()
        .filter_map(|line| Some(line.strip_prefix("bottomhalf ")?.get(..4)?.to_owned()))
        .collect()
}

/// Runs `scenario` with a loaded driver on a machine of 4 CPUs, for [`SEEDS`] seeds; what is said is `codes`.
pub fn with_driver(
    codes: &'static [&'static str],
    scenario: impl Fn(&Driver) + Copy + Send + 'static,
) {
    world::seeds(0..SEEDS, |seed| {
        let machine = Sim::new(seed).cpus(4).tick_100ns(40_000).workers(16);
        let run = machine.run(move || {
            let driver = Driver::load();
            scenario(&driver);
            driver.unload();
            sim_assert!(reports() == codes, "{:?}", world::debug_log());
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    });
}

/// Runs `scenario` in an attached driver; what is said is `codes`.
pub fn with_attached(codes: &'static [&'static str], scenario: fn()) {
    with_driver(codes, move |driver| {
        let place = attached(driver.handle());
        scenario();
        // SAFETY: attached above.
        unsafe { bottomhalf_detach(place) };
    });
}
