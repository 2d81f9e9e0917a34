//! `fulmar inbox`: the user's conversations, newest first.

use clap::Args;
use fulmar_client::{ConversationKind, InboxItem};
use serde::Serialize;

use crate::client_options::{Beginning, ClientOptions, Patience};
use crate::failure::Failure;
use crate::output::{self, plain};
use crate::time_of_day;

/// List your conversations, with what is unread
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  fulmar inbox\n  fulmar inbox --json | jq -r 'select(.unread > 0) | .title'\n\n\
                  With --json one line for each conversation: conversation, kind (direct or group), title (of a \
                  direct conversation: the other user), head, read, unread, last_at_ms."
)]
pub(crate) struct Arguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    client: ClientOptions,
}

#[derive(Serialize)]
struct Line<'i> {
    conversation: String,
    kind: &'static str,
    title: &'i str,
    head: u64,
    read: u64,
    unread: u64,
    last_at_ms: u64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let beginning = Beginning::patient(&arguments.patience);
    let (client, _) = arguments.client.connect(beginning).await?;
    let items = client.inbox().await;
    client.close().await;
    let mut items = items?;
    items.sort_by_key(|item| std::cmp::Reverse(item.last_at));
    if items.is_empty() && !arguments.json {
        output::note("no conversations yet; begin one: fulmar send --to USER TEXT");
    }
    for item in &items {
        if arguments.json {
            output::json(&line(item))?;
        } else {
            output::line(text(item))?;
        }
    }
    Ok(())
}

fn line(item: &InboxItem) -> Line<'_> {
    Line {
        conversation: item.conversation.to_string(),
        kind: kind_name(item.kind),
        title: title(item),
        head: item.head.get(),
        read: item.read.get(),
        unread: item.unread,
        last_at_ms: item.last_at.get(),
    }
}

fn text(item: &InboxItem) -> String {
    let time = time_of_day::full(item.last_at);
    let unread = if item.unread > 0 { format!("{} unread", item.unread) } else { "read".to_owned() };
    let kind = kind_name(item.kind);
    format!("{} {time} {kind:<6} {unread:>12}  {}", item.conversation, plain(title(item)))
}

/// What a conversation is called: a group by its title, a direct one by the other user.
fn title(item: &InboxItem) -> &str {
    match &item.peer {
        Some(peer) if item.title.is_empty() => peer.as_str(),
        _ => &item.title,
    }
}

pub(crate) fn kind_name(kind: ConversationKind) -> &'static str {
    match kind {
        ConversationKind::Direct => "direct",
        ConversationKind::Group => "group",
    }
}
