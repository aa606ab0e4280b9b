//! T14: calls at somebody else's expense. Strangers who say that they are somebody, at a line that knows its PBX by the address
//! and at one that wants a password; and a PBX that calls whom it may not, or more than it may. Telegram is never asked.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::sleep;

use super::chance::Chance;
use super::mouth::{Mouth, stranger};
use super::rig::{AUTH_USER, LIMIT, Rig, by_address, by_password};
use super::talks::Talk;
use super::{Plan, Tally};

/// Whose calls cost somebody something.
const DEAR: [&str; 8] = [
    "+19005551234",
    "+8821612345678",
    "+9791234567",
    "+442012345678",
    "0011882161",
    "+79161000001",
    "tg%23anna",
    "id%23777",
];
/// What a PBX may place in a minute.
const PER_MINUTE: usize = 4;
/// Whom the third line may call, and who among these may not be called after all.
const ALLOWED: &str = "+7916*";
const DENIED: &str = "+79169*";
const NOBODY_ALLOWED: &str = "+79165550101";
const THIEF: u8 = 10;
/// Variants after which it is looked whether Telegram was asked.
const BATCH: u64 = 50;

/// Tries so many variants.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address, by_password, with_rules]).await?;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let victim = Talk::begin(&rig, 0, 2).await?;
    let lines = [rig.posts[0].line.sip, rig.posts[1].line.sip];
    let pbx = rig.posts[0].pbx.sip;
    let mut mouths = [
        Mouth::open((stranger(THIEF), 0).into(), lines[0]).await?,
        Mouth::open((stranger(THIEF), 0).into(), lines[1]).await?,
    ];
    let seen = last_asked(&rig);
    let replaces = victim.wire.replaces().unwrap_or_default();
    while tally.amount < plan.amount {
        let at = chance.below(2);
        let number = tally.amount;
        let text = variant(&mut chance, number, lines[at], pbx, mouths[at].address, &replaces);
        if chance.one_in(4) {
            over_tcp(lines[at], &text).await;
        } else {
            mouths[at].say(text.as_bytes()).await?;
        }
        tally.amount += 1;
        if tally.amount % BATCH == 0 || tally.amount == plan.amount {
            mouths[1].knock(LIMIT).await?;
            judge_answers(&mut mouths, &mut tally);
            rig.warmed()?;
        }
    }
    sleep(Duration::from_millis(500)).await;
    judge_answers(&mut mouths, &mut tally);
    let asked = asked_since(&rig, seen);
    tally.hold(asked.is_empty(), || format!("Telegram was asked: {asked:?}"));
    tally.hold(!victim.wire.is_over(), || "a running call was torn down".to_owned());
    let calls = rig.gateway.control().await?.calls().await?;
    tally.hold(calls.len() == 1, || format!("calls came about: {calls:?}"));
    victim.end().await?;
    rules_hold(&mut rig, &mut tally).await?;
    tally.note(&format!("0 of {} placed; {PER_MINUTE} calls of a PBX a minute, and no other", tally.amount));
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_rules(draft: LineDraft) -> LineDraft {
    let rules =
        json!({ "allow": [ALLOWED], "deny": [DENIED], "calls_per_minute": PER_MINUTE, "calls_per_hour": 0 });
    by_address(draft).set("to_telegram", rules)
}

/// Nothing that a stranger hears says that a call goes on; the closed line says nothing at all.
fn judge_answers(mouths: &mut [Mouth; 2], tally: &mut Tally) {
    let [closed, open] = mouths;
    let heard = closed.heard();
    tally.hold(heard.is_empty(), || format!("a stranger was answered: {}", heard[0].text()));
    for reply in open.heard() {
        let is_refusal = matches!(reply.status(), Some(400..=499 | 501 | 505 | 513));
        let is_200 = reply.status() == Some(200) && reply.text().contains(" OPTIONS");
        tally.hold(is_refusal || is_200, || format!("somebody unproven was told: {}", reply.text()));
    }
}

