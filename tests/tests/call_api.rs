//! Click to call: a program orders a call over HTTP, a foreign phone is the extension, and a webhook hears of it all.

#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_test_telegram::{NewUser, venv};
use tgtrunk_tests::baresip::{self, Baresip};
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::database;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::measure::{LEAST_SHARE, Tones};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::program::{Kind, Program};
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::{self, Meter};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(15);
const TALK: Duration = Duration::from_secs(3);
const TONES: Tones = Tones::USUAL;
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";
const BORIS: &str = "+79161111112";

/// What a program does with Python's own HTTP.
const PROGRAM: &str = r#"
import json, sys, urllib.error, urllib.request
method, url, token, body = sys.argv[1:5]
request = urllib.request.Request(url, data=body.encode() or None, method=method,
    headers={"Authorization": "Bearer " + token, "Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=30) as answer:
        print(json.dumps({"status": answer.status, "body": json.load(answer)}))
except urllib.error.HTTPError as error:
    print(json.dumps({"status": error.code, "body": json.load(error)}))
"#;

/// What hears of calls.
const RECEIVER: &str = r#"
import json
from http.server import BaseHTTPRequestHandler, HTTPServer

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps({"signature": self.headers.get("X-Tgtrunk-Signature"), "body": body}), flush=True)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *words):
        pass

