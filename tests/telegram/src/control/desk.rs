//! What the endpoints share, and the table of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::refusal::Refusal;
use super::{bots, calls, chats, faults, groups, guide, reflectors, sessions, users};
use crate::TestTelegram;
use crate::reflector::Reflector;
use crate::seed::FILE_NAME;
use crate::world::{Puppet, Settings, World};

/// A running test Telegram and the puppets that act for its users.
pub struct Desk {
    telegram: TestTelegram,
    puppets: Mutex<BTreeMap<i64, Arc<Puppet>>>,
    reflectors: Mutex<BTreeMap<i64, Reflector>>,
}

/// A desk as the endpoints hold it.
pub(crate) type Shared = State<Arc<Desk>>;

impl Desk {
    /// A desk without puppets.
    pub fn new(telegram: TestTelegram) -> Arc<Self> {
        Arc::new(Self { telegram, puppets: Mutex::default(), reflectors: Mutex::default() })
    }

    /// The test Telegram.
    pub fn telegram(&self) -> &TestTelegram {
        &self.telegram
    }

    /// Sends the puppets home and gives the test Telegram back.
    pub fn into_telegram(self) -> TestTelegram {
        self.telegram
    }

    pub(crate) fn world(&self) -> &World {
        self.telegram.world()
    }

    pub(crate) fn reflectors(&self) -> MutexGuard<'_, BTreeMap<i64, Reflector>> {
        self.reflectors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The puppet of a user, made on first use.
    pub(crate) fn puppet(&self, user: i64) -> Result<Arc<Puppet>, Refusal> {
        let mut puppets = self.puppets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(puppet) = puppets.get(&user) {
            return Ok(puppet.clone());
        }
        let puppet = Arc::new(Puppet::new(self.world(), user)?);
        puppets.insert(user, puppet.clone());
        Ok(puppet)
    }
}

/// The endpoints.
pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(guide::guide))
        .route("/addresses", get(addresses))
        .route("/public-key", get(public_key))
        .route("/seed", post(seed))
        .route("/settings", get(settings).post(change_settings))
        .route("/timers", post(timers))
        .route("/users", get(users::list).post(users::add))
        .route("/users/{user}", post(users::change))
        .route("/users/{user}/privacy", get(users::privacy_rules).post(users::privacy))
        .route("/users/{user}/block", post(users::block))
        .route("/login-code", get(users::login_code).delete(users::expire_login_code))
        .route("/keys", get(sessions::keys))
        .route("/keys/{key}/revoke", post(sessions::revoke))
        .route("/keys/{key}/forget", post(sessions::forget))
        .route("/users/{user}/revoke", post(sessions::revoke_user))
        .route("/users/{user}/drop-connections", post(sessions::drop_connections))
        .route("/users/{user}/black-hole", post(sessions::black_hole))
        .route("/users/{user}/new-session", post(sessions::new_session))
        .route("/users/{user}/skip-seq", post(sessions::skip_seq))
        .route("/users/{user}/too-long", post(sessions::too_long))
        .route("/users/{user}/messages", get(chats::list).post(chats::say))
        .route("/users/{user}/messages/{message}", post(chats::edit).delete(chats::delete))
        .route("/users/{user}/messages/{message}/forward", post(chats::forward))
        .route("/users/{user}/messages/{message}/react", post(chats::react))
        .route("/users/{user}/messages/{message}/vote", post(chats::vote))
        .route("/users/{user}/chats", get(chats::chats))
        .route("/users/{user}/archive", post(chats::archive))
        .route("/users/{user}/send-scheduled", post(chats::send_scheduled))
        .route("/users/{user}/portrait", post(users::portrait))
        .route("/users/{user}/read", post(chats::read))
        .route("/users/{user}/typing", post(chats::typing))
        .route("/users/{user}/accept-login", post(chats::accept_login))
        .route("/files/{file}", get(chats::file))
        .route("/files/{file}/expire", post(chats::expire_file))
        .route("/web-pages", post(chats::add_web_page))
        .route("/groups", get(groups::list).post(groups::add))
        .route("/groups/{group}", get(groups::one).post(groups::change))
        .route("/groups/{group}/members", post(groups::bring))
        .route("/groups/{group}/members/{user}", delete(groups::take_out))
        .route("/groups/{group}/link", post(groups::link))
        .route("/calls", get(calls::list))
        .route("/calls/{call}/settings", post(calls::settings))
        .route("/users/{user}/next-call", post(calls::next_call))
        .route("/users/{user}/puppet", post(calls::puppet))
        .route("/users/{user}/calls", get(calls::seen).post(calls::dial))
        .route("/users/{user}/calls/{call}/receive", post(calls::receive))
        .route("/users/{user}/calls/{call}/accept", post(calls::accept))
        .route("/users/{user}/calls/{call}/discard", post(calls::discard))
        .route("/users/{user}/calls/{call}/signal", post(calls::signal))
        .route("/bots", get(bots::list).post(bots::add))
        .route("/bots/{bot}", get(bots::one).post(bots::change))
        .route("/bots/{bot}/token", post(bots::renew_token))
        .route("/users/{user}/press", post(bots::press))
        .route("/bot-faults", get(bots::faults).post(bots::add_fault).delete(bots::clear_faults))
        .route("/bot-faults/{fault}", delete(bots::remove_fault))
        .route("/bot-journal", get(bots::journal).delete(bots::clear_journal))
        .route("/reflectors", get(reflectors::list).post(reflectors::start))
        .route("/reflectors/{reflector}", delete(reflectors::stop))
        .route("/reflectors/{reflector}/treatment", post(reflectors::treat))
        .route("/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/faults/{fault}", delete(faults::remove))
        .route("/journal", get(faults::journal).delete(faults::clear_journal))
        .with_state(desk)
}

