//! What the forms of the place "Messages" do.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use maud::Markup;
use tgtrunk_config::Said;
use tgtrunk_messages::{Cancelled, Instance, LoginStep, MessageId, Signin};
use tokio::time::timeout;

use super::show::{owned, starting};
use super::{settings_of, told};
use crate::api::Owned;
use crate::page::answer::{self, Done, Stop};
use crate::page::change::summary;
use crate::page::model::messages::{SigninPage, Way};
use crate::page::model::{Frame, Typed};
use crate::page::office::Office;
use crate::page::view::messages as view;
use crate::page::visit::Posted;

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

/// How long whoever clears a queue or deletes an instance is kept waiting for it.
const SOON: Duration = Duration::from_secs(20);
/// Longest code and password of an account, in characters.
const SECRET_CHARS: usize = 256;

pub(crate) async fn restart(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let owned = owned(&office, &posted.visit, id)?;
    let api = office.core.api().map_err(|said| posted.visit.0.stop(&office, 503, said))?;
    Ok(match api.reboot(owned.id).await {
        Ok(()) => Done::said("The instance starts again.", "Инстанс запускается заново.").answer(&posted),
        Err(refused) => answer::failed(&posted, &told(&refused)),
    })
}

pub(crate) async fn log_out(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    Ok(match instance.messenger().door().sign_in(Signin::LogOut).await {
        LoginStep::Failed { sentence, russian, .. } => answer::failed(&posted, &Said::new(sentence, russian)),
        LoginStep::Scan(_) | LoginStep::Code | LoginStep::Password | LoginStep::Done => {
            let done = Done::said(
                "Logged out. What waits is sent after the next login.",
                "Выход выполнен. То, что ждёт, уйдёт после нового входа.",
            );
            whole(&office, &posted, &owned, done).await
        }
    })
}

/// Deletes an instance that a partner's program made, whose token may be lost: whether it works or not.
pub(crate) async fn delete(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let owned = owned(&office, &posted.visit, id)?;
    if owned.line.is_some() {
        return Err(posted.visit.nothing(&office));
    }
    let api = office.core.api().map_err(|said| posted.visit.0.stop(&office, 503, said))?;
    let done = match timeout(SOON, api.delete(owned.id)).await {
        Ok(Ok(())) => Done::said("The instance is deleted.", "Инстанс удалён."),
        Ok(Err(refused)) => return Ok(answer::failed(&posted, &told(&refused))),
        Err(_) => Done::said(
            "The instance is being deleted, and that goes on by itself.",
            "Инстанс удаляется, и это идёт дальше само.",
        ),
    };
    Ok(done.go("/messages").answer(&posted))
}

pub(crate) async fn cancel(
    State(office): Here,
    Path((id, message)): Path<(i64, i64)>,
    posted: Posted,
) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    let done = instance.cancel(MessageId::new(message)).await.map_err(|refused| told(&refused));
    Ok(match done.and_then(cancelled) {
        Ok(done) => whole(&office, &posted, &owned, done).await,
        Err(said) => answer::failed(&posted, &said),
    })
}

/// What is said of a message that was to be taken out.
pub(super) fn cancelled(what: Cancelled) -> Result<Done, Said> {
    Ok(match what {
        Cancelled::Out { may_be_sent: false } => {
            Done::said("The message is taken out of the queue.", "Сообщение убрано из очереди.")
        }
        Cancelled::Out { may_be_sent: true } => Done::said(
            "The message is not sent again, but Telegram may have it: look in the chat.",
            "Сообщение больше не отправляется, но в Telegram оно могло попасть: посмотрите в чате.",
        ),
        Cancelled::UnderWay => {
            return Err(Said::new(
                "The message is being sent just now: it cannot be held any more.",
                "Сообщение отправляется прямо сейчас: остановить его уже нельзя.",
            ));
        }
        Cancelled::Gone => {
            Done::said("The message is not in the queue any more.", "Этого сообщения в очереди уже нет.")
        }
    })
}

