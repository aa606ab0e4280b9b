//! Requests of a program that has a token and may be anybody: of GREEN-API's dialect, of its partner's and of actions, for an
//! account and for a bot, with a query, a type and a body of any kind.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tgtrunk_messages::green::{self, Pace};
use tgtrunk_messages::{
    Denied, Former, Gate, Grant, House, Instance, InstanceId, InstanceKind, Messenger, Office, Options,
    Refused, Settings, Store, Token, actions,
};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tower_service::Service as _;

use super::script::Script;
use super::telegram::Played;

/// What waits for news is hung up on.
const PATIENCE: Duration = Duration::from_millis(40);
/// So many requests one house hears, or its journal would slow down the last of them.
const REQUESTS: u32 = 2_000;
const PARTNER: &str = "gac.0123456789";
/// Who calls for the account and who for the bot.
const BEARERS: [&str; 2] = ["one", "two"];
const ACTIONS: [&str; 11] = [
    "actions",
    "actions/send_message",
    "actions/send_location",
    "actions/send_contact",
    "actions/forward_message",
    "actions/edit_message",
    "actions/delete_message",
    "actions/get_dialogs",
    "actions/get_profile",
    "actions/get_messages",
    "jobs/0",
];
const VERBS: [&str; 4] = ["POST", "GET", "DELETE", "PUT"];
const TYPES: [&str; 6] = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/octet-stream",
    "image/png",
    "",
];

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Has each request of the script answered: none may break what answers, and each is answered in JSON or gets a file.
pub fn take(bytes: &[u8]) {
    PLACE.with_borrow_mut(|place| {
        if place.as_ref().is_some_and(|place| place.heard > REQUESTS) {
            *place = None;
        }
        let place = place.get_or_insert_with(Place::new);
        let mut script = Script::new(bytes);
        while let Some(which) = script.step() {
            place.hear(which, &mut script);
        }
    });
}

struct Place {
    runtime: Runtime,
    green: Router,
    actions: Router,
    /// The account's, the bot's, and their tokens.
    instances: [(Instance, String); 2],
    methods: Vec<&'static str>,
    heard: u32,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let instances = [(InstanceKind::User, "office"), (InstanceKind::Bot, "acme_bot")]
            .map(|(kind, name)| runtime.block_on(open(kind, name, folder.path())));
        let house = House::new(Arc::new(Desk));
        for (instance, _) in &instances {
            house.enter(instance.clone());
        }
        let ids = instances.each_ref().map(|(instance, _)| instance.id());
        Self {
            runtime,
            green: green::router(house.clone(), Pace::Free),
            actions: actions::router(house, Arc::new(Doorkeeper(ids))),
            instances,
            // Another token would shut out what comes behind it.
            methods: green::methods().filter(|method| *method != "updateApiToken").collect(),
            heard: 0,
            _folder: folder,
        }
    }

    fn hear(&mut self, which: u8, script: &mut Script<'_>) {
        self.heard += 1;
        let (verb, kind) = (script.byte(), script.byte());
        let whose = usize::from(verb >> 7);
        let (instance, token) = &self.instances[whose];
        let written_kind = if kind & 0x80 == 0 { String::new() } else { written(script.bytes()) };
        let query = written(script.bytes());
        let body = leads_nowhere(script.bytes());
        let which = usize::from(which) % (self.methods.len() + ACTIONS.len());
        let (path, is_green) = match self.methods.get(which) {
            Some(method) if which + 3 >= self.methods.len() => (format!("/partner/{method}/{PARTNER}"), true),
            Some(method) => (format!("/waInstance{}/{method}/{token}{query}", instance.id()), true),
            None => (format!("/api/v1/{}{query}", ACTIONS[which - self.methods.len()]), false),
        };
        let request = Request::builder()
            .method(VERBS[usize::from(verb) % VERBS.len()])
            .uri(path)
            .header("authorization", format!("Bearer {}", BEARERS[whose]))
            .header("ga-filename", written(&body[..body.len().min(20)]))
            .header("content-type", TYPES.get(usize::from(kind)).copied().unwrap_or(&written_kind));
        let Ok(request) = request.body(Body::from(body)) else { return };
        let router = if is_green { &mut self.green } else { &mut self.actions };
        let answered = self.runtime.block_on(async { timeout(PATIENCE, router.call(request)).await });
        let Ok(Ok(response)) = answered else { return };
        let (status, is_json) =
            (response.status().as_u16(), response.headers().get("content-type").is_some_and(says_json));
        let told = self.runtime.block_on(to_bytes(response.into_body(), usize::MAX)).unwrap();
        assert!(status < 500 || status == 503, "{status}: {}", String::from_utf8_lossy(&told));
        if is_json && !told.is_empty() {
            serde_json::from_slice::<Value>(&told).unwrap();
        }
    }
}

/// An instance over a database of its own, and its token.
async fn open(kind: InstanceKind, name: &str, folder: &Path) -> (Instance, String) {
    let file =
        SqliteConnectOptions::new().filename(folder.join(format!("{name}.db"))).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await.unwrap();
    let options = Options::new(kind, name, folder.join(name), "http://127.0.0.1:1");
    let messenger: Arc<dyn Messenger> = Arc::new(Played::default());
    let instance = Instance::open(Store::open(pool).await.unwrap(), messenger, options).await.unwrap();
    let token = instance.renew_token().await.unwrap().reveal().to_owned();
    (instance, token)
}

/// The body, whose addresses are all of this machine and of a port where nobody is.
fn leads_nowhere(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    for byte in body {
        out.push(*byte);
        if out.ends_with(b"://") {
            out.extend_from_slice(b"127.0.0.1:1/");
        }
    }
    out
}

fn says_json(kind: &axum::http::HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"application/json")
}

/// What may stand in a request line, where the rest may not.
fn written(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).filter(|byte| ('!'..='~').contains(byte)).collect()
}

/// Makes no instances and deletes none.
struct Desk;

#[async_trait]
impl Office for Desk {
    async fn create(&self, _: &str, _: Settings) -> Result<(InstanceId, Token), Refused> {
        Err(Refused::Bad("none is made here".to_owned()))
    }

    async fn delete(&self, _: InstanceId) -> Result<(), Refused> {
        Err(Refused::Bad("none is deleted here".to_owned()))
    }

    fn former(&self) -> Vec<Former> {
        Vec::new()
    }

    async fn reboot(&self, _: InstanceId) -> Result<(), Refused> {
        Ok(())
    }

    fn is_partner(&self, said: &str) -> bool {
        said == PARTNER
    }
}

struct Doorkeeper([InstanceId; 2]);

#[async_trait]
impl Gate for Doorkeeper {
    async fn admits(&self, token: &str) -> Result<Grant, Denied> {
        let whose = BEARERS.iter().position(|bearer| *bearer == token).ok_or(Denied::Nobody)?;
        Ok(Grant::Instance(self.0[whose]))
    }

    fn instance_of(&self, name: &str) -> Option<InstanceId> {
        Some(self.0[usize::from(name == "acme_bot")])
    }
}
