//! Why a configuration is refused: one line that names the file, the line and the key.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::watched_files::FileError;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is not UTF-8.
    #[error("{}: not UTF-8 text", file.display())]
    NotText {
        /// Which file.
        file: PathBuf,
    },
    /// The file is not TOML, has an unknown key, or a value of the wrong type.
    #[error("{}, line {line}{}: {problem}", file.display(), in_parentheses(key))]
    Invalid {
        /// Which file.
        file: PathBuf,
        /// Which line of it, from 1.
        line: usize,
        /// The key on that line, with its section; empty when there is none.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// A value is outside of its range.
    #[error("{}{key} is {value}, and may be {allowed}", file.as_deref().map(prefix).unwrap_or_default())]
    OutOfRange {
        /// The file, when it came from one.
        file: Option<PathBuf>,
        /// The key, with its section.
        key: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Two values do not go together, or one lacks another.
    #[error("{}{problem}", file.as_deref().map(prefix).unwrap_or_default())]
    Contradiction {
        /// The file, when it came from one.
        file: Option<PathBuf>,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// A file without which a server does not start is not named.
    #[error(
        "{key} is not set: name {what} in the configuration (fulmar serve --config FILE), or use --dev for a trial"
    )]
    CredentialMissing {
        /// The key, with its section.
        key: &'static str,
        /// What the file is for.
        what: &'static str,
    },
}

impl ConfigError {
    pub(super) fn invalid(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let (line, key) = place(text, error.span().map_or(0, |span| span.start));
        let problem = error.message().replace('\n', "; ");
        Self::Invalid { file: file.to_owned(), line, key, problem }
    }

    pub(super) fn out_of_range(key: &'static str, value: &dyn Display, allowed: String) -> Self {
        Self::OutOfRange { file: None, key, value: value.to_string(), allowed }
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::OutOfRange { key, value, allowed, .. } => {
                Self::OutOfRange { file: Some(path.to_owned()), key, value, allowed }
            }
            Self::Contradiction { problem, .. } => {
                Self::Contradiction { file: Some(path.to_owned()), problem }
            }
            other => other,
        }
    }
}

/// The number of the line at `offset`, and the key there with its section: `limits.sends_per_second`.
fn place(text: &str, offset: usize) -> (usize, String) {
    let (mut section, mut start) = ("", 0_usize);
    for (index, line) in text.split('\n').enumerate() {
        let trimmed = line.trim();
        let end = start.saturating_add(line.len());
        let header = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next());
        if let Some(header) = header {
            section = header.trim_matches(['[', ']', ' ']);
        }
        if offset <= end {
            let key = match (header, trimmed.split_once('=')) {
                (None, Some((key, _))) if section.is_empty() => key.trim().to_owned(),
                (None, Some((key, _))) => format!("{section}.{}", key.trim()),
                _ => section.to_owned(),
            };
            return (index.saturating_add(1), key);
        }
        start = end.saturating_add(1);
    }
    (text.lines().count(), section.to_owned())
}

fn in_parentheses(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" ({key})") }
}

fn prefix(file: &Path) -> String {
    format!("{}: ", file.display())
}
