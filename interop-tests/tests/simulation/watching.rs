//! A storm that panics, or never ends, is a failure of its seed like any other.

use std::sync::Arc;
use std::time::Duration;

use fulmar_interop_tests::simulation::{Invariant, SeedReport, StormOptions, StormsOptions, storms};
use fulmar_network_model::Profile;
use fulmar_server::ServerOptions;

/// Two storms, of which the one with seed 2 does this when its server starts.
fn two_storms(how: StormsOptions, seed_2: fn(&mut ServerOptions)) -> Vec<SeedReport> {
    let options = |seed| {
        let mut options = StormOptions::new(seed, Duration::from_secs(60), &[&Profile::LTE]);
        if seed == 2 {
            options.prepare = Arc::new(seed_2);
        }
        options
    };
    storms(1..=2, how, options, |_| {})
}

fn only_seed_2_is_wrong(reports: &[SeedReport], invariant: Invariant, part: &str) {
    assert_eq!(reports.iter().map(|seed| seed.seed).collect::<Vec<_>>(), [1, 2]);
    assert!(reports[0].report.violation.is_none(), "{:?}", reports[0].report.violation);
    let violation = reports[1].report.violation.as_ref().unwrap();
    assert_eq!(violation.invariant, invariant);
    assert!(violation.what.contains(part), "{violation}");
}

#[test]
fn a_panic_that_ends_the_world_is_reported_with_its_seed() {
    let reports = two_storms(StormsOptions::default(), |_| panic!("as asked"));
    only_seed_2_is_wrong(&reports, Invariant::NothingPanics, "as asked");
}

#[test]
fn a_panic_in_a_task_that_nobody_waits_for_is_reported_with_its_seed_and_what_led_there() {
    let reports = two_storms(StormsOptions::default(), |_| {
        tokio::spawn(async {
            tokio::time::sleep(Duration::from_secs(50)).await;
            panic!("as asked");
        });
    });
    only_seed_2_is_wrong(&reports, Invariant::NothingPanics, "as asked");
    let report = &reports[1].report;
    assert!(report.simulated >= Duration::from_secs(50) && !report.last_events.is_empty(), "{report:?}");
}

#[test]
fn a_world_in_which_no_time_passes_is_given_up_and_reported_with_its_seed() {
    let how = StormsOptions { stuck_after: Duration::from_secs(2), ..StormsOptions::default() };
    let reports = two_storms(how, |_| {
        loop {
            std::thread::park();
        }
    });
    only_seed_2_is_wrong(&reports, Invariant::TimePasses, "no simulated time");
}
