//! Raw QUIC endpoints that are set exactly as Fulmar sets its own: TLS, transport, socket buffers, tickets.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use quinn::{
    ClientConfig, Connecting, Endpoint, EndpointConfig, ServerConfig, TokioRuntime,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use rustls::{RootCertStore, client::Resumption, server::ServerSessionMemoryCache, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::{credentials::Credentials, error::BenchError, place::SERVER_NAME};

/// As Fulmar's server asks for. The system gives what it permits.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Tickets that a raw server remembers; Fulmar's server has as many.
pub(crate) const TICKETS_MAX: usize = 200_000;
/// Tickets that a client gets with each connection, as from Fulmar's server.
const TICKETS: usize = 2;
/// Sessions that share a client's socket: enough to save sockets, few enough that a burst to all of them fits into
/// its buffer.
const SESSIONS_PER_ENDPOINT: usize = 16;
/// The most that is read at once.
pub(crate) const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// As Fulmar's client keeps its path open.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// An endpoint that accepts connections.
pub(crate) fn server(listen: SocketAddr, credentials: &Credentials) -> Result<Endpoint, BenchError> {
    let chain = CertificateDer::pem_file_iter(credentials.certificate()).map_err(BenchError::quic)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(BenchError::quic)?;
    let key = PrivateKeyDer::from_pem_file(credentials.key()).map_err(BenchError::quic)?;
    let mut tls = rustls::ServerConfig::builder_with_provider(fulmar_server::crypto_provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(BenchError::quic)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(BenchError::quic)?;
    tls.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
    tls.session_storage = ServerSessionMemoryCache::new(TICKETS_MAX);
    tls.send_tls13_tickets = TICKETS;
    tls.max_early_data_size = u32::MAX;
    let tls = QuicServerConfig::try_from(tls).map_err(BenchError::quic)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(fulmar_server::quic_transport()));
    let socket =
        bind(listen).map_err(|error| BenchError::Wrong(format!("cannot listen on {listen}: {error}")))?;
    Ok(Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))?)
}

fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What clients trust.
#[derive(Clone)]
pub(crate) struct Trust(Arc<RootCertStore>);

impl Trust {
    pub(crate) fn in_authority(authority: &Path) -> Result<Self, BenchError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(authority).map_err(BenchError::quic)? {
            roots.add(certificate.map_err(BenchError::quic)?).map_err(BenchError::quic)?;
        }
        Ok(Self(Arc::new(roots)))
    }

    /// Settings of a client that has tickets of its own, which clones share, or none.
    pub(crate) fn client(&self, tickets: bool) -> Result<ClientConfig, BenchError> {
        let mut tls = rustls::ClientConfig::builder_with_provider(fulmar_server::crypto_provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(BenchError::quic)?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        tls.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
        tls.enable_early_data = tickets;
        tls.resumption = if tickets { Resumption::in_memory_sessions(8) } else { Resumption::disabled() };
        let tls = QuicClientConfig::try_from(tls).map_err(BenchError::quic)?;
        let mut transport = fulmar_client::quic_transport();
        transport.keep_alive_interval(Some(KEEP_ALIVE));
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport));
        Ok(config)
    }
}

/// Sockets for many bare sessions. Clones share them.
#[derive(Clone)]
pub(crate) struct Endpoints {
    server: SocketAddr,
    open: Arc<Mutex<(Vec<Endpoint>, usize)>>,
}

impl Endpoints {
    pub(crate) fn to(server: SocketAddr) -> Self {
        Self { server, open: Arc::default() }
    }

    /// Begins a connection, on a socket that is not shared by too many.
    pub(crate) fn connect(&self, config: &ClientConfig) -> Result<Connecting, BenchError> {
        let endpoint = self.endpoint()?;
        endpoint.connect_with(config.clone(), self.server, SERVER_NAME).map_err(BenchError::quic)
    }

    fn endpoint(&self) -> Result<Endpoint, BenchError> {
        let mut open = self.open.lock();
        let (endpoints, sessions) = &mut *open;
        *sessions += 1;
        if let Some(last) = endpoints.last().filter(|_| *sessions % SESSIONS_PER_ENDPOINT != 1) {
            return Ok(last.clone());
        }
        // A socket that nobody uses any more takes another turn.
        if let Some(idle) = endpoints.iter().position(|endpoint| endpoint.open_connections() == 0) {
            let endpoint = endpoints.remove(idle);
            endpoints.push(endpoint.clone());
            return Ok(endpoint);
        }
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = Endpoint::new(EndpointConfig::default(), None, bind(any)?, Arc::new(TokioRuntime))?;
        endpoints.push(endpoint.clone());
        Ok(endpoint)
    }

    /// Moves all sessions to new sockets, as after a change of network.
    pub(crate) fn rebind(&self) -> Result<(), BenchError> {
        for endpoint in &self.open.lock().0 {
            let mut any = endpoint.local_addr()?;
            any.set_port(0);
            endpoint.rebind(bind(any)?)?;
        }
        Ok(())
    }
}
