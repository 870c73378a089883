//! What the operations cost, as counts on the simulated KMDF: the budgets of shim-api.md's columns *KMDF
//! calls*, which hold on Windows too. Instructions are counted by `ci/counts.sh`.
//!
//! A count is taken over a span in which nobody else runs: one CPU, at DISPATCH_LEVEL, no preemption. In
//! the spans of calls that block, others run and are counted too; the tests say whose calls these are.

mod support;

use bottomhalf::linux::*;
use kmdf_mock::world::{self, Counters, Gate, Interrupt, Preemption, Sim};
use kmdf_mock::{sim_assert, sim_assert_eq};
use support::{NonReentrant, Rig, Tasklet, Work, Wq, rows_with_on, sleep_jiffies, still_waits};

/// One CPU, nothing preempted.
fn quiet(seed: u64) -> Sim {
    support::machine(seed)
        .cpus(1)
        .preemption(Preemption::Never)
        .step_limit(100_000_000)
}

/// Runs `scenario` on the quiet machine. Every seed gives the same counts; two show it.
fn counted(scenario: fn(&Rig)) {
    rows_with_on(quiet, NonReentrant, 2, scenario);
}

/// What happened during `f`, and how many atomics were read or written.
fn span(f: impl FnOnce()) -> (Counters, u64) {
    let (counts, accesses) = (world::counters(), world::accesses());
    f();
    (world::counters() - counts, world::accesses() - accesses)
}

/// What a call may make KMDF and NT do.
#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    dpc_enqueues: u64,
    work_item_enqueues: u64,
    timer_starts: u64,
    irql_raises: u64,
    events_set: u64,
    waits: u64,
    objects: u64,
    allocations: u64,
    threads: u64,
}

impl Budget {
    /// What exceeds it, if anything does. Cancelling, flushing and stopping by KMDF is never in a budget.
    fn exceeded_by(&self, counts: &Counters) -> Option<String> {
        let objects = counts.objects_dpc + counts.objects_work_item + counts.objects_timer;
        let rows = [
            ("WdfDpcEnqueue", counts.dpc_enqueues, self.dpc_enqueues),
            (
                "WdfWorkItemEnqueue",
                counts.work_item_enqueues,
                self.work_item_enqueues,
            ),
            ("WdfTimerStart", counts.timer_starts, self.timer_starts),
            ("KfRaiseIrql", counts.irql_raises, self.irql_raises),
            ("KeSetEvent", counts.events_set, self.events_set),
            ("waits", counts.waits, self.waits),
            ("objects", objects, self.objects),
            ("ExAllocatePool2", counts.pool_allocations, self.allocations),
            ("PsCreateSystemThread", counts.threads, self.threads),
            ("WdfDpcCancel", counts.dpc_cancels, 0),
            ("WdfTimerStop", counts.timer_stops, 0),
            ("WdfWorkItemFlush", counts.work_item_flushes, 0),
            ("KeFlushQueuedDpcs", counts.dpc_flushes, 0),
        ];
        let over = rows.iter().find(|(_, count, most)| count > most);
        over.map(|(what, count, most)| format!("{count} {what}, and {most} are allowed"))
    }

    /// Fails the world if `f` exceeds it.
    #[track_caller]
    fn holds(self, what: &str, f: impl FnOnce()) -> (Counters, u64) {
        let (counts, accesses) = span(f);
        let over = self.exceeded_by(&counts);
        sim_assert!(over.is_none(), "{what}: {}", over.unwrap_or_default());
        (counts, accesses)
    }
}

/// Nothing is called down, and the word is read once and written once.
#[track_caller]
fn is_refused(what: &str, call: impl FnOnce() -> bool) {
    let mut answer = true;
    let (_, accesses) = Budget::default().holds(what, || answer = call());
    sim_assert!(!answer, "{what} is refused");
    sim_assert_eq!(accesses, 2, "{what}: a load and a compare-exchange");
}

