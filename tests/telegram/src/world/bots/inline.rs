//! Inline mode (core.telegram.org/api/bots/inline): users ask a bot for results and send one of them via it.

use std::time::Duration;

use grammers_tl_types as tl;
use serde_json::{Map, Value, json};
use tl::Serializable;
use tokio::sync::oneshot;

use super::asked::InlineQuery;
use super::face::user_json;
use super::queue::Kind;
use crate::link::Answer;
use crate::world::clock::{Due, unix_now_ms};
use crate::world::dispatch::{Ctx, Reply};
use crate::world::error::RpcError;
use crate::world::messages::message::Draft;
use crate::world::messages::send::{in_full, replied};
use crate::world::prime::random;
use crate::world::state::State;

/// How long a user waits for a bot.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest text of a query, in characters.
const QUERY_MAX: usize = 256;
/// Longest parameter of `/start`.
const START_MAX: usize = 64;

/// What a bot answers to an inline query.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InlineAnswer {
    pub(crate) results: Vec<tl::enums::BotInlineResult>,
    pub(crate) next_offset: Option<String>,
    /// For how many seconds others who ask the same get the same.
    pub(crate) cache_time: i32,
    /// Others get it not.
    pub(crate) personal: bool,
    pub(crate) gallery: bool,
}

/// `messages.getInlineBotResults`: waits for the bot, unless an answer to the same question is still good.
pub(crate) fn get_inline_bot_results(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetInlineBotResults,
) -> Result<Reply, RpcError> {
    let user = ctx.user;
    let invalid = || RpcError::bad_request("BOT_INVALID");
    let bot = ctx.state.input_user(user, &request.bot).map_err(|_| invalid())?;
    let face = ctx.state.users.user(bot).and_then(|user| user.bot.as_ref()).ok_or_else(invalid)?;
    if face.placeholder.is_none() {
        return Err(RpcError::bad_request("BOT_INLINE_DISABLED"));
    }
    let text: String = request.query.chars().take(QUERY_MAX).collect();
    let id = i64::from_le_bytes(random()) & i64::MAX;
    let state = &mut *ctx.state;
    let kept = state.bots.asked.kept((bot, user, &text, &request.offset), unix_now_ms());
    let offset = request.offset.clone();
    let mut query = InlineQuery { bot, user, text, offset, waiter: None, results: Vec::new() };
    if let Some(answer) = kept {
        query.results.clone_from(&answer.results);
        state.bots.asked.add(id, query);
        return Ok(Reply::Now(state.results(user, bot, id, &answer).to_bytes()));
    }
    let mut told = Map::new();
    told.insert("id".to_owned(), json!(id.to_string()));
    told.insert("from".to_owned(), user_json(state, user, true));
    if let Some(kind) = state.chat_type(user, bot, &request.peer) {
        told.insert("chat_type".to_owned(), json!(kind));
    }
    told.insert("query".to_owned(), json!(query.text));
    told.insert("offset".to_owned(), json!(query.offset));
    let (waiter, answer) = oneshot::channel();
    query.waiter = Some(waiter);
    state.bots.asked.add(id, query);
    state.tell_bot(bot, user, Kind::InlineQuery, Value::Object(told));
    state.clock.after_scaled(PATIENCE, Due::InlineUnanswered(id));
    Ok(Reply::Later(answer))
}

impl State {
    /// Where the user stands while asking; the bot is not told with whom.
    fn chat_type(&self, user: i64, bot: i64, peer: &tl::enums::InputPeer) -> Option<&'static str> {
        let chat = self.input_peer(user, peer).ok()?;
        Some(if chat == bot { "sender" } else { "private" })
    }

    fn results(
        &self,
        user: i64,
        bot: i64,
        id: i64,
        answer: &InlineAnswer,
    ) -> tl::enums::messages::BotResults {
        tl::types::messages::BotResults {
            gallery: answer.gallery,
            query_id: id,
            next_offset: answer.next_offset.clone().filter(|offset| !offset.is_empty()),
            switch_pm: None,
            switch_webview: None,
            results: answer.results.clone(),
            cache_time: answer.cache_time,
            users: vec![self.users.seen_by(user, bot)],
        }
        .into()
    }

    /// A bot answers. False if the query is not its own, was answered, or is too old.
    pub(crate) fn answer_inline(&mut self, bot: i64, id: i64, answer: InlineAnswer) -> bool {
        let Some(query) = self.bots.asked.query_mut(id).filter(|query| query.bot == bot) else {
            return false;
        };
        let Some(waiter) = query.waiter.take() else { return false };
        query.results.clone_from(&answer.results);
        let (user, text, offset) = (query.user, query.text.clone(), query.offset.clone());
        let results = self.results(user, bot, id, &answer);
        if let Ok(seconds @ 1..) = u64::try_from(answer.cache_time) {
            let good = self.clock.scaled(Duration::from_secs(seconds));
            let until = unix_now_ms().saturating_add(u64::try_from(good.as_millis()).unwrap_or(u64::MAX));
            self.bots.asked.keep((bot, user, &text, &offset), answer, until);
        }
        // A user who went away meanwhile is no fault of the bot's.
        let _gone = waiter.send(Answer::Result(results.to_bytes()));
        true
    }

    /// A bot said nothing for too long.
    pub(crate) fn inline_due(&mut self, id: i64) {
        if let Some(waiter) = self.bots.asked.query_mut(id).and_then(|query| query.waiter.take()) {
            let _gone = waiter.send(RpcError::bad_request("BOT_RESPONSE_TIMEOUT").into());
        }
    }
}

