//! A client that comes back: what its first flight may do before the handshake is complete, and what waits.

use std::time::Duration;

use fulmar_interop_tests::{
    ConnectionEnd, Delivered, Gate, Relay, Returning, SendLane, Setup, StreamEnd, TestServer, WireClient,
    WireStream, contents, contents::text, device, direct, user, within,
};
use fulmar_protocol::{BlockRequest, Direction, ErrorCode, Frame, HistoryRequest, Ping, Seq};
use fulmar_server::{KeyRange, Store, StoreError, StoreOptions};
use serde_json::json;

use crate::{exchange, fast_clock};

/// Whether a stream has something to say now.
async fn is_silent(stream: &mut WireStream) -> bool {
    tokio::time::timeout(Duration::ZERO, stream.next()).await.is_err()
}

async fn accepted(lane: &mut SendLane, client_seq: u64) -> u64 {
    let accepted = lane.answer().await.expect("accepted");
    assert_eq!(accepted.client_seq.get(), client_seq);
    accepted.seq.get()
}

/// What the conversation holds, as its other member sees it.
async fn bodies(reader: &WireClient, peer: &str) -> Vec<String> {
    let id = direct(peer, reader.user.as_str());
    match reader.history(id, 1, Direction::Forward, 1).await {
        Ok(_) => reader.whole_log(id).await.iter().map(Delivered::says).collect(),
        Err(_) => Vec::new(),
    }
}

/// A server that alice's first device was connected to, and a relay to it that lets the first flight through.
async fn alice_is_back() -> (TestServer, Returning, Relay) {
    let server = TestServer::start().await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    server.until_metric("fulmar_sessions", 0.0).await;
    let relay = Relay::to(server.address(), Gate::FirstFlight).await;
    (server, alice, relay)
}

// FUL-TRANS-17, FUL-SESS-39, FUL-SESS-40, FUL-SESS-44, FUL-SESS-6, FUL-SEND-3
#[tokio::test]
async fn sends_of_the_first_flight_are_answered_before_the_handshake_is_complete() {
    let (server, alice, relay) = alice_is_back().await;
    let bob = server.connect("bob", 1).await;
    let opened = server.metric("fulmar_connections_opened_total");
    let mut flight = alice.fly(relay.address()).await;
    let mut to_bob = flight.send("bob", &[text("one"), text("two")]).await;
    let mut to_carol = flight.send("carol", &[text("hello")]).await;
    assert_eq!(accepted(&mut to_bob, 1).await, 1);
    assert_eq!(accepted(&mut to_bob, 2).await, 2);
    assert_eq!(accepted(&mut to_carol, 1).await, 1);
    assert!(flight.taken().await);
    // The server has no handshake to the end yet, and no session.
    assert_eq!(server.metric("fulmar_connections_opened_total"), opened);
    assert_eq!(server.metric("fulmar_early_data_accepted_total"), 0.0);
    assert_eq!(server.metric("fulmar_sessions"), 1.0);
    assert!(is_silent(&mut flight.control).await);
    assert_eq!(bodies(&bob, "alice").await, ["one", "two"]);

    relay.set(Gate::Open);
    let alice = flight.land().await.unwrap();
    assert_eq!(server.metric("fulmar_early_data_accepted_total"), 1.0);
    // The lanes go on, and are still the only ones of their conversations.
    assert_eq!(to_bob.send(&text("three")).await, 3);
    let mut second = alice.direct("bob").await;
    assert_eq!(second.stream.end().await, StreamEnd::Reset(ErrorCode::LaneAlreadyOpen));
    to_bob.close().await;
    assert_eq!(alice.direct("bob").await.continue_at(4).send(&text("four")).await, 4);
}

/// A send that was numbered anew may come again under its old number, recorded or late, when that is free: the
/// same words would stand there twice.
// FUL-SEND-23
#[tokio::test]
async fn an_early_send_of_words_that_were_just_answered_waits_for_the_session() {
    let (server, alice, relay) = alice_is_back().await;
    let bob = server.connect("bob", 1).await;
    let flight = alice.fly(relay.address()).await;
    let mut to_bob = flight.send("bob", &[text("once"), text("once"), text("behind")]).await;
    // What comes after it on another lane is served.
    let mut to_carol = flight.send("carol", &[text("hello")]).await;
    assert_eq!(accepted(&mut to_bob, 1).await, 1);
    assert_eq!(accepted(&mut to_carol, 1).await, 1);
    assert_eq!(bodies(&bob, "alice").await, ["once"]);

    relay.set(Gate::Open);
    let _alice = flight.land().await.unwrap();
    assert_eq!(accepted(&mut to_bob, 2).await, 2);
    assert_eq!(accepted(&mut to_bob, 3).await, 3);
    assert_eq!(bodies(&bob, "alice").await, ["once", "once", "behind"]);
}

