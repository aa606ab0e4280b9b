//! The page for programs: `/api/v1` in JSON, with the words of the control contract.
//!
//! `POST /api/v1/login {"password":"…"}` gives a token for `Authorization: Bearer …`. Whoever comes with the page's cookie
//! instead sends `X-CSRF-Token` with everything that writes. Refusals are `{"error":"…"}` in the reader's language.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tgtrunk_config::control::{Answer, Ask, CheckName, LoginMethod};
use tgtrunk_config::{
    BotName, BotToken, CallId, Change, Language, LineDraft, Lines, LoginCode, Password, Said, Settings,
    TextKey, Texts, written,
};

use super::answer::{self, Stop, json_with};
use super::change::told;
use super::door::{Shut, enter};
use super::load::{filter, word};
use super::messages::bots::access::label_problem;
use super::model::{LineCard, Part};
use super::office::Office;
use super::setting::{Kind, SYSTEM};
use super::visit::{Guest, Visit};

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

pub(super) fn router() -> Router<Arc<Office>> {
    Router::new()
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/me", get(me))
        .route("/lines", get(lines).post(add_line))
        .route("/lines/{phone}", get(line).patch(change_line).delete(remove_line))
        .route("/lines/{phone}/restart", post(restart))
        .route("/lines/{phone}/reset", post(reset))
        .route("/lines/{phone}/checks", get(checks))
        .route("/lines/{phone}/checks/{check}", post(fix))
        .route("/lines/{phone}/texts/{language}", get(texts).put(set_texts))
        .route("/lines/{phone}/{part}/auth", get(auth))
        .route("/lines/{phone}/{part}/auth/{step}", post(auth_step))
        .route("/calls/live", get(live))
        .route("/calls", get(records))
        .route("/calls/{call}/hangup", post(hang_up))
        .route("/bots", get(bots).post(add_bot))
        .route("/bots/check", post(check_bot))
        .route("/bots/{bot}", delete(remove_bot))
        .route("/bots/{bot}/people", get(people))
        .route("/bots/{bot}/tokens", get(tokens).post(make_token))
        .route("/bots/{bot}/tokens/{number}", delete(revoke_token))
        .route("/settings", get(settings).put(set_settings))
        .route("/health", get(health))
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
    method: Option<LoginMethod>,
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct Labelled {
    label: String,
}

/// What a program sent as JSON.
struct Sent<T>(T);

impl<T: DeserializeOwned> FromRequest<Arc<Office>> for Sent<T> {
    type Rejection = Stop;

    async fn from_request(request: Request, office: &Arc<Office>) -> Result<Self, Stop> {
        let (mut parts, body) = request.into_parts();
        let guest = Guest::of(&mut parts, office).await;
        match Json::<T>::from_request(Request::from_parts(parts, body), office).await {
            Ok(Json(sent)) => Ok(Self(sent)),
            Err(rejection) => {
                let why = rejection.body_text();
                let said = Said::new(
                    format!("The request cannot be read: {why}."),
                    format!("Не удалось прочитать запрос: {why}."),
                );
                Err(guest.stop(office, rejection.status().as_u16(), said))
            }
        }
    }
}

/// `ok` or `not ok`, to anybody: for programs that watch whether this one is well.
pub(super) async fn health_word(State(office): Here) -> Response {
    let is_well = office.is_well().await;
    let (status, said) = if is_well { (200, "ok\n") } else { (503, "not ok\n") };
    answer::text(status, "text/plain; charset=utf-8", said)
}

async fn log_in(State(office): Here, guest: Guest, Sent(typed): Sent<Typed>) -> Answered {
    match enter(&office, &guest, &typed.password).await {
        Ok(session) => {
            let mut response = json_with(200, &json!({"token": session.token(), "csrf": session.csrf()}));
            answer::set_session(&mut response, Some(session.token()), guest.is_secure);
            Ok(response)
        }
        Err(Shut { status, said, wait_s }) => {
            Ok(json_with(status, &json!({"error": said.in_language(guest.language), "wait_s": wait_s})))
        }
    }
}

async fn log_out(State(office): Here, visit: Visit) -> Answered {
    if let Some(session) = &visit.0.session {
        office.entry.log_out(session).await.ok();
    }
    let mut response = json_with(200, &json!({}));
    answer::set_session(&mut response, None, visit.0.is_secure);
    Ok(response)
}

async fn me(visit: Visit) -> Answered {
    let csrf = visit.0.session.as_ref().map(super::entry::Session::csrf);
    Ok(json_with(200, &json!({"csrf": csrf, "language": visit.0.language})))
}

async fn lines(State(office): Here, _visit: Visit) -> Answered {
    let snapshot = office.hub.snapshot();
    let all: Vec<Value> =
        snapshot.phones().iter().filter_map(|phone| snapshot.card(phone)).map(|card| shown(&card)).collect();
    let problems: Vec<Value> = office.alerts(&snapshot).iter().map(|alert| json!(alert.said)).collect();
    Ok(json_with(200, &json!({"lines": all, "problems": problems})))
}

fn shown(card: &LineCard) -> Value {
    json!({
        "phone": card.phone, "name": card.name, "enabled": card.enabled, "sip": card.sip, "pbx": card.pbx,
        "gateway": card.gateway, "client": card.client, "bot": card.bot, "bot_name": card.bot_name,
        "calls": card.calls, "problem": card.problem,
    })
}

async fn add_line(State(office): Here, visit: Visit, Sent(line): Sent<LineDraft>) -> Answered {
    match office.ask(Part::Gateway, Ask::AddLine { line }).await {
        Ok(Answer::Line(line)) => {
            office.reload().await;
            Ok(json_with(201, &json!(line)))
        }
        other => outcome(&office, &visit, other),
    }
}

async fn line(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Answered {
    let (_, card) = super::show::card(&office, &visit, &phone)?;
    Ok(json_with(200, &shown(&card)))
}

async fn change_line(
    State(office): Here,
    visit: Visit,
    Path(phone): Path<String>,
    Sent(keys): Sent<Map<String, Value>>,
) -> Answered {
    let phone = visit.phone(&office, &phone)?;
    let (state, changes) = (office.state.clone(), as_changes("", keys));
    saved(&office, &visit, move || Lines::change(&state, &phone, &changes).map(drop)).await
}

/// Keys of a JSON object as changes; null takes a key out.
fn as_changes(prefix: &str, keys: Map<String, Value>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, value) in keys {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Object(keys) => changes.extend(as_changes(&key, keys)),
            Value::Null => changes.push(Change { key, value: None }),
            value => changes.push(Change { key, value: Some(value) }),
        }
    }
    changes
}

