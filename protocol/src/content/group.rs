//! What changes a group: its creation, title, members and roles. All of them are entries of its log, sent and
//! answered like a message. Who may do what is checked by the server, not here.

use super::error::ContentError;
use super::history_policy::HistoryPolicy;
use super::role::Role;
use super::user_list::{UserList, UserListInvalid};
use crate::id::{GroupNonce, UserId};
use crate::payload::{FieldFault, fault, octets, text, user_id};
use crate::text::Title;
use crate::wire;

/// Makes a group: entry 1 of its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateGroup {
    /// With the creator it makes the conversation's id.
    pub nonce: GroupNonce,
    /// May be empty.
    pub title: Title,
    /// The first members, without the creator.
    pub members: UserList,
    /// What later members see of the past.
    pub history_policy: HistoryPolicy,
}

/// Gives a group another title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTitle {
    /// May be empty.
    pub title: Title,
}

/// Lets users in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddMembers {
    /// At least one.
    pub users: UserList,
}

/// Puts users out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveMembers {
    /// At least one.
    pub users: UserList,
}

/// The sender leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave;

/// Gives a member another role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRole {
    /// The member.
    pub user: UserId,
    /// The role from now on.
    pub role: Role,
}

/// Makes another member the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferOwnership {
    /// The owner from now on.
    pub user: UserId,
}

/// Decodes users who are to come into a group.
fn joining(field: &'static str, users: Vec<String>) -> Result<UserList, ContentError> {
    users_of(field, users).map_err(|error| match error {
        ContentError::Users { cause: cause @ UserListInvalid::TooMany { .. }, .. } => {
            ContentError::GroupTooLarge(cause)
        }
        other => other,
    })
}

fn users_of(field: &'static str, users: Vec<String>) -> Result<UserList, ContentError> {
    // The number is checked first, so that a long list costs nothing more.
    if users.len() > crate::limits::USERS_PER_CHANGE_MAX {
        return Err(ContentError::Users { field, cause: UserListInvalid::TooMany { users: users.len() } });
    }
    let users = users.iter().map(|user| user_id(field, user)).collect::<Result<_, _>>()?;
    UserList::new(users).map_err(|cause| ContentError::Users { field, cause })
}

fn at_least_one(field: &'static str, users: UserList) -> Result<UserList, ContentError> {
    if users.is_empty() { Err(fault(field, FieldFault::Missing).into()) } else { Ok(users) }
}

fn texts(users: &UserList) -> Vec<String> {
    users.iter().map(UserId::to_string).collect()
}

impl CreateGroup {
    pub(super) fn to_wire(&self) -> wire::CreateGroup {
        wire::CreateGroup {
            nonce: crate::payload::bytes(self.nonce.as_bytes()),
            title: self.title.to_string(),
            members: texts(&self.members),
            history_policy: self.history_policy.to_wire(),
        }
    }

    pub(super) fn from_wire(wire: wire::CreateGroup) -> Result<Self, ContentError> {
        Ok(Self {
            nonce: GroupNonce::new(octets("nonce", &wire.nonce)?),
            title: text("title", &wire.title, Title::parse)?,
            members: joining("members", wire.members)?,
            history_policy: HistoryPolicy::from_wire("history_policy", wire.history_policy)?,
        })
    }
}

impl SetTitle {
    pub(super) fn to_wire(&self) -> wire::SetTitle {
        wire::SetTitle { title: self.title.to_string() }
    }

    pub(super) fn from_wire(wire: wire::SetTitle) -> Result<Self, ContentError> {
        Ok(Self { title: text("title", &wire.title, Title::parse)? })
    }
}

impl AddMembers {
    pub(super) fn to_wire(&self) -> wire::AddMembers {
        wire::AddMembers { users: texts(&self.users) }
    }

    pub(super) fn from_wire(wire: wire::AddMembers) -> Result<Self, ContentError> {
        Ok(Self { users: at_least_one("users", joining("users", wire.users)?)? })
    }
}

impl RemoveMembers {
    pub(super) fn to_wire(&self) -> wire::RemoveMembers {
        wire::RemoveMembers { users: texts(&self.users) }
    }

    pub(super) fn from_wire(wire: wire::RemoveMembers) -> Result<Self, ContentError> {
        Ok(Self { users: at_least_one("users", users_of("users", wire.users)?)? })
    }
}

impl SetRole {
    pub(super) fn to_wire(&self) -> wire::SetRole {
        wire::SetRole { user: self.user.to_string(), role: self.role.to_wire() }
    }

    pub(super) fn from_wire(wire: wire::SetRole) -> Result<Self, ContentError> {
        Ok(Self { user: user_id("user", &wire.user)?, role: Role::from_wire("role", wire.role)? })
    }
}

impl TransferOwnership {
    pub(super) fn to_wire(&self) -> wire::TransferOwnership {
        wire::TransferOwnership { user: self.user.to_string() }
    }

    pub(super) fn from_wire(wire: wire::TransferOwnership) -> Result<Self, ContentError> {
        Ok(Self { user: user_id("user", &wire.user)? })
    }
}