// FUL-SESS-41, FUL-SESS-2, FUL-TRANS-20
#[tokio::test]
async fn what_is_no_send_waits_for_the_handshake() {
    let (server, alice, relay) = alice_is_back().await;
    let mut older = alice.connect(server.address()).await.unwrap();
    let mut bob = server.connect("bob", 1).await;
    exchange(&older, &mut bob).await;
    let mut flight = alice.fly(relay.address()).await;
    let mut history = flight.dialled.open_stream().await;
    let mut block = flight.dialled.open_stream().await;
    flight.control.write(&Frame::Ping(Ping { nonce: 7 })).await;
    let request = HistoryRequest {
        conversation_id: direct("alice", "bob"),
        from_seq: Seq::ZERO,
        direction: Direction::Backward,
        limit: 1,
    };
    history.write(&Frame::HistoryRequest(request)).await;
    block.write(&Frame::BlockRequest(BlockRequest { user: user("bob"), blocked: true })).await;
    let mut lane = flight.send("carol", &[text("one"), text("two")]).await;
    for number in 1..=2 {
        // All of it is there, and only the lane is served.
        accepted(&mut lane, number).await;
        older.ping().await;
        assert!(is_silent(&mut flight.control).await);
        assert!(is_silent(&mut history).await && is_silent(&mut block).await);
    }
    // Not blocked yet.
    let mut from_bob = bob.direct("alice").await;
    let next = from_bob.expected().await;
    from_bob.continue_at(next).send(&text("can you hear me?")).await;
    assert_eq!(server.metric("fulmar_sessions"), 2.0);

    relay.set(Gate::Open);
    let mut alice = flight.land().await.unwrap();
    assert!(matches!(alice.control.frame().await, Frame::Pong(pong) if pong.nonce == 7));
    assert!(matches!(history.frame().await, Frame::Entry(_)));
    assert!(matches!(block.frame().await, Frame::Done(_)));
    assert_eq!(older.closed_with().await, ErrorCode::SessionReplaced);
}

// FUL-TRANS-9, FUL-SESS-44
#[tokio::test]
async fn the_first_flight_has_its_bounds_and_the_session_has_room() {
    let (server, alice, relay) = alice_is_back().await;
    let flight = alice.fly(relay.address()).await;
    let mut lanes = Vec::new();
    // With the control stream all that a stranger is permitted.
    for number in 1..16 {
        lanes.push(flight.send(&format!("friend{number}"), &[text("hello")]).await);
    }
    let connection = flight.dialled.quic().clone();
    assert!(tokio::time::timeout(Duration::ZERO, connection.open_bi()).await.is_err(), "one too many");
    let mut first = lanes.remove(0);
    let much = contents::bytes(vec![b'x'; 65_000]);
    let mut waiting = Box::pin(first.put(2, &much));
    assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "with the rest over 64 KiB");
    relay.set(Gate::Open);
    let alice = flight.land().await.unwrap();
    within("room for the rest", waiting).await;
    assert_eq!((accepted(&mut first, 1).await, accepted(&mut first, 2).await), (1, 2));
    for lane in &mut lanes {
        accepted(lane, 1).await;
    }
    // Streams beyond the first flight, while all of those are open.
    let mut more = Vec::new();
    for number in 16..40 {
        let mut lane = alice.direct(&format!("friend{number}")).await;
        lane.send(&text("hello")).await;
        more.push(lane);
    }
    assert_eq!(server.metric("fulmar_early_data_accepted_total"), 1.0);
}

// FUL-SESS-40, FUL-SESS-16, FUL-SEND-13, FUL-SEND-20
#[tokio::test]
async fn early_sends_and_those_of_the_older_session_are_in_the_log_once_and_in_order() {
    let (server, alice, relay) = alice_is_back().await;
    let bob = server.connect("bob", 1).await;
    let older = alice.connect(server.address()).await.unwrap();
    let mut old_lane = older.direct("bob").await;
    let say = |number: u64| text(&number.to_string());
    assert_eq!(old_lane.send(&say(1)).await, 1);
    // The client has seen no answer to any of them.
    let contents: Vec<_> = (1..=16).map(say).collect();
    let mut flight = alice.fly(relay.address()).await;
    let mut lane = flight.send("bob", &contents).await;
    for number in 2..=12 {
        old_lane.put(number, &say(number)).await;
    }
    for number in 1..=16 {
        // Whichever connection brings it, it has the place of its number.
        assert_eq!(accepted(&mut lane, number).await, number);
    }
    assert!(flight.taken().await);
    relay.set(Gate::Open);
    let _session = flight.land().await.unwrap();
    assert_eq!(older.closed_with().await, ErrorCode::SessionReplaced);
    assert_eq!(lane.send(&say(17)).await, 17);
    let expected: Vec<_> = (1..=17).map(|number: u64| number.to_string()).collect();
    assert_eq!(bodies(&bob, "alice").await, expected);
}

