//! Confirmations of the real client to the real server.

use std::time::Duration;

use fulmar_interop_tests::simulation::{World, run};

use crate::app::App;
use crate::pass;

/// The client closed a connection on which a Confirm was not answered in time, and then looked at that moment again
/// and again, and never at the end of the connection: it was busy for ever, and never came back.
#[test]
fn a_client_whose_confirm_is_not_answered_comes_back() {
    let handed = run(async {
        let world = World::new(1);
        world.start_server().await;
        let (alice, bob) = (App::start(&world, "alice", 1, 0), App::start(&world, "bob", 2, 0));
        pass(Duration::from_secs(5)).await;
        alice.send("bob", "one").await;
        // On its way to bob, whose Confirm then finds a disk that takes longer than he waits.
        pass(Duration::from_millis(60)).await;
        world.server_disk().set_sync(Duration::from_secs(50));
        pass(Duration::from_secs(120)).await;
        world.server_disk().set_sync(Duration::from_millis(2));
        pass(Duration::from_secs(120)).await;
        alice.send("bob", "two").await;
        pass(Duration::from_secs(60)).await;
        assert!(bob.is_online());
        bob.seqs()
    });
    assert_eq!(handed, [1, 2]);
}
