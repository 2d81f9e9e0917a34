//! How much of a conversation a user has read: unread is arithmetic, never a counter that can drift.
//!
//! The log's entries carry how many messages there are up to them; unread is that figure at the head minus
//! that figure at the read mark. Every part only grows, so that frames may come in any order.

use crate::frame::{InboxItem, LaneOpen, ReadState};
use crate::id::{Ordinal, Seq};

/// Head and read mark of one conversation, for one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadProgress {
    head_seq: Seq,
    head_ordinal: Ordinal,
    read_seq: Seq,
    read_ordinal: Ordinal,
}

impl ReadProgress {
    /// A conversation of which nothing is known: its log is empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            head_seq: Seq::ZERO,
            head_ordinal: Ordinal::ZERO,
            read_seq: Seq::ZERO,
            read_ordinal: Ordinal::ZERO,
        }
    }

    /// The log has an entry. One of the user's own, from whichever device, moves the read mark to it.
    pub fn handle_entry(&mut self, seq: Seq, ordinal: Ordinal, own: bool) {
        self.head_seq = self.head_seq.max(seq);
        self.head_ordinal = self.head_ordinal.max(ordinal);
        if own {
            self.handle_read(ReadState { read_seq: seq, read_ordinal: ordinal });
        }
    }

    /// The read mark moved: here, or on another device.
    pub fn handle_read(&mut self, read: ReadState) {
        self.read_seq = self.read_seq.max(read.read_seq);
        self.read_ordinal = self.read_ordinal.max(read.read_ordinal);
    }

    /// Where the log ends.
    #[must_use]
    pub const fn head_seq(&self) -> Seq {
        self.head_seq
    }

    /// How many messages it holds.
    #[must_use]
    pub const fn head_ordinal(&self) -> Ordinal {
        self.head_ordinal
    }

    /// The read mark.
    #[must_use]
    pub const fn read_seq(&self) -> Seq {
        self.read_seq
    }

    /// How many messages lie up to the read mark.
    #[must_use]
    pub const fn read_ordinal(&self) -> Ordinal {
        self.read_ordinal
    }

    /// How many messages are unread.
    #[must_use]
    pub const fn unread(&self) -> u64 {
        self.head_ordinal.get().saturating_sub(self.read_ordinal.get())
    }
}

impl From<&LaneOpen> for ReadProgress {
    fn from(open: &LaneOpen) -> Self {
        Self {
            head_seq: open.head_seq,
            head_ordinal: open.head_ordinal,
            read_seq: open.read_seq,
            read_ordinal: open.read_ordinal,
        }
    }
}

impl From<&InboxItem> for ReadProgress {
    fn from(item: &InboxItem) -> Self {
        Self {
            head_seq: item.head_seq,
            head_ordinal: item.head_ordinal,
            read_seq: item.read_seq,
            read_ordinal: item.read_ordinal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(seq: u64, ordinal: u64) -> ReadState {
        ReadState { read_seq: Seq::new(seq), read_ordinal: Ordinal::new(ordinal) }
    }

    #[test]
    fn only_messages_of_others_are_unread() {
        let mut progress = ReadProgress::new();
        progress.handle_entry(Seq::new(1), Ordinal::new(1), false);
        progress.handle_entry(Seq::new(2), Ordinal::new(1), false); // a reaction
        progress.handle_entry(Seq::new(3), Ordinal::new(2), false);
        assert_eq!(progress.unread(), 2);
        progress.handle_entry(Seq::new(4), Ordinal::new(3), true);
        assert_eq!((progress.unread(), progress.read_seq()), (0, Seq::new(4)));
    }

    #[test]
    fn a_read_mark_that_overtakes_the_entry_it_names_is_right_in_the_end() {
        let mut progress = ReadProgress::new();
        progress.handle_read(read(5, 5));
        assert_eq!(progress.unread(), 0);
        for seq in 1..=6 {
            progress.handle_entry(Seq::new(seq), Ordinal::new(seq), false);
        }
        progress.handle_read(read(3, 3));
        assert_eq!((progress.unread(), progress.read_seq()), (1, Seq::new(5)));
    }
}
