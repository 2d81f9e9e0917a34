//! A range of a log.

use std::fmt;
use std::ops::RangeInclusive;

use crate::id::Seq;
use crate::payload::{FieldFault, PayloadError, fault};
use crate::wire;

/// Entries `first` to `last`, both included. Invariant: `1 <= first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqRange {
    first: Seq,
    last: Seq,
}

impl SeqRange {
    /// The range, unless it is empty or starts before the first entry.
    #[must_use]
    pub fn new(range: RangeInclusive<Seq>) -> Option<Self> {
        let (first, last) = range.into_inner();
        (first >= Seq::FIRST && first <= last).then_some(Self { first, last })
    }

    /// The first entry of it.
    #[must_use]
    pub const fn first(&self) -> Seq {
        self.first
    }

    /// The last entry of it.
    #[must_use]
    pub const fn last(&self) -> Seq {
        self.last
    }

    /// How many entries it has: at least 1.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        (self.last.get() - self.first.get()).saturating_add(1)
    }

    /// Whether the entry is in it.
    #[must_use]
    pub fn contains(&self, seq: Seq) -> bool {
        self.first <= seq && seq <= self.last
    }

    pub(crate) fn to_wire(self) -> wire::SeqRange {
        wire::SeqRange { first: self.first.get(), last: self.last.get() }
    }

    pub(crate) fn from_wire(field: &'static str, first: u64, last: u64) -> Result<Self, PayloadError> {
        Self::new(Seq::new(first)..=Seq::new(last))
            .ok_or(fault(field, FieldFault::Contradiction("the range is empty, or starts at 0")))
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}..={}", self.first, self.last)
    }
}
