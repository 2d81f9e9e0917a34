//! How the client stands with the server.

use fulmar_protocol::ErrorCode;
use tokio::time::Instant;

/// How the client stands with the server. [`crate::Client::status`] follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// An attempt is under way.
    Connecting,
    /// A session is open.
    Online,
    /// No session; the next attempt has its time.
    Offline {
        /// When the next attempt begins.
        retry_at: Instant,
        /// Why there is no session, for people.
        reason: String,
    },
    /// The app is in the background ([`crate::Client::background`]), everything was sent that could be, and the
    /// connection was let go. What is enqueued, another network or the foreground brings the next attempt.
    Background,
    /// There will be no further attempt: the server refused for good, or the local state cannot be used.
    /// What is in the outbox stays there for the next client on the same state.
    Ended {
        /// The server's code; `None` where the cause is local.
        code: Option<ErrorCode>,
        /// Why, for people.
        reason: String,
    },
}

impl Status {
    /// Whether a session is open.
    #[must_use]
    pub fn is_online(&self) -> bool {
        matches!(self, Self::Online)
    }

    /// Whether there will be no further attempt.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}