/// Serves the endpoints until `stop` is done.
///
/// # Errors
/// When the listener is not on loopback, or fails.
pub async fn serve(
    desk: Arc<Desk>,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    anyhow::ensure!(address.ip().is_loopback(), "control address {address}: want a loopback address");
    axum::serve(listener, router(desk)).with_graceful_shutdown(stop).await?;
    Ok(())
}

#[derive(Serialize)]
struct Dc {
    id: i32,
    address: String,
}

async fn addresses(State(desk): Shared) -> Json<Vec<Dc>> {
    let dc = |(id, address): (i32, std::net::SocketAddr)| Dc { id, address: address.to_string() };
    Json(desk.telegram.addresses().into_iter().map(dc).collect())
}

async fn public_key(State(desk): Shared) -> String {
    desk.telegram.public_key_pem()
}

#[derive(Deserialize)]
struct SeedOrder {
    dir: std::path::PathBuf,
    #[serde(default = "one")]
    keys: usize,
}

fn one() -> usize {
    1
}

async fn seed(State(desk): Shared, Json(order): Json<SeedOrder>) -> Result<Json<serde_json::Value>, Refusal> {
    desk.telegram
        .write_dc_seed(&order.dir, order.keys)
        .map_err(|error| Refusal::bad(format!("{error:#}")))?;
    Ok(Json(serde_json::json!({ "file": order.dir.join(FILE_NAME) })))
}

async fn settings(State(desk): Shared) -> Json<Settings> {
    Json(desk.world().settings())
}

/// Fields that are there replace the present ones; objects are merged.
async fn change_settings(
    State(desk): Shared,
    Json(change): Json<serde_json::Value>,
) -> Result<Json<Settings>, Refusal> {
    let mut whole =
        serde_json::to_value(desk.world().settings()).map_err(|error| Refusal::bad(error.to_string()))?;
    merge(&mut whole, change);
    let settings: Settings =
        serde_json::from_value(whole).map_err(|error| Refusal::bad(error.to_string()))?;
    desk.world().configure(|present| present.clone_from(&settings));
    Ok(Json(settings))
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[derive(Deserialize)]
struct Timers {
    scale: f64,
}

async fn timers(State(desk): Shared, Json(timers): Json<Timers>) -> Result<Json<serde_json::Value>, Refusal> {
    if !(timers.scale.is_finite() && (0.0..=1000.0).contains(&timers.scale)) {
        return Err(Refusal::bad(format!("scale = {}: want 0 to 1000", timers.scale)));
    }
    desk.world().set_timers_scale(timers.scale);
    Ok(Json(serde_json::json!({ "scale": timers.scale })))
}
