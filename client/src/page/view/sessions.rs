//! Who is logged in where, and where to begin again.

use maud::{Markup, html};
use tgtrunk_config::Language;
use tgtrunk_config::control::{LoginInfo, LoginStage, Peer};

use crate::page::model::{Frame, LineCard, Part, SessionsPage};
use crate::page::view::form::hidden;
use crate::page::view::lamp;
use crate::page::view::line::{Tab, sheet};
use crate::page::view::lines::{calls_warning, path, writers_warning};
use crate::page::view::words::{beside, person, phone, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &SessionsPage) -> Markup {
    sheet(frame, &page.card, Tab::Sessions, sessions(frame, page))
}

/// The three sessions: `sessions`.
pub(crate) fn sessions(frame: &Frame, page: &SessionsPage) -> Markup {
    let card = &page.card;
    html! {
        section #sessions.sessions {
            (user(frame, page, Part::Gateway, page.gateway.as_ref()))
            (user(frame, page, Part::Client, page.client.as_ref()))
            (bot(frame, card))
            p.hint { (frame.say(
                "Одного кода хватает на оба сеанса: клиент входит сам, когда вошёл шлюз. Входить заново можно в любом состоянии.",
                "One code is enough for both sessions: the client logs itself in once the gateway is. A login can begin again in any state.",
            )) }
        }
    }
}

fn user(frame: &Frame, page: &SessionsPage, part: Part, info: Option<&LoginInfo>) -> Markup {
    let card = &page.card;
    let path = format!("{}/login/{}", path(&card.phone), part.word());
    let purpose = match part {
        Part::Gateway => frame.say("Ведёт звонки.", "Carries the calls."),
        Part::Client | Part::Bot => frame.say(
            "Посылает клавиши, визитки и ответы от имени аккаунта.",
            "Sends keypads, cards and answers as the account.",
        ),
    };
    let stage = info.map(|info| &info.stage);
    let words = match stage {
        Some(LoginStage::Done { .. }) => frame.say("Войти заново", "Log in again"),
        Some(LoginStage::Start) | None => frame.say("Войти", "Log in"),
        Some(LoginStage::Code { .. } | LoginStage::Qr { .. } | LoginStage::Password { .. }) => {
            frame.say("Продолжить", "Go on")
        }
    };
    let is_done = matches!(stage, Some(LoginStage::Done { .. }));
    html! {
        article.card.session data-part=(part.word()) {
            (lamps(frame, card, part))
            div.grow {
                @match stage {
                    Some(LoginStage::Done { account }) => (who(frame, account)),
                    Some(LoginStage::Start) | None => p { (frame.say("Никто не вошёл.", "Nobody is logged in.")) },
                    Some(LoginStage::Code { .. }) => p { (frame.say("Ждём код.", "Waiting for the code.")) },
                    Some(LoginStage::Qr { .. }) => p { (frame.say("Ждём, пока QR-код отсканируют.", "Waiting for the QR code to be scanned.")) },
                    Some(LoginStage::Password { .. }) => p { (frame.say("Ждём пароль аккаунта.", "Waiting for the account’s password.")) },
                }
                p.muted { (purpose) }
                @if let Some(problem) = info.and_then(|info| info.problem.as_ref()) {
                    p.problem { (sentence(frame.said(problem))) }
                }
            }
            div.actions {
                a.button.primary[!is_done] href=(path) { (words) }
                @if is_done { (log_out(frame, page, part, &path)) }
            }
        }
    }
}

fn log_out(frame: &Frame, page: &SessionsPage, part: Part, path: &str) -> Markup {
    let card = &page.card;
    let name = lamp::part_name(frame, part).to_lowercase();
    let number = phone(card.phone.as_str());
    let question = match frame.language {
        Language::Russian => format!("Выйти из аккаунта {number} ({name})?"),
        Language::English => format!("Log the {name} out of {number}?"),
    };
    let more = match part {
        Part::Gateway => {
            let calls = calls_warning(frame, card.gateway.calls);
            format!(
                "{} {calls}",
                frame.say(
                    "Звонки линии прекратятся до нового входа.",
                    "The line takes no calls until the next login."
                )
            )
        }
        Part::Client | Part::Bot => format!(
            "{} {}",
            frame.say(
                "Клавиши и визитки прекратятся до нового входа.",
                "Keypads and cards stop until the next login.",
            ),
            writers_warning(frame, &page.writers)
        ),
    };
    html! {
        form method="post" action={ (path) "/logout" } data-confirm=(question) data-more=(more.trim())
            data-yes=(frame.say("Выйти", "Log out")) {
            (hidden(frame))
            button.quiet { (frame.say("Выйти", "Log out")) }
        }
    }
}

fn bot(frame: &Frame, card: &LineCard) -> Markup {
    html! {
        article.card.session data-part="bot" {
            (lamps(frame, card, Part::Bot))
            div.grow {
                @match &card.bot_name {
                    Some(name) => p {
                        @if let Some(title) = card.bot.as_ref().and_then(|bot| bot.name.as_ref()) { strong { (title) } " " }
                        span.nowrap { "@" (name) }
                    },
                    None => p { (frame.say("Бот не задан.", "No bot is set.")) },
                }
                p.muted { (frame.say(
                    "Рисует звонящим клавиши и превращает нажатия в тоны.",
                    "Draws callers their keypad and turns presses into tones.",
                )) }
            }
            div.actions {
                a.button.primary[card.bot_name.is_none()] href={ (path(&card.phone)) "/login/bot" } {
                    (if card.bot_name.is_some() { frame.say("Сменить", "Change") } else { frame.say("Задать", "Set") })
                }
            }
        }
    }
}

fn lamps(frame: &Frame, card: &LineCard, part: Part) -> Markup {
    html! {
        div.lamps { @for one in lamp::of_line(card).iter().filter(|one| one.part == part) { (lamp::one(frame, one)) } }
    }
}

/// Whose account it is.
pub(crate) fn who(frame: &Frame, account: &Peer) -> Markup {
    html! {
        p {
            strong { (person(account, frame.language)) }
            @if let Some(beside) = beside(account) { " " span.nowrap { (beside) } }
        }
    }
}
