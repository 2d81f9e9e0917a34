//! Opening, keeping and ending a session.

use std::time::Duration;

use fulmar_interop_tests::{
    ConnectionEnd, DialOptions, Setup, StreamEnd, TestServer, WireClient, contents::text, device, direct,
    within, within_time,
};
use fulmar_protocol::{
    ErrorCode, Frame, HistoryRequest, Ping, Reauthenticate, Seq, Token, Watch, encode_grease_datagram,
    encode_grease_frame,
};
use fulmar_server::Clock;
use serde_json::json;
use tokio::time::timeout;

use crate::{exchange, fast_clock};

// FUL-SESS-1, FUL-SESS-6, FUL-SESS-8, FUL-SESS-9
#[tokio::test]
async fn welcome_says_who_it_is_and_what_is_in_force() {
    let mut server = TestServer::start().await;
    let options = DialOptions { backlog_entries_max: 7, ..DialOptions::default() };
    let alice = server.connect_with("alice", 1, options).await;
    assert_eq!(alice.welcome.user_id, alice.user);
    assert_eq!(alice.welcome.backlog_entries_max, 7);
    assert_eq!(alice.welcome.body_bytes_max, 65_536);
    assert_eq!(alice.welcome.group_members_max, 1_000);
    assert!(alice.welcome.expires_at > alice.welcome.server_time);
    let greedy = DialOptions { backlog_entries_max: u32::MAX, ..DialOptions::default() };
    let bob = server.connect_with("bob", 1, greedy).await;
    assert_eq!(bob.welcome.backlog_entries_max, 1_000);
    assert_ne!(bob.welcome.session, alice.welcome.session);
    let epoch = bob.welcome.epoch;
    assert_eq!(alice.welcome.epoch, epoch);
    server.restart().await;
    assert_eq!(server.connect("bob", 1).await.welcome.epoch, epoch, "the store is the same");
}

// FUL-FRAME-1, FUL-FRAME-4, FUL-FRAME-14, FUL-DGRAM-2
#[tokio::test]
async fn what_may_be_skipped_is_skipped_wherever_it_comes() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let grease = |number| {
        let mut bytes = bytes::BytesMut::new();
        encode_grease_frame(number, &[0xaa; 32], &mut bytes);
        bytes.freeze()
    };
    alice.control.write_bytes(grease(1)).await;
    alice.connection().send_datagram(encode_grease_datagram(2, b"what is this").to_vec());
    alice.ping().await;
    let mut lane = alice.direct("bob").await;
    lane.stream.write_bytes(grease(3)).await;
    lane.send(&text("one")).await;
    let mut request = alice.open_stream().await;
    request.write_bytes(grease(4)).await;
    let history = HistoryRequest {
        conversation_id: direct("alice", "bob"),
        from_seq: Seq::ZERO,
        direction: fulmar_protocol::Direction::Backward,
        limit: 1,
    };
    request.write(&Frame::HistoryRequest(history)).await;
    assert!(matches!(request.frame().await, Frame::Entry(_)));
    // A Ping whose type and length are written in more bytes than they need.
    alice.control.write_bytes([0x40, 0x05, 0x80, 0, 0, 2, 0x08, 0x07]).await;
    assert!(matches!(alice.control.frame().await, Frame::Pong(pong) if pong.nonce == 7));
}

// FUL-FRAME-15
#[tokio::test]
async fn the_server_keeps_extension_points_in_use() {
    let server = TestServer::start().await;
    let dialled = server.dial().await;
    let mut control = dialled.open_stream().await;
    control.write(&dialled.hello(&server.token("alice"), device("alice", 1))).await;
    control.write(&Frame::Ping(Ping { nonce: 1 })).await;
    let pong = Frame::Pong(fulmar_protocol::Pong { nonce: 1 }).to_bytes();
    let mut received = Vec::new();
    while !received.ends_with(&pong) {
        received.extend_from_slice(&control.raw().await.expect("the stream goes on"));
    }
    // Behind Welcome comes something that is neither Welcome nor Pong; types from 0x1000 on take two bytes.
    let welcome_bytes = 2 + usize::from(received[1]);
    assert_eq!(received[0], 0x10, "Welcome comes first");
    let between = &received[welcome_bytes..received.len() - pong.len()];
    assert!(between.len() >= 3 && between[0] >= 0x50, "no grease between Welcome and Pong: {between:02x?}");
}

