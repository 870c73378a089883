//! A simulator of the NT and KMDF calls that deferred work stands on, under the names of `wdk-sys`.
//!
//! Code that is written against `wdk-sys` compiles against this crate (`use kmdf_mock as wdk_sys;`) and runs in
//! a *world*: one simulated machine with one driver image in it. [`world::Sim`] is deterministic, one seed
//! replays a run; [`world::Live`] runs the same calls on OS threads.
//!
//! | Module | What it has |
//! |---|---|
//! | the root | types and constants of the Windows headers |
//! | [`ntddk`] | NT's calls |
//! | [`wdf`] | KMDF's calls, by name and as a function table |
//! | [`world`] | worlds, and what a test does in one |
//! | [`sync`] | atomics, cells and a spin lock whose accesses are preemption points |
//! | [`image`] | statics of a driver image, one value per world |
//!
//! # Example
//!
//! An interrupt queues a DPC, which sets an event; a thread waits for it. Over a hundred schedules:
//!
//! ```
//! use std::cell::UnsafeCell;
//! use std::ffi::c_void;
//! use std::ptr::{from_ref, null_mut};
//!
//! use kmdf_mock::world::{self, Interrupt, Sim};
//! use kmdf_mock::{KDPC, KEVENT, ntddk, sim_assert_eq};
//!
//! struct Device {
//!     dpc: UnsafeCell<KDPC>,
//!     done: UnsafeCell<KEVENT>,
//! }
//! // Sound: both objects are reached through NT's calls only, which serialise every access.
//! unsafe impl Sync for Device {}
//!
//! unsafe extern "C" fn dpc(_: *mut KDPC, device: *mut c_void, _: *mut c_void, _: *mut c_void) {
//!     sim_assert_eq!(world::current_irql(), 2);
//!     // Sound: the context is the device, which lives as long as the world.
//!     unsafe { ntddk::KeSetEvent((*device.cast::<Device>()).done.get(), 0, 0) };
//! }
//!
//! world::seeds(0..100, |seed| {
//!     let interrupts = Sim::new(seed).cpus(2).run(|| {
//!         // Sound: a KDPC and a KEVENT may be all zeroes until they are initialised.
//!         let device: &'static Device = Box::leak(Box::new(unsafe { std::mem::zeroed() }));
//!         // Sound: both objects stay in place for good.
//!         unsafe {
//!             ntddk::KeInitializeDpc(device.dpc.get(), Some(dpc), from_ref(device).cast_mut().cast());
//!             ntddk::KeInitializeEvent(device.done.get(), 0, 0);
//!         }
//!         let irq = Interrupt::connect("nic", 7, || {
//!             // Sound: the DPC is initialised.
//!             unsafe { ntddk::KeInsertQueueDpc(device.dpc.get(), null_mut(), null_mut()) };
//!         });
//!         irq.raise(world::choose(2));
//!         // Sound: the event is initialised; a null timeout waits for as long as it takes.
//!         unsafe { ntddk::KeWaitForSingleObject(device.done.get().cast(), 0, 0, 0, null_mut()) };
//!         world::counters().interrupts
//!     });
//!     assert_eq!(interrupts.unwrap(), 1);
//! });
//! ```
//!
//! # Layers
//!
//! `wdf` is written over `ntddk`; `ntddk` over a small engine trait (who runs where at which IRQL, how a context
//! stops and continues, what time it is). Neither knows which engine runs the world.

pub mod abi;
pub use abi::*;

mod engine;
pub mod image;
mod nt;
pub mod sync;
pub mod wdf;
pub mod world;

/// The NT calls, under the names and with the signatures of `wdk_sys::ntddk`.
pub mod ntddk {
    pub use crate::nt::*;
}
