//! `add` and `remove`: a bot by its token.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tgtrunk_config::{BotFile, BotName, BotToken, Settings, StateDir};
use tgtrunk_shell::keyboard::{self, say};
use tokio::time::sleep;

use super::ask;
use crate::telegram::{Api, Profile};

/// How often, and after which pause, a folder that is in use is removed.
const FORGET_TRIES: u32 = 20;
const FORGET_PAUSE: Duration = Duration::from_millis(200);

/// What to do about a bot whose inline mode is off.
pub(crate) const INLINE_OFF: &str = "inline mode is off, so no keypad can be sent: at @BotFather send /setinline, choose the bot, and give it any hint";

/// Asks for a token, asks Telegram whose it is, and writes the bot's file.
///
/// # Errors
/// When the token is none, or Telegram cannot be asked.
pub(crate) async fn add(settings: &Settings, state: &StateDir) -> anyhow::Result<()> {
    say("Token of the bot (from @BotFather, /mybots, API Token; it is not shown):");
    let Some(line) = keyboard::line(true)? else { bail!("no token was given") };
    let token: BotToken = line.trim().parse()?;
    let profile = profile(settings, &token).await?;
    let bot: BotName = profile.username.parse()?;
    let known = BotFile::load(state, &bot).ok();
    let file = match known {
        Some(known) => BotFile { token, ..known },
        None => BotFile::new(token),
    };
    file.write(state, &bot)?;
    say(&format!("@{bot} is written: {} (id {})", profile.name, profile.id));
    if !profile.inline {
        say(&format!("@{bot}: {INLINE_OFF}"));
    }
    say(&format!("A line uses it by bot = \"{bot}\" in its line.toml."));
    if ask::runs(state).await {
        ask::reload(state).await?;
    }
    Ok(())
}

/// Removes a bot, from the running program too.
///
/// # Errors
/// When there is no such bot.
pub(crate) async fn remove(state: &StateDir, bot: &BotName, keep_state: bool) -> anyhow::Result<()> {
    if !state.bot_dir(bot).exists() {
        bail!("there is no bot @{bot}");
    }
    let runs = ask::runs(state).await;
    // Without its token it is not run any more, and its database is closed.
    state.retire_bot(bot)?;
    if runs {
        ask::reload(state).await?;
    }
    if !keep_state {
        // What the running program still writes there as it closes the bot is in the way for a moment.
        let mut tries = 0;
        while let Err(error) = state.forget_bot(bot) {
            tries += 1;
            if tries > FORGET_TRIES {
                return Err(error.into());
            }
            sleep(FORGET_PAUSE).await;
        }
    }
    Ok(())
}

/// Whose a token is.
///
/// # Errors
/// A sentence.
pub(crate) async fn profile(settings: &Settings, token: &BotToken) -> anyhow::Result<Profile> {
    let api = api(settings, token)?;
    api.profile().await.context("the token cannot be checked")
}

/// The way to Telegram with a token.
///
/// # Errors
/// A sentence.
pub(crate) fn api(settings: &Settings, token: &BotToken) -> anyhow::Result<Api> {
    let settings = &settings.bot;
    Api::new(&settings.api_url, settings.proxy.as_ref(), token.as_str()).map_err(anyhow::Error::msg)
}
