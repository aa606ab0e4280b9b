//! Payloads of every codec at every rate, with losses between them, and what is heard encoded again.

use tgtrunk_media::codec::{EncoderSettings, TABLE};

use super::script::Script;

/// So many samples of sound are made up or encoded for one script.
const SAMPLES: usize = 48_000;

/// Plays a script of payloads to one decoder; it must sound as long as it promises.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let codec = TABLE[usize::from(how) % TABLE.len()];
    let sample_hz = [codec.sample_hz, 8_000, 16_000, 48_000][usize::from(how >> 6)];
    let settings = EncoderSettings { complexity: 0, ..EncoderSettings::default() };
    let (Ok(mut decoder), Ok(mut encoder)) = (codec.decoder(sample_hz), codec.encoder(sample_hz, settings))
    else {
        return;
    };
    let (mut pcm, mut made) = (Vec::new(), 0);
    while let Some(step) = script.step().filter(|_| made < SAMPLES) {
        let before = pcm.len();
        match step % 4 {
            0 | 1 => {
                let payload = script.bytes();
                let expected = decoder.samples(payload);
                let decoded = decoder.decode(payload, &mut pcm);
                assert_eq!(decoded.is_ok(), expected.is_some());
                assert_eq!(pcm.len() - before, expected.unwrap_or(0));
            }
            2 => {
                let samples = usize::from(script.word()) % 6000;
                let next = script.bytes();
                made += samples;
                decoder.conceal(samples, (step & 4 == 0).then_some(next), &mut pcm);
                assert_eq!(pcm.len() - before, samples);
            }
            _ => {
                encoder.set_loss(f32::from(script.byte()) / 64.0);
                let mut out = Vec::new();
                made += pcm.len();
                for frame in pcm.chunks_exact(sample_hz as usize / 50) {
                    out.clear();
                    encoder.encode(frame, &mut out);
                    assert!(decoder.samples(&out).is_some());
                }
                pcm.clear();
            }
        }
        pcm.drain(..pcm.len().saturating_sub(48_000));
    }
}
