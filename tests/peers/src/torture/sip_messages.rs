//! T1: the messages of RFC 4475 and RFC 5118, octet by octet, said to a line by its PBX, over UDP and each on a connection of
//! its own.
//!
//! What each gets stands in `gateway/sip/testdata/verdicts.txt`; the room of SIP is held to the same file without a network.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tgtrunk_config::LineDraft;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use super::mouth::{Mouth, Reply, stranger};
use super::rig::{LIMIT, Rig, by_address};
use super::{Plan, Tally};

/// For so long nothing comes where nothing is to come.
const NEVER: Duration = Duration::from_millis(300);
/// How soon the line has to be there after each.
const PROMPT: Duration = Duration::from_millis(200);
/// Where an end is answered that names no port.
const USUAL_PORT: u16 = 5060;
/// Who says them, beside the PBX: nobody else has its ports.
const NEIGHBOUR: u8 = 1;

/// What a message gets, as the file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    folder: String,
    name: String,
    udp: String,
    tcp: String,
}

/// Says so many messages, UDP and TCP counted each.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[with_neighbour, with_neighbour]).await?;
    // Who hears a call again, however it comes, takes it for a copy: each way has a line of its own.
    let (line, other, own) = (rig.posts[0].line.sip, rig.posts[1].line.sip, stranger(NEIGHBOUR));
    let mut tally = Tally::default();
    let verdicts = verdicts()?;
    let half = usize::try_from(plan.amount / 2)?;
    let mut mouths = BTreeMap::new();
    for verdict in verdicts.iter().take(half) {
        let message = message(verdict)?;
        let port = sent_by_port(&message).unwrap_or(USUAL_PORT);
        let mouth = match mouths.entry(port) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Mouth::open((own, port).into(), line).await?),
        };
        let got = over_udp(mouth, &message).await?;
        tally.amount += 1;
        compare(&mut tally, verdict, "UDP", &verdict.udp, &got);
        rig.posts[0].pbx.ask_options(PROMPT * 5).await.with_context(|| format!("after {}", verdict.name))?;
    }
    rig.warmed()?;
    let mut streams = tokio::task::JoinSet::new();
    for verdict in verdicts.iter().take(half) {
        let (verdict, message) = (verdict.clone(), message(verdict)?);
        streams.spawn(async move { (verdict, over_tcp(own, other, &message).await) });
    }
    for (verdict, got) in streams.join_all().await {
        tally.amount += 1;
        compare(&mut tally, &verdict, "TCP", &verdict.tcp, &got?);
    }
    tally.note(&format!("{} messages, each over UDP and TCP", verdicts.len().min(half)));
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_neighbour(draft: LineDraft) -> LineDraft {
    by_address(draft).set("allowed_sources", json!([stranger(NEIGHBOUR).to_string()]))
}

fn compare(tally: &mut Tally, verdict: &Verdict, way: &str, wanted: &str, got: &[u16]) {
    // A call that is taken gets 100, and what becomes of whom it asks for: these are nobody's numbers.
    let is_right = match (wanted, got) {
        ("-", []) => true,
        ("call", [100, rest @ ..]) => {
            rest.iter().all(|status| (400..=499).contains(status) || *status == 603) && !rest.is_empty()
        }
        (status, [got]) => *status == got.to_string(),
        _ => false,
    };
    tally.hold(is_right, || {
        format!("{}/{} over {way}: want {wanted}, got {got:?}", verdict.folder, verdict.name)
    });
}

/// The statuses that a message gets.
async fn over_udp(mouth: &mut Mouth, message: &[u8]) -> anyhow::Result<Vec<u16>> {
    mouth.heard();
    mouth.say(message).await?;
    let mut got = Vec::new();
    let mut patience = NEVER;
    let call_id = header(message, &["call-id", "i"]);
    while let Some(reply) = mouth.hear(patience).await {
        let Some(status) = reply.status() else { continue };
        // Others' answers may be repeated: what odd requests name is not to be acknowledged by everybody.
        if call_id.is_some() && reply.header("Call-ID") != call_id {
            continue;
        }
        got.push(status);
        if status >= 200 {
            break;
        }
        patience = LIMIT;
    }
    Ok(got)
}

