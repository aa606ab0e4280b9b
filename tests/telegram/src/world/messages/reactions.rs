//! Reactions (core.telegram.org/api/reactions): told to all in the chat, counted in no box.

use grammers_tl_types as tl;

use super::post::box_of;
use super::send::answered;
use crate::world::clock::unix_now;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::outbox::Parcel;
use crate::world::peers::peer;
use crate::world::settings::Wrap;
use crate::world::state::State;

/// `reactions_user_max_default` of `help.getAppConfig`: without Premium.
const OF_ONE_USER: usize = 1;
/// Emojis that may be used everywhere.
const EMOJIS: [&str; 30] = [
    "👍",
    "👎",
    "❤",
    "🔥",
    "🥰",
    "👏",
    "😁",
    "🤔",
    "🤯",
    "😱",
    "🤬",
    "😢",
    "🎉",
    "🤩",
    "🤮",
    "💩",
    "🙏",
    "👌",
    "🕊",
    "🤡",
    "🥱",
    "🥴",
    "😍",
    "🐳",
    "❤\u{200d}🔥",
    "💯",
    "🤣",
    "⚡",
    "🏆",
    "👀",
];

impl State {
    /// A user reacts to a message that they see, in place of what they felt before. Returns the update for the key
    /// `by`; all other devices are told.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, `REACTION_INVALID`, `REACTIONS_TOO_MANY`.
    pub(crate) fn react(
        &mut self,
        user: i64,
        chat: i64,
        id: i32,
        emojis: &[String],
        big: bool,
        by: Option<i64>,
    ) -> Result<tl::enums::Update, RpcError> {
        let owner = box_of(user, chat);
        let here = self.filed(owner, id).is_some_and(|filed| filed.peer == chat);
        if !here || self.message(owner, id).is_none() {
            return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
        }
        if !emojis.iter().all(|emoji| EMOJIS.contains(&emoji.trim_end_matches('\u{fe0f}'))) {
            return Err(RpcError::bad_request("REACTION_INVALID"));
        }
        if emojis.len() > OF_ONE_USER {
            return Err(RpcError::bad_request("REACTIONS_TOO_MANY"));
        }
        let date = unix_now();
        for (owner, id) in self.copies(owner, id) {
            let seen = self.mailbox_mut(owner).and_then(|mailbox| mailbox.seen_mut(id));
            if let Some(tl::enums::Message::Message(message)) = seen.map(|filed| &mut filed.message) {
                let mut recent = recent(message.reactions.as_ref());
                recent.retain(|reaction| reaction.peer_id != peer(user));
                for emoticon in emojis {
                    let reaction = tl::types::ReactionEmoji { emoticon: emoticon.clone() }.into();
                    let peer_id = peer(user);
                    let one = tl::types::MessagePeerReaction {
                        big,
                        unread: false,
                        my: false,
                        peer_id,
                        date,
                        reaction,
                    };
                    recent.insert(0, one);
                }
                message.reactions = (!recent.is_empty()).then(|| counted(recent));
            }
        }
        self.tell_reactions(user, owner, id, by)
    }

    fn tell_reactions(
        &mut self,
        user: i64,
        owner: i64,
        id: i32,
        by: Option<i64>,
    ) -> Result<tl::enums::Update, RpcError> {
        let copies = self.copies(owner, id);
        for (owner, id) in copies {
            let readers = if owner > 0 { vec![owner] } else { self.groups.members(owner) };
            for reader in readers {
                let keys = self.keys.main_of(reader);
                let Some(update) = self.reactions_update(reader, owner, id).filter(|_| !keys.is_empty())
                else {
                    continue;
                };
                let chat = self.filed(owner, id).map(|filed| filed.peer);
                let users: Vec<i64> = [user].into_iter().chain(chat).collect();
                for key in keys.into_iter().filter(|key| Some(*key) != by) {
                    let (update, users) = (update.clone(), users.clone());
                    self.push(Parcel { key, update, users, wrap: Wrap::Updates });
                }
            }
        }
        self.reactions_update(user, owner, id).ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))
    }

    /// `updateMessageReactions` as the reader of a box is told.
    fn reactions_update(&self, reader: i64, owner: i64, id: i32) -> Option<tl::enums::Update> {
        let message = self.message(owner, id)?;
        let mut reactions = message.reactions.clone().unwrap_or_else(|| counted(Vec::new()));
        as_seen_by(reader, &mut reactions);
        Some(
            tl::types::UpdateMessageReactions {
                peer: message.peer_id.clone(),
                msg_id: id,
                top_msg_id: None,
                saved_peer_id: None,
                reactions,
            }
            .into(),
        )
    }
}

