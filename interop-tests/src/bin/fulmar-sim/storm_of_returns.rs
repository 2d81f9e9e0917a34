//! `fulmar-sim storm-of-returns`: many clients lose their server at once and come back, with the jitter of their
//! waits and without it.

use std::num::NonZeroU32;

use fulmar_interop_tests::simulation::{HerdOptions, herd, run as run_world};

/// What is asked for.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many clients
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    clients: u32,
    /// What everything random follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Packets that the server's machine gets done in a second
    #[arg(long, default_value = "20000")]
    packets_per_second: NonZeroU32,
}

/// Runs both, and prints a table. Whether all came back.
pub(crate) fn run(arguments: &Arguments) -> bool {
    println!(
        "jitter | back | half after | last after | handshakes at once | dropped at the socket | sent | early"
    );
    println!("--- | --- | --- | --- | --- | --- | --- | ---");
    let mut all = true;
    for jitter in [true, false] {
        let clients = usize::try_from(arguments.clients).unwrap_or(usize::MAX);
        let options = HerdOptions {
            packets_per_second: arguments.packets_per_second,
            ..HerdOptions::new(arguments.seed, clients, jitter)
        };
        let report = run_world(herd(options));
        println!(
            "{} | {} of {clients} | {:?} | {:?} | {} | {} | {} | {}",
            if jitter { "yes" } else { "no" },
            report.back,
            report.half_after,
            report.last_after,
            report.handshakes_max,
            report.dropped,
            report.sent,
            report.early,
        );
        all &= report.back == clients;
    }
    if let Some(peak) = memory_peak() {
        println!("\nmemory at most: {peak}");
    }
    all
}

/// The most memory that this process has had, as the kernel says it.
fn memory_peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().to_owned())
}
