//! The links between nodes: QUIC with mutual TLS.
//!
//! Every node dials every other: a connection carries messages one way, from the node that dialled it. Sending
//! never waits: what finds the queue of its peer full is dropped and counted, because a lost message only delays.
//! Messages to one peer arrive in the order in which they were sent, as long as a link lasts; what was on its way
//! when one ends may be lost.
//!
//! Absent: any order between peers, and any promise that what was sent has arrived.

mod accept;
mod credentials;
mod dial;
mod frames;
mod hello;
mod queue;
mod shared;
#[cfg(test)]
mod tests;
mod tuning;

use std::io;
use std::sync::Arc;

use fulmar_protocol::Epoch;
use parking_lot::Mutex;
use quinn::{AsyncUdpSocket, ClientConfig, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustls::time_provider::TimeProvider;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use credentials::{NODE_NAME, NodeCredentials};

use super::message::Message;
use super::{Fingerprint, NodeNumber, Peer};
use crate::clock::Rng;
use crate::limits::LINK_EVENTS_MAX;
use crate::metrics::Metrics;
use hello::Versions;
use shared::{Known, Shared};

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

/// What came over the links. Told in order for each link; a link that a peer dialled and the one to it are two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// A peer sent this. May come before `Up` of that peer, and after `Down`.
    Message { from: NodeNumber, message: Message },
    /// Messages to this peer get through from now on.
    Up(NodeNumber),
    /// They do not any more, or it is no peer any more. What was on its way may be lost.
    Down(NodeNumber),
}

/// The links of this node to all others. Cheap to clone; dropping the last one closes them.
#[derive(Clone)]
pub(crate) struct Links(Arc<Open>);

/// Closes the links when it is dropped. The tasks hold what is inside.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Links {
    /// Listens, and dials whomever [`Links::set_peers`] names. To be called in a tokio runtime. Whoever holds the
    /// receiver takes the events at once: while it is full no link is read.
    pub(crate) fn start(options: LinkOptions) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkError> {
        Self::start_with(options, Versions::SPOKEN)
    }

    fn start_with(
        options: LinkOptions,
        versions: Versions,
    ) -> Result<(Self, mpsc::Receiver<LinkEvent>), LinkError> {
        let LinkOptions { number, deployment, credentials, socket, seed, time, metrics } = options;
        credentials.verify(&time)?;
        let tls = credentials.into_tls(&time)?;
        let transport = Arc::new(tuning::transport());
        let mut server = ServerConfig::with_crypto(Arc::new(tls.server));
        server.transport_config(Arc::clone(&transport)).max_incoming(tuning::INCOMING_MAX);
        let mut client = ClientConfig::new(Arc::new(tls.client));
        client.transport_config(transport);
        let mut config = EndpointConfig::default();
        config.rng_seed(seed);
        let endpoint =
            Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))?;
        let (events, receiver) = mpsc::channel(LINK_EVENTS_MAX);
        let shared = Arc::new(Shared {
            endpoint,
            client,
            fingerprint: tls.fingerprint,
            deployment,
            versions,
            rng: rng(seed)?,
            metrics,
            events,
            number: watch::Sender::new(number),
            known: Mutex::new(Known::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        shared.tasks.spawn(accept::accept_all(Arc::clone(&shared)));
        Ok((Self(Arc::new(Open(shared))), receiver))
    }

    /// The fingerprint of this node's own certificate, for its row.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.0.0.fingerprint
    }

    /// The node lost its lease and took a new number: all links are closed and made anew.
    pub(crate) fn set_number(&self, number: NodeNumber) {
        self.0.0.set_number(number);
    }

    /// The other nodes, as last read from the store. New ones are dialled, gone ones let go. This node's own number
    /// may be among them and is passed over.
    pub(crate) fn set_peers(&self, peers: Vec<Peer>) {
        self.0.0.set_peers(peers);
    }

    /// Puts a message into the queue of a peer; it waits there while the peer is dialled. False: the peer is not
    /// known, its queue is full or the message too long; it is dropped and counted.
    pub(crate) fn send(&self, to: NodeNumber, message: Message) -> bool {
        let shared = &self.0.0;
        let kind = message.kind();
        let queue = shared.queue_of(to);
        let taken = queue.is_some_and(|queue| message.encode().is_some_and(|encoded| queue.push(encoded)));
        if taken {
            shared.metrics.node_messages_sent.increment(1);
        } else {
            shared.metrics.node_message_dropped(kind);
        }
        taken
    }

    /// The same to all peers. What finds a queue full is dropped there, and counted.
    pub(crate) fn broadcast(&self, message: Message) {
        let shared = &self.0.0;
        let kind = message.kind();
        let Some(encoded) = message.encode() else {
            shared.metrics.node_message_dropped(kind);
            return;
        };
        let taken = shared.push_to_all(&encoded, || shared.metrics.node_message_dropped(kind));
        shared.metrics.node_messages_sent.increment(taken);
    }

    /// Whether no other node is known.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.0.is_alone()
    }

    /// Ends all links and takes no more. Whatever waited is lost.
    pub(crate) fn close(&self) {
        self.0.0.close();
    }

    /// Waits, after [`Links::close`], until the peers have been told and the socket is free.
    pub(crate) async fn closed(&self) {
        self.0.0.tasks.wait().await;
        self.0.0.endpoint.wait_idle().await;
    }
}

fn rng(seed: Option<[u8; 32]>) -> io::Result<Rng> {
    match seed {
        Some([a, b, c, d, e, f, g, h, ..]) => Ok(Rng::seeded(u64::from_be_bytes([a, b, c, d, e, f, g, h]))),
        None => Rng::from_os(),
    }
}
