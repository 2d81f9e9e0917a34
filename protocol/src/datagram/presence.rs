//! `PresenceUpdate` is the device's own state; `Presence` is the state of another user.

use std::time::Duration;

use crate::id::{Generation, TimestampMs, UserId};
use crate::payload::{FieldFault, Payload, PayloadError, fault, millis_u32, user_id};
use crate::wire;

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceState {
    /// There, and looking.
    Online,
    /// Connected, but not looking.
    Away,
    /// Not there. Only a server says so; a client is offline when it is gone.
    Offline,
}

/// The device's own state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceUpdate {
    /// Of two updates in a session the higher one is right.
    pub generation: Generation,
    /// Online or away.
    pub state: PresenceState,
}

/// The state of another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The user.
    pub user: UserId,
    /// Of two about one user in a session the higher one is right.
    pub generation: Generation,
    /// The state.
    pub state: PresenceState,
    /// When they were last there, where that is known.
    pub last_seen: Option<TimestampMs>,
    /// For how long this holds. Whole milliseconds.
    pub ttl: Duration,
}

impl PresenceState {
    fn to_wire(self) -> i32 {
        match self {
            Self::Online => wire::PresenceState::Online.into(),
            Self::Away => wire::PresenceState::Away.into(),
            Self::Offline => wire::PresenceState::Offline.into(),
        }
    }

    fn from_wire(value: i32) -> Result<Self, PayloadError> {
        match wire::PresenceState::try_from(value) {
            Ok(wire::PresenceState::Online) => Ok(Self::Online),
            Ok(wire::PresenceState::Away) => Ok(Self::Away),
            Ok(wire::PresenceState::Offline) => Ok(Self::Offline),
            Ok(wire::PresenceState::Unspecified) => Err(fault("state", FieldFault::Missing)),
            Err(_) => Err(fault("state", FieldFault::UnknownValue { value })),
        }
    }
}

impl Payload for PresenceUpdate {
    type Wire = wire::PresenceUpdate;

    fn to_wire(&self) -> wire::PresenceUpdate {
        wire::PresenceUpdate { generation: self.generation.get(), state: self.state.to_wire() }
    }

    fn from_wire(wire: wire::PresenceUpdate) -> Result<Self, PayloadError> {
        match PresenceState::from_wire(wire.state)? {
            PresenceState::Offline => {
                Err(fault("state", FieldFault::Contradiction("a device does not say offline")))
            }
            state => Ok(Self { generation: Generation::new(wire.generation), state }),
        }
    }
}

impl Payload for Presence {
    type Wire = wire::Presence;

    fn to_wire(&self) -> wire::Presence {
        wire::Presence {
            user: self.user.to_string(),
            generation: self.generation.get(),
            state: self.state.to_wire(),
            last_seen_ms: self.last_seen.map_or(0, TimestampMs::get),
            ttl_ms: millis_u32(self.ttl),
        }
    }

    fn from_wire(wire: wire::Presence) -> Result<Self, PayloadError> {
        Ok(Self {
            user: user_id("user", &wire.user)?,
            generation: Generation::new(wire.generation),
            state: PresenceState::from_wire(wire.state)?,
            last_seen: (wire.last_seen_ms != 0).then(|| TimestampMs::new(wire.last_seen_ms)),
            ttl: Duration::from_millis(u64::from(wire.ttl_ms)),
        })
    }
}
