//! Local sockets: one per address family, opened when first needed and kept, on the wildcard address, so
//! that a change of network is followed; and what is remembered of the paths to servers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::ServerAddress;
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connecting, Connection, Endpoint, TransportConfig, VarInt};

use crate::environment::Environment;
use crate::error::ClientError;
use crate::limits;
use crate::rng::Rng;

/// The sockets of one client. Clones share them.
#[derive(Clone)]
pub(crate) struct Endpoints {
    config: ClientConfig,
    environment: Environment,
    rng: Arc<Mutex<Rng>>,
    open: Arc<Mutex<Open>>,
    paths: Arc<Mutex<Paths>>,
}

/// What is remembered of the paths to servers, as long as the client lives.
#[derive(Default)]
struct Paths {
    /// The address of the last session.
    last: Option<SocketAddr>,
    round_trips: BTreeMap<SocketAddr, Duration>,
    /// Addresses that are tried after all others: their servers took a connection and gave no session, or asked to be
    /// left.
    put_last: BTreeSet<SocketAddr>,
    /// What a server named when it asked to be left; tried before what is configured.
    named: Vec<ServerAddress>,
}

#[derive(Default)]
struct Open {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

impl Endpoints {
    pub(crate) fn new(tls: Arc<QuicClientConfig>, environment: Environment, rng: Rng) -> Self {
        let config = ClientConfig::new(tls);
        Self {
            config,
            environment,
            rng: Arc::new(Mutex::new(rng)),
            open: Arc::default(),
            paths: Arc::default(),
        }
    }

    /// Begins a connection. The round trip by which its first losses are judged is drawn anew each time: clients that
    /// lost a server at the same moment would otherwise all send their first packets again at the same moments.
    pub(crate) fn connect(&self, remote: SocketAddr, name: &str) -> Result<Connecting, ClientError> {
        let endpoint = self.reaching(remote)?;
        let round_trip = self.paths.lock().round_trips.get(&remote).copied();
        let round_trip = round_trip.map(|round_trip| {
            let round_trip = round_trip.clamp(limits::INITIAL_RTT_MIN, limits::INITIAL_RTT_MAX);
            self.rng.lock().duration(round_trip, round_trip + round_trip / 2)
        });
        let mut config = self.config.clone();
        let mut transport = transport_config(round_trip);
        self.environment.tune(&mut transport);
        config.transport_config(Arc::new(transport));
        endpoint.connect_with(config, remote, name).map_err(|error| {
            let (what, expected) =
                ("the server", format!("a name or address that can be connected to: {error}"));
            ClientError::ArgumentInvalid { what, expected }
        })
    }

    /// Remembers the path of a session, for the next one: its address is tried first, and its round trip is what
    /// the first loss is judged by.
    pub(crate) fn remember(&self, connection: &Connection) {
        let (address, round_trip) = (connection.remote_address(), connection.rtt());
        let mut paths = self.paths.lock();
        if paths.round_trips.len() >= limits::PATHS_MAX && !paths.round_trips.contains_key(&address) {
            paths.round_trips.pop_first();
        }
        paths.round_trips.insert(address, round_trip);
        paths.last = Some(address);
    }

    /// A session was opened: its address is as good as any again.
    pub(crate) fn opened(&self, connection: &Connection) {
        self.remember(connection);
        self.paths.lock().put_last.remove(&connection.remote_address());
    }

    /// The server at this address asks to be left, and names others.
    pub(crate) fn leave(&self, address: SocketAddr, named: Vec<ServerAddress>) {
        {
            let mut paths = self.paths.lock();
            // What is named anew is good again, for all that is known.
            for server in &named {
                if let Ok(host) = server.host().parse() {
                    paths.put_last.remove(&SocketAddr::new(host, server.port()));
                }
            }
            paths.named = named;
        }
        self.put_last(address);
    }

    /// Tries this address after all others from now on, until there was a session with it.
    pub(crate) fn put_last(&self, address: SocketAddr) {
        let mut paths = self.paths.lock();
        if paths.put_last.len() >= limits::PATHS_MAX {
            paths.put_last.pop_first();
        }
        paths.put_last.insert(address);
    }

