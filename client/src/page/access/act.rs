//! What the forms of "Access" do.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::Markup;
use serde_json::{Map, Value};
use tgtrunk_config::{Password, Phone, Said};
use tgtrunk_messages::InstanceId;

use super::{Here, Shown, number, view};
use crate::api::directory::{Noted, TokenFor, Wrong};
use crate::api::partner;
use crate::page::answer::{self, Done};
use crate::page::change::summary;
use crate::page::fields::Fields;
use crate::page::model::Typed;
use crate::page::model::access::Secret;
use crate::page::show::typed;
use crate::page::visit::Posted;

/// Makes a token. Its secret is in this answer and nowhere else.
pub(super) async fn make_token(State(office): Here, posted: Posted) -> Shown {
    let mut typed = typed(&posted.fields, &["label", "scope"]);
    let label = posted.fields.line("label");
    let made = async {
        let whom = scope(posted.fields.line("scope"))?;
        office.directory()?.give_token(whom, label).await
    };
    let made = made.await;
    let frame = posted.frame(&office);
    match made {
        Ok(new) => {
            let mut page = office.tokens_page(Typed::default()).await;
            page.made = Some(Secret { name: label.to_owned(), token: new.token, address: new.url });
            let fragments =
                [("made", view::tokens::new(&frame, &page)), ("tokens", view::tokens::list(&frame, &page))];
            let (en, ru) = ("The token is made: copy it now.", "Токен выпущен: скопируйте его сейчас.");
            Ok(told(&posted, Said::new(en, ru), fragments, || view::tokens::page(&frame, &page)))
        }
        Err(wrong) => {
            let said = refuse(&mut typed, &wrong);
            let mut page = office.tokens_page(typed.clone()).await;
            page.problem = page.problem.or_else(|| wrong.field.is_none().then_some(wrong.said));
            Ok(answer::refused(&posted, &said, &typed, || view::tokens::page(&frame, &page)))
        }
    }
}

/// For what a token is to be good.
fn scope(word: &str) -> Result<TokenFor, Wrong> {
    if word == "all" {
        return Ok(TokenFor::All);
    }
    let line = word.parse::<Phone>().ok().map(TokenFor::Line);
    let instance = || word.parse::<InstanceId>().ok().map(TokenFor::Instance);
    line.or_else(instance).ok_or_else(|| Wrong {
        field: Some("scope"),
        said: Said::new("choose everything, a line or an instance", "выберите: всё, линию или инстанс"),
    })
}

/// The page with what was just made, or its elements for the script. Nothing of it goes into a cookie or an address.
fn told(
    posted: &Posted,
    said: Said,
    fragments: [(&str, Markup); 2],
    whole: impl FnOnce() -> Markup,
) -> Response {
    if !posted.visit.0.is_fragment {
        return answer::page(200, whole());
    }
    let mut done = Done { said: Some(said), ..Done::default() };
    for (id, html) in fragments {
        done = done.fragment(id, html);
    }
    done.answer(posted)
}

pub(super) async fn rename_token(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let label = posted.fields.line("label");
    let renamed = match office.directory() {
        Ok(directory) => directory.rename_token(id, label).await,
        Err(wrong) => Err(wrong),
    };
    match renamed {
        Ok(()) => {
            Ok(Done::said("The token is renamed.", "Токен переименован.").go("/access").answer(&posted))
        }
        Err(wrong) if posted.visit.0.is_fragment => {
            let mut typed = Typed::default();
            let said = refuse(&mut typed, &wrong);
            Ok(answer::refused(&posted, &said, &typed, || maud::html! {}))
        }
        Err(wrong) => Ok(answer::failed(&posted, &wrong.said)),
    }
}

pub(super) async fn revoke_token(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let ended = match office.directory() {
        Ok(directory) => directory.end_token(id).await,
        Err(wrong) => Err(wrong),
    };
    let done = Done::said(
        format!("Token {id} is dead: programs that have it are answered 401."),
        format!("Токен {id} отозван: программы с ним получат ответ 401."),
    );
    Ok(ended
        .map_or_else(|wrong| answer::failed(&posted, &wrong.said), |()| done.go("/access").answer(&posted)))
}

/// Makes the partner's token, or another one. Its secret is in this answer and nowhere else.
pub(super) async fn make_partner(State(office): Here, posted: Posted) -> Shown {
    let state = office.state.clone();
    let made = tokio::task::spawn_blocking(move || partner::renew(&state)).await;
    let frame = posted.frame(&office);
    let failure = match made {
        Ok(Ok(token)) => {
            tracing::info!("the partner has another token");
            let mut page = office.partner_page().await;
            page.made = Some(Secret {
                name: frame.say("партнёр", "partner").to_owned(),
                token: Password::new(token.reveal()),
                address: page.address.clone(),
            });
            let fragments = [
                ("made", view::partner::new(&frame, &page)),
                ("partner", view::partner::token(&frame, &page)),
            ];
            let (en, ru) = ("The token is made: copy it now.", "Токен выпущен: скопируйте его сейчас.");
            return Ok(told(&posted, Said::new(en, ru), fragments, || view::partner::page(&frame, &page)));
        }
        Ok(Err(error)) => Said::from(&error),
        Err(error) => Said::from(error.to_string()),
    };
    Ok(answer::failed(&posted, &failure))
}

