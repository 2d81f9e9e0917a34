//! A seed is a run: that is what makes a failure of a storm worth anything.

use std::collections::BTreeSet;
use std::time::Duration;

use fulmar_interop_tests::simulation::{StormOptions, StormsOptions, storms};
use fulmar_network_model::Profile;

const SEEDS: u64 = 10;

/// Of one server, or of a cluster of so many nodes.
fn digests(nodes: usize) -> Vec<(u64, u64, Duration)> {
    let options = |seed| {
        let length = Duration::from_secs(180);
        let mut options = StormOptions::new(seed, length, &[&Profile::TRAIN, &Profile::UBER_P95]);
        options.nodes = nodes;
        options
    };
    let reports = storms(1..=SEEDS, StormsOptions::default(), options, |_| {});
    let digests = |report: &fulmar_interop_tests::simulation::SeedReport| {
        (report.report.digest, report.report.network_digest, report.report.simulated)
    };
    reports.iter().map(digests).collect()
}

#[test]
fn two_runs_of_a_seed_tell_apps_the_same_at_the_same_times_and_send_the_same_packets() {
    same_twice(1);
}

#[test]
fn and_so_do_two_runs_of_a_cluster() {
    same_twice(3);
}

fn same_twice(nodes: usize) {
    let (once, again) = (digests(nodes), digests(nodes));
    assert_eq!(once, again, "seeds 1 to {SEEDS}");
    let different: BTreeSet<_> = once.iter().map(|(told, packets, _)| (told, packets)).collect();
    assert_eq!(different.len(), once.len(), "other seeds are other runs");
}
