//! The first flight: what goes along with Hello, and what becomes of it.

use std::time::Duration;

use fulmar_client::{ErrorCode, Event, Status};

use crate::server::{Peer, Server, next_event, refused, soon, text, text_of, user};

/// A connection that ends with a send without an answer.
async fn cut(peer: &Peer) {
    peer.send_lane().await.next().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
}

// FUL-SESS-35
#[tokio::test]
async fn hello_names_the_user_once_it_is_known() {
    let server = Server::start();
    let (_client, _events, peer) = server.connected().await;
    assert_eq!(peer.hello.user_id, None);
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
    assert_eq!(server.greeted().await.hello.user_id, Some(user("alice")));
}

#[tokio::test]
async fn a_returning_client_sends_in_its_first_flight_and_takes_answers_before_welcome() {
    let server = Server::with_early_data();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    cut(&peer).await;
    let mut again = server.greeted().await;
    assert!(again.frames.is_early(), "Hello is not early data");
    let mut lane = again.send_lane().await;
    assert!(lane.frames.is_early(), "the send is not early data");
    assert_eq!(text_of(&lane.accept(1).await.content), "one");
    assert_eq!(soon("an answer before Welcome", one).await.unwrap().seq.get(), 1);
    again.welcome(1).await;
    // The lane goes on in the session.
    let (two, send) = tokio::join!(bob.send(text("two")), lane.accept(2));
    assert_eq!((two.unwrap().client_seq.get(), text_of(&send.content)), (2, "two".to_owned()));
}

// FUL-TRANS-17
#[tokio::test]
async fn early_data_that_is_refused_is_written_again_once() {
    let server = Server::with_early_data();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    server.forget_tickets();
    cut(&peer).await;
    let mut again = server.session().await;
    assert!(!again.frames.is_early());
    let mut lane = again.send_lane().await;
    assert_eq!(text_of(&lane.accept(1).await.content), "one");
    soon("an answer", one).await.unwrap();
    let (two, send) = tokio::join!(bob.send(text("two")), lane.accept(2));
    assert_eq!((two.unwrap().client_seq.get(), text_of(&send.content)), (2, "two".to_owned()));
    again.pong(&client).await;
}

// FUL-SESS-2
#[tokio::test]
async fn without_a_ticket_sends_go_along_with_hello_too() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    cut(&peer).await;
    let mut again = server.greeted().await;
    let mut lane = again.send_lane().await;
    assert!(!lane.frames.is_early());
    lane.next().await;
    again.welcome(1).await;
    lane.write(&crate::server::accepted(fulmar_protocol::ClientSeq::FIRST, 1)).await;
    soon("an answer", one).await.unwrap();
}

#[tokio::test]
async fn many_conversations_share_the_first_flight_and_the_rest_follow() {
    let server = Server::with_early_data();
    let (client, _events, peer) = server.connected().await;
    let mut sendings = Vec::new();
    for n in 0..40 {
        let conversation = client.direct(&user(&format!("user{n}"))).unwrap();
        sendings.push(conversation.enqueue(text("hello")).await.unwrap());
    }
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
    let mut again = server.greeted().await;
    let mut lanes = Vec::new();
    for _ in 0..15 {
        lanes.push(again.send_lane().await);
    }
    again.welcome(1).await;
    let serve = async {
        for lane in &mut lanes {
            lane.accept(1).await;
        }
        loop {
            let mut lane = again.send_lane().await;
            tokio::spawn(async move {
                lane.accept(1).await;
                while lane.frames.next().await.is_some() {}
                let _ = lane.answers.finish();
            });
        }
    };
    let all = futures_util::future::join_all(sendings);
    tokio::select! {
        () = serve => unreachable!(),
        answers = soon("all answers", all) => assert!(answers.iter().all(Result::is_ok)),
    }
}

