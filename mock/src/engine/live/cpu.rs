//! A virtual CPU of the live engine, and the threads that serve it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::Engine as _;
use crate::engine::live::lock::RawLock;
use crate::engine::live::watchdog::Since;
use crate::engine::live::{CPU, HAS_DISPATCH, IRQL, Live};
use crate::nt::{dpc, interrupt, timer};
use crate::world::state::World;

/// How long a service thread sleeps at most before it looks whether the world ends.
const LOOK: Duration = Duration::from_millis(100);

/// One virtual CPU.
#[derive(Debug, Default)]
pub(super) struct Cpu {
    /// Held at and above DISPATCH_LEVEL, except in interrupts.
    pub(super) dispatch: RawLock,
    /// Held above DISPATCH_LEVEL.
    pub(super) device: RawLock,
    drain: AtomicBool,
    interrupt: AtomicBool,
    interrupts_running: AtomicU32,
    has_interrupt_thread: AtomicBool,
    doorbell: Mutex<u64>,
    rung: Condvar,
    pub(super) since: Since,
}

impl Cpu {
    pub(super) fn want_drain(&self) {
        self.drain.store(true, Ordering::SeqCst);
    }

    pub(super) fn wants_drain(&self) -> bool {
        self.drain.load(Ordering::SeqCst)
    }

    pub(super) fn want_interrupt(&self) {
        self.interrupt.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_interrupt(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst)
    }

    pub(super) fn in_interrupt(&self) -> bool {
        self.interrupts_running.load(Ordering::SeqCst) > 0
    }

    /// Rings for the service threads of this CPU.
    pub(super) fn notify(&self) {
        *self.doorbell.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    pub(super) fn notify_if_wanted(&self) {
        if self.wants_drain() {
            self.notify();
        }
    }

    /// Drains the DPC queue while that is asked for. The caller holds the dispatch lock at DISPATCH_LEVEL.
    pub(super) fn drain(&self, w: &World) {
        while self.drain.swap(false, Ordering::SeqCst) {
            dpc::drain(w);
        }
    }

    /// Sleeps until `ready` or until somebody rings.
    fn wait(&self, live: &Live, ready: impl Fn() -> bool) {
        let mut rings = self.doorbell.lock().unwrap_or_else(PoisonError::into_inner);
        while !ready() && !live.is_stopping() {
            rings = self
                .rung
                .wait_timeout(rings, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Live {
    /// Starts the clock and a service thread per CPU.
    pub(crate) fn start_service(&self, w: &'static World) {
        for cpu in 0..self.cpus.len() as u32 {
            self.start_service_thread(w, &format!("dpc {cpu}"), cpu, move |live| {
                let own = &live.cpus[cpu as usize];
                while !live.is_stopping() {
                    own.wait(live, || own.wants_drain());
                    if own.wants_drain() {
                        live.set_irql(w, 2);
                        live.set_irql(w, 0);
                    }
                }
            });
        }
        self.start_service_thread(w, "clock", 0, move |live| live.run_clock(w));
    }

    fn run_clock(&self, w: &World) {
        // The clock is on no CPU: what it asks for is for the service threads.
        CPU.set(u32::MAX);
        while !self.is_stopping() {
            self.check_watchdog(w);
            let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.now();
            if *alarm > now {
                let left = Duration::from_nanos((*alarm - now).saturating_mul(100)).min(LOOK);
                drop(self.alarm_changed.wait_timeout(alarm, left));
                continue;
            }
            *alarm = u64::MAX;
            drop(alarm);
            timer::clock(w, now, true);
            let (next, queued) = w.nt.with(|nt| {
                let look = nt.work.next_look().unwrap_or(u64::MAX);
                (
                    nt.timers.next().unwrap_or(u64::MAX).min(look),
                    nt.cpus.iter().any(|cpu| !cpu.dpcs.is_empty()),
                )
            });
            let tick = if queued {
                self.last_tick() + self.tick
            } else {
                u64::MAX
            };
            self.alarm(w, next.min(tick));
        }
    }

    /// Starts the thread that takes the interrupts of a CPU, at the first one.
    pub(super) fn start_interrupt_thread(&self, cpu: u32) {
        if self.cpus[cpu as usize]
            .has_interrupt_thread
            .swap(true, Ordering::SeqCst)
        {
            return;
        }
        let w = crate::world::state::current();
        self.start_service_thread(w, &format!("interrupts {cpu}"), cpu, move |live| {
            let own = &live.cpus[cpu as usize];
            while !live.is_stopping() {
                own.wait(live, || own.has_interrupt());
                live.serve_interrupts_here(w);
            }
        });
    }

    /// Runs the asserted lines of this thread's CPU that its IRQL allows. An interrupt does not wait for the
    /// dispatch lock: it preempts whoever holds it, in parallel.
    pub(super) fn serve_interrupts_here(&self, w: &World) {
        let cpu = CPU.get();
        let own = &self.cpus[cpu as usize];
        let irql = IRQL.get();
        if irql >= 3 {
            return;
        }
        while own.interrupt.load(Ordering::SeqCst) {
            own.device.lock();
            own.interrupt.store(false, Ordering::SeqCst);
            own.interrupts_running.fetch_add(1, Ordering::SeqCst);
            let had_dispatch = HAS_DISPATCH.replace(false);
            while let Some((line, level)) = interrupt::take(w, cpu, irql) {
                IRQL.set(level);
                interrupt::service(w, line);
            }
            IRQL.set(irql);
            HAS_DISPATCH.set(had_dispatch);
            own.interrupts_running.fetch_sub(1, Ordering::SeqCst);
            own.device.unlock();
        }
        if own.wants_drain() && !HAS_DISPATCH.get() {
            own.notify();
        }
    }
}
