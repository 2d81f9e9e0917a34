//! How bytes travel: QUIC endpoints, TLS, tuning, frames on streams.

mod tls;

pub use tls::{TlsError, TlsOptions, crypto_provider, quic_server_config};
