//! Why a content was not taken.

use super::user_list::UserListInvalid;
use crate::error_code::ErrorCode;
use crate::limits;
use crate::payload::PayloadError;

/// Why a content was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// The encoding is longer than [`limits::CONTENT_BYTES_MAX`].
    #[error("a content of {bytes} bytes is longer than {} bytes", limits::CONTENT_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The body is longer than [`limits::BODY_BYTES_MAX`].
    #[error("a body of {bytes} bytes is longer than {} bytes", limits::BODY_BYTES_MAX)]
    BodyTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// More users at once than one change may bring into a group.
    #[error("{0}")]
    GroupTooLarge(UserListInvalid),
    /// A list of users that is empty, names one twice, or is too long for a removal.
    #[error("field {field}: {cause}")]
    Users {
        /// The field's name in the schema.
        field: &'static str,
        /// What is wrong with it.
        cause: UserListInvalid,
    },
    /// No kind that this edition knows.
    #[error("holds no kind of content that this edition knows")]
    UnknownKind,
    /// It does not decode, or a field holds a value that is never valid.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl ContentError {
    /// The code that the sender is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } | Self::BodyTooLarge { .. } => ErrorCode::BodyTooLarge,
            Self::GroupTooLarge(_) => ErrorCode::GroupTooLarge,
            Self::Users { .. } | Self::UnknownKind => ErrorCode::ContentInvalid,
            Self::Payload(cause) => cause.code(ErrorCode::ContentInvalid),
        }
    }
}
