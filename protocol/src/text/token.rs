//! The token by which a client says who its user is.
//!
//! Any text: whether it is a valid token is for the verifier, which has an error code for each answer. Its
//! length is bounded by the frames that carry it. It is a secret, so it has no `Display` and its `Debug`
//! tells only the length.

use std::fmt;
use std::sync::Arc;

/// A JWT in compact form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(Arc<str>);

impl Token {
    /// Wraps a token's text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for the frame that carries it and for the verifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({} bytes)", self.0.len())
    }
}
