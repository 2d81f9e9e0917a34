//! Presence and typing: datagrams, and who may see whom.

use std::time::Duration;

use fulmar_interop_tests::{
    FastTime, Setup, TestServer, WireClient,
    contents::{remove, text},
    direct, user, within, within_time,
};
use fulmar_protocol::{
    ConversationId, Datagram, ErrorCode, Generation, HistoryPolicy, PresenceState, TypingUpdate,
};

use fulmar_server::Clock;

use crate::{exchange, fast_clock, groups::founded};

fn both() -> ConversationId {
    direct("alice", "bob")
}

/// Two users who have written to one another.
async fn acquainted(server: &TestServer, one: &str, other: &str) -> (WireClient, WireClient) {
    let (mut one, mut other) = (server.connect(one, 1).await, server.connect(other, 1).await);
    exchange(&one, &mut other).await;
    exchange(&other, &mut one).await;
    (one, other)
}

async fn until_state(client: &WireClient, name: &str, state: PresenceState) -> fulmar_protocol::Presence {
    let awaited = format!("{name} to be {state:?}");
    client.next_presence(&awaited, |it| it.user == user(name) && it.state == state).await
}

/// The presence datagrams that a client has had up to the one of `last`, by user.
async fn presence_until(client: &WireClient, last: &str) -> Vec<String> {
    let mut users = Vec::new();
    while users.last().is_none_or(|user| user != last) {
        let presence = client.next_presence(&format!("presence of {last}"), |_| true).await;
        users.push(presence.user.to_string());
    }
    users
}

// FUL-DGRAM-8, FUL-DGRAM-9, FUL-DGRAM-10, FUL-DGRAM-11, FUL-SESS-26, FUL-SESS-32
#[tokio::test]
async fn who_writes_to_one_another_sees_one_another_come_and_go() {
    let server = TestServer::start().await;
    let (mut alice, mut bob) = acquainted(&server, "alice", "bob").await;
    bob.watch(&[both()]).await;
    let online = until_state(&bob, "alice", PresenceState::Online).await;
    assert_eq!(online.ttl, Duration::from_millis(70_000));
    alice.presence(PresenceState::Away);
    until_state(&bob, "alice", PresenceState::Away).await;
    let mut tablet = server.connect("alice", 2).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    tablet.presence(PresenceState::Away);
    until_state(&bob, "alice", PresenceState::Away).await;
    alice.presence(PresenceState::Online);
    until_state(&bob, "alice", PresenceState::Online).await;
    alice.goodbye();
    until_state(&bob, "alice", PresenceState::Away).await;
    tablet.goodbye();
    let offline = until_state(&bob, "alice", PresenceState::Offline).await;
    assert!(offline.last_seen.is_some(), "last seen is known");
    assert!(offline.generation > online.generation, "the latest wins");
    let _alice = server.connect("alice", 1).await;
    until_state(&bob, "alice", PresenceState::Online).await;
}

// FUL-DGRAM-16, FUL-SEC-10
#[tokio::test]
async fn nobody_sees_whom_they_only_wrote_to_or_never_wrote_to() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    exchange(&alice, &mut bob).await;
    // Carol is seen; she shows that everything before her has arrived or never will.
    let carol = server.connect("carol", 1).await;
    for client in [&mut alice, &mut bob] {
        exchange(&carol, client).await;
        exchange(client, &mut server.connect("carol", 2).await).await;
        let with_carol = ConversationId::direct(&client.user, &user("carol"));
        client.watch(&[both(), with_carol]).await;
        assert_eq!(presence_until(client, "carol").await, ["carol"]);
    }
    exchange(&bob, &mut alice).await;
    alice.watch(&[both()]).await;
    assert_eq!(presence_until(&alice, "bob").await.last().unwrap(), "bob");
}

// FUL-DGRAM-9
#[tokio::test]
async fn who_vanishes_is_offline_half_a_minute_later_and_not_before() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let (alice, mut bob) = acquainted(&server, "alice", "bob").await;
    bob.watch(&[both()]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    let vanished_at = clock.now();
    alice.vanish();
    let offline = within_time(Duration::from_secs(60), "alice to be offline", async {
        loop {
            if let Datagram::Presence(presence) = bob.next_datagram().await
                && presence.state == PresenceState::Offline
            {
                return presence;
            }
        }
    })
    .await;
    let waited = clock.now().since(vanished_at);
    assert!(waited >= Duration::from_secs(18), "offline after {waited:?}: keep-alives are 10 s apart");
    assert!(waited <= Duration::from_secs(40), "offline after {waited:?}");
    assert!(offline.last_seen.is_some());
}

