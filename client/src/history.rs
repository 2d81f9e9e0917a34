//! Pages of a conversation's log.

use std::sync::Arc;

use fulmar_protocol::{
    ClientSeq, Content, ConversationId, Direction, HoleReason, Ordinal, Seq, TimestampMs, UserId,
};

use crate::command::Command;
use crate::error::ClientError;
use crate::shared::Shared;

/// Which page of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Where the page starts, inclusive. `None`: at the newest entry going backward, at the first going
    /// forward.
    pub from: Option<Seq>,
    /// Which way it goes.
    pub direction: Direction,
    /// How many entries at most, 1 to 256.
    pub limit: u32,
}

impl HistoryQuery {
    /// The most entries of a page.
    pub const LIMIT_MAX: u32 = 256;

    /// The newest entries, newest first.
    #[must_use]
    pub fn newest() -> Self {
        Self { from: None, direction: Direction::Backward, limit: 50 }
    }

    /// From `seq` back, newest first.
    #[must_use]
    pub fn backward(seq: Seq) -> Self {
        Self { from: Some(seq), direction: Direction::Backward, limit: 50 }
    }

    /// From `seq` on, oldest first.
    #[must_use]
    pub fn forward(seq: Seq) -> Self {
        Self { from: Some(seq), direction: Direction::Forward, limit: 50 }
    }

    /// How many entries at most; 50 unless said otherwise.
    #[must_use]
    pub fn limit(mut self, entries: u32) -> Self {
        self.limit = entries;
        self
    }
}

/// One page of the log.
#[derive(Clone)]
#[non_exhaustive]
pub struct HistoryPage {
    /// Entries and holes, in the direction asked for.
    pub items: Vec<HistoryItem>,
    /// Where the next page in this direction starts; `None` when there is nothing more that way.
    pub next: Option<Seq>,
    /// The last entry of the log.
    pub head: Seq,
    pub(crate) conversation: ConversationId,
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for HistoryPage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("HistoryPage")
            .field("items", &self.items)
            .field("next", &self.next)
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl HistoryPage {
    /// Says that the app has the entries of this page: what of them was skipped counts as delivered now.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn confirm(&self) -> Result<(), ClientError> {
        let seqs = || self.items.iter().flat_map(|item| [item.first(), item.last()]);
        match (seqs().min(), seqs().max()) {
            (Some(first), Some(last)) => {
                self.shared.command(Command::Fetched { conversation: self.conversation, first, last }).await
            }
            _ => Ok(()),
        }
    }
}

/// A place of the log, or a range of it that holds nothing for this user.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum HistoryItem {
    /// An entry.
    Entry(HistoryEntry),
    /// A range without entries, and why.
    Hole {
        /// The first seq of the range.
        first: Seq,
        /// The last seq of the range.
        last: Seq,
        /// Why.
        reason: HoleReason,
    },
}

impl HistoryItem {
    pub(crate) fn first(&self) -> Seq {
        match self {
            Self::Entry(entry) => entry.seq,
            Self::Hole { first, .. } => *first,
        }
    }

    pub(crate) fn last(&self) -> Seq {
        match self {
            Self::Entry(entry) => entry.seq,
            Self::Hole { last, .. } => *last,
        }
    }
}

/// An entry of the log, read back.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// Its place in the log.
    pub seq: Seq,
    /// How many messages the log holds up to here.
    pub ordinal: Ordinal,
    /// Who sent it.
    pub sender: UserId,
    /// The server's time.
    pub at: TimestampMs,
    /// What it says; `None` for a kind of content that this version does not know.
    pub content: Option<Content>,
    /// The sending device's number for it.
    pub client_seq: ClientSeq,
}
