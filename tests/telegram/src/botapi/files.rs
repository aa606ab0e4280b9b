//! Files by the names that bots have for them: `file_id`, `getFile` and the download.

use grammers_tl_types as tl;
use serde_json::{Value, json};

use super::params::Params;
use super::reply::ApiError;
use crate::world::State;
use crate::world::bots::{DOCUMENT, PHOTO, parse_file_id, unique_id};

/// `getFile`.
pub(crate) fn file(state: &State, params: &Params) -> Result<Value, ApiError> {
    let name = params.word("file_id").ok_or_else(|| ApiError::bad("file_id not specified"))?;
    let wrong = || ApiError::bad("invalid file_id");
    let (kind, id, _) = parse_file_id(&name).ok_or_else(wrong)?;
    media(state, &name).ok_or_else(wrong)?;
    let size = state.files.contents(id).map_or(0, <[u8]>::len);
    let folder = if kind == PHOTO { "photos" } else { "documents" };
    Ok(json!({
        "file_id": name,
        "file_unique_id": unique_id(id),
        "file_size": size,
        "file_path": format!("{folder}/file_{id}"),
    }))
}

/// The bytes under a `file_path`.
pub(crate) fn content(state: &State, path: &str) -> Option<Vec<u8>> {
    let id = path.rsplit_once("/file_")?.1.parse().ok()?;
    state.files.contents(id).map(<[u8]>::to_vec)
}

/// What a `file_id` names, if there is such a file.
pub(crate) fn media(state: &State, name: &str) -> Option<tl::enums::MessageMedia> {
    let (kind, id, access_hash) = parse_file_id(name)?;
    let media = state.files.media(id).ok()?;
    let right = match &media {
        tl::enums::MessageMedia::Photo(media) => match &media.photo {
            Some(tl::enums::Photo::Photo(photo)) => kind == PHOTO && photo.access_hash == access_hash,
            _ => false,
        },
        tl::enums::MessageMedia::Document(media) => match &media.document {
            Some(tl::enums::Document::Document(it)) => kind == DOCUMENT && it.access_hash == access_hash,
            _ => false,
        },
        _ => false,
    };
    right.then_some(media)
}

/// The photo that a `file_id` names.
pub(crate) fn photo(state: &State, name: &str) -> Option<tl::enums::Photo> {
    match media(state, name)? {
        tl::enums::MessageMedia::Photo(media) => media.photo,
        _ => None,
    }
}
