//! What nodes say to each other, once a link is up.
//!
//! A value of these types is a valid one. What another node sent and breaks the rules is an error, which ends the
//! link; what it says in words of a later version is nothing, and skipped.

mod hint;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;
use fulmar_protocol::{
    ConversationId, DeviceId, ErrorCode, PresenceState, SessionNumber, TimestampMs, UserId,
};
use prost::Message as _;

pub(crate) use hint::{EntryRun, Hint, HintNews, HintTo};
pub(super) use wire::{LinkAnswer, LinkHello};

use wire::message::Kind as WireKind;

use crate::limits::{HINT_USERS_MAX, NODE_MESSAGE_BYTES_MAX};
use crate::metrics::MessageKind;

/// Something for another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// There is something new in a conversation.
    Hint(Hint),
    /// Hints for the receiver were lost: its sessions look for what they were about.
    HintsLost,
    /// A user types, or stopped.
    Typing { conversation: ConversationId, user: UserId, typing: bool },
    /// The sender wants to be told of a user's presence, or no more.
    PresenceWatch { user: UserId, watch: bool },
    /// How a user is, by what the sender knows of their devices.
    Presence { user: UserId, state: PresenceState, last_seen: Option<TimestampMs> },
    /// End a user's sessions, or those of one device; those with a number up to `up_to`, if there is one. Answered with
    /// `SessionsEnded`.
    EndSessions {
        user: UserId,
        device: Option<DeviceId>,
        up_to: Option<SessionNumber>,
        code: ErrorCode,
        token: EndToken,
    },
    /// They have ended: nothing more is appended for them.
    SessionsEnded { user: UserId, device: Option<DeviceId>, token: EndToken },
    /// A user blocked another, or no longer does.
    Blocked { user: UserId, other: UserId, blocked: bool },
}

/// What tells which `EndSessions` a `SessionsEnded` answers. The asking node chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EndToken(u64);

