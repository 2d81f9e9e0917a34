//! The place of an entry in its conversation's log.

use crate::id::number::number;

number! {
    /// The place of an entry in its conversation's log: 1, 2, 3 ... without a gap. 0 stands for "before
    /// the first entry".
    Seq
}

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);
    /// The first entry.
    pub const FIRST: Self = Self(1);
    /// No log gets this far.
    pub const MAX: Self = Self(u64::MAX);

    /// The seq before this one; before `ZERO` there is nothing, so it stays there.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}
