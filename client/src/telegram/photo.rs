//! Uploading a picture (core.telegram.org/api/files).

use std::path::Path;

use tgtrunk_telegram::{Account, Policy, tl};

use super::Picture;
use crate::clock;
use crate::trouble::Trouble;

/// What `upload.saveFilePart` takes at once.
const PART_BYTES: usize = 512 * 1024;
/// Largest picture that Telegram takes as one.
const MOST_BYTES: u64 = 10 * 1024 * 1024;

/// Sends a picture's bytes to Telegram, which keeps them until they are used in a message.
pub(crate) async fn upload(account: &Account, path: &Path) -> Result<Picture, Trouble> {
    let refused = |word: String| Trouble::Refused { word };
    let unread = |error| refused(format!("{} cannot be read: {error}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(unread)?.len();
    if size == 0 || size > MOST_BYTES {
        return Err(refused(format!("{} has {size} bytes: want 1 to {MOST_BYTES}", path.display())));
    }
    let bytes = tokio::fs::read(path).await.map_err(unread)?;
    let file_id = clock::random_id();
    let mut parts = 0;
    for part in bytes.chunks(PART_BYTES) {
        let request = tl::functions::upload::SaveFilePart { file_id, file_part: parts, bytes: part.to_vec() };
        account.invoke(&request, Policy::patient().idempotent()).await?;
        parts += 1;
    }
    let name =
        path.file_name().map_or_else(|| "photo.jpg".into(), |name| name.to_string_lossy().into_owned());
    let file = tl::types::InputFile { id: file_id, parts, name, md5_checksum: String::new() };
    Ok(Picture(file.into()))
}
