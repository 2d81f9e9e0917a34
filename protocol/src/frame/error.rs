//! Why the bytes of a stream were not taken.

use super::frame_type::FrameType;
use crate::error_code::ErrorCode;
use crate::payload::PayloadError;

/// Why the bytes of a stream were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A type below the ignorable range that this edition does not know.
    #[error("unknown critical frame type {number:#x}")]
    UnknownCritical {
        /// The type.
        number: u64,
    },
    /// The header claims more than the frame may have.
    #[error("a frame of type {number:#x} with {bytes} bytes is longer than {bytes_max} bytes")]
    TooLong {
        /// The type.
        number: u64,
        /// The length claimed.
        bytes: u64,
        /// The longest allowed here.
        bytes_max: usize,
    },
    /// The bytes end inside a frame.
    #[error("the bytes end inside a frame")]
    Truncated,
    /// Bytes follow where exactly one frame was expected.
    #[error("{bytes} bytes follow the frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The payload does not decode, or holds a value that is never valid.
    #[error("malformed {frame}: {cause}")]
    Malformed {
        /// The frame.
        frame: FrameType,
        /// What is wrong.
        cause: PayloadError,
    },
    /// A known frame where another was expected.
    #[error("{frame} does not belong here")]
    Unexpected {
        /// The frame.
        frame: FrameType,
    },
}

impl FrameError {
    /// The code that the peer is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownCritical { .. } => ErrorCode::UnknownCriticalFrame,
            Self::TooLong { .. } => ErrorCode::FrameTooLong,
            Self::Truncated => ErrorCode::FrameTruncated,
            Self::Trailing { .. } => ErrorCode::FrameMalformed,
            Self::Malformed { cause, .. } => cause.code(ErrorCode::FrameMalformed),
            Self::Unexpected { .. } => ErrorCode::FrameUnexpected,
        }
    }
}