async fn saved(
    office: &Office,
    visit: &Visit,
    save: impl FnOnce() -> Result<(), tgtrunk_config::EditError> + Send + 'static,
) -> Answered {
    match tokio::task::spawn_blocking(save).await {
        Ok(Ok(())) => {
            office.reload().await;
            Ok(json_with(200, &json!({})))
        }
        Ok(Err(error)) => Err(visit.0.stop(office, 422, told(&error))),
        Err(error) => Err(visit.0.stop(office, 500, Said::from(error.to_string()))),
    }
}

async fn remove_line(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Answered {
    let phone = visit.phone(&office, &phone)?;
    let removed = office.ask(Part::Gateway, Ask::RemoveLine { phone, keep_state: false }).await;
    office.reload().await;
    outcome(&office, &visit, removed)
}

async fn restart(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Answered {
    let line = visit.phone(&office, &phone)?;
    both(&office, &visit, || Ask::RestartLine { line: line.clone() }).await
}

async fn reset(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Answered {
    let line = visit.phone(&office, &phone)?;
    both(&office, &visit, || Ask::ResetLine { line: line.clone() }).await
}

async fn both(office: &Office, visit: &Visit, ask: impl Fn() -> Ask) -> Answered {
    let (gateway, client) = tokio::join!(office.ask(Part::Gateway, ask()), office.ask(Part::Client, ask()));
    outcome(office, visit, gateway.and(client))
}

async fn checks(State(office): Here, visit: Visit, Path(phone): Path<String>) -> Answered {
    let phone = visit.phone(&office, &phone)?;
    match office.checks_of(&phone).await {
        Some(Ok(checks)) => Ok(json_with(200, &json!({"checks": checks}))),
        Some(Err(said)) => Err(visit.0.stop(&office, 502, said)),
        None => Ok(json_with(202, &json!({"checks": []}))),
    }
}

async fn fix(State(office): Here, visit: Visit, Path((phone, check)): Path<(String, String)>) -> Answered {
    let line = visit.phone(&office, &phone)?;
    let Some(check) = word::<CheckName>(&check) else { return Err(visit.nothing(&office)) };
    let part = match check {
        CheckName::InlineMode | CheckName::BotDialog => Part::Client,
        CheckName::PhoneVisible
        | CheckName::CallsFromEverybody
        | CheckName::PeerToPeer
        | CheckName::OpusAllowed
        | CheckName::PbxAnswers => Part::Gateway,
    };
    office.keep_checks(&line, None);
    let fixed = office.ask(part, Ask::FixCheck { line, check }).await;
    outcome(&office, &visit, fixed)
}

async fn texts(
    State(office): Here,
    visit: Visit,
    Path((phone, language)): Path<(String, String)>,
) -> Answered {
    let phone = visit.phone(&office, &phone)?;
    let Ok(language) = language.parse::<Language>() else { return Err(visit.nothing(&office)) };
    let own = Texts::load(&office.state, &phone).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        visit.0.stop(&office, 500, Said::from(all.join("; ")))
    })?;
    let texts: Map<String, Value> = TextKey::ALL
        .into_iter()
        .map(|key| {
            let shown = json!({"own": own.own(key, language), "default": key.default_text(language)});
            (key.word().to_owned(), shown)
        })
        .collect();
    Ok(json_with(200, &Value::Object(texts)))
}

async fn set_texts(
    State(office): Here,
    visit: Visit,
    Path((phone, language)): Path<(String, String)>,
    Sent(keys): Sent<Map<String, Value>>,
) -> Answered {
    let phone = visit.phone(&office, &phone)?;
    let Ok(language) = language.parse::<Language>() else { return Err(visit.nothing(&office)) };
    let (state, changes) = (office.state.clone(), as_changes(language.as_str(), keys));
    saved(&office, &visit, move || Texts::change(&state, &phone, &changes).map(drop)).await
}

async fn auth(State(office): Here, visit: Visit, Path((phone, part)): Path<(String, String)>) -> Answered {
    let line = visit.phone(&office, &phone)?;
    let part = visit.part(&office, &part)?;
    let info = office.login_step(part, Ask::Login { line }).await;
    outcome(&office, &visit, info.map(Answer::Login))
}

async fn auth_step(
    State(office): Here,
    visit: Visit,
    Path((phone, part, step)): Path<(String, String, String)>,
    Sent(typed): Sent<Typed>,
) -> Answered {
    let line = visit.phone(&office, &phone)?;
    let part = visit.part(&office, &part)?;
    let ask = match step.as_str() {
        "start" => Ask::StartLogin { line, method: typed.method.unwrap_or(LoginMethod::Code) },
        "resend" => Ask::ResendCode { line },
        "code" => Ask::EnterCode { line, code: LoginCode::new(typed.code) },
        "password" => Ask::EnterPassword { line, password: Password::new(typed.password) },
        "cancel" => Ask::CancelLogin { line },
        "logout" => Ask::LogOut { line },
        _ => return Err(visit.nothing(&office)),
    };
    let info = office.login_step(part, ask).await;
    outcome(&office, &visit, info.map(Answer::Login))
}

async fn live(State(office): Here, _visit: Visit) -> Answered {
    let page = office.live_page(&office.hub.snapshot());
    Ok(json_with(200, &json!({"calls": page.live})))
}

async fn records(State(office): Here, visit: Visit) -> Answered {
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let (filter, _) = filter(&asked);
    let records = office.ask(Part::Gateway, Ask::Records { filter }).await;
    outcome(&office, &visit, records)
}

async fn hang_up(State(office): Here, visit: Visit, Path(call): Path<String>) -> Answered {
    let Ok(call) = call.parse::<CallId>() else { return Err(visit.nothing(&office)) };
    let done = office.ask(Part::Gateway, Ask::HangUp { call }).await;
    outcome(&office, &visit, done)
}

async fn bots(State(office): Here, _visit: Visit) -> Answered {
    let snapshot = office.hub.snapshot();
    let bots: Vec<_> = snapshot.bot.keys().map(|bot| snapshot.bot_of(bot)).collect();
    Ok(json_with(200, &json!({"bots": bots, "problems": snapshot.side(Part::Bot).problems})))
}

async fn add_bot(State(office): Here, visit: Visit, Sent(typed): Sent<Typed>) -> Answered {
    let token = bot_token(&office, &visit, &typed)?;
    let added = office.ask(Part::Bot, Ask::AddBot { token }).await;
    outcome(&office, &visit, added)
}

async fn check_bot(State(office): Here, visit: Visit, Sent(typed): Sent<Typed>) -> Answered {
    let token = bot_token(&office, &visit, &typed)?;
    let checked = office.ask(Part::Bot, Ask::CheckBot { token }).await;
    outcome(&office, &visit, checked)
}

fn bot_token(office: &Office, visit: &Visit, typed: &Typed) -> Result<BotToken, Stop> {
    typed.token.parse().map_err(|error: tgtrunk_config::BotTokenError| {
        let said = Said::new(error.to_string(), "Это не токен бота: его выдаёт @BotFather.");
        visit.0.stop(office, 422, said)
    })
}

async fn remove_bot(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(visit.nothing(&office)) };
    let removed = office.ask(Part::Bot, Ask::RemoveBot { bot }).await;
    outcome(&office, &visit, removed)
}

