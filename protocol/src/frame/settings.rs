//! `BlockRequest` blocks or unblocks a user; `SettingsRequest` replaces the user's settings; `Done` says that
//! a request was carried out and is durable.

use super::prelude::*;
use crate::id::UserId;

/// Blocks or unblocks a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRequest {
    /// The other user.
    pub user: UserId,
    /// Whether they are blocked from now on.
    pub blocked: bool,
}

/// Replaces the user's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsRequest {
    /// Whether somebody new cannot start a direct conversation.
    pub refuse_new_direct_messages: bool,
}

/// The request was carried out and is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done;

impl Payload for BlockRequest {
    type Wire = wire::BlockRequest;

    fn to_wire(&self) -> wire::BlockRequest {
        wire::BlockRequest { user: self.user.to_string(), blocked: self.blocked }
    }

    fn from_wire(wire: wire::BlockRequest) -> Result<Self, PayloadError> {
        Ok(Self { user: user_id("user", &wire.user)?, blocked: wire.blocked })
    }
}

impl Payload for SettingsRequest {
    type Wire = wire::SettingsRequest;

    fn to_wire(&self) -> wire::SettingsRequest {
        wire::SettingsRequest { refuse_new_direct_messages: self.refuse_new_direct_messages }
    }

    fn from_wire(wire: wire::SettingsRequest) -> Result<Self, PayloadError> {
        Ok(Self { refuse_new_direct_messages: wire.refuse_new_direct_messages })
    }
}

impl Payload for Done {
    type Wire = wire::Done;

    fn to_wire(&self) -> wire::Done {
        wire::Done {}
    }

    fn from_wire(_: wire::Done) -> Result<Self, PayloadError> {
        Ok(Self)
    }
}
