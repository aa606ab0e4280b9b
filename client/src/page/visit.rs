//! One request of a browser: who it is, in which language, and what it posts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{Local, Offset as _, TimeZone as _};
use subtle::ConstantTimeEq as _;
use tgtrunk_config::{Language, Phone, Said};
use tgtrunk_shell::web::Caller;

use super::answer::{self, Stop};
use super::entry::Session;
use super::fields::{Fields, local};
use super::guard;
use super::hub::Snapshot;
use super::model::{Frame, Notice, Part, Theme};
use super::office::Office;
use crate::clock::unix_ms;

/// How long a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The whole address that was asked for; the guard notes it.
#[derive(Clone, Debug)]
pub(crate) struct Address(pub(crate) Uri);

/// A request of anybody.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Who is logged in.
    pub(crate) session: Option<Session>,
    pub(crate) language: Language,
    theme: Theme,
    /// Path and query.
    pub(crate) path: String,
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Whether the browser speaks TLS to a proxy in front.
    pub(crate) is_secure: bool,
    /// Whether the script asks, not the browser.
    pub(crate) is_fragment: bool,
    /// Whether it is the API that is asked.
    pub(crate) is_api: bool,
    /// Whether it is known by a token that no browser sends by itself.
    is_by_token: bool,
    notice: Option<Notice>,
    query: Vec<(String, String)>,
}

/// A request of somebody who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Visit(pub(crate) Guest);

/// A form of somebody who is logged in, sent from this page.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) visit: Visit,
    pub(crate) fields: Fields,
}

impl Guest {
    pub(crate) async fn of(parts: &mut Parts, office: &Office) -> Self {
        let headers = &parts.headers;
        // Within the API the address is told without what it begins with.
        let uri = parts.extensions.get::<Address>().map_or(&parts.uri, |address| &address.0);
        let is_api = uri.path().starts_with("/api/");
        let bearer = headers.get(AUTHORIZATION).filter(|_| is_api).and_then(bearer);
        let is_by_token = bearer.is_some();
        let token = bearer.or_else(|| cookie(headers, answer::SESSION));
        let session = match token {
            Some(token) => office.entry.session(&token).await.unwrap_or_else(|error| {
                tracing::warn!(error = format!("{error:#}"), "page.db cannot be read: nobody is logged in");
                None
            }),
            None => None,
        };
        let language = cookie(headers, answer::LANGUAGE).and_then(|code| code.parse().ok());
        let caller = parts.extensions.get::<Caller>().map_or(IpAddr::from([0, 0, 0, 0]), |caller| caller.0);
        let proxied = |name: &str| office.settings.behind_proxy.then(|| last(headers, name)).flatten();
        let query: Query<Vec<(String, String)>> = Query::try_from_uri(&parts.uri).unwrap_or_default();
        Self {
            session,
            language: language.unwrap_or_else(|| wanted(headers).unwrap_or(office.settings.language)),
            theme: Theme::from_word(&cookie(headers, answer::THEME).unwrap_or_default()),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            address: proxied("x-forwarded-for").and_then(|address| address.parse().ok()).unwrap_or(caller),
            is_secure: proxied("x-forwarded-proto").is_some_and(|scheme| scheme == "https"),
            is_fragment: headers.contains_key("x-fragment"),
            is_api,
            is_by_token,
            notice: cookie(headers, answer::NOTICE).and_then(|notice| read_notice(&notice)),
            query: query.0,
        }
    }

    /// What surrounds the page that is shown.
    pub(crate) fn frame(&self, office: &Office, snapshot: &Snapshot) -> Frame {
        let is_known = self.session.is_some();
        Frame {
            language: self.language,
            theme: self.theme,
            csrf: self.session.as_ref().map(Session::csrf).unwrap_or_default(),
            now_ms: unix_ms(),
            offset_s,
            path: self.path.clone(),
            notice: self.notice.clone(),
            alerts: if is_known { office.alerts(snapshot) } else { Vec::new() },
        }
    }

    /// What stands in the address behind `?`.
    ///
    /// # Errors
    /// When nobody types that.
    pub(crate) fn query(&self) -> Result<Fields, Said> {
        Fields::new(self.query.clone())
    }

    /// A refusal of anything, in the reader's language.
    pub(crate) fn stop(&self, office: &Office, status: u16, said: Said) -> Stop {
        let frame = self.frame(office, &office.hub.snapshot());
        answer::stop(&frame, self.is_fragment || self.is_api, status, said)
    }
}

impl Visit {
    /// A line's number out of an address.
    ///
    /// # Errors
    /// A page that says that there is none.
    pub(crate) fn phone(&self, office: &Office, text: &str) -> Result<Phone, Stop> {
        let phone = text.parse().ok().filter(|phone| office.hub.snapshot().lines.contains_key(phone));
        phone.ok_or_else(|| self.0.stop(office, 404, Said::new("There is no such line.", "Такой линии нет.")))
    }