async fn people(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(visit.nothing(&office)) };
    let people = office.ask(Part::Bot, Ask::People { bot }).await;
    outcome(&office, &visit, people)
}

async fn tokens(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(visit.nothing(&office)) };
    let tokens = office.ask(Part::Bot, Ask::ApiTokens { bot }).await;
    outcome(&office, &visit, tokens)
}

async fn make_token(
    State(office): Here,
    visit: Visit,
    Path(bot): Path<String>,
    Sent(Labelled { label }): Sent<Labelled>,
) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(visit.nothing(&office)) };
    let label = label.trim().to_owned();
    if let Some(wrong) = label_problem(&label) {
        let said = wrong.within(|en| format!("label: {en}"), |ru| format!("label: {ru}"));
        return Err(visit.0.stop(&office, 422, said));
    }
    let made = office.ask(Part::Bot, Ask::MakeApiToken { bot, label }).await;
    outcome(&office, &visit, made)
}

async fn revoke_token(
    State(office): Here,
    visit: Visit,
    Path((bot, number)): Path<(String, i64)>,
) -> Answered {
    let Ok(bot) = bot.parse::<BotName>() else { return Err(visit.nothing(&office)) };
    let revoked = office.ask(Part::Bot, Ask::RevokeApiToken { bot, number }).await;
    outcome(&office, &visit, revoked)
}

