//! Entries that were taken from datagrams (FUL-HEDGE) and that their lane has not brought yet.
//!
//! Only a hash of each is kept: the lane has to bring the same. A server that hands out two entries under one
//! seq would leave two devices with two histories.

use std::collections::VecDeque;

use crate::error_code::ErrorCode;
use crate::frame::{Entry, SeqRange, encode_entry};
use crate::id::{BodyHash, Seq};

/// What was taken of one conversation, in one session. Bounded: at most [`HedgedEntries::ENTRIES_MAX`] wait;
/// one more is not taken, and comes by its lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HedgedEntries {
    /// In order of seq.
    taken: VecDeque<(Seq, BodyHash)>,
}

/// The lane brings something else than the datagram did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seq {seq} came in a datagram and on its lane with different entries")]
pub struct EntryDiffers {
    /// Where they differ.
    pub seq: Seq,
}

impl EntryDiffers {
    /// The code to close the connection with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::EntryDiffers
    }
}

impl HedgedEntries {
    /// Entries that wait for their copy on the lane.
    pub const ENTRIES_MAX: usize = 64;

    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether another may be taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.taken.len() < Self::ENTRIES_MAX
    }

    /// Whether none waits for its copy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// An entry was taken from a datagram.
    pub fn handle_taken(&mut self, entry: &Entry) {
        if self.has_room() {
            self.taken.push_back((entry.seq, BodyHash::of(&encode_entry(entry))));
        }
    }

    /// The lane brings an entry.
    ///
    /// # Errors
    /// When it is not the one that the datagram brought.
    pub fn handle_entry(&mut self, entry: &Entry) -> Result<(), EntryDiffers> {
        self.pass(entry.seq);
        match self.taken.pop_front_if(|(seq, _)| *seq == entry.seq) {
            Some((seq, hash)) if hash != BodyHash::of(&encode_entry(entry)) => Err(EntryDiffers { seq }),
            _ => Ok(()),
        }
    }

    /// The lane accounts for a range in another way: as a hole, or as this device's own entry.
    ///
    /// # Errors
    /// When a datagram brought an entry of that range.
    pub fn handle_range(&mut self, range: SeqRange) -> Result<(), EntryDiffers> {
        self.pass(range.first());
        match self.taken.front() {
            Some((seq, _)) if *seq <= range.last() => Err(EntryDiffers { seq: *seq }),
            _ => Ok(()),
        }
    }

    /// What lies before a seq was accounted for.
    fn pass(&mut self, seq: Seq) {
        while self.taken.pop_front_if(|(taken, _)| *taken < seq).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::id::{ClientSeq, DeviceTag, Ordinal, TimestampMs, UserId};

    fn entry(seq: u64, content: &'static str) -> Entry {
        Entry {
            seq: Seq::new(seq),
            ordinal: Ordinal::new(seq),
            at: TimestampMs::new(5),
            sender: UserId::parse("bob").unwrap(),
            device_tag: DeviceTag::new([1; 8]),
            client_seq: ClientSeq::FIRST,
            content: Bytes::from_static(content.as_bytes()),
        }
    }

    fn taken(entries: &[Entry]) -> HedgedEntries {
        let mut hedged = HedgedEntries::new();
        entries.iter().for_each(|entry| hedged.handle_taken(entry));
        hedged
    }

    // FUL-HEDGE-11
    #[test]
    fn the_same_entry_on_the_lane_is_in_order_and_another_is_not() {
        let mut hedged = taken(&[entry(3, "a"), entry(4, "b")]);
        assert_eq!(hedged.handle_entry(&entry(2, "x")), Ok(()));
        assert_eq!(hedged.handle_entry(&entry(3, "a")), Ok(()));
        assert_eq!(hedged.handle_entry(&entry(4, "c")), Err(EntryDiffers { seq: Seq::new(4) }));
        let mut other_sender = entry(4, "b");
        other_sender.sender = UserId::parse("carol").unwrap();
        let mut hedged = taken(&[entry(4, "b")]);
        assert!(hedged.handle_entry(&other_sender).is_err());
    }

    #[test]
    fn a_hole_over_a_hedged_entry_is_not_in_order() {
        let range = |first, last| SeqRange::new(Seq::new(first)..=Seq::new(last)).unwrap();
        let mut hedged = taken(&[entry(3, "a")]);
        assert_eq!(hedged.handle_range(range(1, 2)), Ok(()));
        assert!(hedged.handle_range(range(2, 3)).is_err());
        let mut hedged = taken(&[entry(3, "a")]);
        assert_eq!(hedged.handle_range(range(4, 9)), Ok(()));
        assert!(hedged.is_empty());
    }

    #[test]
    fn no_more_than_the_bound_are_kept() {
        let mut hedged = HedgedEntries::new();
        (1..200).for_each(|seq| hedged.handle_taken(&entry(seq, "a")));
        assert!(!hedged.has_room());
        assert_eq!(hedged.taken.len(), HedgedEntries::ENTRIES_MAX);
    }
}
