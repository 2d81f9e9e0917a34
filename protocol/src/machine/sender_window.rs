//! What a server remembers of one device's sends to one conversation: the number it expects next, and its
//! last answers.
//!
//! This is what makes a send that is retried any number of times appear once, for ever and in constant space.
//! The window changes only together with the log, in one transaction. Invariant: there is an answer for each
//! of the last 64 numbers (or for all, while there are fewer).

use std::collections::VecDeque;

use bytes::Bytes;

use super::row::{RowInvalid, RowReader, put_number};
use crate::error_code::ErrorCode;
use crate::id::{BodyHash, ClientSeq, Seq};
use crate::limits;

/// The next number expected, and the last answers.
///
/// For each send: [`decide`](Self::decide), before anything else about it is checked (a send that was
/// appended before its sender was put out of the group is still a duplicate); if the answer is
/// [`Decision::Append`], append or refuse, then [`record`](Self::record) what was done, unless the refusal
/// leaves the number unused ([`ErrorCode::consumes_client_seq`]).
///
/// A send that is [`Decision::Ahead`] may be held only while the number expected was refused on the same lane
/// and will come again; when that number is refused for good, or the lane ends, what is held is refused or
/// dropped. Held longer it could be appended after its sender has given it another number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderWindow {
    next_expected: ClientSeq,
    /// The answer to the number before `next_expected` is the last.
    answers: VecDeque<(BodyHash, Outcome)>,
}

/// What was done with a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was appended here.
    Accepted(Seq),
    /// It was refused for good.
    Refused(ErrorCode),
}

/// What is to be done with a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is the one expected: append or refuse it.
    Append,
    /// It came before: give the same answer again.
    Duplicate(Outcome),
    /// Numbers before it are missing.
    Ahead {
        /// The first that is missing.
        expected: ClientSeq,
    },
    /// Its number was used for another body, or is too old to tell: `client_seq_reused`. The device's state
    /// is from a backup, so its lane may append nothing more: a later number on it may happen to be the one
    /// expected, and would be appended before this one, and again under the new device id.
    Reused,
}

impl Default for SenderWindow {
    fn default() -> Self {
        Self::new()
    }
}

impl SenderWindow {
    /// How many answers it remembers.
    pub const ANSWERS_MAX: usize = limits::UNANSWERED_SENDS_MAX;

    /// The window of a device that never sent to the conversation.
    #[must_use]
    pub const fn new() -> Self {
        Self { next_expected: ClientSeq::FIRST, answers: VecDeque::new() }
    }

    /// The number expected next.
    #[must_use]
    pub const fn next_expected(&self) -> ClientSeq {
        self.next_expected
    }

    /// What is to be done with a send of this number and body.
    #[must_use]
    pub fn decide(&self, client_seq: ClientSeq, hash: BodyHash) -> Decision {
        if client_seq == self.next_expected {
            return Decision::Append;
        }
        if client_seq > self.next_expected {
            return Decision::Ahead { expected: self.next_expected };
        }
        match self.answer_to(client_seq) {
            Some((known, outcome)) if known == hash => Decision::Duplicate(outcome),
            _ => Decision::Reused,
        }
    }

    /// Whether one of the answers it remembers was to this body, under whatever number. A send that arrives as
    /// early data and is new by its number, but not by its body, may be a recording of one that was numbered
    /// anew since.
    #[must_use]
    pub fn remembers(&self, hash: BodyHash) -> bool {
        self.answers.iter().any(|(known, _)| *known == hash)
    }

    /// Notes what was done with the send of the number expected, which uses that number up.
    pub fn record(&mut self, hash: BodyHash, outcome: Outcome) {
        if self.answers.len() >= Self::ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back((hash, outcome));
        self.next_expected = self.next_expected.next();
    }

    fn answer_to(&self, client_seq: ClientSeq) -> Option<(BodyHash, Outcome)> {
        let behind = self.next_expected.get().checked_sub(client_seq.get())?;
        let index = self.answers.len().checked_sub(usize::try_from(behind).ok()?)?;
        self.answers.get(index).copied()
    }

