//! Runs that take turns: Fulmar, each floor, each peer, and again, so that what disturbs the machine disturbs all of
//! them alike.
//!
//! A peer that is not installed, or that fails, is left out from then on, and a line says so. Fulmar or a floor that
//! fails ends the whole: there would be nothing to compare with.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::BoxFuture;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde_json::Value;

use crate::{
    arguments::{Common, Peers},
    error::BenchError,
    figures::{Figures, Runs},
    report,
    system::{Promises, Running, System, fulmar::Fulmar, peers},
    usage::all_alive,
};

/// How often the server's processes are looked after.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// One run of one system takes no longer, whatever was asked for: something hangs.
const RUN_TIME_MAX: Duration = Duration::from_secs(2 * 3_600);

/// Something to do with a system, and with its floors.
pub(crate) trait Workload: Sync {
    fn name(&self) -> &'static str;

    /// What it was told, by the names of its options.
    fn arguments(&self) -> Value;

    /// One run with one system.
    fn run<'a>(&'a self, system: &'a dyn System, seed: u64) -> BoxFuture<'a, Result<Measured, BenchError>>;

    /// The floors that take turns with it.
    fn floors(&self) -> &'static [&'static str];

    /// One run of a floor.
    fn floor<'a>(&'a self, name: &'static str, seed: u64) -> BoxFuture<'a, Result<Figures, BenchError>>;

    /// Adds to a system's figures their ratios to the floors of the same round.
    fn add_ratios(&self, figures: &mut Figures, floors: &Floors);

    /// Whether peers can do it, too.
    fn takes_peers(&self) -> bool {
        true
    }
}

/// The floors of one round, by name.
pub(crate) type Floors = BTreeMap<&'static str, Figures>;

/// One run of a system.
pub(crate) struct Measured {
    figures: Figures,
    version: String,
    release_year: u16,
}

impl Measured {
    pub(crate) fn of(running: &dyn Running, figures: Figures) -> Self {
        Self { figures, version: running.version().to_owned(), release_year: running.release_year() }
    }

    /// Of a system that is a floor the figures are all that counts.
    pub(crate) fn into_figures(self) -> Figures {
        self.figures
    }
}

/// A system, and all that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) promises: Promises,
    pub(crate) runs: Runs,
    pub(crate) version: String,
    pub(crate) release_year: u16,
    /// Why it was left out.
    pub(crate) failure: Option<String>,
}

impl Contestant {
    fn new(system: &dyn System) -> Self {
        Self {
            name: system.name(),
            promises: system.promises(),
            runs: Runs::default(),
            version: String::new(),
            release_year: 0,
            failure: None,
        }
    }

    fn take(&mut self, mut measured: Measured, workload: &dyn Workload, floors: &Floors) {
        workload.add_ratios(&mut measured.figures, floors);
        self.runs.push(measured.figures);
        (self.version, self.release_year) = (measured.version, measured.release_year);
    }
}

/// What all runs of a workload gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) workload: &'static str,
    pub(crate) arguments: Value,
    pub(crate) fulmar: Contestant,
    pub(crate) floors: Vec<(&'static str, Runs)>,
    pub(crate) peers: Vec<Contestant>,
}

