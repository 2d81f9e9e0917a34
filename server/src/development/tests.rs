//! Development credentials are made once, work at once, and stay.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fulmar_protocol::TimestampMs;
use metrics::Counter;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::auth::{AuthError, AuthOptions, Authenticator};
use crate::clock::ManualClock;
use crate::transport::tls::{TlsOptions, crypto_provider, quic_server_config};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn data() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The files of `DIR/dev` by name.
fn contents(data: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data.join("dev")).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    files.collect()
}

fn authenticator(development: &Development) -> Authenticator {
    Authenticator::open(AuthOptions {
        key_set: development.credentials().jwks,
        audience: Development::AUDIENCE.to_owned(),
        leeway: Duration::ZERO,
        reload_failures: Counter::noop(),
    })
    .unwrap()
}

/// Connects over loopback with the certificate and authority of a folder.
async fn connect(development: &Development, name: &str) -> Result<(), String> {
    let Credentials { certificate, key, .. } = development.credentials();
    let tls = quic_server_config(TlsOptions {
        certificate,
        key,
        reload_failures: Counter::noop(),
        time: Arc::new(rustls::time_provider::DefaultTimeProvider),
    })
    .unwrap();
    let config = ServerConfig::with_crypto(Arc::new(tls));
    let server = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let accepting = server.clone();
    let accepted = tokio::spawn(async move { accepting.accept().await.unwrap().await.map(drop) });

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(development.authority()).unwrap()).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(crypto_provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![fulmar_protocol::ALPN.to_vec()];
    let mut client = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    client.set_default_client_config(ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap())));
    let connection = client.connect(server.local_addr().unwrap(), name).map_err(|error| error.to_string())?;
    let outcome = connection.await.map(drop).map_err(|error| error.to_string());
    server.close(0_u32.into(), b"");
    let _server_side = accepted.await.unwrap();
    outcome
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_connects_by_every_local_name() {
    let data = data();
    let development = Development::create_or_open(data.path(), Clock::system()).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(connect(&development, name).await, Ok(()), "{name}");
    }
    assert!(connect(&development, "example.org").await.is_err());
}

#[test]
fn a_token_issued_is_a_token_accepted_until_it_expires() {
    let data = data();
    let hands = ManualClock::new(TimestampMs::new(1_800_000_000_500));
    let development = Development::create_or_open(data.path(), hands.clock()).unwrap();
    let authenticator = authenticator(&development);
    let alice = UserId::parse("alice").unwrap();
    let token = development.issue_token(&alice, Duration::from_millis(59_500)).unwrap();
    let identity = authenticator.verify(&token, hands.clock().now()).unwrap();
    assert_eq!(identity.user, alice);
    assert_eq!(identity.issued_at, TimestampMs::new(1_800_000_000_000));
    assert_eq!(identity.expires_at, TimestampMs::new(1_800_000_060_000));
    hands.advance(Duration::from_secs(60));
    let expired = AuthError::Expired { expired_at: identity.expires_at };
    assert_eq!(authenticator.verify(&token, hands.clock().now()), Err(expired));
    // Another process, as `fulmar token` is one.
    let other = Development::open(data.path(), hands.clock()).unwrap();
    let token = other.issue_token(&alice, 30 * DAY).unwrap();
    assert_eq!(authenticator.verify(&token, hands.clock().now()).unwrap().user, alice);
}

#[test]
fn what_was_made_once_is_kept() {
    let data = data();
    Development::create_or_open(data.path(), Clock::system()).unwrap();
    let first = contents(data.path());
    Development::create_or_open(data.path(), Clock::system()).unwrap();
    assert_eq!(contents(data.path()), first);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let all = ["ca-key.pem", "ca.pem", "certificate.pem", "jwks.json", "key.pem", "lock", "token-key.pem"];
    assert_eq!(names, all);
}

