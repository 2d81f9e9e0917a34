//! What breaks in a cluster: nodes, the lines between them, and their ways to the store.

use std::sync::Arc;
use std::time::Duration;

use fulmar_server::StoreTrouble;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::world::World;
use super::Scene;
use super::actor::exponential;

/// How often something happens to the cluster.
const MEAN: Duration = Duration::from_secs(60);

/// Breaks and mends nodes until the time is up. Two troubles may overlap.
pub(super) async fn cluster_weather(scene: Arc<Scene>, length: Duration, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut troubles = tokio::task::JoinSet::new();
    loop {
        let wait = exponential(&mut random, MEAN);
        if scene.world.now() + wait >= length {
            break;
        }
        tokio::time::sleep(wait).await;
        while troubles.try_join_next().is_some() {}
        let node = random.random_range(0..scene.world.nodes());
        let lasts = Duration::from_millis(random.random_range(100..40_000));
        let seed = random.random();
        if troubles.len() < 2 {
            troubles.spawn(trouble(Arc::clone(&scene), node, lasts, seed));
        }
    }
    troubles.join_all().await;
}

async fn trouble(scene: Arc<Scene>, node: usize, lasts: Duration, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (world, recorder) = (&scene.world, &scene.recorder);
    match random.random_range(0..12) {
        0..3 if world.has_node(node) => {
            recorder.note(format!("node {node}: crashes"));
            world.crash_node(node);
            tokio::time::sleep(lasts).await;
            world.start_node(node).await;
            recorder.note(format!("node {node}: is back"));
        }
        3..5 if world.has_node(node) => {
            recorder.note(format!("node {node}: stops"));
            world.stop_node(node).await;
            tokio::time::sleep(lasts).await;
            world.start_node(node).await;
            recorder.note(format!("node {node}: is back"));
        }
        5..7 => {
            recorder.note(format!("node {node}: stands still for {lasts:?}"));
            world.pause_node(node, true);
            tokio::time::sleep(lasts).await;
            world.pause_node(node, false);
        }
        7..9 => {
            let other = (node + random.random_range(1..world.nodes())) % world.nodes();
            recorder.note(format!("nodes {node} and {other}: parted for {lasts:?}"));
            world.part(node, other, true);
            tokio::time::sleep(lasts * 3).await;
            world.part(node, other, false);
        }
        9 => {
            recorder.note("the store crashes");
            world.crash_store();
        }
        _ => {
            let trouble = StoreTrouble {
                delay_before_max: Duration::from_millis(random.random_range(0..200)),
                delay_after_max: Duration::from_millis(random.random_range(0..200)),
                conflicts_per_mille: random.random_range(0..300),
                maybe_committed_per_mille: random.random_range(0..300),
                unreachable: random.random_bool(0.2),
            };
            recorder.note(format!("node {node}: {trouble:?} for {lasts:?}"));
            world.set_store_trouble(node, trouble);
            tokio::time::sleep(lasts).await;
            world.set_store_trouble(node, StoreTrouble::default());
        }
    }
}

/// Every node runs, reaches the others and the store.
pub(super) async fn all_is_well(world: &World) {
    for node in 0..world.nodes() {
        world.set_store_trouble(node, StoreTrouble::default());
        world.pause_node(node, false);
        for other in 0..node {
            world.part(node, other, false);
        }
    }
    for node in 0..world.nodes() {
        if !world.has_node(node) {
            world.start_node(node).await;
        }
    }
}