// FUL-DGRAM-9, FUL-SESS-16
#[tokio::test]
async fn who_is_cut_off_and_comes_back_at_once_was_never_offline() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let (alice, mut bob) = acquainted(&server, "alice", "bob").await;
    bob.watch(&[both()]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    // Replaced by a newer connection of the same device, and then closed with an error.
    let replacing = server.connect("alice", 1).await;
    drop(alice);
    replacing.close(ErrorCode::Internal);
    let mut alice = server.connect("alice", 1).await;
    alice.presence(PresenceState::Away);
    let next = bob.next_presence("alice's state", |presence| presence.user == user("alice")).await;
    assert_eq!(next.state, PresenceState::Away);
}

// FUL-SESS-38, FUL-DGRAM-9, FUL-DGRAM-12
#[tokio::test]
async fn who_leaves_for_a_while_is_away_for_a_quarter_of_an_hour_and_then_offline_since_leaving() {
    let _fast = FastTime::start(Duration::from_millis(250));
    let clock = Clock::simulated(Clock::system().now());
    let server = TestServer::start_with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let (alice, mut bob) = acquainted(&server, "alice", "bob").await;
    bob.watch(&[both()]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    alice.close(ErrorCode::Away);
    until_state(&bob, "alice", PresenceState::Away).await;
    // Who is back in time was never offline, and the former goodbye does not count any more.
    let back = server.connect("alice", 1).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    let left_at = clock.now();
    back.close(ErrorCode::Away);
    until_state(&bob, "alice", PresenceState::Away).await;
    let offline = within_time(Duration::from_secs(1_000), "alice to be offline", async {
        loop {
            if let Datagram::Presence(presence) = bob.next_datagram().await
                && presence.state != PresenceState::Away
            {
                return presence;
            }
        }
    })
    .await;
    assert_eq!(offline.state, PresenceState::Offline);
    let waited = clock.now().since(left_at);
    assert!((890..=960).contains(&waited.as_secs()), "{waited:?}");
    let last_seen = offline.last_seen.expect("last seen is known");
    assert!(last_seen.since(left_at) <= Duration::from_secs(60), "{last_seen:?}, left at {left_at:?}");
}

// FUL-DGRAM-10, FUL-DGRAM-11
#[tokio::test]
async fn presence_is_repeated_while_it_is_watched_and_not_after() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let (_alice, mut bob) = acquainted(&server, "alice", "bob").await;
    bob.watch(&[both()]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    for _ in 0..2 {
        let before = clock.now();
        let renewed = within_time(Duration::from_secs(40), "the renewal", bob.next_datagram());
        assert!(matches!(renewed.await, Datagram::Presence(presence) if presence.user == user("alice")));
        assert!(clock.now().since(before) <= Duration::from_secs(35));
    }
    bob.watch(&[]).await;
    let nothing = tokio::time::timeout(Duration::from_secs(45), bob.next_datagram()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

// FUL-DGRAM-18, FUL-CONV-33, FUL-REQ-22
#[tokio::test]
async fn nothing_passes_between_two_of_whom_one_blocks_the_other() {
    let server = TestServer::start().await;
    let (mut alice, mut lane, id) = founded(&server, &["bob", "carol"], HistoryPolicy::All).await;
    let (mut bob, mut carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    lane.send(&text("a")).await;
    bob.group(id).await.send(&text("b")).await;
    carol.group(id).await.send(&text("c")).await;
    alice.block("bob", true).await.unwrap();
    for (client, seen) in [(&mut alice, "carol"), (&mut bob, "carol")] {
        client.watch(&[id]).await;
        assert_eq!(presence_until(client, seen).await, [seen]);
    }
    alice.typing(id, true);
    bob.typing(id, true);
    carol.typing(id, true);
    for client in [&alice, &bob] {
        assert_eq!(client.next_typing().await.user, user("carol"));
    }
    alice.block("bob", false).await.unwrap();
    bob.watch(&[]).await;
    bob.watch(&[id]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    // Blocked while watched: the next change does not pass.
    alice.block("bob", true).await.unwrap();
    alice.presence(PresenceState::Away);
    carol.presence(PresenceState::Away);
    let next = bob.next_presence("a change", |presence| presence.state == PresenceState::Away).await;
    assert_eq!(next.user, user("carol"));
}

// FUL-DGRAM-18
#[tokio::test]
async fn who_is_offline_stays_hidden_from_those_they_block() {
    let mut server = TestServer::start().await;
    let (alice, mut lane, id) = founded(&server, &["bob", "carol"], HistoryPolicy::All).await;
    let (mut bob, carol) = (server.connect("bob", 1).await, server.connect("carol", 1).await);
    lane.send(&text("a")).await;
    bob.group(id).await.send(&text("b")).await;
    carol.group(id).await.send(&text("c")).await;
    alice.block("bob", true).await.unwrap();
    alice.goodbye();
    server.until_metric("fulmar_sessions", 2.0).await;
    bob.watch(&[id]).await;
    assert_eq!(presence_until(&bob, "carol").await, ["carol"]);
    // Nor does a server that has not met them since it started tell.
    server.restart().await;
    let mut bob = server.connect("bob", 1).await;
    let _carol = server.connect("carol", 1).await;
    bob.watch(&[id]).await;
    assert_eq!(presence_until(&bob, "carol").await, ["carol"]);
}

// FUL-SEC-10, FUL-DGRAM-16
#[tokio::test]
async fn who_was_removed_sees_nobody_any_more() {
    let server = TestServer::start().await;
    let (mut alice, mut lane, id) = founded(&server, &["bob"], HistoryPolicy::All).await;
    let (mut bob, mut carol) = acquainted(&server, "bob", "carol").await;
    lane.send(&text("a")).await;
    bob.group(id).await.send(&text("b")).await;
    bob.watch(&[id, direct("bob", "carol")]).await;
    until_state(&bob, "alice", PresenceState::Online).await;
    lane.send(&remove(&["bob"])).await;
    bob.lane(id).await.end().await;
    alice.presence(PresenceState::Away);
    alice.typing(id, true);
    alice.ping().await;
    carol.presence(PresenceState::Away);
    let next = bob.next_presence("a change", |presence| presence.state == PresenceState::Away).await;
    assert_eq!(next.user, user("carol"));
}

// FUL-DGRAM-18
#[tokio::test]
async fn a_large_group_tells_nobody_who_is_there_or_types() {
    let server = TestServer::start().await;
    let names: Vec<_> = (1..=64).map(|number| format!("m{number}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    names.push("bob");
    let (mut alice, mut lane, id) = founded(&server, &names, HistoryPolicy::All).await;
    let (mut bob, mut carol) = acquainted(&server, "bob", "carol").await;
    lane.send(&text("a")).await;
    bob.group(id).await.send(&text("b")).await;
    bob.watch(&[id, direct("bob", "carol")]).await;
    assert_eq!(presence_until(&bob, "carol").await, ["carol"]);
    alice.typing(id, true);
    alice.presence(PresenceState::Away);
    alice.ping().await;
    carol.typing(direct("bob", "carol"), true);
    let next = within("a datagram", bob.next_datagram()).await;
    assert!(matches!(next, Datagram::Typing(typing) if typing.user == user("carol")));
}

// FUL-DGRAM-14, FUL-DGRAM-15, FUL-DGRAM-17, FUL-DGRAM-5, FUL-DGRAM-6
#[tokio::test]
async fn typing_goes_to_those_who_have_written_and_the_latest_counts() {
    let server = TestServer::start().await;
    let (mut alice, mut lane, id) = founded(&server, &["bob", "silent"], HistoryPolicy::All).await;
    let mut bob = server.connect("bob", 1).await;
    let (mut silent, mut carol) = acquainted(&server, "silent", "carol").await;
    lane.send(&text("a")).await;
    bob.group(id).await.send(&text("b")).await;
    for client in [&mut alice, &mut bob, &mut silent] {
        client.watch(&[id]).await;
    }
    bob.typing(id, true);
    let typing = alice.next_typing().await;
    assert_eq!((typing.user, typing.conversation_id, typing.typing), (user("bob"), id, true));
    assert_eq!(typing.ttl, Duration::from_millis(6_000));
    // An older one that arrives late means nothing.
    let late = TypingUpdate { conversation_id: id, generation: Generation::new(1), typing: true };
    bob.typing(id, false);
    bob.datagram(&Datagram::TypingUpdate(late));
    bob.typing(id, true);
    assert!(!alice.next_typing().await.typing);
    assert!(alice.next_typing().await.typing);
    carol.typing(direct("silent", "carol"), true);
    let first = silent.next_typing().await;
    assert_eq!(first.user, user("carol"), "nobody types to who only reads");
    // Who is no member is not heard at all.
    let mut stranger = server.connect("stranger", 1).await;
    stranger.typing(id, true);
    stranger.ping().await;
    bob.typing(id, false);
    assert_eq!(alice.next_typing().await.user, user("bob"));
}

// FUL-DGRAM-19, FUL-LIM-3
#[tokio::test]
async fn datagrams_over_the_rate_are_dropped_and_nothing_else_happens() {
    let server = TestServer::start().await;
    let (mut alice, mut bob) = acquainted(&server, "alice", "bob").await;
    for round in 0..200 {
        alice.typing(both(), round % 2 == 0);
    }
    alice.ping().await;
    assert_eq!(bob.next_typing().await.user, user("alice"));
    server.until_metric_at_least("fulmar_datagrams_dropped_total", 100.0).await;
    exchange(&alice, &mut bob).await;
    bob.ping().await;
}
