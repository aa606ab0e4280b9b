//! Whose certificate a PBX may show.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tgtrunk_config::{Said, TlsTrust};

use super::certificate;

/// Where systems keep the authorities that they trust.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Judges certificates as the setting says. `nearby`: nobody can stand in between.
///
/// # Errors
/// What keeps the named certificates from being used.
pub(super) fn verifier(
    trust: &TlsTrust,
    nearby: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, Said> {
    let (known, authorities) = match trust {
        TlsTrust::Any => (Known::Anybody, None),
        TlsTrust::Auto if nearby => (Known::Anybody, None),
        TlsTrust::Auto | TlsTrust::System => (Known::These(Vec::new()), Some(system()?)),
        TlsTrust::File(file) => {
            let certificates = certificate::read(file)?;
            (Known::These(certificates.clone()), Some(certificates))
        }
    };
    let authorities = authorities.map(|certificates| {
        let mut roots = RootCertStore::empty();
        let (taken, left_out) = roots.add_parsable_certificates(certificates);
        tracing::debug!(taken, left_out, "certificates that a PBX's may be signed with");
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()
    });
    let authorities = match authorities {
        None => None,
        Some(Ok(authorities)) => Some(authorities),
        Some(Err(error)) => {
            return Err(Said::new(
                format!("tls_trust in line.toml: no certificate can be used: {error}"),
                format!("tls_trust в line.toml: ни один сертификат не годится: {error}"),
            ));
        }
    };
    Ok(Arc::new(Verifier { known, authorities, provider: Arc::clone(provider) }))
}

fn system() -> Result<Vec<CertificateDer<'static>>, Said> {
    let file = SYSTEM.into_iter().map(Path::new).find(|file| file.exists());
    let Some(file) = file else {
        return Err(Said::new(
            "this machine trusts no authority: install the package ca-certificates, or set tls_trust in line.toml",
            "на этой машине нет доверенных центров: установите пакет ca-certificates или задайте tls_trust в line.toml",
        ));
    };
    certificate::read(file)
}

/// What is wrong with a certificate, as the end of a sentence.
pub(super) fn said(wrong: &CertificateError) -> Said {
    match wrong {
        CertificateError::UnknownIssuer => Said::new("nobody known signed it", "он подписан неизвестно кем"),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Said::new("it has expired", "срок его действия истёк")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Said::new("it is not valid yet", "он ещё не действует")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Said::new("it is made for another name than pbx", "он выпущен на другое имя, чем в pbx")
        }
        other => Said::new(format!("{other:?}"), format!("{other:?}")),
    }
}

#[derive(Debug)]
enum Known {
    /// Every certificate will do.
    Anybody,
    /// These do, whatever stands in them.
    These(Vec<CertificateDer<'static>>),
}

#[derive(Debug)]
struct Verifier {
    known: Known,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match (&self.known, &self.authorities) {
            (Known::Anybody, _) => Ok(ServerCertVerified::assertion()),
            (Known::These(known), _) if known.contains(end_entity) => Ok(ServerCertVerified::assertion()),
            (Known::These(_), Some(authorities)) => {
                authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            (Known::These(_), None) => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
