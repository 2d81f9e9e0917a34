//! Hedged sends that a client of one's own writing may send: what is taken, and what is dropped.

use fulmar_interop_tests::{
    DialOptions, Setup, TestServer, WireClient,
    contents::{create_group, group, text},
    direct, user,
};
use fulmar_protocol::{
    ClientSeq, Content, ConversationId, Datagram, ErrorCode, Extensions, HedgedEntry, HedgedSend,
    HistoryPolicy,
};

use crate::exchange;

const DROPPED: &str = "fulmar_hedges_dropped_total";
const TAKEN: &str = "fulmar_hedges_taken_total";
const ACCEPTED: &str = "fulmar_entries_accepted_total";

async fn hedging(server: &TestServer, name: &str) -> WireClient {
    let options = DialOptions { extensions: Extensions::HEDGING, ..DialOptions::default() };
    let client = server.connect_with(name, 1, options).await;
    assert_eq!(client.welcome.extensions, Extensions::HEDGING);
    client
}

/// A hedged send, its lowest unanswered number the same as its own.
fn hedge(client: &WireClient, id: ConversationId, peer: Option<&str>, client_seq: u64, content: &Content) {
    let client_seq = ClientSeq::new(client_seq);
    client.datagram(&Datagram::HedgedSend(HedgedSend {
        conversation_id: id,
        peer: peer.map(user),
        client_seq,
        content: content.encode(),
        first_unanswered: client_seq,
    }));
}

// FUL-SESS-36
#[tokio::test]
async fn only_what_both_know_is_in_force() {
    let server = TestServer::start().await;
    let all = DialOptions { extensions: Extensions::from_bits(u64::MAX), ..DialOptions::default() };
    let client = server.connect_with("alice", 1, all).await;
    assert_eq!(client.welcome.extensions, Extensions::HEDGING);
    assert_eq!(server.connect("bob", 1).await.welcome.extensions, Extensions::NONE);
}

// FUL-HEDGE-14, FUL-HEDGE-15, FUL-HEDGE-16
#[tokio::test]
async fn a_hedged_send_is_delivered_and_its_copy_on_the_lane_gets_the_answer() {
    let server = TestServer::start().await;
    let alice = hedging(&server, "alice").await;
    let mut bob = server.connect("bob", 1).await;
    let id = direct("alice", "bob");
    hedge(&alice, id, Some("bob"), 1, &text("first"));
    let (_, mut log) = bob.log(id, 1).await;
    assert_eq!(log.says(), ["first"]);
    let mut lane = alice.direct("bob").await;
    assert_eq!(lane.send(&text("first")).await, 1);
    // Past what the lane has brought, and not again.
    hedge(&alice, id, Some("bob"), 1, &text("first"));
    hedge(&alice, id, Some("bob"), 2, &text("second"));
    assert_eq!(log.up_to(2).await.says(), ["first", "second"]);
    assert_eq!(lane.send(&text("second")).await, 2);
    assert_eq!(lane.send(&text("third")).await, 3);
    server.until_metric(TAKEN, 2.0).await;
    server.until_metric(DROPPED, 1.0).await;
}

// FUL-HEDGE-16
#[tokio::test]
async fn another_content_under_a_hedged_number_is_refused_as_reused() {
    let server = TestServer::start().await;
    let alice = hedging(&server, "alice").await;
    let mut bob = server.connect("bob", 1).await;
    let id = direct("alice", "bob");
    hedge(&alice, id, Some("bob"), 1, &text("one thing"));
    server.until_metric(ACCEPTED, 1.0).await;
    let mut lane = alice.direct("bob").await;
    assert_eq!(lane.refused(&text("another")).await, ErrorCode::ClientSeqReused);
    // FUL-HEDGE-17: its numbers stand for nothing any more.
    hedge(&alice, id, Some("bob"), 2, &text("two"));
    server.until_metric(DROPPED, 1.0).await;
    let (delivered, _) = bob.log(id, 1).await;
    assert_eq!(delivered[0].says(), "one thing");
    assert!((server.metric(ACCEPTED) - 1.0).abs() < 0.1);
}

// FUL-HEDGE-14
#[tokio::test]
async fn another_content_for_a_known_number_and_numbers_ahead_are_dropped() {
    let server = TestServer::start().await;
    let alice = hedging(&server, "alice").await;
    let mut bob = server.connect("bob", 1).await;
    let id = direct("alice", "bob");
    let mut lane = alice.direct("bob").await;
    assert_eq!(lane.send(&text("one")).await, 1);
    hedge(&alice, id, Some("bob"), 1, &text("not one"));
    hedge(&alice, id, Some("bob"), 3, &text("three"));
    hedge(&alice, id, Some("bob"), u64::MAX, &text("far ahead"));
    server.until_metric(DROPPED, 3.0).await;
    assert_eq!(lane.send(&text("two")).await, 2);
    let (delivered, _) = bob.log(id, 2).await;
    assert_eq!(delivered.iter().map(|it| it.says()).collect::<Vec<_>>(), ["one", "two"]);
}

// FUL-HEDGE-1
#[tokio::test]
async fn a_hedge_that_was_not_agreed_on_is_ignored() {
    let server = TestServer::start().await;
    let (alice, mut bob) = (server.connect("alice", 1).await, server.connect("bob", 1).await);
    hedge(&alice, direct("alice", "bob"), Some("bob"), 1, &text("too early"));
    server.until_metric(DROPPED, 1.0).await;
    exchange(&alice, &mut bob).await;
    assert!((server.metric(ACCEPTED) - 1.0).abs() < 0.1);
}