impl EndToken {
    pub(crate) const fn new(token: u64) -> Self {
        Self(token)
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// Why what another node sent is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("not an encoding of a message: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("field {field}: {fault}")]
    Field { field: &'static str, fault: Box<str> },
}

impl MessageError {
    fn field(field: &'static str, fault: impl ToString) -> Self {
        Self::Field { field, fault: fault.to_string().into() }
    }
}

impl Message {
    pub(crate) const fn kind(&self) -> MessageKind {
        match self {
            Self::Hint(_) => MessageKind::Hint,
            Self::HintsLost => MessageKind::HintsLost,
            Self::Typing { .. } => MessageKind::Typing,
            Self::PresenceWatch { .. } => MessageKind::PresenceWatch,
            Self::Presence { .. } => MessageKind::Presence,
            Self::EndSessions { .. } => MessageKind::EndSessions,
            Self::SessionsEnded { .. } => MessageKind::SessionsEnded,
            Self::Blocked { .. } => MessageKind::Blocked,
        }
    }

    /// The message with its length in front, as it goes over a link. None: it is longer than
    /// [`NODE_MESSAGE_BYTES_MAX`], or names more users than [`HINT_USERS_MAX`].
    pub(crate) fn encode(self) -> Option<Bytes> {
        if matches!(&self, Self::Hint(Hint { to: HintTo::Users(users), .. }) if users.len() > HINT_USERS_MAX)
        {
            return None;
        }
        let encoded = wire::Message { kind: Some(self.into_wire()) }.encode_length_delimited_to_vec();
        (encoded.len() <= NODE_MESSAGE_BYTES_MAX).then(|| Bytes::from(encoded))
    }

    /// Reads a message, without the length. None: it is of a kind, or says something, that this version does not
    /// know. Bytes of entries are slices of `encoded`, not copies.
    pub(crate) fn decode(encoded: Bytes) -> Result<Option<Self>, MessageError> {
        wire::Message::decode(encoded)?.kind.map_or(Ok(None), Self::from_wire)
    }

    fn into_wire(self) -> WireKind {
        match self {
            Self::Hint(hint) => WireKind::Hint(hint.into_wire()),
            Self::HintsLost => WireKind::HintsLost(wire::HintsLost {}),
            Self::Typing { conversation, user, typing } => WireKind::Typing(wire::Typing {
                conversation: octets(conversation.as_bytes()),
                user: user.to_string(),
                typing,
            }),
            Self::PresenceWatch { user, watch } => {
                WireKind::PresenceWatch(wire::PresenceWatch { user: user.to_string(), watch })
            }
            Self::Presence { user, state, last_seen } => WireKind::Presence(wire::Presence {
                user: user.to_string(),
                state: state_to_wire(state).into(),
                last_seen_ms: last_seen.map_or(0, TimestampMs::get),
            }),
            Self::EndSessions { user, device, up_to, code, token } => {
                WireKind::EndSessions(wire::EndSessions {
                    user: user.to_string(),
                    device: device_to_wire(device),
                    up_to: up_to.map_or(0, SessionNumber::get),
                    code: code.code(),
                    token: token.get(),
                })
            }
            Self::SessionsEnded { user, device, token } => WireKind::SessionsEnded(wire::SessionsEnded {
                user: user.to_string(),
                device: device_to_wire(device),
                token: token.get(),
            }),
            Self::Blocked { user, other, blocked } => {
                WireKind::Blocked(wire::Blocked { user: user.to_string(), other: other.to_string(), blocked })
            }
        }
    }

    fn from_wire(wire: WireKind) -> Result<Option<Self>, MessageError> {
        Ok(Some(match wire {
            WireKind::Hint(hint) => return Ok(Hint::from_wire(hint)?.map(Self::Hint)),
            WireKind::HintsLost(_) => Self::HintsLost,
            WireKind::Typing(typing) => Self::Typing {
                conversation: conversation(&typing.conversation)?,
                user: user("user", &typing.user)?,
                typing: typing.typing,
            },
            WireKind::PresenceWatch(watch) => {
                Self::PresenceWatch { user: user("user", &watch.user)?, watch: watch.watch }
            }
            WireKind::Presence(presence) => {
                let Some(state) = state_from_wire(presence.state) else { return Ok(None) };
                let last_seen = (presence.last_seen_ms != 0).then(|| TimestampMs::new(presence.last_seen_ms));
                Self::Presence { user: user("user", &presence.user)?, state, last_seen }
            }
            WireKind::EndSessions(end) => Self::EndSessions {
                user: user("user", &end.user)?,
                device: device(&end.device)?,
                up_to: (end.up_to != 0).then(|| SessionNumber::new(end.up_to)),
                code: ErrorCode::from(end.code),
                token: EndToken::new(end.token),
            },
            WireKind::SessionsEnded(ended) => Self::SessionsEnded {
                user: user("user", &ended.user)?,
                device: device(&ended.device)?,
                token: EndToken::new(ended.token),
            },
            WireKind::Blocked(block) => Self::Blocked {
                user: user("user", &block.user)?,
                other: user("other", &block.other)?,
                blocked: block.blocked,
            },
        }))
    }
}

fn octets(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(octets)
}

fn conversation(octets: &Bytes) -> Result<ConversationId, MessageError> {
    let fault = |fault: &dyn ToString| MessageError::field("conversation", fault.to_string());
    let octets = <[u8; ConversationId::LENGTH]>::try_from(octets.as_ref()).map_err(|cause| fault(&cause))?;
    ConversationId::new(octets).map_err(|cause| fault(&cause))
}

fn user(field: &'static str, text: &str) -> Result<UserId, MessageError> {
    UserId::parse(text).map_err(|cause| MessageError::field(field, cause))
}

fn device_to_wire(device: Option<DeviceId>) -> Bytes {
    device.map_or_else(Bytes::new, |device| octets(device.as_bytes()))
}

fn device(octets: &Bytes) -> Result<Option<DeviceId>, MessageError> {
    if octets.is_empty() {
        return Ok(None);
    }
    let octets = <[u8; DeviceId::LENGTH]>::try_from(octets.as_ref())
        .map_err(|cause| MessageError::field("device", cause))?;
    Ok(Some(DeviceId::new(octets)))
}

fn state_to_wire(state: PresenceState) -> wire::PresenceState {
    match state {
        PresenceState::Online => wire::PresenceState::Online,
        PresenceState::Away => wire::PresenceState::Away,
        PresenceState::Offline => wire::PresenceState::Offline,
    }
}

fn state_from_wire(state: i32) -> Option<PresenceState> {
    match wire::PresenceState::try_from(state) {
        Ok(wire::PresenceState::Online) => Some(PresenceState::Online),
        Ok(wire::PresenceState::Away) => Some(PresenceState::Away),
        Ok(wire::PresenceState::Offline) => Some(PresenceState::Offline),
        Ok(wire::PresenceState::Unspecified) | Err(_) => None,
    }
}
