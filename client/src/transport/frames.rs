//! Frames from a stream.
//!
//! Invariant: a frame's type and length are checked by the decoder before its payload is buffered; a reader
//! holds at most one frame and one chunk.

use bytes::Bytes;
use fulmar_protocol::{ErrorCode, Frame, FrameDecoder, FrameError};
use quinn::{Connection, RecvStream, VarInt};

/// The most bytes taken from QUIC at once.
const CHUNK_BYTES_MAX: usize = 64 * 1_024;

/// Reads the frames of one stream.
pub(crate) struct FrameReader {
    stream: RecvStream,
    decoder: FrameDecoder,
}

/// Why no further frame comes.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ReadError {
    /// The server reset the stream.
    #[error("the stream was reset with {0}")]
    Reset(ErrorCode),
    /// The server did not take the early data that the stream was opened with: to it there was no stream.
    #[error("early data was not taken")]
    EarlyRefused,
    /// The connection is gone.
    #[error("{0}")]
    Lost(quinn::ConnectionError),
    /// The server broke the protocol.
    #[error("{0}")]
    Breach(#[from] FrameError),
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: FrameDecoder::new() }
    }

    /// The next frame; `None` at the end of the stream. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(CHUNK_BYTES_MAX, true).await {
                Ok(Some(chunk)) => self.decoder.push(chunk.bytes),
                Ok(None) => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
                Err(quinn::ReadError::Reset(code)) => return Err(ReadError::Reset(error_code(code))),
                Err(quinn::ReadError::ConnectionLost(error)) => return Err(ReadError::Lost(error)),
                Err(quinn::ReadError::ZeroRttRejected) => return Err(ReadError::EarlyRefused),
                // The remaining causes are of this end's making: the stream was stopped or refused here.
                Err(_) => return Ok(None),
            }
        }
    }
}

/// The registry's code for a number that QUIC carried.
pub(crate) fn error_code(code: VarInt) -> ErrorCode {
    u32::try_from(code.into_inner()).map_or(ErrorCode::Unknown(u32::MAX), ErrorCode::from)
}

/// Closes the connection over a breach of the protocol.
pub(crate) fn close_for(connection: &Connection, code: ErrorCode, cause: &str) {
    tracing::warn!(%code, cause, "the server broke the protocol");
    let reason: Bytes = cause.as_bytes().iter().copied().take(256).collect();
    fulmar_transport::close(connection, VarInt::from_u32(code.code()), &reason);
}
