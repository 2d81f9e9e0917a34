//! How far a device has a log: a seq, and the ranges before it that are missing.
//!
//! Client and server keep the same state; an update carries the whole of it, and replaces the former one.
//! Ranges are ascending, disjoint and not adjacent, and at most 16: when there are more, the two that lie
//! closest are joined, which forgets that the entries between them are there (they are fetched again) but
//! never claims an entry that is not.

use bytes::Bytes;

use super::row::{RowInvalid, RowReader, put_number};
use crate::error_code::ErrorCode;
use crate::frame::{CursorUpdate, SeqRange};
use crate::id::{ConversationId, Seq};
use crate::limits;

/// How far a device has a log.
///
/// A client calls [`skip`](Self::skip) for each hole that may be fetched later, as its lane names it;
/// [`confirm`](Self::confirm) when the app has the entries up to some seq; [`fetched`](Self::fetched) when a
/// page of history closed part of a hole; and sends [`update`](Self::update). A server checks what comes with
/// [`new`](Self::new), and takes it with [`replace`](Self::replace).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CursorState {
    seq: Seq,
    /// Those that begin after `seq` were named by a lane, but entries before them are not confirmed yet. They
    /// are the client's own business and not part of an update.
    skipped: Vec<SeqRange>,
}

/// Why a cursor is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorInvalid {
    /// More ranges than [`limits::SKIPPED_RANGES_MAX`].
    #[error("{ranges} skipped ranges are more than {}", limits::SKIPPED_RANGES_MAX)]
    TooManyRanges {
        /// How many.
        ranges: usize,
    },
    /// A range does not lie after the one before it, with something between them.
    #[error("skipped ranges are not ascending, or overlap, or touch")]
    RangesOutOfOrder,
    /// A range lies past the cursor.
    #[error("a skipped range lies past the cursor")]
    RangeBeyondCursor,
}

impl CursorInvalid {
    /// The code that the client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::CursorInvalid
    }
}

impl CursorState {
    /// Checks a cursor.
    ///
    /// # Errors
    /// When the ranges are not in order, too many, or past `seq`.
    pub fn new(seq: Seq, skipped: Vec<SeqRange>) -> Result<Self, CursorInvalid> {
        if skipped.len() > limits::SKIPPED_RANGES_MAX {
            return Err(CursorInvalid::TooManyRanges { ranges: skipped.len() });
        }
        if !are_apart(&skipped) {
            return Err(CursorInvalid::RangesOutOfOrder);
        }
        if skipped.last().is_some_and(|range| range.last() > seq) {
            return Err(CursorInvalid::RangeBeyondCursor);
        }
        Ok(Self { seq, skipped })
    }

    /// The device has every entry up to here, but for the skipped ranges.
    #[must_use]
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// What is missing up to [`seq`](Self::seq).
    #[must_use]
    pub fn skipped(&self) -> &[SeqRange] {
        let known = self.skipped.partition_point(|range| range.last() <= self.seq);
        self.skipped.get(..known).unwrap_or_default()
    }

    /// The device has everything up to here, without exception.
    #[must_use]
    pub fn delivered_up_to(&self) -> Seq {
        self.skipped().first().map_or(self.seq, |range| range.first().previous())
    }

    /// The app has every entry up to `seq` that was not skipped. A lower seq than before changes nothing.
    pub fn confirm(&mut self, seq: Seq) {
        self.seq = self.seq.max(seq);
        // A range that follows at once, or in which the cursor now lies, has nothing before it to wait for.
        while let Some(range) = self.skipped.iter().find(|range| self.reaches(range)) {
            self.seq = range.last();
        }
    }

    fn reaches(&self, range: &SeqRange) -> bool {
        range.first() <= self.seq.next() && range.last() > self.seq
    }

    /// A lane named a range that it does not deliver. What lies up to the cursor is had already and stays so.
    pub fn skip(&mut self, range: SeqRange) {
        let first = range.first().max(self.seq.next());
        if let Some(range) = SeqRange::new(first..=range.last()) {
            insert(&mut self.skipped, range);
            join_closest(&mut self.skipped);
        }
        self.confirm(self.seq);
    }

