//! L16: linear 16-bit samples, most significant byte first (RFC 3551 section 4.5.11), here 48000 a second and mono.

use super::concealment::{Concealed, Expand};
use super::{Codec, Encoder};

/// The row of L16 at 48 kHz. A packet of 20 ms would not fit an Ethernet frame, so ours hold 10 ms.
pub static L16: Codec = Codec {
    name: "L16",
    clock_hz: 48_000,
    channels: 1,
    static_payload_type: None,
    offered_payload_type: 108,
    fmtp: "",
    sample_hz: 48_000,
    default_ptime_ms: 10,
    open_decoder: |sample_hz| {
        (sample_hz == L16.sample_hz).then(|| Box::new(Concealed::new(Linear, sample_hz)) as _)
    },
    open_encoder: |sample_hz, _| (sample_hz == L16.sample_hz).then(|| Box::new(Linear) as _),
};

#[derive(Debug)]
struct Linear;

impl Expand for Linear {
    const NAME: &'static str = "L16";

    fn samples(bytes: usize) -> Option<usize> {
        (bytes > 0 && bytes.is_multiple_of(2)).then_some(bytes / 2)
    }

    fn expand(&mut self, payload: &[u8], pcm: &mut Vec<i16>) {
        pcm.extend(payload.as_chunks().0.iter().map(|&pair| i16::from_be_bytes(pair)));
    }
}

impl Encoder for Linear {
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        out.extend(pcm.iter().flat_map(|sample| sample.to_be_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{EncoderSettings, Malformed};

    #[test]
    fn samples_travel_in_network_order() {
        let pcm = [0, 1, -1, 0x1234, i16::MIN, i16::MAX];
        let golden = [0, 0, 0, 1, 0xff, 0xff, 0x12, 0x34, 0x80, 0, 0x7f, 0xff];
        let (mut out, mut back) = (Vec::new(), Vec::new());
        L16.encoder(48_000, EncoderSettings::default()).unwrap().encode(&pcm, &mut out);
        assert_eq!(out, golden);
        let mut decoder = L16.decoder(48_000).unwrap();
        decoder.decode(&out, &mut back).unwrap();
        assert_eq!((back.as_slice(), decoder.samples(&out)), (&pcm[..], Some(6)));
    }

    #[test]
    fn half_a_sample_is_malformed() {
        let mut decoder = L16.decoder(48_000).unwrap();
        for bytes in [0, 1, 961] {
            let payload = vec![7; bytes];
            let mut pcm = Vec::new();
            assert_eq!(decoder.decode(&payload, &mut pcm), Err(Malformed { codec: "L16", bytes }));
            assert_eq!((pcm.len(), decoder.samples(&payload)), (0, None));
        }
    }

    #[test]
    fn it_has_one_rate() {
        assert!(L16.decoder(8_000).is_err());
        assert!(L16.encoder(16_000, EncoderSettings::default()).is_err());
    }

    #[test]
    fn our_packets_fit_an_ethernet_frame() {
        let bytes = L16.sample_hz * L16.default_ptime_ms / 1000 * 2;
        assert!(bytes + 12 + 8 + 40 <= 1500, "{bytes}");
    }
}
