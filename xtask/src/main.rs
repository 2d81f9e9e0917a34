//! `cargo xtask`: the project's own checks and chores.
//!
//! One list of steps (`steps.rs`) serves people and CI alike. What cannot be done on a machine is
//! said loudly, as a `SKIPPED` line at once and again at the end, and never passes for done.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod audit;
mod coverage;
mod foundationdb;
mod instructions;
mod simulation;
mod steps;
mod test_run;
mod tidy;
mod workplace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::steps::run_steps;
use crate::workplace::Workplace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask check    before a commit: format, tidy, clippy, docs, wasm32, audit
  cargo xtask test     every test of the workspace, and the instructions of the hot paths
  cargo xtask ci       both
  cargo xtask tidy     the house rules alone: a second, no compiling
  cargo xtask spec     which requirements of spec/ have a test that cites them
  cargo xtask sim --seeds 20 --minutes 30
                       storms on the simulated network: cargo xtask sim --help

Environment:
  FULMAR_FDB_CLUSTER_FILE=FILE  tests run against this FoundationDB cluster too
  FULMAR_REQUIRE_FDB=1          no such cluster is a failure
  FULMAR_REQUIRE_ADVISORIES=1   an unreachable advisory database is a failure
  FULMAR_SKIPPED=FILE           what was skipped is appended to FILE";

/// The project's own checks and chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Format, tidy, clippy with warnings denied, docs, wasm32, dependency audit
    Check,
    /// Every test of the workspace, and the instructions of the hot paths
    Test,
    /// Check, then test
    Ci,
    /// The house rules that need no compiler: sizes, headers, stubs, links, requirement numbers
    #[command(after_help = "Example:\n  cargo xtask tidy")]
    Tidy,
    /// The dependency audit: licences, duplicates, sources, advisories
    #[command(after_help = "Example:\n  FULMAR_REQUIRE_ADVISORIES=1 cargo xtask deny")]
    Deny,
    /// Which requirements of spec/ have a test that cites them
    #[command(after_help = "Examples:\n  cargo xtask spec\n  cargo xtask spec --uncovered")]
    Spec {
        /// Print only the requirements that no test cites
        #[arg(long)]
        uncovered: bool,
    },
    /// How many instructions the hot paths take, under callgrind, beside the baseline
    #[command(
        after_help = "Examples:\n  cargo xtask instructions\n  cargo xtask instructions codec\n  cargo xtask instructions --accept"
    )]
    Instructions {
        /// Only the cases whose names contain it
        #[arg(default_value = "", hide_default_value = true)]
        filter: String,
        /// Make what is counted the new baseline, in benches/hot-paths/instructions.toml
        #[arg(long)]
        accept: bool,
    },
    /// Storms on the simulated network: is anything lost, doubled, out of order?
    #[command(disable_help_flag = true)]
    Sim {
        /// See `cargo xtask sim --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Delivery latency and bytes on each simulated network; `--write` puts them into docs/bad-networks.md
    #[command(disable_help_flag = true)]
    Table {
        /// See `cargo xtask table --help`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let succeeded = |()| ExitCode::SUCCESS;
    let done = Workplace::find().and_then(|workplace| match arguments.chore {
        Chore::Check => run_steps(&workplace, steps::CHECK).map(succeeded),
        Chore::Test => run_steps(&workplace, steps::TEST).map(succeeded),
        Chore::Ci => run_steps(&workplace, steps::CI).map(succeeded),
        Chore::Tidy => run_steps(&workplace, &[steps::TIDY]).map(succeeded),
        Chore::Deny => run_steps(&workplace, &[steps::AUDIT]).map(succeeded),
        Chore::Spec { uncovered } => coverage::report(&workplace, uncovered).map(succeeded),
        Chore::Instructions { filter, accept } => {
            let count = if accept { instructions::accept } else { instructions::compare };
            count(&workplace, &filter).map(|_| ExitCode::SUCCESS)
        }
        Chore::Table { arguments } => simulation::run(&workplace, "table", &arguments),
        Chore::Sim { arguments } => simulation::run(&workplace, "storm", &arguments),
    });
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