/// R05, R06: a refused call is one read-modify-write: no raise, no lock, no call down.
#[test]
fn a_refused_call_raises_and_calls_nothing() {
    counted(|_| {
        let tasklet = Tasklet::counting();
        let [queued, armed, disabled] = [(); 3].map(|()| Work::counting());
        let wq = Wq::bound();
        world::at_dispatch(|| {
            tasklet.schedule();
            queued.queue(wq);
            armed.queue_delayed(wq, 100);
            // SAFETY: the item is alive.
            unsafe { disable_work(disabled.work()) };
            let scheduled = |call: fn(Tasklet)| {
                move || {
                    call(tasklet);
                    false
                }
            };
            is_refused("tasklet_schedule", scheduled(Tasklet::schedule));
            is_refused("tasklet_hi_schedule", scheduled(Tasklet::hi_schedule));
            for work in [queued, armed, disabled] {
                is_refused("queue_work", || work.queue(wq));
                is_refused("schedule_work", || work.schedule());
                is_refused("queue_delayed_work", || work.queue_delayed(wq, 5));
                is_refused("queue_delayed_work(0)", || work.queue_delayed(wq, 0));
            }
        });
        // SAFETY: the items and the queue are alive, and used no more.
        unsafe { enable_work(disabled.work()) };
        armed.cancel_delayed_sync();
        wq.destroy();
    });
}

/// T05: one `WdfDpcEnqueue` for a CPU's list, whatever is put on it.
#[test]
fn a_burst_of_1000_tasklets_queues_one_dpc() {
    counted(|_| {
        let tasklets: Vec<_> = (0..1000).map(|_| Tasklet::counting()).collect();
        world::at_dispatch(|| {
            let first = Budget {
                dpc_enqueues: 1,
                irql_raises: 1,
                ..Budget::default()
            };
            first.holds("the first", || tasklets[0].schedule());
            let next = Budget {
                dpc_enqueues: 0,
                ..first
            };
            for (index, tasklet) in tasklets.iter().enumerate().skip(1) {
                let hi = index % 2 == 1;
                let schedule = || {
                    if hi {
                        tasklet.hi_schedule()
                    } else {
                        tasklet.schedule()
                    }
                };
                next.holds("the next", schedule);
            }
        });
        world::settle();
        let counts = world::counters();
        sim_assert_eq!((counts.dpc_enqueues, counts.dpc_callbacks), (1, 1));
        sim_assert!(tasklets.iter().all(|tasklet| tasklet.runs() == 1));
        for tasklet in tasklets {
            let kill = Budget {
                irql_raises: 3,
                ..Budget::default()
            };
            kill.holds("tasklet_kill of an idle one", || tasklet.kill());
            tasklet.free();
        }
    });
}

/// W01: `queue_work` of an idle work: at most one `WdfWorkItemEnqueue`, and the look of the rescuer.
#[test]
fn queueing_a_work_enqueues_one_work_item() {
    counted(|_| {
        for flags in [0, WQ_UNBOUND] {
            let wq = Wq::with(flags, 0);
            let works: Vec<_> = (0..2).map(|_| Work::counting()).collect();
            world::at_dispatch(|| {
                // One raise to queue it; the others ask for the rescuer's look, by the timer's one programmer.
                let first = Budget {
                    work_item_enqueues: 1,
                    timer_starts: 1,
                    irql_raises: 5,
                    ..Budget::default()
                };
                let (counts, _) = first.holds("the first", || assert!(works[0].queue(wq)));
                sim_assert_eq!(counts.work_item_enqueues, 1);
                let next = Budget {
                    irql_raises: 1,
                    ..Budget::default()
                };
                next.holds("the next", || assert!(works[1].queue(wq)));
            });
            wq.destroy();
        }
    });
}

/// A burst of 1000 works at DISPATCH_LEVEL enqueues one work item, and altogether not more than there may be
/// workers, while none of the works ends.
#[test]
fn a_burst_of_1000_works_enqueues_max_active_work_items() {
    counted(|_| {
        for max_active in [1, 4, 12] {
            let wq = Wq::with(WQ_UNBOUND, max_active);
            let gate = Gate::new();
            let works: Vec<_> = (0..1000).map(|_| Work::gated(&gate)).collect();
            let burst = Budget {
                work_item_enqueues: 1,
                timer_starts: 1,
                irql_raises: 1004,
                ..Budget::default()
            };
            let before = world::counters();
            world::at_dispatch(|| {
                burst.holds("the burst", || {
                    works.iter().for_each(|work| assert!(work.queue(wq)));
                });
            });
            world::settle();
            let inside = works
                .iter()
                .filter(|work| work.seen().inside() == 1)
                .count();
            let enqueues = (world::counters() - before).work_item_enqueues;
            let most = max_active.unsigned_abs() as u64;
            sim_assert_eq!(inside as u64, most);
            sim_assert!(enqueues <= most, "{enqueues} for {most} workers");
            gate.open();
            wq.flush();
            // A worker gives its thread back after a batch of works.
            let enqueues = (world::counters() - before).work_item_enqueues;
            sim_assert!(enqueues <= most + 1000 / 32, "{enqueues} in all");
            wq.destroy();
            works.into_iter().for_each(Work::free);
        }
    });
}

