//! One call of a light user whose keys OpenSSL agrees on, as one that knows AES-CM with HMAC-SHA1 alone. A generator of load
//! checks the path and carries what OpenSSL says, then sends and takes the sound.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use grammers_tl_types as tl;
use tempfile::TempDir;
use tgcall::negotiation::{Action, DtlsRole, LocalSetup, Negotiation, RemoteSetup};
use tgcall::signaling::{CustomParameters, Signaling};
use tgcall::srtp::{Profile, key_pair};
use tgcall::{AudioFormat, SharedKey, Version};
use tgtrunk_test_telegram::world::DeviceHandle;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::UdpSocket;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::actor::Inside;
use super::media::ToMedia;
use crate::certificate;
use crate::clock::now;
use crate::load::{Checked, Credentials, Ends, Keys, Word};

const PROFILE: Profile = Profile::Aes128CmSha1_80;
/// What its keys are told behind.
const KEYING: &str = "Keying material:";

/// A certificate in a file, for as many ends as like.
pub struct Identity {
    dir: TempDir,
    fingerprint: String,
}

impl Identity {
    /// Makes one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new() -> anyhow::Result<Self> {
        let dir = TempDir::with_prefix("openssl-")?;
        let fingerprint = certificate::write(&dir.path().join("identity.pem"), &["telegram"])?;
        Ok(Self { dir, fingerprint })
    }
}

/// The negotiation of one call.
pub(super) struct Openssl {
    pub(super) call: i64,
    pub(super) peer: tl::types::InputPhoneCall,
    pub(super) handle: DeviceHandle,
    pub(super) identity: Arc<Identity>,
    pub(super) ends: Ends,
    pub(super) number: u16,
    pub(super) local: SocketAddr,
}

/// The program, and the socket that is the other end to it.
struct Client {
    /// It ends when this is dropped, without a word to the other end.
    _child: Child,
    said: Lines<BufReader<ChildStdout>>,
    address: Option<SocketAddr>,
}

/// What is known of the other end.
#[derive(Default)]
struct Known {
    setup: Option<RemoteSetup>,
    remote: Option<SocketAddrV4>,
    format: Option<AudioFormat>,
    keys: Option<Keys>,
    is_checked: bool,
}

impl Openssl {
    pub(super) async fn run(
        self,
        key: SharedKey,
        version: Version,
        seed: [u8; 32],
        words: mpsc::Receiver<ToMedia>,
        inside: mpsc::Sender<Inside>,
    ) {
        let call = self.call;
        if let Err(error) = self.talk(&key, version, seed, words, &inside).await {
            tracing::warn!(call, error = format!("{error:#}"), "a light user's media ended");
        }
    }

