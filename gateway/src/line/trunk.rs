//! The trunk half of a line: its end of the trunk, and what its calls have in common there.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tgtrunk_config::{Line as LineSettings, Password, Said, TrunkLogin};
use tgtrunk_sip::{Credentials, Demand, Endpoint, Event as SipEvent, Frame, Register};

use super::route::{Lookups, Places, Route};
use super::wire::{Received, Wire};
use super::{FAREWELL, HEARTBEAT, House, Line, Stopping};
use crate::call::{self, SipWord, TrunkAudio};
use crate::metrics::Counted;
use crate::{clock, rules};

/// How long a session lasts that neither side refreshes: half an hour, as PBXs have it (RFC 4028 section 4).
const SESSION_INTERVAL_S: u32 = 1800;

/// Datagrams read in a row before other work gets its turn.
const BURST: usize = 64;

/// The trunk half of a line.
pub(super) struct Trunk {
    pub(super) endpoint: Endpoint,
    pub(super) wire: Wire,
    /// What the line's calls have in common.
    pub(super) audio: TrunkAudio,
    /// What the figures have of it.
    pub(super) told: Counted,
    /// Whether the PBX was told to forget the line.
    leaves: bool,
}

impl Trunk {
    /// What it has counted.
    pub(super) fn counted(&self) -> Counted {
        Counted { strangers: self.endpoint.strangers(), refused: self.endpoint.refused_for_load() }
    }

    pub(super) async fn open(house: &House, settings: &LineSettings) -> anyhow::Result<(Self, Lookups)> {
        let local = SocketAddr::new(house.settings.gateway.sip_bind, settings.sip_port);
        let transport = rules::transport(settings.trunk.transport);
        let route = Route::new(&settings.pbx, transport, local.ip(), &house.settings.gateway);
        // A password that cannot be had is told before anything is opened.
        let proof = proof(settings).map_err(anyhow::Error::msg)?;
        let (places, holds) = route.find().await.map_err(anyhow::Error::msg)?;
        let wire = Wire::open(house, settings, local).await?;
        let announced = house.settings.gateway.public_address.unwrap_or(local.ip());
        let codecs: Vec<_> = settings.audio.codecs.iter().copied().map(rules::codec).collect();
        let config = tgtrunk_sip::Config {
            local,
            announced: SocketAddr::new(announced, local.port()),
            codecs: codecs.clone(),
            peer: places.first,
            transport,
            srtp: rules::srtp(settings.trunk.srtp),
            more_peers: places.others.clone(),
            domain: domain(settings),
            failover: settings.trunk.failover,
            line_user: settings.phone.as_str().to_owned(),
            user_agent: house.settings.gateway.user_agent.clone(),
            allowed: settings.allowed_sources.clone(),
            peer_names: names(&settings.pbx),
            refer: settings.transfer.refer,
            any_source: settings.trunk.any_source,
            guard: settings.trunk.auth.as_ref().map(|auth| Demand {
                credentials: credentials(&auth.user, &auth.password),
                by: rules::demanded_by(settings.trunk.auth_algorithm),
            }),
            new_calls_per_second: settings.new_calls_per_second,
            max_calls: settings.calls.total as usize,
            options_interval: house.settings.gateway.options_interval,
            // The bridge ends it first; this is for a bridge that is gone.
            ring_limit: settings.ring_limit + HEARTBEAT,
            session_interval_s: SESSION_INTERVAL_S,
            credentials: proof,
            register: settings.trunk.register.map(|expires| Register {
                user: user(settings).to_owned(),
                expires_s: u32::try_from(expires.as_secs()).unwrap_or(u32::MAX),
            }),
            seed: clock::random(),
        };
        let audio = TrunkAudio {
            ports: Arc::clone(&house.rtp_ports),
            pbx: places.first.ip(),
            announced,
            codecs: codecs.into(),
            dtmf: settings.audio.dtmf,
        };
        let lookups = Lookups::keep(route, &places, holds);
        let endpoint = Endpoint::new(config, clock::now());
        Ok((Self { endpoint, wire, audio, told: Counted::default(), leaves: false }, lookups))
    }

