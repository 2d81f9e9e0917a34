//! `fulmar-bench`: how fast Fulmar is, beside floors and peers measured in the same run.
//!
//! This process is the clients; each server runs in processes of its own, so that its memory, processor time and
//! context switches are its own. Load goes over real sockets, to a real store in a temporary folder; everything is
//! taken away at the end, also when it is interrupted. Absolute figures depend on the machine: quote the ratios.

mod all;
mod arguments;
mod cluster;
mod credentials;
mod error;
mod figures;
mod floors;
mod link;
mod machine;
mod network;
mod open_loop;
mod place;
mod promises;
mod report;
mod report_page;
mod rounds;
mod server_process;
mod syncs;
mod system;
mod usage;
mod workloads;

use std::{process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use arguments::Common;
use error::BenchError;
use network::Network;
use rounds::Workload;
use workloads::{catchup, connect, connections, fanout, latency, lossy, mixed, roam, storm, throughput};

/// Measures Fulmar beside floors, and beside peers, in the same run.
#[derive(Parser)]
#[command(
    name = "fulmar-bench",
    version,
    after_help = "Examples:\n  fulmar-bench latency\n  fulmar-bench throughput --senders 1 --conversations 1 --window 64\n  \
                  fulmar-bench lossy --profile uber-p50 --peers all --json lossy.json"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    /// One pair, unloaded: from when a message is due to when it is there, beside a raw echo and one fdatasync.
    #[command(after_help = "Example:\n  fulmar-bench latency --messages 2000 --rate 400")]
    Latency(latency::Options),
    /// Many senders in many conversations, as fast as they may, beside a raw relay and the store alone.
    #[command(after_help = "Examples:\n  fulmar-bench throughput --senders 64 --conversations 1000\n  \
                            fulmar-bench throughput --senders 1 --conversations 1 --window 64")]
    Throughput(throughput::Options),
    /// One sends to a group, beside a raw broadcast.
    #[command(after_help = "Example:\n  fulmar-bench fanout --members 10,100,1000,9999 --online 1000")]
    Fanout(fanout::Options),
    /// Sessions that do nothing: the server's memory and processor time for each, beside raw connections.
    #[command(after_help = "Example:\n  fulmar-bench connections --sessions 1000,10000")]
    Connections(connections::Options),
    /// Full and 0-RTT sessions a second, beside raw handshakes.
    #[command(after_help = "Example:\n  fulmar-bench connect --clients 32 --seconds 4")]
    Connect(connect::Options),
    /// The server is killed and started again, and all come back at once, beside raw handshakes.
    #[command(after_help = "Example:\n  fulmar-bench storm --clients 500")]
    Storm(storm::Options),
    /// A device was away for a week: the time until it has everything, beside a raw push and bare range reads.
    #[command(after_help = "Example:\n  fulmar-bench catchup --messages 10000 --conversations 50")]
    Catchup(catchup::Options),
    /// A device with many conversations on a bad network, beside a raw relay there.
    #[command(after_help = "Example:\n  fulmar-bench lossy --profile uber-p50")]
    Lossy(lossy::Options),
    /// The same on the move: another address every ten seconds.
    #[command(after_help = "Example:\n  fulmar-bench roam --profile lte --every 10")]
    Roam(roam::Options),
    /// Messages and read marks, with and without presence and typing beside them.
    #[command(after_help = "Example:\n  fulmar-bench mixed --users 40 --seconds 15")]
    Mixed(mixed::Options),
    /// What each system promises for an answered message, beside the syncs of its server that strace counts.
    #[command(
        after_help = "Examples:\n  fulmar-bench promises\n  fulmar-bench promises --peers nats,nats-synced"
    )]
    Promises(promises::Options),
    /// A cluster that runs already: delivery within a node and between two, appends to one conversation, large groups.
    #[command(
        after_help = "Example:\n  fulmar-bench cluster --data DIR --server 127.0.0.1:4433 --server 127.0.0.1:4443\n\n\
                      DIR/dev must hold the certificates and keys that all nodes use, as fulmar serve --dev makes them."
    )]
    Cluster(cluster::Options),
    /// Makes a page with pictures of the JSON files that workloads wrote.
    #[command(after_help = "Example:\n  fulmar-bench latency --peers all --json figures/latency.json\n  \
                            fulmar-bench report --from figures --to report")]
    Report(report_page::Options),
    /// Runs every workload, beside all peers, and makes a page of them: about three hours, one without peers; with
    /// --quick about a quarter of an hour, five minutes without peers.
    #[command(after_help = "Examples:\n  fulmar-bench all --to report --quick\n  \
                            fulmar-bench all --to report --peers mosquitto,nats-synced")]
    All(all::Options),
    Link(link::LinkOptions),
    /// The first process of a command behind a link.
    #[command(hide = true)]
    Inside(link::InsideOptions),
    /// The process of a server, started by the workloads.
    #[command(hide = true)]
    Serve(server_process::Options),
}