/// `messages.sendReaction`.
pub(crate) fn send_reaction(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendReaction,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let emoji = |reaction: &tl::enums::Reaction| match reaction {
        tl::enums::Reaction::Emoji(emoji) => Some(Some(emoji.emoticon.clone())),
        tl::enums::Reaction::Empty => Some(None),
        tl::enums::Reaction::CustomEmoji(_) | tl::enums::Reaction::Paid => None,
    };
    let wanted: Option<Vec<Option<String>>> =
        request.reaction.unwrap_or_default().iter().map(emoji).collect();
    let wanted = wanted.ok_or_else(|| RpcError::bad_request("REACTION_INVALID"))?;
    let emojis: Vec<String> = wanted.into_iter().flatten().collect();
    let key = Some(ctx.caller.auth_key_id);
    let update = ctx.state.react(ctx.user, chat, request.msg_id, &emojis, request.big, key)?;
    Ok(answered(ctx, vec![update]))
}

/// `messages.getMessagesReactions`.
pub(crate) fn get_messages_reactions(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetMessagesReactions,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let owner = box_of(ctx.user, chat);
    let updates =
        request.id.iter().filter_map(|id| ctx.state.reactions_update(ctx.user, owner, *id)).collect();
    Ok(answered(ctx, updates))
}

/// Marks which reactions are the viewer's own.
pub(super) fn as_seen_by(viewer: i64, reactions: &mut tl::enums::MessageReactions) {
    let tl::enums::MessageReactions::Reactions(list) = reactions;
    let mut mine = Vec::new();
    for one in list.recent_reactions.iter_mut().flatten() {
        let tl::enums::MessagePeerReaction::Reaction(one) = one;
        one.my = one.peer_id == peer(viewer);
        if one.my {
            mine.push(one.reaction.clone());
        }
    }
    for count in &mut list.results {
        let tl::enums::ReactionCount::Count(count) = count;
        let place = mine.iter().position(|reaction| *reaction == count.reaction);
        count.chosen_order = place.and_then(|place| i32::try_from(place).ok());
    }
}

fn recent(reactions: Option<&tl::enums::MessageReactions>) -> Vec<tl::types::MessagePeerReaction> {
    let Some(tl::enums::MessageReactions::Reactions(list)) = reactions else { return Vec::new() };
    let one = |reaction: &tl::enums::MessagePeerReaction| {
        let tl::enums::MessagePeerReaction::Reaction(reaction) = reaction;
        reaction.clone()
    };
    list.recent_reactions.iter().flatten().map(one).collect()
}

fn counted(recent: Vec<tl::types::MessagePeerReaction>) -> tl::enums::MessageReactions {
    let mut results: Vec<tl::types::ReactionCount> = Vec::new();
    for one in &recent {
        match results.iter_mut().find(|count| count.reaction == one.reaction) {
            Some(count) => count.count += 1,
            None => results.push(tl::types::ReactionCount {
                chosen_order: None,
                reaction: one.reaction.clone(),
                count: 1,
            }),
        }
    }
    tl::types::MessageReactions {
        min: false,
        can_see_list: true,
        reactions_as_tags: false,
        results: results.into_iter().map(Into::into).collect(),
        recent_reactions: Some(recent.into_iter().map(Into::into).collect()),
        top_reactors: None,
    }
    .into()
}
