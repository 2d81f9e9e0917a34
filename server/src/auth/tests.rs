//! Tokens good and bad, and what becomes of the file of keys.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fulmar_protocol::{ErrorCode, TimestampMs, UserIdInvalid};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use metrics::Counter;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;

const NOW_S: u64 = 1_800_000_000;
const NOW: TimestampMs = TimestampMs::new(NOW_S * 1_000);
const LEEWAY: Duration = Duration::from_secs(5);

/// A key pair of the app's backend.
struct Issuer {
    algorithm: Algorithm,
    pair: KeyPair,
}

impl Issuer {
    fn ed25519() -> Self {
        Self { algorithm: Algorithm::EdDSA, pair: KeyPair::generate_for(&PKCS_ED25519).unwrap() }
    }

    fn p256() -> Self {
        Self { algorithm: Algorithm::ES256, pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
    }

    fn jwk(&self, key_id: Option<&str>) -> Value {
        let public = self.pair.public_key_raw();
        let key = match self.algorithm {
            Algorithm::EdDSA => DecodingKey::from_ed_der(public),
            _ => DecodingKey::from_ec_der(public),
        };
        let mut jwk = Jwk::from_decoding_key(&key, Some(self.algorithm)).unwrap();
        jwk.common.key_id = key_id.map(str::to_owned);
        serde_json::to_value(jwk).unwrap()
    }

    fn header(&self, key_id: Option<&str>) -> Header {
        let mut header = Header::new(self.algorithm);
        header.kid = key_id.map(str::to_owned);
        header
    }

    fn sign(&self, header: &Header, claims: &Value) -> String {
        let der = self.pair.serialized_der();
        let key = match self.algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_der(der),
            _ => EncodingKey::from_ec_der(der),
        };
        encode(header, claims, &key).unwrap()
    }

    fn token(&self, key_id: &str) -> String {
        self.sign(&self.header(Some(key_id)), &claims())
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "aud": "fulmar", "iat": NOW_S - 60, "exp": NOW_S + 600})
}

/// The claims with some replaced; `null` takes one out.
fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    for (claim, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
        } else {
            claims[claim] = value.clone();
        }
    }
    claims
}

/// A folder with a file of keys.
struct KeyFile {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl KeyFile {
    fn new(keys: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Self { path: folder.path().join("jwks.json"), _folder: folder };
        file.write(&json!({ "keys": keys }).to_string());
        file
    }

    fn write(&self, contents: &str) {
        fs::write(&self.path, contents).unwrap();
    }

