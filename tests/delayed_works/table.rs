//! The return values of the calls on a delayed work, by its state (linux.md 4.2, the column of 6.10 and
//! later): a line per cell.

use std::sync::Arc;
use std::sync::Mutex;

use bottomhalf::linux::{delayed_work_pending, schedule_delayed_work};
use kmdf_mock::world::{self, Gate, Thread};
use kmdf_mock::{sim_assert, sim_assert_eq};

use crate::support::{NonReentrant, Rig, Work, Wq, machine, rows, rows_with, sleep_jiffies};

/// What the work is doing when the call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// Its timer is armed.
    Timer,
    /// It is queued behind a work that blocks.
    Queued,
    /// It runs.
    Running,
    /// It runs and its timer is armed.
    RunningTimer,
    /// It runs and is queued behind itself.
    RunningQueued,
    /// It runs and somebody waits in `cancel_delayed_work_sync`.
    Cancelled,
}

/// The call.
#[derive(Clone, Copy, Debug)]
enum Call {
    /// `queue_delayed_work` with [`SOON`].
    Queue,
    /// `queue_delayed_work` with 0.
    QueueNow,
    /// `schedule_delayed_work` with [`SOON`].
    Schedule,
    /// `queue_work` of its `work`.
    QueueWork,
    /// `mod_delayed_work` with [`SOON`].
    Mod,
    /// `mod_delayed_work` with 0.
    ModNow,
    /// `cancel_delayed_work`.
    Cancel,
    /// `cancel_delayed_work_sync`.
    CancelSync,
    /// `flush_delayed_work`.
    FlushDelayed,
    /// `flush_work` of its `work`.
    FlushWork,
    /// `delayed_work_pending`.
    Pending,
}

/// What the call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    True,
    False,
    /// Either: the work may be over before the call looks.
    Free,
}

/// Whether the call waits for what blocks the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    No,
    Yes,
}

/// The delay of the calls that take one, in jiffies.
const SOON: u64 = 10;
/// The delay of the timer in the states that have one: after everything that `SOON` does.
const LATER: u64 = 1_000;

use Answer::{False, Free, True};
use Call::*;
use State::*;
use Waits::{No, Yes};

/// Call, state, answer, whether it waits, runs that have ended when it returns, whether the work is
/// pending then, runs in all.
type Cell = (Call, State, Answer, Waits, u32, bool, u32);

