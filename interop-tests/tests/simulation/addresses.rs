//! Several addresses, some of them dead: what that costs.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Status, UserId};
use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{Device, SERVER_ADDRESS, SERVER_PORT, World, run};
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

#[test]
fn after_the_dead_one_only_the_living_is_tried() {
    run(async {
        let world = World::new(1);
        world.start_server().await;
        let alice = device(&world, 3);
        alice.start();
        online(&alice).await;
        world.stop_server().await;
        pass(Duration::from_millis(10)).await;
        world.start_server().await;
        let mut status = alice.client().unwrap().status();
        status.wait_for(|status| !status.is_online()).await.unwrap();
        let before = alice.host.counters().sent;
        online(&alice).await;
        let sent = alice.host.counters().sent.since(before).packets;
        assert!(sent < 20, "{sent} packets");
    });
}

/// On a path whose round trip is three head starts, every server would be met with every connection.
#[test]
fn on_a_slow_path_what_worked_last_is_waited_for() {
    run(async {
        let world = World::new(1);
        world.start_server().await;
        let user = UserId::parse("alice").unwrap();
        let servers = vec![format!("{SERVER_ADDRESS}:{SERVER_PORT}"), dead(1), dead(2)];
        let alice = Device::new(&world, user, 1, &Profile::EDGE, Arc::new(|_| {})).with_servers(servers);
        alice.start();
        online(&alice).await;
        world.stop_server().await;
        world.start_server().await;
        let mut status = alice.client().unwrap().status();
        status.wait_for(|status| !status.is_online()).await.unwrap();
        alice.host.capture();
        online(&alice).await;
        let elsewhere = alice.host.captured().iter().any(|packet| packet.to.ip() != SERVER_ADDRESS);
        assert!(!elsewhere, "another address was tried");
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
