//! The description of a program's own HTTP API: as OpenAPI 3.1 for programs, and as a page for people, in both languages.
//!
//! `GET /api/v1/openapi.json` and `GET /api/v1/docs`, which need no token: they tell nothing of this machine.

mod actions;
mod page;
mod route;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};

pub use self::actions::ACTIONS;
pub use self::route::{Field, Kind, Route};

/// An HTTP API that is described.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    /// What it is, in a sentence or two.
    pub about: &'static str,
    /// The command that makes a token.
    pub maker: &'static str,
    /// What there is to be called, in the order in which people read it.
    pub routes: &'static [&'static [Route]],
}

impl Api {
    /// All that there is to be called.
    pub fn routes(&self) -> impl Iterator<Item = &'static Route> {
        self.routes.iter().copied().flatten()
    }
}

/// Serves the description.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/openapi.json", get(document))
        .route("/api/v1/docs", get(docs))
        .with_state(api)
}

async fn document(State(api): State<Api>) -> Response {
    let mut response = described(&api).to_string().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// What a reader of the page wants.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Wanted {
    /// `en` or `ru`.
    lang: String,
}

async fn docs(State(api): State<Api>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let accepted =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_russian = match wanted.lang.as_str() {
        "ru" => true,
        "en" => false,
        _ => accepted.trim_start().to_ascii_lowercase().starts_with("ru"),
    };
    let mut response = page::page(&api, is_russian).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

/// The description (spec.openapis.org/oas/v3.1.0).
fn described(api: &Api) -> Value {
    let mut paths = Map::new();
    for route in api.routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tgtrunk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": api.about,
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": api.maker},
            },
            "schemas": {
                "Done": {
                    "type": "object",
                    "required": ["ok", "result"],
                    "properties": {"ok": {"const": true}, "result": {}, "job_id": {"type": "string"}},
                },
                "NotDone": {
                    "type": "object",
                    "required": ["ok", "error"],
                    "properties": {
                        "ok": {"const": false},
                        "error": {
                            "type": "object",
                            "required": ["code", "message", "retryable"],
                            "properties": {
                                "code": {"type": "string"},
                                "message": {"type": "string"},
                                "retryable": {"type": "boolean"},
                                "retry_after": {"type": ["integer", "null"], "description": "seconds"},
                                "item": {"type": "integer"},
                                "may_be_sent": {"type": "boolean"},
                                "sent": {"type": "array", "items": {"type": "object"}},
                            },
                        },
                        "job_id": {"type": "string"},
                    },
                },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.en,
        "x-summary-ru": route.ru,
        "tags": [route.tag],
        "responses": {
            "200": answer("it is done, or on the disk", "Done"),
            "default": answer("it is not; the code says why", "NotDone"),
        },
    });
    let in_path = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<_> = in_path
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let said = route.query.iter().map(|field| ("query", field));
    parameters.extend(said.chain(route.headers().iter().map(|field| ("header", field))).map(|(place, field)| {
        let (name, needed) = (field.name, field.is_needed);
        json!({"name": name, "in": place, "required": needed, "description": field.en, "schema": schema(field)})
    }));
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if !route.body.is_empty() {
        let needed: Vec<_> =
            route.body.iter().filter(|field| field.is_needed).map(|field| field.name).collect();
        let properties: Map<String, Value> =
            route.body.iter().map(|field| (field.name.to_owned(), schema(field))).collect();
        operation["requestBody"] = json!({
            "required": true,
            "content": {"application/json": {"schema": {
                "type": "object",
                "required": needed,
                "properties": properties,
                "additionalProperties": route.name == "act",
            }}},
        });
    }
    operation
}

fn answer(description: &str, schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    json!({"description": description, "content": {"application/json": {"schema": {"$ref": reference}}}})
}

fn schema(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Named => json!({"type": ["string", "integer"]}),
        Kind::Names => json!({"type": "array", "items": {"type": ["string", "integer"]}}),
        Kind::Object => json!({"type": "object"}),
        Kind::Any => json!({}),
        Kind::Files => json!({"type": "array", "maxItems": 10, "items": {
            "type": "object",
            "required": ["url"],
            "properties": {"title": {"type": "string"}, "url": {"type": "string", "format": "uri"}},
            "additionalProperties": false,
        }}),
        Kind::Word(words) => json!({"type": "string", "enum": words}),
    };
    schema["description"] = field.en.into();
    schema["x-description-ru"] = field.ru.into();
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::actions;

    #[test]
    fn every_action_is_described_with_every_key_that_it_takes() {
        for name in actions::names() {
            let path = format!("/api/v1/actions/{name}");
            let route = ACTIONS.iter().find(|route| route.path == path).unwrap_or_else(|| panic!("{path}"));
            let described: BTreeSet<_> = route.body.iter().map(|field| field.name).collect();
            let taken: BTreeSet<_> = actions::keys(name).filter(|key| *key != "action").collect();
            assert_eq!(described, taken, "{name}");
        }
    }

    #[test]
    fn the_header_that_actions_take_is_described_with_them_and_for_people() {
        let api = Api { about: "", maker: "", routes: &[ACTIONS] };
        let document = described(&api);
        for route in api.routes() {
            let parameters = document["paths"][route.path][route.method]["parameters"].to_string();
            let takes_key = route.method == "post";
            assert_eq!(parameters.contains(r#""in":"header""#), takes_key, "{}: {parameters}", route.name);
            assert_eq!(parameters.contains("Idempotency-Key"), takes_key, "{}: {parameters}", route.name);
        }
        for is_russian in [false, true] {
            assert!(page::page(&api, is_russian).contains("<code>Idempotency-Key</code>"));
        }
    }
}
