//! Several servers: which is tried when, which is told anything, and where a client goes that is sent away.

use std::net::UdpSocket;
use std::time::Duration;

use fulmar_client::{ClientBuilder, ClientError, ErrorCode, Status};
use fulmar_protocol::{Frame, GoAway, ServerAddress};

use crate::server::{Peer, Server, soon};

/// A client that trusts the servers, in whose order they are configured.
fn client_of(servers: &[&Server]) -> ClientBuilder {
    let addresses = servers.iter().map(|server| server.address().to_string());
    trusting(servers).servers(addresses)
}

fn trusting(servers: &[&Server]) -> ClientBuilder {
    let builder = fulmar_client::Client::builder().token("a token");
    servers.iter().fold(builder, |builder, server| builder.trust_ca_pem(&server.ca_pem))
}

fn end(peer: &Peer, code: ErrorCode) {
    fulmar_transport::close(&peer.connection, quinn::VarInt::from_u32(code.code()), b"scripted");
}

async fn send_away(peer: &mut Peer, to: &[String]) {
    let go_away = GoAway {
        message: "draining".into(),
        retry_after_min: Duration::from_millis(20),
        retry_after_max: Duration::from_millis(50),
        addresses: to.iter().map(|address| ServerAddress::parse(address).unwrap()).collect(),
    };
    peer.control(&Frame::GoAway(go_away)).await;
    assert_eq!(peer.closed_with().await, ErrorCode::NoError.code());
}

/// Nobody is there, and nobody says so.
struct Dead(UdpSocket);

impl Dead {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// Whether anything came since it was last asked.
    fn was_tried(&self) -> bool {
        let mut tried = false;
        while self.0.recv(&mut [0; 2_000]).is_ok() {
            tried = true;
        }
        tried
    }
}

// FUL-SESS-46
#[tokio::test]
async fn a_client_that_is_sent_away_goes_where_it_is_told() {
    let (one, two) = (Server::start(), Server::start());
    let (_client, _events, mut peer) =
        one.connect(trusting(&[&one, &two]).server(one.address().to_string())).await;
    send_away(&mut peer, &[two.address().to_string()]).await;
    let there = two.session().await;
    assert_eq!(there.hello.device_id, peer.hello.device_id);
    // And it stays there.
    end(&there, ErrorCode::Internal);
    two.session().await;
}

// FUL-SESS-46
#[tokio::test]
async fn a_client_that_is_sent_to_nobody_falls_back_on_what_it_was_set_up_with() {
    let (one, two, dead) = (Server::start(), Server::start(), Dead::new());
    let (_client, _events, mut peer) = one.connect(client_of(&[&one, &two])).await;
    send_away(&mut peer, &[dead.address()]).await;
    // Not to the one that asked to be left, as long as there is another.
    two.session().await;
    assert!(dead.was_tried());
}

#[tokio::test]
async fn a_client_that_is_sent_away_and_knows_nobody_else_comes_back() {
    let (server, dead) = (Server::start(), Dead::new());
    let (_client, _events, mut peer) = server.connected().await;
    send_away(&mut peer, &[dead.address()]).await;
    server.session().await;
}

#[tokio::test]
async fn a_server_that_gives_no_session_is_not_tried_first_again() {
    let (one, two) = (Server::start(), Server::start());
    let builder = client_of(&[&one, &two]);
    let (client, _peer) = tokio::join!(builder.connect(), async {
        end(&one.greeted().await, ErrorCode::GoingAway);
        two.session().await
    });
    client.unwrap();
}

#[tokio::test]
async fn what_worked_last_is_tried_first() {
    let (dead, server) = (Dead::new(), Server::start());
    let builder = trusting(&[&server]).servers([dead.address(), server.address().to_string()]);
    let (_client, _events, peer) = server.connect(builder).await;
    assert!(dead.was_tried());
    end(&peer, ErrorCode::Internal);
    server.session().await;
    assert!(!dead.was_tried());
}

#[tokio::test]
async fn who_loses_the_race_hears_no_hello() {
    // It answers nothing until it is asked to.
    let (slow, quick) = (Server::start(), Server::start());
    let (client, _events, _peer) = quick.connect(client_of(&[&slow, &quick])).await;
    let heard = tokio::time::timeout(Duration::from_millis(300), slow.greeted()).await;
    assert!(heard.is_err(), "a Hello at two servers");
    assert!(client.status().borrow().is_online());
}

#[tokio::test]
async fn early_data_goes_to_the_server_that_worked_last_and_to_nobody_else() {
    let (dead, server) = (Dead::new(), Server::with_early_data());
    let builder = trusting(&[&server]).servers([dead.address(), server.address().to_string()]);
    let (_client, _events, peer) = server.connect(builder).await;
    assert!(dead.was_tried());
    end(&peer, ErrorCode::Internal);
    let again = server.greeted().await;
    assert!(again.frames.is_early(), "Hello waited for a round trip");
    assert!(!dead.was_tried());
}

/// The server that worked last has a Hello in early data, and answers when another has won: it may open a session all
/// the same, and end the winner's.
// FUL-SESS-17
#[tokio::test]
async fn a_client_whose_early_hello_lost_the_race_does_not_take_itself_for_another() {
    let (one, two) = (Server::with_early_data(), Server::start());
    let (client, _events, peer) = one.connect(client_of(&[&one, &two])).await;
    end(&peer, ErrorCode::Internal);
    // The first one takes no connections any more.
    let there = two.session().await;
    soon("a session", client.status().wait_for(Status::is_online)).await.unwrap();
    end(&there, ErrorCode::SessionReplaced);
    let again = two.session().await;
    soon("a session", client.status().wait_for(Status::is_online)).await.unwrap();
    // Nothing has gone astray this time.
    end(&again, ErrorCode::SessionReplaced);
    soon("the end", client.status().wait_for(Status::is_ended)).await.unwrap();
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    // The name may mean an IPv6 address, too, where nobody listens.
    let server = Server::start();
    let builder = trusting(&[&server]).server(format!("localhost:{}", server.address().port()));
    let (client, ..) = server.connect(builder).await;
    assert!(client.status().borrow().is_online());
}

/// A name that is no name: it is refused without asking anybody.
fn no_name() -> String {
    format!("{}.invalid:4433", "x".repeat(64))
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_told() {
    let server = Server::start();
    let builder = trusting(&[&server]).server(no_name()).connect_timeout(Duration::from_secs(6));
    let (client, _events) = builder.start().unwrap();
    let mut status = client.status();
    let told = soon("a failure", status.wait_for(|status| matches!(status, Status::Offline { .. }))).await;
    let Status::Offline { reason, .. } = told.unwrap().clone() else { unreachable!() };
    assert!(reason.starts_with(&format!("cannot look up {}: ", no_name())), "{reason}");
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_does_not_hold_up_another_server() {
    let server = Server::start();
    let builder = trusting(&[&server]).servers([no_name(), server.address().to_string()]);
    let (client, ..) = server.connect(builder).await;
    assert!(client.status().borrow().is_online());
}

#[tokio::test]
async fn more_servers_than_are_tried_are_refused() {
    let server = Server::start();
    let many = (1..=17).map(|port| format!("localhost:{port}"));
    let error = trusting(&[&server]).servers(many).start().map(|_| ()).unwrap_err();
    assert!(matches!(error, ClientError::ArgumentInvalid { .. }), "{error}");
    for wrong in ["localhost", "a b:1", "localhost:0"] {
        let error = trusting(&[&server]).server(wrong).start().map(|_| ()).unwrap_err();
        assert!(matches!(error, ClientError::ServerInvalid { .. }), "{error}");
    }
}
