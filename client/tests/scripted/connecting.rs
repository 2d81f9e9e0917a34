//! Sessions: how they begin, are refused, renewed and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fulmar_client::{ClientError, ErrorCode, Event, Status};
use fulmar_protocol::{Frame, GoAway, Pong, Reauthenticated, TimestampMs};

use crate::server::{Server, next_event, soon, user, welcome};

#[tokio::test]
async fn a_session_begins_with_hello_and_welcome() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    assert_eq!(client.user(), Some(user("alice")));
    assert_eq!(client.device(), peer.hello.device_id);
    assert_eq!(peer.hello.token.as_str(), "a token");
    next_event(&mut events, "online", |event| matches!(event, Event::Status(Status::Online)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_permanent_refusal_ends_at_once_and_tells_its_code() {
    for code in [ErrorCode::TokenInvalid, ErrorCode::TokenRevoked, ErrorCode::DeviceTaken] {
        let server = Server::start();
        let (outcome, ()) = tokio::join!(server.client().connect(), async {
            let peer = server.greeted().await;
            fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(code.code()), b"no");
            peer.connection.closed().await;
        });
        assert_eq!(outcome.unwrap_err().code(), Some(code));
    }
}

#[tokio::test]
async fn a_session_that_is_replaced_does_not_come_back() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    fulmar_transport::close(
        &peer.connection,
        quinn::VarInt::from_u32(ErrorCode::SessionReplaced.code()),
        b"",
    );
    let code = next_event(&mut events, "the end", |event| match event {
        Event::Status(Status::Ended { code, .. }) => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, Some(ErrorCode::SessionReplaced));
    let bob = client.direct(&user("bob")).unwrap();
    let error = bob.send(crate::server::text("hello")).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SessionReplaced));
}

/// The packet with Hello was lost for longer than the server waits, while those with the sends arrived: the server
/// said that nobody had said who they were, and the client ended for good.
// FUL-SESS-3
#[tokio::test]
async fn a_hello_that_was_lost_is_said_again() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"cut");
    let unheard = server.greeted().await;
    fulmar_transport::close(
        &unheard.connection,
        quinn::VarInt::from_u32(ErrorCode::NotAuthenticated.code()),
        b"",
    );
    let _peer = server.session().await;
    soon("a session", client.status().wait_for(Status::is_online)).await.unwrap();
}

#[tokio::test]
async fn a_lost_connection_comes_back_by_itself() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::Internal.code()), b"oops");
    next_event(&mut events, "offline", |event| match event {
        Event::Status(Status::Offline { reason, .. }) => Some(reason),
        _ => None,
    })
    .await;
    let again = server.session().await;
    assert_eq!(again.hello.device_id, peer.hello.device_id);
    next_event(&mut events, "online", |event| matches!(event, Event::Status(Status::Online)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_when_time_is_up() {
    let server = Server::start();
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    let outcome = fulmar_client::Client::builder()
        .server(address.clone())
        .trust_ca_pem(&server.ca_pem)
        .token("a token")
        .connect_timeout(Duration::from_millis(300))
        .connect()
        .await;
    assert!(outcome.unwrap_err().to_string().contains(&address));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_at_once() {
    let (server, other) = (Server::start(), Server::start());
    let connect = fulmar_client::Client::builder()
        .server(server.address().to_string())
        .trust_ca_pem(&other.ca_pem)
        .token("a token")
        .connect();
    let error = tokio::select! {
        outcome = soon("a refusal", connect) => outcome.unwrap_err(),
        _ = server.greeted() => panic!("the client trusts the server"),
    };
    assert!(matches!(error, ClientError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn a_dead_address_does_not_hold_up_the_next_one() {
    let server = Server::start();
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let builder = fulmar_client::Client::builder()
        .server(nobody.local_addr().unwrap().to_string())
        .server(server.address().to_string())
        .trust_ca_pem(&server.ca_pem)
        .token("a token");
    let (client, ..) = soon("the second address", server.connect(builder)).await;
    assert!(client.status().borrow().is_online());
}

#[tokio::test]
async fn an_expired_token_is_replaced_by_asking_the_source() {
    let server = Server::start();
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let builder = server.client().token_source(move || {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(format!("token {n}")) })
    });
    let (_client, _events, peer) = server.connect(builder).await;
    assert_eq!(peer.hello.token.as_str(), "token 0");
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::TokenExpired.code()), b"");
    let again = server.session().await;
    assert_eq!(again.hello.token.as_str(), "token 1");
}

#[tokio::test]
async fn a_token_is_renewed_within_the_session_before_it_expires() {
    let server = Server::start();
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let builder = server.client().token_source(move || {
        let n = counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { Ok(format!("token {n}")) })
    });
    let (client, mut peer) = tokio::join!(builder.connect(), async {
        let mut peer = server.greeted().await;
        peer.control(&welcome(1, 500)).await;
        peer
    });
    let _client = client.unwrap();
    let Frame::Reauthenticate(renewed) = peer.next_control().await else { panic!("no new token") };
    assert_eq!(renewed.token.as_str(), "token 1");
    let expires_at = TimestampMs::new(1_800_000_001_000);
    peer.control(&Frame::Reauthenticated(Reauthenticated { expires_at })).await;
    let Frame::Reauthenticate(renewed) = peer.next_control().await else { panic!("no new token") };
    assert_eq!(renewed.token.as_str(), "token 2");
}

#[tokio::test]
async fn a_fixed_token_that_expires_ends_the_client() {
    let server = Server::start();
    let (_client, mut events, peer) = server.connected().await;
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(ErrorCode::TokenExpired.code()), b"");
    let code = next_event(&mut events, "the end", |event| match event {
        Event::Status(Status::Ended { code, .. }) => Some(code),
        _ => None,
    })
    .await;
    assert_eq!(code, Some(ErrorCode::TokenExpired));
}

