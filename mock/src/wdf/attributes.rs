//! `WDF_OBJECT_ATTRIBUTES`: which fields an object type accepts, and in which order they are
//! checked.
//!
//! Facts S-11 to S-14 give the order, D-2 rows 1 to 4 the part about the parent.

use std::sync::Arc;

use super::object::Object;
use super::registry;
use crate::abi::*;

/// Size of `WDF_OBJECT_CONTEXT_TYPE_INFO` in KMDF 1.0 drivers: no unique type, no callback.
const CONTEXT_TYPE_INFO_V1_0: u32 = 24;

/// `STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED`: a driver or a device was given a parent.
const STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED: NTSTATUS = 0xC020_020F_u32 as i32;

/// Which optional fields of the attributes an object type accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allow {
    /// `ExecutionLevel` other than inherit.
    pub(super) execution_level: bool,
    /// `SynchronizationScope` of a device or a queue.
    pub(super) scope: bool,
    /// A parent.
    pub(super) parent: bool,
}

impl Allow {
    /// Neither: DPC, work item, general object.
    pub(super) const NEITHER: Self = Self {
        execution_level: false,
        scope: false,
        parent: true,
    };
    /// Only the execution level: timer.
    pub(super) const EXECUTION_LEVEL: Self = Self {
        execution_level: true,
        scope: false,
        parent: true,
    };
    /// All of them: queue.
    pub(super) const EVERYTHING: Self = Self {
        execution_level: true,
        scope: true,
        parent: true,
    };
    /// Both, but no parent: driver, device.
    pub(super) const BOTH: Self = Self {
        execution_level: true,
        scope: true,
        parent: false,
    };
}

/// Reads attributes that may be absent; a wrong `Size` is the first thing noticed (S-11).
///
/// # Safety
/// - `attributes` is NULL or points to a readable `WDF_OBJECT_ATTRIBUTES` or shorter structure
///   whose `Size` field tells the truth.
pub(super) unsafe fn read(
    attributes: PWDF_OBJECT_ATTRIBUTES,
) -> Result<Option<WDF_OBJECT_ATTRIBUTES>, NTSTATUS> {
    if attributes.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises that at least the `Size` field is readable.
    let size = unsafe { (&raw const (*attributes).Size).read() };
    if size as usize != size_of::<WDF_OBJECT_ATTRIBUTES>() {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    // SAFETY: the size field says that the whole structure is there.
    Ok(Some(unsafe { attributes.read() }))
}

/// Attributes that must name a parent: D-2 rows 1 to 4, in that order.
///
/// # Safety
/// - As [`read`].
pub(super) unsafe fn with_parent(
    attributes: PWDF_OBJECT_ATTRIBUTES,
) -> Result<(WDF_OBJECT_ATTRIBUTES, Arc<Object>), NTSTATUS> {
    // SAFETY: passed on to the caller.
    let attributes = unsafe { read(attributes) }?.ok_or(STATUS_WDF_PARENT_NOT_SPECIFIED)?;
    if attributes.ParentObject.is_null() {
        return Err(STATUS_WDF_PARENT_NOT_SPECIFIED);
    }
    let parent = registry::any(attributes.ParentObject, "ParentObject");
    Ok((attributes, parent))
}

/// The checks that come after the configuration was looked at: S-11 to S-14, in that order.
pub(super) fn validate(attributes: &WDF_OBJECT_ATTRIBUTES, allow: Allow) -> Result<(), NTSTATUS> {
    validate_context(attributes)?;
    if !attributes.ParentObject.is_null() && !allow.parent {
        return Err(STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED);
    }
    let level = attributes.ExecutionLevel;
    if !(_WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent
        ..=_WDF_EXECUTION_LEVEL::WdfExecutionLevelDispatch)
        .contains(&level)
    {
        return Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    let scope = attributes.SynchronizationScope;
    if !(_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent
        ..=_WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeNone)
        .contains(&scope)
    {
        return Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    let real_scope = scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeDevice
        || scope == _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeQueue;
    if real_scope && !allow.scope {
        return Err(STATUS_WDF_SYNCHRONIZATION_SCOPE_INVALID);
    }
    if level != _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent && !allow.execution_level {
        return Err(STATUS_WDF_EXECUTION_LEVEL_INVALID);
    }
    Ok(())
}

/// S-11: the type info and the size override.
fn validate_context(attributes: &WDF_OBJECT_ATTRIBUTES) -> Result<(), NTSTATUS> {
    let info = attributes.ContextTypeInfo;
    if info.is_null() {
        if attributes.ContextSizeOverride > 0 {
            return Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
        }
        return Ok(());
    }
    // SAFETY: a driver that names a type info passes a static of at least the 1.0 size (O-2).
    let (size, name, context_size) = unsafe {
        (
            (&raw const (*info).Size).read(),
            (*info).ContextName,
            (*info).ContextSize,
        )
    };
    let whole = size_of::<WDF_OBJECT_CONTEXT_TYPE_INFO>() as u32;
    if size != whole && size != CONTEXT_TYPE_INFO_V1_0 {
        return Err(STATUS_INFO_LENGTH_MISMATCH);
    }
    if context_size > 0 && name.is_null() {
        return Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    let size_override = attributes.ContextSizeOverride;
    if size_override > 0 && size_override < context_size {
        return Err(STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    Ok(())
}

/// Bytes of context that the attributes ask for.
pub(super) fn context_size(attributes: &WDF_OBJECT_ATTRIBUTES) -> usize {
    if attributes.ContextTypeInfo.is_null() {
        return 0;
    }
    if attributes.ContextSizeOverride != 0 {
        return attributes.ContextSizeOverride;
    }
    // SAFETY: `validate_context` accepted this type info; it is a static of the driver (O-2).
    unsafe { (*attributes.ContextTypeInfo).ContextSize }
}
