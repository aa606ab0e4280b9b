//! Files: uploaded in parts, sent as photos and documents, and read again (core.telegram.org/api/files).

use std::collections::{BTreeMap, VecDeque};

use grammers_tl_types as tl;

use super::clock::unix_now;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::prime::random;
use super::users::digits;

/// Largest part, in bytes.
const PART_MAX: usize = 512 * 1024;
/// Most parts of one file. Telegram takes 4000; this Telegram keeps its files in memory.
const PARTS_MAX: usize = 64;
/// Largest photo, in bytes.
const PHOTO_MAX: usize = 10 * 1024 * 1024;
/// Files under way that are kept; the oldest go first.
const UPLOADS_KEPT: usize = 16;
/// Files sent that are kept, and their bytes; the oldest go first.
const FILES_KEPT: usize = 256;
const BYTES_KEPT: usize = 256 * 1024 * 1024;
/// Largest piece read at once, in bytes.
const PIECE_MAX: i32 = 1024 * 1024;

/// A file that was sent.
#[derive(Debug, Clone)]
struct Stored {
    access_hash: i64,
    reference: Vec<u8>,
    date: i32,
    /// Which data centre has it.
    dc: i32,
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Photo { width: i32, height: i32 },
    Document { mime_type: String, attributes: Vec<tl::enums::DocumentAttribute> },
}

/// Parts of a file under way.
type Parts = BTreeMap<i32, Vec<u8>>;

/// All files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// By user and the number that the user gave.
    uploads: BTreeMap<(i64, i64), Parts>,
    begun: VecDeque<(i64, i64)>,
    stored: BTreeMap<i64, Stored>,
    last_id: i64,
}

impl Files {
    /// A file's contents, by the number of its photo or document.
    pub(crate) fn contents(&self, id: i64) -> Option<&[u8]> {
        self.stored.get(&id).map(|file| file.bytes.as_slice())
    }

    fn save_part(&mut self, user: i64, file: i64, part: i32, bytes: Vec<u8>) -> Result<bool, RpcError> {
        let fine = usize::try_from(part).is_ok_and(|part| part < PARTS_MAX);
        if !fine {
            return Err(RpcError::bad_request("FILE_PART_INVALID"));
        }
        if bytes.is_empty() {
            return Err(RpcError::bad_request("FILE_PART_EMPTY"));
        }
        if bytes.len() > PART_MAX {
            return Err(RpcError::bad_request("FILE_PART_TOO_BIG"));
        }
        if !self.uploads.contains_key(&(user, file)) {
            self.begun.push_back((user, file));
            if self.begun.len() > UPLOADS_KEPT
                && let Some(oldest) = self.begun.pop_front()
            {
                self.uploads.remove(&oldest);
            }
        }
        self.uploads.entry((user, file)).or_default().insert(part, bytes);
        Ok(true)
    }

    /// The whole of an uploaded file.
    fn join(&self, user: i64, file: &tl::enums::InputFile) -> Result<Vec<u8>, RpcError> {
        let (id, count) = match file {
            tl::enums::InputFile::File(file) => (file.id, file.parts),
            tl::enums::InputFile::Big(file) => (file.id, file.parts),
            tl::enums::InputFile::StoryDocument(_) => return Err(RpcError::bad_request("MEDIA_INVALID")),
        };
        if count <= 0 {
            return Err(RpcError::bad_request("FILE_PARTS_INVALID"));
        }
        let parts = self.uploads.get(&(user, id));
        let mut whole = Vec::new();
        for number in 0..count {
            let part = parts.and_then(|parts| parts.get(&number));
            let missing = || RpcError::new(400, format!("FILE_PART_{number}_MISSING"));
            whole.extend_from_slice(part.ok_or_else(missing)?);
        }
        Ok(whole)
    }

    fn store(&mut self, dc: i32, bytes: Vec<u8>, kind: Kind) -> i64 {
        self.last_id += 1;
        let (access_hash, reference) = (i64::from_le_bytes(random()), random::<16>().to_vec());
        let file = Stored { access_hash, reference, date: unix_now(), dc, bytes, kind };
        self.stored.insert(self.last_id, file);
        while self.stored.len() > FILES_KEPT
            || self.stored.values().map(|file| file.bytes.len()).sum::<usize>() > BYTES_KEPT
        {
            self.stored.pop_first();
        }
        self.last_id
    }

