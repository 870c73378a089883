//! bottomhalf for drivers written in C: a static library whose symbols are `bottomhalf_` and the name of
//! Linux, as `include/` declares them.
//!
//! | module | what |
//! |---|---|
//! | [`attach`] | `bottomhalf.h`: attach, detach, freeze, counters |
//! | [`tasklets`], [`works`], [`queues`], [`contexts`], [`time`] | `linux/*.h`, over [`bottomhalf::linux`] |
//! | `host` | with the feature `mock`: NT's calls as C symbols, and the harness of `kmdf_mock.h` |
//! | `panic` | in the build for a driver: a panic is a bug check |
//!
//! What C may pass and Rust may not is answered here: a null item, a null function, a null name. Everything
//! else is as in [`bottomhalf::linux`], whose contracts these functions have.
#![no_std]
#![expect(non_snake_case, reason = "the public names are Linux's and NT's")]
#![cfg_attr(
    feature = "mock",
    expect(non_camel_case_types, reason = "the public names are those of C")
)]

#[cfg(not(driver))]
extern crate std;

/// Exports functions of `bottomhalf::linux` as they are.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("[`bottomhalf::linux::", stringify!($name), "`] for C.")]
        ///
        /// # Safety
        ///
        /// As there.
        #[allow(unused_unsafe, reason = "some of the functions are safe")]
        #[unsafe(export_name = concat!("bottomhalf_", stringify!($name)))]
        pub unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
            $crate::given::answer_null!(stringify!($name) $(, $argument)*);
            // SAFETY: by the caller's word.
            unsafe { ::bottomhalf::linux::$name($($argument),*) }
        }
    )*};
}

pub mod attach;
pub mod contexts;
mod given;
#[cfg(feature = "mock")]
pub mod host;
#[cfg(driver)]
mod panic;
pub mod queues;
pub mod tasklets;
pub mod time;
pub mod works;

/// Linux's `EINVAL`, without its sign: what a null function is answered with.
const EINVAL: i32 = 22;
