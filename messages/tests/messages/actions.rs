//! Actions: jobs that are done once, whatever is repeated, refused or killed in between.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_messages::{
    Denied, Former, Gate, Grant, House, Instance, InstanceId, News, Office, Refused, Settings, Standing,
    Token, actions,
};
use tokio::net::TcpListener;

use crate::support::{Played, Room, Say, from_anna, until};

/// What the tokens of these tests are good for.
struct Keeper(InstanceId);

struct Nobody;

/// An instance behind the router.
pub(crate) struct Stage {
    pub(crate) room: Room,
    pub(crate) instance: Instance,
    pub(crate) house: House,
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
}

#[async_trait::async_trait]
impl Gate for Keeper {
    async fn admits(&self, token: &str) -> Result<Grant, Denied> {
        match token {
            "one" => Ok(Grant::Instance(self.0)),
            "all" => Ok(Grant::All),
            _ => Err(Denied::Nobody),
        }
    }

    fn instance_of(&self, phone: &str) -> Option<InstanceId> {
        match phone.trim_start_matches('+') {
            "79990000001" => Some(self.0),
            "79990000002" => InstanceId::new(self.0.get() ^ 1),
            _ => None,
        }
    }
}

#[async_trait::async_trait]
impl Office for Nobody {
    async fn create(&self, _: &str, _: Settings) -> Result<(InstanceId, Token), Refused> {
        Err(Refused::Bad("none is made here".to_owned()))
    }

    async fn delete(&self, _: InstanceId) -> Result<(), Refused> {
        Err(Refused::Bad("none is deleted here".to_owned()))
    }

    async fn reboot(&self, _: InstanceId) -> Result<(), Refused> {
        Ok(())
    }

    fn former(&self) -> Vec<Former> {
        Vec::new()
    }

    fn is_partner(&self, _: &str) -> bool {
        false
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::of(Room::new()).await
    }

    pub(crate) async fn of(room: Room) -> Self {
        let instance = room.open().await;
        let house = House::new(Arc::new(Nobody));
        house.enter(instance.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = actions::router(house.clone(), Arc::new(Keeper(instance.id())));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { room, instance, house, base, client: reqwest::Client::new() }
    }

    /// The same as after a crash.
    pub(crate) async fn again(self) -> Self {
        self.instance.close();
        let Self { room, instance, .. } = self;
        drop(instance);
        Self::of(room).await
    }

    pub(crate) fn telegram(&self) -> &Played {
        &self.room.telegram
    }

    pub(crate) async fn act(&self, action: &str, said: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/api/v1/actions/{action}", self.base)).bearer_auth("one");
        answer(request.body(said.to_string()).send().await.unwrap()).await
    }

    pub(crate) async fn done(&self, action: &str, said: Value) -> Value {
        let (status, value) = self.act(action, said).await;
        assert_eq!((status, &value["ok"]), (200, &json!(true)), "{action}: {value}");
        value
    }

    /// An action that is refused: status, and the error.
    pub(crate) async fn refused(&self, action: &str, said: Value) -> (u16, Value) {
        let (status, value) = self.act(action, said).await;
        assert_eq!(value["ok"], false, "{action}: {value}");
        (status, value)
    }

    async fn job(&self, id: &Value) -> Value {
        let url = format!("{}/api/v1/jobs/{}", self.base, id.as_str().unwrap());
        let (status, value) = answer(self.client.get(url).bearer_auth("one").send().await.unwrap()).await;
        assert_eq!(status, 200, "{value}");
        value["result"].clone()
    }

    pub(crate) async fn job_ends(&self, id: &Value) -> Value {
        until("the job ends", async || self.job(id).await["state"] != "waiting").await;
        self.job(id).await
    }
}

async fn answer(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

fn hello(key: &str) -> Value {
    json!({"dialog": 5, "text": "hello", "idempotency_key": key})
}

#[tokio::test]
async fn what_is_sent_is_told_with_its_numbers() {
    let stage = Stage::new().await;
    let told = stage
        .done("send_message", json!({"dialog": "5", "text": "<b>Привет</b>", "format": "html", "silent": 1}))
        .await;
    let message = &told["result"];
    assert_eq!((&message["message_id"], &message["text"]), (&json!(100), &json!("Привет")), "{message}");
    assert_eq!(message["entities"], json!([{"offset": 0, "length": 6, "type": "bold"}]));
    assert_eq!(
        (&message["silent"], &message["out"], &message["status"]),
        (&json!(true), &json!(true), &json!("sent"))
    );
    assert_eq!((&message["chat"]["id"], &message["chat"]["type"]), (&json!(5), &json!("private")));
    assert_eq!(message["from"]["phone"], "+79990000001");
    assert!(stage.telegram().orders.lock().unwrap()[0].is_silent);
    let job = stage.job(&told["job_id"]).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("done"), message));
    // The other form, for hosts that select the action in the body.
    let request = stage.client.post(format!("{}/api/v1/actions", stage.base)).bearer_auth("all");
    let said = json!({"action": "send_message", "line": "+79990000001", "dialog": 5, "text": "two"});
    let (status, value) = answer(request.body(said.to_string()).send().await.unwrap()).await;
    assert_eq!((status, &value["result"]["text"]), (200, &json!("two")), "{value}");
}