/// D01, D06: arming calls `WdfTimerStart` if it is the earliest, else nothing; a later deadline, a cancel
/// and an expiry that nobody needs cost no call.
#[test]
fn arming_starts_the_timer_for_the_earliest_only() {
    counted(|_| {
        let wq = Wq::bound();
        let [first, second] = [(); 2].map(|()| Work::counting());
        let starts = |timer_starts| Budget {
            timer_starts,
            irql_raises: 3 + 2 * timer_starts,
            ..Budget::default()
        };
        world::at_dispatch(|| {
            let arm = |work: Work, delay| move || assert!(work.queue_delayed(wq, delay));
            let modify = |work: Work, delay| move || assert!(work.modify(wq, delay));
            let (counts, _) = starts(1).holds("the first", arm(first, 100));
            sim_assert_eq!(counts.timer_starts, 1);
            starts(0).holds("a later one", arm(second, 200));
            starts(0).holds("made later", modify(first, 300));
            starts(1).holds("made earlier", modify(second, 50));
            starts(0).holds("cancelled", || assert!(second.cancel_delayed()));
        });
        first.cancel_delayed_sync();
        wq.destroy();
    });
}

/// Most accesses of the operations on one of `count` armed works: arm, modify, cancel.
fn accesses_among(count: usize) -> [u64; 3] {
    let wq = Wq::bound();
    let works: Box<[delayed_work]> = (0..count).map(|_| delayed_work::new()).collect();
    let works = Box::leak(works);
    unsafe extern "C" fn nothing(_: *mut work_struct) {}
    let item = |index: usize| (&raw const works[index]).cast_mut();
    let mut most = [0; 3];
    {
        for index in 0..count {
            // SAFETY: fresh memory that stays for good.
            unsafe { INIT_DELAYED_WORK(item(index), nothing) };
        }
        // Deadlines from all over, none of them twice: 7919 is a prime beyond the factors of the counts.
        let delay = |index: usize| 1000 + (index * 7919 % count) as u64;
        let mut measure = |which: usize, every: usize, call: &dyn Fn(usize) -> bool| {
            for index in (0..count).step_by(every) {
                let (_, accesses) = world::at_dispatch(|| span(|| assert!(call(index))));
                most[which] = accesses.max(most[which]);
            }
        };
        let sample = (count / 1000).max(1);
        // SAFETY: initialised, and in place for good.
        let arm = |index| unsafe { queue_delayed_work(wq.0, item(index), delay(index)) };
        // SAFETY: as above.
        let modify = |index| unsafe { mod_delayed_work(wq.0, item(index), delay(index) + 7) };
        // SAFETY: as above.
        let cancel = |index| unsafe { cancel_delayed_work(item(index)) };
        measure(0, 1, &arm);
        measure(1, sample, &modify);
        measure(2, 1, &cancel);
    }
    wq.destroy();
    most
}

/// Operations on one of 100 000 delayed works touch as much as among 1000, or grow with the logarithm: ten
/// times as many works make a balanced tree deeper by four levels at most, which are two steps of a search.
#[test]
fn one_of_100_000_delayed_works_costs_little_more_than_one_of_1000() {
    rows_with_on(quiet, NonReentrant, 1, |_| {
        let few = accesses_among(1000);
        let many = accesses_among(100_000);
        println!("accesses to arm, modify, cancel: {few:?} among 1000, {many:?} among 100000");
        for (few, many) in few.iter().zip(many) {
            sim_assert!(
                many <= few + 2 * 14,
                "{many} among 100000, {few} among 1000"
            );
        }
        sim_assert!(many[2] <= few[2] + 2, "a cancel searches: {many:?}");
    });
}

/// Linux's system queues that differ in flags, newer names for the same queue left out.
const SYSTEM_QUEUES: u64 = 8;

