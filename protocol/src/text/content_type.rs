//! What kind of bytes a message holds.

use std::sync::Arc;

use super::{TextInvalid, text};
use crate::limits;

/// A media type (RFC 6838), perhaps with parameters: 1 to 128 bytes of printable ASCII.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentType(Arc<str>);

text!(ContentType);

impl ContentType {
    /// Checks a media type.
    ///
    /// # Errors
    /// When it is empty, too long, or not `type/subtype`.
    pub fn parse(text: &str) -> Result<Self, TextInvalid> {
        if text.is_empty() {
            return Err(TextInvalid::Empty);
        }
        if text.len() > limits::CONTENT_TYPE_BYTES_MAX {
            return Err(TextInvalid::TooLong {
                bytes: text.len(),
                bytes_max: limits::CONTENT_TYPE_BYTES_MAX,
            });
        }
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let essence = text.split(';').next().unwrap_or_default().trim_end();
        let parts = essence.split_once('/');
        match parts {
            Some((kind, subtype)) if printable && is_token(kind) && is_token(subtype) => {
                Ok(Self(text.into()))
            }
            _ => Err(TextInvalid::NotMediaType),
        }
    }

    /// Plain text in UTF-8.
    #[must_use]
    pub fn plain_text() -> Self {
        Self("text/plain; charset=utf-8".into())
    }

    /// Whether the bytes are text to show to a person.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.0.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
    }
}

/// A token as in RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
