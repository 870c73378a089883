//! What NT and PnP do to a driver: load it, give it devices, take them away, unload it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{self, Role};
use super::object::{Kind, Object};
use super::{driver, driver_globals, hooks, registry, wdf};
use crate::abi::*;
use crate::call_unsafe_wdf_function_binding;

/// The entry point of a driver image.
pub type DriverEntry = unsafe extern "C" fn(PDRIVER_OBJECT, PCUNICODE_STRING) -> NTSTATUS;

type Closure = Box<dyn FnOnce() + Send>;

/// What the harness keeps with the framework's state.
#[derive(Default)]
pub(super) struct State {
    on_unload: Mutex<Vec<Closure>>,
    /// Every device that was created, also those that are gone.
    devices: Mutex<Vec<usize>>,
    /// The config that [`load_config`] creates the driver with.
    config: Mutex<Option<WDF_DRIVER_CONFIG>>,
}

impl State {
    /// A device was created.
    pub(super) fn created(&self, device: &Arc<Object>) {
        self.devices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(device.address());
    }

    fn live_devices(&self, role: Role) -> Vec<Arc<Object>> {
        let mut live = self.all_live_devices();
        live.retain(|device| device::role(device) == role);
        live
    }

    fn all_live_devices(&self) -> Vec<Arc<Object>> {
        let addresses = lock(&self.devices).clone();
        let live = addresses
            .into_iter()
            .filter_map(|address| wdf().registry.find(address));
        live.collect()
    }