impl Arguments {
    /// Where everything is to be.
    fn network(&self) -> Result<Network, BenchError> {
        match &self.command {
            Command::Lossy(options) => Network::open(options.profile(), self.common.seed),
            Command::Roam(options) => Network::open(options.profile(), self.common.seed),
            _ => Ok(Network::loopback()),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // These have threads, processes and exit codes of their own.
    match &arguments.command {
        Command::Link(options) => return link::run(options, arguments.common.json.as_ref()),
        Command::Inside(options) => return link::inside(options),
        Command::Report(options) => return report::exit(report_page::run(options)),
        Command::All(options) => return report::exit(all_in_turn(options, &arguments.common)),
        _ => {}
    }
    permit_open_files();
    let result = arguments.network().and_then(|network| {
        let (runtime, network) = (network.runtime()?, Arc::new(network));
        runtime.block_on(until_told(arguments, network))
    });
    report::exit(result)
}

/// What measures are other processes, which are on threads of their own: here one is enough.
fn all_in_turn(options: &all::Options, common: &Common) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(all::run(options, common))
}

/// Ends early when it is told to: then everything that was begun is dropped, which ends servers and removes folders.
async fn until_told(arguments: Arguments, network: Arc<Network>) -> Result<(), BenchError> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        biased;
        _ = interrupt.recv() => Err(BenchError::Interrupted),
        _ = terminate.recv() => Err(BenchError::Interrupted),
        result = Box::pin(run(arguments, network)) => result,
    }
}

async fn run(arguments: Arguments, network: Arc<Network>) -> Result<(), BenchError> {
    let common = &arguments.common;
    match arguments.command {
        Command::Latency(options) => steps(&[options], common).await,
        Command::Throughput(options) => {
            options.check()?;
            steps(&[options], common).await
        }
        Command::Fanout(options) => steps(&options.steps(), common).await,
        Command::Connections(options) => steps(&options.steps(), common).await,
        Command::Connect(options) => steps(&[options], common).await,
        Command::Storm(options) => steps(&[options], common).await,
        Command::Catchup(options) => {
            options.check()?;
            steps(&[options], common).await
        }
        Command::Lossy(options) => steps(&[options.on(network)], common).await,
        Command::Roam(options) => steps(&[options.on(network)], common).await,
        Command::Mixed(options) => steps(&[options], common).await,
        Command::Promises(options) => Box::pin(promises::run(&options, common)).await,
        Command::Cluster(options) => report::show_alone(&Box::pin(cluster::run(options)).await?, common),
        Command::Link(_) | Command::Inside(_) | Command::Report(_) | Command::All(_) => Ok(()),
        Command::Serve(options) => Box::pin(server_process::serve(options)).await,
    }
}

/// Does the steps of a workload, and shows them together.
async fn steps<W: Workload>(steps: &[W], common: &Common) -> Result<(), BenchError> {
    if let Some(warning) = machine::warning() {
        report::warn(&warning);
    }
    let mut outcomes = Vec::new();
    for step in steps {
        outcomes.push(Box::pin(rounds::run(step, common)).await?);
    }
    report::show(&outcomes, common)
}

/// Many connections need many open files; servers inherit this.
fn permit_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is not permitted, what needs more says so itself.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
