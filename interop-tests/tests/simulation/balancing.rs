//! What a load balancer sees of connections: which node each packet is for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fulmar_client::UserId;
use fulmar_interop_tests::simulation::{Device, World, run};
use fulmar_network_model::Profile;
use fulmar_server::ServerOptions;

use crate::pass;

/// The connection ids, in the packets of a client with an open session, as far as the longest may reach.
async fn ids_in_packets(configure: impl Fn(&mut ServerOptions) + Send + Sync + 'static) -> Vec<Vec<u8>> {
    let world = World::with(1, configure);
    world.start_server().await;
    let user = UserId::parse("alice").unwrap();
    let alice = Device::new(&world, user, 1, &Profile::CLEAN, Arc::new(|_| {}));
    alice.start();
    pass(Duration::from_secs(5)).await;
    let client = alice.client().unwrap();
    alice.host.capture();
    for _ in 0..3 {
        client.ping().await.unwrap();
    }
    // As a client does that has moved: it takes another id.
    alice.host.move_to(Device::address(1, 1)).unwrap();
    client.network_changed().await.unwrap();
    client.ping().await.unwrap();
    assert!(client.status().borrow().is_online());
    let sent = alice.host.captured();
    let short = sent.iter().filter(|packet| packet.payload[0] & 0x80 == 0);
    short.map(|packet| packet.payload[1..18].to_vec()).collect()
}

fn secret(folder: &tempfile::TempDir) -> PathBuf {
    let path = folder.path().join("secret");
    std::fs::write(&path, "5c".repeat(32)).unwrap();
    path
}

#[test]
fn a_balancer_that_cannot_decrypt_reads_the_node_in_each_packet() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(&folder);
    let ids = run(ids_in_packets(move |options| {
        let cluster = &mut options.config.cluster;
        (cluster.server_id, cluster.secret) = (0x0102_0304, Some(secret.clone()));
        cluster.plain_connection_ids = true;
    }));
    assert!(ids.len() > 3);
    assert!(ids.iter().all(|id| id[..5] == [12, 1, 2, 3, 4]), "{ids:x?}");
}

#[test]
fn encrypted_ids_say_how_long_they_are_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let secret = secret(&folder);
    let ids = run(ids_in_packets(move |options| {
        let cluster = &mut options.config.cluster;
        (cluster.server_id, cluster.secret) = (0x0102_0304, Some(secret.clone()));
    }));
    assert!(ids.len() > 3);
    assert!(ids.iter().all(|id| id[0] == 16 && id[1..5] != [1, 2, 3, 4]), "{ids:x?}");
    // After it moved it goes by another one.
    assert_ne!(ids.first(), ids.last());
}
