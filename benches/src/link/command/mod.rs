//! `fulmar-bench link`: a program behind a link, or a link that checks itself.

mod child;
mod inside;
mod options;
mod session;

pub(crate) use self::{
    inside::{InsideOptions, inside},
    options::LinkOptions,
};

use std::process::ExitCode;

use super::{LinkError, verify};
use crate::{arguments::JsonTo, error::BenchError, report};

/// Does what the options say. The exit code is that of the program behind the link.
pub(crate) fn run(options: &LinkOptions, json: Option<&JsonTo>) -> ExitCode {
    let outcome = if options.verify {
        verify::run(options, json)
    } else {
        session::run(options).map_err(BenchError::from)
    };
    outcome.unwrap_or_else(|error| {
        report::complain(&error);
        ExitCode::FAILURE
    })
}

/// The runtime of the command: signals and timers, nothing more.
fn runtime() -> Result<tokio::runtime::Runtime, LinkError> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}
