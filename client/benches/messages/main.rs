//! What messages cost: how many are accepted in a second, each on the disk before it is answered; how many notifications
//! are fetched and taken away, and how many a webhook is brought; how soon one is told; and what a journal of a million rows takes.
//!
//! The client is the program that people run, at a test Telegram. Rates stand beside what the machine does with nothing
//! around it, measured just before: SQLite's commits on the same disk, answers of a server that does nothing.
//! Figures are `messages` in `target/bench/report.json`.
//! `cargo bench -p tgtrunk-client --bench messages`; with `rates`, `latency` or `million` after `--`, that alone.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]
#![expect(clippy::unwrap_used, reason = "nothing is left to be done where it fails")]

mod floor;
mod hook;
mod place;
mod report;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use place::Place;
use report::Report;

/// Messages one after the other, and at once by so many programs. Programs may send 1,500 at once and 50 a second then.
const ONE_BY_ONE: u32 = 400;
const AT_ONCE: u32 = 32;
const EACH: u32 = 30;
/// Notifications that are fetched and taken away, and that are brought to a webhook.
const FETCHED: u32 = 1_000;
/// Messages whose way to a waiting program is timed.
const TIMED: usize = 1_000;
/// What most rates stand beside.
const COMMITS: &str = "commits";
/// Rows of a long journal.
const ROWS: u32 = 1_000_000;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |what: &str| wanted.is_empty() || wanted.iter().any(|word| word == what);
    println!("load of the machine: {}", std::fs::read_to_string("/proc/loadavg").unwrap().trim());
    let (mut place, mut report) = (Place::open().await, Report::default());
    if is_wanted("rates") {
        accepted(&place, &mut report).await;
        fetched(&place, &mut report).await;
        brought(&place, &mut report).await;
    }
    if is_wanted("latency") {
        told(&place, &mut report).await;
    }
    if is_wanted("million") {
        million(&mut place, &mut report).await;
    }
    report.write();
}

fn message(number: u32) -> Value {
    json!({"chatId": "79001112233@c.us", "message": format!("Your order {number} is ready, come and fetch it")})
}

async fn accepted(place: &Place, report: &mut Report) {
    let floor = floor::commits(&place.folder(), ONE_BY_ONE).await;
    println!("commits of SQLite alone: {floor:.0} a second");
    let began = Instant::now();
    for number in 0..ONE_BY_ONE {
        place.post("sendMessage", &message(number)).await;
    }
    report.rate("accepted", "accepted one by one", ONE_BY_ONE, began.elapsed(), (floor, COMMITS));
    let began = Instant::now();
    let mut programs = JoinSet::new();
    for _ in 0..AT_ONCE {
        let program = place.program();
        programs.spawn(async move {
            for number in 0..EACH {
                program.post("sendMessage", &message(number)).await;
            }
        });
    }
    programs.join_all().await;
    let what = format!("accepted of {AT_ONCE} at once");
    report.rate("accepted_at_once", &what, AT_ONCE * EACH, began.elapsed(), (floor, COMMITS));
    place.get("clearMessagesQueue").await;
    place.get("clearWebhooksQueue").await;
}

async fn fetched(place: &Place, report: &mut Report) {
    let floor = floor::commits(&place.folder(), FETCHED).await;
    let began = Instant::now();
    for number in 0..FETCHED {
        place.say(&format!("Where is my order {number}?"));
    }
    place.until_kept(FETCHED).await;
    report.rate("came", "messages that came, until all are kept", FETCHED, began.elapsed(), (floor, COMMITS));
    let answers = floor::answers(FETCHED).await;
    println!("pairs of answers of a server that does nothing: {answers:.0} a second");
    let began = Instant::now();
    for _ in 0..FETCHED {
        let receipt = place.get("receiveNotification").await["receiptId"].as_i64().unwrap();
        place.take_away(receipt).await;
    }
    let took = began.elapsed();
    report.rate("fetched", "fetched and taken away", FETCHED, took, (answers, "pairs of answers"));
    println!("  which is {:.2} of the commits", f64::from(FETCHED) / took.as_secs_f64() / floor);
}

