//! TLS as QUIC uses it: version 1.3 only, ALPN `fulmar/1`, and a certificate that is read again when its
//! files change, so that a renewal needs no restart.
//!
//! The key exchange is X25519MLKEM768 where the client has it, so that what is recorded today stays secret
//! when quantum computers come; X25519 and P-256 are there for clients that have nothing else. What that
//! costs stands in `docs/adr/0001-quic-and-crypto-provider.md`.
//!
//! Early data (0-RTT) is on where there is a memory for tickets: rustls accepts it only with tickets that are
//! remembered, each of which counts once, and no older or younger than it says, give or take a minute. What early
//! data may do is decided by the session (`session::opening`), which tickets are still good by `tickets`. Without
//! that memory a client that comes back is met as a stranger. Stateless tickets are never given: with them
//! rustls refuses early data, and they could not be used up.
//!
//! Absent: client certificates (clients prove who they are with a token), and a choice of certificate by
//! name (one server has one certificate, whatever name or address a client called).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use metrics::Counter;
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, StoresServerSessions};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio::time::Instant;
use tracing::{error, info};

use crate::watched_files::{FileError, WatchedFiles};

/// How long a file of certificates or a key may be, in bytes.
pub(crate) const PEM_BYTES_MAX: u64 = 256 * 1024;
/// How many certificates a chain may have.
const CHAIN_CERTIFICATES_MAX: usize = 10;
/// How many tickets a client gets with each connection. One is used up by the next attempt to connect, which on a
/// bad network may not get through; the other lets the attempt after it, or beside it, be as quick. More would only
/// push those of others out of memory.
const TICKETS: usize = 2;
/// QUIC bounds early data itself, by its windows and streams, and allows no other value.
const EARLY_DATA_SIZE_MAX: u32 = u32::MAX;

/// Where the certificate is.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// The certificate chain, PEM, the server's own certificate first.
    pub certificate: PathBuf,
    /// The certificate's private key, PEM.
    pub key: PathBuf,
    /// Counts the times when a changed certificate could not be taken.
    pub reload_failures: Counter,
    /// The time of day, for the age of tickets.
    pub time: Arc<dyn TimeProvider>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not PEM.
    #[error("{}: broken PEM: {cause}", file.display())]
    Pem {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        cause: pem::Error,
    },
    /// The file of the certificate has none.
    #[error("{}: no certificate in it (a PEM block CERTIFICATE)", file.display())]
    NoCertificate {
        /// Which file.
        file: PathBuf,
    },
    /// The chain is longer than any client would follow.
    #[error("{}: more than {CHAIN_CERTIFICATES_MAX} certificates", file.display())]
    ChainTooLong {
        /// Which file.
        file: PathBuf,
    },
    /// The file of the key has none.
    #[error("{}: no private key in it (a PEM block PRIVATE KEY)", file.display())]
    NoPrivateKey {
        /// Which file.
        file: PathBuf,
    },
    /// The key is of no kind that is supported.
    #[error("{}: cannot use this key: {cause}", file.display())]
    KeyUnusable {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        cause: rustls::Error,
    },
    /// The first certificate cannot be parsed.
    #[error("{}: cannot use this certificate: {cause}", file.display())]
    CertificateUnusable {
        /// Which file.
        file: PathBuf,
        /// What is wrong.
        cause: rustls::Error,
    },
    /// The key is another certificate's.
    #[error("{} is not the key of the first certificate in {}", key.display(), certificate.display())]
    KeyOfOtherCertificate {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The library refuses the settings, which do not depend on anything set.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// The cryptography of every connection: aws-lc-rs, TLS 1.3's cipher suites, the hybrid key exchange first.
#[must_use]
pub fn crypto_provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    provider.kx_groups = vec![X25519MLKEM768, X25519, SECP256R1];
    Arc::new(provider)
}

/// The TLS of a QUIC endpoint that serves clients, and meets each of them for the first time.
///
/// # Errors
/// When the certificate or its key cannot be used.
pub fn quic_server_config(options: TlsOptions) -> Result<QuicServerConfig, TlsError> {
    quic(server_config(options)?)
}

/// The TLS of a QUIC endpoint that takes the early data of clients that come back with a ticket.
pub(crate) fn quic_server_config_with_early_data(
    options: TlsOptions,
    tickets: Arc<dyn StoresServerSessions>,
) -> Result<QuicServerConfig, TlsError> {
    let mut config = server_config(options)?;
    take_early_data(&mut config, tickets);
    quic(config)
}

