//! The only way to standard output and standard error.
//!
//! Every line is flushed, since whoever reads may be a program that waits for it. Colours go to terminals
//! only. A reader that has gone ends the command quietly.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _, Write as _};

use clap::builder::StyledStr;
use serde::Serialize;

use crate::failure::Failure;

/// Writes one line to standard output.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()))
}

/// Writes a value as one line of JSON to standard output.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    let mut text =
        serde_json::to_vec(value).map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
    text.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(&text).and_then(|()| stdout.flush()))
}

/// Writes one line to standard error, for people. Whether it arrives changes nothing.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Writes what clap laid out to standard output.
pub(crate) fn print_styled(text: &StyledStr) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    written(write!(stdout, "{}", text.ansi()).and_then(|()| stdout.flush()))
}

/// Writes what clap laid out to standard error.
pub(crate) fn note_styled(text: &StyledStr) {
    let _ = write!(anstream::stderr(), "{}", text.ansi());
}

/// Whether a person looks at both outputs, so that a progress bar makes sense.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

fn written(outcome: std::io::Result<()>) -> Result<(), Failure> {
    outcome.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::failed(format!("cannot write to standard output: {error}; check where it goes")),
    })
}

/// A text of somebody else's, made safe for a terminal: control characters could move the cursor, change
/// colours or pretend to be another line.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '\n' => '⏎',
            '\t' => ' ',
            letter if letter.is_control() || is_bidi_control(letter) => '\u{fffd}',
            letter => letter,
        })
        .collect()
}

/// Characters that turn the order of what stands around them.
fn is_bidi_control(letter: char) -> bool {
    matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_wrote_cannot_steer_a_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\rd\u{202e}"), "a\u{fffd}[2Jb⏎c\u{fffd}d\u{fffd}");
        assert_eq!(plain("ça va? 你好 🐦"), "ça va? 你好 🐦");
    }
}
