//! `[api]` of `tgtrunk.toml`: where the client serves the messages of its lines to programs, and for how long it keeps them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::keys::{self, Section};
use crate::secret::Password;
use crate::settings::TlsFiles;
use crate::trunk::{TrunkSecret, fits_password};

/// The messages' API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where it is served without TLS; nowhere without it. Port 0 is any free one, which the log names.
    pub listen: Option<SocketAddr>,
    /// Where it is served with TLS.
    pub tls_listen: Option<SocketAddr>,
    /// The certificate that is shown there, and its key; a self-signed one is made without it.
    pub tls: Option<TlsFiles>,
    /// By what programs reach it, where that is not [`ApiSettings::listen`]: links to files begin with it.
    pub public_url: Option<String>,
    /// How far back the journal of messages reaches.
    pub journal: Duration,
    /// How long links to files are good; zero where none is kept for longer than sending or fetching it takes.
    pub files: Duration,
    /// How much files of a line may hold together: MB. The oldest give way.
    pub files_total_mb: u32,
    /// How much is left free on the disk: MB. With less no files are kept, and with less than half no texts of the journal.
    pub disk_reserve_mb: u32,
    /// How long notifications wait to be fetched, and news of calls to be taken.
    pub queue: Duration,
    /// How long messages wait to be sent.
    pub outgoing: Duration,
    /// How many notifications of a line may wait to be fetched. The oldest give way to more.
    pub notification_limit: u32,
    /// Whether a text that is longer than one message of Telegram's is refused to programs of the GREEN-API dialect, instead of
    /// being sent as several.
    pub refuse_long_texts: bool,
    /// How many phone numbers and names a line asks Telegram for in a day.
    pub phone_checks_per_day: u32,
    /// How long a webhook may think.
    pub webhook_timeout: Duration,
    /// How many instances a partner's program may have made at a time.
    pub partner_instances: u32,
    /// Where news of calls are brought; nowhere without it.
    pub call_webhook: Option<CallWebhook>,
}

/// Where news of calls are brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallWebhook {
    /// The address, with `http://` or `https://`.
    pub url: String,
    /// By what its receiver knows that they are ours; nothing is signed without it.
    pub secret: Option<TrunkSecret>,
}

const HOUR_S: u64 = 3600;
/// A week: whoever is written to later wonders.
const LONGEST_OUTGOING_HOURS: u64 = 168;
/// A shorter secret could be guessed, in characters.
const LEAST_SECRET: usize = 16;
const WANTED_SECRET: &str = r#"16 to 128 characters without line breaks, or "" for none"#;

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8091)),
            tls_listen: None,
            tls: None,
            public_url: None,
            journal: Duration::from_secs(30 * 24 * HOUR_S),
            files: Duration::from_secs(24 * HOUR_S),
            files_total_mb: 5_000,
            disk_reserve_mb: 200,
            queue: Duration::from_secs(24 * HOUR_S),
            outgoing: Duration::from_secs(24 * HOUR_S),
            notification_limit: 100_000,
            refuse_long_texts: false,
            phone_checks_per_day: 100,
            webhook_timeout: Duration::from_secs(30),
            partner_instances: 20,
            call_webhook: None,
        }
    }
}

