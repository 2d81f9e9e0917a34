//! Goodbyes on a path that lets nothing else through.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{OutgoingMessage, UserId};
use fulmar_interop_tests::simulation::{Device, Direction, World, run};
use fulmar_network_model::Profile;

use crate::cluster::counted;
use crate::pass;

/// A connection that is closed while its congestion window is full: the frame that says so waited for room in the
/// window, and a closed connection reads no acknowledgements.
#[test]
fn a_goodbye_does_not_wait_for_the_congestion_window() {
    run(async {
        let world = World::new(1);
        world.start_server().await;
        let user = |name| UserId::parse(name).unwrap();
        let alice = Device::new(&world, user("alice"), 1, &Profile::CLEAN, Arc::new(|_| {}));
        alice.start();
        pass(Duration::from_secs(5)).await;
        assert_eq!(counted(&world, 0, "fulmar_connections"), 1);
        let to_bob = alice.client().unwrap().direct(&user("bob")).unwrap();
        // No acknowledgement comes back.
        alice.host.blackout(&[Direction::Down]);
        for _ in 0..8 {
            drop(to_bob.enqueue(OutgoingMessage::text("x".repeat(4_000))).await.unwrap());
        }
        pass(Duration::from_millis(200)).await;
        let client = alice.client().unwrap();
        tokio::spawn(async move { client.close().await });
        pass(Duration::from_secs(8)).await;
        assert_eq!(counted(&world, 0, "fulmar_connections"), 0, "the server was told");
        assert_eq!(counted(&world, 0, "fulmar_connections_closed_total{reason=\"no_error\"}"), 1);
    });
}
