//! Local sockets: one per address family, opened when first needed and kept, on the wildcard address, so
//! that a change of network is followed.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TransportConfig, VarInt};

use crate::environment::Environment;
use crate::error::ClientError;
use crate::limits;

/// The sockets of one client. Clones share them.
#[derive(Clone)]
pub(crate) struct Endpoints {
    config: ClientConfig,
    environment: Environment,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    v4: Option<Endpoint>,
    v6: Option<Endpoint>,
}

impl Endpoints {
    pub(crate) fn new(tls: Arc<QuicClientConfig>, environment: Environment) -> Self {
        let mut config = ClientConfig::new(tls);
        config.transport_config(Arc::new(transport_config()));
        Self { config, environment, open: Arc::default() }
    }

    /// The endpoint that reaches `remote`.
    pub(crate) fn reaching(&self, remote: SocketAddr) -> Result<Endpoint, ClientError> {
        let mut open = self.open.lock();
        let slot = match remote {
            SocketAddr::V4(_) => &mut open.v4,
            SocketAddr::V6(_) => &mut open.v6,
        };
        if let Some(endpoint) = slot {
            return Ok(endpoint.clone());
        }
        let socket = |cause| ClientError::Socket { cause: Arc::new(cause) };
        let mut endpoint = self.environment.endpoint(remote).map_err(socket)?;
        endpoint.set_default_client_config(self.config.clone());
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

fn transport_config() -> TransportConfig {
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
        .keep_alive_interval(Some(limits::KEEP_ALIVE))
        .max_idle_timeout(limits::IDLE_TIMEOUT.try_into().ok());
    config
}
