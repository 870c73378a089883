//! The seam between the NT layer and what runs it.
//!
//! The NT layer (`nt/`) and KMDF (`wdf/`) are written once, over [`Engine`]: who runs on which CPU at
//! which IRQL, how a context stops and continues, and what time it is. Everything else (queues, events,
//! timers, threads as objects) is NT's own state and lives in [`crate::nt::state::NtState`].

pub(crate) mod big;
pub(crate) mod live;
pub(crate) mod rng;
pub(crate) mod sim;

pub(crate) use big::Big;

use crate::world::World;

/// A thread of a world, by its place in the world's thread table.
pub(crate) type ThreadId = usize;

/// What a thread runs.
pub(crate) type Entry = Box<dyn FnOnce() + Send + 'static>;

/// What runs the contexts of a world.
///
/// No caller may hold the lock of a [`Big`] across a method marked *switches*.
pub(crate) trait Engine: Send + Sync {
    /// The deterministic engine, if this is it.
    fn as_sim(&self) -> Option<&sim::Sim> {
        None
    }
    /// The live engine, if this is it.
    fn as_live(&self) -> Option<&live::Live> {
        None
    }
    /// The world is over: threads of the system leave.
    fn is_stopping(&self) -> bool {
        false
    }
    /// A preemption point: delivers what this CPU's IRQL allows, and may let others go first. *Switches.*
    fn preempt(&self, w: &World);
    /// One round of a busy wait for the lock at the address `lock`: lets the other CPUs go first. *Switches.*
    fn spin(&self, w: &World, lock: usize);
    /// The lock at the address `lock` is free.
    fn unlocked(&self, w: &World, lock: usize);
    /// The CPU that the caller is on.
    fn cpu(&self) -> u32;
    /// The IRQL of that CPU.
    fn irql(&self) -> u8;
    /// The thread that the caller runs in; in an interrupt or a DPC the interrupted one (N-26).
    fn thread(&self) -> ThreadId;
    /// Sets the IRQL; lowering it delivers what that uncovers. *Switches.*
    fn set_irql(&self, w: &World, irql: u8);
    /// Makes the new thread `id` run `entry`.
    fn start(&self, w: &World, id: ThreadId, entry: Entry);
    /// Ends the calling thread. The NT layer has already marked its object as finished.
    fn exit(&self, w: &World) -> !;
    /// Stops the calling thread until [`Engine::wake`], or until the interrupt time `until`. *Switches.*
    ///
    /// A `wake` that came first makes the call return at once.
    fn block(&self, w: &World, until: Option<u64>);
    /// Lets a thread that is in [`Engine::block`] continue.
    fn wake(&self, w: &World, thread: ThreadId);
    /// The affinity of the calling thread has changed: moves it to a CPU it may run on. *Switches.*
    fn move_to_affinity(&self, w: &World);
    /// The affinities of threads other than the calling one have changed: more CPUs for them.
    fn affinities_changed(&self, w: &World);
    /// `cpu` drains its DPC queue as soon as its IRQL allows.
    fn request_drain(&self, w: &World, cpu: u32);
    /// `cpu` looks at its asserted interrupt lines as soon as it can.
    fn request_interrupt(&self, w: &World, cpu: u32);
    /// The precise interrupt time in 100 ns.
    fn now(&self) -> u64;
    /// The interrupt time of the last tick.
    fn last_tick(&self) -> u64;
    /// Calls [`crate::nt::timer::clock`] at the interrupt time `at` or soon after.
    fn alarm(&self, w: &World, at: u64);
    /// Uses the CPU for `time` (100 ns). *Switches.*
    fn burn(&self, w: &World, time: u64);
    /// The priority of `thread` has changed.
    fn priority_changed(&self, w: &World, thread: ThreadId);
    /// Waits until nothing else can run without time passing. *Switches.*
    fn settle(&self, w: &World);
    /// A number below `n`: seeded in the simulation.
    fn choose(&self, n: u32) -> u32;
    /// The DPC time of this CPU has been long: what `KeShouldYieldProcessor` says.
    fn should_yield(&self, w: &World) -> bool;
    /// How much of the watchdog's limits (`Config::watchdog`) is left on this CPU, in 100 ns.
    fn watchdog_left(&self, w: &World) -> (u64, u64);
    /// A DPC or interrupt routine begins (`true`) or ends on this CPU: the watchdog's clock.
    fn routine(&self, w: &World, begins: bool);
    /// Stops the calling context for good: a failure has been recorded.
    fn stop(&self, w: &World) -> !;
}
