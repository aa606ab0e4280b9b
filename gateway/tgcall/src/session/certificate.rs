//! The certificate behind a call's DTLS, and how its handshakes are timed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dimpl::certificate::generate_self_signed_certificate;
use dimpl::{Config, DtlsCertificate};

/// First repetition of a DTLS flight; a lost one costs this, not the second that RFC 6347 begins with.
const FLIGHT_RTO: Duration = Duration::from_millis(100);
/// Repetitions of a flight: enough for as long as a session may take to connect, at the pace that `handshake` keeps.
const FLIGHT_RETRIES: usize = 27;
/// The library's longest. How long a handshake may take is not its matter, whose clock may run ahead.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A DTLS identity, to which fingerprints in signaling tie a call. Calls may share one; peers can tell then that they do.
///
/// It is valid for a year; calls that begin later need a new one.
pub struct Certificate {
    pub(super) certificate: DtlsCertificate,
    pub(super) config: Arc<Config>,
    fingerprint: String,
}

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate: {0}")]
pub struct CertificateError(String);

impl Certificate {
    /// Makes a self-signed P-256 certificate, with randomness of the operating system: for a shell.
    ///
    /// # Errors
    /// [`CertificateError`] if the cryptographic library fails.
    pub fn generate() -> Result<Self, CertificateError> {
        let certificate =
            generate_self_signed_certificate().map_err(|error| CertificateError(error.to_string()))?;
        let fingerprint = certificate.fingerprint_str();
        Ok(Certificate { certificate, config: config()?, fingerprint })
    }

    /// SHA-256 of the certificate as signaling writes it: upper-case hexadecimal bytes with colons between them.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// What all handshakes share. The library tries all its cryptography whenever one is made, which costs as much as several
/// handshakes.
fn config() -> Result<Arc<Config>, CertificateError> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    // A cookie proves that an address is not forged; ICE has proved that already.
    let config = Config::builder()
        .use_server_cookie(false)
        .flight_start_rto(FLIGHT_RTO)
        .flight_retries(FLIGHT_RETRIES)
        .handshake_timeout(HANDSHAKE_LIMIT)
        .build()
        .map_err(|error| CertificateError(error.to_string()))?;
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}
