//! Ids and numbers: one noun, one file. All of them have private fields, so that a value of the type is a
//! valid value, and none can be taken for another.

mod batch_number;
mod body_hash;
mod client_seq;
mod conversation;
mod device;
mod epoch;
mod generation;
mod number;
mod octets;
mod ordinal;
mod seq;
mod session_number;
mod timestamp;
mod user;

pub use batch_number::BatchNumber;
pub use body_hash::BodyHash;
pub use client_seq::ClientSeq;
pub use conversation::{ConversationId, ConversationIdInvalid, ConversationKind, GroupNonce};
pub use device::{DeviceId, DeviceTag};
pub use epoch::Epoch;
pub use generation::Generation;
pub use octets::HexInvalid;
pub use ordinal::Ordinal;
pub use seq::Seq;
pub use session_number::SessionNumber;
pub use timestamp::TimestampMs;
pub use user::{UserId, UserIdInvalid};
