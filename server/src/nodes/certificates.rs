//! The cluster's authority, and the certificates of nodes that it signs.
//!
//! Every node's certificate bears the same name and serves both ends of a link. What tells nodes apart is each
//! certificate's fingerprint, in the node's row; so no address is in it, and a certificate may be made before it is
//! known where its node will run.
//!
//! Keys are Ed25519, whose signatures all have one length, and so have the numbers of certificates: in a simulation
//! packets have the same lengths in every run.
//!
//! Absent: names other than [`NODE_NAME`], files (who calls decides where they are), and revocation.

use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::TimestampMs;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};

use super::Fingerprint;
use super::link::NODE_NAME;
use crate::certificate_making::{AUTHORITY_LIFETIME, certificate_params, is_of_key};
use crate::transport::tls::crypto_provider;

/// The authority's own name, which each certificate that it signs repeats: one that was made by other means has
/// another, and its certificates would not verify.
const AUTHORITY_NAME: &str = "Fulmar cluster authority";
/// Bytes of the name of a node's certificate, as X.509 bounds it.
const NAME_BYTES_MAX: usize = 64;

/// Signs the certificates of a cluster's nodes.
pub struct ClusterAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate and its key, as the text of two files.
pub struct ClusterCertificate {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM. For the owner's eyes only.
    pub key_pem: String,
    /// SHA-256 of the certificate, in hex: how logs name it.
    pub fingerprint: String,
    /// When it ceases to be good.
    pub not_after: TimestampMs,
}

/// Why a certificate of a cluster is not made.
#[derive(Debug, thiserror::Error)]
pub enum ClusterCertificateError {
    /// The authority's certificate is none.
    #[error("the authority's certificate is no PEM block CERTIFICATE")]
    AuthorityInvalid,
    /// The authority's key is none.
    #[error("the authority's key cannot be used: {0}")]
    KeyInvalid(String),
    /// Of two authorities, perhaps.
    #[error("the authority's key is not the key of its certificate")]
    KeyOfOtherAuthority,
    /// The name is for people and for files.
    #[error(
        "a name is 1 to {NAME_BYTES_MAX} bytes of letters, digits, `-`, `_` and `.`, and begins with no `.`"
    )]
    NameInvalid,
    /// Made by other means, perhaps, and under another name.
    #[error("nodes with this authority would refuse its certificates: {0}")]
    WouldBeRefused(String),
    /// The library refuses the settings, which do not depend on anything set.
    #[error("a certificate cannot be made: {0}")]
    Making(#[from] rcgen::Error),
}

impl ClusterAuthority {
    /// Makes an authority.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn create(now: TimestampMs) -> Result<ClusterCertificate, ClusterCertificateError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = authority_params(now);
        params.serial_number = Some(serial_number(&key));
        let made = params.self_signed(&key)?;
        Ok(certificate(&made, &key, now.plus(AUTHORITY_LIFETIME)))
    }

    /// An authority that [`ClusterAuthority::create`] made.
    ///
    /// # Errors
    /// When certificate or key cannot be read, or do not belong together.
    pub fn open(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, ClusterCertificateError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem)
            .map_err(|_| ClusterCertificateError::AuthorityInvalid)?;
        let invalid = |cause: &dyn ToString| ClusterCertificateError::KeyInvalid(cause.to_string());
        let key = std::str::from_utf8(key_pem).map_err(|cause| invalid(&cause))?;
        let key = KeyPair::from_pem(key).map_err(|cause| invalid(&cause))?;
        if !is_of_key(&certificate, &key) {
            return Err(ClusterCertificateError::KeyOfOtherAuthority);
        }
        // Of these only the name and the key reach what is signed.
        let params = authority_params(TimestampMs::new(0));
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Makes and signs the certificate of a node. The name is for people: nodes judge by the fingerprint.
    ///
    /// # Errors
    /// When the name is none, or the authority is of another make.
    pub fn issue(
        &self,
        name: &str,
        now: TimestampMs,
        lifetime: Duration,
    ) -> Result<ClusterCertificate, ClusterCertificateError> {
        let letter = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || name.starts_with('.') || !name.bytes().all(letter) {
            return Err(ClusterCertificateError::NameInvalid);
        }
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = certificate_params(name, now, lifetime);
        params.subject_alt_names = vec![SanType::DnsName(NODE_NAME.try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial_number(&key));
        let made = params.signed_by(&key, &self.issuer)?;
        let not_after = now.plus(lifetime);
        self.verify(made.der(), now)?;
        Ok(certificate(&made, &key, not_after))
    }

    /// As a node judges it that has this authority.
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        at: TimestampMs,
    ) -> Result<(), ClusterCertificateError> {
        let refused = |cause: &dyn ToString| ClusterCertificateError::WouldBeRefused(cause.to_string());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(|cause| refused(&cause))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto_provider());
        let verifier = verifier.build().map_err(|cause| refused(&cause))?;
        let name = ServerName::try_from(NODE_NAME).map_err(|cause| refused(&cause))?;
        let at = UnixTime::since_unix_epoch(Duration::from_millis(at.get()));
        verifier.verify_server_cert(certificate, &[], &name, &[], at).map_err(|cause| refused(&cause))?;
        Ok(())
    }
}

