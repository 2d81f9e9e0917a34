//! `fulmar tail`: prints entries as they come, each once and in order.
//!
//! What was printed is confirmed, nothing else: so "delivered" means that it was printed. Entries from before
//! are not handed over by lanes but fetched from history, since only those asked for are to be printed; that
//! is also how what was missed in a disconnect comes back.

mod follow;
mod print;

use clap::Args;
use fulmar_client::{Client, Event, Events, Seq, Status};

use crate::client_options::{Beginning, ClientOptions, Patience};
use crate::conversation_options::OptionalConversation;
use crate::failure::Failure;
use crate::tail::follow::{Following, Next};
use crate::{output, signals};

/// Print entries as they arrive, through disconnects
#[derive(Debug, Args)]
#[command(after_help = "Example: what arrives from now on, in all conversations\n  fulmar tail\n\n\
                  Example: the whole conversation with bob, and what follows; three entries, then the end\n  \
                  fulmar tail --with bob --from 1\n  fulmar tail --with bob --from 1 --count 3 --json\n\n\
                  With --json one line for each entry: conversation, seq, sender, at_ms, content_type, text (or \
                  body_base64). What is no message has kind and its own fields instead. What was printed counts \
                  as delivered.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversation: OptionalConversation,
    /// Begin with this entry [default: what arrives from now on]
    #[arg(long, value_name = "SEQ")]
    from: Option<Seq>,
    /// End after so many entries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (client, events) = arguments.client.connect(Beginning::patient(&arguments.patience)).await?;
    let outcome = tokio::select! {
        outcome = Box::pin(follow(&client, events, &arguments)) => outcome,
        () = signals::interrupted() => Ok(()),
    };
    // What was confirmed is on its way, and must not be lost.
    client.close().await;
    outcome
}

async fn follow(client: &Client, mut events: Events, arguments: &Arguments) -> Result<(), Failure> {
    let only = arguments.conversation.of(client)?;
    let printer = print::Printer::new(arguments.json, only.is_none(), arguments.count);
    let first = arguments.from.map_or(Next::New, Next::From);
    let only = only.map(|conversation| conversation.id());
    let mut following = Following::new(client.clone(), only, first, printer);
    let inbox = client.inbox().await?;
    if let Some(only) = only
        && arguments.conversation.is_named_by_id()
        && !inbox.iter().any(|item| item.conversation == only)
    {
        return Err(Failure::failed(format!(
            "there is no conversation {only} among yours; fulmar inbox lists them"
        )));
    }
    if !arguments.json && output::is_terminal() {
        output::note("waiting for entries; Ctrl-C ends");
    }
    if following.begin(&inbox).await?.is_break() {
        return Ok(());
    }
    let mut was_offline = false;
    while let Some(event) = events.next().await {
        match event {
            Event::Status(status) => tell(&status, &mut was_offline)?,
            Event::Resynchronised => {
                output::note("the server's store was restored from a backup; going on from its present end");
                following.begin_again(&client.inbox().await?);
            }
            event => {
                if following.take(event).await?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Says on standard error when the server is out of reach, once each time, and fails when it is so for good.
fn tell(status: &Status, was_offline: &mut bool) -> Result<(), Failure> {
    match status {
        Status::Ended { code, reason } => Err(Failure::ended(*code, reason)),
        Status::Offline { reason, .. } if !*was_offline => {
            *was_offline = true;
            output::note(format_args!("offline ({}); trying again", output::plain(reason)));
            Ok(())
        }
        Status::Online if *was_offline => {
            *was_offline = false;
            output::note("online again");
            Ok(())
        }
        _ => Ok(()),
    }
}