/// One WDFDPC and one thread per CPU, two WDFTIMERs, one WDFWORKITEM for each of the system's queues, one
/// rescuer, and nothing more
/// for any number of items, nor any allocation. KMDF itself allocates for each of its objects.
#[test]
fn objects_do_not_grow_with_the_items() {
    fn many(cpus: u64) {
        let before = world::counters();
        let rig = Rig::new(NonReentrant);
        let attached = world::counters() - before;
        sim_assert_eq!(attached.objects_dpc, cpus);
        sim_assert_eq!(attached.objects_timer, 2);
        sim_assert_eq!(attached.objects_work_item, SYSTEM_QUEUES);
        // One for each CPU's tasklets when they are too many, and the rescuer.
        sim_assert_eq!(attached.threads, cpus + 1);
        let wq = Wq::bound();
        let (counts, _) = span(|| {
            let works: Vec<_> = (0..300).map(|_| Work::counting()).collect();
            let tasklets: Vec<_> = (0..300).map(|_| Tasklet::counting()).collect();
            for (index, work) in works.iter().enumerate() {
                assert!(work.queue_delayed(wq, index as u64 % 3));
                tasklets[index].schedule();
            }
            for (work, tasklet) in works.iter().zip(&tasklets) {
                work.flush_delayed();
                work.cancel_sync();
                tasklet.disable();
                tasklet.enable();
                tasklet.kill();
            }
            wq.flush();
            works.into_iter().for_each(Work::free);
            tasklets.into_iter().for_each(Tasklet::free);
        });
        let plenty = Budget {
            dpc_enqueues: u64::MAX,
            work_item_enqueues: u64::MAX,
            timer_starts: u64::MAX,
            irql_raises: u64::MAX,
            events_set: u64::MAX,
            waits: u64::MAX,
            ..Budget::default()
        };
        sim_assert_eq!(plenty.exceeded_by(&counts), None);
        wq.destroy();
        let all = world::counters() - before;
        sim_assert_eq!(all.dpc_flushes, 0, "machine-wide flushes are for detach");
        rig.finish();
        let all = world::counters() - before;
        sim_assert_eq!(all.pool_allocations, all.pool_frees);
    }
    for cpus in [1, 4, 7] {
        let machine = support::machine(1).cpus(cpus);
        machine.run(move || many(u64::from(cpus))).unwrap();
    }
}

/// Q08, Q10: a queue is one WDFWORKITEM and one allocation, besides KMDF's own for its object; one that must
/// make progress has a thread too.
#[test]
fn a_queue_is_one_work_item_and_one_allocation() {
    counted(|_| {
        for (flags, max_active) in [(0, 0), (0, 1), (WQ_UNBOUND, 512), (WQ_MEM_RECLAIM, 1)] {
            let mut wq = None;
            let (counts, _) = span(|| wq = Some(Wq::with(flags, max_active)));
            sim_assert_eq!((counts.objects_work_item, counts.pool_allocations), (1, 2));
            sim_assert_eq!((counts.objects_timer, counts.objects_dpc), (0, 0));
            sim_assert_eq!(counts.threads, u64::from(flags & WQ_MEM_RECLAIM != 0));
            let (counts, _) = span(|| wq.unwrap().destroy());
            sim_assert_eq!((counts.pool_frees, counts.dpc_flushes), (2, 0));
        }
    });
}

/// What a call that waits adds to the counts: it blocks once and is woken once; time that passes adds nothing.
fn hand_over(gate: &Gate, call: impl FnOnce() + Send + 'static) {
    let (counts, _) = span(|| {
        let waiter = world::spawn("waiter", None, call);
        still_waits(&waiter);
        sleep_jiffies(50);
        still_waits(&waiter);
        gate.open();
        world::settle();
        sim_assert!(waiter.is_finished(), "it returns at once");
    });
    // One wait of the caller and one of this thread's sleep. The gate is set, the waiter, and KMDF's own event
    // at the end of a work item's callback.
    sim_assert_eq!((counts.waits, counts.events_set), (2, 3));
    sim_assert_eq!(counts.timer_starts + counts.dpc_flushes, 0);
    sim_assert_eq!(
        counts.work_item_flushes + counts.dpc_cancels + counts.timer_stops,
        0
    );
}

/// W10, W15, Q01, D12: waiting for a work is one wait and one wake, however long it takes.
#[test]
fn waiting_for_a_work_is_one_event() {
    counted(|_| {
        type Call = fn(Work, Wq);
        let calls: [Call; 6] = [
            |work, _| {
                work.cancel_sync();
            },
            |work, _| {
                work.cancel_delayed_sync();
            },
            |work, _| {
                work.flush();
            },
            |work, _| {
                work.flush_delayed();
            },
            |_, wq| wq.flush(),
            // SAFETY: the queue is alive.
            |_, wq| unsafe { drain_workqueue(wq.0) },
        ];
        for call in calls {
            let wq = Wq::bound();
            let gate = Gate::new();
            let work = Work::gated(&gate);
            work.queue(wq);
            work.wait_begun(1);
            // The rescuer's look at the queue is over.
            sleep_jiffies(20);
            hand_over(&gate, move || call(work, wq));
            wq.destroy();
            work.free();
        }
    });
}

