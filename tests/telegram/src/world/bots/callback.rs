//! Buttons under messages (core.telegram.org/api/bots/buttons): a press goes to the bot, its answer to who pressed.

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tl::{Deserializable, Serializable};
use tokio::sync::oneshot;

use super::asked::Press;
use super::face::{message_json, peer_id, user_json};
use super::inline::PATIENCE;
use super::keyboard::callbacks;
use super::queue::Kind;
use crate::link::Answer;
use crate::world::clock::Due;
use crate::world::dispatch::{Ctx, Reply};
use crate::world::error::RpcError;
use crate::world::handle::World;
use crate::world::prime::random;
use crate::world::state::State;

/// Which button of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Button {
    /// By what it sends back.
    Data(String),
    /// By what is written on it.
    Label(String),
}

/// What a bot answers to a press.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PressAnswer {
    /// Shown for a moment, or in a window.
    pub text: Option<String>,
    /// Shown in a window.
    pub alert: bool,
    /// To be opened.
    pub url: Option<String>,
    /// For how many seconds the application may give the same answer itself.
    pub cache_time: i32,
}

/// `messages.getBotCallbackAnswer`.
pub(crate) fn get_bot_callback_answer(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetBotCallbackAnswer,
) -> Result<Reply, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let here = ctx.state.message(ctx.user, request.msg_id).is_some_and(|m| peer_id(&m.peer_id) == chat);
    if !here {
        return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
    }
    let data = request.data.ok_or_else(|| RpcError::bad_request("DATA_INVALID"))?;
    ctx.state.press(ctx.user, request.msg_id, &data).map(Reply::Later)
}

impl State {
    /// A user presses the button of a message that sends this data; the answer comes from the bot.
    fn press(&mut self, user: i64, id: i32, data: &[u8]) -> Result<oneshot::Receiver<Answer>, RpcError> {
        let missing = || RpcError::bad_request("MESSAGE_ID_INVALID");
        let message = self.message(user, id).ok_or_else(missing)?;
        if !callbacks(message.reply_markup.as_ref()).iter().any(|(_, offered)| *offered == data) {
            return Err(RpcError::bad_request("DATA_INVALID"));
        }
        let chat = peer_id(&message.peer_id);
        let sender = if message.out { user } else { chat };
        let named = self.inline_message_id(user, id);
        let bot = message.via_bot_id.filter(|_| named.is_some()).unwrap_or(sender);
        if !self.is_bot(bot) {
            return Err(RpcError::bad_request("BOT_INVALID"));
        }
        let query = i64::from_le_bytes(random()) & i64::MAX;
        let mut told = Map::new();
        told.insert("id".to_owned(), json!(query.to_string()));
        told.insert("from".to_owned(), user_json(self, user, true));
        if let Some(name) = named {
            told.insert("inline_message_id".to_owned(), json!(name.text()));
        } else if let Some(there) = self.twin(user, id).and_then(|(owner, id)| self.message(owner, id)) {
            told.insert("message".to_owned(), message_json(self, bot, there));
        }
        told.insert("chat_instance".to_owned(), json!(chat_instance(user, chat).to_string()));
        told.insert("data".to_owned(), json!(String::from_utf8_lossy(data)));
        let (waiter, answer) = oneshot::channel();
        self.bots.asked.presses.insert(query, Press { bot, waiter });
        self.tell_bot(bot, user, Kind::CallbackQuery, Value::Object(told));
        self.clock.after_scaled(PATIENCE, Due::PressUnanswered(query));
        Ok(answer)
    }

    /// A bot answers a press. False if the press is not its own, was answered, or is too old.
    pub(crate) fn answer_press(&mut self, bot: i64, query: i64, answer: PressAnswer) -> bool {
        let presses = &mut self.bots.asked.presses;
        if presses.get(&query).is_none_or(|press| press.bot != bot) {
            return false;
        }
        let Some(press) = presses.remove(&query) else { return false };
        let told: tl::enums::messages::BotCallbackAnswer = tl::types::messages::BotCallbackAnswer {
            alert: answer.alert,
            has_url: answer.url.is_some(),
            native_ui: true,
            message: answer.text.filter(|text| !text.is_empty()),
            url: answer.url,
            cache_time: answer.cache_time,
        }
        .into();
        // A user who went away meanwhile is no fault of the bot's.
        let _gone = press.waiter.send(Answer::Result(told.to_bytes()));
        true
    }

    /// A bot said nothing for too long.
    pub(crate) fn press_due(&mut self, query: i64) {
        if let Some(press) = self.bots.asked.presses.remove(&query) {
            let _gone = press.waiter.send(RpcError::bad_request("BOT_RESPONSE_TIMEOUT").into());
        }
    }
}

impl World {
    /// Presses a button under a message of a user's box and waits for the bot's answer.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, `DATA_INVALID` without such a button, `BOT_RESPONSE_TIMEOUT`.
    pub async fn press(&self, user: i64, message: i32, button: &Button) -> Result<PressAnswer, RpcError> {
        let waits = {
            let mut state = self.lock();
            let found =
                state.message(user, message).ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
            let buttons = callbacks(found.reply_markup.as_ref());
            let chosen = buttons.into_iter().find(|(label, data)| match button {
                Button::Data(wanted) => wanted.as_bytes() == *data,
                Button::Label(wanted) => wanted == label,
            });
            let data = chosen.ok_or_else(|| RpcError::bad_request("DATA_INVALID"))?.1.to_vec();
            state.press(user, message, &data)?
        };
        let silence = || RpcError::no_answer("SILENCE");
        match waits.await.map_err(|_| silence())? {
            Answer::Result(bytes) => {
                let answer = tl::enums::messages::BotCallbackAnswer::from_bytes(&bytes);
                let tl::enums::messages::BotCallbackAnswer::Answer(answer) = answer.map_err(|_| silence())?;
                Ok(PressAnswer {
                    text: answer.message,
                    alert: answer.alert,
                    url: answer.url,
                    cache_time: answer.cache_time,
                })
            }
            Answer::Error { code, message } => Err(RpcError::new(code, message)),
            _ => Err(silence()),
        }
    }
}

/// The same number for all buttons of one chat.
fn chat_instance(one: i64, other: i64) -> i64 {
    let digest = Sha256::new()
        .chain_update(one.min(other).to_le_bytes())
        .chain_update(one.max(other).to_le_bytes())
        .finalize();
    let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
    i64::from_le_bytes(*first)
}
