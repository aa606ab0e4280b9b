//! What lies in a box: `messages.getMessages`, `messages.getHistory`, and how lists of messages are answered.

use grammers_tl_types as tl;

use super::mailbox::Filed;
use super::message::people;
use super::post::box_of;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::{Named, is_channel};

/// Most messages in one answer.
pub(super) const PAGE_MAX: usize = 100;

/// `messages.getMessages`: what the user does not see comes back empty.
pub(crate) fn get_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetMessages,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let messages = meant(ctx, ctx.user, &request.id);
    Ok(listed(ctx, 0, messages, None))
}

/// The messages of a box that are asked for, empty where there are none.
pub(crate) fn meant(
    ctx: &Ctx<'_>,
    owner: i64,
    inputs: &[tl::enums::InputMessage],
) -> Vec<tl::enums::Message> {
    let one = |input: &tl::enums::InputMessage| {
        let id = match input {
            tl::enums::InputMessage::Id(input) => input.id,
            tl::enums::InputMessage::ReplyTo(input) => {
                let answering = ctx.state.message(owner, input.id);
                answering.and_then(|message| message.reply_to.as_ref()).and_then(answered).unwrap_or(0)
            }
            tl::enums::InputMessage::Pinned => {
                if owner < 0 {
                    ctx.state.pinned(owner, owner).unwrap_or(0)
                } else {
                    0
                }
            }
            tl::enums::InputMessage::CallbackQuery(_) => 0,
        };
        match ctx.state.filed(owner, id) {
            Some(filed) => ctx.state.shown(ctx.user, filed),
            None => tl::types::MessageEmpty { id, peer_id: None }.into(),
        }
    };
    inputs.iter().take(PAGE_MAX).map(one).collect()
}

/// Which page of a list is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) offset_id: i32,
    pub(super) offset_date: i32,
    pub(super) add_offset: i32,
    pub(super) limit: i32,
    pub(super) max_id: i32,
    pub(super) min_id: i32,
}

impl Page {
    /// The part of a list, newest first, that is asked for, and how many there are in all.
    pub(super) fn of<'a>(
        &self,
        newest_first: impl Iterator<Item = (i32, &'a Filed)>,
    ) -> (Vec<&'a Filed>, usize) {
        let all: Vec<(i32, &Filed)> = newest_first
            .filter(|(id, _)| self.max_id == 0 || *id < self.max_id)
            .filter(|(id, _)| *id > self.min_id)
            .collect();
        let newer = |(id, filed): &(i32, &Filed)| {
            (self.offset_id != 0 && *id >= self.offset_id)
                || (self.offset_id == 0 && self.offset_date != 0 && filed.date() >= self.offset_date)
        };
        let begin = i64::try_from(all.partition_point(newer)).unwrap_or(i64::MAX);
        let begin = usize::try_from(begin.saturating_add(i64::from(self.add_offset))).unwrap_or(0);
        let limit = usize::try_from(self.limit).unwrap_or(0).min(PAGE_MAX);
        (all.iter().skip(begin).take(limit).map(|(_, filed)| *filed).collect(), all.len())
    }
}

/// `messages.getHistory`: one chat, newest first.
pub(crate) fn get_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetHistory,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    ctx.state.may_look_into(ctx.user, chat)?;
    let page = Page {
        offset_id: request.offset_id,
        offset_date: request.offset_date,
        add_offset: request.add_offset,
        limit: request.limit,
        max_id: request.max_id,
        min_id: request.min_id,
    };
    let mailbox = ctx.state.mailbox(box_of(ctx.user, chat));
    let mailbox = mailbox.ok_or_else(|| RpcError::bad_request("PEER_ID_INVALID"))?;
    let (found, count) = page.of(mailbox.chat(chat));
    let messages = found.into_iter().map(|filed| ctx.state.shown(ctx.user, filed)).collect();
    Ok(listed(ctx, chat, messages, Some(count)))
}

/// A list of messages, out of `count` if it is a part; of a channel if `chat` is one.
pub(crate) fn listed(
    ctx: &Ctx<'_>,
    chat: i64,
    messages: Vec<tl::enums::Message>,
    count: Option<usize>,
) -> tl::enums::messages::Messages {
    let Named { users, chats } = ctx.state.named(ctx.user, messages.iter().flat_map(people));
    let (topics, whole) = (Vec::new(), count.is_none_or(|count| count == messages.len()));
    let count = i32::try_from(count.unwrap_or(messages.len())).unwrap_or(i32::MAX);
    if is_channel(chat) {
        let pts = ctx.state.pts(chat);
        return tl::types::messages::ChannelMessages {
            inexact: false,
            pts,
            count,
            offset_id_offset: None,
            messages,
            topics,
            chats,
            users,
        }
        .into();
    }
    if whole {
        return tl::types::messages::Messages { messages, topics, chats, users }.into();
    }
    tl::types::messages::MessagesSlice {
        inexact: false,
        count,
        next_rate: None,
        offset_id_offset: None,
        search_flood: None,
        messages,
        topics,
        chats,
        users,
    }
    .into()
}

fn answered(header: &tl::enums::MessageReplyHeader) -> Option<i32> {
    match header {
        tl::enums::MessageReplyHeader::Header(header) => header.reply_to_msg_id,
        _ => None,
    }
}
