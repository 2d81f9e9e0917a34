//! How streams and connections end, in the words of the registry.

use fulmar_protocol::ErrorCode;
use quinn::{ConnectionError, ReadError, VarInt};

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The server closed it with this code.
    Code(ErrorCode),
    /// This end closed it.
    Local,
    /// Nothing was heard any more.
    TimedOut,
    /// Something below the protocol.
    Transport(String),
}

/// How a stream ended for the one who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// With a FIN, between frames.
    Finished,
    /// The server reset it.
    Reset(ErrorCode),
    /// With the connection.
    Lost(ConnectionEnd),
    /// The server sent something that is no frame.
    Broken(String),
}

impl From<ConnectionError> for ConnectionEnd {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => Self::Code(code(close.error_code)),
            ConnectionError::LocallyClosed => Self::Local,
            ConnectionError::TimedOut => Self::TimedOut,
            other => Self::Transport(other.to_string()),
        }
    }
}

impl From<ReadError> for StreamEnd {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(number) => Self::Reset(code(number)),
            ReadError::ConnectionLost(error) => Self::Lost(error.into()),
            other => Self::Broken(other.to_string()),
        }
    }
}

pub(super) fn code(number: VarInt) -> ErrorCode {
    ErrorCode::from(u32::try_from(number.into_inner()).unwrap_or(u32::MAX))
}

pub(super) fn varint(code: ErrorCode) -> VarInt {
    VarInt::from_u32(code.code())
}
