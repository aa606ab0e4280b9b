//! What lies in a user's box: `messages.getMessages`, `getHistory`, `getDialogs` and their kin.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::contacts::peer;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::mailbox::{Filed, Mailbox};
use super::message::people;
use super::updates;
use super::users::blank_notify_settings;

/// Most messages or chats in one answer.
const PAGE_MAX: usize = 100;

/// `messages.getMessages`: what the user does not see comes back empty.
pub(crate) fn get_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetMessages,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let meant = |input: &tl::enums::InputMessage| {
        let id = match input {
            tl::enums::InputMessage::Id(input) => input.id,
            tl::enums::InputMessage::ReplyTo(input) => {
                let answering = ctx.state.message(ctx.user, input.id);
                answering.and_then(|message| message.reply_to.as_ref()).and_then(answered).unwrap_or(0)
            }
            tl::enums::InputMessage::Pinned | tl::enums::InputMessage::CallbackQuery(_) => 0,
        };
        match ctx.state.filed(ctx.user, id) {
            Some(filed) => filed.message.clone(),
            None => tl::types::MessageEmpty { id, peer_id: None }.into(),
        }
    };
    let messages = request.id.iter().take(PAGE_MAX).map(meant).collect();
    Ok(whole(ctx, messages))
}

/// `messages.getHistory`: one chat, newest first.
pub(crate) fn get_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetHistory,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let other = ctx.state.input_peer(ctx.user, &request.peer)?;
    let mailbox = mailbox(ctx)?;
    let newest_first: Vec<(i32, &Filed)> = mailbox
        .chat(other)
        .filter(|(id, _)| request.max_id == 0 || *id < request.max_id)
        .filter(|(id, _)| *id > request.min_id)
        .collect();
    let newer = |(id, filed): &(i32, &Filed)| {
        (request.offset_id != 0 && *id >= request.offset_id)
            || (request.offset_id == 0 && request.offset_date != 0 && filed.date() >= request.offset_date)
    };
    let begin = i64::try_from(newest_first.partition_point(newer)).unwrap_or(i64::MAX);
    let begin = usize::try_from(begin.saturating_add(i64::from(request.add_offset))).unwrap_or(0);
    let limit = usize::try_from(request.limit).unwrap_or(0).min(PAGE_MAX);
    let page = newest_first.iter().skip(begin).take(limit);
    let messages: Vec<_> = page.map(|(_, filed)| filed.message.clone()).collect();
    let count = newest_first.len();
    Ok(if messages.len() == count { whole(ctx, messages) } else { slice(ctx, messages, count) })
}

/// `messages.getDialogs`: the chats, the one with the newest message first.
pub(crate) fn get_dialogs(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetDialogs,
) -> Result<tl::enums::messages::Dialogs, RpcError> {
    let mailbox = mailbox(ctx)?;
    let mut newest: BTreeMap<i64, i32> = BTreeMap::new();
    for (id, filed) in mailbox.all().filter(|(_, filed)| !filed.deleted) {
        newest.insert(filed.peer, id);
    }
    let mut chats: Vec<(i32, i64)> = newest.into_iter().map(|(peer, id)| (id, peer)).collect();
    chats.sort_unstable_by(|one, other| other.cmp(one));
    let count = chats.len();
    if request.folder_id.is_some_and(|folder| folder != 0) {
        chats.clear();
    }
    chats.retain(|(id, _)| request.offset_id == 0 || *id < request.offset_id);
    let limit = usize::try_from(request.limit).unwrap_or(0);
    chats.truncate(if limit == 0 { PAGE_MAX } else { limit.min(PAGE_MAX) });
    let peers: Vec<i64> = chats.into_iter().map(|(_, peer)| peer).collect();
    let (dialogs, messages, users) = told(ctx, mailbox, &peers);
    let chats = Vec::new();
    Ok(if dialogs.len() == count {
        tl::types::messages::Dialogs { dialogs, messages, chats, users }.into()
    } else {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        tl::types::messages::DialogsSlice { count, dialogs, messages, chats, users }.into()
    })
}

/// `messages.getPeerDialogs`.
pub(crate) fn get_peer_dialogs(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetPeerDialogs,
) -> Result<tl::enums::messages::PeerDialogs, RpcError> {
    let meant = |input: &tl::enums::InputDialogPeer| match input {
        tl::enums::InputDialogPeer::Peer(input) => Some(ctx.state.input_peer(ctx.user, &input.peer)),
        _ => None,
    };
    let peers = request.peers.iter().filter_map(meant).collect::<Result<Vec<i64>, _>>()?;
    peer_dialogs(ctx, &peers)
}