async fn brought(place: &Place, report: &mut Report) {
    let floor = floor::commits(&place.folder(), FETCHED).await;
    for number in 0..FETCHED {
        place.say(&format!("And my order {number}?"));
    }
    place.until_kept(FETCHED).await;
    let (hook, mut came) = hook::listen().await;
    let began = Instant::now();
    place.post("setSettings", &json!({"webhookUrl": hook})).await;
    let mut receipts = Vec::new();
    while receipts.len() < FETCHED as usize {
        receipts.push(came.recv().await.unwrap());
    }
    let took = began.elapsed();
    assert!(receipts.is_sorted(), "they come in their order, and once");
    report.rate("brought", "brought to a webhook", FETCHED, took, (floor, COMMITS));
    place.post("setSettings", &json!({"webhookUrl": ""})).await;
    place.until_taken().await;
}

async fn told(place: &Place, report: &mut Report) {
    let mut times = Vec::new();
    while times.len() < TIMED {
        let program = place.program();
        let waiting = tokio::spawn(async move {
            let told = program.get("receiveNotification?receiveTimeout=60").await;
            (Instant::now(), told)
        });
        sleep(Duration::from_millis(15)).await;
        let began = Instant::now();
        place.say("How much is it?");
        let (at, told) = waiting.await.unwrap();
        times.push(at - began);
        place.take_away(told["receiptId"].as_i64().unwrap()).await;
    }
    times.sort();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    println!(
        "a waiting program is told after: p50 {:.1?}, p99 {:.1?}, worst {:.1?}",
        at(50),
        at(99),
        times[times.len() - 1]
    );
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    report.set(
        "told_after_ms",
        json!({"p50": ms(at(50)), "p99": ms(at(99)), "worst": ms(times[times.len() - 1])}),
    );
}

async fn million(place: &mut Place, report: &mut Report) {
    let without = place.memory();
    place.stop().await;
    place.fill_journal(ROWS).await;
    let began = Instant::now();
    place.start().await;
    let opened = began.elapsed();
    println!("{ROWS} rows: opened in {opened:.1?}; {}, without them {without}", place.memory());
    let (opened_ms, memory_mib) = (opened.as_secs_f64() * 1e3, place.memory().mib);
    report.set(
        "million_rows",
        json!({"opened_ms": opened_ms, "memory_mib": memory_mib, "memory_mib_without": without.mib}),
    );
    // Telegram does not answer, so that the journal does.
    place.refuse_history();
    let chat = json!({"chatId": place.anna.to_string(), "count": 10_000});
    for (what, method) in [
        ("what came in a day", "lastIncomingMessages?minutes=1440"),
        ("all that came", "lastIncomingMessages?minutes=525600"),
        ("all that was sent", "lastOutgoingMessages?minutes=525600"),
        ("a chat's last", "getChatHistory"),
    ] {
        let began = Instant::now();
        let shown = match method {
            "getChatHistory" => place.post(method, &chat).await,
            method => place.get(method).await,
        };
        let count = shown.as_array().unwrap().len();
        let bytes = shown.to_string().len();
        println!("  {what}: {count} in {:.1?}, {} kB; {}", began.elapsed(), bytes / 1000, place.memory());
    }
    let began = Instant::now();
    for number in 0..100 {
        place.post("sendMessage", &message(number)).await;
    }
    println!("  accepted one by one: {:.0} a second", 100.0 / began.elapsed().as_secs_f64());
    let began = Instant::now();
    for _ in 0..100 {
        place.say("And mine?");
    }
    place.until_kept(100).await;
    println!(
        "  messages that came, until all are kept: {:.0} a second",
        100.0 / began.elapsed().as_secs_f64()
    );
    let rows = place.rows().await;
    assert!(rows >= i64::from(ROWS), "nothing of the journal was forgotten meanwhile: {rows}");
}
