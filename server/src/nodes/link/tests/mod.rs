//! Links between nodes on a network in memory, under the runtime's paused clock.

mod admission;
mod cluster;
mod network;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::sleep;

use super::*;
use crate::limits::{LINK_QUEUE_BYTES_MAX, LINK_QUEUE_MESSAGES_MAX, NODE_MESSAGE_BYTES_MAX};
use crate::metrics::LinkRefusal;
use cluster::{Cluster, Node, code_of_end, numbered, pair, time_of};
use network::{Network, address};

/// Within this a link that is closed with a word is found to be gone, and made anew.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn messages_arrive_in_the_order_in_which_they_were_sent() {
    let cluster = Cluster::new(&Network::default());
    let (mut one, mut other) = pair(&cluster).await;
    for number in 0..3_000 {
        assert!(one.links.send(other.number(), numbered(number)));
        assert!(other.links.send(one.number(), numbered(10_000 + number)));
    }
    for number in 0..3_000 {
        assert_eq!(other.heard_from(one.number()).await, number);
        assert_eq!(one.heard_from(other.number()).await, 10_000 + number);
    }
    assert_eq!(one.count("fulmar_node_messages_sent_total"), 3_000);
    assert_eq!(other.count("fulmar_node_messages_received_total"), 3_000);
    assert_eq!(one.count("fulmar_node_links"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_every_peer_and_not_the_sender() {
    let cluster = Cluster::new(&Network::default());
    let (mut one, mut two, mut three) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let everybody = vec![one.peer, two.peer, three.peer];
    for node in [&one, &two, &three] {
        node.links.set_peers(everybody.clone());
    }
    for node in [&mut one, &mut two, &mut three] {
        assert!(matches!(node.event().await, LinkEvent::Up(_)));
        assert!(matches!(node.event().await, LinkEvent::Up(_)));
    }
    one.links.broadcast(numbered(5));
    assert_eq!(two.heard_from(one.number()).await, 5);
    assert_eq!(three.heard_from(one.number()).await, 5);
    sleep(SOON).await;
    one.hears_nothing();
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_counts_and_does_not_wait() {
    let cluster = Cluster::new(&Network::default());
    let node = cluster.node(1);
    let nobody = Peer { number: NodeNumber::new(9), address: address(9), ..node.peer };
    node.links.set_peers(vec![nobody]);
    let dropped = "fulmar_node_messages_dropped_total{kind=\"sessions_ended\"}";
    for number in 0..LINK_QUEUE_MESSAGES_MAX as u64 {
        assert!(node.links.send(nobody.number, numbered(number)));
    }
    assert_eq!(node.count(dropped), 0);
    assert!(!node.links.send(nobody.number, numbered(0)));
    node.links.broadcast(numbered(0));
    assert!(!node.links.send(NodeNumber::new(8), numbered(0)), "nobody knows that number");
    assert_eq!(node.count(dropped), 3);
    assert_eq!(node.count("fulmar_node_messages_dropped_total{kind=\"hint\"}"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_costs_its_peers_no_more_than_their_queues() {
    let cluster = Cluster::new(&Network::default());
    let (one, mut other) = pair(&cluster).await;
    let mut sent: u64 = 0;
    while sent < 1_000_000 && one.links.send(other.number(), numbered(sent)) {
        sent += 1;
        if sent.is_multiple_of(1_000) {
            // Lets what is queued go as far as it can.
            sleep(Duration::from_millis(10)).await;
        }
    }
    assert!(sent < 1_000_000, "what is on its way is bounded");
    for number in 0..sent {
        assert_eq!(other.heard_from(one.number()).await, number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_found_within_seconds_and_dialled_until_it_is_back() {
    let network = Network::default();
    let cluster = Cluster::new(&network);
    let (mut one, mut other) = pair(&cluster).await;
    network.cut_off(2);
    let (event, took) = time_of(one.event()).await;
    assert_eq!(event, LinkEvent::Down(other.number()));
    assert!(took < Duration::from_secs(7), "{took:?}");
    assert_eq!(one.count("fulmar_node_links"), 0);
    assert_eq!(other.event().await, LinkEvent::Down(one.number()));
    sleep(Duration::from_secs(60)).await;
    one.hears_nothing();
    assert!(one.links.send(other.number(), numbered(4)), "it waits in the queue");
    network.restore(2);
    let (event, took) = time_of(one.event()).await;
    assert_eq!(event, LinkEvent::Up(other.number()));
    assert!(took < Duration::from_secs(9), "an attempt under way, and the longest wait: {took:?}");
    let first = other.event().await;
    let second = other.event().await;
    assert!([&first, &second].contains(&&LinkEvent::Up(one.number())), "{first:?} {second:?}");
    let message = LinkEvent::Message { from: one.number(), message: numbered(4) };
    assert!([&first, &second].contains(&&message), "{first:?} {second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_says_so_and_one_that_starts_in_its_place_is_dialled() {
    let network = Network::default();
    let cluster = Cluster::new(&network);
    let (mut one, other) = pair(&cluster).await;
    other.links.send(one.number(), numbered(1));
    assert_eq!(one.heard_from(other.number()).await, 1);
    let (number, closing) = (other.number(), other.links.clone());
    drop(other.links);
    closing.close();
    let (event, took) = time_of(one.event()).await;
    assert_eq!(event, LinkEvent::Down(number));
    assert!(took < SOON, "{took:?}");
    closing.closed().await;
    drop((closing, other.events));
    sleep(SOON).await;

    let options = cluster.options(2, cluster.credentials());
    let mut again = Node::start(LinkOptions { number: NodeNumber::new(22), ..options }, Versions::SPOKEN);
    one.links.set_peers(vec![again.peer]);
    again.links.set_peers(vec![one.peer]);
    assert_eq!(one.event().await, LinkEvent::Up(again.number()));
    assert_eq!(again.event().await, LinkEvent::Up(one.number()));
    again.links.send(one.number(), numbered(2));
    assert_eq!(one.heard_from(again.number()).await, 2);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_the_links() {
    let cluster = Cluster::new(&Network::default());
    let (mut one, other) = pair(&cluster).await;
    let clone = other.links.clone();
    drop(other.links);
    assert!(clone.send(one.number(), numbered(1)), "a clone keeps them");
    assert_eq!(one.heard_from(other.peer.number).await, 1);
    drop(clone);
    let (event, took) = time_of(one.event()).await;
    assert_eq!(event, LinkEvent::Down(other.peer.number));
    assert!(took < SOON, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_with_a_new_number_makes_all_links_anew() {
    let cluster = Cluster::new(&Network::default());
    let (mut one, mut other) = pair(&cluster).await;
    let (before, renumbered) = (one.number(), NodeNumber::new(11));
    one.links.set_number(renumbered);
    assert_eq!(one.event().await, LinkEvent::Down(other.number()));
    assert_eq!(other.event().await, LinkEvent::Down(before));
    sleep(Duration::from_secs(20)).await;
    one.hears_nothing();
    other.hears_nothing();
    assert!(other.refusals(LinkRefusal::NotKnownYet) > 0, "the new number is not known yet");
    assert!(one.refusals(LinkRefusal::OtherNode) > 0, "the old one is nobody's");
    other.links.set_peers(vec![Peer { number: renumbered, ..one.peer }]);
    assert_eq!(other.event().await, LinkEvent::Up(renumbered));
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
    one.links.send(other.number(), numbered(3));
    assert_eq!(other.heard_from(renumbered).await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_none_any_more_is_let_go_both_ways() {
    let cluster = Cluster::new(&Network::default());
    let (mut one, mut other) = pair(&cluster).await;
    one.links.set_peers(vec![]);
    assert_eq!(one.event().await, LinkEvent::Down(other.number()));
    assert_eq!(other.event().await, LinkEvent::Down(one.number()));
    assert!(!one.links.send(other.number(), numbered(1)));
    sleep(Duration::from_secs(10)).await;
    other.hears_nothing();
    // Gone and back at once: the Down of before comes before the Up of now.
    one.links.set_peers(vec![other.peer]);
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
    assert_eq!(other.event().await, LinkEvent::Up(one.number()));
    one.links.set_peers(vec![]);
    one.links.set_peers(vec![other.peer]);
    assert_eq!(one.event().await, LinkEvent::Down(other.number()));
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
}

#[tokio::test(start_paused = true)]
async fn a_broken_or_too_long_message_closes_that_link_only() {
    let network = Network::default();
    let cluster = Cluster::new(&network);
    let (mut one, other) = pair(&cluster).await;
    let stranger = cluster.stranger(3, cluster.credentials());
    one.links.set_peers(vec![other.peer, stranger.peer]);

    // The kind 7, `Blocked`, with a user that is none.
    let broken: &[u8] = &[4, 0x3a, 2, 0x0a, 0];
    let mut too_long = Vec::new();
    prost::encode_length_delimiter(NODE_MESSAGE_BYTES_MAX + 1, &mut too_long).unwrap();
    for (bytes, code) in [(broken, 6), (too_long.as_slice(), 7), (&[3, 0xff, 0xff, 0xff], 6)] {
        let (connection, mut stream) = stranger.link(&one).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(code_of_end(&connection).await, code);
    }
    assert_eq!((one.refusals(LinkRefusal::Malformed), one.refusals(LinkRefusal::TooLong)), (2, 1));
    other.links.send(one.number(), numbered(6));
    assert_eq!(one.heard_from(other.number()).await, 6, "the other link never ended");
}

#[tokio::test(start_paused = true)]
async fn kinds_of_a_later_version_are_skipped() {
    let cluster = Cluster::new(&Network::default());
    let mut node = cluster.node(1);
    let stranger = cluster.stranger(3, cluster.credentials());
    node.links.set_peers(vec![stranger.peer]);
    let (_connection, mut stream) = stranger.link(&node).await;
    // The kind 200, then one that is known.
    stream.write_all(&[4, 0xc2, 0x0c, 1, 7]).await.unwrap();
    stream.write_chunk(numbered(8).encode().unwrap()).await.unwrap();
    assert_eq!(node.heard_from(stranger.peer.number).await, 8);
    assert_eq!(node.count("fulmar_node_messages_skipped_total"), 1);
}

#[tokio::test(start_paused = true)]
async fn nodes_of_neighbouring_versions_work_together() {
    let cluster = Cluster::new(&Network::default());
    let newer = Versions::new(1, 2).unwrap();
    let mut old = cluster.node(1);
    let mut new = Node::start(cluster.options(2, cluster.credentials()), newer);
    old.links.set_peers(vec![new.peer]);
    new.links.set_peers(vec![old.peer]);
    assert_eq!(old.event().await, LinkEvent::Up(new.number()));
    assert_eq!(new.event().await, LinkEvent::Up(old.number()));
    old.links.send(new.number(), numbered(1));
    new.links.send(old.number(), numbered(2));
    assert_eq!(new.heard_from(old.number()).await, 1);
    assert_eq!(old.heard_from(new.number()).await, 2);
}

/// Two nodes meet, one falls silent and comes back, both talk. What an observer of the network saw.
fn packets_of_a_run(credentials: [&NodeCredentials; 2]) -> Vec<(Duration, SocketAddr, SocketAddr, usize)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let network = Network::default();
        let cluster = Cluster::new(&network);
        let copy = |of: &NodeCredentials| NodeCredentials {
            authority: of.authority.clone(),
            chain: of.chain.clone(),
            key: of.key.clone_key(),
        };
        let mut one = Node::start(cluster.options(1, copy(credentials[0])), Versions::SPOKEN);
        let other = Node::start(cluster.options(2, copy(credentials[1])), Versions::SPOKEN);
        one.links.set_peers(vec![other.peer]);
        sleep(Duration::from_secs(5)).await;
        other.links.set_peers(vec![one.peer]);
        assert_eq!(one.event().await, LinkEvent::Up(other.number()));
        network.cut_off(2);
        sleep(Duration::from_secs(20)).await;
        network.restore(2);
        for number in 0..200 {
            one.links.send(other.number(), numbered(number));
        }
        sleep(Duration::from_secs(20)).await;
        network.sent().into_iter().map(|(at, from, to, length)| (at - began, from, to, length)).collect()
    })
}

#[test]
fn a_run_can_be_repeated_from_its_seeds() {
    let cluster = Cluster::new(&Network::default());
    let (one, other) = (cluster.credentials(), cluster.credentials());
    let first = packets_of_a_run([&one, &other]);
    assert!(first.len() > 100, "{}", first.len());
    assert_eq!(first, packets_of_a_run([&one, &other]));
}

#[tokio::test]
async fn links_work_over_the_machines_own_sockets() {
    use quinn::Runtime as _;
    let cluster = Cluster::new(&Network::default());
    let bind = || {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        TokioRuntime.wrap_udp_socket(socket).unwrap()
    };
    let start = |number| {
        let options = cluster.options(number, cluster.credentials());
        Node::start(LinkOptions { socket: bind(), seed: None, ..options }, Versions::SPOKEN)
    };
    let (mut one, mut other) = (start(1), start(2));
    one.links.set_peers(vec![other.peer]);
    other.links.set_peers(vec![one.peer]);
    assert_eq!(one.event().await, LinkEvent::Up(other.number()));
    assert_eq!(other.event().await, LinkEvent::Up(one.number()));
    for number in 0..1_000 {
        assert!(one.links.send(other.number(), numbered(number)));
    }
    for number in 0..1_000 {
        assert_eq!(other.heard_from(one.number()).await, number);
    }
}

#[test]
fn a_queue_holds_the_longest_message() {
    const { assert!(NODE_MESSAGE_BYTES_MAX < LINK_QUEUE_BYTES_MAX) };
    assert!(queue::Queue::default().push(Bytes::from(vec![0; NODE_MESSAGE_BYTES_MAX])));
}
