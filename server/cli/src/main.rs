//! `fulmar`, the one binary: server, administration and client behind one command line.
//!
//! This file parses the command line, starts the runtime, runs one command and turns its outcome into an
//! exit code: 0 done, 1 failed, 2 not typed right. Errors are one line on standard error that says what to
//! do next; never a stack trace.
//!
//! One noun, one file: each command has its own, with its arguments, its examples and what it does. What
//! commands share is in `client_options.rs` (how to reach the server), `state_folder.rs` (where a client
//! keeps its state), `entry_line.rs` (how an entry is shown), `output.rs` (the only way to standard output)
//! and `failure.rs` (why a command failed).

mod admin;
mod chat;
mod client_options;
mod cluster;
mod command_line;
mod conversation_options;
mod demo;
mod duration;
mod entry_line;
mod failure;
mod group;
mod history;
mod inbox;
mod log;
mod mark_read;
mod output;
mod send;
mod serve;
mod signals;
mod state_folder;
mod store;
mod tail;
mod time_of_day;
mod token;
mod usage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command_line::CommandLine;
use crate::failure::Failure;

fn main() -> ExitCode {
    failure::report_panics_in_one_line();
    let outcome = match CommandLine::try_parse() {
        Ok(command_line) => run(command_line),
        Err(error) => usage::help_or_failure(&error, std::env::args_os()),
    };
    failure::exit_code(outcome)
}

/// Runs the command in a runtime of its own.
fn run(command_line: CommandLine) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::failed(format!("cannot start threads: {error}; try again with fewer processes"))
    })?;
    let outcome = runtime.block_on(Box::pin(command_line.run()));
    // A thread that waits in `read` on standard input must not hold up the end.
    runtime.shutdown_background();
    outcome
}
