//! Tokens with any claims, signed with the development key.

use std::path::Path;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::KeyPair;
use serde_json::Value;

/// Signs claims with the key in the development folder of `data`.
pub(super) fn sign(data: &Path, claims: &Value) -> String {
    let folder = data.join("dev");
    let key = std::fs::read_to_string(folder.join("token-key.pem")).unwrap();
    let key = KeyPair::from_pem(&key).unwrap();
    let set: Value = serde_json::from_slice(&std::fs::read(folder.join("jwks.json")).unwrap()).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(set["keys"][0]["kid"].as_str().unwrap().to_owned());
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(key.serialized_der())).unwrap()
}
