//! An instance behind the router, on a port of its own, and a client of HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, Response};
use serde_json::Value;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use tgtrunk_messages::green::{self, Pace};
use tgtrunk_messages::{
    Former, House, Instance, InstanceId, InstanceKind, Messenger, Office, Options, Refused, Settings, Store,
    Token,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::telegram::Played;

/// How long anything may take that happens by itself.
const LIMIT: Duration = Duration::from_secs(10);

/// An instance behind the router.
pub(crate) struct Stage {
    pub(crate) instance: Instance,
    pub(crate) telegram: Arc<Played>,
    pub(crate) office: Arc<Desk>,
    pub(crate) house: House,
    pub(crate) token: String,
    pub(crate) base: String,
    client: reqwest::Client,
    pool: SqlitePool,
    pub(crate) folder: tempfile::TempDir,
}

/// Where the partner's instances are made.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) did: Mutex<Vec<String>>,
    former: Mutex<Vec<Former>>,
}

/// The partner's token.
pub(crate) const PARTNER: &str = "gac.0123456789";

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::at(Pace::Free).await
    }

    pub(crate) async fn at(pace: Pace) -> Self {
        Self::with(pace, |_| {}).await
    }

    /// Its options are changed first.
    pub(crate) async fn with(pace: Pace, change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let file =
            SqliteConnectOptions::new().filename(folder.path().join("client.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(file).await.unwrap();
        let telegram: Arc<Played> = Arc::default();
        let mut options = Options::new(InstanceKind::User, "office", folder.path().join("files"), &base);
        change(&mut options);
        let messenger = Arc::clone(&telegram) as Arc<dyn Messenger>;
        let store = Store::open(pool.clone()).await.unwrap();
        let instance = Instance::open(store, messenger, options).await.unwrap();
        let token = instance.renew_token().await.unwrap().reveal().to_owned();
        let office: Arc<Desk> = Arc::default();
        let house = House::new(Arc::clone(&office) as Arc<dyn Office>);
        house.enter(instance.clone());
        let router = green::router(house.clone(), pace);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let client = reqwest::Client::new();
        Self { instance, telegram, office, house, token, base, client, pool, folder }
    }

    /// The instance's database is closed under it.
    pub(crate) async fn close_database(&self) {
        self.pool.close().await;
    }

    /// The path of a method.
    pub(crate) fn path(&self, method: &str) -> String {
        format!("/waInstance{}/{method}/{}", self.instance.id(), self.token)
    }

    /// Calls a method, and gives the code and the JSON that it is answered.
    pub(crate) async fn call(&self, verb: &str, method: &str, body: Value) -> (u16, Value) {
        self.ask(verb, &self.path(method), body).await
    }

    /// Calls a method that is done.
    pub(crate) async fn done(&self, verb: &str, method: &str, body: Value) -> Value {
        let (code, value) = self.call(verb, method, body).await;
        assert_eq!(code, 200, "{method}: {value}");
        value
    }

    pub(crate) async fn ask(&self, verb: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        json(self.send(verb, path, &[("content-type", "application/json")], body).await).await
    }

    pub(crate) async fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let verb = Method::from_bytes(verb.as_bytes()).unwrap();
        let mut request = self.client.request(verb, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).send().await.unwrap()
    }

    /// Writes bytes as they are, and gives what is answered until the server hangs up.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let address = self.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Waits until Telegram has so many messages.
    pub(crate) async fn sent(&self, count: usize) {
        let waited = timeout(LIMIT, async {
            while self.telegram.orders().len() < count || self.instance.queue_len().await.unwrap() > 0 {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.telegram.orders());
    }
}

pub(crate) async fn json(response: Response) -> (u16, Value) {
    let code = response.status().as_u16();
    let kind = response.headers().get("content-type").cloned();
    assert_eq!(kind.unwrap(), "application/json; charset=utf-8");
    let text = response.text().await.unwrap();
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}")))
}

/// The keys of an object.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("{value}")).keys().map(String::as_str).collect()
}

#[async_trait]
impl Office for Desk {
    async fn create(&self, name: &str, settings: Settings) -> Result<(InstanceId, Token), Refused> {
        let (url, token) = (&settings.webhook_url, &settings.webhook_token);
        self.did.lock().unwrap().push(format!("create {name} {:?} {url} {token}", settings.on));
        Ok((InstanceId::new(4_100_000_002).unwrap(), Token::new()))
    }

    async fn delete(&self, id: InstanceId) -> Result<(), Refused> {
        self.did.lock().unwrap().push(format!("delete {id}"));
        let former =
            Former { id, name: "shop".to_owned(), created_s: 1_763_115_112, deleted_s: 1_763_115_113 };
        self.former.lock().unwrap().push(former);
        Ok(())
    }

    fn former(&self) -> Vec<Former> {
        self.former.lock().unwrap().clone()
    }

    async fn reboot(&self, id: InstanceId) -> Result<(), Refused> {
        self.did.lock().unwrap().push(format!("reboot {id}"));
        Ok(())
    }

    fn is_partner(&self, said: &str) -> bool {
        said == PARTNER
    }
}
