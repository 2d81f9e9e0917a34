//! How clients get to a server: its address, the authority to trust, and tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fulmar_server::{Clock, Development, crypto_provider};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::{ConnectionEnd, DialOptions, Dialled, WireClient, device, tokens, user};

/// How long a token lasts, where a test does not care.
const TOKEN_TTL: Duration = Duration::from_secs(3_600);

/// See the module.
#[derive(Debug)]
pub struct Entrance {
    pub(super) address: SocketAddr,
    pub(super) development: Development,
    tls: Arc<rustls::ClientConfig>,
    data: PathBuf,
}

impl Entrance {
    /// To a server with the development credentials in this folder, which are made if they are not there.
    pub fn new(data: &Path, address: SocketAddr, clock: Clock) -> Self {
        let development = Development::create_or_open(data, clock).unwrap();
        let tls = Arc::new(client_tls([development.authority()]));
        Self { address, development, tls, data: data.to_owned() }
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token for a user.
    pub fn token(&self, name: &str) -> String {
        self.token_for(name, TOKEN_TTL)
    }

    /// A token that lasts so long.
    pub fn token_for(&self, name: &str, ttl: Duration) -> String {
        self.development.issue_token(&user(name), ttl).unwrap()
    }

    /// A token with any claims.
    pub fn sign(&self, claims: &Value) -> String {
        tokens::sign(&self.data, claims)
    }

    /// A connection on which nothing was said yet.
    pub async fn dial(&self) -> Dialled {
        self.dial_with(DialOptions::default()).await
    }

    /// A connection set in any way.
    pub async fn dial_with(&self, options: DialOptions) -> Dialled {
        self.try_dial(options).await.expect("a connection")
    }

    /// A connection, or why there is none.
    pub async fn try_dial(&self, options: DialOptions) -> Result<Dialled, ConnectionEnd> {
        Dialled::connect(self.address, Arc::clone(&self.tls), options).await
    }

    /// A session of this user on the device of that number.
    pub async fn connect(&self, name: &str, device_number: u8) -> WireClient {
        self.try_connect(name, device_number).await.expect("a session")
    }

    /// A session, or with what the server closed the connection.
    pub async fn try_connect(&self, name: &str, device_number: u8) -> Result<WireClient, ConnectionEnd> {
        let dialled = self.try_dial(DialOptions::default()).await?;
        dialled.enter(&self.token(name), device(name, device_number)).await
    }

    /// A session of a client set in any way.
    pub async fn connect_with(&self, name: &str, device_number: u8, options: DialOptions) -> WireClient {
        let dialled = self.dial_with(options).await;
        dialled.enter(&self.token(name), device(name, device_number)).await.expect("a session")
    }
}

/// Trusts these authorities and speaks this protocol.
pub(super) fn client_tls(authorities: impl IntoIterator<Item = PathBuf>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
    tls
}
