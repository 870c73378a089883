//! Attach and detach.
//!
//! One runtime per driver image, counted. Everything that can fail, fails here.

use core::ffi::c_void;
use core::pin::pin;
use core::ptr::NonNull;

use super::image::{Image, image};
use super::objects::{self, Cpus, check};
use super::wdk_sys::ntddk::{KeFlushQueuedDpcs, KeQueryMaximumProcessorCountEx};
use super::wdk_sys::{
    ALL_PROCESSOR_GROUPS, PWDFDEVICE_INIT, UNICODE_STRING, WDFDEVICE, WDFDRIVER, WDFTIMER,
    call_unsafe_wdf_function_binding,
};
use super::{Config, Host, Kmdf, Raised, Runtime, WorkReentrance, clock};
use crate::engine::backend::{Backend, Irql, Status};
use crate::engine::diagnostic::{Diagnostic, report};
use crate::engine::runtime::Rules;
use crate::engine::wait::{Waiter, wake};
use crate::sync::Ordering::SeqCst;

/// Lets one caller attach or detach at a time; the others wait.
struct Turn(&'static Image);

impl Turn {
    fn take() -> Self {
        let image = image();
        loop {
            let waiter = pin!(Waiter::<Kmdf>::new(0));
            let waiter = waiter.into_ref();
            waiter.prepare();
            {
                let raised = Raised::new();
                let mut attached = image.attached.lock(&raised);
                if !attached.busy {
                    attached.busy = true;
                    return Self(image);
                }
                attached.waiters.push_back(waiter.handle());
            }
            waiter.wait();
        }
    }

    /// Adds to the number of attaches, and returns the new number.
    fn add(&self, change: i32) -> u32 {
        let raised = Raised::new();
        let mut attached = self.0.attached.lock(&raised);
        attached.count = attached.count.saturating_add_signed(change);
        attached.count
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let raised = Raised::new();
        let mut woken = {
            let mut attached = self.0.attached.lock(&raised);
            attached.busy = false;
            attached.waiters.take()
        };
        raised.finish_at_dispatch(|| wake(&mut woken));
    }
}

/// Attaches once more. IRQL: = PASSIVE.
///
/// # Safety
///
/// The host's handle is valid and stays so until the matching detach.
pub(crate) unsafe fn attach(host: Host, config: &Config) -> Result<(), Status> {
    let (Host::Driver(handle) | Host::Device(handle)) = host;
    if handle.is_null() {
        return Err(Status::INVALID_PARAMETER);
    }
    if Kmdf::irql() > Irql::APC {
        return Err(Status::INVALID_DEVICE_REQUEST);
    }
    let turn = Turn::take();
    let rules = Rules {
        reentrant: config.reentrance == WorkReentrance::SelfReentrant,
        pin_bound: config.pin_bound,
    };
    let high_resolution = config.high_resolution;
    if turn.add(0) > 0 {
        // ORDERING: SeqCst pairs with the publication in `build`; so does whoever had the turn before.
        // SAFETY: attached, and it is our turn, so nobody detaches.
        let runtime = unsafe { &*turn.0.runtime.load(SeqCst) };
        let same_host = match host {
            Host::Driver(_) => runtime.backend.owns_parent,
            Host::Device(device) => {
                !runtime.backend.owns_parent && runtime.backend.parent == device
            }
        };
        if !same_host || runtime.reentrant != rules.reentrant {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
    } else {
        build(turn.0, host, rules, high_resolution)?;
    }
    turn.add(1);
    Ok(())
}

/// Detaches once; the last time everything that is pending runs, and all objects go. A work cannot
/// be the one that ends the runtime: it would wait for itself. False if it is refused, which is said.
/// IRQL: = PASSIVE.
pub(crate) fn detach() -> bool {
    if Kmdf::irql() > Irql::APC {
        report::<Kmdf>(Diagnostic::WaitAtDispatch, "detach", 0, 0);
        return false;
    }
    let turn = Turn::take();
    // ORDERING: as in `attach`.
    // SAFETY: the caller is attached, and it is our turn, so nobody ends the runtime.
    let runtime = unsafe { &*turn.0.runtime.load(SeqCst) };
    if turn.add(0) == 1 && runtime.is_worker(Kmdf::thread()) {
        report::<Kmdf>(Diagnostic::WaitForOneself, "detach", 0, 0);
        return false;
    }
    if turn.add(-1) == 0 {
        tear_down(turn.0);
    }
    true
}

/// Makes the runtime and publishes it.
fn build(image: &Image, host: Host, rules: Rules, high_resolution: bool) -> Result<(), Status> {
    // SAFETY: no condition. The maximum is constant after boot; CPUs may be added up to it (N-23).
    let cpus = unsafe { KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS as u16) }.max(1);
    let memory =
        NonNull::new(Kmdf::allocate(runtime_size(cpus))).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    let place = memory.cast::<Runtime>();
    let backend = match create_objects(host, cpus, high_resolution, place.as_ptr().cast()) {
        Ok(backend) => backend,
        Err(status) => {
            // SAFETY: nobody uses the memory.
            unsafe { Kmdf::free(memory.as_ptr()) };
            return Err(status);
        }
    };
    clock::set_precise(high_resolution);
    // SAFETY: the per-CPU array lies behind the runtime, in the same allocation.
    unsafe {
        let array = place.add(1).cast();
        let mut runtime = Runtime::new(backend, rules, cpus, array);
        runtime.generation = image.generation.fetch_add(1, SeqCst) + 1;
        place.write(runtime);
    }
    // ORDERING: SeqCst pairs with the load of `enter`: who finds the runtime finds it written. The same holds for
    // the queue below.
    image.runtime.store(place.as_ptr(), SeqCst);
    // SAFETY: just written, and it is our turn.
    let runtime = unsafe { place.as_ref() };
    // SAFETY: it is in its place; `tear_down` ends the threads before it frees it.
    if let Err(status) = unsafe { runtime.start_threads() } {
        tear_down(image);
        return Err(status);
    }
    if image.system.create(runtime).is_none() {
        tear_down(image);
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    Ok(())
}

/// Bytes of a runtime and its per-CPU array.
const fn runtime_size(cpus: u32) -> usize {
    size_of::<Runtime>() + Runtime::per_cpu_size(cpus)
}

fn create_objects(
    host: Host,
    cpus: u32,
    high_resolution: bool,
    owner: *const (),
) -> Result<Kmdf, Status> {
    let (parent, owns_parent) = match host {
        Host::Driver(driver) => (create_control_device(driver.cast())?.cast(), true),
        Host::Device(device) => (device, false),
    };
    let mut backend = match Cpus::allocate(cpus) {
        Ok(dpcs) => Kmdf {
            parent,
            owns_parent,
            dpcs,
            timers: [core::ptr::null_mut(); 2],
        },
        Err(status) => {
            if owns_parent {
                objects::delete(parent);
            }
            return Err(status);
        }
    };
    let made = objects::create_dpcs(&mut backend.dpcs, parent, owner)
        .and_then(|()| objects::create_timers(&mut backend.timers, high_resolution, parent, owner));
    match made {
        Ok(()) => Ok(backend),
        Err(status) => {
            delete_objects(&backend);
            Err(status)
        }
    }
}

/// A control device without a name of its own: KMDF gives it a generated one. It outlives the
/// devices of the driver (O-16).
fn create_control_device(driver: WDFDRIVER) -> Result<WDFDEVICE, Status> {
    // SDDL: system and administrators only. In UTF-16, as UNICODE_STRING wants it.
    static SDDL: [u16; 35] = utf16(b"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    let length = SDDL
        .iter()
        .position(|unit| *unit == 0)
        .unwrap_or(SDDL.len())
        * size_of::<u16>();
    let sddl = UNICODE_STRING {
        Length: length as u16,
        MaximumLength: length as u16,
        Buffer: SDDL.as_ptr().cast_mut(),
    };
    // SAFETY: the driver handle is the caller's; the string lives across the call.
    let mut init: PWDFDEVICE_INIT = unsafe {
        call_unsafe_wdf_function_binding!(WdfControlDeviceInitAllocate, driver, &raw const sddl)
    };
    if init.is_null() {
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    let mut attributes = super::nt::attributes(core::ptr::null_mut());
    let mut device: WDFDEVICE = core::ptr::null_mut();
    // SAFETY: `init` is fresh; on success the framework takes it and nulls our pointer.
    let created = check(unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceCreate, &mut init, &mut attributes, &mut device)
    });
    if let Err(status) = created {
        // SAFETY: on failure `init` stays ours.
        unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitFree, init) };
        return Err(status);
    }
    // SAFETY: a control device that was just created.
    unsafe { call_unsafe_wdf_function_binding!(WdfControlFinishInitializing, device) };
    Ok(device)
}

