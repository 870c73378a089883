//! `kmdf_mock_run`: a machine with a driver in it, for C.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use std::format;
use std::string::String;

use kmdf_mock::image::Static;
use kmdf_mock::world::{self, Driver, DriverEntry, Live, Preemption, Sim, Verifier};
use kmdf_mock::{NTSTATUS, WDFDEVICE, WDFDRIVER};

/// `KMDF_MOCK_SIM`.
const SIM: u32 = 0;
/// `KMDF_MOCK_LIVE`.
const LIVE: u32 = 1;
/// Most CPUs of a machine.
const CPUS: u32 = 64;

/// `struct kmdf_mock_machine`. Zero means the mock's default, in every member but `seed`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct kmdf_mock_machine {
    /// [`Sim`] (0) or [`Live`] (1).
    pub engine: u32,
    /// [`Sim::cpus`].
    pub cpus: u32,
    /// [`Sim::new`]; the environment variable `KMDF_MOCK_SEED` wins.
    pub seed: u64,
    /// [`Sim::max_cpus`].
    pub max_cpus: u32,
    /// [`Sim::workers`].
    pub workers: u32,
    /// [`Sim::tick_100ns`].
    pub tick_100ns: u32,
    /// [`Sim::preemption`]: 1 never, 2 seldom, 3 often, 4 always.
    pub preemption: u32,
    /// [`Sim::verifier`]: 1 off, 2 on, 3 strict.
    pub verifier: u32,
    /// [`Sim::fail_allocation`].
    pub fail_allocation: u32,
    /// [`Sim::step_limit`].
    pub step_limit: u64,
    /// [`Sim::timers_on_time`].
    pub timers_on_time: bool,
    /// [`Sim::by_priority`].
    pub by_priority: bool,
    /// [`Sim::point_100ns`] with 0.
    pub points_take_no_time: bool,
    /// [`Driver::load_non_pnp`] instead of [`Driver::load`].
    pub non_pnp: bool,
    /// The entry point of the driver, instead of one of the mock's own.
    pub driver_entry: Option<DriverEntry>,
}

const _: () = assert!(size_of::<kmdf_mock_machine>() == 64);
const _: () = assert!(offset_of!(kmdf_mock_machine, step_limit) == 40);
const _: () = assert!(offset_of!(kmdf_mock_machine, driver_entry) == 56);

/// What a run does.
pub type Body = unsafe extern "C" fn(driver: WDFDRIVER, context: *mut c_void);

/// The address of C's that a run gets. The run is over before `kmdf_mock_run` returns.
struct Context(*mut c_void);

// SAFETY: the address is only passed on; what C does with it on several threads is C's to serialise.
unsafe impl Send for Context {}

/// The driver that `kmdf_mock_run` has loaded into a machine.
pub(super) static DRIVER: Static<std::sync::Mutex<Option<Driver>>> =
    Static::new(|| std::sync::Mutex::new(None));

/// Sets what is not left to the default.
macro_rules! set {
    ($world:ident, $machine:ident: $($member:ident)*) => {
        $(if $machine.$member != 0 {
            $world = $world.$member($machine.$member.into());
        })*
    };
}

/// The simulated machine that is described.
fn sim(machine: &kmdf_mock_machine, seed: u64) -> Sim {
    let mut world = Sim::new(seed);
    set!(world, machine: cpus max_cpus workers tick_100ns fail_allocation step_limit);
    if let Some(verifier) = verifier(machine) {
        world = world.verifier(verifier);
    }
    match machine.preemption {
        1 => world = world.preemption(Preemption::Never),
        2 => world = world.preemption(Preemption::Seldom),
        3 => world = world.preemption(Preemption::Often),
        4 => world = world.preemption(Preemption::Always),
        _ => {}
    }
    if machine.timers_on_time {
        world = world.timers_on_time();
    }
    if machine.by_priority {
        world = world.by_priority();
    }
    if machine.points_take_no_time {
        world = world.point_100ns(0);
    }
    world
}

/// The live machine that is described; what only the simulation has is left out.
fn live(machine: &kmdf_mock_machine) -> Live {
    let mut world = Live::new();
    set!(world, machine: cpus max_cpus workers tick_100ns fail_allocation);
    if let Some(verifier) = verifier(machine) {
        world = world.verifier(verifier);
    }
    world
}

