//! What the driver works out of one frame: the flow that it belongs to and whether its checksums
//! are right.
//!
//! # Definitions
//!
//! They are the ones that tshark uses with its checksum checks on and its reassembly off, so that
//! the totals can be compared (`ci/nic-vs-tshark.sh`).
//!
//! - Ethernet type IPv4 or IPv6, behind any number of VLAN tags, makes an *IP packet*, provided that
//!   the fixed header is there, the version is the one that the Ethernet type says, and the lengths in
//!   the header are possible. All else is [`Protocol::NonIp`].
//! - A *flow* is the 5-tuple of an IP packet in one direction. Ports are zero where the packet shows
//!   none: other protocols, later fragments, cut headers.
//! - The transport of an IPv6 packet is behind its hop-by-hop, destination and fragment headers. Other
//!   extension headers are protocols of their own: a routing header holds the true destination, and an
//!   authentication header has more to check than a checksum.
//! - A checksum is *unverified* where the bytes that it covers are not all in the packet (a fragment,
//!   or a frame captured in part) or where the header that holds it is malformed, and *absent* where
//!   the protocol has none or the sender left it out (UDP over IPv4 with zero in the field). Zero in
//!   the UDP checksum over IPv6 is illegal and counts as bad.
//! - The packet that an ICMP error quotes is payload. Its checksums are not looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::Frame;
use crate::checksum::Sum;

/// The 5-tuple of a packet, in the direction in which it travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FlowKey {
    /// IP protocol number.
    pub(crate) protocol: u8,
    /// Source address.
    pub(crate) source: IpAddr,
    /// Source port, or 0.
    pub(crate) source_port: u16,
    /// Destination address.
    pub(crate) destination: IpAddr,
    /// Destination port, or 0.
    pub(crate) destination_port: u16,
}

/// Protocols that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// TCP over either IP.
    Tcp,
    /// UDP over either IP.
    Udp,
    /// ICMP over IPv4.
    Icmp,
    /// ICMPv6 over IPv6.
    Icmpv6,
    /// Any other protocol over IP.
    OtherIp,
    /// No IP packet: ARP, for example.
    NonIp,
}

impl Protocol {
    /// Every protocol, in the order of their discriminants.
    pub(crate) const ALL: [Self; 6] = [
        Self::Tcp,
        Self::Udp,
        Self::Icmp,
        Self::Icmpv6,
        Self::OtherIp,
        Self::NonIp,
    ];

    /// The name that reports use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::OtherIp => "other-ip",
            Self::NonIp => "non-ip",
        }
    }
}

/// What verification says of one checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no checksum.
    Absent,
    /// It cannot be verified.
    Unverified,
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
}

/// All that the driver keeps of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Analysis {
    /// The protocol under which the frame is counted.
    pub(crate) protocol: Protocol,
    /// The flow, if it is an IP packet.
    pub(crate) flow: Option<FlowKey>,
    /// The IPv4 header checksum.
    pub(crate) ip: Verdict,
    /// The checksum of the transport protocol.
    pub(crate) transport: Verdict,
}

const NON_IP: Analysis = Analysis {
    protocol: Protocol::NonIp,
    flow: None,
    ip: Verdict::Absent,
    transport: Verdict::Absent,
};

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Tags that another Ethernet type follows: 802.1Q, 802.1ad, and the old double tag.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Where the checksum field of ICMPv6 ends.
const ICMPV6_CHECKSUM_END: usize = 4;
/// ICMP has one more word in every message, and tshark looks at it first.
const ICMP_BYTES_MIN: usize = 6;

/// Analyses one frame.
pub(crate) fn analyse(frame: Frame<'_>) -> Analysis {
    ip_packet(frame).unwrap_or(NON_IP)
}

/// Analyses an Ethernet frame, or gives `None` if it holds no IP packet.
fn ip_packet(frame: Frame<'_>) -> Option<Analysis> {
    let mut start = 12;
    let mut ethertype = u16_at(frame.data, start)?;
    while ETHERTYPES_VLAN.contains(&ethertype) {
        start += 4;
        ethertype = u16_at(frame.data, start)?;
    }
    let packet = Span {
        data: frame.data.get(start + 2..)?,
        length: (frame.wire_bytes as usize).checked_sub(start + 2)?,
    };
    match ethertype {
        ETHERTYPE_IPV4 => ipv4(packet),
        ETHERTYPE_IPV6 => ipv6(packet),
        _ => None,
    }
}

