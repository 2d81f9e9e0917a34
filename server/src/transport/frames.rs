//! Frames on quinn's streams.
//!
//! Reading is cancel safe: what was read stays in the decoder. Writing is not: a write that was given up
//! leaves half a frame, so that who gives up a write gives up the stream.

use bytes::BytesMut;
use fulmar_protocol::{ErrorCode, Frame, FrameDecoder, FrameError};
use quinn::{RecvStream, SendStream, VarInt};

/// Bytes taken from a stream at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer broke the framing: the connection ends with the error's code.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The peer reset the stream, or the connection is gone.
    #[error("the stream ended: {0}")]
    Stream(#[from] quinn::ReadError),
}

impl ReadError {
    /// Whether the peer gave up this stream, and no more than that.
    pub(crate) fn is_reset(&self) -> bool {
        matches!(self, Self::Stream(quinn::ReadError::Reset(_)))
    }
}

/// Reads frames from a stream.
pub(crate) struct FrameReader {
    stream: RecvStream,
    decoder: FrameDecoder,
}

impl FrameReader {
    pub(crate) fn new(stream: RecvStream, decoder: FrameDecoder) -> Self {
        Self { stream, decoder }
    }

    /// The next frame, or `None` at the end of the stream. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ReadError> {
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            match self.stream.read_chunk(CHUNK_BYTES, true).await? {
                Some(chunk) => self.decoder.push(chunk.bytes),
                None => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    /// Sets another limit for frames that were not begun yet.
    pub(crate) fn set_limit(&mut self, payload_bytes_max: usize) {
        self.decoder.set_limit(payload_bytes_max);
    }

    /// Takes no more, and tells the peer why.
    pub(crate) fn stop(&mut self, code: ErrorCode) {
        // Only fails when the stream has ended already.
        let _ = self.stream.stop(varint(code));
    }
}

/// An error code as QUIC carries it.
pub(crate) fn varint(code: ErrorCode) -> VarInt {
    VarInt::from_u32(code.code())
}

/// Writes one frame.
pub(crate) async fn write(stream: &mut SendStream, frame: &Frame) -> Result<(), quinn::WriteError> {
    let mut buffer = BytesMut::new();
    frame.encode(&mut buffer);
    stream.write_chunk(buffer.freeze()).await
}