#[rustfmt::skip]
const TABLE: &[Cell] = &[
    (Queue,        Idle,          True,  No,  0, true,  1),
    (Queue,        Timer,         False, No,  0, true,  1),
    (Queue,        Queued,        False, No,  0, true,  1),
    (Queue,        Running,       True,  No,  0, true,  2),
    (Queue,        RunningTimer,  False, No,  0, true,  2),
    (Queue,        RunningQueued, False, No,  0, true,  2),
    (Queue,        Cancelled,     False, No,  0, false, 1),

    (QueueNow,     Idle,          True,  No,  1, false, 1),
    (QueueNow,     Timer,         False, No,  0, true,  1),
    (QueueNow,     Queued,        False, No,  0, true,  1),
    (QueueNow,     Running,       True,  No,  0, true,  2),
    (QueueNow,     RunningTimer,  False, No,  0, true,  2),
    (QueueNow,     RunningQueued, False, No,  0, true,  2),
    (QueueNow,     Cancelled,     False, No,  0, false, 1),

    (Schedule,     Idle,          True,  No,  0, true,  1),
    (Schedule,     Timer,         False, No,  0, true,  1),
    (Schedule,     Queued,        False, No,  0, true,  1),
    (Schedule,     Running,       True,  No,  0, true,  2),
    (Schedule,     RunningTimer,  False, No,  0, true,  2),
    (Schedule,     RunningQueued, False, No,  0, true,  2),
    (Schedule,     Cancelled,     False, No,  0, false, 1),

    (QueueWork,    Idle,          True,  No,  1, false, 1),
    (QueueWork,    Timer,         False, No,  0, true,  1),
    (QueueWork,    Queued,        False, No,  0, true,  1),
    (QueueWork,    Running,       True,  No,  0, true,  2),
    (QueueWork,    RunningTimer,  False, No,  0, true,  2),
    (QueueWork,    RunningQueued, False, No,  0, true,  2),
    (QueueWork,    Cancelled,     False, No,  0, false, 1),

    (Mod,          Idle,          False, No,  0, true,  1),
    (Mod,          Timer,         True,  No,  0, true,  1),
    (Mod,          Queued,        True,  No,  0, true,  1),
    (Mod,          Running,       False, No,  0, true,  2),
    (Mod,          RunningTimer,  True,  No,  0, true,  2),
    (Mod,          RunningQueued, True,  No,  0, true,  2),
    (Mod,          Cancelled,     False, No,  0, false, 1),

    (ModNow,       Idle,          False, No,  1, false, 1),
    (ModNow,       Timer,         True,  No,  1, false, 1),
    (ModNow,       Queued,        True,  No,  0, true,  1),
    (ModNow,       Running,       False, No,  0, true,  2),
    (ModNow,       RunningTimer,  True,  No,  0, true,  2),
    (ModNow,       RunningQueued, True,  No,  0, true,  2),
    (ModNow,       Cancelled,     False, No,  0, false, 1),

    (Cancel,       Idle,          False, No,  0, false, 0),
    (Cancel,       Timer,         True,  No,  0, false, 0),
    (Cancel,       Queued,        True,  No,  0, false, 0),
    (Cancel,       Running,       False, No,  0, false, 1),
    (Cancel,       RunningTimer,  True,  No,  0, false, 1),
    (Cancel,       RunningQueued, True,  No,  0, false, 1),
    (Cancel,       Cancelled,     False, No,  0, false, 1),

    (CancelSync,   Idle,          False, No,  0, false, 0),
    (CancelSync,   Timer,         True,  No,  0, false, 0),
    (CancelSync,   Queued,        True,  No,  0, false, 0),
    (CancelSync,   Running,       False, Yes, 1, false, 1),
    (CancelSync,   RunningTimer,  True,  Yes, 1, false, 1),
    (CancelSync,   RunningQueued, True,  Yes, 1, false, 1),
    (CancelSync,   Cancelled,     False, Yes, 1, false, 1),

    (FlushDelayed, Idle,          False, No,  0, false, 0),
    (FlushDelayed, Timer,         Free,  No,  1, false, 1),
    (FlushDelayed, Queued,        True,  Yes, 1, false, 1),
    (FlushDelayed, Running,       True,  Yes, 1, false, 1),
    (FlushDelayed, RunningTimer,  True,  Yes, 2, false, 2),
    (FlushDelayed, RunningQueued, True,  Yes, 2, false, 2),
    (FlushDelayed, Cancelled,     True,  Yes, 1, false, 1),

    (FlushWork,    Idle,          False, No,  0, false, 0),
    (FlushWork,    Timer,         False, No,  0, true,  1),
    (FlushWork,    Queued,        True,  Yes, 1, false, 1),
    (FlushWork,    Running,       True,  Yes, 1, false, 1),
    (FlushWork,    RunningTimer,  True,  Yes, 1, true,  2),
    (FlushWork,    RunningQueued, True,  Yes, 2, false, 2),
    (FlushWork,    Cancelled,     True,  Yes, 1, false, 1),

    (Pending,      Idle,          False, No,  0, false, 0),
    (Pending,      Timer,         True,  No,  0, true,  1),
    (Pending,      Queued,        True,  No,  0, true,  1),
    (Pending,      Running,       False, No,  0, false, 1),
    (Pending,      RunningTimer,  True,  No,  0, true,  2),
    (Pending,      RunningQueued, True,  No,  0, true,  2),
    (Pending,      Cancelled,     False, No,  0, false, 1),
];

/// What the call answered, and how many runs had ended when it returned.
type Said = Arc<Mutex<Option<(bool, u32)>>>;

/// A work in some state.
struct Scene {
    wq: Wq,
    /// What the work, or the one before it, waits for.
    gate: Gate,
    blocker: Work,
    work: Work,
    canceller: Option<Thread>,
}

impl Scene {
    fn new(state: State, wq: Wq) -> Self {
        let gate = Gate::new();
        let blocker = Work::gated(&gate);
        let work = Work::new({
            let gate = gate.clone();
            move |_, run| {
                if run == 1 && state != Timer {
                    gate.wait();
                }
            }
        });
        if state == Idle {
            gate.open();
        }
        if state == Queued {
            sim_assert!(blocker.queue(wq));
            blocker.wait_begun(1);
            sim_assert!(work.queue(wq));
        }
        if matches!(state, Running | RunningTimer | RunningQueued | Cancelled) {
            sim_assert!(work.queue(wq));
            work.wait_begun(1);
        }
        if matches!(state, Timer | RunningTimer) {
            sim_assert!(work.queue_delayed(wq, LATER));
        }
        if state == RunningQueued {
            sim_assert!(work.queue(wq));
        }
        let canceller = (state == Cancelled).then(|| {
            world::spawn("canceller", None, move || {
                work.cancel_delayed_sync();
            })
        });
        world::settle();
        Self {
            wq,
            gate,
            blocker,
            work,
            canceller,
        }
    }

