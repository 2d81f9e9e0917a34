//! Handshakes in memory, and what becomes of the files of certificate and key.

use std::fs;
use std::time::Duration;

use rcgen::{CertifiedKey as Generated, generate_simple_self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{SupportedKxGroup, verify_tls13_signature};
use rustls::version::TLS12;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, NamedGroup, ServerConnection, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::{ServerName, UnixTime};

use super::*;
use crate::{clock::Clock, metrics::Metrics, tickets::Tickets, transport::tuning::early_data_settings};

/// A folder with a certificate and its key.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.renew();
        files
    }

    /// Makes another certificate. Gives its bytes.
    fn renew(&self) -> Vec<u8> {
        let Generated { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("certificate.pem", cert.pem().as_bytes());
        self.write("key.pem", signing_key.serialize_pem().as_bytes());
        cert.der().to_vec()
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.folder.path().join(name), contents).unwrap();
    }

    fn options(&self) -> TlsOptions {
        TlsOptions {
            certificate: self.folder.path().join("certificate.pem"),
            key: self.folder.path().join("key.pem"),
            reload_failures: Counter::noop(),
            time: Arc::new(rustls::time_provider::DefaultTimeProvider),
        }
    }

    /// Why these files are refused, without the folder's random name.
    fn refusal(&self) -> String {
        let error = server_config(self.options()).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// Takes any certificate, and checks the signature.
#[derive(Debug)]
struct TakesAny(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn client(
    groups: &[&'static dyn SupportedKxGroup],
    version: &'static SupportedProtocolVersion,
    alpn: &[u8],
) -> Arc<ClientConfig> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = groups.to_vec();
    let provider = Arc::new(provider);
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TakesAny(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_early_data = true;
    Arc::new(config)
}

/// A client that has everything it should.
fn good_client() -> Arc<ClientConfig> {
    client(&crypto_provider().kx_groups, &TLS13, b"fulmar/1")
}

/// Runs a handshake to its end in memory.
fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> Result<(ServerConnection, ClientConnection), rustls::Error> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    for _flight in 0..10 {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((server, client))
}

fn group_of(server: &ServerConnection) -> NamedGroup {
    server.negotiated_key_exchange_group().unwrap().name()
}

#[test]
fn the_key_exchange_is_hybrid_where_the_client_has_it() {
    use super::aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519};
    let server = Arc::new(server_config(Files::new().options()).unwrap());
    let (accepted, _client) = handshake(&server, &good_client()).unwrap();
    assert_eq!(group_of(&accepted), NamedGroup::X25519MLKEM768);
    assert_eq!(accepted.alpn_protocol(), Some(b"fulmar/1".as_slice()));
    for (group, name) in [(X25519, NamedGroup::X25519), (SECP256R1, NamedGroup::secp256r1)] {
        let (accepted, _client) = handshake(&server, &client(&[group], &TLS13, b"fulmar/1")).unwrap();
        assert_eq!(group_of(&accepted), name);
    }
    assert!(handshake(&server, &client(&[SECP384R1], &TLS13, b"fulmar/1")).is_err());
}

#[test]
fn older_tls_and_other_protocols_are_refused() {
    let server = Arc::new(server_config(Files::new().options()).unwrap());
    let groups = crypto_provider().kx_groups.clone();
    assert!(handshake(&server, &client(&groups, &TLS12, b"fulmar/1")).is_err());
    let other = handshake(&server, &client(&groups, &TLS13, b"h3")).unwrap_err();
    assert_eq!(other, rustls::Error::NoApplicationProtocol);
}

/// The TLS of a server that remembers tickets. Handshakes in memory are not QUIC's, so they allow some early data.
fn remembering(tickets: Arc<dyn StoresServerSessions>) -> Arc<ServerConfig> {
    let mut server = server_config(Files::new().options()).unwrap();
    take_early_data(&mut server, tickets);
    assert_eq!(server.max_early_data_size, u32::MAX, "what QUIC demands");
    assert!(!server.ticketer.enabled(), "a stateless ticket forbids early data");
    Arc::new(server)
}

fn tickets() -> Arc<Tickets> {
    Tickets::new(
        100,
        early_data_settings(fulmar_protocol::Epoch::new(1)),
        Some(0),
        Clock::system(),
        Metrics::new(),
    )
}

#[test]
fn a_returning_client_has_a_shorter_handshake_and_its_early_data_is_taken() {
    let server = remembering(tickets());
    let client = good_client();
    let (_, first) = handshake(&server, &client).unwrap();
    assert_eq!(first.handshake_kind(), Some(rustls::HandshakeKind::Full));
    assert_eq!(first.tls13_tickets_received(), 2, "the second is for when the first was used in vain");
    let (_, second) = handshake(&server, &client).unwrap();
    assert_eq!(second.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    assert!(second.is_early_data_accepted());
}

#[test]
fn a_ticket_of_another_server_or_of_one_without_memory_means_a_whole_handshake() {
    let client = good_client();
    handshake(&remembering(tickets()), &client).unwrap();
    let forgetful = Arc::new(server_config(Files::new().options()).unwrap());
    for server in [remembering(tickets()), forgetful] {
        let (_, met) = handshake(&server, &client).unwrap();
        assert_eq!(met.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert!(!met.is_early_data_accepted());
    }
}

#[test]
fn quic_takes_the_settings() {
    assert!(quic_server_config(Files::new().options()).is_ok());
    assert!(quic_server_config_with_early_data(Files::new().options(), tickets()).is_ok());
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    let files = Files::new();
    let certificate = RenewedCertificate::open(files.options(), crypto_provider()).unwrap();
    let start = Instant::now() + Duration::from_secs(100);
    let served = |seconds| certificate.current(start + Duration::from_secs(seconds)).cert[0].to_vec();
    let first = served(0);
    let second = files.renew();
    assert_ne!(first, second);
    assert_eq!(served(1), second);
    // A renewal that is half done: the certificate is there, its key not yet.
    let other = Files::new();
    files.write("certificate.pem", &fs::read(other.options().certificate).unwrap());
    assert_eq!(served(3), second);
    files.write("key.pem", b"rubbish");
    assert_eq!(served(5), second);
    fs::remove_file(files.options().key).unwrap();
    assert_eq!(served(7), second);
    files.write("key.pem", &fs::read(other.options().key).unwrap());
    assert_ne!(served(9), second);
}

#[test]
fn what_is_wrong_with_the_files_is_said_in_one_line() {
    let files = Files::new();
    let (certificate, key) =
        (fs::read(files.options().certificate).unwrap(), fs::read(files.options().key).unwrap());
    files.write("certificate.pem", b"");
    assert_eq!(files.refusal(), "certificate.pem: no certificate in it (a PEM block CERTIFICATE)");
    files.write("certificate.pem", &key);
    assert_eq!(files.refusal(), "certificate.pem: no certificate in it (a PEM block CERTIFICATE)");
    files.write("certificate.pem", &certificate[..certificate.len() / 2]);
    assert!(files.refusal().starts_with("certificate.pem: broken PEM: "), "{}", files.refusal());
    files.write("certificate.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let refusal = files.refusal();
    assert!(refusal.starts_with("certificate.pem: cannot use this certificate: "), "{refusal}");
    files.write("certificate.pem", &certificate.repeat(11));
    assert_eq!(files.refusal(), "certificate.pem: more than 10 certificates");
    files.write("certificate.pem", &certificate);
    files.write("key.pem", &certificate);
    assert_eq!(files.refusal(), "key.pem: no private key in it (a PEM block PRIVATE KEY)");
    files.write("key.pem", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(files.refusal().starts_with("key.pem: cannot use this key: "), "{}", files.refusal());
    files.write("key.pem", &fs::read(Files::new().options().key).unwrap());
    assert_eq!(files.refusal(), "key.pem is not the key of the first certificate in certificate.pem");
    fs::remove_file(files.options().key).unwrap();
    assert!(files.refusal().starts_with("cannot read key.pem: "), "{}", files.refusal());
}
