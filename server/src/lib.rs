//! Fulmar's server.

mod auth;
mod clock;
mod metrics;
mod watched_files;

pub use auth::{AuthError, AuthOptions, Authenticator, Identity, KeySetError};
pub use clock::{Clock, ManualClock, Rng};
pub use metrics::{CloseReason, Family, Metrics};
pub use watched_files::FileError;
