//! Frames built by hand, with checksums from a second, simpler implementation.

use super::*;

/// An Ethernet header in front of an IPv4 packet.
pub(crate) const ETHERNET_IPV4: &[u8] = &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
const ETHERNET_IPV6: &[u8] = &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
const VLAN_IPV4: &[u8] = &[
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 5, 0x08, 0x00,
];
const DOUBLE_VLAN_IPV4: &[u8] = &[
    2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x08, 0x00,
];

const A4: [u8; 4] = [192, 0, 2, 1];
const B4: [u8; 4] = [192, 0, 2, 2];
const A6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const B6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// The checksum to put into a packet whose checksum field is zero, one bit of carry at a time.
fn complement(parts: &[&[u8]]) -> [u8; 2] {
    let mut bytes = parts.concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let mut sum = 0_u16;
    for pair in bytes.chunks(2) {
        let (next, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], pair[1]]));
        sum = next + u16::from(carry);
    }
    (!sum).to_be_bytes()
}

/// An IPv4 packet with the given fragment field behind the Ethernet header.
fn ipv4_frame(ethernet: &[u8], protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let [f0, f1] = fragment.to_be_bytes();
    let mut header = vec![
        0x45, 0, total[0], total[1], 0, 9, f0, f1, 64, protocol, 0, 0,
    ];
    header.extend_from_slice(&A4);
    header.extend_from_slice(&B4);
    let checksum = complement(&[&header]);
    header[10..12].copy_from_slice(&checksum);
    [ethernet, &header, payload].concat()
}

fn ipv6_frame(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let start = [0x60, 0, 0, 0, length[0], length[1], next_header, 64];
    [ETHERNET_IPV6, &start, &A6, &B6, payload].concat()
}

/// A transport message with its checksum, at `field`, filled in.
fn with_checksum(addresses: &[u8], protocol: u8, field: usize, mut message: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    let checksum = complement(&[addresses, &[0, protocol], &length, &message]);
    message[field..field + 2].copy_from_slice(&checksum);
    message
}

fn udp_message(addresses: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    let header = [0x30, 0x39, 0, 53, length[0], length[1], 0, 0];
    with_checksum(addresses, UDP, 6, [&header, payload].concat())
}

fn tcp_message(addresses: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [
        0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0,
    ];
    with_checksum(addresses, TCP, 16, [&header, payload].concat())
}

/// A UDP datagram over IPv4 behind `ethernet`, with right checksums.
pub(crate) fn udp_datagram(ethernet: &[u8], payload: &[u8]) -> Vec<u8> {
    ipv4_frame(ethernet, UDP, 0, &udp_message(&[A4, B4].concat(), payload))
}

fn whole(data: &[u8]) -> Analysis {
    analyse(Frame {
        data,
        wire_bytes: u32::try_from(data.len()).unwrap(),
    })
}

fn ports(analysis: Analysis) -> (u16, u16) {
    let flow = analysis.flow.expect("an IP packet has a flow");
    (flow.source_port, flow.destination_port)
}

#[test]
fn udp_over_ipv4_is_good_behind_any_number_of_tags() {
    for ethernet in [ETHERNET_IPV4, VLAN_IPV4, DOUBLE_VLAN_IPV4] {
        let analysis = whole(&udp_datagram(ethernet, b"odd"));
        assert_eq!(
            (analysis.ip, analysis.transport),
            (Verdict::Good, Verdict::Good)
        );
        let key = FlowKey {
            protocol: UDP,
            source: A4.into(),
            source_port: 12_345,
            destination: B4.into(),
            destination_port: 53,
        };
        assert_eq!(analysis.flow, Some(key));
    }
}

