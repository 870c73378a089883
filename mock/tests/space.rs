//! Where the memory of a world lies: code that decides by addresses replays in another process (H-3 needs the same
//! blocks freed in the same order).

mod common;

use std::process::Command;
use std::ptr::from_ref;
use std::sync::{Arc, Mutex};

use common::{Dpc, WorkItem};
use kmdf_mock::sync::AtomicU32;
use kmdf_mock::world::{self, Driver, Sim, pool};
use kmdf_mock::{POOL_FLAG_NON_PAGED, ntddk};

/// The addresses of what the world of a seed hands out: pool, items, framework objects, threads and stacks.
fn addresses(seed: u64) -> Vec<usize> {
    let run = Sim::new(seed).run(|| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |seen: &Mutex<Vec<usize>>| {
            let local = 0_u8;
            // SAFETY: the call has no requirement.
            let thread = unsafe { ntddk::KeGetCurrentThread() };
            seen.lock()
                .unwrap()
                .extend([from_ref(&local).addr(), thread.addr()]);
        };
        let driver = Driver::load();
        let device = driver.add_device();
        let dpc = {
            let seen = Arc::clone(&seen);
            Dpc::new(move || note(&seen))
        };
        let item = {
            let seen = Arc::clone(&seen);
            WorkItem::new(move || note(&seen))
        };
        let threads: Vec<_> = (0..3)
            .map(|n| {
                let seen = Arc::clone(&seen);
                world::spawn(&format!("thread {n}"), None, move || {
                    let size = 16 + u64::from(world::choose(3)) * 3_000;
                    // SAFETY: the size is not 0 and the block is freed below.
                    let block =
                        unsafe { ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, size, 0x3154_7854) };
                    let boxed = pool::alloc(AtomicU32::new(0));
                    seen.lock().unwrap().extend([block.addr(), boxed.addr()]);
                    note(&seen);
                    // SAFETY: nobody else knows the blocks.
                    unsafe {
                        ntddk::ExFreePool(block);
                        pool::free(boxed);
                    }
                })
            })
            .collect();
        dpc.insert();
        item.queue();
        threads.into_iter().for_each(world::Thread::join);
        world::settle();
        seen.lock().unwrap().push(device.addr());
        driver.remove_device(device);
        driver.unload();
        seen.lock().unwrap().clone()
    });
    run.unwrap()
}

/// A line that a process can hand to another one.
fn line(seeds: std::ops::Range<u64>) -> String {
    let all: Vec<_> = seeds.map(addresses).collect();
    format!("addresses: {all:x?}")
}

/// A seed's blocks, objects and stacks lie at the same addresses in every process, whatever it has done before.
#[test]
fn a_seed_has_the_same_addresses_in_every_process() {
    if std::env::var_os("KMDF_MOCK_CONTROL").is_some() {
        println!("{}", line(3..6));
        return;
    }
    let here = line(0..6);
    assert_eq!(here.matches('[').count(), 7);
    let again = line(3..6);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["a_seed_has_the_same_addresses_in_every_process"])
        .args(["--exact", "--nocapture"])
        .env("KMDF_MOCK_CONTROL", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains(&again), "here:\n{again}\nthere:\n{text}");
}

/// The control: different seeds differ, and so do worlds of differently named tests, which may run at the same time.
#[test]
fn the_addresses_follow_from_the_seed_and_the_name() {
    let here = addresses(1);
    assert_ne!(here, addresses(2));
    let named = |name: &str| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(|| addresses(1)).unwrap().join().unwrap()
    };
    let (one, two) = (named("one test"), named("another test"));
    assert_ne!(one, two);
    assert_eq!(one, named("one test"));
    assert_eq!(one.len(), here.len());
}

/// Worlds on many OS threads at once, of the same name even, do not share memory.
#[test]
fn worlds_at_the_same_time_have_different_memory() {
    let block = || {
        let run = Sim::new(1).run(|| pool::alloc(1_u64).expose_provenance());
        run.unwrap()
    };
    let gate = Arc::new(std::sync::Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let gate = Arc::clone(&gate);
            let same_name = std::thread::Builder::new().name("same".to_owned());
            let body = move || {
                let address = block();
                // Nobody ends, and gives its place back, before everybody has one.
                gate.wait();
                address
            };
            same_name.spawn(body).unwrap()
        })
        .collect();
    let mut blocks: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    blocks.sort_unstable();
    blocks.dedup();
    assert_eq!(blocks.len(), 8);
}

/// Six hundred contexts have a stack each, and the next world works as before.
#[test]
fn many_contexts_have_stacks() {
    for _ in 0..3 {
        let ran = Sim::new(1).run(|| {
            let threads: Vec<_> = (0..600)
                .map(|_| {
                    world::spawn("one of many", None, || {
                        let deep = [1_u8; 60_000];
                        kmdf_mock::sync::preempt();
                        assert_eq!(std::hint::black_box(deep)[59_999], 1);
                    })
                })
                .collect();
            let count = threads.len();
            threads.into_iter().for_each(world::Thread::join);
            count
        });
        assert_eq!(ran.unwrap(), 600);
    }
}

/// H-3, 0xD5: without special pool an access by an atomic or an NT call to freed memory is convicted as with it; a
/// plain one reads a pattern.
#[test]
fn without_special_pool_checked_accesses_are_convicted() {
    let run = |special: bool, checked: bool| {
        Sim::new(1).special_pool(special).run(move || {
            let item = pool::alloc(AtomicU32::new(7));
            // SAFETY: the block is live; its later uses are the mistakes that are convicted.
            unsafe {
                pool::free(item);
                if checked {
                    (*item).load(std::sync::atomic::Ordering::SeqCst)
                } else {
                    item.cast::<u32>().read_volatile()
                }
            }
        })
    };
    let code = |special| run(special, true).unwrap_err().code().to_owned();
    assert_eq!(code(true), "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
    assert_eq!(code(false), "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
    assert_eq!(run(false, false).unwrap(), 0xDDDD_DDDD);
    // The next world's block is zeroed all the same.
    let fresh = Sim::new(1).run(|| {
        // SAFETY: there is memory, and the block is live until it is freed.
        unsafe {
            let block = ntddk::ExAllocatePool2(POOL_FLAG_NON_PAGED, 4, 1).cast::<u32>();
            let value = block.read();
            ntddk::ExFreePool(block.cast());
            value
        }
    });
    assert_eq!(fresh.unwrap(), 0);
}
