//! Objects that wait to be disposed or destroyed at PASSIVE (D-28, W-23).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::object::Object;
use super::primitives::FxLock;
use super::system_work_item::SystemWorkItem;

/// The list of one device, or of the driver.
#[derive(Debug)]
pub(super) struct DisposeList {
    shared: Arc<Shared>,
    item: Arc<SystemWorkItem>,
}

#[derive(Debug)]
struct Shared {
    lock: FxLock,
    list: Mutex<VecDeque<Arc<Object>>>,
}

impl Shared {
    fn pop(&self) -> Option<Arc<Object>> {
        let irql = self.lock.acquire();
        let object = self
            .list
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        self.lock.release(irql);
        object
    }

    fn drain(&self) {
        while let Some(object) = self.pop() {
            object.deferred_dispose();
        }
    }
}

impl DisposeList {
    /// A list of `owner`; `None` when there is no memory.
    pub(super) fn create(owner: &str) -> Option<Self> {
        let item = SystemWorkItem::create(&format!("the dispose list of {owner}").into())?;
        let shared = Shared {
            lock: FxLock::new(),
            list: Mutex::default(),
        };
        Some(Self {
            shared: Arc::new(shared),
            item,
        })
    }

    /// Adds an object; its state says what is left to do. Any IRQL up to DISPATCH.
    pub(super) fn add(&self, object: &Arc<Object>) {
        let irql = self.shared.lock.acquire();
        let mut list = self
            .shared
            .list
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let was_empty = list.is_empty();
        list.push_back(Arc::clone(object));
        drop(list);
        if was_empty {
            let shared = Arc::clone(&self.shared);
            self.item.try_to_enqueue(Box::new(move || shared.drain()));
        }
        self.shared.lock.release(irql);
    }

    /// Waits until what was added before has been processed (O-12).
    pub(super) fn wait_for_empty(&self) {
        self.item.wait_for_exit();
    }

    /// The end of the list's owner.
    pub(super) fn run_down(&self) {
        self.item.run_down();
        self.item.free();
    }
}
