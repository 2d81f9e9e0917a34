//! Clusters: users on different nodes, and nodes that die.

use std::sync::Arc;
use std::time::Duration;

use fulmar_client::{Event, OutgoingMessage, UserId};
use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{Device, World, run};
use parking_lot::Mutex;

use crate::pass;

/// The seqs that a device was handed, and when.
type Handed = Arc<Mutex<Vec<(Duration, u64)>>>;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

async fn cluster(nodes: usize) -> World {
    let world = World::cluster(1, nodes, |_| {});
    for node in 0..nodes {
        world.start_node(node).await;
    }
    // Until each knows of the others.
    pass(Duration::from_secs(5)).await;
    world
}

/// A device of a user that connects to one node first, and to the others where that one does not answer.
fn device(world: &World, name: &str, number: usize, node: usize) -> (Device, Handed) {
    let handed = Handed::default();
    let (seen, origin) = (Arc::clone(&handed), world.origin());
    let watch = move |event: &Event| {
        if let Event::Entry(entry) = event {
            seen.lock().push((origin.elapsed(), entry.seq.get()));
        }
    };
    let servers = (0..world.nodes()).map(|next| world.server_name((node + next) % world.nodes()));
    let device = Device::new(world, user(name), number, &Profile::CLEAN, Arc::new(watch));
    let device = device.with_servers(servers.collect());
    device.start();
    (device, handed)
}

fn seqs(handed: &Handed) -> Vec<u64> {
    handed.lock().iter().map(|(_, seq)| *seq).collect()
}

#[test]
fn a_message_reaches_devices_on_all_nodes_at_once() {
    run(async {
        let world = cluster(3).await;
        let (alice, _) = device(&world, "alice", 1, 0);
        let (_bob, first) = device(&world, "bob", 2, 1);
        let (_bobs_second, second) = device(&world, "bob", 3, 2);
        pass(Duration::from_secs(5)).await;
        let to_bob = alice.client().unwrap().direct(&user("bob")).unwrap();
        for text in ["one", "two", "three"] {
            drop(to_bob.enqueue(OutgoingMessage::text(text)).await.unwrap());
            pass(Duration::from_secs(1)).await;
        }
        assert_eq!((seqs(&first), seqs(&second)), (vec![1, 2, 3], vec![1, 2, 3]));
        let late = first.lock().iter().chain(second.lock().iter()).map(|(at, _)| at.subsec_millis()).max();
        assert!(late.unwrap() < 200, "hints were lost: {first:?} {second:?}");
    });
}

#[test]
fn when_a_node_dies_its_clients_go_elsewhere_and_miss_nothing() {
    run(async {
        let world = cluster(3).await;
        let (alice, _) = device(&world, "alice", 1, 0);
        let (bob, handed) = device(&world, "bob", 2, 1);
        pass(Duration::from_secs(5)).await;
        let to_bob = alice.client().unwrap().direct(&user("bob")).unwrap();
        drop(to_bob.enqueue(OutgoingMessage::text("one")).await.unwrap());
        pass(Duration::from_secs(1)).await;
        world.crash_node(1);
        drop(to_bob.enqueue(OutgoingMessage::text("two")).await.unwrap());
        pass(Duration::from_secs(60)).await;
        assert_eq!(seqs(&handed), [1, 2]);
        assert!(bob.client().unwrap().status().borrow().is_online());
        drop(to_bob.enqueue(OutgoingMessage::text("three")).await.unwrap());
        pass(Duration::from_secs(1)).await;
        assert_eq!(seqs(&handed), [1, 2, 3]);
    });
}
