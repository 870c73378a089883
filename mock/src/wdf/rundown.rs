//! How an object goes away: delete, dispose of children, deferral to PASSIVE, destroy.
//!
//! # Invariants
//!
//! - **R1** Children are disposed, and their cleanup callbacks have returned, before the parent's
//!   cleanup callback is called (O-4). Their memory may live longer.
//! - **R2** An object whose dispose must be at PASSIVE never disposes above it: it goes to the
//!   dispose list of its device, or of the driver if it has none (D-28, W-23).
//! - **R3** The order among siblings is not promised. The walk takes one that the seed picks (O-4).

use std::sync::Arc;

use super::object::{Body, Object, State};
use super::{device, dpc, driver, hooks, queue, timer, wdf, work_item};
use crate::abi::*;

impl Object {
    /// `WdfObjectDelete` after the handle was looked up (O-6).
    pub(super) fn delete(self: &Arc<Self>) {
        let irql = self.lock.acquire();
        match self.state() {
            State::Created => {
                if self.leave_parent() {
                    self.delete_and_unlock(irql, true);
                } else {
                    // The parent got there first and disposes this object itself.
                    self.set_state(State::WaitingForEarlyDispose);
                    self.lock.release(irql);
                }
            }
            State::Disposed => {
                if self.leave_parent() {
                    self.deleted_and_disposed(Some(irql));
                } else {
                    self.set_state(State::WaitingForParentDelete);
                    self.lock.release(irql);
                }
            }
            // A second delete is dropped (O-6). In a checked framework the last four assert.
            State::DisposingChildren
            | State::WaitingForEarlyDispose
            | State::DeletedDisposing
            | State::DeletedAndDisposed
            | State::DisposingEarly
            | State::DeferredDisposing
            | State::DeferredDeleting
            | State::WaitingForParentDelete
            | State::DeferredDestroy
            | State::Destroyed => self.lock.release(irql),
        }
    }

    /// A create that failed after the allocation: no callbacks, then the ordinary way out (O-8).
    pub(super) fn delete_from_failed_create(self: &Arc<Self>) {
        self.clear_callbacks();
        self.delete();
    }

    /// Leaves the parent's list; false when the parent is on its way out and keeps the child.
    fn leave_parent(self: &Arc<Self>) -> bool {
        let parent = self.inner().parent.upgrade();
        let Some(parent) = parent else { return true };
        let left = parent.remove_child(self);
        if left {
            self.inner().parent = std::sync::Weak::new();
        }
        left
    }

    fn must_defer(&self, irql: KIRQL) -> bool {
        self.disposes_at_passive() && u32::from(irql) != PASSIVE_LEVEL
    }

    /// Entered with the lock held, returns with it released.
    fn delete_and_unlock(self: &Arc<Self>, irql: KIRQL, may_defer: bool) {
        if may_defer && self.must_defer(irql) {
            self.defer(State::DeferredDeleting);
            self.lock.release(irql);
            return;
        }
        self.set_state(State::DeletedDisposing);
        if self.dispose_and_unlock(State::DeferredDeleting, irql, may_defer) {
            self.deleted_and_disposed(None);
        }
    }

    /// Puts the object on a dispose list, in the state from which the list resumes it.
    fn defer(self: &Arc<Self>, state: State) {
        self.set_state(state);
        let device = self.device();
        let by_device = device.is_some_and(|device| device::add_to_dispose_list(&device, self));
        let by_anyone = by_device
            || wdf()
                .driver()
                .is_some_and(|driver| driver::add_to_dispose_list(&driver, self));
        if !by_anyone {
            hooks::fail(
                "WDF_VIOLATION(0x10D,7)",
                format!("{}: no driver is left to dispose it", self.name()),
            );
        }
    }

    /// Disposes the children, then this object. Entered with the lock held, returns with it
    /// released; false means that a dispose list finishes the job.
    fn dispose_and_unlock(self: &Arc<Self>, deferred: State, irql: KIRQL, may_defer: bool) -> bool {
        let mut children = self.inner().children.clone();
        let above_passive = u32::from(irql) != PASSIVE_LEVEL;
        if above_passive && children.iter().any(|child| child.disposes_at_passive()) {
            self.suspend_dispose(deferred, may_defer);
            self.lock.release(irql);
            return false;
        }
        self.lock.release(irql);
        hooks::shuffle(&mut children);
        for child in &children {
            if !child.early_dispose() {
                let irql = self.lock.acquire();
                self.suspend_dispose(deferred, may_defer);
                self.lock.release(irql);
                return false;
            }
        }
        if self.dispose_body() {
            self.call_cleanup();
        }
        true
    }

    fn suspend_dispose(self: &Arc<Self>, deferred: State, may_defer: bool) {
        if may_defer {
            self.defer(deferred);
        } else {
            self.set_state(deferred);
        }
    }

    /// The part of dispose that an object type adds; false if it called the cleanup itself.
    fn dispose_body(self: &Arc<Self>) -> bool {
        match &self.body {
            Body::General | Body::Request(_) => true,
            Body::Driver(body) => driver::dispose(body),
            Body::Device(body) => device::dispose(self, body),
            Body::Dpc(body) => dpc::dispose(self, body),
            Body::WorkItem(body) => work_item::dispose(self, body),
            Body::Timer(body) => timer::dispose(self, body),
            Body::Queue(body) => queue::dispose(self, body),
        }
    }

