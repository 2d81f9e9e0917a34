//! What a peer says it is.

use super::{TextInvalid, check, fit, text};

/// Name and version of a program, for logs only: at most 64 bytes, no control characters.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SoftwareName(String);

text!(SoftwareName);

impl SoftwareName {
    /// The most bytes it has.
    pub const BYTES_MAX: usize = 64;

    /// Makes any text fit: cut where it is too long, control characters replaced.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(fit(text, Self::BYTES_MAX))
    }

    /// Checks a text.
    ///
    /// # Errors
    /// When it is too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextInvalid> {
        check(text, Self::BYTES_MAX).map(|text| Self(text.to_owned()))
    }
}