// FUL-SESS-2, FUL-SESS-6
#[tokio::test]
async fn streams_opened_before_welcome_wait_and_are_then_served() {
    let server = TestServer::start().await;
    let dialled = server.dial().await;
    let mut control = dialled.open_stream().await;
    let mut early = dialled.open_stream().await;
    let open = Frame::SendOpen(fulmar_protocol::SendOpen {
        conversation_id: direct("alice", "bob"),
        peer: Some(fulmar_interop_tests::user("bob")),
    });
    let send = Frame::Send(fulmar_protocol::Send {
        client_seq: fulmar_protocol::ClientSeq::FIRST,
        content: text("early").encode(),
    });
    early.write_all([open, send]).await;
    control.write(&dialled.hello(&server.token("alice"), device("alice", 1))).await;
    assert!(matches!(control.frame().await, Frame::Welcome(_)));
    assert!(matches!(early.frame().await, Frame::Accepted(accepted) if accepted.seq == Seq::FIRST));
}

async fn reauthenticate(client: &mut WireClient, token: &str) -> Frame {
    client.control(&Frame::Reauthenticate(Reauthenticate { token: Token::new(token) })).await;
    client.control.frame().await
}

// FUL-SESS-18, FUL-SESS-19, FUL-SESS-21
#[tokio::test]
async fn a_fresh_token_prolongs_the_session_and_an_expired_one_ends_it() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let token = server.token_for("alice", Duration::from_secs(30));
    let mut alice = server.dial().await.enter(&token, device("alice", 1)).await.unwrap();
    let first_end = alice.welcome.expires_at;
    let fresh = server.token_for("alice", Duration::from_secs(60));
    let Frame::Reauthenticated(answer) = reauthenticate(&mut alice, &fresh).await else { panic!("refused") };
    assert!(answer.expires_at > first_end);
    // A bystander of the first token's length shows when that has passed.
    let bystander = server.dial().await.enter(&token, device("alice", 2)).await.unwrap();
    let end = within_time(Duration::from_secs(40), "the expiry", bystander.connection().closed_at_last());
    assert_eq!(end.await, ConnectionEnd::Code(ErrorCode::TokenExpired));
    alice.ping().await;
    let end = within_time(Duration::from_secs(70), "the expiry", alice.connection().closed_at_last());
    assert_eq!(end.await, ConnectionEnd::Code(ErrorCode::TokenExpired));
}

// FUL-SESS-18
#[tokio::test]
async fn a_refused_token_leaves_the_session_under_the_former_one() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    let now = Clock::system().now().get() / 1_000;
    let expired = server.sign(&json!({"sub": "alice", "aud": "fulmar", "iat": now - 60, "exp": now - 1}));
    let elsewhere = server.sign(&json!({"sub": "alice", "aud": "other", "iat": now, "exp": now + 60}));
    for (token, code) in [
        ("rubbish".to_owned(), ErrorCode::TokenInvalid),
        (expired, ErrorCode::TokenExpired),
        (elsewhere, ErrorCode::TokenWrongAudience),
        (server.token("mallory"), ErrorCode::TokenUserChanged),
    ] {
        let answer = reauthenticate(&mut alice, &token).await;
        assert!(matches!(&answer, Frame::Problem(problem) if problem.code == code), "{code:?}: {answer:?}");
    }
    exchange(&alice, &mut server.connect("bob", 1).await).await;
}

// FUL-SESS-20, FUL-SEC-5
#[tokio::test]
async fn a_revocation_ends_the_users_sessions_and_refuses_the_tokens_issued_up_to_it() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock: clock.clone(), ..Setup::default() }).await;
    let token = server.token("alice");
    let phone = server.connect("alice", 1).await;
    let tablet = server.connect("alice", 2).await;
    let mut bob = server.connect("bob", 1).await;
    let (status, body) = server.admin_post("/admin/revoke", &json!({"user": "alice"})).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(phone.closed_with().await, ErrorCode::TokenRevoked);
    assert_eq!(tablet.closed_with().await, ErrorCode::TokenRevoked);
    bob.ping().await;
    let revoked_at = serde_json::from_str::<serde_json::Value>(&body).unwrap()["revoked_before_ms"]
        .as_u64()
        .unwrap_or_else(|| panic!("{body}"));
    let second = revoked_at / 1_000;
    for issued_at in [0, second - 3_600, second] {
        let claims = json!({"sub": "alice", "aud": "fulmar", "iat": issued_at, "exp": second + 3_600});
        let end = server.dial().await.enter(&server.sign(&claims), device("alice", 3)).await;
        assert_eq!(end.unwrap_err(), ConnectionEnd::Code(ErrorCode::TokenRevoked), "issued at {issued_at}");
    }
    let end = server.dial().await.enter(&token, device("alice", 1)).await.unwrap_err();
    assert_eq!(end, ConnectionEnd::Code(ErrorCode::TokenRevoked));
    while clock.now().get() < (second + 1) * 1_000 {
        timeout(Duration::from_millis(100), std::future::pending::<()>()).await.unwrap_err();
    }
    exchange(&bob, &mut server.connect("alice", 1).await).await;
}

