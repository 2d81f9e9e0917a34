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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::id::{ClientSeq, ConversationId, Ordinal};
    use crate::text::Title;

    fn seq(number: u64) -> Seq {
        Seq::new(number)
    }

    fn range(first: u64, last: u64) -> SeqRange {
        SeqRange::new(seq(first)..=seq(last)).unwrap()
    }

    fn open(next_seq: u64) -> LaneOpen {
        LaneOpen {
            conversation_id: ConversationId::new([2; 16]).unwrap(),
            peer: None,
            title: Title::default(),
            role: None,
            next_seq: seq(next_seq),
            head_seq: seq(0),
            head_ordinal: Ordinal::ZERO,
            read_seq: Seq::ZERO,
            read_ordinal: Ordinal::ZERO,
            next_client_seq: ClientSeq::FIRST,
            marks: Vec::new(),
        }
    }

    #[test]
    fn what_the_device_had_is_not_handed_over_again() {
        let (mut lane, gap) = LaneReceiver::handle_open(seq(5), &open(4));
        assert_eq!(gap, None);
        assert_eq!(lane.handle_entry(seq(4)), Ok(Delivery::Duplicate));
        assert_eq!(lane.handle_hole(range(5, 7)), Ok(Some(range(6, 7))));
        assert_eq!(lane.handle_entry(seq(8)), Ok(Delivery::Deliver));
        assert_eq!(lane.handle_caught_up(seq(8)), Ok(()));
        assert_eq!((lane.had(), lane.next_seq()), (seq(8), seq(9)));
    }

    #[test]
    fn an_entry_by_datagram_is_taken_if_it_is_the_next_and_the_lane_accounts_for_it_all_the_same() {
        let (mut lane, _) = LaneReceiver::handle_open(seq(5), &open(6));
        assert!(!lane.handle_hedged(seq(7)), "past a hole");
        assert!(lane.handle_hedged(seq(6)));
        assert!(!lane.handle_hedged(seq(6)), "twice");
        assert!(lane.handle_hedged(seq(7)));
        assert_eq!(lane.handle_entry(seq(6)), Ok(Delivery::Duplicate));
        assert_eq!(lane.handle_entry(seq(7)), Ok(Delivery::Duplicate));
        assert_eq!(lane.handle_entry(seq(8)), Ok(Delivery::Deliver));
        assert!(!lane.handle_hedged(seq(8)), "the lane was first");
    }

    #[test]
    fn a_lane_that_starts_further_on_names_a_gap() {
        let (mut lane, gap) = LaneReceiver::handle_open(seq(5), &open(9));
        assert_eq!(gap, Some(range(6, 8)));
        assert_eq!(lane.handle_entry(seq(9)), Ok(Delivery::Deliver));
    }

    #[test]
    fn a_lane_that_leaves_out_or_repeats_a_seq_is_in_violation() {
        let (mut lane, _) = LaneReceiver::handle_open(seq(0), &open(1));
        let violation = |expected, found| LaneViolation { expected: seq(expected), found: seq(found) };
        assert_eq!(lane.handle_entry(seq(2)), Err(violation(1, 2)));
        assert_eq!(lane.handle_entry(seq(1)), Ok(Delivery::Deliver));
        assert_eq!(lane.handle_entry(seq(1)), Err(violation(2, 1)));
        assert_eq!(lane.handle_hole(range(3, 4)), Err(violation(2, 3)));
        assert_eq!(lane.handle_caught_up(seq(2)), Err(violation(2, 3)));
    }

    proptest! {
        #[test]
        fn each_seq_is_handed_over_or_named_once(
            lanes in vec((0_u64..6, vec((any::<bool>(), 1_u64..5, any::<bool>()), 0..12)), 1..12),
        ) {
            let (mut had, mut accounted) = (seq(0), 0);
            for (back, steps) in lanes {
                let start = (had.get() + 1).saturating_sub(back).max(1);
                let (mut lane, gap) = LaneReceiver::handle_open(had, &open(start));
                prop_assert_eq!(gap, None);
                for (is_hole, length, hedged) in steps {
                    let next = lane.next_seq().get();
                    if hedged && lane.handle_hedged(seq(next + length - 1)) {
                        prop_assert_eq!(next + length - 1, accounted + 1);
                        accounted += 1;
                    }
                    if is_hole {
                        if let Some(news) = lane.handle_hole(range(next, next + length)).unwrap() {
                            prop_assert_eq!(news.first().get(), accounted + 1);
                            accounted = news.last().get();
                        }
                    } else if lane.handle_entry(seq(next)).unwrap() == Delivery::Deliver {
                        prop_assert_eq!(next, accounted + 1);
                        accounted = next;
                    }
                }
                had = lane.had();
                prop_assert_eq!(had.get(), accounted);
            }
        }
    }
}
