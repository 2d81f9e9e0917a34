//! Fulmar's server.

mod auth;
mod clock;
mod config;
mod metrics;
mod watched_files;

pub use auth::{AuthError, AuthOptions, Authenticator, Identity, KeySetError};
pub use clock::{Clock, ManualClock, Rng};
pub use config::{
    AuthConfig, Config, ConfigError, Credentials, LimitsConfig, ListenConfig, LogConfig, LogFormat,
    StoreConfig, TlsConfig,
};
pub use metrics::{CloseReason, Family, Metrics};
pub use watched_files::FileError;
