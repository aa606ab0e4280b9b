//! What a line needs of its bot, and how it stands with that.

use tgtrunk_config::control::{Check, CheckName, Found, Refusal, RefusalCode};
use tgtrunk_config::{BotName, Said};
use tgtrunk_telegram::{Sentence, Status};

use crate::desk::Desk;
use crate::dialog::{self, Amiss};
use crate::telegram;

/// What a bot and the dialog with it are like.
struct Looked {
    is_inline: bool,
    /// Why the dialog is not open; none where it is.
    dialog: Option<Said>,
}

/// Looks at the bot, after mending `fix` where that is wanted.
///
/// # Errors
/// Why it could not be mended.
pub(crate) async fn look(desk: &Desk, fix: Option<CheckName>) -> Result<Vec<Check>, Refusal> {
    let Some(name) = desk.manners().borrow().line.chat.bot.clone() else {
        let said = Said::new(
            "The line has no bot: callers are asked to type digits. Set bot in line.toml to give them buttons.",
            "У линии нет бота: звонящих просят набирать цифры сообщением. Чтобы у них были кнопки, укажите bot в line.toml.",
        );
        return Ok(both(Found::Unknown, &said));
    };
    let account = desk.account.status().borrow().clone();
    let waits = match &account {
        Status::Green { .. } => None,
        Status::Orange { reason } => Some(Said::from(Sentence::from(reason))),
        Status::Red { reason } => Some(Said::from(Sentence::from(reason))),
    };
    if let Some(reason) = waits {
        if fix.is_some() {
            let code = match account {
                Status::Red { .. } => RefusalCode::NotAuthorized,
                Status::Orange { .. } | Status::Green { .. } => RefusalCode::Telegram,
            };
            return Err(Refusal { code, message: reason.en });
        }
        return Ok(both(Found::Unknown, &reason));
    }
    match fix {
        None => {}
        Some(CheckName::BotDialog) => dialog::mend(desk, &name).await.map_err(|amiss| refused(&amiss))?,
        Some(
            CheckName::PhoneVisible
            | CheckName::CallsFromEverybody
            | CheckName::PeerToPeer
            | CheckName::OpusAllowed
            | CheckName::PbxAnswers
            | CheckName::InlineMode,
        ) => {
            let message = "only a person can mend that: the check says how".to_owned();
            return Err(Refusal { code: RefusalCode::BadRequest, message });
        }
    }
    Ok(match look_at(desk, &name).await {
        Ok(looked) => shown(&name, looked),
        Err(Amiss::NotFound(_) | Amiss::NoBot(_)) => {
            let said = Said::new(
                format!("@{name} is no bot on Telegram. Look at bot in line.toml."),
                format!("В Telegram нет бота @{name}. Проверьте bot в line.toml."),
            );
            both(Found::Bad, &said)
        }
        Err(amiss) => both(Found::Unknown, &amiss.said()),
    })
}

async fn look_at(desk: &Desk, name: &BotName) -> Result<Looked, Amiss> {
    let amiss = |trouble| Amiss::Trouble { bot: name.clone(), trouble };
    let bot = dialog::find(desk, name).await?;
    let traits = telegram::traits(&desk.account, &bot).await.map_err(amiss)?;
    if !traits.is_bot {
        return Err(Amiss::NoBot(name.clone()));
    }
    let dialog = if telegram::is_blocked(&desk.account, &bot).await.map_err(amiss)? {
        Some(Said::new("the account has blocked it", "аккаунт его заблокировал"))
    } else if telegram::last_messages(&desk.account, &bot).await.map_err(amiss)?.is_empty() {
        Some(Said::new("nobody has pressed Start there", "там не нажата кнопка «Старт»"))
    } else {
        None
    };
    Ok(Looked { is_inline: traits.is_inline, dialog })
}

fn shown(name: &BotName, looked: Looked) -> Vec<Check> {
    let inline = if looked.is_inline {
        (
            Found::Good,
            Said::new(
                format!("@{name} has inline mode: callers get buttons."),
                format!("У @{name} включён встроенный режим: звонящие получают кнопки."),
            ),
        )
    } else {
        (
            Found::Bad,
            Said::new(
                format!(
                    "@{name} has no inline mode, so callers get no buttons. In @BotFather: /setinline, choose @{name}."
                ),
                format!(
                    "У @{name} выключен встроенный режим, и звонящие не получают кнопок. В @BotFather: /setinline, выберите @{name}."
                ),
            ),
        )
    };
    let dialog = match looked.dialog {
        None => (
            Found::Good,
            Said::new(format!("The dialog with @{name} is open."), format!("Диалог с @{name} открыт.")),
        ),
        Some(why) => (
            Found::Bad,
            why.within(
                |en| {
                    format!("The dialog with @{name} is not open: {en}. Open it in Telegram and press Start.")
                },
                |ru| format!("Диалог с @{name} не открыт: {ru}. Откройте его в Telegram и нажмите «Старт»."),
            ),
        ),
    };
    let check = |check, (found, said): (Found, Said), can_fix| Check { check, found, said, can_fix };
    let can_open = dialog.0 == Found::Bad;
    vec![check(CheckName::InlineMode, inline, false), check(CheckName::BotDialog, dialog, can_open)]
}

/// Both checks alike.
fn both(found: Found, said: &Said) -> Vec<Check> {
    [CheckName::InlineMode, CheckName::BotDialog]
        .map(|check| Check { check, found, said: said.clone(), can_fix: false })
        .to_vec()
}

fn refused(amiss: &Amiss) -> Refusal {
    Refusal { code: RefusalCode::Telegram, message: amiss.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dialog_that_is_not_open_can_be_mended_from_here() {
        let name: BotName = "acme_bot".parse().unwrap();
        let why = Said::new("nobody has pressed Start there", "там не нажата кнопка «Старт»");
        let amiss = shown(&name, Looked { is_inline: false, dialog: Some(why) });
        let told: Vec<_> = amiss.iter().map(|check| (check.check, check.found, check.can_fix)).collect();
        assert_eq!(
            told,
            [(CheckName::InlineMode, Found::Bad, false), (CheckName::BotDialog, Found::Bad, true)]
        );
        let well = shown(&name, Looked { is_inline: true, dialog: None });
        assert!(well.iter().all(|check| check.found == Found::Good && !check.can_fix));
        assert!(well.iter().chain(&amiss).all(|check| !check.said.ru.is_empty()));
    }
}