#[test]
fn every_single_bit_flip_behind_the_lengths_is_seen() {
    // The bits of an IPv4 header that do not change which bytes are covered, and all of TCP but
    // its header length: each flip must make the one checksum wrong that covers it.
    let tcp = tcp_message(&[A4, B4].concat(), b"payload");
    let frame = ipv4_frame(ETHERNET_IPV4, TCP, 0, &tcp);
    let identification = ETHERNET_IPV4.len() + 4;
    for byte in (identification..frame.len()).filter(|at| !(18 + 2..18 + 6).contains(at)) {
        for bit in 0..8 {
            let mut frame = frame.clone();
            frame[byte] ^= 1 << bit;
            let analysis = whole(&frame);
            let header = byte < ETHERNET_IPV4.len() + 20;
            assert_eq!(analysis.ip == Verdict::Bad, header, "byte {byte} bit {bit}");
            let addresses = (ETHERNET_IPV4.len() + 12..ETHERNET_IPV4.len() + 20).contains(&byte);
            let offset = byte == ETHERNET_IPV4.len() + 20 + 12 && frame[byte] >> 4 < 5;
            let bad = (!header || addresses) && !offset;
            assert_eq!(
                analysis.transport == Verdict::Bad,
                bad,
                "byte {byte} bit {bit}"
            );
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_absent_over_ipv4_and_illegal_over_ipv6() {
    let message = [0x30, 0x39, 0, 53, 0, 9, 0, 0, b'x'];
    assert_eq!(
        whole(&ipv4_frame(ETHERNET_IPV4, UDP, 0, &message)).transport,
        Verdict::Absent
    );
    assert_eq!(whole(&ipv6_frame(UDP, &message)).transport, Verdict::Bad);
}

#[test]
fn transport_over_ipv6_is_found_behind_extension_headers() {
    let addresses = [A6, B6].concat();
    let icmp = with_checksum(&addresses, ICMPV6, 2, vec![128, 0, 0, 0, 0, 1, 0, 1, 7]);
    let plain = whole(&ipv6_frame(ICMPV6, &icmp));
    assert_eq!(
        (plain.protocol, plain.transport),
        (Protocol::Icmpv6, Verdict::Good)
    );
    assert_eq!(plain.ip, Verdict::Absent, "IPv6 has no header checksum");
    // Hop-by-hop options (8 bytes), then destination options (16 bytes).
    let hops = [60, 0, 1, 4, 0, 0, 0, 0];
    let destination = [&[ICMPV6, 1, 1, 12][..], &[0; 12]].concat();
    let behind = whole(&ipv6_frame(0, &[&hops[..], &destination, &icmp].concat()));
    assert_eq!(behind, plain);
    let mut damaged = icmp.clone();
    damaged[8] ^= 0x10;
    assert_eq!(whole(&ipv6_frame(ICMPV6, &damaged)).transport, Verdict::Bad);
}

#[test]
fn fragments_are_unverified_and_only_the_first_has_ports() {
    let udp = udp_message(&[A4, B4].concat(), &[7; 24]);
    let first = whole(&ipv4_frame(ETHERNET_IPV4, UDP, 0x2000, &udp[..16]));
    let last = whole(&ipv4_frame(ETHERNET_IPV4, UDP, 0x0002, &udp[16..]));
    assert_eq!(
        (first.transport, ports(first)),
        (Verdict::Unverified, (12_345, 53))
    );
    assert_eq!((last.transport, ports(last)), (Verdict::Unverified, (0, 0)));
    assert_eq!((first.ip, last.ip), (Verdict::Good, Verdict::Good));
    // "Do not fragment" alone makes no fragment.
    let only = whole(&ipv4_frame(ETHERNET_IPV4, UDP, 0x4000, &udp));
    assert_eq!(only.transport, Verdict::Good);

    let udp = udp_message(&[A6, B6].concat(), &[7; 24]);
    let first = whole(&ipv6_frame(
        44,
        &[&[UDP, 0, 0, 1, 0, 0, 0, 9], &udp[..16]].concat(),
    ));
    let last = whole(&ipv6_frame(
        44,
        &[&[UDP, 0, 0, 16, 0, 0, 0, 9], &udp[16..]].concat(),
    ));
    assert_eq!(
        (first.transport, ports(first)),
        (Verdict::Unverified, (12_345, 53))
    );
    assert_eq!((last.transport, ports(last)), (Verdict::Unverified, (0, 0)));
    // RFC 6946: a fragment header on a whole datagram.
    let atomic = whole(&ipv6_frame(
        44,
        &[&[UDP, 0, 0, 0, 0, 0, 0, 9], &udp[..]].concat(),
    ));
    assert_eq!(
        (atomic.transport, ports(atomic)),
        (Verdict::Good, (12_345, 53))
    );
}

#[test]
fn padding_behind_the_packet_is_not_covered() {
    let mut frame = udp_datagram(ETHERNET_IPV4, b"x");
    frame.extend_from_slice(&[0xaa; 17]);
    assert_eq!(whole(&frame).transport, Verdict::Good);
}

#[test]
fn a_frame_captured_in_part_is_unverified_from_the_cut_on() {
    let data = udp_datagram(ETHERNET_IPV4, b"payload");
    let wire_bytes = u32::try_from(data.len()).unwrap();
    for captured in 0..data.len() {
        let analysis = analyse(Frame {
            data: &data[..captured],
            wire_bytes,
        });
        if captured < ETHERNET_IPV4.len() + 20 {
            assert_eq!(analysis.protocol, Protocol::NonIp, "{captured} bytes");
        } else {
            assert_eq!(analysis.ip, Verdict::Good, "{captured} bytes");
            assert_eq!(analysis.transport, Verdict::Unverified, "{captured} bytes");
        }
    }
}

#[test]
fn impossible_headers_make_no_ip_packet() {
    let good = udp_datagram(ETHERNET_IPV4, b"payload");
    let ip = ETHERNET_IPV4.len();
    for (at, value) in [(ip, 0x65), (ip, 0x44), (ip + 3, 19), (12, 0x86)] {
        let mut frame = good.clone();
        frame[at] = value;
        assert_eq!(whole(&frame), NON_IP, "byte {at} = {value:#x}");
    }
    assert_eq!(whole(&good[..13]), NON_IP);
    let mut frame = ipv6_frame(UDP, &[0; 8]);
    frame[ip] = 0x40;
    assert_eq!(whole(&frame), NON_IP);
}

#[test]
fn a_malformed_transport_header_is_unverified() {
    let mut tcp = tcp_message(&[A4, B4].concat(), b"");
    tcp[12] = 0x40;
    let analysis = whole(&ipv4_frame(ETHERNET_IPV4, TCP, 0, &tcp));
    assert_eq!(
        (analysis.transport, ports(analysis)),
        (Verdict::Unverified, (12_345, 80))
    );
    let mut udp = udp_message(&[A4, B4].concat(), b"x");
    udp[5] = 7;
    let analysis = whole(&ipv4_frame(ETHERNET_IPV4, UDP, 0, &udp));
    assert_eq!(
        (analysis.transport, ports(analysis)),
        (Verdict::Unverified, (12_345, 53))
    );
}

#[test]
fn what_an_icmp_error_quotes_is_not_verified() {
    // The quoted datagram has a wrong checksum; the error itself is right.
    let mut quoted = udp_datagram(&[], b"quoted");
    quoted[20 + 6] ^= 0xff;
    let mut error = [&[3, 3, 0, 0, 0, 0, 0, 0], &quoted[..28]].concat();
    let checksum = complement(&[&error]);
    error[2..4].copy_from_slice(&checksum);
    let analysis = whole(&ipv4_frame(ETHERNET_IPV4, ICMP, 0, &error));
    assert_eq!(
        (analysis.protocol, analysis.transport),
        (Protocol::Icmp, Verdict::Good)
    );
    assert_eq!(ports(analysis), (0, 0));
}

#[test]
fn protocols_without_a_known_checksum_are_counted_as_other() {
    for protocol in [2, 47, 89, ICMPV6] {
        let analysis = whole(&ipv4_frame(ETHERNET_IPV4, protocol, 0, &[1; 12]));
        assert_eq!(
            (analysis.protocol, analysis.transport),
            (Protocol::OtherIp, Verdict::Absent)
        );
        assert_eq!(analysis.flow.map(|flow| flow.protocol), Some(protocol));
    }
}

#[test]
fn the_order_of_all_protocols_is_that_of_their_numbers() {
    assert!(
        Protocol::ALL
            .iter()
            .enumerate()
            .all(|(at, &protocol)| protocol as usize == at)
    );
}