    fn run_on_unload(&self) {
        let closures = std::mem::take(&mut *lock(&self.on_unload));
        for closure in closures {
            closure();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A loaded driver image, seen from NT. One per world at a time.
pub struct Driver {
    driver_object: AtomicUsize,
    /// Pool blocks that were allocated before the image was loaded.
    pool_before: u64,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Loads a PnP driver whose device-add callback makes a plain device.
    pub fn load() -> Self {
        Self::load_with(config(Some(add_plain_device), 0)).unwrap_or_else(|status| refused(status))
    }

    /// Loads a driver without PnP: the framework deletes its control devices at unload (O-16,
    /// O-18).
    pub fn load_non_pnp() -> Self {
        let flags = _WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver as u32;
        Self::load_with(config(None, flags)).unwrap_or_else(|status| refused(status))
    }

    /// Loads a driver that creates its driver object with `config`.
    ///
    /// # Errors
    /// What `WdfDriverCreate` returned.
    pub fn load_with(config: WDF_DRIVER_CONFIG) -> Result<Self, NTSTATUS> {
        *lock(&wdf().harness.config) = Some(config);
        Self::load_entry(load_config)
    }

    /// Loads a driver by its entry point, as NT does.
    ///
    /// # Errors
    /// What the entry point returned, if that is an error.
    pub fn load_entry(entry: DriverEntry) -> Result<Self, NTSTATUS> {
        let pool_before = hooks::pool_blocks();
        let Some(block) = hooks::allocate(size_of::<DRIVER_OBJECT>()) else {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        };
        let driver_object: PDRIVER_OBJECT = block.cast();
        let mut text: Vec<u16> = r"\Registry\Machine\System\CurrentControlSet\Services\mock"
            .encode_utf16()
            .collect();
        let bytes = (text.len() * 2) as USHORT;
        let path = UNICODE_STRING {
            Length: bytes,
            MaximumLength: bytes,
            Buffer: text.as_mut_ptr(),
        };
        // SAFETY: a driver's entry point takes a zeroed driver object and a string; the string is
        // good for the call, the object until the unload.
        let status = unsafe { entry(driver_object, &raw const path) };
        if status < 0 {
            hooks::free(block);
            return Err(status);
        }
        Ok(Self {
            driver_object: AtomicUsize::new(block as usize),
            pool_before,
        })
    }

    /// The driver object's handle, NULL if the entry point made none.
    pub fn handle(&self) -> WDFDRIVER {
        wdf()
            .driver()
            .map_or(std::ptr::null_mut(), |driver| driver.handle().cast())
    }

    /// The devices that there are now, in the order of their creation.
    pub fn devices(&self) -> Vec<WDFDEVICE> {
        let devices = wdf().harness.all_live_devices();
        devices
            .iter()
            .map(|device| device.handle().cast())
            .collect()
    }

    /// PnP finds a device: calls the driver's device-add callback.
    ///
    /// # Errors
    /// What the callback returned, if that is an error.
    pub fn try_add_device(&self) -> Result<WDFDEVICE, NTSTATUS> {
        let driver = wdf().driver().ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
        let add = driver::body_of(&driver)
            .device_add()
            .ok_or(STATUS_INVALID_DEVICE_REQUEST)?;
        let before = wdf().harness.live_devices(Role::Pnp).len();
        let init = wdf().inits.allocate(Role::Pnp);
        if init.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        let mut status = STATUS_SUCCESS;
        hooks::callback(driver.name(), "EvtDriverDeviceAdd", || {
            // SAFETY: the driver gave this function for its driver object, and the init is new.
            status = unsafe { add(driver.handle().cast(), init) };
        });
        if wdf().inits.contains(init) {
            wdf().inits.free(init);
        }
        let devices = wdf().harness.live_devices(Role::Pnp);
        let made = devices.get(before).map(|device| device.handle().cast());
        if status < 0 {
            if let Some(made) = made {
                self.remove_device(made);
            }
            return Err(status);
        }
        if let Some(device) = devices.get(before) {
            device::start(device);
        }
        made.ok_or(STATUS_INVALID_DEVICE_REQUEST)
    }

    /// [`Driver::try_add_device`] for a driver that does not refuse.
    pub fn add_device(&self) -> WDFDEVICE {
        self.try_add_device()
            .unwrap_or_else(|status| refused(status))
    }

    /// Makes a control device, in the three calls of O-16.
    ///
    /// # Errors
    /// What `WdfDeviceCreate` returned.
    pub fn control_device(
        &self,
        attributes: Option<&mut WDF_OBJECT_ATTRIBUTES>,
    ) -> Result<WDFDEVICE, NTSTATUS> {
        let sddl = UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: std::ptr::null_mut(),
        };
        let attributes = attributes.map_or(std::ptr::null_mut(), std::ptr::from_mut);
        let mut device: WDFDEVICE = std::ptr::null_mut();
        // SAFETY: all pointers are good for the calls they are passed to.
        unsafe {
            let mut init = call_unsafe_wdf_function_binding!(
                WdfControlDeviceInitAllocate,
                self.handle(),
                &raw const sddl
            );
            if init.is_null() {
                return Err(STATUS_INSUFFICIENT_RESOURCES);
            }
            let status = call_unsafe_wdf_function_binding!(
                WdfDeviceCreate,
                &raw mut init,
                attributes,
                &raw mut device
            );
            if status < 0 {
                call_unsafe_wdf_function_binding!(WdfDeviceInitFree, init);
                return Err(status);
            }
            call_unsafe_wdf_function_binding!(WdfControlFinishInitializing, device);
        }
        Ok(device)
    }

    /// PnP removes a device: its children are disposed and waited for, then it goes (O-12).
    pub fn remove_device(&self, device: WDFDEVICE) {
        let object = registry::of_kind(device, Kind::Device, "remove_device");
        if device::role(&object) != Role::Pnp {
            hooks::fail(
                "SIM_MISUSE",
                format!("{}: PnP did not make this device", object.name()),
            );
        }
        device::remove(&object);
    }

    /// Runs `f` in the driver's unload callback. Only for drivers that the harness wrote the
    /// callback of.
    pub fn on_unload(&self, f: impl FnOnce() + Send + 'static) {
        lock(&wdf().harness.on_unload).push(Box::new(f));
    }

    /// Unloads the driver in the order of O-17. Devices that PnP made are removed first. Whatever
    /// of the driver is still in the machine afterwards is `DRIVER_UNLOADED_PENDING(0xCE)`; pool
    /// that it did not free is `DV(0xC4,0x62)`, unless the world has no verifier.
    pub fn unload(self) {
        let harness = &wdf().harness;
        for device in harness.live_devices(Role::Pnp) {
            device::remove(&device);
        }
        // IO-21: NT does not unload a driver whose devices are open.
        for device in harness.live_devices(Role::Control) {
            device::shut(&device);
        }
        let pnp = wdf()
            .driver()
            .is_some_and(|driver| driver::body_of(&driver).is_pnp());
        if let (true, [device, ..]) = (pnp, harness.live_devices(Role::Control).as_slice()) {
            // O-16: nobody deletes it, and its DEVICE_OBJECT keeps the image.
            let code = format!("SIM_NEVER_UNLOADED({})", device.name());
            let message = "the driver left a control device behind when its last device went";
            hooks::fail(&code, message.to_owned());
        }
        let driver_object: PDRIVER_OBJECT =
            self.driver_object.swap(0, Ordering::Relaxed) as PDRIVER_OBJECT;
        // SAFETY: the driver object is ours until the end of this function.
        let unload = unsafe { (*driver_object).DriverUnload };
        match unload {
            // SAFETY: the driver, or the framework for it, put this function here for this object.
            Some(unload) => unsafe { unload(driver_object) },
            None => hooks::fail(
                "SIM_NEVER_UNLOADED(DriverUnload)",
                "the driver has no unload routine (O-18)".to_owned(),
            ),
        }
        let pending = hooks::pending_of_image();
        if !pending.is_empty() {
            hooks::fail(
                "DRIVER_UNLOADED_PENDING(0xCE)",
                format!("after the unload there were {}", pending.join(", ")),
            );
        }
        hooks::free(driver_object.cast());
        self.check_pool();
    }

    /// H-34: pool that an unloaded driver left behind, its framework objects included.
    fn check_pool(&self) {
        let left = hooks::pool_blocks().saturating_sub(self.pool_before);
        if left == 0 || hooks::verifier() == hooks::Verifier::Off {
            return;
        }
        let objects = wdf().registry.live_names();
        hooks::fail(
            "DV(0xC4,0x62)",
            format!("the unloaded driver left {left} pool blocks, objects among them: {objects:?}"),
        );
    }
}

fn refused(status: NTSTATUS) -> ! {
    hooks::fail(
        "SIM_DRIVER_REFUSED",
        format!("the driver returned {status:#010x}"),
    )
}

/// A config whose unload callback runs the closures of [`Driver::on_unload`].
fn config(add: PFN_WDF_DRIVER_DEVICE_ADD, flags: ULONG) -> WDF_DRIVER_CONFIG {
    WDF_DRIVER_CONFIG {
        Size: size_of::<WDF_DRIVER_CONFIG>() as ULONG,
        EvtDriverDeviceAdd: add,
        EvtDriverUnload: Some(run_closures),
        DriverInitFlags: flags,
        DriverPoolTag: 0,
    }
}

unsafe extern "C" fn run_closures(_driver: WDFDRIVER) {
    wdf().harness.run_on_unload();
}

unsafe extern "C" fn add_plain_device(_driver: WDFDRIVER, mut init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut device: WDFDEVICE = std::ptr::null_mut();
    // SAFETY: the init is the one PnP gave, and both pointers are good for the call.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut init,
            std::ptr::null_mut(),
            &raw mut device
        )
    }
}

unsafe extern "C" fn load_config(
    driver_object: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let Some(mut config) = lock(&wdf().harness.config).take() else {
        return STATUS_INVALID_PARAMETER;
    };
    // SAFETY: NT's arguments are passed on, and the config is good for the call.
    unsafe {
        super::WdfDriverCreate(
            driver_globals(),
            driver_object,
            registry_path,
            std::ptr::null_mut(),
            &raw mut config,
            std::ptr::null_mut(),
        )
    }
}
