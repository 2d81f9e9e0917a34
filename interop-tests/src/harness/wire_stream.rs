//! One stream: frames where that is wanted, bytes where not.

use bytes::{Bytes, BytesMut};
use fulmar_protocol::{ErrorCode, Frame, FrameDecoder};
use quinn::{RecvStream, SendStream, StoppedError};

use super::ends::{code, varint};
use super::{StreamEnd, within};

/// A stream of a [`super::WireClient`]: bidirectional, or the receiving end of a server's.
#[derive(Debug)]
pub struct WireStream {
    send: Option<SendStream>,
    receive: RecvStream,
    decoder: FrameDecoder,
}

impl WireStream {
    pub(super) fn bidirectional(send: SendStream, receive: RecvStream) -> Self {
        Self { send: Some(send), receive, decoder: FrameDecoder::new() }
    }

    pub(super) fn receiving(receive: RecvStream) -> Self {
        Self { send: None, receive, decoder: FrameDecoder::new() }
    }

    /// Sends a frame.
    pub async fn write(&mut self, frame: &Frame) {
        let written = self.send_stream().write_chunk(frame.to_bytes());
        within("room to write a frame", written).await.expect("the server takes the frame");
    }

    /// Sends a frame, unless the stream or the connection has ended.
    ///
    /// # Errors
    /// Then, with what quinn says.
    pub async fn try_write(&mut self, frame: &Frame) -> Result<(), quinn::WriteError> {
        self.send_stream().write_chunk(frame.to_bytes()).await
    }

    /// Sends several frames as one piece.
    pub async fn write_all(&mut self, frames: impl IntoIterator<Item = Frame>) {
        let mut bytes = BytesMut::new();
        frames.into_iter().for_each(|frame| frame.encode(&mut bytes));
        let written = self.send_stream().write_chunk(bytes.freeze());
        within("room to write frames", written).await.expect("the server takes the frames");
    }

    /// Sends any bytes, as far as the server takes them: what it does about them shows elsewhere.
    pub async fn write_bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within("room to write bytes", self.send_stream().write_all(bytes.as_ref())).await;
    }

    /// Ends the sending side.
    pub fn finish(&mut self) {
        let _ = self.send_stream().finish();
    }

    /// Resets the sending side.
    pub fn reset(&mut self, code: ErrorCode) {
        let _ = self.send_stream().reset(varint(code));
    }

    /// Asks the server to send no more.
    pub fn stop(&mut self, code: ErrorCode) {
        let _ = self.receive.stop(varint(code));
    }

    /// The code with which the server refuses to read on.
    pub async fn stopped(&mut self) -> ErrorCode {
        match within("the server's STOP_SENDING", self.send_stream().stopped()).await {
            Ok(Some(number)) => code(number),
            Ok(None) => panic!("the server read the stream to its end"),
            Err(StoppedError::ConnectionLost(error)) => panic!("the connection ended: {error}"),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next frame, or how the stream ended. Cancel safe.
    pub async fn next(&mut self) -> Result<Frame, StreamEnd> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(error) => return Err(StreamEnd::Broken(error.to_string())),
            }
            match self.receive.read_chunk(64 * 1024, true).await? {
                Some(chunk) => self.decoder.push(chunk.bytes),
                None => {
                    let whole = self.decoder.finish();
                    return Err(whole.map_or_else(
                        |error| StreamEnd::Broken(error.to_string()),
                        |()| StreamEnd::Finished,
                    ));
                }
            }
        }
    }

    /// The next frame, which has to come.
    pub async fn frame(&mut self) -> Frame {
        match within("a frame", self.next()).await {
            Ok(frame) => frame,
            Err(end) => panic!("the stream ended instead of a frame: {end:?}"),
        }
    }

    /// How the stream ends, which it has to do now.
    pub async fn end(&mut self) -> StreamEnd {
        match within("the end of a stream", self.next()).await {
            Ok(frame) => panic!("a frame instead of the end of the stream: {frame:?}"),
            Err(end) => end,
        }
    }

    /// Bytes as they come, past the decoder.
    pub async fn raw(&mut self) -> Option<Bytes> {
        let read = self.receive.read_chunk(64 * 1024, true);
        within("bytes", read).await.expect("the stream goes on").map(|chunk| chunk.bytes)
    }

    fn send_stream(&mut self) -> &mut SendStream {
        self.send.as_mut().expect("a stream that goes both ways")
    }
}
