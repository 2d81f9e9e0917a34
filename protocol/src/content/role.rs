//! What a member of a group may do.

use crate::payload::{FieldFault, PayloadError, fault};
use crate::wire;

/// What a member may do. Ordered: each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Writes, reacts, and leaves.
    Member,
    /// Also adds, removes members, and sets the title.
    Admin,
    /// Also removes admins, gives roles, and hands the group over. There is one.
    Owner,
}

impl Role {
    pub(crate) fn to_wire(self) -> i32 {
        match self {
            Self::Member => wire::Role::Member.into(),
            Self::Admin => wire::Role::Admin.into(),
            Self::Owner => wire::Role::Owner.into(),
        }
    }

    pub(crate) fn option_to_wire(role: Option<Self>) -> i32 {
        role.map_or(wire::Role::Unspecified.into(), Self::to_wire)
    }

    /// `None` for "unspecified".
    pub(crate) fn option_from_wire(field: &'static str, value: i32) -> Result<Option<Self>, PayloadError> {
        match wire::Role::try_from(value) {
            Ok(wire::Role::Unspecified) => Ok(None),
            Ok(wire::Role::Member) => Ok(Some(Self::Member)),
            Ok(wire::Role::Admin) => Ok(Some(Self::Admin)),
            Ok(wire::Role::Owner) => Ok(Some(Self::Owner)),
            Err(_) => Err(fault(field, FieldFault::UnknownValue { value })),
        }
    }

    pub(crate) fn from_wire(field: &'static str, value: i32) -> Result<Self, PayloadError> {
        Self::option_from_wire(field, value)?.ok_or(fault(field, FieldFault::Missing))
    }
}
