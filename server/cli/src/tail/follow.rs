//! Follows logs: prints every seq once and in order, whatever comes by lane and whatever must be fetched.
//!
//! For each conversation there is one number, the next seq to print. An event names a seq or a range: what
//! lies before the next seq was printed and is passed over; what lies between the next seq and the event is
//! a gap, and fetched from history first; a skipped range is fetched, too. So there is neither a repeat nor a
//! gap where history meets the lane, nor where two sessions meet.
//!
//! Fetched pages are confirmed after they were printed, and only after the lane has named what it skips, for
//! a range that the client does not know as skipped cannot be confirmed as fetched. Hence a conversation whose
//! lane is still to come is not fetched at the beginning; the lane's first event brings it up.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use fulmar_client::{
    Client, ClientError, ConversationId, ErrorCode, Event, HistoryItem, HistoryPage, HistoryQuery,
    HoleReason, InboxItem, ReceivedEntry, Retry, Seq,
};

use super::print::Printer;
use crate::entry_line::EntryLine;
use crate::failure::Failure;

/// Conversations followed at a time. Beyond it, those met last are not printed, which is said once.
const CONVERSATIONS_MAX: usize = 100_000;
/// The wait before a page is asked for again, where the server named none.
const RETRY_AFTER: Duration = Duration::from_millis(500);

type Flow = Result<ControlFlow<()>, Failure>;

/// Where printing begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// With this entry.
    From(Seq),
    /// With the first that is not there yet.
    New,
}

/// All logs that are followed.
pub(super) struct Following {
    client: Client,
    only: Option<ConversationId>,
    first: Next,
    printer: Printer,
    /// The next seq to print, and the head where the lane told it.
    logs: HashMap<ConversationId, Log>,
}

#[derive(Debug, Clone, Copy)]
struct Log {
    next: Seq,
    head: Seq,
}

impl Following {
    pub(super) fn new(client: Client, only: Option<ConversationId>, first: Next, printer: Printer) -> Self {
        Self { client, only, first, printer, logs: HashMap::new() }
    }

