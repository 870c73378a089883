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
//! | `self-concurrency` | under NonReentrant no work is twice inside itself |
//! | `early` | no run before its delay is over |
//! | `max_active` | per queue, and per queueing CPU if the queue is bound |
//! | `order` | an ordered queue starts works in the order in which they were queued |
//! | `flush`, `flush_workqueue` | what was queued before the call has ended when it returns |
//! | `cancel_sync` | who was inside when it began is gone; without producers nobody is inside |

use std::collections::BTreeMap;

/// What a law says: `Err` begins with the law's name.
pub(crate) type Verdict = Result<(), String>;

/// A call on a work. Delays are in 100 ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Queue,
    QueueDelayed(u64),
    Modify(u64),
    Cancel,
    CancelSync,
    Flush,
    FlushDelayed,
}

impl Call {
    /// When a run that this call brings about is allowed, if it can bring one about.
    fn allows_from(self, now: u64) -> Option<u64> {
        match self {
            Self::Queue | Self::FlushDelayed => Some(0),
            Self::QueueDelayed(delay) | Self::Modify(delay) => Some(now + delay),
            Self::Cancel | Self::CancelSync | Self::Flush => None,
        }
    }
    /// Whether it can make an item pending.
    fn arms(self) -> bool {
        matches!(self, Self::Queue | Self::QueueDelayed(_) | Self::Modify(_))
    }
    fn cancels(self) -> bool {
        matches!(self, Self::Cancel | Self::CancelSync)
    }
}

/// Where a work may be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// On any queue.
    Any,
    /// On this queue only.
    Queue(usize),
    /// On this queue only, and always on behalf of this CPU.
    Pinned(usize, u32),
}

impl Home {
    /// Whether it is that queue and no other.
    pub(crate) fn is_at(self, queue: usize) -> bool {
        match self {
            Self::Any => false,
            Self::Queue(home) | Self::Pinned(home, _) => home == queue,
        }
    }
}

/// What a queue promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) ordered: bool,
    /// Most runs at once, per queueing CPU if `bound`.
    pub(crate) max_active: u32,
    pub(crate) bound: bool,
    pub(crate) cpus: u32,
}

struct Queue {
    limits: Limits,
    inside: u32,
    inside_pinned: Vec<u32>,
}

/// How many calls of a kind are under way, and how many have ever begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    under_way: u32,
    begun: u64,
}

