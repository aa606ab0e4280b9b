//! `http://…/bot<token>/<method>` and `http://…/file/bot<token>/<path>`: who may, and what becomes of it. Beside them the
//! actions of messages, `/api/v1/actions/<action>`, for bearers of the same tokens.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use tgtrunk_config::{BotToken, Said};
use tgtrunk_messages::{Denied, Gate, Grant, House, Instance, InstanceId, Web, actions, green, openapi};
use tgtrunk_shell::web::{self, Port};
use tokio::sync::watch;

use super::methods::Own;
use super::params::Params;
use super::queue::Queue;
use super::reply::Refused;
use super::token::{self, Uses};
use crate::clock;
use crate::instance;
use crate::telegram::{Api, Place};

/// Connections at once: each bot's program has one that waits for updates.
const CONNECTIONS: usize = 1_024;
/// Longest body of a method that is answered here, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;
/// What tells where a file is.
const FILE: &str = "getFile";
/// They would end the bot for this program, too.
const ENDS: [&str; 2] = ["logout", "close"];

/// What a bot does for other programs. None while it is being opened.
pub(crate) type Standing = watch::Sender<Option<Arc<Office>>>;
type Known = BTreeMap<String, watch::Receiver<Option<Arc<Office>>>>;

/// One bot, for other programs.
pub(crate) struct Office {
    pub(crate) token: BotToken,
    pub(crate) api: Api,
    pub(crate) queue: Queue,
    /// The bot as an instance, or why there is none yet.
    pub(crate) instance: Result<InstanceId, Said>,
    /// When tokens were used.
    pub(crate) uses: Arc<Uses>,
}

impl Office {
    /// The token of this number is used. Nobody waits until that is on the disk.
    fn note_use(&self, number: i64) {
        let now_ms = clock::unix_ms();
        if !self.uses.is_news(number, now_ms) {
            return;
        }
        let store = self.queue.store().clone();
        tokio::spawn(async move {
            if let Err(error) = store.note_token(number, now_ms).await {
                tracing::warn!(%error, "when a token was used is not on the disk");
            }
        });
    }
}

/// All bots of this program, by their ids. Clones share them.
#[derive(Clone)]
pub(crate) struct Offices {
    all: Arc<Mutex<Known>>,
    /// The bots as instances.
    pub(crate) house: House,
    /// The way to the webhooks of programs.
    pub(crate) web: Web,
}

#[async_trait]
impl Gate for Offices {
    async fn admits(&self, token: &str) -> Result<Grant, Denied> {
        match self.admit(token).await {
            Ok((office, _)) => {
                office.instance.as_ref().map_or(Err(Denied::Starting), |id| Ok(Grant::Instance(*id)))
            }
            Err(Refused { code: 502, .. }) => Err(Denied::Starting),
            Err(_) => Err(Denied::Nobody),
        }
    }

    fn maker(&self) -> &'static str {
        "tgtrunk-bot api-token make"
    }

    fn instance_of(&self, _: &str) -> Option<InstanceId> {
        None
    }
}

/// What programs may do as a bot.
const API: openapi::Api = openapi::Api {
    about: "Actions of a bot. Next to them is the Bot API of Telegram: /bot<token>/<method>. See the README.",
    maker: "tgtrunk-bot api-token make",
    routes: &[openapi::ACTIONS],
};

