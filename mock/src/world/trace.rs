//! What happened, step by step: a ring of the last events, and a fingerprint of all of them.

/// Entries that a failure report shows.
const RING: usize = 256;

/// Step, CPU, IRQL and thread.
pub(crate) type Place = (u64, u32, u8, usize);

/// One event of a trace.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Event {
    step: u64,
    cpu: u32,
    irql: u8,
    thread: usize,
    what: &'static str,
    a: u64,
    b: u64,
}

/// The trace of a world. It holds numbers and names of objects, never addresses: the same seed gives the
/// same trace in every process.
#[derive(Debug)]
pub(crate) struct Trace {
    ring: Vec<Event>,
    count: u64,
    hash: u64,
    all: Option<Vec<Event>>,
}

impl Trace {
    /// An empty trace; with `all` it keeps every event.
    pub(crate) fn new(all: bool) -> Self {
        Self {
            ring: vec![Event::default(); RING],
            count: 0,
            hash: 0xCBF2_9CE4_8422_2325,
            all: all.then(Vec::new),
        }
    }

    /// Adds an event that reports show.
    pub(crate) fn add(&mut self, place: Place, what: &'static str, a: u64, b: u64) {
        let (step, cpu, irql, thread) = place;
        let event = Event {
            step,
            cpu,
            irql,
            thread,
            what,
            a,
            b,
        };
        self.ring[(self.count % RING as u64) as usize] = event;
        self.count += 1;
        self.keep(event);
    }

    /// Adds an event to the whole trace and its fingerprint, if they are kept, but not to reports.
    pub(crate) fn add_unseen(&mut self, place: Place, what: &'static str, a: u64, b: u64) {
        let (step, cpu, irql, thread) = place;
        self.keep(Event {
            step,
            cpu,
            irql,
            thread,
            what,
            a,
            b,
        });
    }

    fn keep(&mut self, event: Event) {
        let Some(all) = &mut self.all else { return };
        all.push(event);
        let name = event.what.bytes().fold(0, |sum: u64, byte| {
            (sum << 5) ^ (sum >> 59) ^ u64::from(byte)
        });
        let words = [
            event.step,
            u64::from(event.cpu),
            u64::from(event.irql),
            event.thread as u64,
            name,
            event.a,
            event.b,
        ];
        for word in words {
            self.hash = (self.hash ^ word)
                .wrapping_mul(0x0000_0100_0000_01B3)
                .rotate_left(17);
        }
    }

    /// A number that two equal traces share, if the world keeps all events.
    pub(crate) const fn fingerprint(&self) -> u64 {
        self.hash
    }

    /// The last `n` events as text, oldest first.
    pub(crate) fn tail(&self, n: usize, name: impl Fn(usize) -> String) -> Vec<String> {
        let kept = self.count.min(RING as u64).min(n as u64);
        (self.count - kept..self.count)
            .map(|i| line(&self.ring[(i % RING as u64) as usize], &name))
            .collect()
    }

    /// Every event as text, if the world keeps them.
    pub(crate) fn lines(&self, name: impl Fn(usize) -> String) -> Vec<String> {
        self.all
            .iter()
            .flatten()
            .map(|event| line(event, &name))
            .collect()
    }
}

fn line(event: &Event, name: &impl Fn(usize) -> String) -> String {
    let Event {
        step,
        cpu,
        irql,
        thread,
        what,
        a,
        b,
    } = event;
    format!(
        "{step:>8} cpu{cpu} irql{irql:<2} {}: {what} {a} {b}",
        name(*thread)
    )
}
