//! How many streams a client may open, and what travels on the control stream beside them.

use std::time::Duration;

use fulmar_interop_tests::{TestServer, device, user};
use fulmar_protocol::{ConversationId, Frame, GroupNonce, Ping, SendOpen, limits};
use tokio::time::timeout;

// FUL-TRANS-9
#[tokio::test]
async fn a_stranger_gets_sixteen_streams_and_a_session_sixty_four() {
    let server = TestServer::start().await;
    let dialled = server.dial().await;
    let mut streams = Vec::new();
    while let Ok(stream) = timeout(Duration::ZERO, dialled.open_stream()).await {
        streams.push(stream);
    }
    assert_eq!(streams.len(), limits::FIRST_FLIGHT_STREAMS_MAX);
    let hello = dialled.hello(&server.token("alice"), device("alice", 1));
    streams[0].write(&hello).await;
    assert!(matches!(streams[0].frame().await, Frame::Welcome(_)));
    // The rest is for those who have use for it.
    for (number, stream) in streams.iter_mut().enumerate().skip(1).take(8) {
        let nonce = GroupNonce::new([u8::try_from(number).unwrap(); 16]);
        let conversation_id = ConversationId::group(&user("alice"), &nonce);
        stream.write(&Frame::SendOpen(SendOpen { conversation_id, peer: None })).await;
    }
    while streams.len() < limits::BIDIRECTIONAL_STREAMS_MAX {
        streams.push(dialled.open_stream().await);
    }
    assert!(timeout(Duration::ZERO, dialled.open_stream()).await.is_err());
}

// FUL-SESS-28
#[tokio::test]
async fn pings_are_answered_in_their_order() {
    let server = TestServer::start().await;
    let mut alice = server.connect("alice", 1).await;
    alice.control.write_all((1..=20).map(|nonce| Frame::Ping(Ping { nonce }))).await;
    for nonce in 1..=20 {
        assert!(matches!(alice.control.frame().await, Frame::Pong(pong) if pong.nonce == nonce));
    }
}
