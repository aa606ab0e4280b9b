//! Pinned messages: `messages.updatePinnedMessage`, `messages.unpinAllMessages`.

use grammers_tl_types as tl;

use super::mailbox::{Event, Filed};
use super::post::box_of;
use super::send::answered;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::is_channel;
use crate::world::state::State;

impl State {
    /// Pins a message of the user's box, or of the channel's, for all in the chat, or unpins it. Returns what the device
    /// `by` is told; nothing if it was so already.
    pub(crate) fn pin(
        &mut self,
        user: i64,
        chat: i64,
        id: i32,
        (pinned, silent): (bool, bool),
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        let owner = box_of(user, chat);
        if self.message(owner, id).is_none_or(|message| message.pinned == pinned) {
            return Vec::new();
        }
        let mut updates = Vec::new();
        for (there, id) in self.copies(owner, id) {
            let seen = self.mailbox_mut(there).and_then(|mailbox| mailbox.seen_mut(id));
            let Some(filed) = seen else { continue };
            let other = filed.peer;
            if let tl::enums::Message::Message(message) = &mut filed.message {
                message.pinned = pinned;
                let update = self.happen(there, Event::Pin { peer: other, id, pinned }, &[other], by);
                if there == owner {
                    updates.push(update);
                }
            }
        }
        if pinned {
            updates.push(self.tell_pinned(user, chat, id, silent, by).update);
        }
        updates
    }

    /// The newest message of a chat that is pinned, by its number in this box.
    pub(crate) fn pinned(&self, owner: i64, chat: i64) -> Option<i32> {
        let mut seen = self.mailbox(owner)?.chat(chat);
        seen.find(|(_, filed)| is_pinned(filed)).map(|(id, _)| id)
    }
}

fn is_pinned(filed: &Filed) -> bool {
    match &filed.message {
        tl::enums::Message::Message(message) => message.pinned,
        tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => false,
    }
}

fn may_pin(ctx: &Ctx<'_>, input: &tl::enums::InputPeer) -> Result<i64, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, input)?;
    let may = ctx.state.groups.group(chat).is_none_or(|group| {
        let right = |rights: &tl::types::ChatAdminRights| {
            if group.broadcast() { rights.edit_messages } else { rights.pin_messages }
        };
        group.may_as_member(ctx.user, right, |bans| bans.pin_messages)
    });
    if may { Ok(chat) } else { Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED")) }
}

/// `messages.updatePinnedMessage`.
pub(crate) fn update_pinned_message(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::UpdatePinnedMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = may_pin(ctx, &request.peer)?;
    let here = ctx.state.filed(box_of(ctx.user, chat), request.id).is_some_and(|filed| filed.peer == chat);
    if !here {
        return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
    }
    let how = (!request.unpin, request.silent);
    let updates = ctx.state.pin(ctx.user, chat, request.id, how, Some(ctx.caller.auth_key_id));
    if updates.is_empty() {
        return Err(RpcError::bad_request("CHAT_NOT_MODIFIED"));
    }
    Ok(answered(ctx, updates))
}

/// `messages.unpinAllMessages`.
pub(crate) fn unpin_all_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::UnpinAllMessages,
) -> Result<tl::enums::messages::AffectedHistory, RpcError> {
    let chat = may_pin(ctx, &request.peer)?;
    let owner = box_of(ctx.user, chat);
    let seen = ctx.state.mailbox(owner).map(|mailbox| {
        mailbox.chat(chat).filter(|(_, filed)| is_pinned(filed)).map(|(id, _)| id).collect::<Vec<i32>>()
    });
    let mut pts_count = 0;
    for id in seen.unwrap_or_default() {
        let told = ctx.state.pin(ctx.user, chat, id, (false, true), Some(ctx.caller.auth_key_id));
        pts_count += i32::try_from(told.len()).unwrap_or(0);
    }
    let pts = ctx.state.pts(if is_channel(chat) { chat } else { ctx.user });
    Ok(tl::types::messages::AffectedHistory { pts, pts_count, offset: 0 }.into())
}
