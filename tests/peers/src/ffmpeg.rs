//! ffmpeg as the judge of codecs: it has its own G.711 and G.722, and resamples.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use audiopus::coder::{Decoder, Encoder};
use audiopus::{Application, Bitrate, Channels, MutSignals, SampleRate};

use crate::codec::Codec;
use crate::pcm::Pcm;

/// The rate in which sounds are compared.
pub const RATE_HZ: u32 = 48_000;
/// Samples of 48 kHz in the Opus packets that are made here: 20 ms.
const OPUS_FRAME: usize = 960;
/// What an Opus packet may hold at most, 120 ms (RFC 6716 section 2.1.4).
const LONGEST_PACKET: usize = 5760;

/// The sound of another rate.
///
/// # Errors
/// When ffmpeg is missing.
pub fn resampled(sound: &Pcm, rate_hz: u32) -> anyhow::Result<Pcm> {
    if sound.rate_hz == rate_hz {
        return Ok(sound.clone());
    }
    let bytes = convert(&sound.bytes(), &raw(sound.rate_hz, "s16le"), &raw(rate_hz, "s16le"))?;
    Ok(Pcm::from_bytes(&bytes, rate_hz))
}

/// The sound of a file of any kind, one channel in 48 kHz.
///
/// # Errors
/// When ffmpeg is missing or cannot read it.
pub fn read(file: &Path) -> anyhow::Result<Pcm> {
    let bytes = run(&[], file, &raw(RATE_HZ, "s16le"))?;
    Ok(Pcm::from_bytes(&bytes, RATE_HZ))
}

/// What the payloads of one RTP stream sound like, one after the other, in 48 kHz.
///
/// # Errors
/// When ffmpeg is missing or a payload is no Opus.
pub fn decoded(codec: Codec, payloads: &[impl AsRef<[u8]>]) -> anyhow::Result<Pcm> {
    if codec == Codec::Opus {
        return opus_decoded(payloads);
    }
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| payload.as_ref().iter().copied()).collect();
    let bytes = convert(&stream, &shape(codec), &raw(RATE_HZ, "s16le"))?;
    Ok(Pcm::from_bytes(&bytes, RATE_HZ))
}

/// The payload bytes of a sound in a codec that has no packets of its own: all but Opus.
///
/// # Errors
/// When ffmpeg is missing.
pub fn encoded(codec: Codec, sound: &Pcm) -> anyhow::Result<Vec<u8>> {
    ensure!(codec != Codec::Opus, "Opus has packets: opus_encoded makes them");
    convert(&sound.bytes(), &raw(sound.rate_hz, "s16le"), &shape(codec))
}

/// Packets of 20 ms, at `bits_per_s`.
///
/// # Errors
/// When ffmpeg or libopus fail.
pub fn opus_encoded(sound: &Pcm, bits_per_s: i32) -> anyhow::Result<Vec<Vec<u8>>> {
    opus_packets(sound, bits_per_s, |_| Ok(()))
}

/// The same for a network that loses so much: each packet holds a copy of the one before (RFC 6716 section 2.1.7).
///
/// # Errors
/// As [`opus_encoded`].
pub fn opus_encoded_for(loss_percent: u8, sound: &Pcm, bits_per_s: i32) -> anyhow::Result<Vec<Vec<u8>>> {
    opus_packets(sound, bits_per_s, |encoder| {
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(loss_percent)
    })
}

fn opus_packets(
    sound: &Pcm,
    bits_per_s: i32,
    more: impl Fn(&mut Encoder) -> audiopus::Result<()>,
) -> anyhow::Result<Vec<Vec<u8>>> {
    let sound = resampled(sound, RATE_HZ)?;
    let mut encoder = Encoder::new(SampleRate::Hz48000, Channels::Mono, Application::Voip)?;
    encoder.set_bitrate(Bitrate::BitsPerSecond(bits_per_s))?;
    more(&mut encoder)?;
    let mut buffer = vec![0; 1275];
    let packet = |frame: &[i16]| {
        let length = encoder.encode(frame, &mut buffer)?;
        Ok(buffer[..length].to_vec())
    };
    sound.samples.chunks_exact(OPUS_FRAME).map(packet).collect()
}

