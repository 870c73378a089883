//! A closure that was queued is the queue's.
use bottomhalf::Workqueue;

pub fn count(closure: impl FnOnce() + Send + 'static) {
    let spawned = Workqueue::system().try_spawn(closure);
    closure(); //= if let Err(closure) = spawned { closure(); }
    //~^ E0382 use of moved value: `closure`
}