server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_program_has_a_phone_and_a_person_joined_and_hears_how_it_went() {
    let webhook = Webhook::start().await;
    let shop = Shop::open(&format!("call_webhook_url = \"{}\"\n", webhook.url)).await;
    let (url, token) = (shop.url.clone(), shop.token.clone());
    let (_, mut anna) = shop.person(NewUser::new(ANNA, "Anna").username("anna"));
    let Shop { stage, mut phone, gateway, client, .. } = shop;

    for (wrong, status, code) in [
        (json!({"to": "+79990000009", "extension": baresip::USER}), 404, "no_telegram_account"),
        (json!({"to": "@nobody_here", "extension": baresip::USER}), 404, "dialog_not_found"),
        (json!({"to": "@anna", "extension": "a@b"}), 400, "bad_request"),
        (json!({"to": "@anna", "extension": "201", "line": "+79060000001"}), 403, "unauthorized"),
    ] {
        let answer = asked("POST", &url, &token, &wrong.to_string()).await;
        assert_eq!(answer["status"], status, "{answer}");
        assert_eq!(answer["body"]["error"]["code"], code);
    }
    assert_eq!(asked("POST", &url, "wrong", "{}").await["status"], 401);

    // The account has never met her.
    let wanted = json!({"to": "@anna", "extension": baresip::USER, "idempotency_key": "lead-1"}).to_string();
    let placed = asked("POST", &url, &token, &wanted).await;
    assert_eq!(placed["status"], 200, "{placed}");
    let call = placed["body"]["result"]["call_id"].as_str().unwrap().to_owned();
    assert_eq!(asked("POST", &url, &token, &wanted).await, placed, "the same key is the same call");
    let at_anna = anna.connected(LIMIT).await.unwrap();
    sleep(TALK).await;
    let shown = asked("GET", &format!("{url}/{call}"), &token, "").await;
    assert_eq!(shown["body"]["result"]["state"], "talking", "{shown}");
    assert_eq!(shown["body"]["result"]["peer"]["username"], "anna", "{shown}");
    let ended = asked("DELETE", &format!("{url}/{call}"), &token, "").await;
    assert_eq!(ended["body"]["result"]["state"], "ended", "{ended}");
    let (reason, _) = anna.discarded(LIMIT).await.unwrap();
    assert_eq!(reason, Some(Reason::Hangup));
    phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    let share = share_of(&anna.heard(at_anna).payloads[10..], TONES.pbx_hz).unwrap();
    assert!(share >= LEAST_SHARE, "{share} of what the person hears is the phone");
    let heard = phone.finish().await.unwrap();
    let half = &heard.samples[heard.samples.len() / 2..];
    let share = tone::share_of(half, heard.rate_hz, &[TONES.telegram_hz]);
    assert!(share >= LEAST_SHARE, "{share} of what the phone hears is the person");

    let told = webhook.of(&call, 3).await;
    let events: Vec<&str> = told.iter().map(|one| one["body"]["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["call.start", "call.answer", "call.end"]);
    assert!(told.iter().all(|one| one["signature"].is_null()), "nothing is signed without a secret");
    let end = &told[2]["body"];
    assert_eq!((&end["direction"], &end["extension"]), (&json!("out"), &json!(baresip::USER)), "{end}");
    assert!(end["duration_ms"].as_u64().unwrap() >= 2_500, "{end}");
    assert_eq!(end["quality"]["telegram"]["codec"], "opus", "{end}");
    client.stop().await.unwrap();
    gateway.unwrap().stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_and_a_name_ring_whoever_has_them_now() {
    let mut shop = Shop::open("").await;
    let (hers, mut anna) = shop.person(NewUser::new(ANNA, "Anna").username("sales"));
    let (his, mut boris) = shop.person(NewUser::new(BORIS, "Boris"));
    assert_eq!(shop.rings(&mut anna, "+7 916 111-11-11").await, hers);
    assert_eq!(shop.rings(&mut anna, "@Sales").await, hers);

    // She gives the name up and he takes it, of which nobody tells the account; it asks when that is some time ago.
    shop.stage.world().set_username(hers, None);
    shop.stage.world().set_username(his, Some("sales"));
    let gateway = shop.gateway.take().unwrap();
    gateway.stop().await.unwrap();
    let database = shop.stage.installation.state.join(COMPANY).join("gateway.db");
    let age = "UPDATE tg_lookup SET looked_up_at = looked_up_at - ?";
    assert!(database::change(&database, age, &[3_601]).unwrap() >= 2, "number and name are remembered");
    shop.gateway = Some(shop.stage.run(&[&shop.line]).await.unwrap());
    assert_eq!(shop.rings(&mut boris, "@sales").await, his);
    assert_eq!(shop.rings(&mut anna, ANNA).await, hers, "the number is hers still");
    let Shop { stage, gateway, client, .. } = shop;
    client.stop().await.unwrap();
    gateway.unwrap().stop().await.unwrap();
    stage.done();
}

/// A line whose PBX is a foreign phone, and a program that may have calls placed.
struct Shop {
    stage: Stage,
    line: Line,
    phone: Baresip,
    gateway: Option<Gateway>,
    client: Program,
    url: String,
    token: String,
}

impl Shop {
    /// `api` stands in the settings' section of this name, too.
    async fn open(api: &str) -> Self {
        let stage = Stage::on_loopback().await.unwrap();
        let port = tgtrunk_tests::ports::free().unwrap();
        let text = std::fs::read_to_string(&stage.installation.config).unwrap();
        let api = format!("[api]\nlisten = \"127.0.0.1:{port}\"\n{api}");
        std::fs::write(&stage.installation.config, text.replace("[api]\nlisten = \"off\"\n", &api)).unwrap();
        let line = stage.line(COMPANY).unwrap();
        let options = baresip::Options { codec: Codec::Pcma, ..baresip::Options::default() };
        let phone = Baresip::start(&options).await.unwrap();
        let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
        stage.open(&line, phone.sip, draft).await.unwrap();
        let gateway = Some(stage.run(&[&line]).await.unwrap());
        stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
        Kind::Client.ask(&stage.installation, &["login", COMPANY], "", LIMIT).await.unwrap();
        let client = Kind::Client.start(&stage.installation).await.unwrap();
        let token = token(&stage).await;
        Self {
            stage,
            line,
            phone,
            gateway,
            client,
            url: format!("http://127.0.0.1:{port}/api/v1/calls"),
            token,
        }
    }

    /// Somebody who answers.
    fn person(&self, user: NewUser) -> (i64, LightUser) {
        let plays = circle(TONES.telegram_hz, 60).unwrap();
        let app = light_user::Options::playing(plays).answering(Answering::After(Duration::from_secs(1)));
        let id = self.stage.user(user).unwrap();
        (id, LightUser::switch_on(self.stage.world(), id, app).unwrap())
    }

    /// Has a call placed that somebody answers, and ends it; gives whom the program was told to have called.
    async fn rings(&mut self, who: &mut LightUser, to: &str) -> i64 {
        let wanted = json!({"to": to, "extension": baresip::USER}).to_string();
        let placed = asked("POST", &self.url, &self.token, &wanted).await;
        assert_eq!(placed["status"], 200, "{to}: {placed}");
        let call = placed["body"]["result"]["call_id"].as_str().unwrap().to_owned();
        who.connected(LIMIT).await.unwrap();
        let url = format!("{}/{call}", self.url);
        let shown = asked("GET", &url, &self.token, "").await;
        asked("DELETE", &url, &self.token, "").await;
        who.discarded(LIMIT).await.unwrap();
        self.phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
        shown["body"]["result"]["peer"]["id"].as_i64().unwrap_or_else(|| panic!("{to}: {shown}"))
    }
}

/// Takes whatever is told: headers and body.
struct Webhook {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
    _child: Child,
}

impl Webhook {
    async fn start() -> Self {
        let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
        let mut command = Command::new(python);
        command.args(["-c", RECEIVER]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = format!("http://127.0.0.1:{}/calls", lines.next_line().await.unwrap().unwrap());
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                heard.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { url, told, _child: child }
    }

    /// What was told of a call, once it is so much.
    async fn of(&self, call: &str, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            let told: Vec<Value> = self.told.lock().unwrap().clone();
            let told: Vec<Value> = told.into_iter().filter(|one| one["body"]["call_id"] == call).collect();
            if told.len() >= count {
                return told;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{count} events wanted: {:?}", self.told.lock().unwrap())
    }
}

async fn token(stage: &Stage) -> String {
    for _ in 0..100 {
        if let Ok(said) = Kind::Client.ask(&stage.installation, &["token", COMPANY], "", LIMIT).await {
            let rest = said.split("apiTokenInstance:").nth(1).unwrap();
            return rest.split_whitespace().next().unwrap().to_owned();
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("no token");
}

async fn asked(method: &str, url: &str, token: &str, body: &str) -> Value {
    let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
    let mut command = Command::new(python);
    command.args(["-c", PROGRAM, method, url, token, body]).stdin(Stdio::null()).env_remove("http_proxy");
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

fn share_of(payloads: &[Vec<u8>], hz: u32) -> anyhow::Result<f64> {
    let mut meter = Meter::new(hz)?;
    for payload in payloads {
        meter.feed(payload)?;
    }
    Ok(meter.share())
}
