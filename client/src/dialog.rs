//! Keeps the line's bot at hand: finds it, opens the dialog with it, and asks it now and then whether it is there.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::{BotName, Said};
use tgtrunk_telegram::{Person, Resolved};
use tokio::time::sleep;
use tracing::{info, warn};

use crate::clock;
use crate::desk::Desk;
use crate::lamps::BotFact;
use crate::telegram;
use crate::trouble::Trouble;

/// How often a bot that answers is asked again.
const VISITS: Duration = Duration::from_secs(60);
/// How soon one that does not is, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long the bot may take.
const LIMIT: Duration = Duration::from_secs(6);
/// What the bot is asked; it has nothing to offer for it.
const QUERY: &str = "ping";
/// Opens a dialog (core.telegram.org/bots/features#commands).
const START: &str = "/start";

/// What is wrong with a bot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Amiss {
    #[error("@{0} is not found on Telegram: look at the line's bot")]
    NotFound(BotName),
    #[error("@{0} is no bot: look at the line's bot")]
    NoBot(BotName),
    #[error("@{bot}: {trouble}")]
    Trouble { bot: BotName, trouble: Trouble },
    #[error("the dialog with the bot could not be remembered: {0}")]
    Store(#[from] sqlx::Error),
}

impl Amiss {
    /// The same in both languages.
    pub(crate) fn said(&self) -> Said {
        let ru = match self {
            Self::NotFound(bot) => format!("@{bot} не найден в Telegram: проверьте бота этой линии"),
            Self::NoBot(bot) => format!("@{bot} не бот: проверьте бота этой линии"),
            Self::Trouble { bot, trouble } => format!("@{bot}: {}", trouble.said().ru),
            Self::Store(error) => format!("диалог с ботом не удалось запомнить: {error}"),
        };
        Said::new(self.to_string(), ru)
    }

    /// Whether a person has to do something about it.
    fn is_red(&self) -> bool {
        match self {
            Self::NotFound(_) | Self::NoBot(_) => true,
            Self::Trouble { trouble, .. } => {
                matches!(trouble, Trouble::BotNotInline | Trouble::Blocked { .. } | Trouble::Deleted)
            }
            Self::Store(_) => false,
        }
    }
}

/// Runs as long as the line does.
pub(crate) async fn keep(desk: Arc<Desk>) {
    let mut manners = desk.manners();
    let mut visited: Option<BotName> = None;
    let (mut told, mut pause) = (String::new(), FIRST_PAUSE);
    loop {
        let name = manners.borrow_and_update().line.chat.bot.clone();
        let Some(name) = name else {
            visited = None;
            desk.set_bot(None);
            desk.lamps.bot(BotFact::NotSet);
            if manners.changed().await.is_err() {
                return;
            }
            continue;
        };
        if visited.as_ref() != Some(&name) {
            desk.set_bot(None);
            desk.lamps.bot(BotFact::Unvisited);
        }
        desk.until_green().await;
        let rest = match visit(&desk, &name, visited.as_ref() != Some(&name)).await {
            Ok(()) => {
                desk.lamps.bot(BotFact::Open);
                if visited.as_ref() != Some(&name) || !told.is_empty() {
                    info!("the bot answers");
                }
                (visited, told, pause) = (Some(name), String::new(), FIRST_PAUSE);
                VISITS
            }
            Err(amiss) => {
                let reason = amiss.said();
                if told != reason.en {
                    warn!("callers get no keypad from the bot: {reason}");
                    told.clone_from(&reason.en);
                }
                desk.lamps.bot(BotFact::Amiss { red: amiss.is_red(), reason });
                pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
        };
        desk.lamps.tick();
        tokio::select! {
            () = sleep(rest) => {}
            () = desk.visit.notified() => sleep(FIRST_PAUSE).await,
            changed = manners.changed() => if changed.is_err() { return },
        }
    }
}

/// Finds the bot, opens the dialog if it was not, and asks it something.
async fn visit(desk: &Desk, name: &BotName, is_first: bool) -> Result<(), Amiss> {
    let amiss = |trouble| Amiss::Trouble { bot: name.clone(), trouble };
    let bot = find(desk, name).await?;
    if is_first {
        let traits = telegram::traits(&desk.account, &bot).await.map_err(amiss)?;
        if !traits.is_bot {
            return Err(Amiss::NoBot(name.clone()));
        }
        if !traits.is_inline {
            return Err(amiss(Trouble::BotNotInline));
        }
    }
    open(desk, &bot).await.map_err(|error| match error {
        Opening::Trouble(trouble) => amiss(trouble),
        Opening::Store(error) => Amiss::Store(error),
    })?;
    desk.set_bot(Some(bot.clone()));
    match telegram::ask_bot(&desk.account, &bot, Some(&bot), QUERY, LIMIT).await {
        Ok(_) => Ok(()),
        Err(trouble) => {
            // A bot that refuses to speak may have forgotten the account.
            if matches!(trouble, Trouble::Refused { .. } | Trouble::Blocked { .. })
                && let Some(me) = desk.account.me()
            {
                desk.store.dialog_closed(bot.id, me.id).await?;
            }
            Err(amiss(trouble))
        }
    }
}

/// Finds the bot at Telegram.
pub(crate) async fn find(desk: &Desk, name: &BotName) -> Result<Resolved, Amiss> {
    match desk.account.resolve(Person::Username(name.as_str().to_owned())).await.map_err(Trouble::from) {
        Ok(bot) => Ok(bot),
        Err(Trouble::Stranger) => Err(Amiss::NotFound(name.clone())),
        Err(trouble) => Err(Amiss::Trouble { bot: name.clone(), trouble }),
    }
}

/// Opens the dialog anew: whatever keeps the bot out is taken back, and it is greeted again.
pub(crate) async fn mend(desk: &Desk, name: &BotName) -> Result<(), Amiss> {
    let amiss = |trouble| Amiss::Trouble { bot: name.clone(), trouble };
    let bot = find(desk, name).await?;
    if telegram::is_blocked(&desk.account, &bot).await.map_err(amiss)? {
        telegram::unblock(&desk.account, &bot).await.map_err(amiss)?;
    }
    if let Some(me) = desk.account.me() {
        desk.store.dialog_closed(bot.id, me.id).await?;
    }
    open(desk, &bot).await.map_err(|error| match error {
        Opening::Trouble(trouble) => amiss(trouble),
        Opening::Store(error) => Amiss::Store(error),
    })?;
    desk.visit.notify_one();
    Ok(())
}

enum Opening {
    Trouble(Trouble),
    Store(sqlx::Error),
}

/// Says `/start` to the bot, once per bot and account.
async fn open(desk: &Desk, bot: &Resolved) -> Result<(), Opening> {
    let Some(me) = desk.account.me() else { return Err(Opening::Trouble(Trouble::Unauthorized)) };
    let begun = desk.store.begin_dialog(bot.id, me.id, clock::random_id()).await;
    let Some(random_id) = begun.map_err(Opening::Store)? else { return Ok(()) };
    match telegram::send_text(&desk.account, bot, random_id, START).await {
        Ok(_) | Err(Trouble::Repeated) => {}
        Err(trouble) => return Err(Opening::Trouble(trouble)),
    }
    desk.store.dialog_open(bot.id, me.id).await.map_err(Opening::Store)?;
    info!("the dialog with the bot is open");
    Ok(())
}