    /// Takes a photo in, whole.
    pub(crate) fn add_photo(&mut self, dc: i32, bytes: Vec<u8>) -> Result<tl::enums::MessageMedia, RpcError> {
        if bytes.len() > PHOTO_MAX {
            return Err(RpcError::bad_request("PHOTO_SAVE_FILE_INVALID"));
        }
        let size = dimensions(&bytes).ok_or_else(|| RpcError::bad_request("IMAGE_PROCESS_FAILED"))?;
        let id = self.store(dc, bytes, Kind::Photo { width: size.0, height: size.1 });
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

    fn known(&self, id: i64, access_hash: i64, reference: &[u8], wrong: &str) -> Result<&Stored, RpcError> {
        let file = self.stored.get(&id).filter(|file| file.access_hash == access_hash);
        let file = file.ok_or_else(|| RpcError::bad_request(wrong))?;
        if file.reference != reference {
            return Err(RpcError::bad_request("FILE_REFERENCE_INVALID"));
        }
        Ok(file)
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
            Kind::Document { mime_type, attributes } => tl::types::MessageMediaDocument {
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
            }
            .into(),
        })
    }
}

/// What a message shows for what a client asks to send.
pub(crate) fn media(
    ctx: &mut Ctx<'_>,
    input: tl::enums::InputMedia,
) -> Result<tl::enums::MessageMedia, RpcError> {
    let (user, files) = (ctx.user, &mut ctx.state.files);
    let dc = ctx.state.users.user(user).map_or(ctx.caller.dc, |user| user.dc);
    match input {
        tl::enums::InputMedia::Contact(card) => {
            let owner = digits(&card.phone_number).and_then(|phone| ctx.state.users.by_phone(&phone));
            Ok(tl::types::MessageMediaContact {
                user_id: owner.map_or(0, |owner| owner.id),
                phone_number: card.phone_number,
                first_name: card.first_name,
                last_name: card.last_name,
                vcard: card.vcard,
            }
            .into())
        }
        tl::enums::InputMedia::UploadedPhoto(photo) => {
            let bytes = files.join(user, &photo.file)?;
            files.add_photo(dc, bytes)
        }
        tl::enums::InputMedia::UploadedDocument(document) => {
            let bytes = files.join(user, &document.file)?;
            files.add_document(dc, bytes, document.mime_type, document.attributes)
        }
        tl::enums::InputMedia::Photo(photo) => match photo.id {
            tl::enums::InputPhoto::Photo(photo) => {
                files.known(photo.id, photo.access_hash, &photo.file_reference, "MEDIA_INVALID")?;
                files.media(photo.id)
            }
            tl::enums::InputPhoto::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        },
        tl::enums::InputMedia::Document(document) => match document.id {
            tl::enums::InputDocument::Document(document) => {
                files.known(document.id, document.access_hash, &document.file_reference, "MEDIA_INVALID")?;
                files.media(document.id)
            }
            tl::enums::InputDocument::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        },
        tl::enums::InputMedia::Empty => Err(RpcError::bad_request("MEDIA_EMPTY")),
        _ => Err(RpcError::bad_request("MEDIA_INVALID")),
    }
}

/// `messages.uploadMedia`: made, not sent.
pub(crate) fn upload_media(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::UploadMedia,
) -> Result<tl::enums::MessageMedia, RpcError> {
    ctx.state.input_peer(ctx.user, &request.peer)?;
    media(ctx, request.media)
}

/// `upload.saveFilePart`.
pub(crate) fn save_file_part(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::SaveFilePart,
) -> Result<bool, RpcError> {
    ctx.state.files.save_part(ctx.user, request.file_id, request.file_part, request.bytes)
}

/// `upload.saveBigFilePart`.
pub(crate) fn save_big_file_part(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::SaveBigFilePart,
) -> Result<bool, RpcError> {
    ctx.state.files.save_part(ctx.user, request.file_id, request.file_part, request.bytes)
}

