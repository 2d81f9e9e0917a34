//! TLS for clients: TLS 1.3 only, ALPN `fulmar/1`, the authorities that the app names, early data on.
//!
//! Tickets for returning are kept by `tickets`.
//!
//! Absent: the platform's authorities. A messaging service's own authority, or the one public authority it
//! uses, is the smaller trust; and it keeps certificate stores out of the dependencies.

use std::sync::Arc;

use fulmar_protocol::ALPN;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::RootCertStore;
use rustls::client::Resumption;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::error::ClientError;
use crate::tickets::Tickets;

/// How TLS is set, and where its tickets are.
pub(crate) struct Tls {
    pub(crate) config: Arc<QuicClientConfig>,
    pub(crate) tickets: Arc<Tickets>,
}

/// A configuration that trusts the authorities in `pem`.
pub(crate) fn client_config(pem: &str, time: Arc<dyn TimeProvider>) -> Result<Tls, ClientError> {
    let invalid = |cause: String| ClientError::TrustInvalid { cause };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("it holds no certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| invalid(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_early_data = true;
    let tickets = Arc::new(Tickets::default());
    config.resumption = Resumption::store(tickets.clone());
    let config = QuicClientConfig::try_from(config).map_err(|error| invalid(error.to_string()))?;
    Ok(Tls { config: Arc::new(config), tickets })
}

#[cfg(test)]
mod tests {
    use rustls::time_provider::DefaultTimeProvider;

    use super::*;

    #[test]
    fn an_authority_that_is_none_is_refused_by_name() {
        for pem in ["", "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(
                matches!(
                    client_config(pem, Arc::new(DefaultTimeProvider)),
                    Err(ClientError::TrustInvalid { .. })
                ),
                "{pem:?} passed"
            );
        }
    }
}
