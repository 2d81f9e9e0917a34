//! What an outbox makes of a refusal, and the numbers that change for it.

use super::OutboxItem;
use crate::id::ClientSeq;

/// What a refusal means for the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It answers nothing that is unanswered (an answer that came twice).
    Stale,
    /// It will be sent again.
    Again,
    /// It never will be appended, and is no longer in the outbox.
    Failed(OutboxItem),
    /// The server knows the device's numbers for other bodies: the device's state is from a backup. Nothing
    /// is sent until the caller has made a new device id, connected with it, and called [`renumber`](super::Outbox::renumber).
    DeviceForgotten,
}

/// A number that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renumbered {
    /// The number before.
    pub from: ClientSeq,
    /// The number now.
    pub to: ClientSeq,
}
