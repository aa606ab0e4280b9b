//! Bots' accounts: tokens, what a bot's owner set, and the register of all.

use std::collections::{BTreeMap, BTreeSet};

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::faults::BotFaults;
use super::inline_message::InlineMessages;
use super::journal::BotJournal;
use super::queue::Queue;
use crate::canary;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::handle::World;
use crate::world::login::{check_app, complete};
use crate::world::prime::random;
use crate::world::state::State;
use crate::world::users::UserError;

/// Characters of a token after the number and the colon.
const SECRET_LENGTH: usize = 35;
const SECRET_LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A bot about to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewBot {
    /// Without `@`.
    pub username: String,
    /// Shown.
    pub name: String,
    /// Answers inline queries (BotFather's `/setinline`).
    pub inline: bool,
    /// Shown in the text field after the bot's name.
    pub placeholder: Option<String>,
    /// Is told which result was chosen (BotFather's `/setinlinefeedback`).
    pub inline_feedback: bool,
    /// The user who made it.
    pub owner: Option<i64>,
    /// Number of the bot; the next free one without it.
    pub id: Option<i64>,
}

impl Default for NewBot {
    fn default() -> Self {
        Self {
            username: String::new(),
            name: String::new(),
            inline: true,
            placeholder: None,
            inline_feedback: false,
            owner: None,
            id: None,
        }
    }
}

impl NewBot {
    /// A bot that answers inline queries.
    pub fn new(username: impl Into<String>, name: impl Into<String>) -> Self {
        Self { username: username.into(), name: name.into(), ..Self::default() }
    }
}

/// What a user sees of a bot beyond what users have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotFace {
    /// Counts changes of commands and descriptions.
    pub version: i32,
    /// Of the text field; without it inline queries are switched off.
    pub placeholder: Option<String>,
}

/// A bot, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BotInfo {
    /// Number.
    pub id: i64,
    /// `id:secret`.
    pub token: String,
    /// Without `@`.
    pub username: String,
    /// Shown.
    pub name: String,
    /// Answers inline queries.
    pub inline: bool,
    /// The user who made it.
    pub owner: Option<i64>,
    /// Updates that it has not confirmed.
    pub pending: usize,
    /// When it asked for updates last, Unix time in milliseconds.
    pub last_poll_ms: Option<u64>,
    /// Where updates are posted; empty without a webhook.
    pub webhook: String,
}

/// One command in a bot's menu.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) command: String,
    pub(crate) description: String,
}

/// Texts that a bot may set in several languages.
pub(crate) type Words = BTreeMap<String, String>;

/// A bot.
#[derive(Debug)]
pub(crate) struct Bot {
    pub(crate) id: i64,
    pub(crate) token: String,
    pub(crate) owner: Option<i64>,
    pub(crate) inline_feedback: bool,
    /// By scope as JSON and language.
    pub(crate) commands: BTreeMap<(String, String), Vec<Command>>,
    pub(crate) description: Words,
    pub(crate) short_description: Words,
    pub(crate) names: Words,
    pub(crate) queue: Queue,
    /// Users whom it has met in any update.
    pub(crate) met: BTreeSet<i64>,
    /// Users who wrote to it.
    pub(crate) started: BTreeSet<i64>,
}

/// All bots, and what goes between them and users.
#[derive(Debug, Default)]
pub(crate) struct Bots {
    by_id: BTreeMap<i64, Bot>,
    by_token: BTreeMap<String, i64>,
    pub(crate) asked: Asked,
    pub(crate) inline_messages: InlineMessages,
    pub(crate) faults: BotFaults,
    pub(crate) journal: BotJournal,
}

impl Bots {
    pub(crate) fn bot(&self, id: i64) -> Option<&Bot> {
        self.by_id.get(&id)
    }

    pub(crate) fn bot_mut(&mut self, id: i64) -> Option<&mut Bot> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<i64> {
        self.by_token.get(token).copied()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Bot> {
        self.by_id.values()
    }

    /// Ends what posts updates to webhooks, and polls that wait.
    pub(crate) fn end_deliveries(&mut self) {
        for bot in self.by_id.values_mut() {
            bot.queue.take_ticket();
        }
    }

    fn insert(&mut self, bot: Bot) {
        self.by_token.insert(bot.token.clone(), bot.id);
        self.by_id.insert(bot.id, bot);
    }

    /// Gives a bot another token; the old one is nobody's from now on.
    fn renew_token(&mut self, id: i64) -> Option<String> {
        let bot = self.by_id.get_mut(&id)?;
        self.by_token.remove(&bot.token);
        bot.token = token(id);
        self.by_token.insert(bot.token.clone(), id);
        Some(bot.token.clone())
    }
}

impl State {
    /// Whether a user is a bot.
    pub(crate) fn is_bot(&self, id: i64) -> bool {
        self.bots.bot(id).is_some()
    }

