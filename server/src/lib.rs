//! Fulmar's server.

mod admin;
mod auth;
mod clock;
mod config;
mod development;
mod metrics;
mod transport;
mod watched_files;

pub use admin::{
    AdminApi, AdminFailure, AdminOptions, AdminServer, Draining, ReadinessPart, Revoked, SessionInfo,
    Sessions,
};
pub use auth::{AuthError, AuthOptions, Authenticator, Identity, KeySetError};
pub use clock::{Clock, ManualClock, Rng};
pub use config::{
    AuthConfig, Config, ConfigError, Credentials, LimitsConfig, ListenConfig, LogConfig, LogFormat,
    StoreConfig, TlsConfig,
};
pub use development::{Development, DevelopmentError};
pub use metrics::{CloseReason, Family, Metrics};
pub use transport::{TlsError, TlsOptions, crypto_provider, quic_server_config};
pub use watched_files::FileError;
