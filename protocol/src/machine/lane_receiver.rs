//! The receiving end of a log lane: checks that the lane accounts for every seq in order, and says what is
//! new.
//!
//! Invariant: over all lanes of a conversation the app is handed seq 1, 2, 3 ... without repeat or
//! reordering, and without a gap that was not named. What reaches the app again after it was had is dropped
//! here; what is missing without a word is the lane's violation.

use crate::error_code::ErrorCode;
use crate::frame::{LaneOpen, SeqRange};
use crate::id::Seq;

/// One log lane, seen from the receiving end.
///
/// Make it from `LaneOpen` with [`handle_open`](Self::handle_open); then call
/// [`handle_entry`](Self::handle_entry) for each `Entry` and `OwnEntry`, [`handle_hole`](Self::handle_hole)
/// for each `Hole`, and [`handle_caught_up`](Self::handle_caught_up). After a violation the connection is to
/// be closed with [`LaneViolation::code`].
///
/// The lanes of one conversation are read one after the other, in the order in which they were opened, and
/// none before `Welcome`: a lane that is read before the end of its predecessor would look like a gap, and
/// `Welcome` may bring a new epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneReceiver {
    /// What the lane must account for next.
    next: Seq,
    /// How far the device has the log, named gaps included.
    had: Seq,
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is new: hand it to the app.
    Deliver,
    /// The device had it before.
    Duplicate,
}

/// The lane does not account for every seq in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lane goes on with seq {found} where {expected} comes next")]
pub struct LaneViolation {
    /// What comes next.
    pub expected: Seq,
    /// What came.
    pub found: Seq,
}

impl LaneViolation {
    /// The code to close the connection with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::FrameUnexpected
    }
}

impl LaneReceiver {
    /// A lane opened. `had` is how far the device has the log (entries handed to the app and named gaps,
    /// confirmed or not). A lane that starts further on leaves a gap, which is answered: treat it as a
    /// skipped hole.
    #[must_use]
    pub fn handle_open(had: Seq, open: &LaneOpen) -> (Self, Option<SeqRange>) {
        let gap = SeqRange::new(had.next()..=open.next_seq.previous());
        let had = gap.map_or(had, |gap| gap.last());
        (Self { next: open.next_seq, had }, gap)
    }

    /// An entry came.
    ///
    /// # Errors
    /// When it is not the one that comes next.
    pub fn handle_entry(&mut self, seq: Seq) -> Result<Delivery, LaneViolation> {
        self.advance(seq, seq)?;
        if seq <= self.had {
            return Ok(Delivery::Duplicate);
        }
        self.had = seq;
        Ok(Delivery::Deliver)
    }

    /// An entry came in a datagram, ahead of its copy on the lane. Answers whether it is the next one; no other
    /// is taken. What the lane has to account for stays the same: its copy is a duplicate then.
    pub fn handle_hedged(&mut self, seq: Seq) -> bool {
        let is_next = seq == self.had.next();
        if is_next {
            self.had = seq;
        }
        is_next
    }

    /// A hole came: the part of it that is news, if any. Name it to the app and, where it was skipped, note
    /// it in the cursor.
    ///
    /// # Errors
    /// When it does not begin with the seq that comes next.
    pub fn handle_hole(&mut self, range: SeqRange) -> Result<Option<SeqRange>, LaneViolation> {
        self.advance(range.first(), range.last())?;
        let news = SeqRange::new(range.first().max(self.had.next())..=range.last());
        self.had = self.had.max(range.last());
        Ok(news)
    }

    /// The lane says that it has reached the head, and where that is.
    ///
    /// # Errors
    /// When the lane has not accounted for everything up to there.
    pub fn handle_caught_up(&self, head: Seq) -> Result<(), LaneViolation> {
        if head.next() == self.next {
            Ok(())
        } else {
            Err(LaneViolation { expected: self.next, found: head.next() })
        }
    }

    /// What the lane must account for next. What lies before it was sent in this session, so a cursor up to
    /// there may be confirmed.
    #[must_use]
    pub const fn next_seq(&self) -> Seq {
        self.next
    }

    /// How far the device has the log. The next lane is received with this.
    #[must_use]
    pub const fn had(&self) -> Seq {
        self.had
    }

    fn advance(&mut self, first: Seq, last: Seq) -> Result<(), LaneViolation> {
        if first != self.next {
            return Err(LaneViolation { expected: self.next, found: first });
        }
        self.next = last.next();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