    /// The row that [`decode`](Self::decode) reads: about 11 bytes an answer.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = Vec::with_capacity(10 + self.answers.len() * 12);
        put_number(self.next_expected.get(), &mut row);
        for (hash, outcome) in &self.answers {
            row.extend_from_slice(hash.as_bytes());
            match outcome {
                // No entry has the number 0, so it tells the refusals apart.
                Outcome::Accepted(seq) => put_number(seq.get(), &mut row),
                Outcome::Refused(code) => {
                    put_number(0, &mut row);
                    put_number(u64::from(code.code()), &mut row);
                }
            }
        }
        row.into()
    }

    /// Reads a row that [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn decode(row: &[u8]) -> Result<Self, RowInvalid> {
        let mut reader = RowReader::new("sender window", row);
        let next_expected = ClientSeq::new(reader.number()?);
        let mut answers = VecDeque::with_capacity(Self::ANSWERS_MAX.min(row.len() / 9));
        while !reader.is_at_end() {
            let hash = BodyHash::new(reader.octets()?);
            let outcome = match reader.number()? {
                0 => {
                    let code = u32::try_from(reader.number()?);
                    Outcome::Refused(code.map_err(|_| reader.invalid("no such error code"))?.into())
                }
                seq => Outcome::Accepted(Seq::new(seq)),
            };
            answers.push_back((hash, outcome));
            if answers.len() > Self::ANSWERS_MAX {
                return Err(reader.invalid("too many answers"));
            }
        }
        let used = next_expected.get().checked_sub(ClientSeq::FIRST.get());
        let used = used.ok_or(reader.invalid("expects the number 0"))?;
        if used.min(u64::try_from(Self::ANSWERS_MAX).unwrap_or(u64::MAX)) != answers.len() as u64 {
            return Err(reader.invalid("answers are missing"));
        }
        Ok(Self { next_expected, answers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(of: u64) -> BodyHash {
        BodyHash::of(&of.to_be_bytes())
    }

    fn window(sends: u64) -> SenderWindow {
        let mut window = SenderWindow::new();
        for number in 1..=sends {
            window.record(hash(number), Outcome::Accepted(Seq::new(number * 3)));
        }
        window
    }

    #[test]
    fn the_number_expected_is_appended_and_a_later_one_is_ahead() {
        let window = window(2);
        assert_eq!(window.decide(ClientSeq::new(3), hash(3)), Decision::Append);
        let ahead = Decision::Ahead { expected: ClientSeq::new(3) };
        assert_eq!(window.decide(ClientSeq::new(4), hash(4)), ahead);
    }

    #[test]
    fn a_repeated_send_gets_the_old_answer() {
        let mut window = window(2);
        window.record(hash(3), Outcome::Refused(ErrorCode::NotPermitted));
        let accepted = Decision::Duplicate(Outcome::Accepted(Seq::new(3)));
        assert_eq!(window.decide(ClientSeq::new(1), hash(1)), accepted);
        let refused = Decision::Duplicate(Outcome::Refused(ErrorCode::NotPermitted));
        assert_eq!(window.decide(ClientSeq::new(3), hash(3)), refused);
    }

    #[test]
    fn a_number_used_for_another_body_or_too_old_to_tell_is_reused() {
        let window = window(70);
        assert_eq!(window.decide(ClientSeq::new(70), hash(1)), Decision::Reused);
        assert_eq!(
            window.decide(ClientSeq::new(7), hash(7)),
            Decision::Duplicate(Outcome::Accepted(Seq::new(21)))
        );
        assert_eq!(window.decide(ClientSeq::new(6), hash(6)), Decision::Reused);
        assert_eq!(window.decide(ClientSeq::new(0), hash(0)), Decision::Reused);
    }

    #[test]
    fn a_full_row_takes_about_11_bytes_an_answer() {
        assert!(window(10_000).encode().len() <= 64 * 11 + 4);
    }

    fn windows() -> impl Strategy<Value = SenderWindow> {
        let outcome = prop_oneof![
            (1..=u64::MAX).prop_map(|seq| Outcome::Accepted(Seq::new(seq))),
            any::<u32>().prop_map(|code| Outcome::Refused(code.into())),
        ];
        proptest::collection::vec((any::<[u8; 8]>(), outcome), 0..130).prop_map(|answers| {
            let mut window = SenderWindow::new();
            answers.into_iter().for_each(|(hash, outcome)| window.record(BodyHash::new(hash), outcome));
            window
        })
    }

    proptest! {
        #[test]
        fn a_window_survives_its_row(window in windows()) {
            prop_assert_eq!(SenderWindow::decode(&window.encode()), Ok(window));
        }

        #[test]
        fn a_cut_row_is_an_error(window in windows(), cut in 1_usize..30) {
            let row = window.encode();
            prop_assert!(SenderWindow::decode(&row[..row.len().saturating_sub(cut)]).is_err());
        }

        #[test]
        fn no_row_makes_it_panic(row: Vec<u8>) {
            let _ = SenderWindow::decode(&row);
        }
    }
}
