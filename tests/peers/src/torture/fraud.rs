//! T14: calls at somebody else's expense. Strangers who say that they are somebody, at a line that knows its PBX by the address
//! and at one that wants a password; and a PBX that calls whom it may not, or more than it may: at once, in a minute, in an hour,
//! in minutes of a day. Telegram is never asked.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::sleep;

use super::chance::Chance;
use super::mouth::{Mouth, stranger};
use super::rig::{AUTH_USER, LIMIT, NOBODY, Rig, by_address, by_password};
use super::talks::{Talk, end_all};
use super::{Plan, Tally};
use crate::clock::now;
use crate::wire_pbx::Message;

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
/// What a PBX may place in a minute, in another line's hour, and have at once on a third one.
const PER_MINUTE: usize = 4;
const PER_HOUR: usize = 5;
const AT_ONCE: usize = 3;
/// For how long calls may last in a day, how many talk at once to use that up, and how exactly it is kept.
const MINUTES: u32 = 1;
const TALKERS: usize = 8;
const EXACT: Duration = Duration::from_secs(2);
/// How each limit names itself in the Reason of what it refuses (RFC 3326); 34 is Q.850's word for no circuit.
const OF_MINUTE: &str = "Too many calls in a minute";
const OF_HOUR: &str = "Too many calls in an hour";
const OF_LINE: &str = "cause=34";
const OF_DAY: &str = "The minutes of the day are used up";
/// The lines, in their order after those that strangers call: by lists and the minute, the hour, calls at once, minutes of a day.
const LISTED: usize = 2;
const HOURLY: usize = 3;
const CROWDED: usize = 4;
const DAILY: usize = 5;
/// Numbers of those who are called there.
const CROWD: usize = 500;
const TALK: usize = 600;
/// Whom the third line may call, and who among these may not be called after all.
const ALLOWED: &str = "+7916*";
const DENIED: &str = "+79169*";
const NOBODY_ALLOWED: &str = "+79165550101";
const THIEF: u8 = 10;
const LOOK: Duration = Duration::from_millis(100);
/// Variants after which it is looked whether Telegram was asked.
const BATCH: u64 = 50;

