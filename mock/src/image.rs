//! A driver's statics: one value per loaded image, therefore one per world.

use core::fmt;
use std::sync::OnceLock;

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
