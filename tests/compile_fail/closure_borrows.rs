//! A closure runs later: it cannot borrow what its caller has.
use bottomhalf::Workqueue;

pub fn count(names: &[String]) {
    let names = names.to_vec();
    let closure = || println!("{}", names.len()); //= let closure = move || println!("{}", names.len());
    //~^ E0373 closure may outlive the current function
    let _ = Workqueue::system().try_spawn(closure).is_ok();
}
