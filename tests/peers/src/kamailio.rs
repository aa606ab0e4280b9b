//! Kamailio, a SIP server that has nothing of ours, as a PBX: a registrar that asks for passwords, and a proxy between
//! the line and a phone.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tgtrunk_test_telegram::canary;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::{certificate, ports};

/// The user that it knows.
pub const USER: &str = "line1";
/// That user's password.
pub const PASSWORD: &str = canary::TRUNK_PASSWORD;
/// As whom it calls the line, which asks for that.
pub const CALLER: (&str, &str) = ("kamailio", canary::TRUNK_OTHER_PASSWORD);
/// What it guards.
pub const REALM: &str = "pbx.test";
/// Its certificate and key.
const CERTIFICATE: &str = "certificate.pem";
const START_LIMIT: Duration = Duration::from_secs(20);

/// What it wants proofs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// Whom it takes for the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Who proves to be [`USER`]; where that one registered, the line is.
    Password(Algorithm),
    /// Whoever comes from another port than the phone; the line is at this address.
    Address(SocketAddr),
}

/// Over what the line speaks with it; phones do over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// What the server is like.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The phone behind it: whom the line calls, rings there; whom it calls, is called over the line.
    pub phone: SocketAddr,
    pub trust: Trust,
    /// User and password where the line asks for them.
    pub caller: (&'static str, &'static str),
    pub transport: Transport,
}

/// A running server; dropped, it is killed.
pub struct Kamailio {
    child: Child,
    /// Where it takes SIP.
    pub sip: SocketAddr,
    /// Where it takes SIP over TLS, if it does.
    pub tls: SocketAddr,
    dir: TempDir,
}

