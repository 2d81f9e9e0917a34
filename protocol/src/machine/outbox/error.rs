//! What an outbox does not take.

use crate::id::ClientSeq;

/// The outbox takes no more: wait until something was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the outbox is full: {items} sends with {bytes} bytes have no answer yet")]
pub struct OutboxFull {
    /// How many it holds.
    pub items: usize,
    /// How many bytes they have.
    pub bytes: usize,
}

/// Stored items are not what an outbox could have stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored sends are out of order at number {at}")]
pub struct OutboxInvalid {
    /// The number that does not fit.
    pub at: ClientSeq,
}