pub(super) async fn revoke_partner(State(office): Here, posted: Posted) -> Shown {
    let done = match partner::revoke(&office.state) {
        Ok(true) => Done::said("The partner's token is dead.", "Токен партнёра больше не действует."),
        Ok(false) => Done::said("There was no partner's token.", "Токена партнёра не было."),
        Err(error) => {
            let said = Said::new(
                format!("The partner's token cannot be removed: {error}"),
                format!("Не удалось удалить токен партнёра: {error}"),
            );
            return Ok(answer::failed(&posted, &said));
        }
    };
    Ok(done.go("/access/partner").answer(&posted))
}

pub(super) async fn organisation(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let id = number(&id).map_err(|()| posted.visit.nothing(&office))?;
    let mut page = office.organisation_page(id).await.ok_or_else(|| posted.visit.nothing(&office))?;
    let kept = match office.directory() {
        Ok(directory) => directory.write_organisation(organisation_of(id, &posted.fields)).await,
        Err(wrong) => Err(wrong),
    };
    match kept {
        Ok(noted) => Ok(saved(&posted, &noted, "/access/organisations")),
        Err(wrong) => {
            page.typed =
                typed(&posted.fields, &["name", "sender", "bot", "channel", "api_id", "forget_hash"]);
            let said = refuse(&mut page.typed, &wrong);
            page.problem = wrong.field.is_none().then_some(wrong.said);
            let frame = posted.frame(&office);
            Ok(answer::refused(&posted, &said, &page.typed, || view::organisations::card(&frame, &page)))
        }
    }
}

/// A form as the API's fields.
fn organisation_of(id: Option<i64>, fields: &Fields) -> Map<String, Value> {
    let mut said = Map::new();
    if let Some(id) = id {
        said.insert("id".into(), id.into());
    }
    // What is empty is taken away; of a name the empty one is refused.
    said.insert("name".into(), fields.line("name").into());
    for key in ["sender", "bot", "channel", "api_id"] {
        said.insert(key.into(), Some(fields.line(key)).filter(|word| !word.is_empty()).into());
    }
    match fields.line("api_hash") {
        "" if fields.line("forget_hash") == "true" => drop(said.insert("api_hash".into(), Value::Null)),
        "" => {}
        hash => drop(said.insert("api_hash".into(), hash.into())),
    }
    said
}

pub(super) async fn delete_organisation(
    State(office): Here,
    Path(id): Path<String>,
    posted: Posted,
) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let gone = match office.directory() {
        Ok(directory) => directory.erase_organisation(id).await,
        Err(wrong) => Err(wrong),
    };
    let done = Done::said("The organisation is deleted.", "Организация удалена.").go("/access/organisations");
    Ok(gone.map_or_else(|wrong| answer::failed(&posted, &wrong.said), |()| done.answer(&posted)))
}

pub(super) async fn person(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let id = number(&id).map_err(|()| posted.visit.nothing(&office))?;
    let none = Fields::default();
    let mut page = office.person_page(id, &none).await.ok_or_else(|| posted.visit.nothing(&office))?;
    let kept = match office.directory() {
        Ok(directory) => directory.write_recipient(person_of(id, &posted.fields)).await,
        Err(wrong) => Err(wrong),
    };
    match kept {
        Ok(noted) => Ok(saved(&posted, &noted, "/access/recipients")),
        Err(wrong) => {
            page.typed =
                typed(&posted.fields, &["title", "phone", "dialog", "key", "organisation", "notify"]);
            let said = refuse(&mut page.typed, &wrong);
            page.problem = wrong.field.is_none().then_some(wrong.said);
            let frame = posted.frame(&office);
            Ok(answer::refused(&posted, &said, &page.typed, || view::people::card(&frame, &page)))
        }
    }
}

/// A form as the API's fields.
fn person_of(id: Option<i64>, fields: &Fields) -> Map<String, Value> {
    let mut said = Map::new();
    if let Some(id) = id {
        said.insert("id".into(), id.into());
    }
    said.insert("title".into(), fields.line("title").into());
    for key in ["phone", "dialog", "key"] {
        said.insert(key.into(), Some(fields.line(key)).filter(|word| !word.is_empty()).into());
    }
    // By its number, since another one's name may be a number.
    said.insert("organisation".into(), fields.line("organisation").parse::<i64>().ok().into());
    if let Some(notify) = fields.given("notify") {
        said.insert("notify".into(), (notify == "true").into());
    }
    said
}

