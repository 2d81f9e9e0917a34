//! What a client may not have: refused at the narrowest scope, with its own code, and nobody else notices.

use bytes::Bytes;
use fulmar_interop_tests::{
    ConnectionEnd, StreamEnd, TestServer,
    contents::{self, add, create_group, group, remove, text},
    device, direct,
};
use fulmar_protocol::{Content, ConversationId, ErrorCode, HistoryPolicy, Redacted, Seq};
use fulmar_server::Clock;
use serde_json::{Value, json};

use crate::bad_input::{Neighbours, field};

// FUL-SESS-7, FUL-SESS-10, FUL-SESS-11, FUL-SESS-12, FUL-SESS-13, FUL-SEC-5
#[tokio::test]
async fn a_token_that_is_not_good_here_ends_the_connection_with_the_reason() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let now = Clock::system().now().get() / 1_000;
    let claims = |change: &dyn Fn(&mut Value)| {
        let mut claims = json!({"sub": "alice", "aud": "fulmar", "iat": now, "exp": now + 60});
        change(&mut claims);
        server.sign(&claims)
    };
    let elsewhere = TestServer::start().await;
    let invalid = ErrorCode::TokenInvalid;
    let cases = [
        ("for another audience", claims(&|it| it["aud"] = json!("other")), ErrorCode::TokenWrongAudience),
        ("for others too", claims(&|it| it["aud"] = json!(["a", "b"])), ErrorCode::TokenWrongAudience),
        ("expired", claims(&|it| it["exp"] = json!(now - 1)), ErrorCode::TokenExpired),
        ("not issued yet", claims(&|it| it["iat"] = json!(now + 600)), invalid),
        ("not good yet", claims(&|it| it["nbf"] = json!(now + 600)), invalid),
        ("of nobody", claims(&|it| it["sub"] = json!("")), ErrorCode::UserIdInvalid),
        ("of a long name", claims(&|it| it["sub"] = json!("x".repeat(300))), ErrorCode::UserIdInvalid),
        ("without a user", claims(&|it| drop(it.as_object_mut().unwrap().remove("sub"))), invalid),
        ("without an end", claims(&|it| drop(it.as_object_mut().unwrap().remove("exp"))), invalid),
        ("without an audience", claims(&|it| drop(it.as_object_mut().unwrap().remove("aud"))), invalid),
        ("without a time", claims(&|it| drop(it.as_object_mut().unwrap().remove("iat"))), invalid),
        ("signed by another", elsewhere.token("alice"), invalid),
        ("no token", "rubbish".to_owned(), invalid),
        ("nothing", String::new(), invalid),
        // {"alg":"none"} with the claims of a user, unsigned.
        ("unsigned", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.".to_owned(), invalid),
    ];
    for (what, token, code) in cases {
        let end = server.dial().await.enter(&token, device("alice", 1)).await;
        assert_eq!(end.map(|_| ()), Err(ConnectionEnd::Code(code)), "{what}");
        others.are_well().await;
    }
    let listed = claims(&|it| it["aud"] = json!(["other", "fulmar"]));
    server.dial().await.enter(&listed, device("alice", 1)).await.expect("one of several audiences");
}

// FUL-SESS-15
#[tokio::test]
async fn another_users_device_id_is_refused() {
    let mut server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut others = Neighbours::of(&server).await;
    let taken = Err(ConnectionEnd::Code(ErrorCode::DeviceTaken));
    let end = server.dial().await.enter(&server.token("mallory"), alice.device).await;
    assert_eq!(end.map(|_| ()), taken);
    others.are_well().await;
    server.restart().await;
    let end = server.dial().await.enter(&server.token("mallory"), alice.device).await;
    assert_eq!(end.map(|_| ()), taken);
    server.connect("alice", 1).await.ping().await;
}

// FUL-SEND-2, FUL-ERR-1
#[tokio::test]
async fn a_conversation_id_that_is_not_that_of_the_two_users_ends_the_lane_only() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let mut alice = server.connect("alice", 1).await;
    let mismatch = ErrorCode::DirectIdMismatch;
    let wrong: [(ConversationId, Option<&str>); 4] = [
        (direct("alice", "bob"), Some("carol")),
        (direct("carol", "dave"), Some("dave")),
        (direct("alice", "alice"), Some("bob")),
        (group("alice", 1), Some("bob")),
    ];
    for (id, peer) in wrong {
        let mut lane = alice.send_lane(id, peer).await;
        lane.put(1, &text("hello")).await;
        assert_eq!(lane.stream.stopped().await, mismatch, "{id} {peer:?}");
        assert_eq!(lane.stream.end().await, StreamEnd::Reset(mismatch));
        others.are_well().await;
    }
    // Without a peer nothing begins, and nobody else's conversation is open either.
    for id in [direct("alice", "bob"), direct("carol", "dave")] {
        let mut lane = alice.send_lane(id, None).await;
        let code = lane.refused(&text("hello")).await;
        let expected = [ErrorCode::ConversationNotFound, ErrorCode::NotAMember];
        assert!(expected.contains(&code), "{code:?}");
    }
    alice.ping().await;
    assert_eq!(alice.direct("bob").await.send(&text("hello")).await, 1);
}

