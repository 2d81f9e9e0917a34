//! How many messages a log holds up to some entry.

use crate::id::number::number;

number! {
    /// How many messages (what people read; not edits, reactions or changes of a group) a log holds up to
    /// and with some entry. Unread is the difference of two ordinals.
    Ordinal
}

impl Ordinal {
    /// No message yet.
    pub const ZERO: Self = Self(0);
    /// The first message.
    pub const FIRST: Self = Self(1);
}