    /// The entries of a range have come after all.
    pub fn fetched(&mut self, range: SeqRange) {
        let mut missing = Vec::with_capacity(self.skipped.len().saturating_add(1));
        for skipped in &self.skipped {
            let before = skipped.first()..=skipped.last().min(range.first().previous());
            let after = skipped.first().max(range.last().next())..=skipped.last();
            // A range that ends at the last number has nothing after it.
            let nothing_after = range.last() == range.last().next();
            missing.extend(SeqRange::new(before));
            missing.extend(SeqRange::new(after).filter(|_| !nothing_after));
        }
        self.skipped = missing;
        join_closest(&mut self.skipped);
    }

    /// Takes a newer state of the same cursor. The latest wins, but a cursor never goes back: a lower seq is
    /// an update that was overtaken. Answers whether it was taken.
    pub fn replace(&mut self, newer: Self) -> bool {
        let taken = newer.seq >= self.seq;
        if taken {
            *self = newer;
        }
        taken
    }

    /// What a client tells the server. The server refuses a cursor past what it has sent in the session, so a
    /// client that is further on (from a session in which it could not confirm) waits until the log lane has
    /// come as far: [`LaneReceiver::next_seq`](crate::LaneReceiver::next_seq).
    #[must_use]
    pub fn update(&self, conversation_id: ConversationId) -> CursorUpdate {
        CursorUpdate { conversation_id, seq: self.seq, skipped: self.skipped().to_vec() }
    }

    /// The row that [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut row = Vec::with_capacity(10);
        put_number(self.seq.get(), &mut row);
        for range in &self.skipped {
            put_number(range.first().get(), &mut row);
            put_number(range.last().get().saturating_sub(range.first().get()), &mut row);
        }
        row.into()
    }

    /// Reads a row that [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the row is damaged.
    pub fn decode(row: &[u8]) -> Result<Self, RowInvalid> {
        let mut reader = RowReader::new("cursor", row);
        let seq = Seq::new(reader.number()?);
        let mut skipped = Vec::new();
        while !reader.is_at_end() {
            let first = reader.number()?;
            let last = first.checked_add(reader.number()?).ok_or(reader.invalid("a range is too long"))?;
            let range = SeqRange::new(Seq::new(first)..=Seq::new(last));
            skipped.push(range.ok_or(reader.invalid("a range starts at 0"))?);
            if skipped.len() > limits::SKIPPED_RANGES_MAX {
                return Err(reader.invalid("too many ranges"));
            }
        }
        if !are_apart(&skipped) {
            return Err(reader.invalid("ranges are out of order"));
        }
        reader.end()?;
        Ok(Self { seq, skipped })
    }
}

impl TryFrom<&CursorUpdate> for CursorState {
    type Error = CursorInvalid;

    fn try_from(update: &CursorUpdate) -> Result<Self, Self::Error> {
        Self::new(update.seq, update.skipped.clone())
    }
}

/// Whether each range lies after the one before it, with at least one entry between.
fn are_apart(ranges: &[SeqRange]) -> bool {
    ranges.iter().zip(ranges.iter().skip(1)).all(|(one, next)| one.last().next() < next.first())
}

/// Adds a range, joined with those that it overlaps or touches.
fn insert(ranges: &mut Vec<SeqRange>, added: SeqRange) {
    let begin = ranges.partition_point(|range| range.last().next() < added.first());
    let end = ranges.partition_point(|range| range.first() <= added.last().next());
    let touched = ranges.get(begin..end).unwrap_or_default();
    let first = touched.first().map_or(added.first(), |range| range.first().min(added.first()));
    let last = touched.last().map_or(added.last(), |range| range.last().max(added.last()));
    ranges.splice(begin..end.max(begin), SeqRange::new(first..=last));
}

/// Joins the two that lie closest while there are too many.
fn join_closest(ranges: &mut Vec<SeqRange>) {
    while ranges.len() > limits::SKIPPED_RANGES_MAX {
        let gaps = ranges.iter().zip(ranges.iter().skip(1)).map(|(one, next)| {
            let gap = next.first().get().saturating_sub(one.last().get());
            (gap, SeqRange::new(one.first()..=next.last()))
        });
        let Some((_, Some(joined))) = gaps.min_by_key(|(gap, _)| *gap) else { return };
        insert(ranges, joined);
    }
}

#[cfg(test)]
mod tests;
