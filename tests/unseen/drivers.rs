//! Whole drivers: a network card, a USB device, a block device, an input poller, two adapters.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use bottomhalf::linux::*;
use bottomhalf::{Config, attach};
use kmdf_mock::world::{self, Gate, Interrupt, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::support::{Rig, Work, Wq, machine, rows, rows_on, sleep_jiffies, wait_until};

/// How long the card may be silent, in jiffies.
const SILENCE: u64 = 25;

/// A network card's private part.
struct Nic {
    napi: tasklet_struct,
    reset: work_struct,
    watchdog: delayed_work,
    arrived: AtomicU32,
    handled: AtomicU32,
    resets: AtomicU32,
    barked: AtomicU32,
    resetting: AtomicBool,
    up: AtomicBool,
}

/// A pointer to it, as a driver copies it.
#[derive(Clone, Copy)]
struct Card(*mut Nic);
// SAFETY: what is not atomic belongs to the calls, which any thread may make.
unsafe impl Send for Card {}
// SAFETY: as above.
unsafe impl Sync for Card {}

unsafe extern "C" fn napi(tasklet: *mut tasklet_struct) {
    // SAFETY: the card is freed after `tasklet_kill`.
    let nic = unsafe { &*from_tasklet!(Nic, tasklet, napi) };
    sim_assert!(!nic.resetting.load(SeqCst), "polled while it is disabled");
    for _ in 0..2 {
        if nic.handled.load(SeqCst) < nic.arrived.load(SeqCst) {
            nic.handled.fetch_add(1, SeqCst);
        }
    }
    if nic.handled.load(SeqCst) < nic.arrived.load(SeqCst) {
        // SAFETY: as above.
        unsafe { tasklet_schedule(tasklet) };
    }
}

unsafe extern "C" fn reset(work: *mut work_struct) {
    let nic = from_work!(Nic, work, reset);
    // SAFETY: the card is freed after `cancel_work_sync`.
    unsafe {
        tasklet_disable(&raw mut (*nic).napi);
        (*nic).resetting.store(true, SeqCst);
        sleep_jiffies(2);
        (*nic).resetting.store(false, SeqCst);
        (*nic).resets.fetch_add(1, SeqCst);
        tasklet_enable(&raw mut (*nic).napi);
    }
}

unsafe extern "C" fn watchdog(work: *mut work_struct) {
    let nic = from_work!(Nic, work, watchdog.work);
    // SAFETY: the card is freed after `cancel_delayed_work_sync`.
    unsafe {
        (*nic).barked.fetch_add(1, SeqCst);
        if (*nic).up.load(SeqCst) {
            schedule_work(&raw mut (*nic).reset);
            schedule_delayed_work(to_delayed_work(work), SILENCE);
        }
    }
}

impl Card {
    fn probe() -> Self {
        Self(world::pool::alloc(Nic {
            napi: DECLARE_TASKLET(napi),
            reset: DECLARE_WORK(reset),
            watchdog: DECLARE_DELAYED_WORK(watchdog),
            arrived: AtomicU32::new(0),
            handled: AtomicU32::new(0),
            resets: AtomicU32::new(0),
            barked: AtomicU32::new(0),
            resetting: AtomicBool::new(false),
            up: AtomicBool::new(true),
        }))
    }
    fn nic(&self) -> &Nic {
        // SAFETY: nobody asks after `remove`.
        unsafe { &*self.0 }
    }
    /// The interrupt service routine.
    fn isr(self) {
        self.nic().arrived.fetch_add(1, SeqCst);
        // SAFETY: the line is quiet before `remove`.
        unsafe {
            mod_delayed_work(system_wq(), &raw mut (*self.0).watchdog, SILENCE);
            tasklet_schedule(&raw mut (*self.0).napi);
        }
    }
    fn is_polled(self) -> bool {
        self.nic().handled.load(SeqCst) == self.nic().arrived.load(SeqCst)
    }
    /// What the driver's `remove` does, once its line is quiet.
    fn remove(self) {
        self.nic().up.store(false, SeqCst);
        // SAFETY: nobody uses the card after the three.
        unsafe {
            cancel_delayed_work_sync(&raw mut (*self.0).watchdog);
            cancel_work_sync(&raw mut (*self.0).reset);
            tasklet_kill(&raw mut (*self.0).napi);
            sim_assert_eq!((*self.0).napi.count(), 0);
            sim_assert_eq!(work_busy(&raw const (*self.0).reset), 0);
            sim_assert_eq!(work_busy(&raw const (*self.0).watchdog.work), 0);
            world::pool::free(self.0);
        }
    }
}

/// D24, T24, T16: an interrupt service routine moves the watchdog on and schedules the poll; a reset shuts the
/// poll out. The watchdog stays silent while packets come, and barks after the last one.
#[test]
fn the_watchdog_of_a_card_barks_only_in_silence() {
    rows(|_| {
        let card = Card::probe();
        let line = Interrupt::connect("card", 7, move || card.isr());
        for _ in 0..6 {
            line.raise(world::choose(4));
            sleep_jiffies(SILENCE / 2);
            sim_assert_eq!(card.nic().barked.load(SeqCst), 0);
        }
        wait_until(|| card.nic().resets.load(SeqCst) == 2);
        for _ in 0..20 {
            line.raise(world::choose(4));
        }
        wait_until(|| line.is_idle() && card.is_polled());
        card.remove();
    });
}

/// T13, D14, R: two adapters of one driver; one is removed at any moment of the other's traffic, and its memory
/// is gone at once.
#[test]
fn an_adapter_goes_while_the_other_works() {
    rows(|rig| {
        // SAFETY: the driver stays loaded until the attach is over.
        let second = unsafe { attach(rig.host(), &Config::new(rig.reentrance)) }.unwrap();
        let cards = [Card::probe(), Card::probe()];
        let lines = cards.map(|card| Interrupt::connect("card", 7, move || card.isr()));
        let [stays, goes] = lines;
        let storm = world::spawn("storm", Some(3), move || {
            for _ in 0..8 {
                goes.raise(world::choose(4));
                sleep_jiffies(u64::from(world::choose(30)));
            }
            wait_until(|| goes.is_idle());
            cards[1].remove();
            second.detach();
        });
        for _ in 0..8 {
            stays.raise(world::choose(4));
            sleep_jiffies(u64::from(world::choose(30)));
        }
        storm.join();
        stays.raise(1);
        wait_until(|| stays.is_idle() && cards[0].is_polled());
        cards[0].remove();
    });
}

/// What a USB device's completion hands to its queue.
struct Urb {
    work: work_struct,
    from: usize,
    serial: u32,
    log: Arc<Mutex<[Vec<u32>; 2]>>,
}

unsafe extern "C" fn complete(work: *mut work_struct) {
    let urb = from_work!(Urb, work, work);
    // SAFETY: one queueing, one run; the function frees its own container.
    unsafe {
        (*urb).log.lock().unwrap()[(*urb).from].push((*urb).serial);
        world::pool::free(urb);
    }
}

fn submit(wq: Wq, urb: *mut Urb) -> bool {
    // SAFETY: its function frees it, and the queue is destroyed after the threads.
    unsafe { queue_work(wq.0, &raw mut (*urb).work) }
}

/// W18, Q07, Q05: completions of two endpoints, at DISPATCH_LEVEL on different CPUs, queue works that free
/// themselves; the single thread keeps each endpoint's order, and the disconnect loses none.
#[test]
fn works_that_free_themselves_keep_their_order_up_to_the_disconnect() {
    rows(|_| {
        let wq = Wq(create_singlethread_workqueue(c"usb"));
        let log = Arc::new(Mutex::new([Vec::new(), Vec::new()]));
        let endpoints = [0, 1].map(|from: usize| {
            let log = Arc::clone(&log);
            world::spawn("endpoint", Some(u32::try_from(from).unwrap()), move || {
                for serial in 0..10 {
                    let log = Arc::clone(&log);
                    let work = DECLARE_WORK(complete);
                    let urb = world::pool::alloc(Urb {
                        work,
                        from,
                        serial,
                        log,
                    });
                    let queued = world::at_dispatch(|| submit(wq, urb));
                    sim_assert!(queued);
                }
            })
        });
        for endpoint in endpoints {
            endpoint.join();
        }
        wq.destroy();
        let whole: Vec<u32> = (0..10).collect();
        sim_assert_eq!(*log.lock().unwrap(), [whole.clone(), whole]);
    });
}

/// A machine whose pool has two threads and gets no more.
fn starving(seed: u64) -> Sim {
    machine(seed).workers(2)
}

/// H-32, W15: the pool's threads are blocked, and a request goes through a chain of three queues that a block
/// driver made with `WQ_MEM_RECLAIM`, each waiting for the next, with a delayed retry on top.
#[test]
fn a_chain_of_reclaiming_queues_gets_through_a_starved_pool() {
    rows_on(starving, 40, |_| {
        let gate = Gate::new();
        let hogs = [(); 3].map(|()| Work::gated(&gate));
        for hog in hogs {
            sim_assert!(hog.schedule());
        }
        let queues = [(); 3].map(|()| Wq::with(WQ_MEM_RECLAIM, 1));
        let disk = Work::counting();
        let stripe = Work::new(move |_, _| {
            sim_assert!(disk.queue(queues[2]));
            disk.flush();
            sim_assert_eq!(disk.seen().ended(), 1);
        });
        let request = Work::new(move |_, _| {
            sim_assert!(stripe.queue_delayed(queues[1], 3));
            stripe.flush_delayed();
            sim_assert_eq!(stripe.seen().ended(), 1);
        });
        sim_assert!(request.queue_delayed(queues[0], 2));
        sim_assert!(request.flush_delayed() || request.seen().ended() == 1);
        sim_assert_eq!(request.seen().ended(), 1);
        sim_assert!(!gate.is_open());
        gate.open();
        for hog in hogs {
            hog.flush();
        }
        for wq in queues {
            wq.destroy();
        }
    });
}

/// D14, ATTACH-7: a poller that re-arms itself on the freezable queue stands still in each suspend, whatever it
/// was doing, goes on after each resume, and is stopped by one cancel, also while frozen.
#[test]
fn a_poller_stands_still_in_suspend() {
    rows(|rig: &Rig| {
        let wq = Wq(system_freezable_wq());
        let poller = Work::new(move |me, _| {
            me.queue_delayed(wq, 2);
        });
        sim_assert!(poller.queue_delayed(wq, 1));
        for _ in 0..4 {
            let before = poller.runs();
            wait_until(|| poller.runs() > before + 1);
            rig.attachment().freeze();
            let frozen = poller.runs();
            sim_assert_eq!(poller.seen().inside(), 0);
            sleep_jiffies(u64::from(world::choose(12)));
            sim_assert_eq!(poller.runs(), frozen);
            sim_assert!(poller.pending());
            rig.attachment().thaw();
        }
        rig.attachment().freeze();
        sim_assert!(poller.cancel_delayed_sync());
        rig.attachment().thaw();
        let stopped = poller.runs();
        sleep_jiffies(20);
        sim_assert_eq!(poller.runs(), stopped);
    });
}
