//! A network of UDP hosts under tokio's clock.
//!
//! Every host hangs by two links (`fulmar_network_model`), up and down, on a backbone that takes no time and loses
//! nothing. A packet passes the sender's tap, its up link and its NAT; waits on the receiver's side of the
//! backbone until it has come so far; then passes the receiver's NAT, tap and down link; and waits at its socket
//! until it has arrived. No task moves packets: whoever reads, sends or turns a knob first moves on what has
//! become due, and a reader sleeps until the next thing is due.
//!
//! Invariants:
//! - Two networks with one seed, whose hosts are used alike at the same times, do the same to every packet
//!   ([`Network::digest`]). What a host draws depends on the seed and its address, not on when it was made.
//! - A link sees its packets in the order of their times, and each knob as it was at that time.
//! - Every queue is bounded (`limits.rs`) and says what it dropped ([`Host::counters`]).
//!
//! tokio's timers count whole milliseconds: a packet is read up to one millisecond after it arrived. Times
//! between are kept exactly in the order of packets, in links and in the digest.
//!
//! Absent on purpose: anything but UDP, routes, ICMP (a packet to nobody vanishes), fragments. IPv4 and IPv6
//! are not translated into each other. Hosts are as many as a test makes; one never goes away.

mod backbone;
mod counters;
mod digest;
mod host;
mod host_state;
mod inbox;
mod limits;
mod nat;
mod packet;
mod socket;

pub use counters::{Cause, Counters, Tally};
pub use host::Host;
pub use inbox::InboxOptions;
pub use limits::NAT_TIMEOUT_DEFAULT;
pub use packet::{Direction, Packet, Tap, Verdict};
pub use socket::receive;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fulmar_network_model::Profile;

use self::backbone::Backbone;

/// The network; clones are handles to the same one.
///
/// Made and used within a tokio runtime, as a rule a `current_thread` one whose clock is paused.
#[derive(Clone)]
pub struct Network {
    backbone: Arc<Backbone>,
}

impl Network {
    /// An empty network. Its time begins now.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { backbone: Arc::new(Backbone::new(seed)) }
    }

    /// Nothing passes between two hosts, either way, from now on; or passes again.
    pub fn part(&self, one: IpAddr, other: IpAddr, parted: bool) {
        self.backbone.part(one, other, parted);
        self.backbone.part(other, one, parted);
    }

    /// The host at an address: a new one with this profile, or the one that is there, with this profile from
    /// now on.
    #[must_use]
    pub fn host(&self, address: IpAddr, profile: &Profile) -> Host {
        Host::at(Arc::clone(&self.backbone), address, profile)
    }

    /// Puts a packet into the backbone as if it came from `packet.from`, whoever that is: no link, no tap and no
    /// NAT of a sender. Whether anybody has the address it is for.
    pub fn inject(&self, packet: Packet) -> bool {
        self.backbone.carry(self.backbone.now(), packet)
    }

    /// A hash over time, addresses and length of every packet that entered the backbone, and of every one that was
    /// read. Two runs that differ in it differed.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.backbone.digest()
    }

    /// How long the network has been running: the time that outages of its links count in.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.backbone.now()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("now", &self.now()).finish_non_exhaustive()
    }
}
