//! `fulmar mark-read`: says that the user has read up to an entry.

use clap::Args;
use fulmar_client::{ConversationId, Seq};

use crate::client_options::{Beginning, ClientOptions, Patience};
use crate::failure::Failure;
use crate::output;

/// Mark a conversation as read up to an entry, on all your devices
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fulmar mark-read --conversation 01c9b84b1c32fc0f426a0217d3ff9e3f --seq 42\n\n\
                  A mark only moves forward; one before the mark that is there changes nothing."
)]
pub(crate) struct Arguments {
    /// The conversation, 32 hexadecimal digits (fulmar inbox lists them)
    #[arg(long, value_name = "ID")]
    conversation: ConversationId,
    /// The last entry that was read
    #[arg(long, value_name = "SEQ")]
    seq: Seq,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let patience = &arguments.patience;
    let (client, _) = arguments.client.connect(Beginning::patient(patience)).await?;
    let marking = client.conversation(arguments.conversation).mark_read(arguments.seq);
    let marked = patience.wait("the mark was not stored", "try again", marking).await;
    client.close().await;
    marked??;
    output::line(format!("read up to #{}", arguments.seq))
}
