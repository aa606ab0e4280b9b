//! The certificate that programs are shown: the one that the settings name, or a self-signed one, made once.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto};
use tgtrunk_config::{ApiSettings, Said, StateDir, Trouble};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use super::address;

/// How often it is looked whether the files of the certificate are others.
pub(super) const LOOK: Duration = Duration::from_secs(60);

/// The certificate that is shown, and where it is from.
#[derive(Debug)]
pub(super) struct Shown {
    file: PathBuf,
    key: PathBuf,
    now: RwLock<Arc<CertifiedKey>>,
}

/// Speaks TLS as the settings say; the certificate is made where none is named and none there.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn acceptor(
    settings: &ApiSettings,
    state: &StateDir,
    listen: IpAddr,
) -> Result<(TlsAcceptor, Arc<Shown>), Said> {
    let (file, key) = match &settings.tls {
        Some(files) => (files.certificate.clone(), files.key.clone()),
        None => {
            let (file, key) = (state.api_certificate(), state.api_key());
            let names = names(settings, listen);
            if !key.exists() || !is_for(&file, &names) {
                make(state, names)?;
            }
            (file, key)
        }
    };
    let now = read(&file, &key)?;
    let shown = Arc::new(Shown { file, key, now: RwLock::new(Arc::new(now)) });
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions();
    let config = config.map_err(|error| Said::from(&error.to_string()))?;
    let resolver = Arc::clone(&shown) as Arc<dyn ResolvesServerCert>;
    let config = config.with_no_client_auth().with_cert_resolver(resolver);
    Ok((TlsAcceptor::from(Arc::new(config)), shown))
}

impl Shown {
    /// Looks every `look` whether the files are others, and shows what they hold, until it is dropped. What cannot be used is
    /// told, and not shown.
    pub(super) async fn follow(&self, look: Duration) {
        let mut known = self.changed();
        loop {
            sleep(look).await;
            let now = self.changed();
            if now == known {
                continue;
            }
            match read(&self.file, &self.key) {
                Ok(pair) => {
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    known = now;
                    tracing::info!(file = %self.file.display(), "another certificate is shown");
                }
                // A pair is not changed at once; it is looked again.
                Err(said) => tracing::warn!("{}", said.in_language(tgtrunk_shell::language())),
            }
        }
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.file, &self.key].map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(file: &Path, key: &Path) -> Result<CertifiedKey, Said> {
    let chain = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(file, &error))?;
    if chain.is_empty() {
        return Err(refused(file, &PemError::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, &error))?;
    CertifiedKey::from_der(chain, key, &crypto::ring::default_provider()).map_err(|error| {
        let file = file.display();
        Said::new(
            format!("{file}: this certificate cannot be used, or its key is another one's: {error}"),
            format!("{file}: этот сертификат не годится, или ключ не от него: {error}"),
        )
    })
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
fn make(state: &StateDir, names: Vec<String>) -> Result<(), Said> {
    let failed = |error: rcgen::Error| {
        Said::new(
            format!("no certificate could be made: {error}"),
            format!("сертификат не удалось выпустить: {error}"),
        )
    };
    let unwritten = |error: tgtrunk_config::StateError| Said::new(error.to_string(), error.to_string());
    let about = about(&names);
    let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
    // What stands before the first line of dashes is for people (RFC 7468 section 2).
    let certificate = format!("{about}\n{}", pem("CERTIFICATE", made.cert.der()));
    let key = pem("PRIVATE KEY", &made.signing_key.serialize_der());
    // The key first: a certificate alone would be taken for a whole pair.
    state.replace(&state.api_key(), key.as_bytes()).map_err(unwritten)?;
    state.replace(&state.api_certificate(), certificate.as_bytes()).map_err(unwritten)?;
    tracing::info!(file = %state.api_certificate().display(), "a self-signed certificate was made for the messages' API");
    Ok(())
}

fn about(names: &[String]) -> String {
    format!("for {}", names.join(", "))
}

/// Whether a certificate that was made is for these names.
fn is_for(file: &Path, names: &[String]) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text.lines().next() == Some(&about(names)))
}

