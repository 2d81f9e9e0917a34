//! Sends that are refused: what fails, what is sent again, and under which number.

use std::time::Duration;

use fulmar_client::{ClientError, ErrorCode, Event, State};
use fulmar_protocol::{ClientSeq, Refused};

use crate::server::{Server, lane_open, next_event, refused, soon, text, text_of, user};

#[tokio::test]
async fn a_permanent_refusal_fails_the_send_and_no_other() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let first = bob.enqueue(text("one")).await.unwrap();
    let second = bob.enqueue(text("two")).await.unwrap();
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    lane.refuse(refused(send.client_seq, ErrorCode::RecipientUnavailable)).await;
    let error = soon("an answer", first).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::RecipientUnavailable));
    lane.accept(1).await;
    assert_eq!(soon("an answer", second).await.unwrap().client_seq.get(), 2);
}

#[tokio::test]
async fn a_refusal_that_leaves_its_number_unused_renumbers_what_follows() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let first = bob.enqueue(text("one")).await.unwrap();
    let second = bob.enqueue(text("two")).await.unwrap();
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    lane.next().await;
    lane.refuse(refused(send.client_seq, ErrorCode::NotAMember)).await;
    assert_eq!(soon("an answer", first).await.unwrap_err().code(), Some(ErrorCode::NotAMember));
    // The lane is reset before numbers change.
    while soon("the end of the lane", lane.frames.next()).await.is_some() {}
    drop(lane);
    let mut lane = peer.send_lane().await;
    let send = lane.accept(1).await;
    assert_eq!((send.client_seq.get(), text_of(&send.content)), (1, "two".to_owned()));
    assert_eq!(soon("an answer", second).await.unwrap().client_seq.get(), 1);
}

#[tokio::test]
async fn a_refusal_with_a_time_is_sent_again_after_it() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let sending = bob.enqueue(text("one")).await.unwrap();
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    let retry_after = Some(Duration::from_millis(300));
    let told = tokio::time::Instant::now();
    lane.refuse(Refused { retry_after, ..refused(send.client_seq, ErrorCode::RateLimited) }).await;
    assert_eq!(lane.accept(1).await.client_seq, send.client_seq);
    assert!(told.elapsed() >= Duration::from_millis(300));
    soon("an answer", sending).await.unwrap();
}

#[tokio::test]
async fn sends_behind_a_refused_one_wait_for_it_and_keep_their_order() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let mut sendings = Vec::new();
    for n in 1..=64 {
        sendings.push(bob.enqueue(text(&n.to_string())).await.unwrap());
    }
    let mut lane = peer.send_lane().await;
    for n in 1..=64 {
        let send = lane.next().await;
        assert_eq!(send.client_seq.get(), n);
        let retry_after = Some(Duration::from_millis(200));
        let refused = match n {
            1 => Refused { retry_after, ..refused(send.client_seq, ErrorCode::RateLimited) },
            _ => Refused {
                expected_client_seq: Some(ClientSeq::FIRST),
                ..refused(send.client_seq, ErrorCode::ClientSeqAhead)
            },
        };
        lane.refuse(refused).await;
    }
    for n in 1..=64 {
        assert_eq!(lane.accept(n).await.client_seq.get(), n);
    }
    for sending in sendings {
        soon("an answer", sending).await.unwrap();
    }
}

