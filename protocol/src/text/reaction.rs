//! What somebody answers a message with instead of words.

use super::{TextInvalid, check, text};
use crate::limits;

/// A reaction, mostly an emoji: 1 to 64 bytes, no control characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reaction(String);

text!(Reaction);

impl Reaction {
    /// Checks a reaction.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextInvalid> {
        if text.is_empty() {
            return Err(TextInvalid::Empty);
        }
        check(text, limits::REACTION_BYTES_MAX).map(|text| Self(text.to_owned()))
    }
}
