//! Clients that stop reading cost the server a bounded amount of memory, and delay nobody else.
#![cfg(target_os = "linux")]

use std::time::Duration;

use fulmar_client::{Client, Event, Events, OutgoingMessage, State, UserId};

use crate::server::DevServer;

const DEAF: usize = 12;
const MESSAGES: usize = 250;
const BODY_BYTES: usize = 60_000;
/// What a client that does not read may hold: the send window, and one read of the log on its way into it.
const EACH_BYTES_MAX: u64 = 512 * 1024 + 32 * 64 * 1024;
/// Tables, journals and caches of the store, and what the allocator keeps: seen to stand still at 91 MiB in all,
/// for 200 MB unread as for 400.
const STORE_BYTES_MAX: u64 = 96 * 1024 * 1024;

async fn connect(server: &DevServer, user: &str) -> (Client, Events) {
    let builder = Client::builder()
        .server(server.address.to_string())
        .trust_ca_file(server.data().join("dev/ca.pem"))
        .token(server.token(user))
        .state(State::memory());
    builder.connect().await.unwrap()
}

#[tokio::test]
async fn clients_that_do_not_read_cost_a_bounded_amount_of_memory_and_delay_nobody() {
    let server = DevServer::start_with("[store]\ncache_bytes = 4194304\nwrite_buffer_bytes = 2097152\n");
    let (alice, _events) = connect(&server, "alice").await;
    let (_bob, mut bobs_events) = connect(&server, "bob").await;
    // Their events are never taken, so that after a while they read nothing more.
    let mut deaf = Vec::new();
    for number in 0..DEAF {
        deaf.push(connect(&server, &format!("deaf-{number}")).await);
    }
    let before = server.resident_bytes();
    for number in 0..DEAF {
        let to_deaf = alice.direct(&UserId::parse(&format!("deaf-{number}")).unwrap()).unwrap();
        let body = vec![b'x'; BODY_BYTES];
        let messages = (0..MESSAGES).map(|_| OutgoingMessage::new("text/plain", body.clone()));
        for sending in to_deaf.enqueue_all(messages).await.unwrap() {
            sending.await.unwrap();
        }
    }
    let to_bob = alice.direct(&UserId::parse("bob").unwrap()).unwrap();
    to_bob.send(OutgoingMessage::text("are you there?")).await.unwrap();
    let arrived = async { while !matches!(bobs_events.next().await, Some(Event::Entry(_))) {} };
    tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("nobody else is delayed");
    let grown = server.resident_bytes().saturating_sub(before);
    let sent = u64::try_from(DEAF * MESSAGES * BODY_BYTES).unwrap();
    let bound = u64::try_from(DEAF).unwrap() * EACH_BYTES_MAX + STORE_BYTES_MAX;
    assert!(bound < sent, "the test could not fail: {bound} of {sent} bytes");
    assert!(grown < bound, "{grown} bytes for {sent} bytes unread, allowed are {bound}");
}
