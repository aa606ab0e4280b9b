//! `<phone>/line.toml`: one phone number's line, between its Telegram account and the PBX.
//!
//! `config/line.example.toml` shows every key. [`crate::Lines`] reads all lines of a state directory.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crate::audio::{self, Audio};
use crate::caller_id::{self, CallerId};
use crate::chat::{self, Chat};
use crate::dial::{self, DialRule};
use crate::hours::{self, Hours};
use crate::keys::{self, Page, Problem, Section};
use crate::pbx::{self, Pbx, WANTED_PBX};
use crate::policy::{self, FromTelegram, Owner, ToTelegram};
use crate::recording::{self, RecordingRule};
use crate::transfer::{self, Transfer};
use crate::trunk::{self, Trunk};
use crate::units::Phone;

/// One line, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The account's number, which names the line.
    pub phone: Phone,
    /// A line that is switched off is not opened, but keeps its port.
    pub enabled: bool,
    /// The line's own port, of UDP and TCP: it listens there, and sends datagrams from there.
    pub sip_port: u16,
    /// Where the PBX is.
    pub pbx: Pbx,
    /// How it is spoken to, and how both prove themselves to each other.
    pub trunk: Trunk,
    /// User part of the request URI of calls to the PBX, which its inbound routes look at.
    pub pbx_user: String,
    /// Further addresses that may place calls; the PBX's own always may.
    pub allowed_sources: Vec<IpAddr>,
    /// How long the PBX may ring before the caller is told that nobody answers.
    pub ring_limit: Duration,
    /// A call without a packet from the PBX for this long is ended.
    pub media_timeout: Duration,
    /// How many calls at once.
    pub calls: CallLimits,
    /// How many new calls of the PBX in a second; two seconds' worth may come at once.
    pub new_calls_per_second: u32,
    /// How many people who do not know the account it may look up or call in a day; 0 closes that way. Telegram bans
    /// accounts that approach many of them.
    pub strangers_per_day: u32,
    /// Whether everybody shall see the account's phone number, or nobody: the account's own setting at Telegram.
    pub phone_visible: bool,
    /// What the PBX sees as the caller's number and name.
    pub caller_id: CallerId,
    /// What a Telegram caller's device is told while the PBX rings.
    pub parallel_incoming: ParallelIncoming,
    /// What a Telegram caller may hear before the answer.
    pub early_answer: EarlyAnswer,
    /// What the PBX may hear before the answer.
    pub early_media: EarlyMedia,
    /// Codecs, keys, and what is heard while nobody speaks.
    pub audio: Audio,
    /// What digits without a sign mean when the PBX dials them.
    pub dial: DialRule,
    /// Whose calls from Telegram reach the PBX, and what the others get.
    pub from_telegram: FromTelegram,
    /// Whom the PBX may call at Telegram.
    pub to_telegram: ToTelegram,
    /// Which calls the owner of the account takes on other devices.
    pub owner: Owner,
    /// When the PBX takes calls, and when nobody is called.
    pub hours: Hours,
    /// Whether and where calls are recorded.
    pub recording: RecordingRule,
    /// Whether the PBX may send a call on.
    pub transfer: Transfer,
    /// What the client and the bot do for a caller in Telegram.
    pub chat: Chat,
}

/// How many calls at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// In both directions together.
    pub total: u32,
    /// From Telegram to the PBX; 0 closes the direction.
    pub from_telegram: u32,
    /// From the PBX to Telegram; 0 closes the direction.
    pub to_telegram: u32,
}

/// When a Telegram caller's device is told that ours rings, which keeps further callers out meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParallelIncoming {
    /// After 5 s without an answer from the PBX: an IVR or a queue is quicker, a ringing extension has 90 s.
    Auto,
    /// Never: any number of callers get in at once, and the PBX must answer each within 15 s.
    Always,
    /// At once: a second caller is told that the line is busy.
    Off,
}

/// When a Telegram caller is accepted though the PBX has not answered. Before that, the caller hears nothing of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyAnswer {
    /// When the PBX plays something before it answers (183 with a description): an announcement is heard.
    EarlyMedia,
    /// When the PBX rings, too: the caller hears [`Ringback`](crate::Ringback).
    Ringing,
    /// Never.
    Off,
}

/// What a caller at the PBX hears of us before the person on Telegram answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyMedia {
    /// Nothing: the PBX is told that it rings (180), and makes a tone of its own.
    Off,
    /// [`Ringback`](crate::Ringback), in 183 with a description.
    Ringback,
}