    /// What a call has of the trunk whose other end is there.
    pub(super) fn audio(&self, pbx: IpAddr) -> TrunkAudio {
        TrunkAudio { pbx, ..self.audio.clone() }
    }

    /// Has the PBX forget the line. False as long as it may still know it.
    fn leave(&mut self, now: Instant) -> bool {
        if !self.leaves {
            self.leaves = true;
            self.endpoint.unregister(now);
            self.send_all(now);
        }
        !self.endpoint.is_registered()
    }

    pub(super) fn send_all(&mut self, now: Instant) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let transport = transmit.destination.transport;
            if let Err(address) = self.wire.send(now, transmit) {
                self.endpoint.handle_transport_error(now, transport, address);
            }
            for address in self.wire.unreachable() {
                self.endpoint.handle_unreachable(now, address);
            }
        }
    }
}

impl Line {
    /// Takes what came over the wire.
    pub(super) fn take_from_pbx(&mut self, received: Received, buffer: &mut [u8]) {
        let Some(Trunk { endpoint, wire, .. }) = &mut self.trunk else { return };
        let now = clock::now();
        endpoint.shut_out(self.house.rush.is_full());
        match received {
            Received::Datagram(length, source) => {
                endpoint.handle_burst(now, source, &buffer[..length]);
                for _ in 0..BURST {
                    let Some((length, source)) = wire.try_datagram(buffer) else { break };
                    endpoint.handle_burst(now, source, &buffer[..length]);
                }
                endpoint.end_burst(now);
            }
            Received::Knock(stream, source) => {
                if endpoint.welcomes(now, source) {
                    wire.admit(now, stream, source, endpoint.trusts(source.ip()));
                }
            }
            Received::Frame(id, source, frame) => {
                endpoint.handle_frame(now, wire.stream(), source, &frame);
                if wire.has_to_prove(id) && endpoint.trusts(source.ip()) {
                    wire.prove(id);
                }
                if matches!(frame, Frame::Broken(_))
                    && let Some(trunk) = &mut self.trunk
                {
                    // It hears why.
                    trunk.send_all(now);
                    trunk.wire.close(id);
                }
            }
            Received::Lost(address, why) => {
                endpoint.handle_transport_error(now, wire.stream(), address);
                if why.is_some() {
                    self.lamps.cannot_connect(why);
                    self.show();
                }
            }
            Received::Unreachable(addresses) => {
                for address in addresses {
                    endpoint.handle_unreachable(now, address);
                }
            }
            Received::Opened => {
                self.lamps.cannot_connect(None);
                self.show();
            }
            Received::Nothing => {}
        }
    }

    /// Acts on what the endpoint reports; tells whether there was something.
    pub(super) fn hear_trunk(&mut self, now: Instant) -> bool {
        let mut heard = false;
        while let Some(event) = self.trunk.as_mut().and_then(|trunk| trunk.endpoint.poll_event()) {
            self.sip(now, event);
            heard = true;
        }
        heard
    }

    /// Takes what the PBX let the line know of where both stand.
    pub(super) fn pbx_tells(&mut self, event: &SipEvent) {
        let Some(trunk) = &self.trunk else { return };
        if self.lamps.pbx.handle(event, |ip| trunk.endpoint.is_peer(ip)) {
            if self.lamps.peer_is_silent()
                && let Some(lookups) = &self.lookups
            {
                lookups.hurry();
            }
            self.show();
        }
    }

    /// The PBX is found elsewhere.
    pub(super) fn pbx_moved(&mut self, places: &Places) {
        let Some(trunk) = &mut self.trunk else { return };
        trunk.endpoint.set_peers(clock::now(), places.first, &places.others);
        self.lamps.pbx.keep(|address| places.first == address || places.others.contains(&address));
        self.show();
    }