/// Tries so many variants.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[by_address, by_password, with_rules, by_hour, at_once, by_day]).await?;
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    // What several calls at once need is kept for the next ones, and is not what strangers cost.
    rules_hold(&mut rig, &mut tally).await?;
    hours_hold(&mut rig, &mut tally).await?;
    calls_at_once_hold(&rig, &mut tally).await?;
    let after = days_hold(&mut rig, &mut tally).await?;
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
    tally.note(&format!(
        "0 of {} placed; {PER_MINUTE} calls of a PBX a minute, {PER_HOUR} an hour, {AT_ONCE} at once, and no other; {MINUTES} min \
         of a day used up by {TALKERS} calls after {:.1} s",
        tally.amount,
        after.as_secs_f64()
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_rules(draft: LineDraft) -> LineDraft {
    let rules =
        json!({ "allow": [ALLOWED], "deny": [DENIED], "calls_per_minute": PER_MINUTE, "calls_per_hour": 0 });
    by_address(draft).set("to_telegram", rules)
}

fn by_hour(draft: LineDraft) -> LineDraft {
    by_address(draft).set("to_telegram", json!({ "calls_per_minute": 0, "calls_per_hour": PER_HOUR }))
}

fn at_once(draft: LineDraft) -> LineDraft {
    by_address(draft).set("max_calls_to_telegram", AT_ONCE as i64)
}

fn by_day(draft: LineDraft) -> LineDraft {
    let rules = json!({ "calls_per_minute": 0, "calls_per_hour": 0, "minutes_per_day": MINUTES });
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
    let pbx = rig.posts[LISTED].pbx.clone();
    rig.spent.insert(LISTED);
    let seen = last_asked(rig);
    for dialled in ["+19005551234", "+74955550101", "+79169000000", "tg%23anna", "id%23777"] {
        let answer = pbx.call(dialled).await?.final_answer(LIMIT).await?;
        tally.hold(answer.status() == Some(403), || format!("{dialled} may not be called: {}", answer.start));
    }
    let asked = asked_since(rig, seen);
    tally.hold(asked.is_empty(), || format!("Telegram was asked about whom nobody may call: {asked:?}"));
    // One was placed when the rig began.
    let mut placed = 1;
    for _ in 0..PER_MINUTE * 2 {
        let answer = pbx.call(NOBODY_ALLOWED).await?.final_answer(LIMIT).await?;
        if answer.status() == Some(404) {
            placed += 1;
        } else {
            tally.hold(is_cap(&answer, OF_MINUTE), || format!("a call of the minute got {}", answer.start));
        }
    }
    tally.hold(placed == PER_MINUTE, || {
        format!("{placed} calls were placed in a minute, {PER_MINUTE} may be")
    });
    Ok(())
}

/// In an hour a PBX places as many calls as it may, and for no other is Telegram asked.
async fn hours_hold(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<()> {
    let pbx = rig.posts[HOURLY].pbx.clone();
    rig.spent.insert(HOURLY);
    // One was placed when the rig began.
    for _ in 1..PER_HOUR {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        tally.hold(answer.status() == Some(404), || format!("a call of the hour got {}", answer.start));
    }
    let seen = last_asked(rig);
    for _ in 0..PER_HOUR {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        tally.hold(is_cap(&answer, OF_HOUR), || {
            format!("a call beyond those of the hour got {}", answer.start)
        });
    }
    let asked = asked_since(rig, seen);
    tally.hold(asked.is_empty(), || format!("Telegram was asked beyond the hour's calls: {asked:?}"));
    Ok(())
}

/// So many at once, no other, and another where one has ended.
async fn calls_at_once_hold(rig: &Rig, tally: &mut Tally) -> anyhow::Result<()> {
    let pbx = &rig.posts[CROWDED].pbx;
    let mut talks = Vec::new();
    // Even numbers are called by the PBX.
    for number in 0..AT_ONCE {
        talks.push(Talk::begin(rig, CROWDED, CROWD + 2 * number).await?);
    }
    let seen = last_asked(rig);
    for _ in 0..AT_ONCE {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        tally.hold(is_cap(&answer, OF_LINE), || {
            format!("a call beyond {AT_ONCE} at once got {}", answer.start)
        });
    }
    let mut asked = asked_since(rig, seen);
    // Those that run may have something to say.
    asked.retain(|method| *method != "phone.sendSignalingData");
    tally.hold(asked.is_empty(), || format!("Telegram was asked beyond the calls at once: {asked:?}"));
    if let Some(talk) = talks.pop() {
        talk.end().await?;
    }
    let until = now() + LIMIT;
    loop {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        if answer.status() == Some(404) {
            break;
        }
        let waits = is_cap(&answer, OF_LINE) && now() < until;
        anyhow::ensure!(waits, "after one of {AT_ONCE} calls has ended: {}", answer.start);
        sleep(LOOK).await;
    }
    end_all(talks).await
}

/// Calls together last for as long as they may in a day, and no other begins then; gives when that was.
async fn days_hold(rig: &mut Rig, tally: &mut Tally) -> anyhow::Result<Duration> {
    let pbx = rig.posts[DAILY].pbx.clone();
    rig.spent.insert(DAILY);
    let began = now();
    let mut talks = Vec::new();
    for number in 0..TALKERS {
        talks.push(Talk::begin(rig, DAILY, TALK + 2 * number).await?);
    }
    // All of them talk from now on, and did so for a while.
    let all = now();
    let due = Duration::from_secs(60 * u64::from(MINUTES)) / TALKERS as u32;
    let refused = loop {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        match answer.status() {
            Some(404) if now() - all <= due + EXACT => sleep(LOOK).await,
            _ => break answer,
        }
    };
    let after = now() - began;
    tally.hold(is_cap(&refused, OF_DAY), || {
        format!("{TALKERS} calls after {after:?}: another got {}", refused.start)
    });
    // What the rig's own call lasted counts, too.
    tally.hold(after + EXACT >= due, || format!("the minutes of the day were used up after {after:?}"));
    for talk in &talks {
        tally.hold(!talk.wire.is_over(), || {
            "a call that ran when the minutes were used up was ended".to_owned()
        });
    }
    end_all(talks).await?;
    let seen = last_asked(rig);
    for _ in 0..TALKERS {
        let answer = pbx.call(NOBODY).await?.final_answer(LIMIT).await?;
        tally.hold(is_cap(&answer, OF_DAY), || {
            format!("a call beyond the minutes of the day got {}", answer.start)
        });
    }
    let asked = asked_since(rig, seen);
    tally.hold(asked.is_empty(), || format!("Telegram was asked beyond the minutes of the day: {asked:?}"));
    Ok(after)
}

/// Whether a call was refused because of this limit, and until when.
fn is_cap(answer: &Message, limit: &str) -> bool {
    let says = answer.header("Reason").is_some_and(|reason| reason.contains(limit));
    answer.status() == Some(503) && answer.header("Retry-After").is_some() && says
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
