//! How an image tells time: by NT's ticks, or by the clock that does not wait for them.

use super::image::image;
use super::{Raised, nt};
use crate::sync::Ordering::Relaxed;

/// From here on the image tells time by the precise clock, or by ticks again. The precise clock goes
/// on from where the ticks are. IRQL: any.
pub(super) fn set_precise(precise: bool) {
    let ahead = if precise {
        // Nothing of this CPU comes between the two; and a tick on another one makes the precise clock, which
        // is read second, the later one still.
        let _raised = Raised::new();
        let ticked = nt::ticked_100ns();
        nt::precise_100ns() - ticked + 1
    } else {
        0
    };
    // ORDERING: nothing is armed yet, or any more: nobody compares times across the change.
    image().clock.store(ahead, Relaxed);
}

/// The time in 100 ns. IRQL: any.
pub(super) fn now_100ns() -> u64 {
    match precise() {
        Some(ahead) => nt::precise_100ns() - ahead,
        None => nt::ticked_100ns(),
    }
}

/// How far the precise clock was ahead of the ticks, if time is told by it. IRQL: any.
pub(super) fn precise() -> Option<u64> {
    // ORDERING: as in `set_precise`.
    image().clock.load(Relaxed).checked_sub(1)
}
