//! Calls told to a webhook, whose receiver is Python: it judges every signature by its own `hmac`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_config::UserId;
use tgtrunk_config::control::{
    CallEnd, CallInfo, CallRecord, CallResult, CallState, Direction, Ender, PbxSide, Peer, TrunkEnd,
};
use tgtrunk_test_telegram::venv;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::program::Program;
use crate::support::{Scene, eventually, info, line, phone, stays};

const SECRET: &str = "0123456789abcdef-secret";

/// Takes events, and answers with the status that stands in a file.
const RECEIVER: &str = r#"
import hmac, json, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

port, secret, told, status = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], sys.argv[4]

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signature = self.headers.get("X-Tgtrunk-Signature")
        good = None
        if signature:
            parts = dict(part.split("=", 1) for part in signature.split(","))
            wanted = hmac.new(secret, parts["t"].encode() + b"." + body, "sha256").hexdigest()
            good = hmac.compare_digest(wanted, parts["v1"]) and abs(time.time() - int(parts["t"])) < 300
        code = int(open(status).read())
        headers = {name.lower(): value for name, value in self.headers.items()}
        with open(told, "a") as file:
            file.write(json.dumps({"good": good, "code": code, "path": self.path, "headers": headers,
                "body": json.loads(body)}) + "\n")
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_POST
    def log_message(self, *words):
        pass

