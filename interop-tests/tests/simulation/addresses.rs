//! Several addresses, some of them dead: what that costs.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Status, UserId};
use fulmar_interop_tests::simulation::{Device, SERVER_ADDRESS, SERVER_PORT, World, run};
use fulmar_network_model::Profile;
use tokio::time::Instant;

use crate::pass;

/// The profile's round trip.
const ROUND_TRIP: Duration = Duration::from_millis(50);
/// Of one address over the next.
const HEAD_START: Duration = Duration::from_millis(250);
/// Syncs of the server and the device, and the clock's milliseconds.
const WORK: Duration = Duration::from_millis(20);

/// Nobody has this address: what is sent there vanishes.
fn dead(number: usize) -> String {
    format!("203.0.113.{number}:4433")
}

/// A device that is told of so many dead addresses, and then of the server.
fn device(world: &World, dead_before: usize) -> Device {
    let mut servers: Vec<_> = (1..=dead_before).map(dead).collect();
    servers.push(format!("{SERVER_ADDRESS}:{SERVER_PORT}"));
    let user = UserId::parse("alice").unwrap();
    Device::new(world, user, 1, &Profile::CLEAN, Arc::new(|_| {})).with_servers(servers)
}

/// How long it takes to be online.
async fn online(device: &Device) -> Duration {
    let since = Instant::now();
    let mut status = device.client().unwrap().status();
    status.wait_for(Status::is_online).await.unwrap();
    since.elapsed()
}

#[test]
fn a_dead_address_costs_its_head_start() {
    run(async {
        for dead in [0, 1, 3, 7] {
            let world = World::new(1);
            world.start_server().await;
            let alice = device(&world, dead);
            alice.start();
            let took = online(&alice).await;
            let head_starts = HEAD_START * u32::try_from(dead).unwrap();
            assert!(took >= head_starts + ROUND_TRIP, "{dead}: {took:?}");
            assert!(took <= head_starts + ROUND_TRIP * 3 + WORK, "{dead}: {took:?}");
        }
    });
}

#[test]
fn more_dead_addresses_than_are_tried_at_once_hold_up_the_next_for_a_while_only() {
    run(async {
        let world = World::new(1);
        world.start_server().await;
        let alice = device(&world, 12);
        alice.start();
        let took = online(&alice).await;
        assert!(took < Duration::from_secs(7), "{took:?}");
    });
}

/// Whether anybody but the server was sent a packet while the client came back to a server that had crashed.
async fn tried_elsewhere(profile: &Profile, servers: Vec<String>) -> bool {
    let world = World::new(1);
    world.start_server().await;
    let user = UserId::parse("alice").unwrap();
    let alice = Device::new(&world, user, 1, profile, Arc::new(|_| {})).with_servers(servers);
    alice.start();
    online(&alice).await;
    world.crash_server();
    world.start_server().await;
    alice.host.capture();
    // The server knows nothing of the connection, and says so.
    assert!(alice.client().unwrap().ping().await.is_err());
    online(&alice).await;
    alice.host.captured().iter().any(|packet| packet.to.ip() != SERVER_ADDRESS)
}

#[test]
fn what_worked_last_is_tried_before_dead_addresses() {
    let servers = vec![dead(1), dead(2), format!("{SERVER_ADDRESS}:{SERVER_PORT}")];
    assert!(!run(tried_elsewhere(&Profile::CLEAN, servers)));
}

/// On a path whose round trip is three head starts, every server would be met with every connection.
#[test]
fn on_a_slow_path_what_worked_last_is_waited_for() {
    let servers = vec![format!("{SERVER_ADDRESS}:{SERVER_PORT}"), dead(1), dead(2)];
    assert!(!run(tried_elsewhere(&Profile::EDGE, servers)));
}

/// Which node of a cluster a client is connected to.
fn node_of(world: &World) -> Option<usize> {
    let has_session = |node: &usize| {
        let metrics = world.node_metrics(*node).map(|metrics| metrics.render());
        metrics.is_some_and(|text| text.lines().any(|line| line == "fulmar_connections 1"))
    };
    (0..world.nodes()).find(has_session)
}

// FUL-SESS-46
#[test]
fn the_client_of_a_node_that_drains_goes_to_another_node_of_which_it_was_told() {
    run(async {
        let world = World::cluster(1, 3, |_| {});
        for node in 0..3 {
            world.start_node(node).await;
        }
        // Until each knows of the others.
        pass(Duration::from_secs(5)).await;
        let user = UserId::parse("alice").unwrap();
        let alice = Device::new(&world, user, 1, &Profile::CLEAN, Arc::new(|_| {}));
        let alice = alice.with_servers(vec![world.server_name(0)]);
        alice.start();
        online(&alice).await;
        pass(Duration::from_secs(1)).await;
        assert_eq!(node_of(&world), Some(0));
        for drained in 0..2 {
            let before = node_of(&world).unwrap();
            let since = Instant::now();
            world.stop_node(before).await;
            online(&alice).await;
            // The latest that it may come back, and what the last node takes to stop.
            assert!(since.elapsed() < Duration::from_secs(10), "{drained}: {:?}", since.elapsed());
            pass(Duration::from_secs(1)).await;
            assert!(node_of(&world).is_some_and(|now| now != before));
            // The others notice that it is gone.
            pass(Duration::from_secs(20)).await;
        }
    });
}

#[test]
fn when_all_are_dead_the_client_says_so_and_goes_on() {
    run(async {
        let world = World::new(1);
        let user = UserId::parse("alice").unwrap();
        let alice = Device::new(&world, user, 1, &Profile::CLEAN, Arc::new(|_| {}));
        let mut servers: Vec<_> = (1..=3).map(dead).collect();
        servers.push(format!("{SERVER_ADDRESS}:{SERVER_PORT}"));
        let alice = alice.with_servers(servers);
        alice.start();
        let since = Instant::now();
        let mut status = alice.client().unwrap().status();
        let told = status.wait_for(|status| matches!(status, Status::Offline { .. })).await.unwrap().clone();
        let Status::Offline { reason, .. } = told else { unreachable!() };
        assert_eq!(reason, "no answer within 10 s");
        assert!(since.elapsed() < Duration::from_secs(11));
        world.start_server().await;
        assert!(online(&alice).await < Duration::from_secs(12));
    });
}