    /// PnP disposes a device: it leaves its parent first, so that nobody else does (O-12).
    pub(super) fn early_dispose_as_child(self: &Arc<Self>) -> bool {
        let irql = self.lock.acquire();
        if self.state() == State::Created && self.leave_parent() {
            self.set_state(State::DisposingEarly);
            return self.dispose_early_and_unlock(irql);
        }
        self.lock.release(irql);
        false
    }

    /// The parent disposes this child. True when done, false when it was left to a dispose list.
    pub(super) fn early_dispose(self: &Arc<Self>) -> bool {
        let irql = self.lock.acquire();
        match self.state() {
            State::Created | State::WaitingForEarlyDispose => {
                self.set_state(State::DisposingEarly);
                self.dispose_early_and_unlock(irql)
            }
            State::DeferredDisposing => self.dispose_early_and_unlock(irql),
            State::WaitingForParentDelete
            | State::Disposed
            | State::DisposingEarly
            | State::DisposingChildren
            | State::DeletedDisposing
            | State::DeletedAndDisposed
            | State::DeferredDeleting
            | State::DeferredDestroy
            | State::Destroyed => {
                self.lock.release(irql);
                true
            }
        }
    }

    /// Entered with the lock held, returns with it released.
    fn dispose_early_and_unlock(self: &Arc<Self>, irql: KIRQL) -> bool {
        self.set_state(State::DisposingChildren);
        let done = self.dispose_and_unlock(State::DeferredDisposing, irql, false);
        if done {
            self.set_state(State::Disposed);
        }
        done
    }

    /// The last step of every delete: lets the children go and drops the first reference (O2).
    fn deleted_and_disposed(self: &Arc<Self>, locked: Option<KIRQL>) {
        self.set_state(State::DeletedAndDisposed);
        if let Some(irql) = locked {
            self.lock.release(irql);
        }
        self.destroy_children();
        self.release();
    }

    /// Tells every child that its parent is gone; those without references are destroyed.
    pub(super) fn destroy_children(&self) {
        let mut children = std::mem::take(&mut self.inner().children);
        hooks::shuffle(&mut children);
        for child in children {
            child.parent_deleted();
        }
    }

    fn parent_deleted(self: &Arc<Self>) {
        let irql = self.lock.acquire();
        self.inner().parent = std::sync::Weak::new();
        match self.state() {
            State::WaitingForParentDelete | State::Disposed => {
                self.deleted_and_disposed(Some(irql));
            }
            State::Created
            | State::WaitingForEarlyDispose
            | State::DisposingEarly
            | State::DeferredDisposing
            | State::DisposingChildren
            | State::DeletedDisposing
            | State::DeferredDeleting
            | State::DeletedAndDisposed
            | State::DeferredDestroy
            | State::Destroyed => self.lock.release(irql),
        }
    }

    /// A dispose list resumes the object at PASSIVE.
    pub(super) fn deferred_dispose(self: &Arc<Self>) {
        let irql = self.lock.acquire();
        match self.state() {
            State::DeferredDisposing => {
                self.dispose_early_and_unlock(irql);
            }
            State::DeferredDeleting => self.delete_and_unlock(irql, false),
            State::DeferredDestroy => {
                self.lock.release(irql);
                self.destroy();
            }
            State::Created
            | State::WaitingForEarlyDispose
            | State::DisposingEarly
            | State::DisposingChildren
            | State::Disposed
            | State::DeletedDisposing
            | State::WaitingForParentDelete
            | State::DeletedAndDisposed
            | State::Destroyed => self.lock.release(irql),
        }
    }

    /// The last reference is gone: destroys the object, at PASSIVE if it asks for that.
    pub(super) fn final_release(self: &Arc<Self>) {
        let driver = wdf().driver();
        match driver {
            Some(driver) if self.must_defer(hooks::irql()) => {
                self.set_state(State::DeferredDestroy);
                driver::add_to_dispose_list(&driver, self);
            }
            Some(_) | None => self.destroy(),
        }
    }

    /// Last callbacks, then the memory.
    fn destroy(self: &Arc<Self>) {
        self.call_destroy();
        match &self.body {
            Body::General | Body::Request(_) => {}
            Body::Driver(body) => driver::destroy(body),
            Body::Device(body) => device::destroy(body),
            Body::Dpc(body) => dpc::destroy(self, body),
            Body::WorkItem(body) => work_item::destroy(self, body),
            Body::Timer(body) => timer::destroy(self, body),
            Body::Queue(body) => queue::destroy(body),
        }
        let inner = self.inner();
        let abandoned = inner.parent.upgrade().is_some() || !inner.children.is_empty();
        drop(inner);
        if abandoned {
            // O-7: the references were dropped without a delete.
            hooks::fail(
                "WDF_VIOLATION(0x10D,7)",
                format!(
                    "{}: freed by WdfObjectDereference, never deleted",
                    self.name()
                ),
            );
        }
        self.set_state(State::Destroyed);
        self.free_block();
    }
}