#[tokio::test]
async fn one_key_is_one_message_however_often_and_when_it_is_said() {
    let stage = Stage::new().await;
    stage.telegram().say([Say::SentLate(Duration::from_millis(300))]);
    let calls = (0..10).map(|_| stage.done("send_message", hello("order-1")));
    let told = futures(calls).await;
    assert!(told.iter().all(|value| *value == told[0]), "{told:?}");
    let stage = stage.again().await;
    assert_eq!(stage.done("send_message", hello("order-1")).await, told[0]);
    assert_eq!(stage.telegram().texts(), ["hello"]);
    let (status, value) = stage
        .refused("send_message", json!({"dialog": 5, "text": "other", "idempotency_key": "order-1"}))
        .await;
    assert_eq!((status, &value["error"]["code"]), (409, &json!("bad_request")), "{value}");
    // How it is answered makes it no other request.
    let queued = json!({"dialog": 5, "text": "hello", "idempotency_key": "order-1", "mode": "queue"});
    assert_eq!(stage.done("send_message", queued).await["job_id"], told[0]["job_id"]);
    assert_eq!(stage.telegram().texts(), ["hello"]);
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in all.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn whoever_waits_too_short_is_told_so_and_finds_the_job_done() {
    let stage = Stage::new().await;
    stage.telegram().say([Say::SentLate(Duration::from_millis(900))]);
    let said = json!({"dialog": 5, "text": "hello", "timeout_ms": 200});
    let (status, value) = stage.refused("send_message", said).await;
    assert_eq!((status, &value["error"]["code"]), (504, &json!("timeout")), "{value}");
    assert_eq!(value["error"]["retryable"], false, "said again without a key it would be sent twice");
    for _ in 0..3 {
        assert_eq!(stage.job(&value["job_id"]).await["state"], "waiting");
    }
    let job = stage.job_ends(&value["job_id"]).await;
    assert_eq!((&job["state"], &job["result"]["message_id"]), (&json!("done"), &json!(100)), "{job}");
    assert_eq!(stage.telegram().texts(), ["hello"]);
}

#[tokio::test]
async fn a_job_that_waits_survives_a_crash_and_its_key_finds_it() {
    let stage = Stage::new().await;
    stage.telegram().stands(Standing::Starting);
    let mut said = hello("once");
    said["mode"] = "queue".into();
    let queued = stage.done("send_message", said).await;
    assert_eq!(queued["result"]["queued"], true, "{queued}");
    let stage = stage.again().await;
    assert_eq!(stage.job(&queued["job_id"]).await["state"], "waiting");
    stage.telegram().stands(Standing::Authorized);
    let told = stage.done("send_message", hello("once")).await;
    assert_eq!((&told["job_id"], &told["result"]["message_id"]), (&queued["job_id"], &json!(100)), "{told}");
    assert_eq!(stage.telegram().texts(), ["hello"]);
}

#[tokio::test]
async fn what_telegram_wants_later_is_taken_back_and_may_be_said_again() {
    let stage = Stage::new().await;
    stage.telegram().say([Say::Fail(tgtrunk_messages::Failure::Flood { seconds: 600 })]);
    let (status, value) = stage.refused("send_message", hello("a")).await;
    let error = &value["error"];
    assert_eq!(
        (status, &error["code"], &error["retryable"]),
        (429, &json!("flood_wait"), &json!(true)),
        "{value}"
    );
    assert!((590..=602).contains(&error["retry_after"].as_u64().unwrap()), "{value}");
    assert_eq!(stage.instance.queue_len().await.unwrap(), 0, "it is not sent behind anybody's back");
    let (again, other) = stage.refused("send_message", hello("a")).await;
    assert_eq!((again, &other["error"]["code"]), (429, &json!("flood_wait")), "{other}");
    assert_ne!(other["job_id"], value["job_id"], "nothing of the first was sent: it was begun anew");
    assert_eq!(stage.job(&value["job_id"]).await["state"], "failed");
}

#[tokio::test]
async fn a_refusal_for_good_holds_for_its_key_and_names_its_cause() {
    let stage = Stage::new().await;
    let sentence = "the person's privacy settings do not allow it".to_owned();
    let refusal = tgtrunk_messages::Failure::Refused { word: "privacy_restricted", sentence };
    stage.telegram().say([Say::Fail(refusal)]);
    let (status, value) = stage.refused("send_message", hello("a")).await;
    assert_eq!((status, &value["error"]["code"]), (403, &json!("privacy_restricted")), "{value}");
    assert_eq!(value["error"]["message"], "the person's privacy settings do not allow it");
    let (_, again) = stage.refused("send_message", hello("a")).await;
    assert_eq!(again, value);
    assert_eq!(stage.telegram().orders.lock().unwrap().len(), 1);
    let (status, value) = stage.refused("send_message", json!({"dialog": "+79990000009", "text": "x"})).await;
    assert_eq!((status, &value["error"]["code"]), (404, &json!("no_telegram_account")), "{value}");
}

#[tokio::test]
async fn an_instance_that_is_logged_out_sends_nothing_for_whoever_waits() {
    let stage = Stage::new().await;
    stage.telegram().stands(Standing::NotAuthorized);
    let (status, value) = stage.refused("send_message", hello("a")).await;
    assert_eq!((status, &value["error"]["code"]), (409, &json!("not_authorized")), "{value}");
    assert_eq!((stage.instance.queue_len().await.unwrap(), value.get("job_id")), (0, None), "{value}");
    let mut queued = hello("a");
    queued["mode"] = "queue".into();
    let queued = stage.done("send_message", queued).await;
    stage.telegram().stands(Standing::Authorized);
    assert_eq!(stage.job_ends(&queued["job_id"]).await["state"], "done");
    // Logged out while somebody waits.
    stage.telegram().stands(Standing::Starting);
    let waits = stage.refused("send_message", json!({"dialog": 5, "text": "late"}));
    let (waited, ()) = tokio::join!(waits, async {
        until("it is in the queue", async || stage.instance.queue_len().await.unwrap() == 1).await;
        stage.telegram().stands(Standing::NotAuthorized);
    });
    assert_eq!((waited.0, &waited.1["error"]["code"]), (409, &json!("not_authorized")), "{}", waited.1);
    assert_eq!((stage.instance.queue_len().await.unwrap(), stage.telegram().texts().len()), (0, 1));
}

#[tokio::test]
async fn what_is_to_be_sent_later_is_sent_then_and_lets_others_pass() {
    let stage = Stage::new().await;
    let at_ms = tgtrunk_shell::clock::unix_ms() + 1500;
    let told = stage.done("send_message", json!({"dialog": 5, "text": "later", "schedule_at": at_ms})).await;
    let result = &told["result"];
    assert_eq!((&result["scheduled"], &result["job_id"]), (&json!(true), &told["job_id"]), "{told}");
    stage.done("send_message", json!({"dialog": 5, "text": "now"})).await;
    assert_eq!(stage.telegram().texts(), ["now"]);
    let stage = stage.again().await;
    let job = stage.job_ends(&told["job_id"]).await;
    assert_eq!(job["state"], "done", "{job}");
    assert!(tgtrunk_shell::clock::unix_ms() >= at_ms);
    assert_eq!(stage.telegram().texts(), ["now", "later"]);
    // One that is taken back is not sent.
    let far = json!({"dialog": 5, "text": "never", "schedule_at": "2027-01-01T10:00:00Z"});
    let told = stage.done("send_message", far).await;
    let id = told["result"]["id_message"].clone();
    let gone = stage.done("delete_message", json!({"dialog": 5, "message_ids": [id]})).await;
    assert_eq!(gone["result"], json!({"deleted": 1, "failed": []}));
    let job = stage.job(&told["job_id"]).await;
    assert_eq!(
        (&job["state"], &job["error"]["code"]),
        (&json!("failed"), &json!("message_not_found")),
        "{job}"
    );
    let past = json!({"dialog": 5, "text": "x", "schedule_at": 1_700_000_000, "past": "error"});
    let (status, value) = stage.refused("send_message", past).await;
    assert!(
        status == 400 && value["error"]["message"].as_str().unwrap().contains("'schedule_at'"),
        "{value}"
    );
}

#[tokio::test]
async fn changes_are_done_in_their_order_and_survive_a_crash() {
    let stage = Stage::new().await;
    let sent = stage.done("send_message", json!({"dialog": 5, "text": "one"})).await;
    let id = sent["result"]["id_message"].clone();
    let edited = stage
        .done("edit_message", json!({"dialog": 5, "message_id": id, "text": "*two*", "format": "markdown"}))
        .await;
    assert_eq!(
        (&edited["result"]["text"], &edited["result"]["message_id"]),
        (&json!("two"), &json!(100)),
        "{edited}"
    );
    assert!(edited["result"]["edited"].is_string());
    let queued = json!({"dialog": 5, "message_ids": [id], "mode": "queue", "idempotency_key": "d"});
    let told = stage.done("delete_message", queued.clone()).await;
    let stage = stage.again().await;
    let job = stage.job_ends(&told["job_id"]).await;
    assert_eq!((&job["state"], &job["result"]["deleted"]), (&json!("done"), &json!(1)), "{job}");
    assert_eq!(stage.done("delete_message", queued).await["job_id"], told["job_id"]);
    assert!(stage.telegram().deleted.lock().unwrap().contains(&100));
}

#[tokio::test]
async fn what_cannot_be_so_is_named_and_nothing_is_queued() {
    let stage = Stage::new().await;
    for (action, said, code, words) in [
        ("send_message", json!({"dialog": 5}), "bad_request", "'text'"),
        ("send_message", json!({"text": "a"}), "bad_request", "'dialog' must be a chat's number"),
        ("send_message", json!({"dialog": "anna", "text": "a"}), "bad_request", "it is \"anna\""),
        (
            "send_message",
            json!({"dialog": 5, "text": "a", "colour": 1}),
            "bad_request",
            "'colour' means nothing to send_message",
        ),
        (
            "send_message",
            json!({"dialog": 5, "text": "a", "mode": "later"}),
            "bad_request",
            "\"wait\" or \"queue\"",
        ),
        (
            "send_message",
            json!({"dialog": 5, "text": "a", "connection": "bot"}),
            "bad_request",
            "'connection'",
        ),
        ("send_message", json!({"dialog": 5, "text": "<b>a", "format": "html"}), "markup_error", "'text'"),
        ("send_message", json!({"dialog": 5, "text": "a".repeat(4097)}), "too_long", "4096"),
        (
            "send_message",
            json!({"dialog": 5, "text": "a", "buttons": {"inline_keyboard": []}}),
            "unsupported_for_user",
            "bots",
        ),
        (
            "send_message",
            json!({"dialog": 5, "attachments": [{"url": "ftp://x/a"}]}),
            "bad_request",
            "attachments[0].url",
        ),
        (
            "send_message",
            json!({"dialog": 5, "attachments": [{"url": "http://127.0.0.1:9/a.pdf"}]}),
            "attachment_failed",
            "attachments[0]",
        ),
        (
            "send_location",
            json!({"dialog": 5, "latitude": 91, "longitude": 0}),
            "bad_request",
            "-90 to 90; it is 91",
        ),
        ("send_contact", json!({"dialog": 5, "phone": "x", "first_name": "A"}), "bad_request", "'phone'"),
        (
            "forward_message",
            json!({"dialog": 5, "from_dialog": 5, "message_ids": []}),
            "bad_request",
            "'message_ids'",
        ),
        (
            "forward_message",
            json!({"dialog": 5, "from_dialog": 5, "message_ids": [77]}),
            "message_not_found",
            "77",
        ),
        ("edit_message", json!({"dialog": 5, "message_id": 77, "text": "a"}), "message_not_found", "77"),
        ("delete_message", json!({"dialog": 5, "message_ids": [77]}), "message_not_found", "77"),
        ("get_messages", json!({"dialog": 5, "limit": 101}), "bad_request", "1 to 100"),
        ("get_dialogs", json!({"type": "shop"}), "bad_request", "'type'"),
        ("dance", json!({}), "bad_request", "'dance' is no action"),
    ] {
        let (status, value) = stage.refused(action, said.clone()).await;
        let error = &value["error"];
        assert_eq!(error["code"], code, "{action} {said}: {value}");
        assert!(error["message"].as_str().unwrap().contains(words), "{action} {said}: {value}");
        assert!((400..500).contains(&status), "{status} {value}");
    }
    assert_eq!(
        (stage.instance.queue_len().await.unwrap(), stage.telegram().orders.lock().unwrap().len()),
        (0, 0)
    );
    let send = |bearer: &'static str, body: &'static str| {
        let request = stage.client.post(format!("{}/api/v1/actions/send_message", stage.base));
        let request = if bearer.is_empty() { request } else { request.bearer_auth(bearer) };
        async move { answer(request.body(body).send().await.unwrap()).await }
    };
    let (status, value) = send("other", "{}").await;
    assert_eq!((status, &value["error"]["code"]), (401, &json!("unauthorized")), "{value}");
    assert_eq!(send("", "{}").await.0, 401);
    assert_eq!(send("one", "[1]").await.0, 400);
    assert_eq!(send("one", "{\"dialog\":").await.0, 400);
    let (status, value) = send("all", "{\"dialog\":5,\"text\":\"a\"}").await;
    assert!(status == 400 && value["error"]["message"].as_str().unwrap().contains("'line'"), "{value}");
    let response = stage.client.get(format!("{}/api/v1/actions/send_message", stage.base)).bearer_auth("one");
    assert_eq!(answer(response.send().await.unwrap()).await.0, 405);
    let unknown = stage.client.get(format!("{}/api/v1/jobs/0123", stage.base)).bearer_auth("one");
    assert_eq!(answer(unknown.send().await.unwrap()).await.0, 404);
}

#[tokio::test]
async fn what_was_promised_is_not_taken_back_by_whoever_asks_again() {
    let stage = Stage::new().await;
    stage.telegram().say([Say::Fail(tgtrunk_messages::Failure::Flood { seconds: 2 })]);
    let mut queued = hello("a");
    queued["mode"] = "queue".into();
    let told = stage.done("send_message", queued).await;
    until("Telegram has said to wait", async || stage.telegram().orders.lock().unwrap().len() == 1).await;
    let mut impatient = hello("a");
    impatient["timeout_ms"] = 100.into();
    let (status, value) = stage.refused("send_message", impatient).await;
    assert_eq!(
        (status, &value["error"]["code"], &value["job_id"]),
        (504, &json!("timeout"), &told["job_id"]),
        "{value}"
    );
    assert_eq!(value["error"]["retryable"], true, "under its key it may be said again");
    assert_eq!(stage.job_ends(&told["job_id"]).await["state"], "done");
    assert_eq!(stage.telegram().texts(), ["hello"]);
}

#[tokio::test]
async fn an_instance_that_is_opened_anew_in_the_middle_answers_what_came_of_it() {
    let stage = Stage::new().await;
    stage.telegram().stands(Standing::Starting);
    let waits = stage.done("send_message", json!({"dialog": 5, "text": "hello"}));
    let (told, _again) = tokio::join!(waits, async {
        until("it is in the queue", async || stage.instance.queue_len().await.unwrap() == 1).await;
        stage.house.rest(stage.instance.id());
        stage.instance.close();
        let again = stage.room.open().await;
        stage.house.enter(again.clone());
        stage.telegram().stands(Standing::Authorized);
        again
    });
    assert_eq!(told["result"]["message_id"], 100, "{told}");
    assert_eq!(stage.telegram().texts(), ["hello"]);
}

#[tokio::test]
async fn what_was_sent_in_part_is_told_and_its_key_does_not_send_it_again() {
    let stage = Stage::new().await;
    let sentence = "the account may not do this in the chat".to_owned();
    let refusal = tgtrunk_messages::Failure::Refused { word: "privacy_restricted", sentence };
    stage.telegram().say([Say::Sent, Say::Fail(refusal)]);
    let text = format!("{}\n{}", "a".repeat(4000), "b".repeat(4000));
    let said = json!({"dialog": 5, "text": text, "split": true, "idempotency_key": "long"});
    let (status, value) = stage.refused("send_message", said.clone()).await;
    let error = &value["error"];
    assert_eq!(
        (status, &error["code"], &error["may_be_sent"]),
        (403, &json!("privacy_restricted"), &json!(true)),
        "{error}"
    );
    assert_eq!(
        (error["sent"].as_array().unwrap().len(), &error["sent"][0]["message_id"]),
        (1, &json!(100)),
        "{error}"
    );
    assert_eq!(stage.refused("send_message", said).await.1, value);
    assert_eq!(stage.telegram().texts().len(), 1);
}

#[tokio::test]
async fn a_long_text_is_one_job_and_several_messages() {
    let stage = Stage::new().await;
    let text = format!("<b>{}</b>\n{}", "a".repeat(4090), "b".repeat(20));
    let said = json!({"dialog": 5, "text": text, "format": "html", "split": true});
    let told = stage.done("send_message", said).await;
    let all = told["result"].as_array().unwrap();
    assert_eq!(all.iter().map(|message| &message["message_id"]).collect::<Vec<_>>(), [100, 101], "{told}");
    assert_eq!(all[0]["entities"], json!([{"offset": 0, "length": 4090, "type": "bold"}]));
    assert_eq!((&all[1]["text"], &all[1]["entities"]), (&json!("b".repeat(20)), &json!([])));
    // One that is deleted goes whole.
    let id = all[0]["id_message"].clone();
    stage.done("delete_message", json!({"dialog": 5, "message_ids": [id]})).await;
    assert_eq!(*stage.telegram().deleted.lock().unwrap(), [100, 101]);
}

#[tokio::test]
async fn another_account_at_the_number_does_nothing_that_was_asked_of_the_one_before() {
    let stage = Stage::new().await;
    let sent = stage.done("send_message", json!({"dialog": 5, "text": "one"})).await;
    stage.telegram().stands(Standing::NotAuthorized);
    let id = sent["result"]["message_id"].clone();
    let queued = json!({"dialog": 5, "message_ids": [id], "mode": "queue"});
    let told = stage.done("delete_message", queued).await;
    let waits = stage.refused("delete_message", json!({"dialog": 5, "message_ids": [id]})).await;
    assert_eq!((waits.0, &waits.1["error"]["code"]), (409, &json!("not_authorized")), "{}", waits.1);
    stage.telegram().accounts_before.store(1, std::sync::atomic::Ordering::Relaxed);
    stage.telegram().stands(Standing::Authorized);
    let job = stage.job_ends(&told["job_id"]).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("not_authorized")), "{job}");
    assert!(stage.telegram().deleted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_chat_of_the_journal_is_read_to_its_end() {
    let stage = Stage::new().await;
    for number in 1..=1_100 {
        let mut message = from_anna(number, &format!("message {number}"));
        message.date_s = 1_800_000_000 + i64::from(number);
        stage.instance.take(News::New(Box::new(message))).await.unwrap();
    }
    let (mut seen, mut from) = (Vec::new(), Value::Null);
    loop {
        let told = stage.done("get_messages", json!({"dialog": 5, "limit": 100, "from_id": from})).await;
        let page = told["result"]["messages"].as_array().unwrap().clone();
        seen.extend(page.iter().map(|message| message["text"].as_str().unwrap().to_owned()));
        from = told["result"]["next"].clone();
        if from.is_null() {
            break;
        }
    }
    let all: Vec<_> = (1..=1_100).rev().map(|number| format!("message {number}")).collect();
    assert_eq!(seen, all);
    let found = |said: Value| {
        let stage = &stage;
        async move { stage.done("get_messages", said).await["result"]["messages"].as_array().unwrap().len() }
    };
    assert_eq!(found(json!({"dialog": 5, "query": "message 7", "until": 1_800_000_010})).await, 1);
    assert_eq!(found(json!({"dialog": 5, "since": 1_800_001_091})).await, 10);
}

#[tokio::test]
async fn changes_of_one_chat_are_done_in_their_order_however_it_is_named() {
    let stage = Stage::new().await;
    let sent = stage.done("send_message", json!({"dialog": "+79990000005", "text": "zero"})).await;
    let id = &sent["result"]["id_message"];
    stage.telegram().edits_take.lock().unwrap().push_back(Duration::from_secs(1));
    for (dialog, text) in [("+79990000005", "one"), ("5", "two")] {
        let said = json!({"dialog": dialog, "message_id": id, "text": text, "mode": "queue"});
        stage.done("edit_message", said).await;
    }
    until("both are done", async || stage.telegram().edited.lock().unwrap().len() == 2).await;
    assert_eq!(*stage.telegram().edited.lock().unwrap(), ["one", "two"]);
}