#[tokio::test]
async fn go_away_is_obeyed() {
    let server = Server::start();
    let (_client, _events, mut peer) = server.connected().await;
    let go_away = GoAway {
        message: "draining".into(),
        retry_after_min: Duration::from_millis(100),
        retry_after_max: Duration::from_millis(200),
        addresses: Vec::new(),
    };
    let told = tokio::time::Instant::now();
    peer.control(&Frame::GoAway(go_away)).await;
    assert_eq!(peer.closed_with().await, ErrorCode::NoError.code());
    server.session().await;
    assert!(told.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn after_go_away_nothing_new_is_begun_and_what_waits_is_finished() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let sending = bob.enqueue(crate::server::text("before")).await.unwrap();
    let mut lane = peer.send_lane().await;
    let send = lane.next().await;
    let wait = Duration::from_secs(5);
    let go_away = GoAway {
        message: "draining".into(),
        retry_after_min: wait,
        retry_after_max: wait,
        addresses: Vec::new(),
    };
    peer.control(&Frame::GoAway(go_away)).await;
    peer.pong(&client).await;
    let carol = client.direct(&user("carol")).unwrap();
    let later = carol.enqueue(crate::server::text("after")).await.unwrap();
    let inbox = client.inbox();
    let none = async {
        let stream = tokio::time::timeout(Duration::from_millis(300), peer.connection.accept_bi()).await;
        assert!(stream.is_err(), "a stream was opened after GoAway");
        lane.write(&crate::server::accepted(send.client_seq, 1)).await;
    };
    tokio::select! {
        _ = inbox => panic!("answered by nobody"),
        () = none => {}
    }
    soon("an answer", sending).await.unwrap();
    // With the last answer the client leaves, long before its time to come back.
    let left = tokio::time::timeout(Duration::from_secs(3), peer.connection.closed()).await;
    assert!(left.is_ok(), "the client stayed");
    let again = server.session().await;
    again.send_lane().await.accept(1).await;
    soon("an answer", later).await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_or_fails_with_the_connection() {
    let server = Server::start();
    let (client, _events, mut peer) = server.connected().await;
    let (answer, ()) = tokio::join!(client.ping(), async {
        let Frame::Ping(ping) = peer.next_control().await else { panic!("no ping") };
        peer.control(&Frame::Pong(Pong { nonce: ping.nonce })).await;
    });
    answer.unwrap();
    let (answer, ()) = tokio::join!(client.ping(), async {
        peer.next_control().await;
        fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(1), b"");
    });
    assert!(matches!(answer, Err(ClientError::ConnectionLost { .. })));
}

#[tokio::test]
async fn a_connection_that_did_not_survive_a_change_of_network_is_given_up_soon() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connected().await;
    client.network_changed().await.unwrap();
    let Frame::Ping(_) = peer.next_control().await else { panic!("no probe") };
    // No answer.
    next_event(&mut events, "offline", |event| {
        matches!(event, Event::Status(Status::Offline { .. })).then_some(())
    })
    .await;
    server.session().await;
}

#[tokio::test]
async fn the_state_of_another_user_is_refused() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = || fulmar_client::State::directory(folder.path()).unwrap();
    let (client, ..) = server.connect(server.client().state(state())).await;
    client.close().await;
    let (outcome, _peer) = tokio::join!(server.client().state(state()).connect(), async {
        let mut peer = server.greeted().await;
        let Frame::Welcome(mut other) = welcome(1, 1_000) else { unreachable!() };
        other.user_id = user("mallory");
        peer.control(&Frame::Welcome(other)).await;
        peer
    });
    let error = outcome.unwrap_err();
    assert!(matches!(error, ClientError::StateOfAnotherUser { .. }), "{error}");
}
