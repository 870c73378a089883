//! The library as a KMDF driver gets it, with `wdk-sys` and `wdk` replaced by the stand-ins.

#![no_std]

pub use bottomhalf;
