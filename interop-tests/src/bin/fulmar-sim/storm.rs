//! `fulmar-sim storm`: a storm per seed, many at once; what was wrong, and how to see it again.

use std::io::IsTerminal as _;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use fulmar_interop_tests::simulation::{Fault, SeedReport, StormNews, StormOptions, StormsOptions, storms};
use fulmar_network_model::Profile;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

const EXAMPLES: &str = "\
Examples:
  cargo xtask sim --seeds 500 --minutes 30
  cargo xtask sim --seed 7 --minutes 30 --events 200   one seed, with more of what led there
  cargo xtask sim --seeds 20 --profile lte --profile edge
  cargo xtask sim --seeds 20 --nodes 3   a cluster, whose nodes, lines and store break
  cargo xtask sim --seeds 20 --fault no-deduplication  the checks are checked

The same build repeats a seed exactly: the same packets at the same times.
Exit status: 0 all was well, 1 something was not, 2 the command line was not right.";

/// What is asked for.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many seeds, one storm each
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// How long each storm lasts, in simulated minutes; then comes the calm, in which everything has to arrive
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The devices' networks; may be named more than once. Each device gets one of them
    #[arg(long, value_name = "NAME", default_values = ["train", "uber-p95"], value_parser = profiles())]
    profile: Vec<String>,
    /// How many users
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(2..=64))]
    users: u64,
    /// How many nodes serve them: one server on its own, or a cluster that shares a store
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    nodes: u8,
    /// How many storms at once (default: one per core)
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// A fault that the server commits on purpose, so that it can be seen to be found
    #[arg(long, value_name = "NAME", value_parser = faults())]
    fault: Option<String>,
    /// How many of the last events are shown of a storm that went wrong
    #[arg(long, default_value_t = 60)]
    events: usize,
    /// One JSON object per line: one per seed, and a last one for all
    #[arg(long)]
    json: bool,
}

fn profiles() -> PossibleValuesParser {
    PossibleValuesParser::new(Profile::ALL.iter().map(|profile| profile.name))
}

fn faults() -> PossibleValuesParser {
    PossibleValuesParser::new(Fault::ALL.iter().map(|fault| fault.name))
}

/// Runs the storms. Whether all was well.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let mut how = StormsOptions::default();
    how.jobs = arguments.jobs.unwrap_or(how.jobs);
    let bar = progress_bar(arguments);
    let began = now();
    let seeds = (0..arguments.seeds).map(|number| arguments.seed.wrapping_add(number));
    let reports = storms(
        seeds,
        how,
        |seed| options(arguments, seed),
        |news| match news {
            StormNews::Ended(report) => {
                bar.inc(1);
                bar.suspend(|| print_seed(arguments, report));
            }
            StormNews::Passed(simulated) => bar.set_message(speed(simulated, began.elapsed())),
        },
    );
    bar.finish_and_clear();
    let simulated = reports.iter().map(|seed| seed.report.simulated).sum();
    print_all(arguments, &reports, simulated, began.elapsed());
    reports.iter().all(|seed| seed.report.violation.is_none())
}

fn options(arguments: &Arguments, seed: u64) -> StormOptions {
    let length = Duration::from_secs(arguments.minutes * 60);
    let profiles: Vec<_> = arguments.profile.iter().filter_map(|name| Profile::by_name(name)).collect();
    let mut options = StormOptions::new(seed, length, &profiles);
    options.users = usize::try_from(arguments.users).unwrap_or(usize::MAX);
    options.nodes = usize::from(arguments.nodes);
    if let Some(fault) = arguments.fault.as_deref().and_then(Fault::by_name) {
        options.prepare = Arc::new(|server| (fault.commit)(server));
    }
    options
}

fn progress_bar(arguments: &Arguments) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(arguments.seeds);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} seeds, {msg}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// "12.5 simulated minutes, 80 times as fast as time".
fn speed(simulated: Duration, real: Duration) -> String {
    let times = simulated.as_secs_f64() / real.as_secs_f64().max(0.001);
    format!("{:.1} simulated minutes, {times:.0} times as fast as time", simulated.as_secs_f64() / 60.0)
}

fn print_seed(arguments: &Arguments, seed: &SeedReport) {
    let report = &seed.report;
    let last = report.last_events.len().saturating_sub(arguments.events);
    let last_events = || report.last_events.iter().skip(last);
    if arguments.json {
        let violation = report.violation.as_ref().map(|violation| {
            json!({
                "invariant": violation.invariant.to_string(),
                "what": violation.what,
                "at_s": violation.at.as_secs_f64(),
                "last_events": last_events().collect::<Vec<_>>(),
                "again": again(arguments, seed.seed),
            })
        });
        let line = json!({
            "seed": seed.seed,
            "good": violation.is_none(),
            "violation": violation,
            "digest": format!("{:016x}", report.digest),
            "network_digest": format!("{:016x}", report.network_digest),
            "simulated_s": report.simulated.as_secs_f64(),
            "real_s": seed.real.as_secs_f64(),
            "accepted": report.messages_accepted,
            "handed": report.entries_handed,
        });
        println!("{line}");
        return;
    }
    let verdict = if report.violation.is_some() { "VIOLATED" } else { "good" };
    println!(
        "seed {}: {verdict}, {:.1} simulated minutes in {:.1} s, {} messages accepted, {} entries handed over, {:016x}",
        seed.seed,
        report.simulated.as_secs_f64() / 60.0,
        seed.real.as_secs_f64(),
        report.messages_accepted,
        report.entries_handed,
        report.digest,
    );
    let Some(violation) = &report.violation else { return };
    println!("  invariant: {}", violation.invariant);
    println!("  at {:.3} s: {}", violation.at.as_secs_f64(), violation.what);
    println!("  what led there, in simulated seconds:");
    last_events().for_each(|line| println!("  {line}"));
    println!("  again: {}", again(arguments, seed.seed));
}

/// The command that repeats one seed.
fn again(arguments: &Arguments, seed: u64) -> String {
    let profiles: String = arguments.profile.iter().map(|name| format!(" --profile {name}")).collect();
    let fault = arguments.fault.as_ref().map(|name| format!(" --fault {name}")).unwrap_or_default();
    format!(
        "cargo xtask sim --seed {seed} --minutes {}{profiles} --users {} --nodes {}{fault} --events {}",
        arguments.minutes, arguments.users, arguments.nodes, arguments.events
    )
}

fn print_all(arguments: &Arguments, reports: &[SeedReport], simulated: Duration, real: Duration) {
    let wrong: Vec<u64> =
        reports.iter().filter(|seed| seed.report.violation.is_some()).map(|seed| seed.seed).collect();
    if arguments.json {
        let line = json!({
            "seeds": reports.len(),
            "violated": wrong,
            "simulated_s": simulated.as_secs_f64(),
            "real_s": real.as_secs_f64(),
        });
        println!("{line}");
        return;
    }
    let verdict = if wrong.is_empty() {
        "every promise held".to_owned()
    } else {
        let seeds: Vec<String> = wrong.iter().map(u64::to_string).collect();
        format!("VIOLATED in {} of them: {}", wrong.len(), seeds.join(", "))
    };
    println!("{} seeds, {}: {verdict}", reports.len(), speed(simulated, real));
}

#[expect(clippy::disallowed_methods, reason = "how long it takes is read by a person")]
fn now() -> Instant {
    Instant::now()
}
