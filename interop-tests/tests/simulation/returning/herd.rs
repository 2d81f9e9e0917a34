//! Clients that lose their server together do not come back together.

use std::num::NonZeroU32;

use fulmar_interop_tests::simulation::{HerdOptions, HerdReport, herd, run};

const CLIENTS: usize = 1_000;

/// A machine that gets ten packets of each client done in a second, and holds a third of one of each.
fn lose_the_server(jitter: bool) -> HerdReport {
    let packets_per_second = NonZeroU32::new(10_000).unwrap();
    let inbox_bytes = 400 * CLIENTS;
    let options = HerdOptions::new(4, CLIENTS, jitter);
    let report = run(herd(HerdOptions { packets_per_second, inbox_bytes, ..options }));
    println!("jitter {jitter}: {report:?}");
    assert_eq!(report.back, CLIENTS, "{report:?}");
    report
}

#[test]
fn clients_that_lose_their_server_together_all_come_back_and_jitter_keeps_its_queue_from_overflowing() {
    let (with, without) = (lose_the_server(true), lose_the_server(false));
    assert!(with.dropped * 4 < without.dropped, "{with:?} {without:?}");
}
