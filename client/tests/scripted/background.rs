//! The app in the background and back.

use std::time::Duration;

use fulmar_client::{ErrorCode, Status};

use crate::path::Path;
use crate::server::{Server, lane_open, next_entry, soon, text, text_of, user};

async fn rests(client: &fulmar_client::Client) {
    let mut status = client.status();
    let resting = status.wait_for(|status| matches!(status, Status::Background));
    soon("the background", resting).await.unwrap();
}

// FUL-SESS-38
#[tokio::test]
async fn in_the_background_the_connection_is_let_go_and_nothing_is_sent() {
    let server = Server::start();
    let mut path = Path::to(server.address()).await;
    let builder = fulmar_client::Client::builder().server(path.address.to_string());
    let builder = builder.trust_ca_pem(&server.ca_pem).token("a token");
    let (client, _events, peer) = server.connect(builder).await;
    client.background();
    assert_eq!(peer.closed_with().await, ErrorCode::Away.code());
    rests(&client).await;
    // What answers the server's last packets may still come.
    while tokio::time::timeout(Duration::from_millis(300), path.packet_of_client()).await.is_ok() {}
    let quiet = tokio::time::timeout(Duration::from_secs(1), path.packet_of_client()).await;
    assert!(quiet.is_err(), "a packet in the background");
    client.foreground();
    server.session().await;
}

#[tokio::test]
async fn what_has_no_answer_is_waited_for_before_the_connection_is_let_go() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connected().await;
    peer.lane(lane_open(0, 1)).await.entries(1..=1).await;
    next_entry(&mut events).await.confirm();
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    client.background();
    let mut lane = peer.send_lane().await;
    let confirm = peer.confirm().await;
    assert_eq!(confirm.cursors[0].seq.get(), 1);
    lane.accept(2).await;
    soon("an answer", one).await.unwrap();
    assert_eq!(peer.closed_with().await, ErrorCode::Away.code());
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_in_the_background_all_the_same() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    drop(bob.enqueue(text("one")).await.unwrap());
    client.background();
    assert_eq!(peer.closed_with().await, ErrorCode::Away.code());
    client.foreground();
    let again = server.session().await;
    assert_eq!(text_of(&again.send_lane().await.accept(1).await.content), "one");
}

#[tokio::test]
async fn an_enqueue_in_the_background_connects_sends_and_lets_go_again() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    client.background();
    assert_eq!(peer.closed_with().await, ErrorCode::Away.code());
    rests(&client).await;
    let bob = client.direct(&user("bob")).unwrap();
    let one = bob.enqueue(text("one")).await.unwrap();
    let mut errand = server.session().await;
    let mut lane = errand.send_lane().await;
    assert_eq!(text_of(&lane.next().await.content), "one");
    // What arrives meanwhile is delivered.
    errand.lane(lane_open(0, 1)).await.entries(1..=1).await;
    let entry = next_entry(&mut events).await;
    assert_eq!(entry.seq.get(), 1);
    entry.confirm();
    lane.write(&crate::server::accepted(fulmar_protocol::ClientSeq::FIRST, 2)).await;
    soon("an answer", one).await.unwrap();
    errand.confirm().await;
    assert_eq!(errand.closed_with().await, ErrorCode::Away.code());
    rests(&client).await;
    client.foreground();
    server.session().await;
}

#[tokio::test]
async fn a_client_is_closed_in_the_background_as_anywhere() {
    let server = Server::start();
    let (client, _events, peer) = server.connected().await;
    client.background();
    peer.closed_with().await;
    rests(&client).await;
    soon("the end", client.close()).await;
    assert!(client.status().borrow().is_ended());
}
