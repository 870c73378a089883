//! A closure runs in another thread.
use bottomhalf::Workqueue;

pub fn count() {
    let names = std::rc::Rc::new(7); //= let names = std::sync::Arc::new(7);
    let _ = Workqueue::system().try_spawn(move || drop(names)).is_ok();
    //~^ E0277 `Rc<i32>` cannot be sent between threads safely
}
