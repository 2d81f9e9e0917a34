//! `fulmar-bench all`: every workload, one after the other, and the report of them.
//!
//! Each is a process of its own, called as people would call it, because some must be on an emulated link from their
//! first thread on. Their files come together in a folder beside the target, which is only touched at the end. A
//! workload that fails is left out, and the report says so.

mod plan;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use clap::Args;
use tokio::{
    process::{Child, Command},
    signal::unix::{Signal, SignalKind, signal},
    time::{sleep, timeout},
};

use crate::{
    arguments::{Common, Peers},
    error::BenchError,
    link::dying_with_us,
    report, report_page,
    system::peers,
};
use plan::Item;

/// A workload that takes so many times what is expected is ended.
const LATE_AFTER: u32 = 3;
/// To end its servers and remove its folders.
const ENDS_WITHIN: Duration = Duration::from_secs(30);
/// Runs that the plan's minutes are for.
const RUNS_PLANNED: u32 = 5;

#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// The folder that the report is to be: a new one, or that of an earlier report, which it replaces in the end.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// One small run of each, to see that everything works: figures that mean little.
    #[arg(long)]
    quick: bool,
    /// Measure Fulmar and its floors alone. Unless this or --peers is given, all peers take part.
    #[arg(long)]
    without_peers: bool,
}

pub(crate) async fn run(options: &Options, common: &Common) -> Result<(), BenchError> {
    if common.json.is_some() {
        return Err(BenchError::wrong("all writes a file for each workload: leave --json away, use --to"));
    }
    report_page::may_replace(&options.to)?;
    let who = chosen(options, common)?;
    let unfinished = Unfinished::begin(&options.to)?;
    if who == "none" && !options.without_peers {
        report::warn(&format!("SKIPPED: all peers: {}", peers::NOT_COMPILED));
    }
    let items = plan::items(options.quick);
    let mut missing = Vec::new();
    for (nth, item) in items.iter().enumerate() {
        let Some(arguments) = call(item, options, common, &who) else { continue };
        let line = format!("[{}/{}] {}", nth + 1, items.len(), arguments.join(" "));
        report::warn(&line);
        let file = unfinished.folder.join(format!("{}.json", item.name));
        match workload(&arguments, &file, limit(item, options, common)).await {
            Ok(status) if status.success() => {}
            Ok(status) => missing.push(format!("{}: it failed ({status})", item.name)),
            Err(BenchError::Interrupted) => return Err(unfinished.interrupted(&options.to)),
            Err(error) => missing.push(format!("{}: {error}", item.name)),
        }
    }
    for line in &missing {
        report::warn(&format!("left out: {line}"));
    }
    if missing.len() == items.len() {
        fs::remove_dir(&unfinished.folder)?;
        return Err(BenchError::wrong("no workload went through: see what each said above"));
    }
    report_page::make(&unfinished.folder, &options.to, &missing)?;
    unfinished.end()
}

/// Who takes part, as the workloads' `--peers` takes it.
fn chosen(options: &Options, common: &Common) -> Result<String, BenchError> {
    match &common.peers {
        Peers::Named(_) | Peers::All if options.without_peers => {
            Err(BenchError::wrong("--peers and --without-peers contradict each other: leave one away"))
        }
        Peers::Named(names) => {
            // Once, before every workload would say so.
            names.iter().try_for_each(|name| peers::named(name).map(drop))?;
            Ok(names.join(","))
        }
        Peers::None if options.without_peers => Ok("none".to_owned()),
        Peers::None | Peers::All if !peers::all().is_empty() => Ok("all".to_owned()),
        Peers::None | Peers::All => Ok("none".to_owned()),
    }
}

/// The whole call of a workload.
fn call(item: &Item, options: &Options, common: &Common, peers: &str) -> Option<Vec<String>> {
    let mut arguments = item.arguments(options.quick)?;
    let alone = matches!(arguments.first().map(String::as_str), Some("connect" | "storm" | "mixed"));
    if !alone && peers != "none" {
        arguments.extend(["--peers".to_owned(), peers.to_owned()]);
    }
    let runs = if options.quick { 1 } else { common.runs };
    arguments.extend(["--runs".to_owned(), runs.to_string()]);
    arguments.extend(["--seed".to_owned(), common.seed.to_string()]);
    Some(arguments)
}

fn limit(item: &Item, options: &Options, common: &Common) -> Duration {
    let runs = if options.quick { RUNS_PLANNED } else { common.runs.max(RUNS_PLANNED) };
    let minutes = item.minutes(options.quick) * LATE_AFTER * runs / RUNS_PLANNED;
    Duration::from_secs(60 * u64::from(minutes))
}

/// Runs a workload in a process of its own, which dies with this one.
async fn workload(arguments: &[String], file: &Path, limit: Duration) -> Result<ExitStatus, BenchError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let program = std::env::current_exe()?;
    let mut command = Command::from(dying_with_us(program.as_os_str(), None));
    let mut child = command.args(arguments).arg("--json").arg(file).kill_on_drop(true).spawn()?;
    tokio::select! {
        biased;
        () = told(&mut interrupt, &mut terminate) => {
            end(&mut child).await?;
            Err(BenchError::Interrupted)
        }
        status = child.wait() => {
            let status = status?;
            // Ctrl-C reaches both; the workload may be the first to be through with it.
            let settling = Duration::from_millis(100);
            match timeout(settling, told(&mut interrupt, &mut terminate)).await {
                Ok(()) => Err(BenchError::Interrupted),
                Err(_) => Ok(status),
            }
        }
        () = sleep(limit) => {
            end(&mut child).await?;
            Err(BenchError::Wrong(format!("it did not end within {} minutes", limit.as_secs() / 60)))
        }
    }
}

async fn told(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Lets a workload take away what it has made, and kills it if it does not.
async fn end(child: &mut Child) -> Result<(), BenchError> {
    use rustix::process::{Pid, Signal, kill_process};
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended by itself.
        let _ = kill_process(id, Signal::TERM);
    }
    if timeout(ENDS_WITHIN, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

/// The folder of the files that there are so far.
struct Unfinished {
    folder: PathBuf,
}

impl Unfinished {
    fn begin(to: &Path) -> Result<Self, BenchError> {
        let to = std::path::absolute(to)?;
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push("-unfinished");
        let folder = to.with_file_name(name);
        let shown = folder.display();
        if let Some(beside) = folder.parent() {
            fs::create_dir_all(beside)
                .map_err(|error| BenchError::Wrong(format!("cannot make {}: {error}", beside.display())))?;
        }
        match fs::create_dir(&folder) {
            Ok(()) => Ok(Self { folder }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(BenchError::Wrong(format!(
                    "{shown} is there from an earlier run: make a page of it with fulmar-bench report --from {shown} \
                 --to DIR, or remove it"
                )))
            }
            Err(error) => Err(BenchError::Wrong(format!("cannot make {shown}: {error}"))),
        }
    }

    /// What to do with what there is. A folder without files is taken away.
    fn interrupted(self, to: &Path) -> BenchError {
        if fs::remove_dir(&self.folder).is_ok() {
            return BenchError::Interrupted;
        }
        BenchError::Wrong(format!(
            "interrupted: no report was written; what was measured is in {0}, and fulmar-bench report --from {0} \
             --to {1} makes a page of it",
            self.folder.display(),
            to.display()
        ))
    }

    /// Everything in it is in the report.
    fn end(self) -> Result<(), BenchError> {
        Ok(fs::remove_dir_all(self.folder)?)
    }
}
