//! `cargo xtask sim`: storms on the simulated network, by `fulmar-sim storm` with the same arguments.
//!
//! Built as a release: an hour of bad network is to take seconds. Its exit status is passed on.

use std::process::ExitCode;

use crate::workplace::{Failure, Workplace, shown};

const CARGO: [&str; 9] = [
    "run",
    "--release",
    "--locked",
    "--package",
    "fulmar-interop-tests",
    "--bin",
    "fulmar-sim",
    "--",
    "storm",
];

/// Runs it with what was typed after `cargo xtask sim`.
pub(crate) fn run(workplace: &Workplace, arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut command = workplace.command("cargo", &CARGO);
    command.args(arguments);
    let status = command.status().map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
