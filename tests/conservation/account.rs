//! The account of one work: its sums, and the laws that need no other account.

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
    pub(super) fn allows_from(self, now: u64) -> Option<u64> {
        match self {
            Self::Queue | Self::FlushDelayed => Some(0),
            Self::QueueDelayed(delay) | Self::Modify(delay) => Some(now + delay),
            Self::Cancel | Self::CancelSync | Self::Flush => None,
        }
    }
    /// Whether it can make an item pending.
    pub(super) fn arms(self) -> bool {
        matches!(self, Self::Queue | Self::QueueDelayed(_) | Self::Modify(_))
    }
    pub(super) fn cancels(self) -> bool {
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

pub(crate) fn law(name: &str, holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(format!("{name}: {}", what()))
    }
}

/// How many calls of a kind are under way, and how many have ever begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) under_way: u32,
    pub(super) begun: u64,
}

impl Traffic {
    pub(super) fn begin(&mut self) {
        self.under_way += 1;
        self.begun += 1;
    }
    pub(super) fn end(&mut self) {
        self.under_way -= 1;
    }
    /// Whether a call of this kind was under way at some time since `then`, which was before ours.
    pub(super) fn overlapped(self, then: Self, ours: u64) -> bool {
        then.under_way > 0 || self.begun > then.begun + ours
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AllTraffic {
    /// By anybody but the work's own function.
    pub(super) external: Traffic,
    /// By the work's own function.
    pub(super) own: Traffic,
    pub(super) syncs: Traffic,
    pub(super) modifies: Traffic,
    /// Calls that can make it pending.
    pub(super) arming: Traffic,
    pub(super) cancelling: Traffic,
}

/// The account of one work.
pub(super) struct Work {
    pub(super) home: Home,
    /// It is never delayed, so a flush of it covers all that was accepted.
    pub(super) plain: bool,
    pub(super) accepted: u32,
    /// `mod_delayed_work` that said no while a cancel was under way: armed, or refused.
    pub(super) maybe: u32,
    pub(super) cancelled: u32,
    pub(super) begun: u32,
    pub(super) ended: u32,
    /// The runs that are under way, by number.
    pub(super) inside: Vec<u32>,
    pub(super) traffic: AllTraffic,
    /// Calls that may bring a run about: when they began, and when they allow it.
    pub(super) reasons: Vec<(u64, u64)>,
    /// Runs since `reasons` was last known exactly.
    pub(super) used: usize,
    /// The pending instance for certain: when the call began that queued it, and when it ended.
    pub(super) place: Option<(u64, u64)>,
}

impl Work {
    /// Accepted and not yet seen to run or to be cancelled; `None` if that is not certain.
    pub(super) fn open(&self) -> Option<i64> {
        let gone = i64::from(self.begun) + i64::from(self.cancelled);
        (self.maybe == 0).then_some(i64::from(self.accepted) - gone)
    }
    /// The one pending instance's earliest time, if it is certain that there is one with a timer.
    pub(super) fn armed_until(&self) -> Option<u64> {
        match self.reasons[..] {
            [(_, from)] if self.used == 0 && self.open() == Some(1) => Some(from),
            _ => None,
        }
    }
    pub(super) fn sum(&self) -> Verdict {
        let gone = self.begun + self.cancelled;
        let most = self.accepted + self.maybe + self.traffic.arming.under_way;
        law("conservation", gone <= most, || {
            format!(
                "too many: accepted {} (+{} perhaps), run {}, cancelled {}",
                self.accepted, self.maybe, self.begun, self.cancelled
            )
        })
    }
    /// With nothing pending, nothing under way.
    pub(super) fn sum_at_rest(&self) -> Verdict {
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
    pub(super) fn still_inside(&self, then: &[u32]) -> bool {
        then.iter().any(|run| self.inside.contains(run))
    }
    /// Whether all that was accepted by `then` has ended or was cancelled.
    pub(super) fn covers(&self, then: u32) -> bool {
        self.ended + self.cancelled + self.traffic.cancelling.under_way >= then
    }
}

/// A call that is under way.
#[must_use]
pub(crate) struct Ticket {
    pub(super) work: usize,
    pub(super) call: Call,
    pub(super) own: bool,
    pub(super) id: u64,
    pub(super) traffic: AllTraffic,
    pub(super) open: Option<i64>,
    pub(super) armed_until: Option<u64>,
    pub(super) inside: Vec<u32>,
    pub(super) accepted: u32,
    pub(super) begun: u32,
    pub(super) place: Option<(u64, u64)>,
}

impl AllTraffic {
    /// The kinds that a call is of.
    pub(super) fn of(&mut self, call: Call, own: bool) -> impl Iterator<Item = &mut Traffic> {
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
    pub(super) fn book(&mut self, ticket: &Ticket, answer: bool) {
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
    pub(super) fn check_answer(&self, ticket: &Ticket, answer: bool, now: u64) -> Verdict {
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
    pub(super) fn settle_reasons(&mut self, id: u64, effective: bool) {
        match self.open() {
            Some(0) => self.reasons.clear(),
            Some(1) if effective => self.reasons.retain(|(other, _)| *other == id),
            _ => return,
        }
        self.used = 0;
    }

    /// Nobody else called meanwhile: when the pending instance was queued.
    pub(super) fn settle_place(&mut self, ticket: &Ticket, answer: bool, now: u64) {
        if ticket.call != Call::Queue || !self.plain {
            return;
        }
        if answer && self.open() == Some(1) {
            self.place = Some((ticket.id, now));
        } else if !answer && self.begun == ticket.begun {
            self.place = ticket.place;
        }
    }

    pub(super) fn check_cancel_sync(
        &mut self,
        ticket: &Ticket,
        undisturbed: bool,
        pending: bool,
    ) -> Verdict {
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

    pub(super) fn check_flush(&self, ticket: &Ticket) -> Verdict {
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

pub(super) fn outcome(call: Call, own: bool, answer: bool) -> &'static str {
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
