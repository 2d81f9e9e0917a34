//! Who is let in: by certificate, by number, by what is said first.

use std::time::Duration;

use quinn::ConnectionError;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::time_provider::DefaultTimeProvider;
use rustls_pki_types::UnixTime;
use tokio::time::{sleep, timeout};

use super::super::dial::exchange;
use super::super::hello::Hello;
use super::cluster::{Cluster, DEPLOYMENT, LIFETIME, Node, Stranger, code_of_end, numbered, time_of};
use super::network::Network;
use super::*;
use crate::clock::Clock;
use crate::transport::tls::crypto_provider;

/// Nothing that is refused for good is tried again within this.
const LONG: Duration = Duration::from_secs(60);

/// Certificate and key of another cluster, in the hands of one who trusts this cluster's authority.
fn foreign(cluster: &Cluster, other: &Cluster) -> NodeCredentials {
    NodeCredentials { authority: cluster.credentials().authority, ..other.credentials() }
}

#[tokio::test(start_paused = true)]
async fn a_peer_with_another_clusters_certificate_is_not_let_in() {
    let network = Network::default();
    let (cluster, other) = (Cluster::new(&network), Cluster::new(&network));
    let mut node = cluster.node(1);
    let stranger = cluster.stranger(2, foreign(&cluster, &other));
    node.links.set_peers(vec![stranger.peer]);
    // TLS lets who dials finish first; the refusal comes right after.
    let connection = stranger.connect(&node).await.unwrap();
    assert_eq!(exchange(&connection, stranger.hello(&node)).await, None);
    let end = timeout(SOON, connection.closed()).await.unwrap();
    assert!(matches!(end, ConnectionError::ConnectionClosed(_)), "by TLS: {end}");
    sleep(LONG).await;
    node.hears_nothing();
}