// FUL-SESS-20
#[tokio::test]
async fn a_client_that_does_not_read_cannot_put_off_a_revocation() {
    let server = TestServer::start().await;
    let options =
        DialOptions { stream_receive_window: 1_000, receive_window: 2_000, ..DialOptions::default() };
    let mut alice = server.connect_with("alice", 1, options).await;
    // Answers to these fill the windows, and the server waits for room on the control stream.
    let pings = (0..5_000).map(|nonce| Frame::Ping(Ping { nonce: u64::MAX - nonce }));
    alice.control.write_all(pings).await;
    let (status, _) = server.admin_post("/admin/revoke", &json!({"user": "alice"})).await;
    assert_eq!(status, 200);
    assert_eq!(
        within_time(Duration::from_secs(2), "the end", alice.closed()).await,
        ConnectionEnd::Code(ErrorCode::TokenRevoked)
    );
}

// FUL-SESS-16
#[tokio::test]
async fn the_newest_connection_of_a_device_wins() {
    let server = TestServer::start().await;
    let older = server.connect("alice", 1).await;
    let newer = server.connect("alice", 1).await;
    assert_eq!(older.closed_with().await, ErrorCode::SessionReplaced);
    exchange(&newer, &mut server.connect("bob", 1).await).await;
    assert_eq!(server.metric("fulmar_sessions"), 2.0);
}

// FUL-SESS-16, FUL-ERR-2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_connections_of_one_device_that_race_exactly_one_stays() {
    let server = std::sync::Arc::new(TestServer::start().await);
    let mut bob = server.connect("bob", 1).await;
    for _ in 0..5 {
        let racers: Vec<_> = (0..6)
            .map(|_| {
                let server = std::sync::Arc::clone(&server);
                tokio::spawn(async move { server.try_connect("alice", 1).await })
            })
            .collect();
        let mut alive = Vec::new();
        for racer in racers {
            match racer.await.unwrap() {
                Ok(client) => alive.push(client),
                Err(end) => assert_eq!(end, ConnectionEnd::Code(ErrorCode::SessionReplaced)),
            }
        }
        let newest = alive.iter().map(|client| client.welcome.session).max().unwrap();
        let mut winner = None;
        for client in alive {
            if client.welcome.session == newest {
                winner = Some(client);
            } else {
                assert_eq!(client.closed_with().await, ErrorCode::SessionReplaced);
            }
        }
        let mut winner = winner.unwrap();
        winner.ping().await;
        exchange(&bob, &mut winner).await;
    }
    bob.ping().await;
}

// FUL-SESS-34
#[tokio::test]
async fn a_session_ends_with_its_control_stream() {
    let server = TestServer::start().await;
    let mut finished = server.connect("alice", 1).await;
    finished.control.finish();
    assert_eq!(finished.closed_with().await, ErrorCode::FrameUnexpected);
    let mut reset = server.connect("alice", 2).await;
    reset.control.reset(ErrorCode::NoError);
    assert_eq!(reset.closed_with().await, ErrorCode::FrameUnexpected);
}

// FUL-SESS-23, FUL-SESS-26, FUL-LANE-16
#[tokio::test]
async fn a_watched_conversation_has_a_lane_though_nothing_is_new() {
    let server = TestServer::start().await;
    let id = direct("alice", "bob");
    let mut bob = server.connect("bob", 1).await;
    server.connect("alice", 1).await.direct("bob").await.send(&text("hello")).await;
    bob.lane(id).await.catch_up().await;
    bob.have(id, 1).await;
    bob.goodbye();
    let mut bob = server.connect("bob", 1).await;
    bob.watch(&[id]).await;
    let mut lane = bob.lane(id).await;
    assert_eq!((lane.open.next_seq, lane.open.head_seq), (Seq::new(2), Seq::new(1)));
    lane.catch_up().await;
    assert!(lane.delivered.is_empty());
}

// FUL-LANE-24, FUL-MARK-10
#[tokio::test]
async fn a_lane_that_the_client_gives_up_comes_back_from_the_cursor_with_a_later_watch_or_news() {
    let server = TestServer::start().await;
    let id = direct("alice", "bob");
    let mut bob = server.connect("bob", 1).await;
    let alice = server.connect("alice", 1).await;
    let mut lane_up = alice.direct("bob").await;
    for body in ["one", "two", "three"] {
        lane_up.send(&text(body)).await;
    }
    bob.watch(&[id]).await;
    let mut lane = bob.lane(id).await;
    lane.up_to(3).await;
    lane.stop();
    drop(lane);
    bob.have(id, 2).await;
    // Alice's own lane is the one that stays.
    server.until_metric("fulmar_log_lanes", 1.0).await;
    bob.watch(&[id]).await;
    let mut lane = bob.lane(id).await;
    assert_eq!(lane.up_to(3).await.says(), ["three"]);
    lane.stop();
    drop(lane);
    bob.have(id, 3).await;
    server.until_metric("fulmar_log_lanes", 1.0).await;
    lane_up.send(&text("four")).await;
    assert_eq!(bob.lane(id).await.up_to(4).await.says(), ["four"]);
}

