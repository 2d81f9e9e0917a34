//! The address translator of the client's provider: the server sees the client under a public address, and an address
//! change gives it another one. What is sent to an old one is dropped, as if nobody had ever been there.
//!
//! It translates one address to one, so ports stay as they are, and the client may have any number of sockets. Neither
//! client nor server is told of a change: UDP programs find out by what comes from elsewhere or does not come at all,
//! and a TCP connection is lost. Its client hears of that when it next sends, as the server refuses a segment of a
//! connection that it does not know from there.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicU32, Ordering},
};

use super::packet::{End, Packet};

/// The client's own address.
pub(super) const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The server's.
pub(super) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
/// The addresses that providers use between their translators (RFC 6598): the client gets one after the other.
const FIRST_PUBLIC: Ipv4Addr = Ipv4Addr::new(100, 64, 0, 1);
/// After so many the first comes again.
const PUBLIC_ADDRESSES: u32 = (1 << 22) - 2;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Nat {
    changes: AtomicU32,
}

impl Nat {
    /// Gives the client another address from now on, and says which.
    pub(super) fn roam(&self) -> Ipv4Addr {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.public()
    }

    /// How many times it did.
    pub(super) fn changes(&self) -> u32 {
        self.changes.load(Ordering::Relaxed)
    }

    /// What the server sees the client under.
    pub(super) fn public(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(FIRST_PUBLIC) + self.changes() % PUBLIC_ADDRESSES)
    }

    /// Translates a packet that leaves the client; false if it is from another address than the client's.
    pub(super) fn outbound(&self, packet: &mut Packet<'_>) -> bool {
        let is_known = packet.address(End::Source) == CLIENT;
        if is_known {
            packet.set_address(End::Source, self.public());
        }
        is_known
    }

    /// Translates a packet that reaches the client; false if it is for an address that the client does not have now.
    pub(super) fn inbound(&self, packet: &mut Packet<'_>) -> bool {
        let is_current = packet.address(End::Destination) == self.public();
        if is_current {
            packet.set_address(End::Destination, CLIENT);
        }
        is_current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet without contents, from and to these.
    fn packet(from: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0];
        bytes.extend(from.octets());
        bytes.extend(to.octets());
        bytes
    }

    fn outbound(nat: &Nat, from: Ipv4Addr) -> Option<Ipv4Addr> {
        let mut bytes = packet(from, SERVER);
        let mut packet = Packet::parse(&mut bytes).unwrap();
        nat.outbound(&mut packet).then(|| packet.address(End::Source))
    }

    fn inbound(nat: &Nat, to: Ipv4Addr) -> Option<Ipv4Addr> {
        let mut bytes = packet(SERVER, to);
        let mut packet = Packet::parse(&mut bytes).unwrap();
        nat.inbound(&mut packet).then(|| packet.address(End::Destination))
    }

    #[test]
    fn the_server_sees_the_public_address_and_answers_come_back() {
        let nat = Nat::default();
        let seen = outbound(&nat, CLIENT).unwrap();
        assert_eq!(seen, Ipv4Addr::new(100, 64, 0, 1));
        assert_eq!(inbound(&nat, seen), Some(CLIENT));
    }

    #[test]
    fn after_a_change_the_old_address_is_nobodys() {
        let nat = Nat::default();
        let old = nat.public();
        let new = nat.roam();
        assert_ne!(old, new);
        assert_eq!((outbound(&nat, CLIENT), nat.changes()), (Some(new), 1));
        assert_eq!((inbound(&nat, old), inbound(&nat, new)), (None, Some(CLIENT)));
    }

    #[test]
    fn others_addresses_are_not_translated() {
        let nat = Nat::default();
        assert_eq!(outbound(&nat, Ipv4Addr::new(192, 0, 2, 1)), None);
        assert_eq!(inbound(&nat, CLIENT), None);
    }

    #[test]
    fn addresses_stay_in_their_range_however_many_changes_there_are() {
        let nat = Nat::default();
        let range = |address: Ipv4Addr| matches!(address.octets(), [100, 64..=127, ..]);
        for changes in [PUBLIC_ADDRESSES - 1, PUBLIC_ADDRESSES, u32::MAX] {
            nat.changes.store(changes, Ordering::Relaxed);
            assert!(range(nat.public()) && range(nat.roam()), "{changes}");
        }
    }
}