/// Switches somebody's notifications on or off.
pub(super) async fn switch(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let is_on = posted.fields.line("notify") == "true";
    let said = Map::from_iter([("id".to_owned(), id.into()), ("notify".to_owned(), is_on.into())]);
    let kept = match office.directory() {
        Ok(directory) => directory.write_recipient(said).await,
        Err(wrong) => Err(wrong),
    };
    let done = if is_on {
        Done::said("Notifications are switched on.", "Уведомления включены.")
    } else {
        Done::said("Notifications are switched off.", "Уведомления выключены.")
    };
    let back = posted.back().to_owned();
    Ok(kept.map_or_else(|wrong| answer::failed(&posted, &wrong.said), |_| done.go(back).answer(&posted)))
}

pub(super) async fn delete_person(State(office): Here, Path(id): Path<String>, posted: Posted) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let gone = match office.directory() {
        Ok(directory) => directory.erase_recipient(id).await,
        Err(wrong) => Err(wrong),
    };
    let done = Done::said("The recipient is deleted.", "Получатель удалён.").go("/access/recipients");
    Ok(gone.map_or_else(|wrong| answer::failed(&posted, &wrong.said), |()| done.answer(&posted)))
}

/// Sends a notification again, or gives it up.
pub(super) async fn notification(
    State(office): Here,
    Path((id, what)): Path<(String, String)>,
    posted: Posted,
) -> Shown {
    let Ok(Some(id)) = number(&id) else { return Err(posted.visit.nothing(&office)) };
    let directory = match office.directory() {
        Ok(directory) => directory,
        Err(wrong) => return Ok(answer::failed(&posted, &wrong.said)),
    };
    let (moved, done) = match what.as_str() {
        "repeat" => (
            directory.repeat(id).await,
            Done::said("The notification waits to be sent again.", "Уведомление снова ждёт отправки."),
        ),
        "skip" => (
            directory.skip(id).await,
            Done::said("The notification will not be sent.", "Уведомление не будет отправлено."),
        ),
        _ => return Err(posted.visit.nothing(&office)),
    };
    let back = posted.back().to_owned();
    Ok(moved.map_or_else(|wrong| answer::failed(&posted, &wrong.said), |()| done.go(back).answer(&posted)))
}

/// Puts what is wrong beside its field, and says it as a whole.
fn refuse(typed: &mut Typed, wrong: &Wrong) -> Said {
    match wrong.field {
        Some(field) => {
            typed.refuse(field, wrong.said.clone());
            summary(1)
        }
        None => wrong.said.clone(),
    }
}

/// What was kept, and what is to be minded then.
fn saved(posted: &Posted, noted: &Noted, list: &str) -> Response {
    let saved = Said::new("Saved.", "Сохранено.");
    let all: Vec<Said> = std::iter::once(saved).chain(noted.warnings.iter().cloned()).collect();
    let done = Done { said: Some(Said::listed(&all, " ")), ..Done::default() };
    done.go(list).answer(posted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_takes_away_what_is_empty_and_leaves_a_hash_that_is_not_typed() {
        let fields = |all: &[(&str, &str)]| {
            Fields::new(all.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
        };
        let said = organisation_of(Some(3), &fields(&[("name", " Main "), ("sender", ""), ("api_id", "5")]));
        let wanted =
            json!({"id": 3, "name": "Main", "sender": null, "bot": null, "channel": null, "api_id": "5"});
        assert_eq!(Value::Object(said), wanted);
        let said = organisation_of(None, &fields(&[("name", "x"), ("forget_hash", "true")]));
        assert_eq!(said.get("api_hash"), Some(&Value::Null));
        let said = person_of(None, &fields(&[("title", "Anna"), ("key", "7"), ("organisation", "2")]));
        let wanted = json!({"title": "Anna", "phone": null, "dialog": null, "key": "7", "organisation": 2});
        assert_eq!(Value::Object(said), wanted);
    }

    #[test]
    fn a_token_is_for_everything_a_line_or_an_instance() {
        assert_eq!(scope("all"), Ok(TokenFor::All));
        assert_eq!(scope("+79060000000"), Ok(TokenFor::Line("+79060000000".parse().unwrap())));
        let instance = InstanceId::new(4_100_000_001).unwrap();
        assert_eq!(scope("4100000001"), Ok(TokenFor::Instance(instance)));
        for wrong in ["", "everything", "7"] {
            assert_eq!(scope(wrong).unwrap_err().field, Some("scope"), "{wrong}");
        }
    }
}
