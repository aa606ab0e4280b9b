//! Files that this Telegram has: uploaded in parts, kept whole (core.telegram.org/api/files).

use std::collections::{BTreeMap, VecDeque};

use grammers_tl_types as tl;

use super::picture::dimensions;
use crate::world::clock::unix_now;
use crate::world::error::RpcError;
use crate::world::prime::random;

/// Largest part, in bytes.
const PART_MAX: usize = 512 * 1024;
/// Parts are whole kibibytes, and the largest part is a multiple of each.
const PART_UNIT: usize = 1024;
/// Most parts of one file.
const PARTS_MAX: i32 = 4000;
/// Largest photo, in bytes.
const PHOTO_MAX: usize = 10 * 1024 * 1024;
/// Files under way that are kept, and their bytes; the oldest go first.
const UPLOADS_KEPT: usize = 32;
const UPLOADING_KEPT: usize = 256 * 1024 * 1024;
/// Files that are kept, and their bytes; the oldest go first.
const FILES_KEPT: usize = 1024;
const BYTES_KEPT: usize = 512 * 1024 * 1024;
/// Longest side of the small picture that comes along with a photo (core.telegram.org/api/files#stripped-thumbnails).
const STRIPPED_SIDE: i32 = 40;
/// References of a file that were good once.
const REFERENCES_KEPT: usize = 8;

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    access_hash: i64,
    reference: Vec<u8>,
    /// Those before it, which have expired.
    expired: VecDeque<Vec<u8>>,
    pub(super) date: i32,
    /// Which data centre has it.
    pub(super) dc: i32,
    pub(super) bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Photo { width: i32, height: i32 },
    Document { mime_type: String, attributes: Vec<tl::enums::DocumentAttribute> },
}

/// Parts of a file under way.
#[derive(Debug, Default)]
struct Parts {
    by_number: BTreeMap<i32, Vec<u8>>,
    bytes: usize,
}

/// All files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// By user and the number that the user gave.
    uploads: BTreeMap<(i64, i64), Parts>,
    begun: VecDeque<(i64, i64)>,
    stored: BTreeMap<i64, Stored>,
    last_id: i64,
    bytes: usize,
}

impl Files {
    /// A file's contents, by the number of its photo or document.
    pub(crate) fn contents(&self, id: i64) -> Option<&[u8]> {
        self.stored.get(&id).map(|file| file.bytes.as_slice())
    }

    /// Which data centre has a file.
    pub(crate) fn dc_of(&self, id: i64) -> Option<i32> {
        self.stored.get(&id).map(|file| file.dc)
    }

    pub(super) fn file(&self, id: i64) -> Option<&Stored> {
        self.stored.get(&id)
    }

    /// Keeps a part of a file under way; `total` is how many there are to be, where the client says so.
    pub(super) fn save_part(
        &mut self,
        user: i64,
        file: i64,
        part: i32,
        total: Option<i32>,
        bytes: Vec<u8>,
    ) -> Result<bool, RpcError> {
        if !(0..PARTS_MAX).contains(&part) {
            return Err(RpcError::bad_request("FILE_PART_INVALID"));
        }
        if total.is_some_and(|total| total > PARTS_MAX || (total >= 0 && part >= total)) {
            return Err(RpcError::bad_request("FILE_PARTS_INVALID"));
        }
        if bytes.is_empty() {
            return Err(RpcError::bad_request("FILE_PART_EMPTY"));
        }
        if bytes.len() > PART_MAX {
            return Err(RpcError::bad_request("FILE_PART_TOO_BIG"));
        }
        if !self.uploads.contains_key(&(user, file)) {
            self.begun.push_back((user, file));
        }
        let parts = self.uploads.entry((user, file)).or_default();
        parts.bytes += bytes.len();
        if let Some(before) = parts.by_number.insert(part, bytes) {
            parts.bytes -= before.len();
        }
        while self.begun.len() > UPLOADS_KEPT
            || (self.begun.len() > 1
                && self.uploads.values().map(|parts| parts.bytes).sum::<usize>() > UPLOADING_KEPT)
        {
            if let Some(oldest) = self.begun.pop_front() {
                self.uploads.remove(&oldest);
            }
        }
        Ok(true)
    }

    /// The whole of an uploaded file.
    pub(crate) fn join(&self, user: i64, file: &tl::enums::InputFile) -> Result<Vec<u8>, RpcError> {
        let (id, count) = match file {
            tl::enums::InputFile::File(file) => (file.id, file.parts),
            tl::enums::InputFile::Big(file) => (file.id, file.parts),
            tl::enums::InputFile::StoryDocument(_) => return Err(RpcError::bad_request("MEDIA_INVALID")),
        };
        if !(1..=PARTS_MAX).contains(&count) {
            return Err(RpcError::bad_request("FILE_PARTS_INVALID"));
        }
        let parts = self.uploads.get(&(user, id));
        let mut whole = Vec::with_capacity(parts.map_or(0, |parts| parts.bytes));
        let mut size = None;
        for number in 0..count {
            let part = parts.and_then(|parts| parts.by_number.get(&number));
            let missing = || RpcError::new(400, format!("FILE_PART_{number}_MISSING"));
            let part = part.ok_or_else(missing)?;
            let size = *size.get_or_insert(part.len());
            let last = number == count - 1;
            // All but the last are of one size, which divides the largest.
            let fine = last
                || (part.len() == size && size.is_multiple_of(PART_UNIT) && PART_MAX.is_multiple_of(size));
            if !fine {
                return Err(RpcError::bad_request("FILE_PART_SIZE_INVALID"));
            }
            whole.extend_from_slice(part);
        }
        Ok(whole)
    }

