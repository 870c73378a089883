//! The live engine: the same calls on OS threads in real time. Counts only: what the scheduler of the host does
//! is nobody's promise. What must be convicted runs in a child process.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use common::{Dpc, Event, Lock, Timer, WorkItem};
use kmdf_mock::world::{self, Gate, Interrupt, Live};
use kmdf_mock::{STATUS_TIMEOUT, ntddk};

/// D-8, D-18: every accepted insertion runs once, at DISPATCH_LEVEL, from four threads on four CPUs.
#[test]
fn every_accepted_dpc_runs() {
    let (accepted, ran) = Live::new()
        .run(|| {
            let (accepted, ran) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let seen = Arc::clone(&ran);
            let dpc = Dpc::new(move || {
                assert_eq!(world::current_irql(), 2);
                seen.fetch_add(1, Ordering::SeqCst);
            });
            let threads: Vec<_> = (0..4)
                .map(|cpu| {
                    let (dpc, accepted) = (dpc.clone(), Arc::clone(&accepted));
                    world::spawn("queuer", Some(cpu), move || {
                        for n in 0..2_000 {
                            let queued = if n % 2 == 0 {
                                dpc.insert()
                            } else {
                                world::at_dispatch(|| dpc.insert())
                            };
                            accepted.fetch_add(u32::from(queued), Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            // SAFETY: the call has no requirement beyond PASSIVE_LEVEL.
            unsafe { ntddk::KeFlushQueuedDpcs() };
            (accepted.load(Ordering::SeqCst), ran.load(Ordering::SeqCst))
        })
        .unwrap();
    assert_eq!(accepted, ran);
    assert!(ran >= 4, "{ran} of 8000");
}

/// D-19, D-23: a DPC for another CPU runs there.
#[test]
fn a_targeted_dpc_runs_on_its_cpu() {
    let cpu = Live::new()
        .run(|| {
            let cpu = Arc::new(AtomicU32::new(99));
            let seen = Arc::clone(&cpu);
            let dpc = Dpc::new(move || seen.store(world::current_cpu(), Ordering::SeqCst));
            dpc.set_target(3);
            dpc.set_importance(3);
            world::run_on_cpu(0, || dpc.insert());
            world::settle();
            cpu.load(Ordering::SeqCst)
        })
        .unwrap();
    assert_eq!(cpu, 3);
}

/// N-12: a spin lock and DISPATCH_LEVEL exclude; a plain counter loses nothing.
#[test]
fn a_spin_lock_excludes() {
    let count = Live::new()
        .run(|| {
            let (lock, count) = (Arc::new(Lock::new()), Arc::new(AtomicU32::new(0)));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (lock, count) = (Arc::clone(&lock), Arc::clone(&count));
                    world::spawn("taker", None, move || {
                        for _ in 0..1_000 {
                            lock.with(|| {
                                let before = count.load(Ordering::Relaxed);
                                count.store(before + 1, Ordering::Relaxed);
                            });
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(world::Thread::join);
            count.load(Ordering::SeqCst)
        })
        .unwrap();
    assert_eq!(count, 4_000);
}

/// W-12, W-28, T-12, N-1: interrupt → DPC → work item → event, and a timer, in one chain.
#[test]
fn the_whole_chain_runs() {
    let rounds = Live::new()
        .run(|| {
            let event = Arc::new(Event::synchronization());
            let set = Arc::clone(&event);
            let item = Arc::new(WorkItem::new(move || {
                set.set();
            }));
            let dpc = Dpc::new(move || item.queue());
            let interrupt = Arc::new(Interrupt::connect("nic", 7, move || {
                assert_eq!(world::current_irql(), 7);
                dpc.insert();
            }));
            let raised = Arc::clone(&interrupt);
            let timer = Timer::new(move || raised.raise(1));
            let mut rounds = 0;
            for n in 0..50 {
                if n % 10 == 0 {
                    timer.set(-10_000);
                } else {
                    interrupt.raise(n % 4);
                }
                event.wait(None);
                rounds += 1;
            }
            world::settle();
            assert!(interrupt.is_idle());
            rounds
        })
        .unwrap();
    assert_eq!(rounds, 50);
}

/// N-2, T-33: time is real: a timeout and a sleep take at least as long as asked.
#[test]
fn time_is_real() {
    let begin = Instant::now();
    let status = Live::new()
        .tick_100ns(10_000)
        .run(|| {
            let event = Event::notification();
            let status = event.wait(Some(-100_000));
            world::sleep_100ns(100_000);
            status
        })
        .unwrap();
    assert_eq!(status, STATUS_TIMEOUT);
    assert!(begin.elapsed().as_millis() >= 18, "{:?}", begin.elapsed());
}

/// N-32: a driver thread that ends itself leaves its frames behind and can be waited for.
#[test]
fn a_thread_ends_itself() {
    unsafe extern "C" fn body(context: *mut std::ffi::c_void) {
        // SAFETY: the creator keeps the counter until the thread has ended.
        unsafe { &*context.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
        // SAFETY: nothing on this stack is used by others.
        unsafe { ntddk::PsTerminateSystemThread(0) };
    }
    let count = Live::new().run(|| {
        let count = AtomicU32::new(0);
        for _ in 0..20 {
            let (mut handle, mut object) = (std::ptr::null_mut(), std::ptr::null_mut());
            let null: *mut std::ffi::c_void = std::ptr::null_mut();
            let context = std::ptr::from_ref(&count).cast_mut().cast();
            // SAFETY: every pointer is valid for its call; the counter outlives the thread, which is waited for.
            unsafe {
                ntddk::PsCreateSystemThread(
                    &raw mut handle,
                    0,
                    null.cast(),
                    null,
                    null.cast(),
                    Some(body),
                    context,
                );
                ntddk::ObReferenceObjectByHandle(
                    handle,
                    0,
                    std::ptr::null_mut(),
                    0,
                    &raw mut object,
                    null.cast(),
                );
                ntddk::ZwClose(handle);
                common::wait_for(object, None);
                ntddk::ObfDereferenceObject(object);
            }
        }
        count.load(Ordering::SeqCst)
    });
    assert_eq!(count.unwrap(), 20);
}

/// `settle` waits for work that is on its way.
#[test]
fn settle_waits_for_work() {
    let (begun, ended) = Live::new()
        .workers(2)
        .run(|| {
            let gate = Gate::new();
            let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
            let items: Vec<_> = (0..3)
                .map(|_| {
                    let (gate, begun, ended) =
                        (gate.clone(), Arc::clone(&begun), Arc::clone(&ended));
                    WorkItem::new(move || {
                        begun.fetch_add(1, Ordering::SeqCst);
                        gate.wait();
                        ended.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            items.iter().for_each(WorkItem::queue);
            while begun.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            let first = begun.load(Ordering::SeqCst);
            gate.open();
            world::settle();
            (first, ended.load(Ordering::SeqCst))
        })
        .unwrap();
    assert_eq!((begun, ended), (2, 3));
}

/// A failure prints NT's name and ends the process with status 111.
#[test]
fn a_failure_ends_the_process() {
    if std::env::var_os("KMDF_MOCK_CONTROL").is_some() {
        let _ = Live::new().run(|| {
            let gate = Gate::new();
            world::at_dispatch(|| gate.wait());
        });
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["a_failure_ends_the_process", "--exact"])
        .env("KMDF_MOCK_CONTROL", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(111));
    let text = String::from_utf8_lossy(&output.stderr).replace(" -p kmdf-mock", "");
    assert!(text.contains("DV(0xC4,0x3B)"), "{text}");
    assert!(
        text.contains("replay: cargo test --test live a_failure_ends_the_process"),
        "{text}"
    );
}

/// Worlds do not leak OS threads: a hundred of them, one after the other.
#[test]
fn worlds_leave_nothing_behind() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..30 {
        let ran = Live::new().cpus(2).run(|| {
            let item = WorkItem::new(|| ());
            item.queue();
            world::settle();
            world::counters().work_routines
        });
        assert_eq!(ran.unwrap(), 1);
    }
    assert!(
        threads() < before + 60,
        "{} threads before, {} after",
        before,
        threads()
    );
}
