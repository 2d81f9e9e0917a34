//! Hints that are lost cost time only, and what a lane sends when it is made to lie.

use std::time::Duration;

use fulmar_interop_tests::{Setup, TestServer, contents::text, direct};
use fulmar_protocol::Seq;
use fulmar_server::ServerFault;
use tokio::time::sleep;

use crate::{delivery::send_numbers, fast_clock};

const FOUND: &str = "fulmar_lost_hints_found_total";

/// A session looks again after six minutes at most.
const LONGEST: Duration = Duration::from_secs(6 * 60 + 10);

fn with_fault(fault: ServerFault) -> Setup {
    Setup { prepare: Box::new(move |options| options.fault = Some(fault)), ..Setup::default() }
}

/// No hint arrives at all. What a session lacks where it has no lane, and where it has one that stands still,
/// it gets within minutes; never, when the look for it is switched off.
#[tokio::test]
async fn a_lost_hint_only_delays() {
    let (_fast, clock) = fast_clock();
    let (watched, other) = (direct("alice", "bob"), direct("carol", "bob"));
    let mut standing = Vec::new();
    for fault in [ServerFault::LoseHints { every: 1 }, ServerFault::LostHintsNeverSwept { every: 1 }] {
        let server = TestServer::start_with(Setup { clock: clock.clone(), ..with_fault(fault) }).await;
        let alice = server.connect("alice", 1).await;
        let mut to_bob = alice.direct("bob").await;
        send_numbers(&mut to_bob, 1..=1).await;
        let mut bob = server.connect("bob", 1).await;
        bob.watch(&[watched]).await;
        let mut lane = bob.lane(watched).await;
        lane.catch_up().await;
        // Until the lane has sent its marks too: whatever it does, it looks for entries.
        sleep(Duration::from_secs(2)).await;
        send_numbers(&mut to_bob, 2..=3).await;
        let carol = server.connect("carol", 1).await;
        carol.direct("bob").await.send(&text("hello")).await;
        assert!(server.metric(FOUND) < 0.5);
        standing.push((server, bob, lane, [alice, carol]));
    }
    sleep(LONGEST).await;
    let (server, mut bob, mut lane, _others) = standing.remove(0);
    assert_eq!(lane.up_to(3).await.says(), ["1", "2", "3"]);
    assert_eq!(bob.lane(other).await.up_to(1).await.says(), ["hello"]);
    // Those who sent lack the conversation too: nobody told them either.
    server.until_metric_at_least(FOUND, 2.0).await;

    let (server, mut bob, lane, _others) = standing.remove(0);
    bob.ping().await;
    assert_eq!(lane.next, Seq::new(2));
    assert!(server.metric(FOUND) < 0.5);
    assert!(server.metric("fulmar_entries_delivered_total") < 1.5);
}

/// The client's own check of a lane notices nothing: only what is said is wrong.
#[tokio::test]
async fn a_lane_that_swaps_entries_keeps_their_numbers() {
    let server = TestServer::start_with(with_fault(ServerFault::SwapEntries)).await;
    let alice = server.connect("alice", 1).await;
    let mut lane = alice.direct("bob").await;
    send_numbers(&mut lane, 1..=4).await;
    let mut bob = server.connect("bob", 1).await;
    let mut to_bob = bob.lane(direct("alice", "bob")).await;
    assert_eq!(to_bob.catch_up().await.says(), ["2", "1", "4", "3"]);
    assert_eq!(to_bob.next, Seq::new(5));
    // Where one is sent at a time, there is nothing to swap.
    send_numbers(&mut lane, 5..=5).await;
    assert_eq!(to_bob.up_to(5).await.says().last().unwrap(), "5");
}
