//! PCMA: A-law of G.711 in RTP (RFC 3551 section 4.5.14), one byte a sample.

use super::Codec;
use super::concealment::{Concealed, Expand};
use super::g711::{FROM_A, Shaper, to_a};

/// The row of PCMA.
pub static PCMA: Codec = Codec {
    name: "PCMA",
    clock_hz: 8_000,
    channels: 1,
    static_payload_type: Some(8),
    offered_payload_type: 109,
    fmtp: "",
    sample_hz: 8_000,
    default_ptime_ms: 20,
    open_decoder: |sample_hz| {
        (sample_hz == PCMA.sample_hz).then(|| Box::new(Concealed::new(Law, sample_hz)) as _)
    },
    open_encoder: |sample_hz, _| {
        (sample_hz == PCMA.sample_hz).then(|| Box::new(Shaper::new(to_a, &FROM_A)) as _)
    },
};

#[derive(Debug)]
struct Law;

impl Expand for Law {
    const NAME: &'static str = "PCMA";

    fn samples(bytes: usize) -> Option<usize> {
        (bytes > 0).then_some(bytes)
    }

    fn expand(&mut self, payload: &[u8], pcm: &mut Vec<i16>) {
        pcm.extend(payload.iter().map(|&byte| FROM_A[usize::from(byte)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of both signs and every segment, none on a border where the laws leave a choice, and what the audioop
    /// module of Python 3.11 makes of them.
    const SAMPLES: &[u8] = include_bytes!("../../testdata/g711/samples.s16be");
    const GOLDEN: &[u8] = include_bytes!("../../testdata/g711/samples.alaw");

    #[test]
    fn samples_become_the_bytes_that_another_encoder_writes() {
        let pcm: Vec<i16> = SAMPLES.as_chunks().0.iter().map(|&pair| i16::from_be_bytes(pair)).collect();
        assert_eq!(pcm.iter().map(|&sample| to_a(sample)).collect::<Vec<_>>(), GOLDEN);
    }

    #[test]
    fn a_payload_sounds_one_sample_a_byte() {
        let mut decoder = PCMA.decoder(8_000).unwrap();
        let mut pcm = vec![0; 3];
        decoder.decode(&GOLDEN[..160], &mut pcm).unwrap();
        assert_eq!((pcm.len(), decoder.samples(&GOLDEN[..160])), (163, Some(160)));
        assert_eq!(pcm[3..5], [FROM_A[usize::from(GOLDEN[0])], FROM_A[usize::from(GOLDEN[1])]]);
    }

    #[test]
    fn an_empty_payload_is_malformed_and_a_lost_one_concealed() {
        let mut decoder = PCMA.decoder(8_000).unwrap();
        let mut pcm = Vec::new();
        assert!(decoder.decode(&[], &mut pcm).is_err());
        assert_eq!(decoder.samples(&[]), None);
        decoder.decode(&GOLDEN[..160], &mut pcm).unwrap();
        decoder.conceal(80, None, &mut pcm);
        assert_eq!(pcm.len(), 240);
        assert!(pcm[160..].iter().any(|&sample| sample != 0));
    }
}
