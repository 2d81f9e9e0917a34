//! `fulmar-sim`: what the simulated network is used for beside tests.
//!
//! This file parses the command line and turns the outcome into an exit code: 0 all was well, 1 something was
//! not, 2 not typed right. Each command has a file of its own.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod storm;
mod storm_of_returns;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Examples:
  fulmar-sim storm --seeds 20 --minutes 30
  fulmar-sim storm --seed 7 --minutes 30 --events 200
  fulmar-sim storm-of-returns --clients 10000";

/// Worlds in one process: the real client and the real server on a simulated network.
#[derive(Parser)]
#[command(name = "fulmar-sim", after_help = EXAMPLES)]
struct Arguments {
    /// What client and server say, on standard error: `debug`, `fulmar_client=trace`, …
    #[arg(long, global = true, env = "RUST_LOG", value_name = "FILTER")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Users act at random while networks, phones and the server break: is anything lost, doubled, disordered?
    Storm(storm::Arguments),
    /// Many clients lose their server at once: how soon are they back, and is it too much for the server?
    StormOfReturns(storm_of_returns::Arguments),
    /// How long messages take on bad networks, and what they cost: one stream, lanes, lanes with hedging
    Table(table::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(filter) = &arguments.log {
        let filter = match EnvFilter::try_new(filter) {
            Ok(filter) => filter,
            Err(error) => {
                eprintln!("fulmar-sim: --log: {error}");
                return ExitCode::from(2);
            }
        };
        let log =
            tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr);
        log.init();
    }
    let is_good = match arguments.command {
        Command::Storm(arguments) => storm::run(&arguments),
        Command::StormOfReturns(arguments) => storm_of_returns::run(&arguments),
        Command::Table(arguments) => table::run(&arguments),
    };
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
