//! Everything that a trial needs and a production server is given: a certificate authority, a certificate
//! for this machine, and a key that signs tokens. Used by `fulmar serve --dev`, `fulmar token`, the
//! demonstration and the tests.
//!
//! It all lies in `DIR/dev`, the private parts readable by their owner alone. What is there is kept: clients
//! that trust the authority, and tokens that were given out, stay good. Keys are made by the cryptographic
//! library with its own randomness, never from a seed.
//!
//! The authority can vouch for `localhost`, `127.0.0.1` and `::1` only, so that trusting it, even for good,
//! gives nobody power over other names.

mod certificates;
mod error;
mod files;
mod signing_key;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fulmar_protocol::UserId;

pub use error::DevelopmentError;

use crate::clock::Clock;
use crate::config::{Config, Credentials};
use signing_key::SigningKey;

/// The names of the files in `DIR/dev`.
mod names {
    pub(super) const LOCK: &str = "lock";
    pub(super) const AUTHORITY: &str = "ca.pem";
    pub(super) const AUTHORITY_KEY: &str = "ca-key.pem";
    pub(super) const CERTIFICATE: &str = "certificate.pem";
    pub(super) const CERTIFICATE_KEY: &str = "key.pem";
    pub(super) const TOKEN_KEY: &str = "token-key.pem";
    pub(super) const KEY_SET: &str = "jwks.json";
}

/// The development credentials of a data folder.
#[derive(Debug)]
pub struct Development {
    folder: PathBuf,
    signing_key: SigningKey,
    clock: Clock,
}

impl Development {
    /// What the tokens are for.
    pub const AUDIENCE: &str = "fulmar";

    /// Makes what is missing in `data/dev`, renews a certificate that is about to expire, and opens it. May
    /// be called by several processes at once.
    ///
    /// # Errors
    /// When a file cannot be written or read, or an existing one is broken.
    pub fn create_or_open(data: &Path, clock: Clock) -> Result<Self, DevelopmentError> {
        let folder = folder_in(data);
        let _lock = files::lock(&folder)?;
        let signing_key = SigningKey::create_or_open(&folder)?;
        signing_key.publish(&folder)?;
        certificates::create_or_renew(&folder, clock.now())?;
        Ok(Self { folder, signing_key, clock })
    }

    /// Opens what [`Development::create_or_open`] made, to issue tokens.
    ///
    /// # Errors
    /// When there is no development key in the folder, or it cannot be read.
    pub fn open(data: &Path, clock: Clock) -> Result<Self, DevelopmentError> {
        let folder = folder_in(data);
        match SigningKey::open(&folder)? {
            Some(signing_key) => Ok(Self { folder, signing_key, clock }),
            None => Err(DevelopmentError::NoKey { folder, data: data.to_owned() }),
        }
    }

    /// The certificate of the authority, which clients are to trust.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join(names::AUTHORITY)
    }

    /// The files that a server starts with.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            certificate: self.folder.join(names::CERTIFICATE),
            key: self.folder.join(names::CERTIFICATE_KEY),
            jwks: self.folder.join(names::KEY_SET),
        }
    }

    /// Puts the development credentials, and the audience of the tokens, in the place of whatever
    /// credentials a configuration names.
    pub fn configure(&self, config: &mut Config) {
        let Credentials { certificate, key, jwks } = self.credentials();
        (config.tls.certificate, config.tls.key) = (Some(certificate), Some(key));
        config.auth.jwks = Some(jwks);
        Self::AUDIENCE.clone_into(&mut config.auth.audience);
    }

    /// A token for a user, good from now for `ttl` (whole seconds, rounded up).
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn issue_token(&self, user: &UserId, ttl: Duration) -> Result<String, DevelopmentError> {
        self.signing_key.sign(user, Self::AUDIENCE, self.clock.now(), ttl)
    }
}

fn folder_in(data: &Path) -> PathBuf {
    data.join("dev")
}