#[tokio::test]
async fn an_early_lane_that_is_reset_is_opened_again_in_the_session() {
    let server = Server::with_early_data();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    cut(&peer).await;
    let mut again = server.greeted().await;
    let mut lane = again.send_lane().await;
    lane.next().await;
    lane.answers.reset(quinn::VarInt::from_u32(ErrorCode::LaneAlreadyOpen.code())).unwrap();
    again.welcome(1).await;
    assert_eq!(text_of(&again.send_lane().await.accept(1).await.content), "one");
    soon("an answer", one).await.unwrap();
}

/// A device whose state was an old copy took a new id at once, while a send to another conversation was under way:
/// that one had been appended, and was appended again under the new id.
// FUL-SEND-25
#[tokio::test]
async fn a_new_device_id_waits_for_the_answers_of_other_conversations() {
    let server = Server::with_early_data();
    let (client, _events, mut peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap().enqueue(text("to bob")).await.unwrap();
    let mut to_bob = peer.send_lane().await;
    let reused = to_bob.next().await;
    let carol = client.direct(&user("carol")).unwrap().enqueue(text("to carol")).await.unwrap();
    let mut to_carol = peer.send_lane().await;
    to_carol.next().await;
    to_bob.refuse(refused(reused.client_seq, ErrorCode::ClientSeqReused)).await;
    // What came before it has been taken in then.
    peer.pong(&client).await;
    let dave = client.direct(&user("dave")).unwrap().enqueue(text("to dave")).await.unwrap();
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
    // The old id once more, for what was under way under it, and nothing else.
    let again = server.session().await;
    assert_eq!(again.hello.device_id, peer.hello.device_id);
    let send = again.send_lane().await.accept(1).await;
    assert_eq!(text_of(&send.content), "to carol");
    soon("an answer", carol).await.unwrap();
    let renewed = server.session().await;
    assert_ne!(renewed.hello.device_id, peer.hello.device_id);
    let mut rest = Vec::new();
    for _ in 0..2 {
        rest.push(text_of(&renewed.send_lane().await.accept(1).await.content));
    }
    rest.sort();
    assert_eq!(rest, ["to bob", "to dave"]);
    for answer in [bob, dave] {
        soon("an answer", answer).await.unwrap();
    }
}

// FUL-SEND-24
#[tokio::test]
async fn what_was_numbered_anew_waits_for_welcome() {
    let server = Server::with_early_data();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    let two = bob.enqueue(text("two")).await.unwrap();
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    lane.next().await;
    lane.refuse(refused(send.client_seq, ErrorCode::NotAMember)).await;
    soon("an answer", one).await.unwrap_err();
    while soon("the end of the lane", lane.frames.next()).await.is_some() {}
    drop(lane);
    cut(&peer).await;
    let mut again = server.greeted().await;
    assert!(again.frames.is_early());
    let none = tokio::time::timeout(Duration::from_millis(300), again.connection.accept_bi()).await;
    assert!(none.is_err(), "the server may still hold it under its old number");
    again.welcome(1).await;
    let send = again.send_lane().await.accept(1).await;
    assert_eq!((send.client_seq.get(), text_of(&send.content)), (1, "two".to_owned()));
    soon("an answer", two).await.unwrap();
}

// FUL-SESS-39
#[tokio::test]
async fn a_client_that_does_not_know_its_user_sends_nothing_early() {
    let server = Server::with_early_data();
    let (_client, _events) = server.client().start().unwrap();
    let first = server.greeted().await;
    fulmar_transport::close(
        &first.connection,
        quinn::VarInt::from_u32(ErrorCode::StoreUnavailable.code()),
        b"",
    );
    let again = server.greeted().await;
    assert!(!again.frames.is_early());
}

#[tokio::test]
async fn a_server_that_knows_of_another_user_is_believed() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
    let again = server.greeted().await;
    fulmar_transport::close(&again.connection, quinn::VarInt::from_u32(ErrorCode::UserMismatch.code()), b"");
    let code = next_event(&mut events, "the end", |event| match event {
        Event::Status(Status::Ended { code, .. }) => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, Some(ErrorCode::UserMismatch));
}