fn quic(config: ServerConfig) -> Result<QuicServerConfig, TlsError> {
    QuicServerConfig::try_from(config)
        .map_err(|cause| TlsError::Setup(rustls::Error::General(cause.to_string())))
}

fn take_early_data(config: &mut ServerConfig, tickets: Arc<dyn StoresServerSessions>) {
    config.session_storage = tickets;
    config.send_tls13_tickets = TICKETS;
    config.max_early_data_size = EARLY_DATA_SIZE_MAX;
}

fn server_config(options: TlsOptions) -> Result<ServerConfig, TlsError> {
    let provider = crypto_provider();
    let time = Arc::clone(&options.time);
    let certificate = RenewedCertificate::open(options, Arc::clone(&provider))?;
    let builder = ServerConfig::builder_with_details(provider, time).with_protocol_versions(&[&TLS13]);
    let mut config =
        builder.map_err(TlsError::Setup)?.with_no_client_auth().with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
    config.max_early_data_size = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The certificate in force. The files are looked at as clients connect, at most once a second; when
/// changed ones cannot be used, the certificate before them stays in force.
struct RenewedCertificate {
    current: ArcSwap<CertifiedKey>,
    files: Mutex<WatchedFiles<2>>,
    options: TlsOptions,
    provider: Arc<CryptoProvider>,
}

impl RenewedCertificate {
    fn open(options: TlsOptions, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let paths = [options.certificate.clone(), options.key.clone()];
        let mut files = WatchedFiles::new(paths, PEM_BYTES_MAX);
        let current = match files.changed(Instant::now(), false) {
            Some([certificate, key]) => certified_key(&options, &certificate?, &key?, &provider)?,
            None => return Err(TlsError::NoCertificate { file: options.certificate }),
        };
        Ok(Self { current: ArcSwap::from_pointee(current), files: Mutex::new(files), options, provider })
    }

    fn current(&self, now: Instant) -> Arc<CertifiedKey> {
        // When another connection is looking, the certificate that is there will do.
        let changed = self.files.try_lock().and_then(|mut files| files.changed(now, false));
        if let Some([certificate, key]) = changed {
            let renewed = certificate
                .map_err(TlsError::from)
                .and_then(|certificate| certified_key(&self.options, &certificate, &key?, &self.provider));
            let file = self.options.certificate.display();
            match renewed {
                Ok(renewed) => {
                    info!(%file, "certificate read again");
                    self.current.store(Arc::new(renewed));
                }
                Err(cause) => {
                    self.options.reload_failures.increment(1);
                    error!(%file, %cause, "changed certificate not taken; the former stays in force");
                }
            }
        }
        self.current.load_full()
    }
}

impl ResolvesServerCert for RenewedCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current(Instant::now()))
    }
}

impl std::fmt::Debug for RenewedCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RenewedCertificate").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Parses a certificate chain and its key, and checks that they belong together.
fn certified_key(
    options: &TlsOptions,
    certificate: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificate_chain(&options.certificate, certificate)?;
    let key_file = || options.key.clone();
    let key = private_key(&options.key, key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|cause| TlsError::KeyUnusable { file: key_file(), cause })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let certificate = options.certificate.clone();
            Err(TlsError::KeyOfOtherCertificate { certificate, key: key_file() })
        }
        Err(cause) => Err(TlsError::CertificateUnusable { file: options.certificate.clone(), cause }),
    }
}

/// The private key in a file.
pub(crate) fn private_key(file: &Path, contents: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = || file.to_owned();
    PrivateKeyDer::from_pem_slice(contents).map_err(|cause| match cause {
        pem::Error::NoItemsFound => TlsError::NoPrivateKey { file: file() },
        cause => TlsError::Pem { file: file(), cause },
    })
}

/// The certificates in a file, at least one.
pub(crate) fn certificate_chain(
    file: &Path,
    contents: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = || file.to_owned();
    let chain = CertificateDer::pem_slice_iter(contents)
        .take(CHAIN_CERTIFICATES_MAX.saturating_add(1))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| TlsError::Pem { file: file(), cause })?;
    match chain.len() {
        0 => Err(TlsError::NoCertificate { file: file() }),
        1..=CHAIN_CERTIFICATES_MAX => Ok(chain),
        _ => Err(TlsError::ChainTooLong { file: file() }),
    }
}

#[cfg(test)]
mod tests;
