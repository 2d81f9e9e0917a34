//! What a server is started with, and what it takes from the machine or from a simulation.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
};

use quinn::{AsyncUdpSocket, EndpointConfig, Runtime, TokioRuntime, TransportConfig};
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::{
    clock::{Clock, Rng},
    config::{Config, Credentials},
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
        Self {
            data,
            config,
            credentials,
            clock,
            rng,
            #[cfg(feature = "fault-injection")]
            store_fault: None,
            #[cfg(feature = "fault-injection")]
            fault: None,
            #[cfg(feature = "simulation")]
            simulation: None,
        }
    }
}

impl ServerOptions {
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
    fn time_of_certificates(&self) -> Arc<dyn TimeProvider> {
        Arc::new(DefaultTimeProvider)
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
    fn time_of_certificates(&self) -> Arc<dyn TimeProvider> {
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
        let failed = |error| StartError::ClusterSecret { path: path.clone(), error };
        ClusterSecret::read(path).map(Some).map_err(failed)
    }

    /// How connection ids are made, and resets after a crash.
    pub(super) fn endpoint_config(
        &self,
        secret: Option<&ClusterSecret>,
    ) -> Result<EndpointConfig, StartError> {
        let cluster = &self.config.cluster;
        if let (Some(secret), Some(server_id)) = (secret, ServerId::new(cluster.server_id)) {
            let plain = cluster.plain_connection_ids;
            return reset_key::endpoint_config_in_cluster(secret, server_id, plain, &self.rng)
                .map_err(|error| StartError::ConnectionIds(error.to_string()));
        }
        let data = &self.data;
        reset_key::endpoint_config(data).map_err(|error| StartError::ResetKey { data: data.clone(), error })
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