pub(crate) fn read(mut section: Section<'_, '_>, file: &Path) -> ApiSettings {
    let default = ApiSettings::default();
    let listen = section
        .optional("listen", r#"an address and a port, as "127.0.0.1:8091", or "off" for no API"#, |value| {
            match keys::text(value)? {
                "off" => Some(None),
                text => text.parse().ok().map(Some),
            }
        })
        .unwrap_or(default.listen);
    let tls_listen = section
        .optional("tls_listen", r#"an address and a port, as "0.0.0.0:443", or "" for none"#, |value| {
            keys::or_none(value, |text| text.parse().ok())
        })
        .flatten();
    let place = file.parent().unwrap_or(Path::new(""));
    let mut pem = |key| {
        let path = section.optional(key, r#"the path of a PEM file, or "" for none"#, |value| {
            keys::or_none(value, |text| Some(place.join(text)))
        });
        path.flatten()
    };
    let tls = match (pem("certificate"), pem("key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            section.clash("key", "\"\"", "the path of a PEM file, beside certificate");
            None
        }
        (None, Some(_)) => {
            section.clash("certificate", "\"\"", "the path of a PEM file, beside key");
            None
        }
    };
    let public_url = section
        .optional(
            "public_url",
            r#"an address as "https://pbx.example.org:8091", or "" for that of "listen""#,
            |value| keys::or_none(value, |text| is_url(text).then(|| text.trim_end_matches('/').to_owned())),
        )
        .flatten();
    let journal = Duration::from_secs(section.number("journal_days", 30, 1..=3650, " (days)") * 24 * HOUR_S);
    let files = Duration::from_secs(section.number("file_hours", 24, 0..=720, " (hours)") * HOUR_S);
    let files_total_mb = section.number("files_total_mb", 5_000, 100..=1_000_000, " (MB)");
    let disk_reserve_mb = section.number("disk_reserve_mb", 200, 0..=1_000_000, " (MB)");
    let queue_hours = section.number("queue_hours", 24, 1..=720, " (hours)");
    // Once there was one key for both queues.
    let usual = queue_hours.min(LONGEST_OUTGOING_HOURS);
    let outgoing_hours = section.number("outgoing_hours", usual, 1..=LONGEST_OUTGOING_HOURS, " (hours)");
    let [queue, outgoing] = [queue_hours, outgoing_hours].map(|hours| Duration::from_secs(hours * HOUR_S));
    let notification_limit = section.number("notification_limit", 100_000, 1_000..=10_000_000, "");
    let refuse_long_texts = section
        .optional("long_texts", r#""split" or "refuse""#, |value| match keys::text(value)? {
            "split" => Some(false),
            "refuse" => Some(true),
            _ => None,
        })
        .unwrap_or(false);
    let phone_checks_per_day = section.number("phone_checks_per_day", 100, 0..=10_000, "");
    let webhook_timeout = section.seconds("webhook_timeout_s", 30, 1..=180);
    let partner_instances = section.number("partner_instances", 20, 0..=1_000, "");
    let call_webhook = read_call_webhook(&mut section, place);
    section.finish();
    ApiSettings {
        listen,
        tls_listen,
        tls,
        public_url,
        journal,
        files,
        files_total_mb,
        disk_reserve_mb,
        queue,
        outgoing,
        notification_limit,
        refuse_long_texts,
        phone_checks_per_day,
        webhook_timeout,
        partner_instances,
        call_webhook,
    }
}

