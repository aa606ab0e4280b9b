//! TLS of a line, both ways (RFC 3261 section 26.3, RFC 5246, RFC 8446): what is shown to the PBX, and what is believed
//! of it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tgtrunk_config::{Line as LineSettings, Said};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{certificate, trust};

/// What a line needs for TLS.
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    connector: Connector,
}

/// Connects to the PBX of one line.
#[derive(Clone)]
pub(super) struct Connector {
    connector: TlsConnector,
    /// Whom its certificate has to be made for.
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the certificates that the PBX may show; ours is `own`, and `bind` our address.
    ///
    /// # Errors
    /// What keeps them from being used.
    pub(super) fn open(bind: IpAddr, own: &certificate::Own, settings: &LineSettings) -> Result<Self, Said> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let host = &settings.pbx.first.host;
        let name = ServerName::try_from(host.clone()).map_err(|_| {
            Said::new(
                format!("pbx = {host:?} is no name that a certificate can be made for"),
                format!("pbx = {host:?}: на такое имя сертификат не выпускают"),
            )
        })?;
        let nearby = settings.pbx.addresses().all(|pbx| pbx.ip().is_some_and(|ip| is_nearby(ip, bind)));
        let verifier = trust::verifier(&settings.trunk.tls_trust, nearby || host == "localhost", &provider)?;
        let server = server(&provider, own).map_err(|error| certificate::unusable(&own.file, &error))?;
        let client =
            client(&provider, own, verifier).map_err(|error| certificate::unusable(&own.file, &error))?;
        let connector = Connector { connector: TlsConnector::from(Arc::new(client)), name };
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(server)), connector })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    pub(super) fn connector(&self) -> Connector {
        self.connector.clone()
    }
}

impl Connector {
    /// Shakes hands on a connection.
    ///
    /// # Errors
    /// Whatever the handshake failed at; [`handshake_failed`] puts it into words.
    pub(super) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// Whether nobody can stand between this machine and that address.
fn is_nearby(ip: IpAddr, own: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip == own.to_canonical()
}

fn server(provider: &Arc<CryptoProvider>, own: &certificate::Own) -> Result<ServerConfig, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(own.chain.clone(), own.key.clone_key())
}

fn client(
    provider: &Arc<CryptoProvider>,
    own: &certificate::Own,
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
) -> Result<ClientConfig, rustls::Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        // For a PBX that asks its callers who they are.
        .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
}

/// Why a handshake did not come about, with what can be done.
pub(super) fn handshake_failed(peer: SocketAddr, error: &io::Error) -> Said {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (cause, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(wrong)), _) => {
            let wrong = trust::said(wrong);
            Said::new(
                format!(
                    "the certificate of the PBX at {peer} is not trusted, {}: name a file with it, or with the one it is signed with, as tls_trust in line.toml",
                    wrong.en
                ),
                format!(
                    "сертификату АТС на {peer} нет доверия, {}: укажите в line.toml, в tls_trust, файл с ним или с тем, которым он подписан",
                    wrong.ru
                ),
            )
        }
        (Some(rustls::Error::AlertReceived(alert)), _) => Said::new(
            format!(
                "the PBX at {peer} refused the TLS handshake ({alert:?}): does it trust this gateway's certificate?"
            ),
            format!("АТС на {peer} отказалась от TLS ({alert:?}): доверяет ли она сертификату этого шлюза?"),
        ),
        (Some(rustls::Error::InvalidMessage(_)), _) | (None, io::ErrorKind::UnexpectedEof) => Said::new(
            format!(
                "no TLS is spoken at {peer}: check the port in pbx, PBXs take TLS on another one, often 5061"
            ),
            format!("на {peer} нет TLS: проверьте порт в pbx, для TLS у АТС он другой, часто 5061"),
        ),
        (_, io::ErrorKind::TimedOut) => Said::new(
            format!("the TLS handshake with the PBX at {peer} took too long"),
            format!("TLS-соединение с АТС на {peer} устанавливается слишком долго"),
        ),
        _ => Said::new(
            format!("the TLS handshake with the PBX at {peer} failed: {error}"),
            format!("TLS-соединение с АТС на {peer} не состоялось: {error}"),
        ),
    }
}
