//! Linux tasklets, work, delayed work and workqueues on Windows KMDF.
#![no_std]
