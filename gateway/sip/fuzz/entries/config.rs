//! A line as the fuzzer's bytes meet it.

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_media::codec::{OPUS, PCMA};
use tgtrunk_sip::{Config, LocalAudio, Srtp, Transport};

/// A line at one address whose PBX is at another.
pub fn config(local: &str, peer: &str) -> Config {
    let local: SocketAddr = local.parse().unwrap();
    Config {
        local,
        announced: local,
        peer: peer.parse().unwrap(),
        transport: Transport::Udp,
        more_peers: Vec::new(),
        domain: None,
        failover: Duration::from_secs(4),
        srtp: Srtp::Offer,
        line_user: "+74950000001".to_owned(),
        user_agent: "tgtrunk".to_owned(),
        allowed: Vec::new(),
        any_source: false,
        guard: None,
        codecs: vec![&OPUS, &PCMA],
        peer_names: Vec::new(),
        refer: true,
        new_calls_per_second: 0,
        max_calls: 8,
        options_interval: Duration::from_secs(1000),
        ring_limit: Duration::from_secs(60),
        session_interval_s: 1800,
        credentials: None,
        register: None,
        // Both ends of a trunk draw from different seeds.
        seed: [local.port() as u8; 32],
    }
}

/// Its end of a call's sound.
pub fn audio() -> LocalAudio {
    LocalAudio {
        rtp: "127.0.0.1:20000".parse().unwrap(),
        rtcp: None,
        rtcp_mux: true,
        codecs: vec![&OPUS, &PCMA],
        telephone_event: true,
    }
}
