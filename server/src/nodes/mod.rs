//! The nodes of a cluster, and what they say to each other.
//!
//! Absent on purpose: any text of a message but in hints on their way, which a receiver may drop at will.

mod certificates;
mod events;
mod joining;
pub(crate) mod link;
pub(crate) mod message;
mod node;
mod observed;
mod registry;
mod sessions;
mod sweeping;
mod telling;

use std::fmt;
use std::net::SocketAddr;

pub(crate) use crate::rows::NodeNumber;
pub use certificates::{ClusterAuthority, ClusterCertificate, ClusterCertificateError};
pub(crate) use node::{JoinError, Node, NodeOptions};

/// SHA-256 of a certificate, as DER.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) const fn new(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    pub(crate) const fn get(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

/// Another node, as its row in the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) number: NodeNumber,
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
}
