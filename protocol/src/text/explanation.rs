//! A sentence for developers beside an error code.

use super::{TextInvalid, check, fit, text};

/// A sentence for developers: at most 256 bytes, no control characters. Programs go by the code beside it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Explanation(String);

text!(Explanation);

impl Explanation {
    /// The most bytes it has.
    pub const BYTES_MAX: usize = 256;

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

impl From<&str> for Explanation {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
