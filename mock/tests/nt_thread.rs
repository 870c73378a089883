//! System threads, affinity and worker threads: facts N-5, N-21, N-24, N-26, N-32, N-33, W-16, W-28, W-30, W-32.

mod common;

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use common::{Dpc, WorkItem, run, wait_for};
use kmdf_mock::world::{self, Sim};
use kmdf_mock::{
    GROUP_AFFINITY, PROCESSOR_NUMBER, STATUS_INVALID_PARAMETER, ntddk, sim_assert, sim_assert_eq,
};

unsafe extern "C" fn count_and_end(context: *mut c_void) {
    // SAFETY: the creator passes a counter that outlives the thread.
    let counter = unsafe { &*context.cast::<AtomicU32>() };
    counter.fetch_add(1, Ordering::SeqCst);
    // SAFETY: nothing on this stack is used by others.
    unsafe { ntddk::PsTerminateSystemThread(0) };
}

/// N-32: a system thread runs at PASSIVE_LEVEL; its object, referenced by its handle, can be waited for; the
/// handle can be closed before.
#[test]
fn a_system_thread_is_waited_for() {
    run(0..50, |_| {
        static COUNT: kmdf_mock::image::Static<AtomicU32> =
            kmdf_mock::image::Static::new(|| AtomicU32::new(0));
        let mut handle = ptr::null_mut();
        let mut object = ptr::null_mut();
        let context = ptr::from_ref(COUNT.get()).cast_mut().cast();
        // SAFETY: every pointer is valid for its call, and the thread may use the counter.
        unsafe {
            let status = ntddk::PsCreateSystemThread(
                &raw mut handle,
                kmdf_mock::THREAD_ALL_ACCESS,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                Some(count_and_end),
                context,
            );
            sim_assert_eq!(status, 0);
            sim_assert_eq!(
                ntddk::ObReferenceObjectByHandle(
                    handle,
                    0,
                    ptr::null_mut(),
                    0,
                    &raw mut object,
                    ptr::null_mut()
                ),
                0
            );
            sim_assert_eq!(ntddk::ZwClose(handle), 0);
            sim_assert!(ntddk::ZwClose(handle) != 0);
        }
        sim_assert_eq!(wait_for(object, None), 0);
        sim_assert_eq!(COUNT.get().load(Ordering::SeqCst), 1);
        // SAFETY: the reference was taken above.
        unsafe { ntddk::ObfDereferenceObject(object) };
        sim_assert_eq!(world::counters().threads, 1);
    });
}

