//! What one user may do, each limit with its code.

use std::time::Duration;

use fulmar_interop_tests::{
    ConnectionEnd, TestServer, contents,
    contents::{create_group, group, redact, text},
    direct,
};
use fulmar_protocol::{ErrorCode, HistoryPolicy};

use crate::bad_input::Neighbours;

// FUL-LIM-3, FUL-ERR-6
#[tokio::test]
async fn conversations_started_within_an_hour_are_counted_and_the_next_one_has_to_wait() {
    let server = TestServer::with_config(|config| config.limits.conversations_started_per_hour = 3).await;
    let mut others = Neighbours::of(&server).await;
    let alice = server.connect("alice", 1).await;
    let mut known = alice.direct("p1").await;
    known.send(&text("1")).await;
    alice.direct("p2").await.send(&text("2")).await;
    let mut created = alice.group(group("alice", 1)).await;
    created.send(&create_group(1, &["p1"], HistoryPolicy::All)).await;
    let mut lane = alice.direct("p4").await;
    let refused = lane.ask(&text("4")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ConversationRateLimited);
    let wait = refused.retry_after.expect("how long to wait");
    assert!(wait > Duration::from_secs(60) && wait <= Duration::from_secs(1_200), "{wait:?}");
    let other_device = server.connect("alice", 2).await;
    let refused = other_device.direct("p5").await.refused(&text("5")).await;
    assert_eq!(refused, ErrorCode::ConversationRateLimited);
    // What exists goes on, and others may begin.
    known.send(&text("more")).await;
    created.send(&text("more")).await;
    server.connect("p4", 1).await.direct("alice").await.send(&text("from the other side")).await;
    lane.put(1, &text("4")).await;
    assert_eq!(lane.answer().await.unwrap().seq.get(), 2);
    others.are_well().await;
}

// FUL-LIM-3
#[tokio::test]
async fn who_has_filled_the_space_allowed_stores_nothing_more_until_something_is_redacted() {
    let server = TestServer::with_config(|config| config.limits.stored_bytes_per_user_max = 20_000).await;
    let mut others = Neighbours::of(&server).await;
    let alice = server.connect("alice", 1).await;
    let big = contents::bytes(vec![b'x'; 9_000]);
    let mut lane = alice.direct("bob").await;
    lane.send(&big).await;
    lane.send(&big).await;
    assert_eq!(lane.refused(&big).await, ErrorCode::StorageQuotaExceeded);
    let mut elsewhere = alice.direct("eve").await;
    assert_eq!(elsewhere.refused(&big).await, ErrorCode::StorageQuotaExceeded);
    lane.send(&text("small")).await;
    server.connect("bob", 1).await.direct("alice").await.send(&big).await;
    lane.send(&redact(1)).await;
    lane.send(&big).await;
    assert_eq!(lane.refused(&big).await, ErrorCode::StorageQuotaExceeded);
    others.are_well().await;
}

// FUL-SESS-7, FUL-LIM-3
#[tokio::test]
async fn a_user_has_so_many_sessions_and_devices_and_no_more() {
    let server = TestServer::with_config(|config| {
        config.limits.sessions_per_user_max = 2;
        config.limits.devices_per_user_max = 3;
    })
    .await;
    let mut others = Neighbours::of(&server).await;
    let first = server.connect("alice", 1).await;
    let mut second = server.connect("alice", 2).await;
    let refused = server.try_connect("alice", 3).await.unwrap_err();
    assert_eq!(refused, ConnectionEnd::Code(ErrorCode::TooManySessions));
    // A device that comes back takes the place of its own session.
    let mut first_again = server.connect("alice", 1).await;
    assert_eq!(first.closed_with().await, ErrorCode::SessionReplaced);
    first_again.ping().await;
    second.ping().await;
    second.goodbye();
    server.until_metric("fulmar_sessions", 3.0).await;
    let third = server.connect("alice", 3).await;
    third.goodbye();
    server.until_metric("fulmar_sessions", 3.0).await;
    let refused = server.try_connect("alice", 4).await.unwrap_err();
    assert_eq!(refused, ConnectionEnd::Code(ErrorCode::TooManyDevices));
    server.connect("alice", 2).await.ping().await;
    server.connect("bob", 4).await.ping().await;
    others.are_well().await;
}