/// T12, T16: so is waiting for a tasklet that is disabled, which blocks a kill for as long as it likes.
#[test]
fn waiting_for_a_tasklet_is_one_event() {
    counted(|_| {
        let tasklet = Tasklet::counting();
        tasklet.disable();
        tasklet.schedule();
        world::settle();
        let (counts, _) = span(|| {
            let killer = world::spawn("killer", None, move || tasklet.kill());
            still_waits(&killer);
            sleep_jiffies(50);
            still_waits(&killer);
            tasklet.enable();
            world::settle();
            sim_assert!(killer.is_finished(), "it returns at once");
        });
        sim_assert_eq!((counts.waits, counts.events_set), (2, 1));
        sim_assert_eq!((counts.dpc_enqueues, counts.dpc_cancels), (1, 0));
        sim_assert_eq!((counts.timer_starts, counts.dpc_flushes), (0, 0));
        tasklet.free();
    });
}

/// W27, D24: what an interrupt may not call is left to one DPC, which makes each call once.
#[test]
fn an_interrupt_queues_one_dpc() {
    counted(|_| {
        let wq = Wq::bound();
        let [work, delayed] = [(); 2].map(|()| Work::counting());
        let tasklet = Tasklet::counting();
        let line = Interrupt::connect("nic", 5, move || {
            let budget = Budget {
                dpc_enqueues: 1,
                irql_raises: 3,
                ..Budget::default()
            };
            budget.holds("in the interrupt", || {
                assert!(work.queue(wq));
                assert!(delayed.queue_delayed(wq, 3));
                tasklet.schedule();
            });
        });
        let (counts, _) = span(|| {
            line.raise(0);
            world::settle();
        });
        sim_assert_eq!((counts.interrupts, counts.dpc_enqueues), (1, 1));
        sim_assert_eq!((counts.dpc_callbacks, counts.work_item_enqueues), (1, 1));
        sim_assert_eq!((tasklet.runs(), work.runs()), (1, 1));
        sleep_jiffies(5);
        wq.destroy();
    });
}

/// I1: the items are as large as Linux's, and may lie where Linux's lie.
#[test]
fn items_have_linuxs_sizes() {
    assert_eq!(size_of::<tasklet_struct>(), 40);
    assert_eq!(size_of::<work_struct>(), 32);
    assert_eq!(size_of::<delayed_work>(), 88);
    for align in [
        align_of::<tasklet_struct>(),
        align_of::<work_struct>(),
        align_of::<delayed_work>(),
    ] {
        assert_eq!(align, 8);
    }
}

/// The budgets convict: each operation against one that is a single call too small, and KMDF's own ways
/// of waiting against any.
#[test]
fn control_a_budget_that_is_too_small() {
    counted(|_| {
        let wq = Wq::bound();
        let (work, delayed, tasklet) = (Work::counting(), Work::counting(), Tasklet::counting());
        let none = Budget {
            irql_raises: 9,
            ..Budget::default()
        };
        let over = |call: &dyn Fn()| none.exceeded_by(&span(call).0).unwrap_or_default();
        world::at_dispatch(|| {
            let dpc = over(&|| tasklet.schedule());
            sim_assert_eq!(dpc, "1 WdfDpcEnqueue, and 0 are allowed");
            let item = over(&|| assert!(work.queue(wq)));
            sim_assert_eq!(item, "1 WdfWorkItemEnqueue, and 0 are allowed");
            let timer = over(&|| assert!(delayed.queue_delayed(wq, 1)));
            sim_assert_eq!(timer, "1 WdfTimerStart, and 0 are allowed");
            let raise =
                Budget::default().exceeded_by(&span(|| assert!(delayed.cancel_delayed())).0);
            sim_assert!(raise.unwrap_or_default().contains("KfRaiseIrql"));
        });
        let queue = over(&|| Wq::bound().destroy());
        sim_assert!(queue.contains("are allowed"), "{queue}");
        // SAFETY: at PASSIVE_LEVEL.
        let flush = over(&|| unsafe { kmdf_mock::ntddk::KeFlushQueuedDpcs() });
        sim_assert!(flush.contains("KeFlushQueuedDpcs"), "{flush}");
        wq.destroy();
    });
}
