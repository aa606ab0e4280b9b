//! Calls that programs have placed: who may, what is told of them, and that a key places one call.

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_config::Callee;
use tgtrunk_config::control::{CallEnd, CallInfo, CallState, Ender, Refusal, RefusalCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use crate::call_events::record;
use crate::program::Program;
use crate::support::{Client, Gateway, Scene, eventually, line, phone};

const PLACED: &str = "000000000000b001";

struct Shop {
    scene: Scene,
    gateway: Gateway,
    client: Option<Client>,
    program: Program,
}

impl Shop {
    async fn open() -> Self {
        let scene = Scene::new(line()).await;
        let gateway = scene.gateway();
        gateway.told.lock().unwrap().pid = Some(4711);
        scene.log_in().await;
        // Nobody else takes ports of this address.
        let port = std::net::TcpListener::bind("127.91.0.1:0").unwrap().local_addr().unwrap().port();
        let text = std::fs::read_to_string(scene.settings()).unwrap();
        let (from, to) =
            ("[api]\nlisten = \"127.0.0.1:0\"\n", format!("[api]\nlisten = \"127.91.0.1:{port}\"\n"));
        std::fs::write(scene.settings(), text.replace(from, &to)).unwrap();
        let client = scene.client().await;
        let program = Program::with_token(&scene).await;
        Self { scene, gateway, client: Some(client), program }
    }

    async fn ask(&self, method: reqwest::Method, path: &str, token: &str, body: Value) -> (u16, Value) {
        let request = self.program.http.request(method, format!("{}/api/v1/calls{path}", self.program.url));
        let request = request.bearer_auth(token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let code = answer.status().as_u16();
        (code, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn place(&self, body: Value) -> (u16, Value) {
        self.ask(reqwest::Method::POST, "", &self.program.token, body).await
    }

    async fn show(&self, call: &str) -> (u16, Value) {
        self.ask(reqwest::Method::GET, &format!("/{call}"), &self.program.token, Value::Null).await
    }

    fn joined(&self) -> usize {
        self.gateway.told.lock().unwrap().joined.len()
    }

    async fn kill(&mut self) {
        self.client.take().unwrap().kill().await;
    }

    async fn start(&mut self) {
        self.client = Some(self.scene.client().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_a_call_placed_follows_it_and_ends_another() {
    let shop = Shop::open().await;
    let (code, told) = shop.place(json!({"to": "+7 999 000-00-00", "extension": "201"})).await;
    assert_eq!((code, &told), (200, &json!({"ok": true, "result": {"call_id": PLACED, "state": "ringing"}})));
    let joined = shop.gateway.told.lock().unwrap().joined.clone();
    assert_eq!(
        (&joined[0].0, joined[0].1.as_str()),
        (&Callee::Phone("+79990000000".parse().unwrap()), "201")
    );
    let dials = shop.gateway.told.lock().unwrap().calls[0].clone();
    let state = async || {
        let (code, told) = shop.show(PLACED).await;
        assert_eq!(code, 200, "{told}");
        (told["result"]["state"].clone(), told["result"]["rings"].clone())
    };
    assert_eq!(state().await, (json!("ringing"), json!("extension")));
    shop.gateway.tell(&CallInfo { state: CallState::Ringing, ..dials.clone() });
    until(&shop, "user").await;
    let talks =
        CallInfo { state: CallState::Answered, answered_ms: Some(dials.started_ms + 3_000), ..dials.clone() };
    shop.gateway.tell(&talks);
    until(&shop, "talking").await;
    let (_, list) = shop.ask(reqwest::Method::GET, "", &shop.program.token, Value::Null).await;
    assert_eq!(list["result"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["result"][0]["call_id"], &list["result"][0]["extension"]),
        (&json!(PLACED), &json!("201"))
    );
    let end = CallEnd {
        by: Ender::Telegram,
        cause: "Normal call clearing".into(),
        sip_status: None,
        q850: Some(16),
    };
    let over = CallInfo { state: CallState::Ended, duration_ms: Some(7_000), end: Some(end), ..talks };
    shop.gateway.tell(&over);
    until(&shop, "ended").await;
    let (_, told) = shop.show(PLACED).await;
    let result = &told["result"];
    assert_eq!((&result["duration_ms"], &result["ended_by"]), (&json!(7_000), &json!("telegram")), "{told}");
    assert_eq!(result["cause"]["q850"], 16);

    let (_, told) = shop.place(json!({"to": "@anna_k", "extension": 201, "line": phone().as_str()})).await;
    let second = told["result"]["call_id"].as_str().unwrap().to_owned();
    let (code, told) =
        shop.ask(reqwest::Method::DELETE, &format!("/{second}"), &shop.program.token, Value::Null).await;
    assert_eq!((code, &told["result"]["state"]), (200, &json!("ended")));
    eventually("no call", || shop.gateway.told.lock().unwrap().calls.is_empty()).await;
    let (code, _) =
        shop.ask(reqwest::Method::DELETE, &format!("/{PLACED}"), &shop.program.token, Value::Null).await;
    assert_eq!(code, 200, "over is over");
    eventually("nothing is up", || shop.gateway.told.lock().unwrap().calls.is_empty()).await;
    let (code, told) = shop.ask(reqwest::Method::GET, "", &shop.program.token, Value::Null).await;
    assert_eq!((code, &told["result"]), (200, &json!([])));
}

/// Half an order is read from nobody without a token.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_places_a_call_is_not_waited_for() {
    let shop = Shop::open().await;
    let address = shop.program.url.strip_prefix("http://").unwrap().to_owned();
    let told = async |token: &str| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /api/v1/calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 10\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut told = vec![0; 12];
        stream.read_exact(&mut told).await.unwrap();
        String::from_utf8(told).unwrap()
    };
    let answered = timeout(Duration::from_secs(5), told("nobody")).await;
    assert_eq!(answered.expect("it waits for a stranger's body"), "HTTP/1.1 401");
    assert!(timeout(Duration::from_millis(300), told(&shop.program.token)).await.is_err());
    let long = json!({"to": "@anna_k", "extension": "2".repeat(70_000)});
    let (code, told) = shop.place(long).await;
    assert_eq!((code, &told["error"]["code"]), (413, &json!("bad_request")), "{told}");
    assert_eq!(shop.joined(), 0);
}

/// What a key's call became is told, and nobody is told that nothing is up where nobody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_order_tells_how_its_call_is_and_without_a_gateway_nobody_knows_what_is_up() {
    let shop = Shop::open().await;
    let wanted = json!({"to": "@anna_k", "extension": "201", "idempotency_key": "k"});
    let (_, told) = shop.place(wanted.clone()).await;
    assert_eq!(told["result"]["state"], "ringing", "{told}");
    let dials = shop.gateway.told.lock().unwrap().calls[0].clone();
    let answered_ms = Some(dials.started_ms + 3_000);
    let talks = CallInfo { state: CallState::Answered, answered_ms, ..dials };
    shop.gateway.tell(&talks);
    until(&shop, "talking").await;
    let (_, told) = shop.place(wanted.clone()).await;
    assert_eq!(told["result"], json!({"call_id": PLACED, "state": "talking"}));
    shop.gateway.ends(&talks);
    until(&shop, "ended").await;
    let (_, told) = shop.place(wanted.clone()).await;
    assert_eq!(told["result"], json!({"call_id": PLACED, "state": "ended"}));

    // A token of all lines names one.
    let made =
        shop.scene.command(&["action-token", "make", "--all", "--label", "CRM"]).output().await.unwrap();
    let made = String::from_utf8_lossy(&made.stdout).into_owned();
    let token = made.split("actionToken: ").nth(1).unwrap().lines().next().unwrap();
    let (code, told) = shop.ask(reqwest::Method::POST, "", token, wanted.clone()).await;
    assert_eq!((code, &told["error"]["code"]), (400, &json!("bad_request")), "{told}");
    let named = json!({"line": phone().as_str(), "to": "@anna_k", "extension": "202"});
    let (code, told) = shop.ask(reqwest::Method::POST, "", token, named).await;
    assert_eq!((code, &told["result"]["state"]), (200, &json!("ringing")), "{told}");

    let Shop { scene, gateway, client, program } = shop;
    drop(gateway);
    let gone = async || {
        let request = program.http.get(format!("{}/api/v1/calls", program.url)).bearer_auth(&program.token);
        request.send().await.unwrap().status().as_u16()
    };
    for _ in 0..400 {
        if gone().await == 503 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(gone().await, 503);
    // Whose call it was is known from the disk all the same.
    let request = program.http.get(format!("{}/api/v1/calls/{PLACED}", program.url));
    let answer = request.bearer_auth(&program.token).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    drop((scene, client));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_and_what_cannot_be_is_refused_and_nobody_is_called() {
    let shop = Shop::open().await;
    let good = json!({"to": "@anna_k", "extension": "201"});
    let error = |told: &Value| told["error"]["code"].as_str().unwrap().to_owned();
    for token in ["", "wrong", &shop.program.token[1..]] {
        let (code, told) = shop.ask(reqwest::Method::POST, "", token, good.clone()).await;
        assert_eq!((code, error(&told).as_str()), (401, "unauthorized"));
    }
    let (code, _) = shop.ask(reqwest::Method::GET, "", "wrong", Value::Null).await;
    assert_eq!(code, 401);
    let other = json!({"to": "@anna_k", "extension": "201", "line": "+79990000001"});
    let (code, told) = shop.place(other).await;
    assert_eq!((code, error(&told).as_str()), (403, "unauthorized"));
    for bad in [
        json!({"to": "@anna_k", "extension": "a@b"}),
        json!({"to": "@anna_k", "extension": ""}),
        json!({"to": "nobody", "extension": "201"}),
        json!({"to": "@anna_k"}),
        json!({"to": "@anna_k", "extension": "201", "ring": 1}),
    ] {
        let (code, told) = shop.place(bad.clone()).await;
        assert_eq!((code, error(&told).as_str()), (400, "bad_request"), "{bad}");
        assert_eq!(told["error"]["retryable"], false);
    }
    for (refusal, to, code, word, retryable) in [
        (RefusalCode::UnknownPerson, "+79990000000", 404, "no_telegram_account", false),
        (RefusalCode::UnknownPerson, "@nobody_k", 404, "dialog_not_found", false),
        (RefusalCode::BadRequest, "424242", 404, "dialog_not_found", false),
        (RefusalCode::NotAuthorized, "@anna_k", 409, "not_authorized", false),
        (RefusalCode::Telegram, "@anna_k", 429, "flood_wait", true),
        (RefusalCode::Limit, "@anna_k", 429, "flood_wait", true),
        (RefusalCode::Strangers, "@anna_k", 429, "flood_wait", true),
        (RefusalCode::Forbidden, "@anna_k", 403, "not_allowed", false),
        (RefusalCode::Internal, "@anna_k", 500, "internal", false),
    ] {
        shop.gateway.told.lock().unwrap().join_refusal =
            Some(Refusal { code: refusal, message: "why".into() });
        let (status, told) = shop.place(json!({"to": to, "extension": "201", "idempotency_key": "k"})).await;
        assert_eq!((status, error(&told).as_str()), (code, word), "{refusal:?}");
        assert_eq!(
            (&told["error"]["retryable"], &told["error"]["message"]),
            (&json!(retryable), &json!("why"))
        );
    }
    let (code, told) = shop.show("00000000000000ff").await;
    assert_eq!((code, error(&told).as_str()), (404, "call_not_found"));
    assert_eq!(shop.joined(), 0);
    shop.gateway.told.lock().unwrap().join_refusal = None;
    let (code, _) = shop.place(json!({"to": "@anna_k", "extension": "201", "idempotency_key": "k"})).await;
    assert_eq!((code, shop.joined()), (200, 1), "a key under which nobody was called is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_all_lines_names_one_and_is_good_until_it_is_revoked() {
    let shop = Shop::open().await;
    let token = async |whose: &str| {
        let arguments = ["action-token", "make", whose, "--label", "crm"];
        let done = shop.scene.command(&arguments).output().await.unwrap();
        let told = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{told}");
        told.split("actionToken: ").nth(1).unwrap().lines().next().unwrap().to_owned()
    };
    let (all, own) = (token("--all").await, token(phone().as_str()).await);
    let bare = json!({"to": "@anna_k", "extension": "201"});
    let named = json!({"to": "@anna_k", "extension": "201", "line": phone().as_str()});
    let place =
        async |token: &str, body: &Value| shop.ask(reqwest::Method::POST, "", token, body.clone()).await.0;
    assert_eq!(place(&all, &bare).await, 400, "it is good for all, and says of none");
    assert_eq!(place(&all, &named).await, 200);
    assert_eq!((place(&own, &bare).await, place(&own, &named).await), (200, 200));
    let other = json!({"to": "@anna_k", "extension": "201", "line": "+79990000001"});
    assert_eq!(place(&own, &other).await, 403);
    let (_, list) = shop.ask(reqwest::Method::GET, "", &all, Value::Null).await;
    assert_eq!(list["result"].as_array().unwrap().len(), 3, "{list}");
    for number in ["1", "2"] {
        let done = shop.scene.command(&["action-token", "revoke", number]).output().await.unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    assert_eq!((place(&all, &named).await, place(&own, &bare).await), (401, 401));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_places_one_call_though_the_client_is_killed_at_any_moment() {
    let mut shop = Shop::open().await;
    let wanted = json!({"to": "@anna_k", "extension": "201", "idempotency_key": "order-7"});
    let (code, first) = shop.place(wanted.clone()).await;
    assert_eq!(code, 200, "{first}");
    assert_eq!(shop.place(wanted.clone()).await, (200, first.clone()));
    let (code, _) =
        shop.place(json!({"to": "@boris_k", "extension": "201", "idempotency_key": "order-7"})).await;
    assert_eq!(code, 400, "the same key for somebody else");
    shop.kill().await;
    shop.start().await;
    assert_eq!(shop.place(wanted.clone()).await, (200, first));
    assert_eq!(shop.joined(), 1);

    // The gateway places it, and nobody hears that: the client is killed meanwhile.
    shop.gateway.told.lock().unwrap().joins_silently = true;
    let lost = json!({"to": "@anna_k", "extension": "202", "idempotency_key": "order-8"});
    let asking = shop.place(lost.clone());
    tokio::select! {
        told = asking => panic!("{told:?}"),
        () = async { while shop.joined() < 2 { sleep(Duration::from_millis(10)).await; } } => {}
    }
    shop.kill().await;
    shop.gateway.told.lock().unwrap().joins_silently = false;
    shop.start().await;
    // Why it cannot be placed now does not tell whether it was placed then.
    for code in [RefusalCode::UnknownLine, RefusalCode::Internal, RefusalCode::Limit] {
        shop.gateway.told.lock().unwrap().join_refusal = Some(Refusal { code, message: "not now".into() });
        let (status, told) = shop.place(lost.clone()).await;
        assert_eq!((status >= 400, &told["error"]["retryable"]), (true, &json!(true)), "{told}");
    }
    shop.gateway.told.lock().unwrap().join_refusal = None;
    let (code, told) = shop.place(lost.clone()).await;
    assert_eq!((code, &told["result"]["call_id"]), (200, &json!("000000000000b002")), "{told}");
    assert_eq!(shop.joined(), 2);

    // The gateway was started anew, too, and knows the call from its records alone.
    shop.gateway.told.lock().unwrap().joins_silently = true;
    let recorded = json!({"to": "@anna_k", "extension": "203", "idempotency_key": "order-9"});
    tokio::select! {
        told = shop.place(recorded.clone()) => panic!("{told:?}"),
        () = async { while shop.joined() < 3 { sleep(Duration::from_millis(10)).await; } } => {}
    }
    shop.kill().await;
    {
        let mut known = shop.gateway.told.lock().unwrap();
        known.joins_silently = false;
        known.pid = Some(4712);
        known.keys.clear();
        let call = known.calls.pop().unwrap();
        known.records.insert(0, record(&call, None, 100));
        known.calls.clear();
    }
    shop.start().await;
    let (code, told) = shop.place(recorded).await;
    assert_eq!((code, &told["result"]["call_id"]), (200, &json!("000000000000b003")), "{told}");

    // It was stopped before it placed anything: nobody can tell, and nobody is called.
    shop.gateway.told.lock().unwrap().joins_silently = true;
    let never = json!({"to": "@anna_k", "extension": "204", "idempotency_key": "order-10"});
    tokio::select! {
        told = shop.place(never.clone()) => panic!("{told:?}"),
        () = async { while shop.joined() < 4 { sleep(Duration::from_millis(10)).await; } } => {}
    }
    shop.kill().await;
    {
        let mut known = shop.gateway.told.lock().unwrap();
        known.joins_silently = false;
        known.pid = Some(4713);
        known.keys.clear();
        known.calls.clear();
    }
    shop.start().await;
    let (code, told) = shop.place(never).await;
    assert_eq!((code, &told["error"]["retryable"]), (500, &json!(false)), "{told}");
    assert_eq!(shop.joined(), 4);
}

/// Waits until the call is in this state, or rings there.
async fn until(shop: &Shop, wanted: &str) {
    for _ in 0..400 {
        let (_, told) = shop.show(PLACED).await;
        if told["result"]["state"] == wanted || told["result"]["rings"] == wanted {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("the call never was {wanted}");
}
