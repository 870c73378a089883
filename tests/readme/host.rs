use kmdf_mock::world::{self, Driver, Interrupt, Sim};

fn one_interrupt_one_account() {
    let driver = Driver::load();
    let attached = device_add(driver.handle().cast()).unwrap();
    let line = Interrupt::connect("card", 7, isr);
    line.raise(2); // on CPU 2
    world::settle(); // until nothing more can run without time passing
    assert_eq!(bottomhalf::counters().run, 2); // the tasklet and the work
    device_remove(attached);
    driver.unload();
}

fn main() {
    for seed in 0..100 {
        Sim::new(seed).cpus(4).run(one_interrupt_one_account).unwrap();
    }
}
