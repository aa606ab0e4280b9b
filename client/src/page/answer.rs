//! What a browser is answered.

use axum::http::header::{CONTENT_TYPE, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{Response as Plain, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::Markup;
use serde_json::{Map, Value, json};
use tgtrunk_config::{Language, Said};

use super::fields::local;
use super::model::{ErrorPage, Frame, Typed};
use super::view;
use super::visit::{Guest, Posted};

/// Names of cookies.
pub(crate) const SESSION: &str = "tgtrunk";
pub(crate) const LANGUAGE: &str = "language";
pub(crate) const THEME: &str = "theme";
pub(crate) const NOTICE: &str = "notice";
/// How long what a person chose is remembered, in seconds.
const YEAR_S: u32 = 365 * 24 * 3600;
/// Longest notice that fits a cookie, in bytes.
const NOTICE_BYTES: usize = 2_400;

/// An answer that ends a request early.
#[derive(Debug)]
pub(crate) struct Stop(Box<Response>);

/// What a form did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// What is said of it.
    pub(crate) said: Option<Said>,
    /// Where the browser goes on; where it came from without it.
    pub(crate) go: Option<String>,
    /// Elements that are others now, for the script.
    pub(crate) fragments: Vec<(String, Markup)>,
}

impl Stop {
    pub(crate) fn new(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Stop {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Done {
    pub(crate) fn said(en: impl Into<String>, ru: impl Into<String>) -> Self {
        Self { said: Some(Said::new(en, ru)), ..Self::default() }
    }

    pub(crate) fn go(mut self, path: impl Into<String>) -> Self {
        self.go = Some(path.into());
        self
    }

    pub(crate) fn fragment(mut self, id: impl Into<String>, html: Markup) -> Self {
        self.fragments.push((id.into(), html));
        self
    }

    /// The answer to a form.
    pub(crate) fn answer(self, posted: &Posted) -> Response {
        let guest = &posted.visit.0;
        if !guest.is_fragment {
            let go = self.go.as_deref().unwrap_or_else(|| posted.back());
            let mut response = see_other(go);
            if let Some(said) = &self.said {
                set_notice(&mut response, true, said);
            }
            return response;
        }
        if self.said.is_none() && self.go.is_none() && self.fragments.is_empty() {
            return StatusCode::NO_CONTENT.into_response();
        }
        let mut keys = Map::new();
        if let Some(said) = &self.said {
            keys.insert("said".into(), said.in_language(guest.language).into());
        }
        if let Some(go) = &self.go {
            keys.insert("go".into(), go.as_str().into());
        }
        let fragments = self.fragments.into_iter();
        let fragments: Vec<Value> =
            fragments.map(|(id, html)| json!({"id": id, "html": html.into_string()})).collect();
        if !fragments.is_empty() {
            keys.insert("fragments".into(), fragments.into());
        }
        json_with(200, &Value::Object(keys))
    }
}

/// A form that was not taken: what is wrong, in the fields and as a whole. `again` is the page with what was typed.
pub(crate) fn refused(
    posted: &Posted,
    said: &Said,
    typed: &Typed,
    again: impl FnOnce() -> Markup,
) -> Response {
    let guest = &posted.visit.0;
    if !guest.is_fragment {
        return page(422, again());
    }
    let fields: Map<String, Value> = typed
        .0
        .iter()
        .filter_map(|(name, entry)| {
            let problem = entry.problem.as_ref()?.in_language(guest.language);
            Some((name.clone(), view::words::sentence(problem).into()))
        })
        .collect();
    json_with(422, &json!({"said": said.in_language(guest.language), "fields": fields}))
}

/// A form that could not be carried out, with nothing wrong in it.
pub(crate) fn failed(posted: &Posted, said: &Said) -> Response {
    let guest = &posted.visit.0;
    if guest.is_fragment {
        return json_with(422, &json!({"said": said.in_language(guest.language)}));
    }
    let mut response = see_other(posted.back());
    set_notice(&mut response, false, said);
    response
}

/// A page.
pub(crate) fn page(status: u16, markup: Markup) -> Response {
    let mut response = text(status, "text/html; charset=utf-8", markup.into_string());
    // What was said once is not said again.
    add_cookie(&mut response, &format!("{NOTICE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"));
    response
}

/// A page that says why there is no other, or JSON that does.
pub(crate) fn stop(frame: &Frame, is_json: bool, status: u16, said: Said) -> Stop {
    if is_json {
        let said = said.in_language(frame.language);
        return Stop::new(json_with(status, &json!({"said": said, "error": said})));
    }
    Stop::new(page(status, view::error::page(frame, &ErrorPage { status, said })))
}

/// To the door, and back here after it.
pub(crate) fn to_login(guest: &Guest, is_reading: bool) -> Response {
    let next = if is_reading { local(&guest.path) } else { "/" };
    if next == "/" {
        return see_other("/login");
    }
    let escaped: String = next
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    see_other(&format!("/login?next={escaped}"))
}

/// On to another place of this page.
pub(crate) fn see_other(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, to);
    response
}

/// JSON.
pub(crate) fn json_with(status: u16, value: &Value) -> Response {
    text(status, "application/json", value.to_string())
}

/// Anything else that is text.
pub(crate) fn text(status: u16, kind: &'static str, text: impl Into<axum::body::Body>) -> Response {
    let mut response = Plain::new(text.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Has the browser keep its session, or forget it where there is no token.
pub(crate) fn set_session(response: &mut Response, token: Option<&str>, is_secure: bool) {
    let age_s = if token.is_some() { 30 * 24 * 3600 } else { 0 };
    let secure = if is_secure { "; Secure" } else { "" };
    let token = token.unwrap_or_default();
    let cookie = format!("{SESSION}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    add_cookie(response, &cookie);
}

/// Has the browser remember what a person chose.
pub(crate) fn set_choice(response: &mut Response, name: &str, word: &str) {
    add_cookie(response, &format!("{name}={word}; Path=/; Max-Age={YEAR_S}; HttpOnly; SameSite=Strict"));
}

/// Has the next page say something.
pub(crate) fn set_notice(response: &mut Response, is_good: bool, said: &Said) {
    let cut = |text: &str| text.chars().take(300).collect::<String>();
    let said = Said::new(cut(&said.en), cut(&said.ru));
    let json = serde_json::to_vec(&(is_good, said)).unwrap_or_default();
    let value = URL_SAFE_NO_PAD.encode(json);
    if value.len() <= NOTICE_BYTES {
        add_cookie(response, &format!("{NOTICE}={value}; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"));
    }
}

/// The language of a word in a form.
pub(crate) fn language(word: &str) -> Option<Language> {
    word.parse().ok()
}

fn add_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}
