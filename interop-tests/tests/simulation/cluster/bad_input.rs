//! What a node is told that is not so, and who may not be a node.

use std::time::Duration;

use fulmar_interop_tests::simulation::{Ground, World};
use fulmar_server::ServerFault;

use super::App;
use crate::pass;

pub(super) async fn hints_of_what_was_never_appended_harm_nobody(ground: Ground) {
    let world =
        World::cluster_on(ground.clone(), 1, 2, |server| server.fault = Some(ServerFault::ForgeHints));
    world.start_node(0).await;
    world.start_node(1).await;
    pass(Duration::from_secs(5)).await;
    let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 1));
    pass(Duration::from_secs(5)).await;
    for number in 1..=20 {
        alice.send("bob", "hello").await;
        pass(Duration::from_millis(500)).await;
        assert_eq!(bob.seqs(), (1..=number).collect::<Vec<_>>());
    }
    bob.send("alice", "hello").await;
    pass(Duration::from_secs(1)).await;
    assert_eq!((alice.seqs().len(), bob.seqs().len()), (21, 21));
}

pub(super) async fn a_server_id_that_a_live_node_has_is_refused_and_that_of_a_dead_one_is_free(
    ground: Ground,
) {
    let world =
        World::cluster_on(ground.clone(), 1, 2, |server| server.cluster.as_mut().unwrap().server_id = 7);
    world.start_node(0).await;
    let refusal = world.try_start_node(1).await.unwrap_err().to_string();
    assert!(refusal.contains("server_id 7 is in use by the node at 198.51.100.1:4434"), "{refusal}");
    pass(Duration::from_secs(1)).await;
    world.crash_node(0);
    world.start_node(1).await;
    // It clears what the dead one left.
    pass(Duration::from_secs(1)).await;
    // And a node that starts again at its own address need not wait.
    world.crash_node(1);
    let before = world.now();
    world.start_node(1).await;
    assert!(world.now() - before < ground.time_max(Duration::from_secs(1)));
}
