//! `fulmar chat`.
use crate::client_options::ClientOptions;
use crate::failure::Failure;
use clap::Args;
/// Talk, in the terminal
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar chat")]
pub(crate) struct Arguments {
    #[command(flatten)]
    client: ClientOptions,
}
pub(crate) async fn run(_arguments: Arguments) -> Result<(), Failure> {
    Ok(())
}
