//! Texts with a bound and a meaning. Each is checked when it is made.

mod content_type;
mod explanation;
mod reaction;
mod server_address;
mod software_name;
mod title;
mod token;

pub use content_type::ContentType;
pub use explanation::Explanation;
pub use reaction::Reaction;
pub use server_address::ServerAddress;
pub use software_name::SoftwareName;
pub use title::Title;
pub use token::Token;

/// Why a text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextInvalid {
    /// It must not be empty.
    #[error("is empty")]
    Empty,
    /// It is too long.
    #[error("has {bytes} bytes, more than {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        bytes_max: usize,
    },
    /// It holds a control character.
    #[error("holds a control character")]
    ControlCharacter,
    /// It is not a media type: `type/subtype` in ASCII.
    #[error("is not a media type")]
    NotMediaType,
    /// It does not say where a server is.
    #[error("is not HOST:PORT")]
    NotServerAddress,
}

/// Checks length and characters.
fn check(text: &str, bytes_max: usize) -> Result<&str, TextInvalid> {
    if text.len() > bytes_max {
        return Err(TextInvalid::TooLong { bytes: text.len(), bytes_max });
    }
    if text.chars().any(char::is_control) {
        return Err(TextInvalid::ControlCharacter);
    }
    Ok(text)
}

/// Makes any text fit: cut at a character's end, control characters replaced by spaces.
fn fit(text: &str, bytes_max: usize) -> String {
    let mut fitted = String::with_capacity(text.len().min(bytes_max));
    for character in text.chars() {
        let character = if character.is_control() { ' ' } else { character };
        if fitted.len() + character.len_utf8() > bytes_max {
            break;
        }
        fitted.push(character);
    }
    fitted
}

/// What every text type has.
macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, formatter)
            }
        }
    };
}

use text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(fit("aé", 2), "a");
        assert_eq!(fit("aé", 3), "aé");
        assert_eq!(fit("line\nline\u{1b}[31m", 100), "line line [31m");
    }

    #[test]
    fn texts_keep_their_bounds() {
        assert_eq!(Title::parse(&"t".repeat(257)), Err(TextInvalid::TooLong { bytes: 257, bytes_max: 256 }));
        assert!(Title::parse("").is_ok());
        assert_eq!(Reaction::parse(""), Err(TextInvalid::Empty));
        assert!(Reaction::parse("👩‍🚀").is_ok());
        assert_eq!(Explanation::parse("a\nb"), Err(TextInvalid::ControlCharacter));
        assert_eq!(SoftwareName::new(&"n".repeat(100)).as_str().len(), 64);
    }

    #[test]
    fn a_media_type_has_two_parts() {
        assert!(ContentType::parse("text/plain; charset=utf-8").is_ok());
        for wrong in ["text", "/plain", "text/", "te xt/plain", "text/ünïcode"] {
            assert_eq!(ContentType::parse(wrong), Err(TextInvalid::NotMediaType), "{wrong}");
        }
        assert_eq!(ContentType::parse(""), Err(TextInvalid::Empty));
    }

    #[test]
    fn a_token_is_never_printed() {
        assert_eq!(format!("{:?}", Token::new("secret")), "Token(6 bytes)");
    }
}
