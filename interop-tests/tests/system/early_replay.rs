//! A first flight that somebody recorded, and plays again.

use std::time::Duration;

use fulmar_interop_tests::{
    Delivered, Gate, Relay, Returning, Setup, TestServer, contents::text, direct, user, within_time,
};
use fulmar_protocol::{ConversationId, Datagram, PresenceState};

use crate::{early_data::tickets_of_stopped, exchange, fast_clock};

fn both() -> ConversationId {
    direct("alice", "bob")
}

/// A moment, of the time that runs fast.
async fn pause() {
    let _ = tokio::time::timeout(Duration::from_millis(200), std::future::pending::<()>()).await;
}

/// Waits until so many handshakes were given up, in time that runs fast.
async fn until_given_up(server: &TestServer, number: usize) {
    let given_up = || {
        let text = server.server().metrics().render();
        let name = "fulmar_connections_closed_total{reason=\"handshake\"} ";
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the reason is there");
        line.parse::<usize>().expect("a number")
    };
    within_time(Duration::from_secs(60), "the handshake's time to be over", async {
        while given_up() < number {
            pause().await;
        }
    })
    .await;
    assert_eq!(given_up(), number);
}

// FUL-SESS-41, FUL-SESS-43, FUL-TRANS-18, FUL-SEC-6, FUL-SEND-13
#[tokio::test]
async fn a_recorded_flight_that_comes_first_steals_no_session_and_doubles_nothing() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    let mut older = alice.connect(server.address()).await.unwrap();
    let mut bob = server.connect("bob", 1).await;
    let relay = Relay::to(server.address(), Gate::Shut).await;
    let mut flight = alice.fly(relay.address()).await;
    let lane = flight.send("bob", &[text("one"), text("two")]).await;
    let recorded = relay.flight(|| flight.sent()).await;
    let opened = server.metric("fulmar_connections_opened_total");

    // What alice wanted to say is said, once.
    let _mallory = relay.replay(&recorded).await;
    let (log, _) = bob.log(both(), 2).await;
    assert_eq!(log.iter().map(Delivered::says).collect::<Vec<_>>(), ["one", "two"]);
    let _mallory_again = relay.replay(&recorded).await;
    older.ping().await;
    until_given_up(&server, 1).await;
    assert_eq!(server.metric("fulmar_tickets_refused_total"), 0.0);
    // The ticket is used up: now not even the early data is read.
    within_time(Duration::from_secs(60), "the ticket to be refused", async {
        // The connection that was given up still swallows what looks like its own packets, for a moment.
        while server.metric("fulmar_tickets_refused_total") < 1.0 {
            relay.replay(&recorded).await;
            pause().await;
        }
    })
    .await;
    until_given_up(&server, 2).await;
    older.ping().await;
    assert_eq!(server.metric("fulmar_entries_accepted_total"), 2.0);
    assert_eq!(server.metric("fulmar_connections_opened_total"), opened);
    assert_eq!(server.metric("fulmar_early_data_accepted_total"), 0.0);
    assert_eq!(server.metric("fulmar_sessions"), 2.0);

    // Alice's own packets get through at last. They take a round trip more, and the old answers come back.
    relay.set(Gate::Open);
    assert!(!flight.taken().await);
    drop(lane);
    flight.again().await;
    let mut lane = flight.send("bob", &[text("one"), text("two")]).await;
    let mut alice = flight.land().await.unwrap();
    for number in 1..=2 {
        let accepted = lane.answer().await.unwrap();
        assert_eq!((accepted.client_seq.get(), accepted.seq.get()), (number, number));
    }
    alice.ping().await;
    assert_eq!(server.metric("fulmar_entries_accepted_total"), 2.0);
    assert_eq!(server.metric("fulmar_duplicates_removed_total"), 2.0);
}

