//! `cargo xtask sim` and `cargo xtask table`: storms and measurements on the simulated network, by `fulmar-sim`
//! with the same arguments.
//!
//! Built as a release: an hour of bad network is to take seconds. Its exit status is passed on.

use std::process::ExitCode;

use crate::workplace::{Failure, Workplace, shown};

const CARGO: [&str; 8] =
    ["run", "--release", "--locked", "--package", "fulmar-interop-tests", "--bin", "fulmar-sim", "--"];

/// Runs one of its commands with what was typed after `cargo xtask …`.
pub(crate) fn run(workplace: &Workplace, name: &str, arguments: &[String]) -> Result<ExitCode, Failure> {
    let mut command = workplace.command("cargo", &CARGO);
    command.arg(name).args(arguments);
    let status = command.status().map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
