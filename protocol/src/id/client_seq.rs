//! The number a device gives to what it sends.

use crate::id::number::number;

number! {
    /// The number a device gives to what it sends to a conversation: 1, 2, 3 ... without a gap per
    /// (conversation, user, device).
    ClientSeq
}

impl ClientSeq {
    /// The first number a device uses in a conversation.
    pub const FIRST: Self = Self(1);
}
