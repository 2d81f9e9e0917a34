//! From a token to a user.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fulmar_protocol::{TimestampMs, UserId, limits};
use jsonwebtoken::errors::ErrorKind;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{error, info};

use super::claims::Claims;
use super::key_set::{KEY_SET_BYTES_MAX, KeySet};
use super::{AuthError, KeySetError};
use crate::watched_files::WatchedFiles;

/// How tokens are verified.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// The file with the keys: a JSON Web Key Set.
    pub key_set: PathBuf,
    /// What `aud` must name.
    pub audience: String,
    /// How far `iat` and `nbf` may lie in the future: the backend's clock may be ahead of the server's.
    pub leeway: Duration,
    /// Counts the times when a changed file of keys could not be taken.
    pub reload_failures: Counter,
}

/// Who a token says that its bearer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `sub`.
    pub user: UserId,
    /// `iat`. A token issued up to the moment of a revocation is refused.
    pub issued_at: TimestampMs,
    /// `exp`. The session ends then.
    pub expires_at: TimestampMs,
}

/// Verifies tokens. Cheap to clone; clones share the keys.
///
/// The file of keys is looked at as tokens come in, at most once a second (and at once when a token names a
/// key that is not known, so that a new key works from the moment it is in the file). When a changed file
/// is broken, the keys before it stay in force.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    keys: ArcSwap<KeySet>,
    file: Mutex<WatchedFiles<1>>,
    options: AuthOptions,
}

impl Authenticator {
    /// Reads the keys.
    ///
    /// # Errors
    /// When the file cannot be read, is no key set, or has no usable key.
    pub fn open(options: AuthOptions) -> Result<Self, KeySetError> {
        let mut file = WatchedFiles::new([options.key_set.clone()], KEY_SET_BYTES_MAX);
        let keys = match file.changed(Instant::now(), false) {
            Some([contents]) => KeySet::parse(&contents?)?,
            None => return Err(KeySetError::NoUsableKey),
        };
        info!(file = %options.key_set.display(), keys = keys.len(), "token keys read");
        let keys = ArcSwap::from_pointee(keys);
        Ok(Self(Arc::new(Inner { keys, file: Mutex::new(file), options })))
    }

    /// Verifies a token as of `now`.
    ///
    /// # Errors
    /// When it is not a token that this server accepts now; the error tells why, and what to tell the client.
    pub fn verify(&self, token: &str, now: TimestampMs) -> Result<Identity, AuthError> {
        self.verify_at(token, now, Instant::now())
    }

    /// As `verify`, with the moment at which the file of keys may be looked at.
    pub(super) fn verify_at(
        &self,
        token: &str,
        now: TimestampMs,
        looking_at: Instant,
    ) -> Result<Identity, AuthError> {
        let (bytes, bytes_max) = (token.len(), limits::HELLO_PAYLOAD_BYTES_MAX);
        if bytes > bytes_max {
            return Err(AuthError::TooLong { bytes, bytes_max });
        }
        self.0.reload(looking_at, false);
        let mut outcome = verify_signature(&self.0.keys.load(), token);
        if let Err(AuthError::KeyUnknown { .. } | AuthError::KeyNotNamed { .. }) = outcome {
            self.0.reload(looking_at, true);
            outcome = verify_signature(&self.0.keys.load(), token);
        }
        let claims = outcome?;
        claims.check(&self.0.options.audience, self.0.options.leeway, now)
    }
}

fn verify_signature(keys: &KeySet, token: &str) -> Result<Claims, AuthError> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::Malformed)?;
    let key = keys.select(&header)?;
    match jsonwebtoken::decode::<Claims>(token, &key.decoding, &key.validation) {
        Ok(decoded) => Ok(decoded.claims),
        // The library looks at the payload only after the signature was found right.
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => AuthError::SignatureWrong,
            ErrorKind::Json(_) => AuthError::ClaimsMalformed,
            _ => AuthError::Malformed,
        }),
    }
}

impl Inner {
    /// Takes changed keys into force, if there are any.
    fn reload(&self, now: Instant, hinted: bool) {
        // When somebody else is looking, the keys that are there will do, unless they lack the one wanted.
        let file = if hinted { Some(self.file.lock()) } else { self.file.try_lock() };
        let Some([contents]) = file.and_then(|mut file| file.changed(now, hinted)) else { return };
        let path = self.options.key_set.display();
        match contents.map_err(KeySetError::from).and_then(|contents| KeySet::parse(&contents)) {
            Ok(keys) => {
                info!(file = %path, keys = keys.len(), "token keys read again");
                self.keys.store(Arc::new(keys));
            }
            Err(cause) => {
                self.options.reload_failures.increment(1);
                error!(file = %path, %cause, "changed token keys not taken; the former stay in force");
            }
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authenticator")
            .field("keys", &self.keys)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
