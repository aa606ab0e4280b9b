//! Who calls, by the PBX's word, whether that is to be told, and who sent the call on: P-Asserted-Identity and
//! P-Preferred-Identity (RFC 3325), Privacy (RFC 3323), Remote-Party-ID (its draft), Diversion (RFC 5806) and
//! History-Info (RFC 7044). None of them refuses a call, however it is written.

use super::NameAddr;
use crate::message::Headers;
use crate::text::clean;
use crate::uri::Uri;

/// Longest name and longest number that are kept, in bytes.
const WORD_LIMIT_BYTES: usize = 128;

/// Values that are looked at in a header that lists several.
const VALUES_LIMIT: usize = 32;

/// Somebody at the PBX.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// User part of the address without escapes; may be empty.
    pub user: String,
    /// Display name; may be empty.
    pub display: String,
}

/// Who calls, and on whose behalf.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Who calls: as the PBX asserts it, else as From has it.
    pub caller: Party,
    /// Whether the caller wants that told to nobody.
    pub private: bool,
    /// Who was called at first, where the call was sent on.
    pub first_diverter: Option<Party>,
    /// Who sent it on last.
    pub last_diverter: Option<Party>,
}

impl Identity {
    /// Reads it out of an INVITE. What cannot be read counts as not there.
    pub(crate) fn of(headers: &Headers) -> Self {
        let from = headers.first("From").and_then(party).unwrap_or_default();
        let asserted = ["P-Asserted-Identity", "P-Preferred-Identity"]
            .into_iter()
            .flat_map(|name| list(headers, name))
            .find_map(|value| party(value).filter(|party| !party.user.is_empty()));
        let remote = list(headers, "Remote-Party-ID").find(|value| {
            let written = NameAddr::parse(value);
            let role = written.as_ref().and_then(|value| value.parameters.value("party"));
            role.is_none_or(|role| role.eq_ignore_ascii_case("calling"))
        });
        let is_anonymous = from.user.eq_ignore_ascii_case("anonymous");
        let private = is_anonymous || wants_privacy(headers) || remote.is_some_and(is_restricted);
        let caller = asserted.or_else(|| remote.and_then(party)).unwrap_or(from);
        let open = |value: &&str| !is_restricted(value);
        let mut diverters: Vec<_> = list(headers, "Diversion").filter(open).filter_map(party).collect();
        // The last one stands first (RFC 5806 section 3.1).
        diverters.reverse();
        if diverters.is_empty() {
            diverters = history(headers);
        }
        if withholds_history(headers) {
            diverters.clear();
        }
        Self {
            caller,
            private,
            first_diverter: diverters.first().cloned(),
            last_diverter: diverters.last().cloned(),
        }
    }
}

/// Whether whoever sends these headers in a dialog wants to stay unknown. From is left out: in answers it is ours.
pub(crate) fn is_hidden(headers: &Headers) -> bool {
    wants_privacy(headers) || list(headers, "Remote-Party-ID").any(is_restricted)
}

fn list<'a>(headers: &'a Headers, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.all(name).flat_map(NameAddr::split_list).take(VALUES_LIMIT)
}

fn party(value: &str) -> Option<Party> {
    let written = NameAddr::parse(value)?;
    let user = Uri::parse(&written.uri).ok().and_then(|uri| uri.user).unwrap_or_default();
    Some(Party { user: clean(&user, WORD_LIMIT_BYTES), display: clean(&written.display, WORD_LIMIT_BYTES) })
}

/// Whether the caller wants to stay unknown; `none`, `critical` and words of no RFC do not say so (RFC 3323 section 4.2).
fn wants_privacy(headers: &Headers) -> bool {
    has_privacy(headers, &["id", "user", "header"])
}

/// Whether nobody is to learn who sent the call on (RFC 7044 section 10.1.2).
fn withholds_history(headers: &Headers) -> bool {
    has_privacy(headers, &["history", "header", "session"])
}

fn has_privacy(headers: &Headers, asked: &[&str]) -> bool {
    let mut words = headers.all("Privacy").flat_map(|value| value.split([';', ',']));
    words.any(|word| asked.iter().any(|known| word.trim().eq_ignore_ascii_case(known)))
}

fn is_restricted(remote: &str) -> bool {
    let privacy =
        NameAddr::parse(remote).and_then(|value| value.parameters.value("privacy").map(str::to_owned));
    privacy.is_some_and(|word| !word.eq_ignore_ascii_case("off"))
}

