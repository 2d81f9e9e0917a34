//! A client's connection over QUIC, for a library that wants one stream of octets: one bidirectional stream of a
//! connection of its own, which moves with the device.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use quinn::{
    ClientConfig, Connection, Endpoint, IdleTimeout, RecvStream, SendStream, TransportConfig,
    crypto::rustls::QuicClientConfig,
};
use tokio::{io::Join, time::timeout};

use super::connection::CONNECT_TIMEOUT;
use crate::{error::BenchError, place::SERVER_NAME};

/// Silence after which the server counts as gone: nothing refuses what nobody listens to.
const IDLE_MAX: Duration = Duration::from_secs(20);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// What MQTT over QUIC calls itself in the handshake.
const PROTOCOL: &[u8] = b"mqtt";

/// Makes connections to one server, one at a time.
#[derive(Clone)]
pub(super) struct QuicConnector {
    server: SocketAddr,
    config: ClientConfig,
    latest: Arc<Mutex<Option<(Endpoint, Connection)>>>,
}

impl QuicConnector {
    pub(super) fn new(server: SocketAddr, mut tls: rustls::ClientConfig) -> Result<Self, BenchError> {
        tls.alpn_protocols = vec![PROTOCOL.to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(BenchError::quic)?;
        let mut transport = TransportConfig::default();
        transport
            .max_idle_timeout(IdleTimeout::try_from(IDLE_MAX).ok())
            .keep_alive_interval(Some(KEEP_ALIVE));
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        Ok(Self { server, config, latest: Arc::default() })
    }

    pub(super) async fn connect(&self) -> io::Result<Join<RecvStream, SendStream>> {
        let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        let connecting =
            endpoint.connect_with(self.config.clone(), self.server, SERVER_NAME).map_err(io::Error::other)?;
        let connection = timeout(CONNECT_TIMEOUT, connecting).await?.map_err(io::Error::other)?;
        let (send, receive) = connection.open_bi().await.map_err(io::Error::other)?;
        *self.latest.lock() = Some((endpoint, connection));
        Ok(tokio::io::join(receive, send))
    }

    /// Goes on from a new socket, as a device with a new address does.
    pub(super) fn rebind(&self) {
        if let Some((endpoint, _)) = &*self.latest.lock()
            && let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))
        {
            // Without it the old socket goes on, and the connection ends by its idle timeout.
            let _ = endpoint.rebind(socket);
        }
    }
}
