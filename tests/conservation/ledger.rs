//! The reference bookkeeping: what was asked of each item, what was answered, what ran.
//!
//! It knows nothing of the engine. A call is told twice, before it is made and after it has answered,
//! because it takes effect somewhere in between; a law holds whatever that moment was. A law that is
//! broken is an `Err` which begins with the law's name:
//!
//! | law | what |
//! |---|---|
//! | `conservation` | accepted = runs + cancelled + pending (rows R02, R02c, R03, R04 of facts/linux) |
//! | `answer` | a call on an item whose state is known for certain answers by the table of linux.md 4.2 |
//! | `self-concurrency` | under NonReentrant, and on WQ_BH queues, no work is twice inside itself |
//! | `early` | no run before its delay is over |
//! | `max_active` | per queue, and per queueing CPU if the queue is bound |
//! | `order` | an ordered queue starts works in the order in which they were queued |
//! | `freeze` | nothing of a frozen queue is inside when the freeze returns, or begins before the thaw |
//! | `flush`, `flush_workqueue` | what was queued before the call has ended when it returns |
//! | `cancel_sync` | who was inside when it began is gone; without producers nobody is inside |
//! | `disable_work` | nothing begins between the return of a `disable_work_sync` and the enable |

mod account;

use std::collections::BTreeMap;

use account::{AllTraffic, Work, outcome};
pub(crate) use account::{Call, Home, Ticket, Verdict, law};

/// What a queue promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) ordered: bool,
    /// Most runs at once, per queueing CPU if `bound`.
    pub(crate) max_active: u32,
    pub(crate) bound: bool,
    /// Its works never overlap themselves, whatever the rule.
    pub(crate) alone: bool,
    pub(crate) cpus: u32,
}

struct Queue {
    limits: Limits,
    inside: u32,
    inside_pinned: Vec<u32>,
    /// Freezes that have returned, less thaws that have begun.
    frozen: u32,
}

/// A `flush_workqueue` that is under way: for each work its runs, and what must have ended.
#[must_use]
pub(crate) struct QueueTicket(Vec<(usize, Vec<u32>, u32)>);

/// A `drain_workqueue` that is under way.
#[must_use]
pub(crate) struct DrainTicket {
    /// The works that it may have refused.
    refused: Vec<usize>,
    flush: QueueTicket,
}

/// What all accounts add up to at the end. Where a drain refused calls the sums are not certain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// At least, at most.
    pub(crate) accepted: (u64, u64),
    pub(crate) run: u64,
    pub(crate) cancelled: (u64, u64),
}

/// All accounts.
pub(crate) struct Accounts {
    non_reentrant: bool,
    sequence: u64,
    works: Vec<Work>,
    queues: Vec<Queue>,
    /// How often something worth reaching was reached.
    pub(crate) reached: BTreeMap<&'static str, u64>,
}

impl Accounts {
    pub(crate) fn new(non_reentrant: bool) -> Self {
        Self {
            non_reentrant,
            sequence: 0,
            works: Vec::new(),
            queues: Vec::new(),
            reached: BTreeMap::new(),
        }
    }

    pub(crate) fn add_queue(&mut self, limits: Limits) {
        self.queues.push(Queue {
            limits,
            inside: 0,
            inside_pinned: vec![0; limits.cpus as usize],
            frozen: 0,
        });
    }

    /// Opens an account; its number.
    pub(crate) fn add_work(&mut self, home: Home, plain: bool) -> usize {
        self.works.push(Work {
            home,
            plain,
            accepted: 0,
            maybe: 0,
            cancelled: 0,
            dropped: 0,
            slack: 0,
            held_off: 0,
            begun: 0,
            ended: 0,
            inside: Vec::new(),
            traffic: AllTraffic::default(),
            reasons: Vec::new(),
            used: 0,
            place: None,
        });
        self.works.len() - 1
    }

    pub(crate) fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    /// Runs that have ended.
    pub(crate) fn ended(&self, work: usize) -> u32 {
        self.works[work].ended
    }

    /// A call is about to be made; `own` if by the work's own function.
    pub(crate) fn begin(&mut self, work: usize, call: Call, own: bool, now: u64) -> Ticket {
        self.sequence += 1;
        let id = self.sequence;
        let account = &mut self.works[work];
        let ticket = Ticket {
            work,
            call,
            own,
            id,
            traffic: account.traffic,
            open: account.open(),
            armed_until: account.armed_until(),
            inside: account.inside.clone(),
            accepted: account.accepted,
            begun: account.begun,
            place: account.place.take(),
        };
        account.traffic.begin(call, own);
        if matches!(call, Call::Enable | Call::EnableAndQueue) {
            account.held_off = account.held_off.saturating_sub(1);
        }
        if let Some(from) = call.allows_from(now) {
            account.reasons.push((id, from));
        }
        ticket
    }

