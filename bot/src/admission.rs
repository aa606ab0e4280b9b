//! Letting a bot in by its token: what terminal and control socket have in common.

use std::time::Duration;

use tgtrunk_config::control::{BotCheck, Refusal, RefusalCode};
use tgtrunk_config::{BotFile, BotName, BotToken, Said, Settings, StateDir};

use crate::telegram::{Api, Failure};

/// What to do about a bot whose inline mode is off.
pub(crate) fn inline_off() -> Said {
    Said::new(
        "inline mode is off, so no keypad can be sent: at @BotFather send /setinline, choose the bot, and give it any hint",
        "встроенный режим выключен, клавиатуру не отправить: пошлите @BotFather команду /setinline, выберите бота и задайте любую подсказку",
    )
}

/// What to do about a bot that somebody else has at work.
pub(crate) fn conflict(failure: &Failure) -> Said {
    Said::new(
        format!(
            "another program polls with this token, stop it or have it ask tgtrunk-bot ([bot.api]): {failure}"
        ),
        "с этим токеном работает ещё одна программа: остановите её или направьте к tgtrunk-bot (раздел [bot.api])",
    )
}

/// The way to Telegram with a token.
///
/// # Errors
/// A sentence.
pub(crate) fn api(settings: &Settings, token: &BotToken) -> anyhow::Result<Api> {
    let settings = &settings.bot;
    Api::new(&settings.api_url, settings.proxy.as_ref(), token.as_str()).map_err(anyhow::Error::msg)
}

/// Asks Telegram whose a token is, and whether that bot could work. One of those that are `at_work` here is not disturbed.
///
/// # Errors
/// The refusal, when Telegram does not know the token or cannot be asked.
pub(crate) async fn check(
    settings: &Settings,
    token: &BotToken,
    at_work: &[BotName],
) -> Result<BotCheck, Refusal> {
    let api = api(settings, token).map_err(internal)?;
    let profile = api.profile().await.map_err(|failure| refusal(&failure))?;
    let bot: BotName = profile.username.parse().map_err(internal)?;
    let mut troubles = Vec::new();
    if !profile.inline {
        troubles.push(inline_off());
    }
    if settings.bot.webhook.is_none() && !at_work.contains(&bot) {
        troubles.extend(rival(&api).await);
    }
    let description = api.description().await.ok().filter(|text| !text.is_empty());
    Ok(BotCheck { bot, id: profile.id, name: profile.name, description, inline: profile.inline, troubles })
}

/// Who else has the bot's updates.
async fn rival(api: &Api) -> Option<Said> {
    let url = api.webhook_state().await.map(|state| state.url).unwrap_or_default();
    if !url.is_empty() {
        return Some(Said::new(
            format!("its updates go to {url} now; here they are taken back when the bot runs"),
            format!("обновления бота сейчас уходят на {url}; запущенный здесь бот заберёт их себе"),
        ));
    }
    match api.updates(None, 1, Duration::ZERO).await {
        Err(failure @ Failure::Conflict(_)) => Some(conflict(&failure)),
        Ok(_) | Err(_) => None,
    }
}

/// Writes a bot's file. Of one that is known already only the token changes.
///
/// # Errors
/// The refusal, when the file cannot be written.
pub(crate) fn keep(state: &StateDir, token: BotToken, bot: &BotName) -> Result<(), Refusal> {
    let file = match BotFile::load(state, bot) {
        Ok(known) => BotFile { token, ..known },
        Err(_) => BotFile::new(token),
    };
    file.write(state, bot).map_err(internal)
}

/// There is no such bot.
pub(crate) fn unknown(bot: &BotName) -> Refusal {
    Refusal { code: RefusalCode::UnknownBot, message: format!("there is no bot @{bot}") }
}

/// Something broke here.
pub(crate) fn internal(error: impl ToString) -> Refusal {
    Refusal { code: RefusalCode::Internal, message: error.to_string() }
}

fn refusal(failure: &Failure) -> Refusal {
    let code = match failure {
        Failure::Token => RefusalCode::BadToken,
        Failure::Unreachable(_) | Failure::Down(_) => RefusalCode::Unreachable,
        Failure::Flood { .. }
        | Failure::Conflict(_)
        | Failure::Forbidden(_)
        | Failure::Refused { .. }
        | Failure::Unreadable(_) => RefusalCode::Telegram,
    };
    Refusal { code, message: failure.to_string() }
}
