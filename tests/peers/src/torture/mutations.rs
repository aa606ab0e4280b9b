//! T3: SIP that knows its own structure, mutated, to a line that knows its PBX by the address and to one that listens to
//! everybody who proves themselves.
//!
//! A request whose way back was left alone is answered; what names no way back, and what is no request, is not; and nobody who
//! has not proven themselves gets more than one and a half times the bytes that they sent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;

use super::chance::Chance;
use super::mouth::{Mouth, Reply, stranger};
use super::rig::{AUTH_PASSWORD, DIGEST_PASSWORD, LIMIT, NOBODY, Rig, by_address, by_password};
use super::sip_messages::testdata;
use super::{Plan, Tally};
use crate::clock::now;

/// Messages between two looks at the line.
const BATCH: usize = 50;
/// How soon the line answers OPTIONS behind each batch.
const PROMPT: Duration = Duration::from_millis(200);
/// How long what can be answered may go without an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(30);
/// At most so many bytes for one, before a proof.
const GAIN: f64 = 1.5;
const NEIGHBOUR: u8 = 3;
const STRANGER: u8 = 4;

/// What may become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its way back is whole: it gets an answer.
    Answer,
    /// Nobody can tell.
    Any,
    /// It names no way back, or asks for nothing.
    Silence,
}

/// One message, and what it is remembered by.
struct Thrown {
    bytes: Vec<u8>,
    branch: String,
    fate: Fate,
}

/// What came of a message so far.
#[derive(Debug, Clone, Copy)]
struct Account {
    sent: u64,
    got: u64,
    fate: Fate,
}

/// Throws so many.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[with_neighbour, by_password]).await?;
    rig.remembers();
    let (known, open) = (rig.posts[0].line.sip, rig.posts[1].line.sip);
    let mut sides = [
        Side::open(known, NEIGHBOUR, true, plan.seed).await?,
        Side::open(open, STRANGER, false, !plan.seed).await?,
    ];
    let mut tally = Tally::default();
    let mut slowest = Duration::ZERO;
    let mut is_warm = false;
    let began = now();
    while tally.amount < plan.amount {
        for side in &mut sides {
            let batch = BATCH.min(usize::try_from(plan.amount - tally.amount)?);
            slowest = slowest.max(side.throw(batch, &mut tally).await?);
        }
        if !is_warm && tally.amount >= plan.amount / 2 {
            is_warm = true;
            rig.warmed()?;
        }
    }
    let [proven, unproven] = &sides;
    let share = unproven.got as f64 / unproven.sent.max(1) as f64;
    tally.note(&format!(
        "thrown in {} s; OPTIONS within {} ms; {} answers to {} that can be answered; before a proof {share:.2} bytes for one, {:.2} at most, {} \
         without any answer",
        (now() - began).as_secs(),
        slowest.as_millis(),
        proven.answered,
        proven.answerable,
        unproven.most,
        unproven.answerable - unproven.answered
    ));
    tally.hold(share <= GAIN, || format!("before a proof {share:.2} bytes were sent for one"));
    tally.inputs = tally.amount;
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_neighbour(draft: LineDraft) -> LineDraft {
    by_address(draft).set("allowed_sources", json!([stranger(NEIGHBOUR).to_string()]))
}

/// Who throws at one line.
struct Side {
    mouth: Mouth,
    /// Says what is to have no answer, so that none can be taken for another one's.
    mute: Mouth,
    line: SocketAddr,
    is_known: bool,
    chance: Chance,
    corpus: Vec<Vec<u8>>,
    number: u64,
    /// Of this batch and the one before it.
    accounts: [HashMap<String, Account>; 2],
    sent: u64,
    got: u64,
    /// The most bytes for one that any message got.
    most: f64,
    answerable: u64,
    answered: u64,
}

impl Side {
    async fn open(line: SocketAddr, own: u8, is_known: bool, seed: u64) -> anyhow::Result<Self> {
        Ok(Self {
            mouth: Mouth::open((stranger(own), 0).into(), line).await?,
            mute: Mouth::open((stranger(own), 0).into(), line).await?,
            line,
            is_known,
            chance: Chance::new(seed),
            corpus: corpus()?,
            number: 0,
            accounts: [HashMap::new(), HashMap::new()],
            sent: 0,
            got: 0,
            most: 0.0,
            answerable: 0,
            answered: 0,
        })
    }

