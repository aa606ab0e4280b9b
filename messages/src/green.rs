//! The dialect of GREEN-API's clients for Telegram: what they call, what they say, and what they are answered.
//!
//! A call is `/waInstance{idInstance}/{method}/{apiTokenInstance}`, a partner's is `/partner/{method}/{token}`; files are
//! fetched at `/files/{secret}/{name}`. `methods.rs` holds every method by its name. Whatever a client is answered is JSON,
//! with code 200 where the method was done; bodies of errors say what is wrong and what is allowed.

mod account;
mod answer;
mod arguments;
mod call;
mod error;
mod files;
mod groups;
mod journals;
pub(crate) mod lenient;
mod limits;
mod methods;
mod multipart;
pub(crate) mod notification;
mod partner;
mod queues;
mod receiving;
mod sending;
mod service;
mod shape;
mod throttle;
mod upload;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::any;
use serde_json::Value;

use crate::house::House;

pub use files::{download, hand_out};
pub use throttle::Pace;

/// Gives files by their links, `/files/{secret}/{name}`, where nothing else of this dialect is spoken.
pub fn files(house: House) -> Router {
    let desk = answer::Desk::new(house, Pace::default());
    Router::new().route("/files/{*path}", any(answer::answer)).with_state(desk)
}

/// Answers the calls of GREEN-API's clients to a program's instances, and nothing else: other paths are refused.
pub fn router(house: House, pace: Pace) -> Router {
    let desk = answer::Desk::new(house, pace);
    Router::new().fallback(answer::answer).layer(DefaultBodyLimit::disable()).with_state(desk)
}

pub(crate) use self::multipart::decoded;
pub(crate) use self::upload::drain;

/// A body that is JSON, as clients write it, or a form; else a status and a sentence.
pub(crate) async fn read_json(headers: &HeaderMap, body: &mut Body) -> Result<Value, (StatusCode, String)> {
    upload::json(headers, body, upload::SILENCE).await.map_err(|failed| (failed.status, failed.message))
}

/// The names of all methods of an instance and then of the partner, as the documentation writes them.
pub fn methods() -> impl Iterator<Item = &'static str> {
    let partner = methods::PARTNER.iter().map(|method| method.name);
    methods::METHODS.iter().map(|method| method.name).chain(partner)
}
