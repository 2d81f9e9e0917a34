//! `fulmar send`: one message, or every line of standard input as one.
//!
//! Success means that the server has every message durably. Until then messages are in the outbox of the
//! client's state, so a failure to get them across leaves them there, and they go out with the next command
//! on the same state; that is said, so that nobody sends them twice.

mod pipeline;
mod standard_input;

use std::time::Duration;

use clap::Args;
use fulmar_client::{Accepted, Client, ClientError, ConversationId, OutgoingMessage, Status};
use serde::Serialize;

use crate::client_options::{Beginning, ClientOptions, STAYS_IN_OUTBOX};
use crate::conversation_options::Recipient;
use crate::failure::Failure;
use crate::output;

/// Send a message, or each line of standard input as a message
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  fulmar send --to bob 'hello'\n  \
                  seq 1000 | fulmar send --to bob --stdin --json\n\n\
                  With --json one line for each accepted message: conversation, client_seq, seq, at_ms.\n\
                  A message that was not accepted in time stays in the outbox (in the state folder) and goes \
                  out with the next command.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipient: Recipient,
    #[command(flatten)]
    source: Source,
    /// One JSON object for each accepted message
    #[arg(long)]
    json: bool,
    /// Keep trying for this long, through disconnects; with --stdin: while nothing is accepted
    #[arg(long, value_name = "TIME", value_parser = crate::duration::parse, default_value = "60s")]
    timeout: Duration,
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The message
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// Send each line of standard input as a message, many at a time, in order
    #[arg(long)]
    stdin: bool,
}

/// What scripts are told of an accepted message.
#[derive(Debug, Serialize)]
pub(crate) struct AcceptedLine {
    conversation: String,
    client_seq: u64,
    seq: u64,
    at_ms: u64,
}

impl AcceptedLine {
    pub(crate) fn new(conversation: ConversationId, accepted: &Accepted) -> Self {
        Self {
            conversation: conversation.to_string(),
            client_seq: accepted.client_seq.get(),
            seq: accepted.seq.get(),
            at_ms: accepted.at.get(),
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let beginning = Beginning { timeout: arguments.timeout, backlog: false };
    // Nobody looks at events here: nothing is confirmed, so the next command is handed everything.
    let (client, _) = arguments.client.connect(beginning).await?;
    let outcome = match &arguments.source.text {
        Some(text) => one(&client, &arguments, text).await,
        None => Box::pin(pipeline::run(&client, &arguments)).await,
    };
    client.close().await;
    outcome
}

async fn one(client: &Client, arguments: &Arguments, text: &str) -> Result<(), Failure> {
    let conversation = arguments.recipient.of(client)?;
    let sending = Box::pin(conversation.send(OutgoingMessage::text(text)));
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(arguments.timeout, sending) => accepted,
        () = crate::signals::interrupted() => {
            return Err(Failure::failed(format!("interrupted; if the message was not accepted {STAYS_IN_OUTBOX}")));
        }
    };
    let accepted = accepted.map_err(|_| {
        let (time, reason) = (humantime::format_duration(arguments.timeout), offline_reason(client));
        Failure::failed(format!("the message was not accepted within {time}{reason}; {STAYS_IN_OUTBOX}"))
    })??;
    if arguments.json {
        output::json(&AcceptedLine::new(conversation.id(), &accepted))
    } else {
        output::line(format!("accepted as #{} in {}", accepted.seq, conversation.id()))
    }
}

/// Why there is no session, where there is none, as a part of a sentence.
fn offline_reason(client: &Client) -> String {
    match &*client.status().borrow() {
        Status::Offline { reason, .. } | Status::Ended { reason, .. } => format!(" ({reason})"),
        _ => String::new(),
    }
}

/// Whether nothing sent later can succeed either.
fn is_final(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Ended { .. }
            | ClientError::Closed
            | ClientError::StateUnusable { .. }
            | ClientError::StateDamaged { .. }
            | ClientError::TokenSource { .. }
    )
}