    /// Forgets which addresses are to be tried last: on another network things may be otherwise.
    pub(crate) fn forgive(&self) {
        self.paths.lock().put_last.clear();
    }

    /// Whether the address is to be tried after all others.
    pub(crate) fn is_put_last(&self, address: SocketAddr) -> bool {
        self.paths.lock().put_last.contains(&address)
    }

    /// The servers to be tried: those that a server named, then the configured ones.
    pub(crate) fn servers(&self, configured: &[ServerAddress]) -> Vec<ServerAddress> {
        let mut servers = self.paths.lock().named.clone();
        let further: Vec<_> = configured.iter().filter(|server| !servers.contains(server)).cloned().collect();
        servers.extend(further);
        servers
    }

    /// How long an address is waited for before the next is tried beside it: longer where the path is known to be slow,
    /// or every connection would be begun at every server.
    pub(crate) fn head_start(&self, address: SocketAddr) -> Duration {
        let round_trip = self.paths.lock().round_trips.get(&address).copied().unwrap_or_default();
        (round_trip * 2).clamp(limits::ADDRESS_HEAD_START, limits::ADDRESS_HEAD_START_MAX)
    }

    /// The address of the last session.
    pub(crate) fn last(&self) -> Option<SocketAddr> {
        self.paths.lock().last
    }

    /// The endpoint that reaches `remote`.
    fn reaching(&self, remote: SocketAddr) -> Result<Endpoint, ClientError> {
        let mut open = self.open.lock();
        let slot = match remote {
            SocketAddr::V4(_) => &mut open.v4,
            SocketAddr::V6(_) => &mut open.v6,
        };
        if let Some(endpoint) = slot {
            return Ok(endpoint.clone());
        }
        let socket = |cause| ClientError::Socket { cause: Arc::new(cause) };
        let endpoint = self.environment.endpoint(remote).map_err(socket)?;
        *slot = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Moves to new sockets, so that packets leave by the addresses that the device has now. Connections move
    /// along; one whose socket cannot be replaced stays as it is.
    pub(crate) fn rebind(&self) {
        let open = self.open.lock();
        let families: [(_, SocketAddr); 2] =
            [(&open.v4, (Ipv4Addr::UNSPECIFIED, 0).into()), (&open.v6, (Ipv6Addr::UNSPECIFIED, 0).into())];
        for (endpoint, family) in families {
            if let Some(endpoint) = endpoint
                && let Err(error) =
                    self.environment.bind(family).and_then(|socket| endpoint.rebind_abstract(socket))
            {
                tracing::debug!(%error, "the socket stays as it is");
            }
        }
    }

    /// Waits until every connection has said its goodbye.
    pub(crate) async fn wait_idle(&self) {
        let open = {
            let open = self.open.lock();
            [open.v4.clone(), open.v6.clone()]
        };
        for endpoint in open.iter().flatten() {
            endpoint.wait_idle().await;
        }
    }
}

/// How QUIC is set in a client that remembers no path, for measurements that do without the rest of it.
#[must_use]
pub fn quic_transport() -> TransportConfig {
    transport_config(None)
}

/// There is no keep-alive here: the driver sends its own, and looks for its answer.
fn transport_config(round_trip: Option<Duration>) -> TransportConfig {
    let mut config = TransportConfig::default();
    let streams = u32::try_from(fulmar_protocol::limits::UNIDIRECTIONAL_STREAMS_MAX).unwrap_or(u32::MAX);
    config
        .max_concurrent_uni_streams(VarInt::from_u32(streams))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .receive_window(VarInt::from_u32(limits::RECEIVE_WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_RECEIVE_WINDOW_BYTES))
        .send_window(limits::SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(limits::DATAGRAM_RECEIVE_BYTES))
        .datagram_send_buffer_size(limits::DATAGRAM_SEND_BYTES)
        .max_idle_timeout(limits::IDLE_TIMEOUT.try_into().ok());
    fulmar_transport::tune(&mut config);
    if let Some(round_trip) = round_trip {
        config.initial_rtt(round_trip);
    }
    config
}