impl Traffic {
    fn begin(&mut self) {
        self.under_way += 1;
        self.begun += 1;
    }
    fn end(&mut self) {
        self.under_way -= 1;
    }
    /// Whether a call of this kind was under way at some time since `then`, which was before ours.
    fn overlapped(self, then: Self, ours: u64) -> bool {
        then.under_way > 0 || self.begun > then.begun + ours
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct AllTraffic {
    /// By anybody but the work's own function.
    external: Traffic,
    /// By the work's own function.
    own: Traffic,
    syncs: Traffic,
    modifies: Traffic,
    /// Calls that can make it pending.
    arming: Traffic,
    cancelling: Traffic,
}

/// The account of one work.
struct Work {
    home: Home,
    /// It is never delayed, so a flush of it covers all that was accepted.
    plain: bool,
    accepted: u32,
    /// `mod_delayed_work` that said no while a cancel was under way: armed, or refused.
    maybe: u32,
    cancelled: u32,
    begun: u32,
    ended: u32,
    /// The runs that are under way, by number.
    inside: Vec<u32>,
    traffic: AllTraffic,
    /// Calls that may bring a run about: when they began, and when they allow it.
    reasons: Vec<(u64, u64)>,
    /// Runs since `reasons` was last known exactly.
    used: usize,
    /// The pending instance for certain: when the call began that queued it, and when it ended.
    place: Option<(u64, u64)>,
}

impl Work {
    /// Accepted and not yet seen to run or to be cancelled; `None` if that is not certain.
    fn open(&self) -> Option<i64> {
        let gone = i64::from(self.begun) + i64::from(self.cancelled);
        (self.maybe == 0).then_some(i64::from(self.accepted) - gone)
    }
    /// The one pending instance's earliest time, if it is certain that there is one with a timer.
    fn armed_until(&self) -> Option<u64> {
        match self.reasons[..] {
            [(_, from)] if self.used == 0 && self.open() == Some(1) => Some(from),
            _ => None,
        }
    }
    fn sum(&self) -> Verdict {
        let gone = self.begun + self.cancelled;
        let most = self.accepted + self.maybe + self.traffic.arming.under_way;
        let numbers = format!(
            "accepted {} (+{} perhaps), run {}, cancelled {}",
            self.accepted, self.maybe, self.begun, self.cancelled
        );
        law("conservation", gone <= most, || {
            format!("too many: {numbers}")
        })
    }
    /// With nothing pending, nothing under way.
    fn sum_at_rest(&self) -> Verdict {
        self.sum()?;
        law(
            "conservation",
            self.begun + self.cancelled >= self.accepted,
            || {
                let Self {
                    accepted,
                    begun,
                    cancelled,
                    ..
                } = self;
                format!("lost: accepted {accepted}, run {begun}, cancelled {cancelled}")
            },
        )
    }
    fn still_inside(&self, then: &[u32]) -> bool {
        then.iter().any(|run| self.inside.contains(run))
    }
    /// Whether all that was accepted by `then` has ended or was cancelled.
    fn covers(&self, then: u32) -> bool {
        self.ended + self.cancelled + self.traffic.cancelling.under_way >= then
    }
}

/// A call that is under way.
#[must_use]
pub(crate) struct Ticket {
    work: usize,
    call: Call,
    own: bool,
    id: u64,
    traffic: AllTraffic,
    open: Option<i64>,
    armed_until: Option<u64>,
    inside: Vec<u32>,
    accepted: u32,
    begun: u32,
    place: Option<(u64, u64)>,
}

/// A `flush_workqueue` that is under way: for each work its runs, and what must have ended.
#[must_use]
pub(crate) struct QueueTicket(Vec<(usize, Vec<u32>, u32)>);

/// All accounts.
pub(crate) struct Accounts {
    non_reentrant: bool,
    sequence: u64,
    works: Vec<Work>,
    queues: Vec<Queue>,
    /// How often something worth reaching was reached.
    pub(crate) reached: BTreeMap<&'static str, u64>,
}

pub(crate) fn law(name: &str, holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(format!("{name}: {}", what()))
    }
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
        for traffic in account.traffic.of(call, own) {
            traffic.begin();
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
        for traffic in account.traffic.of(call, own) {
            traffic.end();
        }
        let (then, traffic) = (ticket.traffic, account.traffic);
        let (external, ours) = (u64::from(!own), u64::from(own));
        let undisturbed = !traffic.external.overlapped(then.external, external);
        let alone = undisturbed && !traffic.own.overlapped(then.own, ours);
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
            Call::CancelSync => check(account.check_cancel_sync(&ticket, undisturbed, pending)),
            Call::Flush | Call::FlushDelayed => check(account.check_flush(&ticket)),
            Call::Queue | Call::QueueDelayed(_) | Call::Modify(_) | Call::Cancel => {}
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
        let non_reentrant = self.non_reentrant;
        let account = &mut self.works[work];
        account.place = None;
        account.begun += 1;
        account.used += 1;
        account.sum().map_err(at)?;
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

    /// At rest, with nothing pending: every account is settled. Answers accepted (at least, at most),
    /// run and cancelled of all works.
    pub(crate) fn close(&self) -> Result<(u64, u64, u64, u64), String> {
        let mut sums = (0, 0, 0, 0);
        for (index, account) in self.works.iter().enumerate() {
            let at = |broken: String| format!("{broken}; work {index} at the end");
            account.sum_at_rest().map_err(at)?;
            let empty = account.inside.is_empty() && account.ended == account.begun;
            law("conservation", empty, || "a run has not ended".to_owned()).map_err(at)?;
            sums.0 += u64::from(account.accepted);
            sums.1 += u64::from(account.accepted + account.maybe);
            sums.2 += u64::from(account.begun);
            sums.3 += u64::from(account.cancelled);
        }
        Ok(sums)
    }
}

impl AllTraffic {
    /// The kinds that a call is of.
    fn of(&mut self, call: Call, own: bool) -> impl Iterator<Item = &mut Traffic> {
        [
            Some(if own {
                &mut self.own
            } else {
                &mut self.external
            }),
            call.arms().then_some(&mut self.arming),
            call.cancels().then_some(&mut self.cancelling),
            (call == Call::CancelSync).then_some(&mut self.syncs),
            matches!(call, Call::Modify(_)).then_some(&mut self.modifies),
        ]
        .into_iter()
        .flatten()
    }
}

impl Work {
    /// Writes an answer into the account.
    fn book(&mut self, ticket: &Ticket, answer: bool) {
        match (ticket.call, answer) {
            (Call::Queue | Call::QueueDelayed(_), true) => self.accepted += 1,
            (Call::Queue | Call::QueueDelayed(_), false) => {
                self.reasons.retain(|(id, _)| *id != ticket.id);
            }
            (Call::Modify(_), false) => {
                // While it is cancelled with a `_sync` call it says no and does nothing (row D13).
                if self.traffic.syncs.overlapped(ticket.traffic.syncs, 0) {
                    self.maybe += 1;
                } else {
                    self.accepted += 1;
                }
            }
            (Call::Cancel | Call::CancelSync, true) => self.cancelled += 1,
            (Call::Modify(_), true)
            | (Call::Cancel | Call::CancelSync, false)
            | (Call::Flush | Call::FlushDelayed, _) => {}
        }
    }

    /// Nobody else called meanwhile: if the state was certain, so is the answer.
    fn check_answer(&self, ticket: &Ticket, answer: bool, now: u64) -> Verdict {
        let pending = match (ticket.open, ticket.armed_until) {
            (Some(0), _) => false,
            (_, Some(from)) if from > now => true,
            _ => return Ok(()),
        };
        let right = match ticket.call {
            Call::Queue | Call::QueueDelayed(_) => !pending,
            Call::Modify(_) | Call::Cancel | Call::CancelSync => pending,
            Call::Flush | Call::FlushDelayed => return Ok(()),
        };
        law("answer", answer == right, || {
            format!("for certain it was pending: {pending}")
        })
    }

    /// Nobody else called meanwhile: forgets the reasons that are used up.
    fn settle_reasons(&mut self, id: u64, effective: bool) {
        match self.open() {
            Some(0) => self.reasons.clear(),
            Some(1) if effective => self.reasons.retain(|(other, _)| *other == id),
            _ => return,
        }
        self.used = 0;
    }

    /// Nobody else called meanwhile: when the pending instance was queued.
    fn settle_place(&mut self, ticket: &Ticket, answer: bool, now: u64) {
        if ticket.call != Call::Queue || !self.plain {
            return;
        }
        if answer && self.open() == Some(1) {
            self.place = Some((ticket.id, now));
        } else if !answer && self.begun == ticket.begun {
            self.place = ticket.place;
        }
    }

    fn check_cancel_sync(&mut self, ticket: &Ticket, undisturbed: bool, pending: bool) -> Verdict {
        law("cancel_sync", !self.still_inside(&ticket.inside), || {
            "a run that was under way is not over".to_owned()
        })?;
        if undisturbed {
            law("cancel_sync", self.inside.is_empty() && !pending, || {
                format!(
                    "no producer, and {} inside, pending {pending}",
                    self.inside.len()
                )
            })?;
            self.sum_at_rest()?;
            // Nothing is open: what was uncertain is known now.
            self.accepted = self.begun + self.cancelled;
            self.maybe = 0;
            self.reasons.clear();
            self.used = 0;
        }
        Ok(())
    }

    fn check_flush(&self, ticket: &Ticket) -> Verdict {
        law("flush", !self.still_inside(&ticket.inside), || {
            "a run that was under way is not over".to_owned()
        })?;
        let modified = self.traffic.modifies.overlapped(ticket.traffic.modifies, 0);
        let covers_all = self.plain || (ticket.call == Call::FlushDelayed && !modified);
        law("flush", !covers_all || self.covers(ticket.accepted), || {
            let Self {
                ended, cancelled, ..
            } = self;
            format!(
                "accepted {}, ended {ended}, cancelled {cancelled}",
                ticket.accepted
            )
        })
    }
}

fn outcome(call: Call, own: bool, answer: bool) -> &'static str {
    match (call, own, answer) {
        (Call::Queue, false, true) => "queue accepted",
        (Call::Queue, false, false) => "queue refused",
        (Call::QueueDelayed(_), false, true) => "queue_delayed accepted",
        (Call::QueueDelayed(_), false, false) => "queue_delayed refused",
        (Call::Modify(_), false, true) => "mod of a pending work",
        (Call::Modify(_), false, false) => "mod of an idle work",
        (Call::Cancel, _, true) => "cancel of a pending work",
        (Call::Cancel, _, false) => "cancel of an idle work",
        (Call::CancelSync, _, true) => "cancel_sync of a pending work",
        (Call::CancelSync, _, false) => "cancel_sync of an idle work",
        (Call::Flush | Call::FlushDelayed, _, true) => "flush waited",
        (Call::Flush | Call::FlushDelayed, _, false) => "flush did not wait",
        (Call::Queue | Call::QueueDelayed(_) | Call::Modify(_), true, true) => "own requeue: true",
        (Call::Queue | Call::QueueDelayed(_) | Call::Modify(_), true, false) => {
            "own requeue: false"
        }
    }
}
