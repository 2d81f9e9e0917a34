//! A UDP packet, and what a tap may do with it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quinn::udp::EcnCodepoint;

/// From a host into the network, or from the network to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the host.
    Up,
    /// To the host.
    Down,
}

impl Direction {
    /// Both, for what takes a list.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// A packet, as a tap, a capture or an injection has it.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Which way it goes, seen from the host whose tap or capture has it.
    pub direction: Direction,
    /// Whom it says it is from: going up the host's own address behind a NAT, else the public one.
    pub from: SocketAddr,
    /// Whom it is for: going down the host's own address behind a NAT, else the public one.
    pub to: SocketAddr,
    /// The congestion mark.
    pub ecn: Option<EcnCodepoint>,
    /// The UDP payload.
    pub payload: Bytes,
}

/// What becomes of a packet that a tap has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It is gone (`Cause::Tap`).
    Drop,
    /// It goes on, and takes so much longer than its link makes it.
    Delay(Duration),
}

/// Sees every packet of a host, before its link. It runs while the host is locked: it must not use the host.
pub type Tap = Box<dyn FnMut(&Packet) -> Verdict + Send>;
