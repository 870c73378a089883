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
    /// `disable_work`, which an `Enable` or `EnableAndQueue` follows.
    Disable,
    /// `disable_work_sync`, likewise.
    DisableSync,
    Enable,
    EnableAndQueue,
}

impl Call {
    /// When a run that this call brings about is allowed, if it can bring one about.
    pub(super) fn allows_from(self, now: u64) -> Option<u64> {
        match self {
            Self::Queue | Self::FlushDelayed | Self::EnableAndQueue => Some(0),
            Self::QueueDelayed(delay) | Self::Modify(delay) => Some(now + delay),
            Self::Cancel
            | Self::CancelSync
            | Self::Flush
            | Self::Disable
            | Self::DisableSync
            | Self::Enable => None,
        }
    }
    /// Whether it can make an item pending.
    pub(crate) fn arms(self) -> bool {
        matches!(
            self,
            Self::Queue | Self::QueueDelayed(_) | Self::Modify(_) | Self::EnableAndQueue
        )
    }
    pub(super) fn cancels(self) -> bool {
        matches!(
            self,
            Self::Cancel | Self::CancelSync | Self::Disable | Self::DisableSync
        )
    }
    /// Whether queueing is refused from its beginning, and whether until its end at most.
    pub(super) fn holds_off(self) -> (bool, bool) {
        match self {
            Self::CancelSync => (true, true),
            Self::Disable | Self::DisableSync => (true, false),
            Self::Enable | Self::EnableAndQueue => (false, true),
            Self::Queue
            | Self::QueueDelayed(_)
            | Self::Modify(_)
            | Self::Cancel
            | Self::Flush
            | Self::FlushDelayed => (false, false),
        }
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
    /// Whether it can be that queue.
    pub(crate) fn may_be_at(self, queue: usize) -> bool {
        self == Self::Any || self.is_at(queue)
    }

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
    /// What refuses queueing: `_sync` cancels, and disables until they are enabled.
    pub(super) syncs: Traffic,
    /// Drains of a queue that it may be queued on.
    pub(super) drains: Traffic,
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
    /// `mod_delayed_work` that said yes while a queue drained: moved, or dropped.
    pub(super) dropped: u32,
    /// What was uncertain because a queue drained, and is settled since.
    pub(super) slack: u32,
    /// `disable_work_sync` that have returned, and not been enabled.
    pub(super) held_off: u32,
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
        (self.maybe == 0 && self.dropped == 0).then_some(i64::from(self.accepted) - gone)
    }
    /// Acceptances that a drain may have taken back, which count as accepted and cancelled then.
    pub(super) fn uncertain(&self) -> u64 {
        match self.traffic.drains.begun {
            0 => 0,
            _ => u64::from(self.slack + self.maybe + self.dropped),
        }
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
            self.begun + self.cancelled + self.dropped >= self.accepted,
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
        self.ended + self.cancelled + self.dropped + self.traffic.cancelling.under_way >= then
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
    fn of(&mut self, call: Call, own: bool) -> impl Iterator<Item = &mut Traffic> {
        [
            Some(if own {
                &mut self.own
            } else {
                &mut self.external
            }),
            call.arms().then_some(&mut self.arming),
            call.cancels().then_some(&mut self.cancelling),
            matches!(call, Call::Modify(_)).then_some(&mut self.modifies),
        ]
        .into_iter()
        .flatten()
    }
    /// A call is about to be made.
    pub(super) fn begin(&mut self, call: Call, own: bool) {
        self.of(call, own).for_each(Traffic::begin);
        if call.holds_off().0 {
            self.syncs.begin();
        }
    }
    /// It has answered.
    pub(super) fn end(&mut self, call: Call, own: bool) {
        self.of(call, own).for_each(Traffic::end);
        if call.holds_off().1 {
            self.syncs.end();
        }
    }
    /// Whether anything but a call that began at `then` can have refused a queueing since.
    pub(super) fn refuses(self, then: Self) -> bool {
        self.syncs.overlapped(then.syncs, 0) || self.drains.overlapped(then.drains, 0)
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
                // While it is cancelled with a `_sync` call, or disabled, it says no and does nothing
                // (row D13).
                if self.traffic.refuses(ticket.traffic) {
                    self.maybe += 1;
                } else {
                    self.accepted += 1;
                }
            }
            // Enabled for certain; somebody else may have queued it first.
            (Call::EnableAndQueue, true) => self.maybe += 1,
            (Call::Cancel | Call::CancelSync | Call::Disable | Call::DisableSync, true) => {
                self.cancelled += 1;
            }
            (Call::Modify(_), true) => {
                if self.traffic.drains.overlapped(ticket.traffic.drains, 0) {
                    self.dropped += 1;
                }
            }
            (Call::Cancel | Call::CancelSync | Call::Disable | Call::DisableSync, false)
            | (Call::Enable | Call::Flush | Call::FlushDelayed, _)
            | (Call::EnableAndQueue, false) => {}
        }
        if ticket.call == Call::DisableSync {
            self.held_off += 1;
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
            Call::Modify(_)
            | Call::Cancel
            | Call::CancelSync
            | Call::Disable
            | Call::DisableSync => pending,
            Call::Enable | Call::EnableAndQueue | Call::Flush | Call::FlushDelayed => return Ok(()),
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

    /// An enable brings the depth to zero if nobody else holds the work off.
    pub(super) fn check_enable(&self, ticket: &Ticket, answer: bool) -> Verdict {
        let then = ticket.traffic.syncs;
        let only_ours = then.under_way == 1 && self.traffic.syncs.begun == then.begun;
        law("answer", answer || !only_ours, || {
            "enabled by the only one who had disabled it".to_owned()
        })
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
            if self.traffic.drains.begun > 0 {
                self.slack += self.maybe + self.dropped;
            }
            self.accepted = self.begun + self.cancelled;
            self.maybe = 0;
            self.dropped = 0;
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
        (Call::Disable | Call::DisableSync, _, true) => "disable of a pending work",
        (Call::Disable | Call::DisableSync, _, false) => "disable of an idle work",
        (Call::Enable, _, true) => "enabled",
        (Call::Enable, _, false) => "enabled, and still disabled",
        (Call::EnableAndQueue, _, true) => "enabled and queued",
        (Call::EnableAndQueue, _, false) => "enabled and not queued",
        (Call::Flush | Call::FlushDelayed, _, true) => "flush waited",
        (Call::Flush | Call::FlushDelayed, _, false) => "flush did not wait",
        (Call::Queue | Call::QueueDelayed(_) | Call::Modify(_), true, true) => "own requeue: true",
        (Call::Queue | Call::QueueDelayed(_) | Call::Modify(_), true, false) => {
            "own requeue: false"
        }
    }
}
