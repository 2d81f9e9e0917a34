//! Leases, clocks and parted nodes.

use std::time::Duration;

use fulmar_interop_tests::simulation::{Ground, World};

use super::{App, cluster, counted};
use crate::pass;

pub(super) async fn a_node_that_stands_still_past_its_lease_serves_nobody_until_it_has_a_new_one(
    ground: Ground,
) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    world.pause_node(1, true);
    alice.send("bob", "one").await;
    pass(Duration::from_secs(25)).await;
    // The others took it for dead, and bob's phone has found another node.
    assert_eq!(counted(&world, 0, "fulmar_nodes"), 1);
    assert_eq!(bob.seqs(), [1]);
    world.pause_node(1, false);
    pass(Duration::from_secs(15)).await;
    assert_eq!(counted(&world, 1, "fulmar_leases_lost_total"), 1);
    assert_eq!(counted(&world, 1, "fulmar_sessions"), 0);
    assert_eq!(counted(&world, 0, "fulmar_nodes"), 2, "it is back, as another");
    alice.send("bob", "two").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!(bob.seqs(), [1, 2]);
}

pub(super) async fn a_node_whose_clock_is_an_hour_ahead_appends_nothing_and_its_lease_lasts_no_longer(
    ground: Ground,
) {
    let world = World::cluster_on(ground.clone(), 1, 3, |_| {});
    world.set_clock_ahead(1, Duration::from_secs(3_600));
    for node in 0..3 {
        world.start_node(node).await;
    }
    pass(Duration::from_secs(20)).await;
    let bob = App::start(&world, "bob", 2, 0);
    // The token would have expired at the node whose clock is wrong; what arrives there is not appended.
    pass(Duration::from_secs(5)).await;
    let alice = App::start(&world, "alice", 1, 2);
    pass(Duration::from_secs(5)).await;
    alice.send("bob", "one").await;
    pass(Duration::from_secs(2)).await;
    assert_eq!(bob.seqs(), [1]);
    assert_eq!(counted(&world, 1, "fulmar_clock_is_wrong"), 1);
    assert_eq!(counted(&world, 0, "fulmar_clock_is_wrong"), 0);
    world.crash_node(1);
    pass(Duration::from_secs(20)).await;
    assert_eq!(counted(&world, 0, "fulmar_nodes"), 1, "dead like any other");
}

pub(super) async fn parted_nodes_only_delay(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    world.part(0, 1, true);
    pass(Duration::from_secs(15)).await;
    alice.send("bob", "one").await;
    // Each session looks every 15 to 30 s while a node cannot be reached.
    pass(Duration::from_secs(35)).await;
    assert_eq!(bob.seqs(), [1]);
    alice.send("bob", "two").await;
    world.part(0, 1, false);
    pass(Duration::from_secs(15)).await;
    assert_eq!(bob.seqs(), [1, 2]);
}

/// What finds no room in a queue is owed to its node, again and again, for as long as there is none.
pub(super) async fn a_node_goes_on_while_the_queue_of_one_that_it_cannot_reach_is_full(ground: Ground) {
    let world = cluster(&ground, 3).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    world.part(0, 1, true);
    pass(Duration::from_secs(10)).await;
    let mut sent = 0;
    let mut send = async |bytes: usize, times: u64, every: Duration| {
        for _ in 0..times {
            alice.send("bob", &"x".repeat(bytes)).await;
            pass(every).await;
        }
        sent += times;
    };
    send(15_000, 290, Duration::from_millis(200)).await;
    send(10, 200, Duration::from_millis(200)).await;
    // Whatever room is left is taken by the word that hints were lost.
    send(10, 80, Duration::from_secs(2)).await;
    assert_eq!(counted(&world, 0, "fulmar_leases_lost_total"), 0);
    world.part(0, 1, false);
    pass(Duration::from_secs(60)).await;
    assert_eq!(bob.seqs(), (1..=sent).collect::<Vec<_>>());
}