/// A call that pretends something.
fn variant(
    chance: &mut Chance,
    number: u64,
    line: SocketAddr,
    pbx: SocketAddr,
    own: SocketAddr,
    replaces: &str,
) -> String {
    let dear = chance.word(&DEAR);
    let places = [
        own.to_string(),
        pbx.to_string(),
        line.to_string(),
        "127.0.0.1".to_owned(),
        "pbx.example".to_owned(),
    ];
    let whom = places.clone().map(|place| format!("sip:100@{place}"));
    let method =
        chance.word(&["INVITE", "INVITE", "INVITE", "INVITE", "REFER", "UPDATE", "INFO", "BYE", "SUBSCRIBE"]);
    let froms =
        [whom[0].clone(), whom[1].clone(), format!("sip:{AUTH_USER}@{pbx}"), format!("sip:{dear}@{line}")];
    let from = chance.pick(&froms);
    let contact = chance.pick(&whom);
    let via =
        chance.pick(&[places[0].clone(), places[0].clone(), places[1].clone(), places[3].clone()]).clone();
    let to = if chance.one_in(6) { ";tag=of-a-call" } else { "" };
    let mut more = String::new();
    let mut add = |chance: &mut Chance, header: String| {
        if chance.one_in(3) {
            more.push_str(&header);
            more.push_str("\r\n");
        }
    };
    add(chance, format!("P-Asserted-Identity: <sip:100@{pbx}>"));
    add(chance, format!("P-Preferred-Identity: <sip:{AUTH_USER}@{pbx}>"));
    add(chance, format!("Remote-Party-ID: <sip:100@{pbx}>;party=calling;privacy=off"));
    add(chance, format!("Diversion: <sip:{dear}@{pbx}>;reason=unconditional"));
    add(chance, format!("Route: <sip:{pbx};lr>"));
    add(chance, format!("Record-Route: <sip:{pbx};lr>"));
    add(chance, format!("Referred-By: <sip:100@{pbx}>"));
    add(chance, format!("Refer-To: <sip:{dear}@{line}>"));
    add(chance, format!("Replaces: {replaces}"));
    let proof = chance.word(&[
        "Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"\", uri=\"sip:a\", response=\"\"",
        "Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"0000000000000000000000000000000000000000\", uri=\"sip:a\", response=\"0\"",
        "Digest",
        "Basic cGJ4OnBieA==",
        "Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"x\", algorithm=none, response=\"\"",
    ]);
    add(chance, format!("Authorization: {proof}"));
    add(chance, format!("Proxy-Authorization: {proof}"));
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 107\r\na=rtpmap:107 opus/48000/2\r\n",
        ip = own.ip()
    );
    format!(
        "{method} sip:{dear}@{line} SIP/2.0\r\nVia: SIP/2.0/UDP {via};rport;branch=z9hG4bKf{number}-{port}\r\nMax-Forwards: 70\r\n\
         From: <{from}>;tag=f{number}\r\nTo: <sip:{dear}@{line}>{to}\r\nCall-ID: f{number}-{own}\r\nCSeq: 1 {method}\r\n\
         Contact: <{contact}>\r\n{more}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
        port = own.port()
    )
}

/// A line that listens to its PBX alone ends such a connection at once.
async fn over_tcp(line: SocketAddr, text: &str) {
    let said = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((stranger(THIEF), 0).into())?;
        let mut stream = socket.connect(line).await?;
        stream.write_all(text.as_bytes()).await?;
        sleep(Duration::from_millis(2)).await;
        anyhow::Ok(())
    };
    said.await.ok();
}

/// A PBX reaches whom it may call, and as often as it may.
async fn rules_hold(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<()> {
    let pbx = rig.posts[2].pbx.clone();
    rig.spent = Some(2);
    let seen = last_asked(rig);
    for dialled in ["+19005551234", "+74955550101", "+79169000000", "tg%23anna", "id%23777"] {
        let answer = pbx.call(dialled).await?.final_answer(LIMIT).await?;
        tally.hold(answer.status() == Some(403), || format!("{dialled} may not be called: {}", answer.start));
    }
    let asked = asked_since(rig, seen);
    tally.hold(asked.is_empty(), || format!("Telegram was asked about whom nobody may call: {asked:?}"));
    // One was placed when the rig began.
    let (mut placed, mut last) = (1, String::new());
    for _ in 0..PER_MINUTE * 2 {
        let answer = pbx.call(NOBODY_ALLOWED).await?.final_answer(LIMIT).await?;
        placed += usize::from(answer.status() == Some(404));
        last = answer.start;
    }
    tally.hold(placed == PER_MINUTE && last.contains("503"), || {
        format!("{placed} calls were placed in a minute, {PER_MINUTE} may be; the last got {last}")
    });
    Ok(())
}

/// Number of the last request that Telegram got.
fn last_asked(rig: &Rig) -> u64 {
    rig.stage.world().journal(0).last().map_or(0, |entry| entry.number)
}

/// What Telegram was asked since by a line, about calls and people.
fn asked_since(rig: &Rig, seen: u64) -> Vec<&'static str> {
    let journal = rig.stage.world().journal(seen).into_iter();
    let of_lines = journal.filter(|entry| rig.posts.iter().any(|post| entry.user == Some(post.line.account)));
    let methods = of_lines.map(|entry| entry.method);
    methods.filter(|method| method.starts_with("phone.") || method.starts_with("contacts.")).collect()
}
