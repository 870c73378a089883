//! The status codes of WDF's own facility.
//!
//! The headers spell them as casts, which bindgen does not translate, so `wdk-sys` lacks them: these
//! are for the simulator and its tests, and no driver code may name them.

use super::types::NTSTATUS;

pub const STATUS_WDF_OBJECT_ATTRIBUTES_INVALID: NTSTATUS = 0xC020_0209_u32 as i32;
pub const STATUS_WDF_NO_CALLBACK: NTSTATUS = 0xC020_020B_u32 as i32;
pub const STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL: NTSTATUS = 0xC020_020C_u32 as i32;
pub const STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID: NTSTATUS = 0xC020_0210_u32 as i32;
pub const STATUS_WDF_EXECUTION_LEVEL_INVALID: NTSTATUS = 0xC020_0211_u32 as i32;
pub const STATUS_WDF_PARENT_NOT_SPECIFIED: NTSTATUS = 0xC020_0212_u32 as i32;