pub(crate) async fn clear_queue(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    let done = match timeout(SOON, instance.clear_queue()).await {
        Ok(Ok(())) => Done::said("The outgoing queue is empty.", "Очередь отправки очищена."),
        Ok(Err(refused)) => return Ok(answer::failed(&posted, &told(&refused))),
        Err(_) => Done::said(
            "The outgoing queue is long: it is being emptied, and that goes on by itself.",
            "Очередь отправки длинная: она очищается, и это идёт дальше само.",
        ),
    };
    Ok(whole(&office, &posted, &owned, done).await)
}

pub(crate) async fn skip(
    State(office): Here,
    Path((id, receipt)): Path<(i64, i64)>,
    posted: Posted,
) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    Ok(match instance.confirm(receipt).await {
        Ok(true) => {
            let done = Done::said("The notification is skipped.", "Уведомление пропущено.");
            whole(&office, &posted, &owned, done).await
        }
        Ok(false) => {
            let done = Done::said("The notification is not there any more.", "Этого уведомления уже нет.");
            whole(&office, &posted, &owned, done).await
        }
        Err(refused) => answer::failed(&posted, &told(&refused)),
    })
}

/// Forms about all notifications: `clear`, `test`, `push`.
pub(crate) async fn notifications(
    State(office): Here,
    Path((id, what)): Path<(i64, String)>,
    posted: Posted,
) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    let done = match what.as_str() {
        "clear" => match instance.clear_notifications().await {
            Ok(Ok(())) => Ok(Done::said("All notifications are taken away.", "Все уведомления убраны.")),
            Ok(Err(left_s)) => {
                let said = Said::new(
                    format!("That may be done once a minute: again in {left_s} s."),
                    format!("Это можно раз в минуту: повторите через {left_s} с."),
                );
                return Ok(answer::failed(&posted, &said));
            }
            Err(refused) => Err(refused),
        },
        "test" => instance.tell_standing().await.map(|()| {
            Done::said(
                "A test notification is in the queue: stateInstanceChanged.",
                "Пробное уведомление поставлено в очередь: stateInstanceChanged.",
            )
        }),
        "push" => {
            instance.push_now();
            Ok(Done::said("The webhook is tried now.", "Вебхук вызывается сейчас."))
        }
        _ => return Err(posted.visit.nothing(&office)),
    };
    Ok(match done {
        Ok(done) => whole(&office, &posted, &owned, done).await,
        Err(refused) => answer::failed(&posted, &told(&refused)),
    })
}

pub(crate) async fn settings(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    let mut page = office.instance_settings_page(&owned).await;
    let said = match settings_of(&posted.fields, &page.settings, &mut page.typed) {
        Ok(values) => match instance.change_settings(&values).await {
            Ok(()) => {
                return Ok(Done::said("The settings are saved.", "Настройки сохранены.").answer(&posted));
            }
            Err(refused) => told(&refused),
        },
        Err(wrong) => summary(wrong),
    };
    page.problem = Some(said.clone());
    let frame = posted.frame(&office);
    Ok(answer::refused(&posted, &said, &page.typed.clone(), || view::settings::page(&frame, &page)))
}

/// Makes another token and shows it this once.
pub(crate) async fn access(State(office): Here, Path(id): Path<i64>, posted: Posted) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    let token = match instance.renew_token().await {
        Ok(token) => token.reveal().to_owned(),
        Err(refused) => return Ok(answer::failed(&posted, &told(&refused))),
    };
    let mut page = office.access_page(&owned, Some(token)).await;
    page.card.has_token = true;
    let frame = posted.frame(&office);
    if !posted.visit.0.is_fragment {
        return Ok(answer::page(200, view::access::page(&frame, &page)));
    }
    let done = Done::said("A new token is made. Copy it now.", "Новый токен создан. Скопируйте его сейчас.");
    Ok(done.fragment("access", view::access::access(&frame, &page)).answer(&posted))
}