    /// The gateway or the client out of an address.
    ///
    /// # Errors
    /// A page that says that there is nothing.
    pub(crate) fn part(&self, office: &Office, word: &str) -> Result<Part, Stop> {
        let part = Part::ALL.into_iter().find(|part| part.word() == word && *part != Part::Bot);
        part.ok_or_else(|| self.nothing(office))
    }

    /// There is nothing at this address.
    pub(crate) fn nothing(&self, office: &Office) -> Stop {
        let said = Said::new("There is nothing at this address.", "По этому адресу ничего нет.");
        self.0.stop(office, 404, said)
    }

    /// What surrounds the page that is shown.
    pub(crate) fn frame(&self, office: &Office, snapshot: &Snapshot) -> Frame {
        self.0.frame(office, snapshot)
    }

    /// The session's mark in forms.
    fn is_csrf(&self, sent: &str) -> bool {
        let own = self.0.session.as_ref().map(Session::csrf).unwrap_or_default();
        !own.is_empty() && bool::from(own.as_bytes().ct_eq(sent.as_bytes()))
    }
}

impl Posted {
    /// Where the person goes on.
    pub(crate) fn back(&self) -> &str {
        local(self.fields.line("back"))
    }
}

impl FromRequestParts<Arc<Office>> for Guest {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, office: &Arc<Office>) -> Result<Self, Stop> {
        Ok(Self::of(parts, office).await)
    }
}

impl FromRequestParts<Arc<Office>> for Visit {
    type Rejection = Stop;

    async fn from_request_parts(parts: &mut Parts, office: &Arc<Office>) -> Result<Self, Stop> {
        let guest = Guest::of(parts, office).await;
        if guest.session.is_none() {
            if guest.is_fragment || guest.is_api || parts.uri.path() == "/events" {
                let said = Said::new("Log in first.", "Сначала войдите.");
                return Err(guest.stop(office, StatusCode::UNAUTHORIZED.as_u16(), said));
            }
            return Err(Stop::new(answer::to_login(&guest, parts.method == Method::GET)));
        }
        let visit = Self(guest);
        // Forms carry the mark among their fields; whoever writes by the API and a cookie sends it in a header.
        if visit.0.is_api && !visit.0.is_by_token && parts.method != Method::GET {
            let sent = parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok());
            if !visit.is_csrf(sent.unwrap_or_default()) {
                return Err(visit.0.stop(office, 403, guard::foreign().said));
            }
        }
        Ok(visit)
    }
}

impl FromRequest<Arc<Office>> for Posted {
    type Rejection = Stop;

    async fn from_request(request: Request, office: &Arc<Office>) -> Result<Self, Stop> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, office).await?;
        let fields = fields_of(&visit.0, office, Request::from_parts(parts, body)).await?;
        if !visit.is_csrf(fields.raw("csrf")) {
            let guard::Refused { status, said } = guard::foreign();
            return Err(visit.0.stop(office, status, said));
        }
        Ok(Self { visit, fields })
    }
}

/// Reads a form, if it comes soon and is not too long.
///
/// # Errors
/// A page that says what is wrong.
pub(crate) async fn fields_of(guest: &Guest, office: &Office, request: Request) -> Result<Fields, Stop> {
    let read = tokio::time::timeout(ARRIVAL, Form::<Vec<(String, String)>>::from_request(request, &()));
    let pairs = match read.await {
        Ok(Ok(Form(pairs))) => pairs,
        Ok(Err(rejection)) => {
            let status = rejection.status().as_u16();
            let said = if status == 413 {
                Said::new("That is too long to be taken.", "Это слишком длинно, такое не принимается.")
            } else {
                Said::new("The form cannot be read.", "Форму не удалось прочитать.")
            };
            return Err(guest.stop(office, status, said));
        }
        Err(_) => {
            let said = Said::new("The form did not arrive in time.", "Форма не пришла вовремя.");
            return Err(guest.stop(office, 408, said));
        }
    };
    Fields::new(pairs).map_err(|said| guest.stop(office, 422, said))
}

/// Seconds that the clock here is ahead of UTC at a time.
pub(crate) fn offset_s(unix_ms: u64) -> i32 {
    let ms = i64::try_from(unix_ms).unwrap_or(0);
    Local.timestamp_millis_opt(ms).single().map_or(0, |time| time.offset().fix().local_minus_utc())
}

/// The token of an `Authorization` (RFC 6750 section 2.1).
fn bearer(value: &HeaderValue) -> Option<String> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

fn cookie(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
}

/// The last of a header's values, which the proxy in front has added itself.
fn last(headers: &HeaderMap, name: &str) -> Option<String> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(|value| value.trim().to_owned())
}

/// The first language of a browser that we have (RFC 9110 section 12.5.4). Weights are in order in every browser.
fn wanted(headers: &HeaderMap) -> Option<Language> {
    let line = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let first = line.split(',').next()?.split(';').next()?.trim();
    (!first.is_empty() && first != "*").then(|| Language::from_code(first))
}

fn read_notice(cookie: &str) -> Option<Notice> {
    let json = URL_SAFE_NO_PAD.decode(cookie).ok()?;
    let (is_good, said): (bool, Said) = serde_json::from_slice(&json).ok()?;
    Some(Notice { is_good, said })
}
