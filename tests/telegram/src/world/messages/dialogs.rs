//! The list of a user's chats: `messages.getDialogs` and its kin, what is pinned there, and the archive.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::mailbox::{Event, Filed, Mailbox};
use super::message::people;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::{Named, is_channel, peer};
use crate::world::state::State;
use crate::world::updates;
use crate::world::users::blank_notify_settings;

/// Most chats in one answer.
const PAGE_MAX: usize = 100;
/// The archive's number as a folder.
const ARCHIVE: i32 = 1;
/// `dialogs_pinned_limit_default` of `help.getAppConfig`.
const PINNED_MAX: usize = 5;

/// A chat in the list: its newest message, if there is one left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// Unix time of the newest message.
    date: i32,
    top: i32,
    chat: i64,
}

impl State {
    /// A user's chats, the one with the newest message first.
    fn lines(&self, user: i64) -> Vec<Line> {
        let Some(mailbox) = self.mailbox(user) else { return Vec::new() };
        let mut newest: BTreeMap<i64, (i32, i32)> = BTreeMap::new();
        for (id, filed) in mailbox.all().filter(|(_, filed)| !filed.deleted) {
            newest.insert(filed.peer, (filed.date(), id));
        }
        for (channel, since) in self.groups.channels_of(user) {
            let top = self.mailbox(channel).and_then(|mailbox| mailbox.chat(channel).next());
            newest.insert(channel, top.map_or((since, 0), |(id, filed)| (filed.date(), id)));
        }
        let line = |(chat, (date, top))| Line { date, top, chat };
        let mut lines: Vec<Line> = newest.into_iter().map(line).collect();
        lines.sort_unstable_by(|one, other| other.cmp(one));
        lines
    }

    fn archived(&self, user: i64, chat: i64) -> bool {
        self.users.user(user).is_some_and(|user| user.archived.contains(&chat))
    }

    fn pinned_chats(&self, user: i64) -> Vec<i64> {
        self.users.user(user).map(|user| user.pinned.clone()).unwrap_or_default()
    }

    /// The numbers of a user's chats, the newest first, for a test.
    pub(crate) fn chats_of(&self, user: i64) -> Vec<(i64, i32, bool)> {
        let unread = |chat: i64| self.unread(user, chat);
        let told = |line: Line| (line.chat, unread(line.chat), self.archived(user, line.chat));
        self.lines(user).into_iter().map(told).collect()
    }

    fn unread(&self, user: i64, chat: i64) -> i32 {
        if is_channel(chat) {
            self.groups.group(chat).map_or(0, |group| group.unread(user))
        } else {
            self.mailbox(user).map_or(0, |mailbox| mailbox.unread(chat))
        }
    }

    fn marks(&self, user: i64, chat: i64) -> (i32, i32) {
        if is_channel(chat) {
            let member = self.groups.group(chat).and_then(|group| group.member(user));
            return member.map_or((0, 0), |member| (member.read, member.read_outbox));
        }
        let marks = |mailbox: &Mailbox| (mailbox.read_inbox(chat), mailbox.read_outbox(chat));
        self.mailbox(user).map_or((0, 0), marks)
    }

    /// Puts a chat into the archive, or takes it out. False if it was there already.
    pub(crate) fn archive(&mut self, user: i64, chat: i64, folder: i32, by: Option<i64>) -> bool {
        let Some(me) = self.users.user_mut(user) else { return false };
        let changed = if folder == ARCHIVE { me.archived.insert(chat) } else { me.archived.remove(&chat) };
        if changed {
            me.pinned.retain(|pinned| *pinned != chat);
            self.happen(user, Event::Folder { peer: chat, folder }, &[chat], by);
        }
        changed
    }

    /// A chat as the list shows it.
    pub(crate) fn dialog(&self, user: i64, chat: i64) -> tl::types::Dialog {
        let top = self.top(user, chat).map_or(0, |(id, _)| id);
        let (read_inbox_max_id, read_outbox_max_id) = self.marks(user, chat);
        tl::types::Dialog {
            pinned: self.pinned_chats(user).contains(&chat),
            unread_mark: false,
            view_forum_as_messages: false,
            peer: peer(chat),
            top_message: top,
            read_inbox_max_id,
            read_outbox_max_id,
            unread_count: self.unread(user, chat),
            unread_mentions_count: 0,
            unread_reactions_count: 0,
            unread_poll_votes_count: 0,
            notify_settings: blank_notify_settings(),
            pts: Some(chat).filter(|chat| is_channel(*chat)).map(|chat| self.pts(chat)),
            draft: None,
            folder_id: self.archived(user, chat).then_some(ARCHIVE),
            ttl_period: None,
        }
    }

    fn top(&self, user: i64, chat: i64) -> Option<(i32, &Filed)> {
        self.mailbox(super::post::box_of(user, chat))?.chat(chat).next()
    }
}

