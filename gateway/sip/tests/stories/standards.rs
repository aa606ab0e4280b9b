//! The torture messages of RFC 4475 and RFC 5118, each with the answer of an end that takes calls and registers nobody.

use std::path::PathBuf;

use tgtrunk_media::codec::{OPUS, PCMU};
use tgtrunk_sip::Event;

use crate::world::{PBX, World, header, headers, start};

/// `call` is a call that is taken, `-` silence, anything else the status.
pub(crate) const RFC_4475: [(&str, &str, &str); 49] = [
    // 3.1.1 Valid messages
    (
        "wsinv",
        "481",
        "its To has a tag, and no dialog of ours has that one; without the tag it is a call (below)",
    ),
    ("intmeth", "501", "well-formed, a method of its own"),
    ("esc01", "call", "escapes are undone once: the user is sips:user@example.com"),
    ("escnull", "405", "well-formed; nobody registers here"),
    ("esc02", "501", "RE%47IST%45R is not REGISTER: methods know no escapes"),
    ("lwsdisp", "200", "no space is needed between a name and its bracket"),
    ("longreq", "call", "length alone is no fault"),
    ("dblreq", "405", "what follows the body of the REGISTER in the datagram is not looked at"),
    ("semiuri", "200", "a semicolon in a user part"),
    ("transports", "200", "what lower Vias travelled over is theirs to know"),
    (
        "mpart01",
        "405",
        "a MESSAGE, with octets that are no text in its body; its two signatures are octets of ours",
    ),
    ("unreason", "-", "a response to nothing; its phrase is UTF-8"),
    ("noreason", "-", "a response to nothing; its phrase is empty"),
    // 3.1.2 Invalid messages
    ("badinv01", "400", "a Via list with nothing between its commas"),
    ("clerr", "400", "Content-Length beyond the datagram (RFC 3261 section 18.3)"),
    ("ncl", "400", "a negative Content-Length"),
    ("scalar02", "400", "CSeq above 2^31"),
    ("scalarlg", "-", "a response to nothing with a CSeq above 2^31"),
    ("quotbal", "400", "a quote that does not close: the address cannot be told from the name"),
    (
        "ltgtruri",
        "call",
        "brackets around the Request-URI leave no doubt of what is meant, and PBXs write them",
    ),
    ("lwsruri", "400", "a space inside the Request-URI"),
    ("lwsstart", "call", "spaces around the Request-URI leave no doubt of what is meant"),
    ("trws", "200", "spaces behind the version leave no doubt of what is meant"),
    ("escruri", "call", "headers in the Request-URI are not followed (RFC 3261 section 19.1.5)"),
    ("baddate", "call", "nobody here reads Date"),
    ("regbadct", "405", "nobody registers here"),
    ("badaspec", "200", "spaces inside the brackets leave no doubt of what is meant"),
    ("baddn", "200", "a comma in a name without quotes leaves no doubt of what is meant"),
    ("badvers", "505", "SIP/7.0"),
    ("mismatch01", "400", "CSeq names another method"),
    ("mismatch02", "400", "CSeq names another method, before the unknown method is looked at"),
    ("bigcode", "-", "no status line"),
    // 3.2 Transaction layer
    ("badbranch", "200", "the cookie alone is no branch: it counts as one of RFC 2543"),
    // 3.3 Application layer
    ("insuf", "400", "From, To and Call-ID are missing"),
    ("unkscm", "416", "an unknown scheme"),
    ("novelsc", "416", "a known scheme that means no calls"),
    ("unksm2", "405", "nobody registers here, whatever the scheme of To"),
    ("bext01", "420", "Require names what nobody knows; Proxy-Require is for proxies"),
    ("invut", "415", "a body that is no session description"),
    ("regaut01", "405", "nobody registers here, and credentials that nobody asked for are passed over"),
    ("multi01", "400", "headers that may stand once stand twice"),
    ("mcl01", "400", "two lengths of one body"),
    ("bcast", "-", "a response with a Via below ours: it went astray"),
    ("zeromf", "200", "Max-Forwards 0 has arrived when it is here"),
    ("cparam01", "405", "nobody registers here"),
    ("cparam02", "405", "nobody registers here"),
    ("regescrt", "405", "nobody registers here"),
    ("sdp01", "406", "the caller would not understand the answer to its offer"),
    // 3.4 Backward compatibility
    ("inv2543", "call", "From without a tag, no branch, no Max-Forwards, no Contact"),
];

