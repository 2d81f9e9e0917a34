//! The number of a batch of cursors and read marks.

use crate::id::number::number;

number! {
    /// The number of a batch of cursors and read marks: from 1, rising within a session.
    BatchNumber
}

impl BatchNumber {
    /// The first batch of a session.
    pub const FIRST: Self = Self(1);
}
