//! A host: its links, its NAT, its sockets, and what is on its way to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use fulmar_network_model::{Fate, Link, LinkOptions, Profile};

use super::counters::{Cause, Counters};
use super::inbox::{Inbox, InboxOptions};
use super::limits::{CAPTURED_PACKETS_MAX, EPHEMERAL_PORTS, PACKETS_IN_FLIGHT_MAX};
use super::nat::Nat;
use super::packet::{Direction, Packet, Tap, Verdict};

/// The phase of a host's tunnels and handovers lies within this.
const PHASE_SECONDS_MAX: u64 = 3_600;

/// See the module.
pub(super) struct HostState {
    /// What the network knows it by: its own address or, behind a NAT, the NAT's.
    pub(super) address: IpAddr,
    pub(super) up: Link,
    pub(super) down: Link,
    phase: Duration,
    pub(super) nat: Nat,
    pub(super) behind_nat: bool,
    pub(super) udp_blocked: bool,
    pub(super) paused: bool,
    pub(super) inbox: InboxOptions,
    pub(super) counters: Counters,
    pub(super) tap: Option<Tap>,
    pub(super) captured: Option<Vec<Packet>>,
    /// Under way to this host, by when they come to its end of the backbone.
    coming: BTreeMap<(Duration, u64), Packet>,
    sockets: BTreeMap<u16, Inbox>,
    next_port: u16,
    bindings: u64,
    arrivals: u64,
}

impl std::fmt::Debug for HostState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostState").field("address", &self.address).finish_non_exhaustive()
    }
}

impl HostState {
    pub(super) fn new(address: IpAddr, profile: &Profile, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let phase = Duration::from_millis(random.random_range(0..PHASE_SECONDS_MAX * 1_000));
        Self {
            address,
            up: Link::new(LinkOptions { phase, ..profile.up }, random.random()),
            down: Link::new(LinkOptions { phase, ..profile.down }, random.random()),
            phase,
            nat: Nat::new(),
            behind_nat: false,
            udp_blocked: false,
            paused: false,
            inbox: InboxOptions::default(),
            counters: Counters::default(),
            tap: None,
            captured: None,
            coming: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next_port: *EPHEMERAL_PORTS.start(),
            bindings: 0,
            arrivals: 0,
        }
    }

    pub(super) fn set_profile(&mut self, profile: &Profile) {
        self.up.set_options(LinkOptions { phase: self.phase, ..profile.up });
        self.down.set_options(LinkOptions { phase: self.phase, ..profile.down });
    }

