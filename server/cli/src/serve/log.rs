//! The server's log: to standard error, as the configuration says.

use std::io::IsTerminal as _;

use fulmar_server::{LogConfig, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Starts to log. `FULMAR_LOG` has the last word over the configured filter.
pub(super) fn start(config: &LogConfig) -> Result<(), Failure> {
    let (filter, from) = match std::env::var("FULMAR_LOG") {
        Ok(filter) if !filter.is_empty() => (filter, "FULMAR_LOG"),
        _ => (config.filter.clone(), "log.filter"),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| {
        Failure::failed(format!("{from} is {filter:?}, which is no filter: {error}; write it like info"))
    })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
