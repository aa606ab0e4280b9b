//! A bot's chats with users: what of them becomes an update, and whom the bot may write to.

use serde_json::json;

use super::face::{chat_json, message_json, user_json};
use super::queue::Kind;
use crate::world::clock::unix_now;
use crate::world::state::State;

/// Why a bot may not write to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It has never met them, or nobody has this number.
    Unknown,
    /// They never wrote to it.
    NotStarted,
    /// They blocked it.
    Blocked,
    /// Their account is gone.
    Deactivated,
    /// They are a bot.
    Bot,
}

impl State {
    /// Tells a bot of something, in which it meets a user.
    pub(crate) fn tell_bot(&mut self, bot: i64, user: i64, kind: Kind, content: serde_json::Value) {
        if let Some(bot) = self.bots.bot_mut(bot) {
            bot.met.insert(user);
            bot.queue.put(kind, content);
        }
    }

    /// A message came into a bot's box.
    pub(crate) fn bot_gets_message(&mut self, bot: i64, id: i32) {
        self.bot_gets(bot, id, Kind::Message);
    }

    /// A message in a bot's box was changed by its sender.
    pub(crate) fn bot_gets_edit(&mut self, bot: i64, id: i32) {
        self.bot_gets(bot, id, Kind::EditedMessage);
    }

    fn bot_gets(&mut self, bot: i64, id: i32, kind: Kind) {
        let Some(message) = self.message(bot, id).filter(|message| !message.out) else { return };
        let sender = super::face::peer_id(&message.peer_id);
        let content = message_json(self, bot, message);
        if let Some(bot) = self.bots.bot_mut(bot) {
            bot.started.insert(sender);
        }
        self.tell_bot(bot, sender, kind, content);
    }

    /// A user blocked a bot, or no longer.
    pub(crate) fn bot_is_blocked(&mut self, bot: i64, user: i64, blocked: bool) {
        if !self.bots.bot(bot).is_some_and(|bot| bot.met.contains(&user)) {
            return;
        }
        let me = user_json(self, bot, false);
        let member = json!({ "user": me, "status": "member" });
        let kicked = json!({ "user": me, "status": "kicked", "until_date": 0 });
        let (old, new) = if blocked { (member, kicked) } else { (kicked, member) };
        let content = json!({
            "chat": chat_json(self, user),
            "from": user_json(self, user, true),
            "date": unix_now(),
            "old_chat_member": old,
            "new_chat_member": new,
        });
        self.tell_bot(bot, user, Kind::MyChatMember, content);
    }

    /// Whether a bot may write to a user.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn bot_may_write(&self, bot: i64, to: i64) -> Result<(), Closed> {
        let (Some(account), Some(user)) = (self.bots.bot(bot), self.users.user(to)) else {
            return Err(Closed::Unknown);
        };
        if user.bot.is_some() {
            Err(Closed::Bot)
        } else if !account.met.contains(&to) {
            Err(Closed::Unknown)
        } else if user.deactivated {
            Err(Closed::Deactivated)
        } else if user.blocked.contains_key(&bot) {
            Err(Closed::Blocked)
        } else if account.started.contains(&to) {
            Ok(())
        } else {
            Err(Closed::NotStarted)
        }
    }
}
