//! Pages as they are asked for.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};
use axum::response::Response;
use tgtrunk_config::{Phone, Said};

use super::answer::{self, Stop};
use super::fields::local;
use super::model::{Entry, LineCard, LoginPage, NewLinePage, Part, TokenForm, Typed};
use super::office::Office;
use super::visit::{Guest, Visit};
use super::{assets, table, view};

type Here = State<Arc<Office>>;
type Shown = Result<Response, Stop>;

pub(super) async fn login(State(office): Here, guest: Guest) -> Shown {
    let asked = guest.query().map_err(|said| guest.stop(&office, 422, said))?;
    let next = local(asked.raw("next")).to_owned();
    if guest.session.is_some() {
        return Ok(answer::see_other(&next));
    }
    let frame = guest.frame(&office, &office.hub.snapshot());
    Ok(answer::page(200, view::entry::page(&frame, &LoginPage { next, ..LoginPage::default() })))
}

pub(super) async fn lines(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let page = office.lines_page(&snapshot).await;
    Ok(answer::page(200, view::lines::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn new_line(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let mut typed = Typed::default();
    typed.set("pbx", "127.0.0.1:5060");
    let taken: Vec<u16> = snapshot.lines.values().flatten().map(|line| line.sip_port).collect();
    if let Some(free) = (30_001..u16::MAX).find(|port| !taken.contains(port)) {
        typed.set("sip_port", free.to_string());
    }
    let page = NewLinePage { typed, problem: None };
    Ok(answer::page(200, view::new_line::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn line(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let page = office.line_page(card).await;
    Ok(answer::page(200, view::line::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn sessions(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let page = office.sessions_page(card).await;
    Ok(answer::page(200, view::sessions::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn steps(
    State(office): Here,
    visit: Visit,
    Path((phone, part)): Path<(String, String)>,
) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let part = visit.part(&office, &part)?;
    let page = office.steps_page(card, part).await;
    Ok(answer::page(200, view::steps::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn line_bot(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let page = office.line_bot_page(&snapshot, card, TokenForm::default());
    Ok(answer::page(200, view::line_bot::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn texts(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let language = answer::language(asked.line("language")).unwrap_or(visit.0.language);
    let page = office.texts_page(&snapshot, card, language);
    Ok(answer::page(200, view::texts::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn pbx(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let page = office.pbx_page(&snapshot, card);
    Ok(answer::page(200, view::pbx::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn line_settings(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Shown {
    let (snapshot, card) = card(&office, &visit, &phone)?;
    let page = office.line_settings_page(card);
    Ok(answer::page(200, view::settings::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn calls(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let page = office.calls_page(&snapshot, &asked).await;
    Ok(answer::page(200, view::calls::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn table(State(office): Here, visit: Visit) -> Shown {
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let text = table::of(&office, &asked, visit.0.language).await;
    let text = text.map_err(|said| visit.0.stop(&office, 502, said))?;
    let mut response = answer::text(200, "text/csv; charset=utf-8", text);
    let name = HeaderValue::from_static("attachment; filename=\"calls.csv\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

pub(super) async fn bots(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let page = office.bots_page(&snapshot, TokenForm::default()).await;
    Ok(answer::page(200, view::bots::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn system(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let page = office.system_page(&snapshot).await;
    Ok(answer::page(200, view::system::page(&visit.frame(&office, &snapshot), &page)))
}

pub(super) async fn log(State(office): Here, visit: Visit) -> Shown {
    let snapshot = office.hub.snapshot();
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let part = Part::ALL.into_iter().find(|part| part.word() == asked.line("part")).unwrap_or(Part::Gateway);
    let page = office.log_page(part).await;
    Ok(answer::page(200, view::log::page(&visit.frame(&office, &snapshot), &page)))
}

/// Files that everybody may load, the page's door needs some of them.
pub(super) async fn asset(State(office): Here, guest: Guest, Path(name): Path<String>) -> Shown {
    let Some(asset) = assets::ALL.into_iter().find(|asset| asset.name == name) else {
        return Err(nothing(&office, &guest));
    };
    let mut response = answer::text(200, asset.kind, asset.text);
    let kept = if guest.path.ends_with(&format!("?v={}", assets::version())) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(response)
}

pub(super) async fn missing(State(office): Here, guest: Guest) -> Stop {
    if guest.session.is_none() && !guest.is_api {
        return Stop::new(answer::to_login(&guest, true));
    }
    nothing(&office, &guest)
}

pub(super) async fn wrong_method(State(office): Here, guest: Guest) -> Stop {
    let said = Said::new("That cannot be done here.", "Здесь так нельзя.");
    guest.stop(&office, 405, said)
}

fn nothing(office: &Office, guest: &Guest) -> Stop {
    guest.stop(office, 404, Said::new("There is nothing at this address.", "По этому адресу ничего нет."))
}

type Found = (Arc<super::hub::Snapshot>, LineCard);

/// The line of an address.
pub(super) fn card(office: &Office, visit: &Visit, phone: &str) -> Result<Found, Stop> {
    let phone: Phone = visit.phone(office, phone)?;
    let snapshot = office.hub.snapshot();
    let card = snapshot.card(&phone).ok_or_else(|| visit.nothing(office))?;
    Ok((snapshot, card))
}

/// What was typed, for a form that is shown again.
pub(super) fn typed(fields: &super::fields::Fields, names: &[&str]) -> Typed {
    let entry =
        |name: &&str| ((*name).to_owned(), Entry { value: fields.raw(name).to_owned(), problem: None });
    Typed(names.iter().map(entry).collect())
}