/// A part of a packet: the bytes that were captured and the length that it had on the wire.
#[derive(Clone, Copy, Debug)]
struct Span<'a> {
    data: &'a [u8],
    length: usize,
}

impl<'a> Span<'a> {
    /// The part behind the first `count` bytes.
    fn skip(self, count: usize) -> Self {
        Self {
            data: self.data.get(count..).unwrap_or(&[]),
            length: self.length.saturating_sub(count),
        }
    }

    /// The first `count` bytes, or as many as there are.
    fn limit(self, count: usize) -> Self {
        Self {
            data: &self.data[..self.data.len().min(count)],
            length: self.length.min(count),
        }
    }

    /// The bytes, if all of them were captured.
    fn whole(self) -> Option<&'a [u8]> {
        self.data.get(..self.length)
    }
}

/// The network layer's answer: who talks to whom, and what the transport may rely on.
#[derive(Clone, Copy, Debug)]
struct Network<'a> {
    protocol: u8,
    source: IpAddr,
    destination: IpAddr,
    payload: Span<'a>,
    /// Part of a larger datagram.
    fragmented: bool,
    /// Not the first part: the transport header is elsewhere.
    headless: bool,
}

fn ipv4(packet: Span<'_>) -> Option<Analysis> {
    let fixed: &[u8; 20] = packet.data.first_chunk()?;
    let header_bytes = usize::from(fixed[0] & 0x0f) * 4;
    let total_bytes = usize::from(u16_at(fixed, 2)?);
    if fixed[0] >> 4 != 4 || header_bytes < fixed.len() || total_bytes < header_bytes {
        return None;
    }
    // The fixed part says everything but the options, which only the checksum needs.
    let ip = match packet.data.get(..header_bytes) {
        Some(header) => verdict(Sum::default().bytes(header)),
        None => Verdict::Unverified,
    };
    let fragment = u16_at(fixed, 6)?;
    let network = Network {
        protocol: fixed[9],
        source: Ipv4Addr::from(*fixed[12..].first_chunk::<4>()?).into(),
        destination: Ipv4Addr::from(*fixed[16..].first_chunk::<4>()?).into(),
        payload: packet.limit(total_bytes).skip(header_bytes),
        fragmented: fragment & 0x3fff != 0,
        headless: fragment & 0x1fff != 0,
    };
    Some(Analysis {
        ip,
        ..transport(network, ICMP)
    })
}

fn ipv6(packet: Span<'_>) -> Option<Analysis> {
    let fixed: &[u8; 40] = packet.data.first_chunk()?;
    if fixed[0] >> 4 != 6 {
        return None;
    }
    let payload_bytes = usize::from(u16_at(fixed, 4)?);
    let mut network = Network {
        protocol: fixed[6],
        source: Ipv6Addr::from(*fixed[8..].first_chunk::<16>()?).into(),
        destination: Ipv6Addr::from(*fixed[24..].first_chunk::<16>()?).into(),
        payload: packet.skip(fixed.len()).limit(payload_bytes),
        fragmented: false,
        headless: false,
    };
    while let Some(next) = skip_extension(network) {
        network = next;
    }
    Some(transport(network, ICMPV6))
}

