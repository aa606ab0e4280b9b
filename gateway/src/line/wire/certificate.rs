//! The certificate that lines on TLS show: the one that the settings name, or a self-signed one, made once.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tgtrunk_config::{Gateway, Said, StateDir, Trouble};

/// A certificate with its key.
pub(super) struct Own {
    /// It, and those it is signed with behind it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// Where it lies.
    pub(super) file: PathBuf,
}

/// Reads ours, making it where there is none.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn own(gateway: &Gateway, state: &StateDir) -> Result<Own, Said> {
    let (file, key) = match &gateway.tls {
        Some(files) => (files.certificate.clone(), files.key.clone()),
        None => {
            let (file, key) = (state.tls_certificate(), state.tls_key());
            if !file.exists() || !key.exists() {
                make(gateway, state)?;
            }
            (file, key)
        }
    };
    Ok(Own {
        chain: read(&file)?,
        key: PrivateKeyDer::from_pem_file(&key).map_err(|error| refused(&key, &error))?,
        file,
    })
}

/// The same without making anything: where there is none, one in memory alone.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn on_trial(gateway: &Gateway, state: &StateDir) -> Result<Own, Said> {
    let file = state.tls_certificate();
    if gateway.tls.is_some() || (file.exists() && state.tls_key().exists()) {
        return own(gateway, state);
    }
    let made = generate(gateway)?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok(Own { chain: vec![made.cert.into()], key, file })
}

/// All certificates in a file.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, Said> {
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(file, &error))?;
    if found.is_empty() { Err(refused(file, &PemError::NoItemsFound)) } else { Ok(found) }
}

/// A certificate that TLS does not take.
pub(super) fn unusable(file: &Path, error: &rustls::Error) -> Said {
    let file = file.display();
    Said::new(
        format!("{file}: this certificate cannot be used, or its key is another one's: {error}"),
        format!("{file}: этот сертификат не годится, или ключ не от него: {error}"),
    )
}

fn refused(file: &Path, error: &PemError) -> Said {
    if let PemError::Io(error) = error {
        return unread(file, error);
    }
    let file = file.display();
    Said::new(
        format!("{file}: no certificate or key in PEM form: {error:?}"),
        format!("{file}: в нём нет сертификата или ключа в виде PEM: {error:?}"),
    )
}

fn unread(file: &Path, error: &io::Error) -> Said {
    Trouble::of_file(error, file).map_or_else(
        || {
            let file = file.display();
            Said::new(format!("{file} cannot be read: {error}"), format!("{file} не читается: {error}"))
        },
        Said::from,
    )
}

/// A self-signed one for this machine's addresses.
fn generate(gateway: &Gateway) -> Result<rcgen::CertifiedKey<rcgen::KeyPair>, Said> {
    let failed = |error: rcgen::Error| {
        Said::new(
            format!("no certificate could be made: {error}"),
            format!("сертификат не удалось выпустить: {error}"),
        )
    };
    let addresses = [Some(gateway.sip_bind), gateway.public_address];
    let names: Vec<String> = addresses.into_iter().flatten().map(|address| address.to_string()).collect();
    rcgen::generate_simple_self_signed(names).map_err(failed)
}

/// Makes ours.
fn make(gateway: &Gateway, state: &StateDir) -> Result<(), Said> {
    let unwritten = |error: tgtrunk_config::StateError| Said::new(error.to_string(), error.to_string());
    let made = generate(gateway)?;
    let certificate = pem("CERTIFICATE", made.cert.der());
    let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    // The key first: a certificate alone would be taken for a whole pair.
    state.replace(&state.tls_key(), key.as_bytes()).map_err(unwritten)?;
    state.replace(&state.tls_certificate(), certificate.as_bytes()).map_err(unwritten)?;
    tracing::info!(file = %state.tls_certificate().display(), "a self-signed certificate was made for lines on TLS");
    Ok(())
}

/// Text form of a certificate or key (RFC 7468).
fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tgtrunk_config::Footing;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let gateway = Footing::parse("", Path::new("tgtrunk.toml")).gateway;
        let made = own(&gateway, &state).unwrap();
        assert_eq!(made.chain.len(), 1);
        let mode = std::fs::metadata(state.tls_key()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(own(&gateway, &state).unwrap().chain, made.chain);
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pbx.pem");
        assert!(read(&file).unwrap_err().en.contains("pbx.pem cannot be read"));
        std::fs::write(&file, "nothing").unwrap();
        assert!(read(&file).unwrap_err().en.contains("pbx.pem: no certificate or key"));
    }
}
