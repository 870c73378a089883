//! What a test of the simulator may see of a structure whose inside is the kernel's.

use super::types::{_KDPC, UCHAR, USHORT};

impl _KDPC {
    /// The importance that `KeSetImportanceDpc` has set.
    #[must_use]
    pub const fn importance(&self) -> UCHAR {
        self.Importance
    }

    /// The processor that the DPC is aimed at, as NT keeps it: 0 when there is none.
    #[must_use]
    pub const fn target(&self) -> USHORT {
        self.Number
    }
}
