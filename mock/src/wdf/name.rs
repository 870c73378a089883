//! The names of devices: what the object manager keeps for a driver (facts IO-20 to IO-22).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device::{self, Role};
use super::object::Kind;
use super::verifier;
use super::{registry, strings, wdf};
use crate::abi::*;

/// Device names and symbolic links of one world.
#[derive(Debug, Default)]
pub(super) struct Names {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    devices: BTreeMap<String, usize>,
    links: BTreeMap<String, usize>,
}

/// The last part of a link's name, without regard to case: all of its directories are one.
fn link_key(name: &str) -> String {
    let lower = name.to_lowercase();
    let roots = [r"\dosdevices\", r"\??\", r"\\.\", r"\global??\"];
    let rest = roots.iter().find_map(|root| lower.strip_prefix(root));
    let rest = rest.unwrap_or(&lower);
    rest.strip_prefix(r"global\").unwrap_or(rest).to_owned()
}

impl Names {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names a device; false if the name is taken.
    pub(super) fn add_device(&self, name: &str, device: usize) -> bool {
        insert(&mut self.tables().devices, name.to_lowercase(), device)
    }

    /// The device behind a symbolic link.
    pub(super) fn device_of(&self, link: &str) -> Option<usize> {
        self.tables().links.get(&link_key(link)).copied()
    }

    /// `IoDeleteDevice`: the name goes at once, the link stays.
    pub(super) fn forget_device(&self, device: usize) {
        self.tables().devices.retain(|_, other| *other != device);
    }

    /// The end of the device: the link goes too.
    pub(super) fn forget(&self, device: usize) {
        self.forget_device(device);
        self.tables().links.retain(|_, other| *other != device);
    }
}

fn insert(table: &mut BTreeMap<String, usize>, name: String, device: usize) -> bool {
    let free = !table.contains_key(&name);
    if free {
        table.insert(name, device);
    }
    free
}

/// Gives a device a name for user mode. One per device (IO-20).
///
/// IRQL: = PASSIVE.
///
/// # Safety
/// - `device` may be any value: a bad one is a bug check.
/// - `name` is NULL, which is a bug check, or points to a string.
#[must_use]
pub unsafe extern "C" fn WdfDeviceCreateSymbolicLink(
    globals: PWDF_DRIVER_GLOBALS,
    device: WDFDEVICE,
    name: PCUNICODE_STRING,
) -> NTSTATUS {
    const CALL: &str = "WdfDeviceCreateSymbolicLink";
    super::enter(globals, CALL, PASSIVE_LEVEL);
    let device = registry::of_kind(device, Kind::Device, CALL);
    registry::not_null(name, "WdfDeviceCreateSymbolicLink: SymbolicLinkName");
    // SAFETY: the caller promises a string.
    if unsafe { (*name).Length } == 0 {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if !verifier::may_wait(CALL, device.name()) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    // SAFETY: as above.
    let Some(text) = (unsafe { strings::read(name) }) else {
        return STATUS_INVALID_PARAMETER;
    };
    let address = device.address();
    let names = &wdf().names;
    let mut tables = names.tables();
    if tables.links.values().any(|other| *other == address) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    // PnP names a physical device itself.
    let named = tables.devices.values().any(|other| *other == address);
    if !named && device::role(&device) == Role::Control {
        return STATUS_INVALID_DEVICE_STATE;
    }
    if insert(&mut tables.links, link_key(&text), address) {
        STATUS_SUCCESS
    } else {
        STATUS_OBJECT_NAME_COLLISION
    }
}

/// The name of a device to be.
pub(super) type DeviceName = Option<Arc<str>>;