/// `messages.getDialogs`: the pinned ones first, then the one with the newest message.
pub(crate) fn get_dialogs(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetDialogs,
) -> Result<tl::enums::messages::Dialogs, RpcError> {
    let user = ctx.user;
    let pinned = ctx.state.pinned_chats(user);
    let mut lines = ctx.state.lines(user);
    if let Some(folder) = request.folder_id {
        lines.retain(|line| ctx.state.archived(user, line.chat) == (folder == ARCHIVE));
    }
    let place = |line: &Line| pinned.iter().position(|chat| *chat == line.chat).unwrap_or(usize::MAX);
    lines.sort_by_key(place);
    if request.exclude_pinned {
        lines.retain(|line| !pinned.contains(&line.chat));
    }
    let count = lines.len();
    let last = ctx.state.input_peer(user, &request.offset_peer).ok();
    let at = lines.iter().position(|line| Some(line.chat) == last && request.offset_id == line.top);
    match at {
        Some(at) => drop(lines.drain(..=at)),
        None => lines.retain(|line| request.offset_date == 0 || line.date < request.offset_date),
    }
    let limit = usize::try_from(request.limit).unwrap_or(0);
    lines.truncate(if limit == 0 { PAGE_MAX } else { limit.min(PAGE_MAX) });
    let chats: Vec<i64> = lines.into_iter().map(|line| line.chat).collect();
    let (dialogs, messages, Named { users, chats }) = told(ctx, &chats);
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
    let peers = request.peers.iter().map(|input| meant(ctx, input)).collect::<Result<Vec<i64>, _>>()?;
    Ok(peer_dialogs(ctx, &peers))
}

/// `messages.getPinnedDialogs`.
pub(crate) fn get_pinned_dialogs(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetPinnedDialogs,
) -> Result<tl::enums::messages::PeerDialogs, RpcError> {
    let pinned = if request.folder_id == 0 { ctx.state.pinned_chats(ctx.user) } else { Vec::new() };
    Ok(peer_dialogs(ctx, &pinned))
}

/// `messages.toggleDialogPin`.
pub(crate) fn toggle_dialog_pin(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ToggleDialogPin,
) -> Result<bool, RpcError> {
    let chat = meant(ctx, &request.peer)?;
    let Some(me) = ctx.state.users.user_mut(ctx.user) else { return Ok(false) };
    me.pinned.retain(|pinned| *pinned != chat);
    if request.pinned {
        if me.pinned.len() >= PINNED_MAX {
            return Err(RpcError::bad_request("PINNED_DIALOGS_TOO_MUCH"));
        }
        me.pinned.insert(0, chat);
    }
    let named = tl::types::DialogPeer { peer: peer(chat) };
    let update =
        tl::types::UpdateDialogPinned { pinned: request.pinned, folder_id: None, peer: named.into() };
    ctx.state.push_to_others(ctx.user, ctx.caller.auth_key_id, update.into(), &[chat]);
    Ok(true)
}

/// `messages.getDialogFilters`: no folders but the archive.
pub(crate) fn get_dialog_filters(
    _: &mut Ctx<'_>,
    _: tl::functions::messages::GetDialogFilters,
) -> Result<tl::enums::messages::DialogFilters, RpcError> {
    Ok(tl::types::messages::DialogFilters { tags_enabled: false, filters: Vec::new() }.into())
}

/// `folders.editPeerFolders`: into the archive and out of it.
pub(crate) fn edit_peer_folders(
    ctx: &mut Ctx<'_>,
    request: tl::functions::folders::EditPeerFolders,
) -> Result<tl::enums::Updates, RpcError> {
    let (user, key) = (ctx.user, ctx.caller.auth_key_id);
    let mut moved = Vec::new();
    let mut named = Vec::new();
    for tl::enums::InputFolderPeer::Peer(input) in request.folder_peers {
        let chat = ctx.state.input_peer(user, &input.peer)?;
        if !(0..=ARCHIVE).contains(&input.folder_id) {
            return Err(RpcError::bad_request("FOLDER_ID_INVALID"));
        }
        if ctx.state.archive(user, chat, input.folder_id, Some(key)) {
            moved.push(tl::types::FolderPeer { peer: peer(chat), folder_id: input.folder_id }.into());
            named.push(chat);
        }
    }
    let pts_count = i32::try_from(moved.len()).unwrap_or(i32::MAX);
    let pts = ctx.state.pts(user);
    let update = tl::types::UpdateFolderPeers { folder_peers: moved, pts, pts_count };
    let Named { users, chats } = ctx.state.named(user, named);
    let date = crate::world::clock::unix_now();
    Ok(tl::types::Updates { updates: vec![update.into()], users, chats, date, seq: 0 }.into())
}

fn meant(ctx: &Ctx<'_>, input: &tl::enums::InputDialogPeer) -> Result<i64, RpcError> {
    match input {
        tl::enums::InputDialogPeer::Peer(input) => ctx.state.input_peer(ctx.user, &input.peer),
        _ => Err(RpcError::bad_request("PEER_ID_INVALID")),
    }
}

fn peer_dialogs(ctx: &Ctx<'_>, peers: &[i64]) -> tl::enums::messages::PeerDialogs {
    let (dialogs, messages, Named { users, chats }) = told(ctx, peers);
    let state = updates::state_of(ctx);
    tl::types::messages::PeerDialogs { dialogs, messages, chats, users, state }.into()
}

fn told(ctx: &Ctx<'_>, chats: &[i64]) -> (Vec<tl::enums::Dialog>, Vec<tl::enums::Message>, Named) {
    let (state, user) = (&*ctx.state, ctx.user);
    let dialogs = chats.iter().map(|chat| state.dialog(user, *chat).into()).collect();
    let tops = chats.iter().filter_map(|chat| state.top(user, *chat));
    let messages: Vec<_> = tops.map(|(_, filed)| state.shown(user, filed)).collect();
    let named = state.named(user, messages.iter().flat_map(people).chain(chats.iter().copied()));
    (dialogs, messages, named)
}