/// N-32: a thread object that nobody references is gone when the thread ends; waiting for it then is an access to
/// freed memory.
#[test]
fn a_thread_object_without_a_reference_is_gone() {
    static COUNT: kmdf_mock::image::Static<AtomicU32> =
        kmdf_mock::image::Static::new(|| AtomicU32::new(0));
    let failure = Sim::new(1)
        .run(|| {
            let (mut handle, mut object) = (ptr::null_mut(), ptr::null_mut());
            let null: *mut c_void = ptr::null_mut();
            let context = ptr::from_ref(COUNT.get()).cast_mut().cast();
            // SAFETY: every pointer is valid for its call; that the reference is dropped too early is the point.
            unsafe {
                ntddk::PsCreateSystemThread(
                    &raw mut handle,
                    0,
                    null.cast(),
                    null,
                    null.cast(),
                    Some(count_and_end),
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
                ntddk::ObfDereferenceObject(object);
            }
            world::settle();
            wait_for(object, None);
        })
        .unwrap_err();
    assert_eq!(failure.code(), "PAGE_FAULT_IN_FREED_SPECIAL_POOL(0xD5)");
}

/// N-26: in a DPC the current thread is the interrupted one; two threads differ.
#[test]
fn the_current_thread_of_a_dpc_is_the_interrupted_one() {
    run(0..50, |_| {
        // SAFETY: the call has no requirement.
        let me = || unsafe { ntddk::KeGetCurrentThread() }.addr();
        let seen = Arc::new(AtomicUsize::new(0));
        let in_dpc = Arc::clone(&seen);
        let dpc = Dpc::new(move || in_dpc.store(me(), Ordering::SeqCst));
        world::at_dispatch(|| dpc.insert());
        sim_assert_eq!(seen.load(Ordering::SeqCst), me());
        let main = me();
        world::spawn("other", None, move || sim_assert!(me() != main)).join();
    });
}

/// N-21, N-23, N-24: indices and numbers; KeSetSystemGroupAffinityThread moves the thread before it returns and
/// reverts.
#[test]
fn affinity_moves_the_thread() {
    world::seeds(0..50, |seed| {
        Sim::new(seed)
            .cpus(3)
            .max_cpus(5)
            .run(|| {
                let mut number = PROCESSOR_NUMBER::default();
                // SAFETY: the number is valid for the calls.
                unsafe {
                    sim_assert_eq!(ntddk::KeQueryActiveProcessorCountEx(0xFFFF), 3);
                    sim_assert_eq!(ntddk::KeQueryMaximumProcessorCountEx(0xFFFF), 5);
                    sim_assert_eq!(
                        ntddk::KeGetProcessorNumberFromIndex(5, &raw mut number),
                        STATUS_INVALID_PARAMETER
                    );
                }
                for cpu in [2, 0, 1, 2] {
                    world::run_on_cpu(cpu, || {
                        for _ in 0..10 {
                            // SAFETY: the number is valid for the call.
                            let index =
                                unsafe { ntddk::KeGetCurrentProcessorNumberEx(&raw mut number) };
                            sim_assert_eq!((index, u32::from(number.Number)), (cpu, cpu));
                        }
                        world::run_on_cpu((cpu + 1) % 3, || {
                            sim_assert_eq!(world::current_cpu(), (cpu + 1) % 3);
                        });
                        sim_assert_eq!(world::current_cpu(), cpu);
                    });
                }
            })
            .unwrap();
    });
}

/// W-28, N-33: work items start in the order in which they were queued; with one worker they also end so.
#[test]
fn work_items_start_in_order() {
    world::seeds(0..50, |seed| {
        Sim::new(seed)
            .workers(1)
            .run(|| {
                let order = Arc::new(Mutex::new(Vec::new()));
                let items: Vec<_> = (0..5)
                    .map(|n| {
                        let order = Arc::clone(&order);
                        WorkItem::new(move || {
                            sim_assert_eq!(world::current_irql(), 0);
                            order.lock().unwrap().push(n);
                        })
                    })
                    .collect();
                items.iter().for_each(WorkItem::queue);
                world::settle();
                sim_assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
            })
            .unwrap();
    });
}

/// W-30: at most `workers` items run at once; the others wait for a thread.
#[test]
fn the_pool_has_as_many_threads_as_configured() {
    world::seeds(0..20, |seed| {
        Sim::new(seed)
            .workers(3)
            .run(|| {
                let gate = world::Gate::new();
                let (begun, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
                let items: Vec<_> = (0..5)
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
                world::settle();
                sim_assert_eq!(begun.load(Ordering::SeqCst), 3);
                gate.open();
                world::settle();
                sim_assert_eq!(ended.load(Ordering::SeqCst), 5);
            })
            .unwrap();
    });
}

fn worker_failure(f: impl Fn() + Send + Sync + 'static) -> String {
    let result = Sim::new(2).run(move || {
        let item = WorkItem::new(f);
        item.queue();
        world::settle();
    });
    result.unwrap_err().code().to_owned()
}

/// W-16: a worker routine may not return at DISPATCH_LEVEL (0xE1), nor in a critical region, nor bound to a CPU.
#[test]
fn what_a_worker_routine_leaves_behind_is_convicted() {
    let irql = worker_failure(|| {
        // SAFETY: the call is valid; that it is not paired is the point.
        unsafe { ntddk::KfRaiseIrql(2) };
    });
    assert_eq!(irql, "WORKER_THREAD_RETURNED_AT_BAD_IRQL(0xE1)");
    // SAFETY: as above.
    let critical = worker_failure(|| unsafe { ntddk::KeEnterCriticalRegion() });
    assert_eq!(critical, "APC_INDEX_MISMATCH(0x1)");
    let affinity = worker_failure(|| {
        let mut mask = GROUP_AFFINITY {
            Mask: 2,
            ..Default::default()
        };
        // SAFETY: the mask is valid for the call.
        unsafe { ntddk::KeSetSystemGroupAffinityThread(&raw mut mask, ptr::null_mut()) };
    });
    assert_eq!(affinity, "SIM_AFFINITY_LEAK");
    // SAFETY: the current thread's object is valid.
    let set =
        |priority| unsafe { ntddk::KeSetPriorityThread(ntddk::KeGetCurrentThread(), priority) };
    let priority = worker_failure(move || {
        set(16);
    });
    assert_eq!(priority, "SIM_PRIORITY_LEAK");
}

/// W-16, W-29: a worker of the delayed queue has priority 12. The control of the test above: a routine that gives
/// back CPU and priority as they were is not convicted.
#[test]
fn a_worker_routine_that_restores_its_thread_is_not_convicted() {
    run(0..50, |_| {
        let ran = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&ran);
        let item = WorkItem::new(move || {
            // SAFETY: the current thread's object is valid.
            let me = unsafe { ntddk::KeGetCurrentThread() };
            // SAFETY: as above.
            let before = unsafe { ntddk::KeSetPriorityThread(me, 16) };
            sim_assert_eq!(before, 12);
            world::run_on_cpu(2, || sim_assert_eq!(world::current_cpu(), 2));
            // SAFETY: as above.
            sim_assert_eq!(unsafe { ntddk::KeSetPriorityThread(me, before) }, 16);
            seen.fetch_add(1, Ordering::SeqCst);
        });
        item.queue();
        world::settle();
        sim_assert_eq!(ran.load(Ordering::SeqCst), 1);
    });
}

/// N-32: the IRQL ceilings of what a thread does to itself: affinity up to DISPATCH_LEVEL, priority at
/// PASSIVE_LEVEL only. Priorities outside 1 to 31 are none.
#[test]
fn affinity_and_priority_have_ceilings() {
    fn affinity() {
        let mut mask = GROUP_AFFINITY {
            Mask: 1,
            ..Default::default()
        };
        let mut before = GROUP_AFFINITY::default();
        // SAFETY: both structures are valid for the calls.
        unsafe {
            ntddk::KeSetSystemGroupAffinityThread(&raw mut mask, &raw mut before);
            ntddk::KeRevertToUserGroupAffinityThread(&raw mut before);
        }
    }
    fn priority(priority: i32) {
        // SAFETY: the current thread's object is valid.
        unsafe { ntddk::KeSetPriorityThread(ntddk::KeGetCurrentThread(), priority) };
    }
    let code = |irql, f: fn()| {
        let result = Sim::new(3).run(move || world::at_irql(irql, f));
        result.err().map(|failure| failure.code().to_owned())
    };
    let high = Some("DV(0xC4,0x20003)".to_owned());
    assert_eq!(code(2, affinity), None);
    assert_eq!(code(3, affinity), high);
    assert_eq!(code(0, || priority(31)), None);
    assert_eq!(code(2, || priority(31)), high);
    let none = Some("INVALID_PARAMETER(KeSetPriorityThread)".to_owned());
    assert_eq!(code(0, || priority(0)), none);
    assert_eq!(code(0, || priority(32)), none);
}

/// N-2, N-32: a wait for a thread with a timeout ends with STATUS_TIMEOUT, never early, while the thread runs, and
/// with success once it has ended; at DISPATCH_LEVEL it is a poll.
#[test]
fn a_wait_for_a_thread_can_time_out() {
    static DONE: kmdf_mock::image::Static<common::Event> =
        kmdf_mock::image::Static::new(common::Event::notification);
    unsafe extern "C" fn until_done(_: *mut c_void) {
        DONE.get().wait(None);
    }
    run(0..50, |_| {
        let object = common::system_thread(until_done, ptr::null_mut());
        let start = world::now_100ns();
        sim_assert_eq!(wait_for(object, Some(-50_000)), 0x102);
        sim_assert!(world::now_100ns() >= start + 50_000);
        world::at_dispatch(|| sim_assert_eq!(wait_for(object, Some(0)), 0x102));
        DONE.get().set();
        sim_assert_eq!(wait_for(object, Some(-1_000_000)), 0);
        world::at_dispatch(|| sim_assert_eq!(wait_for(object, Some(0)), 0));
        // SAFETY: the reference is ours.
        unsafe { ntddk::ObfDereferenceObject(object) };
    });
}

/// N-21, N-41: a thread that has bound itself to a CPU and raised to DISPATCH_LEVEL there keeps that CPU, runs no
/// DPC of it meanwhile, and the DPCs queued there run when it lowers.
#[test]
fn a_bound_thread_at_dispatch_owns_its_cpu() {
    run(0..100, |_| {
        let ran = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&ran);
        let dpc = Dpc::new(move || {
            sim_assert_eq!(world::current_cpu(), 3);
            seen.fetch_add(1, Ordering::SeqCst);
        });
        dpc.set_importance(kmdf_mock::_KDPC_IMPORTANCE::MediumHighImportance);
        dpc.set_target(3);
        let gate = world::Gate::new();
        world::run_on_cpu(3, || {
            world::at_dispatch(|| {
                let (other, open) = (dpc.clone(), gate.clone());
                world::spawn("other", Some(0), move || {
                    sim_assert!(other.insert());
                    open.open();
                });
                while !gate.is_open() {
                    kmdf_mock::sync::preempt();
                }
                sim_assert_eq!((world::current_cpu(), ran.load(Ordering::SeqCst)), (3, 0));
            });
            sim_assert_eq!((world::current_cpu(), ran.load(Ordering::SeqCst)), (3, 1));
        });
    });
}

