//! `messages.sendMessage` and its kin: who may write to whom, and how the sender is answered.

use std::collections::{BTreeMap, BTreeSet};

use grammers_tl_types as tl;

use super::message::{Draft, people};
use super::post::{Posted, box_of};
use super::{albums, scheduled};
use crate::world::clock::unix_now;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::files;
use crate::world::peers::{Named, basic_group, channel_of, dialog, is_channel, peer};
use crate::world::state::State;

/// `message_length_max` of `help.getConfig`, in characters.
pub(crate) const TEXT_MAX: usize = 4096;
/// `caption_length_max`.
pub(crate) const CAPTION_MAX: usize = 1024;
/// `forwarded_count_max`.
const FORWARDED_MAX: usize = 100;

/// The `random_id`s that each account has used.
#[derive(Debug, Default)]
pub(crate) struct RandomIds(BTreeSet<(i64, i64)>);

impl State {
    /// Whether a user may write to another, or into a group.
    pub(crate) fn may_write(&self, from: i64, to: i64) -> Result<(), RpcError> {
        if to < 0 {
            return self.may_write_into(from, to);
        }
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

/// `messages.sendMessage`, answered in short as Telegram answers a text in a chat of two or in a basic group.
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
    let media = ctx.state.web_pages.preview(&request.message, &entities).filter(|_| !request.no_webpage);
    let reply_to = replied_of(ctx, to, request.reply_to.as_ref())?;
    let draft = Draft { entities, media, reply_to, silent: request.silent, ..Draft::text(request.message) };
    let short = draft.media.is_none() && !is_channel(to);
    let sent = hand_in(ctx, to, draft, request.random_id, request.schedule_date)?;
    Ok(match sent {
        Sent::Now(posted) if short => in_short(ctx, &posted),
        Sent::Now(posted) => in_full(ctx, &posted, request.random_id),
        Sent::Later(update) => numbered(ctx, vec![(request.random_id, *update)]),
    })
}

/// `messages.sendMedia`: what may hang on a message, with a caption.
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
    let reply_to = replied_of(ctx, to, request.reply_to.as_ref())?;
    let media = Some(files::media(ctx, request.media)?);
    let draft = Draft { entities, media, reply_to, silent: request.silent, ..Draft::text(request.message) };
    let sent = hand_in(ctx, to, draft, request.random_id, request.schedule_date)?;
    Ok(numbered(ctx, vec![(request.random_id, sent.update())]))
}

/// What became of a message that was handed in.
pub(crate) enum Sent {
    /// It was sent.
    Now(Box<Posted>),
    /// It waits for its time; the update tells that.
    Later(Box<tl::enums::Update>),
}

impl Sent {
    pub(crate) fn update(self) -> tl::enums::Update {
        match self {
            Self::Now(posted) => posted.update,
            Self::Later(update) => *update,
        }
    }
}

/// Sends a message if the caller may, or keeps it until its time.
pub(crate) fn hand_in(
    ctx: &mut Ctx<'_>,
    to: i64,
    draft: Draft,
    random_id: i64,
    schedule_date: Option<i32>,
) -> Result<Sent, RpcError> {
    let key = ctx.caller.auth_key_id;
    ctx.state.may_post(ctx.user, to, &draft)?;
    match schedule_date.map(|date| scheduled::due(ctx.state, ctx.user, to, date)).transpose()?.flatten() {
        Some(due) => {
            ctx.state.take_random_id(ctx.user, random_id)?;
            Ok(Sent::Later(Box::new(ctx.state.schedule(ctx.user, to, draft, due, Some(key)))))
        }
        None => {
            ctx.state.take_random_id(ctx.user, random_id)?;
            let posted = ctx.state.post(ctx.user, to, draft, Some(key));
            let owner = box_of(ctx.user, to);
            let filed = ctx.state.mailbox_mut(owner).and_then(|mailbox| mailbox.seen_mut(posted.id));
            if let Some(filed) = filed {
                filed.handed_in = Some((key, random_id));
            }
            Ok(Sent::Now(Box::new(posted)))
        }
    }
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
    if request.id.len() > FORWARDED_MAX {
        return Err(RpcError::bad_request("MESSAGE_IDS_TOO_MUCH"));
    }
    if request.id.len() != request.random_id.len() {
        return Err(RpcError::bad_request("RANDOM_ID_INVALID"));
    }
    if ctx.state.groups.group(from).is_some_and(|group| group.protected) {
        return Err(RpcError::bad_request("CHAT_FORWARDS_RESTRICTED"));
    }
    ctx.state.may_write(ctx.user, to)?;
    let mut albums: BTreeMap<i64, i64> = BTreeMap::new();
    let mut drafts = Vec::new();
    for id in request.id {
        let mut draft = forwarded_draft(ctx.state, ctx.user, from, to, id)?;
        draft.forwarded = draft.forwarded.filter(|_| !request.drop_author);
        draft.silent = request.silent;
        if request.drop_media_captions && draft.media.is_some() {
            (draft.text, draft.entities) = (String::new(), Vec::new());
        }
        draft.grouped_id = draft.grouped_id.map(|old| *albums.entry(old).or_insert_with(albums::number));
        drafts.push(draft);
    }
    let mut sent = Vec::new();
    for (draft, random_id) in drafts.into_iter().zip(request.random_id) {
        let one = hand_in(ctx, to, draft, random_id, request.schedule_date)?;
        sent.push((random_id, one.update()));
    }
    Ok(numbered(ctx, sent))
}