    /// Throws some, looks whether the line is there, and settles the accounts: how long the line took.
    async fn throw(&mut self, count: usize, tally: &mut Tally) -> anyhow::Result<Duration> {
        self.accounts.swap(0, 1);
        self.accounts[0].clear();
        for _ in 0..count {
            let thrown = self.message();
            tally.amount += 1;
            if thrown.fate == Fate::Silence {
                self.mute.say(&thrown.bytes).await?;
                continue;
            }
            let sent = thrown.bytes.len() as u64;
            self.sent += sent;
            self.accounts[0].insert(thrown.branch, Account { sent, got: 0, fate: thrown.fate });
            self.mouth.say(&thrown.bytes).await?;
        }
        let (took, replies) = self.mouth.knock_patiently(PROMPT, LIMIT).await?;
        tally.hold(took <= PROMPT, || format!("OPTIONS took {took:?} after message {}", self.number));
        replies.iter().for_each(|reply| self.take(reply, tally));
        // Whoever is nobody's PBX may have no answer, if that would be too long for the request.
        let until = now() + if self.is_known { ANSWER_LIMIT } else { SOON };
        while self.accounts[0].values().any(|account| account.fate == Fate::Answer && account.got == 0) {
            match self.mouth.hear(until.saturating_duration_since(now())).await {
                Some(reply) => self.take(&reply, tally),
                None => break,
            }
        }
        for (branch, account) in self.accounts[0].iter().filter(|(_, account)| account.fate == Fate::Answer) {
            self.answerable += 1;
            self.answered += u64::from(account.got > 0);
            tally.hold(account.got > 0 || !self.is_known, || {
                format!("{branch}: its way back is whole, and there is no answer")
            });
        }
        for reply in self.mute.heard() {
            let text = reply.text();
            tally.fail(format!("an answer to what cannot have one: {}", text.get(..200).unwrap_or(&text)));
        }
        Ok(took)
    }

    fn take(&mut self, reply: &Reply, tally: &mut Tally) {
        self.got += reply.bytes.len() as u64;
        let text = reply.text();
        for secret in [AUTH_PASSWORD, DIGEST_PASSWORD] {
            tally.hold(!text.contains(secret), || "an answer tells a password".to_owned());
        }
        let Some(branch) = reply.branch() else { return };
        let Some(account) = self.accounts.iter_mut().find_map(|accounts| accounts.get_mut(&branch)) else {
            return;
        };
        account.got += reply.bytes.len() as u64;
        let gain = account.got as f64 / account.sent as f64;
        self.most = self.most.max(gain);
        tally.hold(self.is_known || gain <= GAIN, || {
            format!(
                "{branch}: {} bytes for {}: {}",
                account.got,
                account.sent,
                text.lines().next().unwrap_or_default()
            )
        });
    }

    fn message(&mut self) -> Thrown {
        self.number += 1;
        let chance = &mut self.chance;
        // One that another one's scars would make of its own would take that one's answers.
        let branch = format!("z9hG4bK{:016x}m{}", chance.next(), self.number);
        let fate = match chance.below(8) {
            0..=2 => Fate::Answer,
            3 => Fate::Silence,
            _ => Fate::Any,
        };
        let via = format!("SIP/2.0/UDP {};rport;branch={branch}", self.mouth.address);
        let mut draft = if fate == Fate::Any && chance.one_in(3) {
            let mut draft = Draft::read(chance.pick(&self.corpus).as_slice());
            draft.headers.insert(0, ("Via".to_owned(), via));
            draft
        } else {
            Draft::fresh(chance, self.line, self.mouth.address, &via, self.number)
        };
        match fate {
            Fate::Answer => draft.mutate_beside_the_way_back(chance),
            Fate::Silence => draft.lose_the_way_back(chance),
            Fate::Any => draft.mutate(chance),
        }
        let mut bytes = draft.bytes();
        if fate == Fate::Any && chance.one_in(3) {
            scar(&mut bytes, chance);
        }
        bytes.truncate(60_000);
        Thrown { bytes, branch, fate }
    }
}

