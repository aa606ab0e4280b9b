//! What `rsip` makes of the same bytes: where both understand a message they must agree, and where only we do the
//! reason is one of those that made us write our own reader.

use std::path::Path;

use rsip::message::{HasHeaders, HeadersExt};
use rsip::prelude::{ToTypedHeader, UntypedHeader};

use crate::edge::{self, Inbound};
use crate::header::NameAddr;
use crate::hop::{Hop, Transport};
use crate::message::Request;
use crate::text::is_token;

#[test]
fn both_readers_agree_on_real_messages_and_their_mutations() {
    let (mut agreed, mut alone) = (0, 0);
    let mut random: u64 = 0x1234_5678_9abc_def1;
    for (name, datagram) in corpus() {
        for round in 0..1000 {
            let mut bytes = datagram.clone();
            if round > 0 {
                for _ in 0..2 {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let at = usize::try_from(random >> 16).unwrap() % bytes.len();
                    bytes[at] = b" \"<>;:,@=azAZ09%"[usize::try_from(random % 16).unwrap()];
                }
            }
            match compare(&bytes) {
                Some(Ok(())) => agreed += 1,
                Some(Err(difference)) => panic!("{name}, round {round}: {difference}"),
                None => alone += 1,
            }
        }
    }
    assert!(agreed > 4000, "agreed on {agreed}, alone on {alone}");
}

#[test]
fn rsip_still_fails_where_our_reader_does_not() {
    for name in [
        "100-request-uri-ipv6",
        "100-request-uri-tel",
        "100-request-uri-brackets",
        "100-request-uri-headers",
        "100-display-name-in-cp1251",
        "100-folded-headers",
        "100-spaces-before-colons",
        "100-lower-case-version",
        "100-leading-crlf",
    ] {
        let path = format!("{}/testdata/torture/{name}.sip", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        assert!(matches!(edge::read(&bytes, source()), Inbound::Request { .. }), "{name}");
        assert!(rsip::Request::try_from(bytes).is_err(), "{name}: rsip reads it by now, so compare it above");
    }
}

/// `None` when one of the two does not read it.
fn compare(bytes: &[u8]) -> Option<Result<(), String>> {
    let Inbound::Request { request: ours, .. } = edge::read(bytes, source()) else { return None };
    let theirs = rsip::Request::try_from(bytes.to_vec()).ok()?;
    Some(differences(&ours, &theirs))
}

fn differences(ours: &Request, theirs: &rsip::Request) -> Result<(), String> {
    let same = |what: &str, ours: String, theirs: Option<String>| match theirs {
        Some(theirs) if theirs != ours => Err(format!("{what}: ours {ours:?}, theirs {theirs:?}")),
        _ => Ok(()),
    };
    same("method", ours.method.to_string(), Some(theirs.method.to_string()))?;
    let call_id = theirs.call_id_header().ok().map(|header| header.value().trim().to_owned());
    // A bare line feed ends a line; rsip takes it, and the header behind it, into the value.
    let call_id = call_id.filter(|value| !value.contains(char::is_control));
    same("Call-ID", ours.headers.call_id().to_owned(), call_id)?;
    let cseq = theirs.cseq_header().ok().and_then(|header| header.seq().ok());
    same(
        "CSeq",
        ours.headers.cseq().map_or(0, |cseq| cseq.number).to_string(),
        cseq.map(|seq| seq.to_string()),
    )?;
    let from = theirs.from_header().ok().and_then(|header| header.typed().ok());
    let tag = from.as_ref().and_then(rsip::typed::From::tag).map(ToString::to_string);
    same(
        "From tag",
        ours.headers.from().and_then(|from| from.tag().map(str::to_owned)).unwrap_or_default(),
        tag,
    )?;
    let branch = theirs.via_header().ok().and_then(|header| header.typed().ok());
    let branch = branch.and_then(|via| via.branch().map(ToString::to_string));
    let our_branch = ours.headers.via().and_then(|via| via.parameters.value("branch").map(str::to_owned));
    // What is no token rsip cuts at the first wrong character, what lacks the cookie it leaves out, and it does not
    // see a comma between two Vias.
    let one = NameAddr::split_list(ours.headers.first("Via").unwrap_or("")).len() == 1;
    let branch = branch.filter(|_| {
        one && our_branch.as_deref().is_none_or(|ours| is_token(ours) && ours.starts_with("z9hG4bK"))
    });
    same("branch", our_branch.unwrap_or_default(), branch)?;
    let count = theirs.headers().iter().count();
    let ours_count = ours.headers.iter().count();
    if count > ours_count {
        return Err(format!("headers: ours {ours_count}, theirs {count}"));
    }
    Ok(())
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/torture");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.file_stem().unwrap().to_str().unwrap().starts_with("100-"));
    let named = |path: &std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (named(path), std::fs::read(path).unwrap())).collect()
}

fn source() -> Hop {
    Hop::to(Transport::Udp, "127.0.0.1:5060".parse().unwrap())
}
