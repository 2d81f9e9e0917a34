//! `Hole` is a range of seqs that is not delivered, and why.

use super::prelude::*;
use super::seq_range::SeqRange;

/// Why a range is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoleReason {
    /// The device is far behind: it may be fetched from history.
    Skipped,
    /// It lies outside this user's membership.
    Hidden,
    /// It is no longer kept.
    Expired,
}

/// A range that is not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The range.
    pub range: SeqRange,
    /// Why.
    pub reason: HoleReason,
}

impl HoleReason {
    fn to_wire(self) -> i32 {
        match self {
            Self::Skipped => wire::HoleReason::Skipped.into(),
            Self::Hidden => wire::HoleReason::Hidden.into(),
            Self::Expired => wire::HoleReason::Expired.into(),
        }
    }

    fn from_wire(value: i32) -> Result<Self, PayloadError> {
        match wire::HoleReason::try_from(value) {
            Ok(wire::HoleReason::Skipped) => Ok(Self::Skipped),
            Ok(wire::HoleReason::Hidden) => Ok(Self::Hidden),
            Ok(wire::HoleReason::Expired) => Ok(Self::Expired),
            Ok(wire::HoleReason::Unspecified) => Err(fault("reason", FieldFault::Missing)),
            Err(_) => Err(fault("reason", FieldFault::UnknownValue { value })),
        }
    }
}

impl Payload for Hole {
    type Wire = wire::Hole;

    fn to_wire(&self) -> wire::Hole {
        wire::Hole {
            first_seq: self.range.first().get(),
            last_seq: self.range.last().get(),
            reason: self.reason.to_wire(),
        }
    }

    fn from_wire(wire: wire::Hole) -> Result<Self, PayloadError> {
        Ok(Self {
            range: SeqRange::from_wire("last_seq", wire.first_seq, wire.last_seq)?,
            reason: HoleReason::from_wire(wire.reason)?,
        })
    }
}
