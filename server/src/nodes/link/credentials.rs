//! By what a node proves who it is and judges others: certificates of the cluster's own authority, and no other.
//!
//! Every node's certificate bears the same name, so that addresses need not be in it and may change. Which node it
//! is follows from its fingerprint, which stands in the node's row of the store.
//!
//! Absent: early data and tickets (a link is dialled rarely and lasts), lists of revoked certificates (a node whose
//! row is gone gets no link), and reading files again (a node with a new certificate is a new node).

use std::path::Path;
use std::sync::Arc;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::ServerCertVerifier as _;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use sha2::{Digest as _, Sha256};

use super::LinkError;
use crate::nodes::Fingerprint;
use crate::transport::tls::{PEM_BYTES_MAX, TlsError, certificate_chain, crypto_provider, private_key};
use crate::watched_files::read_bounded;

/// The name in every node's certificate.
pub(crate) const NODE_NAME: &str = "node.fulmar.internal";
/// What both ends of a link say they speak. Its versions are told in the hello.
const ALPN: &[u8] = b"fulmar-node/1";

/// What a node proves with who it is, and judges others by.
pub(crate) struct NodeCredentials {
    /// The certificates of the cluster's authority; no other authority counts.
    pub(crate) authority: Vec<CertificateDer<'static>>,
    /// The node's certificate, and those between it and the authority's.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The two sides of TLS, and what others know this node by.
pub(super) struct NodeTls {
    pub(super) client: QuicClientConfig,
    pub(super) server: QuicServerConfig,
    pub(super) fingerprint: Fingerprint,
}

impl NodeCredentials {
    /// Reads them from files.
    pub(crate) fn read(authority: &Path, certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            authority: certificate_chain(authority, &read_bounded(authority, PEM_BYTES_MAX)?)?,
            chain: certificate_chain(certificate, &read_bounded(certificate, PEM_BYTES_MAX)?)?,
            key: private_key(key, &read_bounded(key, PEM_BYTES_MAX)?)?,
        })
    }

    pub(super) fn into_tls(self, time: &Arc<dyn TimeProvider>) -> Result<NodeTls, LinkError> {
        let fingerprint = self.chain.first().map(fingerprint_of).ok_or_else(|| refused("no certificate"))?;
        let clients = WebPkiClientVerifier::builder_with_provider(self.roots()?, crypto_provider());
        let server = ServerConfig::builder_with_details(crypto_provider(), Arc::clone(time))
            .with_protocol_versions(&[&TLS13]);
        let mut server = server
            .map_err(refused)?
            .with_client_cert_verifier(clients.build().map_err(refused)?)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(refused)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.max_early_data_size = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let client = ClientConfig::builder_with_details(crypto_provider(), Arc::clone(time))
            .with_protocol_versions(&[&TLS13]);
        let mut client = client
            .map_err(refused)?
            .with_webpki_verifier(self.verifier()?)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(refused)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();

        let client = QuicClientConfig::try_from(client).map_err(refused)?;
        let server = QuicServerConfig::try_from(server).map_err(refused)?;
        Ok(NodeTls { client, server, fingerprint })
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, LinkError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.authority.iter().cloned() {
            roots.add(certificate).map_err(refused)?;
        }
        Ok(Arc::new(roots))
    }

    fn verifier(&self) -> Result<Arc<WebPkiServerVerifier>, LinkError> {
        WebPkiServerVerifier::builder_with_provider(self.roots()?, crypto_provider()).build().map_err(refused)
    }

    /// Judges this node's own certificate as others will: one that no other would take is told at the start.
    pub(super) fn verify(&self, time: &Arc<dyn TimeProvider>) -> Result<(), LinkError> {
        let (certificate, between) = self.chain.split_first().ok_or_else(|| refused("no certificate"))?;
        let name = ServerName::try_from(NODE_NAME).map_err(refused)?;
        let now = time.current_time().ok_or_else(|| refused("no time of day"))?;
        let verified = self.verifier()?.verify_server_cert(certificate, between, &name, &[], now);
        verified.map(|_| ()).map_err(|cause| refused(format!("other nodes would refuse it: {cause}")))
    }
}

/// The fingerprint of the certificate with which the other end of a connection proved itself.
pub(super) fn fingerprint_of_peer(connection: &quinn::Connection) -> Option<Fingerprint> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    identity.first().map(fingerprint_of)
}

fn fingerprint_of(certificate: &CertificateDer<'static>) -> Fingerprint {
    Fingerprint::new(Sha256::digest(certificate).into())
}

fn refused(cause: impl ToString) -> LinkError {
    LinkError::Credentials(cause.to_string())
}
