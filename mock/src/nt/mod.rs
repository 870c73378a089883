//! The NT layer: the calls of `ntddk`, and the state behind them, written once over the engine.

#![allow(non_snake_case, non_camel_case_types, reason = "the names are NT's")]

pub(crate) mod check;
mod clock;
mod cpu;
pub(crate) mod dpc;
mod event;
pub(crate) mod interrupt;
mod irql;
mod pool;
pub(crate) mod processor;
mod spin;
pub(crate) mod state;
mod status;
pub(crate) mod thread;
pub(crate) mod timer;
pub(crate) mod wait;
pub(crate) mod work;
pub(crate) mod workers;

pub use clock::*;
pub use cpu::*;
pub use dpc::{
    KeFlushQueuedDpcs, KeInitializeDpc, KeInsertQueueDpc, KeRemoveQueueDpc, KeSetImportanceDpc,
    KeSetTargetProcessorDpcEx,
};
pub use event::*;
pub use irql::*;
pub use pool::*;
pub use processor::{KeDeregisterProcessorChangeCallback, KeRegisterProcessorChangeCallback};
pub use spin::*;
pub use status::*;
pub use thread::{
    KeEnterCriticalRegion, KeGetCurrentThread, KeLeaveCriticalRegion, KeQueryPriorityThread,
    KeSetPriorityThread, ObReferenceObjectByHandle, ObfDereferenceObject, PsCreateSystemThread,
    PsTerminateSystemThread, ZwClose,
};
pub use timer::{
    EX_TIMER, EX_TIMER_HIGH_RESOLUTION, ExAllocateTimer, ExCancelTimer, ExDeleteTimer, ExSetTimer,
    PEX_TIMER, PEXT_CALLBACK,
};
pub use wait::{KeDelayExecutionThread, KeWaitForSingleObject};
pub use work::{
    IO_WORKITEM, IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem, PIO_WORKITEM,
    PIO_WORKITEM_ROUTINE, WORK_QUEUE_TYPE,
};
