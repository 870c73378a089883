//! The network card: a ring of receive descriptors, interrupt registers, and a wire that feeds it.
//!
//! The card does what cards do. It writes a frame into the next descriptor that the driver has freed,
//! asserts an interrupt line on some CPU, and stalls when no descriptor is free. Its registers are
//! atomics, as a device's are: reading and writing them takes no lock and is allowed at any IRQL.
//!
//! A frame is a number here, its index in the capture, which stands for the address of a DMA buffer.

use std::sync::OnceLock;

use kmdf_mock::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kmdf_mock::world::{self, Gate, Interrupt};

/// Descriptors in the ring.
pub(crate) const RING: usize = 64;

/// IRQL of the interrupt.
const DIRQL: u8 = 8;

/// Frames that arrive without a pause, at most. More than the ring holds, so that it runs full.
const BURST_MAX: u32 = 96;
/// Time between two bursts.
const PAUSE_100NS: u64 = 20_000;
/// Time in which a stalled card looks again for a free descriptor.
const STALL_100NS: u64 = 200;
/// The link goes down and up again after so many frames, for so long: long enough for the driver to
/// find the wire quiet.
const FLAP_EVERY: u32 = 4_096;
const FLAP_FIRST: u32 = 500;
const FLAP_100NS: u64 = 600_000;
/// Interrupts move to the next CPU after so many.
const INTERRUPTS_PER_CPU: u64 = 16;

/// Why the card interrupts: bits of the cause register.
pub(crate) mod cause {
    /// Frames are in the ring.
    pub(crate) const RECEIVED: u32 = 1 << 0;
    /// The link went up or down.
    pub(crate) const LINK: u32 = 1 << 1;
    /// The ring is full.
    pub(crate) const STALLED: u32 = 1 << 2;
    /// All of them.
    pub(crate) const ALL: u32 = RECEIVED | LINK | STALLED;
}

/// The card.
#[derive(Debug)]
pub(crate) struct Device {
    /// Frames on the wire.
    frames: u32,
    cpus: u32,
    /// Owner and frame of each descriptor: 0 is the card's, `n + 1` is the driver's with frame `n`.
    /// The only words that both sides write.
    ring: [AtomicU32; RING],
    /// The wire is connected and the receiver on.
    on: AtomicBool,
    /// Why the card wants to interrupt.
    pending: AtomicU32,
    /// Which causes may.
    enabled: AtomicU32,
    /// Frames per interrupt.
    moderation: AtomicU32,
    link: AtomicBool,
    /// Statistics registers.
    received: AtomicU64,
    stalls: AtomicU64,
    /// How often the line was asserted.
    interrupts: AtomicU64,
    line: OnceLock<Interrupt>,
}

impl Device {
    /// A card that `frames` frames will arrive at, in a machine with `cpus` CPUs. It is off.
    pub(crate) fn new(frames: u32, cpus: u32) -> Self {
        Self {
            frames,
            cpus,
            ring: [const { AtomicU32::new(0) }; RING],
            on: AtomicBool::new(false),
            pending: AtomicU32::new(0),
            enabled: AtomicU32::new(0),
            moderation: AtomicU32::new(1),
            link: AtomicBool::new(false),
            received: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
            line: OnceLock::new(),
        }
    }

    // ------------------------------------------------------------ what the driver does

    /// Connects the driver's service routine.
    pub(crate) fn connect(&self, service: impl Fn() + Send + Sync + 'static) {
        let line = Interrupt::connect("nic", DIRQL, service);
        self.line.set(line).expect("a card is connected once");
    }

    /// Turns the receiver on, with all interrupts.
    pub(crate) fn start(&self) {
        self.on.store(true, Ordering::SeqCst);
        self.enable(cause::ALL);
    }

    /// Turns everything off. The service routine may still be running, or about to.
    pub(crate) fn stop(&self) {
        self.on.store(false, Ordering::SeqCst);
        self.disable(cause::ALL);
    }

    /// Whether the service routine neither runs nor is about to.
    pub(crate) fn is_quiet(&self) -> bool {
        self.line.get().is_none_or(Interrupt::is_idle)
    }

    /// Reads and clears the enabled causes. Service routine only.
    pub(crate) fn acknowledge(&self) -> u32 {
        let enabled = self.enabled.load(Ordering::SeqCst);
        self.pending.fetch_and(!enabled, Ordering::SeqCst) & enabled
    }

