//! `add` and `remove`: a bot by its token.

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{BotName, BotToken, Language, Settings, StateDir};
use tgtrunk_shell::keyboard::{self, say};
use tgtrunk_shell::{asking, language};

use super::ask;
use crate::admission;

/// Asks for a token, asks Telegram whose it is, and writes the bot's file. The running program does that where there is
/// one.
///
/// # Errors
/// When the token is none, or Telegram cannot be asked.
pub(crate) async fn add(settings: &Settings, state: &StateDir) -> anyhow::Result<()> {
    let language = language();
    say(match language {
        Language::English => "Token of the bot (from @BotFather, /mybots, API Token; it is not shown):",
        Language::Russian => "Токен бота (у @BotFather: /mybots, API Token; при вводе не виден):",
    });
    let Some(line) = keyboard::line(true)? else { bail!("no token was given") };
    let token: BotToken = line.trim().parse()?;
    let check = if ask::runs(state).await {
        let answer = asking::ask(&state.bot_socket(), Ask::AddBot { token }).await?;
        let Answer::Bot(check) = answer else { bail!("the bot answered something else") };
        check
    } else {
        let check = admission::check(settings, &token, &[]).await?;
        admission::keep(state, token, &check.bot)?;
        asking::reload_where_it_runs(&state.bot_socket()).await;
        check
    };
    let bot = &check.bot;
    say(&match language {
        Language::English => format!("@{bot} is written: {} (id {})", check.name, check.id),
        Language::Russian => format!("@{bot} записан: {} (id {})", check.name, check.id),
    });
    for trouble in &check.troubles {
        say(&format!("@{bot}: {}", trouble.in_language(language)));
    }
    say(&match language {
        Language::English => format!("A line uses it by bot = \"{bot}\" in its line.toml."),
        Language::Russian => format!("Линия использует его, если в её line.toml стоит bot = \"{bot}\"."),
    });
    Ok(())
}

/// Removes a bot, from the running program too.
///
/// # Errors
/// When there is no such bot.
pub(crate) async fn remove(state: &StateDir, bot: &BotName, keep_state: bool) -> anyhow::Result<()> {
    if !state.bot_dir(bot).exists() {
        return Err(admission::unknown(bot).into());
    }
    match (ask::runs(state).await, keep_state) {
        (true, false) => drop(asking::ask(&state.bot_socket(), Ask::RemoveBot { bot: bot.clone() }).await?),
        (true, true) => {
            // Without its token it is not run any more, and its database is closed.
            state.retire_bot(bot)?;
            ask::reload(state).await?;
        }
        (false, is_kept) => {
            let removed = if is_kept { state.retire_bot(bot) } else { state.forget_bot(bot) };
            asking::reload_where_it_runs(&state.bot_socket()).await;
            removed?;
            // What it made there before it heard so goes, too.
            if !is_kept && !state.bot_file(bot).exists() {
                state.forget_bot(bot)?;
            }
        }
    }
    Ok(())
}
