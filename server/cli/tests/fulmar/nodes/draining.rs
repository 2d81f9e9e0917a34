//! A node that drains sends its clients to others.

use std::time::Duration;

use super::foundationdb::Place;
use super::people::People;
use super::processes::{NODES, Nodes, wait_until};
use crate::fulmar::now;

#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
fn a_drained_node_moves_its_sessions_to_nodes_that_its_clients_had_never_heard_of() {
    let Some(place) = Place::found() else { return };
    let mut nodes = Nodes::start(place);
    // All know one node only.
    let people = People::start(&nodes, |_| nodes.addresses_from(0).into_iter().take(1).collect());
    let all = people.devices.len();
    wait_until("all are at the first node", || nodes.sessions(0..1) >= all);
    let writing = people.write();
    wait_until("messages are accepted", || people.accepted() > 50);
    // A node reads every two seconds who else is there.
    wait_until("each knows of the others", || {
        nodes.nodes.iter().all(|node| node.metric("fulmar_nodes") > 1.5)
    });
    let drained = now();
    nodes.nodes[0].admin(&["drain"]).succeeded();
    wait_until("the first node's sessions moved", || {
        nodes.sessions(0..1) == 0 && nodes.sessions(1..NODES) >= all
    });
    assert!(drained.elapsed() < Duration::from_secs(20), "{:?}", drained.elapsed());
    assert_eq!(nodes.nodes[0].page("/readyz").unwrap().0, 503);
    for node in &nodes.nodes[1..] {
        assert!(node.metric("fulmar_sessions") > 0.5, "node {} has some of them", node.number);
    }
    for node in 0..NODES - 1 {
        let (accepted, told) = (people.accepted(), now());
        assert_eq!(nodes.nodes[node].terminate(), Some(0));
        assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
        wait_until("messages are accepted by the others", || people.accepted() > accepted + 50);
    }
    wait_until("all are at the last node", || nodes.sessions(NODES - 1..NODES) >= all);
    writing.stop();
    people.assert_that_all_is_there();
}
