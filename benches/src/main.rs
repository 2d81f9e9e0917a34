//! `fulmar-bench`: how fast Fulmar is, beside floors measured in the same run.
//!
//! The server runs in a process of its own, so that its memory and processor time are its own. Load goes over
//! real UDP sockets on loopback, to a real store in a temporary folder; everything is taken away at the end.
//! Absolute figures depend on the machine: quote the ratios.

mod cluster;
mod error;
mod floors;
mod idle;
mod latency;
mod link;
mod place;
mod report;
mod server_process;
mod system;
mod throughput;
mod world;

use clap::{Parser, Subcommand};

use error::BenchError;

/// Measures Fulmar beside floors in the same run.
#[derive(Parser)]
#[command(
    name = "fulmar-bench",
    version,
    after_help = "Example:\n  fulmar-bench latency --messages 2000\n  fulmar-bench throughput --seconds 10 --json"
)]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
    /// Print one JSON object instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Workload {
    /// One pair, unloaded: from send to receive, beside a raw QUIC echo and one fdatasync.
    #[command(after_help = "Example:\n  fulmar-bench latency --messages 2000")]
    Latency {
        /// Messages, and echoes, and syncs: they take turns.
        #[arg(long, default_value_t = 2_000)]
        messages: u32,
        /// Bytes of each message's body.
        #[arg(long, default_value_t = 200)]
        bytes: usize,
    },
    /// Many senders in many conversations, as fast as they may.
    #[command(after_help = "Example:\n  fulmar-bench throughput --senders 64 --conversations 1000")]
    Throughput {
        /// Users, each with a connection of their own; all of them send and receive.
        #[arg(long, default_value_t = 64)]
        senders: usize,
        /// Direct conversations between them. One sender and one conversation is "one pipelined pair".
        #[arg(long, default_value_t = 1_000)]
        conversations: usize,
        /// How long to measure, after a second of warming up.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Bytes of each message's body.
        #[arg(long, default_value_t = 200)]
        bytes: usize,
        /// Sends that each conversation has unanswered.
        #[arg(long, default_value_t = 4)]
        window: usize,
    },
    /// Authenticated sessions that do nothing: resident memory of the server for each.
    #[command(after_help = "Example:\n  fulmar-bench idle --sessions 5000")]
    Idle {
        /// How many sessions.
        #[arg(long, default_value_t = 5_000)]
        sessions: usize,
    },
    /// A cluster that runs already: delivery within a node and between two, appends to one conversation, large groups.
    #[command(
        after_help = "Example:\n  fulmar-bench cluster --data DIR --server 127.0.0.1:4433 --server 127.0.0.1:4443\n\n\
                      DIR/dev must hold the certificates and keys that all nodes use, as fulmar serve --dev makes them."
    )]
    Cluster(cluster::Options),
    Link(link::LinkOptions),
    /// The first process of a command behind a link.
    #[command(hide = true)]
    Inside(link::InsideOptions),
    /// The server's process, started by the workloads.
    #[command(hide = true)]
    Serve {
        /// The data folder.
        #[arg(long)]
        data: std::path::PathBuf,
    },
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    // These have threads, processes and exit codes of their own.
    match &arguments.workload {
        Workload::Link(options) => return link::run(options, arguments.json),
        Workload::Inside(options) => return link::inside(options),
        _ => {}
    }
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(BenchError::from)
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&error);
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BenchError> {
    let json = arguments.json;
    match arguments.workload {
        Workload::Latency { messages, bytes } => {
            report::print(&Box::pin(latency::run(messages, bytes)).await?, json)
        }
        Workload::Throughput { senders, conversations, seconds, bytes, window } => {
            let load = throughput::Load { senders, conversations, seconds, bytes, window };
            report::print(&Box::pin(throughput::run(load)).await?, json)
        }
        Workload::Idle { sessions } => report::print(&Box::pin(idle::run(sessions)).await?, json),
        Workload::Cluster(options) => report::print(&Box::pin(cluster::run(options)).await?, json),
        Workload::Link(_) | Workload::Inside(_) => Ok(()),
        Workload::Serve { data } => Box::pin(server_process::serve(&data)).await,
    }
}