/// Where a PBX is: an IP address or a host name, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxAddress {
    /// IP address (without brackets) or host name; names are resolved by whoever sends.
    pub host: String,
    /// Port, where one is given. An IP address without one has the transport's own; the name of a PBX without one may have
    /// its ports and addresses in SRV records (RFC 3263).
    pub port: Option<u16>,
}

/// Not an address of a PBX.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "PBX address {0:?}: want an IP address or a host name, with a port if it is not 5060 (or 5061 with TLS)"
)]
pub struct PbxAddressError(String);

impl Line {
    /// Checks a line's text, read from `<folder>/line.toml`. `taken` are the ports of the lines before it.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn parse(
        text: &str,
        file: &Path,
        folder: &str,
        taken: &BTreeMap<u16, Phone>,
    ) -> Result<Self, Vec<Problem>> {
        read(Page::new(file, text), folder, taken, file.parent().unwrap_or(Path::new("")))
    }
}

impl PbxAddress {
    /// The address, if it is given as one and not as a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for PbxAddress {
    type Err = PbxAddressError;

    fn from_str(text: &str) -> Result<Self, PbxAddressError> {
        let wrong = || PbxAddressError(text.chars().take(80).collect());
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self { host: ip.to_string(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?))
            }
            None => (text, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let sound = match bare {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.parse::<std::net::Ipv4Addr>().is_ok() || is_host_name(host),
        };
        if sound { Ok(Self { host: bare.unwrap_or(host).to_owned(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for PbxAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]", self.host)?;
        } else {
            out.write_str(&self.host)?;
        }
        match self.port {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Checks a page whose `phone` must be `folder`. Relative paths in it start at `place`.
pub(crate) fn read(
    page: Page<'_>,
    folder: &str,
    taken: &BTreeMap<u16, Phone>,
    place: &Path,
) -> Result<Line, Vec<Problem>> {
    let checked = page.top().and_then(|mut top| {
        let line = read_line(&mut top, folder, taken, place);
        top.finish();
        line
    });
    page.finish(checked)
}

fn read_line(
    top: &mut Section<'_, '_>,
    folder: &str,
    taken: &BTreeMap<u16, Phone>,
    place: &Path,
) -> Option<Line> {
    let phone: Option<Phone> = top.required(
        "phone",
        r#"+ and 7 to 15 digits with the country code first, as "+79060000000""#,
        keys::parsed,
    );
    if let Some(phone) = phone.as_ref().filter(|phone| phone.as_str() != folder) {
        let wanted = format!("the name of its folder, which is {folder:?}");
        top.clash("phone", format_args!("{:?}", phone.as_str()), &wanted);
    }
    let enabled = top.switch("enabled", true);
    let sip_port: Option<u16> =
        top.required("sip_port", "a port of its own from 1024 to 65535, as 30001", |value| {
            keys::whole(value).filter(|port| *port >= 1024)
        });
    if let Some((port, holder)) = sip_port.and_then(|port| taken.get_key_value(&port)) {
        let wanted = format!(
            "a port of its own from 1024 to 65535: {holder} has this one and runs, this line does not"
        );
        top.clash("sip_port", port, &wanted);
    }
    let mut pbx = top.required("pbx", WANTED_PBX, pbx::read);
    let pbx_user = top.optional("pbx_user", "1 to 64 letters, digits and + - _ . *", |value| {
        let user = keys::text(value)?;
        let fits = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.*".contains(&byte));
        (fits && (1..=64).contains(&user.len())).then(|| user.to_owned())
    });
    let allowed_sources = top
        .optional("allowed_sources", r#"a list of IP addresses, as ["192.0.2.7"]"#, |value| {
            keys::list(value, |source| keys::parsed::<IpAddr>(source).map(|ip| ip.to_canonical()))
        })
        .unwrap_or_default();
    let ring_limit = top.seconds("ring_limit_s", 90, 5..=180);
    let media_timeout = top.seconds("media_timeout_s", 30, 5..=3_600);
    let calls = read_limits(top);
    let new_calls_per_second = top.number("max_new_calls_per_s", 50, 1..=1_000, "");
    let strangers_per_day = top.number("strangers_per_day", 20, 0..=10_000, "");
    let phone_visible = top.switch("phone_visible", true);
    let caller_id = caller_id::read(top);
    let parallel_incoming = top.word(
        "parallel_incoming",
        &[
            ("auto", ParallelIncoming::Auto),
            ("always", ParallelIncoming::Always),
            ("off", ParallelIncoming::Off),
        ],
    );
    let early_answer = top.word(
        "early_answer",
        &[
            ("early_media", EarlyAnswer::EarlyMedia),
            ("ringing", EarlyAnswer::Ringing),
            ("off", EarlyAnswer::Off),
        ],
    );
    let early_media =
        top.word("early_media", &[("off", EarlyMedia::Off), ("ringback", EarlyMedia::Ringback)]);
    let audio = audio::read(top);
    let dial = dial::read(top.section("dial"));
    let from_telegram = policy::read_from_telegram(top.section("from_telegram"));
    let to_telegram = policy::read_to_telegram(top.section("to_telegram"));
    let owner = policy::read_owner(top.section("owner"));
    let hours = hours::read(top.section("hours"));
    let trunk = trunk::read(top.section("trunk"), place);
    pbx.iter_mut().for_each(|pbx| pbx.settle(trunk.transport));
    let recording = recording::read(top.section("recording"));
    let transfer = transfer::read(top.section("transfer"));
    let chat = chat::read(top, phone.as_ref(), place);
    let phone = phone?;
    Some(Line {
        pbx_user: pbx_user.unwrap_or_else(|| phone.as_str().to_owned()),
        phone,
        enabled,
        sip_port: sip_port?,
        pbx: pbx?,
        trunk,
        allowed_sources,
        ring_limit,
        media_timeout,
        calls,
        new_calls_per_second,
        strangers_per_day,
        phone_visible,
        caller_id,
        parallel_incoming,
        early_answer,
        early_media,
        audio,
        dial,
        from_telegram,
        to_telegram,
        owner,
        hours,
        recording,
        transfer,
        chat,
    })
}

fn read_limits(top: &mut Section<'_, '_>) -> CallLimits {
    let total = top.number("max_calls", 100, 1..=1_000, "");
    let mut one_way = |key| {
        let limit = top.number(key, total, 0..=1_000, "");
        if limit > total {
            top.clash(key, limit, &format!("at most max_calls, which is {total}"));
        }
        limit
    };
    let from_telegram = one_way("max_calls_from_telegram");
    let to_telegram = one_way("max_calls_to_telegram");
    CallLimits { total, from_telegram, to_telegram }
}

/// A host name (RFC 1123 section 2.1) that nobody can mistake for a mistyped address.
pub(crate) fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253 && host.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{CodecName, DtmfWay, Ringback};
    use crate::caller_id::{CallerField, CallerPart, CallerPrivacy};

    const SMALLEST: &str = "phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n";

    #[test]
    fn the_smallest_line_is_three_keys_and_the_rest_has_defaults() {
        let line = parse(SMALLEST).unwrap();
        assert_eq!(line.pbx.to_string(), "127.0.0.1:5060");
        assert_eq!(line.pbx_user, "+79060000000");
        assert_eq!(line.calls, CallLimits { total: 100, from_telegram: 100, to_telegram: 100 });
        assert_eq!(line.strangers_per_day, 20);
        let fields = [CallerField::Phone, CallerField::Username, CallerField::Id];
        assert_eq!(line.caller_id.numbers, fields.map(|field| vec![CallerPart::Field(field)]));
        assert_eq!(line.caller_id.names, [[CallerPart::Field(CallerField::Name)]]);
        assert!(!line.caller_id.ascii_names);
        assert_eq!(line.parallel_incoming, ParallelIncoming::Auto);
        assert_eq!(line.early_answer, EarlyAnswer::EarlyMedia);
        assert_eq!((line.early_media, line.new_calls_per_second), (EarlyMedia::Off, 50));
        assert_eq!(line.caller_id.privacy, CallerPrivacy::Never);
        assert_eq!(line.audio.codecs, CodecName::ALL);
        assert_eq!((line.audio.dtmf, line.audio.ringback), (DtmfWay::Auto, Ringback::Ru));
        assert_eq!((line.audio.dtmf_tone.as_millis(), line.audio.dtmf_pause.as_millis()), (120, 80));
        assert!(line.audio.comfort);
        assert!(line.enabled && line.phone_visible);
    }

    #[test]
    fn the_shipped_example_holds_every_key_and_each_at_its_default() {
        let example = include_str!("../line.example.toml");
        let smallest = SMALLEST.replace("127.0.0.1", "127.0.0.1:5060");
        assert_eq!(parse(example).unwrap(), parse(&smallest).unwrap());
        let table: toml::Table = example.parse().unwrap();
        for key in every_key("no_such_key = 1\n") {
            assert!(table.contains_key(key), "config/line.example.toml lacks {key}");
        }
        for section in [
            "dial",
            "from_telegram",
            "to_telegram",
            "owner",
            "hours",
            "trunk",
            "recording",
            "transfer",
            "card_contact",
        ] {
            for key in every_key(&format!("{SMALLEST}[{section}]\nno_such_key = 1\n")) {
                assert!(table[section].get(key).is_some(), "config/line.example.toml lacks {section}.{key}");
            }
        }
    }

    #[test]
    fn recordings_are_off_and_where_they_go_is_a_whole_path() {
        let rule = |more: &str| parse(&format!("{SMALLEST}[recording]\n{more}")).map(|line| line.recording);
        let usual = rule("").unwrap();
        assert!(!usual.enabled && usual.directory.is_none());
        assert_eq!((usual.keep.as_secs(), usual.consent_tone), (30 * 86_400, crate::ConsentTone::Off));
        let told = rule("enabled = true\ndirectory = \"/srv/calls\"\nconsent_tone = \"repeat\"\n").unwrap();
        assert_eq!(told.directory.as_deref(), Some(Path::new("/srv/calls")));
        assert_eq!(rule("directory = \"\"").unwrap().directory, None);
        assert_eq!(
            errors(&format!(
                "{SMALLEST}[recording]\ndirectory = \"calls\"\nkeep_days = 0\nconsent_tone = 1\n"
            )),
            [
                r#"l.toml:5: recording.directory = "calls": want the whole path of a folder, or "" for recordings beside line.toml"#,
                "l.toml:6: recording.keep_days = 0: want a whole number from 1 to 3650 (days)",
                r#"l.toml:7: recording.consent_tone = 1: want one of "off", "start", "repeat""#,
            ]
        );
    }

    #[test]
    fn every_mistake_is_told_at_once_with_line_key_value_and_what_is_allowed() {
        let text = "phone = 79060000000\nsip_port = 80\nenabled = \"yes\"\nring_limit_s = 4\nmax_calls = 5\nmax_calls_to_telegram = 6\ncaller_id = [\"phone\", \"phone\"]\nparallel_incoming = \"maybe\"\npbx_user = \"a b\"\nallowed_sources = [\"pbx\"]\n[dial]\ncountry_code = \"0\"\nnational_prefix = 8\ninternational_prefixes = [\"\"]\nfew_digits = \"name\"\n";
        assert_eq!(
            errors(text),
            [
                r#"l.toml:1: phone = 79060000000: want + and 7 to 15 digits with the country code first, as "+79060000000""#.to_owned(),
                format!("l.toml:1: pbx is missing: want {WANTED_PBX}"),
                "l.toml:2: sip_port = 80: want a port of its own from 1024 to 65535, as 30001".to_owned(),
                r#"l.toml:3: enabled = "yes": want true or false"#.to_owned(),
                "l.toml:4: ring_limit_s = 4: want a whole number from 5 to 180 (seconds)".to_owned(),
                "l.toml:6: max_calls_to_telegram = 6: want at most max_calls, which is 5".to_owned(),
                format!(r#"l.toml:7: caller_id = ["phone", "phone"]: want {}"#, caller_id::WANTED_NUMBERS),
                r#"l.toml:8: parallel_incoming = "maybe": want one of "auto", "always", "off""#.to_owned(),
                r#"l.toml:9: pbx_user = "a b": want 1 to 64 letters, digits and + - _ . *"#.to_owned(),
                r#"l.toml:10: allowed_sources = ["pbx"]: want a list of IP addresses, as ["192.0.2.7"]"#.to_owned(),
                r#"l.toml:12: dial.country_code = "0": want 1 to 3 digits in quotes, not beginning with 0, as "7""#.to_owned(),
                r#"l.toml:13: dial.national_prefix = 8: want up to 4 digits in quotes, as "8", or "" for none"#.to_owned(),
                r#"l.toml:14: dial.international_prefixes = [""]: want a list of 1 to 4 digits in quotes, as ["00"]"#.to_owned(),
                r#"l.toml:15: dial.few_digits = "name": want one of "id", "phone""#.to_owned(),
            ]
        );
    }

    #[test]
    fn codecs_keep_their_order_and_each_stands_once() {
        let codecs = |list: &str| parse(&format!("{SMALLEST}codecs = {list}\n"));
        assert_eq!(codecs(r#"["pcma", "opus"]"#).unwrap().audio.codecs, [CodecName::Pcma, CodecName::Opus]);
        for wrong in ["[]", r#""opus""#, r#"["opus", "opus"]"#, r#"["g729"]"#, r#"["Opus"]"#] {
            let told = codecs(wrong).unwrap_err();
            assert_eq!(
                told[0].to_string(),
                format!(
                    r#"l.toml:4: codecs = {wrong}: want a list of different words out of "opus", "g722", "pcma", "pcmu", "l16""#
                )
            );
        }
    }

    #[test]
    fn keys_and_ringing_are_checked_by_name() {
        let text = format!(
            "{SMALLEST}dtmf = \"sip\"\ndtmf_tone_ms = 39\ndtmf_pause_ms = 1001\nringback = \"fr\"\ncomfort = 1\n"
        );
        assert_eq!(
            errors(&text),
            [
                r#"l.toml:4: dtmf = "sip": want one of "auto", "rfc4733", "info", "in_band""#,
                "l.toml:5: dtmf_tone_ms = 39: want a whole number from 40 to 1000 (milliseconds)",
                "l.toml:6: dtmf_pause_ms = 1001: want a whole number from 40 to 1000 (milliseconds)",
                r#"l.toml:7: ringback = "fr": want one of "ru", "us", "uk", "off""#,
                "l.toml:8: comfort = 1: want true or false",
            ]
        );
    }

    #[test]
    fn a_line_in_a_folder_of_another_name_is_refused() {
        let told = Line::parse(SMALLEST, Path::new("l.toml"), "+79060000001", &BTreeMap::new()).unwrap_err();
        assert_eq!(
            told[0].to_string(),
            r#"l.toml:1: phone = "+79060000000": want the name of its folder, which is "+79060000001""#
        );
    }

    #[test]
    fn a_port_that_another_line_has_is_refused_and_the_holder_named() {
        let taken = BTreeMap::from([(30001, "+79060000009".parse().unwrap())]);
        let told = Line::parse(SMALLEST, Path::new("l.toml"), "+79060000000", &taken).unwrap_err();
        assert_eq!(
            told[0].to_string(),
            "l.toml:2: sip_port = 30001: want a port of its own from 1024 to 65535: +79060000009 has this one and runs, this line does not"
        );
    }

    #[test]
    fn pbx_addresses_are_read_and_written_in_every_form() {
        for (text, written) in [
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.5:5160", "10.0.0.5:5160"),
            ("::1", "[::1]"),
            ("[2001:db8::1]:5062", "[2001:db8::1]:5062"),
            ("pbx.example.org", "pbx.example.org"),
            ("pbx:5070", "pbx:5070"),
        ] {
            assert_eq!(text.parse::<PbxAddress>().unwrap().to_string(), written);
        }
        for wrong in [
            "",
            ":5060",
            "10.0.0.256",
            "10.0.0.1:0",
            "10.0.0.1:99999",
            "a b",
            "[::1",
            "-x",
            "sip:a@b",
            "a..b",
        ] {
            assert!(wrong.parse::<PbxAddress>().is_err(), "{wrong:?} was taken");
        }
    }

    fn parse(text: &str) -> Result<Line, Vec<Problem>> {
        Line::parse(text, Path::new("l.toml"), "+79060000000", &BTreeMap::new())
    }

    fn errors(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_line_on_tls_wants_encrypted_audio_unless_it_says_otherwise() {
        use crate::trunk::{Srtp, TlsTrust, Transport};
        let trunk = |text: &str| parse(&format!("{SMALLEST}[trunk]\n{text}")).unwrap().trunk;
        assert_eq!((trunk("").transport, trunk("").srtp), (Transport::Udp, Srtp::Off));
        assert_eq!(trunk("transport = \"tls\"").srtp, Srtp::Require);
        assert_eq!(trunk("transport = \"tls\"\nsrtp = \"off\"").srtp, Srtp::Off);
        assert_eq!(trunk("srtp = \"offer\"").srtp, Srtp::Offer);
        assert_eq!(trunk("tls_trust = \"/a/pbx.pem\"").tls_trust, TlsTrust::File("/a/pbx.pem".into()));
        let wrong = format!("{SMALLEST}[trunk]\ntls_trust = \"sytem\"\n");
        let told = errors(&wrong).join("\n");
        assert!(
            told.contains(r#"trunk.tls_trust = "sytem": want one of "auto", "system", "any", or the path"#),
            "{told}"
        );
    }

    fn every_key(text: &str) -> Vec<&'static str> {
        let allowed = parse(text).unwrap_err().into_iter().find_map(|problem| match problem.fault {
            keys::Fault::Unknown { allowed, .. } => Some(allowed),
            _ => None,
        });
        allowed.unwrap()
    }
}