    fn bot_info(&self, bot: &Bot) -> Option<BotInfo> {
        let user = self.users.user(bot.id)?;
        Some(BotInfo {
            id: bot.id,
            token: bot.token.clone(),
            username: user.username.clone().unwrap_or_default(),
            name: user.first_name.clone(),
            inline: user.bot.as_ref().is_some_and(|face| face.placeholder.is_some()),
            owner: bot.owner,
            pending: bot.queue.len(),
            last_poll_ms: bot.queue.last_poll_ms,
            webhook: bot.queue.webhook.as_ref().map(|hook| hook.url.clone()).unwrap_or_default(),
        })
    }
}

impl World {
    /// Adds a bot.
    ///
    /// # Errors
    /// When somebody has the name or the number already.
    pub fn add_bot(&self, new: NewBot) -> Result<BotInfo, UserError> {
        let mut state = self.lock();
        let home_dc = state.home_dc;
        let placeholder = new.inline.then(|| new.placeholder.unwrap_or_default());
        let face = BotFace { version: 1, placeholder };
        let username = new.username.trim_start_matches('@').to_owned();
        let id = state.users.add_bot((new.id, username, new.name), face, home_dc)?;
        state.bots.insert(Bot {
            id,
            token: token(id),
            owner: new.owner,
            inline_feedback: new.inline_feedback,
            commands: BTreeMap::new(),
            description: Words::new(),
            short_description: Words::new(),
            names: Words::new(),
            queue: Queue::default(),
            met: BTreeSet::new(),
            started: BTreeSet::new(),
        });
        let info = state.bots.bot(id).and_then(|bot| state.bot_info(bot));
        Ok(info.expect("the bot has just been added"))
    }

    /// All bots.
    pub fn bots(&self) -> Vec<BotInfo> {
        let state = self.lock();
        state.bots.all().filter_map(|bot| state.bot_info(bot)).collect()
    }

    /// One bot.
    pub fn bot(&self, id: i64) -> Option<BotInfo> {
        let state = self.lock();
        state.bots.bot(id).and_then(|bot| state.bot_info(bot))
    }

    /// Switches a bot's inline queries on or off, as BotFather's `/setinline` does.
    pub fn set_inline(&self, bot: i64, inline: bool) {
        let mut state = self.lock();
        if let Some(face) = state.users.user_mut(bot).and_then(|user| user.bot.as_mut()) {
            face.placeholder = inline.then(|| face.placeholder.take().unwrap_or_default());
        }
    }

    /// Switches feedback about chosen results on or off, as BotFather's `/setinlinefeedback` does.
    pub fn set_inline_feedback(&self, bot: i64, feedback: bool) {
        if let Some(bot) = self.lock().bots.bot_mut(bot) {
            bot.inline_feedback = feedback;
        }
    }

    /// Takes a bot's token back, as BotFather's `/revoke` does, and returns the new one.
    pub fn renew_bot_token(&self, bot: i64) -> Option<String> {
        self.lock().bots.renew_token(bot)
    }
}

/// `auth.importBotAuthorization`: the bot itself over MTProto.
pub(crate) fn import_bot_authorization(
    ctx: &mut Ctx<'_>,
    request: tl::functions::auth::ImportBotAuthorization,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    check_app(ctx, request.api_id, &request.api_hash)?;
    let bot = ctx.state.bots.by_token(&request.bot_auth_token);
    let bot = bot.ok_or_else(|| RpcError::bad_request("ACCESS_TOKEN_INVALID"))?;
    Ok(complete(ctx, bot))
}

/// It begins as Telegram's do, and with the mark of what is planted.
fn token(id: i64) -> String {
    let secret = random::<SECRET_LENGTH>().map(|byte| char::from(SECRET_LETTERS[usize::from(byte % 64)]));
    let rest = secret.iter().skip(canary::TOKEN.len()).collect::<String>();
    format!("{id}:{}{rest}", canary::TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_number_and_thirty_five_letters() {
        let token = token(42);
        let (id, secret) = token.split_once(':').unwrap();
        assert_eq!((id, secret.len()), ("42", 35));
        assert!(secret.bytes().all(|byte| SECRET_LETTERS.contains(&byte)));
    }
}
