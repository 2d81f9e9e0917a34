//! From generated messages to domain types: the checks that every field passes.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use prost::Message as _;

use crate::error_code::ErrorCode;
use crate::id::{ClientSeq, ConversationId, ConversationIdInvalid, Seq, UserId, UserIdInvalid};
use crate::text::TextInvalid;

/// A domain type with a message in the schema.
pub(crate) trait Payload: Sized {
    /// The generated message.
    type Wire: prost::Message + Default;

    /// The message that says the same.
    fn to_wire(&self) -> Self::Wire;

    /// Checks a message.
    fn from_wire(wire: Self::Wire) -> Result<Self, PayloadError>;

    /// Decodes and checks. `bytes` fields are slices of `payload`, not copies.
    fn decode(payload: Bytes) -> Result<Self, PayloadError> {
        Self::from_wire(decode_wire(payload)?)
    }

    /// Appends the encoded message to `out`, after what `prefix` writes for its length.
    fn encode_after<B: BufMut>(&self, out: &mut B, prefix: impl FnOnce(usize, &mut B)) {
        let wire = self.to_wire();
        prefix(wire.encoded_len(), out);
        wire.encode_raw(out);
    }
}

/// Decodes a generated message.
pub(crate) fn decode_wire<W: prost::Message + Default>(payload: Bytes) -> Result<W, PayloadError> {
    W::decode(payload).map_err(|cause| PayloadError::Protobuf { cause: cause.to_string().into() })
}

/// Why a payload was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is not an encoding of its message.
    #[error("not an encoding of its message: {cause}")]
    Protobuf {
        /// What the decoder said.
        cause: Box<str>,
    },
    /// A field holds a value that is never valid.
    #[error("field {field}: {fault}")]
    Field {
        /// The field's name in the schema.
        field: &'static str,
        /// What is wrong with it.
        fault: FieldFault,
    },
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// A value is required.
    #[error("is missing")]
    Missing,
    /// The number must not be 0.
    #[error("is 0")]
    Zero,
    /// Bytes of a fixed length have another.
    #[error("has {found} bytes, not {expected}")]
    Length {
        /// The length it must have.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// An enum's number that this edition does not know.
    #[error("has the unknown value {value}")]
    UnknownValue {
        /// The number.
        value: i32,
    },
    /// A list names more than it may.
    #[error("names more than {most}")]
    TooMany {
        /// How many it may name.
        most: usize,
    },
    /// The value contradicts another field, or its own parts contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// Not a user id.
    #[error("{0}")]
    UserId(UserIdInvalid),
    /// Not a conversation id.
    #[error("{0}")]
    ConversationId(ConversationIdInvalid),
    /// A text out of its bounds.
    #[error("{0}")]
    Text(TextInvalid),
}

impl PayloadError {
    /// The code that a peer is told: its own for a bad user id, `otherwise` for the rest.
    pub(crate) fn code(&self, otherwise: ErrorCode) -> ErrorCode {
        match self {
            Self::Field { fault: FieldFault::UserId(_), .. } => ErrorCode::UserIdInvalid,
            _ => otherwise,
        }
    }
}

/// The error of one field.
pub(crate) const fn fault(field: &'static str, fault: FieldFault) -> PayloadError {
    PayloadError::Field { field, fault }
}

pub(crate) fn octets<const N: usize>(field: &'static str, bytes: &Bytes) -> Result<[u8; N], PayloadError> {
    <[u8; N]>::try_from(bytes.as_ref())
        .map_err(|_| fault(field, FieldFault::Length { expected: N, found: bytes.len() }))
}

pub(crate) fn conversation_id(field: &'static str, bytes: &Bytes) -> Result<ConversationId, PayloadError> {
    ConversationId::new(octets(field, bytes)?)
        .map_err(|cause| fault(field, FieldFault::ConversationId(cause)))
}

pub(crate) fn optional_conversation_id(
    field: &'static str,
    bytes: &Bytes,
) -> Result<Option<ConversationId>, PayloadError> {
    if bytes.is_empty() { Ok(None) } else { conversation_id(field, bytes).map(Some) }
}

pub(crate) fn user_id(field: &'static str, text: &str) -> Result<UserId, PayloadError> {
    UserId::parse(text).map_err(|cause| fault(field, FieldFault::UserId(cause)))
}

pub(crate) fn optional_user_id(field: &'static str, text: &str) -> Result<Option<UserId>, PayloadError> {
    if text.is_empty() { Ok(None) } else { user_id(field, text).map(Some) }
}

pub(crate) fn nonzero(field: &'static str, number: u64) -> Result<u64, PayloadError> {
    if number == 0 { Err(fault(field, FieldFault::Zero)) } else { Ok(number) }
}

pub(crate) fn seq(field: &'static str, number: u64) -> Result<Seq, PayloadError> {
    nonzero(field, number).map(Seq::new)
}

pub(crate) fn client_seq(field: &'static str, number: u64) -> Result<ClientSeq, PayloadError> {
    nonzero(field, number).map(ClientSeq::new)
}

pub(crate) fn text<T>(
    field: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, TextInvalid>,
) -> Result<T, PayloadError> {
    parse(text).map_err(|cause| fault(field, FieldFault::Text(cause)))
}

/// The bytes of an id for a message.
pub(crate) fn bytes(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(octets)
}

/// The bytes of an id that may be absent.
pub(crate) fn optional_bytes(id: Option<ConversationId>) -> Bytes {
    id.map_or_else(Bytes::new, |id| bytes(id.as_bytes()))
}

/// The text of a user id that may be absent.
pub(crate) fn optional_text(user: Option<&UserId>) -> String {
    user.map_or_else(String::new, UserId::to_string)
}

/// A duration in milliseconds, rounded up.
pub(crate) fn millis(duration: Duration) -> u64 {
    let whole = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if duration.subsec_nanos().is_multiple_of(1_000_000) { whole } else { whole.saturating_add(1) }
}

/// A duration in milliseconds that fit into 32 bits (7 weeks), rounded up.
pub(crate) fn millis_u32(duration: Duration) -> u32 {
    u32::try_from(millis(duration)).unwrap_or(u32::MAX)
}

/// A time to wait that may be absent: 0 stands for that, so even no time at all is sent as 1 ms.
pub(crate) fn optional_millis(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| millis(duration).max(1))
}

pub(crate) fn optional_duration(millis: u64) -> Option<Duration> {
    (millis != 0).then(|| Duration::from_millis(millis))
}