/// Does all runs.
pub(crate) async fn run(workload: &dyn Workload, common: &Common) -> Result<Outcome, BenchError> {
    let peers = chosen(&common.peers, workload)?;
    let mut outcome = Outcome {
        workload: workload.name(),
        arguments: workload.arguments(),
        fulmar: Contestant::new(&Fulmar),
        floors: workload.floors().iter().map(|name| (*name, Runs::default())).collect(),
        peers: peers.iter().map(|peer| Contestant::new(&**peer)).collect(),
    };
    let progress = Progress::new(workload, common.runs, peers.len());
    for run in 1..=common.runs {
        let seed = common.seed.wrapping_add(u64::from(run - 1));
        progress.begin(run, "fulmar");
        let fulmar = workload.run(&Fulmar, seed).await?;
        let mut floors = Floors::new();
        for (name, runs) in &mut outcome.floors {
            progress.begin(run, name);
            let figures = workload.floor(name, seed).await?;
            runs.push(figures.clone());
            floors.insert(*name, figures);
        }
        outcome.fulmar.take(fulmar, workload, &floors);
        for (peer, contestant) in peers.iter().zip(&mut outcome.peers) {
            progress.begin(run, contestant.name);
            if contestant.failure.is_some() {
                continue;
            }
            match workload.run(&**peer, seed).await {
                Ok(measured) => contestant.take(measured, workload, &floors),
                Err(error) => {
                    let line = format!("{}: left out: {error}", contestant.name);
                    progress.bar.suspend(|| report::warn(&line));
                    contestant.failure = Some(error.to_string());
                }
            }
        }
    }
    progress.bar.finish_and_clear();
    Ok(outcome)
}

/// The peers that were asked for.
fn chosen(asked: &Peers, workload: &dyn Workload) -> Result<Vec<Box<dyn System>>, BenchError> {
    if !workload.takes_peers() && *asked != Peers::None {
        report::warn(&format!("{}: only Fulmar does this, peers are left out", workload.name()));
        return Ok(Vec::new());
    }
    match asked {
        Peers::None => Ok(Vec::new()),
        Peers::All => match peers::all() {
            all if all.is_empty() => Err(BenchError::wrong(peers::NOT_COMPILED)),
            all => Ok(all),
        },
        Peers::Named(names) => names.iter().map(|name| peers::named(name)).collect(),
    }
}

/// Shows which run it is, on a terminal.
struct Progress {
    bar: ProgressBar,
    runs: u32,
}

impl Progress {
    fn new(workload: &dyn Workload, runs: u32, peers: usize) -> Self {
        let turns = u64::try_from(1 + workload.floors().len() + peers).unwrap_or(u64::MAX);
        let bar = ProgressBar::new(turns * u64::from(runs)).with_finish(ProgressFinish::AndClear);
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:40} {pos}/{len} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(workload.name());
        bar.enable_steady_tick(Duration::from_millis(250));
        Self { bar, runs }
    }

    fn begin(&self, run: u32, contestant: &str) {
        if !self.bar.message().is_empty() {
            self.bar.inc(1);
        }
        self.bar.set_message(format!("run {run} of {}: {contestant}", self.runs));
    }
}

/// Does something with a server, as long as it lives.
pub(crate) async fn watched<T>(
    processes: Vec<u32>,
    work: impl Future<Output = Result<T, BenchError>>,
) -> Result<T, BenchError> {
    let gone = async {
        while all_alive(&processes) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        result = work => match result {
            // What a client says of a server that has just died matters less than that it has.
            Err(_) if !all_alive(&processes) => Err(BenchError::ServerGone),
            result => result,
        },
        () = gone => Err(BenchError::ServerGone),
        () = tokio::time::sleep(RUN_TIME_MAX) => {
            Err(BenchError::Wrong(format!("a run did not end within {} s", RUN_TIME_MAX.as_secs())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_dies_ends_what_is_done_with_it() {
        let mut server = tokio::process::Command::new("sleep").arg("60").kill_on_drop(true).spawn().unwrap();
        let id = server.id().unwrap();
        server.start_kill().unwrap();
        let never = std::future::pending::<Result<(), BenchError>>();
        assert!(matches!(watched(vec![id], never).await, Err(BenchError::ServerGone)));
    }

    #[tokio::test]
    async fn a_failure_while_the_server_lives_is_told_as_it_is() {
        let work = async { Err::<(), _>(BenchError::wrong("something else")) };
        let error = watched(vec![std::process::id()], work).await.unwrap_err();
        assert_eq!(error.to_string(), "something else");
    }
}
