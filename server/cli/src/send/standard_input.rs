//! The lines of standard input, read by a thread, since reading may block for ever.
//!
//! A line ends at `\n`, or at the end of the input; a `\r` before it belongs to the line's end. A line that
//! no message can hold is read to its end without being kept, and told by its number.

use std::io::{BufRead, BufReader, Read};

use bytes::Bytes;
use fulmar_client::OutgoingMessage;
use fulmar_protocol::limits::BODY_BYTES_MAX;
use tokio::sync::mpsc;

/// Lines that were read and not yet taken. The thread waits then, and with it whoever writes them.
const LINES_MAX: usize = 64;
/// What is no text is sent as bytes.
const OCTETS: &str = "application/octet-stream";

/// A line, by its number from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) body: Result<Bytes, LineFault>,
}

/// Why a line is no message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    #[error("longer than {BODY_BYTES_MAX} bytes, the most a message holds")]
    TooLong,
    #[error("cannot read standard input: {0}")]
    Unreadable(String),
}

/// Starts reading. The queue ends with the input.
pub(super) fn lines() -> mpsc::Receiver<Line> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let mut input = BufReader::new(std::io::stdin());
        for number in 1.. {
            let Some(body) = next_line(&mut input).transpose() else { return };
            let unreadable = matches!(body, Err(LineFault::Unreadable(_)));
            if sender.blocking_send(Line { number, body }).is_err() || unreadable {
                return;
            }
        }
    });
    receiver
}

/// The message of a line: text where it is text.
pub(super) fn message(body: Bytes) -> OutgoingMessage {
    match std::str::from_utf8(&body) {
        Ok(text) => OutgoingMessage::text(text),
        Err(_) => OutgoingMessage::new(OCTETS, body),
    }
}

fn next_line(input: &mut impl BufRead) -> Result<Option<Bytes>, LineFault> {
    let unreadable = |error: std::io::Error| LineFault::Unreadable(error.to_string());
    let mut line = Vec::new();
    // Room for a body, `\r` and `\n`.
    let most = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(2);
    let read = input.by_ref().take(most).read_until(b'\n', &mut line).map_err(unreadable)?;
    if read == 0 {
        return Ok(None);
    }
    let is_whole = line.pop_if(|last| *last == b'\n').is_some();
    if is_whole {
        line.pop_if(|last| *last == b'\r');
    } else {
        input.skip_until(b'\n').map_err(unreadable)?;
    }
    if line.len() > BODY_BYTES_MAX { Err(LineFault::TooLong) } else { Ok(Some(Bytes::from(line))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<Result<Bytes, LineFault>> {
        let mut input = BufReader::new(input);
        std::iter::from_fn(|| next_line(&mut input).transpose()).collect()
    }

    #[test]
    fn each_line_is_a_message_and_the_last_needs_no_end() {
        let expected = ["a", "", "b\r", "c"].map(|line| Ok(Bytes::from(line)));
        assert_eq!(read(b"a\n\nb\r\r\nc"), expected);
        assert_eq!(read(b""), []);
    }

    #[test]
    fn a_line_too_long_is_told_and_the_next_is_read() {
        let mut input = vec![b'x'; BODY_BYTES_MAX];
        input.extend_from_slice(b"\r\n");
        input.extend(vec![b'y'; BODY_BYTES_MAX + 1]);
        input.extend_from_slice(b"\nz\n");
        input.extend(vec![b'w'; 3 * BODY_BYTES_MAX]);
        let lines = read(&input);
        assert_eq!(lines.len(), 4);
        assert!(lines[0].as_ref().is_ok_and(|line| line.len() == BODY_BYTES_MAX));
        assert_eq!(lines[1], Err(LineFault::TooLong));
        assert_eq!(lines[2], Ok(Bytes::from("z")));
        assert_eq!(lines[3], Err(LineFault::TooLong));
    }
}