    /// What the host takes its own address to be.
    pub(super) fn own_address(&self) -> IpAddr {
        match self.address {
            address if !self.behind_nat => address,
            IpAddr::V4(_) => Ipv4Addr::new(192, 168, 1, 2).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2).into(),
        }
    }

    /// Takes a port, the next free one for 0; and the number of this binding.
    pub(super) fn bind(&mut self, port: u16) -> Option<(u16, u64)> {
        let port = if port == 0 { self.free_port()? } else { port };
        if self.sockets.contains_key(&port) {
            return None;
        }
        self.bindings += 1;
        self.sockets.insert(port, Inbox::new(self.bindings));
        Some((port, self.bindings))
    }

    fn free_port(&mut self) -> Option<u16> {
        for _ in EPHEMERAL_PORTS {
            let port = self.next_port;
            self.next_port = if port >= *EPHEMERAL_PORTS.end() { *EPHEMERAL_PORTS.start() } else { port + 1 };
            if !self.sockets.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }

    /// Frees a port, and hands out what was there: it must be dropped when the host is unlocked again.
    pub(super) fn unbind(&mut self, port: u16, binding: u64) -> Option<Inbox> {
        if self.is_bound(port, binding) { self.sockets.remove(&port) } else { None }
    }

    pub(super) fn is_bound(&self, port: u16, binding: u64) -> bool {
        self.sockets.get(&port).is_some_and(|inbox| inbox.binding == binding)
    }

    /// Frees all ports, as [`unbind`](Self::unbind) does one.
    pub(super) fn crash(&mut self) -> BTreeMap<u16, Inbox> {
        std::mem::take(&mut self.sockets)
    }

    pub(super) fn inbox_of(&mut self, port: u16, binding: u64) -> Option<&mut Inbox> {
        self.sockets.get_mut(&port).filter(|inbox| inbox.binding == binding)
    }

    /// Runs again, or is set otherwise: whoever waits looks anew.
    pub(super) fn wake_all(&mut self) {
        self.sockets.values_mut().for_each(Inbox::wake_all);
    }

    /// Everything that is on its way behind the NAT is lost.
    pub(super) fn lose_coming(&mut self, now: Duration) {
        for inbox in self.sockets.values_mut() {
            inbox.admit(now, &self.inbox, &mut self.counters);
            inbox.lose_coming(&mut self.counters);
        }
    }

    /// A packet of one of the sockets: when copies of it come to the backbone's far side, and as what.
    pub(super) fn leave(&mut self, now: Duration, packet: Packet) -> Vec<(Duration, Packet)> {
        self.advance(now);
        let bytes = packet.payload.len();
        self.counters.sent.add(bytes);
        if let Some(captured) = self.captured.as_mut().filter(|list| list.len() < CAPTURED_PACKETS_MAX) {
            captured.push(packet.clone());
        }
        let Some(extra) = self.pass_tap(&packet) else { return Vec::new() };
        let fate = self.up.offer(now, bytes);
        if let Fate::Dropped(cause) = fate {
            self.counters.drop(Direction::Up, Cause::Link(cause), bytes);
            return Vec::new();
        }
        let port = packet.from.port();
        let port = if self.behind_nat { self.nat.outbound(now, port) } else { port };
        let packet = Packet { from: SocketAddr::new(self.address, port), ..packet };
        fate.arrivals().map(|at| (at.saturating_add(extra), packet.clone())).collect()
    }

    /// A packet for this host, which comes to its end of the backbone then.
    pub(super) fn expect(&mut self, at: Duration, sequence: u64, packet: Packet) {
        if self.coming.len() >= PACKETS_IN_FLIGHT_MAX {
            self.counters.drop(Direction::Down, Cause::TooManyInFlight, packet.payload.len());
            return;
        }
        let is_next = self.coming.first_key_value().is_none_or(|(next, _)| (at, sequence) < *next);
        self.coming.insert((at, sequence), packet);
        if is_next {
            self.sockets.values_mut().for_each(Inbox::wake_reader);
        }
    }

    /// Moves on what has become due.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(next) = self.coming.first_entry().filter(|next| next.key().0 <= now) {
            let ((at, _), packet) = next.remove_entry();
            let bytes = packet.payload.len();
            if let Err(cause) = self.arrive(at, packet) {
                self.counters.drop(Direction::Down, cause, bytes);
            }
        }
    }

    fn arrive(&mut self, at: Duration, packet: Packet) -> Result<(), Cause> {
        if packet.to.ip() != self.address {
            return Err(Cause::Moved);
        }
        let port = packet.to.port();
        let port = if self.behind_nat { self.nat.inbound(at, port).ok_or(Cause::NatUnmapped)? } else { port };
        let to = SocketAddr::new(self.own_address(), port);
        let packet = Packet { to, direction: Direction::Down, ..packet };
        let Some(extra) = self.pass_tap(&packet) else { return Ok(()) };
        let fate = self.down.offer(at, packet.payload.len());
        if let Fate::Dropped(cause) = fate {
            return Err(Cause::Link(cause));
        }
        let inbox = self.sockets.get_mut(&port).ok_or(Cause::PortClosed)?;
        inbox.admit(at, &self.inbox, &mut self.counters);
        for arrival in fate.arrivals() {
            self.arrivals += 1;
            inbox.expect(arrival.saturating_add(extra), self.arrivals, packet.clone())?;
        }
        Ok(())
    }

    /// How much longer a packet takes by the tap's verdict; none: it is gone, and counted.
    fn pass_tap(&mut self, packet: &Packet) -> Option<Duration> {
        let verdict = self.tap.as_mut().map_or(Verdict::Pass, |tap| tap(packet));
        let bytes = packet.payload.len();
        if verdict == Verdict::Drop {
            self.counters.drop(packet.direction, Cause::Tap, bytes);
            return None;
        }
        if self.udp_blocked {
            self.counters.drop(packet.direction, Cause::UdpBlocked, bytes);
            return None;
        }
        match verdict {
            Verdict::Delay(extra) => Some(extra),
            _ => Some(Duration::ZERO),
        }
    }

    /// The next packet for a socket, if the host has got round to one.
    pub(super) fn read(&mut self, now: Duration, port: u16, binding: u64) -> Option<Packet> {
        if self.paused {
            return None;
        }
        let inbox = self.sockets.get_mut(&port).filter(|inbox| inbox.binding == binding)?;
        inbox.admit(now, &self.inbox, &mut self.counters);
        let packet = inbox.read(now, &self.inbox)?;
        self.counters.received.add(packet.payload.len());
        Some(packet)
    }

    /// When there may be something for a socket. None: not before somebody wakes its reader.
    pub(super) fn next_event(&mut self, port: u16, binding: u64) -> Option<Duration> {
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        let paused = self.paused;
        let options = self.inbox;
        let inbox = self.inbox_of(port, binding).filter(|_| !paused)?;
        coming.into_iter().chain(inbox.next_event(&options)).min()
    }
}
