//! Panics inside a world: the replay line comes first.

use std::any::Any;
use std::io::Write as _;
use std::sync::Once;

use crate::world::state::try_current;

/// Installs the hook that prints the replay line before anything else, once per process.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Some(w) = try_current() {
                // Straight to the file: a panic in an `extern "C"` callback aborts the process, and output
                // that the test harness has captured is lost then.
                let _ = writeln!(std::io::stderr(), "{}", w.replay);
            }
            before(info);
        }));
    });
}

/// The text of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