    fn open(&self) -> Result<Authenticator, KeySetError> {
        open(&self.path)
    }
}

fn open(path: &Path) -> Result<Authenticator, KeySetError> {
    Authenticator::open(AuthOptions {
        key_set: path.to_owned(),
        audience: "fulmar".to_owned(),
        leeway: LEEWAY,
        reload_failures: Counter::noop(),
    })
}

#[test]
fn a_good_token_of_either_algorithm_names_its_user() {
    for issuer in [Issuer::ed25519(), Issuer::p256()] {
        let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
        let identity = authenticator.verify(&issuer.token("k1"), NOW).unwrap();
        assert_eq!(identity.user.as_str(), "alice");
        assert_eq!(identity.issued_at, TimestampMs::new((NOW_S - 60) * 1_000));
        assert_eq!(identity.expires_at, TimestampMs::new((NOW_S + 600) * 1_000));
    }
}

#[test]
fn every_bad_claim_is_refused_with_its_own_cause_and_code() {
    let issuer = Issuer::ed25519();
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    let refusal = |changes: Value| {
        let token = issuer.sign(&issuer.header(Some("k1")), &claims_with(changes));
        let error = authenticator.verify(&token, NOW).unwrap_err();
        (error.clone(), error.code())
    };
    for claim in ["sub", "aud", "iat", "exp"] {
        let missing = AuthError::ClaimMissing { claim };
        assert_eq!(refusal(json!({ claim: null })), (missing, ErrorCode::TokenInvalid));
    }
    let expired = AuthError::Expired { expired_at: NOW };
    assert_eq!(refusal(json!({"exp": NOW_S})), (expired, ErrorCode::TokenExpired));
    for audience in [json!("other"), json!(["other", "fulmar2"]), json!([]), json!("")] {
        let refused = (AuthError::WrongAudience, ErrorCode::TokenWrongAudience);
        assert_eq!(refusal(json!({"aud": audience})), refused);
    }
    for claim in ["nbf", "iat"] {
        let early = AuthError::NotYetValid { claim };
        assert_eq!(refusal(json!({claim: NOW_S + 6})), (early, ErrorCode::TokenInvalid));
    }
    for (claim, value) in [
        ("exp", json!("soon")),
        ("exp", json!(-5)),
        ("sub", json!(5)),
        ("aud", json!({})),
        ("nbf", json!([])),
    ] {
        assert_eq!(refusal(json!({claim: value})), (AuthError::ClaimsMalformed, ErrorCode::TokenInvalid));
    }
    for (user, cause) in [
        (String::new(), UserIdInvalid::Empty),
        ("x".repeat(300), UserIdInvalid::TooLong { bytes: 300 }),
        ("a\nb".to_owned(), UserIdInvalid::ControlCharacter),
    ] {
        let refused = (AuthError::SubjectInvalid(cause), ErrorCode::UserIdInvalid);
        assert_eq!(refusal(json!({"sub": user})), refused);
    }
}

#[test]
fn the_leeway_excuses_a_clock_that_is_ahead_but_does_not_lengthen_a_life() {
    let issuer = Issuer::p256();
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    let verify = |changes: Value, now: TimestampMs| {
        authenticator.verify(&issuer.sign(&issuer.header(Some("k1")), &claims_with(changes)), now)
    };
    assert!(verify(json!({"iat": NOW_S + 5, "nbf": NOW_S + 5}), NOW).is_ok());
    assert!(verify(json!({"exp": NOW_S}), TimestampMs::new(NOW.get() - 1)).is_ok());
    assert_eq!(verify(json!({"exp": NOW_S}), NOW), Err(AuthError::Expired { expired_at: NOW }));
    assert!(verify(json!({"aud": ["other", "fulmar"]}), NOW).is_ok());
}

#[test]
fn no_algorithm_but_the_two_is_accepted() {
    let issuer = Issuer::ed25519();
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    // The classic confusion: the public key, which everybody has, taken as the secret of an HMAC.
    let public = issuer.pair.public_key_raw();
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let mut header = Header::new(algorithm);
        header.kid = Some("k1".to_owned());
        let token = encode(&header, &claims(), &EncodingKey::from_secret(public)).unwrap();
        let refused = AuthError::AlgorithmNotAccepted { algorithm: format!("{algorithm:?}") };
        assert_eq!(authenticator.verify(&token, NOW), Err(refused));
    }
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let key = EncodingKey::from_ec_der(pair.serialized_der());
    let token = encode(&Header::new(Algorithm::ES384), &claims(), &key).unwrap();
    let refused = AuthError::AlgorithmNotAccepted { algorithm: "ES384".to_owned() };
    assert_eq!(authenticator.verify(&token, NOW), Err(refused));
    // The headers of these are {"alg":"none"}, {"alg":"RS256"} and {"alg":"EDDSA"}; signatures are made up.
    let payload = issuer.token("k1").split('.').nth(1).unwrap().to_owned();
    for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJFRERTQSJ9"] {
        for signature in ["", "AAAA"] {
            let token = format!("{header}.{payload}.{signature}");
            let error = authenticator.verify(&token, NOW).unwrap_err();
            assert_eq!(error.code(), ErrorCode::TokenInvalid, "{error}");
        }
    }
}

#[test]
fn a_key_is_only_ever_used_with_its_own_algorithm() {
    let (ed25519, p256) = (Issuer::ed25519(), Issuer::p256());
    let authenticator = KeyFile::new(&[ed25519.jwk(Some("ed")), p256.jwk(Some("p"))]).open().unwrap();
    let crossed = |key_id: &str| AuthError::KeyOfOtherAlgorithm { key_id: key_id.to_owned() };
    assert_eq!(authenticator.verify(&ed25519.token("p"), NOW), Err(crossed("p")));
    assert_eq!(authenticator.verify(&p256.token("ed"), NOW), Err(crossed("ed")));
}

