//! QUIC: its tuning, TLS, and frames on streams.

pub(crate) mod frames;
pub(crate) mod tls;
pub(crate) mod tuning;
