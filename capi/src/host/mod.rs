//! The host's side: the calls of NT and KMDF that C code makes, and the harness that runs it.

pub mod harness;
pub mod machine;
pub mod nt;
pub mod wdf;
