//! `fulmar demo`.
use crate::failure::Failure;
use clap::Args;
/// Watch two people talk, lose their connection, come back and miss nothing
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar demo\n  fulmar demo --json --messages 10000")]
pub(crate) struct Arguments {
    /// Print one JSON object at the end, and nothing else
    #[arg(long)]
    json: bool,
    /// About how many messages are sent in all
    #[arg(long, value_name = "N", default_value_t = 2000)]
    messages: u64,
}
pub(crate) async fn run(_arguments: Arguments) -> Result<(), Failure> {
    Ok(())
}