/// What is left of a sound that went through a codec and nothing else, in 48 kHz.
///
/// # Errors
/// When ffmpeg or libopus fail.
pub fn through(codec: Codec, sound: &Pcm, opus_bits_per_s: i32) -> anyhow::Result<Pcm> {
    if codec == Codec::Opus {
        return opus_decoded(&opus_encoded(sound, opus_bits_per_s)?);
    }
    decoded(codec, &[encoded(codec, sound)?])
}

fn opus_decoded(packets: &[impl AsRef<[u8]>]) -> anyhow::Result<Pcm> {
    let mut decoder = Decoder::new(SampleRate::Hz48000, Channels::Mono)?;
    let mut samples = Vec::new();
    let mut buffer = vec![0; LONGEST_PACKET];
    for packet in packets {
        let signals = MutSignals::try_from(&mut buffer)?;
        let count = decoder.decode(Some(packet.as_ref().try_into()?), signals, false).context("not Opus")?;
        samples.extend(&buffer[..count]);
    }
    Ok(Pcm { samples, rate_hz: RATE_HZ })
}

/// How ffmpeg is told a codec's bytes.
fn shape(codec: Codec) -> Vec<String> {
    let format = match codec {
        Codec::Pcma => "alaw",
        Codec::Pcmu => "mulaw",
        Codec::G722 => "g722",
        // Network byte order (RFC 3551 section 4.5.11).
        Codec::L16 | Codec::Opus => "s16be",
    };
    raw(codec.audio_rate_hz(), format)
}

fn raw(rate_hz: u32, format: &str) -> Vec<String> {
    ["-f", format, "-ar", &rate_hz.to_string(), "-ac", "1"].map(str::to_owned).to_vec()
}

fn convert(input: &[u8], from: &[String], to: &[String]) -> anyhow::Result<Vec<u8>> {
    let source = tempfile::NamedTempFile::new()?;
    fs::write(source.path(), input)?;
    // What reads G.722 knows its rate by itself and takes no other.
    let from = if from[1] == "g722" { &from[..2] } else { from };
    run(from, source.path(), to)
}

fn run(from: &[String], source: &Path, to: &[String]) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let result = folder.path().join("result");
    spent(Command::new("ffmpeg").args(from).arg("-i").arg(source).args(to).arg(&result))?;
    Ok(fs::read(result)?)
}

/// Writes a small picture, of the kind that the file's name says.
///
/// # Errors
/// When ffmpeg is missing.
pub fn picture(file: &Path) -> anyhow::Result<()> {
    spent(
        Command::new("ffmpeg").args(["-f", "lavfi", "-i", "color=c=red:s=64x64", "-frames:v", "1"]).arg(file),
    )
}

fn spent(ffmpeg: &mut Command) -> anyhow::Result<()> {
    let output = ffmpeg
        .args(["-hide_banner", "-loglevel", "error", "-nostdin"])
        .stdin(Stdio::null())
        .output()
        .context("ffmpeg, from the Debian package ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone;

    #[test]
    fn every_codec_carries_a_tone_and_keeps_its_length() {
        let sound = Pcm::tone(&[440, 880], 2000, RATE_HZ);
        for codec in Codec::ALL {
            let heard = through(codec, &sound, 32_000).unwrap();
            assert!(heard.length_ms().abs_diff(2000) <= 1, "{codec}: {} ms", heard.length_ms());
            let share = tone::share_of(&heard.samples, RATE_HZ, &[440, 880]);
            assert!(share > 0.99, "{codec}: {share}");
            assert!(tone::share_of(&heard.samples, RATE_HZ, &[660]) < 0.01, "{codec}");
        }
    }

    #[test]
    fn g711_is_that_of_itu_t_g_711() {
        // Table 1a of the recommendation: A-law of 0 and of full scale, even bits inverted; table 2a for mu-law.
        let sound = Pcm { samples: vec![0, i16::MAX, i16::MIN], rate_hz: 8000 };
        assert_eq!(encoded(Codec::Pcma, &sound).unwrap(), [0xd5, 0xaa, 0x2a]);
        assert_eq!(encoded(Codec::Pcmu, &sound).unwrap(), [0xff, 0x80, 0x00]);
    }
}
