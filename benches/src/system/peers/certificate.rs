//! The certificate of a peer's server: made anew for each start, by an authority that its clients trust alone.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;

use crate::{error::BenchError, place::SERVER_NAME};

/// Files for the server, and the authority for its clients.
#[derive(Clone)]
pub(super) struct Certificate {
    pub(super) authority_file: PathBuf,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    /// Certificate and key in one file.
    pub(super) both_file: PathBuf,
    authority: CertificateDer<'static>,
}

impl Certificate {
    /// Makes one for [`SERVER_NAME`] and the address, in this folder.
    pub(super) fn make(folder: &std::path::Path, address: IpAddr) -> Result<Self, BenchError> {
        let wrong = |error: rcgen::Error| BenchError::Wrong(format!("cannot make a certificate: {error}"));
        let mut authority_params = params(Vec::new()).map_err(wrong)?;
        authority_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority_params.distinguished_name.push(rcgen::DnType::CommonName, "fulmar-bench authority");
        let authority_key = KeyPair::generate().map_err(wrong)?;
        let authority = authority_params.self_signed(&authority_key).map_err(wrong)?;
        let mut server_params = params(vec![SERVER_NAME.to_owned()]).map_err(wrong)?;
        server_params.subject_alt_names.push(SanType::IpAddress(address));
        server_params.distinguished_name.push(rcgen::DnType::CommonName, SERVER_NAME);
        let key = KeyPair::generate().map_err(wrong)?;
        let issuer = Issuer::new(authority_params, authority_key);
        let certificate = server_params.signed_by(&key, &issuer).map_err(wrong)?;
        let made = Self {
            authority_file: folder.join("authority.pem"),
            certificate_file: folder.join("certificate.pem"),
            key_file: folder.join("key.pem"),
            both_file: folder.join("certificate-and-key.pem"),
            authority: authority.der().clone(),
        };
        std::fs::write(&made.authority_file, authority.pem())?;
        std::fs::write(&made.certificate_file, certificate.pem())?;
        std::fs::write(&made.key_file, key.serialize_pem())?;
        std::fs::write(&made.both_file, certificate.pem() + &key.serialize_pem())?;
        Ok(made)
    }

    /// TLS for a client that trusts this authority and no other.
    pub(super) fn client_config(&self) -> Result<ClientConfig, BenchError> {
        let wrong = |error: rustls::Error| BenchError::Wrong(format!("cannot set up TLS: {error}"));
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).map_err(wrong)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(builder.map_err(wrong)?.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Good for years that every server's library can read: some know none after 2050.
fn params(names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 1, 1));
    Ok(params)
}