    fn store(&mut self, dc: i32, bytes: Vec<u8>, kind: Kind) -> i64 {
        self.last_id += 1;
        self.bytes += bytes.len();
        let (access_hash, reference) = (i64::from_le_bytes(random()), random::<16>().to_vec());
        let expired = VecDeque::new();
        let file = Stored { access_hash, reference, expired, date: unix_now(), dc, bytes, kind };
        self.stored.insert(self.last_id, file);
        while self.stored.len() > FILES_KEPT || (self.stored.len() > 1 && self.bytes > BYTES_KEPT) {
            if let Some((_, gone)) = self.stored.pop_first() {
                self.bytes -= gone.bytes.len();
            }
        }
        self.last_id
    }

    /// Takes a photo in, whole, and returns its number.
    pub(crate) fn keep_photo(&mut self, dc: i32, bytes: Vec<u8>) -> Result<i64, RpcError> {
        if bytes.len() > PHOTO_MAX {
            return Err(RpcError::bad_request("PHOTO_SAVE_FILE_INVALID"));
        }
        let size = dimensions(&bytes).ok_or_else(|| RpcError::bad_request("IMAGE_PROCESS_FAILED"))?;
        Ok(self.store(dc, bytes, Kind::Photo { width: size.0, height: size.1 }))
    }

    /// Takes a photo in, whole.
    pub(crate) fn add_photo(&mut self, dc: i32, bytes: Vec<u8>) -> Result<tl::enums::MessageMedia, RpcError> {
        let id = self.keep_photo(dc, bytes)?;
        self.media(id)
    }

    /// Takes a document in, whole.
    pub(crate) fn add_document(
        &mut self,
        dc: i32,
        bytes: Vec<u8>,
        mime_type: String,
        attributes: Vec<tl::enums::DocumentAttribute>,
    ) -> Result<tl::enums::MessageMedia, RpcError> {
        let id = self.store(dc, bytes, Kind::Document { mime_type, attributes });
        self.media(id)
    }

    /// Whether a client names a file rightly.
    ///
    /// # Errors
    /// `wrong` for another number or hash, `FILE_REFERENCE_EXPIRED`, `FILE_REFERENCE_INVALID`.
    pub(crate) fn check(
        &self,
        id: i64,
        access_hash: i64,
        reference: &[u8],
        wrong: &str,
    ) -> Result<(), RpcError> {
        let file = self.stored.get(&id).filter(|file| file.access_hash == access_hash);
        let file = file.ok_or_else(|| RpcError::bad_request(wrong))?;
        if file.reference == reference {
            return Ok(());
        }
        let expired = file.expired.iter().any(|expired| expired == reference);
        Err(RpcError::bad_request(if expired { "FILE_REFERENCE_EXPIRED" } else { "FILE_REFERENCE_INVALID" }))
    }

    /// Lets the reference of a file expire; whoever asks for its message again gets the new one. False if there is no
    /// such file.
    pub(super) fn renew_reference(&mut self, id: i64) -> bool {
        let Some(file) = self.stored.get_mut(&id) else { return false };
        let old = std::mem::replace(&mut file.reference, random::<16>().to_vec());
        file.expired.push_back(old);
        if file.expired.len() > REFERENCES_KEPT {
            file.expired.pop_front();
        }
        true
    }

    /// A photo as clients see it.
    pub(crate) fn photo(&self, id: i64) -> Option<tl::enums::Photo> {
        let file = self.stored.get(&id)?;
        match &file.kind {
            Kind::Photo { width, height } => Some(photo(id, file, *width, *height)),
            Kind::Document { .. } => None,
        }
    }

    /// A document as clients see it.
    pub(super) fn document(&self, id: i64) -> Option<tl::enums::Document> {
        let file = self.stored.get(&id)?;
        match &file.kind {
            Kind::Photo { .. } => None,
            Kind::Document { mime_type, attributes } => Some(document(id, file, mime_type, attributes)),
        }
    }

