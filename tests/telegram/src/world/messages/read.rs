//! What is read: `messages.readHistory`, `messages.readMessageContents`, and what their writers are told.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::mailbox::{Event, Mailbox};
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::outbox::Parcel;
use crate::world::peers::{bare, is_channel};
use crate::world::settings::Wrap;
use crate::world::state::State;

impl State {
    /// The reader has read a chat up to a message; the devices of the reader and of the writers are told, but the key
    /// `by`. Returns the counter of the reader's box, or of the channel's, and how far it moved.
    pub(crate) fn read_history(
        &mut self,
        reader: i64,
        chat: i64,
        max_id: i32,
        by: Option<i64>,
    ) -> (i32, i32) {
        if is_channel(chat) {
            self.read_channel(reader, chat, max_id, by);
            return (self.pts(chat), 0);
        }
        let Some(mailbox) = self.mailbox(reader) else { return (0, 0) };
        let before = mailbox.read_inbox(chat);
        // The newest message of each writer, in the writer's own box.
        let mut newest: BTreeMap<i64, i32> = BTreeMap::new();
        let mut last = None;
        for (id, filed) in mailbox.chat(chat).filter(|(id, filed)| *id <= max_id && !filed.out()) {
            if id <= before {
                break;
            }
            last = last.or(Some(id));
            if let Some((writer, there)) =
                filed.copies.iter().find(|(owner, _)| *owner == filed.author && *owner != reader)
            {
                newest.entry(*writer).or_insert(*there);
            }
        }
        let Some(max_id) = last else { return (mailbox.pts(), 0) };
        let inbox = Event::ReadInbox { peer: chat, max_id };
        if !self.mailbox_mut(reader).is_some_and(|mailbox| mailbox.read(&inbox)) {
            return (self.pts(reader), 0);
        }
        self.happen(reader, inbox, &[chat], by);
        for (writer, there) in newest {
            let seen_as = if chat < 0 { chat } else { reader };
            let outbox = Event::ReadOutbox { peer: seen_as, max_id: there };
            if self.mailbox_mut(writer).is_some_and(|mailbox| mailbox.read(&outbox)) {
                self.happen(writer, outbox, &[seen_as], by);
            }
        }
        (self.pts(reader), 1)
    }

    /// A member has read a channel up to a message. Nothing of it is counted.
    fn read_channel(&mut self, reader: i64, channel: i64, max_id: i32, by: Option<i64>) {
        let newest = self.mailbox(channel).and_then(|mailbox| mailbox.chat(channel).next()).map(|(id, _)| id);
        let max_id = max_id.min(newest.unwrap_or(0));
        let Some(group) = self.groups.group_mut(channel) else { return };
        let Some(member) = group.member_mut(reader).filter(|member| member.read < max_id) else { return };
        let before = member.read;
        member.read = max_id;
        let inbox = tl::types::UpdateReadChannelInbox {
            folder_id: None,
            channel_id: bare(channel),
            max_id,
            still_unread_count: group.unread(reader),
            pts: group.mailbox.pts(),
        };
        let mut newest: BTreeMap<i64, i32> = BTreeMap::new();
        for (id, filed) in group.mailbox.chat(channel).filter(|(id, _)| *id <= max_id) {
            if id <= before {
                break;
            }
            if filed.author != reader {
                newest.entry(filed.author).or_insert(id);
            }
        }
        let tell = !group.broadcast();
        self.push_to_others(reader, by.unwrap_or(0), inbox.into(), &[channel]);
        for (writer, max_id) in newest.into_iter().filter(|_| tell) {
            let group = self.groups.group_mut(channel);
            let Some(member) = group.and_then(|group| group.member_mut(writer)) else { continue };
            if member.read_outbox < max_id {
                member.read_outbox = max_id;
                let outbox = tl::types::UpdateReadChannelOutbox { channel_id: bare(channel), max_id };
                self.push_to_others(writer, 0, outbox.into(), &[channel]);
            }
        }
    }

    /// Somebody is seen typing, by all in the chat who are there now. It is kept nowhere.
    pub(crate) fn show_action(&mut self, from: i64, to: i64, action: &tl::enums::SendMessageAction) {
        use crate::world::peers::peer;
        let (action, from_id) = (action.clone(), peer(from));
        let update: tl::enums::Update = if to > 0 {
            tl::types::UpdateUserTyping { user_id: from, top_msg_id: None, action }.into()
        } else if is_channel(to) {
            let channel_id = bare(to);
            tl::types::UpdateChannelUserTyping { channel_id, top_msg_id: None, from_id, action }.into()
        } else {
            tl::types::UpdateChatUserTyping { chat_id: bare(to), from_id, action }.into()
        };
        let readers = if to > 0 { vec![to] } else { self.groups.members(to) };
        let users: Vec<i64> = [from].into_iter().chain(Some(to).filter(|to| *to < 0)).collect();
        for reader in readers.into_iter().filter(|reader| *reader != from) {
            for key in self.keys.main_of(reader) {
                let (update, users) = (update.clone(), users.clone());
                self.push(Parcel { key, update, users, wrap: Wrap::Short });
            }
        }
    }
}

/// `messages.readHistory`.
pub(crate) fn read_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ReadHistory,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    if is_channel(chat) {
        return Err(RpcError::bad_request("PEER_ID_INVALID"));
    }
    let max_id = if request.max_id == 0 { i32::MAX } else { request.max_id };
    let (pts, pts_count) = ctx.state.read_history(ctx.user, chat, max_id, Some(ctx.caller.auth_key_id));
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

/// `messages.readMessageContents`: voice messages were listened to, mentions looked at.
pub(crate) fn read_message_contents(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ReadMessageContents,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    let (user, key) = (ctx.user, ctx.caller.auth_key_id);
    let heard: Vec<i32> = request.id.into_iter().filter(|id| is_unheard(ctx.state, user, *id)).collect();
    let mut told: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
    for id in &heard {
        for (owner, there) in ctx.state.copies(user, *id) {
            let seen = ctx.state.mailbox_mut(owner).and_then(|mailbox| mailbox.seen_mut(there));
            if let Some(tl::enums::Message::Message(message)) = seen.map(|filed| &mut filed.message)
                && (owner == user || message.out)
            {
                message.media_unread = false;
                told.entry(owner).or_default().push(there);
            }
        }
    }
    for (owner, ids) in told {
        ctx.state.happen(owner, Event::ReadContents(ids), &[], Some(key));
    }
    let pts_count = i32::try_from(heard.len()).unwrap_or(i32::MAX);
    let pts = ctx.state.mailbox(user).map_or(0, Mailbox::pts);
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

fn is_unheard(state: &State, user: i64, id: i32) -> bool {
    state.message(user, id).is_some_and(|message| message.media_unread)
}