// FUL-SESS-42, FUL-SESS-30
#[tokio::test]
async fn a_flight_without_a_handshake_does_not_hold_up_a_stop_and_one_with_it_is_sent_away() {
    let (mut server, alice, relay) = alice_is_back().await;
    let mut stays_away = alice.fly(relay.address()).await;
    let mut lane = stays_away.send("bob", &[text("one")]).await;
    accepted(&mut lane, 1).await;
    assert!(stays_away.taken().await);
    let (status, _) = server.admin_post("/admin/drain", &json!({})).await;
    assert_eq!(status, 200);
    relay.set(Gate::Open);
    let end = stays_away.land().await.unwrap_err();
    assert_eq!(end, ConnectionEnd::Code(ErrorCode::GoingAway));
    server.stop().await;
    server.start_again().await;
    relay.set(Gate::FirstFlight);
    let flight = alice.fly(relay.address()).await;
    accepted(&mut flight.send("carol", &[text("one")]).await, 1).await;
    let started = tokio::time::Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

// FUL-DGRAM-3
#[tokio::test]
async fn early_datagrams_are_ignored() {
    let (server, alice, relay) = alice_is_back().await;
    let flight = alice.fly(relay.address()).await;
    // It would end the connection if anybody looked at it.
    flight.dialled.send_datagram(vec![0x01, 0x0f, 0xff]);
    let mut lane = flight.send("bob", &[text("one")]).await;
    accepted(&mut lane, 1).await;
    relay.set(Gate::Open);
    let mut alice = flight.land().await.unwrap();
    alice.ping().await;
    assert_eq!(server.metric("fulmar_datagrams_dropped_total"), 0.0);
    exchange(&alice, &mut server.connect("carol", 1).await).await;
}

// FUL-SESS-40, FUL-SESS-41
#[tokio::test]
async fn sends_of_a_device_that_is_not_known_wait_for_the_handshake() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    let relay = Relay::to(server.address(), Gate::FirstFlight).await;
    let token = server.token("alice");
    let tablet = alice.as_device("alice", device("alice", 2), token);
    let mut flight = tablet.fly(relay.address()).await;
    let mut lane = flight.send("bob", &[text("one")]).await;
    assert!(flight.taken().await);
    assert!(tokio::time::timeout(Duration::from_secs(2), lane.stream.next()).await.is_err());
    assert_eq!(server.metric("fulmar_entries_accepted_total"), 0.0);
    relay.set(Gate::Open);
    let _session = flight.land().await.unwrap();
    assert_eq!(accepted(&mut lane, 1).await, 1);
}

// FUL-SESS-42, FUL-SESS-35, FUL-SESS-20
#[tokio::test]
async fn an_early_hello_that_is_refused_is_told_so_after_the_handshake_and_nothing_of_it_is_done() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    let (mine, token) = (device("alice", 1), server.token("alice"));
    let revoked = {
        let erin = Returning::to(&[&server], "erin", 1).await;
        let (status, body) = server.admin_post("/admin/revoke", &json!({"user": "erin"})).await;
        assert_eq!(status, 200, "{body}");
        erin
    };
    let expired = server.sign(&json!({"sub": "alice", "aud": "fulmar", "iat": 1, "exp": 2}));
    for (client, state_of, code) in [
        (revoked, Some("erin"), ErrorCode::TokenRevoked),
        (
            Returning::to(&[&server], "alice", 1).await.as_device("bob", mine, token),
            Some("bob"),
            ErrorCode::UserMismatch,
        ),
        (alice.as_device("mallory", mine, server.token("mallory")), Some("mallory"), ErrorCode::DeviceTaken),
        (alice.as_device("alice", mine, expired), Some("alice"), ErrorCode::TokenExpired),
    ] {
        let relay = Relay::to(server.address(), Gate::FirstFlight).await;
        let mut flight = client.fly_as(relay.address(), state_of.map(user)).await;
        let mut lane = flight.send("bob", &[text("one")]).await;
        assert!(flight.taken().await, "{code:?}");
        let waited = tokio::time::timeout(Duration::from_secs(2), lane.stream.next()).await;
        assert!(waited.is_err() && flight.dialled.quic().close_reason().is_none(), "{code:?}: {waited:?}");
        relay.set(Gate::Open);
        assert_eq!(flight.land().await.unwrap_err(), ConnectionEnd::Code(code));
    }
    assert_eq!(server.metric("fulmar_entries_accepted_total"), 0.0);
}

