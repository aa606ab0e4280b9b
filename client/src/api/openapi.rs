//! The description of the client's own HTTP API: as OpenAPI 3.1 for programs, and as a page for people.
//!
//! `GET /api/v1/openapi.json` and `GET /api/v1/docs`, which need no token: they tell nothing of this machine. What they tell
//! is in `routes.rs`, in both languages.

mod page;
mod routes;

use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};

use self::routes::{Field, Kind, Route, routes};

/// Serves the description.
pub(super) fn router() -> Router {
    Router::new().route("/api/v1/openapi.json", get(document)).route("/api/v1/docs", get(docs))
}

async fn document() -> Response {
    let mut response = described().to_string().into_response();
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

async fn docs(Query(wanted): Query<Wanted>, headers: HeaderMap) -> Response {
    let accepted =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_russian = match wanted.lang.as_str() {
        "ru" => true,
        "en" => false,
        _ => accepted.trim_start().to_ascii_lowercase().starts_with("ru"),
    };
    let mut response = page::page(is_russian).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

/// The description (spec.openapis.org/oas/v3.1.0).
fn described() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tgtrunk",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Actions of a line's account, notifications of people, calls. See client/API.md.",
        },
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "tgtrunk-client action-token make"},
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
    parameters.extend(route.query.iter().map(|field| {
        let (name, needed) = (field.name, field.is_needed);
        json!({"name": name, "in": "query", "required": needed, "description": field.en, "schema": schema(field)})
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

    use tgtrunk_messages::actions;

    use super::*;

    #[test]
    fn every_action_is_described_with_every_key_that_it_takes() {
        for name in actions::names() {
            let path = format!("/api/v1/actions/{name}");
            let route = routes().find(|route| route.path == path).unwrap_or_else(|| panic!("{path}"));
            let described: BTreeSet<_> = route.body.iter().map(|field| field.name).collect();
            let taken: BTreeSet<_> = actions::keys(name).filter(|key| *key != "action").collect();
            assert_eq!(described, taken, "{name}");
        }
    }

    #[test]
    fn every_line_is_in_both_languages_and_no_name_is_there_twice() {
        let mut names = BTreeSet::new();
        for route in routes() {
            assert!(names.insert(route.name), "{}", route.name);
            assert!(
                !route.en.is_empty() && route.ru.chars().any(|letter| ('а'..='я').contains(&letter)),
                "{}",
                route.name
            );
            for field in route.query.iter().chain(route.body) {
                assert!(!field.en.is_empty() && !field.ru.is_empty(), "{} {}", route.name, field.name);
            }
        }
    }
}
