//! What is started ends with the handle; what is held is let go.

use std::time::Duration;

use fulmar_client::{ClientError, ErrorCode, Event, State, Status};

use crate::server::{Server, lane_open, next_entry, soon, text, user};

#[tokio::test]
async fn dropping_the_last_handle_says_goodbye_and_ends_everything() {
    let tasks_before = alive_tasks();
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    let bob = client.direct(&user("bob")).unwrap();
    let _lane = peer.lane(lane_open(0, 1)).await;
    drop(client);
    assert!(bob.typing(true).await.is_ok(), "a conversation is a handle, too");
    drop(bob);
    assert_eq!(peer.closed_with().await, ErrorCode::NoError.code());
    soon("the end of events", async { while events.next().await.is_some() {} }).await;
    drop((peer, server, events));
    soon("the end of all tasks", async {
        while alive_tasks() > tasks_before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn close_flushes_confirmations_before_the_goodbye() {
    let server = Server::start();
    let (client, mut events, mut peer) = server.connected().await;
    peer.lane(lane_open(0, 1)).await.entries(1..=1).await;
    next_entry(&mut events).await.confirm();
    let ((), confirm) = tokio::join!(client.close(), peer.confirm());
    assert_eq!(confirm.cursors[0].seq.get(), 1);
    assert_eq!(peer.closed_with().await, ErrorCode::NoError.code());
    let bob = client.direct(&user("bob")).unwrap();
    assert!(matches!(bob.send(text("late")).await, Err(ClientError::Closed)));
    assert!(matches!(bob.mark_read(fulmar_client::Seq::FIRST).await, Err(ClientError::Closed)));
    assert!(matches!(client.inbox().await, Err(ClientError::Closed)));
    client.close().await;
}

#[tokio::test]
async fn close_ends_even_when_the_server_does_not_answer() {
    let server = Server::start();
    let (client, mut events, peer) = server.connected().await;
    peer.lane(lane_open(0, 1)).await.entries(1..=1).await;
    next_entry(&mut events).await.confirm();
    soon("the end", client.close()).await;
    let mut last = None;
    while let Some(event) = soon("the end of events", events.next()).await {
        last = Some(event);
    }
    assert!(matches!(last, Some(Event::Status(Status::Ended { code: None, .. }))), "{last:?}");
}

#[tokio::test]
async fn a_state_folder_is_free_again_after_close_and_never_shared() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (client, ..) = server.connect(server.client().state(State::directory(folder.path()).unwrap())).await;
    let error = State::directory(folder.path()).unwrap_err();
    assert!(matches!(error, ClientError::StateInUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"));
    client.close().await;
    State::directory(folder.path()).unwrap();
}

#[tokio::test]
async fn dropping_the_last_handle_keeps_what_was_confirmed_and_frees_the_folder() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let state = || State::directory(folder.path());
    let (client, mut events, peer) = server.connect(server.client().state(state().unwrap())).await;
    peer.lane(lane_open(0, 1)).await.entries(1..=1).await;
    next_entry(&mut events).await.confirm();
    drop((client, events));
    peer.closed_with().await;
    let state = soon("the end of the writer", async {
        loop {
            match state() {
                Ok(state) => break state,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let (_client, _events, mut peer) = server.connect(server.client().state(state)).await;
    assert_eq!(peer.confirm().await.cursors[0].seq.get(), 1);
}

#[tokio::test]
async fn a_failed_connect_leaves_nothing_behind() {
    let tasks_before = alive_tasks();
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let outcome = server
        .client()
        .server("127.0.0.1:9")
        .state(State::directory(folder.path()).unwrap())
        .connect_timeout(Duration::from_millis(200))
        .connect()
        .await;
    assert!(outcome.is_err());
    State::directory(folder.path()).unwrap();
    drop(server);
    soon("the end of all tasks", async {
        while alive_tasks() > tasks_before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn settings_that_are_missing_are_named() {
    let builder = fulmar_client::Client::builder;
    assert!(matches!(builder().start(), Err(ClientError::ServerMissing)));
    assert!(matches!(builder().server("x:1").start(), Err(ClientError::TrustMissing)));
    let unreadable = builder().server("x:1").trust_ca_file("/no/such/file").start().unwrap_err();
    assert!(unreadable.to_string().contains("/no/such/file"));
}