/// The same for RFC 5118.
pub(crate) const RFC_5118: [(&str, &str, &str); 12] = [
    ("ipv6-good", "405", "well-formed; nobody registers here"),
    ("ipv6-bad", "405", "the method is judged before the address without brackets (RFC 3261 section 8.2.1)"),
    ("port-ambiguous", "405", "well-formed: 5070 is a part of the address"),
    ("port-unambiguous", "405", "well-formed: 5070 is a port"),
    ("via-received-param-with-delim", "481", "a BYE to nothing; brackets in received are read"),
    ("via-received-param-no-delim", "200", "no brackets in received are read"),
    ("ipv6-in-sdp", "488", "IPv6 in the description is read, G.726 is not carried"),
    ("mult-ip-in-header", "481", "a BYE to nothing; Vias of both families go back"),
    ("mult-ip-in-sdp", "call", "audio over IPv4, video over IPv6 is refused by port 0"),
    ("ipv4-mapped-ipv6", "488", "a mapped address is read, G.726 is not carried"),
    ("ipv6-bug-abnf-3-colons", "200", "three colons where two are meant are to be borne"),
    ("ipv6-correct-abnf-2-colons", "200", "two colons"),
];

#[test]
fn each_message_of_rfc_4475_gets_its_answer() {
    each_gets_its_answer("rfc4475", &RFC_4475);
}

#[test]
fn each_message_of_rfc_5118_gets_its_answer() {
    each_gets_its_answer("rfc5118", &RFC_5118);
}

#[test]
fn the_tortuous_invite_of_rfc_4475_is_a_call_when_it_begins_one() {
    let text = String::from_utf8(message("rfc4475", "wsinv")).unwrap();
    let mut world = talkative();
    world.hears(&text.replace(" ;   tag    = 1918181833n", ""));
    let trying = world.said();
    assert_eq!((start(&trying), header(&trying, "cseq")), ("100 Trying", "0009 INVITE"));
    assert_eq!(headers(&trying, "Via").len(), 2, "one line alone, two in a list");
    let Event::Incoming { dialled, from_display, from_user, remote: Some(remote), .. } = world.event() else {
        panic!("no call")
    };
    assert_eq!((dialled.as_str(), from_user.as_str()), ("vivekg", "jdrosen"));
    assert_eq!(
        (from_display.as_str(), remote.rtp.to_string().as_str()),
        (r#"J Rosenberg \""#, "192.0.2.4:49217")
    );
}

#[test]
fn what_is_meant_by_escapes_and_odd_offers_is_told() {
    let told = |folder: &str, name: &str| {
        let mut world = talkative();
        world.hears_from(PBX, &message(folder, name));
        let Event::Incoming { dialled, from_user, remote, .. } = world.event() else { panic!("{name}") };
        (dialled, from_user, remote.map(|remote| remote.rtp.to_string()).unwrap_or_default())
    };
    let of = |dialled: &str, from: &str, rtp: &str| (dialled.to_owned(), from.to_owned(), rtp.to_owned());
    assert_eq!(told("rfc4475", "esc01"), of("sips:user@example.com", "I have spaces", "192.0.2.1:49217"));
    assert_eq!(told("rfc4475", "inv2543"), of("UserB", "+13035551111", "192.0.2.5:49217"));
    assert_eq!(told("rfc5118", "mult-ip-in-sdp"), of("user", "user", "192.0.2.1:22334"));
}

fn each_gets_its_answer(folder: &str, table: &[(&str, &str, &str)]) {
    let files = std::fs::read_dir(path(folder)).unwrap().count();
    assert_eq!(files, table.len(), "a message without its expected answer, or the other way round");
    for (name, wanted, why) in table {
        let mut world = talkative();
        world.hears_from(PBX, &message(folder, name));
        match *wanted {
            "-" => {}
            "call" => {
                assert_eq!(world.try_said().as_deref().map(start), Some("100 Trying"), "{name}: {why}");
                assert!(matches!(world.event(), Event::Incoming { .. }), "{name}: {why}");
            }
            status => {
                let said = world.try_said().unwrap_or_default();
                assert!(start(&said).starts_with(status), "{name}: {why}: {said}");
                world.skip_turned_away();
                world.no_event();
            }
        }
        world.is_silent();
        world.no_event();
    }
}

fn talkative() -> World {
    World::with(|config| config.codecs = vec![&OPUS, &PCMU])
}

pub(crate) fn message(folder: &str, name: &str) -> Vec<u8> {
    std::fs::read(path(folder).join(format!("{name}.sip"))).unwrap()
}

fn path(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}
