//! Clusters: users on different nodes, and nodes that die. Each case runs in simulated time, and, where
//! `FULMAR_FDB_CLUSTER_FILE` names a cluster and the feature is on, in real time on FoundationDB.

mod bad_input;
mod delivery;
mod large;
mod leases;
mod presence;

use std::time::Duration;

use fulmar_interop_tests::simulation::{Ground, World, run, run_in_real_time};

use crate::app::{App, user};
use crate::pass;

/// Makes a test of each case, on either ground.
macro_rules! cases {
    ($($module:ident::$case:ident,)*) => {
        mod simulated {
            use super::{Ground, run};

            $(
                #[test]
                fn $case() {
                    run(super::$module::$case(Ground::Simulated));
                }
            )*
        }

        mod on_foundationdb {
            use super::{Ground, run_in_real_time};

            $(
                #[test]
                #[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
                fn $case() {
                    run_in_real_time(async {
                        super::$module::$case(Ground::foundationdb(stringify!($case)).await).await;
                    });
                }
            )*
        }
    };
}

cases! {
    bad_input::a_server_id_that_a_live_node_has_is_refused_and_that_of_a_dead_one_is_free,
    bad_input::hints_of_what_was_never_appended_harm_nobody,
    delivery::a_member_who_flaps_does_not_slow_a_conversation,
    delivery::a_message_reaches_devices_on_all_nodes_at_once,
    delivery::a_node_that_drains_sends_its_clients_to_the_others,
    delivery::devices_on_different_nodes_see_the_same_marks_and_unread_counts,
    delivery::nobody_falls_between_connecting_and_an_append,
    delivery::when_a_node_dies_its_clients_go_elsewhere_and_miss_nothing,
    delivery::while_the_store_is_away_requests_say_so,
    large::a_group_of_a_thousand_hears_of_a_message_on_every_node,
    leases::a_node_goes_on_while_the_queue_of_one_that_it_cannot_reach_is_full,
    leases::a_node_that_stands_still_past_its_lease_serves_nobody_until_it_has_a_new_one,
    leases::a_node_whose_clock_is_an_hour_ahead_appends_nothing_and_its_lease_lasts_no_longer,
    leases::parted_nodes_only_delay,
    presence::presence_is_shown_across_nodes_and_ends_with_them,
    presence::typing_is_shown_across_nodes_but_not_to_whom_a_block_separates,
}

/// A cluster whose nodes know of each other.
pub(crate) async fn cluster(ground: &Ground, nodes: usize) -> World {
    let world = World::cluster_on(ground.clone(), 1, nodes, |_| {});
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