async fn settings(State(office): Here, visit: Visit) -> Answered {
    let text = tokio::fs::read_to_string(&office.settings_file).await;
    let text = text.map_err(|error| visit.0.stop(&office, 500, Said::from(error.to_string())))?;
    let found = written(&text, &office.settings_file).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        visit.0.stop(&office, 500, Said::from(all.join("; ")))
    })?;
    let settings = SYSTEM.iter().flat_map(|group| group.settings);
    let shown: Map<String, Value> = settings
        .filter(|setting| !matches!(setting.kind, Kind::Secret | Kind::Proxy))
        .filter_map(|setting| Some((setting.name(), found.get(&setting.name())?.clone())))
        .collect();
    Ok(json_with(200, &Value::Object(shown)))
}

async fn set_settings(State(office): Here, visit: Visit, Sent(keys): Sent<Map<String, Value>>) -> Answered {
    let (file, changes) = (office.settings_file.clone(), as_changes("", keys));
    saved(&office, &visit, move || Settings::change(&file, &changes).map(drop)).await
}

async fn health(State(office): Here, _visit: Visit) -> Answered {
    let all = office.health(&office.hub.snapshot()).await;
    let all: Vec<Value> = all
        .into_iter()
        .map(|health| json!({"name": health.name, "found": health.found, "said": health.said}))
        .collect();
    Ok(json_with(
        200,
        &json!({
            "ok": office.is_well().await, "version": env!("CARGO_PKG_VERSION"), "layer": tgtrunk_telegram::tl::LAYER,
            "health": all,
        }),
    ))
}

/// A program's answer as it is, without the word that names its kind.
fn outcome(office: &Office, visit: &Visit, answer: Result<Answer, Said>) -> Answered {
    match answer {
        Ok(Answer::Done) => Ok(json_with(200, &json!({}))),
        Ok(answer) => {
            let value = serde_json::to_value(&answer).unwrap_or_default();
            let inner = value.as_object().and_then(|keys| keys.values().next()).cloned().unwrap_or(value);
            let inner = if inner.is_array() { json!({"all": inner}) } else { inner };
            Ok(json_with(200, &inner))
        }
        Err(said) => Err(visit.0.stop(office, 502, said)),
    }
}
