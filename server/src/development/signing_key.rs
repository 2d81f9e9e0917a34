//! The key that signs development tokens, Ed25519, and its public half in a key set.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use fulmar_protocol::{TimestampMs, UserId};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ED25519};
use serde_json::{Value, json};

use super::files::{Readers, read, read_key, read_or_make_key, write};
use super::{DevelopmentError, names};

/// The key that signs development tokens.
pub(super) struct SigningKey {
    signing: EncodingKey,
    public: Jwk,
    key_id: String,
}

#[derive(serde::Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl SigningKey {
    /// Opens the key, or makes one. Call it with the folder locked.
    pub(super) fn create_or_open(folder: &Path) -> Result<Self, DevelopmentError> {
        Self::of(&read_or_make_key(&folder.join(names::TOKEN_KEY), &PKCS_ED25519)?)
    }

    /// Opens the key; `None` when there is none.
    pub(super) fn open(folder: &Path) -> Result<Option<Self>, DevelopmentError> {
        let pair = read_key(&folder.join(names::TOKEN_KEY), &PKCS_ED25519)?;
        pair.map(|pair| Self::of(&pair)).transpose()
    }

    fn of(pair: &KeyPair) -> Result<Self, DevelopmentError> {
        let decoding = DecodingKey::from_ed_der(pair.public_key_raw());
        let mut public = Jwk::from_decoding_key(&decoding, Some(Algorithm::EdDSA))?;
        let key_id = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(key_id.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { signing: EncodingKey::from_ed_der(pair.serialized_der()), public, key_id })
    }

    /// Writes the key set that the server verifies tokens with, unless the one that is there has the key:
    /// somebody may have added keys to it.
    pub(super) fn publish(&self, folder: &Path) -> Result<(), DevelopmentError> {
        let path = folder.join(names::KEY_SET);
        let current: Option<Value> = read(&path)?.and_then(|contents| serde_json::from_slice(&contents).ok());
        let keys = current.as_ref().and_then(|current| current.get("keys")?.as_array());
        let named = |key: &Value| key.get("kid").and_then(Value::as_str) == Some(&self.key_id);
        if keys.is_some_and(|keys| keys.iter().any(named)) {
            return Ok(());
        }
        let contents = format!("{:#}\n", json!({ "keys": [self.public] }));
        write(&path, contents.as_bytes(), Readers::Everybody)
    }

    pub(super) fn sign(
        &self,
        user: &UserId,
        audience: &str,
        now: TimestampMs,
        ttl: Duration,
    ) -> Result<String, DevelopmentError> {
        let issued_at = now.get() / 1_000;
        let ttl = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
        let expires_at = issued_at.saturating_add(ttl);
        let claims = Claims { sub: user.as_str(), aud: audience, iat: issued_at, exp: expires_at };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        Ok(jsonwebtoken::encode(&header, &claims, &self.signing)?)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.key_id)
    }
}
