//! A line with a program that has a token of the action API, the people around it, and files on a web server.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::NewUser;
use tokio::time::{Instant, sleep};

use crate::program::{Program, json_of};
use crate::support::{COMPANY, Client, SOON, Scene, line, phone};
use crate::web::Web;
use crate::witness::{Person, Witness};

pub(crate) const ANNA: &str = "79001112233";
pub(crate) const BORIS: &str = "79001112244";

/// The keys of every message that is told.
const MESSAGE: [&str; 15] = [
    "attachments",
    "chat",
    "date",
    "date_unix",
    "entities",
    "forwarded",
    "from",
    "id_message",
    "message_id",
    "out",
    "reply_to_message_id",
    "scheduled",
    "silent",
    "status",
    "text",
];
/// Those of some.
const MESSAGE_OF_SOME: [&str; 6] = ["contact", "deleted", "edited", "left_out", "location", "poll"];

/// The stage. All that runs on it ends with it.
pub(crate) struct Stage {
    // What dies first stands first.
    _witness: Witness,
    client: Option<Client>,
    pub(crate) scene: Scene,
    pub(crate) caller: Caller,
    /// The same instance as GREEN-API's clients call it.
    pub(crate) program: Program,
    /// The line's own account on another device.
    pub(crate) own: Person,
    pub(crate) anna: Person,
    pub(crate) boris: Person,
    pub(crate) web: Web,
    _folder: tempfile::TempDir,
}

/// A program with a token. Clones have the same.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) token: String,
}

/// What a call came to.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

/// An address that is one stage's alone: a port that is free for a moment may be another's in the next.
fn own_address() -> String {
    static STAGES: AtomicU32 = AtomicU32::new(1);
    let (stage, process) = (STAGES.fetch_add(1, Ordering::Relaxed), std::process::id());
    format!("127.{}.{}.{}:8091", 64 + (process >> 8) % 64, process % 256, stage % 255)
}

impl Stage {
    /// With a session of the account.
    pub(crate) async fn open() -> Self {
        Self::set(true).await
    }

    /// With none yet.
    pub(crate) async fn without_session() -> Self {
        Self::set(false).await
    }