#[test]
fn the_certificate_is_renewed_near_its_end_with_the_same_key_and_authority() {
    let data = data();
    let hands = ManualClock::new(TimestampMs::new(1_800_000_000_000));
    Development::create_or_open(data.path(), hands.clock()).unwrap();
    let first = contents(data.path());
    hands.advance(334 * DAY);
    Development::create_or_open(data.path(), hands.clock()).unwrap();
    assert_eq!(contents(data.path()), first);
    hands.advance(2 * DAY);
    Development::create_or_open(data.path(), hands.clock()).unwrap();
    let renewed = contents(data.path());
    assert_ne!(renewed["certificate.pem"], first["certificate.pem"]);
    for kept in ["ca.pem", "ca-key.pem", "key.pem", "token-key.pem", "jwks.json"] {
        assert_eq!(renewed[kept], first[kept], "{kept}");
    }
}

#[tokio::test]
async fn whatever_is_missing_or_broken_but_a_key_is_made_again() {
    let data = data();
    let development = Development::create_or_open(data.path(), Clock::system()).unwrap();
    let folder = data.path().join("dev");
    for name in ["ca.pem", "ca-key.pem", "certificate.pem", "key.pem", "token-key.pem", "jwks.json"] {
        fs::remove_file(folder.join(name)).unwrap();
        Development::create_or_open(data.path(), Clock::system()).unwrap();
        assert_eq!(connect(&development, "localhost").await, Ok(()), "without {name}");
    }
    for name in ["ca.pem", "certificate.pem", "jwks.json"] {
        fs::write(folder.join(name), "rubbish").unwrap();
        let development = Development::create_or_open(data.path(), Clock::system()).unwrap();
        assert_eq!(connect(&development, "localhost").await, Ok(()), "with a broken {name}");
        let token = development.issue_token(&UserId::parse("bob").unwrap(), DAY).unwrap();
        assert!(authenticator(&development).verify(&token, Clock::system().now()).is_ok());
    }
    fs::write(folder.join("token-key.pem"), "rubbish").unwrap();
    let error = Development::create_or_open(data.path(), Clock::system()).unwrap_err().to_string();
    assert!(error.contains("token-key.pem is not a key made here: "), "{error}");
    assert!(error.ends_with("; remove it to have a new one made"), "{error}");
}

#[test]
fn without_a_key_the_error_says_what_to_run() {
    let data = data();
    let path = data.path().display().to_string();
    let error = Development::open(data.path(), Clock::system()).unwrap_err().to_string();
    let advice = format!("no development key in {path}/dev: run `fulmar serve --dev --data {path}` first");
    assert_eq!(error, advice);
    assert!(!data.path().join("dev").exists());
    let file = data.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Development::create_or_open(&file, Clock::system()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}/dev: ", file.display())), "{error}");
}

#[test]
fn several_processes_may_start_at_once() {
    let data = data();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let path = data.path().to_owned();
            std::thread::spawn(move || Development::create_or_open(&path, Clock::system()).unwrap())
        })
        .collect();
    let alice = UserId::parse("alice").unwrap();
    for thread in threads {
        let development = thread.join().unwrap();
        let token = development.issue_token(&alice, DAY).unwrap();
        assert!(authenticator(&development).verify(&token, Clock::system().now()).is_ok());
    }
}

#[test]
fn a_configuration_gets_the_development_credentials() {
    let data = data();
    let development = Development::create_or_open(data.path(), Clock::system()).unwrap();
    let mut config = Config::development();
    "other".clone_into(&mut config.auth.audience);
    development.configure(&mut config);
    assert_eq!(config.credentials().unwrap(), development.credentials());
    assert_eq!(config.auth.audience, "fulmar");
    assert!(config.check().is_ok());
}

#[cfg(unix)]
#[test]
fn private_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let data = data();
    Development::create_or_open(data.path(), Clock::system()).unwrap();
    let mode = |name: &str| fs::metadata(data.path().join("dev").join(name)).unwrap().permissions().mode();
    for private in ["ca-key.pem", "key.pem", "token-key.pem"] {
        assert_eq!(mode(private) & 0o777, 0o600, "{private}");
    }
    assert_eq!(mode("ca.pem") & 0o444, 0o444, "clients may run as somebody else");
}