/// What `verifier` names.
fn verifier(machine: &kmdf_mock_machine) -> Option<Verifier> {
    match machine.verifier {
        1 => Some(Verifier::Off),
        2 => Some(Verifier::On),
        3 => Some(Verifier::Strict),
        _ => None,
    }
}

/// The seed of the run, and whether it comes from the environment.
fn seed(machine: &kmdf_mock_machine) -> Result<u64, String> {
    match std::env::var("KMDF_MOCK_SEED") {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("KMDF_MOCK_SEED is {text:?}, which is no number")),
        Err(_) => Ok(machine.seed),
    }
}

/// Loads the driver, runs `body`, unloads the driver.
fn run_in_world(entry: Option<DriverEntry>, non_pnp: bool, body: Body, context: &Context) {
    let driver = match entry {
        Some(entry) => Driver::load_entry(entry).unwrap_or_else(|status| refused(status)),
        None if non_pnp => Driver::load_non_pnp(),
        None => Driver::load(),
    };
    let handle = driver.handle();
    *locked() = Some(driver);
    // SAFETY: the caller of `kmdf_mock_run` has promised a function that can take this context.
    unsafe { body(handle, context.0) };
    let driver = locked().take();
    if let Some(driver) = driver {
        driver.unload();
    }
}

/// The slot of the loaded driver, which is not kept across a call into the machine.
fn locked() -> std::sync::MutexGuard<'static, Option<Driver>> {
    DRIVER
        .get()
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A driver whose entry point fails ends the run.
fn refused(status: NTSTATUS) -> ! {
    world::fail(
        "SIM_DRIVER_REFUSED",
        format!("the driver's entry point returned {status:#010x}"),
    )
}

/// Makes a machine, loads a driver, runs `body` as a thread at PASSIVE_LEVEL on it, and unloads the driver. A
/// null `machine` is one of defaults. Returns 0, or 1 after it has printed to standard error what went wrong;
/// a live machine that fails ends the process with status 111.
///
/// # Safety
///
/// `machine` is null or valid; `body` can take `context`, on whatever thread it is called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_run(
    machine: *const kmdf_mock_machine,
    body: Option<Body>,
    context: *mut c_void,
) -> c_int {
    // SAFETY: integers, flags and an optional function are valid when all their bytes are zero.
    let defaults = unsafe { core::mem::zeroed::<kmdf_mock_machine>() };
    // SAFETY: by the caller's word.
    let machine = unsafe { machine.as_ref() }.copied().unwrap_or(defaults);
    let Some(body) = body else {
        std::eprintln!("kmdf_mock_run: the body is NULL");
        return 1;
    };
    if machine.cpus > CPUS || machine.max_cpus > CPUS {
        std::eprintln!("kmdf_mock_run: a machine has 1 to {CPUS} CPUs");
        return 1;
    }
    let seed = match seed(&machine) {
        Ok(seed) => seed,
        Err(complaint) => {
            std::eprintln!("kmdf_mock_run: {complaint}");
            return 1;
        }
    };
    let context = Context(context);
    let inside = move || {
        let context = context;
        run_in_world(machine.driver_entry, machine.non_pnp, body, &context);
    };
    let result = match machine.engine {
        SIM => sim(&machine, seed).run(inside),
        LIVE => live(&machine).run(inside),
        other => {
            std::eprintln!("kmdf_mock_run: {other} is no engine");
            return 1;
        }
    };
    match result {
        Ok(()) => 0,
        Err(failure) => {
            std::eprintln!("{failure}");
            1
        }
    }
}

/// [`Driver::add_device`]: PnP finds a device of the loaded driver. Null if there is no driver.
///
/// # Safety
///
/// At PASSIVE_LEVEL, in the body of a run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_add_device() -> WDFDEVICE {
    let driver = locked().take();
    let device = driver.as_ref().map(Driver::add_device);
    *locked() = driver;
    device.unwrap_or(core::ptr::null_mut())
}

/// [`Driver::remove_device`]: PnP takes a device away.
///
/// # Safety
///
/// As for [`kmdf_mock_add_device`]; `device` came from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kmdf_mock_remove_device(device: WDFDEVICE) {
    let driver = locked().take();
    if let Some(driver) = &driver {
        driver.remove_device(device);
    }
    *locked() = driver;
}
