//! Translation of packets, checked by computing every checksum from nothing.

use super::*;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PUBLIC: Ipv4Addr = Ipv4Addr::new(100, 64, 255, 254);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);

fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    words.sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// A header and what follows, its own checksum right.
fn ip(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, fragment: u16, rest: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + rest.len()).unwrap();
    let mut bytes = vec![0x45, 0];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    let checksum = !fold(sum(&bytes));
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(rest);
    bytes
}

/// What a packet's header and pseudo-header add up to: all ones if every checksum is right.
fn transport_sum(packet: &[u8]) -> u16 {
    let length = u32::try_from(packet.len() - 20).unwrap();
    fold(sum(&packet[12..20]) + u32::from(packet[9]) + length + sum(&packet[20..]))
}

fn with_checksum(mut packet: Vec<u8>, offset: usize) -> Vec<u8> {
    // Where UDP has zero, it writes all ones.
    let checksum = Some(!transport_sum(&packet)).filter(|checksum| *checksum != 0).unwrap_or(0xffff);
    packet[20 + offset..22 + offset].copy_from_slice(&checksum.to_be_bytes());
    packet
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut rest = vec![0x80, 1, 0x11, 0x51];
    rest.extend(u16::try_from(8 + payload.len()).unwrap().to_be_bytes());
    rest.extend([0, 0]);
    rest.extend(payload);
    with_checksum(ip(UDP, CLIENT, SERVER, 0, &rest), 6)
}

fn tcp() -> Vec<u8> {
    let mut rest = vec![7; 33];
    rest[16..18].fill(0);
    with_checksum(ip(TCP, CLIENT, SERVER, 0x4000, &rest), 16)
}

fn translate(packet: &mut [u8], end: End, new: Ipv4Addr) {
    let mut parsed = Packet::parse(packet).unwrap();
    parsed.set_address(end, new);
    assert_eq!(parsed.address(end), new);
}

#[test]
fn translated_packets_have_right_checksums() {
    let odd: Vec<u8> = (0..=200).collect();
    for original in [udp(b"hello!"), udp(&odd), udp(&[]), tcp()] {
        for (end, new) in [(End::Source, PUBLIC), (End::Destination, CLIENT)] {
            let mut packet = original.clone();
            assert_eq!(transport_sum(&packet), 0xffff);
            translate(&mut packet, end, new);
            assert_eq!(fold(sum(&packet[..20])), 0xffff, "the header's");
            assert_eq!(transport_sum(&packet), 0xffff, "the transport's");
            assert_ne!(packet, original);
        }
    }
}

#[test]
fn there_and_back_is_the_same_packet() {
    for original in [udp(b"hello!"), tcp()] {
        let mut packet = original.clone();
        translate(&mut packet, End::Source, PUBLIC);
        translate(&mut packet, End::Source, CLIENT);
        assert_eq!(packet, original);
    }
}

#[test]
fn a_damaged_packet_stays_damaged() {
    let mut packet = udp(b"hello!");
    packet[30] ^= 1;
    translate(&mut packet, End::Source, PUBLIC);
    assert_ne!(transport_sum(&packet), 0xffff);
}

#[test]
fn udp_without_a_checksum_gets_none() {
    let mut packet = udp(b"hello!");
    packet[26..28].fill(0);
    translate(&mut packet, End::Source, PUBLIC);
    assert_eq!(packet[26..28], [0, 0]);
    assert_eq!(fold(sum(&packet[..20])), 0xffff);
}

#[test]
fn a_udp_checksum_never_becomes_none() {
    // Whichever two bytes of payload make the checksum zero: it is then written as all ones.
    let mut zeros = 0;
    for payload in 0..=u16::MAX {
        let mut packet = udp(&payload.to_be_bytes());
        translate(&mut packet, End::Source, PUBLIC);
        assert_ne!(packet[26..28], [0, 0]);
        zeros += usize::from(packet[26..28] == [0xff, 0xff]);
    }
    assert_ne!(zeros, 0, "the case was there");
}

#[test]
fn later_fragments_have_no_transport_header_to_change() {
    for fragment in [0x0001, 0x20b9] {
        let body = [0x5a; 40];
        let mut packet = ip(UDP, CLIENT, SERVER, fragment, &body);
        translate(&mut packet, End::Source, PUBLIC);
        assert_eq!(packet[20..], body);
        assert_eq!(fold(sum(&packet[..20])), 0xffff);
    }
}

#[test]
fn an_icmp_error_quotes_the_translated_packet() {
    // The server's kernel complains about a packet that came from the public address.
    let mut quoted = udp(b"hello!");
    translate(&mut quoted, End::Source, PUBLIC);
    let mut rest = vec![3, 3, 0, 0, 0, 0, 0, 0];
    rest.extend(&quoted[..28]);
    let checksum = !fold(sum(&rest));
    rest[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = ip(ICMP, SERVER, PUBLIC, 0, &rest);
    translate(&mut packet, End::Destination, CLIENT);
    assert_eq!(fold(sum(&packet[20..])), 0xffff, "the ICMP checksum");
    assert_eq!(packet[28 + 12..28 + 16], CLIENT.octets(), "the quoted source is the client again");
    assert_eq!(packet[28 + 16..28 + 20], SERVER.octets());
    assert_eq!(fold(sum(&packet[28..48])), 0xffff, "the quoted header's");
}

#[test]
fn an_icmp_echo_is_left_as_it_is() {
    let mut rest = vec![8, 0, 0, 0, 0, 0, 0, 0];
    rest.extend(udp(b"looks like a packet"));
    let mut packet = ip(ICMP, CLIENT, SERVER, 0, &rest);
    translate(&mut packet, End::Source, PUBLIC);
    assert_eq!(packet[20..], rest);
}

#[test]
fn what_is_not_a_whole_ipv4_packet_is_refused() {
    let good = udp(b"hello!");
    for length in 0..good.len() {
        assert!(Packet::parse(&mut good[..length].to_vec()).is_none(), "{length} bytes");
    }
    let changed = |offset: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[offset] = value;
        bytes
    };
    for mut bad in [changed(0, 0x65), changed(0, 0x44), changed(0, 0x4f), changed(3, 19), changed(2, 1)] {
        assert!(Packet::parse(&mut bad).is_none(), "{bad:?}");
    }
}

#[test]
fn no_bytes_make_translation_panic() {
    // Headers that promise more than there is.
    for protocol in [ICMP, TCP, UDP] {
        for rest in 0..40 {
            let body = vec![3; rest];
            let mut packet = ip(protocol, CLIENT, SERVER, 0, &body);
            translate(&mut packet, End::Source, PUBLIC);
            assert_eq!(packet.len(), 20 + rest);
        }
    }
}
