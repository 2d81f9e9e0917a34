//! quinn over the simulated network: real endpoints, real TLS, no real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Cause, Direction, Host, Network};
use fulmar_network_model::{DropCause, LinkOptions, Profile};
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;

use super::{ip, ms};

const ROUND_TRIP: Duration = Duration::from_millis(50);
/// What a round trip may take longer because timers count whole milliseconds, at each of two ends.
const ROUNDING: Duration = Duration::from_millis(2);

fn transport() -> Arc<TransportConfig> {
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(Duration::from_secs(120).try_into().unwrap()));
    Arc::new(transport)
}

/// The settings of both ends. An Ed25519 certificate: its signatures are of one length, so that packets are too.
fn settings() -> (ServerConfig, ClientConfig) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let certificate =
        rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate: CertificateDer<'static> = certificate.der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = [&rustls::version::TLS13];
    let server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(server).unwrap()));
    server.transport_config(transport());
    let mut client = ClientConfig::new(Arc::new(QuicClientConfig::try_from(client).unwrap()));
    client.transport_config(transport());
    (server, client)
}

fn endpoint(host: &Host, port: u16, server: Option<ServerConfig>) -> Endpoint {
    let mut config = EndpointConfig::default();
    config.rng_seed(Some([7; 32]));
    let socket = host.bind(port).unwrap();
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime)).unwrap()
}

/// Sends back what comes on each stream.
async fn echo(incoming: quinn::Incoming, connections: tokio::sync::mpsc::Sender<Connection>) {
    let connection = incoming.await.unwrap();
    connections.send(connection.clone()).await.unwrap();
    while let Ok((mut send, mut receive)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let bytes = receive.read_to_end(1 << 20).await.unwrap();
            send.write_all(&bytes).await.unwrap();
            send.finish().unwrap();
        });
    }
}

struct Echo {
    network: Network,
    phone: Host,
    client: Endpoint,
    config: ClientConfig,
    server: SocketAddr,
    accepted: tokio::sync::mpsc::Receiver<Connection>,
}

impl Echo {
    fn start(seed: u64, profile: &Profile) -> Self {
        let network = Network::new(seed);
        let phone = network.host(ip(1), profile);
        let (server_config, config) = settings();
        let server = endpoint(&network.host(ip(9), &Profile::SERVER), 4433, Some(server_config));
        let (accepting, accepted) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            while let Some(incoming) = server.accept().await {
                tokio::spawn(echo(incoming, accepting.clone()));
            }
        });
        let client = endpoint(&phone, 0, None);
        Self { network, phone, client, config, server: SocketAddr::new(ip(9), 4433), accepted }
    }

    async fn connect(&mut self) -> (Connection, Connection) {
        let connecting = self.client.connect_with(self.config.clone(), self.server, "localhost").unwrap();
        let connection = connecting.await.unwrap();
        (connection, self.accepted.recv().await.unwrap())
    }
}

/// Sends bytes, and waits until they have come back. How long that took.
async fn round(connection: &Connection, bytes: &[u8]) -> Duration {
    let begun = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(1 << 20).await.unwrap(), bytes);
    begun.elapsed()
}