/// `upload.getFile`.
pub(crate) fn get_file(
    ctx: &mut Ctx<'_>,
    request: tl::functions::upload::GetFile,
) -> Result<tl::enums::upload::File, RpcError> {
    let (id, access_hash, reference) = match request.location {
        tl::enums::InputFileLocation::InputPhotoFileLocation(at) => {
            (at.id, at.access_hash, at.file_reference)
        }
        tl::enums::InputFileLocation::InputDocumentFileLocation(at) => {
            (at.id, at.access_hash, at.file_reference)
        }
        _ => return Err(RpcError::bad_request("LOCATION_INVALID")),
    };
    let file = ctx.state.files.known(id, access_hash, &reference, "LOCATION_INVALID")?;
    if file.dc != ctx.caller.dc {
        return Err(RpcError::new(303, format!("FILE_MIGRATE_{}", file.dc)));
    }
    let step = if request.precise { 1024 } else { 4096 };
    let begin = usize::try_from(request.offset).ok().filter(|offset| offset % 1024 == 0);
    let begin = begin.ok_or_else(|| RpcError::bad_request("OFFSET_INVALID"))?;
    let fine = (1..=PIECE_MAX).contains(&request.limit) && request.limit % step == 0;
    let long = usize::try_from(request.limit).ok().filter(|_| fine);
    let long = long.ok_or_else(|| RpcError::bad_request("LIMIT_INVALID"))?;
    let bytes = file.bytes.iter().skip(begin).take(long).copied().collect();
    Ok(tl::types::upload::File { r#type: storage(&file.bytes), mtime: file.date, bytes }.into())
}

fn photo(id: i64, file: &Stored, w: i32, h: i32) -> tl::enums::Photo {
    let size = i32::try_from(file.bytes.len()).unwrap_or(i32::MAX);
    tl::types::Photo {
        has_stickers: false,
        id,
        access_hash: file.access_hash,
        file_reference: file.reference.clone(),
        date: file.date,
        sizes: vec![tl::types::PhotoSize { r#type: "x".to_owned(), w, h, size }.into()],
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

fn storage(bytes: &[u8]) -> tl::enums::storage::FileType {
    match bytes {
        [0xff, 0xd8, ..] => tl::enums::storage::FileType::FileJpeg,
        [0x89, b'P', b'N', b'G', ..] => tl::enums::storage::FileType::FilePng,
        [b'%', b'P', b'D', b'F', ..] => tl::enums::storage::FileType::FilePdf,
        _ => tl::enums::storage::FileType::FileUnknown,
    }
}

/// Width and height of a PNG (its IHDR) or a JPEG (its frame header, ITU-T T.81 B.2.2).
fn dimensions(bytes: &[u8]) -> Option<(i32, i32)> {
    let sixteen = |at: usize| Some(i32::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some((sixteen(18)?, sixteen(22)?)).filter(|(w, h)| *w > 0 && *h > 0);
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        let (0xff, marker) = (*bytes.get(at)?, *bytes.get(at + 1)?) else { return None };
        let frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if frame {
            return Some((sixteen(at + 7)?, sixteen(at + 5)?)).filter(|(w, h)| *w > 0 && *h > 0);
        }
        at = at.checked_add(2)?.checked_add(usize::try_from(sixteen(at + 2)?).ok()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_photo_is_read_from_its_header() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 1, 0x40, 0, 0, 0, 0xf0]);
        assert_eq!(dimensions(&png), Some((320, 240)));
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 0, 0, 0];
        assert_eq!(dimensions(&jpeg), Some((64, 48)));
        assert_eq!(dimensions(b"GIF89a"), None);
        assert_eq!(dimensions(&jpeg[..9]), None);
    }

    #[test]
    fn a_file_with_a_part_missing_is_refused() {
        let mut files = Files::default();
        files.save_part(1, 7, 0, vec![1]).unwrap();
        files.save_part(1, 7, 2, vec![3]).unwrap();
        let file = |parts| {
            let (name, md5_checksum) = (String::new(), String::new());
            tl::types::InputFile { id: 7, parts, name, md5_checksum }.into()
        };
        assert_eq!(files.join(1, &file(3)), Err(RpcError::bad_request("FILE_PART_1_MISSING")));
        assert_eq!(files.join(2, &file(1)), Err(RpcError::bad_request("FILE_PART_0_MISSING")));
        assert_eq!(files.join(1, &file(1)), Ok(vec![1]));
        assert!(files.save_part(1, 7, -1, vec![1]).is_err());
    }

    #[test]
    fn files_under_way_are_bounded() {
        let mut files = Files::default();
        for file in 0..i64::try_from(UPLOADS_KEPT).unwrap() + 10 {
            files.save_part(1, file, 0, vec![0]).unwrap();
        }
        assert_eq!((files.uploads.len(), files.begun.len()), (UPLOADS_KEPT, UPLOADS_KEPT));
    }
}
