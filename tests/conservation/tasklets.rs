//! The reference bookkeeping of tasklets.
//!
//! `tasklet_schedule` answers nothing, so the accounts follow stores instead: every schedule first
//! stores a number, every run reads it, and a schedule that is not lost to a kill must be seen.
//!
//! | law | what |
//! |---|---|
//! | `tasklet-concurrency` | a tasklet is never twice inside itself, whatever the rule for works |
//! | `schedule` | no more runs than schedules; a run sees the store before the last schedule (T27) |
//! | `disable` | nobody is inside when it returns, and nobody comes before an enable begins (T16) |
//! | `lock` | nobody is inside when `tasklet_trylock` has said yes, and nobody comes before the unlock begins |
//! | `kill` | what was scheduled before has run; without schedules nobody is inside or comes (T12) |

use super::ledger::{Verdict, law};

/// The account of one tasklet.
#[derive(Default)]
struct Tasklet {
    inside: u32,
    begun: u64,
    /// Schedules that have begun; also what the last of them has stored.
    scheduled: u64,
    /// The last schedule that cannot have been lost to a kill.
    owed: u64,
    /// What the last run has read.
    seen: u64,
    /// Schedules by anybody but its own function that are under way.
    scheduling: u32,
    /// And all of them that ever began.
    external: u64,
    /// Kills under way, and all that ever began.
    kills: (u32, u64),
    /// Disables that have returned, and enables that have begun.
    disabled: i64,
    /// Locks that are held, or are being tried or given back.
    locking: u32,
    /// Locks that are held for certain.
    locked: u32,
}

/// A schedule that is under way.
#[must_use]
pub(crate) struct ScheduleTicket {
    tasklet: usize,
    own: bool,
    number: u64,
    kills: (u32, u64),
}

/// A kill that is under way.
#[must_use]
pub(crate) struct KillTicket {
    tasklet: usize,
    owed: u64,
    quiet: bool,
    external: u64,
}

/// All accounts.
#[derive(Default)]
pub(crate) struct Accounts(Vec<Tasklet>);

impl Accounts {
    /// Opens an account; its number.
    pub(crate) fn add(&mut self) -> usize {
        self.0.push(Tasklet::default());
        self.0.len() - 1
    }

    /// A schedule is about to be made; `own` if by the tasklet's own function.
    pub(crate) fn schedule_begins(&mut self, tasklet: usize, own: bool) -> ScheduleTicket {
        let account = &mut self.0[tasklet];
        account.scheduled += 1;
        if !own {
            account.scheduling += 1;
            account.external += 1;
        }
        let (number, kills) = (account.scheduled, account.kills);
        ScheduleTicket {
            tasklet,
            own,
            number,
            kills,
        }
    }

    /// It has returned.
    pub(crate) fn schedule_ends(&mut self, ticket: ScheduleTicket) {
        let account = &mut self.0[ticket.tasklet];
        if !ticket.own {
            account.scheduling -= 1;
        }
        // A kill under way may have taken it (row T19).
        if ticket.kills.0 == 0 && account.kills.1 == ticket.kills.1 {
            account.owed = account.owed.max(ticket.number);
        }
    }

    /// The function has been entered.
    pub(crate) fn run_begins(&mut self, tasklet: usize) -> Verdict {
        let account = &mut self.0[tasklet];
        account.begun += 1;
        account.inside += 1;
        account.seen = account.scheduled;
        let Tasklet {
            inside,
            begun,
            scheduled,
            disabled,
            ..
        } = *account;
        law("tasklet-concurrency", inside == 1, || {
            format!("tasklet {tasklet}: {inside} inside")
        })?;
        law("schedule", begun <= scheduled, || {
            format!("tasklet {tasklet}: {begun} runs, {scheduled} schedules")
        })?;
        law("disable", disabled <= 0, || {
            format!("tasklet {tasklet} runs, disabled {disabled}")
        })?;
        let locked = account.locked;
        law("lock", locked == 0, || {
            format!("tasklet {tasklet} runs, and is locked")
        })
    }

    /// `tasklet_trylock` is about to be called.
    pub(crate) fn trylock_begins(&mut self, tasklet: usize) {
        self.0[tasklet].locking += 1;
    }

    /// It has returned.
    pub(crate) fn trylock_ends(&mut self, tasklet: usize, taken: bool) -> Verdict {
        let account = &mut self.0[tasklet];
        if !taken {
            account.locking -= 1;
            return Ok(());
        }
        account.locked += 1;
        let (inside, locked) = (account.inside, account.locked);
        law("lock", inside == 0 && locked == 1, || {
            format!("tasklet {tasklet}: {inside} inside, locked {locked} times")
        })
    }

    /// `tasklet_unlock` is about to be called, and has returned.
    pub(crate) fn unlock_begins(&mut self, tasklet: usize) {
        self.0[tasklet].locked -= 1;
    }

    pub(crate) fn unlock_ends(&mut self, tasklet: usize) {
        self.0[tasklet].locking -= 1;
    }

    /// The function is about to be left.
    pub(crate) fn run_ends(&mut self, tasklet: usize) {
        self.0[tasklet].inside -= 1;
    }

    /// `tasklet_disable` has returned.
    pub(crate) fn disable_ends(&mut self, tasklet: usize) -> Verdict {
        let account = &mut self.0[tasklet];
        account.disabled += 1;
        let inside = account.inside;
        law("disable", inside == 0, || {
            format!("tasklet {tasklet}: {inside} inside after it")
        })
    }

    /// `tasklet_enable` is about to be called.
    pub(crate) fn enable_begins(&mut self, tasklet: usize) {
        self.0[tasklet].disabled -= 1;
    }

    /// `tasklet_kill` is about to be called.
    pub(crate) fn kill_begins(&mut self, tasklet: usize) -> KillTicket {
        let account = &mut self.0[tasklet];
        account.kills.0 += 1;
        account.kills.1 += 1;
        KillTicket {
            tasklet,
            owed: account.owed,
            quiet: account.scheduling == 0,
            external: account.external,
        }
    }

    /// It has returned; `state` is the tasklet's state word now. Answers whether nobody scheduled it
    /// meanwhile.
    pub(crate) fn kill_ends(&mut self, ticket: KillTicket, state: u64) -> Result<bool, String> {
        let account = &mut self.0[ticket.tasklet];
        account.kills.0 -= 1;
        let Tasklet {
            seen,
            inside,
            kills,
            locking,
            ..
        } = *account;
        law("kill", seen >= ticket.owed, || {
            format!("schedule {} has not run, seen {seen}", ticket.owed)
        })?;
        let quiet = ticket.quiet && account.external == ticket.external;
        // Another killer may own SCHED for a moment, and who locks it RUN.
        let sched = state & 1 != 0 && kills.0 == 0;
        let run = state & 2 != 0 && locking == 0;
        let idle = inside == 0 && !sched && !run;
        law("kill", !quiet || idle, || {
            format!("nobody schedules, and {inside} inside, state {state}")
        })?;
        Ok(quiet)
    }

    /// At rest, all enabled; answers the runs of all tasklets.
    pub(crate) fn close(&self) -> Result<u64, String> {
        for (index, account) in self.0.iter().enumerate() {
            let Tasklet {
                seen, owed, inside, ..
            } = *account;
            law("schedule", seen >= owed && inside == 0, || {
                format!("tasklet {index} at the end: schedule {owed} not seen, last {seen}")
            })?;
        }
        Ok(self.0.iter().map(|account| account.begun).sum())
    }
}
