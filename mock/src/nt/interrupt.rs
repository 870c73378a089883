//! Interrupt lines: asserted on a CPU, delivered when its IRQL is below the line's.

use std::sync::Arc;

use crate::nt::state::Line;
use crate::world::fail;
use crate::world::state::World;

/// Connects an interrupt service routine and returns its line.
pub(crate) fn connect(w: &World, name: &str, irql: u8, isr: Arc<dyn Fn() + Send + Sync>) -> usize {
    assert!(
        (3..=12).contains(&irql),
        "a device interrupt has an IRQL from 3 to 12 (N-42)"
    );
    w.nt.with(|nt| {
        nt.lines.push(Line {
            name: name.to_owned(),
            irql,
            isr,
            running: 0,
        });
        nt.lines.len() - 1
    })
}

/// Asserts a line on a CPU. A line that is asserted there already stays so.
pub(crate) fn assert_line(w: &World, line: usize, cpu: u32) {
    w.nt.with(|nt| {
        assert!(cpu < nt.active, "there is no CPU {cpu}");
        let asserted = &mut nt.cpus[cpu as usize].asserted;
        if !asserted.contains(&line) {
            asserted.push(line);
        }
    });
    w.trace_event("interrupt asserted", line as u64, u64::from(cpu));
    w.engine.request_interrupt(w, cpu);
}

/// Whether a line is neither asserted nor being serviced.
pub(crate) fn is_idle(w: &World, line: usize) -> bool {
    w.nt.with(|nt| {
        nt.lines[line].running == 0 && !nt.cpus.iter().any(|cpu| cpu.asserted.contains(&line))
    })
}

/// The most urgent line that `cpu` may take at `irql`, withdrawn from the CPU.
pub(crate) fn take(w: &World, cpu: u32, irql: u8) -> Option<(usize, u8)> {
    w.nt.with(|nt| {
        let asserted = &nt.cpus[cpu as usize].asserted;
        let lines = &nt.lines;
        let place = (0..asserted.len())
            .filter(|&place| lines[asserted[place]].irql > irql)
            .max_by_key(|&place| lines[asserted[place]].irql)?;
        let line = nt.cpus[cpu as usize].asserted.remove(place);
        nt.lines[line].running += 1;
        Some((line, nt.lines[line].irql))
    })
}

/// Runs the service routine of a taken line. The engine has raised the IRQL to the line's.
pub(crate) fn service(w: &World, line: usize) {
    let (isr, irql) =
        w.nt.with(|nt| (Arc::clone(&nt.lines[line].isr), nt.lines[line].irql));
    w.count(|counters| counters.interrupts += 1);
    w.trace_event("ISR begins", line as u64, 0);
    w.engine.routine(w, true);
    w.engine.preempt(w);
    isr();
    let now = w.engine.irql();
    if now != irql {
        let name = w.nt.with(|nt| nt.lines[line].name.clone());
        fail(
            "IRQL_UNEXPECTED_VALUE(0xC8)",
            format!("the ISR of {name} returned at IRQL {now}"),
        );
    }
    w.engine.preempt(w);
    w.engine.routine(w, false);
    w.trace_event("ISR ends", line as u64, 0);
    w.nt.with(|nt| nt.lines[line].running -= 1);
}
