//! A certificate authority of one run, and a server certificate for wherever the server listens.
//!
//! Fulmar's own development authority vouches for loopback only, on purpose; a server behind an emulated link has
//! another address.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

use crate::{error::BenchError, place::SERVER_NAME};

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    folder: PathBuf,
}

impl Credentials {
    /// Makes them for a server at this address, and writes them into the folder.
    pub(crate) fn create(folder: &Path, address: IpAddr) -> Result<Self, BenchError> {
        let credentials = Self { folder: folder.to_owned() };
        let (authority_key, server_key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut params = named("fulmar-bench authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = params.self_signed(&authority_key)?;
        let issuer = Issuer::new(params, authority_key);
        let mut params = named("fulmar-bench server");
        params.subject_alt_names = vec![
            SanType::DnsName(SERVER_NAME.try_into()?),
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(address),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&server_key, &issuer)?;
        fs::write(credentials.authority(), authority.pem())?;
        fs::write(credentials.certificate(), certificate.pem())?;
        fs::write(credentials.key(), server_key.serialize_pem())?;
        Ok(credentials)
    }

    /// Those that were made in this folder.
    pub(crate) fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The certificate that clients trust.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The server's own.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// And its key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
