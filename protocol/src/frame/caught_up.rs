//! `CaughtUp`: the lane has reached the head; what follows is live.

use super::prelude::*;
use crate::id::Seq;

/// The lane has reached the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtUp {
    /// Where the log ended then.
    pub seq: Seq,
}

impl Payload for CaughtUp {
    type Wire = wire::CaughtUp;

    fn to_wire(&self) -> wire::CaughtUp {
        wire::CaughtUp { seq: self.seq.get() }
    }

    fn from_wire(wire: wire::CaughtUp) -> Result<Self, PayloadError> {
        Ok(Self { seq: Seq::new(wire.seq) })
    }
}
