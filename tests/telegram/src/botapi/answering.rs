//! Answers to users who wait: `answerCallbackQuery` and `answerInlineQuery`.

use serde_json::{Value, json};

use super::inline_results;
use super::params::Params;
use super::reply::ApiError;
use crate::world::State;
use crate::world::bots::{InlineAnswer, PressAnswer};

const TOO_OLD: &str = "query is too old and response timeout expired or query ID is invalid";
/// Longest text of an answer to a press, in characters.
const ANSWER_MAX: usize = 200;
/// For how long inline results are good where the bot does not say, in seconds.
const CACHE_TIME_S: i64 = 300;
/// Longest `next_offset` in bytes.
const OFFSET_MAX: usize = 64;

/// `answerCallbackQuery`.
pub(crate) fn answer_callback_query(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let text = params.word("text");
    if text.as_ref().is_some_and(|text| text.chars().count() > ANSWER_MAX) {
        return Err(ApiError::bad("MESSAGE_TOO_LONG"));
    }
    let url = params.word("url");
    let opens =
        |url: &String| ["https://t.me/", "http://t.me/", "tg://"].iter().any(|begin| url.starts_with(begin));
    if url.as_ref().is_some_and(|url| !opens(url)) {
        return Err(ApiError::bad("URL_INVALID"));
    }
    let cache_time = number(params, "cache_time", 0);
    let answer = PressAnswer { text, alert: params.flag("show_alert"), url, cache_time };
    let query = params.text("callback_query_id").unwrap_or_default();
    match query.parse() {
        Ok(query) if state.answer_press(bot, query, answer) => Ok(json!(true)),
        _ => Err(ApiError::bad(TOO_OLD)),
    }
}

/// `answerInlineQuery`.
pub(crate) fn answer_inline_query(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let results = params.json("results")?.unwrap_or_else(|| json!([]));
    let results = inline_results::results(state, &results)?;
    let next_offset = params.text("next_offset");
    if next_offset.as_ref().is_some_and(|offset| offset.len() > OFFSET_MAX) {
        return Err(ApiError::bad("NEXT_OFFSET_INVALID"));
    }
    let answer = InlineAnswer {
        results,
        next_offset,
        cache_time: number(params, "cache_time", CACHE_TIME_S),
        personal: params.flag("is_personal"),
        gallery: false,
    };
    let query = params.text("inline_query_id").unwrap_or_default();
    match query.parse() {
        Ok(query) if state.answer_inline(bot, query, answer) => Ok(json!(true)),
        _ => Err(ApiError::bad(TOO_OLD)),
    }
}

fn number(params: &Params, name: &str, or: i64) -> i32 {
    i32::try_from(params.number(name).unwrap_or(or)).unwrap_or(i32::MAX)
}
