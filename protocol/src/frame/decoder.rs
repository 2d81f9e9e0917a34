//! From the bytes of a stream to frames.
//!
//! Invariants: type and length are checked as soon as the header is there, before any of the payload is kept;
//! memory follows the bytes that came, never the length claimed; a frame that lies within one chunk is
//! sliced, not copied. Which frame may come on which stream is the session's business, not the decoder's.
//!
//! Decoding a payload that is full of tiny items takes up to about 35 times its length for a moment; the
//! limit on frames makes that 3 MiB, and the limit before authentication 300 KiB.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::{Frame, FrameError, FrameType};
use crate::limits;
use crate::registry::IGNORABLE_FROM;
use crate::varint;

/// The most bytes that a frame's type and length take.
const HEADER_BYTES_MAX: usize = 2 * varint::BYTES_MAX;

/// Turns the bytes of one stream, in the chunks in which they come, into frames.
///
/// Give it a chunk with [`push`](Self::push), then call [`next_frame`](Self::next_frame) until it answers
/// `None`, then the next chunk; so it holds at most one frame that is not whole. At the end of the stream
/// call [`finish`](Self::finish). Once a header was refused the stream has no more frames: every further call
/// answers with the same error. After a malformed payload the decoder stands behind that frame, and may go
/// on.
#[derive(Debug)]
pub struct FrameDecoder {
    payload_bytes_max: usize,
    chunks: VecDeque<Bytes>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Part of a header, in the first `filled` bytes.
    Header { start: [u8; HEADER_BYTES_MAX], filled: usize },
    /// A known frame's payload: what came of it so far.
    Payload { frame_type: FrameType, length: usize, gathered: BytesMut },
    /// An ignorable frame's payload.
    Skip { remaining: usize },
    /// A header was refused.
    Failed(FrameError),
}

/// A checked header.
enum Header {
    Known { frame_type: FrameType, length: usize },
    Ignorable { length: usize },
}

impl Default for FrameDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameDecoder {
    /// A decoder with the limits of the registry.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(limits::FRAME_PAYLOAD_BYTES_MAX)
    }

    /// A decoder that refuses every payload longer than `payload_bytes_max` (or than its type's own limit).
    #[must_use]
    pub fn with_limit(payload_bytes_max: usize) -> Self {
        Self { payload_bytes_max, chunks: VecDeque::new(), state: State::between_frames() }
    }

    /// A decoder for the control stream of a client that is not authenticated yet: nothing longer than a `Hello`,
    /// until [`set_limit`](Self::set_limit) says otherwise. (Its other streams wait unread.)
    #[must_use]
    pub fn before_authentication() -> Self {
        Self::with_limit(limits::HELLO_PAYLOAD_BYTES_MAX)
    }

    /// Sets another limit, for frames whose header was not read yet.
    pub fn set_limit(&mut self, payload_bytes_max: usize) {
        self.payload_bytes_max = payload_bytes_max;
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() && !matches!(self.state, State::Failed(_)) {
            self.chunks.push_back(chunk);
        }
    }

    /// The next frame, or `None` when more bytes are needed. Ignorable frames that this edition does not know
    /// are passed over.
    ///
    /// # Errors
    /// When the bytes are not those of a frame that this edition takes.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            match &mut self.state {
                State::Header { start, filled } => match read_header(start, filled, &mut self.chunks) {
                    None => return Ok(None),
                    Some(header) => self.begin(header)?,
                },
                State::Skip { remaining } => {
                    *remaining -= skip(&mut self.chunks, *remaining);
                    if *remaining > 0 {
                        return Ok(None);
                    }
                    self.state = State::between_frames();
                }
                State::Payload { frame_type, length, gathered } => {
                    let frame_type = *frame_type;
                    let Some(payload) = take(&mut self.chunks, *length, gathered) else { return Ok(None) };
                    self.state = State::between_frames();
                    return Frame::from_payload(frame_type, payload).map(Some);
                }
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    /// To be called when the stream has ended and [`next_frame`](Self::next_frame) has answered `None`.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when the stream ended inside a frame; or the error that came before.
    pub fn finish(&self) -> Result<(), FrameError> {
        match &self.state {
            State::Header { filled: 0, .. } if self.chunks.is_empty() => Ok(()),
            State::Failed(error) => Err(error.clone()),
            _ => Err(FrameError::Truncated),
        }
    }

    /// How many bytes it holds of frames that are not whole, or were not asked for.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let begun = match &self.state {
            State::Header { filled, .. } => *filled,
            State::Payload { gathered, .. } => gathered.len(),
            State::Skip { .. } | State::Failed(_) => 0,
        };
        self.chunks.iter().fold(begun, |sum, chunk| sum.saturating_add(chunk.len()))
    }

    /// Goes on to the payload of a header that is complete, or fails for good.
    fn begin(&mut self, (number, length): (u64, Option<u64>)) -> Result<(), FrameError> {
        let checked = check_header(number, length, self.payload_bytes_max);
        self.state = match checked {
            Ok(Header::Known { frame_type, length }) => {
                State::Payload { frame_type, length, gathered: BytesMut::new() }
            }
            Ok(Header::Ignorable { length }) => State::Skip { remaining: length },
            Err(error) => {
                self.chunks.clear();
                self.state = State::Failed(error.clone());
                return Err(error);
            }
        };
        Ok(())
    }
}

