//! Runs the conformance scenarios on the simulated KMDF and holds their answers against Linux's.

pub mod compare;
pub mod fork;
pub mod machine;
pub mod scenarios;
