//! Linux tasklets, work, delayed work and workqueues on Windows KMDF.
#![no_std]
#![allow(non_camel_case_types)]
#[cfg(test)]
extern crate std;
mod engine;
mod sync;
