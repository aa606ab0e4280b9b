//! `messages.sendMessage` and its kin: who may write to whom, and how the sender is answered.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::calls;
use super::contacts::peer;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::media;
use super::message::{Draft, people};
use super::messages::Posted;
use super::state::State;

/// `message_length_max` of `help.getConfig`, in characters.
pub(crate) const TEXT_MAX: usize = 4096;
/// `caption_length_max`.
const CAPTION_MAX: usize = 1024;

/// The `random_id`s that each account has used.
#[derive(Debug, Default)]
pub(crate) struct RandomIds(BTreeSet<(i64, i64)>);

impl State {
    /// Whether a user may write to another.
    pub(crate) fn may_write(&self, from: i64, to: i64) -> Result<(), RpcError> {
        let missing = || RpcError::bad_request("PEER_ID_INVALID");
        let (me, other) =
            (self.users.user(from).ok_or_else(missing)?, self.users.user(to).ok_or_else(missing)?);
        if other.deactivated {
            return Err(RpcError::bad_request("INPUT_USER_DEACTIVATED"));
        }
        if other.blocked.contains_key(&from) {
            return Err(RpcError::bad_request("USER_IS_BLOCKED"));
        }
        if me.blocked.contains_key(&to) {
            return Err(RpcError::bad_request("YOU_BLOCKED_USER"));
        }
        let known = || other.contacts.contains_key(&from) || other.mailbox.wrote_to(from);
        if other.premium_only && from != to && !known() {
            return Err(RpcError::new(406, "PRIVACY_PREMIUM_REQUIRED"));
        }
        Ok(())
    }

    /// Uses a `random_id` up; a repeated one is refused.
    pub(crate) fn take_random_id(&mut self, user: i64, random_id: i64) -> Result<(), RpcError> {
        if self.random_ids.0.insert((user, random_id)) {
            Ok(())
        } else {
            Err(RpcError::new(500, "RANDOM_ID_DUPLICATE"))
        }
    }
}

/// `messages.sendMessage`, answered in short as Telegram answers a text in a chat of two.
pub(crate) fn send_message(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    let entities = checked(ctx, &request.message, request.entities.unwrap_or_default())?;
    if request.message.trim().is_empty() {
        return Err(RpcError::bad_request("MESSAGE_EMPTY"));
    }
    if request.message.chars().count() > TEXT_MAX {
        return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
    }
    ctx.state.may_write(ctx.user, to)?;
    let reply_to = request.reply_to.as_ref().map(|reply| replied(ctx, to, reply)).transpose()?.flatten();
    ctx.state.take_random_id(ctx.user, request.random_id)?;
    let draft = Draft { entities, reply_to, silent: request.silent, ..Draft::text(request.message) };
    let posted = ctx.state.post(ctx.user, to, draft, Some(ctx.caller.auth_key_id));
    Ok(in_short(ctx, &posted))
}

/// `messages.sendMedia`: a contact, a photo or a document, with a caption.
pub(crate) fn send_media(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendMedia,
) -> Result<tl::enums::Updates, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    let entities = checked(ctx, &request.message, request.entities.unwrap_or_default())?;
    if request.message.chars().count() > CAPTION_MAX {
        return Err(RpcError::bad_request("MEDIA_CAPTION_TOO_LONG"));
    }
    ctx.state.may_write(ctx.user, to)?;
    let reply_to = request.reply_to.as_ref().map(|reply| replied(ctx, to, reply)).transpose()?.flatten();
    let media = Some(media::media(ctx, request.media)?);
    ctx.state.take_random_id(ctx.user, request.random_id)?;
    let draft = Draft { entities, media, reply_to, silent: request.silent, ..Draft::text(request.message) };
    let posted = ctx.state.post(ctx.user, to, draft, Some(ctx.caller.auth_key_id));
    Ok(in_full(ctx, &posted, request.random_id))
}

/// `messages.forwardMessages`.
pub(crate) fn forward_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ForwardMessages,
) -> Result<tl::enums::Updates, RpcError> {
    let from = ctx.state.input_peer(ctx.user, &request.from_peer)?;
    let to = ctx.state.input_peer(ctx.user, &request.to_peer)?;
    if request.id.is_empty() {
        return Err(RpcError::bad_request("MESSAGE_IDS_EMPTY"));
    }
    if request.id.len() != request.random_id.len() {
        return Err(RpcError::bad_request("RANDOM_ID_INVALID"));
    }
    ctx.state.may_write(ctx.user, to)?;
    let mut drafts = Vec::new();
    for id in &request.id {
        let filed = ctx.state.filed(ctx.user, *id).filter(|filed| filed.peer == from);
        let message = filed.and_then(|_| ctx.state.message(ctx.user, *id));
        let message = message.ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        let author = if message.out { ctx.user } else { from };
        let header = message.fwd_from.clone().unwrap_or_else(|| forwarded(author, message.date));
        drafts.push(Draft {
            entities: message.entities.clone().unwrap_or_default(),
            media: message.media.clone(),
            via_bot_id: message.via_bot_id,
            forwarded: Some(header).filter(|_| !request.drop_author),
            silent: request.silent,
            ..Draft::text(message.message.clone())
        });
    }
    let mut updates = Vec::new();
    for (draft, random_id) in drafts.into_iter().zip(request.random_id) {
        ctx.state.take_random_id(ctx.user, random_id)?;
        let posted = ctx.state.post(ctx.user, to, draft, Some(ctx.caller.auth_key_id));
        updates.push(tl::types::UpdateMessageId { id: posted.id, random_id }.into());
        updates.push(posted.update);
    }
    Ok(answered(ctx, updates))
}