const fn utf16<const N: usize>(ascii: &[u8]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < ascii.len() {
        units[index] = ascii[index] as u16;
        index += 1;
    }
    units
}

/// Ends the runtime.
fn tear_down(image: &Image) {
    // ORDERING: SeqCst pairs with the publication in `build`. Both stores of null come before the grace period
    // after them: who is not waited for has seen them (G1, G2).
    let place = image.runtime.load(SeqCst);
    // SAFETY: published, and it is our turn, so nobody else ends it.
    let runtime = unsafe { &*place };
    runtime.close();
    runtime.finish_tasklets();
    let mut system = image.system.unpublish();
    // G2: who has looked it up before may still be waiting for it.
    runtime.synchronize();
    runtime.wait_for_visitors();
    runtime.destroy_queues(&mut system);
    // G1: unpublish, and wait until nobody can have read it.
    image.runtime.store(core::ptr::null_mut(), SeqCst);
    runtime.synchronize();
    // G2: who came in after `close` had waited may still be inside; nobody comes in any more.
    runtime.wait_for_visitors();
    // A tasklet that somebody outside has made runnable since.
    runtime.finish_tasklets();
    let left = runtime.counters().pending;
    if left > 0 {
        report::<Kmdf>(Diagnostic::DisabledAtEnd, "detach", left as usize, 0);
    }
    runtime.end_threads();
    delete_objects(&runtime.backend);
    clock::set_precise(false);
    // SAFETY: nothing reaches the runtime any more. Its lists are empty, so there is nothing to
    // drop but the memory.
    unsafe { Kmdf::free(place.cast()) };
}

/// Deletes what `create_objects` made, as far as it came; each deletion waits for its callbacks.
fn delete_objects(backend: &Kmdf) {
    for timer in backend.timers.iter().filter(|timer| !timer.is_null()) {
        objects::delete(WDFTIMER::cast::<c_void>(*timer));
    }
    for dpc in backend.dpcs.iter().filter(|dpc| !dpc.is_null()) {
        objects::delete(dpc.cast());
    }
    // SAFETY: at PASSIVE_LEVEL. The one machine-wide flush: an expired timer's DPC may still be
    // queued.
    unsafe { KeFlushQueuedDpcs() };
    backend.dpcs.free();
    if backend.owns_parent {
        objects::delete(backend.parent);
    }
}
