//! A conversation's log as it was first seen by anybody, and who was a member when, worked out from it alone.

use std::collections::{BTreeMap, BTreeSet};

use fulmar_client::ReceivedEntry;
use fulmar_protocol::{Content, ConversationKind, HistoryPolicy, Seq, TimestampMs, UserId};

use super::MessageId;

/// An entry as it was first seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) sender: UserId,
    pub(super) at: TimestampMs,
    pub(super) content: Content,
    pub(super) unread_counts: bool,
}

impl Seen {
    pub(super) fn of(entry: &ReceivedEntry) -> Option<Self> {
        let content = entry.content.clone()?;
        let unread_counts = matches!(content, Content::Message(_));
        Some(Self { sender: entry.sender.clone(), at: entry.at, content, unread_counts })
    }

    pub(super) fn message(&self) -> Option<MessageId> {
        match &self.content {
            Content::Message(message) => MessageId::of_body(&message.body),
            _ => None,
        }
    }
}

/// A conversation's log.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) entries: BTreeMap<Seq, Seen>,
}

/// From when to when a user may read.
type Intervals = Vec<(Seq, Option<Seq>)>;

/// Who was a member when.
#[derive(Debug, Default)]
pub(super) struct Membership {
    intervals: BTreeMap<UserId, Intervals>,
    all_history: bool,
}

impl Membership {
    fn join(&mut self, user: &UserId, at: Seq) {
        let from = if self.all_history { Seq::FIRST } else { at };
        self.intervals.entry(user.clone()).or_default().push((from, None));
    }

    fn leave(&mut self, user: &UserId, at: Seq) {
        if let Some((_, until @ None)) = self.intervals.get_mut(user).and_then(|of| of.last_mut()) {
            *until = Some(at);
        }
    }

    pub(super) fn is_member(&self, user: &UserId) -> bool {
        self.intervals.get(user).and_then(|of| of.last()).is_some_and(|(_, until)| until.is_none())
    }

    pub(super) fn may_read(&self, user: &UserId, seq: Seq) -> bool {
        let within =
            |(from, until): &(Seq, Option<Seq>)| *from <= seq && until.is_none_or(|until| seq <= until);
        self.intervals.get(user).is_some_and(|of| of.iter().any(within))
    }

    pub(super) fn members(&self) -> BTreeSet<UserId> {
        self.intervals.keys().filter(|user| self.is_member(user)).cloned().collect()
    }
}

impl Log {
    pub(super) fn head(&self) -> Option<Seq> {
        self.entries.last_key_value().map(|(seq, _)| *seq)
    }

    /// Works out who was a member; says which entry was written by somebody who was not.
    pub(super) fn membership(&self, kind: ConversationKind) -> Result<Membership, String> {
        let mut membership = Membership::default();
        if kind == ConversationKind::Direct {
            // Both are members from the first entry on, and nothing changes that.
            for seen in self.entries.values() {
                if !membership.is_member(&seen.sender) {
                    membership.join(&seen.sender, Seq::FIRST);
                }
            }
            return Ok(membership);
        }
        for (seq, seen) in &self.entries {
            if let Content::CreateGroup(group) = &seen.content {
                membership.all_history = group.history_policy == HistoryPolicy::All;
                membership.join(&seen.sender, *seq);
                group.members.iter().for_each(|user| membership.join(user, *seq));
                continue;
            }
            if !membership.is_member(&seen.sender) {
                return Err(format!("{} wrote entry {seq} and was not a member", seen.sender));
            }
            match &seen.content {
                Content::AddMembers(added) => added.users.iter().for_each(|user| membership.join(user, *seq)),
                Content::RemoveMembers(removed) => {
                    removed.users.iter().for_each(|user| membership.leave(user, *seq));
                }
                Content::Leave(_) => membership.leave(&seen.sender, *seq),
                _ => {}
            }
        }
        Ok(membership)
    }
}