fn read_call_webhook(section: &mut Section<'_, '_>, place: &Path) -> Option<CallWebhook> {
    let url = section
        .optional(
            "call_webhook_url",
            r#"an address as "https://crm.example.org/calls", or "" for none"#,
            |value| keys::or_none(value, |text| is_webhook(text).then(|| text.to_owned())),
        )
        .flatten();
    let secret = section.judged("call_webhook_secret", |value| {
        let text = keys::text(value).unwrap_or("\n");
        let shown = || format!("({} characters, not shown)", text.chars().count());
        let fits = text.is_empty() || fits_password(text, LEAST_SECRET);
        let given = (!text.is_empty()).then(|| Password::new(text));
        if fits { Ok(given) } else { Err((shown(), WANTED_SECRET)) }
    });
    let wanted = r#"the path of a file with the secret, as "/etc/tgtrunk/calls.secret", or "" for none"#;
    let file = section.optional("call_webhook_secret_file", wanted, |value| {
        keys::or_none(value, |text| (!text.contains(char::is_control)).then(|| place.join(text)))
    });
    let secret = match (secret.flatten(), file.flatten()) {
        (Some(_), Some(_)) => {
            section.clash("call_webhook_secret", "(not shown)", r#""", or "" in call_webhook_secret_file"#);
            None
        }
        (Some(secret), None) => Some(TrunkSecret::Here(secret)),
        (None, file) => file.map(TrunkSecret::File),
    };
    if url.is_none() && secret.is_some() {
        section.clash("call_webhook_url", "\"\"", "an address, where there is a secret for it");
    }
    Some(CallWebhook { url: url?, secret })
}

/// As [`is_url`], where programs also name what they want after a `?`.
fn is_webhook(text: &str) -> bool {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    is_url(address)
        && text.len() <= 500
        && query.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>#".contains(&byte))
}

/// Scheme, host and perhaps a port or a path (RFC 9110 section 4.2).
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain =
        |rest: &str| rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>?#".contains(&byte));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && is_plain(rest) && rest.len() <= 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, SettingsError};

    #[test]
    fn the_api_is_on_loopback_unless_it_is_told_otherwise() {
        let api = api("").unwrap();
        assert_eq!(api, ApiSettings::default());
        assert_eq!(api.listen.unwrap().to_string(), "127.0.0.1:8091");
    }

    #[test]
    fn every_key_is_read() {
        let read = api(
            "[api]\nlisten = \"off\"\ntls_listen = \"0.0.0.0:443\"\ncertificate = \"c.pem\"\nkey = \"/k.pem\"\npublic_url = \"https://pbx.example.org/\"\njournal_days = 1\nfile_hours = 0\nfiles_total_mb = 300\ndisk_reserve_mb = 0\nqueue_hours = 3\noutgoing_hours = 168\nnotification_limit = 1000\nlong_texts = \"refuse\"\nphone_checks_per_day = 0\nwebhook_timeout_s = 180\npartner_instances = 0\n",
        );
        let read = read.unwrap();
        assert_eq!((read.listen, read.tls_listen.unwrap().port()), (None, 443));
        let tls = read.tls.unwrap();
        assert_eq!((tls.certificate, tls.key), ("place/c.pem".into(), "/k.pem".into()));
        assert_eq!(read.public_url.as_deref(), Some("https://pbx.example.org"));
        let spans = [read.journal, read.files, read.queue, read.outgoing];
        assert_eq!(spans.map(|span| span.as_secs() / HOUR_S), [24, 0, 3, 168]);
        assert_eq!((read.files_total_mb, read.disk_reserve_mb), (300, 0));
        assert_eq!((read.notification_limit, read.refuse_long_texts), (1_000, true));
        assert_eq!((read.phone_checks_per_day, read.webhook_timeout.as_secs()), (0, 180));
        assert_eq!(read.partner_instances, 0);
    }

    #[test]
    fn one_key_for_both_queues_holds_for_both_as_far_as_it_may() {
        for (hours, outgoing_hours) in [(48, 48), (720, 168)] {
            let read = api(&format!("[api]\nqueue_hours = {hours}\n")).unwrap();
            let spans = [read.queue, read.outgoing].map(|span| span.as_secs() / HOUR_S);
            assert_eq!(spans, [hours, outgoing_hours]);
        }
        let told = api("[api]\noutgoing_hours = 169\n").unwrap_err().to_string();
        assert!(
            told.contains("api.outgoing_hours = 169: want a whole number from 1 to 168 (hours)"),
            "{told}"
        );
    }

    #[test]
    fn news_of_calls_are_brought_where_somebody_says_and_the_secret_is_never_shown() {
        let of = |text: &str| api(&format!("[api]\n{text}")).map(|api| api.call_webhook);
        assert_eq!(of("call_webhook_url = \"\"\ncall_webhook_secret = \"\"\n").unwrap(), None);
        let url = "call_webhook_url = \"https://crm.example.org/calls?key=1\"\n";
        assert_eq!(of(url).unwrap().unwrap().secret, None);
        let hook = of(&format!("{url}call_webhook_secret = \"0123456789abcdef\"\n")).unwrap().unwrap();
        assert_eq!(hook.url, "https://crm.example.org/calls?key=1");
        assert_eq!(hook.secret, Some(TrunkSecret::Here(Password::new("0123456789abcdef"))));
        assert!(!format!("{hook:?}").contains("0123456789abcdef"));
        let filed = of(&format!("{url}call_webhook_secret_file = \"s\"\n")).unwrap().unwrap();
        assert_eq!(filed.secret, Some(TrunkSecret::File("place/s".into())));
        for (text, told) in [
            (
                "call_webhook_secret = \"short\"\n",
                "api.call_webhook_secret = (5 characters, not shown): want 16 to 128",
            ),
            (
                "call_webhook_secret = \"0123456789abcdef\"\n",
                "api.call_webhook_url = \"\": want an address, where",
            ),
            (
                "call_webhook_secret = \"0123456789abcdef\"\ncall_webhook_secret_file = \"s\"\n",
                "api.call_webhook_secret = (not shown): want \"\", or \"\" in call_webhook_secret_file",
            ),
            (
                "call_webhook_url = \"crm\"\n",
                "api.call_webhook_url = \"crm\": want an address as \"https://crm",
            ),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("0123456789abcdef"), "{told}\n{error}");
        }
    }

    #[test]
    fn each_mistake_is_told_with_its_key() {
        let told = api(
            "[api]\nlisten = \"8091\"\ntls_listen = \"443\"\nkey = \"k.pem\"\npublic_url = \"pbx\"\njournal_days = 0\nfiles_total_mb = 99\ndisk_reserve_mb = \"x\"\npartner_instances = 1001\nlong_texts = \"cut\"\nport = 1\n",
        )
        .unwrap_err()
        .to_string();
        for start in [
            r#"place/t.toml:5: api.listen = "8091": want an address and a port, as "127.0.0.1:8091", or "off" for no API"#,
            r#"place/t.toml:6: api.tls_listen = "443": want an address and a port, as "0.0.0.0:443", or "" for none"#,
            r#"api.certificate = "": want the path of a PEM file, beside key"#,
            r#"api.public_url = "pbx": want an address as "https://pbx.example.org:8091", or "" for that of "listen""#,
            "api.journal_days = 0: want a whole number from 1 to 3650 (days)",
            "api.long_texts = \"cut\": want \"split\" or \"refuse\"",
            "api.partner_instances = 1001: want a whole number from 0 to 1000",
            "api.files_total_mb = 99: want a whole number from 100 to 1000000 (MB)",
            "api.disk_reserve_mb = \"x\": want a whole number from 0 to 1000000 (MB)",
            "unknown key api.port = 1",
        ] {
            assert!(told.contains(start), "{start}\n{told}");
        }
    }

    fn api(text: &str) -> Result<ApiSettings, SettingsError> {
        let telegram = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        let read = Settings::parse(&format!("{telegram}{text}"), Path::new("place/t.toml"));
        read.map(|settings| settings.api)
    }
}
