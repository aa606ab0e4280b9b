//! How a call's two legs are, in the words of the control contract, and in one log line.

use tgcall::{PathInfo, PathKind, PathTransport};
use tgtrunk_config::control::{LegQuality, MediaPath, MediaTransport, Quality};
use tgtrunk_media::{Audio, Relay, Side, quality};

/// What a leg speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spoken {
    pub(crate) codec: &'static str,
    pub(crate) ptime_ms: u32,
}

impl From<&Audio> for Spoken {
    fn from(audio: &Audio) -> Self {
        Self { codec: audio.codec.name, ptime_ms: audio.ptime_ms }
    }
}

/// Datagrams that came to a call's ports and were not its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) telegram: u64,
    pub(crate) pbx: u64,
}

/// Both legs of a call as they are now.
pub(crate) fn of_call(
    relay: &Relay,
    telegram: Option<Spoken>,
    trunk: Option<Spoken>,
    refused: Refused,
    path: Option<&PathInfo>,
) -> Quality {
    let mut quality = Quality {
        telegram: leg(&relay.quality(Side::Telegram), telegram, refused.telegram),
        pbx: leg(&relay.quality(Side::Trunk), trunk, refused.pbx),
    };
    let telegram = &mut quality.telegram;
    telegram.path = path.map(|path| match path.kind {
        PathKind::Direct => MediaPath::Direct,
        PathKind::Turn => MediaPath::Turn,
        PathKind::Reflector => MediaPath::Reflector,
    });
    telegram.transport = path.map(|path| match path.transport {
        PathTransport::Udp => MediaTransport::Udp,
        PathTransport::Tcp => MediaTransport::Tcp,
    });
    // Checks of the path tell the way there and back where the peer's reports do not yet.
    telegram.round_trip_ms = telegram
        .round_trip_ms
        .or_else(|| path.and_then(|path| path.round_trip).map(|time| whole(time.as_secs_f32() * 1000.0)));
    quality
}

fn leg(measured: &quality::LegQuality, spoken: Option<Spoken>, refused: u64) -> LegQuality {
    LegQuality {
        codec: spoken.map_or_else(String::new, |spoken| spoken.codec.to_owned()),
        ptime_ms: spoken.map_or(0, |spoken| spoken.ptime_ms),
        packets_in: measured.packets_in,
        packets_out: measured.packets_out,
        lost: measured.lost,
        reordered: measured.reordered,
        refused,
        jitter_ms: whole(measured.jitter_ms),
        round_trip_ms: measured.round_trip_ms.map(whole),
        remote_lost_permille: measured.remote_lost_share.map(|share| whole(share * 1000.0)),
        concealed_permille: whole(measured.concealed_share * 1000.0),
        // Of a leg that was never heard there is nothing to estimate.
        mos_hundredths: (measured.packets_in > 0).then(|| whole(measured.mos * 100.0)),
        path: None,
        transport: None,
    }
}

/// One leg in the end-of-call log line: `PCMA/20 in 1500 out 1500 lost 3 late 0 jitter 2 ms rtt 12 ms mos 4.21`.
pub(crate) fn sentence(leg: &LegQuality) -> String {
    let mut told = format!(
        "{}/{} in {} out {} lost {} late {} jitter {} ms",
        leg.codec, leg.ptime_ms, leg.packets_in, leg.packets_out, leg.lost, leg.reordered, leg.jitter_ms
    );
    if leg.refused > 0 {
        told.push_str(&format!(" refused {}", leg.refused));
    }
    if let Some(round_trip_ms) = leg.round_trip_ms {
        told.push_str(&format!(" rtt {round_trip_ms} ms"));
    }
    if let Some(permille) = leg.remote_lost_permille {
        told.push_str(&format!(" there lost {permille} ‰"));
    }
    if leg.concealed_permille > 0 {
        told.push_str(&format!(" concealed {} ‰", leg.concealed_permille));
    }
    if let Some(hundredths) = leg.mos_hundredths {
        told.push_str(&format!(" mos {}.{:02}", hundredths / 100, hundredths % 100));
    }
    if let (Some(path), Some(transport)) = (leg.path, leg.transport) {
        told.push_str(&format!(" by {} {}", path.as_str(), transport.as_str()));
    }
    told
}

fn whole(value: f32) -> u32 {
    value.round().max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_is_told_in_one_line_without_what_is_not_known() {
        let mut leg = LegQuality {
            codec: "PCMA".to_owned(),
            ptime_ms: 20,
            packets_in: 1500,
            packets_out: 1499,
            lost: 3,
            jitter_ms: 2,
            ..LegQuality::default()
        };
        assert_eq!(sentence(&leg), "PCMA/20 in 1500 out 1499 lost 3 late 0 jitter 2 ms");
        leg.round_trip_ms = Some(12);
        leg.refused = 9;
        leg.remote_lost_permille = Some(5);
        leg.mos_hundredths = Some(405);
        leg.path = Some(MediaPath::Turn);
        leg.transport = Some(MediaTransport::Tcp);
        let told = sentence(&leg);
        assert!(
            told.ends_with("jitter 2 ms refused 9 rtt 12 ms there lost 5 ‰ mos 4.05 by turn tcp"),
            "{told}"
        );
    }
}