/// A step of the login of an instance without a line.
pub(crate) async fn signin(
    State(office): Here,
    Path((id, step)): Path<(i64, String)>,
    posted: Posted,
) -> Answered {
    let (owned, instance) = match working(&office, &posted, id)? {
        Ok(working) => working,
        Err(refused) => return Ok(refused),
    };
    if owned.line.is_some() {
        return Err(posted.visit.nothing(&office));
    }
    let field = |name: &str| posted.fields.raw(name).trim().to_owned();
    let (name, word) = match step.as_str() {
        "phone" => {
            let digits: String = field("phone").chars().filter(char::is_ascii_digit).collect();
            ("phone", Signin::Phone(digits))
        }
        "code" => ("code", Signin::Code { code: field("code"), password: None }),
        "password" => ("password", Signin::Password(posted.fields.raw("password").to_owned())),
        _ => return Err(posted.visit.nothing(&office)),
    };
    let typed_chars = posted.fields.raw(name).chars().count();
    if !(1..=SECRET_CHARS).contains(&typed_chars) || word == Signin::Phone(String::new()) {
        return Ok(wrong(&posted, name, Said::new("Fill the field in.", "Заполните поле.")));
    }
    match instance.messenger().door().sign_in(word).await {
        LoginStep::Failed { sentence, russian, .. } => Ok(wrong(&posted, name, Said::new(sentence, russian))),
        LoginStep::Done => {
            let done = Done::said("Logged in.", "Вход выполнен.");
            Ok(done.go(format!("/messages/{id}")).answer(&posted))
        }
        step => {
            let card = super::card(&owned).await;
            let page = SigninPage { card, way: Some(Way::Code), step: Some(step) };
            let frame = posted.frame(&office);
            Ok(shown(
                &posted,
                "signin",
                || view::signin::page(&frame, &page),
                || view::signin::step(&frame, &page),
            ))
        }
    }
}

/// What is wrong with the one field of a form.
fn wrong(posted: &Posted, field: &str, said: Said) -> Response {
    if !posted.visit.0.is_fragment {
        return answer::failed(posted, &said);
    }
    let mut typed = Typed::default();
    typed.refuse(field, said.clone());
    answer::refused(posted, &said, &typed, || maud::html! {})
}

/// A page, or its one element for the script.
fn shown(
    posted: &Posted,
    id: &str,
    page: impl FnOnce() -> Markup,
    element: impl FnOnce() -> Markup,
) -> Response {
    if posted.visit.0.is_fragment {
        Done::default().fragment(id, element()).answer(posted)
    } else {
        answer::page(200, page())
    }
}

type Working = Result<(Owned, Instance), Response>;

/// An instance that works, or what is said of one that does not yet.
fn working(office: &Office, posted: &Posted, id: i64) -> Result<Working, Stop> {
    let owned = owned(office, &posted.visit, id)?;
    Ok(match owned.instance.clone() {
        Some(instance) => Ok((owned, instance)),
        None => Err(answer::failed(posted, &starting())),
    })
}

/// Which page of the outgoing queue a form was on.
pub(super) fn page_of(posted: &Posted) -> u32 {
    posted.back().split_once("page=").and_then(|(_, page)| page.parse().ok()).unwrap_or(1)
}

/// The answer to a form of the overview, with its parts as they are now.
async fn whole(office: &Office, posted: &Posted, owned: &Owned, done: Done) -> Response {
    if !posted.visit.0.is_fragment {
        return done.answer(posted);
    }
    let page = office.instance_page(owned, page_of(posted)).await;
    let frame: Frame = posted.frame(office);
    let done = view::instance::parts(&frame, &page)
        .into_iter()
        .fold(done, |done, (id, markup)| done.fragment(id, markup));
    done.answer(posted)
}