// FUL-SESS-7, FUL-LIM-3
#[tokio::test]
async fn a_server_has_so_many_sessions_and_no_more() {
    let server = TestServer::with_config(|config| config.limits.sessions_max = 4).await;
    let mut others = Neighbours::of(&server).await;
    let alice = server.connect("alice", 1).await;
    let _bob = server.connect("bob", 1).await;
    for _ in 0..3 {
        let refused = server.try_connect("eve", 1).await.unwrap_err();
        assert_eq!(refused, ConnectionEnd::Code(ErrorCode::TooManySessions));
    }
    // Who has a session already may come back: the new one takes the old one's place.
    let mut alice_again = server.connect("alice", 1).await;
    alice_again.ping().await;
    drop(alice);
    alice_again.goodbye();
    server.until_metric("fulmar_sessions", 3.0).await;
    server.connect("eve", 1).await.ping().await;
    others.are_well().await;
}

// FUL-REQ-19, FUL-REQ-20, FUL-CONV-31, FUL-CONV-32, FUL-CONV-34, FUL-SEC-9
#[tokio::test]
async fn a_block_and_a_closed_door_look_alike() {
    let server = TestServer::with_config(|config| config.limits.blocked_users_max = 2).await;
    let bob = server.connect("bob", 1).await;
    assert_eq!(bob.block("bob", true).await, Err(ErrorCode::UserIdInvalid));
    for name in ["alice", "nobody-knows-them", "alice"] {
        assert_eq!(bob.block(name, true).await, Ok(()));
    }
    assert_eq!(bob.block("one more", true).await, Err(ErrorCode::TooManyBlocked));
    let shy = server.connect("shy", 1).await;
    assert_eq!(shy.refuse_new_direct_messages(true).await, Ok(()));
    let alice = server.connect("alice", 1).await;
    let mut answers = Vec::new();
    for name in ["bob", "shy"] {
        let mut lane = alice.direct(name).await;
        for number in [1, 1, 2] {
            lane.put(number, &text("hello")).await;
            let refused = lane.answer().await.unwrap_err();
            answers.push((refused.code, refused.message, refused.expected_client_seq));
        }
        assert_eq!(alice.inbox_item(direct("alice", name)).await, None);
    }
    let (to_bob, to_shy) = answers.split_at(3);
    assert_eq!(to_bob, to_shy);
    assert_eq!(to_bob[0].0, ErrorCode::RecipientUnavailable);
    // Who does not take messages may begin all the same, and then the door is open.
    shy.direct("alice").await.send(&text("hello from me")).await;
    assert_eq!(alice.direct("shy").await.send(&text("hello")).await, 2);
    bob.direct("alice").await.send(&text("I may")).await;
    let mut to_bob = alice.direct("bob").await;
    assert_eq!(to_bob.refused(&text("may I?")).await, ErrorCode::RecipientUnavailable);
    assert_eq!(bob.block("alice", false).await, Ok(()));
    assert_eq!(bob.block("alice", false).await, Ok(()));
    assert_eq!(to_bob.send(&text("now I may")).await, 2);
    // Blocking later leaves what was said, and groups, as they are.
    alice.group(group("alice", 1)).await.send(&create_group(1, &["bob"], HistoryPolicy::All)).await;
    bob.block("alice", true).await.unwrap();
    assert_eq!(to_bob.refused(&text("again?")).await, ErrorCode::RecipientUnavailable);
    assert_eq!(to_bob.send(&redact(2)).await, 3, "taking back is always possible");
    assert_eq!(alice.whole_log(direct("alice", "bob")).await.len(), 3);
    bob.group(group("alice", 1)).await.send(&text("in the group")).await;
    // Settings outlast the session.
    assert_eq!(shy.refuse_new_direct_messages(false).await, Ok(()));
    server.connect("carol", 1).await.direct("shy").await.send(&text("hello")).await;
}