impl Offices {
    /// Without any bot yet. Nothing is brought to `own_ports`, which are this machine's programs of ours.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub(crate) fn new(own_ports: &[u16]) -> reqwest::Result<Self> {
        Ok(Self { all: Arc::default(), house: instance::house(), web: Web::new(None, own_ports)? })
    }

    /// A bot begins; gives where it says that it is ready.
    pub(crate) fn begin(&self, token: &BotToken) -> Standing {
        let (place, office) = watch::channel(None);
        self.lock().insert(id(token.as_str()).to_owned(), office);
        place
    }

    /// A bot ends.
    pub(crate) fn end(&self, token: &BotToken) {
        self.lock().remove(id(token.as_str()));
    }

    /// The bot that a token is for, and the token's hash if it is not the bot's own.
    ///
    /// # Errors
    /// In Telegram's words. A bot that is being opened is "down", not "unknown": libraries give up on that.
    async fn admit(&self, shown: &str) -> Result<(Arc<Office>, Option<String>), Refused> {
        let id = id(shown);
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) || shown.len() <= id.len() + 1 {
            return Err(Refused::not_found());
        }
        let office = self.lock().get(id).map(|office| office.borrow().clone());
        let office = office.ok_or_else(Refused::unauthorized)?;
        let office = office.ok_or_else(|| Refused::down("the bot is being started"))?;
        if bool::from(office.token.as_str().as_bytes().ct_eq(shown.as_bytes())) {
            return Ok((office, None));
        }
        let hash = token::hash(shown);
        let number = office.queue.store().token_with(&hash).await?.ok_or_else(Refused::unauthorized)?;
        office.note_use(number);
        Ok((office, Some(hash)))
    }

    /// The instance of a bot that has this token.
    ///
    /// # Errors
    /// Why it cannot be opened; nothing while it is being opened.
    pub(crate) fn instance(&self, token: &BotToken) -> Result<Instance, Option<Said>> {
        let office = self.lock().get(id(token.as_str())).and_then(|office| office.borrow().clone());
        let instance = office.ok_or(None)?.instance.clone().map_err(Some)?;
        self.house.instance(instance).ok_or(None)
    }

    /// What waits for the programs that lead the bot that has this token. None while it is being opened.
    pub(crate) fn queue(&self, token: &BotToken) -> Option<Queue> {
        self.lock().get(id(token.as_str()))?.borrow().as_ref().map(|office| office.queue.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves programs, once the port is free. `problem` tells meanwhile why it is not.
pub(crate) async fn open(listen: SocketAddr, offices: Offices, problem: watch::Sender<Option<Said>>) {
    let name = ["The programs' Bot API", "Bot API для программ"];
    let listener =
        web::bind(Port { listen, key: "listen of [bot.api] in tgtrunk.toml", name }, &problem).await;
    match listener.local_addr() {
        Ok(address) => tracing::info!("the Bot API for programs: http://{address}/bot<token>/<method>"),
        Err(error) => tracing::error!(%error, "the address of the Bot API for programs is not known"),
    }
    let house = offices.house.clone();
    let router = Router::new()
        .fallback(answer)
        .with_state(offices.clone())
        .merge(actions::router(house.clone(), Arc::new(offices)))
        .merge(green::files(house))
        .merge(openapi::router(API));
    web::serve(listener, None, router, CONNECTIONS).await;
}

async fn answer(State(offices): State<Offices>, request: Request) -> Response {
    match serve(&offices, request).await {
        Ok(response) => response,
        Err(refused) => refused.response(),
    }
}

async fn serve(offices: &Offices, request: Request) -> Result<Response, Refused> {
    if !matches!(*request.method(), Method::GET | Method::POST) {
        return Err(Refused::not_found());
    }
    let path = request.uri().path().to_owned();
    let (rest, is_file) = match (path.strip_prefix("/file/bot"), path.strip_prefix("/bot")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err(Refused::not_found()),
    };
    let (shown, rest) = rest.split_once('/').ok_or_else(Refused::not_found)?;
    // Some libraries write the colon so.
    let shown = shown.replace("%3A", ":").replace("%3a", ":");
    let (office, token) = offices.admit(&shown).await?;
    if is_file {
        // Addresses take it for a slash.
        if rest.contains('\\') {
            return Err(Refused::not_found());
        }
        return pass(&office, Place::File(rest), request).await;
    }
    if let Some(own) = Own::from_name(rest) {
        let params = params(request).await?;
        let response = own.serve((&office.queue, &offices.web), token, &params).await?;
        // It may have waited, and the token been revoked meanwhile.
        if own == Own::GetUpdates {
            offices.admit(&shown).await?;
        }
        return Ok(response);
    }
    if ENDS.contains(&rest.to_ascii_lowercase().as_str()) {
        return Err(Refused::bad(
            "tgtrunk-bot runs this bot, and logOut or close would end it for all its programs",
        ));
    }
    if !may_pass(rest) {
        return Err(Refused::not_found());
    }
    if rest.eq_ignore_ascii_case(FILE) {
        return file(&office, rest, request).await;
    }
    pass(&office, Place::Method(rest), request).await
}

/// Where a file is. A Bot API server of one's own may tell it by a path that holds the bot's token.
async fn file(office: &Office, method: &str, mut request: Request) -> Result<Response, Refused> {
    request.headers_mut().remove(ACCEPT_ENCODING);
    let (mut parts, body) = pass(office, Place::Method(method), request).await?.into_parts();
    let unreadable = || Refused::down("what Telegram tells of the file cannot be read");
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| unreadable())?;
    let told = String::from_utf8(body.into()).map_err(|_| unreadable())?;
    let told = without_token(told, office.token.as_str()).ok_or_else(unreadable)?;
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, told.into()))
}