/// W-32: a raw work item that is queued twice is 0xE4/1; freed while queued 0xE4/0.
#[test]
fn raw_work_item_misuse_is_convicted() {
    let code = |free: bool| {
        let result = Sim::new(1).run(move || {
            let item = WorkItem::new(|| ());
            world::at_dispatch(|| {
                item.queue();
                if free { item.free() } else { item.queue() }
            });
        });
        result.err().map(|failure| failure.code().to_owned())
    };
    // A worker on another CPU can be quick enough to make either legal; seed 1 is not such a run.
    assert_eq!(code(false).as_deref(), Some("WORKER_INVALID(0xE4,1)"));
    assert_eq!(code(true).as_deref(), Some("WORKER_INVALID(0xE4,0)"));
}

/// N-5: a critical region that is left without having been entered.
#[test]
fn an_unpaired_critical_region_is_convicted() {
    // SAFETY: the unpaired call is the point.
    let result = Sim::new(1).run(|| unsafe { ntddk::KeLeaveCriticalRegion() });
    assert_eq!(result.unwrap_err().code(), "DV(0xC4,0x40003)");
}

/// N-23, N-25, H-36: a CPU comes online: the active count grows up to the maximum, threads run on it, and a DPC
/// can be targeted at it. Before that a DPC for it is 0xC7 with parameter 1 = 3.
#[test]
fn a_cpu_comes_online() {
    world::seeds(0..50, |seed| {
        let used = Sim::new(seed).cpus(1).max_cpus(3).run(|| {
            let seen = Arc::new(AtomicU32::new(0));
            sim_assert_eq!(world::add_cpu(), 1);
            // SAFETY: the call has no requirement.
            sim_assert_eq!(unsafe { ntddk::KeQueryActiveProcessorCountEx(0) }, 2);
            let mark = Arc::clone(&seen);
            let dpc = Dpc::new(move || {
                mark.fetch_add(world::current_cpu(), Ordering::SeqCst);
            });
            dpc.set_target(1);
            sim_assert!(dpc.insert());
            world::run_on_cpu(1, || sim_assert_eq!(world::current_cpu(), 1));
            world::settle();
            seen.load(Ordering::SeqCst)
        });
        assert_eq!(used.unwrap(), 1);
    });
    let early = Sim::new(1).cpus(1).max_cpus(2).run(|| {
        let dpc = Dpc::new(|| ());
        dpc.set_target(1);
        dpc.insert();
    });
    assert_eq!(early.unwrap_err().code(), "TIMER_OR_DPC_INVALID(0xC7,3)");
}

/// At DISPATCH_LEVEL a thread keeps its CPU; a new affinity counts when the IRQL is lowered (N-21, N-41).
#[test]
fn affinity_at_dispatch_counts_when_the_irql_is_lowered() {
    run(0..50, |_| {
        let mut wanted = GROUP_AFFINITY {
            Mask: 4,
            ..Default::default()
        };
        let mut before = GROUP_AFFINITY::default();
        world::run_on_cpu(0, || {
            world::at_dispatch(|| {
                // SAFETY: both structures are valid for the call.
                unsafe {
                    ntddk::KeSetSystemGroupAffinityThread(&raw mut wanted, &raw mut before);
                }
                sim_assert_eq!(world::current_cpu(), 0);
            });
            sim_assert_eq!(world::current_cpu(), 2);
            // SAFETY: the structure is valid for the call.
            unsafe { ntddk::KeRevertToUserGroupAffinityThread(&raw mut before) };
            sim_assert_eq!(world::current_cpu(), 0);
        });
    });
}
