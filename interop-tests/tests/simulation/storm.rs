//! Storms of a fixed set of seeds. More of them, and longer: `cargo xtask sim --help`.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::{
    Ground, SeedReport, StormOptions, StormsOptions, run_in_real_time, storms,
};
use fulmar_network_model::Profile;
use fulmar_server::ServerFault;

/// As many of the last events are printed of a storm that went wrong.
const EVENTS_SHOWN: usize = 60;
const LENGTH: Duration = Duration::from_secs(8 * 60);

/// Every promise holds in every storm; what was wrong is printed with its seed.
fn all_is_well(name: &str, seeds: RangeInclusive<u64>, options: impl Fn(u64) -> StormOptions) {
    all_are_well(name, seeds, StormsOptions::default(), options);
}

fn all_are_well(
    name: &str,
    seeds: RangeInclusive<u64>,
    how: StormsOptions,
    options: impl Fn(u64) -> StormOptions,
) {
    let reports = storms(seeds, how, options, |_| {});
    let wrong: Vec<&SeedReport> = reports.iter().filter(|report| report.report.violation.is_some()).collect();
    for seed in &wrong {
        let events = &seed.report.last_events;
        for line in events.iter().skip(events.len().saturating_sub(EVENTS_SHOWN)) {
            println!("{line}");
        }
        println!("{name}, seed {}: {}\n", seed.seed, seed.report.violation.as_ref().unwrap());
    }
    let seeds: Vec<u64> = wrong.iter().map(|seed| seed.seed).collect();
    assert!(seeds.is_empty(), "{name}: promises were broken with seeds {seeds:?}");
    let accepted: u64 = reports.iter().map(|seed| seed.report.messages_accepted).sum();
    assert!(accepted > 20 * u64::try_from(reports.len()).unwrap(), "{name}: only {accepted} messages");
}

#[test]
fn promises_hold_on_trains_and_at_the_bad_end_of_mobile_networks() {
    let profiles = [&Profile::TRAIN, &Profile::UBER_P95];
    all_is_well("train and uber-p95", 1..=12, |seed| StormOptions::new(seed, LENGTH, &profiles));
}

#[test]
fn promises_hold_on_every_network() {
    let profiles: Vec<&'static Profile> = Profile::ALL.iter().collect();
    all_is_well("all profiles", 101..=108, |seed| StormOptions::new(seed, LENGTH, &profiles));
}

/// Nodes that crash, stand still past their lease, lose each other or the store; a store that is slow, conflicts and
/// loses answers.
#[test]
fn promises_hold_in_clusters() {
    for (nodes, seeds) in [(3, 301..=306), (5, 401..=403)] {
        all_is_well(&format!("{nodes} nodes"), seeds, |seed| {
            let mut options = StormOptions::new(seed, LENGTH, &[&Profile::LTE, &Profile::UBER_P50]);
            options.nodes = nodes;
            options
        });
    }
}

/// The same in real time, all at once.
#[test]
#[cfg_attr(not(feature = "foundationdb"), ignore = "no FoundationDB")]
fn promises_hold_in_clusters_on_foundationdb() {
    let how = StormsOptions { jobs: NonZeroUsize::new(8).unwrap(), ..StormsOptions::default() };
    all_are_well("3 nodes on FoundationDB", 501..=508, how, |seed| {
        let length = Duration::from_secs(3 * 60);
        let mut options = StormOptions::new(seed, length, &[&Profile::LTE, &Profile::UBER_P50]);
        options.nodes = 3;
        options.ground = run_in_real_time(Ground::foundationdb(&format!("storm-{seed}")));
        options
    });
}

#[test]
fn lost_hints_only_delay() {
    all_is_well("lost hints", 201..=206, |seed| {
        let mut options = StormOptions::new(seed, LENGTH, &[&Profile::WIFI, &Profile::LTE]);
        options.prepare = Arc::new(|server| server.fault = Some(ServerFault::LoseHints { every: 7 }));
        options
    });
}
