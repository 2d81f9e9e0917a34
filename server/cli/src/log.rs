//! What the program logs, always to standard error: a server as its configuration says, any other command
//! only when `FULMAR_LOG` asks for it, since its errors are told in one line.

use std::io::IsTerminal as _;

use fulmar_server::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Which events, in the words of `tracing`; has the last word over a server's configuration.
const VARIABLE: &str = "FULMAR_LOG";

/// Starts a server's log.
pub(crate) fn start_for_server(config: &LogConfig) -> Result<(), Failure> {
    match asked_for() {
        Some(filter) => start(&filter, VARIABLE, config.format),
        None => start(&config.filter, "log.filter", config.format),
    }
}

/// Starts the log of a command that is no server, if it is asked for.
pub(crate) fn start_if_asked_for() -> Result<(), Failure> {
    asked_for().map_or(Ok(()), |filter| start(&filter, VARIABLE, LogFormat::Text))
}

fn asked_for() -> Option<String> {
    std::env::var(VARIABLE).ok().filter(|filter| !filter.is_empty())
}

fn start(filter: &str, from: &str, format: LogFormat) -> Result<(), Failure> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        Failure::failed(format!("{from} is {filter:?}, which is no filter: {error}; write it like info"))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