// FUL-SESS-41, FUL-SESS-43, FUL-DGRAM-8
#[tokio::test]
async fn a_recorded_flight_shows_nobody_as_online() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    {
        let mut alice = alice.connect(server.address()).await.unwrap();
        exchange(&alice, &mut bob).await;
        exchange(&bob, &mut alice).await;
        alice.goodbye();
    }
    server.until_metric("fulmar_sessions", 1.0).await;
    bob.watch(&[both()]).await;
    let seen = bob.next_presence("alice", |presence| presence.user == user("alice")).await;
    assert_eq!(seen.state, PresenceState::Offline);
    let relay = Relay::to(server.address(), Gate::Shut).await;
    let flight = alice.fly(relay.address()).await;
    let _lane = flight.send("carol", &[text("one")]).await;
    let recorded = relay.flight(|| flight.sent()).await;
    let accepted = server.metric("fulmar_entries_accepted_total");
    let _mallory = relay.replay(&recorded).await;
    server.until_metric("fulmar_entries_accepted_total", accepted + 1.0).await;
    assert_eq!(server.metric("fulmar_sessions"), 1.0);
    until_given_up(&server, 1).await;
    // Presence is repeated while it is watched: every one of them says the same.
    let mut repeated = 0;
    while repeated < 2 {
        let datagram = within_time(Duration::from_secs(60), "presence", bob.next_datagram());
        if let Datagram::Presence(presence) = datagram.await {
            assert_eq!((presence.state, presence.last_seen), (PresenceState::Offline, seen.last_seen));
            repeated += 1;
        }
    }
    assert_eq!(server.metric("fulmar_sessions"), 1.0);
}

// FUL-SEND-13, FUL-SESS-43, FUL-TRANS-18
#[tokio::test]
async fn a_flight_that_is_taken_twice_because_its_ticket_came_back_doubles_nothing() {
    let mut server = TestServer::start().await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    server.stop().await;
    let rows = tickets_of_stopped(&server, Vec::new()).await;
    server.start_again().await;
    let relay = Relay::to(server.address(), Gate::FirstFlight).await;
    let mut flight = alice.fly(relay.address()).await;
    let mut lane = flight.send("bob", &[text("one"), text("two")]).await;
    lane.answer().await.unwrap();
    lane.answer().await.unwrap();
    assert!(flight.taken().await);
    let recorded = relay.flight(|| 1).await;
    // As after a crash in the moment between: the ticket is there again, as if nobody had taken it.
    server.stop().await;
    tickets_of_stopped(&server, rows).await;
    server.start_again().await;
    let tickets = server.metric("fulmar_tickets");
    let _mallory = relay.replay(&recorded).await;
    server.until_metric("fulmar_duplicates_removed_total", 2.0).await;
    assert_eq!(server.metric("fulmar_tickets"), tickets - 1.0, "taken, and taken for good");
    assert_eq!(server.metric("fulmar_entries_accepted_total"), 0.0);
    assert_eq!(server.metric("fulmar_sessions"), 0.0);
    let bob = server.connect("bob", 1).await;
    let log = bob.whole_log(both()).await;
    assert_eq!(log.iter().map(Delivered::says).collect::<Vec<_>>(), ["one", "two"]);
}

// FUL-SESS-43
#[tokio::test]
async fn a_flight_without_a_handshake_gives_its_place_back() {
    let (_fast, clock) = fast_clock();
    let mut setup = Setup { clock, ..Setup::default() };
    // With 64 places for those who are no sessions.
    setup.config.limits.sessions_max = 1;
    let server = TestServer::start_with(setup).await;
    let alice = Returning::to(&[&server], "alice", 1).await;
    server.until_metric("fulmar_sessions", 0.0).await;
    let mut recordings = Vec::new();
    for _ in 0..2 {
        let relay = Relay::to(server.address(), Gate::Shut).await;
        let flight = alice.fly(relay.address()).await;
        recordings.push((relay.flight(|| flight.sent()).await, relay));
    }
    let mut sockets = Vec::new();
    for (flight, relay) in &recordings {
        sockets.push(relay.replay(flight).await);
    }
    until_given_up(&server, 2).await;
    assert_eq!(server.metric("fulmar_connections"), 0.0);
    server.connect("alice", 1).await.ping().await;
}
