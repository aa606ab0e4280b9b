//! `export`: both sides of a recorded call in one file, aligned in time. The gateway need not run for it.

use std::fs::OpenOptions;
use std::io::{BufWriter, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use tgtrunk_config::control::{CallRecord, Recording};
use tgtrunk_config::{CallId, Lines, StateDir};
use tgtrunk_media::codec::{Decoder, EncoderSettings, OPUS};
use tgtrunk_media::ogg::{self, Packet, Writer};

use crate::recording::{self, Place};
use crate::records;

const SAMPLE_HZ: u32 = 48_000;
/// Samples of 20 ms.
const FRAME: usize = 960;
/// What a decoder drops in the beginning, as the recordings' headers say.
const PRE_SKIP: usize = 312;
const WAV_HEADER_BYTES: usize = 44;

#[derive(Args)]
pub(crate) struct Wanted {
    /// Its number, as `calls` shows it.
    call: CallId,
    /// The file, which must not be there: .ogg for Opus, .wav for linear PCM.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Telegram's side on the left and the PBX's on the right, instead of both in the middle. For .wav.
    #[arg(long)]
    stereo: bool,
}

/// Writes the file.
///
/// # Errors
/// When there is no such call, it was not recorded, or a file cannot be read or written.
pub(crate) async fn run(state: &StateDir, wanted: Wanted) -> anyhow::Result<()> {
    let record = records::of_call(state, wanted.call).await?;
    let record = record.with_context(|| format!("there is no record of call {}", wanted.call))?;
    let recording =
        record.recording.clone().with_context(|| format!("call {} was not recorded", wanted.call))?;
    let place = place(state, &record)?;
    tokio::task::spawn_blocking(move || write(&wanted, &place, &recording)).await?
}

fn place(state: &StateDir, record: &CallRecord) -> anyhow::Result<Place> {
    let line = Lines::load(state)?.lines.into_iter().find(|line| line.phone == record.line);
    let usual = || Place(state.phone_dir(&record.line).join("recordings"));
    Ok(line.map_or_else(usual, |line| recording::place(state, &line)))
}

fn write(wanted: &Wanted, place: &Place, recording: &Recording) -> anyhow::Result<()> {
    let read = |name: &str| {
        let path = recording::path_of(place, name).with_context(|| format!("{name:?} is no recording"))?;
        std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))
    };
    let (telegram, pbx) = (read(&recording.telegram)?, read(&recording.pbx)?);
    let mut sides = [Sound::new(ogg::packets(&telegram))?, Sound::new(ogg::packets(&pbx))?];
    let out = &wanted.out;
    let kind = out.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
    ensure!(["ogg", "wav"].contains(&kind), "{}: want a name that ends in .ogg or .wav", out.display());
    ensure!(kind == "wav" || !wanted.stereo, "--stereo is for .wav");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(out);
    let file = BufWriter::new(file.with_context(|| format!("{} cannot be made", out.display()))?);
    match kind {
        "ogg" => opus(file, &mut sides, &wanted.call.to_string()),
        _ => wav(file, &mut sides, wanted.stereo),
    }
}

/// One side as sound.
struct Sound<I> {
    packets: I,
    decoder: Box<dyn Decoder>,
    pcm: Vec<i16>,
    skip: usize,
}

impl<I: Iterator<Item = Packet>> Sound<I> {
    fn new(packets: I) -> anyhow::Result<Self> {
        Ok(Self { packets, decoder: OPUS.decoder(SAMPLE_HZ)?, pcm: Vec::new(), skip: PRE_SKIP })
    }

    /// The next 20 ms; silence behind the end. False where both are over.
    fn fill(&mut self, frame: &mut [i16]) -> bool {
        while self.pcm.len() < self.skip + frame.len() {
            let Some(packet) = self.packets.next() else { break };
            let before = self.pcm.len();
            if self.decoder.decode(&packet.payload, &mut self.pcm).is_err() {
                self.pcm.resize(before + packet.samples as usize, 0);
            }
        }
        self.pcm.drain(..self.skip.min(self.pcm.len()));
        self.skip = 0;
        let count = self.pcm.len().min(frame.len());
        frame.fill(0);
        frame[..count].copy_from_slice(&self.pcm[..count]);
        self.pcm.drain(..count);
        count > 0
    }
}

fn opus<I: Iterator<Item = Packet>>(
    mut file: impl Write,
    sides: &mut [Sound<I>; 2],
    title: &str,
) -> anyhow::Result<()> {
    let settings = EncoderSettings { complexity: 9, fec: false, ..EncoderSettings::default() };
    let mut encoder = OPUS.encoder(SAMPLE_HZ, settings)?;
    let (mut pages, mut packet) = (Vec::new(), Vec::new());
    let mut stream = Writer::begin(1, &[("TITLE", title)], &mut pages);
    let mut frames = [[0; FRAME]; 2];
    while next(sides, &mut frames) {
        let mixed: Vec<i16> =
            frames[0].iter().zip(&frames[1]).map(|(one, other)| one.saturating_add(*other)).collect();
        packet.clear();
        encoder.encode(&mixed, &mut packet);
        stream.push(&packet, FRAME as u32, &mut pages);
        file.write_all(&pages)?;
        pages.clear();
    }
    stream.end(&mut pages);
    file.write_all(&pages)?;
    Ok(file.flush()?)
}

fn wav<I: Iterator<Item = Packet>>(
    mut file: BufWriter<std::fs::File>,
    sides: &mut [Sound<I>; 2],
    stereo: bool,
) -> anyhow::Result<()> {
    let channels = if stereo { 2 } else { 1 };
    file.write_all(&[0; WAV_HEADER_BYTES])?;
    let mut frames = [[0; FRAME]; 2];
    let mut bytes: u32 = 0;
    while next(sides, &mut frames) {
        let mut sound = Vec::with_capacity(FRAME * 4);
        for (left, right) in frames[0].iter().zip(&frames[1]) {
            if stereo {
                sound.extend_from_slice(&left.to_le_bytes());
                sound.extend_from_slice(&right.to_le_bytes());
            } else {
                sound.extend_from_slice(&left.saturating_add(*right).to_le_bytes());
            }
        }
        let Some(longer) = bytes.checked_add(sound.len() as u32).filter(|bytes| *bytes < u32::MAX - 44)
        else {
            bail!("the call is too long for .wav: take .ogg");
        };
        bytes = longer;
        file.write_all(&sound)?;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&wav_header(channels, bytes))?;
    Ok(file.flush()?)
}

fn wav_header(channels: u16, bytes: u32) -> Vec<u8> {
    let block = 2 * channels;
    let mut header = Vec::with_capacity(WAV_HEADER_BYTES);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&(bytes + 36).to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&16_u32.to_le_bytes());
    header.extend_from_slice(&1_u16.to_le_bytes());
    header.extend_from_slice(&channels.to_le_bytes());
    header.extend_from_slice(&SAMPLE_HZ.to_le_bytes());
    header.extend_from_slice(&(SAMPLE_HZ * u32::from(block)).to_le_bytes());
    header.extend_from_slice(&block.to_le_bytes());
    header.extend_from_slice(&16_u16.to_le_bytes());
    header.extend_from_slice(b"data");
    header.extend_from_slice(&bytes.to_le_bytes());
    header
}

/// The next 20 ms of both; false when both are over.
fn next<I: Iterator<Item = Packet>>(sides: &mut [Sound<I>; 2], frames: &mut [[i16; FRAME]; 2]) -> bool {
    let [one, other] = sides;
    let [first, second] = frames;
    // Both, always.
    one.fill(first) | other.fill(second)
}