#[tokio::test(start_paused = true)]
async fn nodes_of_two_authorities_meet_while_each_names_both() {
    let network = Network::default();
    let (old, new) = (Cluster::new(&network), Cluster::new(&network));
    let (mut one, mut other) = (old.credentials(), new.credentials());
    one.authority.extend(new.credentials().authority);
    other.authority.extend(old.credentials().authority);
    let mut one = Node::start(old.options(1, one), Versions::SPOKEN);
    let mut other = Node::start(new.options(2, other), Versions::SPOKEN);
    one.links.set_peers(vec![other.peer]);
    other.links.set_peers(vec![one.peer]);
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
    assert_eq!(other.event().await, LinkEvent::Up(one.number()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_a_certificate_is_not_let_in() {
    let network = Network::default();
    let cluster = Cluster::new(&network);
    let mut node = cluster.node(1);
    let time: Arc<dyn TimeProvider> = Arc::new(DefaultTimeProvider);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cluster.credentials().authority.remove(0)).unwrap();
    let mut tls = rustls::ClientConfig::builder_with_details(crypto_provider(), Arc::clone(&time))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"fulmar-node/1".to_vec()];
    let own = cluster.credentials().into_tls(&time).unwrap();
    let nobody = credentials::NodeTls { client: QuicClientConfig::try_from(tls).unwrap(), ..own };
    let stranger = Stranger::new(&network, 2, nobody);
    node.links.set_peers(vec![stranger.peer]);
    let connection = stranger.connect(&node).await.unwrap();
    assert_eq!(exchange(&connection, stranger.hello(&node)).await, None);
    let end = timeout(SOON, connection.closed()).await.unwrap();
    assert!(matches!(end, ConnectionError::ConnectionClosed(_)), "by TLS: {end}");
    node.hears_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_node_says_nothing_to_a_peer_with_another_clusters_certificate() {
    let network = Network::default();
    let (cluster, other) = (Cluster::new(&network), Cluster::new(&network));
    let mut node = cluster.node(1);
    let stranger = cluster.stranger(2, foreign(&cluster, &other));
    node.links.set_peers(vec![stranger.peer]);
    let incoming = timeout(LONG, stranger.endpoint.accept()).await.unwrap().unwrap();
    assert!(incoming.await.is_err(), "the node does not finish the handshake");
    sleep(LONG).await;
    node.hears_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_node_says_nothing_to_another_node_of_its_cluster_at_the_address_of_a_peer() {
    let cluster = Cluster::new(&Network::default());
    let mut node = cluster.node(1);
    let other = cluster.node(2);
    let expected = cluster.stranger(3, cluster.credentials());
    node.links.set_peers(vec![Peer { number: other.number(), address: other.peer.address, ..expected.peer }]);
    other.links.set_peers(vec![node.peer]);
    sleep(LONG).await;
    node.hears_nothing();
    // The same row with the right fingerprint is another peer.
    node.links.set_peers(vec![other.peer]);
    assert_eq!(node.event().await, LinkEvent::Up(other.number()));
}

#[tokio::test(start_paused = true)]
async fn a_number_claimed_with_another_certificate_is_refused_for_good() {
    let network = Network::default();
    let cluster = Cluster::new(&network);
    let node = cluster.node(1);
    let owner = cluster.stranger(2, cluster.credentials());
    let options = cluster.options(3, cluster.credentials());
    let mut thief = Node::start(LinkOptions { number: owner.peer.number, ..options }, Versions::SPOKEN);
    node.links.set_peers(vec![owner.peer]);
    thief.links.set_peers(vec![node.peer]);
    sleep(LONG).await;
    assert_eq!(node.refusals(LinkRefusal::OtherCertificate), 1, "it does not try again");
    thief.hears_nothing();
    let (_connection, version) = owner.say(&node, owner.hello(&node)).await;
    assert_eq!(version, Some(1), "whose number it is gets in");
    // With a number of its own it gets in too.
    thief.links.set_number(NodeNumber::new(3));
    node.links.set_peers(vec![owner.peer, Peer { number: NodeNumber::new(3), ..thief.peer }]);
    assert_eq!(thief.event().await, LinkEvent::Up(node.number()));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_known_yet_is_let_in_when_it_becomes_known() {
    let cluster = Cluster::new(&Network::default());
    let (one, mut other) = (cluster.node(1), cluster.node(2));
    other.links.set_peers(vec![one.peer]);
    sleep(LONG).await;
    other.hears_nothing();
    let refusals = one.refusals(LinkRefusal::NotKnownYet);
    assert!((20..200).contains(&refusals), "it tries again, and not all the time: {refusals}");
    one.links.set_peers(vec![other.peer]);
    let (event, took) = time_of(other.event()).await;
    assert_eq!(event, LinkEvent::Up(one.number()));
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn each_hello_that_does_not_fit_is_refused_with_its_own_code() {
    let cluster = Cluster::new(&Network::default());
    let node = cluster.node(1);
    let stranger = cluster.stranger(2, cluster.credentials());
    node.links.set_peers(vec![stranger.peer]);
    let good = stranger.hello(&node);
    let (later, nobody) = (Versions::new(2, 3).unwrap(), NodeNumber::new(99));
    for (hello, code) in [
        (Hello { from: nobody, ..good }, 1),
        (Hello { versions: later, ..good }, 3),
        (Hello { deployment: DEPLOYMENT.next(), ..good }, 4),
        (Hello { to: nobody, ..good }, 5),
    ] {
        let (connection, version) = stranger.say(&node, hello).await;
        assert_eq!((version, code_of_end(&connection).await), (None, code), "{hello:?}");
    }
    assert_eq!(stranger.say(&node, good).await.1, Some(1));
}

#[tokio::test(start_paused = true)]
async fn whoever_says_no_hello_is_sent_away() {
    let cluster = Cluster::new(&Network::default());
    let node = cluster.node(1);
    let stranger = cluster.stranger(2, cluster.credentials());
    node.links.set_peers(vec![stranger.peer]);
    let silent = stranger.connect(&node).await.unwrap();
    let (code, took) = time_of(code_of_end(&silent)).await;
    assert_eq!(code, 6);
    assert!(took <= Duration::from_secs(6), "{took:?}");
    for (bytes, code) in [(b"\x03\xff\xff\xff" as &[u8], 6), (b"\x80\x40", 7), (b"\0", 6)] {
        let talker = stranger.connect(&node).await.unwrap();
        let (mut send, _receive) = talker.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        assert_eq!(code_of_end(&talker).await, code, "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_dials_again_takes_the_place_of_its_older_link() {
    let cluster = Cluster::new(&Network::default());
    let mut node = cluster.node(1);
    let stranger = cluster.stranger(2, cluster.credentials());
    node.links.set_peers(vec![stranger.peer]);
    let (older, _stream) = stranger.link(&node).await;
    let (_newer, mut stream) = stranger.link(&node).await;
    assert_eq!(code_of_end(&older).await, 9);
    stream.write_chunk(numbered(2).encode().unwrap()).await.unwrap();
    assert_eq!(node.heard_from(stranger.peer.number).await, 2);
}

/// Any time that a test likes.
#[derive(Debug)]
struct At(Duration);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0))
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_own_certificate_others_would_refuse_does_not_start() {
    let network = Network::default();
    let (cluster, other) = (Cluster::new(&network), Cluster::new(&network));
    let refusal = |options: LinkOptions| Links::start(options).err().map(|error| error.to_string());
    let refused = refusal(cluster.options(1, foreign(&cluster, &other))).unwrap();
    assert!(refused.contains("other nodes would refuse it") && !refused.contains('\n'), "{refused}");
    // Certificates are judged by the time that the node is given.
    let later = Duration::from_millis(Clock::system().now().get()) + 2 * LIFETIME;
    let options = cluster.options(2, cluster.credentials());
    let refused = refusal(LinkOptions { time: Arc::new(At(later)), ..options }).unwrap();
    assert!(refused.contains("expired"), "{refused}");
    let mut mismatched = cluster.credentials();
    mismatched.key = cluster.credentials().key;
    assert!(refusal(cluster.options(3, mismatched)).is_some());
    assert_eq!(refusal(cluster.options(4, cluster.credentials())), None);
}

#[test]
fn credentials_are_read_from_the_files_that_the_commands_make() {
    use crate::nodes::certificates::ClusterAuthority;
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    };
    let now = Clock::system().now();
    let made = ClusterAuthority::create(now).unwrap();
    let authority = ClusterAuthority::open(made.certificate_pem.as_bytes(), made.key_pem.as_bytes()).unwrap();
    let node = authority.issue("node", now, LONG).unwrap();
    let (ca, certificate) = (file("ca", &made.certificate_pem), file("certificate", &node.certificate_pem));
    let key = file("key", &node.key_pem);
    let time: Arc<dyn TimeProvider> = Arc::new(DefaultTimeProvider);
    let credentials = NodeCredentials::read(&ca, &certificate, &key).unwrap();
    credentials.verify(&time).unwrap();
    assert_eq!(credentials.into_tls(&time).unwrap().fingerprint.to_string(), node.fingerprint);
    let refused = NodeCredentials::read(&ca, &certificate, &ca).err().unwrap().to_string();
    assert!(refused.contains("no private key"), "{refused}");
}
