//! The newest entries of a conversation in memory, and how far the conversation is known to reach.
//!
//! What is in it is durable, and contiguous up to the head that it names; or there are no entries in it, and the
//! store is read. It learns from appends of this process, from those of other nodes as they tell, and from heads
//! that were read, in any order: what is older than what it knows changes nothing, and after a gap it begins anew.

use std::collections::VecDeque;

use fulmar_protocol::Seq;

use super::entry::StoredEntry;
use crate::{
    limits::{TAIL_BYTES_MAX, TAIL_ENTRIES_MAX},
    rows::Head,
};

#[derive(Default)]
pub(super) struct Tail {
    head: Option<Head>,
    entries: VecDeque<StoredEntry>,
    bytes: usize,
}

impl Tail {
    /// The newest head that is known.
    pub(super) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// The conversation reaches this far, at least.
    pub(super) fn know(&mut self, head: &Head) {
        self.extend(head, &[]);
    }

    /// Takes in the entries that end at this head. Those that do not follow on what is here are read from the
    /// store when they are wanted.
    pub(super) fn extend(&mut self, head: &Head, entries: &[StoredEntry]) {
        let known = self.head.as_ref().map(|head| (head.seq, head.roster_version));
        if known >= Some((head.seq, head.roster_version)) {
            return;
        }
        let reached = self.head.as_ref().map_or(Seq::ZERO, |head| head.seq);
        self.head = Some(head.clone());
        if head.seq == reached {
            return;
        }
        let follow = entries.first().is_some_and(|first| first.seq == reached.next());
        if !follow || entries.last().map(|last| last.seq) != Some(head.seq) {
            self.forget();
            return;
        }
        for entry in entries {
            self.bytes += entry.frame.len();
            self.entries.push_back(entry.clone());
        }
        while self.entries.len() > TAIL_ENTRIES_MAX || self.bytes > TAIL_BYTES_MAX {
            match self.entries.pop_front() {
                Some(entry) => self.bytes = self.bytes.saturating_sub(entry.frame.len()),
                None => break,
            }
        }
    }

    /// An entry that is here has another content now.
    pub(super) fn replace(&mut self, changed: &StoredEntry) {
        for entry in self.entries.iter_mut().filter(|entry| entry.seq == changed.seq) {
            *entry = changed.clone();
        }
    }

    /// Lets go of the entries: some of them have another content now.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// See `Conversation::tail_from`.
    pub(super) fn from(&self, from: Seq, limit: usize) -> Option<Vec<StoredEntry>> {
        if self.head.as_ref().is_some_and(|head| from > head.seq) {
            return Some(Vec::new());
        }
        let first = self.entries.front()?.seq;
        let skip = usize::try_from(from.get().checked_sub(first.get())?).ok()?;
        Some(self.entries.iter().skip(skip).take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fulmar_protocol::{
        ClientSeq, Content, ContentType, DeviceId, DeviceTag, Entry, Message, Ordinal, TimestampMs, UserId,
    };

    use super::*;

    fn head(seq: u64) -> Head {
        Head { seq: Seq::new(seq), ..Head::new() }
    }

    fn entries(seqs: std::ops::RangeInclusive<u64>) -> Vec<StoredEntry> {
        let content = Content::Message(Message {
            content_type: ContentType::plain_text(),
            body: Bytes::from_static(b"hello"),
            reply_to: None,
        });
        let entry = |seq| {
            StoredEntry::encode(Entry {
                seq: Seq::new(seq),
                ordinal: Ordinal::new(seq),
                at: TimestampMs::new(0),
                sender: UserId::parse("ann").unwrap(),
                device_tag: DeviceTag::of(&DeviceId::new([1; 16])),
                client_seq: ClientSeq::new(seq),
                content: content.encode(),
            })
        };
        seqs.map(entry).collect()
    }

    fn seqs(tail: &Tail, from: u64) -> Option<Vec<u64>> {
        let entries = tail.from(Seq::new(from), 100)?;
        Some(entries.iter().map(|entry| entry.seq.get()).collect())
    }

    #[test]
    fn what_follows_is_kept_and_what_is_known_already_changes_nothing() {
        let mut tail = Tail::default();
        assert_eq!(seqs(&tail, 1), None, "nothing is known: read the store");
        tail.extend(&head(2), &entries(1..=2));
        tail.extend(&head(3), &entries(3..=3));
        tail.extend(&head(2), &entries(2..=2));
        assert_eq!(seqs(&tail, 2), Some(vec![2, 3]));
        assert_eq!(seqs(&tail, 4), Some(vec![]));
    }

    #[test]
    fn after_a_gap_the_store_is_read_and_nothing_is_taken_for_the_end() {
        let mut tail = Tail::default();
        tail.extend(&head(2), &entries(1..=2));
        // 3 was appended by another node, and nobody told.
        tail.extend(&head(4), &entries(4..=4));
        assert_eq!(seqs(&tail, 3), None);
        assert_eq!(seqs(&tail, 4), None);
        tail.extend(&head(5), &entries(5..=5));
        assert_eq!((seqs(&tail, 4), seqs(&tail, 5)), (None, Some(vec![5])));
        // News of 3 comes late.
        tail.extend(&head(3), &entries(3..=3));
        assert_eq!((seqs(&tail, 3), seqs(&tail, 5)), (None, Some(vec![5])));
    }

    #[test]
    fn a_head_that_was_read_is_where_the_next_entries_follow() {
        let mut tail = Tail::default();
        tail.know(&head(7));
        assert_eq!((seqs(&tail, 7), seqs(&tail, 8)), (None, Some(vec![])));
        tail.extend(&head(8), &entries(8..=8));
        assert_eq!(seqs(&tail, 8), Some(vec![8]));
        tail.know(&head(9));
        assert_eq!((seqs(&tail, 8), seqs(&tail, 9), seqs(&tail, 10)), (None, None, Some(vec![])));
    }

    #[test]
    fn a_newer_roster_at_the_same_seq_is_known() {
        let mut tail = Tail::default();
        tail.extend(&head(1), &entries(1..=1));
        tail.know(&Head { roster_version: 3, ..head(1) });
        tail.know(&Head { roster_version: 2, ..head(1) });
        assert_eq!(tail.head().map(|head| head.roster_version), Some(3));
        assert_eq!(seqs(&tail, 1), Some(vec![1]));
    }
}