server = HTTPServer(("127.0.0.1", port), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Somebody's program that hears of calls.
pub(crate) struct Receiver {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Child>,
}

impl Receiver {
    async fn start() -> Self {
        let mut receiver = Self { folder: tempfile::tempdir().unwrap(), port: 0, running: None };
        receiver.answers(200);
        receiver.goes_on().await;
        receiver
    }

    /// It listens, on the same port as before.
    async fn goes_on(&mut self) {
        let python = tokio::task::spawn_blocking(venv::python).await.unwrap().unwrap();
        let mut command = Command::new(python);
        command.args(["-c", RECEIVER, &self.port.to_string(), SECRET]).arg(self.told()).arg(self.status());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        self.port = lines.next_line().await.unwrap().unwrap().parse().unwrap();
        self.running = Some(child);
    }

    async fn is_down(&mut self) {
        self.running.take().unwrap().kill().await.unwrap();
    }

    fn answers(&self, status: u16) {
        std::fs::write(self.status(), status.to_string()).unwrap();
    }

    /// Has a scene's calls told here.
    fn hears_of(&self, scene: &Scene) {
        let mut text = std::fs::read_to_string(scene.settings()).unwrap();
        let (port, last) = (self.port, text.rsplit("\n[").next().unwrap().to_owned());
        assert!(last.starts_with("api]"), "{text}");
        text.push_str(&format!(
            "call_webhook_url = \"http://127.0.0.1:{port}/calls?key=1\"\ncall_webhook_secret = \"{SECRET}\"\n"
        ));
        std::fs::write(scene.settings(), text).unwrap();
    }

    /// Everything that came.
    fn heard(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.told()).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Which events were taken: their numbers.
    fn taken(&self) -> Vec<String> {
        let taken = self.heard().into_iter().filter(|heard| heard["code"] == 200);
        taken.map(|heard| heard["body"]["event_id"].as_str().unwrap().to_owned()).collect()
    }

    fn told(&self) -> PathBuf {
        self.folder.path().join("told")
    }

    fn status(&self) -> PathBuf {
        self.folder.path().join("status")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_told_signed_and_in_order() {
    let receiver = Receiver::start().await;
    let scene = Scene::new(line()).await;
    receiver.hears_of(&scene);
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let anna = from_anna(0xa1);
    gateway.tell(&anna);
    gateway.tell(&CallInfo {
        state: CallState::Ringing,
        ringing_ms: Some(anna.started_ms + 100),
        ..anna.clone()
    });
    let answered_ms = Some(anna.started_ms + 2_100);
    let talks = CallInfo {
        state: CallState::Answered,
        ringing_ms: Some(anna.started_ms + 100),
        answered_ms,
        trunk: TrunkEnd { sip_call_id: Some("b7@192.0.2.1".into()), taken_by: Some("204".into()) },
        ..anna.clone()
    };
    gateway.tell(&talks);
    let end =
        CallEnd { by: Ender::Pbx, cause: "Normal call clearing".into(), sip_status: None, q850: Some(16) };
    let over = CallInfo { state: CallState::Ended, duration_ms: Some(5_000), end: Some(end), ..talks };
    gateway.tell(&over);
    let away = CallInfo {
        dialled: Some("+79001112233".into()),
        pbx: Some(Box::new(PbxSide { number: Some("101".into()), ..PbxSide::default() })),
        ..info(0xa2, scene.anna, Direction::PbxToTelegram)
    };
    gateway.tell(&away);
    let end =
        CallEnd { by: Ender::Telegram, cause: "User busy".into(), sip_status: Some(486), q850: Some(17) };
    gateway.tell(&CallInfo { state: CallState::Ended, duration_ms: Some(0), end: Some(end), ..away });
    let [a, b] = ["00000000000000a1", "00000000000000a2"];
    let wanted = [
        format!("{a}.start"),
        format!("{a}.answer"),
        format!("{a}.end"),
        format!("{b}.start"),
        format!("{b}.missed"),
    ];
    eventually("five events", || receiver.taken() == wanted).await;
    let heard = receiver.heard();
    for one in &heard {
        let (headers, body) = (&one["headers"], &one["body"]);
        assert_eq!(one["good"], true, "{one}");
        assert_eq!(one["path"], "/calls?key=1");
        assert_eq!(headers["x-tgtrunk-event"], body["event"]);
        assert_eq!(headers["x-tgtrunk-delivery"], body["event_id"]);
        assert_eq!(headers["x-tgtrunk-attempt"], "1");
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(body["line"], phone().as_str());
    }
    let [start, _, end, _, missed] = [0, 1, 2, 3, 4].map(|at: usize| heard[at]["body"].clone());
    assert_eq!(start["peer"], json!({"id": 5, "username": "anna", "phone": "+79001112233", "name": "Anna"}));
    assert_eq!((&start["direction"], &start["state"]), (&json!("in"), &json!("ringing")));
    assert_eq!((&end["duration_ms"], &end["ring_ms"]), (&json!(5_000), &json!(2_000)));
    assert_eq!((&end["extension"], &end["ended_by"]), (&json!("204"), &json!("pbx")));
    assert_eq!(end["cause"]["q850"], 16);
    assert_eq!((&missed["direction"], &missed["extension"]), (&json!("out"), &json!("101")));
    assert_eq!((&missed["dialled"], &missed["cause"]["sip_status"]), (&json!("+79001112233"), &json!(486)));
    assert_eq!(missed["cause"]["text_ru"], "занято");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_messages_hear_of_calls_once_they_want_to_and_over_a_restart() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    scene.log_in().await;
    let client = scene.client().await;
    let program = Program::new(&scene).await;
    gateway.ends(&from_anna(0xa0));
    assert_eq!(
        program.post("setSettings", json!({"incomingCallWebhook": "yes"})).await["saveSettings"],
        true
    );
    let ringing = from_anna(0xa1);
    gateway.tell(&ringing);
    gateway.tell(&ringing);
    let talking = CallInfo {
        state: CallState::Answered,
        answered_ms: Some(ringing.started_ms + 2_000),
        ..ringing.clone()
    };
    gateway.tell(&talking);
    gateway.tell(&CallInfo { extension: None, ..info(0xb1, 5, Direction::PbxToTelegram) });
    for status in ["offer", "pickUp"] {
        let told = program.next().await;
        assert_eq!(
            (&told["typeWebhook"], &told["status"]),
            (&json!("incomingCall"), &json!(status)),
            "{told}"
        );
        assert_eq!((&told["from"], &told["lineId"]), (&json!("5"), &json!(phone().as_str())), "{told}");
        assert_eq!(told["idMessage"], "00000000000000a1");
        assert_eq!(told["instanceData"]["typeInstance"], "telegram");
    }
    client.kill().await;
    gateway.ends(&talking);
    gateway.told.lock().unwrap().records.push(record(&talking, talking.answered_ms, 9_000));
    let _client = scene.client().await;
    // It listens at another port.
    let program = Program::with_token(&scene).await;
    let told = program.next().await;
    assert_eq!(
        (&told["idMessage"], &told["status"]),
        (&json!("00000000000000a1"), &json!("hangUp")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_refuses_is_asked_again_and_nobody_is_followed_elsewhere() {
    let receiver = Receiver::start().await;
    let scene = Scene::new(line()).await;
    receiver.hears_of(&scene);
    let gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    receiver.answers(500);
    gateway.tell(&from_anna(0xa1));
    gateway.tell(&CallInfo { state: CallState::Ended, ..from_anna(0xa1) });
    eventually("a try", || !receiver.heard().is_empty()).await;
    receiver.answers(302);
    eventually("another", || receiver.heard().last().unwrap()["code"] == 302).await;
    receiver.answers(200);
    eventually("both", || receiver.taken().len() == 2).await;
    let heard = receiver.heard();
    assert!(heard.iter().all(|one| one["path"] == "/calls?key=1"), "{heard:?}");
    let first: Vec<&Value> =
        heard.iter().filter(|one| one["body"]["event"] == "call.start").map(|one| &one["headers"]).collect();
    for (number, headers) in (1..).zip(&first) {
        assert_eq!(headers["x-tgtrunk-attempt"], number.to_string());
        assert_eq!(headers["x-tgtrunk-delivery"], "00000000000000a1.start");
    }
    assert!(first.len() >= 3, "{first:?}");
}

/// The receiver is down, a call is made, the client is killed, calls go on without it, and all is told in the end.
#[tokio::test(flavor = "multi_thread")]
async fn events_outlive_a_receiver_that_is_down_and_a_client_that_is_killed() {
    let mut receiver = Receiver::start().await;
    let scene = Scene::new(line()).await;
    receiver.hears_of(&scene);
    let gateway = scene.gateway();
    // A call of long ago, before anybody wanted to hear of calls.
    gateway.told.lock().unwrap().records.push(record(&from_anna(0x99), None, 100));
    scene.log_in().await;
    let client = scene.client().await;
    receiver.is_down().await;
    let first = CallInfo { started_ms: unix_ms(), ..from_anna(0xa1) };
    gateway.tell(&first);
    let talks =
        CallInfo { state: CallState::Answered, answered_ms: Some(first.started_ms + 500), ..first.clone() };
    gateway.tell(&talks);
    let rings = CallInfo { started_ms: unix_ms(), ..from_anna(0xa2) };
    gateway.tell(&rings);
    let database = scene.state.client_db(&phone());
    let waits = || waiting(&database);
    while waits().await < 3 {
        sleep(Duration::from_millis(20)).await;
    }
    client.kill().await;

    // Nobody listens: the first call ends, the second is answered and ends, a third comes and is missed.
    let third = CallInfo { started_ms: unix_ms(), ..from_anna(0xa3) };
    {
        let mut known = gateway.told.lock().unwrap();
        known.calls.clear();
        known.records = vec![
            record(&third, None, 700),
            record(&rings, Some(rings.started_ms + 200), 900),
            record(&talks, talks.answered_ms, 4_500),
        ];
    }
    // Killed again before it can tell anything.
    let client = scene.client().await;
    sleep(Duration::from_millis(300)).await;
    client.kill().await;
    receiver.goes_on().await;
    let client = scene.client().await;
    let [a, b, c] = ["00000000000000a1", "00000000000000a2", "00000000000000a3"];
    eventually("all of it", || receiver.taken().len() == 7).await;
    let taken = receiver.taken();
    let of = |call: &str| -> Vec<&str> { taken.iter().filter_map(|id| id.strip_prefix(call)).collect() };
    assert_eq!(of(a), [".start", ".answer", ".end"], "{taken:?}");
    assert_eq!(of(b), [".start", ".answer", ".end"], "{taken:?}");
    assert_eq!(of(c), [".missed"], "of a call that was over before anybody heard of it: {taken:?}");
    let end = receiver.heard().into_iter().find(|one| one["body"]["event_id"] == format!("{a}.end")).unwrap();
    assert_eq!(end["body"]["duration_ms"], 4_000);
    assert_eq!(end["good"], true);

    // With the next start nothing is told again.
    client.kill().await;
    let _client = scene.client().await;
    stays("nothing more", Duration::from_secs(2), || receiver.taken().len() == 7).await;
}

/// Calls go on, the client is killed and started, and the receiver is down now and then.
#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told_though_the_client_is_killed_at_any_time() {
    let mut chance = std::env::var("TGTRUNK_SEED").map_or(7_u64, |seed| seed.parse().unwrap()).max(1);
    let mut below = |most: u64| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance % most
    };
    let receiver = Receiver::start().await;
    let scene = Scene::new(line()).await;
    receiver.hears_of(&scene);
    let gateway = scene.gateway();
    scene.log_in().await;
    scene.client().await.kill().await;
    let (mut number, mut open): (u64, Option<(CallInfo, Option<u64>)>) = (0x1000, None);
    let over = |info: &CallInfo, answered_ms| {
        let lasted_ms = unix_ms().saturating_sub(info.started_ms);
        gateway.told.lock().unwrap().records.insert(0, record(info, answered_ms, lasted_ms));
        let duration_ms = Some(answered_ms.map_or(0, |answered_ms| unix_ms().saturating_sub(answered_ms)));
        gateway.tell(&CallInfo { state: CallState::Ended, answered_ms, duration_ms, ..info.clone() });
    };
    for kill in 0..6 {
        receiver.answers(if kill % 3 == 1 { 500 } else { 200 });
        let client = scene.run();
        let lasts = Duration::from_millis(400 + below(1_600));
        let calls = async {
            loop {
                number += 1;
                let info = CallInfo { started_ms: unix_ms(), ..from_anna(number) };
                open = Some((info.clone(), None));
                gateway.tell(&info);
                sleep(Duration::from_millis(below(30))).await;
                let answered_ms = (below(2) == 0).then(unix_ms);
                if answered_ms.is_some() {
                    open = Some((info.clone(), answered_ms));
                    gateway.tell(&CallInfo { state: CallState::Answered, answered_ms, ..info.clone() });
                    sleep(Duration::from_millis(below(30))).await;
                }
                over(&info, answered_ms);
            }
        };
        tokio::time::timeout(lasts, calls).await.unwrap_err();
        client.kill().await;
        if let Some((info, answered_ms)) = open.take() {
            over(&info, answered_ms);
        }
    }
    receiver.answers(200);
    let _client = scene.client().await;
    let calls: Vec<String> = (0x1001..=number).map(|call| format!("{call:016x}")).collect();
    let is_over = |taken: &[String], call: &str| {
        taken.contains(&format!("{call}.end")) || taken.contains(&format!("{call}.missed"))
    };
    eventually("every end", || {
        let taken = receiver.taken();
        calls.iter().all(|call| is_over(&taken, call))
    })
    .await;
    let heard: Vec<Value> = receiver.heard().into_iter().filter(|one| one["code"] == 200).collect();
    for call in &calls {
        let mut told: Vec<Value> =
            heard.iter().map(|one| one["body"].clone()).filter(|body| body["call_id"] == *call).collect();
        // What was taken just before a kill comes once more, and is the same.
        told.dedup();
        let kinds: Vec<&str> = told.iter().map(|body| body["event"].as_str().unwrap()).collect();
        let orders: [&[&str]; 4] = [
            &["call.start", "call.answer", "call.end"],
            &["call.start", "call.missed"],
            &["call.end"],
            &["call.missed"],
        ];
        assert!(orders.contains(&kinds.as_slice()), "{call}: {kinds:?}");
    }
    assert!(heard.iter().all(|one| one["good"] == true));
    assert!(calls.len() > 20, "{}", calls.len());
}

/// How much stands on the client's disk to be told.
async fn waiting(database: &std::path::Path) -> i64 {
    use sqlx::Connection as _;
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(database);
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&file).await.unwrap();
    let count = sqlx::query_scalar("SELECT COUNT(*) FROM cl_call_event WHERE fate = 0");
    let count = count.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

fn from_anna(call: u64) -> CallInfo {
    CallInfo {
        peer: Peer {
            id: UserId::new(5).ok(),
            name: Some("Anna".into()),
            username: Some("anna".into()),
            phone: Some("79001112233".into()),
        },
        started_ms: 1_700_000_000_000,
        ..info(call, 5, Direction::TelegramToPbx)
    }
}

/// What the gateway remembers of a call that lasted so long.
pub(crate) fn record(info: &CallInfo, answered_ms: Option<u64>, lasted_ms: u64) -> CallRecord {
    let by = if answered_ms.is_some() { Ender::Pbx } else { Ender::Telegram };
    let (cause, q850) = match answered_ms {
        Some(_) => ("Normal call clearing", 16),
        None => ("The caller gave up", 16),
    };
    CallRecord {
        call: info.call,
        line: info.line.clone(),
        direction: info.direction,
        peer: info.peer.clone(),
        dialled: info.dialled.clone(),
        extension: info.extension.clone(),
        telegram_call: None,
        emoji: None,
        trunk: TrunkEnd::default(),
        recording: None,
        started_ms: info.started_ms,
        ringing_ms: None,
        answered_ms,
        ended_ms: Some(info.started_ms + lasted_ms),
        result: if answered_ms.is_some() { CallResult::Answered } else { CallResult::Missed },
        end: Some(CallEnd { by, cause: cause.into(), sip_status: None, q850: Some(q850) }),
        quality: None,
        mos_tenths: Vec::new(),
        pbx: None,
    }
}

pub(crate) fn unix_ms() -> u64 {
    info(1, 5, Direction::TelegramToPbx).started_ms
}
