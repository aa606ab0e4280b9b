//! T2: INVITEs of which one piece is an anomaly, as those of PROTOS c07-sip were: each place of the message takes each of what
//! broke parsers before. After every one the line has to answer OPTIONS.

use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tokio::time::sleep;

use super::chance::Chance;
use super::mouth::{Mouth, stranger};
use super::rig::{LIMIT, NOBODY, Rig, by_address};
use super::{Plan, Tally};

/// Whatever takes longer has hung.
const HANG: Duration = Duration::from_millis(100);
/// How often what took longer is said again, to see whether it does each time.
const TRIES: usize = 6;
const PAUSE: Duration = Duration::from_millis(150);
/// Who says them, beside the PBX.
const NEIGHBOUR: u8 = 2;

/// An INVITE in pieces: the words in braces are places for anomalies.
const INVITE: &str = "{method} {scheme}:{user}{at}{host}{colon}{port} {version}\r\n\
    Via: {via-version}/{via-transport} {via-host}:{via-port};{rport};branch={branch}\r\n\
    From: {from-name} <{from-scheme}:{from-user}@{from-host}>;tag={from-tag}\r\n\
    To: {to-name} <sip:{to-user}@{to-host}>{to-parameter}\r\n\
    Call-ID: {call-id}@{call-host}\r\nCSeq: {cseq} {cseq-method}\r\n\
    Contact: <sip:{contact-user}@{contact-host}>{contact-parameter}\r\nMax-Forwards: {hops}\r\n\
    {header}: {value}\r\nExpires: {expires}\r\nSession-Expires: {session};refresher={refresher}\r\nSupported: {supported}\r\n\
    Content-Type: {type}/{subtype}\r\nContent-Length: {length}\r\n\r\n\
    v={v}\r\no={o-user} {o-id} {o-version} IN {o-family} {o-host}\r\ns={s}\r\nc=IN {c-family} {c-host}\r\nt={t}\r\n\
    m={media} {m-port} {m-profile} {m-types}\r\na=rtpmap:{type-number} {encoding}/{clock}\r\na=fmtp:{fmtp}\r\na={attribute}\r\n";

/// Says so many of them.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[with_neighbour]).await?;
    rig.remembers();
    let line = rig.posts[0].line.sip;
    let mut mouth = Mouth::open((stranger(NEIGHBOUR), 0).into(), line).await?;
    let mut tally = Tally::default();
    let (mut answered, mut slowest) = (0_u64, Duration::ZERO);
    for (number, (place, anomaly)) in order(plan).enumerate() {
        if number as u64 == plan.amount / 2 {
            rig.warmed()?;
        }
        // A busy machine is late at times; what hangs does so each time.
        let mut took = LIMIT;
        for again in 0..TRIES {
            let message = invite(&mouth, line, number * TRIES + again, place, &anomaly);
            mouth.say(&message).await?;
            let (once, replies) = mouth.knock(LIMIT).await?;
            answered += u64::from(again == 0 && replies.iter().any(|reply| reply.status().is_some()));
            took = took.min(once);
            if took <= HANG {
                break;
            }
            sleep(PAUSE).await;
        }
        slowest = slowest.max(took);
        tally.amount += 1;
        tally.hold(took <= HANG, || {
            format!(
                "OPTIONS took {took:?} after {place} = {:?}",
                String::from_utf8_lossy(&anomaly[..anomaly.len().min(40)])
            )
        });
    }
    tally.note(&format!(
        "{answered} answered, OPTIONS behind each within {:.1} ms",
        slowest.as_secs_f64() * 1e3
    ));
    tally.inputs = tally.amount;
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_neighbour(draft: LineDraft) -> LineDraft {
    by_address(draft).set("allowed_sources", json!([stranger(NEIGHBOUR).to_string()]))
}

/// Places and anomalies, each pair once before any comes again, in the order of the seed.
fn order(plan: Plan) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let mut all: Vec<(&'static str, Vec<u8>)> = places()
        .into_iter()
        .flat_map(|place| anomalies().into_iter().map(move |bytes| (place, bytes)))
        .collect();
    let mut chance = Chance::new(plan.seed);
    for at in (1..all.len()).rev() {
        all.swap(at, chance.below(at + 1));
    }
    let count = usize::try_from(plan.amount).unwrap_or(usize::MAX);
    (0..count).map(move |number| all[number % all.len()].clone())
}

/// The places for anomalies.
fn places() -> Vec<&'static str> {
    INVITE.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
}

