//! Runs storms.
use fulmar_interop_tests::network::Profile;
use fulmar_interop_tests::simulation::{StormOptions, run, storm};
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seeds: u64 = args[1].parse().unwrap();
    let minutes: u64 = args[2].parse().unwrap();
    let first: u64 = args.get(3).map_or(1, |s| s.parse().unwrap());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .with_writer(std::io::stderr)
        .init();
    for seed in first..first + seeds {
        #[allow(clippy::disallowed_methods)]
        let began = Instant::now();
        let profiles: Vec<&'static Profile> =
            ["train", "uber-p95"].iter().map(|n| Profile::by_name(n).unwrap()).collect();
        let report = run(storm(StormOptions::new(seed, Duration::from_secs(minutes * 60), &profiles)));
        println!(
            "seed {seed}: {:016x} {:.0} s simulated, {} accepted, {} handed, {:.2} s real, {}",
            report.digest,
            report.simulated.as_secs_f64(),
            report.messages_accepted,
            report.entries_handed,
            began.elapsed().as_secs_f64(),
            report.violation.as_ref().map_or("good".to_owned(), ToString::to_string)
        );
        if report.violation.is_some() {
            for line in report.last_events.iter().rev().take(400).rev() {
                println!("   {line}");
            }
        }
    }
}
