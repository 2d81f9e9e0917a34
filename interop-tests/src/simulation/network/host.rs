//! The handle of a host: its sockets, and the knobs of its network.
//!
//! Each knob first moves on what is due, so that a packet sees its network as it was when it passed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;
use quinn::AsyncUdpSocket;

use fulmar_network_model::{LinkOptions, Profile};

use super::backbone::{Backbone, HostCell};
use super::counters::Counters;
use super::host_state::HostState;
use super::inbox::InboxOptions;
use super::packet::{Direction, Packet, Tap};
use super::socket::Socket;

/// A host; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct Host {
    backbone: Arc<Backbone>,
    state: HostCell,
}

impl Host {
    pub(super) fn at(backbone: Arc<Backbone>, address: IpAddr, profile: &Profile) -> Self {
        let seed = backbone.seed_of(address);
        let (state, is_new) = backbone.host_at(address, || HostState::new(address, profile, seed));
        let host = Self { backbone, state };
        if !is_new {
            host.set_profile(profile);
        }
        host
    }

    /// The state as it is now.
    fn state(&self) -> MutexGuard<'_, HostState> {
        let mut state = self.state.lock();
        state.advance(self.backbone.now());
        state
    }

    /// The address that others reach it by (behind a NAT: the NAT's).
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.state().address
    }

    /// A socket on all of the host's addresses. Port 0 is the next free one.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: the port is taken, or none is free.
    pub fn bind(&self, port: u16) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let bound = self.state().bind(port);
        let (port, binding) = bound.ok_or(io::ErrorKind::AddrInUse)?;
        Ok(Arc::new(Socket::new(Arc::clone(&self.backbone), Arc::clone(&self.state), port, binding)))
    }

    /// Another network from now on; what is on its way arrives when it was to. A blackout stays.
    pub fn set_profile(&self, profile: &Profile) {
        self.state().set_profile(profile);
    }

    /// Another network from now on, given as links. Their `phase` is taken as it is. A blackout stays.
    pub fn set_links(&self, up: LinkOptions, down: LinkOptions) {
        let mut state = self.state();
        state.up.set_options(up);
        state.down.set_options(down);
    }

    /// Nothing passes in these directions until [`restore`](Self::restore); what is past the link arrives.
    pub fn blackout(&self, directions: &[Direction]) {
        self.switch_off(directions, true);
    }

    /// Ends a blackout, in both directions.
    pub fn restore(&self) {
        self.switch_off(&Direction::BOTH, false);
    }

    fn switch_off(&self, directions: &[Direction], off: bool) {
        let mut state = self.state();
        for direction in directions {
            match direction {
                Direction::Up => state.up.switch_off(off),
                Direction::Down => state.down.switch_off(off),
            }
        }
    }

    /// A network that lets no UDP through, either way; or again does.
    pub fn block_udp(&self, blocked: bool) {
        self.state().udp_blocked = blocked;
    }

    /// Puts the host behind a NAT, which has the host's address from now on, or takes the NAT away. The host
    /// itself then has a private address, and its ports are mapped to public ones as it sends.
    pub fn nat(&self, behind: bool) {
        let mut state = self.state();
        state.behind_nat = behind;
        state.nat.forget();
    }

    /// How long a mapping of the NAT lives without a packet; 30 s unless set.
    pub fn set_nat_timeout(&self, timeout: Duration) {
        self.state().nat.set_timeout(timeout);
    }

    /// The NAT forgets its mappings: what comes to the old ones is dropped, and what is sent gets new ports.
    pub fn rebind_nat(&self) {
        self.state().nat.forget();
    }

    /// Another address, as on another network (behind a NAT: another NAT). What is on its way to the host is
    /// lost.
    ///
    /// # Errors
    ///
    /// `AddrInUse`: another host has it, and nothing changed.
    pub fn move_to(&self, address: IpAddr) -> io::Result<()> {
        let from = self.state().address;
        if !self.backbone.move_host(from, address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let now = self.backbone.now();
        let mut state = self.state();
        state.lose_coming(now);
        state.nat.forget();
        state.address = address;
        Ok(())
    }

    /// Its processes die: their sockets never send or receive again, without knowing it. The ports are free.
    pub fn crash(&self) {
        let sockets = self.state().crash();
        drop(sockets);
    }

    /// Its processes stand still: they read nothing and cannot send; what arrives waits as far as there is room.
    /// Timers of theirs still go off.
    pub fn pause(&self) {
        self.state().paused = true;
    }

    /// They go on.
    pub fn resume(&self) {
        let mut state = self.state();
        state.paused = false;
        state.wake_all();
    }

    /// How much may wait at its sockets, and how fast they are read.
    pub fn set_inbox(&self, options: InboxOptions) {
        let mut state = self.state();
        state.inbox = options;
        state.wake_all();
    }

    /// What it sent, received and lost so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.state().counters.clone()
    }

    /// Shows every packet, both ways, to a tap, in place of the one before.
    pub fn tap(&self, tap: Tap) {
        // The old one may own what locks the host when it is dropped.
        let old = self.state().tap.replace(tap);
        drop(old);
    }

    /// Takes the tap off.
    pub fn untap(&self) {
        let old = self.state().tap.take();
        drop(old);
    }

    /// From now on keeps what its sockets send (the first 1,024 packets), whatever becomes of it.
    pub fn capture(&self) {
        self.state().captured = Some(Vec::new());
    }

    /// What was sent since [`capture`](Self::capture), which ends.
    #[must_use]
    pub fn captured(&self) -> Vec<Packet> {
        self.state().captured.take().unwrap_or_default()
    }

    /// Sends a packet as if a socket of this host had, from its own address and the packet's source port.
    pub fn inject(&self, packet: Packet) {
        let from = SocketAddr::new(self.state().own_address(), packet.from.port());
        self.backbone.send(&self.state, Packet { from, direction: Direction::Up, ..packet });
    }
}
