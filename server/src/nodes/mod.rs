//! The nodes of a cluster, and what they say to each other.
//!
//! Absent on purpose: any text of a message but in hints on their way, which a receiver may drop at will.

mod certificates;
pub(crate) mod link;
pub(crate) mod message;

use std::fmt;
use std::net::SocketAddr;

pub use certificates::{ClusterAuthority, ClusterCertificate, ClusterCertificateError};

/// The number of a node: new at each start, and whenever its lease was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeNumber(u64);

impl NodeNumber {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for NodeNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

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
