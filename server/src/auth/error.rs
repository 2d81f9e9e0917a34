//! Why a token, or a file of keys, is refused.
//!
//! The local cause goes to the log; a client is told the code of it and nothing else. Text of a token that
//! is shown (a key id, an algorithm) is quoted and cut, as it is the peer's.

use fulmar_protocol::{ErrorCode, TimestampMs, UserIdInvalid};

use crate::watched_files::FileError;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is longer than any token that fits a Hello.
    #[error("a token of {bytes} bytes is longer than {bytes_max} bytes")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest allowed.
        bytes_max: usize,
    },
    /// It is not three parts of base64url with a JSON header that names a known algorithm. A token with
    /// `alg` of `none` is one of these.
    #[error("not a signed JWT")]
    Malformed,
    /// It is signed in a way that is not accepted.
    #[error("the algorithm {algorithm} is not accepted; sign with EdDSA or ES256")]
    AlgorithmNotAccepted {
        /// What the header names.
        algorithm: String,
    },
    /// Its header has `crit`: extensions that must be understood, of which there are none here.
    #[error("the header marks extensions as critical, and none are known")]
    CriticalExtension,
    /// The header names a key that is not in the key set.
    #[error("no key {key_id:?} in the key set")]
    KeyUnknown {
        /// The key id, cut to a length that can be logged.
        key_id: String,
    },
    /// The key that the header names is of another type than the algorithm that it names.
    #[error("key {key_id:?} is not of the token's algorithm")]
    KeyOfOtherAlgorithm {
        /// The key id.
        key_id: String,
    },
    /// The header names no key, and the key set does not have exactly one of the algorithm.
    #[error("the token names no key, and the key set has {candidates} keys of its algorithm")]
    KeyNotNamed {
        /// How many keys there are to choose from.
        candidates: usize,
    },
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    SignatureWrong,
    /// The payload is not a JSON object with claims of the right types.
    #[error("the claims do not parse")]
    ClaimsMalformed,
    /// A claim is absent.
    #[error("the claim {claim:?} is missing")]
    ClaimMissing {
        /// Its name.
        claim: &'static str,
    },
    /// The token is for somebody else.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `exp` has passed.
    #[error("the token expired at {expired_at} ms since 1970")]
    Expired {
        /// The moment from which it was refused.
        expired_at: TimestampMs,
    },
    /// `nbf` or `iat` lies further in the future than the leeway.
    #[error("the claim {claim:?} lies in the future")]
    NotYetValid {
        /// Which of the two.
        claim: &'static str,
    },
    /// `sub` is not a user id.
    #[error("the claim \"sub\" is no user id: {0}")]
    SubjectInvalid(#[from] UserIdInvalid),
}

impl AuthError {
    /// What the client is told.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. }
            | Self::Malformed
            | Self::AlgorithmNotAccepted { .. }
            | Self::CriticalExtension
            | Self::KeyUnknown { .. }
            | Self::KeyOfOtherAlgorithm { .. }
            | Self::KeyNotNamed { .. }
            | Self::SignatureWrong
            | Self::ClaimsMalformed
            | Self::ClaimMissing { .. }
            | Self::NotYetValid { .. } => ErrorCode::TokenInvalid,
            Self::WrongAudience => ErrorCode::TokenWrongAudience,
            Self::Expired { .. } => ErrorCode::TokenExpired,
            Self::SubjectInvalid(_) => ErrorCode::UserIdInvalid,
        }
    }
}

/// Why a file of keys is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not a JSON object with an array `keys`.
    #[error("not a JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    /// It has more keys than anybody needs at once.
    #[error("{keys} keys are more than {keys_max}")]
    TooManyKeys {
        /// How many it has.
        keys: usize,
        /// How many it may have.
        keys_max: usize,
    },
    /// A key of an accepted type is broken.
    #[error("key {index} (counted from 0): {problem}")]
    KeyInvalid {
        /// Which one.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Two keys answer to one name.
    #[error("two keys are named {key_id:?}")]
    KeyIdTwice {
        /// The name.
        key_id: String,
    },
    /// No token could be verified with it.
    #[error("no usable key (Ed25519 with EdDSA, or P-256 with ES256)")]
    NoUsableKey,
}