// FUL-HEDGE-15, FUL-SEND-2
#[tokio::test]
async fn a_hedge_to_a_conversation_of_others_changes_nothing() {
    let server = TestServer::start().await;
    let mallory = hedging(&server, "mallory").await;
    let (bob, mut carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    exchange(&bob, &mut carol).await;
    let theirs = direct("bob", "carol");
    // With a peer that the id is not of, it goes no further than the session; without one, the log refuses it.
    hedge(&mallory, theirs, Some("carol"), 1, &text("let me in"));
    server.until_metric(DROPPED, 1.0).await;
    hedge(&mallory, theirs, None, 1, &text("let me in"));
    server.until_metric(TAKEN, 1.0).await;
    let birds = group("bob", 1);
    bob.group(birds).await.send(&create_group(1, &["carol"], HistoryPolicy::FromJoining)).await;
    hedge(&mallory, birds, None, 1, &text("and here"));
    server.until_metric(TAKEN, 2.0).await;
    assert_eq!(
        mallory.send_lane(theirs, None).await.refused(&text("let me in")).await,
        ErrorCode::NotAMember
    );
    assert_eq!(mallory.group(birds).await.refused(&text("and here")).await, ErrorCode::NotAMember);
    exchange(&bob, &mut carol).await;
    assert!((server.metric(ACCEPTED) - 3.0).abs() < 0.1, "{}", server.metric(ACCEPTED));
}

// FUL-HEDGE-17
#[tokio::test]
async fn after_a_refusal_that_may_change_numbers_hedges_are_dropped() {
    let server = TestServer::start().await;
    let alice = hedging(&server, "alice").await;
    let id = direct("alice", "bob");
    let mut lane = alice.direct("bob").await;
    assert_eq!(lane.send(&text("one")).await, 1);
    assert_eq!(lane.expected().await, 2);
    hedge(&alice, id, Some("bob"), 2, &text("two"));
    server.until_metric(DROPPED, 1.0).await;
    lane.close().await;
    // In this session; also on the next lane.
    let mut lane = alice.direct("bob").await.continue_at(2);
    assert_eq!(lane.send(&text("another two")).await, 2);
    hedge(&alice, id, Some("bob"), 3, &text("three"));
    server.until_metric(DROPPED, 2.0).await;
    assert!((server.metric(ACCEPTED) - 2.0).abs() < 0.1);
}

// FUL-HEDGE-18
#[tokio::test]
async fn a_send_is_counted_once_however_many_copies_come() {
    let server = TestServer::with_config(|config| {
        config.limits.sends_per_second = 1;
        config.limits.sends_burst = 4;
        config.limits.conversations_started_per_hour = 1;
    })
    .await;
    let alice = hedging(&server, "alice").await;
    let id = direct("alice", "bob");
    let mut lane = alice.direct("bob").await;
    for seq in 1..=4 {
        hedge(&alice, id, Some("bob"), seq, &text("hello"));
        server.until_metric(TAKEN, f64::from(u32::try_from(seq).unwrap())).await;
        assert_eq!(lane.send(&text("hello")).await, seq);
    }
}

// FUL-HEDGE-18, FUL-DGRAM-19, FUL-ERR-2
#[tokio::test]
async fn a_flood_of_hedges_is_dropped_and_harms_nobody_else() {
    let server = TestServer::start_with(Setup::default()).await;
    let mallory = hedging(&server, "mallory").await;
    let (bob, mut carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    let id = direct("mallory", "bob");
    for seq in 1..=2_000 {
        hedge(&mallory, id, Some("bob"), seq, &text("flood"));
        if seq % 100 == 0 {
            exchange(&bob, &mut carol).await;
        }
    }
    server.until_metric_at_least("fulmar_datagrams_dropped_total", 1.0).await;
    // A burst of 40 datagrams and 20 a second, of which 64 may be without their copy on the lane.
    assert!(server.metric(TAKEN) <= 64.0);
    exchange(&bob, &mut carol).await;
    let mut mallory = mallory;
    mallory.ping().await;
}

// FUL-DGRAM-2
#[tokio::test]
async fn a_hedge_that_only_servers_send_or_that_does_not_decode_ends_the_connection() {
    let server = TestServer::start().await;
    let alice = hedging(&server, "alice").await;
    let bob = server.connect("bob", 1).await;
    let mut lane = bob.direct("alice").await;
    lane.send(&text("hello")).await;
    let mut alice = alice;
    let (delivered, _) = alice.log(direct("alice", "bob"), 1).await;
    let fulmar_interop_tests::Delivered::Entry(entry) = delivered[0].clone() else { panic!("an entry") };
    alice.datagram(&Datagram::HedgedEntry(HedgedEntry { conversation_id: direct("alice", "bob"), entry }));
    assert_eq!(alice.closed_with().await, ErrorCode::DatagramMalformed);
    let carol = hedging(&server, "carol").await;
    carol.connection().send_datagram(vec![0x50, 0x01, 0x0f, 0xff]);
    assert_eq!(carol.closed_with().await, ErrorCode::DatagramMalformed);
}
