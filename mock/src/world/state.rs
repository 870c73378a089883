//! One world: a simulated machine with one driver image in it.

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::fmt;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::engine::{Big, Engine};
use crate::image::Statics;
use crate::nt::state::NtState;
use crate::world::config::Config;
use crate::world::counters::Counters;
use crate::world::failure::{Failure, replay_line};
use crate::world::pool::{Arena, Marks};
use crate::world::trace::Trace;
use crate::world::watch::Watches;

/// Everything that belongs to one world.
///
/// # State of other modules
/// A module keeps its own per-world state with [`World::extension`]: it names a type of its own with
/// `Default`, and gets the one value of that type in this world, made on first use and alive as long as
/// the world. State that changes goes behind a [`Big`] in that type:
/// ```text
/// #[derive(Default)]
/// struct Objects { table: Big<Table> }
/// let objects = world::current().extension::<Objects>();
/// objects.table.with(|table| table.insert(..));   // no preemption point inside the closure
/// ```
pub(crate) struct World {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) sim: bool,
    pub(crate) config: Config,
    pub(crate) nt: Big<NtState>,
    pub(crate) counters: Big<Counters>,
    pub(crate) failure: Big<Option<Failure>>,
    /// Whether `failure` has one.
    pub(crate) failed: AtomicBool,
    pub(crate) trace: Big<Trace>,
    pub(crate) debug_log: Big<Vec<String>>,
    pub(crate) breaks: Big<Vec<(String, u32)>>,
    pub(crate) watches: Watches,
    pub(crate) arena: Big<Arena>,
    /// Which pages of the arena are freed.
    pub(crate) marks: Marks,
    /// Allocations of the driver that could be made to fail.
    pub(crate) allocations: AtomicU64,
    /// The command line that runs this world again.
    pub(crate) replay: String,
    /// The first extension, which is nearly always the one that is asked for, and the others.
    extension: OnceLock<(TypeId, Box<dyn Any + Send + Sync>)>,
    extensions: Big<Vec<(TypeId, *const (dyn Any + Send + Sync))>>,
    statics: Statics,
}

// SAFETY: the raw pointers are owned boxes of `Send + Sync` values (`extension`), of values that
// `image::Static` requires to be `Sync`, and to the atomic marks of the arena; every other field is `Send + Sync` by
// itself.
unsafe impl Send for World {}
// SAFETY: as above; every change goes through a `Big`.
unsafe impl Sync for World {}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world that has not started.
    pub(crate) fn new(config: Config, engine: Box<dyn Engine>) -> Self {
        let mut arena = Arena::take();
        Self {
            marks: arena.marks(),
            allocations: AtomicU64::new(0),
            replay: replay_line(config.seed),
            sim: engine.as_sim().is_some(),
            nt: Big::new(NtState::new(&config)),
            engine,
            counters: Big::default(),
            failure: Big::default(),
            failed: AtomicBool::new(false),
            trace: Big::new(Trace::new(config.trace_all)),
            debug_log: Big::default(),
            breaks: Big::default(),
            watches: Watches::default(),
            arena: Big::new(arena),
            extension: OnceLock::new(),
            extensions: Big::default(),
            statics: Statics::default(),
            config,
        }
    }

    /// The value of type `T` of this world, made on first use. See the type's documentation.
    pub(crate) fn extension<T: Default + Any + Send + Sync>(&self) -> &T {
        let id = TypeId::of::<T>();
        let (first, value) = self.extension.get_or_init(|| (id, Box::new(T::default())));
        if *first == id {
            return value
                .downcast_ref()
                .expect("an extension is stored under its own type");
        }
        self.other_extension(id)
    }

    fn other_extension<T: Default + Any + Send + Sync>(&self, id: TypeId) -> &T {
        let found = self.extensions.with(|list| {
            list.iter()
                .find(|(other, _)| *other == id)
                .map(|&(_, value)| value)
        });
        let value = found.unwrap_or_else(|| {
            let made: Box<dyn Any + Send + Sync> = Box::new(T::default());
            self.extensions
                .with(|list| match list.iter().find(|(other, _)| *other == id) {
                    Some(&(_, value)) => value,
                    None => {
                        let value: *const (dyn Any + Send + Sync) = Box::into_raw(made);
                        list.push((id, value));
                        value
                    }
                })
        });
        // SAFETY: the box is owned by `extensions` and freed only when the world is dropped.
        let value = unsafe { &*value };
        value
            .downcast_ref()
            .expect("an extension is stored under its own type")
    }

    /// The value that the static at `address` has in this world; `make` returns an owned box.
    pub(crate) fn image_static(
        &self,
        address: usize,
        make: impl FnOnce() -> *const (),
    ) -> *const () {
        self.statics.get(address, make)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Extensions may point into the arena, so they go first.
        drop(self.extension.take());
        for (_, value) in self.extensions.with(std::mem::take) {
            // SAFETY: `extension` stored the pointer of an owned box, and the world's contexts are gone.
            drop(unsafe { Box::from_raw(value.cast_mut()) });
        }
        self.arena.with(Arena::give_back);
    }
}

thread_local! {
    static CURRENT: Cell<*const World> = const { Cell::new(ptr::null()) };
}

/// Makes `w` the world of this OS thread until the guard is dropped.
pub(crate) fn enter(w: &'static World) -> Entered {
    Entered {
        before: CURRENT.replace(w),
    }
}

/// Restores the world that the OS thread was in before.
#[derive(Debug)]
pub(crate) struct Entered {
    before: *const World,
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before);
    }
}

/// The world of the calling context, if it is in one.
#[inline]
pub(crate) fn try_current() -> Option<&'static World> {
    // SAFETY: `enter` set the pointer, and the world outlives every context that runs inside the guard.
    unsafe { CURRENT.get().as_ref() }
}

/// The world of the calling context.
pub(crate) fn current() -> &'static World {
    try_current().expect("kmdf-mock: called outside of a world; wrap the code in world::Sim::run")
}

/// Whether the calling context is inside a simulated (not live) world.
pub(crate) fn in_sim() -> bool {
    try_current().is_some_and(|w| w.sim)
}
