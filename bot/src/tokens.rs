//! Tokens with which other programs lead a bot: made, listed and ended, at a terminal or over the control socket. The bot
//! may be at work meanwhile, or not be able to.

use std::net::SocketAddr;

use tgtrunk_config::control::{ApiTokenInfo, NewApiToken, Refusal, RefusalCode};
use tgtrunk_config::{BotFile, BotName, Password, StateDir};

use crate::admission::{internal, unknown};
use crate::clock;
use crate::programs;
use crate::store::Store;

/// Longest label, in characters.
pub(crate) const LONGEST_LABEL: usize = 64;
/// So many fit into one answer whatever their labels are.
const MOST_TOLD: usize = 1_000;

/// Makes a token; it is in what comes back and nowhere else. `listen` is where programs find the bot.
///
/// # Errors
/// The refusal: no such bot, a label that is taken or cannot be one, or a token that cannot be kept.
pub(crate) async fn make(
    state: &StateDir,
    bot: &BotName,
    label: &str,
    listen: Option<SocketAddr>,
) -> Result<NewApiToken, Refusal> {
    let label = label.trim();
    if label.chars().count() > LONGEST_LABEL || label.chars().any(char::is_control) {
        let message = format!("label {label:?}: want at most {LONGEST_LABEL} characters, all on one line");
        return Err(Refusal { code: RefusalCode::BadRequest, message });
    }
    let store = store(state, bot).await?;
    let file = BotFile::load(state, bot).map_err(internal)?;
    let id = file.token.id().ok_or_else(|| internal(format!("@{bot}: its own token names no bot")))?;
    let token = programs::made(&id.to_string(), clock::random());
    let admitted = store.admit_token(&programs::hash(&token), label, clock::unix_ms()).await;
    store.close().await;
    let Some(number) = admitted.map_err(internal)? else {
        let message =
            format!("label {label:?}: there is a token with this label: revoke it, or take another label");
        return Err(Refusal { code: RefusalCode::LabelTaken, message });
    };
    let url = listen.map(|listen| format!("http://{listen}"));
    Ok(NewApiToken { number, token: Password::new(token), url })
}

/// The tokens of a bot, the oldest first; of very many the newest.
///
/// # Errors
/// The refusal: no such bot, or its store cannot be read.
pub(crate) async fn list(state: &StateDir, bot: &BotName) -> Result<Vec<ApiTokenInfo>, Refusal> {
    let store = store(state, bot).await?;
    let tokens = store.tokens().await.map_err(internal);
    store.close().await;
    let mut tokens = tokens?;
    tokens.drain(..tokens.len().saturating_sub(MOST_TOLD));
    Ok(tokens)
}

/// Ends a token, of the running program too.
///
/// # Errors
/// The refusal: no such bot, no such token, or the store cannot be written.
pub(crate) async fn revoke(state: &StateDir, bot: &BotName, number: i64) -> Result<(), Refusal> {
    let store = store(state, bot).await?;
    let ended = store.end_token(number).await.map_err(internal);
    store.close().await;
    if ended? {
        return Ok(());
    }
    let message = format!("@{bot} has no token {number}");
    Err(Refusal { code: RefusalCode::UnknownToken, message })
}

/// The store of a bot that is there.
///
/// # Errors
/// The refusal: no such bot, or its store cannot be opened.
pub(crate) async fn store(state: &StateDir, bot: &BotName) -> Result<Store, Refusal> {
    if !state.bot_file(bot).exists() {
        return Err(unknown(bot));
    }
    Store::open(&state.bot_db(bot)).await.map_err(internal)
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::{Answer, LONGEST_LINE_BYTES, Reply, to_line};

    use super::*;

    #[tokio::test]
    async fn a_token_is_made_for_a_bot_that_is_there_and_ended_once() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let bot: BotName = "acme_bot".parse().unwrap();
        let code = |refused: Result<NewApiToken, Refusal>| refused.unwrap_err().code;
        assert_eq!(code(make(&state, &bot, "1C", None).await), RefusalCode::UnknownBot);
        state.make_bot_dir(&bot).unwrap();
        let own = "42:AAabcdefghijklmnopqrstuvwxyz0123_-x".parse().unwrap();
        BotFile::new(own).write(&state, &bot).unwrap();
        let listen = Some(([127, 0, 0, 1], 8092).into());
        let new = make(&state, &bot, " 1C ", listen).await.unwrap();
        assert!(new.token.as_str().starts_with("42:"));
        assert_eq!(new.url.as_deref(), Some("http://127.0.0.1:8092"));
        assert_eq!(code(make(&state, &bot, "1C", None).await), RefusalCode::LabelTaken);
        assert_eq!(code(make(&state, &bot, "a\nb", None).await), RefusalCode::BadRequest);
        let told = list(&state, &bot).await.unwrap();
        assert_eq!((told.len(), told[0].number, told[0].label.as_str()), (1, new.number, "1C"));
        revoke(&state, &bot, new.number).await.unwrap();
        let again = revoke(&state, &bot, new.number).await.unwrap_err();
        assert_eq!(again.code, RefusalCode::UnknownToken);
        assert_eq!(list(&state, &bot).await.unwrap(), []);
    }

    #[test]
    fn as_many_tokens_as_are_told_fit_into_one_answer() {
        let token = |number| ApiTokenInfo {
            number,
            label: "\u{1f600}".repeat(LONGEST_LABEL),
            made_ms: u64::MAX,
            used_ms: Some(u64::MAX),
        };
        let told = (0..MOST_TOLD).map(|number| token(i64::MAX - i64::try_from(number).unwrap())).collect();
        assert!(to_line(&Reply::ok(u64::MAX, Answer::ApiTokens(told))).len() <= LONGEST_LINE_BYTES);
    }
}