#[test]
fn a_token_signed_by_another_key_is_refused_whatever_its_header_offers() {
    let (issuer, stranger) = (Issuer::ed25519(), Issuer::ed25519());
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    assert_eq!(authenticator.verify(&stranger.token("k1"), NOW), Err(AuthError::SignatureWrong));
    // A header that brings its own key: it is not even looked at.
    let mut header = stranger.header(Some("k1"));
    header.jwk = Some(serde_json::from_value(stranger.jwk(Some("k1"))).unwrap());
    header.jku = Some("https://example.org/keys".to_owned());
    let token = stranger.sign(&header, &claims());
    assert_eq!(authenticator.verify(&token, NOW), Err(AuthError::SignatureWrong));
    // A good token with one bit of the payload changed.
    let token = issuer.token("k1");
    let (start, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{}A.{signature}", &start[..start.len() - 1]);
    assert_eq!(authenticator.verify(&forged, NOW).unwrap_err().code(), ErrorCode::TokenInvalid);
}

#[test]
fn a_critical_extension_is_refused() {
    let issuer = Issuer::ed25519();
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    let mut header = issuer.header(Some("k1"));
    header.crit = Some(vec!["b64".to_owned()]);
    let token = issuer.sign(&header, &claims());
    assert_eq!(authenticator.verify(&token, NOW), Err(AuthError::CriticalExtension));
}

#[test]
fn rubbish_is_refused_without_a_panic() {
    let issuer = Issuer::ed25519();
    let authenticator = KeyFile::new(&[issuer.jwk(Some("k1"))]).open().unwrap();
    let good = issuer.token("k1");
    for end in 0..good.len() {
        assert!(authenticator.verify(&good[..end], NOW).is_err());
    }
    for rubbish in ["", ".", "..", "...", "a.b.c", "ä.ö.ü", "e30.e30.e30", "bnVsbA.bnVsbA.bnVsbA", "\0.\0.\0"]
    {
        assert_eq!(authenticator.verify(rubbish, NOW), Err(AuthError::Malformed), "{rubbish:?}");
    }
    let not_an_object = issuer.sign(&issuer.header(Some("k1")), &json!(["alice"]));
    assert_eq!(authenticator.verify(&not_an_object, NOW).unwrap_err().code(), ErrorCode::TokenInvalid);
    let long = format!("{good}{}", "A".repeat(8_192));
    assert!(matches!(authenticator.verify(&long, NOW), Err(AuthError::TooLong { bytes_max: 8_192, .. })));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", header in ".{0,60}", payload in ".{0,60}") {
        thread_local! {
            static SETUP: (KeyFile, Authenticator) = {
                let file = KeyFile::new(&[Issuer::ed25519().jwk(Some("k1"))]);
                let authenticator = file.open().unwrap();
                (file, authenticator)
            };
        }
        SETUP.with(|(_, authenticator)| {
            assert!(authenticator.verify(&text, NOW).is_err());
            assert!(authenticator.verify(&format!("{header}.{payload}.AAAA"), NOW).is_err());
        });
    }
}

#[test]
fn a_token_that_names_no_key_is_taken_when_only_one_fits() {
    let (first, second, other) = (Issuer::ed25519(), Issuer::ed25519(), Issuer::p256());
    let nameless = first.sign(&first.header(None), &claims());
    let keys = [first.jwk(Some("k1")), other.jwk(None)];
    let authenticator = KeyFile::new(&keys).open().unwrap();
    assert!(authenticator.verify(&nameless, NOW).is_ok());
    let nameless_other = other.sign(&other.header(None), &claims());
    assert!(authenticator.verify(&nameless_other, NOW).is_ok());
    let both = KeyFile::new(&[first.jwk(Some("k1")), second.jwk(Some("k2"))]).open().unwrap();
    assert_eq!(both.verify(&nameless, NOW), Err(AuthError::KeyNotNamed { candidates: 2 }));
    assert_eq!(both.verify(&nameless_other, NOW), Err(AuthError::KeyNotNamed { candidates: 0 }));
}

