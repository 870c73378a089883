//! Panics inside a world: the replay line comes first.

use std::any::Any;
use std::cell::RefCell;
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
                PLACE.set(
                    info.location()
                        .map(|place| format!("{}:{}", place.file(), place.line())),
                );
                // Straight to the file: a panic in an `extern "C"` callback aborts the process, and output
                // that the test harness has captured is lost then.
                let _ = writeln!(std::io::stderr(), "{}", w.replay);
            }
            before(info);
        }));
    });
}

thread_local! {
    /// Where the last panic of this OS thread inside a world was.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The text of the last panic, and where it was.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = text(payload);
    match PLACE.take() {
        Some(place) => format!("{text} ({place})"),
        None => text,
    }
}

fn text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