fn assert_took(took: Duration, expected: Duration) {
    assert!(took >= expected && took <= expected + ROUNDING, "{took:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_takes_one_round_trip_and_an_echo_another() {
    let mut echo = Echo::start(1, &Profile::CLEAN);
    let begun = Instant::now();
    let connecting = echo.client.connect_with(echo.config.clone(), echo.server, "localhost").unwrap();
    let connection = connecting.await.unwrap();
    assert_took(begun.elapsed(), ROUND_TRIP);
    assert_took(round(&connection, b"hello").await, ROUND_TRIP);
    assert!(echo.accepted.recv().await.is_some());
}

/// A message of this size: on a path that it has not validated a server sends three times what it received there,
/// and the probe of the path takes 1,200 bytes of that.
const LARGE: usize = 1_000;

#[tokio::test(start_paused = true)]
async fn a_connection_migrates_when_its_nat_is_rebound_or_its_host_moves() {
    let mut echo = Echo::start(1, &Profile::CLEAN);
    echo.phone.nat(true);
    let (connection, accepted) = echo.connect().await;
    round(&connection, b"hello").await;
    let before = accepted.remote_address();
    echo.phone.rebind_nat();
    assert_took(round(&connection, &[5; LARGE]).await, ROUND_TRIP);
    let after = accepted.remote_address();
    assert_eq!(after.ip(), before.ip());
    assert_ne!(after.port(), before.port());
    // Let the new path be validated: the server may otherwise fall back to the old one.
    tokio::time::advance(Duration::from_secs(5)).await;
    echo.phone.move_to(ip(2)).unwrap();
    assert_took(round(&connection, &[5; LARGE]).await, ROUND_TRIP);
    assert_eq!(accepted.remote_address().ip(), ip(2));
}

#[tokio::test(start_paused = true)]
async fn a_small_message_on_a_new_path_is_answered_within_two_round_trips() {
    let mut echo = Echo::start(1, &Profile::CLEAN);
    echo.phone.nat(true);
    let (connection, _accepted) = echo.connect().await;
    round(&connection, b"hello").await;
    echo.phone.rebind_nat();
    // The answer waits for what else the client sends there: the probe of the path has used up what its few bytes
    // allow.
    let took = round(&connection, b"still there?").await;
    assert!(took > ROUND_TRIP + ROUNDING && took <= ROUND_TRIP * 2 + ROUNDING, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_blackout_costs_its_length_and_at_most_as_much_again() {
    const BLACKOUT: Duration = Duration::from_secs(20);
    let mut echo = Echo::start(1, &Profile::CLEAN);
    let (connection, _accepted) = echo.connect().await;
    round(&connection, b"hello").await;
    echo.phone.blackout(&Direction::BOTH);
    let restore = async {
        tokio::time::sleep_until(Instant::now() + BLACKOUT).await;
        echo.phone.restore();
    };
    let (took, ()) = tokio::join!(round(&connection, b"anybody?"), restore);
    // Probes are sent at intervals that double, so the first after the network's return comes before the blackout
    // has lasted twice as long.
    assert!(took >= BLACKOUT + ROUND_TRIP && took < BLACKOUT * 2 + ms(500), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_shrinks_is_noticed() {
    let mut echo = Echo::start(1, &Profile::CLEAN);
    let (connection, _accepted) = echo.connect().await;
    round(&connection, &[5; 100_000]).await;
    assert!(connection.stats().path.current_mtu > 1_400, "found out meanwhile");
    let shrunk = LinkOptions { mtu: 1_200, ..Profile::CLEAN.up };
    echo.phone.set_links(shrunk, shrunk);
    let took = round(&connection, &[5; 100_000]).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(connection.stats().path.current_mtu, 1_200);
    let dropped = echo.phone.counters().dropped(Direction::Up, Cause::Link(DropCause::Mtu));
    assert!(dropped.packets > 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_kilobytes_come_back_over_every_profile() {
    for profile in Profile::ALL {
        let mut echo = Echo::start(3, profile);
        let (connection, _accepted) = echo.connect().await;
        let took = round(&connection, &vec![5; 100_000]).await;
        assert!(took > profile.round_trip(), "{profile}: {took:?}");
        assert!(took < Duration::from_secs(120), "{profile}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn quinn_over_one_seed_has_one_digest() {
    let run = async |seed| {
        let mut echo = Echo::start(seed, &Profile::UBER_P95);
        let (connection, _accepted) = echo.connect().await;
        for _ in 0..10 {
            round(&connection, &[5; 10_000]).await;
        }
        echo.network.digest()
    };
    let digest = run(1).await;
    assert_eq!(run(1).await, digest);
    assert_ne!(run(2).await, digest);
}
