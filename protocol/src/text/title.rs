//! The title of a group.

use std::sync::Arc;

use super::{TextInvalid, check, text};
use crate::limits;

/// The title of a group: at most 256 bytes, no control characters; may be empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Title(Arc<str>);

text!(Title);

impl Title {
    /// Checks a title.
    ///
    /// # Errors
    /// When it is too long or holds a control character.
    pub fn parse(text: &str) -> Result<Self, TextInvalid> {
        check(text, limits::TITLE_BYTES_MAX).map(|text| Self(text.into()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for Title {
    /// No title.
    fn default() -> Self {
        Self("".into())
    }
}
