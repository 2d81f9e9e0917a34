//! What can go wrong, by cause, with messages that say what to do.
//!
//! The cause is local; where the server named one, [`ClientError::code`] gives its number's name. Errors are
//! cheap to clone, since one lost session fails many callers at once.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::{ContentError, ErrorCode, TextInvalid, UserId, UserListInvalid};

/// Why a call on the client failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The builder was given no server.
    #[error("no server is named: give ClientBuilder::server a HOST:PORT")]
    ServerMissing,
    /// The server is not written as HOST:PORT.
    #[error("{server:?} is not HOST:PORT, for example localhost:4433")]
    ServerInvalid {
        /// What was given.
        server: String,
    },
    /// The builder was given neither a token nor a source of tokens.
    #[error("no token is given: call ClientBuilder::token or token_source")]
    TokenMissing,
    /// The builder was given no certificate authority.
    #[error("no certificate authority is trusted: call ClientBuilder::trust_ca_file or trust_ca_pem")]
    TrustMissing,
    /// The file with the certificate authority cannot be read.
    #[error("cannot read the certificate authority {path}: {cause}")]
    TrustUnreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: Arc<std::io::Error>,
    },
    /// The certificate authority is not what it should be.
    #[error("the certificate authority is not a PEM file with a usable certificate: {cause}")]
    TrustInvalid {
        /// What is wrong with it.
        cause: String,
    },
    /// The local socket cannot be opened.
    #[error("cannot open a UDP socket: {cause}")]
    Socket {
        /// The system's reason.
        cause: Arc<std::io::Error>,
    },
    /// Another process, or another client of this one, has the state folder open.
    #[error("state folder {path} is in use by another process: end it, or name another folder")]
    StateInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The state folder cannot be created, read or written.
    #[error("cannot use the state folder {path}: {cause}")]
    StateUnusable {
        /// The folder.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// The state file does not hold what this library writes.
    #[error(
        "the state in {path} is damaged ({cause}): move the folder away to go on as a new device; \
         unsent messages in it are lost"
    )]
    StateDamaged {
        /// The folder.
        path: PathBuf,
        /// What was found.
        cause: String,
    },
    /// The state was written by a later version of this library.
    #[error("the state in {path} is of version {found}, this library knows up to {known}: update it")]
    StateTooNew {
        /// The folder.
        path: PathBuf,
        /// The version found.
        found: u16,
        /// The newest version known.
        known: u16,
    },
    /// The state belongs to another user than the token.
    #[error("the state folder belongs to user {stored}, the token to {token}: give each user a folder")]
    StateOfAnotherUser {
        /// Whose state it is.
        stored: UserId,
        /// Whose token it is.
        token: UserId,
    },
    /// No session was opened in the time given to `connect`.
    #[error("no session with {server} within {} s: {last}", after.as_secs_f32())]
    ConnectTimeout {
        /// The server, as given.
        server: String,
        /// The time given.
        after: Duration,
        /// How the last attempt ended.
        last: String,
    },
    /// The TLS handshake failed: wrong authority, wrong name, or no Fulmar server.
    #[error("no secure connection to {server}: {cause}; check the certificate authority and the name")]
    Handshake {
        /// The server, as given.
        server: String,
        /// What TLS says.
        cause: String,
    },
    /// The token source failed.
    #[error("the token source gave no token: {cause}")]
    TokenSource {
        /// What it said.
        cause: String,
    },
    /// The server ended the session for good.
    #[error("the server ended the session for good: {code} ({message})")]
    Ended {
        /// Why.
        code: ErrorCode,
        /// For developers.
        message: String,
    },
    /// The server refused a send or a request.
    #[error("refused by the server: {code}{}", if message.is_empty() { String::new() } else { format!(" ({message})") })]
    Refused {
        /// Why.
        code: ErrorCode,
        /// For developers; may be empty.
        message: String,
        /// When to try again, where waiting helps.
        retry_after: Option<Duration>,
    },
    /// The content breaks a limit of the protocol; it was not sent.
    #[error("not sent: {0}")]
    ContentInvalid(#[from] ContentError),
    /// A text breaks a limit of the protocol; it was not sent.
    #[error("{what} {cause}")]
    TextInvalid {
        /// Which text.
        what: &'static str,
        /// What is wrong with it.
        cause: TextInvalid,
    },
    /// A list of users breaks a limit of the protocol; it was not sent.
    #[error("not sent: {0}")]
    UsersInvalid(#[from] UserListInvalid),
    /// Too many callers wait for room in the conversation's outbox.
    #[error(
        "the outbox of the conversation is full, and {waiting} calls wait for room: wait for some of them"
    )]
    OutboxFull {
        /// How many wait.
        waiting: usize,
    },
    /// An argument breaks a limit of the protocol.
    #[error("{what} must be {expected}")]
    ArgumentInvalid {
        /// Which argument.
        what: &'static str,
        /// What it must be.
        expected: String,
    },
    /// The user's id is not known before the first session.
    #[error("the user's id is not known before the first session: wait for Status::Online")]
    UserUnknown,
    /// The call was not answered in time.
    #[error("{what} was not answered within {} s", after.as_secs_f32())]
    Timeout {
        /// Which call.
        what: &'static str,
        /// The time it was given.
        after: Duration,
    },
    /// The connection was lost before the answer; the request may be made again.
    #[error("the connection was lost before the answer came: {cause}")]
    ConnectionLost {
        /// How it ended.
        cause: String,
    },
    /// The server broke the protocol.
    #[error("the server broke the protocol: {cause}")]
    Protocol {
        /// The code the connection was closed with.
        code: ErrorCode,
        /// What it did.
        cause: String,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl From<Infallible> for ClientError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl ClientError {
    /// The code of the registry that the server gave, or that the server's breach was answered with.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Ended { code, .. } | Self::Refused { code, .. } | Self::Protocol { code, .. } => {
                Some(*code)
            }
            Self::ContentInvalid(error) => Some(error.code()),
            Self::TextInvalid { .. } | Self::UsersInvalid(_) => Some(ErrorCode::ContentInvalid),
            _ => None,
        }
    }

    /// A refusal without a message or a time.
    pub(crate) fn refused(code: ErrorCode) -> Self {
        Self::Refused { code, message: String::new(), retry_after: None }
    }
}
