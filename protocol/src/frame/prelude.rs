//! What every codec of this folder uses.

pub(super) use bytes::Bytes;

pub(super) use crate::payload::{
    FieldFault, Payload, PayloadError, bytes, client_seq, conversation_id, fault, millis, nonzero, octets,
    optional_bytes, optional_conversation_id, optional_duration, optional_millis, optional_text,
    optional_user_id, seq, text, user_id,
};
pub(super) use crate::wire;
