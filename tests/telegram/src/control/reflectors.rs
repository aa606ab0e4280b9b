//! Endpoints about relays.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::bad_path::{Passage, Treatment};
use crate::reflector::{Counters, Reflector, Side};

#[derive(Serialize)]
pub(crate) struct Row {
    id: i64,
    address: SocketAddr,
    counters: Counters,
    from_caller: Passage,
    from_callee: Passage,
}

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<Row>> {
    let row = |(id, reflector): (&i64, &Reflector)| Row {
        id: *id,
        address: reflector.address(),
        counters: reflector.counters(),
        from_caller: reflector.passage(Side::Caller),
        from_callee: reflector.passage(Side::Callee),
    };
    Json(desk.reflectors().iter().map(row).collect())
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Order {
    address: SocketAddr,
    seed: u64,
}

impl Default for Order {
    fn default() -> Self {
        Self { address: (Ipv4Addr::LOCALHOST, 0).into(), seed: 1 }
    }
}

pub(crate) async fn start(State(desk): Shared, Json(order): Json<Order>) -> Result<Json<Value>, Refusal> {
    let reflector = Reflector::start(order.address, order.seed).await;
    let reflector = reflector.map_err(|error| Refusal::bad(format!("{error:#}")))?;
    let mut reflectors = desk.reflectors();
    let id = reflectors.last_key_value().map_or(1, |(id, _)| id + 1);
    let connections =
        json!({ "udp": reflector.connection(id, false), "tcp": reflector.connection(id, true) });
    let answer = json!({ "id": id, "address": reflector.address(), "connections": connections });
    reflectors.insert(id, reflector);
    Ok(Json(answer))
}

/// Whose packets, and what becomes of them.
#[derive(Deserialize)]
pub(crate) struct Change {
    from: Option<Side>,
    #[serde(flatten)]
    treatment: Treatment,
}

pub(crate) async fn treat(
    State(desk): Shared,
    Path(id): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refusal> {
    let reflectors = desk.reflectors();
    let reflector = reflectors.get(&id).ok_or_else(|| Refusal::missing(format!("no reflector {id}")))?;
    for side in Side::BOTH {
        if change.from.is_none_or(|from| from == side) {
            reflector.treat(side, change.treatment);
        }
    }
    Ok(Json(json!({ "ok": true })))
}

pub(crate) async fn stop(State(desk): Shared, Path(id): Path<i64>) -> Result<Json<Value>, Refusal> {
    if desk.reflectors().remove(&id).is_some() {
        Ok(Json(json!({ "ok": true })))
    } else {
        Err(Refusal::missing(format!("no reflector {id}")))
    }
}