    /// The call has answered; `pending` is what `work_pending` says now.
    pub(crate) fn end(&mut self, ticket: Ticket, answer: bool, pending: bool, now: u64) -> Verdict {
        self.sequence += 1;
        let sequence = self.sequence;
        let Ticket { call, own, id, .. } = ticket;
        let account = &mut self.works[ticket.work];
        account.traffic.end(call, own);
        let (then, traffic) = (ticket.traffic, account.traffic);
        let (external, ours) = (u64::from(!own), u64::from(own));
        let undisturbed = !traffic.external.overlapped(then.external, external);
        let holds_off = u64::from(call.holds_off().0);
        let free = !traffic.syncs.overlapped(then.syncs, holds_off)
            && !traffic.drains.overlapped(then.drains, 0);
        let alone = undisturbed && free && !traffic.own.overlapped(then.own, ours);
        account.book(&ticket, answer);
        let mut verdict = account.sum();
        let mut check = |next: Verdict| {
            if verdict.is_ok() {
                verdict = next;
            }
        };
        if alone {
            check(account.check_answer(&ticket, answer, now));
            account.settle_reasons(
                id,
                call.arms() && (answer || matches!(call, Call::Modify(_))),
            );
            account.settle_place(&ticket, answer, sequence);
        }
        match call {
            Call::CancelSync | Call::DisableSync => {
                check(account.check_cancel_sync(&ticket, undisturbed, pending));
            }
            Call::Enable => check(account.check_enable(&ticket, answer)),
            Call::Flush | Call::FlushDelayed => check(account.check_flush(&ticket)),
            Call::Queue
            | Call::QueueDelayed(_)
            | Call::Modify(_)
            | Call::Cancel
            | Call::Disable
            | Call::EnableAndQueue => {}
        }
        let what = outcome(call, own, answer);
        if alone && (ticket.open == Some(0) || ticket.armed_until.is_some_and(|from| from > now)) {
            self.reach("state known");
        }
        self.reach(what);
        verdict.map_err(|broken| format!("{broken}; work {} {call:?} = {answer}", ticket.work))
    }

    /// A function has been entered; the run's number.
    pub(crate) fn run_begins(&mut self, work: usize, now: u64) -> Result<u32, String> {
        let at = |broken: String| format!("{broken}; work {work} begins");
        self.enter_queue(work).map_err(at)?;
        self.check_order(work).map_err(at)?;
        let home = self.works[work].home;
        let mut queues = self.queues.iter().enumerate();
        let alone = queues.any(|(index, queue)| queue.limits.alone && home.is_at(index));
        let non_reentrant = self.non_reentrant || alone;
        let account = &mut self.works[work];
        account.place = None;
        account.begun += 1;
        account.used += 1;
        account.sum().map_err(at)?;
        let held_off = account.held_off;
        law("disable_work", held_off == 0, || {
            format!("disabled {held_off} times")
        })
        .map_err(at)?;
        let allowed = account
            .reasons
            .iter()
            .filter(|(_, from)| *from <= now)
            .count();
        let early = law("early", account.used <= allowed, || {
            format!(
                "{} runs, reasons {:?}, now {now}",
                account.used, account.reasons
            )
        });
        early.map_err(at)?;
        account.inside.push(account.begun);
        let most = account.inside.len();
        let alone = law("self-concurrency", !non_reentrant || most <= 1, || {
            format!("{most} at once")
        });
        let run = account.begun;
        if most > 1 {
            self.reach("work overlaps itself");
        }
        alone.map_err(at)?;
        Ok(run)
    }

    /// The run is about to leave its function.
    pub(crate) fn run_ends(&mut self, work: usize, run: u32) {
        let account = &mut self.works[work];
        account.inside.retain(|other| *other != run);
        account.ended += 1;
        match account.home {
            Home::Any => {}
            Home::Queue(queue) => self.queues[queue].inside -= 1,
            Home::Pinned(queue, cpu) => {
                self.queues[queue].inside -= 1;
                self.queues[queue].inside_pinned[cpu as usize] -= 1;
            }
        }
    }

    fn enter_queue(&mut self, work: usize) -> Verdict {
        let (queue, cpu) = match self.works[work].home {
            Home::Any => return Ok(()),
            Home::Queue(queue) => (queue, None),
            Home::Pinned(queue, cpu) => (queue, Some(cpu as usize)),
        };
        let state = &mut self.queues[queue];
        let limits = state.limits;
        law("freeze", state.frozen == 0, || {
            format!("queue {queue} is frozen")
        })?;
        state.inside += 1;
        let most = limits.max_active * if limits.bound { limits.cpus } else { 1 };
        let mut holds = state.inside <= most;
        let mut full = !limits.bound && state.inside == most && most > 1;
        if let Some(cpu) = cpu {
            state.inside_pinned[cpu] += 1;
            holds &= state.inside_pinned[cpu] <= limits.max_active;
            full |= state.inside_pinned[cpu] == limits.max_active;
        }
        let verdict = law("max_active", holds, || {
            format!(
                "queue {queue}: {} inside, {:?} by CPU",
                state.inside, state.inside_pinned
            )
        });
        if full {
            self.reach("max_active used up");
        }
        verdict
    }