    /// Lets `causes` interrupt; one that is pending already does so at once.
    pub(crate) fn enable(&self, causes: u32) {
        self.enabled.fetch_or(causes, Ordering::SeqCst);
        self.interrupt();
    }

    /// Keeps `causes` from interrupting.
    pub(crate) fn disable(&self, causes: u32) {
        self.enabled.fetch_and(!causes, Ordering::SeqCst);
    }

    /// Takes the frame out of descriptor `slot` and gives the descriptor back to the card.
    pub(crate) fn take(&self, slot: usize) -> Option<u32> {
        let descriptor = &self.ring[slot];
        // Pairs with the card's store in `place`: whoever sees the frame's number sees the frame.
        let frame = descriptor.load(Ordering::Acquire).checked_sub(1)?;
        descriptor.store(0, Ordering::Release);
        Some(frame)
    }

    /// Whether descriptor `slot` holds a frame.
    pub(crate) fn has_frame(&self, slot: usize) -> bool {
        self.ring[slot].load(Ordering::Acquire) != 0
    }

    /// Sets how many frames share an interrupt.
    pub(crate) fn moderate(&self, frames: u32) {
        self.moderation.store(frames, Ordering::Relaxed);
    }

    /// Whether the link is up.
    pub(crate) fn link(&self) -> bool {
        self.link.load(Ordering::SeqCst)
    }

    /// Frames that the card has written to the ring.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// How often the ring was full.
    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::SeqCst)
    }

    // ------------------------------------------------------------ what the card does

    /// The wire: lets all frames arrive, until the card is turned off. Runs in a thread of its own.
    /// Opens `alarm` right after so many frames.
    pub(crate) fn wire(&self, alarm: Option<(u32, Gate)>) {
        let ring_alarm = |frame: u32| {
            if let Some((at, gate)) = &alarm
                && *at == frame
            {
                gate.open();
            }
        };
        self.set_link(true);
        let mut frame = 0;
        ring_alarm(frame);
        while frame < self.frames && self.is_on() {
            let burst = (1 + world::choose(BURST_MAX)).min(self.frames - frame);
            let mut silent = 0;
            for _ in 0..burst {
                if !self.place(frame) {
                    return;
                }
                frame += 1;
                silent += 1;
                ring_alarm(frame);
                if silent >= self.moderation.load(Ordering::Relaxed) {
                    self.assert(cause::RECEIVED);
                    silent = 0;
                }
                if frame % FLAP_EVERY == FLAP_FIRST {
                    self.set_link(false);
                    world::sleep_100ns(FLAP_100NS);
                    self.set_link(true);
                }
            }
            // The wire falls silent: the moderation timer of the card runs out.
            self.assert(cause::RECEIVED);
            world::sleep_100ns(PAUSE_100NS);
        }
    }

    /// Writes `frame` to its descriptor, once that is free; `false` if the card is turned off before.
    fn place(&self, frame: u32) -> bool {
        let descriptor = &self.ring[frame as usize % RING];
        if descriptor.load(Ordering::Acquire) != 0 {
            self.stalls.fetch_add(1, Ordering::Relaxed);
            self.assert(cause::RECEIVED | cause::STALLED);
            while descriptor.load(Ordering::Acquire) != 0 {
                if !self.is_on() {
                    return false;
                }
                world::sleep_100ns(STALL_100NS);
            }
        }
        if !self.is_on() {
            return false;
        }
        descriptor.store(frame + 1, Ordering::Release);
        self.received.fetch_add(1, Ordering::SeqCst);
        true
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst)
    }

    fn set_link(&self, up: bool) {
        self.link.store(up, Ordering::SeqCst);
        self.assert(cause::LINK);
    }

    fn assert(&self, causes: u32) {
        self.pending.fetch_or(causes, Ordering::SeqCst);
        self.interrupt();
    }

    /// Asserts the line if an enabled cause is pending.
    fn interrupt(&self) {
        if self.pending.load(Ordering::SeqCst) & self.enabled.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(line) = self.line.get() {
            let count = self.interrupts.fetch_add(1, Ordering::Relaxed);
            line.raise((count / INTERRUPTS_PER_CPU % u64::from(self.cpus)) as u32);
        }
    }
}