// FUL-SESS-42
#[tokio::test]
async fn a_broken_early_lane_ends_the_connection_after_the_handshake() {
    let (server, alice, relay) = alice_is_back().await;
    let mut flight = alice.fly(relay.address()).await;
    let mut lane = flight.send("bob", &[text("one")]).await;
    // A critical frame that nobody knows.
    lane.stream.write_bytes([0x3f, 0x00]).await;
    server.until_metric("fulmar_entries_accepted_total", 1.0).await;
    assert!(flight.taken().await);
    relay.set(Gate::Open);
    assert_eq!(flight.land().await.unwrap_err(), ConnectionEnd::Code(ErrorCode::UnknownCriticalFrame));
    assert_eq!(bodies(&server.connect("bob", 1).await, "alice").await, ["one"]);
}

/// Writes rows of tickets into the store of a server that is stopped, and gives all that are there.
pub(crate) async fn tickets_of_stopped(
    server: &TestServer,
    written: Vec<(Vec<u8>, Vec<u8>)>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let store = Store::open(server.data().join("store"), StoreOptions::default()).unwrap();
    let run = store.run(move |transaction| {
        let written = written.clone();
        Box::pin(async move {
            written.into_iter().for_each(|(key, value)| transaction.set(&key, value));
            Ok::<_, StoreError>(())
        })
    });
    run.await.unwrap();
    let rows = store.snapshot().range(KeyRange::prefix(*b"\x01T"), 100, false).await.unwrap();
    store.close().await;
    rows.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// Flies to a server that refuses early data: what was sent is sent again on the same connection, and is there
/// once.
async fn refused_and_sent_again(server: &TestServer, alice: &Returning) {
    let mut flight = alice.fly(server.address()).await;
    let contents = [text("one"), text("two")];
    let in_vain = flight.send("bob", &contents).await;
    assert!(!flight.taken().await, "a round trip has to be waited for");
    drop(in_vain);
    flight.again().await;
    let mut lane = flight.send("bob", &contents).await;
    let _session = flight.land().await.unwrap();
    assert_eq!((accepted(&mut lane, 1).await, accepted(&mut lane, 2).await), (1, 2));
    assert_eq!(bodies(&server.connect("bob", 1).await, "alice").await, ["one", "two"]);
    assert_eq!(server.metric("fulmar_early_data_accepted_total"), 0.0);
    assert!(server.metric("fulmar_tickets_refused_total") >= 1.0);
}

// FUL-TRANS-17, FUL-TRANS-18
#[tokio::test]
async fn a_ticket_of_another_server_costs_a_round_trip_and_nothing_else() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    let alice = Returning::to(&[&one, &other], "alice", 1).await;
    let alice = alice.as_device("alice", device("alice", 1), other.token("alice"));
    refused_and_sent_again(&other, &alice).await;
}

// FUL-TRANS-19
#[tokio::test]
async fn a_ticket_given_under_other_settings_costs_a_round_trip_and_nothing_else() {
    let mut server = TestServer::start().await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    server.stop().await;
    // As a server of another edition leaves it: the row of a ticket begins with versions and with the digest.
    let mut rows = tickets_of_stopped(&server, Vec::new()).await;
    assert_eq!(rows.len(), 2);
    for (_, value) in &mut rows {
        assert_eq!(value[..3], [1, 0x0a, 16]);
        value[3] ^= 1;
    }
    tickets_of_stopped(&server, rows).await;
    server.start_again().await;
    assert_eq!(server.metric("fulmar_tickets"), 0.0);
    refused_and_sent_again(&server, &alice).await;
}

// FUL-TRANS-18
#[tokio::test]
async fn a_ticket_outlives_a_stop_and_a_crash_of_the_server() {
    let mut server = TestServer::start().await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    for (number, peer) in ["bob", "carol", "dave", "erin"].into_iter().enumerate() {
        if number % 2 == 0 {
            server.stop().await;
        } else {
            server.until_metric_at_least("fulmar_tickets_stored_total", 2.0).await;
            server.crash();
        }
        server.start_again().await;
        assert!(server.metric("fulmar_tickets") >= 1.0);
        let mut flight = alice.fly(server.address()).await;
        let mut lane = flight.send(peer, &[text("one")]).await;
        assert!(flight.taken().await, "restart {number}");
        accepted(&mut lane, 1).await;
        let mut session = flight.land().await.unwrap();
        session.ping().await;
        session.goodbye();
        server.until_metric("fulmar_sessions", 0.0).await;
    }
}
