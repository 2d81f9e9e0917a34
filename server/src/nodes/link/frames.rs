//! Messages on a stream: each with its length in front, as a protobuf varint.

use bytes::{Bytes, BytesMut};
use quinn::{ReadError, RecvStream};

/// Bytes taken from the stream at once.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a length; whatever needs more is too long for any message.
const LENGTH_BYTES_MAX: usize = 4;

/// Why no more messages come from a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameFault {
    #[error("a message longer than {bytes_max} bytes")]
    TooLong { bytes_max: usize },
    #[error("the stream ends within a message")]
    Truncated,
    #[error(transparent)]
    Stream(#[from] ReadError),
}

/// Reads messages from a stream.
pub(super) struct Frames {
    stream: RecvStream,
    /// What was read and belongs to no whole message yet. Shorter than a message and one reading.
    buffer: BytesMut,
    bytes_max: usize,
}

impl Frames {
    pub(super) fn new(stream: RecvStream, bytes_max: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), bytes_max }
    }

    /// The next message without its length; none at the end of the stream. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, FrameFault> {
        loop {
            if let Some(message) = take_message(&mut self.buffer, self.bytes_max)? {
                return Ok(Some(message));
            }
            match self.stream.read_chunk(READ_BYTES_MAX, true).await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk.bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(FrameFault::Truncated),
            }
        }
    }
}

/// Takes a whole message off the front. It is a copy: what is kept of it must not keep all that came with it.
fn take_message(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Bytes>, FrameFault> {
    let too_long = FrameFault::TooLong { bytes_max };
    let mut length: usize = 0;
    let mut head = 0;
    loop {
        let Some(octet) = buffer.get(head).copied() else {
            return if head < LENGTH_BYTES_MAX { Ok(None) } else { Err(too_long) };
        };
        length |= usize::from(octet & 0x7f) << (7 * head);
        head += 1;
        if octet & 0x80 == 0 {
            break;
        }
        if head == LENGTH_BYTES_MAX {
            return Err(too_long);
        }
    }
    if length > bytes_max {
        return Err(too_long);
    }
    let Some(message) = buffer.get(head..head.saturating_add(length)) else { return Ok(None) };
    let message = Bytes::copy_from_slice(message);
    let _ = buffer.split_to(head.saturating_add(length));
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut buffer: BytesMut, bytes_max: usize) -> Result<Vec<usize>, String> {
        let mut lengths = Vec::new();
        while let Some(message) = take_message(&mut buffer, bytes_max).map_err(|fault| fault.to_string())? {
            lengths.push(message.len());
        }
        Ok(lengths)
    }

    #[test]
    fn messages_come_whole_whatever_the_parts_they_arrive_in() {
        let mut stream = BytesMut::new();
        for length in [0_usize, 1, 127, 128, 20_000] {
            prost::encode_length_delimiter(length, &mut stream).unwrap();
            stream.extend_from_slice(&vec![7; length]);
        }
        assert_eq!(all(stream.clone(), 20_000), Ok(vec![0, 1, 127, 128, 20_000]));
        for cut in 0..stream.len() {
            let mut buffer = BytesMut::from(&stream[..cut]);
            let mut before = Vec::new();
            while let Some(message) = take_message(&mut buffer, 20_000).unwrap() {
                before.push(message.len());
            }
            buffer.extend_from_slice(&stream[cut..]);
            before.extend(all(buffer, 20_000).unwrap());
            assert_eq!(before, [0, 1, 127, 128, 20_000], "cut at {cut}");
        }
    }

    #[test]
    fn a_length_above_the_bound_is_refused_before_the_message_has_come() {
        let mut stream = BytesMut::new();
        prost::encode_length_delimiter(20_001, &mut stream).unwrap();
        assert!(all(stream, 20_000).is_err());
        assert!(all(BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]), usize::MAX).is_err());
        assert!(all(BytesMut::from(&[0xff, 0xff, 0xff][..]), usize::MAX).is_ok());
    }
}