async fn over_tcp(own: Ipv4Addr, line: SocketAddr, message: &[u8]) -> anyhow::Result<Vec<u16>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((own, 0).into())?;
    let mut stream = socket.connect(line).await?;
    stream.write_all(message).await?;
    let (mut all, mut got) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; 65_536];
    loop {
        let patience = if got.is_empty() { NEVER * 2 } else { LIMIT };
        let Ok(Ok(length)) = timeout(patience, stream.read(&mut buffer)).await else { return Ok(got) };
        if length == 0 {
            return Ok(got);
        }
        all.extend_from_slice(&buffer[..length]);
        got = statuses(&all);
        if got.last().is_some_and(|status| *status >= 200) {
            return Ok(got);
        }
    }
}

/// Statuses on a stream up to the first final one. Each answer begins a line, and no other line of ours begins so.
fn statuses(stream: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(stream);
    let starts = text.split("\r\n").filter(|line| line.starts_with("SIP/2.0 "));
    let status = |line: &str| Reply { bytes: line.as_bytes().to_vec() }.status();
    let all: Vec<u16> = starts.filter_map(status).collect();
    let end = all.iter().position(|status| *status >= 200).map_or(all.len(), |at| at + 1);
    all[..end].to_vec()
}

/// The port that the first Via names (RFC 3261 section 18.2.2): there the answer goes.
fn sent_by_port(message: &[u8]) -> Option<u16> {
    let via = header(message, &["via", "v"])?;
    let sent_by = via.split([',', ';']).next()?.rsplit('/').next()?.trim();
    let (_, host) = sent_by.split_once(char::is_whitespace)?;
    let host: String = host.split_whitespace().collect();
    // An address of IPv6 has colons of its own, in brackets.
    let (_, port) = host.rsplit_once(']').unwrap_or(("", &host)).1.rsplit_once(':')?;
    port.parse().ok()
}

/// The first header of one of these names, however it is folded.
fn header(message: &[u8], names: &[&str]) -> Option<String> {
    let text = String::from_utf8_lossy(message).replace("\r\n ", " ").replace("\r\n\t", " ");
    text.split("\r\n").take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        names.contains(&name.trim().to_lowercase().as_str()).then(|| value.trim().to_owned())
    })
}

fn message(verdict: &Verdict) -> anyhow::Result<Vec<u8>> {
    let file = testdata().join(&verdict.folder).join(format!("{}.sip", verdict.name));
    std::fs::read(&file).with_context(|| file.display().to_string())
}

fn verdicts() -> anyhow::Result<Vec<Verdict>> {
    let file = testdata().join("verdicts.txt");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let verdicts = lines.map(|line| {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        ensure!(words.len() == 5, "want a folder, a name, two answers and the reason: {line:?}");
        let word = |at: usize| words[at].to_owned();
        Ok(Verdict { folder: word(0), name: word(1), udp: word(2), tcp: word(3) })
    });
    verdicts.collect()
}

pub(super) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../gateway/sip/testdata")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_first_via_is_found_however_it_is_written() {
        for (via, port) in [
            ("Via: SIP/2.0/UDP host:5071;branch=x", Some(5071)),
            ("v  :  SIP  / 2.0\r\n /UDP\r\n    192.0.2.2;branch=x", None),
            ("Via: SIP/2.0/UDP [2001:db8::9]:5072;branch=x", Some(5072)),
            ("Via: SIP/2.0/UDP [2001:db8::9];branch=x", None),
            ("VIA: SIP/2.0/TCP host : 9 ;x, SIP/2.0/UDP other:7", Some(9)),
        ] {
            let message = format!("OPTIONS sip:a SIP/2.0\r\n{via}\r\nTo: <sip:a>\r\n\r\n");
            assert_eq!(sent_by_port(message.as_bytes()), port, "{via}");
        }
    }

    #[test]
    fn statuses_of_a_stream_end_with_the_first_final_one() {
        let stream = b"SIP/2.0 100 Trying\r\nTo: x\r\n\r\nSIP/2.0 484 A\r\n\r\nSIP/2.0 200 OK\r\n\r\n";
        assert_eq!(statuses(stream), [100, 484]);
    }

    #[test]
    fn every_message_of_both_documents_has_a_verdict() {
        let verdicts = verdicts().unwrap();
        assert_eq!(verdicts.len(), 61);
        assert!(verdicts.iter().all(|verdict| message(verdict).is_ok()));
    }
}
