//! Certificates and tokens of a world: made from fixed keys, so that every run sends packets of the same
//! lengths. Ed25519 throughout: its signatures do not vary in length, and are not random.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fulmar_protocol::{TimestampMs, UserId};
use fulmar_server::Config;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tempfile::TempDir;

/// The key set's name for the one key.
const KEY_ID: &str = "simulation";
/// The server's key for connections that it has forgotten.
const RESET_KEY_BYTES: usize = 64;
/// The audience of tokens.
const AUDIENCE: &str = "fulmar";

/// Files of one process, for all its worlds.
pub(super) struct WorldCredentials {
    folder: TempDir,
    authority: String,
    signing: EncodingKey,
}

impl WorldCredentials {
    /// The credentials, made when they are first asked for.
    pub(super) fn get() -> &'static Self {
        static MADE: OnceLock<WorldCredentials> = OnceLock::new();
        MADE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, certificate, server_key) = certificates();
        let write = |name: &str, contents: &str| std::fs::write(folder.path().join(name), contents).unwrap();
        let (cluster, node, node_key) = node_certificates();
        write("cluster.pem", &cluster);
        write("node.pem", &node);
        write("node-key.pem", &node_key);
        write("certificate.pem", &certificate);
        write("key.pem", &server_key);
        // Made by the first server that starts otherwise, at random; and worlds start at the same time.
        write("reset-key", &"k".repeat(RESET_KEY_BYTES));
        let token_key = key_pair(3);
        let decoding = DecodingKey::from_ed_der(token_key.public_key_raw());
        let mut public = Jwk::from_decoding_key(&decoding, Some(Algorithm::EdDSA)).unwrap();
        public.common.key_id = Some(KEY_ID.to_owned());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        write("jwks.json", &json!({ "keys": [public] }).to_string());
        let signing = EncodingKey::from_ed_der(token_key.serialized_der());
        Self { folder, authority, signing }
    }

    /// The authority that clients trust, PEM.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// How a server of another kind uses the same certificate.
    pub(super) fn server_tls(&self) -> rustls::ServerConfig {
        let file = |name| self.folder.path().join(name);
        let chain = CertificateDer::pem_file_iter(file("certificate.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
        let builder = rustls::ServerConfig::builder_with_provider(provider());
        builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap()
    }

    /// And how its clients trust it.
    pub(super) fn device_tls(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(provider());
        builder
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A folder for what a server keeps beside its store.
    pub(super) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the files into a configuration.
    pub(super) fn configure(&self, config: &mut Config) {
        let file = |name: &str| -> Option<PathBuf> { Some(self.folder.path().join(name)) };
        config.tls.certificate = file("certificate.pem");
        config.tls.key = file("key.pem");
        config.auth.jwks = file("jwks.json");
        AUDIENCE.clone_into(&mut config.auth.audience);
    }

    /// A token for a user.
    pub(super) fn token(&self, user: &UserId, now: TimestampMs, life: Duration) -> String {
        let issued_at = now.get() / 1_000;
        let claims = json!({
            "sub": user.as_str(),
            "aud": AUDIENCE,
            "iat": issued_at,
            "exp": issued_at + life.as_secs(),
        });
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(KEY_ID.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.signing).unwrap()
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// An Ed25519 key whose seed is one octet, over and over.
fn key_pair(octet: u8) -> KeyPair {
    // PKCS #8, version 1, of an Ed25519 seed (RFC 8410, section 7).
    let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    KeyPair::try_from([&head[..], &[octet; 32]].concat()).unwrap()
}

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2060, 1, 1);
    params.serial_number = Some(SerialNumber::from(serial));
    params
}

/// The certificate of a cluster's authority, the one that all its nodes have, and its key, all PEM.
fn node_certificates() -> (String, String, String) {
    let mut authority = params("Fulmar cluster authority", 3);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key_pair(4);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let mut node = params("node", 4);
    node.subject_alt_names = vec![SanType::DnsName("node.fulmar.internal".try_into().unwrap())];
    node.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let node_key = key_pair(5);
    let certificate = node.signed_by(&node_key, &Issuer::new(authority, authority_key)).unwrap().pem();
    (authority_pem, certificate, node_key.serialize_pem())
}

/// The authority's certificate, the server's, and the server's key, all PEM.
fn certificates() -> (String, String, String) {
    let mut authority = params("Simulated authority", 1);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key_pair(1);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let mut server = params("Simulated server", 2);
    let addresses = (0..super::world::NODES_MAX).map(super::world::node_address);
    server.subject_alt_names = addresses.map(|address| SanType::IpAddress(address.into())).collect();
    let server_key = key_pair(2);
    let issuer = Issuer::new(authority, authority_key);
    let certificate = server.signed_by(&server_key, &issuer).unwrap().pem();
    (authority_pem, certificate, server_key.serialize_pem())
}