    /// Has the PBX forget a line that ends. False as long as that takes.
    pub(super) fn leave_pbx(&mut self, now: Instant) -> bool {
        let Some(trunk) = &mut self.trunk else { return true };
        let left = trunk.leave(now);
        if !left && let Some(Stopping::Grace(_)) = self.stopping {
            self.stopping = Some(Stopping::Farewell(now + FAREWELL));
        }
        left
    }

    /// Tells the PBX what a call has to say to it.
    pub(super) fn say_to_pbx(&mut self, now: Instant, key: u64, word: SipWord) {
        let Some(trunk) = &mut self.trunk else { return };
        match (word, self.calls.sip(key)) {
            (SipWord::Invite(invite), _) => {
                let sip = trunk.endpoint.invite(now, *invite);
                self.calls.bind_sip(key, sip);
                if let Some(remains) = trunk.endpoint.remains(sip) {
                    self.calls.name_sip(key, remains.sip_call_id());
                }
                self.note_first(key);
            }
            (SipWord::Transfer(word), _) => self.say_of_transfer(now, key, word),
            (SipWord::Ringing, Some(sip)) => trunk.endpoint.ringing(now, sip, Vec::new()),
            (SipWord::Progress(audio), Some(sip)) => {
                trunk.endpoint.progress(now, sip, audio, Vec::new());
            }
            (SipWord::Answer(audio), Some(sip)) => {
                // `None`: the PBX gave up while we were about to answer; its end of the call is on its way to the task.
                trunk.endpoint.answer(now, sip, audio, Vec::new());
                self.note_first(key);
            }
            (SipWord::Reject(cause), Some(sip)) => trunk.endpoint.reject(now, sip, call::rejection(cause)),
            (SipWord::Info(form, body), Some(sip)) => {
                trunk.endpoint.send_info(now, sip, form.content_type(), body.as_bytes());
            }
            (SipWord::HangUp(cause), Some(sip)) => {
                trunk.endpoint.hang_up(now, sip, Some(call::reason(cause)));
            }
            (word, None) => tracing::debug!(?word, "the PBX's call is gone"),
        }
    }
}

/// As whom a line proves itself and registers.
pub(super) fn user(settings: &LineSettings) -> &str {
    settings.trunk.digest.as_ref().map_or(&settings.pbx_user, |digest| &digest.user)
}

/// What a line proves to its PBX.
///
/// # Errors
/// Why the password cannot be had.
pub(crate) fn proof(settings: &LineSettings) -> Result<Option<Credentials>, Said> {
    let Some(TrunkLogin { user, secret }) = &settings.trunk.digest else { return Ok(None) };
    let password = secret.password("trunk.digest_password_file")?;
    Ok(Some(credentials(user, &password)))
}

fn credentials(user: &str, password: &Password) -> Credentials {
    Credentials { user: user.to_owned(), password: password.as_str().to_owned() }
}

/// What stands for the PBX in addresses of its users: its one name, where it has no other.
fn domain(settings: &LineSettings) -> Option<String> {
    let named = || {
        let only = Some(&settings.pbx.first).filter(|_| settings.pbx.others.is_empty())?;
        only.ip().is_none().then(|| only.host.clone())
    };
    settings.trunk.domain.clone().or_else(named)
}

/// By what names the PBX may speak of itself.
fn names(pbx: &tgtrunk_config::Pbx) -> Vec<String> {
    pbx.addresses().filter(|address| address.ip().is_none()).map(|address| address.host.clone()).collect()
}

pub(super) async fn receive(trunk: Option<&mut Trunk>, buffer: &mut [u8]) -> Received {
    match trunk {
        Some(trunk) => trunk.wire.receive(buffer).await,
        None => std::future::pending().await,
    }
}