/// Who sent the call on, in order: each entry that names why it was left, or whose successor does
/// (RFC 7044 sections 5 and 10.2). Other entries tell of a way through proxies.
fn history(headers: &Headers) -> Vec<Party> {
    let entries: Vec<_> = list(headers, "History-Info")
        .filter_map(|value| Some((value, NameAddr::parse(value)?)))
        .filter_map(|(value, written)| Some((value, Uri::parse(&written.uri).ok()?)))
        .collect();
    let is_left = |at: usize| {
        let why = entries[at].1.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Reason"));
        why || entries.get(at + 1).is_some_and(|(_, next)| next.parameter("cause").is_some())
    };
    let is_open =
        |at: usize| !entries[at].1.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Privacy"));
    (0..entries.len())
        .filter(|at| is_left(*at) && is_open(*at))
        .filter_map(|at| party(entries[at].0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_pbx_asserts_counts_before_what_from_says() {
        let from = ("From", "\"Front\" <sip:front@pbx>;tag=1");
        assert_eq!(caller(&[from]), ("front".into(), "Front".into(), false));
        let remote = ("Remote-Party-ID", "\"Remote\" <sip:201@pbx>;party=calling;privacy=off;screen=yes");
        assert_eq!(caller(&[from, remote]), ("201".into(), "Remote".into(), false));
        let preferred = ("P-Preferred-Identity", "\"Likes\" <sip:202@pbx>");
        assert_eq!(caller(&[from, remote, preferred]), ("202".into(), "Likes".into(), false));
        let asserted = ("P-Asserted-Identity", "\"Says, so\" <sip:203@pbx>, <tel:+7495-000-00-03>");
        assert_eq!(caller(&[from, preferred, asserted]), ("203".into(), "Says, so".into(), false));
        let called = ("Remote-Party-ID", "<sip:999@pbx>;party=called");
        assert_eq!(caller(&[from, called]), ("front".into(), "Front".into(), false));
    }

    #[test]
    fn whoever_wants_to_stay_unknown_is_marked() {
        let from = ("From", "<sip:100@pbx>;tag=1");
        for (header, private) in [
            (("Privacy", "id"), true),
            (("Privacy", "header; USER;critical"), true),
            (("Privacy", "none"), false),
            (("Privacy", "critical"), false),
            (("Privacy", "history"), false),
            (("Remote-Party-ID", "<sip:1@pbx>;privacy=full"), true),
            (("Remote-Party-ID", "<sip:1@pbx>;privacy=off"), false),
        ] {
            assert_eq!(caller(&[from, header]).2, private, "{header:?}");
        }
        assert!(caller(&[("From", "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1")]).2);
    }

    #[test]
    fn the_first_and_the_last_who_sent_a_call_on_are_found_in_either_header() {
        // RFC 5806 section 7.1: the last diversion stands first.
        let diversion = ("Diversion", "<sip:c@pbx>;reason=no-answer, \"B\" <sip:b@pbx>;reason=user-busy");
        assert_eq!(diverters(&[diversion]), ["b", "c"]);
        let history = (
            "History-Info",
            "<sip:b@pbx?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@pbx;cause=302>;index=1.1, \
             <sip:d@pbx;cause=408>;index=1.1.1;mp=1.1",
        );
        assert_eq!(diverters(&[history]), ["b", "c"]);
        assert_eq!(diverters(&[history, diversion]), ["b", "c"], "told once");
        for word in ["history", "id;header", "session"] {
            assert!(diverters(&[history, ("Privacy", word)]).is_empty(), "{word}");
        }
        assert_eq!(diverters(&[history, ("Privacy", "id")]), ["b", "c"], "that is the caller's");
        let one = (
            "History-Info",
            "<sip:b@pbx?Reason=SIP%3Bcause%3D302&Privacy=history>;index=1, <sip:c@pbx;cause=302>;index=1.1, <sip:d@pbx;cause=408>;index=1.1.1",
        );
        assert_eq!(diverters(&[one]), ["c", "c"]);
        assert_eq!(
            diverters(&[("Diversion", "<sip:c@pbx>;privacy=full, <sip:b@pbx>;privacy=off")]),
            ["b", "b"]
        );
        let way = ("History-Info", "<sip:b@pbx>;index=1, <sip:b@192.0.2.7>;index=1.1;rc=1");
        assert!(diverters(&[way]).is_empty(), "a way through proxies diverts nobody");
    }

    #[test]
    fn what_cannot_be_read_is_not_there() {
        let broken = [
            ("From", "<sip:100@pbx>;tag=1"),
            ("P-Asserted-Identity", "\"open <sip:1@pbx>"),
            ("Remote-Party-ID", "<<>>"),
            ("Diversion", ";;;"),
            ("History-Info", "<sip:[@pbx>;index=1, ,,"),
            ("Privacy", ";;"),
        ];
        assert_eq!(caller(&broken), ("100".into(), String::new(), false));
        assert!(diverters(&broken).is_empty());
    }

    fn read(pairs: &[(&str, &str)]) -> Identity {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.push(name, *value);
        }
        Identity::of(&headers)
    }

    fn caller(pairs: &[(&str, &str)]) -> (String, String, bool) {
        let Identity { caller, private, .. } = read(pairs);
        (caller.user, caller.display, private)
    }

    fn diverters(pairs: &[(&str, &str)]) -> Vec<String> {
        let Identity { first_diverter, last_diverter, .. } = read(pairs);
        first_diverter.into_iter().chain(last_diverter).map(|party| party.user).collect()
    }
}