/// `messages.sendInlineBotResult`.
pub(crate) fn send_inline_bot_result(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendInlineBotResult,
) -> Result<tl::enums::Updates, RpcError> {
    let user = ctx.user;
    let to = ctx.state.input_peer(user, &request.peer)?;
    let query = ctx.state.bots.asked.query(request.query_id).filter(|query| query.user == user);
    let query = query.ok_or_else(|| RpcError::bad_request("QUERY_ID_INVALID"))?;
    let (bot, text) = (query.bot, query.text.clone());
    let chosen = query.results.iter().find(|result| result.id() == request.id);
    let mut draft = chosen.map(draft_of).ok_or_else(|| RpcError::bad_request("RESULT_ID_INVALID"))?;
    ctx.state.may_write(user, to)?;
    draft.reply_to = request.reply_to.as_ref().map(|reply| replied(ctx, to, reply)).transpose()?.flatten();
    draft.silent = request.silent;
    draft.via_bot_id = (!request.hide_via).then_some(bot);
    ctx.state.take_random_id(user, request.random_id)?;
    let has_buttons = draft.reply_markup.is_some();
    let posted = ctx.state.post(user, to, draft, Some(ctx.caller.auth_key_id));
    let dc = ctx.state.users.user(user).map_or(0, |user| user.dc);
    let name = ctx.state.bots.inline_messages.name(bot, dc, user, posted.id);
    if ctx.state.bots.bot(bot).is_some_and(|bot| bot.inline_feedback) {
        let from = user_json(ctx.state, user, true);
        let mut told = json!({ "result_id": request.id, "from": from, "query": text });
        if has_buttons {
            told["inline_message_id"] = json!(name.text());
        }
        ctx.state.tell_bot(bot, user, Kind::ChosenInlineResult, told);
    }
    Ok(in_full(ctx, &posted, request.random_id))
}

/// The message that a result becomes.
fn draft_of(result: &tl::enums::BotInlineResult) -> Draft {
    let (message, media) = match result {
        tl::enums::BotInlineResult::Result(result) => (&result.send_message, None),
        tl::enums::BotInlineResult::BotInlineMediaResult(result) => {
            (&result.send_message, photo(result.photo.clone()))
        }
    };
    match message {
        tl::enums::BotInlineMessage::Text(text) => Draft {
            entities: text.entities.clone().unwrap_or_default(),
            reply_markup: text.reply_markup.clone(),
            ..Draft::text(text.message.clone())
        },
        tl::enums::BotInlineMessage::MediaAuto(auto) => Draft {
            entities: auto.entities.clone().unwrap_or_default(),
            reply_markup: auto.reply_markup.clone(),
            media,
            ..Draft::text(auto.message.clone())
        },
        tl::enums::BotInlineMessage::MediaContact(card) => {
            let contact = tl::types::MessageMediaContact {
                phone_number: card.phone_number.clone(),
                first_name: card.first_name.clone(),
                last_name: card.last_name.clone(),
                vcard: card.vcard.clone(),
                user_id: 0,
            };
            let reply_markup = card.reply_markup.clone();
            Draft { media: Some(contact.into()), reply_markup, ..Draft::default() }
        }
        _ => Draft::default(),
    }
}

/// A photo as a message carries it.
fn photo(photo: Option<tl::enums::Photo>) -> Option<tl::enums::MessageMedia> {
    let photo = Some(photo?);
    Some(
        tl::types::MessageMediaPhoto {
            spoiler: false,
            live_photo: false,
            photo,
            ttl_seconds: None,
            video: None,
        }
        .into(),
    )
}

/// `messages.startBot`: writes `/start` with a parameter.
pub(crate) fn start_bot(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::StartBot,
) -> Result<tl::enums::Updates, RpcError> {
    let user = ctx.user;
    let bot = ctx.state.input_user(user, &request.bot)?;
    if !ctx.state.is_bot(bot) {
        return Err(RpcError::bad_request("BOT_INVALID"));
    }
    let in_its_chat = matches!(request.peer, tl::enums::InputPeer::Empty)
        || ctx.state.input_peer(user, &request.peer)? == bot;
    if !in_its_chat {
        return Err(RpcError::bad_request("PEER_ID_INVALID"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if request.start_param.len() > START_MAX || !request.start_param.bytes().all(plain) {
        return Err(RpcError::bad_request("START_PARAM_INVALID"));
    }
    ctx.state.may_write(user, bot)?;
    ctx.state.take_random_id(user, request.random_id)?;
    let text = format!("/start {}", request.start_param);
    let command = tl::types::MessageEntityBotCommand { offset: 0, length: 6 };
    let draft = Draft { entities: vec![command.into()], ..Draft::text(text.trim_end()) };
    let posted = ctx.state.post(user, bot, draft, Some(ctx.caller.auth_key_id));
    Ok(in_full(ctx, &posted, request.random_id))
}
