//! The Fulmar protocol: frames, datagrams, ids, limits, error codes, and the pure state machines that both
//! ends share.
//!
//! This crate is pure: it has no sockets, no runtime, no clock and no randomness. Time is an argument.
//! The generated protobuf messages are private; every public type holds valid values only.

mod error_code;
mod hash;
mod id;
pub mod limits;
mod registry;
#[allow(dead_code)]
mod wire;

pub use error_code::{ErrorCode, ErrorScope, Retry};
pub use id::{
    BatchNumber, BodyHash, ClientSeq, ConversationId, ConversationIdInvalid, ConversationKind, DeviceId,
    DeviceTag, Epoch, Generation, GroupNonce, HexInvalid, Ordinal, Seq, SessionNumber, TimestampMs, UserId,
    UserIdInvalid,
};
pub use registry::{ALPN, GREASE_BASE, GREASE_STEP, IGNORABLE_FROM, grease_type};