/// An answer to `getFile` with a path that begins behind the token. None when the token is elsewhere, too.
fn without_token(told: String, token: &str) -> Option<String> {
    let secret = token.split_once(':').map_or(token, |(_, secret)| secret);
    let mut answer: Value = serde_json::from_str(&told).ok()?;
    let path = answer.pointer("/result/file_path").and_then(Value::as_str);
    let behind = path.and_then(|path| path.rsplit_once(secret)).map(|(_, behind)| behind);
    if let Some(behind) = behind {
        let place = behind.split_once('/').map_or("", |(_, place)| place).to_owned();
        answer["result"]["file_path"] = Value::String(place);
    } else if !told.contains(secret) {
        return Some(told);
    }
    Some(answer.to_string()).filter(|told| !told.contains(secret))
}

/// Whether it is a method's name, and none that ends the bot.
pub(super) fn may_pass(method: &str) -> bool {
    let is_name =
        !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name && !ENDS.contains(&method.to_ascii_lowercase().as_str())
}

async fn pass(office: &Office, place: Place<'_>, request: Request) -> Result<Response, Refused> {
    let url = office.api.place(place).ok_or_else(Refused::not_found)?;
    office.api.pass(url, request).await.map_err(|failure| {
        tracing::warn!(%failure, "a program's request did not reach Telegram");
        Refused::down(failure)
    })
}

async fn params(request: Request) -> Result<Params, Refused> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| Refused::too_large())?;
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Params::read(parts.uri.query().unwrap_or_default(), kind, &body)
}

/// The bot's id, with which a token begins.
fn id(token: &str) -> &str {
    token.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_bot_that_is_being_opened_is_down_and_not_unknown() {
        let offices = Offices::new(&[]).unwrap();
        let token: BotToken = "42:abcdefghijklmnopqrstuvwxyz".parse().unwrap();
        let code = async |shown: &str| offices.admit(shown).await.err().map(|refused| refused.code);
        assert_eq!(code(token.as_str()).await, Some(401));
        let _place = offices.begin(&token);
        assert_eq!(code(token.as_str()).await, Some(502));
        assert_eq!(offices.admits(token.as_str()).await, Err(Denied::Starting));
        assert_eq!(offices.admits("43:abc").await, Err(Denied::Nobody));
        for (shown, told) in [("43:abc", 401), ("x", 404), ("", 404), ("42", 404), ("42:", 404), (":a", 404)]
        {
            assert_eq!(code(shown).await, Some(told), "{shown}");
        }
        offices.end(&token);
        assert_eq!(code(token.as_str()).await, Some(401));
    }

    #[test]
    fn where_a_file_is_does_not_tell_the_bots_token() {
        let token = "42:abc-secret";
        let told =
            |path: &str| json!({"ok": true, "result": {"file_id": "1", "file_path": path}}).to_string();
        let file = told("documents/file_1.pdf");
        assert_eq!(without_token(file.clone(), token), Some(file.clone()));
        for root in
            ["/var/lib/telegram-bot-api/42:abc-secret", "D:/42~abc-secret", "/a/42:abc-secret/42:abc-secret"]
        {
            assert_eq!(
                without_token(told(&format!("{root}/documents/file_1.pdf")), token),
                Some(file.clone())
            );
        }
        let refused = r#"{"ok":false,"error_code":400,"description":"Bad Request"}"#;
        assert_eq!(without_token(refused.to_owned(), token).as_deref(), Some(refused));
        let elsewhere = json!({"ok": false, "description": "/42:abc-secret/x"}).to_string();
        assert_eq!(without_token(elsewhere, token), None);
        assert_eq!(without_token("no JSON".to_owned(), token), None);
    }

    #[test]
    fn only_names_of_methods_are_passed_on() {
        assert!(may_pass("sendMessage") && may_pass("SENDPHOTO"));
        for other in ["", "..", "a/b", "getMe%2f", "logOut", "CLOSE", "test/getMe"] {
            assert!(!may_pass(other), "{other}");
        }
    }
}
