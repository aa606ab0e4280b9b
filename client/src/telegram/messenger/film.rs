//! How large and how long a film is, as its file says (ISO/IEC 14496-12): Telegram shows by that what it plays.

use std::io;
use std::path::Path;

use tgtrunk_telegram::tl;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

/// Longest description of a film that is read, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// Boxes of a file that are looked at.
const MOST_BOXES: u32 = 1_000;

/// What a film's file says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Film {
    width: i32,
    height: i32,
    seconds: f64,
}

/// Says of a film that is about to be sent what its file says; other media are as they were.
pub(super) async fn measured(mut media: tl::enums::InputMedia, path: &Path) -> tl::enums::InputMedia {
    let tl::enums::InputMedia::UploadedDocument(document) = &mut media else { return media };
    for attribute in &mut document.attributes {
        let tl::enums::DocumentAttribute::Video(video) = attribute else { continue };
        if let Ok(Some(film)) = film(path).await {
            (video.w, video.h, video.duration) = (film.width, film.height, film.seconds);
        }
    }
    media
}

async fn film(path: &Path) -> io::Result<Option<Film>> {
    let mut file = File::open(path).await?;
    let length = file.metadata().await?.len();
    let mut at = 0;
    for _ in 0..MOST_BOXES {
        let mut head = [0; 16];
        file.seek(io::SeekFrom::Start(at)).await?;
        let read = read_some(&mut file, &mut head).await?;
        let Some((kind, header, size)) = header(&head[..read], length - at) else { return Ok(None) };
        if &kind == b"moov" {
            let body = size - header;
            if body > MOST_BYTES {
                return Ok(None);
            }
            file.seek(io::SeekFrom::Start(at + header)).await?;
            let mut description = Vec::new();
            file.take(body).read_to_end(&mut description).await?;
            return Ok(described(&description));
        }
        at += size;
        if at >= length {
            return Ok(None);
        }
    }
    Ok(None)
}

async fn read_some(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]).await? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// A box's kind, the length of its header and its whole length; none where it does not fit into what is left.
fn header(bytes: &[u8], left: u64) -> Option<([u8; 4], u64, u64)> {
    let size = u64::from(u32::from_be_bytes(*bytes.first_chunk()?));
    let kind = *bytes.get(4..)?.first_chunk()?;
    let (header, size) = match size {
        0 => (8, left),
        1 => (16, u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)),
        size => (8, size),
    };
    (size >= header && size <= left).then_some((kind, header, size))
}

/// The boxes inside another: kinds and bodies.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, header, size) = header(bytes, u64::try_from(bytes.len()).ok()?)?;
        let (header, size) = (usize::try_from(header).ok()?, usize::try_from(size).ok()?);
        let body = bytes.get(header..size)?;
        bytes = bytes.get(size..)?;
        Some((kind, body))
    })
}

fn described(movie: &[u8]) -> Option<Film> {
    let mut film = Film::default();
    for (kind, body) in boxes(movie) {
        match &kind {
            b"mvhd" => film.seconds = seconds(body).unwrap_or(0.0),
            b"trak" if film.width == 0 => {
                let track = boxes(body).find(|(kind, _)| kind == b"tkhd");
                if let Some((width, height)) = track.and_then(|(_, body)| size(body)) {
                    (film.width, film.height) = (width, height);
                }
            }
            _ => {}
        }
    }
    (film.width > 0).then_some(film)
}

/// `mvhd`: version and flags, two times, the time scale, the duration.
fn seconds(body: &[u8]) -> Option<f64> {
    let word = |at: usize| Some(u32::from_be_bytes(*body.get(at..)?.first_chunk()?));
    let (scale, duration) = match body.first()? {
        0 => (word(12)?, u64::from(word(16)?)),
        _ => (word(20)?, u64::from_be_bytes(*body.get(24..)?.first_chunk()?)),
    };
    let milliseconds = duration.checked_mul(1000)?.checked_div(scale.into())?;
    Some(f64::from(u32::try_from(milliseconds).ok()?) / 1000.0)
}

/// `tkhd`: the last 44 bytes are the matrix, by which the film may be turned, and width and height in 16.16.
fn size(body: &[u8]) -> Option<(i32, i32)> {
    let end = body.len().checked_sub(44)?;
    let word = |at: usize| Some(u32::from_be_bytes(*body.get(end + at..)?.first_chunk()?));
    let pixels = |word: u32| i32::try_from(word >> 16).ok();
    let (width, height) = (pixels(word(36)?)?, pixels(word(40)?)?);
    let is_turned = word(0)? == 0 && word(16)? == 0;
    let size = if is_turned { (height, width) } else { (width, height) };
    (width > 0 && height > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_films_size_and_length_are_those_of_its_file() {
        for (is_turned, size) in [(false, (640, 360)), (true, (360, 640))] {
            let file = movie(is_turned);
            let film = film_of(&file).await.unwrap();
            assert_eq!((film.width, film.height, film.seconds), (size.0, size.1, 2.5));
        }
    }

    #[tokio::test]
    async fn what_is_no_film_is_sent_as_it_is() {
        let whole = movie(false);
        for file in [&[][..], b"x", b"\0\0\0\x01moov", b"\0\0\0\x04moov", b"\xff\xff\xff\xffmoov", &[0; 64]] {
            assert_eq!(film_of(file).await, None, "{file:?}");
        }
        for end in 0..whole.len() {
            film_of(&whole[..end]).await;
        }
        let sound = boxed(b"moov", &boxed(b"mvhd", &mvhd()));
        assert_eq!(film_of(&sound).await, None);
    }

    async fn film_of(bytes: &[u8]) -> Option<Film> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mp4");
        std::fs::write(&path, bytes).unwrap();
        film(&path).await.unwrap()
    }

    /// `ftyp`, `mdat` with a long length, and `moov` with a sound's track before the picture's.
    fn movie(is_turned: bool) -> Vec<u8> {
        let tkhd = |width: u32, height: u32| {
            let mut body = vec![0; 40];
            let [one, none] = [0x0001_0000_u32, 0].map(u32::to_be_bytes);
            let (a, b) = if is_turned { (none, one) } else { (one, none) };
            for word in [a, b, none, b, a, none, none, none, 0x4000_0000_u32.to_be_bytes()] {
                body.extend(word);
            }
            body.extend((width << 16).to_be_bytes());
            body.extend((height << 16).to_be_bytes());
            boxed(b"trak", &boxed(b"tkhd", &body))
        };
        let moov = [boxed(b"mvhd", &mvhd()), tkhd(0, 0), tkhd(640, 360)].concat();
        let mut mdat = b"\0\0\0\x01mdat".to_vec();
        mdat.extend(20_u64.to_be_bytes());
        mdat.extend([1, 2, 3, 4]);
        [boxed(b"ftyp", b"isom"), mdat, boxed(b"moov", &moov)].concat()
    }

    fn mvhd() -> Vec<u8> {
        let mut body = vec![0; 12];
        body.extend(600_u32.to_be_bytes());
        body.extend(1500_u32.to_be_bytes());
        body
    }

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes()[..], kind, body].concat()
    }
}
