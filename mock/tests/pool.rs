//! Tracked memory: facts N-31, D-27, H-3 and row 0xD5; the controls run in child processes.

mod common;

use std::cell::UnsafeCell;
use std::process::{Command, Output};
use std::sync::Arc;

use common::{Dpc, run};
use kmdf_mock::world::{self, Sim, pool};
use kmdf_mock::{ntddk, sim_assert, sim_assert_eq};

/// Runs the test `name` of this binary in a child process with the variable `KMDF_MOCK_CONTROL` set.
fn child(name: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("KMDF_MOCK_CONTROL", "1")
        .env("KMDF_MOCK_SEED", "9")
        .output()
        .unwrap()
}

fn is_child() -> bool {
    std::env::var_os("KMDF_MOCK_CONTROL").is_some()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).replace(" -p kmdf-mock", "")
}

/// H-3, 0xD5: a callback frees the block that it lives in and reads it afterwards, by a plain access. The process
/// ends with status 112, the replay line and the name of the block.
#[test]
fn a_plain_access_after_free_is_convicted() {
    struct Item {
        value: UnsafeCell<u32>,
    }
    if is_child() {
        run(0..1, |_| {
            let item = pool::alloc(Item {
                value: UnsafeCell::new(7),
            })
            .expose_provenance();
            let dpc = Dpc::new(move || {
                let item: *mut Item = std::ptr::with_exposed_provenance_mut(item);
                // SAFETY: the first read is of a live block; the second is the mistake that is convicted.
                unsafe {
                    sim_assert_eq!(item.read().value.into_inner(), 7);
                    pool::free(item);
                    let late = (&raw const (*item).value).cast::<u32>().read_volatile();
                    world::fail("ASSERT", format!("freed memory was read: {late}"));
                }
            });
            dpc.insert();
            world::settle();
        });
        return;
    }
    let output = child("a_plain_access_after_free_is_convicted");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(112), "{text}");
    let mut lines = text.lines().skip_while(|line| !line.starts_with("replay:"));
    assert_eq!(
        lines.next(),
        Some(
            "replay: KMDF_MOCK_SEED=9 cargo test --test pool \
             a_plain_access_after_free_is_convicted -- --exact"
        )
    );
    let report = lines.next().unwrap_or_default();
    assert!(
        report.starts_with("PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5): "),
        "{text}"
    );
    assert!(
        report.contains("offset 0 of pool::a_plain_access_after_free_is_convicted::Item (4 bytes)"),
        "{text}"
    );
    assert!(
        lines.next().unwrap_or_default().ends_with("at IRQL 2"),
        "{text}"
    );
}

/// A write beyond the end of a block.
#[test]
fn an_overrun_is_convicted() {
    if is_child() {
        run(0..1, |_| {
            let block = pool::alloc([0_u8; 24]);
            // SAFETY: the write is the mistake that is convicted.
            unsafe { block.cast::<u8>().add(24).write_volatile(1) };
        });
        return;
    }
    let output = child("an_overrun_is_convicted");
    assert_eq!(output.status.code(), Some(112));
    assert!(stderr(&output).contains("0xD6"), "{}", stderr(&output));
}

/// A panic in a callback of the driver aborts the process; the replay line is printed before anything else.
#[test]
fn a_panic_in_a_callback_prints_the_replay_line_first() {
    if is_child() {
        run(0..1, |_| {
            Dpc::new(|| panic!("on purpose")).insert();
            world::settle();
        });
        return;
    }
    let output = child("a_panic_in_a_callback_prints_the_replay_line_first");
    assert!(!output.status.success());
    let text = stderr(&output);
    let replay = text
        .find("replay: KMDF_MOCK_SEED=9")
        .expect("the replay line");
    assert!(
        replay < text.find("on purpose").expect("the panic"),
        "{text}"
    );
}

/// A context that uses up its stack is named, too.
#[test]
fn a_stack_overflow_is_named() {
    fn deep(n: u64) -> u64 {
        let frame = std::hint::black_box([n; 64]);
        if n == 0 {
            0
        } else {
            deep(n - 1) + frame[n as usize % 64]
        }
    }
    if is_child() {
        run(0..1, |_| sim_assert!(deep(1 << 20) > 0));
        return;
    }
    let output = child("a_stack_overflow_is_named");
    assert!(!output.status.success());
    let text = stderr(&output);
    assert!(text.contains("replay: KMDF_MOCK_SEED=9"), "{text}");
    assert!(text.contains("the stack of a context is used up"), "{text}");
}