/// A `messageFwdHeader` that names a user.
pub(crate) fn forwarded(author: i64, date: i32) -> tl::enums::MessageFwdHeader {
    tl::types::MessageFwdHeader {
        imported: false,
        saved_out: false,
        from_id: Some(peer(author)),
        from_name: None,
        date,
        channel_post: None,
        post_author: None,
        saved_from_peer: None,
        saved_from_msg_id: None,
        saved_from_id: None,
        saved_from_name: None,
        saved_date: None,
        psa_type: None,
    }
    .into()
}

/// The message of the chat that is answered; one that is gone is passed over.
pub(crate) fn replied(
    ctx: &Ctx<'_>,
    to: i64,
    reply: &tl::enums::InputReplyTo,
) -> Result<Option<i32>, RpcError> {
    match reply {
        tl::enums::InputReplyTo::Message(reply) => {
            let filed = ctx.state.filed(ctx.user, reply.reply_to_msg_id).filter(|filed| filed.peer == to);
            Ok(filed.map(|_| reply.reply_to_msg_id))
        }
        _ => Err(RpcError::bad_request("REPLY_TO_INVALID")),
    }
}

/// The entities of a text as they are kept. Offsets and lengths count UTF-16 code units.
pub(crate) fn checked(
    ctx: &Ctx<'_>,
    text: &str,
    entities: Vec<tl::enums::MessageEntity>,
) -> Result<Vec<tl::enums::MessageEntity>, RpcError> {
    let length = text.encode_utf16().count();
    let fits = |entity: &tl::enums::MessageEntity| {
        let begin = usize::try_from(entity.offset()).ok();
        let end =
            begin.zip(usize::try_from(entity.length()).ok()).and_then(|(at, long)| at.checked_add(long));
        end.is_some_and(|end| end <= length)
    };
    if !entities.iter().all(fits) {
        return Err(RpcError::bad_request("ENTITY_BOUNDS_INVALID"));
    }
    let kept = |entity| match entity {
        tl::enums::MessageEntity::InputMessageEntityMentionName(named) => {
            let user_id = ctx.state.input_user(ctx.user, &named.user_id)?;
            let (offset, length) = (named.offset, named.length);
            Ok(tl::types::MessageEntityMentionName { offset, length, user_id }.into())
        }
        other => Ok(other),
    };
    entities.into_iter().map(kept).collect()
}

/// `updateShortSentMessage`.
fn in_short(ctx: &Ctx<'_>, posted: &Posted) -> tl::enums::Updates {
    let sent = ctx.state.message(ctx.user, posted.id);
    let (pts, pts_count) = counted(&posted.update);
    tl::types::UpdateShortSentMessage {
        out: sent.is_some_and(|sent| sent.out),
        id: posted.id,
        pts,
        pts_count,
        date: sent.map_or(0, |sent| sent.date),
        media: None,
        entities: sent.and_then(|sent| sent.entities.clone()),
        ttl_period: None,
    }
    .into()
}

/// `updates` with the number that the message got for its `random_id`.
pub(crate) fn in_full(ctx: &Ctx<'_>, posted: &Posted, random_id: i64) -> tl::enums::Updates {
    let number = tl::types::UpdateMessageId { id: posted.id, random_id }.into();
    answered(ctx, vec![number, posted.update.clone()])
}

/// `updates` with the users named in them.
pub(crate) fn answered(ctx: &Ctx<'_>, updates: Vec<tl::enums::Update>) -> tl::enums::Updates {
    let named = updates.iter().flat_map(|update| match update {
        tl::enums::Update::NewMessage(update) => people(&update.message),
        tl::enums::Update::EditMessage(update) => people(&update.message),
        _ => Vec::new(),
    });
    let users = ctx.state.users.many_seen_by(ctx.user, named);
    calls::answer(updates, users)
}

fn counted(update: &tl::enums::Update) -> (i32, i32) {
    match update {
        tl::enums::Update::NewMessage(update) => (update.pts, update.pts_count),
        _ => (0, 0),
    }
}
