//! Whatever process is killed, FoundationDB's own included: what was accepted is found once, in order, everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use fulmar_client::{ClientError, Retry};

use super::foundationdb::{FdbServer, Place};
use super::people::People;
use super::processes::{NODES, Nodes, pass, wait_until};
use crate::fulmar::now;

const ROUNDS: usize = 3;
/// How long a request may take to fail when the store is gone: a client that has lost its session meanwhile waits
/// for another, for half a minute.
const FAILURE_TIME_MAX: Duration = Duration::from_secs(35);

fn random_ms(most: u64) -> Duration {
    Duration::from_millis(fulmar_server::Rng::from_os().unwrap().number() % most)
}

/// FUL-SEND-12, FUL-SEND-13, FUL-LANE-8: by any node, whichever die.
#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
#[expect(clippy::print_stdout, reason = "how much was shown")]
fn every_accepted_message_is_at_every_device_once_and_in_order_after_nodes_were_killed_in_turn() {
    let Some(place) = Place::found() else { return };
    let mut nodes = Nodes::start(place);
    let people = People::start(&nodes, |device| nodes.addresses_from(device));
    let writing = people.write();
    for round in 0..ROUNDS {
        for victim in 0..NODES {
            let before = people.accepted();
            pass(random_ms(1_000));
            nodes.nodes[victim].kill();
            // The first is back before the others take it for dead, the last stays away for longer than that.
            pass(if (round, victim) == (ROUNDS - 1, 0) { Duration::from_secs(14) } else { random_ms(2_000) });
            nodes.nodes[victim].start();
            nodes.nodes[victim].wait_until_ready();
            // Clients stay with what works; some apps are opened again, and look where they looked first.
            people.open_again(|device| device % NODES == victim);
            wait_until("messages are accepted again", || people.accepted() > before + 20);
        }
    }
    let sent = writing.stop();
    people.assert_that_all_is_there();
    println!("{sent} messages, {} processes killed", ROUNDS * NODES);
}

/// FUL-SEND-12, FUL-SEND-13, FUL-LANE-8: and whatever becomes of the store.
#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
#[expect(clippy::print_stdout, reason = "how much was shown")]
fn while_foundationdb_is_dead_requests_fail_with_codes_to_retry_and_afterwards_all_is_there() {
    let Some(mut foundationdb) = FdbServer::found() else { return };
    let nodes = Nodes::start(Place::new(foundationdb.cluster_file()));
    let people = People::start(&nodes, |device| nodes.addresses_from(device));
    let writing = people.write();
    // Shorter than a lease, and longer; the last one at once.
    for outage in [Duration::from_secs(5), Duration::from_secs(20), Duration::ZERO] {
        let before = people.accepted();
        wait_until("messages are accepted", || people.accepted() > before + 50);
        wait_until("all are there", || nodes.sessions(0..NODES) >= people.devices.len());
        foundationdb.kill();
        let killed = now();
        if !outage.is_zero() {
            assert_requests_fail(&people);
            for node in &nodes.nodes {
                wait_until("a node is not ready without its store", || {
                    node.page("/readyz").is_some_and(|(status, _)| status == 503)
                });
                assert_eq!(node.page("/healthz").unwrap().0, 200, "the process is well");
            }
            println!("noticed within {:?}", killed.elapsed());
            pass(outage.saturating_sub(killed.elapsed()));
        }
        foundationdb.start();
        let started = now();
        nodes.nodes.iter().for_each(super::processes::NodeProcess::wait_until_ready);
        let accepted = people.accepted();
        wait_until("messages are accepted again", || people.accepted() > accepted + 20);
        println!("recovered within {:?}", started.elapsed());
    }
    let sent = writing.stop();
    people.assert_that_all_is_there();
    println!("{sent} messages");
}

/// Each device asks once: none hangs, none is told that asking again is of no use, and it is said that it is the store,
/// for the request or, where a lane failed, for the connection.
#[expect(clippy::print_stdout, reason = "what was told")]
fn assert_requests_fail(people: &People) {
    let mut asking = tokio::task::JoinSet::new();
    for device in people.devices.clone() {
        let asked = async move { tokio::time::timeout(FAILURE_TIME_MAX, device.inbox()).await };
        asking.spawn_on(asked, people.runtime.handle());
    }
    let outcomes = people.runtime.block_on(asking.join_all());
    let mut told = BTreeMap::<String, usize>::new();
    for outcome in outcomes {
        let failure = outcome.expect("an answer in time").expect_err("nothing can be read");
        match &failure {
            ClientError::Refused { code, .. } => assert_ne!(code.retry(), Retry::Never, "{code}"),
            // The session ended under it: a node that cannot renew its lease sends its clients away.
            ClientError::ConnectionLost { .. } | ClientError::Timeout { .. } => {}
            other => panic!("without its store a server answered {other:?}"),
        }
        *told.entry(failure.to_string()).or_default() += 1;
    }
    println!("{told:?}");
    assert!(
        told.keys().any(|failure| failure.contains("store_unavailable")),
        "nobody is told that it is the store"
    );
}
