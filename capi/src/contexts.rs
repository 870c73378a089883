//! Bottom halves off and on, and the tests for the caller's context.

forward! {
    local_bh_disable();
    local_bh_enable();
    in_interrupt() -> bool;
    in_softirq() -> bool;
    in_serving_softirq() -> bool;
    in_hardirq() -> bool;
    in_irq() -> bool;
    in_task() -> bool;
    in_atomic() -> bool;
    irqs_disabled() -> bool;
}
