//! Datagrams: `type (varint) | payload`, for what is worth nothing when it comes late: presence, typing, and
//! copies of what a lane carries too.
//!
//! They come in any order, twice, or not at all. Of presence and typing the generation inside tells which of
//! two is right, and each says for how long it holds.

mod hedge;
mod presence;
mod typing;

use bytes::{BufMut, Bytes, BytesMut};

pub use hedge::{HedgedEntry, HedgedSend};
pub use presence::{Presence, PresenceState, PresenceUpdate};
pub use typing::{Typing, TypingUpdate};

use crate::error_code::ErrorCode;
use crate::frame::Sender;
use crate::limits;
use crate::payload::{Payload, PayloadError};
use crate::registry::{IGNORABLE_FROM, grease_type};
use crate::varint;

/// The type of a datagram that this edition knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramType {
    /// The device's own state.
    PresenceUpdate,
    /// The user types, or stopped.
    TypingUpdate,
    /// The state of another user.
    Presence,
    /// Another user types, or stopped.
    Typing,
    /// A copy of a `Send`.
    HedgedSend,
    /// A copy of an `Entry`.
    HedgedEntry,
}

/// One datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datagram {
    /// The device's own state.
    PresenceUpdate(PresenceUpdate),
    /// The user types, or stopped.
    TypingUpdate(TypingUpdate),
    /// The state of another user.
    Presence(Presence),
    /// Another user types, or stopped.
    Typing(Typing),
    /// A copy of a `Send`.
    HedgedSend(HedgedSend),
    /// A copy of an `Entry`.
    HedgedEntry(HedgedEntry),
}

/// Why a datagram was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatagramError {
    /// It is longer than [`limits::DATAGRAM_BYTES_MAX`].
    #[error("a datagram of {bytes} bytes is longer than {} bytes", limits::DATAGRAM_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It ends inside its type.
    #[error("a datagram that ends inside its type")]
    Truncated,
    /// A type below the ignorable range that this edition does not know.
    #[error("unknown critical datagram type {number:#x}")]
    UnknownCritical {
        /// The type.
        number: u64,
    },
    /// The payload does not decode, or holds a value that is never valid.
    #[error("malformed {}: {cause}", datagram.name())]
    Malformed {
        /// The datagram.
        datagram: DatagramType,
        /// What is wrong.
        cause: PayloadError,
    },
}

impl DatagramError {
    /// The code that the peer is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::DatagramMalformed
    }
}

impl DatagramType {
    /// Every type of this edition, in the order of the registry.
    pub const ALL: &'static [Self] = &[
        Self::PresenceUpdate,
        Self::TypingUpdate,
        Self::Presence,
        Self::Typing,
        Self::HedgedSend,
        Self::HedgedEntry,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::PresenceUpdate => 0x01,
            Self::TypingUpdate => 0x02,
            Self::Presence => 0x03,
            Self::Typing => 0x04,
            Self::HedgedSend => 0x1001,
            Self::HedgedEntry => 0x1002,
        }
    }

    /// The name, which is also that of the message in the schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PresenceUpdate => "PresenceUpdate",
            Self::TypingUpdate => "TypingUpdate",
            Self::Presence => "Presence",
            Self::Typing => "Typing",
            Self::HedgedSend => "HedgedSend",
            Self::HedgedEntry => "HedgedEntry",
        }
    }

    /// Which end sends it.
    #[must_use]
    pub const fn sender(self) -> Sender {
        match self {
            Self::PresenceUpdate | Self::TypingUpdate | Self::HedgedSend => Sender::Client,
            Self::Presence | Self::Typing | Self::HedgedEntry => Sender::Server,
        }
    }

    /// Whether it may be acted on before the handshake is complete: none may, as a datagram does not tell
    /// whether it is a replay.
    #[must_use]
    pub const fn replay_safe(self) -> bool {
        false
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.number() == number)
    }
}

impl Datagram {
    /// The type.
    #[must_use]
    pub const fn datagram_type(&self) -> DatagramType {
        match self {
            Self::PresenceUpdate(_) => DatagramType::PresenceUpdate,
            Self::TypingUpdate(_) => DatagramType::TypingUpdate,
            Self::Presence(_) => DatagramType::Presence,
            Self::Typing(_) => DatagramType::Typing,
            Self::HedgedSend(_) => DatagramType::HedgedSend,
            Self::HedgedEntry(_) => DatagramType::HedgedEntry,
        }
    }

    /// The datagram's bytes: always within [`limits::DATAGRAM_BYTES_MAX`], but for copies of longer sends and
    /// entries, which may not be sent then.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        varint::write(self.datagram_type().number(), &mut out);
        match self {
            Self::PresenceUpdate(datagram) => datagram.encode_after(&mut out, |_, _| {}),
            Self::TypingUpdate(datagram) => datagram.encode_after(&mut out, |_, _| {}),
            Self::Presence(datagram) => datagram.encode_after(&mut out, |_, _| {}),
            Self::Typing(datagram) => datagram.encode_after(&mut out, |_, _| {}),
            Self::HedgedSend(datagram) => datagram.encode_after(&mut out, |_, _| {}),
            Self::HedgedEntry(datagram) => datagram.encode_after(&mut out, |_, _| {}),
        }
        out.freeze()
    }

    /// Decodes a datagram. `None`: one of a later edition that may be ignored.
    ///
    /// # Errors
    /// When it is too long, of an unknown critical type, or malformed.
    pub fn decode(datagram: &[u8]) -> Result<Option<Self>, DatagramError> {
        if datagram.len() > limits::DATAGRAM_BYTES_MAX {
            return Err(DatagramError::TooLong { bytes: datagram.len() });
        }
        let (number, type_length) = varint::read(datagram).ok_or(DatagramError::Truncated)?;
        let payload = datagram.get(type_length..).unwrap_or_default();
        match DatagramType::from_number(number) {
            Some(datagram_type) => Self::from_payload(datagram_type, payload).map(Some),
            None if number < IGNORABLE_FROM => Err(DatagramError::UnknownCritical { number }),
            None => Ok(None),
        }
    }

    fn from_payload(datagram: DatagramType, payload: &[u8]) -> Result<Self, DatagramError> {
        let payload = Bytes::copy_from_slice(payload);
        let decoded = match datagram {
            DatagramType::PresenceUpdate => PresenceUpdate::decode(payload).map(Self::PresenceUpdate),
            DatagramType::TypingUpdate => TypingUpdate::decode(payload).map(Self::TypingUpdate),
            DatagramType::Presence => Presence::decode(payload).map(Self::Presence),
            DatagramType::Typing => Typing::decode(payload).map(Self::Typing),
            DatagramType::HedgedSend => HedgedSend::decode(payload).map(Self::HedgedSend),
            DatagramType::HedgedEntry => HedgedEntry::decode(payload).map(Self::HedgedEntry),
        };
        decoded.map_err(|cause| DatagramError::Malformed { datagram, cause })
    }
}

/// A datagram of the `n`th reserved type. It means nothing; receivers ignore it.
#[must_use]
pub fn encode_grease_datagram(n: u32, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    varint::write(grease_type(n), &mut out);
    out.put_slice(payload);
    out.freeze()
}
