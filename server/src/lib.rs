//! Fulmar's server.

mod auth;
mod clock;
mod watched_files;

pub use auth::{AuthError, AuthOptions, Authenticator, Identity, KeySetError};
pub use clock::{Clock, ManualClock, Rng};
pub use watched_files::FileError;