fn authority_params(now: TimestampMs) -> CertificateParams {
    let mut params = certificate_params(AUTHORITY_NAME, now, AUTHORITY_LIFETIME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Follows from the key. No leading zeros, which would be left out, and no sign.
fn serial_number(key: &KeyPair) -> SerialNumber {
    let digest: [u8; 32] = Sha256::digest(key.public_key_raw()).into();
    let [first, rest @ ..] = digest;
    let number: Vec<u8> = std::iter::once(first & 0x3f | 0x40).chain(rest.into_iter().take(15)).collect();
    SerialNumber::from(number)
}

fn certificate(made: &rcgen::Certificate, key: &KeyPair, not_after: TimestampMs) -> ClusterCertificate {
    let fingerprint = Fingerprint::new(Sha256::digest(made.der()).into());
    ClusterCertificate {
        certificate_pem: made.pem(),
        key_pem: key.serialize_pem(),
        fingerprint: fingerprint.to_string(),
        not_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimestampMs = TimestampMs::new(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn open(
        one: &ClusterCertificate,
        other: &ClusterCertificate,
    ) -> Result<ClusterAuthority, ClusterCertificateError> {
        ClusterAuthority::open(one.certificate_pem.as_bytes(), other.key_pem.as_bytes())
    }

    #[test]
    fn an_authority_that_was_written_down_signs_certificates_that_it_vouches_for() {
        let made = ClusterAuthority::create(NOW).unwrap();
        let authority = open(&made, &made).unwrap();
        let (one, other) =
            (authority.issue("one", NOW, DAY).unwrap(), authority.issue("one", NOW, DAY).unwrap());
        assert_ne!(one.fingerprint, other.fingerprint);
        assert_eq!(one.not_after, NOW.plus(DAY));
    }

    #[test]
    fn an_authority_of_another_make_signs_nothing_that_nodes_would_refuse() {
        let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
        let mut params = certificate_params("Another authority", NOW, DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(&key).unwrap();
        let authority =
            ClusterAuthority::open(made.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let refusal = authority.issue("one", NOW, DAY).err().unwrap();
        assert!(matches!(refusal, ClusterCertificateError::WouldBeRefused(_)), "{refusal}");
    }

    #[test]
    fn certificate_and_key_of_two_authorities_make_none() {
        let (one, other) = (ClusterAuthority::create(NOW).unwrap(), ClusterAuthority::create(NOW).unwrap());
        let refusal = open(&one, &other).err().unwrap();
        assert!(matches!(refusal, ClusterCertificateError::KeyOfOtherAuthority), "{refusal}");
        let refusal = ClusterAuthority::open(one.key_pem.as_bytes(), one.key_pem.as_bytes()).err().unwrap();
        assert!(matches!(refusal, ClusterCertificateError::AuthorityInvalid), "{refusal}");
        let pem = one.certificate_pem.as_bytes();
        let refusal = ClusterAuthority::open(pem, pem).err().unwrap();
        assert!(matches!(refusal, ClusterCertificateError::KeyInvalid(_)), "{refusal}");
    }

    #[test]
    fn a_name_is_one_that_a_file_may_have() {
        let made = ClusterAuthority::create(NOW).unwrap();
        let authority = open(&made, &made).unwrap();
        let long = "x".repeat(65);
        for name in ["", ".", "../x", "a/b", "a b", "ä", long.as_str()] {
            let refusal = authority.issue(name, NOW, DAY).err().unwrap();
            assert!(matches!(refusal, ClusterCertificateError::NameInvalid), "{name}: {refusal}");
        }
        assert!(authority.issue("node-1.example_a", NOW, DAY).is_ok());
    }
}