#[test]
fn keys_are_rotated_without_a_restart() {
    let (old, new) = (Issuer::ed25519(), Issuer::p256());
    let file = KeyFile::new(&[old.jwk(Some("old"))]);
    let authenticator = file.open().unwrap();
    let start = Instant::now() + Duration::from_secs(100);
    let at = |millis| start + Duration::from_millis(millis);
    assert!(authenticator.verify_at(&old.token("old"), NOW, at(0)).is_ok());
    let unknown = Err(AuthError::KeyUnknown { key_id: "new".to_owned() });
    assert_eq!(authenticator.verify_at(&new.token("new"), NOW, at(100)), unknown);
    file.write(&json!({"keys": [old.jwk(Some("old")), new.jwk(Some("new"))]}).to_string());
    assert!(authenticator.verify_at(&new.token("new"), NOW, at(200)).is_ok(), "a token of a new key");
    assert!(authenticator.verify_at(&old.token("old"), NOW, at(300)).is_ok());
    file.write(&json!({"keys": [new.jwk(Some("new"))]}).to_string());
    let unknown = Err(AuthError::KeyUnknown { key_id: "old".to_owned() });
    assert_eq!(authenticator.verify_at(&old.token("old"), NOW, at(1_400)), unknown);
}

#[test]
fn a_broken_new_file_keeps_the_old_keys() {
    let issuer = Issuer::ed25519();
    let file = KeyFile::new(&[issuer.jwk(Some("k1"))]);
    let authenticator = file.open().unwrap();
    let start = Instant::now() + Duration::from_secs(100);
    let broken =
        ["", "{", "{}", "[]", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#];
    let mut seconds = 0;
    for contents in broken {
        file.write(contents);
        seconds += 2;
        let looking_at = start + Duration::from_secs(seconds);
        assert!(authenticator.verify_at(&issuer.token("k1"), NOW, looking_at).is_ok(), "{contents}");
    }
    fs::remove_file(&file.path).unwrap();
    let looking_at = start + Duration::from_secs(seconds + 2);
    assert!(authenticator.verify_at(&issuer.token("k1"), NOW, looking_at).is_ok());
    let next = Issuer::ed25519();
    file.write(&json!({"keys": [next.jwk(Some("k2"))]}).to_string());
    let looking_at = start + Duration::from_secs(seconds + 4);
    assert!(authenticator.verify_at(&next.token("k2"), NOW, looking_at).is_ok());
}

#[test]
fn keys_of_other_types_and_uses_are_passed_over() {
    let (issuer, other) = (Issuer::ed25519(), Issuer::p256());
    let mut encryption = other.jwk(Some("e"));
    encryption["use"] = json!("enc");
    let mut other_algorithm = other.jwk(Some("f"));
    other_algorithm["alg"] = json!("ES384");
    let mut signs_only = other.jwk(Some("g"));
    signs_only["key_ops"] = json!(["sign"]);
    let file = KeyFile::new(&[
        json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"}),
        json!({"kty": "oct", "k": "AAAA", "kid": "b"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "c"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "d"}),
        encryption,
        other_algorithm,
        signs_only,
        issuer.jwk(Some("k1")),
    ]);
    let authenticator = file.open().unwrap();
    assert!(authenticator.verify(&issuer.token("k1"), NOW).is_ok());
    for key_id in ["a", "b", "c", "d", "e", "f", "g"] {
        let refused = AuthError::KeyUnknown { key_id: key_id.to_owned() };
        assert_eq!(authenticator.verify(&other.token(key_id), NOW), Err(refused));
    }
}

#[test]
fn a_file_of_keys_is_bounded_and_its_faults_are_named() {
    let issuer = Issuer::ed25519();
    let problem = |keys: &[Value]| KeyFile::new(keys).open().unwrap_err().to_string();
    let many: Vec<Value> = (0..65).map(|n| issuer.jwk(Some(&n.to_string()))).collect();
    assert_eq!(problem(&many), "65 keys are more than 64");
    assert_eq!(problem(&[issuer.jwk(Some("k")), issuer.jwk(Some("k"))]), "two keys are named \"k\"");
    assert_eq!(
        problem(&[json!({"kty": "RSA"}), json!({"kty": "OKP", "crv": "Ed25519"})]),
        "key 1 (counted from 0): it has no \"x\""
    );
    assert_eq!(
        problem(&[json!({"kty": "OKP", "crv": "Ed25519", "x": "*".repeat(43)})]),
        "key 0 (counted from 0): Base64 error: Invalid symbol 42, offset 0."
    );
    assert_eq!(problem(&[]), "no usable key (Ed25519 with EdDSA, or P-256 with ES256)");
    let file = KeyFile::new(&[]);
    file.write(&" ".repeat(65 * 1024));
    assert!(file.open().unwrap_err().to_string().ends_with("is longer than 65536 bytes"));
    let missing = open(Path::new("/nonexistent/jwks.json")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read /nonexistent/jwks.json: "), "{missing}");
}
