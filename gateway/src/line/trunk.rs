//! The trunk half of a line: its end of the trunk, and what its calls have in common there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tgtrunk_config::{Line as LineSettings, Said};
use tgtrunk_sip::Endpoint;

use super::wire::{Received, Wire};
use super::{HEARTBEAT, House, Line};
use crate::call::{self, SipWord, TrunkAudio};
use crate::{clock, rules};

/// How long a session lasts that neither side refreshes: half an hour, as PBXs have it (RFC 4028 section 4).
const SESSION_INTERVAL_S: u32 = 1800;

/// The trunk half of a line.
pub(super) struct Trunk {
    pub(super) endpoint: Endpoint,
    pub(super) wire: Wire,
    /// What the line's calls have in common.
    pub(super) audio: TrunkAudio,
}

impl Trunk {
    pub(super) async fn open(house: &House, settings: &LineSettings) -> anyhow::Result<Self> {
        let local = SocketAddr::new(house.settings.gateway.sip_bind, settings.sip_port);
        let peer = resolve(&settings.pbx.host, settings.pbx.port, local).await?;
        let wire = Wire::open(house, settings, local).await?;
        let announced = house.settings.gateway.public_address.unwrap_or(local.ip());
        let codecs: Vec<_> = settings.audio.codecs.iter().copied().map(rules::codec).collect();
        let config = tgtrunk_sip::Config {
            local,
            announced: SocketAddr::new(announced, local.port()),
            codecs: codecs.clone(),
            peer,
            transport: rules::transport(settings.trunk.transport),
            srtp: rules::srtp(settings.trunk.srtp),
            more_peers: Vec::new(),
            domain: None,
            failover: std::time::Duration::from_secs(4),
            line_user: settings.phone.as_str().to_owned(),
            user_agent: house.settings.gateway.user_agent.clone(),
            allowed: settings.allowed_sources.clone(),
            any_source: false,
            guard: None,
            max_calls: settings.calls.total as usize,
            options_interval: house.settings.gateway.options_interval,
            // The bridge ends it first; this is for a bridge that is gone.
            ring_limit: settings.ring_limit + HEARTBEAT,
            session_interval_s: SESSION_INTERVAL_S,
            credentials: None,
            register: None,
            seed: clock::random(),
        };
        let audio = TrunkAudio {
            ports: Arc::clone(&house.rtp_ports),
            pbx: peer.ip(),
            announced,
            codecs: codecs.into(),
            dtmf: settings.audio.dtmf,
        };
        Ok(Self { endpoint: Endpoint::new(config, clock::now()), wire, audio })
    }

    pub(super) fn send_all(&mut self, now: Instant) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            let transport = transmit.destination.transport;
            if let Err(address) = self.wire.send(now, transmit) {
                self.endpoint.handle_transport_error(now, transport, address);
            }
        }
    }
}

impl Line {
    /// Tells the PBX what a call has to say to it.
    pub(super) fn say_to_pbx(&mut self, now: Instant, key: u64, word: SipWord) {
        let Some(trunk) = &mut self.trunk else { return };
        match (word, self.calls.sip(key)) {
            (SipWord::Invite(invite), _) => {
                let sip = trunk.endpoint.invite(now, *invite);
                self.calls.bind_sip(key, sip);
            }
            (SipWord::Ringing, Some(sip)) => trunk.endpoint.ringing(now, sip, Vec::new()),
            (SipWord::Answer(audio), Some(sip)) => {
                // `None`: the PBX gave up while we were about to answer; its end of the call is on its way to the task.
                trunk.endpoint.answer(now, sip, audio, Vec::new());
            }
            (SipWord::Reject(cause), Some(sip)) => trunk.endpoint.reject(now, sip, call::rejection(cause)),
            (SipWord::Info(form, body), Some(sip)) => {
                trunk.endpoint.send_info(now, sip, form.content_type(), body.as_bytes());
            }
            (SipWord::HangUp(cause), Some(sip)) => {
                trunk.endpoint.hang_up(now, sip, Some(call::reason(cause)))
            }
            (word, None) => tracing::debug!(?word, "the PBX's call is gone"),
        }
    }
}

async fn resolve(host: &str, port: u16, local: SocketAddr) -> anyhow::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host((host, port)).await.map_err(|error| {
        anyhow::Error::msg(Said::new(
            format!("pbx = {host:?} cannot be resolved: {error}"),
            format!("pbx = {host:?}: адрес по этому имени не найден: {error}"),
        ))
    })?;
    found.find(|address| address.is_ipv4() == local.is_ipv4()).ok_or_else(|| {
        let bind = local.ip();
        anyhow::Error::msg(Said::new(
            format!("pbx = {host:?} has no address of the family of gateway.sip_bind = {bind}"),
            format!("pbx = {host:?}: нет адреса того же семейства, что gateway.sip_bind = {bind}"),
        ))
    })
}

pub(super) async fn receive(trunk: Option<&mut Trunk>, buffer: &mut [u8]) -> Received {
    match trunk {
        Some(trunk) => trunk.wire.receive(buffer).await,
        None => std::future::pending().await,
    }
}
