//! What a server is started with, and what it takes from the machine or from a simulation.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
};

use fulmar_protocol::Epoch;
use quinn::{AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime, TransportConfig};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::{
    clock::{Clock, Rng},
    config::{ClusterConfig, Config, Credentials},
    fault::Faults,
    metrics::Metrics,
    tickets::Tickets,
    transport::{connection_ids::ServerId, reset_key, secret::ClusterSecret, tls, tuning},
};

use super::StartError;

/// As much as the system allows: bursts of many sessions arrive on one socket.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// What a server is started with.
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The data folder; the store is in `store` below it.
    pub data: PathBuf,
    /// The configuration.
    pub config: Config,
    /// Certificate, key, and the keys of tokens.
    pub credentials: Credentials,
    /// The time of day.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// The cluster that it is a node of, if it is. All nodes work on one store.
    pub cluster: Option<ClusterOptions>,
    /// A fault for the store to commit.
    #[cfg(feature = "fault-injection")]
    pub store_fault: Option<crate::StoreFault>,
    /// A fault for the server to commit.
    #[cfg(feature = "fault-injection")]
    pub fault: Option<crate::ServerFault>,
    /// What the server has in place of the machine's own.
    #[cfg(feature = "simulation")]
    pub simulation: Option<crate::Simulation>,
}

impl ServerOptions {
    /// What every start needs, and no fault.
    #[must_use]
    pub fn new(data: PathBuf, config: Config, credentials: Credentials, clock: Clock, rng: Rng) -> Self {
        let cluster = ClusterOptions::configured(&config.cluster);
        Self {
            data,
            config,
            credentials,
            clock,
            rng,
            cluster,
            #[cfg(feature = "fault-injection")]
            store_fault: None,
            #[cfg(feature = "fault-injection")]
            fault: None,
            #[cfg(feature = "simulation")]
            simulation: None,
        }
    }
}

/// A socket for other nodes, and the seed of a simulation.
type NodeSocket = (Arc<dyn AsyncUdpSocket>, Option<[u8; 32]>);

/// What makes a server a node of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Where it listens for other nodes, UDP.
    pub listen: SocketAddr,
    /// Where other nodes reach it.
    pub advertise: SocketAddr,
    /// The certificate of the cluster's authority, PEM.
    pub authority: PathBuf,
    /// The node's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Where clients reach it, `host:port`: what other nodes tell theirs when they drain.
    pub client_addresses: Vec<String>,
    /// What connection ids name it by; 0: nothing does.
    pub server_id: u32,
}

impl ClusterOptions {
    /// What a configuration says, if it says that there are other nodes.
    fn configured(config: &ClusterConfig) -> Option<Self> {
        Some(Self {
            listen: config.listen?,
            advertise: config.advertised()?,
            authority: config.authority.clone()?,
            certificate: config.certificate.clone()?,
            key: config.key.clone()?,
            client_addresses: config.client_addresses.clone(),
            server_id: config.server_id,
        })
    }
}

impl ServerOptions {
    /// What balancers know this server by; 0: nothing.
    fn server_id(&self) -> u32 {
        self.cluster.as_ref().map_or(self.config.cluster.server_id, |cluster| cluster.server_id)
    }

    /// Whose rows this server's tickets have in the store. A node that has no name of its own keeps none there: another
    /// one would read them, and a ticket could be used twice.
    pub(super) fn ticket_rows(&self) -> Option<u32> {
        let server_id = self.server_id();
        (server_id != 0 || self.cluster.is_none()).then_some(server_id)
    }

    #[cfg(feature = "fault-injection")]
    pub(super) fn faults(&self) -> Faults {
        Faults::new(self.fault)
    }

    #[cfg(not(feature = "fault-injection"))]
    pub(super) fn faults(&self) -> Faults {
        Faults::default()
    }
}

#[cfg(not(feature = "simulation"))]
impl ServerOptions {
    pub(super) fn time_of_certificates(&self) -> Arc<dyn TimeProvider> {
        Arc::new(DefaultTimeProvider)
    }

    /// Where other nodes come, and what links draw from.
    #[expect(clippy::unused_self, reason = "a simulation has its own")]
    pub(super) fn node_socket(&self, cluster: &ClusterOptions) -> std::io::Result<NodeSocket> {
        Ok((bind_udp(cluster.listen)?, None))
    }