impl State {
    const fn between_frames() -> Self {
        Self::Header { start: [0; HEADER_BYTES_MAX], filled: 0 }
    }
}

/// Type and length of a frame at the start of `bytes`; the length is missing when the type alone is reason
/// enough to refuse the frame. The last number tells how many bytes the header took. `None`: more bytes are
/// needed.
fn parse_header(bytes: &[u8]) -> Option<(u64, Option<u64>, usize)> {
    let (number, type_length) = varint::read(bytes)?;
    if is_unknown_critical(number) {
        return Some((number, None, type_length));
    }
    let (length, length_length) = varint::read(bytes.get(type_length..)?)?;
    Some((number, Some(length), type_length + length_length))
}

/// Takes a header from the chunks: at once when it lies in the first, else byte by byte.
fn read_header(
    start: &mut [u8; HEADER_BYTES_MAX],
    filled: &mut usize,
    chunks: &mut VecDeque<Bytes>,
) -> Option<(u64, Option<u64>)> {
    loop {
        let chunk = chunks.front_mut()?;
        if *filled == 0
            && let Some((number, length, header_length)) = parse_header(chunk)
        {
            chunk.advance(header_length);
            drop_empty(chunks);
            return Some((number, length));
        }
        let byte = chunk.get_u8();
        drop_empty(chunks);
        // Two varints are whole before the sixteenth byte, so there is always room for one more.
        if let Some(place) = start.get_mut(*filled) {
            *place = byte;
            *filled += 1;
        }
        if let Some((number, length, _)) = start.get(..*filled).and_then(parse_header) {
            return Some((number, length));
        }
    }
}

fn is_unknown_critical(number: u64) -> bool {
    number < IGNORABLE_FROM && FrameType::from_number(number).is_none()
}

/// Checks type and length before anything of the payload is kept.
fn check_header(number: u64, length: Option<u64>, payload_bytes_max: usize) -> Result<Header, FrameError> {
    let frame_type = FrameType::from_number(number);
    let Some(claimed) = length else { return Err(FrameError::UnknownCritical { number }) };
    let bytes_max =
        frame_type.map_or(payload_bytes_max, |known| known.payload_bytes_max().min(payload_bytes_max));
    let length = usize::try_from(claimed).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(FrameError::TooLong { number, bytes: claimed, bytes_max });
    }
    Ok(match frame_type {
        Some(frame_type) => Header::Known { frame_type, length },
        None => Header::Ignorable { length },
    })
}

/// Takes a payload of `length` bytes: a slice of the first chunk when it lies in it, else put together in
/// `gathered`, whose room grows with what came.
fn take(chunks: &mut VecDeque<Bytes>, length: usize, gathered: &mut BytesMut) -> Option<Bytes> {
    if gathered.is_empty() {
        if length == 0 {
            return Some(Bytes::new());
        }
        let chunk = chunks.front_mut()?;
        if chunk.len() >= length {
            let payload = chunk.split_to(length);
            drop_empty(chunks);
            return Some(payload);
        }
    }
    while gathered.len() < length {
        let chunk = chunks.front_mut()?;
        let part = chunk.split_to(chunk.len().min(length - gathered.len()));
        gathered.extend_from_slice(&part);
        drop_empty(chunks);
    }
    Some(gathered.split().freeze())
}

/// Drops up to `length` bytes: how many there were.
fn skip(chunks: &mut VecDeque<Bytes>, length: usize) -> usize {
    let mut skipped = 0;
    while skipped < length
        && let Some(chunk) = chunks.front_mut()
    {
        let part = chunk.len().min(length - skipped);
        chunk.advance(part);
        skipped += part;
        drop_empty(chunks);
    }
    skipped
}

fn drop_empty(chunks: &mut VecDeque<Bytes>) {
    if chunks.front().is_some_and(Bytes::is_empty) {
        chunks.pop_front();
    }
}

/// Type and payload of bytes that are exactly one frame of a known type.
pub(super) fn whole_frame(bytes: &Bytes) -> Result<(FrameType, Bytes), FrameError> {
    let (number, length, header_length) = parse_header(bytes).ok_or(FrameError::Truncated)?;
    match check_header(number, length, limits::FRAME_PAYLOAD_BYTES_MAX)? {
        Header::Ignorable { .. } => Err(FrameError::UnknownCritical { number }),
        Header::Known { frame_type, length } => {
            let rest = bytes.slice(header_length..);
            match rest.len().checked_sub(length) {
                None => Err(FrameError::Truncated),
                Some(0) => Ok((frame_type, rest)),
                Some(bytes) => Err(FrameError::Trailing { bytes }),
            }
        }
    }
}
