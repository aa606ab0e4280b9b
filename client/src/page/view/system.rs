//! The installation: how it is, its settings, the page's own password, backup.

use maud::{Markup, html};

use crate::page::model::{Frame, SystemPage};
use crate::page::setting;
use crate::page::view::form::{self, Input, hidden};
use crate::page::view::frame::{self, Place};
use crate::page::view::line::found;
use crate::page::view::lines::copy;
use crate::page::view::settings;
use crate::page::view::words::sentence;

/// The page.
pub(crate) fn page(frame: &Frame, page: &SystemPage) -> Markup {
    let title = frame.say("Система", "System");
    let main = html! {
        div.head { h1 { (title) } a.button href="/system/log" { (frame.say("Журнал программ", "Logs")) } }
        (health(frame, page))
        form.settings #settings method="post" action="/system/settings" {
            (hidden(frame))
            @if let Some(problem) = &page.problem { p.problem role="alert" { (sentence(frame.said(problem))) } }
            p.hint {
                (frame.say("Где взять api_id и api_hash: откройте ", "Where api_id and api_hash are had: open "))
                a href="https://my.telegram.org" rel="noreferrer" target="_blank" { "my.telegram.org" }
                (frame.say(
                    ", войдите по номеру телефона, выберите «API development tools», создайте приложение и перенесите оба значения сюда.",
                    ", log in by a phone number, choose “API development tools”, create an application, and copy both values to here.",
                ))
            }
            (settings::groups(frame, setting::SYSTEM, &page.typed))
            (settings::save(frame))
        }
        div.columns {
            (password(frame, page))
            section.card {
                h2 { (frame.say("Язык и оформление", "Language and theme")) }
                (frame::preferences(frame))
            }
        }
        (backup(frame, page))
        (about(frame, page))
    };
    frame::page(frame, Place::System, title, main)
}

/// How the installation is: `health`.
pub(crate) fn health(frame: &Frame, page: &SystemPage) -> Markup {
    html! {
        section #health.card aria-live="polite" {
            h2 { (frame.say("Состояние", "Health")) }
            ul.checks {
                @for one in &page.health {
                    @let (class, icon) = found(one.found);
                    li.check data-found=(class) {
                        span.shape.(class) { (icon.draw()) }
                        div { p.what { (frame.said(&one.name)) } p.muted { (sentence(frame.said(&one.said))) } }
                    }
                }
            }
        }
    }
}

fn password(frame: &Frame, page: &SystemPage) -> Markup {
    let typed = &page.password;
    let input = |autocomplete| Input { kind: "password", autocomplete, required: true, ..Input::default() };
    html! {
        section.card #password {
            h2 { (frame.say("Пароль этой страницы", "Password of this page")) }
            form.stack method="post" action="/system/password" {
                (hidden(frame))
                input.away type="text" name="user" value="operator" autocomplete="username" tabindex="-1" aria-hidden="true";
                (form::text(frame, typed, "old", frame.say("Нынешний", "Current"), "", input("current-password")))
                (form::text(frame, typed, "new", frame.say("Новый", "New"), frame.say("Не короче 8 знаков.", "At least 8 characters."), input("new-password")))
                (form::text(frame, typed, "again", frame.say("Ещё раз", "Once more"), "", input("new-password")))
                button { (frame.say("Сменить пароль", "Change the password")) }
            }
        }
    }
}

fn backup(frame: &Frame, page: &SystemPage) -> Markup {
    let (save, restore) = ("tgtrunk-gateway backup tgtrunk.backup", "tgtrunk-gateway restore tgtrunk.backup");
    html! {
        section.card #backup {
            h2 { (frame.say("Резервная копия", "Backup")) }
            p { (frame.say(
                "Копия снимается на ходу и содержит настройки, сеансы и журналы из ",
                "A copy is made while everything runs and holds settings, sessions and journals from ",
            )) code { (page.state_dir) } "." }
            div.command { code { (save) } (copy(frame, save, frame.say("Копировать команду", "Copy the command"))) }
            div.command { code { (restore) } (copy(frame, restore, frame.say("Копировать команду", "Copy the command"))) }
            p.hint { (frame.say(
                "Копия запечатана паролем, который спросит команда: без него её не открыть. После восстановления сеанс, который Telegram успел закрыть, загорится красным: войдите заново.",
                "The copy is sealed with a passphrase that the command asks for: nobody opens it without. After a restore, a session that Telegram has closed meanwhile turns red: log in again.",
            )) }
        }
    }
}

fn about(frame: &Frame, page: &SystemPage) -> Markup {
    html! {
        section.card #about {
            h2 { (frame.say("О программе", "About")) }
            dl.found {
                dt { "tgtrunk" } dd { (page.version) }
                dt { (frame.say("Слой Telegram", "Telegram layer")) } dd { (page.layer) }
                dt { (frame.say("Настройки", "Settings")) } dd { code { (page.settings_file) } }
                dt { (frame.say("Состояние", "State")) } dd { code { (page.state_dir) } }
            }
            p.hint { (frame.say(
                "Все ключи и сообщения остаются на этой машине. Наружу она говорит только с Telegram.",
                "All keys and messages stay on this machine. It speaks to nobody but Telegram.",
            )) }
        }
    }
}
