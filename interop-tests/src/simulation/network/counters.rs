//! What a host sent, received and lost, and why.

use std::collections::BTreeMap;

use fulmar_network_model::DropCause;

use super::packet::Direction;

/// Why a packet did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The link dropped it.
    Link(DropCause),
    /// A tap did.
    Tap,
    /// The network lets no UDP through.
    UdpBlocked,
    /// Nobody has the address it was for (counted where it came from).
    NoHost,
    /// The host left the address while the packet was on its way.
    Moved,
    /// The NAT has no such mapping (any more).
    NatUnmapped,
    /// No socket has the port.
    PortClosed,
    /// The socket had no room.
    InboxFull,
    /// More are on their way than the simulation holds.
    TooManyInFlight,
}

/// A number of packets, and the bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets.
    pub packets: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
}

impl Tally {
    /// What was added since an earlier state of it.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// See the module. A packet that is duplicated is sent once and received twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// What its sockets sent, whatever became of it.
    pub sent: Tally,
    /// What its sockets read.
    pub received: Tally,
    dropped: BTreeMap<(Direction, Cause), Tally>,
}

impl Counters {
    /// What was dropped for a cause.
    #[must_use]
    pub fn dropped(&self, direction: Direction, cause: Cause) -> Tally {
        self.dropped.get(&(direction, cause)).copied().unwrap_or_default()
    }

    /// All that was dropped, by direction and cause.
    pub fn all_dropped(&self) -> impl Iterator<Item = (Direction, Cause, Tally)> + '_ {
        self.dropped.iter().map(|((direction, cause), tally)| (*direction, *cause, *tally))
    }

    pub(super) fn drop(&mut self, direction: Direction, cause: Cause, bytes: usize) {
        self.dropped.entry((direction, cause)).or_default().add(bytes);
    }
}