    /// Takes note of what is there, and prints what no lane will bring up.
    pub(super) async fn begin(&mut self, inbox: &[InboxItem]) -> Flow {
        let only = self.only;
        for item in inbox.iter().filter(|item| only.is_none_or(|only| only == item.conversation)) {
            let next = match self.first {
                Next::From(seq) => seq.max(Seq::FIRST),
                Next::New => item.head.next(),
            };
            self.logs.insert(item.conversation, Log { next, head: item.head });
            let is_lane_to_come = item.cursor < item.head;
            if !is_lane_to_come && self.fetch_to(item.conversation, item.head).await?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The logs are others now: goes on with what is not there yet.
    pub(super) fn begin_again(&mut self, inbox: &[InboxItem]) {
        self.first = Next::New;
        self.logs.clear();
        for item in inbox.iter().filter(|item| self.only.is_none_or(|only| only == item.conversation)) {
            self.logs.insert(item.conversation, Log { next: item.head.next(), head: item.head });
        }
    }

    /// Takes in what happened.
    pub(super) async fn take(&mut self, event: Event) -> Flow {
        match event {
            Event::Conversation(state) => {
                if let Some(log) = self.log(state.id) {
                    log.head = log.head.max(state.head);
                }
                Ok(ControlFlow::Continue(()))
            }
            Event::Entry(entry) => Box::pin(self.take_entry(entry)).await,
            Event::Skipped { conversation, first, last, reason } => {
                Box::pin(self.take_range(conversation, first, last, reason)).await
            }
            Event::CaughtUp { conversation } => match self.log(conversation).map(|log| log.head) {
                Some(head) => Box::pin(self.fetch_to(conversation, head)).await,
                None => Ok(ControlFlow::Continue(())),
            },
            _ => Ok(ControlFlow::Continue(())),
        }
    }

    /// The log of a conversation that is followed. One that was not there at the beginning is new as a whole.
    fn log(&mut self, conversation: ConversationId) -> Option<&mut Log> {
        let is_wanted = self.only.is_none_or(|only| only == conversation);
        let is_known = self.logs.contains_key(&conversation);
        if !is_wanted || (!is_known && self.logs.len() >= CONVERSATIONS_MAX) {
            return None;
        }
        let next = match self.first {
            Next::From(seq) => seq.max(Seq::FIRST),
            Next::New => Seq::FIRST,
        };
        Some(self.logs.entry(conversation).or_insert(Log { next, head: Seq::ZERO }))
    }

    async fn take_entry(&mut self, entry: ReceivedEntry) -> Flow {
        let conversation = entry.conversation;
        let Some(next) = self.log(conversation).map(|log| log.next) else {
            return Ok(ControlFlow::Continue(()));
        };
        if entry.seq < next {
            return Ok(ControlFlow::Continue(()));
        }
        if self.fetch_to(conversation, entry.seq.previous()).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let flow = self.printer.entry(&EntryLine::from(&entry))?;
        entry.confirm();
        self.printed(conversation, entry.seq);
        Ok(flow)
    }

    async fn take_range(
        &mut self,
        conversation: ConversationId,
        first: Seq,
        last: Seq,
        reason: HoleReason,
    ) -> Flow {
        let Some(next) = self.log(conversation).map(|log| log.next) else {
            return Ok(ControlFlow::Continue(()));
        };
        if last < next {
            return Ok(ControlFlow::Continue(()));
        }
        if reason == HoleReason::Skipped {
            return self.fetch_to(conversation, last).await;
        }
        if self.fetch_to(conversation, first.previous()).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        self.printer.hole(conversation, first.max(next), last, reason)?;
        self.printed(conversation, last);
        Ok(ControlFlow::Continue(()))
    }

    fn printed(&mut self, conversation: ConversationId, seq: Seq) {
        if let Some(log) = self.logs.get_mut(&conversation) {
            log.next = log.next.max(seq.next());
        }
    }

    /// Fetches and prints from the next seq up to `last`.
    async fn fetch_to(&mut self, conversation: ConversationId, last: Seq) -> Flow {
        while let Some(next) = self.logs.get(&conversation).map(|log| log.next).filter(|next| *next <= last) {
            let page = self.page(conversation, next, last).await?;
            let flow = self.print_page(conversation, page, last).await?;
            if flow.is_break() {
                return Ok(flow);
            }
            // A page that brings nothing new must not be asked for again and again.
            if self.logs.get(&conversation).is_none_or(|log| log.next <= next) {
                self.printed(conversation, last);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// One page, however often the connection is lost meanwhile.
    async fn page(&self, conversation: ConversationId, next: Seq, last: Seq) -> Result<HistoryPage, Failure> {
        let most = u64::from(HistoryQuery::LIMIT_MAX);
        let wanted = last.get().saturating_sub(next.get()).saturating_add(1).min(most);
        let query =
            HistoryQuery::forward(next).limit(u32::try_from(wanted).unwrap_or(HistoryQuery::LIMIT_MAX));
        loop {
            let wait = match self.client.conversation(conversation).history(query).await {
                Ok(page) => return Ok(page),
                Err(ClientError::ConnectionLost { .. } | ClientError::Timeout { .. }) => RETRY_AFTER,
                Err(ClientError::Refused { code, retry_after, .. }) if is_worth_waiting(code) => {
                    retry_after.unwrap_or(RETRY_AFTER).max(RETRY_AFTER)
                }
                Err(error) => return Err(error.into()),
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn print_page(&mut self, conversation: ConversationId, mut page: HistoryPage, last: Seq) -> Flow {
        let next = self.logs.get(&conversation).map_or(Seq::FIRST, |log| log.next);
        let mut flow = ControlFlow::Continue(());
        let mut printed: usize = 0;
        for item in &page.items {
            let reached = match item {
                HistoryItem::Entry(entry) if entry.seq <= last => {
                    flow = self.printer.entry(&EntryLine::read_back(conversation, entry))?;
                    entry.seq
                }
                HistoryItem::Hole { first, last: end, reason } if *first <= last => {
                    let end = (*end).min(last);
                    self.printer.hole(conversation, (*first).max(next), end, *reason)?;
                    end
                }
                _ => break,
            };
            self.printed(conversation, reached);
            printed = printed.saturating_add(1);
            if flow.is_break() {
                break;
            }
        }
        page.items.truncate(printed);
        page.confirm().await?;
        Ok(flow)
    }
}

fn is_worth_waiting(code: ErrorCode) -> bool {
    code.retry() != Retry::Never
}
