//! The id of a user: the app's own string.
//!
//! Invariant: 1 to 128 bytes of UTF-8 without control characters. Fulmar never makes one; it takes them
//! from tokens. Cloning is cheap (a reference count).

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits;

/// The id of a user. Ordered by its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// Why a text is not a user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdInvalid {
    /// It is empty.
    #[error("a user id has at least one byte")]
    Empty,
    /// It is longer than [`limits::USER_ID_BYTES_MAX`].
    #[error("a user id of {bytes} bytes is longer than {} bytes", limits::USER_ID_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It holds a control character.
    #[error("a user id holds no control characters")]
    ControlCharacter,
}

impl UserId {
    /// Checks a text and takes it as a user id.
    ///
    /// # Errors
    /// When it is empty, too long, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, UserIdInvalid> {
        if text.is_empty() {
            return Err(UserIdInvalid::Empty);
        }
        if text.len() > limits::USER_ID_BYTES_MAX {
            return Err(UserIdInvalid::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(UserIdInvalid::ControlCharacter);
        }
        Ok(Self(Arc::from(text)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl FromStr for UserId {
    type Err = UserIdInvalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_is_1_to_128_bytes_of_text() {
        assert_eq!(UserId::parse(""), Err(UserIdInvalid::Empty));
        assert!(UserId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(UserId::parse(&"x".repeat(129)), Err(UserIdInvalid::TooLong { bytes: 129 }));
        assert_eq!(UserId::parse(&"é".repeat(65)), Err(UserIdInvalid::TooLong { bytes: 130 }));
        assert_eq!(UserId::parse("a\u{7f}"), Err(UserIdInvalid::ControlCharacter));
        assert_eq!(UserId::parse("Ünï 🐦").map(|id| id.to_string()), Ok("Ünï 🐦".to_owned()));
    }
}
