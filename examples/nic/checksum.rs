//! The Internet checksum (RFC 1071) and the pseudo headers that go into it.

use std::net::IpAddr;

/// A one's complement sum of 16-bit words that is still open for more.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds `bytes`, with a zero after an odd last byte. Only the last part may be odd.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Self {
        let (words, odd) = bytes.as_chunks::<2>();
        let sum: u64 = words
            .iter()
            .map(|&word| u64::from(u16::from_be_bytes(word)))
            .sum();
        let last = odd.first().map_or(0, |&byte| u64::from(byte) << 8);
        Self(self.0 + sum + last)
    }

    /// Adds the pseudo header of a transport protocol: addresses, upper-layer length, protocol
    /// (RFC 9293 section 3.1, RFC 8200 section 8.1). It differs between IPv4 and IPv6 in the width
    /// of two numbers only, and widening adds zeros.
    pub(crate) fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let sum = [source, destination]
            .into_iter()
            .fold(self, |sum, address| match address {
                IpAddr::V4(address) => sum.bytes(&address.octets()),
                IpAddr::V6(address) => sum.bytes(&address.octets()),
            });
        Self(sum.0 + length as u64 + u64::from(protocol))
    }

    /// Whether the sum, which includes the checksum field, is that of an undamaged packet.
    pub(crate) fn is_valid(self) -> bool {
        self.fold() == 0xffff
    }

    fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn the_example_of_rfc_1071_section_3_sums_to_ddf2() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&bytes).fold(), 0xddf2);
    }

    #[test]
    fn an_odd_last_byte_counts_as_the_high_half_of_a_word() {
        assert_eq!(
            Sum::default().bytes(&[0x12, 0x34, 0x56]).fold(),
            0x1234 + 0x5600
        );
    }

    #[test]
    fn a_sum_is_valid_only_with_its_own_complement() {
        let sum = Sum::default().bytes(&[0x45, 0x00, 0x00, 0x73]);
        let checksum = !sum.fold();
        assert!(sum.bytes(&checksum.to_be_bytes()).is_valid());
        assert!(!sum.bytes(&(checksum ^ 0x0100).to_be_bytes()).is_valid());
        assert!(!Sum::default().is_valid(), "all zeros are no valid packet");
    }

    #[test]
    fn the_carry_of_a_whole_datagram_is_folded() {
        let bytes = vec![0xff; 65_534];
        assert_eq!(Sum::default().bytes(&bytes).fold(), 0xffff);
        assert_eq!(Sum::default().bytes(&bytes).bytes(&[0, 2]).fold(), 2);
    }

    #[test]
    fn the_pseudo_header_adds_each_of_its_parts() {
        let (a, b) = (Ipv4Addr::new(1, 2, 3, 4), Ipv4Addr::new(5, 6, 7, 8));
        let sum = Sum::default().pseudo_header(a.into(), b.into(), 17, 8);
        assert_eq!(sum.fold(), 0x0102 + 0x0304 + 0x0506 + 0x0708 + 17 + 8);
        let (a, b) = (
            Ipv6Addr::new(1, 0, 0, 0, 0, 0, 0, 2),
            Ipv6Addr::new(4, 0, 0, 0, 0, 0, 0, 8),
        );
        let sum = Sum::default().pseudo_header(a.into(), b.into(), 58, 0x1_0000);
        assert_eq!(
            sum.fold(),
            15 + 58 + 1,
            "the high half of a length beyond 65535 counts too"
        );
    }
}
