//! Giving files to Telegram, which keeps them until they are used in a message (core.telegram.org/api/files).

use std::io;
use std::path::Path;
use std::time::Duration;

use tgtrunk_telegram::{Account, InvokeError, Policy, tl};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::Picture;
use crate::clock;
use crate::trouble::Trouble;

/// What is handed over at once, in bytes.
const PART_BYTES: usize = 512 * 1024;
/// Largest picture that Telegram takes as one, and largest file of `upload.saveFilePart`.
pub(super) const SMALL_BYTES: u64 = 10 * 1024 * 1024;
/// Largest file that anybody may send: 8000 parts, for Premium accounts; others may send half of it.
pub(super) const LARGEST_BYTES: u64 = 8000 * PART_BYTES as u64;
/// How long one part may take.
const PART_LIMIT: Duration = Duration::from_secs(60);

/// Why a file was not given.
#[derive(Debug, thiserror::Error)]
pub(super) enum UploadError {
    #[error("{0}")]
    Unread(#[from] io::Error),
    #[error(transparent)]
    Telegram(#[from] InvokeError),
}

/// Hands a picture over.
pub(crate) async fn upload(account: &Account, path: &Path) -> Result<Picture, Trouble> {
    let refused = |word: String| Trouble::Refused { word };
    let unread = |error| refused(format!("{} cannot be read: {error}", path.display()));
    let size = tokio::fs::metadata(path).await.map_err(unread)?.len();
    if size == 0 || size > SMALL_BYTES {
        return Err(refused(format!("{} has {size} bytes: want 1 to {SMALL_BYTES}", path.display())));
    }
    let name =
        path.file_name().map_or_else(|| "photo.jpg".into(), |name| name.to_string_lossy().into_owned());
    match file(account, path, &name).await {
        Ok(file) => Ok(Picture(file)),
        Err(UploadError::Unread(error)) => Err(unread(error)),
        Err(UploadError::Telegram(error)) => Err(error.into()),
    }
}

/// Hands a file over as `name`, part by part.
pub(super) async fn file(
    account: &Account,
    path: &Path,
    name: &str,
) -> Result<tl::enums::InputFile, UploadError> {
    let mut file = File::open(path).await?;
    let size = file.metadata().await?.len();
    let parts = size.div_ceil(PART_BYTES as u64).max(1);
    let parts = i32::try_from(parts).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let (file_id, is_big) = (clock::random_id(), size > SMALL_BYTES);
    let policy = Policy::patient().idempotent().within(PART_LIMIT);
    for file_part in 0..parts {
        let bytes = part(&mut file).await?;
        if is_big {
            let request =
                tl::functions::upload::SaveBigFilePart { file_id, file_part, file_total_parts: parts, bytes };
            account.invoke(&request, policy).await?;
        } else {
            account
                .invoke(&tl::functions::upload::SaveFilePart { file_id, file_part, bytes }, policy)
                .await?;
        }
    }
    let name = name.to_owned();
    Ok(if is_big {
        tl::types::InputFileBig { id: file_id, parts, name }.into()
    } else {
        tl::types::InputFile { id: file_id, parts, name, md5_checksum: String::new() }.into()
    })
}

async fn part(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; PART_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]).await? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
