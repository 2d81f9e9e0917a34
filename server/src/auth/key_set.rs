//! The keys that tokens are verified with: a JSON Web Key Set (RFC 7517) of Ed25519 and P-256 keys.
//!
//! Keys of other types or uses are passed over with a warning, since one file often serves several
//! programs. A broken key of an accepted type refuses the whole file: half a rotation is worse than none.
//! Whether a P-256 point lies on its curve is not checked here; with one that does not, every signature is
//! wrong.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde::Deserialize;
use tracing::warn;

use super::{AuthError, KeySetError};

/// How long a file of keys may be, in bytes.
pub(super) const KEY_SET_BYTES_MAX: u64 = 64 * 1024;
/// How many keys it may hold, of whatever type.
const KEYS_MAX: usize = 64;
/// How long a key's name may be, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;
/// How much of a name from a token is kept for the log, in characters.
const KEY_ID_LOGGED_CHARS_MAX: usize = 64;
/// How many base64url digits 32 bytes have: an Ed25519 key, and each coordinate of a P-256 one.
const DIGITS_OF_32_BYTES: usize = 43;

/// One key and how it is used.
pub(super) struct VerificationKey {
    key_id: Option<String>,
    algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
    pub(super) validation: Validation,
}

/// The keys in force.
#[derive(Debug)]
pub(super) struct KeySet(Vec<VerificationKey>);

#[derive(Deserialize)]
struct File {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    public_key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    d: Option<serde::de::IgnoredAny>,
}

impl KeySet {
    pub(super) fn parse(contents: &[u8]) -> Result<Self, KeySetError> {
        let file: File = serde_json::from_slice(contents)?;
        if file.keys.len() > KEYS_MAX {
            return Err(KeySetError::TooManyKeys { keys: file.keys.len(), keys_max: KEYS_MAX });
        }
        let mut keys: Vec<VerificationKey> = Vec::new();
        for (index, value) in file.keys.into_iter().enumerate() {
            let invalid = |problem: String| KeySetError::KeyInvalid { index, problem };
            let jwk: Jwk = serde_json::from_value(value).map_err(|error| invalid(error.to_string()))?;
            if jwk.d.is_some() {
                warn!(index, "the key set holds a private key: whoever can read it can sign tokens");
            }
            match jwk.into_key() {
                Ok(key) => {
                    if let Some(key_id) = key.key_id.as_ref()
                        && keys.iter().any(|other| other.key_id.as_ref() == Some(key_id))
                    {
                        return Err(KeySetError::KeyIdTwice { key_id: key_id.clone() });
                    }
                    keys.push(key);
                }
                Err(Unfit::PassedOver(reason)) => warn!(index, reason, "a key of the key set is passed over"),
                Err(Unfit::Broken(problem)) => return Err(invalid(problem)),
            }
        }
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// The one key that may have signed a token with this header. The algorithm that the header names only
    /// ever confirms the key's own.
    pub(super) fn select(&self, header: &Header) -> Result<&VerificationKey, AuthError> {
        if !matches!(header.alg, Algorithm::EdDSA | Algorithm::ES256) {
            return Err(AuthError::AlgorithmNotAccepted { algorithm: format!("{:?}", header.alg) });
        }
        if header.crit.is_some() {
            return Err(AuthError::CriticalExtension);
        }
        let Some(key_id) = &header.kid else {
            let mut candidates = self.0.iter().filter(|key| key.algorithm == header.alg);
            return match (candidates.next(), candidates.count()) {
                (Some(only), 0) => Ok(only),
                (first, others) => {
                    Err(AuthError::KeyNotNamed { candidates: usize::from(first.is_some()) + others })
                }
            };
        };
        let logged = || key_id.chars().take(KEY_ID_LOGGED_CHARS_MAX).collect();
        match self.0.iter().find(|key| key.key_id.as_ref() == Some(key_id)) {
            None => Err(AuthError::KeyUnknown { key_id: logged() }),
            Some(key) if key.algorithm == header.alg => Ok(key),
            Some(_) => Err(AuthError::KeyOfOtherAlgorithm { key_id: logged() }),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Why a key is not taken.
enum Unfit {
    /// It is meant for something else.
    PassedOver(&'static str),
    /// It is of an accepted type, and wrong.
    Broken(String),
}

impl Jwk {
    fn into_key(self) -> Result<VerificationKey, Unfit> {
        if self.kid.as_ref().is_some_and(|key_id| key_id.len() > KEY_ID_BYTES_MAX) {
            let problem = format!("its \"kid\" is longer than {KEY_ID_BYTES_MAX} bytes");
            return Err(Unfit::Broken(problem));
        }
        let (algorithm, algorithm_name) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, ["EdDSA", "Ed25519"].as_slice()),
            ("EC", Some("P-256")) => (Algorithm::ES256, ["ES256"].as_slice()),
            _ => return Err(Unfit::PassedOver("its type is neither Ed25519 nor P-256")),
        };
        if self.public_key_use.is_some_and(|public_key_use| public_key_use != "sig") {
            return Err(Unfit::PassedOver("its \"use\" is not \"sig\""));
        }
        if self.key_ops.is_some_and(|operations| !operations.iter().any(|one| one == "verify")) {
            return Err(Unfit::PassedOver("its \"key_ops\" does not have \"verify\""));
        }
        if self.alg.is_some_and(|alg| !algorithm_name.contains(&alg.as_str())) {
            return Err(Unfit::PassedOver("its \"alg\" is not that of its type"));
        }
        let x = coordinate("x", self.x)?;
        let decoding = match algorithm {
            Algorithm::EdDSA => DecodingKey::from_ed_components(&x),
            _ => DecodingKey::from_ec_components(&x, &coordinate("y", self.y)?),
        };
        let decoding = decoding.map_err(|error| Unfit::Broken(error.to_string()))?;
        Ok(VerificationKey { key_id: self.kid, algorithm, decoding, validation: signature_only(algorithm) })
    }
}

fn coordinate(name: &str, digits: Option<String>) -> Result<String, Unfit> {
    match digits {
        Some(digits) if digits.len() == DIGITS_OF_32_BYTES => Ok(digits),
        Some(_) => Err(Unfit::Broken(format!("its {name:?} is not 32 bytes in base64url"))),
        None => Err(Unfit::Broken(format!("it has no {name:?}"))),
    }
}

/// Has the library check the signature alone. The claims are checked in `claims`, as the library would ask
/// the machine for the time.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} ({:?})", self.key_id, self.algorithm)
    }
}
