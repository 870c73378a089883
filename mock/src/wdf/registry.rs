//! Handles: which addresses are framework objects now, and which were.
//!
//! A handle is the address of the object's block in tracked memory. The block is never handed out
//! twice within a world, so a handle that outlives its object is recognised by name (O-9, W-10).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::object::{Kind, Object};
use super::{hooks, wdf};
use crate::abi::*;

/// The handle table of one world.
pub(super) struct Registry {
    live: RwLock<BTreeMap<usize, Arc<Object>>>,
    dead: Mutex<BTreeMap<usize, Arc<str>>>,
    serial: Mutex<[u32; Kind::COUNT]>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    pub(super) fn new() -> Self {
        Self {
            live: RwLock::new(BTreeMap::new()),
            dead: Mutex::new(BTreeMap::new()),
            serial: Mutex::new([0; Kind::COUNT]),
        }
    }

    /// The stable name of the next object of a kind: `WDFDPC#1`, `WDFDPC#2`.
    pub(super) fn next_name(&self, kind: Kind) -> Arc<str> {
        let mut serial = self.serial.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = &mut serial[kind as usize];
        *slot += 1;
        format!("{}#{slot}", kind.handle_name()).into()
    }

    pub(super) fn insert(&self, object: &Arc<Object>) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.insert(object.address(), Arc::clone(object));
    }

    pub(super) fn remove(&self, object: &Object) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.remove(&object.address());
        drop(live);
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        dead.insert(object.address(), Arc::clone(object.name()));
    }

    pub(super) fn find(&self, address: usize) -> Option<Arc<Object>> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.get(&address).map(Arc::clone)
    }

    /// The names of the live objects, sorted.
    pub(super) fn live_names(&self) -> Vec<String> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<_> = live
            .values()
            .map(|object| object.name().to_string())
            .collect();
        names.sort();
        names
    }

    /// What an address that is not live used to be.
    pub(super) fn epitaph(&self, address: usize) -> String {
        if address == 0 {
            return "NULL".to_owned();
        }
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        match dead.get(&address) {
            Some(name) => format!("{name}, which was destroyed"),
            None => "an address that never was a handle".to_owned(),
        }
    }
}

/// The object of any kind behind a handle, or the bug check for a bad one (O-9).
pub(super) fn any(handle: WDFOBJECT, what: &str) -> Arc<Object> {
    let registry = &wdf().registry;
    match registry.find(handle as usize) {
        Some(object) => object,
        None => bad_handle(what, &registry.epitaph(handle as usize)),
    }
}

/// The object of one kind behind a handle; another kind is as bad as no object (O-9).
pub(super) fn of_kind<T>(handle: *mut T, kind: Kind, call: &str) -> Arc<Object> {
    let object = any(handle.cast(), call);
    if object.kind() != kind {
        bad_handle(
            call,
            &format!("{}, not a {}", object.name(), kind.handle_name()),
        );
    }
    object
}

fn bad_handle(call: &str, found: &str) -> ! {
    hooks::fail(
        "WDF_VIOLATION(0x10D,5)",
        format!("{call}: the handle is {found}"),
    )
}

/// A pointer the framework cannot do without: NULL is a bug check, verifier or not (D-2 row 5).
pub(super) fn not_null<T>(pointer: *const T, what: &str) {
    if pointer.is_null() {
        hooks::fail("WDF_VIOLATION(0x10D,4)", format!("{what} is NULL"));
    }
}
