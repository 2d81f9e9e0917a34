//! As much of an IPv4 packet as an address translator must know: where its addresses are, and which checksums cover
//! them. Checksums are updated, not computed anew (RFC 1624), so that a packet that was damaged stays so.
//!
//! Absent on purpose: ports, which stay as they are, and IPv6, which the link does not carry.

use std::net::Ipv4Addr;

/// Bytes of an IPv4 header without options.
const HEADER_BYTES_MIN: usize = 20;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
/// ICMP messages that carry the header of the packet they complain about.
const ICMP_ERRORS: [u8; 3] = [3, 11, 12];
const ICMP_HEADER_BYTES: usize = 8;

/// Which address of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

impl End {
    /// Where it stands in the header.
    fn offset(self) -> usize {
        match self {
            Self::Source => 12,
            Self::Destination => 16,
        }
    }
}

/// A packet whose header is whole.
pub(super) struct Packet<'a> {
    bytes: &'a mut [u8],
    header_bytes: usize,
}

impl<'a> Packet<'a> {
    /// Nothing if it is not IPv4, or shorter than it says.
    pub(super) fn parse(bytes: &'a mut [u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let header_bytes = usize::from(first & 0x0f) * 4;
        let total_bytes = usize::from(word(bytes, 2)?);
        let is_whole = first >> 4 == 4
            && header_bytes >= HEADER_BYTES_MIN
            && (header_bytes..=bytes.len()).contains(&total_bytes);
        is_whole.then_some(Self { bytes, header_bytes })
    }

    /// One of its addresses.
    pub(super) fn address(&self, end: End) -> Ipv4Addr {
        address(self.bytes, end).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// Puts another address in its place, and in the packet that an ICMP error quotes, where the ends are swapped.
    pub(super) fn set_address(&mut self, end: End, new: Ipv4Addr) {
        let old = self.address(end);
        self.update_inner_checksum(old, new);
        rewrite(self.bytes, end, new);
    }

    /// What is behind the header, if this is the packet's first or only fragment.
    fn transport(&mut self) -> Option<(u8, &mut [u8])> {
        let is_later_fragment = word(self.bytes, 6)? & 0x1fff != 0;
        let protocol = *self.bytes.get(9)?;
        let rest = self.bytes.get_mut(self.header_bytes..)?;
        (!is_later_fragment).then_some((protocol, rest))
    }

    /// The checksums of TCP and UDP cover the addresses; that of ICMP does not, but its errors quote a packet.
    fn update_inner_checksum(&mut self, old: Ipv4Addr, new: Ipv4Addr) {
        let Some((protocol, rest)) = self.transport() else { return };
        match protocol {
            TCP => update(rest, 16, old, new),
            // Zero is "no checksum".
            UDP if word(rest, 6) != Some(0) => {
                update(rest, 6, old, new);
                if word(rest, 6) == Some(0) {
                    set_word(rest, 6, 0xffff);
                }
            }
            ICMP if rest.first().is_some_and(|kind| ICMP_ERRORS.contains(kind)) => {
                let Some(quoted) = rest.get_mut(ICMP_HEADER_BYTES..) else { return };
                for end in [End::Source, End::Destination] {
                    if address(quoted, end) == Some(old) {
                        // The quoted header's checksum makes up for the address, so the sum over both, and with it
                        // the ICMP checksum, stays.
                        rewrite(quoted, end, new);
                    }
                }
            }
            _ => {}
        }
    }
}

fn word(bytes: &[u8], offset: usize) -> Option<u16> {
    bytes.get(offset..)?.first_chunk().map(|word| u16::from_be_bytes(*word))
}

fn set_word(bytes: &mut [u8], offset: usize, value: u16) {
    if let Some(word) = bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
        *word = value.to_be_bytes();
    }
}

fn address(bytes: &[u8], end: End) -> Option<Ipv4Addr> {
    bytes.get(end.offset()..)?.first_chunk().map(|octets: &[u8; 4]| Ipv4Addr::from(*octets))
}

/// Puts an address into a header and makes its checksum right.
fn rewrite(header: &mut [u8], end: End, new: Ipv4Addr) {
    let Some(old) = address(header, end) else { return };
    if let Some(octets) = header.get_mut(end.offset()..).and_then(|rest| rest.first_chunk_mut()) {
        *octets = new.octets();
    }
    update(header, 10, old, new);
}

/// A checksum after an address it covers was replaced.
fn update(bytes: &mut [u8], offset: usize, old: Ipv4Addr, new: Ipv4Addr) {
    let Some(checksum) = word(bytes, offset) else { return };
    let words = |address: Ipv4Addr| {
        let [a, b, c, d] = address.octets();
        [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
    };
    let removed = words(old).map(|word| u32::from(!word)).iter().sum::<u32>();
    let added = words(new).map(u32::from).iter().sum::<u32>();
    let sum = u32::from(!checksum) + removed + added;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    // Folded twice, a sum of five words has no carry left.
    set_word(bytes, offset, !u16::try_from(folded).unwrap_or(u16::MAX));
}

#[cfg(test)]
#[path = "packet/tests.rs"]
mod tests;
