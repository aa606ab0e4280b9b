//! Messages: all instances at a glance.

pub(crate) mod access;
pub(crate) mod bots;
pub(crate) mod instance;
pub(crate) mod journal;
mod queues;
pub(crate) mod settings;
pub(crate) mod signin;
pub(crate) mod words;

use maud::{Markup, html};
use tgtrunk_messages::Standing;

use crate::page::model::Frame;
use crate::page::model::messages::{COUNTED, InstanceCard, MessagesPage};
use crate::page::view::frame::{self, Place};
use crate::page::view::icons::Icon;
use crate::page::view::words::{count, grouped, moment, phone, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &MessagesPage) -> Markup {
    let title = frame.say("Сообщения", "Messages");
    let main = html! {
        div.head { h1 { (title) } }
        (list(frame, page))
    };
    frame::page(frame, Place::Messages, title, main)
}

/// All instances: `instances`.
pub(crate) fn list(frame: &Frame, page: &MessagesPage) -> Markup {
    html! {
        div #instances.sheet-list {
            @if let Some(problem) = &page.problem { p.problem { (sentence(frame.said(problem))) } }
            @if page.instances.is_empty() && page.problem.is_none() {
                p.muted { (frame.say(
                    "Инстансов пока нет. У каждой линии, которая работает, есть свой: её аккаунтом программы шлют и читают сообщения.",
                    "There are no instances yet. Each line that runs has one: programs send and read messages by its account.",
                )) }
                p { a.button href="/lines/new" { (Icon::Plus.draw()) (frame.say("Добавить номер", "Add a number")) } }
            }
            @for card in &page.instances { (one(frame, card)) }
        }
    }
}

fn one(frame: &Frame, card: &InstanceCard) -> Markup {
    html! {
        article.card.instance id={ "instance-" (card.id) } data-bot=[card.bot.as_ref()] data-standing=(card.standing.as_str()) {
            div.instance-head {
                h2 { a href=(path(card)) { (name(card)) } @if let Some(beside) = beside(card) { " " span.name { (beside) } } }
                (lamp(frame, card.standing))
            }
            p.muted.sums {
                @if card.bot.is_some() { span { (frame.say("бот", "bot")) } } @else { span { "idInstance " code { (card.id) } } } " "
                span { (frame.say("в очереди ", "queue ")) (card.outgoing) } " "
                span { (if card.bot.is_some() { frame.say("обновлений ", "updates ") } else { frame.say("уведомлений ", "notifications ") }) (notifications(frame, card)) } " "
                span { (last(frame, card)) }
            }
            (warnings(frame, card))
        }
    }
}

/// How many notifications wait, as far as they are counted.
fn notifications(frame: &Frame, card: &InstanceCard) -> String {
    let is_more = card.bot.is_none() && card.notifications > COUNTED;
    let many = grouped(frame.language, if is_more { COUNTED } else { card.notifications });
    if is_more { format!("{}{many}", frame.say("больше ", "more than ")) } else { many }
}

fn last(frame: &Frame, card: &InstanceCard) -> String {
    match card.last_ms {
        Some(ms) => format!("{}{}", frame.say("последнее сообщение ", "last message "), moment(frame, ms)),
        None => frame.say("сообщений ещё не было", "no messages yet").to_owned(),
    }
}

