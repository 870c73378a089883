//! IRQL: reading, raising and lowering it (N-6 to N-9).
//!
//! Outside of a world there is no CPU: the level reads PASSIVE, and raising and lowering do nothing, so that
//! code which first asks whether anything is attached can be called from a plain unit test.

use crate::abi::{HIGH_LEVEL, KIRQL, PASSIVE_LEVEL};
use crate::nt::check::{call, done};
use crate::world::{fail, try_current};

/// The IRQL of the current CPU.
///
/// # Safety
/// None beyond being called in a world.
pub unsafe extern "C" fn KeGetCurrentIrql() -> KIRQL {
    if try_current().is_none() {
        return PASSIVE_LEVEL as KIRQL;
    }
    let w = call();
    w.engine.irql()
}

/// Raises the IRQL and returns the one before (N-7). Raising to a lower one is `DV(0xC4,0x30)`.
///
/// # Safety
/// The caller restores the IRQL with [`KeLowerIrql`].
pub unsafe extern "C" fn KfRaiseIrql(NewIrql: KIRQL) -> KIRQL {
    if try_current().is_none() {
        return PASSIVE_LEVEL as KIRQL;
    }
    let w = call();
    w.count(|counters| counters.irql_raises += 1);
    let old = w.engine.irql();
    if NewIrql < old || u32::from(NewIrql) > HIGH_LEVEL {
        fail(
            "DV(0xC4,0x30)",
            format!("KfRaiseIrql to {NewIrql} at IRQL {old}"),
        );
    }
    w.engine.set_irql(w, NewIrql);
    done(w);
    old
}

/// Lowers the IRQL to a value that [`KfRaiseIrql`] returned (N-8). Raising with it is `DV(0xC4,0x31)`.
///
/// # Safety
/// The caller raised the IRQL before.
pub unsafe extern "C" fn KeLowerIrql(NewIrql: KIRQL) {
    if try_current().is_none() {
        return;
    }
    let w = call();
    let old = w.engine.irql();
    if NewIrql > old {
        fail(
            "DV(0xC4,0x31)",
            format!("KeLowerIrql to {NewIrql} at IRQL {old}"),
        );
    }
    w.engine.set_irql(w, NewIrql);
    done(w);
}
