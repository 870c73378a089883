//! What the accounting work adds up: packets, bytes and checksums per protocol and per flow.

use std::collections::HashMap;

use crate::capture::Frame;
use crate::packet::{self, FlowKey, Protocol, Verdict};

/// Results of checksum verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// Right.
    pub(crate) good: u64,
    /// Wrong.
    pub(crate) bad: u64,
    /// Not to be verified: fragments, cut frames, malformed headers.
    pub(crate) unverified: u64,
    /// Left out by the sender, or not part of the protocol.
    pub(crate) absent: u64,
}

impl Checksums {
    fn add(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Good => &mut self.good,
            Verdict::Bad => &mut self.bad,
            Verdict::Unverified => &mut self.unverified,
            Verdict::Absent => &mut self.absent,
        };
        *count += 1;
    }
}

/// Packets and their lengths on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    /// How many.
    pub(crate) packets: u64,
    /// Their lengths, added up.
    pub(crate) bytes: u64,
}

impl Volume {
    fn add(&mut self, wire_bytes: u32) {
        self.packets += 1;
        self.bytes += u64::from(wire_bytes);
    }
}

/// The totals of one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProtocolTotals {
    /// All packets of the protocol.
    pub(crate) volume: Volume,
    /// Their transport checksums.
    pub(crate) checksums: Checksums,
}

/// Everything that was counted so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// All frames.
    pub(crate) total: Volume,
    /// IPv4 header checksums; `absent` counts the frames without an IPv4 header.
    pub(crate) ip_header: Checksums,
    protocols: [ProtocolTotals; Protocol::ALL.len()],
    flows: HashMap<FlowKey, Volume>,
}

impl Ledger {
    /// Analyses one frame and adds it.
    pub(crate) fn account(&mut self, frame: Frame<'_>) {
        let analysis = packet::analyse(frame);
        self.total.add(frame.wire_bytes);
        self.ip_header.add(analysis.ip);
        let protocol = &mut self.protocols[analysis.protocol as usize];
        protocol.volume.add(frame.wire_bytes);
        protocol.checksums.add(analysis.transport);
        if let Some(flow) = analysis.flow {
            self.flows.entry(flow).or_default().add(frame.wire_bytes);
        }
    }

    /// The totals of one protocol.
    pub(crate) fn protocol(&self, protocol: Protocol) -> ProtocolTotals {
        self.protocols[protocol as usize]
    }

    /// All flows, the one with the most bytes first; equal ones in the order of their keys.
    pub(crate) fn flows(&self) -> Vec<(FlowKey, Volume)> {
        let mut flows: Vec<_> = self
            .flows
            .iter()
            .map(|(&key, &volume)| (key, volume))
            .collect();
        flows.sort_unstable_by_key(|&(key, volume)| (u64::MAX - volume.bytes, key));
        flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::{ETHERNET_IPV4, udp_datagram};

    #[test]
    fn a_frame_is_counted_once_in_each_place() {
        let mut ledger = Ledger::default();
        let good = udp_datagram(ETHERNET_IPV4, b"ping");
        let mut bad = good.clone();
        *bad.last_mut().expect("a payload") ^= 1;
        for data in [&good, &bad, &good] {
            ledger.account(Frame {
                data,
                wire_bytes: 46,
            });
        }
        ledger.account(Frame {
            data: b"not even Ethernet",
            wire_bytes: 17,
        });
        assert_eq!(
            ledger.total,
            Volume {
                packets: 4,
                bytes: 3 * 46 + 17
            }
        );
        let udp = ledger.protocol(Protocol::Udp);
        assert_eq!(
            udp.volume,
            Volume {
                packets: 3,
                bytes: 3 * 46
            }
        );
        assert_eq!(
            udp.checksums,
            Checksums {
                good: 2,
                bad: 1,
                ..Checksums::default()
            }
        );
        assert_eq!(
            ledger.ip_header,
            Checksums {
                good: 3,
                absent: 1,
                ..Checksums::default()
            }
        );
        assert_eq!(ledger.protocol(Protocol::NonIp).volume.packets, 1);
        assert_eq!(ledger.protocol(Protocol::Tcp), ProtocolTotals::default());
        let flows = ledger.flows();
        assert_eq!(flows.len(), 1);
        assert_eq!(
            flows[0].1,
            Volume {
                packets: 3,
                bytes: 3 * 46
            }
        );
    }

    #[test]
    fn flows_come_largest_first() {
        let mut ledger = Ledger::default();
        let small = udp_datagram(ETHERNET_IPV4, b"small");
        let mut large = small.clone();
        let port = ETHERNET_IPV4.len() + 20;
        large[port] ^= 1;
        ledger.account(Frame {
            data: &small,
            wire_bytes: 60,
        });
        ledger.account(Frame {
            data: &large,
            wire_bytes: 61,
        });
        let bytes: Vec<_> = ledger
            .flows()
            .iter()
            .map(|(_, volume)| volume.bytes)
            .collect();
        assert_eq!(bytes, [61, 60]);
    }
}