    /// Nobody who is certain to have been queued earlier is still waiting.
    fn check_order(&mut self, work: usize) -> Verdict {
        let home = self.works[work].home;
        let Home::Queue(queue) = home else {
            return Ok(());
        };
        let Some((began, _)) = self.works[work].place else {
            return Ok(());
        };
        if !self.queues[queue].limits.ordered {
            return Ok(());
        }
        let overtaken = self.works.iter().position(|other| {
            other.home == home && other.place.is_some_and(|(_, ended)| ended < began)
        });
        self.reach("order known");
        law("order", overtaken.is_none(), || {
            format!("work {overtaken:?} was first")
        })
    }

    /// `flush_workqueue` is about to be called.
    pub(crate) fn flush_begins(&self, queue: usize) -> QueueTicket {
        let works = self.works.iter().enumerate();
        let works = works.filter(|(_, work)| work.home.is_at(queue));
        let entry = |(index, work): (usize, &Work)| {
            let must_end = if work.plain { work.accepted } else { 0 };
            (index, work.inside.clone(), must_end)
        };
        QueueTicket(works.map(entry).collect())
    }

    /// `flush_workqueue` has returned.
    pub(crate) fn flush_ends(&mut self, ticket: QueueTicket) -> Verdict {
        for (index, inside, must_end) in ticket.0 {
            let account = &self.works[index];
            let holds = !account.still_inside(&inside) && account.covers(must_end);
            law("flush_workqueue", holds, || {
                format!("work {index}: {must_end} to end, {} ended", account.ended)
            })?;
            if !inside.is_empty() {
                self.reach("flush_workqueue waited");
            }
        }
        Ok(())
    }

    /// `drain_workqueue` is about to be called: others are refused meanwhile.
    pub(crate) fn drain_begins(&mut self, queue: usize) -> DrainTicket {
        let works = self.works.iter_mut().enumerate();
        let works = works.filter(|(_, work)| work.home.may_be_at(queue));
        let begin = |(index, work): (usize, &mut Work)| {
            work.traffic.drains.begin();
            index
        };
        let refused = works.map(begin).collect();
        DrainTicket {
            refused,
            flush: self.flush_begins(queue),
        }
    }

    /// It has returned.
    pub(crate) fn drain_ends(&mut self, ticket: DrainTicket) -> Verdict {
        for index in ticket.refused {
            self.works[index].traffic.drains.end();
        }
        self.flush_ends(ticket.flush)
    }

    /// A freeze has returned.
    pub(crate) fn freeze_ends(&mut self, queue: usize) -> Verdict {
        let state = &mut self.queues[queue];
        state.frozen += 1;
        let inside = state.inside;
        law("freeze", inside == 0, || {
            format!("queue {queue}: {inside} inside after it")
        })
    }

    /// A thaw is about to be called.
    pub(crate) fn thaw_begins(&mut self, queue: usize) {
        self.queues[queue].frozen -= 1;
    }

    /// The queue is destroyed: nothing of its own works is left.
    pub(crate) fn destroy_ends(&self, queue: usize) -> Verdict {
        for work in self.works.iter().filter(|work| work.home.is_at(queue)) {
            let rests = work.inside.is_empty() && work.sum_at_rest().is_ok();
            law("destroy_workqueue", rests, || {
                format!("accepted {}, ended {}", work.accepted, work.ended)
            })?;
        }
        Ok(())
    }

    /// At rest, with nothing pending: every account is settled.
    pub(crate) fn close(&self) -> Result<Sums, String> {
        let mut sums = Sums::default();
        for (index, account) in self.works.iter().enumerate() {
            let at = |broken: String| format!("{broken}; work {index} at the end");
            account.sum_at_rest().map_err(at)?;
            let empty = account.inside.is_empty() && account.ended == account.begun;
            law("conservation", empty, || "a run has not ended".to_owned()).map_err(at)?;
            let (accepted, cancelled) = (u64::from(account.accepted), u64::from(account.cancelled));
            let uncertain = account.uncertain();
            sums.accepted.0 += accepted;
            sums.accepted.1 += accepted + u64::from(account.maybe) + uncertain;
            sums.run += u64::from(account.begun);
            sums.cancelled.0 += cancelled;
            sums.cancelled.1 += cancelled + uncertain;
        }
        Ok(sums)
    }
}
