//! `api-token`: what other programs show in place of the bot's own token.

use std::net::SocketAddr;

use anyhow::bail;
use tgtrunk_config::{BotName, Language, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::language;

use crate::clock;
use crate::tokens;

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
    let new = tokens::make(state, bot, label, listen).await?;
    say(&shown(new.token.as_str(), new.number, listen, language()));
    Ok(())
}

/// Lists the tokens of a bot.
///
/// # Errors
/// When there is no such bot, or its store cannot be read.
pub(crate) async fn list(state: &StateDir, bot: &BotName, json: bool) -> anyhow::Result<()> {
    let tokens = tokens::list(state, bot).await?;
    if json {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|token| serde_json::json!({"token": token.number, "label": token.label, "made_ms": token.made_ms, "used_ms": token.used_ms}))
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
        let (number, label, made) = (token.number, &token.label, clock::date(token.made_ms));
        let used = token.used_ms.map(clock::date);
        say(&match (used, language()) {
            (Some(used), Language::Russian) => {
                format!("{number} {label:?}: создан {made}, применялся {used}")
            }
            (None, Language::Russian) => format!("{number} {label:?}: создан {made}, не применялся"),
            (Some(used), Language::English) => format!("{number} {label:?}: made {made}, last used {used}"),
            (None, Language::English) => format!("{number} {label:?}: made {made}, never used"),
        });
    }
    Ok(())
}

/// Ends a token, of the running program too.
///
/// # Errors
/// When there is none, or the store cannot be written.
pub(crate) async fn revoke(state: &StateDir, bot: &BotName, which: &str) -> anyhow::Result<()> {
    let store = tokens::store(state, bot).await?;
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

fn shown(token: &str, number: i64, listen: Option<SocketAddr>, language: Language) -> String {
    let once = match language {
        Language::Russian => "Токен показан один раз. Он действует только здесь, не в Telegram.",
        Language::English => "The token is shown this once. It is good here alone, not at Telegram.",
    };
    let [api, actions] = match language {
        Language::Russian => ["Bot API: тот же, что у Telegram", "Действия (сообщения, файлы, журнал)"],
        Language::English => ["Bot API, as Telegram has it", "Actions (messages, files, the journal)"],
    };
    let places = match (listen, language) {
        (Some(listen), _) => format!(
            "{api}:\n  curl http://{listen}/bot{token}/getMe\n\
             {actions}:\n  curl -H 'Authorization: Bearer {token}' -d '{{}}' http://{listen}/api/v1/actions/get_profile"
        ),
        (None, Language::Russian) => {
            "Программам бот пока не отвечает: задайте listen в разделе [bot.api] файла tgtrunk.toml."
                .to_owned()
        }
        (None, Language::English) => {
            "No program is served yet: set listen in [bot.api] of tgtrunk.toml.".to_owned()
        }
    };
    format!("token {number}: {token}\n{once}\n{places}")
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
                && told.contains("'Authorization: Bearer 42:abc'")
                && told.contains("http://127.0.0.1:8092/api/v1/actions/get_profile")
        );
        assert!(shown("42:abc", 3, None, Language::Russian).contains("[bot.api]"));
    }
}