/// What needs a person's eye.
pub(crate) fn warnings(frame: &Frame, card: &InstanceCard) -> Markup {
    html! {
        @if let Some(problem) = &card.problem { p.problem { (sentence(frame.said(problem))) } }
        @if let (Some(cause), true) = (&card.stuck, card.outgoing > 0) {
            p.warning data-warning="stuck" {
                (Icon::Bad.draw())
                span { (frame.say("Голова очереди стоит: ", "The head of the queue is stuck: ")) (words::cause(frame.language, cause)) }
            }
        }
        @if let (Some(words), 1..) = (waits_for_login(frame, card), card.outgoing) {
            p.warning data-warning="login" {
                (Icon::Bad.draw())
                span { (words) }
            }
        }
        @if let Some(cause) = &card.webhook_fails {
            p.warning data-warning="webhook" {
                (Icon::Bad.draw())
                @if card.bot.is_some() {
                    span { (frame.say("Вебхук не принимает обновления: ", "The webhook does not take updates: ")) (bots::cause(frame.language, cause)) }
                } @else {
                    span { (frame.say("Вебхук не принимает уведомления: ", "The webhook does not take notifications: ")) (words::cause(frame.language, cause)) }
                }
            }
        }
        @if card.webhook_is_example {
            p.warning data-warning="example" {
                (Icon::Bad.draw())
                span { (frame.say(
                    "Вебхук — адрес из примера коннектора 1С, чужой сайт: туда ничего не посылается. Программы могут забирать уведомления сами.",
                    "The webhook is the address in the example of 1C’s connector, somebody else’s site: nothing is sent there. Programs can fetch notifications.",
                )) }
            }
        }
        @if let Some(times) = card.left {
            p.warning data-warning="left" {
                (Icon::Bad.draw())
                span { (queues::left_there(frame, times)) }
            }
        }
        @for rest in &card.rests {
            p.warning data-warning="rest" {
                (Icon::Waiting.draw())
                span { (words::rest(frame, rest.what)) " " (queues::rests_for(frame, rest.until_ms)) }
            }
        }
    }
}

/// What the messages of the queue wait for, if it is for somebody to do something about the account.
fn waits_for_login(frame: &Frame, card: &InstanceCard) -> Option<String> {
    let told = count(
        frame.language,
        card.outgoing,
        ["сообщение ждёт", "сообщения ждут", "сообщений ждут"],
        ["message waits", "messages wait"],
    );
    let rest = match card.standing {
        Standing::NotAuthorized => frame.say(
            " входа: отправка начнётся, когда аккаунт войдёт",
            " for the login: sent once the account is logged in",
        ),
        Standing::PendingPassword => frame.say(
            " пароля аккаунта: отправка начнётся, когда вход закончится",
            " for the account’s password: sent once the login is done",
        ),
        Standing::Blocked => frame.say(
            ": аккаунт закрыт Telegram, и без него отправки не будет",
            ": Telegram has closed the account, and nothing is sent without it",
        ),
        Standing::Authorized | Standing::Starting | Standing::Suspended => return None,
    };
    Some(format!("{told}{rest}"))
}

/// How an instance stands: colour, shape and word.
pub(crate) fn lamp(frame: &Frame, standing: Standing) -> Markup {
    let (class, icon) = match standing {
        Standing::Authorized => ("green", Icon::Good),
        Standing::Starting => ("orange", Icon::Waiting),
        Standing::NotAuthorized | Standing::PendingPassword | Standing::Suspended | Standing::Blocked => {
            ("red", Icon::Bad)
        }
    };
    html! {
        span.lamp.(class) role="status" data-lamp=(class) data-standing=(standing.as_str()) {
            (icon.draw())
            span.who { "Telegram" }
            span.word { (words::standing(frame.language, standing)) }
        }
    }
}

/// What an instance is called: its number, its username, or what its program says.
pub(crate) fn name(card: &InstanceCard) -> String {
    match (&card.username, card.phone.is_empty()) {
        (_, false) => phone(&card.phone),
        (Some(username), true) => format!("@{username}"),
        (None, true) if !card.name.is_empty() => card.name.clone(),
        (None, true) => card.id.to_string(),
    }
}

/// What else is known of whose it is.
pub(crate) fn beside(card: &InstanceCard) -> Option<String> {
    let username = card.username.as_ref().filter(|_| !card.phone.is_empty());
    let username = username.map(|username| format!("@{username}"));
    let named = Some(card.name.clone()).filter(|told| !told.is_empty() && *told != name(card));
    let known: Vec<String> = [named, username].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(" · "))
}

/// The address of an instance's pages.
pub(crate) fn path(card: &InstanceCard) -> String {
    match &card.bot {
        Some(bot) => format!("/bots/{bot}/messages"),
        None => format!("/messages/{}", card.id),
    }
}