impl Kamailio {
    /// Starts it in front of a phone, over UDP.
    ///
    /// # Errors
    /// As [`Kamailio::start_with`].
    pub async fn start(
        phone: SocketAddr,
        algorithm: Algorithm,
        caller: (&'static str, &'static str),
    ) -> anyhow::Result<Self> {
        let trust = Trust::Password(algorithm);
        Self::start_with(Options { phone, trust, caller, transport: Transport::Udp }).await
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the Debian packages `kamailio` and, for TLS, `kamailio-tls-modules` are missing, or it does not answer in time;
    /// with its log.
    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("tgtrunk-kamailio-")?;
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let sip = loopback(ports::free_pair()?);
        let tls = loopback(sip.port() + 1);
        let config = dir.path().join("kamailio.cfg");
        let certificate = dir.path().join(CERTIFICATE);
        certificate::write(&certificate, &["127.0.0.1"])?;
        let listens = match options.transport {
            Transport::Udp => "disable_tcp=yes\n".to_owned(),
            Transport::Tcp => format!("tcp_children=2\nlisten=tcp:{sip}\n"),
            Transport::Tls => format!(
                "tcp_children=2\nenable_tls=yes\nlisten=tls:{tls}\nloadmodule \"tls.so\"\n\
                 modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
                 modparam(\"tls\", \"certificate\", \"{0}\")\nmodparam(\"tls\", \"private_key\", \"{0}\")\n",
                certificate.display()
            ),
        };
        fs::write(&config, text(sip, &listens, &options))?;
        let log = File::create(dir.path().join("log"))?;
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
            .arg(&config)
            .arg("-Y")
            .arg(dir.path())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("kamailio, from the Debian package of this name")?;
        let mut server = Self { child, sip, tls, dir };
        server.answers().await?;
        Ok(server)
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let (local, sip) = (socket.local_addr()?, self.sip);
        let began = Instant::now();
        let mut buffer = [0; 2048];
        while began.elapsed() < START_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                bail!("kamailio ended with {status}:\n{}", self.log());
            }
            let asks = format!(
                "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKup\r\nFrom: <sip:x@{local}>;tag=1\r\n\
                 To: <sip:{sip}>\r\nCall-ID: up@{local}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
            );
            socket.send_to(asks.as_bytes(), sip).await?;
            if timeout(Duration::from_millis(200), socket.recv(&mut buffer))
                .await
                .is_ok_and(|got| got.is_ok())
            {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        bail!("kamailio does not answer on {sip}:\n{}", self.log())
    }

    /// Waits until its log has these words so often.
    ///
    /// # Errors
    /// When it does not in time; with its log.
    pub async fn says(&self, words: &str, times: usize, limit: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.log().matches(words).count() < times {
            if began.elapsed() > limit {
                bail!("kamailio did not say {words:?} {times} times within {limit:?}:\n{}", self.log());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The certificate that it shows over TLS.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join(CERTIFICATE)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn text(sip: SocketAddr, listens: &str, options: &Options) -> String {
    let Options { phone, caller, .. } = options;
    let (algorithm, trusts) = match options.trust {
        Trust::Password(Algorithm::Md5) => ("MD5", String::new()),
        Trust::Password(Algorithm::Sha256) => ("SHA-256", String::new()),
        Trust::Address(line) => {
            let transport = match options.transport {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
                Transport::Tls => "tls",
            };
            ("MD5", format!("#!define LINE \"sip:{line};transport={transport}\"\n"))
        }
    };
    format!(
        r#"#!KAMAILIO
{trusts}debug=1
log_stderror=yes
children=2
auto_aliases=no
listen=udp:{sip}
{listens}loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "uac.so"
modparam("uac", "auth_username_avp", "$avp(auser)")
modparam("uac", "auth_password_avp", "$avp(apass)")
modparam("uac", "auth_realm_avp", "$avp(arealm)")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 60)
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
modparam("auth", "nc_array_size", 4096)

request_route {{
  if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
  if (is_method("OPTIONS") && !has_totag()) {{ sl_send_reply("200", "OK"); exit; }}
  if (is_method("CANCEL")) {{ t_relay(); exit; }}
  if (is_method("REGISTER")) {{
    if (!pv_www_authenticate("{REALM}", "{PASSWORD}", "0") || $au != "{USER}") {{
      xlog("REGISTER of $fU is challenged\n");
      www_challenge("{REALM}", "1");
      exit;
    }}
    xlog("REGISTER of $fU for $hdr(Expires) s is taken\n");
    save("location");
    exit;
  }}
  if (has_totag()) {{
#!ifndef LINE
    if (is_method("BYE") && $sp != {phone_port}) {{
      if (!pv_proxy_authenticate("{REALM}", "{PASSWORD}", "0")) {{
        xlog("BYE is challenged\n");
        proxy_challenge("{REALM}", "1");
        exit;
      }}
      xlog("BYE is proven\n");
      consume_credentials();
    }}
#!endif
    if (loose_route()) {{ t_relay(); exit; }}
    if (is_method("ACK") && t_check_trans()) {{ t_relay(); }}
    exit;
  }}
  if (!is_method("INVITE")) {{ sl_send_reply("405", "Method Not Allowed"); exit; }}
  record_route();
  if ($sp == {phone_port}) {{
#!ifdef LINE
    $du = LINE;
    t_relay();
    exit;
#!else
    # The phone calls somebody over the line, which is where its registration says.
    $var(wanted) = $rU;
    $rU = "{USER}";
    if (!lookup("location")) {{ sl_send_reply("480", "Not Registered"); exit; }}
    xlog("a call to $var(wanted) goes to $ru\n");
    t_on_failure("ASKED");
    t_relay();
    exit;
#!endif
  }}
#!ifndef LINE
  if (!pv_proxy_authenticate("{REALM}", "{PASSWORD}", "0")) {{
    xlog("INVITE is challenged\n");
    proxy_challenge("{REALM}", "1");
    exit;
  }}
  xlog("INVITE is proven\n");
  consume_credentials();
#!endif
  $du = "sip:{phone}";
  t_relay();
}}

failure_route[ASKED] {{
  if (t_is_canceled() || !t_check_status("401|407")) {{ exit; }}
  $avp(auser) = "{user}";
  $avp(apass) = "{password}";
  $avp(arealm) = "tgtrunk";
  if (uac_auth()) {{
    xlog("the line is shown a proof\n");
    t_relay();
  }}
}}
"#,
        phone_port = phone.port(),
        user = caller.0,
        password = caller.1
    )
}