    /// What a message shows for a file.
    pub(crate) fn media(&self, id: i64) -> Result<tl::enums::MessageMedia, RpcError> {
        let file = self.stored.get(&id).ok_or_else(|| RpcError::bad_request("MEDIA_INVALID"))?;
        Ok(match &file.kind {
            Kind::Photo { width, height } => tl::types::MessageMediaPhoto {
                spoiler: false,
                live_photo: false,
                photo: Some(photo(id, file, *width, *height)),
                ttl_seconds: None,
                video: None,
            }
            .into(),
            Kind::Document { mime_type, attributes } => {
                let mut media = tl::types::MessageMediaDocument {
                    nopremium: false,
                    spoiler: false,
                    video: false,
                    round: false,
                    voice: false,
                    document: Some(document(id, file, mime_type, attributes)),
                    alt_documents: None,
                    video_cover: None,
                    video_timestamp: None,
                    ttl_seconds: None,
                };
                for attribute in attributes {
                    match attribute {
                        tl::enums::DocumentAttribute::Video(video) => {
                            (media.video, media.round) = (true, video.round_message);
                        }
                        tl::enums::DocumentAttribute::Audio(audio) => media.voice = audio.voice,
                        _ => {}
                    }
                }
                media.into()
            }
        })
    }
}

fn photo(id: i64, file: &Stored, w: i32, h: i32) -> tl::enums::Photo {
    let size = i32::try_from(file.bytes.len()).unwrap_or(i32::MAX);
    // Its height and width, of at most 40 pixels, and a scan that nobody can look at.
    let small = |pixels: i32| u8::try_from(pixels.min(STRIPPED_SIDE)).unwrap_or(1);
    let stripped =
        tl::types::PhotoStrippedSize { r#type: "i".to_owned(), bytes: vec![1, small(h), small(w), 0] };
    tl::types::Photo {
        has_stickers: false,
        id,
        access_hash: file.access_hash,
        file_reference: file.reference.clone(),
        date: file.date,
        sizes: vec![stripped.into(), tl::types::PhotoSize { r#type: "x".to_owned(), w, h, size }.into()],
        video_sizes: None,
        dc_id: file.dc,
    }
    .into()
}

fn document(
    id: i64,
    file: &Stored,
    mime_type: &str,
    attributes: &[tl::enums::DocumentAttribute],
) -> tl::enums::Document {
    tl::types::Document {
        id,
        access_hash: file.access_hash,
        file_reference: file.reference.clone(),
        date: file.date,
        mime_type: mime_type.to_owned(),
        size: i64::try_from(file.bytes.len()).unwrap_or(i64::MAX),
        thumbs: None,
        video_thumbs: None,
        dc_id: file.dc,
        attributes: attributes.to_vec(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_a_part_missing_is_refused() {
        let mut files = Files::default();
        files.save_part(1, 7, 0, None, vec![1; 1024]).unwrap();
        files.save_part(1, 7, 2, None, vec![3]).unwrap();
        assert_eq!(files.join(1, &file(3)), Err(RpcError::bad_request("FILE_PART_1_MISSING")));
        assert_eq!(files.join(2, &file(1)), Err(RpcError::bad_request("FILE_PART_0_MISSING")));
        assert_eq!(files.join(1, &file(1)), Ok(vec![1; 1024]));
        assert!(files.save_part(1, 7, -1, None, vec![1]).is_err());
        assert!(files.save_part(1, 7, 4, Some(4), vec![1]).is_err());
    }

    #[test]
    fn all_parts_but_the_last_are_of_one_size() {
        let mut files = Files::default();
        files.save_part(1, 7, 0, None, vec![1; 1024]).unwrap();
        files.save_part(1, 7, 1, None, vec![2; 512]).unwrap();
        assert_eq!(files.join(1, &file(2)).map(|whole| whole.len()), Ok(1536));
        files.save_part(1, 7, 2, None, vec![3]).unwrap();
        assert_eq!(files.join(1, &file(3)), Err(RpcError::bad_request("FILE_PART_SIZE_INVALID")));
    }

    #[test]
    fn files_under_way_are_bounded() {
        let mut files = Files::default();
        for file in 0..i64::try_from(UPLOADS_KEPT).unwrap() + 10 {
            files.save_part(1, file, 0, None, vec![0]).unwrap();
        }
        assert_eq!((files.uploads.len(), files.begun.len()), (UPLOADS_KEPT, UPLOADS_KEPT));
    }

    #[test]
    fn an_old_reference_has_expired_and_a_strange_one_is_invalid() {
        let mut files = Files::default();
        files.add_document(2, vec![1], "text/plain".to_owned(), Vec::new()).unwrap();
        let (hash, old) = (files.stored[&1].access_hash, files.stored[&1].reference.clone());
        assert_eq!(files.check(1, hash, &old, "X"), Ok(()));
        assert!(files.renew_reference(1));
        assert_eq!(files.check(1, hash, &old, "X"), Err(RpcError::bad_request("FILE_REFERENCE_EXPIRED")));
        assert_eq!(files.check(1, hash, b"?", "X"), Err(RpcError::bad_request("FILE_REFERENCE_INVALID")));
        assert_eq!(files.check(1, !hash, &old, "X"), Err(RpcError::bad_request("X")));
    }

    fn file(parts: i32) -> tl::enums::InputFile {
        let (name, md5_checksum) = (String::new(), String::new());
        tl::types::InputFile { id: 7, parts, name, md5_checksum }.into()
    }
}