fn names(settings: &ApiSettings, listen: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(address::shown(listen).to_string());
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
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::Router;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
    use tgtrunk_config::TlsFiles;
    use tgtrunk_shell::web;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;
    use tokio::time::{Instant, timeout};
    use tokio_rustls::TlsConnector;

    use super::*;

    /// How often the tests look at the files.
    const SOON: Duration = Duration::from_millis(20);
    /// Longest that anything here may take.
    const PATIENCE: Duration = Duration::from_secs(30);

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
        // Under another name it is another one.
        let elsewhere = ApiSettings::default();
        assert!(acceptor(&elsewhere, &state, listen).is_ok());
        assert_ne!(std::fs::read(state.api_certificate()).unwrap(), made);
        // One that was renewed is read; half of a pair is not.
        let (file, key) = (state.api_certificate(), state.api_key());
        let before = read(&file, &key).unwrap();
        make(&state, vec!["localhost".to_owned()]).unwrap();
        let renewed = read(&file, &key).unwrap();
        assert_ne!(before.cert, renewed.cert);
        std::fs::write(&file, made).unwrap();
        assert!(read(&file, &key).is_err());
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
        let tls = TlsFiles { certificate: file.clone(), key: file };
        let settings = ApiSettings { tls: Some(tls), ..ApiSettings::default() };
        let Err(said) = acceptor(&settings, &state, IpAddr::V4(Ipv4Addr::LOCALHOST)) else { panic!("taken") };
        assert!(said.en.contains("c.pem: no certificate or key"), "{said}");
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_once_its_key_is_there_too() {
        let (door, first) = Door::open().await;
        for version in [&version::TLS12, &version::TLS13] {
            assert!(door.shows(&first, version).await, "{version:?}");
        }
        let second = Pair::new();
        assert!(!door.shows(&second.certificate, &version::TLS13).await);
        std::fs::write(&door.file, &second.file).unwrap();
        sleep(SOON * 10).await;
        assert!(door.shows(&first, &version::TLS13).await, "half of a pair is not shown");
        std::fs::write(&door.key, &second.key).unwrap();
        let renewed = async {
            while !door.shows(&second.certificate, &version::TLS13).await {
                sleep(SOON).await;
            }
        };
        timeout(PATIENCE, renewed).await.expect("the renewed certificate is shown");
        assert!(!door.shows(&first, &version::TLS13).await);
    }

    #[tokio::test]
    async fn who_speaks_no_tls_is_let_go_and_who_dawdles_too() {
        let (door, shown) = Door::open().await;
        // As many as there is room for: each has given its place back at the end.
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let mut plain = TcpStream::connect(door.at).await.unwrap();
            callers.spawn(async move {
                plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
                let mut told = Vec::new();
                plain.read_to_end(&mut told).await.ok();
                assert!(!told.starts_with(b"HTTP"), "{told:?}");
            });
            let mut slow = TcpStream::connect(door.at).await.unwrap();
            callers.spawn(async move {
                // A greeting, byte by byte, without an end.
                let began = Instant::now();
                let greeting = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0; 64]].concat();
                for byte in greeting {
                    if slow.write_all(&[byte]).await.is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(500)).await;
                    assert!(began.elapsed() < PATIENCE, "it is still listened to");
                }
            });
        }
        timeout(PATIENCE * 2, async {
            while let Some(done) = callers.join_next().await {
                done.unwrap();
            }
        })
        .await
        .expect("all are let go");
        assert!(door.shows(&shown, &version::TLS13).await);
    }

    /// A certificate and its key, in PEM form.
    struct Pair {
        certificate: CertificateDer<'static>,
        file: String,
        key: String,
    }

    impl Pair {
        fn new() -> Self {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            Self {
                certificate: made.cert.der().clone(),
                file: pem("CERTIFICATE", made.cert.der()),
                key: pem("PRIVATE KEY", &made.signing_key.serialize_der()),
            }
        }
    }

    /// A port on which TLS is spoken.
    struct Door {
        _folder: tempfile::TempDir,
        file: PathBuf,
        key: PathBuf,
        at: SocketAddr,
        _serving: JoinSet<()>,
    }

    impl Door {
        /// One, and the certificate that it shows.
        async fn open() -> (Self, CertificateDer<'static>) {
            let folder = tempfile::tempdir().unwrap();
            let (file, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
            let pair = Pair::new();
            std::fs::write(&file, pair.file).unwrap();
            std::fs::write(&key, pair.key).unwrap();
            let state = StateDir::open(folder.path()).unwrap();
            let tls = TlsFiles { certificate: file.clone(), key: key.clone() };
            let settings = ApiSettings { tls: Some(tls), ..ApiSettings::default() };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let at = listener.local_addr().unwrap();
            let (acceptor, shown) = acceptor(&settings, &state, at.ip()).unwrap();
            let router = Router::new().fallback(|| async { "here" });
            let mut serving = JoinSet::new();
            serving.spawn(web::serve(listener, Some(acceptor), router, 16));
            serving.spawn(async move { shown.follow(SOON).await });
            (Self { _folder: folder, file, key, at, _serving: serving }, pair.certificate)
        }

        /// Whether a client that trusts a certificate alone is served.
        async fn shows(
            &self,
            trusted: &CertificateDer<'static>,
            version: &'static SupportedProtocolVersion,
        ) -> bool {
            let mut roots = RootCertStore::empty();
            roots.add(trusted.clone()).unwrap();
            let provider = Arc::new(crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]);
            let config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
            let stream = TcpStream::connect(self.at).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else {
                return false;
            };
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut told = Vec::new();
            stream.read_to_end(&mut told).await.ok();
            told.starts_with(b"HTTP/1.1 200 ") && told.ends_with(b"here")
        }
    }
}