// FUL-SESS-25
#[tokio::test]
async fn what_cannot_be_watched_yet_is_watched_as_soon_as_it_can() {
    let server = TestServer::start().await;
    let mut bob = server.connect("bob", 1).await;
    let id = direct("alice", "bob");
    bob.watch(&[id, direct("carol", "dave"), direct("bob", "nobody")]).await;
    let alice = server.connect("alice", 1).await;
    alice.direct("bob").await.send(&text("hello")).await;
    let mut lane = bob.next_lane().await;
    assert_eq!(lane.conversation(), id);
    assert_eq!(lane.catch_up().await.says(), ["hello"]);
    server.connect("carol", 1).await.direct("dave").await.send(&text("not for bob")).await;
    bob.ping().await;
    assert!(timeout(Duration::ZERO, bob.next_lane()).await.is_err(), "only one lane");
}

// FUL-SESS-24
#[tokio::test]
async fn watching_too_many_is_refused_and_the_former_set_stays() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let mut bob = server.connect("bob", 1).await;
    let id = direct("alice", "bob");
    bob.watch(&[id]).await;
    server.connect("alice", 1).await.direct("bob").await.send(&text("hello")).await;
    let mut lane = bob.lane(id).await;
    lane.catch_up().await;
    let many = (0..=64).map(|number| direct("bob", &format!("friend{number}"))).collect();
    bob.control(&Frame::Watch(Watch { conversation_ids: many })).await;
    let answer = bob.control.frame().await;
    assert!(
        matches!(&answer, Frame::Problem(problem) if problem.code == ErrorCode::TooManyWatched),
        "{answer:?}"
    );
    // Still watched: the lane outlives the idle timeout.
    assert!(timeout(Duration::from_secs(45), lane.step()).await.is_err(), "the lane stays as it is");
}

// FUL-LANE-21, FUL-SESS-26, FUL-LANE-23
#[tokio::test]
async fn an_idle_lane_ends_unless_it_is_watched_and_another_opens_with_news() {
    let (_fast, clock) = fast_clock();
    let server = TestServer::start_with(Setup { clock, ..Setup::default() }).await;
    let mut bob = server.connect("bob", 1).await;
    let (watched, other) = (direct("alice", "bob"), direct("carol", "bob"));
    let alice = server.connect("alice", 1).await;
    let carol = server.connect("carol", 1).await;
    let mut from_alice = alice.direct("bob").await;
    let mut from_carol = carol.direct("bob").await;
    from_alice.send(&text("a1")).await;
    from_carol.send(&text("c1")).await;
    let mut watched_lane = bob.lane(watched).await;
    let mut other_lane = bob.lane(other).await;
    watched_lane.catch_up().await;
    other_lane.catch_up().await;
    // On screen only after the lane had begun to wait for its idle end.
    bob.watch(&[watched]).await;
    let end = within_time(Duration::from_secs(45), "the idle end", async {
        loop {
            if let Err(end) = other_lane.step().await {
                return end;
            }
        }
    });
    assert_eq!(end.await, StreamEnd::Finished);
    assert!(timeout(Duration::from_secs(20), watched_lane.step()).await.is_err(), "the watched one stays");
    from_alice.send(&text("a2")).await;
    assert_eq!(watched_lane.up_to(2).await.says(), ["a1", "a2"]);
    from_carol.send(&text("c2")).await;
    assert_eq!(bob.lane(other).await.up_to(2).await.says(), ["c2"]);
}

// FUL-SESS-2
#[tokio::test]
async fn a_second_control_frame_of_the_first_flight_is_served_too() {
    let server = TestServer::start().await;
    let dialled = server.dial().await;
    let mut control = dialled.open_stream().await;
    let hello = dialled.hello(&server.token("alice"), device("alice", 1));
    control.write_all([hello, Frame::Ping(Ping { nonce: 3 })]).await;
    within("Welcome and Pong", async {
        assert!(matches!(control.frame().await, Frame::Welcome(_)));
        assert!(matches!(control.frame().await, Frame::Pong(_)));
    })
    .await;
}