// FUL-CONV-10, FUL-SEND-7, FUL-LIM-3
#[tokio::test]
async fn a_body_of_sixty_five_kibibytes_is_refused_and_one_of_sixty_four_accepted() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let mut alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    let mut lane = alice.direct("bob").await;
    assert_eq!(lane.send(&contents::bytes(vec![b'x'; 65_536])).await, 1);
    for bytes in [65_537, 65 * 1024] {
        assert_eq!(lane.refused(&contents::bytes(vec![b'x'; bytes])).await, ErrorCode::BodyTooLarge);
    }
    // Nothing but unknown fields, and more of them than a content may have.
    lane.put_bytes(lane.next, field(14, &[0; 73_728]).into()).await;
    assert_eq!(lane.answer().await.unwrap_err().code, ErrorCode::BodyTooLarge);
    lane.next += 1;
    others.are_well().await;
    assert_eq!(lane.send(&text("and on")).await, 2);
    alice.ping().await;
    let (log, _) = bob.log(direct("alice", "bob"), 2).await;
    assert_eq!(log[0].says().len(), 65_536);
}

// FUL-CONV-10, FUL-CONV-1, FUL-FRAME-12, FUL-LIM-3
#[tokio::test]
async fn content_that_is_never_right_is_refused_and_the_lane_goes_on() {
    let server = TestServer::start().await;
    let mut others = Neighbours::of(&server).await;
    let alice = server.connect("alice", 1).await;
    let id = group("alice", 1);
    let mut lane = alice.group(id).await;
    lane.send(&create_group(1, &["bob"], HistoryPolicy::All)).await;
    lane.send(&text("a message")).await;
    let invalid = ErrorCode::ContentInvalid;
    let users = |tag, names: &[&[u8]]| {
        let names: Vec<_> = names.iter().flat_map(|name| field(1, name)).collect();
        field(tag, &names)
    };
    let many: Vec<String> = (0..257).map(|number| format!("m{number}")).collect();
    let many: Vec<&[u8]> = many.iter().map(|name| name.as_bytes()).collect();
    let message = |content_type: &[u8]| field(1, &[field(1, content_type), field(2, b"x")].concat());
    let react = |reaction: &[u8]| field(4, &[vec![0x08, 2], field(2, reaction)].concat());
    let nonce = |bytes: &[u8]| field(5, &field(1, bytes));
    let cases: Vec<(&str, Vec<u8>, ErrorCode)> = vec![
        ("nothing", vec![], invalid),
        ("rubbish", vec![0xff; 30], invalid),
        ("a kind of a later edition", field(14, b"x"), invalid),
        ("a tombstone", Content::Redacted(Redacted { by_seq: Seq::FIRST }).encode().to_vec(), invalid),
        ("no content type", message(b""), invalid),
        ("half a content type", message(b"text"), invalid),
        ("a long content type", message(&[&b"text/"[..], &[b'x'; 124]].concat()), invalid),
        ("an empty reaction", react(b""), invalid),
        ("a long reaction", react(&[b'x'; 65]), invalid),
        ("a reaction with a line break", react(b"a\nb"), invalid),
        ("a target of 0", field(3, &[]), invalid),
        ("a long title", field(6, &field(1, &[b'x'; 257])), invalid),
        ("a short nonce", nonce(&[1; 15]), invalid),
        ("nobody to add", field(7, &[]), invalid),
        ("somebody twice", users(7, &[b"carol", b"carol"]), invalid),
        ("an unknown role", field(10, &[field(1, b"bob"), vec![0x10, 9]].concat()), invalid),
        ("a long user id", users(7, &[&[b'x'; 300]]), ErrorCode::UserIdInvalid),
        ("an empty user id", users(8, &[b""]), ErrorCode::UserIdInvalid),
        ("257 users to add", users(7, &many), ErrorCode::GroupTooLarge),
        ("257 users to remove", users(8, &many), invalid),
    ];
    for (what, content, code) in cases {
        lane.put_bytes(lane.next, Bytes::from(content)).await;
        lane.next += 1;
        let refused = lane.answer().await.unwrap_err();
        assert_eq!(refused.code, code, "{what}");
    }
    others.are_well().await;
    assert_eq!(lane.send(&text("and on")).await, 3);
}

// FUL-SEND-13, FUL-MARK-10, FUL-MARK-18, FUL-CONV-21
#[tokio::test]
async fn numbers_marks_cursors_and_groups_beyond_their_ends_harm_nobody_else() {
    let server = TestServer::with_config(|config| config.limits.group_members_max = 3).await;
    let mut others = Neighbours::of(&server).await;
    let mut alice = server.connect("alice", 1).await;
    let id = direct("alice", "bob");
    let mut lane = alice.direct("bob").await;
    lane.send(&text("one")).await;
    lane.put(9, &text("a jump")).await;
    assert_eq!(lane.answer().await.unwrap_err().code, ErrorCode::ClientSeqAhead);
    others.are_well().await;
    lane.put(1, &text("another body")).await;
    assert_eq!(lane.answer().await.unwrap_err().code, ErrorCode::ClientSeqReused);
    others.are_well().await;
    alice.lane(id).await.up_to(1).await;
    let confirmation = alice.confirm(&[(id, 2, &[])], &[(id, 2)]).await;
    assert!(confirmation.confirmed);
    assert_eq!(confirmation.codes(), [ErrorCode::CursorBeyondSent, ErrorCode::MarkBeyondHead]);
    others.are_well().await;
    let mut of_group = alice.group(group("alice", 1)).await;
    let creation = create_group(1, &["b", "c", "d"], HistoryPolicy::All);
    assert_eq!(of_group.refused(&creation).await, ErrorCode::GroupTooLarge);
    let mut of_group = of_group.continue_at(1);
    of_group.send(&create_group(1, &["b", "c"], HistoryPolicy::All)).await;
    assert_eq!(of_group.refused(&add(&["d"])).await, ErrorCode::GroupTooLarge);
    of_group.send(&remove(&["c"])).await;
    others.are_well().await;
    alice.ping().await;
}