/// A message in its parts.
#[derive(Debug, Clone)]
struct Draft {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

const METHODS: [&str; 13] = [
    "INVITE",
    "OPTIONS",
    "REGISTER",
    "BYE",
    "CANCEL",
    "UPDATE",
    "INFO",
    "PRACK",
    "REFER",
    "SUBSCRIBE",
    "NOTIFY",
    "MESSAGE",
    "PUBLISH",
];
/// Headers that an answer needs.
const WAY_BACK: [&str; 6] = ["Via", "From", "To", "Call-ID", "CSeq", "Content-Length"];
/// Headers that somebody reads.
const KNOWN: [&str; 20] = [
    "Require",
    "Supported",
    "Session-Expires",
    "Min-SE",
    "Replaces",
    "Refer-To",
    "RAck",
    "Reason",
    "Accept",
    "Contact",
    "Record-Route",
    "Route",
    "P-Asserted-Identity",
    "Diversion",
    "History-Info",
    "Privacy",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Max-Forwards",
];
/// What stands in values, in or out of its place.
const PIECES: [&str; 26] = [
    "",
    " ",
    ",",
    ";",
    "\"",
    "<",
    ">",
    "<>",
    "%",
    "%00",
    "sip:",
    "sips:a",
    "tel:+7",
    "[::1]",
    "127.0.0.1:0",
    ";tag=",
    ";lr",
    "100rel",
    "refresher=uas",
    "4294967296",
    "-1",
    "0",
    "z9hG4bK",
    "application/sdp",
    "Q.850;cause=999",
    "Digest realm=\"",
];

impl Draft {
    /// A request that is right.
    fn fresh(chance: &mut Chance, line: SocketAddr, own: SocketAddr, via: &str, number: u64) -> Self {
        let method = chance.word(&METHODS);
        let tag = if chance.one_in(4) { ";tag=nobody" } else { "" };
        let body = if method == "INVITE" || chance.one_in(5) { sdp(own) } else { Vec::new() };
        let mut headers = vec![
            ("Via", via.to_owned()),
            ("From", format!("\"A\" <sip:100@{own}>;tag=f{number}")),
            ("To", format!("<sip:{NOBODY}@{line}>{tag}")),
            ("Call-ID", format!("m{number}-{}@{}", own.port(), own.ip())),
            ("CSeq", format!("{} {method}", chance.below(1 << 30))),
            ("Max-Forwards", "70".to_owned()),
            ("Contact", format!("<sip:100@{own}>")),
        ];
        if !body.is_empty() {
            headers.push(("Content-Type", "application/sdp".to_owned()));
        }
        headers.push(("Content-Length", body.len().to_string()));
        Self {
            start: format!("{method} sip:{NOBODY}@{line} SIP/2.0"),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body,
        }
    }

    fn read(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|end| end == b"\r\n\r\n");
        let (head, body) = at.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 4..]));
        let head = String::from_utf8_lossy(head).into_owned();
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let header =
            |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self { start, headers: lines.filter_map(header).collect(), body: body.to_vec() }
    }

    fn bytes(&self) -> Vec<u8> {
        let lines = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let head: String = lines.collect();
        [format!("{}\r\n{head}\r\n", self.start).as_bytes(), &self.body].concat()
    }

    /// Changes nothing that the answer needs.
    fn mutate_beside_the_way_back(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(4) {
            let others: Vec<usize> = (0..self.headers.len())
                .filter(|at| !WAY_BACK.contains(&self.headers[*at].0.as_str()))
                .collect();
            match chance.below(5) {
                0 => {
                    let at = chance.below(self.headers.len() + 1);
                    self.headers.insert(at, (chance.word(&KNOWN).to_string(), value(chance)));
                }
                1 if !others.is_empty() => self.headers[*chance.pick(&others)].1 = value(chance),
                2 if !others.is_empty() => drop(self.headers.remove(*chance.pick(&others))),
                3 if !self.body.is_empty() => {
                    let at = chance.below(self.body.len());
                    self.body[at] = chance.next() as u8;
                }
                _ => {
                    let name = format!("X-{}", chance.below(1000));
                    let at = chance.below(self.headers.len() + 1);
                    self.headers.insert(at, (name, "x".repeat(chance.below(600))));
                }
            }
        }
    }

    /// Leaves nothing that could be answered.
    fn lose_the_way_back(&mut self, chance: &mut Chance) {
        match chance.below(4) {
            0 => self.headers.retain(|(name, _)| name != "Via"),
            1 => {
                let via = self.headers.iter_mut().find(|(name, _)| name == "Via");
                if let Some((_, via)) = via {
                    *via = chance
                        .word(&["", "UDP", "SIP/2.0", ";branch=z9hG4bKx", "SIP/2.0/UDP", ",,"])
                        .to_string();
                }
            }
            2 => {
                let status = chance.pick(&[
                    "100 Trying",
                    "180 Ringing",
                    "200 OK",
                    "401 Unauthorized",
                    "503 No",
                    "699 X",
                ]);
                self.start = format!("SIP/2.0 {status}");
            }
            _ => {
                let (_, rest) = self.start.split_once(' ').unwrap_or_default();
                self.start = format!("ACK {rest}");
                if let Some((_, cseq)) = self.headers.iter_mut().find(|(name, _)| name == "CSeq") {
                    "1 ACK".clone_into(cseq);
                }
            }
        }
    }

    /// Changes anything.
    fn mutate(&mut self, chance: &mut Chance) {
        for _ in 0..=chance.below(5) {
            let count = self.headers.len();
            let (one, other) = (chance.below(count), chance.below(count));
            match chance.below(11) {
                0 if count > 0 => self.headers[one].1 = value(chance),
                1 if count > 0 => drop(self.headers.remove(one)),
                2 if count > 0 => self.headers.insert(other, self.headers[one].clone()),
                3 if count > 0 => {
                    let moved = self.headers[other].1.clone();
                    self.headers[one].1 = moved;
                }
                4 if count > 0 => self.headers.swap(one, other),
                5 if count > 0 => {
                    let at = chance.below(self.headers[one].1.len() + 1);
                    if self.headers[one].1.is_char_boundary(at) {
                        self.headers[one].1.insert_str(at, chance.word(&PIECES));
                    }
                }
                6 if count > 0 => self.headers[one].1 = self.headers[one].1.replace(' ', "\r\n "),
                7 => {
                    let mut words: Vec<&str> = self.start.split(' ').collect();
                    let piece = chance.word(&PIECES);
                    let at = chance.below(words.len());
                    words[at] = piece;
                    self.start = words.join(" ");
                }
                8 => {
                    let piece = chance.word(&PIECES).as_bytes();
                    let at = chance.below(self.body.len() + 1);
                    self.body.splice(at..at, piece.iter().copied());
                }
                9 => self.headers.push(("Content-Length".to_owned(), value(chance))),
                _ => self.headers.push((chance.word(&KNOWN).to_string(), value(chance))),
            }
        }
    }
}

