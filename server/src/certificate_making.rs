//! What all certificates that Fulmar makes have in common.

use std::time::Duration;

use fulmar_protocol::TimestampMs;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::transport::tls::crypto_provider;

/// How far back validity begins: a peer's clock may be behind.
const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);
/// The last moment that is put into a certificate, in the year 9000: later ones do not fit.
const LATEST: TimestampMs = TimestampMs::new(221_845_000_000_000);

/// The longest that a certificate is good: the year 9999 is the last that can be written.
const LIFETIME_MAX: Duration = Duration::from_secs(900 * 365 * 24 * 60 * 60);

/// How long an authority says that it is good. Longer than anybody plans for: those who trust it seldom look.
pub(crate) const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 60 * 60);

/// A certificate of that name, good from a day before `now` to `lifetime` after it. Its number follows from its key.
pub(crate) fn certificate_params(name: &str, now: TimestampMs, lifetime: Duration) -> CertificateParams {
    let start_of_1970 = date_time_ymd(1970, 1, 1);
    let now = Duration::from_millis(now.min(LATEST).get());
    let not_before = now.saturating_sub(BACKDATED);
    let not_after = now.saturating_add(lifetime.min(LIFETIME_MAX));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = start_of_1970 + not_before;
    params.not_after = start_of_1970 + not_after;
    params
}

/// Whether the certificate is that key's.
pub(crate) fn is_of_key(certificate: &CertificateDer<'static>, key: &KeyPair) -> bool {
    let key = PrivateKeyDer::try_from(key.serialize_der()).ok();
    let key = key.and_then(|key| crypto_provider().key_provider.load_private_key(key).ok());
    key.is_some_and(|key| CertifiedKey::new(vec![certificate.clone()], key).keys_match().is_ok())
}
