//! The two-ended harness: devices with [`Outbox`](fulmar_protocol::Outbox), `LaneReceiver` and `CursorState`
//! on one end, a server with `SenderWindow`, a log and cursors on the other, and between them a link that
//! delays, cuts and replays.
//!
//! It has its own clock and its own randomness: a run is repeated from its seed, which a failure prints. What
//! each run shows: every send is appended once and in order, or failed for a reason; every entry is handed
//! over once and in order, or lies in a gap that was named. The last tests switch faults on, and show that
//! the harness finds them.

mod device;
mod link;
mod random;
mod server;
mod session;
mod side;
mod world;

use std::panic::catch_unwind;

use self::world::{Fault, Scenario, World};

/// Each scenario runs with this many seeds, unless `FULMAR_HARNESS_SEEDS` says otherwise.
const SEEDS: u64 = 25;

/// A fault must be found by one of this many.
const SEEDS_FOR_FAULTS: u64 = 200;

/// Runs a scenario with many seeds; a failure names its seed.
fn run(scenario: Scenario) {
    let seeds =
        std::env::var("FULMAR_HARNESS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    for seed in 0..seeds {
        if let Err(cause) = catch_unwind(|| World::new(seed, scenario).run()) {
            panic!("seed {seed}: {}", message(&*cause));
        }
    }
}

/// Runs a scenario with a fault until it is found: what was found.
fn find(fault: Fault, scenario: Scenario) -> String {
    let scenario = Scenario { fault: Some(fault), ..scenario };
    let mut found =
        (0..SEEDS_FOR_FAULTS).filter_map(|seed| catch_unwind(|| World::new(seed, scenario).run()).err());
    let cause = found.next().unwrap_or_else(|| panic!("no seed up to {SEEDS_FOR_FAULTS} found {fault:?}"));
    message(&*cause)
}

fn message(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().cloned();
    text.or(cause.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

#[test]
fn over_a_link_that_cuts_and_replays_each_send_is_appended_once_in_order() {
    run(Scenario { replays: true, ..Scenario::default() });
}

#[test]
fn refusals_that_may_be_retried_change_neither_order_nor_number() {
    run(Scenario { retryable: true, replays: true, ..Scenario::default() });
    run(Scenario { retryable: true, server_holds: true, ..Scenario::default() });
}

#[test]
fn permanent_refusals_fail_their_send_and_no_other() {
    run(Scenario { permanent: true, retryable: true, server_holds: true, ..Scenario::default() });
}

#[test]
fn refusals_that_free_their_number_make_the_rest_move_up() {
    run(Scenario { strangers: true, ..Scenario::default() });
    run(Scenario {
        strangers: true,
        permanent: true,
        retryable: true,
        server_holds: true,
        ..Scenario::default()
    });
}

/// FUL-HEDGE-9, FUL-HEDGE-10, FUL-HEDGE-14, FUL-HEDGE-17
#[test]
fn copies_in_datagrams_however_late_append_and_hand_over_nothing_twice() {
    let hedges = Scenario { hedges: true, ..Scenario::default() };
    run(Scenario { replays: true, ..hedges });
    run(Scenario { retryable: true, server_holds: true, ..hedges });
    run(Scenario { strangers: true, permanent: true, retryable: true, ..hedges });
    run(Scenario { restarts: true, strangers: true, backlog_entries_max: 6, ..hedges });
    run(Scenario { server_restored: true, ..hedges });
    run(Scenario { device_restored: true, ..hedges });
}

#[test]
fn a_device_far_behind_gets_the_newest_part_and_a_named_gap() {
    run(Scenario { backlog_entries_max: 4, ..Scenario::default() });
}

#[test]
fn a_restarted_app_goes_on_from_what_it_stored() {
    run(Scenario { restarts: true, permanent: true, replays: true, ..Scenario::default() });
    run(Scenario {
        restarts: true,
        strangers: true,
        retryable: true,
        backlog_entries_max: 6,
        ..Scenario::default()
    });
}

#[test]
fn after_a_restored_server_what_had_no_answer_is_appended_once_in_order() {
    run(Scenario { server_restored: true, ..Scenario::default() });
}

#[test]
fn a_restored_device_becomes_a_new_one_and_sends_again() {
    run(Scenario { device_restored: true, ..Scenario::default() });
}

#[test]
fn the_harness_finds_a_server_that_does_not_remove_duplicates() {
    let found = find(Fault::NoDeduplication, Scenario::default());
    assert!(found.contains("appended twice"), "{found}");
}

#[test]
fn the_harness_finds_a_server_that_appends_what_is_ahead() {
    let scenario = Scenario { retryable: true, ..Scenario::default() };
    let found = find(Fault::AppendsAhead, scenario);
    assert!(found.contains("appended out of order") || found.contains("appended twice"), "{found}");
}

#[test]
fn the_harness_finds_a_lane_that_leaves_an_entry_out() {
    let found = find(Fault::LaneLeavesOut, Scenario::default());
    assert!(found.contains("the lane goes on with"), "{found}");
}

#[test]
fn the_harness_finds_a_device_that_takes_entries_again() {
    let found = find(Fault::TakesAgain, Scenario::default());
    assert!(found.contains("handed over out of order"), "{found}");
}

#[test]
fn the_harness_finds_a_device_that_changes_numbers_on_an_open_lane() {
    let scenario = Scenario { strangers: true, retryable: true, server_holds: true, ..Scenario::default() };
    let found = find(Fault::RenumbersOnOpenLane, scenario);
    assert!(found.contains("appended twice") || found.contains("reused"), "{found}");
}

#[test]
fn the_harness_finds_a_server_that_appends_behind_a_reused_number() {
    let scenario = Scenario { device_restored: true, ..Scenario::default() };
    let found = find(Fault::AppendsAfterReuse, scenario);
    assert!(found.contains("appended out of order") || found.contains("appended twice"), "{found}");
}

#[test]
fn the_harness_finds_a_device_that_confirms_what_it_skipped() {
    let scenario = Scenario { backlog_entries_max: 4, ..Scenario::default() };
    let found = find(Fault::ForgetsSkipped, scenario);
    assert!(found.contains("called delivered"), "{found}");
}

/// FUL-HEDGE-17
#[test]
fn the_harness_finds_a_server_that_takes_hedges_when_numbers_may_have_changed() {
    let scenario = Scenario { hedges: true, strangers: true, ..Scenario::default() };
    let found = find(Fault::TakesHedgesAfterRefusals, scenario);
    assert!(found.contains("appended") || found.contains("reused"), "{found}");
}

/// FUL-HEDGE-9
#[test]
fn the_harness_finds_a_device_that_takes_hedges_past_gaps() {
    let scenario = Scenario { hedges: true, ..Scenario::default() };
    let found = find(Fault::TakesHedgesPastGaps, scenario);
    assert!(found.contains("handed over out of order"), "{found}");
}
