//! `fulmar history`: a part of a conversation's log, oldest first.
//!
//! A page of the protocol holds at most 256 entries; more are fetched page by page. Backwards they are
//! gathered before they are printed, so `--limit` has a maximum there.

use clap::Args;
use fulmar_client::{Conversation, HistoryItem, HistoryQuery, Seq};

use crate::client_options::{Beginning, ClientOptions, Patience};
use crate::conversation_options::NamedConversation;
use crate::entry_line::{self, EntryLine};
use crate::failure::Failure;
use crate::output;

/// Entries of one call. They may be held in memory, up to 72 KiB each.
const ENTRIES_MAX: u32 = 10_000;

/// Show a part of a conversation
#[derive(Debug, Args)]
#[command(after_help = "Example: the newest 20 entries\n  fulmar history --with bob --limit 20\n\n\
                  Example: what came before entry 100, and the first ten\n  \
                  fulmar history --with bob --before 100\n  fulmar history --with bob --from 1 --limit 10 --json\n\n\
                  The lines are those of fulmar tail, oldest first.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    conversation: NamedConversation,
    /// Begin with this entry and go forward
    #[arg(long, value_name = "SEQ", conflicts_with = "before")]
    from: Option<Seq>,
    /// End with the entry before this one [default: end with the newest]
    #[arg(long, value_name = "SEQ")]
    before: Option<Seq>,
    /// How many entries at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(ENTRIES_MAX)))]
    limit: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (client, _) = arguments.client.connect(Beginning::patient(&arguments.patience)).await?;
    let conversation = arguments.conversation.of(&client)?;
    let items = Box::pin(fetch(&conversation, &arguments)).await;
    client.close().await;
    for item in items? {
        print(&conversation, &item, arguments.json)?;
    }
    Ok(())
}

/// The items asked for, in the order of the log.
async fn fetch(conversation: &Conversation, arguments: &Arguments) -> Result<Vec<HistoryItem>, Failure> {
    let forward = arguments.from.is_some();
    let mut items = Vec::new();
    let mut left = arguments.limit;
    let mut from = match arguments.before {
        // There is nothing before the first entry.
        Some(before) if before <= Seq::FIRST => return Ok(items),
        Some(before) => Some(before.previous()),
        None => arguments.from,
    };
    while left > 0 {
        let limit = left.min(HistoryQuery::LIMIT_MAX);
        let query = match (forward, from) {
            (true, from) => HistoryQuery::forward(from.unwrap_or(Seq::FIRST)),
            (false, Some(from)) => HistoryQuery::backward(from),
            (false, None) => HistoryQuery::newest(),
        };
        let page = conversation.history(query.limit(limit)).await?;
        let entries = page.items.iter().filter(|item| matches!(item, HistoryItem::Entry(_))).count();
        left = left.saturating_sub(u32::try_from(entries).unwrap_or(u32::MAX));
        items.extend(page.items);
        match page.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    if !forward {
        items.reverse();
    }
    Ok(items)
}

fn print(conversation: &Conversation, item: &HistoryItem, json: bool) -> Result<(), Failure> {
    match item {
        HistoryItem::Entry(entry) => {
            let line = EntryLine::read_back(conversation.id(), entry);
            if json { output::json(&line.json()) } else { output::line(line.text(false)) }
        }
        HistoryItem::Hole { first, last, reason } if json => {
            output::json(&entry_line::hole_json(conversation.id(), *first, *last, *reason))
        }
        HistoryItem::Hole { first, last, reason } => {
            output::line(entry_line::hole_text(*first, *last, *reason))
        }
        // A kind of item that this version does not know.
        _ => Ok(()),
    }
}
