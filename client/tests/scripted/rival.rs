//! A path that falls silent, and what is tried beside it.

use fulmar_client::{ClientBuilder, ErrorCode, Event, Status};
use fulmar_protocol::{Frame, GoAway};
use std::time::Duration;

use crate::path::Path;
use crate::server::{Server, next_event, soon, text, text_of, user};

fn over(path: &Path, server: &Server) -> ClientBuilder {
    let builder = fulmar_client::Client::builder().server(path.address.to_string());
    builder.trust_ca_pem(&server.ca_pem).token("a token")
}

#[tokio::test]
async fn a_silent_path_gets_a_rival_that_carries_what_has_no_answer_and_wins() {
    let server = Server::with_early_data();
    let path = Path::to(server.address()).await;
    let (client, mut events, _old) = server.connect(over(&path, &server)).await;
    let mut status = client.status();
    let bob = client.direct(&user("bob")).unwrap();
    path.cut_open_connections();
    status.borrow_and_update();
    let one = bob.enqueue(text("one")).await.unwrap();
    let mut rival = server.greeted().await;
    let mut lane = rival.send_lane().await;
    rival.welcome(1).await;
    assert_eq!(text_of(&lane.accept(1).await.content), "one");
    assert_eq!(soon("an answer", one).await.unwrap().seq.get(), 1);
    let (two, send) = tokio::join!(bob.send(text("two")), lane.accept(2));
    assert_eq!((two.unwrap().client_seq.get(), text_of(&send.content)), (2, "two".to_owned()));
    assert!(!status.has_changed().unwrap(), "the client was offline in between");
    client.close().await;
    while let Some(event) = events.next().await {
        assert!(!matches!(event, Event::Status(Status::Offline { .. })), "{event:?}");
    }
}

#[tokio::test]
async fn a_path_that_was_only_slow_keeps_its_session() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    let (client, _events, mut old) = server.connect(over(&path, &server)).await;
    let bob = client.direct(&user("bob")).unwrap();
    path.cut_open_connections();
    let one = bob.enqueue(text("one")).await.unwrap();
    let rival = server.greeted().await;
    path.mend();
    let mut lane = old.send_lane().await;
    lane.accept(1).await;
    assert_eq!(soon("an answer", one).await.unwrap().seq.get(), 1);
    soon("the end of the rival", rival.connection.closed()).await;
    old.pong(&client).await;
    assert!(client.status().borrow().is_online());
}

/// The server took a rival for the session, and said so when the client had given that rival up: the client took
/// itself for somebody else, and ended for good.
// FUL-SESS-17
#[tokio::test]
async fn a_rival_that_was_given_up_may_replace_the_session_once() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    let (client, _events, mut old) = server.connect(over(&path, &server)).await;
    let bob = client.direct(&user("bob")).unwrap();
    path.cut_open_connections();
    let one = bob.enqueue(text("one")).await.unwrap();
    let rival = server.greeted().await;
    path.mend();
    old.send_lane().await.accept(1).await;
    soon("an answer", one).await.unwrap();
    soon("the end of the rival", rival.connection.closed()).await;
    old.pong(&client).await;
    let replaced = quinn::VarInt::from_u32(ErrorCode::SessionReplaced.code());
    fulmar_transport::close(&old.connection, replaced, b"");
    let next = server.session().await;
    fulmar_transport::close(&next.connection, replaced, b"");
    soon("the end", client.status().wait_for(Status::is_ended)).await.unwrap();
}

// FUL-SESS-17
#[tokio::test]
async fn a_session_that_the_client_replaced_itself_is_not_its_end() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    let (client, _events, old) = server.connect(over(&path, &server)).await;
    let bob = client.direct(&user("bob")).unwrap();
    path.cut_open_connections();
    let one = bob.enqueue(text("one")).await.unwrap();
    let mut rival = server.greeted().await;
    // The server takes the rival for the session, and its word of it comes first.
    path.mend();
    fulmar_transport::close(&old.connection, quinn::VarInt::from_u32(ErrorCode::SessionReplaced.code()), b"");
    let serve = async {
        // The client may have dropped the rival, when it heard of the old connection first.
        let welcome = crate::server::welcome(1, 3_600_000);
        let _ = rival.control.write_all(&welcome_bytes(&welcome)).await;
        let answered = async {
            let (mut answers, mut lane) = rival.connection.accept_bi().await.ok()?;
            lane.read_chunk(65_536, true).await.ok()?;
            let accepted = crate::server::accepted(fulmar_protocol::ClientSeq::FIRST, 1);
            answers.write_all(&accepted.to_bytes()).await.ok()?;
            rival.connection.closed().await;
            Some(())
        };
        answered.await;
        let again = server.session().await;
        again.send_lane().await.accept(1).await;
        again.connection.closed().await;
    };
    tokio::select! {
        () = serve => panic!("the server ended"),
        outcome = soon("an answer", one) => assert_eq!(outcome.unwrap().seq.get(), 1),
    }
}

fn welcome_bytes(frame: &Frame) -> bytes::Bytes {
    frame.to_bytes()
}

#[tokio::test]
async fn when_both_are_dead_the_client_is_offline_and_comes_back_with_the_network() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    let (client, mut events, _old) = server.connect(over(&path, &server)).await;
    let bob = client.direct(&user("bob")).unwrap();
    path.cut();
    let one = bob.enqueue(text("one")).await.unwrap();
    next_event(&mut events, "offline", |event| {
        matches!(event, Event::Status(Status::Offline { .. })).then_some(())
    })
    .await;
    path.mend();
    client.network_changed().await.unwrap();
    let again = server.session().await;
    again.send_lane().await.accept(1).await;
    soon("an answer", one).await.unwrap();
}

#[tokio::test]
async fn a_change_of_network_cuts_a_wait_short() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connected().await;
    let wait = Duration::from_secs(120);
    let go_away = GoAway {
        message: "draining".into(),
        retry_after_min: wait,
        retry_after_max: wait,
        addresses: Vec::new(),
    };
    peer.control(&Frame::GoAway(go_away)).await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::GoingAway.code()), b"");
    next_event(&mut events, "offline", |event| {
        matches!(event, Event::Status(Status::Offline { .. })).then_some(())
    })
    .await;
    client.network_changed().await.unwrap();
    server.session().await;
}

#[tokio::test]
async fn a_change_of_network_begins_an_attempt_anew() {
    let server = Server::start();
    let path = Path::to(server.address()).await;
    path.cut();
    let (client, _events) = over(&path, &server).start().unwrap();
    let mut path = path;
    soon("the first packet", path.packet_of_client()).await;
    path.mend();
    client.network_changed().await.unwrap();
    server.session().await;
}