#[tokio::test]
async fn a_lane_refused_for_good_fails_its_sends() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let unknown = client.conversation(crate::server::with_bob());
    let sending = unknown.enqueue(text("one")).await.unwrap();
    drop(unknown.enqueue(text("two")).await.unwrap());
    let mut lane = peer.send_lane().await;
    lane.next().await;
    lane.answers.reset(quinn::VarInt::from_u32(ErrorCode::ConversationNotFound.code())).unwrap();
    assert_eq!(soon("an answer", sending).await.unwrap_err().code(), Some(ErrorCode::ConversationNotFound));
    let code = next_event(&mut events, "the failure nobody waits for", |event| match event {
        Event::SendFailed { code, .. } => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, ErrorCode::ConversationNotFound);
    let (outcome, _) = tokio::join!(unknown.send(text("three")), async {
        let send = peer.send_lane().await.accept(1).await;
        assert_eq!(send.client_seq.get(), 1);
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_lane_that_is_open_elsewhere_is_tried_again() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let sending = bob.enqueue(text("one")).await.unwrap();
    let mut lane = peer.send_lane().await;
    lane.answers.reset(quinn::VarInt::from_u32(ErrorCode::LaneAlreadyOpen.code())).unwrap();
    peer.send_lane().await.accept(1).await;
    soon("an answer", sending).await.unwrap();
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = Server::start();
    let (client, ..) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let error = bob.enqueue(text(&"x".repeat(65_537))).await.unwrap_err();
    assert!(matches!(error, ClientError::ContentInvalid(_)), "{error}");
    assert_eq!(error.code(), Some(ErrorCode::BodyTooLarge));
}
#[tokio::test]
async fn a_reused_number_makes_a_new_device_that_sends_again_from_one() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = State::directory(folder.path()).unwrap();
    let (client, _events, peer) = server.connect(server.client().state(state)).await;
    let bob = client.direct(&user("bob")).unwrap();
    let (outcome, _) = tokio::join!(bob.send(text("zero")), async { peer.send_lane().await.accept(1).await });
    outcome.unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    let two = bob.enqueue(text("two")).await.unwrap();
    assert_eq!(two.client_seq().get(), 3);
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"cut");
    let peer = server.session().await;
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    lane.refuse(refused(send.client_seq, ErrorCode::ClientSeqReused)).await;
    let again = server.session().await;
    assert_ne!(again.hello.device_id, peer.hello.device_id);
    let mut lane = again.send_lane().await;
    for (n, body) in [(1, "one"), (2, "two")] {
        let send = lane.accept(n + 1).await;
        assert_eq!((send.client_seq.get(), text_of(&send.content)), (n, body.to_owned()));
    }
    assert_eq!(soon("an answer", one).await.unwrap().client_seq.get(), 1);
    assert_eq!(soon("an answer", two).await.unwrap().client_seq.get(), 2);
    assert_eq!(client.device(), again.hello.device_id);
    client.close().await;
    drop((client, bob));
    let state = State::directory(folder.path()).unwrap();
    let (_client, _events, third) = server.connect(server.client().state(state)).await;
    assert_eq!(third.hello.device_id, again.hello.device_id, "the new device id was not kept");
}

#[tokio::test]
async fn under_a_new_epoch_sends_are_numbered_as_the_server_expects() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let mut lane = async {
        let sending = bob.enqueue(text("one")).await.unwrap();
        let mut lane = peer.send_lane().await;
        lane.accept(1).await;
        soon("an answer", sending).await.unwrap();
        lane
    }
    .await;
    let two = bob.enqueue(text("two")).await.unwrap();
    lane.next().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"restored");
    let mut peer = server.greeted().await;
    peer.welcome(2).await;
    next_event(&mut events, "resynchronised", |event| matches!(event, Event::Resynchronised).then_some(()))
        .await;
    // The backup is of a time before the first send.
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    assert_eq!(send.client_seq.get(), 2);
    let expected_client_seq = Some(ClientSeq::FIRST);
    lane.refuse(Refused { expected_client_seq, ..refused(send.client_seq, ErrorCode::ClientSeqAhead) }).await;
    while soon("the end of the lane", lane.frames.next()).await.is_some() {}
    drop(lane);
    let send = peer.send_lane().await.accept(1).await;
    assert_eq!((send.client_seq.get(), text_of(&send.content)), (1, "two".to_owned()));
    assert_eq!(soon("an answer", two).await.unwrap().client_seq.get(), 1);
}

#[tokio::test]
async fn what_a_restored_store_still_knows_is_not_sent_under_a_new_number() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    peer.send_lane().await.next().await;
    // It was accepted, and is in the backup, but the answer was lost.
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"restored");
    let mut peer = server.greeted().await;
    peer.welcome(2).await;
    let open = fulmar_protocol::LaneOpen { next_client_seq: ClientSeq::new(2), ..lane_open(0, 1) };
    let _log = peer.lane(open).await;
    let send = peer.send_lane().await.accept(1).await;
    assert_eq!(send.client_seq, ClientSeq::FIRST);
    soon("an answer", one).await.unwrap();
}