/// The message with one anomaly; what names it is its own.
fn invite(mouth: &Mouth, line: std::net::SocketAddr, number: usize, place: &str, anomaly: &[u8]) -> Vec<u8> {
    let (host, port) = (mouth.address.ip().to_string(), mouth.address.port().to_string());
    let usual = |place: &str| match place {
        "method" | "cseq-method" => "INVITE".to_owned(),
        "scheme" | "from-scheme" => "sip".to_owned(),
        "user" | "to-user" => NOBODY.to_owned(),
        "at" => "@".to_owned(),
        "colon" => ":".to_owned(),
        "host" | "to-host" => line.ip().to_string(),
        "port" => line.port().to_string(),
        "version" | "via-version" => "SIP/2.0".to_owned(),
        "via-transport" => "UDP".to_owned(),
        "via-host" | "from-host" | "call-host" | "contact-host" | "o-host" | "c-host" => host.clone(),
        "via-port" => port.clone(),
        "rport" => "rport".to_owned(),
        "branch" => format!("z9hG4bKanomaly{number}"),
        "from-tag" | "call-id" => format!("a{number}-{port}"),
        "from-name" | "to-name" => "\"A\"".to_owned(),
        "from-user" | "contact-user" | "o-user" => "100".to_owned(),
        "cseq" | "o-id" | "o-version" => "1".to_owned(),
        "hops" => "70".to_owned(),
        "header" => "User-Agent".to_owned(),
        "value" | "s" => "anomaly".to_owned(),
        "expires" => "120".to_owned(),
        "session" => "1800".to_owned(),
        "refresher" => "uac".to_owned(),
        "supported" => "timer".to_owned(),
        "type" => "application".to_owned(),
        "subtype" => "sdp".to_owned(),
        "v" => "0".to_owned(),
        "o-family" | "c-family" => "IP4".to_owned(),
        "t" => "0 0".to_owned(),
        "media" => "audio".to_owned(),
        "m-port" => "4000".to_owned(),
        "m-profile" => "RTP/AVP".to_owned(),
        "m-types" | "type-number" => "107".to_owned(),
        "encoding" => "opus".to_owned(),
        "clock" => "48000/2".to_owned(),
        "fmtp" => "107 useinbandfec=1".to_owned(),
        "attribute" => "sendrecv".to_owned(),
        _ => String::new(),
    };
    let filled = |template: &str, length: &str| {
        let mut bytes = Vec::new();
        for (at, piece) in template.split('{').enumerate() {
            let (name, rest) =
                if at == 0 { ("", piece) } else { piece.split_once('}').unwrap_or(("", piece)) };
            match name {
                "" => {}
                name if name == place => bytes.extend_from_slice(anomaly),
                "length" => bytes.extend_from_slice(length.as_bytes()),
                name => bytes.extend_from_slice(usual(name).as_bytes()),
            }
            bytes.extend_from_slice(rest.as_bytes());
        }
        bytes
    };
    let (_, body) = INVITE.split_once("\r\n\r\n").unwrap_or_default();
    filled(INVITE, &filled(body, "").len().to_string())
}

/// What broke parsers before: too long, too short, not of its kind, or with signs that mean something.
fn anomalies() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![Vec::new()];
    for length in [1, 2, 16, 31, 63, 127, 255, 256, 511, 1_023, 4_095, 16_383, 32_767, 60_000] {
        all.push(vec![b'a'; length]);
    }
    for sign in [
        "%s", "%n", "%00", "\0", "\r", "\n", "\r\n", " ", "\t", ",", ";", ":", "@", "<", ">", "\"", "\\",
        "/", "=", "(", "[",
    ] {
        for count in [1, 64, 2_048] {
            all.push(sign.repeat(count).into_bytes());
        }
    }
    for number in [
        "0",
        "-0",
        "-1",
        "1.5",
        "127",
        "128",
        "255",
        "256",
        "32768",
        "65535",
        "65536",
        "2147483647",
        "2147483648",
        "4294967295",
        "4294967296",
        "9223372036854775808",
        "18446744073709551616",
        "1e99",
        "0x41",
        "٣",
    ] {
        all.push(number.as_bytes().to_vec());
    }
    for address in [
        "0.0.0.0",
        "255.255.255.255",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "[::1]",
        "[::ffff:1.2.3.4]",
        "[:::1]",
        "a..b",
    ] {
        all.push(address.as_bytes().to_vec());
    }
    all.extend([
        vec![0xff, 0xfe, 0xfd],
        vec![0xc0, 0xaf],
        vec![0xed, 0xa0, 0x80],
        "\u{202e}\u{2028}🦊".as_bytes().to_vec(),
        b"\r\n\r\nINVITE sip:a SIP/2.0\r\n".to_vec(),
        b"\r\n ".repeat(300),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_more_than_four_and_a_half_thousand_and_each_is_another_one() {
        let plan = Plan { amount: 4_500, seed: 7 };
        let all: BTreeSet<_> = order(plan).collect();
        assert_eq!(all.len(), 4_500, "{} places, {} anomalies", places().len(), anomalies().len());
        assert_ne!(order(plan).next(), order(Plan { seed: 8, ..plan }).next());
    }

    #[tokio::test]
    async fn without_an_anomaly_it_is_an_invite_as_it_should_be() {
        let line = ([127, 0, 0, 1], 9).into();
        let mouth = Mouth::open(([127, 0, 0, 1], 0).into(), line).await.unwrap();
        let plain = invite(&mouth, line, 3, "nowhere", b"");
        let message = crate::wire_pbx::Message::read(&plain).unwrap();
        assert_eq!((message.method(), message.cseq()), (Some("INVITE"), (1, "INVITE")));
        assert!(message.opus().is_some());
        assert!(!String::from_utf8(plain).unwrap().contains('{'));
        for place in places() {
            let message = invite(&mouth, line, 3, place, b"anomaly-of-ours");
            assert!(String::from_utf8(message).unwrap().contains("anomaly-of-ours"), "{place}");
        }
    }
}
