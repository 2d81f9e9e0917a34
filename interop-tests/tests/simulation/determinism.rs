//! A seed is a run: that is what makes a failure of a storm worth anything.

use std::collections::BTreeSet;
use std::time::Duration;

use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{StormOptions, StormsOptions, storms};

const SEEDS: u64 = 10;

fn digests() -> Vec<(u64, u64, Duration)> {
    let options =
        |seed| StormOptions::new(seed, Duration::from_secs(180), &[&Profile::TRAIN, &Profile::UBER_P95]);
    let reports = storms(1..=SEEDS, StormsOptions::default(), options, |_| {});
    let digests = |report: &fulmar_interop_tests::simulation::SeedReport| {
        (report.report.digest, report.report.network_digest, report.report.simulated)
    };
    reports.iter().map(digests).collect()
}

#[test]
fn two_runs_of_a_seed_tell_apps_the_same_at_the_same_times_and_send_the_same_packets() {
    let (once, again) = (digests(), digests());
    assert_eq!(once, again, "seeds 1 to {SEEDS}");
    let different: BTreeSet<_> = once.iter().map(|(told, packets, _)| (told, packets)).collect();
    assert_eq!(different.len(), once.len(), "other seeds are other runs");
}