    async fn talk(
        &self,
        key: &SharedKey,
        version: Version,
        seed: [u8; 32],
        mut words: mpsc::Receiver<ToMedia>,
        inside: &mpsc::Sender<Inside>,
    ) -> anyhow::Result<()> {
        let secret = hex::encode(seed);
        let ours = Credentials { ufrag: secret[..8].to_owned(), pwd: secret[8..40].to_owned() };
        let [s0, s1, s2, s3, rest @ ..] = seed;
        let [e0, e1, e2, e3, ..] = rest;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]).max(1);
        let setup = LocalSetup {
            ufrag: ours.ufrag.clone(),
            pwd: ours.pwd.clone(),
            fingerprint: self.identity.fingerprint.clone(),
        };
        let exchanges = u64::from(u32::from_be_bytes([e0, e1, e2, e3]));
        let mut negotiation = Negotiation::new(true, ssrc, setup, exchanges);
        let (ip, port) = (self.local.ip(), self.local.port());
        negotiation.add_local_candidate(format!("candidate:1 1 udp 2122260223 {ip} {port} typ host"));
        negotiation.start();
        let mut signaling = Signaling::new(version, key, true, &CustomParameters::default(), now());
        let (say, mut said) = mpsc::unbounded_channel();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (mut known, mut client) = (Known::default(), None::<Client>);
        let mut buffer = vec![0; 4096];
        loop {
            loop {
                if let Some(action) = negotiation.poll_action() {
                    act(action, &mut signaling, &mut known)?;
                } else if let Some(message) = signaling.poll_message() {
                    negotiation.handle(message);
                } else {
                    break;
                }
            }
            while let Some(data) = signaling.poll_packet() {
                let request =
                    tl::functions::phone::SendSignalingData { peer: self.peer.clone().into(), data };
                self.handle.invoke(&request).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
            }
            if !known.is_checked
                && let (Some(setup), Some(remote)) = (&known.setup, known.remote)
            {
                let theirs = Credentials { ufrag: setup.ufrag.clone(), pwd: setup.pwd.clone() };
                self.ends.check(self.number, Checked::new(remote, ours.clone(), theirs, say.clone()));
                known.is_checked = true;
            }
            if let Some(format) = known.format
                && let Some(keys) = known.keys.take()
            {
                self.ends.connect_telegram(self.number, Keys { format: Some(format), ..keys });
                client = None;
                inside.send(Inside::MediaUp(self.call)).await.ok();
            }
            let due = signaling.poll_timeout().unwrap_or_else(|| now() + Duration::from_secs(60));
            tokio::select! {
                word = words.recv() => match word {
                    Some(ToMedia::Signaling(data)) => signaling.handle_packet(now(), &data),
                    Some(ToMedia::Mute(_) | ToMedia::Throw(_) | ToMedia::Treat(_)) => {}
                    Some(ToMedia::Close) | None => return Ok(()),
                },
                word = said.recv() => match word {
                    Some(Word::Path) => client = Some(self.begin(&socket)?),
                    Some(Word::Handshake(bytes)) => {
                        if let Some(address) = client.as_ref().and_then(|client| client.address) {
                            socket.send_to(&bytes, address).await?;
                        }
                    }
                    Some(Word::Signaling(_) | Word::Up) => {}
                    Some(Word::Failed(error)) => bail!(error),
                    None => return Ok(()),
                },
                received = socket.recv_from(&mut buffer) => if let (Ok((length, source)), Some(client)) = (received, &mut client) {
                    client.address = Some(source);
                    self.ends.pass(self.number, buffer[..length].to_vec());
                },
                line = next_line(&mut client) => {
                    let line = line?.context("OpenSSL ended")?;
                    if let Some(material) = line.trim().strip_prefix(KEYING) {
                        let material = hex::decode(material.trim())?;
                        let (sender, receiver) = key_pair(PROFILE, &material, true)?;
                        let remote = known.remote.context("the other end is known")?;
                        known.keys = Some(Keys { sender, receiver, remote, format: None });
                    }
                },
                () = sleep_until(due.into()) => signaling.handle_timeout(now()),
            }
        }
    }

    fn begin(&self, socket: &UdpSocket) -> anyhow::Result<Client> {
        let identity = self.identity.dir.path().join("identity.pem");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-dtls1_2", "-use_srtp", "SRTP_AES128_CM_SHA1_80"]);
        command.args(["-keymatexport", "EXTRACTOR-dtls_srtp"]);
        command.args(["-keymatexportlen", &PROFILE.keying_len().to_string()]);
        command.arg("-connect").arg(socket.local_addr()?.to_string());
        command.arg("-cert").arg(&identity).arg("-key").arg(&identity);
        // It would end with its input.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().context("openssl cannot be run")?;
        let said = BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        Ok(Client { _child: child, said, address: None })
    }
}

async fn next_line(client: &mut Option<Client>) -> std::io::Result<Option<String>> {
    match client {
        Some(client) => client.said.next_line().await,
        None => std::future::pending().await,
    }
}

fn act(action: Action, signaling: &mut Signaling, known: &mut Known) -> anyhow::Result<()> {
    match action {
        Action::Send(message) => signaling.send(now(), &message),
        Action::RemoteSetup(setup) => {
            ensure!(setup.dtls_role == DtlsRole::Client, "the gateway waits for a handshake");
            known.setup = Some(setup);
        }
        Action::RemoteCandidate(line) => {
            let mut words = line.split_whitespace().skip(4);
            if let (Some(ip), Some(port)) = (words.next(), words.next()) {
                let ip: Ipv4Addr = ip.parse()?;
                known.remote.get_or_insert(SocketAddrV4::new(ip, port.parse()?));
            }
        }
        Action::Outgoing(format) => known.format = Some(format),
        Action::Incoming(_) | Action::IncomingClosed | Action::RemoteMuted(_) => {}
        Action::Fail(error) => bail!(error),
    }
    Ok(())
}
