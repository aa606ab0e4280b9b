//! Coming in and going out: the password, how often it may be tried, and what a person likes.

use std::sync::{Arc, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::response::Response;
use serde_json::json;
use tgtrunk_config::Said;
use tgtrunk_shell::clock::now;

use super::answer::{self, Done, Stop};
use super::entry::{Entry, Session};
use super::fields::local;
use super::model::{LoginPage, Theme, Typed};
use super::office::Office;
use super::throttle::Throttle;
use super::view;
use super::visit::{Guest, Posted, fields_of};

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

pub(super) async fn log_in(State(office): Here, guest: Guest, request: Request) -> Answered {
    let fields = fields_of(&guest, &office, request).await?;
    let next = local(fields.raw("next")).to_owned();
    match enter(&office, &guest, fields.raw("password")).await {
        Ok(session) => {
            let mut response = if guest.is_fragment {
                answer::json_with(200, &json!({"go": next}))
            } else {
                answer::see_other(&next)
            };
            answer::set_session(&mut response, Some(session.token()), guest.is_secure);
            Ok(response)
        }
        Err(Shut { status, said, wait_s }) => {
            let frame = guest.frame(&office, &office.hub.snapshot());
            let page = LoginPage { next, problem: Some(said.clone()), wait_s };
            let mut response = if guest.is_fragment {
                let said = said.in_language(guest.language);
                answer::json_with(status, &json!({"said": said, "fields": {"password": said}}))
            } else {
                answer::page(status, view::entry::page(&frame, &page))
            };
            if let Some(wait_s) = wait_s {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait_s));
            }
            Ok(response)
        }
    }
}

/// Why the door stays shut.
pub(super) struct Shut {
    pub(super) status: u16,
    pub(super) said: Said,
    pub(super) wait_s: Option<u32>,
}

/// Tries a password. Whoever is wrong often waits.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn enter(office: &Office, guest: &Guest, password: &str) -> Result<Session, Shut> {
    let wait = |office: &Office| {
        let throttle = office.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        throttle.wait(guest.address, now())
    };
    if let Some(wait) = wait(office) {
        let wait_s = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let said = Said::new(
            format!("Too many wrong passwords: wait {wait_s} s and try again."),
            format!("Слишком много неверных паролей: подождите {wait_s} с и повторите."),
        );
        return Err(Shut { status: 429, said, wait_s: Some(wait_s) });
    }
    let broken = |error: anyhow::Error| {
        tracing::error!(error = format!("{error:#}"), "nobody can log in");
        let said = Said::new(
            format!("The password cannot be checked: {error:#}. Mend the state directory."),
            format!("Не удалось проверить пароль: {error:#}. Исправьте каталог состояния."),
        );
        Shut { status: 503, said, wait_s: None }
    };
    // Noted before it is tried, so that many tries at once count too.
    note(office, |throttle| throttle.handle_wrong(guest.address, now()));
    if office.entry.is_password(password).await.map_err(broken)? {
        note(office, |throttle| throttle.handle_right(guest.address));
        tracing::info!("somebody has logged in to the page");
        return Ok(office.entry.log_in().await);
    }
    tracing::warn!("a wrong password was tried at the page");
    let said = Said::new(
        "The password is wrong. A new one: tgtrunk-client password",
        "Пароль неверный. Новый пароль: tgtrunk-client password",
    );
    Err(Shut { status: 401, said, wait_s: wait(office).and_then(|wait| u32::try_from(wait.as_secs()).ok()) })
}

fn note(office: &Office, change: impl FnOnce(&mut Throttle)) {
    change(&mut office.throttle.lock().unwrap_or_else(PoisonError::into_inner));
}

pub(super) async fn log_out(State(office): Here, posted: Posted) -> Answered {
    if let Some(session) = &posted.visit.0.session
        && let Err(error) = office.entry.log_out(session).await
    {
        tracing::warn!(error = format!("{error:#}"), "a session was not ended");
    }
    let mut response = Done::default().go("/login").answer(&posted);
    answer::set_session(&mut response, None, posted.visit.0.is_secure);
    Ok(response)
}

pub(super) async fn language(State(office): Here, guest: Guest, request: Request) -> Answered {
    chosen(&office, &guest, request, answer::LANGUAGE, |word| Some(answer::language(word)?.as_str())).await
}

pub(super) async fn theme(State(office): Here, guest: Guest, request: Request) -> Answered {
    chosen(&office, &guest, request, answer::THEME, |word| Some(Theme::from_word(word).word())).await
}

/// Keeps what a person likes, who need not be logged in for that.
async fn chosen(
    office: &Office,
    guest: &Guest,
    request: Request,
    name: &str,
    read: impl FnOnce(&str) -> Option<&'static str>,
) -> Answered {
    let fields = fields_of(guest, office, request).await?;
    let back = local(fields.line("back"));
    let mut response = if guest.is_fragment {
        answer::json_with(200, &json!({"go": back}))
    } else {
        answer::see_other(back)
    };
    if let Some(word) = read(fields.line(name)) {
        answer::set_choice(&mut response, name, word);
    }
    Ok(response)
}

pub(super) async fn password(State(office): Here, posted: Posted) -> Answered {
    let (old, new, again) = (posted.fields.raw("old"), posted.fields.raw("new"), posted.fields.raw("again"));
    let mut typed = Typed::default();
    let guest = &posted.visit.0;
    let said = if let Err(said) = Entry::judge(new) {
        typed.refuse("new", said.clone());
        said
    } else if new != again {
        let said = Said::new("The two new passwords differ.", "Новые пароли не совпадают.");
        typed.refuse("again", said.clone());
        said
    } else {
        match enter(&office, guest, old).await {
            Err(Shut { said, .. }) => {
                typed.refuse("old", said.clone());
                said
            }
            Ok(_) => {
                let set = async {
                    office.entry.set(new).await?;
                    anyhow::Ok(office.entry.log_in().await)
                };
                match set.await {
                    Ok(session) => {
                        let done = Done::said(
                            "The password is changed, and every other browser logged out.",
                            "Пароль изменён, остальные браузеры вышли.",
                        );
                        let mut response = done.go("/system").answer(&posted);
                        answer::set_session(&mut response, Some(session.token()), guest.is_secure);
                        return Ok(response);
                    }
                    Err(error) => Said::new(
                        format!("The password cannot be kept: {error:#}."),
                        format!("Не удалось сохранить пароль: {error:#}."),
                    ),
                }
            }
        }
    };
    let snapshot = office.hub.snapshot();
    let mut page = office.system_page(&snapshot).await;
    page.password = typed.clone();
    let frame = posted.frame(&office);
    Ok(answer::refused(&posted, &said, &typed, || view::system::page(&frame, &page)))
}
