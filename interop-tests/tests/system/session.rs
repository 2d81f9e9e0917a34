//! Opening, keeping and ending a session.

use fulmar_interop_tests::{TestServer, contents::text, direct};

// FUL-SESS-1, FUL-SESS-6, FUL-SEND-14
#[tokio::test]
async fn a_message_is_accepted_and_delivered() {
    let server = TestServer::start().await;
    let alice = server.connect("alice", 1).await;
    let mut bob = server.connect("bob", 1).await;
    assert_eq!(alice.direct("bob").await.send(&text("hello")).await, 1);
    let mut lane = bob.lane(direct("alice", "bob")).await;
    assert_eq!(lane.catch_up().await.says(), ["hello"]);
}
