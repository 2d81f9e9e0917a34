//! `Hint`: there is something new in a conversation. Only a hint: whoever misses it reads it from the store later.

use bytes::Bytes;
use fulmar_protocol::{ConversationId, UserId};

use super::{MessageError, conversation, octets, user, wire};
use crate::limits::{HINT_ENTRIES_BYTES_MAX, HINT_USERS_MAX};
use crate::log::StoredEntry;
use crate::rows::Head;

/// There is something new in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) conversation: ConversationId,
    pub(crate) news: HintNews,
    pub(crate) to: HintTo,
}

/// What is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HintNews {
    /// Entries were appended.
    Head {
        /// The head after them.
        head: Head,
        /// The first of them, none after the head; may be none at all.
        entries: EntryRun,
        /// Whether entries before them were redacted.
        redacted: bool,
    },
    /// Marks moved.
    Marks,
}

/// Whom at the receiving node it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HintTo {
    /// These users. Above [`HINT_USERS_MAX`] the message is not sent.
    Users(Vec<UserId>),
    /// Whoever has the conversation open.
    AllInterested,
}

/// Entries that stand one after the other in a log, at most [`HINT_ENTRIES_BYTES_MAX`] of their frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryRun(Vec<StoredEntry>);

impl EntryRun {
    /// The first of these: as many as fit and follow one another.
    pub(crate) fn first_of<'e>(entries: impl IntoIterator<Item = &'e StoredEntry>) -> Self {
        let mut run: Vec<StoredEntry> = Vec::new();
        let mut bytes: usize = 0;
        for entry in entries {
            bytes = bytes.saturating_add(entry.frame.len());
            let follows = run.last().is_none_or(|last| entry.seq == last.seq.next());
            if bytes > HINT_ENTRIES_BYTES_MAX || !follows {
                break;
            }
            // When it was accepted is a moment of this process.
            run.push(StoredEntry { accepted: None, ..entry.clone() });
        }
        Self(run)
    }

    pub(crate) fn as_slice(&self) -> &[StoredEntry] {
        &self.0
    }

    fn decode(frames: &[Bytes], head: &Head) -> Result<Self, MessageError> {
        let fault = |fault: &str| MessageError::field("entries", fault);
        let bytes = frames.iter().map(Bytes::len).fold(0, usize::saturating_add);
        if bytes > HINT_ENTRIES_BYTES_MAX {
            return Err(fault("more bytes than a hint may have"));
        }
        let entries = frames.iter().map(StoredEntry::decode).collect::<Result<Vec<_>, _>>();
        let entries = entries.map_err(|cause| MessageError::field("entries", cause))?;
        let pairs = || entries.iter().zip(entries.iter().skip(1));
        if pairs().any(|(entry, after)| after.seq != entry.seq.next()) {
            return Err(fault("one does not follow the other"));
        }
        if entries.last().is_some_and(|last| last.seq > head.seq) {
            return Err(fault("one is after the head"));
        }
        Ok(Self(entries))
    }
}

impl Hint {
    pub(super) fn into_wire(self) -> wire::Hint {
        let to = match self.to {
            HintTo::Users(users) => {
                wire::hint::To::Users(wire::Users { users: users.iter().map(UserId::to_string).collect() })
            }
            HintTo::AllInterested => wire::hint::To::AllInterested(wire::AllInterested {}),
        };
        let conversation = octets(self.conversation.as_bytes());
        let hint = wire::Hint { conversation, to: Some(to), ..wire::Hint::default() };
        match self.news {
            HintNews::Head { head, entries, redacted } => wire::Hint {
                news: wire::News::Head.into(),
                head: head.encode(),
                entries: entries.0.into_iter().map(|entry| entry.frame).collect(),
                redacted,
                ..hint
            },
            HintNews::Marks => wire::Hint { news: wire::News::Marks.into(), ..hint },
        }
    }

    /// None: it says something that this version does not know.
    pub(super) fn from_wire(wire: wire::Hint) -> Result<Option<Self>, MessageError> {
        let to = match wire.to {
            Some(wire::hint::To::Users(users)) => HintTo::Users(users_of(&users)?),
            Some(wire::hint::To::AllInterested(_)) => HintTo::AllInterested,
            None => return Ok(None),
        };
        let news = match wire::News::try_from(wire.news) {
            Ok(wire::News::Head) => {
                let head = Head::decode(&wire.head).map_err(|cause| MessageError::field("head", cause))?;
                let entries = EntryRun::decode(&wire.entries, &head)?;
                HintNews::Head { head, entries, redacted: wire.redacted }
            }
            Ok(wire::News::Marks) => HintNews::Marks,
            Ok(wire::News::Unspecified) | Err(_) => return Ok(None),
        };
        Ok(Some(Self { conversation: conversation(&wire.conversation)?, news, to }))
    }
}

fn users_of(wire: &wire::Users) -> Result<Vec<UserId>, MessageError> {
    if wire.users.len() > HINT_USERS_MAX {
        return Err(MessageError::field("users", "more users than a hint may have"));
    }
    wire.users.iter().map(|text| user("users", text)).collect()
}
