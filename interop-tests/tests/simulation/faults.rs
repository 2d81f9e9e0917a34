//! What checks the promises is checked: each fault that a server can commit on purpose is found by the storms of a
//! few seeds, and by the promise that it breaks.

use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Fault, StormOptions, run, storm};
use fulmar_network_model::Profile;

/// Each has to be found within so many seeds.
const SEEDS: u64 = 20;
const LENGTH: Duration = Duration::from_secs(10 * 60);

fn options(seed: u64) -> StormOptions {
    StormOptions::new(seed, LENGTH, &[&Profile::TRAIN, &Profile::UBER_P95])
}

/// The first seed whose storm finds the fault by what it breaks; the same seed must be good without it.
fn is_found(name: &str) {
    let fault = Fault::by_name(name).unwrap();
    for seed in 1..=SEEDS {
        let mut with_fault = options(seed);
        with_fault.prepare = Arc::new(|server| (fault.commit)(server));
        let Some(violation) = run(storm(with_fault)).violation else { continue };
        println!("{name}: seed {seed}: {violation}");
        assert!(fault.breaks.contains(&violation.invariant), "{name}, seed {seed}: found by {violation}");
        let without = run(storm(options(seed))).violation;
        assert!(without.is_none(), "seed {seed} without any fault: {}", without.unwrap());
        return;
    }
    panic!("{name} was not found within {SEEDS} seeds");
}

#[test]
fn a_send_that_is_appended_twice_is_found() {
    is_found("no-deduplication");
}

#[test]
fn a_lost_hint_that_nobody_looks_for_is_found() {
    is_found("lost-hints-never-swept");
}

#[test]
fn entries_that_say_what_others_said_are_found() {
    is_found("swap-entries");
}

#[test]
fn a_removal_that_is_ignored_is_found() {
    is_found("ignore-removal");
}

#[test]
fn an_answer_before_the_sync_is_found() {
    is_found("answer-before-sync");
}

#[test]
fn a_sync_that_is_left_out_is_found() {
    is_found("skip-sync");
}
