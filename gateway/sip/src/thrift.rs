//! What somebody gets who has not proven to be the PBX: at most one and a half times the bytes that came. Addresses of datagrams
//! are easily forged, and an answer that is larger than its request would be thrown at whoever has that address (RFC 5358
//! and RFC 9000 section 8 are the same thought elsewhere).
//!
//! Headers that nobody needs go first, then names are written short (RFC 3261 section 7.3.3), then the second of two challenges
//! goes, then the answer itself. An INVITE with a session description leaves room for both challenges; one without gets the
//! better one alone. What belongs to a call of ours is answered whole: nobody guesses its tags, and a PBX whose proof was forgotten
//! in a crowd has to be heard in its calls. Nor is the PBX's own address cut short, whoever forges it.

use std::net::SocketAddr;

use crate::dialog::DialogId;
use crate::endpoint::{Endpoint, Transmit};
use crate::message::Request;

/// Bytes that may be answered for two that came.
const FOR_TWO: usize = 3;
/// What an answer can do without, in the order in which it goes.
const LUXURIES: [&str; 4] = ["Server", "Supported", "Accept", "Allow"];
/// Names that have a short form.
const SHORT: [(&str, &str); 5] =
    [("Via", "v"), ("From", "f"), ("To", "t"), ("Call-ID", "i"), ("Content-Length", "l")];

impl Endpoint {
    /// Cuts down what was just said to a source that sent so many bytes; `said` is how much was waiting before.
    pub(crate) fn answer_thriftily(&mut self, said: usize, source: SocketAddr, length: usize) {
        let mut room = length.saturating_mul(FOR_TWO) / 2;
        let tells_short = &mut self.tells_short;
        self.layer.revise(said, |transmit: &mut Transmit| {
            if transmit.destination.ip() != source.ip() {
                return true;
            }
            let Cut { fits, lacks_challenge } = cut_down(&mut transmit.contents, room);
            if lacks_challenge && fits && std::mem::take(tells_short) {
                tracing::info!(%source, "whoever has not proven to be the PBX and sends little is asked for SHA-256 alone");
            }
            if fits {
                room -= transmit.contents.len();
            } else {
                tracing::debug!(%source, length, "an answer would be too long for its request");
            }
            fits
        });
    }

    /// Whether a request belongs to a call of ours.
    pub(crate) fn has_dialog_of(&self, request: &Request) -> bool {
        DialogId::of_request(request).is_some_and(|dialog| self.dialogs.contains_key(&dialog))
    }
}

/// What became of an answer.
struct Cut {
    fits: bool,
    /// It asks for fewer proofs than it would.
    lacks_challenge: bool,
}

/// Takes out of an answer what it can do without until it fits.
fn cut_down(answer: &mut Vec<u8>, room: usize) -> Cut {
    // RFC 3261 section 21.4.6.
    let must_allow = answer.starts_with(b"SIP/2.0 405 ");
    for luxury in LUXURIES {
        if answer.len() > room && !(must_allow && luxury == "Allow") {
            take_out(answer, luxury, 0);
        }
    }
    if answer.len() > room {
        shorten(answer);
    }
    let mut lacks_challenge = false;
    while answer.len() > room && take_out(answer, "WWW-Authenticate", 1) {
        lacks_challenge = true;
    }
    Cut { fits: answer.len() <= room, lacks_challenge }
}

/// Writes the names of headers short.
fn shorten(answer: &mut Vec<u8>) {
    let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return };
    let body = answer.split_off(end);
    let head = String::from_utf8_lossy(answer).into_owned();
    let short = head.split("\r\n").map(|line| {
        let Some((name, value)) = line.split_once(": ") else { return line.to_owned() };
        let known = SHORT.iter().find(|(long, _)| name.eq_ignore_ascii_case(long));
        known.map_or_else(|| line.to_owned(), |(_, short)| format!("{short}:{value}"))
    });
    *answer = short.collect::<Vec<_>>().join("\r\n").into_bytes();
    answer.extend(body);
}

/// Takes out a header that stands behind so many others of its name; false when there is none.
fn take_out(answer: &mut Vec<u8>, name: &str, behind: usize) -> bool {
    let mut start = 0;
    let mut found = 0;
    while let Some(length) = answer[start..].windows(2).position(|end| end == b"\r\n") {
        let line = &answer[start..start + length];
        if line.is_empty() {
            return false;
        }
        let is_it = line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
            && line.get(name.len()) == Some(&b':');
        if is_it && found == behind {
            answer.drain(start..start + length + 2);
            return true;
        }
        found += usize::from(is_it);
        start += length + 2;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"SIP/2.0 401 Unauthorized\r\nVia: a\r\nWWW-Authenticate: better\r\nWWW-Authenticate: other\r\n\
        Allow: INVITE\r\nServer: us\r\nContent-Length: 8\r\n\r\nServer: ";

    #[test]
    fn what_nobody_needs_goes_first_and_the_better_challenge_stays() {
        let cut = |room: usize| {
            let mut answer = ANSWER.to_vec();
            cut_down(&mut answer, room).fits.then(|| String::from_utf8(answer).unwrap())
        };
        let whole = ANSWER.len();
        assert_eq!(cut(whole).unwrap().as_bytes(), ANSWER);
        let without_server = cut(whole - 1).unwrap();
        assert!(
            !without_server.contains("Server: us") && without_server.contains("Allow"),
            "{without_server}"
        );
        assert!(without_server.ends_with("\r\n\r\nServer: "), "{without_server}");
        let short = cut(whole - 40).unwrap();
        assert!(short.contains("\r\nv:a\r\n") && short.contains("\r\nl:8\r\n"), "{short}");
        assert!(short.contains("better") && short.contains("other"), "{short}");
        let bare = cut(whole - 60).unwrap();
        assert!(bare.contains("better") && !bare.contains("other"), "{bare}");
        assert_eq!(cut(60), None);
    }

    #[test]
    fn whoever_may_not_use_a_method_is_told_which_there_are_or_nothing() {
        const REFUSED: &[u8] =
            b"SIP/2.0 405 Method Not Allowed\r\nVia: a\r\nAllow: INVITE\r\nServer: us\r\n\r\n";
        let mut answer = REFUSED.to_vec();
        assert!(cut_down(&mut answer, REFUSED.len() - 14).fits);
        assert_eq!(answer, b"SIP/2.0 405 Method Not Allowed\r\nv:a\r\nAllow: INVITE\r\n\r\n");
        assert!(!cut_down(&mut answer, 50).fits);
    }
}