/// A message as it is forwarded.
///
/// # Errors
/// `MESSAGE_ID_INVALID` where the user does not see it in that chat.
pub(crate) fn forwarded_draft(
    state: &State,
    user: i64,
    from: i64,
    to: i64,
    id: i32,
) -> Result<Draft, RpcError> {
    let invalid = || RpcError::bad_request("MESSAGE_ID_INVALID");
    let owner = box_of(user, from);
    let filed = state.filed(owner, id).filter(|filed| filed.peer == from).ok_or_else(invalid)?;
    let message = state.message(owner, id).ok_or_else(invalid)?;
    let header = match &message.fwd_from {
        Some(tl::enums::MessageFwdHeader::Header(header)) => header.clone(),
        None if message.post => {
            tl::types::MessageFwdHeader { channel_post: Some(id), ..forward_header(from, message.date) }
        }
        None => forward_header(filed.author, message.date),
    };
    let header = if to == user {
        let (saved_from_peer, saved_from_msg_id) = (Some(peer(from)), Some(id));
        tl::types::MessageFwdHeader { saved_from_peer, saved_from_msg_id, ..header }
    } else {
        header
    };
    Ok(Draft {
        entities: message.entities.clone().unwrap_or_default(),
        media: message.media.clone(),
        via_bot_id: message.via_bot_id,
        forwarded: Some(header.into()),
        grouped_id: message.grouped_id,
        ..Draft::text(message.message.clone())
    })
}

/// A `messageFwdHeader` that names a user.
pub(crate) fn forwarded(author: i64, date: i32) -> tl::enums::MessageFwdHeader {
    forward_header(author, date).into()
}

fn forward_header(author: i64, date: i32) -> tl::types::MessageFwdHeader {
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
}

/// The message of the chat that is answered; one that is gone is passed over.
pub(crate) fn replied(
    ctx: &Ctx<'_>,
    to: i64,
    reply: &tl::enums::InputReplyTo,
) -> Result<Option<i32>, RpcError> {
    match reply {
        tl::enums::InputReplyTo::Message(reply) => {
            let owner = box_of(ctx.user, to);
            let filed = ctx.state.filed(owner, reply.reply_to_msg_id).filter(|filed| filed.peer == to);
            Ok(filed.map(|_| reply.reply_to_msg_id))
        }
        _ => Err(RpcError::bad_request("REPLY_TO_INVALID")),
    }
}

/// The message that is answered, if any is named.
pub(super) fn replied_of(
    ctx: &Ctx<'_>,
    to: i64,
    reply: Option<&tl::enums::InputReplyTo>,
) -> Result<Option<i32>, RpcError> {
    Ok(reply.map(|reply| replied(ctx, to, reply)).transpose()?.flatten())
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
    numbered(ctx, vec![(random_id, posted.update.clone())])
}

/// `updates` with the numbers that messages got for their `random_id`s, and these messages.
pub(crate) fn numbered(ctx: &Ctx<'_>, sent: Vec<(i64, tl::enums::Update)>) -> tl::enums::Updates {
    let number = |(random_id, update): &(i64, tl::enums::Update)| {
        let (id, random_id) = (message_of(update).map_or(0, tl::enums::Message::id), *random_id);
        tl::types::UpdateMessageId { id, random_id }.into()
    };
    let numbers: Vec<tl::enums::Update> = sent.iter().map(number).collect();
    answered(ctx, numbers.into_iter().chain(sent.into_iter().map(|(_, update)| update)).collect())
}

/// `updates` with the users and chats named in them.
pub(crate) fn answered(ctx: &Ctx<'_>, updates: Vec<tl::enums::Update>) -> tl::enums::Updates {
    let named: Vec<i64> = updates.iter().flat_map(named_in).collect();
    let Named { users, chats } = ctx.state.named(ctx.user, named);
    tl::types::Updates { updates, users, chats, date: unix_now(), seq: 0 }.into()
}

/// The message of an update that carries one.
pub(crate) fn message_of(update: &tl::enums::Update) -> Option<&tl::enums::Message> {
    match update {
        tl::enums::Update::NewMessage(update) => Some(&update.message),
        tl::enums::Update::EditMessage(update) => Some(&update.message),
        tl::enums::Update::NewChannelMessage(update) => Some(&update.message),
        tl::enums::Update::EditChannelMessage(update) => Some(&update.message),
        tl::enums::Update::NewScheduledMessage(update) => Some(&update.message),
        _ => None,
    }
}

/// Whom and which chats an update names.
pub(crate) fn named_in(update: &tl::enums::Update) -> Vec<i64> {
    if let Some(message) = message_of(update) {
        return people(message);
    }
    match update {
        tl::enums::Update::PhoneCall(call) => match &call.phone_call {
            tl::enums::PhoneCall::Requested(call) => vec![call.admin_id],
            _ => Vec::new(),
        },
        tl::enums::Update::Channel(update) => vec![channel_of(update.channel_id)],
        tl::enums::Update::Chat(update) => vec![basic_group(update.chat_id)],
        tl::enums::Update::ChatParticipants(update) => match &update.participants {
            tl::enums::ChatParticipants::Participants(list) => [basic_group(list.chat_id)]
                .into_iter()
                .chain(list.participants.iter().map(tl::enums::ChatParticipant::user_id))
                .collect(),
            tl::enums::ChatParticipants::Forbidden(list) => vec![basic_group(list.chat_id)],
        },
        tl::enums::Update::MessageReactions(update) => vec![dialog(&update.peer)],
        tl::enums::Update::ReadChannelInbox(update) => vec![channel_of(update.channel_id)],
        tl::enums::Update::ChannelTooLong(update) => vec![channel_of(update.channel_id)],
        _ => Vec::new(),
    }
}

fn counted(update: &tl::enums::Update) -> (i32, i32) {
    match update {
        tl::enums::Update::NewMessage(update) => (update.pts, update.pts_count),
        tl::enums::Update::NewChannelMessage(update) => (update.pts, update.pts_count),
        _ => (0, 0),
    }
}