/// `messages.getPinnedDialogs`: none.
pub(crate) fn get_pinned_dialogs(
    ctx: &mut Ctx<'_>,
    _: tl::functions::messages::GetPinnedDialogs,
) -> Result<tl::enums::messages::PeerDialogs, RpcError> {
    peer_dialogs(ctx, &[])
}

/// `messages.getDialogFilters`: no folders.
pub(crate) fn get_dialog_filters(
    _: &mut Ctx<'_>,
    _: tl::functions::messages::GetDialogFilters,
) -> Result<tl::enums::messages::DialogFilters, RpcError> {
    Ok(tl::types::messages::DialogFilters { tags_enabled: false, filters: Vec::new() }.into())
}

fn peer_dialogs(ctx: &Ctx<'_>, peers: &[i64]) -> Result<tl::enums::messages::PeerDialogs, RpcError> {
    let (dialogs, messages, users) = told(ctx, mailbox(ctx)?, peers);
    let state = updates::state_of(ctx);
    Ok(tl::types::messages::PeerDialogs { dialogs, messages, chats: Vec::new(), users, state }.into())
}

type Told = (Vec<tl::enums::Dialog>, Vec<tl::enums::Message>, Vec<tl::enums::User>);

fn told(ctx: &Ctx<'_>, mailbox: &Mailbox, peers: &[i64]) -> Told {
    let tops: Vec<Option<(i32, &Filed)>> = peers.iter().map(|peer| mailbox.chat(*peer).next()).collect();
    let dialog = |(other, top): (&i64, &Option<(i32, &Filed)>)| {
        tl::types::Dialog {
            pinned: false,
            unread_mark: false,
            view_forum_as_messages: false,
            peer: peer(*other),
            top_message: top.map_or(0, |(id, _)| id),
            read_inbox_max_id: mailbox.read_inbox(*other),
            read_outbox_max_id: mailbox.read_outbox(*other),
            unread_count: mailbox.unread(*other),
            unread_mentions_count: 0,
            unread_reactions_count: 0,
            unread_poll_votes_count: 0,
            notify_settings: blank_notify_settings(),
            pts: None,
            draft: None,
            folder_id: None,
            ttl_period: None,
        }
        .into()
    };
    let dialogs = peers.iter().zip(&tops).map(dialog).collect();
    let messages: Vec<_> = tops.iter().flatten().map(|(_, filed)| filed.message.clone()).collect();
    let named = messages.iter().flat_map(people).chain(peers.iter().copied());
    let users = ctx.state.users.many_seen_by(ctx.user, named);
    (dialogs, messages, users)
}

fn mailbox<'a>(ctx: &'a Ctx<'_>) -> Result<&'a Mailbox, RpcError> {
    let user = ctx.state.users.user(ctx.user);
    user.map(|user| &user.mailbox).ok_or_else(|| RpcError::unauthorized("AUTH_KEY_UNREGISTERED"))
}

fn answered(header: &tl::enums::MessageReplyHeader) -> Option<i32> {
    match header {
        tl::enums::MessageReplyHeader::Header(header) => header.reply_to_msg_id,
        _ => None,
    }
}

fn whole(ctx: &Ctx<'_>, messages: Vec<tl::enums::Message>) -> tl::enums::messages::Messages {
    let users = ctx.state.users.many_seen_by(ctx.user, messages.iter().flat_map(people));
    let (topics, chats) = (Vec::new(), Vec::new());
    tl::types::messages::Messages { messages, topics, chats, users }.into()
}

fn slice(ctx: &Ctx<'_>, messages: Vec<tl::enums::Message>, count: usize) -> tl::enums::messages::Messages {
    let users = ctx.state.users.many_seen_by(ctx.user, messages.iter().flat_map(people));
    tl::types::messages::MessagesSlice {
        inexact: false,
        count: i32::try_from(count).unwrap_or(i32::MAX),
        next_rate: None,
        offset_id_offset: None,
        search_flood: None,
        messages,
        topics: Vec::new(),
        chats: Vec::new(),
        users,
    }
    .into()
}
