//! What all hosts share: the clock, the addresses, the order of packets, the digest.
//!
//! Locks: a host's may be held while the backbone's is taken, never the other way round, and never two hosts'.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::counters::Cause;
use super::digest::Digest;
use super::host_state::HostState;
use super::packet::{Direction, Packet};

/// A host, shared by its handles, its sockets and the addresses.
pub(super) type HostCell = Arc<Mutex<HostState>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Backbone {
    start: Instant,
    seed: u64,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    hosts: BTreeMap<IpAddr, HostCell>,
    /// From whom nothing comes to whom.
    parted: BTreeSet<(IpAddr, IpAddr)>,
    sequence: u64,
    digest: Digest,
}

impl Backbone {
    pub(super) fn new(seed: u64) -> Self {
        let shared =
            Shared { hosts: BTreeMap::new(), parted: BTreeSet::new(), sequence: 0, digest: Digest::new() };
        Self { start: Instant::now(), seed, shared: Mutex::new(shared) }
    }

    pub(super) fn now(&self) -> Duration {
        Instant::now().saturating_duration_since(self.start)
    }

    pub(super) fn instant(&self, at: Duration) -> Instant {
        self.start + at
    }

    pub(super) fn digest(&self) -> u64 {
        self.shared.lock().digest.get()
    }

    /// What the host made at an address draws from.
    pub(super) fn seed_of(&self, address: IpAddr) -> u64 {
        let mut digest = Digest::new();
        digest.number(self.seed);
        digest.ip(address);
        digest.get()
    }

    /// The host at an address, made if there is none; and whether it was made.
    pub(super) fn host_at(&self, address: IpAddr, make: impl FnOnce() -> HostState) -> (HostCell, bool) {
        let mut shared = self.shared.lock();
        if let Some(host) = shared.hosts.get(&address) {
            return (Arc::clone(host), false);
        }
        let host = Arc::new(Mutex::new(make()));
        shared.hosts.insert(address, Arc::clone(&host));
        (host, true)
    }

    /// Gives a host's place to another address, unless that is taken.
    pub(super) fn move_host(&self, from: IpAddr, to: IpAddr) -> bool {
        let mut shared = self.shared.lock();
        if from == to {
            return true;
        }
        if shared.hosts.contains_key(&to) {
            return false;
        }
        if let Some(host) = shared.hosts.remove(&from) {
            shared.hosts.insert(to, host);
        }
        true
    }

    /// Takes a packet that comes to the far side of the backbone at a moment. Whether somebody is there.
    pub(super) fn carry(&self, at: Duration, packet: Packet) -> bool {
        let (host, sequence) = {
            let mut shared = self.shared.lock();
            shared.digest.packet(at, packet.from, packet.to, packet.payload.len());
            if shared.parted.contains(&(packet.from.ip(), packet.to.ip())) {
                return true;
            }
            let Some(host) = shared.hosts.get(&packet.to.ip()).map(Arc::clone) else { return false };
            shared.sequence += 1;
            (host, shared.sequence)
        };
        let mut host = host.lock();
        host.advance(self.now());
        host.expect(at, sequence, packet);
        true
    }

    /// Loses whatever one host sends to another from now on; or carries it again.
    pub(super) fn part(&self, from: IpAddr, to: IpAddr, parted: bool) {
        let pairs = &mut self.shared.lock().parted;
        if parted {
            pairs.insert((from, to));
        } else {
            pairs.remove(&(from, to));
        }
    }

    /// Notes that a packet was read.
    pub(super) fn note_read(&self, at: Duration, from: SocketAddr, to: SocketAddr, bytes: usize) {
        self.shared.lock().digest.packet(at, from, to, bytes);
    }

    /// Sends a packet of a host's.
    pub(super) fn send(&self, host: &HostCell, packet: Packet) {
        let leaving = host.lock().leave(self.now(), packet);
        for (at, packet) in leaving {
            let bytes = packet.payload.len();
            if !self.carry(at, packet) {
                host.lock().counters.drop(Direction::Up, Cause::NoHost, bytes);
            }
        }
    }
}
