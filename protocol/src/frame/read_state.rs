//! `ReadState` is the user's own read mark, which moved here or on another device.

use super::prelude::*;
use crate::id::{Ordinal, Seq};

/// The user's own read mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadState {
    /// The last entry read.
    pub read_seq: Seq,
    /// How many messages lie up to it.
    pub read_ordinal: Ordinal,
}

impl Payload for ReadState {
    type Wire = wire::ReadState;

    fn to_wire(&self) -> wire::ReadState {
        wire::ReadState { read_seq: self.read_seq.get(), read_ordinal: self.read_ordinal.get() }
    }

    fn from_wire(wire: wire::ReadState) -> Result<Self, PayloadError> {
        Ok(Self { read_seq: Seq::new(wire.read_seq), read_ordinal: Ordinal::new(wire.read_ordinal) })
    }
}
