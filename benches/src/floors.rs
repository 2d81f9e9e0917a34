//! What a message cannot be faster than: a raw QUIC echo, and one sync of the disk.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use fulmar_server::{Development, Metrics, TlsOptions, quic_server_config};
use quinn::{Connection, Endpoint};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::time::Instant;

use crate::error::BenchError;

/// Echoes every bidirectional stream, with the server's TLS and QUIC's defaults.
pub(crate) struct EchoServer {
    endpoint: Endpoint,
}

impl EchoServer {
    pub(crate) fn start(development: &Development) -> Result<Self, BenchError> {
        let credentials = development.credentials();
        let tls = quic_server_config(TlsOptions {
            certificate: credentials.certificate,
            key: credentials.key,
            reload_failures: Metrics::new().certificate_reload_failures.clone(),
            time: Arc::new(rustls::time_provider::DefaultTimeProvider),
        })
        .map_err(BenchError::quic)?;
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let endpoint = Endpoint::server(config, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let accepting = endpoint.clone();
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                        tokio::spawn(async move {
                            while let Ok(Some(chunk)) = receive.read_chunk(64 * 1024, true).await {
                                if send.write_chunk(chunk.bytes).await.is_err() {
                                    return;
                                }
                            }
                        });
                    }
                });
            }
        });
        Ok(Self { endpoint })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, BenchError> {
        Ok(self.endpoint.local_addr()?)
    }
}

/// A client of the echo, on one stream.
pub(crate) struct Echo {
    _endpoint: Endpoint,
    _connection: Connection,
    send: quinn::SendStream,
    receive: quinn::RecvStream,
}

impl Echo {
    pub(crate) async fn connect(address: SocketAddr, authority: &Path) -> Result<Self, BenchError> {
        let endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
        let config = client_config(authority)?;
        let connection = endpoint
            .connect_with(config, address, "localhost")
            .map_err(BenchError::quic)?
            .await
            .map_err(BenchError::quic)?;
        let (send, receive) = connection.open_bi().await.map_err(BenchError::quic)?;
        Ok(Self { _endpoint: endpoint, _connection: connection, send, receive })
    }

    /// There and back.
    pub(crate) async fn round_trip(&mut self, payload: &[u8]) -> Result<Duration, BenchError> {
        let started = Instant::now();
        self.send.write_all(payload).await.map_err(BenchError::quic)?;
        let mut answer = vec![0; payload.len()];
        self.receive.read_exact(&mut answer).await.map_err(BenchError::quic)?;
        Ok(started.elapsed())
    }
}

/// TLS that trusts the development authority and speaks the server's protocol.
pub(crate) fn client_config(authority: &Path) -> Result<quinn::ClientConfig, BenchError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(BenchError::quic)? {
        roots.add(certificate.map_err(BenchError::quic)?).map_err(BenchError::quic)?;
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(fulmar_server::crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(BenchError::quic)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![fulmar_protocol::ALPN.into()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).map_err(BenchError::quic)?;
    Ok(quinn::ClientConfig::new(Arc::new(tls)))
}

/// One file that is written and synced again and again.
pub(crate) struct Disk(File);

impl Disk {
    pub(crate) fn open(folder: &Path) -> Result<Self, BenchError> {
        Ok(Self(File::create(folder.join("floor"))?))
    }

    /// Appends and syncs, as a journal would.
    pub(crate) fn write_and_sync(&mut self, payload: &[u8]) -> Result<Duration, BenchError> {
        if self.0.stream_position()? > 64 << 20 {
            self.0.seek(SeekFrom::Start(0))?;
        }
        let started = Instant::now();
        self.0.write_all(payload)?;
        self.0.sync_data()?;
        Ok(started.elapsed())
    }
}