/// Steps over one IPv6 extension header; `None` if the next header is none, or is cut.
fn skip_extension(network: Network<'_>) -> Option<Network<'_>> {
    const HOP_BY_HOP: u8 = 0;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    if network.headless {
        return None;
    }
    let start: &[u8; 4] = network.payload.data.first_chunk()?;
    let (length, fragment) = match network.protocol {
        HOP_BY_HOP | DESTINATION => ((usize::from(start[1]) + 1) * 8, 0),
        FRAGMENT => (8, u16_at(start, 2)?),
        _ => return None,
    };
    network.payload.data.get(..length)?;
    if network.protocol != FRAGMENT && !options_fit(network.payload.data, length) {
        return None;
    }
    Some(Network {
        protocol: start[0],
        payload: network.payload.skip(length),
        fragmented: network.fragmented || fragment & 0xfff9 != 0,
        headless: fragment & 0xfff8 != 0,
        ..network
    })
}

/// Whether the options of an extension header of `header_bytes` end before the packet does.
fn options_fit(data: &[u8], header_bytes: usize) -> bool {
    const PAD_1: u8 = 0;
    let mut at = 2;
    while at < header_bytes {
        at += match data.get(at..) {
            Some([PAD_1, ..]) => 1,
            Some([_, length, ..]) => 2 + usize::from(*length),
            _ => return false,
        };
    }
    at <= data.len()
}

/// Analyses the transport header; `icmp` is the number of the ICMP that goes with this IP.
fn transport(network: Network<'_>, icmp: u8) -> Analysis {
    let (protocol, has_ports) = match network.protocol {
        TCP => (Protocol::Tcp, true),
        UDP => (Protocol::Udp, true),
        ICMP if icmp == ICMP => (Protocol::Icmp, false),
        ICMPV6 if icmp == ICMPV6 => (Protocol::Icmpv6, false),
        _ => (Protocol::OtherIp, false),
    };
    let [source_port, destination_port] = match network.payload.data.first_chunk::<4>() {
        Some(&[s0, s1, d0, d1]) if has_ports && !network.headless => {
            [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])]
        }
        _ => [0, 0],
    };
    let flow = FlowKey {
        protocol: network.protocol,
        source: network.source,
        source_port,
        destination: network.destination,
        destination_port,
    };
    let transport = if protocol == Protocol::OtherIp {
        Verdict::Absent
    } else if network.fragmented {
        Verdict::Unverified
    } else {
        match protocol {
            Protocol::Tcp => tcp(network),
            Protocol::Udp => udp(network),
            Protocol::Icmp => icmpv4(network),
            Protocol::Icmpv6 => covered(network, ICMPV6_CHECKSUM_END, network.payload),
            Protocol::OtherIp | Protocol::NonIp => Verdict::Absent,
        }
    };
    Analysis {
        protocol,
        flow: Some(flow),
        ip: Verdict::Absent,
        transport,
    }
}

fn tcp(network: Network<'_>) -> Verdict {
    const HEADER_BYTES: u8 = 20;
    match network.payload.data.get(12) {
        Some(offset) if (offset >> 4) * 4 >= HEADER_BYTES => covered(network, 18, network.payload),
        _ => Verdict::Unverified,
    }
}

fn udp(network: Network<'_>) -> Verdict {
    let Some(header) = network.payload.data.first_chunk::<8>() else {
        return Verdict::Unverified;
    };
    let ipv4 = network.source.is_ipv4();
    let length = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        // RFC 2675: the length of a jumbogram does not fit, and the payload is all of it.
        0 if !ipv4 => network.payload.length,
        length => length,
    };
    if length < header.len() {
        return Verdict::Unverified;
    }
    if header[6..] == [0, 0] {
        return if ipv4 { Verdict::Absent } else { Verdict::Bad };
    }
    if length > network.payload.length {
        return Verdict::Unverified;
    }
    covered(network, header.len(), network.payload.limit(length))
}

fn icmpv4(network: Network<'_>) -> Verdict {
    match network.payload.whole() {
        Some(message) if message.len() >= ICMP_BYTES_MIN => verdict(Sum::default().bytes(message)),
        _ => Verdict::Unverified,
    }
}

/// Verifies a checksum over `message` and the pseudo header; `end` is where its field ends.
fn covered(network: Network<'_>, end: usize, message: Span<'_>) -> Verdict {
    match message.whole() {
        Some(bytes) if bytes.len() >= end => {
            let (source, destination) = (network.source, network.destination);
            let pseudo =
                Sum::default().pseudo_header(source, destination, network.protocol, bytes.len());
            verdict(pseudo.bytes(bytes))
        }
        _ => Verdict::Unverified,
    }
}

fn verdict(sum: Sum) -> Verdict {
    if sum.is_valid() {
        Verdict::Good
    } else {
        Verdict::Bad
    }
}

/// The big-endian number at `at`, if it is there.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|&pair| u16::from_be_bytes(pair))
}

#[cfg(test)]
pub(crate) mod tests;
