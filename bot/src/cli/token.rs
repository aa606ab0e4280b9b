//! `api-token`: what other programs show in place of the bot's own token.

use std::net::SocketAddr;

use anyhow::bail;
use tgtrunk_config::{BotFile, BotName, Language, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::language;

use crate::admission;
use crate::clock;
use crate::programs;
use crate::store::Store;

/// Longest label, in characters.
const LONGEST_LABEL: usize = 64;

/// Makes a token and shows it this once. The bot may be at work meanwhile. `listen` is where programs find it.
///
/// # Errors
/// When there is no such bot, the label is taken or too long, or the token cannot be kept.
pub(crate) async fn make(
    state: &StateDir,
    bot: &BotName,
    label: &str,
    listen: Option<SocketAddr>,
) -> anyhow::Result<()> {
    if label.chars().count() > LONGEST_LABEL || label.chars().any(char::is_control) {
        bail!("--label {label:?}: want at most {LONGEST_LABEL} characters");
    }
    let store = store(state, bot).await?;
    let Some(id) = BotFile::load(state, bot)?.token.id() else { bail!("@{bot}: its own token names no bot") };
    if !label.is_empty() && store.tokens().await?.iter().any(|token| token.label == label) {
        bail!(
            "--label {label:?}: there is a token with this label: end it (api-token revoke), or take another"
        );
    }
    let token = programs::made(&id.to_string(), clock::random());
    let number = store.admit_token(&programs::hash(&token), label, clock::unix_ms()).await?;
    store.close().await;
    say(&shown(&token, number, listen, language()));
    Ok(())
}

/// Lists the tokens of a bot.
///
/// # Errors
/// When there is no such bot, or its store cannot be read.
pub(crate) async fn list(state: &StateDir, bot: &BotName, json: bool) -> anyhow::Result<()> {
    let store = store(state, bot).await?;
    let tokens = store.tokens().await?;
    store.close().await;
    if json {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|token| serde_json::json!({"token": token.id, "label": token.label, "made_ms": token.made_ms}))
            .collect();
        say(&serde_json::to_string_pretty(&tokens)?);
        return Ok(());
    }
    if tokens.is_empty() {
        say(match language() {
            Language::Russian => "токенов нет",
            Language::English => "no tokens",
        });
    }
    for token in tokens {
        say(&format!("{} {:?} {}", token.id, token.label, clock::date(token.made_ms)));
    }
    Ok(())
}

/// Ends a token, of the running program too.
///
/// # Errors
/// When there is none, or the store cannot be written.
pub(crate) async fn revoke(state: &StateDir, bot: &BotName, which: &str) -> anyhow::Result<()> {
    let store = store(state, bot).await?;
    let gone = store.revoke_token(which).await?;
    store.close().await;
    if gone == 0 {
        bail!("@{bot} has no token {which:?}: tgtrunk-bot api-token list @{bot}");
    }
    say(match language() {
        Language::Russian => "Токен больше не действует.",
        Language::English => "The token is dead.",
    });
    Ok(())
}

async fn store(state: &StateDir, bot: &BotName) -> anyhow::Result<Store> {
    if !state.bot_file(bot).exists() {
        return Err(admission::unknown(bot).into());
    }
    Ok(Store::open(&state.bot_db(bot)).await?)
}

fn shown(token: &str, number: i64, listen: Option<SocketAddr>, language: Language) -> String {
    let once = match language {
        Language::Russian => "Токен показан один раз. Он действует только здесь, не в Telegram.",
        Language::English => "The token is shown this once. It is good here alone, not at Telegram.",
    };
    let place = match (listen, language) {
        (Some(listen), _) => format!("curl http://{listen}/bot{token}/getMe"),
        (None, Language::Russian) => {
            "Программам бот пока не отвечает: задайте listen в разделе [bot.api] файла tgtrunk.toml."
                .to_owned()
        }
        (None, Language::English) => {
            "No program is served yet: set listen in [bot.api] of tgtrunk.toml.".to_owned()
        }
    };
    format!("token {number}: {token}\n{once}\n  {place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_with_what_is_pasted_or_with_what_is_missing() {
        let listen = Some(([127, 0, 0, 1], 8092).into());
        let told = shown("42:abc", 3, listen, Language::English);
        assert!(
            told.starts_with("token 3: 42:abc\n")
                && told.contains("curl http://127.0.0.1:8092/bot42:abc/getMe")
        );
        assert!(shown("42:abc", 3, None, Language::Russian).contains("[bot.api]"));
    }
}
