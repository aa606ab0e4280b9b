//! Albums: `messages.sendMultiMedia`, photos and videos together, documents and music each among themselves.

use grammers_tl_types as tl;

use super::message::Draft;
use super::send::{CAPTION_MAX, checked, hand_in, numbered, replied_of};
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::files;
use crate::world::prime::random;

/// Most files of one album.
pub(crate) const ALBUM_MAX: usize = 10;

/// A number for a new album.
pub(crate) fn number() -> i64 {
    i64::from_le_bytes(random()).saturating_abs().max(1)
}

/// `messages.sendMultiMedia`: the files were uploaded before, each with `messages.uploadMedia`.
pub(crate) fn send_multi_media(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendMultiMedia,
) -> Result<tl::enums::Updates, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    if request.multi_media.is_empty() {
        return Err(RpcError::bad_request("MEDIA_EMPTY"));
    }
    if request.multi_media.len() > ALBUM_MAX {
        return Err(RpcError::bad_request("MULTI_MEDIA_TOO_LONG"));
    }
    ctx.state.may_write(ctx.user, to)?;
    let reply_to = replied_of(ctx, to, request.reply_to.as_ref())?;
    let grouped_id = Some(number()).filter(|_| request.multi_media.len() > 1);
    let mut drafts = Vec::new();
    let mut kinds = Vec::new();
    for tl::enums::InputSingleMedia::Media(one) in request.multi_media {
        if one.message.chars().count() > CAPTION_MAX {
            return Err(RpcError::bad_request("MEDIA_CAPTION_TOO_LONG"));
        }
        let known = matches!(one.media, tl::enums::InputMedia::Photo(_) | tl::enums::InputMedia::Document(_));
        if !known {
            return Err(RpcError::bad_request("MEDIA_INVALID"));
        }
        let entities = checked(ctx, &one.message, one.entities.unwrap_or_default())?;
        let media = files::media(ctx, one.media)?;
        kinds.push(kind(&media));
        let draft = Draft {
            entities,
            media: Some(media),
            reply_to,
            silent: request.silent,
            grouped_id,
            ..Draft::text(one.message)
        };
        ctx.state.may_post(ctx.user, to, &draft)?;
        drafts.push((draft, one.random_id));
    }
    if kinds.iter().any(|kind| Some(kind) != kinds.first()) {
        return Err(RpcError::bad_request("MEDIA_GROUPED_INVALID"));
    }
    let mut sent = Vec::new();
    for (draft, random_id) in drafts {
        let one = hand_in(ctx, to, draft, random_id, request.schedule_date)?;
        sent.push((random_id, one.update()));
    }
    Ok(numbered(ctx, sent))
}

#[derive(PartialEq, Eq)]
enum Kind {
    Seen,
    Heard,
    Plain,
}

fn kind(media: &tl::enums::MessageMedia) -> Kind {
    let tl::enums::MessageMedia::Document(document) = media else { return Kind::Seen };
    let Some(tl::enums::Document::Document(document)) = &document.document else { return Kind::Plain };
    let has = |what: fn(&tl::enums::DocumentAttribute) -> bool| document.attributes.iter().any(what);
    if has(|attribute| matches!(attribute, tl::enums::DocumentAttribute::Video(_))) {
        Kind::Seen
    } else if has(|attribute| matches!(attribute, tl::enums::DocumentAttribute::Audio(_))) {
        Kind::Heard
    } else {
        Kind::Plain
    }
}
