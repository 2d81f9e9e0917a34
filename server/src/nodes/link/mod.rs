//! The links between nodes: QUIC with mutual TLS.
//!
//! Every node dials every other: a connection carries messages one way, from the node that dialled it. Sending
//! never waits: what finds the queue of its peer full is dropped and counted, because a lost message only delays.
//!
//! Absent: any order between messages to different peers, and any promise that what was sent has arrived.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use fulmar_protocol::Epoch;
use quinn::AsyncUdpSocket;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc;

use super::message::Message;
use super::{Fingerprint, NodeNumber, Peer};
use crate::metrics::Metrics;

/// What a node proves with who it is, and judges others by.
pub(crate) struct NodeCredentials {
    /// The certificates of the cluster's authority; no other authority counts.
    pub(crate) authority: Vec<CertificateDer<'static>>,
    /// The node's certificate, and those between it and the authority's.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// What links are started with.
pub(crate) struct LinkOptions {
    pub(crate) number: NodeNumber,
    /// The epoch of the store: nodes of another one get no link.
    pub(crate) deployment: Epoch,
    pub(crate) credentials: NodeCredentials,
    pub(crate) socket: Arc<dyn AsyncUdpSocket>,
    /// What QUIC, and the waits before dialling again, are drawn from; none: the machine's randomness.
    pub(crate) seed: Option<[u8; 32]>,
    /// The time by which certificates are judged.
    pub(crate) time: Arc<dyn TimeProvider>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why links cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the node's certificate, its key or the authority cannot be used: {0}")]
    Credentials(String),
    #[error("the socket for other nodes cannot be used: {0}")]
    Socket(#[from] io::Error),
}

/// What came over the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// A peer sent this.
    Message { from: NodeNumber, message: Message },
    /// Messages to this peer get through from now on.
    Up(NodeNumber),
    /// They do not any more. What was on its way may be lost.
    Down(NodeNumber),
}

/// The links of this node to all others. Cheap to clone; dropping the last one closes them.
#[derive(Clone)]
pub(crate) struct Links {}

#[expect(unused_variables, clippy::unused_self, reason = "bodies follow")]
impl Links {
    /// Listens, and dials whomever [`Links::set_peers`] names. To be called in a tokio runtime. Whoever holds the
    /// receiver takes the events at once: while it is full no link is read.
    pub(crate) fn start(options: LinkOptions) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkError> {
        Err(LinkError::Credentials("not yet".to_owned()))
    }

    /// The fingerprint of this node's own certificate, for its row.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new([0; 32])
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The node lost its lease and took a new number: all links are closed and made anew.
    pub(crate) fn set_number(&self, number: NodeNumber) {}

    /// The other nodes, as last read from the store. New ones are dialled, gone ones let go. This node's own number
    /// may be among them and is passed over.
    pub(crate) fn set_peers(&self, peers: Vec<Peer>) {}

    /// Puts a message into the queue of a peer. False: the peer is not known or its queue is full; the message is
    /// dropped and counted.
    pub(crate) fn send(&self, to: NodeNumber, message: Message) -> bool {
        false
    }

    /// The same to all peers.
    pub(crate) fn broadcast(&self, message: Message) {}

    /// Whether no other node is known.
    pub(crate) fn is_alone(&self) -> bool {
        true
    }

    /// Ends all links and takes no more. Whatever waited is lost.
    pub(crate) fn close(&self) {}
}
