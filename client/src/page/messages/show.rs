//! The pages of the place "Messages" as they are asked for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderName, HeaderValue, RETRY_AFTER};
use axum::response::Response;
use tgtrunk_config::Said;
use tgtrunk_messages::{ChatId, Refused, green};
use tokio::time::timeout;

use super::{Absent, Begin, browse, of_chat, table, told, way};
use crate::api::Owned;
use crate::page::answer::{self, Stop};
use crate::page::fields::Fields;
use crate::page::office::Office;
use crate::page::view::messages as view;
use crate::page::visit::Visit;

/// How long whoever opens a file waits for it before they are told that it is being fetched.
const FETCHED: Duration = Duration::from_secs(10);
/// After how many seconds they ask again.
const AGAIN: HeaderValue = HeaderValue::from_static("3");

type Here = State<Arc<Office>>;
type Shown = Result<Response, Stop>;

pub(crate) async fn all(State(office): Here, visit: Visit) -> Shown {
    let page = office.messages_page().await;
    Ok(answer::page(200, view::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn instance(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let number = asked(&office, &visit)?.line("page").parse().unwrap_or(1);
    let page = office.instance_page(&owned, number).await;
    Ok(answer::page(200, view::instance::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn journal(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let (browse, before) = browse(&asked(&office, &visit)?);
    let page = office.journal_page(&owned, browse, Begin::at(before), false).await;
    Ok(answer::page(200, view::journal::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn chat(State(office): Here, visit: Visit, Path((id, chat)): Path<(i64, i64)>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let (_, before) = browse(&asked(&office, &visit)?);
    let page = office.journal_page(&owned, of_chat(ChatId(chat)), Begin::at(before), true).await;
    Ok(answer::page(200, view::journal::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn csv(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let (browse, _) = browse(&asked(&office, &visit)?);
    let text = match &owned.instance {
        Some(instance) => table::of(instance, browse, visit.0.language).await.map_err(|error| told(&error)),
        None => Err(starting()),
    };
    let text = text.map_err(|said| visit.0.stop(&office, 503, said))?;
    Ok(as_table(text, &id.to_string()))
}

/// A table, called after whose messages are in it.
pub(super) fn as_table(text: Body, whose: &str) -> Response {
    let mut response = answer::text(200, "text/csv; charset=utf-8", text);
    let name = HeaderValue::from_str(&format!("attachment; filename=\"messages-{whose}.csv\""));
    let name = name.unwrap_or(HeaderValue::from_static("attachment"));
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    response
}

pub(crate) async fn file(State(office): Here, visit: Visit, Path((id, key)): Path<(i64, String)>) -> Shown {
    owned(&office, &visit, id)?;
    let api = office.core.api().map_err(|said| visit.0.stop(&office, 503, said))?;
    // It is fetched to its end, whoever waits for it.
    let Ok(fetched) = timeout(FETCHED, green::download(api.house(), &key, false)).await else {
        return Ok(fetching(&office, &visit, &format!("/messages/{id}/journal")));
    };
    match fetched {
        Ok(response) => Ok(as_file(response)),
        Err(Refused::Missing(_)) => Err(no_file(&office, &visit)),
        Err(refused) => Err(visit.0.stop(&office, 502, told(&refused))),
    }
}

/// A file for whoever is logged in.
pub(super) fn as_file(mut response: Response) -> Response {
    // Nobody sees it any more who is logged out.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is said while a file is fetched; `journal` is where it is found.
pub(super) fn fetching(office: &Office, visit: &Visit, journal: &str) -> Response {
    let frame = visit.frame(office, &office.hub.snapshot());
    let mut response = answer::page(503, view::journal::fetching(&frame, journal));
    response.headers_mut().insert(RETRY_AFTER, AGAIN);
    // The browser asks again by itself, and stays where it is when the file comes.
    response.headers_mut().insert(HeaderName::from_static("refresh"), AGAIN);
    response
}

/// What is said of a file that is not there.
pub(super) fn no_file(office: &Office, visit: &Visit) -> Stop {
    let said = Said::new(
        "There is no such file, or its time is over ([api] file_hours in tgtrunk.toml).",
        "Такого файла нет, или его срок истёк ([api] file_hours в tgtrunk.toml).",
    );
    visit.0.stop(office, 410, said)
}

pub(crate) async fn signin(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    if let Some(line) = &owned.line {
        // Lines have logins of their own.
        return Ok(answer::see_other(&format!("/lines/{line}/login/client")));
    }
    let way = way(asked(&office, &visit)?.line("way"));
    let page = office.signin_page(&owned, way).await;
    Ok(answer::page(200, view::signin::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn settings(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let page = office.instance_settings_page(&owned).await;
    Ok(answer::page(200, view::settings::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn access(State(office): Here, visit: Visit, Path(id): Path<i64>) -> Shown {
    let owned = owned(&office, &visit, id)?;
    let page = office.access_page(&owned, None).await;
    Ok(answer::page(200, view::access::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

/// The instance of an address.
pub(super) fn owned(office: &Office, visit: &Visit, id: i64) -> Result<Owned, Stop> {
    office.owned(id).map_err(|absent| match absent {
        Absent::Nothing => {
            let said = Said::new(
                format!("There is no instance {id}, or its line does not run."),
                format!("Инстанса {id} нет, или его линия не работает."),
            );
            visit.0.stop(office, 404, said)
        }
        Absent::Unable(said) => visit.0.stop(office, 503, said),
    })
}

/// What is said of an instance that is just being opened.
pub(super) fn starting() -> Said {
    Said::new(
        "The instance is starting. Try again in a moment.",
        "Инстанс запускается. Повторите через минуту.",
    )
}

fn asked(office: &Office, visit: &Visit) -> Result<Fields, Stop> {
    visit.0.query().map_err(|said| visit.0.stop(office, 422, said))
}
