//! Many storms at once, each in a world on a thread of its own, watched from outside.
//!
//! However a storm ends, it ends with a report: a panic in it is a violation, and so is a world whose time
//! stands still ([`StormsOptions::stuck_after`]). The thread of such a world cannot be stopped; it is left behind, and goes on
//! until the process ends.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::ground::{Ground, run, run_in_real_time};
use super::recorder::{Invariant, Violation};
use super::storm::{StormOptions, StormReport, storm};
use super::watch::Watch;

/// How long a world's time may stand still, in real time, unless it is set otherwise.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// How often it is looked, in real time.
const LOOK: Duration = Duration::from_millis(100);
/// Debug builds of deep futures need more than a thread has of itself.
const STACK_BYTES: usize = 16 << 20;

/// How storms are run.
#[derive(Clone, Copy, Debug)]
pub struct StormsOptions {
    /// How many at once.
    pub jobs: NonZeroUsize,
    /// For how long, in real time, a world's time may stand still; then it is given up.
    pub stuck_after: Duration,
}

impl Default for StormsOptions {
    fn default() -> Self {
        let jobs = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { jobs, stuck_after: STUCK_AFTER }
    }
}

/// What happens while storms run.
#[derive(Debug)]
pub enum StormNews<'a> {
    /// One ended.
    Ended(&'a SeedReport),
    /// How much time has passed in all worlds together.
    Passed(Duration),
}

/// How the storm of one seed went.
#[derive(Clone, Debug)]
pub struct SeedReport {
    /// The seed.
    pub seed: u64,
    /// The storm.
    pub report: StormReport,
    /// How long it took.
    pub real: Duration,
}

/// One that runs.
struct Running {
    watch: Watch,
    began: Instant,
    /// Its time when that last moved, and when that was.
    moved: (Duration, Instant),
}

/// What a world's thread says in the end; nothing when it panicked.
type Ended = (u64, Option<StormReport>);

/// Runs the storm of each seed, and gives the reports in the order of the seeds.
///
/// # Panics
/// When a thread cannot be started.
pub fn storms(
    seeds: impl IntoIterator<Item = u64>,
    how: StormsOptions,
    options: impl Fn(u64) -> StormOptions,
    mut tell: impl FnMut(StormNews<'_>),
) -> Vec<SeedReport> {
    let mut seeds = seeds.into_iter();
    let (sender, ended) = channel();
    let mut running: BTreeMap<u64, Running> = BTreeMap::new();
    let mut reports: BTreeMap<u64, SeedReport> = BTreeMap::new();
    let mut passed = Duration::ZERO;
    loop {
        while running.len() < how.jobs.get() {
            let Some(seed) = seeds.next() else { break };
            running.insert(seed, start(options(seed), sender.clone()));
        }
        if running.is_empty() {
            return reports.into_values().collect();
        }
        let mut done = ended_by_now(&ended, &mut running);
        done.extend(stuck_by_now(how.stuck_after, &mut running));
        for mut done in done {
            passed += done.report.simulated;
            tell(StormNews::Ended(&done));
            if done.report.violation.is_none() {
                // Too much to keep for every seed.
                done.report.last_events = Vec::new();
            }
            reports.insert(done.seed, done);
        }
        let under_way: Duration = running.values().map(|world| world.watch.now()).sum();
        tell(StormNews::Passed(passed + under_way));
    }
}

fn start(options: StormOptions, ended: Sender<Ended>) -> Running {
    let (seed, watch) = (options.seed, options.watch.clone());
    let world = move || {
        let report = catch_unwind(AssertUnwindSafe(|| match options.ground {
            Ground::Simulated => run(storm(options)),
            Ground::FoundationDb(_) => run_in_real_time(storm(options)),
        }));
        // Nobody listens any more to one that was given up.
        let _ = ended.send((seed, report.ok()));
    };
    thread::Builder::new()
        .name(format!("seed {seed}"))
        .stack_size(STACK_BYTES)
        .spawn(world)
        .expect("a thread");
    Running { watch, began: now(), moved: (Duration::ZERO, now()) }
}

/// Those that have ended; waits a moment for one.
fn ended_by_now(ended: &Receiver<Ended>, running: &mut BTreeMap<u64, Running>) -> Vec<SeedReport> {
    let mut reports = Vec::new();
    match ended.recv_timeout(LOOK) {
        Ok((seed, report)) => {
            if let Some(world) = running.remove(&seed) {
                let report = report.unwrap_or_else(|| {
                    let what = world.watch.panic().unwrap_or_else(|| "a panic".to_owned());
                    abandoned(&world.watch, Invariant::NothingPanics, what)
                });
                reports.push(SeedReport { seed, report, real: world.began.elapsed() });
            }
        }
        Err(RecvTimeoutError::Timeout) => {}
        Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is held"),
    }
    reports
}

/// Those that are given up.
fn stuck_by_now(stuck_after: Duration, running: &mut BTreeMap<u64, Running>) -> Vec<SeedReport> {
    let mut reports = Vec::new();
    for world in running.values_mut() {
        if world.watch.now() != world.moved.0 {
            world.moved = (world.watch.now(), now());
        }
    }
    let stuck: Vec<u64> = running
        .iter()
        .filter(|(_, world)| world.moved.1.elapsed() > stuck_after)
        .map(|(seed, _)| *seed)
        .collect();
    for seed in stuck {
        if let Some(world) = running.remove(&seed) {
            let what = format!(
                "no simulated time passed for {stuck_after:?} of real time; the world was left behind"
            );
            let report = abandoned(&world.watch, Invariant::TimePasses, what);
            reports.push(SeedReport { seed, report, real: world.began.elapsed() });
        }
    }
    reports
}

/// What can be said of a world that did not come to its end.
fn abandoned(watch: &Watch, invariant: Invariant, what: String) -> StormReport {
    let at = watch.now();
    let seen = watch.recorder().and_then(|recorder| recorder.snapshot(LOOK)).unwrap_or_default();
    StormReport {
        violation: Some(Violation { invariant, what, at }),
        last_events: seen.last_events,
        digest: seen.digest,
        network_digest: 0,
        simulated: at,
        entries_handed: seen.entries_handed,
        messages_accepted: seen.messages_accepted,
    }
}

#[expect(clippy::disallowed_methods, reason = "how long a world takes is real time, and not its own")]
fn now() -> Instant {
    Instant::now()
}