    pub(super) fn socket(
        &self,
        config: EndpointConfig,
    ) -> std::io::Result<(EndpointConfig, Arc<dyn AsyncUdpSocket>)> {
        Ok((config, bind_udp(self.config.listen.address)?))
    }

    /// How QUIC is set.
    #[expect(clippy::unused_self, reason = "a simulation has a last word")]
    pub(super) fn transport(&self) -> TransportConfig {
        tuning::transport()
    }
}

#[cfg(feature = "simulation")]
impl ServerOptions {
    /// Where other nodes come, and what links draw from.
    pub(super) fn node_socket(&self, cluster: &ClusterOptions) -> std::io::Result<NodeSocket> {
        match self.simulation.as_ref().and_then(|it| Some((Arc::clone(it.node_socket.as_ref()?), it.seed))) {
            Some((socket, seed)) => Ok((socket, Some(seed))),
            None => Ok((bind_udp(cluster.listen)?, None)),
        }
    }

    pub(super) fn time_of_certificates(&self) -> Arc<dyn TimeProvider> {
        let simulated = self.simulation.as_ref().map(|simulation| Arc::clone(&simulation.time));
        simulated.unwrap_or_else(|| Arc::new(DefaultTimeProvider))
    }

    pub(super) fn socket(
        &self,
        mut config: EndpointConfig,
    ) -> std::io::Result<(EndpointConfig, Arc<dyn AsyncUdpSocket>)> {
        let Some(simulation) = &self.simulation else {
            return Ok((config, bind_udp(self.config.listen.address)?));
        };
        config.rng_seed(Some(simulation.seed));
        Ok((config, Arc::clone(&simulation.socket)))
    }

    /// How QUIC is set, a simulation's own wishes included.
    pub(super) fn transport(&self) -> TransportConfig {
        let mut config = tuning::transport();
        if let Some(tune) = self.simulation.as_ref().and_then(|simulation| simulation.transport) {
            tune(&mut config);
        }
        config
    }
}

impl ServerOptions {
    /// What the nodes of the cluster share, if anything.
    pub(super) fn cluster_secret(&self) -> Result<Option<ClusterSecret>, StartError> {
        let Some(path) = &self.config.cluster.secret else { return Ok(None) };
        Ok(Some(ClusterSecret::read(path)?))
    }

    /// How connection ids are made, and resets after a crash.
    pub(super) fn endpoint_config(
        &self,
        secret: Option<&ClusterSecret>,
    ) -> Result<EndpointConfig, StartError> {
        if let (Some(secret), Some(server_id)) = (secret, ServerId::new(self.server_id())) {
            let plain = self.config.cluster.plain_connection_ids;
            return reset_key::endpoint_config_in_cluster(secret, server_id, plain, &self.rng)
                .map_err(|error| StartError::ConnectionIds(error.to_string()));
        }
        let data = &self.data;
        reset_key::endpoint_config(data).map_err(|error| StartError::ResetKey { data: data.clone(), error })
    }

    /// No tickets yet, given under this server's settings.
    pub(super) fn tickets(&self, epoch: Epoch, metrics: &Arc<Metrics>) -> Arc<Tickets> {
        let (most, settings) = (self.config.limits.tickets_max(), tuning::early_data_settings(epoch));
        Tickets::new(most, settings, self.ticket_rows(), self.clock.clone(), Arc::clone(metrics))
    }

    pub(super) fn tls(
        &self,
        tickets: &Arc<Tickets>,
        metrics: &Metrics,
    ) -> Result<quinn::crypto::rustls::QuicServerConfig, tls::TlsError> {
        let options = tls::TlsOptions {
            certificate: self.credentials.certificate.clone(),
            key: self.credentials.key.clone(),
            reload_failures: metrics.certificate_reload_failures.clone(),
            time: self.time_of_certificates(),
        };
        tls::quic_server_config_with_early_data(options, Arc::clone(tickets) as _)
    }
}

/// Binds a UDP socket, for IPv4 too where the address is `[::]`.
fn bind_udp(address: SocketAddr) -> std::io::Result<Arc<dyn AsyncUdpSocket>> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if address.is_ipv6() {
        // Systems without dual stack serve IPv6 alone.
        let _ = socket.set_only_v6(false);
    }
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    TokioRuntime.wrap_udp_socket(UdpSocket::from(socket))
}