    async fn set(is_logged_in: bool) -> Self {
        let scene = Scene::new(line()).await;
        // The next process is called where the first one was.
        let text = std::fs::read_to_string(scene.settings()).unwrap();
        let text = text.replace(
            "[api]\nlisten = \"127.0.0.1:0\"\n",
            &format!("[api]\nlisten = \"{}\"\n", own_address()),
        );
        std::fs::write(scene.settings(), text).unwrap();
        scene.world().add_user(NewUser::new(BORIS, "Boris").username("boris_b")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::log_in(&scene, &[COMPANY, ANNA, BORIS], folder.path()).await;
        let [own, anna, boris] = [COMPANY, ANNA, BORIS].map(|phone| witness.person(phone));
        for (one, other) in [(&own, ANNA), (&own, BORIS), (&anna, COMPANY), (&boris, COMPANY), (&anna, BORIS)]
        {
            one.can("meet", json!({"phone": other})).await;
        }
        let client = if is_logged_in {
            let gateway = scene.gateway();
            scene.log_in().await;
            drop(gateway);
            scene.client().await
        } else {
            scene.run()
        };
        let caller = Caller::new(&scene, phone().as_str()).await;
        let program = Program::with_token(&scene).await;
        let web = Web::start(&folder.path().join("web")).await;
        Self {
            _witness: witness,
            client: Some(client),
            scene,
            caller,
            program,
            own,
            anna,
            boris,
            web,
            _folder: folder,
        }
    }

    /// As the system kills a program; nothing of it goes on.
    pub(crate) async fn kill(&mut self) {
        self.client.take().unwrap().kill().await;
    }

    /// The next process, once it can be called.
    pub(crate) async fn start(&mut self) {
        self.client = Some(self.scene.client().await);
        let end = Instant::now() + SOON;
        while self.caller.called("get_profile", &json!({})).await.is_none_or(|told| told.status != 200) {
            assert!(Instant::now() < end, "the client does not answer");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has something done, and gives the result.
    pub(crate) async fn does(&self, action: &str, said: Value) -> Value {
        self.caller.does(action, said).await
    }

    /// Is refused something, and gives the error.
    pub(crate) async fn refuses(&self, action: &str, said: Value, code: &str) -> Value {
        let told = self.caller.asks(action, &said).await;
        told.refused(code, &format!("{action} {said}"))
    }

    /// The account learns whose the numbers around it are.
    pub(crate) async fn meets_all(&self) {
        for phone in [ANNA, BORIS] {
            self.does("get_profile", json!({"dialog": format!("+{phone}")})).await;
        }
    }

    /// Waits for what Anna gets from the account.
    pub(crate) async fn anna_gets(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.anna.message(self.own.id, is_wanted).await
    }

    /// What stands in Anna's chat with the account, the oldest first.
    pub(crate) fn at_anna(&self) -> Vec<String> {
        self.scene.anna_sees().into_iter().map(|message| message.text).collect()
    }

    /// How many messages are in the outgoing queue.
    pub(crate) async fn queued(&self) -> Value {
        self.program.get("showMessagesQueue").await.as_array().unwrap().len().into()
    }
}

impl Caller {
    /// Gets a token of the running client: for a line, or for `--all`.
    pub(crate) async fn new(scene: &Scene, whose: &str) -> Self {
        let end = Instant::now() + SOON;
        let told = loop {
            let arguments = ["action-token", "make", whose, "--label", "test"];
            let done = scene.command(&arguments).output().await.unwrap();
            if done.status.success() {
                break String::from_utf8(done.stdout).unwrap();
            }
            assert!(Instant::now() < end, "no token: {done:?}");
            sleep(Duration::from_millis(50)).await;
        };
        let after = |what: &str| told.split(what).nth(1).unwrap_or_else(|| panic!("{what}: {told}"));
        let token = after("actionToken:").trim_start().split(['\n', ' ']).next().unwrap().to_owned();
        let url = after("\" http").split("/api/v1").next().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: format!("http{url}"), token }
    }

    /// Calls an action; none if nobody answers.
    pub(crate) async fn called(&self, action: &str, said: &Value) -> Option<Told> {
        let address = format!("{}/api/v1/actions/{action}", self.url);
        let request = self.http.post(address.trim_end_matches('/')).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/json").body(said.to_string()).send().await;
        Some(Told::of(answer.ok()?).await)
    }

    pub(crate) async fn asks(&self, action: &str, said: &Value) -> Told {
        self.called(action, said).await.unwrap_or_else(|| panic!("{action} {said}: nobody answers"))
    }

    pub(crate) async fn does(&self, action: &str, said: Value) -> Value {
        let told = self.asks(action, &said).await;
        told.done(&format!("{action} {said}"))
    }

    /// What is known of a job.
    pub(crate) async fn job(&self, id: &Value) -> Told {
        let id = id.as_str().unwrap_or_else(|| panic!("no job: {id}"));
        let address = format!("{}/api/v1/jobs/{id}", self.url);
        Told::of(self.http.get(address).bearer_auth(&self.token).send().await.unwrap()).await
    }

    /// Waits until a job is done or failed, and tells of it.
    pub(crate) async fn until_settled(&self, id: &Value) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let job = self.job(id).await.done("a job");
            assert_eq!(job["job_id"], *id, "{job}");
            assert!(!job["created"].is_null() && !job["action"].is_null(), "{job}");
            if job["state"] != "waiting" {
                assert!(!job["finished"].is_null(), "{job}");
                return job;
            }
            assert!(Instant::now() < end, "never settled: {job}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Told {
    pub(crate) async fn of(answer: reqwest::Response) -> Self {
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(header("content-type").as_deref(), Some("application/json; charset=utf-8"));
        let retry_after = header("retry-after");
        Self { status, retry_after, body: json_of(answer).await }
    }

    /// The result of what was done.
    pub(crate) fn done(&self, what: &str) -> Value {
        let Self { status, body, .. } = self;
        assert!(*status == 200 && body["ok"] == true, "{what}: {status} {body}");
        let mut keys = keys(body);
        keys.retain(|key| key != "job_id");
        assert_eq!(keys, ["ok", "result"], "{what}: {body}");
        body["result"].clone()
    }

    /// The error of what was not, which is whole.
    pub(crate) fn refused(&self, code: &str, what: &str) -> Value {
        let Self { status, retry_after, body } = self;
        let error = &body["error"];
        assert!(body["ok"] == false && error["code"] == code, "{what}: {status} {body}");
        let sentence = error["message"].as_str().unwrap_or_default();
        assert!(sentence.contains(' ') && sentence.len() > 8, "no sentence for people: {body}");
        assert!(error["retryable"].is_boolean(), "{body}");
        let header = error["retry_after"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!(*retry_after, header, "the header says what the body says: {body}");
        error.clone()
    }

    pub(crate) fn job(&self) -> &Value {
        assert!(self.body["job_id"].is_string(), "no job: {}", self.body);
        &self.body["job_id"]
    }
}

/// A message of ours as it was told, which has all its keys and no others.
pub(crate) fn is_message(told: &Value) {
    let found: BTreeSet<&str> =
        told.as_object().unwrap_or_else(|| panic!("{told}")).keys().map(String::as_str).collect();
    let (all, some) = (BTreeSet::from(MESSAGE), BTreeSet::from(MESSAGE_OF_SOME));
    let missing: Vec<_> = all.difference(&found).collect();
    let strange: Vec<_> = found.difference(&all).filter(|key| !some.contains(*key)).collect();
    assert!(missing.is_empty() && strange.is_empty(), "no {missing:?}, but {strange:?} in {told:#}");
    assert!(told["message_id"].is_i64() && told["id_message"].is_string(), "{told}");
    assert!(told["date"].as_str().is_some_and(|date| date.ends_with('Z') || date.contains('+')), "{told}");
    assert_eq!(keys(&told["chat"]), ["id", "title", "type", "username"], "{told}");
    assert_eq!(keys(&told["from"]), ["id", "name", "phone", "username"], "{told}");
}

/// What an object has, in order.
pub(crate) fn keys(of: &Value) -> Vec<String> {
    let all = of.as_object().unwrap_or_else(|| panic!("no object: {of}"));
    all.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Waits for so long that whatever is under way would be there.
pub(crate) async fn a_while() {
    sleep(Duration::from_secs(2)).await;
}

#[expect(clippy::disallowed_methods, reason = "a test's clock")]
pub(crate) fn unix_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
