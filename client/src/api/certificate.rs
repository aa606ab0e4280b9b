//! The certificate that programs are shown: the one that the settings name, or a self-signed one, made once.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tgtrunk_config::{ApiSettings, Said, StateDir, Trouble};
use tokio_rustls::TlsAcceptor;

/// Speaks TLS as the settings say; the certificate is made where none is named and none there.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn acceptor(
    settings: &ApiSettings,
    state: &StateDir,
    listen: IpAddr,
) -> Result<TlsAcceptor, Said> {
    let (file, key) = match &settings.tls {
        Some(files) => (files.certificate.clone(), files.key.clone()),
        None => {
            let (file, key) = (state.api_certificate(), state.api_key());
            if !file.exists() || !key.exists() {
                make(settings, state, listen)?;
            }
            (file, key)
        }
    };
    let chain = CertificateDer::pem_file_iter(&file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(&file, &error))?;
    if chain.is_empty() {
        return Err(refused(&file, &PemError::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| refused(&key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let config = config.map_err(|error| {
        let file = file.display();
        Said::new(
            format!("{file}: this certificate cannot be used, or its key is another one's: {error}"),
            format!("{file}: этот сертификат не годится, или ключ не от него: {error}"),
        )
    })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn refused(file: &Path, error: &PemError) -> Said {
    if let PemError::Io(error) = error
        && let Some(trouble) = Trouble::of_file(error, file)
    {
        return trouble.into();
    }
    let file = file.display();
    Said::new(
        format!("{file}: no certificate or key in PEM form: {error}"),
        format!("{file}: в нём нет сертификата или ключа в виде PEM: {error}"),
    )
}

/// Makes a self-signed one for the names by which programs may reach this machine.
fn make(settings: &ApiSettings, state: &StateDir, listen: IpAddr) -> Result<(), Said> {
    let failed = |error: rcgen::Error| {
        Said::new(
            format!("no certificate could be made: {error}"),
            format!("сертификат не удалось выпустить: {error}"),
        )
    };
    let unwritten = |error: tgtrunk_config::StateError| Said::new(error.to_string(), error.to_string());
    let made = rcgen::generate_simple_self_signed(names(settings, listen)).map_err(failed)?;
    let certificate = pem("CERTIFICATE", made.cert.der());
    let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    // The key first: a certificate alone would be taken for a whole pair.
    state.replace(&state.api_key(), key.as_bytes()).map_err(unwritten)?;
    state.replace(&state.api_certificate(), certificate.as_bytes()).map_err(unwritten)?;
    tracing::info!(file = %state.api_certificate().display(), "a self-signed certificate was made for the messages' API");
    Ok(())
}

fn names(settings: &ApiSettings, listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    let public = settings.public_url.as_deref().and_then(|url| url.split("://").nth(1));
    let host = public.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if !host.is_empty() {
        names.push(host.to_owned());
    }
    names.sort();
    names.dedup();
    names
}

/// Text form of a certificate or key (RFC 7468).
fn pem(label: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_certificate_is_made_once_for_every_name_of_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let settings = ApiSettings {
            public_url: Some("https://pbx.example.org:8443/x".to_owned()),
            ..ApiSettings::default()
        };
        let listen = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
        assert!(acceptor(&settings, &state, listen).is_ok());
        let made = std::fs::read(state.api_certificate()).unwrap();
        assert!(acceptor(&settings, &state, listen).is_ok());
        assert_eq!(std::fs::read(state.api_certificate()).unwrap(), made);
        assert_eq!(
            names(&settings, listen),
            ["127.0.0.1", "192.0.2.7", "::1", "localhost", "pbx.example.org"]
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::open(folder.path()).unwrap();
        let file = folder.path().join("c.pem");
        std::fs::write(&file, "nothing").unwrap();
        let tls = tgtrunk_config::TlsFiles { certificate: file.clone(), key: file };
        let settings = ApiSettings { tls: Some(tls), ..ApiSettings::default() };
        let Err(said) = acceptor(&settings, &state, IpAddr::V4(Ipv4Addr::LOCALHOST)) else { panic!("taken") };
        assert!(said.en.contains("c.pem: no certificate or key"), "{said}");
    }
}
