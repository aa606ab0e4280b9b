//! The place "Access": what it shows, gathered, and what its forms do. Everything goes by the functions that answer
//! programs (`api::directory`).

mod act;
mod load;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::answer::{self, Stop};
use super::model::Typed;
use super::office::Office;
use super::view::access as view;
use super::visit::Visit;

type Here = State<Arc<Office>>;
type Shown = Result<Response, Stop>;

/// Its addresses: `model::access`.
pub(super) fn router() -> Router<Arc<Office>> {
    Router::new()
        .route("/access", get(tokens))
        .route("/access/tokens", post(act::make_token))
        .route("/access/tokens/{number}/rename", post(act::rename_token))
        .route("/access/tokens/{number}/revoke", post(act::revoke_token))
        .route("/access/partner", get(partner).post(act::make_partner))
        .route("/access/partner/revoke", post(act::revoke_partner))
        .route("/access/organisations", get(organisations))
        .route("/access/organisations/{id}", get(organisation).post(act::organisation))
        .route("/access/organisations/{id}/delete", post(act::delete_organisation))
        .route("/access/recipients", get(people))
        .route("/access/recipients/{id}", get(person).post(act::person))
        .route("/access/recipients/{id}/switch", post(act::switch))
        .route("/access/recipients/{id}/delete", post(act::delete_person))
        .route("/access/notifications", get(notifications))
        .route("/access/notifications/{id}/{what}", post(act::notification))
}

async fn tokens(State(office): Here, visit: Visit) -> Shown {
    let page = office.tokens_page(Typed::default()).await;
    Ok(answer::page(200, view::tokens::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn partner(State(office): Here, visit: Visit) -> Shown {
    let page = office.partner_page().await;
    Ok(answer::page(200, view::partner::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn organisations(State(office): Here, visit: Visit) -> Shown {
    let page = office.organisations_page().await;
    Ok(answer::page(200, view::organisations::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn organisation(State(office): Here, visit: Visit, Path(id): Path<String>) -> Shown {
    let id = number(&id).map_err(|()| visit.nothing(&office))?;
    let page = office.organisation_page(id).await.ok_or_else(|| visit.nothing(&office))?;
    Ok(answer::page(200, view::organisations::card(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn people(State(office): Here, visit: Visit) -> Shown {
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let page = office.people_page(&asked).await;
    Ok(answer::page(200, view::people::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn person(State(office): Here, visit: Visit, Path(id): Path<String>) -> Shown {
    let id = number(&id).map_err(|()| visit.nothing(&office))?;
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let page = office.person_page(id, &asked).await.ok_or_else(|| visit.nothing(&office))?;
    Ok(answer::page(200, view::people::card(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

async fn notifications(State(office): Here, visit: Visit) -> Shown {
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let page = office.notifications_page(&asked).await;
    Ok(answer::page(200, view::notifications::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

/// The number in an address; none for what is new.
fn number(text: &str) -> Result<Option<i64>, ()> {
    match text {
        "new" => Ok(None),
        text => text.parse().ok().filter(|number| *number > 0).map(Some).ok_or(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_number_or_what_is_new() {
        assert_eq!((number("new"), number("7")), (Ok(None), Ok(Some(7))));
        for wrong in ["", "0", "-1", "x", "99999999999999999999"] {
            assert_eq!(number(wrong), Err(()), "{wrong}");
        }
    }
}
