//! What can go wrong with development credentials, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::watched_files::FileError;

/// What went wrong with development credentials.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// There are none.
    #[error(
        "no development key in {}: run `fulmar serve --dev --data {}` first",
        folder.display(),
        data.display()
    )]
    NoKey {
        /// Where they would be.
        folder: PathBuf,
        /// The data folder.
        data: PathBuf,
    },
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An existing key is of no use.
    #[error("{} is not a key made here: {cause}; remove it to have a new one made", path.display())]
    KeyBroken {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// The cryptographic library failed.
    #[error("cannot make development credentials: {0}")]
    Cryptography(String),
}

impl From<rcgen::Error> for DevelopmentError {
    fn from(error: rcgen::Error) -> Self {
        Self::Cryptography(error.to_string())
    }
}

impl From<jsonwebtoken::errors::Error> for DevelopmentError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Cryptography(error.to_string())
    }
}