    /// Makes the call in a thread of its own; answer and ended runs appear in the returned place.
    fn call(&self, call: Call) -> (Thread, Said) {
        let place = Said::default();
        let (result, work, wq, seen) = (Arc::clone(&place), self.work, self.wq, self.work.seen());
        let thread = world::spawn("caller", None, move || {
            let answer = match call {
                Queue => work.queue_delayed(wq, SOON),
                QueueNow => work.queue_delayed(wq, 0),
                // SAFETY: the item is alive until the scene ends.
                Schedule => unsafe { schedule_delayed_work(work.dwork(), SOON) },
                QueueWork => work.queue(wq),
                Mod => work.modify(wq, SOON),
                ModNow => work.modify(wq, 0),
                Cancel => work.cancel_delayed(),
                CancelSync => work.cancel_delayed_sync(),
                FlushDelayed => work.flush_delayed(),
                FlushWork => work.flush(),
                // SAFETY: as above.
                Pending => unsafe { delayed_work_pending(work.dwork()) },
            };
            *result.lock().unwrap() = Some((answer, seen.ended()));
        });
        (thread, place)
    }

    /// Lets everything go on to its end, and returns how often the work ran.
    fn end(self) -> u32 {
        self.gate.open();
        if let Some(canceller) = self.canceller {
            canceller.join();
        }
        sleep_jiffies(LATER + 100);
        sim_assert!(!self.work.pending());
        self.wq.destroy();
        let runs = self.work.runs();
        self.work.free();
        self.blocker.free();
        runs
    }
}

/// Walks one cell on `wq`, which it destroys.
fn walk(cell: &Cell, wq: Wq) {
    let &(call, state, answer, waits, ended, pending, runs) = cell;
    let scene = Scene::new(state, wq);
    let (thread, result) = scene.call(call);
    world::settle();
    sim_assert_eq!(!thread.is_finished(), waits == Yes, "{cell:?}: waits");
    if waits == Yes {
        scene.gate.open();
    }
    thread.join();
    world::settle();
    let (said, ended_then) = result
        .lock()
        .unwrap()
        .take()
        .expect("the caller has answered");
    sim_assert!(
        answer == Free || said == (answer == True),
        "{cell:?}: said {said}"
    );
    // What runs without waiting for anything may end while the call returns, or after.
    let ended_then = if waits == Yes {
        ended_then
    } else {
        scene.work.seen().ended()
    };
    sim_assert_eq!(ended_then, ended, "{cell:?}: ended runs");
    sim_assert_eq!(scene.work.pending(), pending, "{cell:?}: pending");
    sim_assert_eq!(scene.end(), runs, "{cell:?}: runs");
}

/// The whole table on an ordered queue, where both settings agree: a work that is queued while it runs
/// waits behind itself (B-04).
#[test]
fn return_values_by_state_on_an_ordered_queue() {
    rows(|_| TABLE.iter().for_each(|cell| walk(cell, Wq::ordered())));
}

/// The same on a bound queue, where NonReentrant works wait behind themselves too. (SelfReentrant: the
/// second run begins at once, so RunningQueued does not exist; D18 has that.) Queued needs an ordered
/// queue.
#[test]
fn return_values_by_state_on_a_bound_queue() {
    rows_with(NonReentrant, 50, |_| {
        let cells = TABLE.iter().filter(|cell| cell.1 != Queued);
        cells.for_each(|cell| walk(cell, Wq::bound()));
    });
}

/// The table has each cell once.
#[test]
fn the_table_is_complete() {
    let mut cells: Vec<_> = TABLE
        .iter()
        .map(|cell| format!("{:?} {:?}", cell.0, cell.1))
        .collect();
    cells.sort();
    cells.dedup();
    assert_eq!((TABLE.len(), cells.len()), (11 * 7, 11 * 7));
}

/// The control: a cell that is wrong in one column is convicted, by that column.
#[test]
fn a_wrong_cell_is_convicted() {
    let right = (Mod, RunningTimer, True, No, 0, true, 2);
    let wrong: [(Cell, &str); 5] = [
        ((Mod, RunningTimer, False, No, 0, true, 2), "said true"),
        ((Mod, RunningTimer, True, Yes, 0, true, 2), "waits"),
        ((Mod, RunningTimer, True, No, 1, true, 2), "ended runs"),
        ((Mod, RunningTimer, True, No, 0, false, 2), "pending"),
        ((Mod, RunningTimer, True, No, 0, true, 1), "runs"),
    ];
    let run = |cell: Cell| {
        machine(1).run(move || {
            let rig = Rig::new(NonReentrant);
            walk(&cell, Wq::ordered());
            rig.finish();
        })
    };
    assert!(run(right).is_ok());
    for (cell, what) in wrong {
        let failure = run(cell).expect_err("the cell is wrong");
        assert_eq!(failure.code(), "ASSERT");
        assert!(
            failure.message().contains(&format!(": {what}")),
            "{failure}"
        );
    }
}