/// The value of a header, right by accident.
fn value(chance: &mut Chance) -> String {
    match chance.below(6) {
        0 => chance.word(&PIECES).repeat(1 << chance.below(8)),
        1 => (chance.next() >> chance.below(64)).to_string(),
        _ => (0..=chance.below(5)).map(|_| chance.word(&PIECES)).collect(),
    }
}

/// Changes bytes without knowing what they are.
fn scar(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(bytes.len() + 1);
        match chance.below(4) {
            0 if at < bytes.len() => bytes[at] = chance.next() as u8,
            1 => bytes.truncate(at),
            2 => {
                let more = chance.below(8);
                let more = chance.bytes(more);
                drop(bytes.splice(at..at, more));
            }
            _ => {
                let end = (at + chance.below(40)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
        }
    }
}

fn sdp(own: SocketAddr) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 107 8 101\r\n\
         a=rtpmap:107 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n",
        ip = own.ip()
    )
    .into_bytes()
}

/// Messages that are odd already.
fn corpus() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut corpus = Vec::new();
    for folder in ["torture", "rfc4475", "rfc5118"] {
        let mut files: Vec<_> = std::fs::read_dir(testdata().join(folder))?
            .map(|entry| Ok(entry?.path()))
            .collect::<anyhow::Result<_>>()?;
        files.sort();
        for file in files {
            corpus.push(std::fs::read(file)?);
        }
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn side(seed: u64) -> Side {
        Side::open(([127, 0, 0, 1], 9).into(), 250, true, seed).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_to_be_answered_keeps_its_way_back_and_what_is_not_has_none() {
        let mut side = side(3).await;
        for _ in 0..3_000 {
            let Thrown { bytes, branch, fate } = side.message();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let vias = text.lines().filter(|line| line.starts_with("Via: ")).count();
            match fate {
                Fate::Answer => {
                    assert_eq!(vias, 1, "{text}");
                    for name in WAY_BACK.iter().filter(|name| **name != "Via") {
                        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}: ")));
                        assert_eq!(lines.count(), 1, "{name}: {text}");
                    }
                    assert!(text.contains(&branch) && !text.starts_with("ACK"), "{text}");
                }
                Fate::Silence => {
                    let answers = !text.starts_with("SIP/2.0 ") && !text.starts_with("ACK ");
                    assert!(!(answers && text.contains(&format!("branch={branch}"))), "{text}");
                }
                Fate::Any => {}
            }
        }
    }

    #[tokio::test]
    async fn the_same_seed_throws_the_same() {
        let (mut one, mut other) = (side(5).await, side(5).await);
        // The ports of the day would differ.
        other.mouth.address = one.mouth.address;
        for _ in 0..200 {
            assert_eq!(one.message().bytes, other.message().bytes);
        }
    }
}
