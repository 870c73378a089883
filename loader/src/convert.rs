//! Arguments on their way from the driver to `kmdf-mock`.
//!
//! Numbers and addresses pass as they are. A function pointer becomes one of the host's convention. A structure
//! with function pointers in it is copied, and the copy passes with its pointers replaced: the driver's own is
//! constant. There is no way for any other type, so that a structure cannot be forgotten.

use std::ffi::c_void;

use kmdf_mock::*;

use crate::map;
use crate::thunk;

/// A type that the driver passes to a function.
pub(crate) trait Argument: Copy {
    /// What has to live as long as the call.
    type Held;
    /// Takes it from the driver.
    fn hold(self) -> Self::Held;
    /// What the host's function gets.
    fn pass(held: &mut Self::Held) -> Self;
}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(
        impl Argument for $type {
            type Held = Self;
            fn hold(self) -> Self {
                self
            }
            fn pass(held: &mut Self) -> Self {
                *held
            }
        }
    )*};
}
plain!(u8, i8, u16, u32, i32, u64, i64, usize, bool);

macro_rules! pointers_to {
    ($($type:ty),* $(,)?) => {
        plain!($(*mut $type, *const $type),*);
    };
}
pointers_to! {
    c_void, u64, i8, i32, u16, UNICODE_STRING, LARGE_INTEGER, OBJECT_ATTRIBUTES, CLIENT_ID, HANDLE,
    KEVENT, KDPC, DRIVER_OBJECT, _KTHREAD, _OBJECT_TYPE, _OBJECT_HANDLE_INFORMATION, _DEVICE_OBJECT,
    PROCESSOR_NUMBER, GROUP_AFFINITY, KDPC_WATCHDOG_INFORMATION, ntddk::EX_TIMER, ntddk::IO_WORKITEM,
    WDF_DRIVER_GLOBALS, WDFDEVICE_INIT, *mut WDFDEVICE_INIT, WDF_OBJECT_CONTEXT_TYPE_INFO,
    usize, WDFQUEUE__, WDFREQUEST__, WDFQUEUE,
    WDFDRIVER__, WDFDEVICE__, WDFDPC__, WDFTIMER__, WDFWORKITEM__,
    WDFDRIVER, WDFDEVICE, WDFDPC, WDFTIMER, WDFWORKITEM,
}

/// The host's function for one of the driver's. An address outside of its code ends the run.
pub(crate) fn function(address: usize) -> usize {
    if address == 0 {
        return 0;
    }
    if let Some(image) = map::LOADED.get()
        && !image.is_code(address)
    {
        world::fail(
            "SIM_BAD_CALLBACK",
            format!(
                "the driver hands over {address:#x} as a function, which is no code of its own"
            ),
        );
    }
    thunk::callback(address)
}

macro_rules! functions {
    ($(($($argument:ident),*))*) => {$(
        impl<$($argument,)* R> Argument for Option<unsafe extern "C" fn($($argument),*) -> R> {
            type Held = Self;
            fn hold(self) -> Self {
                let address = function(self.map_or(0, |function| function as usize));
                // SAFETY: an optional function pointer is an address, and absent if that is zero. The function is a
                // thunk, which stays for good, or absent.
                unsafe { std::mem::transmute::<usize, Self>(address) }
            }
            fn pass(held: &mut Self) -> Self {
                *held
            }
        }
    )*};
}
functions! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

/// A structure that begins with its size, and has function pointers in it.
pub(crate) trait Structure: Copy + Default {
    /// Sizes that a driver may say.
    const SIZES: &'static [usize] = &[size_of::<Self>()];
    /// Replaces the function pointers.
    fn replace(&mut self);
}

/// A copy of a structure of the driver's, or the driver's own address if there is nothing to copy.
#[derive(Debug)]
pub(crate) struct Copied<T> {
    address: *mut T,
    copy: T,
    copied: bool,
}

impl<T: Structure> Argument for *mut T {
    type Held = Copied<T>;

    fn hold(self) -> Copied<T> {
        let mut held = Copied {
            address: self,
            copy: T::default(),
            copied: false,
        };
        if self.is_null() {
            return held;
        }
        // SAFETY: by the contract of the function that was called the structure is there, with its size in front.
        let size = unsafe { self.cast::<u32>().read_unaligned() } as usize;
        // One of another size is refused by the function, which then looks at nothing else.
        if T::SIZES.contains(&size) {
            // SAFETY: as above, and both are as long as `size`.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    self.cast::<u8>(),
                    (&raw mut held.copy).cast::<u8>(),
                    size,
                );
            }
            held.copy.replace();
            held.copied = true;
        }
        held
    }

    fn pass(held: &mut Copied<T>) -> Self {
        if held.copied {
            &raw mut held.copy
        } else {
            held.address
        }
    }
}

macro_rules! structures {
    ($($type:ident: $($member:ident)* $(, sizes $sizes:expr)?;)*) => {$(
        impl Structure for $type {
            $(const SIZES: &'static [usize] = &$sizes;)?
            fn replace(&mut self) {
                $(self.$member = self.$member.hold();)*
            }
        }
    )*};
}
structures! {
    WDF_OBJECT_ATTRIBUTES: EvtCleanupCallback EvtDestroyCallback;
    WDF_DRIVER_CONFIG: EvtDriverDeviceAdd EvtDriverUnload;
    WDF_DPC_CONFIG: EvtDpcFunc;
    WDF_WORKITEM_CONFIG: EvtWorkItemFunc;
    // Those of KMDF 1.7 and 1.9 are shorter.
    WDF_IO_QUEUE_CONFIG: EvtIoDefault EvtIoRead EvtIoWrite EvtIoDeviceControl EvtIoInternalDeviceControl EvtIoStop
        EvtIoResume EvtIoCanceledOnQueue, sizes [80, 88, size_of::<Self>()];
    // Those of KMDF 1.7 and 1.11 are shorter.
    WDF_TIMER_CONFIG: EvtTimerFunc, sizes [24, 32, size_of::<Self>()];
}

/// `extern "win64"` functions over functions of the same name in a module, and a list of them by their names, or by
/// the numbers in brackets.
macro_rules! wrappers {
    (@key $name:ident) => { stringify!($name) };
    (@key $name:ident $index:ident) => { ::kmdf_mock::_WDFFUNCENUM::$index as usize };
    ($(#[$attribute:meta])* $list:ident: $key:ty, $module:ident:
        $($name:ident $([$index:ident])? ($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        $(#[$attribute])*
        pub(crate) static $list: &[($key, $crate::convert::Entry)] = &[
            $(($crate::convert::wrappers!(@key $name $($index)?), {
                #[allow(non_snake_case, reason = "the names are those of the Windows headers")]
                unsafe extern "win64" fn $name($($argument: $type),*) $(-> $result)? {
                    $(let mut $argument = $crate::convert::Argument::hold($argument);)*
                    // SAFETY: by the word of the driver, which is what makes the call.
                    unsafe { ::kmdf_mock::$module::$name($($crate::convert::Argument::pass(&mut $argument)),*) }
                }
                $crate::convert::Entry($name as *const ())
            })),*
        ];
    };
}
pub(crate) use wrappers;

/// The address of a function that the driver may call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry(pub(crate) *const ());

// SAFETY: the address of a function, which may be called on any thread.
unsafe impl Sync for Entry {}

impl Entry {
    /// As a number, which is what the driver's tables have.
    pub(crate) fn address(self) -> usize {
        self.0 as usize
    }
}
