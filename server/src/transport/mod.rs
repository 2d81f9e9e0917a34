//! QUIC: its tuning, TLS, resets after a crash, and frames on streams.

pub(crate) mod connection_ids;
pub(crate) mod frames;
pub(crate) mod reset_key;
pub(crate) mod secret;
pub(crate) mod tls;
pub(crate) mod tuning;
