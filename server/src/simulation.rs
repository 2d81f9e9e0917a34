//! What a simulated server has in place of the machine's own: a socket, the randomness of QUIC, the time by
//! which certificates and tickets are judged, a disk.
//!
//! All on one thread, under the runtime's paused clock, so that a run can be repeated from a seed. Such a server
//! has no admin port. What TLS draws at random stays random: keys and nonces have a fixed length and reach
//! nobody's timing.

use std::sync::Arc;

use quinn::{AsyncUdpSocket, TransportConfig};
use rustls::time_provider::TimeProvider;

use crate::store::{MemoryDisk, SharedHandle};

/// A last word on how QUIC is set: what a measurement varies.
pub type Tune = fn(&mut TransportConfig);

/// See the module.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// Where the server listens.
    pub socket: Arc<dyn AsyncUdpSocket>,
    /// Where it listens for other nodes, in a cluster.
    pub node_socket: Option<Arc<dyn AsyncUdpSocket>>,
    /// What QUIC draws its connection ids and gaps from.
    pub seed: [u8; 32],
    /// The time of day.
    pub time: Arc<dyn TimeProvider>,
    /// Its store.
    pub store: SimulatedStore,
    /// What of QUIC's settings is other than in earnest.
    pub transport: Option<Tune>,
}

/// What a simulated server has for a store.
#[derive(Clone, Debug)]
pub enum SimulatedStore {
    /// A store of its own on this disk.
    Own(MemoryDisk),
    /// Its handle on a store that several servers share.
    Shared(SharedHandle),
}
