//! `Hello` opens the session: the first frame of the client's first stream. `Welcome` answers it: the session
//! is open.

use super::prelude::*;
use crate::extensions::Extensions;
use crate::id::{DeviceId, Epoch, SessionNumber, TimestampMs, UserId};
use crate::text::{SoftwareName, Token};

/// Opens the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Says who the user is.
    pub token: Token,
    /// The device.
    pub device_id: DeviceId,
    /// How many entries of a conversation the device takes as backlog.
    pub backlog_entries_max: u32,
    /// For logs only.
    pub client: SoftwareName,
    /// The extensions that the client knows.
    pub extensions: Extensions,
    /// Whose state the client holds, where it knows.
    pub user_id: Option<UserId>,
}

/// The session is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The user that the token names.
    pub user_id: UserId,
    /// This session.
    pub session: SessionNumber,
    /// Which history of the store the server speaks of.
    pub epoch: Epoch,
    /// When the token expires.
    pub expires_at: TimestampMs,
    /// The server's clock.
    pub server_time: TimestampMs,
    /// The backlog in force for this session.
    pub backlog_entries_max: u32,
    /// The longest body that the server takes.
    pub body_bytes_max: u32,
    /// The most members that a group may have.
    pub group_members_max: u32,
    /// For logs only.
    pub server: SoftwareName,
    /// The extensions in force for this session.
    pub extensions: Extensions,
}

impl Payload for Hello {
    type Wire = wire::Hello;

    fn to_wire(&self) -> wire::Hello {
        wire::Hello {
            token: self.token.as_str().to_owned(),
            device_id: bytes(self.device_id.as_bytes()),
            backlog_entries_max: self.backlog_entries_max,
            client: self.client.to_string(),
            extensions: self.extensions.bits(),
            user_id: optional_text(self.user_id.as_ref()),
        }
    }

    fn from_wire(wire: wire::Hello) -> Result<Self, PayloadError> {
        Ok(Self {
            token: Token::new(wire.token),
            device_id: DeviceId::new(octets("device_id", &wire.device_id)?),
            backlog_entries_max: wire.backlog_entries_max,
            client: text("client", &wire.client, SoftwareName::parse)?,
            extensions: Extensions::from_bits(wire.extensions),
            user_id: optional_user_id("user_id", &wire.user_id)?,
        })
    }
}

impl Payload for Welcome {
    type Wire = wire::Welcome;

    fn to_wire(&self) -> wire::Welcome {
        wire::Welcome {
            user_id: self.user_id.to_string(),
            session: self.session.get(),
            epoch: self.epoch.get(),
            expires_at_ms: self.expires_at.get(),
            server_time_ms: self.server_time.get(),
            backlog_entries_max: self.backlog_entries_max,
            body_bytes_max: self.body_bytes_max,
            group_members_max: self.group_members_max,
            server: self.server.to_string(),
            extensions: self.extensions.bits(),
        }
    }

    fn from_wire(wire: wire::Welcome) -> Result<Self, PayloadError> {
        Ok(Self {
            user_id: user_id("user_id", &wire.user_id)?,
            session: SessionNumber::new(wire.session),
            epoch: Epoch::new(wire.epoch),
            expires_at: TimestampMs::new(wire.expires_at_ms),
            server_time: TimestampMs::new(wire.server_time_ms),
            backlog_entries_max: wire.backlog_entries_max,
            body_bytes_max: wire.body_bytes_max,
            group_members_max: wire.group_members_max,
            server: text("server", &wire.server, SoftwareName::parse)?,
            extensions: Extensions::from_bits(wire.extensions),
        })
    }
}
