//! Device interrupts for test code.

use std::sync::Arc;

use crate::nt::interrupt;
use crate::world::state::current;

/// A connected device interrupt.
#[derive(Debug)]
pub struct Interrupt {
    line: usize,
}

impl Interrupt {
    /// Connects a service routine that runs at `irql` (3 to 12).
    ///
    /// # Panics
    /// Outside a world, or if `irql` is not a device IRQL.
    pub fn connect(name: &str, irql: u8, isr: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            line: interrupt::connect(current(), name, irql, Arc::new(isr)),
        }
    }

    /// Asserts the line on `cpu`; any context. It is delivered when that CPU's IRQL is below the line's.
    /// Asserting a line that is asserted there already changes nothing.
    ///
    /// # Panics
    /// If there is no such CPU.
    pub fn raise(&self, cpu: u32) {
        let w = current();
        w.engine.preempt(w);
        interrupt::assert_line(w, self.line, cpu);
        w.engine.preempt(w);
    }

    /// Whether the line is asserted nowhere and its routine does not run.
    pub fn is_idle(&self) -> bool {
        let w = current();
        w.engine.preempt(w);
        interrupt::is_idle(w, self.line)
    }
}
