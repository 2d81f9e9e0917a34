//! The development authority and the server certificate that it signs.
//!
//! The authority lasts twenty years. The server certificate lasts a year and is made anew, with the same
//! key, when it would not verify under the authority a month from now, for whatever reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fulmar_protocol::TimestampMs;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::files::{Readers, read, read_or_make_key, write};
use super::{DevelopmentError, names};
use crate::certificate_making::{AUTHORITY_LIFETIME, certificate_params, is_of_key};
use crate::transport::tls::crypto_provider;

const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const RENEWED_BEFORE_ITS_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Makes the authority and the server certificate where they are missing, broken or about to expire.
pub(super) fn create_or_renew(folder: &Path, now: TimestampMs) -> Result<(), DevelopmentError> {
    let authority_key = read_or_make_key(&folder.join(names::AUTHORITY_KEY), &PKCS_ECDSA_P256_SHA256)?;
    let server_key = read_or_make_key(&folder.join(names::CERTIFICATE_KEY), &PKCS_ECDSA_P256_SHA256)?;
    let authority_path = folder.join(names::AUTHORITY);
    let params = authority_params(now);
    let authority = match read_certificate(&authority_path)? {
        Some(authority) if is_of_key(&authority, &authority_key) => authority,
        _ => {
            let made = params.self_signed(&authority_key)?;
            write(&authority_path, made.pem().as_bytes(), Readers::Everybody)?;
            made.der().clone()
        }
    };
    let certificate_path = folder.join(names::CERTIFICATE);
    let current = read_certificate(&certificate_path)?;
    let good = current.is_some_and(|certificate| {
        is_of_key(&certificate, &server_key)
            && [now, now.plus(RENEWED_BEFORE_ITS_END)]
                .into_iter()
                .all(|at| verifies(&certificate, &authority, at))
    });
    if !good {
        let issuer = Issuer::new(params, authority_key);
        let made = server_params(now)?.signed_by(&server_key, &issuer)?;
        write(&certificate_path, made.pem().as_bytes(), Readers::Everybody)?;
    }
    Ok(())
}

fn authority_params(now: TimestampMs) -> CertificateParams {
    let mut params = params("Fulmar development authority", now, AUTHORITY_LIFETIME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix(Ipv4Addr::LOCALHOST.octets(), 32)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128)),
        ],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn server_params(now: TimestampMs) -> Result<CertificateParams, DevelopmentError> {
    let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let mut params = params("Fulmar development server", now, CERTIFICATE_LIFETIME);
    params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into()?)];
    params.subject_alt_names.extend(addresses.map(rcgen::SanType::IpAddress));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn params(name: &str, now: TimestampMs, lifetime: Duration) -> CertificateParams {
    let mut params = certificate_params(name, now, lifetime);
    // A renewed certificate must not have the number of the one before it, whose key it has.
    params.serial_number = Some(SerialNumber::from(now.get().max(1)));
    params
}

/// Reads a certificate; `None` when it is not there, or is none.
fn read_certificate(path: &Path) -> Result<Option<CertificateDer<'static>>, DevelopmentError> {
    let contents = read(path)?;
    Ok(contents.and_then(|contents| CertificateDer::from_pem_slice(&contents).ok()))
}

/// Whether a client that trusts the authority alone would take the certificate at that time, by each name.
fn verifies(certificate: &CertificateDer<'_>, authority: &CertificateDer<'static>, at: TimestampMs) -> bool {
    let mut roots = RootCertStore::empty();
    if roots.add(authority.clone()).is_err() {
        return false;
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto_provider());
    let Ok(verifier) = builder.build() else { return false };
    let at = UnixTime::since_unix_epoch(Duration::from_millis(at.get()));
    ["localhost", "127.0.0.1", "::1"].into_iter().all(|name| {
        ServerName::try_from(name)
            .is_ok_and(|name| verifier.verify_server_cert(certificate, &[], &name, &[], at).is_ok())
    })
}
