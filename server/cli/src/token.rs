//! `fulmar token`: a token of a development server, and nothing else, on standard output.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fulmar_client::UserId;
use fulmar_server::{Clock, Development};

use crate::failure::Failure;
use crate::output;

/// Print a token for a user of a development server
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  export FULMAR_TOKEN=$(fulmar token alice --data fulmar-data)\n\n\
                  Works with a data folder that fulmar serve --dev was run on. A real server takes tokens from \
                  your own backend.")]
pub(crate) struct Arguments {
    /// Whose token
    #[arg(value_name = "USER")]
    user: UserId,
    /// The server's data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// How long the token is good
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse, default_value = "30d")]
    ttl: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed = |error: fulmar_server::DevelopmentError| Failure::failed(error.to_string());
    let development = Development::open(&arguments.data, Clock::system()).map_err(failed)?;
    output::line(development.issue_token(&arguments.user, arguments.ttl).map_err(failed)?)
}
