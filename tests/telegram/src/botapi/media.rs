//! Files of messages: those that come with a request, and those that are named by `file_id`.

use grammers_tl_types as tl;
use serde_json::Value;

use super::files;
use super::html::{Formatted, formatted};
use super::multipart::Upload;
use super::params::Params;
use super::reply::ApiError;
use crate::world::State;

/// Longest text under a file, in characters.
const CAPTION_MAX: usize = 1024;

/// `caption`, formatted.
pub(crate) fn caption(params: &Params) -> Result<Formatted, ApiError> {
    let caption = formatted(params, "caption", "caption_entities")?;
    if caption.text.chars().count() > CAPTION_MAX {
        return Err(ApiError::bad("message caption is too long"));
    }
    Ok(caption)
}

/// The file in the field of its kind: `photo`, `document`, `voice`, `audio`, `video`.
pub(crate) fn of_field(
    state: &mut State,
    params: &Params,
    kind: &str,
) -> Result<tl::enums::MessageMedia, ApiError> {
    let missing = || ApiError::bad(format!("there is no {kind} in the request"));
    match params.files.get(kind) {
        Some(upload) => keep(state, kind, upload, params),
        None => said(state, kind, &params.word(kind).ok_or_else(missing)?, params, params),
    }
}

/// `InputMedia` (core.telegram.org/bots/api#inputmedia) in the field `media`, and its caption.
pub(crate) fn of_input(
    state: &mut State,
    params: &Params,
    new_files: bool,
) -> Result<(tl::enums::MessageMedia, Formatted), ApiError> {
    let media = params.json("media")?.unwrap_or_default();
    of_value(state, params, media, new_files)
}

/// A list of them in the field `media`: one album.
pub(crate) fn of_list(
    state: &mut State,
    params: &Params,
) -> Result<Vec<(tl::enums::MessageMedia, Formatted)>, ApiError> {
    let Some(Value::Array(list)) = params.json("media")? else {
        return Err(ApiError::bad("can't parse media JSON object"));
    };
    list.into_iter().map(|one| of_value(state, params, one, true)).collect()
}

fn of_value(
    state: &mut State,
    params: &Params,
    media: Value,
    new_files: bool,
) -> Result<(tl::enums::MessageMedia, Formatted), ApiError> {
    let unreadable = |what: &str| ApiError::bad(format!("can't parse InputMedia: {what}"));
    let Value::Object(fields) = media else {
        return Err(unreadable("expected an Object"));
    };
    let about = Params::of(fields);
    let kind = about.word("type").ok_or_else(|| unreadable("can't find field \"type\""))?;
    if !["photo", "document", "audio", "video"].contains(&kind.as_str()) {
        return Err(unreadable("unsupported media type"));
    }
    let name = about.word("media").ok_or_else(|| unreadable("media not found"))?;
    if !new_files && name.starts_with("attach://") {
        return Err(ApiError::bad("inline message can't be edited with a new file"));
    }
    let caption = caption(&about)?;
    Ok((said(state, &kind, &name, params, &about)?, caption))
}

/// A file that a field points to with `attach://`, or names by `file_id`.
fn said(
    state: &mut State,
    kind: &str,
    name: &str,
    params: &Params,
    about: &Params,
) -> Result<tl::enums::MessageMedia, ApiError> {
    match name.strip_prefix("attach://") {
        Some(part) => {
            let upload = params.files.get(part);
            let upload = upload.ok_or_else(|| ApiError::bad(format!("there is no {kind} in the request")))?;
            keep(state, kind, upload, about)
        }
        None => {
            files::media(state, name).ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))
        }
    }
}

fn keep(
    state: &mut State,
    kind: &str,
    upload: &Upload,
    about: &Params,
) -> Result<tl::enums::MessageMedia, ApiError> {
    if upload.bytes.is_empty() {
        return Err(ApiError::bad("file must be non-empty"));
    }
    let dc = state.home_dc;
    let stored = if kind == "photo" {
        state.files.add_photo(dc, upload.bytes.clone())
    } else {
        let attributes = attributes(kind, upload, about);
        state.files.add_document(dc, upload.bytes.clone(), upload.mime.clone(), attributes)
    };
    stored.map_err(|error| ApiError::bad(error.message))
}

fn attributes(kind: &str, upload: &Upload, about: &Params) -> Vec<tl::enums::DocumentAttribute> {
    let mut attributes: Vec<tl::enums::DocumentAttribute> =
        vec![tl::types::DocumentAttributeFilename { file_name: upload.name.clone() }.into()];
    if kind == "voice" || kind == "audio" {
        let audio = tl::types::DocumentAttributeAudio {
            voice: kind == "voice",
            duration: about.number("duration").and_then(|it| i32::try_from(it).ok()).unwrap_or(0),
            title: about.word("title"),
            performer: about.word("performer"),
            waveform: None,
        };
        attributes.push(audio.into());
    }
    attributes
}
