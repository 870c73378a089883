//! A driver's statics: one value per loaded image, therefore one per world.

use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::OnceLock;

use crate::engine::Big;
use crate::world::try_current;

/// A static of a driver image.
///
/// A real image has its statics once. Tests run many worlds in one process, each with an image of its
/// own, so each world has its own value, made on first use. Outside any world there is one value for the
/// process.
pub struct Static<T> {
    init: fn() -> T,
    outside: OnceLock<T>,
}

impl<T> fmt::Debug for Static<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Static").finish_non_exhaustive()
    }
}

impl<T: Send + Sync + 'static> Static<T> {
    /// A static whose value in each image is `init()`.
    pub const fn new(init: fn() -> T) -> Self {
        Self {
            init,
            outside: OnceLock::new(),
        }
    }

    /// The value of the current world's image. It is never dropped: the image's statics are not either.
    pub fn get(&'static self) -> &'static T {
        let Some(w) = try_current() else {
            return self.outside.get_or_init(self.init);
        };
        let address = core::ptr::from_ref(self).addr();
        let value = w.image_static(address, || Box::into_raw(Box::new((self.init)())).cast());
        // SAFETY: the pointer comes from the `Box<T>` above, since `address` is this static's own and
        // holds a `T`; the box is never freed.
        unsafe { &*value.cast::<T>() }
    }
}

/// Statics that are found without a lock.
const SLOTS: usize = 16;

/// The values that the statics of an image have in one world.
#[derive(Debug, Default)]
pub(crate) struct Statics {
    /// Filled from the front under the lock of `others`; an address is published after its value.
    slots: [(AtomicUsize, AtomicPtr<()>); SLOTS],
    others: Big<Vec<(usize, usize)>>,
}

impl Statics {
    /// The value of the static at `address`; `make` returns an owned box.
    pub(crate) fn get(&self, address: usize, make: impl FnOnce() -> *const ()) -> *const () {
        self.find(address)
            .unwrap_or_else(|| self.add(address, make()))
    }

    fn find(&self, address: usize) -> Option<*const ()> {
        for (key, value) in &self.slots {
            match key.load(Ordering::Acquire) {
                0 => return None,
                key if key == address => return Some(value.load(Ordering::Relaxed)),
                _ => {}
            }
        }
        let find = |list: &mut Vec<(usize, usize)>| {
            list.iter()
                .find(|&&(key, _)| key == address)
                .map(|&(_, value)| value)
        };
        self.others.with(find).map(ptr::with_exposed_provenance)
    }

    /// Adds a value, unless another thread was quicker: then its value is the one.
    fn add(&self, address: usize, made: *const ()) -> *const () {
        self.others.with(|others| {
            let taken = self.slots.iter().position(|(key, _)| {
                let key = key.load(Ordering::Relaxed);
                key == 0 || key == address
            });
            if let Some(place) = taken {
                let (key, value) = &self.slots[place];
                if key.load(Ordering::Relaxed) == address {
                    return value.load(Ordering::Relaxed).cast_const();
                }
                value.store(made.cast_mut(), Ordering::Relaxed);
                key.store(address, Ordering::Release);
                return made;
            }
            if let Some(&(_, value)) = others.iter().find(|&&(key, _)| key == address) {
                return ptr::with_exposed_provenance(value);
            }
            others.push((address, made.expose_provenance()));
            made
        })
    }
}