/// The same child without the mistake: the controls above convict the mistake and nothing else.
#[test]
fn a_clean_child_succeeds() {
    if is_child() {
        run(0..1, |_| {
            let block = pool::alloc(7_u32);
            // SAFETY: the block is alive until it is freed, once.
            unsafe {
                sim_assert_eq!(block.read(), 7);
                pool::free(block);
            }
        });
        return;
    }
    let output = child("a_clean_child_succeeds");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// N-31: pool is zeroed and 16-byte aligned; tag 0 and size 0 give null.
#[test]
fn pool_blocks_are_zeroed_and_aligned() {
    run(0..5, |_| {
        for size in [1, 8, 24, 4096, 5000] {
            // SAFETY: the block is used within its size and freed once.
            unsafe {
                let block = ntddk::ExAllocatePool2(0x40, size, 0x3174_7365).cast::<u8>();
                sim_assert_eq!(block.addr() % 16, 0);
                sim_assert!((0..size as usize).all(|n| block.add(n).read() == 0));
                ntddk::ExFreePoolWithTag(block.cast(), 0x3174_7365);
            }
        }
        // SAFETY: null is not used.
        unsafe {
            sim_assert!(ntddk::ExAllocatePool2(0x40, 0, 1).is_null());
            sim_assert!(ntddk::ExAllocatePool2(0x40, 8, 0).is_null());
        }
        let counters = world::counters();
        sim_assert_eq!((counters.pool_allocations, counters.pool_frees), (5, 5));
    });
}

/// V-1: the n-th allocation and every later one fails.
#[test]
fn allocations_fail_from_the_nth_on() {
    let result = Sim::new(1).fail_allocation(3).run(|| {
        // SAFETY: the blocks are not used.
        (0..5)
            .map(|_| unsafe { ntddk::ExAllocatePool2(0x40, 8, 1) }.is_null())
            .collect::<Vec<_>>()
    });
    assert_eq!(result.unwrap(), [false, false, true, true, true]);
}

fn failure(f: impl FnOnce() + Send + 'static) -> String {
    Sim::new(1).run(f).unwrap_err().code().to_owned()
}

/// Freeing twice, freeing what is no block, freeing with another tag.
#[test]
fn wrong_frees_are_convicted() {
    let twice = failure(|| {
        let block = pool::alloc(1_u64);
        // SAFETY: the second call is the mistake that is convicted.
        unsafe {
            pool::free(block);
            pool::free(block);
        }
    });
    assert_eq!(twice, "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
    // SAFETY: the call is the mistake that is convicted.
    let inside = failure(|| unsafe {
        let block = ntddk::ExAllocatePool2(0x40, 64, 1).cast::<u8>();
        ntddk::ExFreePool(block.add(16).cast());
    });
    assert_eq!(inside, "BAD_POOL_CALLER(0xC2,7)");
    // SAFETY: as above.
    let tag = failure(|| unsafe {
        ntddk::ExFreePoolWithTag(ntddk::ExAllocatePool2(0x40, 64, 1), 2);
    });
    assert_eq!(tag, "BAD_POOL_CALLER(0xC2,0xA)");
}

/// Memory is freed while a thread waits for an event inside it.
#[test]
fn freeing_an_event_with_a_waiter_is_convicted() {
    let code = failure(|| {
        let event = pool::alloc(UnsafeCell::new(kmdf_mock::KEVENT::default())).expose_provenance();
        let raw = move || std::ptr::with_exposed_provenance_mut::<kmdf_mock::KEVENT>(event);
        // SAFETY: the event is alive until it is freed, which is the mistake.
        unsafe { ntddk::KeInitializeEvent(raw(), 0, 0) };
        world::spawn("waiter", None, move || {
            common::wait_for(raw().cast(), None);
        });
        world::settle();
        // SAFETY: as above.
        unsafe { pool::free(raw()) };
    });
    assert_eq!(code, "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
}

/// Many blocks, alive and freed, in one world.
#[test]
fn many_blocks() {
    run(0..2, |_| {
        let dropped = Arc::new(());
        let blocks: Vec<_> = (0..5_000)
            .map(|n| pool::alloc((n, Arc::clone(&dropped))))
            .collect();
        for (n, &block) in blocks.iter().enumerate() {
            // SAFETY: the block is alive and freed once.
            unsafe {
                sim_assert_eq!((*block).0, n as i32);
                pool::free(block);
            }
        }
        sim_assert_eq!(Arc::strong_count(&dropped), 1);
    });
}
