//! What a new member of a group sees of its past.

use crate::payload::{FieldFault, PayloadError, fault};
use crate::wire;

/// What a new member sees of the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HistoryPolicy {
    /// The log from the entry that let them in.
    #[default]
    FromJoining,
    /// The whole log.
    All,
}

impl HistoryPolicy {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::FromJoining => wire::HistoryPolicy::FromJoining.into(),
            Self::All => wire::HistoryPolicy::All.into(),
        }
    }

    pub(crate) fn from_wire(field: &'static str, value: i32) -> Result<Self, PayloadError> {
        match wire::HistoryPolicy::try_from(value) {
            Ok(wire::HistoryPolicy::FromJoining) => Ok(Self::FromJoining),
            Ok(wire::HistoryPolicy::All) => Ok(Self::All),
            Err(_) => Err(fault(field, FieldFault::UnknownValue { value })),
        }
    }
}
