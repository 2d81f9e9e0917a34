//! A conversation's log as it was first seen by anybody.

use std::collections::BTreeMap;
use std::fmt;

use fulmar_client::ReceivedEntry;
use fulmar_protocol::{ClientSeq, Content, ConversationId, HistoryPolicy, Ordinal, Seq, TimestampMs, UserId};

use super::MessageId;

/// An entry that a device was handed, without what only an app needs.
#[derive(Clone, Debug)]
pub(super) struct Handed {
    pub(super) conversation: ConversationId,
    pub(super) seq: Seq,
    pub(super) ordinal: Ordinal,
    pub(super) sender: UserId,
    pub(super) at: TimestampMs,
    pub(super) content: Option<Content>,
    pub(super) client_seq: ClientSeq,
    pub(super) unread_after: u64,
}

impl From<&ReceivedEntry> for Handed {
    fn from(entry: &ReceivedEntry) -> Self {
        Self {
            conversation: entry.conversation,
            seq: entry.seq,
            ordinal: entry.ordinal,
            sender: entry.sender.clone(),
            at: entry.at,
            content: entry.content.clone(),
            client_seq: entry.client_seq,
            unread_after: entry.unread_after,
        }
    }
}

/// An entry as it is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) ordinal: Ordinal,
    pub(super) sender: UserId,
    pub(super) at: TimestampMs,
    pub(super) content: Content,
    /// The entry that took its body away, as far as anybody was handed it like that.
    pub(super) redacted_by: Option<Seq>,
}

impl Seen {
    /// `None` for content that this build does not know: the storm sends none.
    pub(super) fn of(entry: &Handed) -> Option<Self> {
        let content = entry.content.clone()?;
        let redacted_by = match &content {
            Content::Redacted(redacted) => Some(redacted.by_seq),
            _ => None,
        };
        Some(Self {
            ordinal: entry.ordinal,
            sender: entry.sender.clone(),
            at: entry.at,
            content,
            redacted_by,
        })
    }

    pub(super) fn message(&self) -> Option<MessageId> {
        match &self.content {
            Content::Message(message) => MessageId::of_body(&message.body),
            _ => None,
        }
    }

    /// What kind of content it has, in a word.
    pub(super) fn kind(&self) -> String {
        let text = format!("{:?}", self.content);
        text.split(['(', ' ', '{']).next().unwrap_or_default().to_owned()
    }

    pub(super) fn is_redacted(&self) -> bool {
        matches!(self.content, Content::Redacted(_))
    }

    /// Takes in another sight of the same entry. A body may be gone; nothing else may differ.
    pub(super) fn is_same(&mut self, other: &Self) -> bool {
        let same_frame = (self.ordinal, &self.sender, self.at) == (other.ordinal, &other.sender, other.at);
        let same_content = self.content == other.content || self.is_redacted() || other.is_redacted();
        let same_redaction = match (self.redacted_by, other.redacted_by) {
            (Some(mine), Some(others)) => mine == others,
            _ => true,
        };
        self.redacted_by = self.redacted_by.or(other.redacted_by);
        if self.is_redacted() {
            self.content = other.content.clone();
        }
        same_frame && same_content && same_redaction
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(id) => write!(formatter, "m{}", id.0)?,
            None => formatter.write_str(&self.kind())?,
        }
        write!(formatter, " of {} (message {}, at {})", self.sender, self.ordinal, self.at.get())
    }
}

/// A conversation's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) entries: BTreeMap<Seq, Seen>,
}

impl Log {
    pub(super) fn head(&self) -> Seq {
        self.entries.last_key_value().map_or(Seq::ZERO, |(seq, _)| *seq)
    }

    /// How many messages there are up to an entry.
    pub(super) fn ordinal_at(&self, seq: Seq) -> Ordinal {
        self.entries.range(..=seq).next_back().map_or(Ordinal::ZERO, |(_, seen)| seen.ordinal)
    }

    /// The last so many messages of a user whose body is there, the last first.
    pub(super) fn messages_of(&self, user: &UserId, count: usize) -> Vec<Seq> {
        let own = self.entries.iter().rev().filter(|(_, seen)| {
            seen.sender == *user && seen.redacted_by.is_none() && matches!(seen.content, Content::Message(_))
        });
        own.take(count).map(|(seq, _)| *seq).collect()
    }

    /// How far a user has read without saying so: their own entries, and those that added them.
    pub(super) fn read_by_writing(&self, user: &UserId) -> Seq {
        let moves = |seen: &Seen| match &seen.content {
            _ if seen.sender == *user => true,
            Content::AddMembers(added) => added.users.iter().any(|member| member == user),
            _ => false,
        };
        self.entries.iter().rev().find(|(_, seen)| moves(seen)).map_or(Seq::ZERO, |(seq, _)| *seq)
    }

    /// Whether those who join may read what was before.
    pub(super) fn shows_all_history(&self) -> bool {
        self.entries.values().any(|seen| match &seen.content {
            Content::CreateGroup(group) => group.history_policy == HistoryPolicy::All,
            _ => false,
        })
    }

    /// The first thing that is wrong with its order: a gap, time that goes back, a count that is not the
    /// number of messages, a redaction by an entry that is none.
    pub(super) fn check_order(&self) -> Option<String> {
        let mut before: Option<&Seen> = None;
        let mut expected = Seq::FIRST;
        for (seq, seen) in &self.entries {
            if *seq != expected {
                return Some(format!("nobody was handed {expected}, but {seq}"));
            }
            expected = seq.next();
            if before.is_some_and(|before| seen.at < before.at) {
                return Some(format!("{seq} is older than the one before"));
            }
            let counted =
                seen.ordinal.get() - before.map_or(0, |before| before.ordinal.get()).min(seen.ordinal.get());
            let fits = match &seen.content {
                Content::Message(_) => counted == 1,
                // A message or an edit; nobody knows any more.
                Content::Redacted(_) => counted <= 1,
                _ => counted == 0,
            };
            if !fits || before.is_some_and(|before| seen.ordinal < before.ordinal) {
                let before = before.map_or_else(String::new, ToString::to_string);
                return Some(format!("{seq} is {seen}, after {before}"));
            }
            if let Some(by) = seen.redacted_by
                && !matches!(self.entries.get(&by).map(|by| &by.content), Some(Content::Redact(_)))
            {
                return Some(format!("{seq} was redacted by {by}, which is no redaction"));
            }
            before = Some(seen);
        }
        None
    }
}
