//! Clusters: users on different nodes, and nodes that die.

mod bad_input;
mod delivery;
mod large;
mod leases;
mod presence;

use std::time::Duration;

use fulmar_interop_tests::simulation::World;

use crate::app::{App, user};
use crate::pass;

/// A cluster whose nodes know of each other.
pub(crate) async fn cluster(nodes: usize) -> World {
    let world = World::cluster(1, nodes, |_| {});
    for node in 0..nodes {
        world.start_node(node).await;
    }
    pass(Duration::from_secs(5)).await;
    world
}

/// What a node has counted under a name.
pub(crate) fn counted(world: &World, node: usize, name: &str) -> u64 {
    let text = world.node_metrics(node).unwrap().render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}
