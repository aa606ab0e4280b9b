//! The page's own door.

use maud::{Markup, html};

use crate::page::model::{Frame, LoginPage, Typed};
use crate::page::view::form::{self, Input};
use crate::page::view::frame;
use crate::page::view::words::{count, sentence};

/// The page.
pub(crate) fn page(frame: &Frame, page: &LoginPage) -> Markup {
    let wait = page.wait_s.map(|seconds| {
        let seconds =
            count(frame.language, seconds.into(), ["секунду", "секунды", "секунд"], ["second", "seconds"]);
        match frame.language {
            tgtrunk_config::Language::Russian => format!("Следующая попытка через {seconds}."),
            tgtrunk_config::Language::English => format!("The next try is taken in {seconds}."),
        }
    });
    let mut typed = Typed::default();
    if let Some(problem) = &page.problem {
        typed.refuse("password", problem.clone());
    }
    let input =
        Input { kind: "password", autocomplete: "current-password", required: true, ..Input::default() };
    let main = html! {
        h1 { (frame.say("Вход", "Log in")) }
        form.stack method="post" action="/login" data-plain {
            (form::hidden(frame))
            input type="hidden" name="next" value=(page.next);
            input.away type="text" name="user" value="operator" autocomplete="username" tabindex="-1" aria-hidden="true";
            (form::text(frame, &typed, "password", frame.say("Пароль этой страницы", "Password of this page"), "", input))
            @if let Some(wait) = wait { p.problem role="status" { (sentence(&wait)) } }
            button.primary { (frame.say("Войти", "Log in")) }
        }
        details.hint {
            summary { (frame.say("Где взять пароль?", "Where is the password?")) }
            p { (frame.say(
                "Он был показан один раз, при первом запуске. Новый делает команда на этой машине:",
                "It was shown once, at the first start. A new one is made on this machine by:",
            )) }
            p { code { "tgtrunk-client password" } }
        }
    };
    frame::bare(frame, frame.say("Вход", "Log in"), main)
}
