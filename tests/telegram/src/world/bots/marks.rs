//! What bots leave on messages without changing them: reactions, and that they pin some.

use grammers_tl_types as tl;

use crate::world::clock::unix_now;
use crate::world::error::RpcError;
use crate::world::peers::peer;
use crate::world::state::State;

impl State {
    /// A bot reacts to a message of its box, in place of what it felt before. Other bots are not in the chat.
    ///
    /// # Errors
    /// As `edit` has them.
    pub(crate) fn bot_reacts(
        &mut self,
        bot: i64,
        id: i32,
        emoji: Option<&str>,
        big: bool,
    ) -> Result<(), RpcError> {
        let chat = self.filed(bot, id).map_or(0, |filed| filed.peer);
        let date = unix_now();
        let edited = self.edit(bot, id, None, |message| {
            let mine = message.peer_id == peer(chat);
            message.reactions = emoji.map(|emoji| reactions(bot, emoji, mine, big, date));
        });
        match edited {
            Err(error) if error.message == "MESSAGE_NOT_MODIFIED" => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// A bot pins a message of its box for both, or unpins it; false if it was so already.
    pub(crate) fn bot_pins(&mut self, bot: i64, id: i32, pinned: bool, silent: bool) -> bool {
        let Some(chat) = self.filed(bot, id).map(|filed| filed.peer) else { return false };
        if self.message(bot, id).is_none_or(|message| message.pinned == pinned) {
            return false;
        }
        self.pin(bot, chat, id, (pinned, silent), None);
        true
    }
}

fn reactions(bot: i64, emoji: &str, my: bool, big: bool, date: i32) -> tl::enums::MessageReactions {
    let reaction: tl::enums::Reaction = tl::types::ReactionEmoji { emoticon: emoji.to_owned() }.into();
    let count =
        tl::types::ReactionCount { chosen_order: my.then_some(0), reaction: reaction.clone(), count: 1 };
    let one = tl::types::MessagePeerReaction { big, unread: false, my, peer_id: peer(bot), date, reaction };
    tl::types::MessageReactions {
        min: false,
        can_see_list: true,
        reactions_as_tags: false,
        results: vec![count.into()],
        recent_reactions: Some(vec![one.into()]),
        top_reactors: None,
    }
    .into()
}
