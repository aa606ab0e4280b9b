//! `tgtrunk.toml`: what holds for the whole installation. A line's own settings are in [`crate::line`].
//!
//! The text becomes [`Settings`] in one step; nothing checks it again later. `config/example.toml` shows every key.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use crate::api::{self, ApiSettings};
use crate::bot::{self, Bot};
use crate::client::{self, Client};
use crate::keys::{self, Page, Problem, Section};
use crate::log::{self, LogFormat, LogLevel};
use crate::media::{MEDIA_SOCKETS, MEDIA_TICKS, MediaSockets, MediaTick};
use crate::page::{self, PageSettings};
use crate::proxy::Proxy;
use crate::said::Said;
use crate::trouble::Trouble;

/// A whole `tgtrunk.toml`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who we are to Telegram.
    pub telegram: Telegram,
    /// How the gateway runs.
    pub gateway: Gateway,
    /// How the client runs.
    pub client: Client,
    /// How the bot runs.
    pub bot: Bot,
    /// The operator's page.
    pub page: PageSettings,
    /// The messages' API.
    pub api: ApiSettings,
}

/// `[telegram]`: the application's identity, from <https://my.telegram.org>.
#[derive(Clone, PartialEq, Eq)]
pub struct Telegram {
    /// The application's number.
    pub api_id: i32,
    /// The application's secret, 32 hexadecimal digits.
    pub api_hash: String,
    /// What the account's list of devices shows for this session.
    pub device_model: String,
    /// The system line of the same list.
    pub system_version: String,
    /// The version line of the same list.
    pub app_version: String,
    /// Language of Telegram's service texts, ISO 639-1.
    pub lang_code: String,
    /// The proxy in front of Telegram, if there is one.
    pub proxy: Option<Proxy>,
}

/// `[gateway]`: where it keeps things and where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The state directory; a relative one starts at the settings file's folder.
    pub state: PathBuf,
    /// The address every line's SIP port is opened on, and the one the PBX is told: a single one.
    pub sip_bind: IpAddr,
    /// The address that a PBX on another network reaches us by, for SIP and audio: what a router in between makes of
    /// [`Gateway::sip_bind`].
    pub public_address: Option<IpAddr>,
    /// Addresses for media, in this order. Empty: those of every interface but loopback.
    pub media_addresses: Vec<IpAddr>,
    /// The certificate that lines on TLS show, and its key, both PEM; a self-signed one is made without it.
    pub tls: Option<TlsFiles>,
    /// Whom names of PBXs are asked of; those that the system asks when empty.
    pub name_servers: Vec<SocketAddr>,
    /// UDP ports for the PBX's audio.
    pub rtp_ports: PortRange,
    /// Where the page of figures for Prometheus is served; nowhere without it.
    pub metrics: Option<SocketAddr>,
    /// When threads look for packets of audio.
    pub media_tick: MediaTick,
    /// Whether calls share sockets towards Telegram users.
    pub media_sockets: MediaSockets,
    /// Code point of audio packets (RFC 2474), 0 to 63.
    pub dscp_rtp: u8,
    /// Code point of SIP packets (RFC 2474), 0 to 63.
    pub dscp_sip: u8,
    /// How much work goes into encoding Opus, 0 to 10.
    pub opus_complexity: u8,
    /// Shape of the log.
    pub log: LogFormat,
    /// How much is logged, unless the environment says otherwise.
    pub log_level: LogLevel,
    /// How long running calls may go on after SIGTERM.
    pub shutdown_grace: Duration,
    /// For how many days calls are remembered; for none with 0.
    pub records_days: u32,
    /// How many calls at once, over all lines.
    pub most_calls: u32,
    /// How many new calls of PBXs in a second, over all lines; two seconds' worth may come at once.
    pub new_calls_per_second: u32,
    /// How late the gateway may come to its work before new calls are sent away; never for that reason, where it is zero.
    pub most_lag: Duration,
    /// How often each line asks its PBX whether it is there (SIP OPTIONS).
    pub options_interval: Duration,
    /// Value of the SIP headers User-Agent and Server.
    pub user_agent: String,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those it is signed with behind it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A run of UDP ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

/// What a program stands on while its settings are wrong: every value that can be read, and defaults for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footing {
    /// `[gateway]`.
    pub gateway: Gateway,
    /// `[client]`.
    pub client: Client,
    /// `[bot]`.
    pub bot: Bot,
    /// `[page]`.
    pub page: PageSettings,
}

/// The settings could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {source}; --config FILE names another one", file.display())]
    Unreadable {
        /// Which file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// All that is wrong in the file, in its order.
    #[error("{}", keys::listed(.0))]
    Wrong(Vec<Problem>),
}

/// The same in both languages.
impl From<&SettingsError> for Said {
    fn from(error: &SettingsError) -> Self {
        if let Some(trouble) = Trouble::of_fresh_settings(error) {
            return trouble.into();
        }
        match error {
            SettingsError::Unreadable { file, source } => {
                let ru =
                    format!("{}: файл не читается: {source}; другой файл: --config ФАЙЛ", file.display());
                Self::new(error.to_string(), ru)
            }
            SettingsError::Wrong(problems) => keys::said(problems),
        }
    }
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// [`SettingsError::Unreadable`] when the file cannot be read, [`SettingsError::Wrong`] with every mistake in it.
    pub fn load(file: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(file)
            .map_err(|source| SettingsError::Unreadable { file: file.to_owned(), source })?;
        Self::parse(&text, file)
    }

    /// The TCP ports on which our three programs listen: programs have nothing fetched from there, nor brought there.
    pub fn own_ports(&self) -> Vec<u16> {
        let webhook = self.bot.webhook.as_ref().map(|webhook| webhook.listen);
        let all = [
            self.api.listen,
            self.api.tls_listen,
            self.page.listen,
            self.gateway.metrics,
            self.bot.api.listen,
            webhook,
        ];
        all.into_iter().flatten().map(|at| at.port()).collect()
    }

    /// Checks a settings file's text. `file` appears in errors, and relative paths start at its folder.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`] with every mistake in the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, SettingsError> {
        Self::parse_keys(text, file).map_err(SettingsError::Wrong)
    }

    pub(crate) fn parse_keys(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let page = Page::new(file, text);
        let checked = page.top().and_then(|mut top| {
            let telegram = read_telegram(top.section("telegram"));
            let gateway = read_gateway(top.section("gateway"), file);
            let client = client::read(top.section("client"), &gateway);
            let proxy = telegram.as_ref().and_then(|telegram| telegram.proxy.as_ref());
            let bot = bot::read(top.section("bot"), &gateway, proxy);
            let page = page::read(top.section("page"));
            let api = api::read(top.section("api"), file);
            top.finish();
            Some(Self { telegram: telegram?, gateway, client, bot, page, api })
        });
        page.finish(checked)
    }
}

impl Footing {
    /// Reads what can be read of a settings file, which may be missing.
    pub fn load(file: &Path) -> Self {
        Self::parse(&std::fs::read_to_string(file).unwrap_or_default(), file)
    }

    /// The same of the file's text. Relative paths in it start at the folder of `file`.
    pub fn parse(text: &str, file: &Path) -> Self {
        let page = Page::new(file, text);
        let Some(mut top) = page.top() else { return Self::parse("", file) };
        let gateway = read_gateway(top.section("gateway"), file);
        let client = client::read(top.section("client"), &gateway);
        let bot = bot::read(top.section("bot"), &gateway, None);
        let page = page::read(top.section("page"));
        Self { gateway, client, bot, page }
    }
}

impl PortRange {
    /// How many ports it holds.
    pub fn count(self) -> usize {
        usize::from(self.last) - usize::from(self.first) + 1
    }

    /// Whether `port` is one of them.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Debug for Telegram {
    /// Leaves the secret out: settings end up in logs.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Telegram")
            .field("api_id", &self.api_id)
            .field("device_model", &self.device_model)
            .field("system_version", &self.system_version)
            .field("app_version", &self.app_version)
            .field("lang_code", &self.lang_code)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

fn read_telegram(mut section: Section<'_, '_>) -> Option<Telegram> {
    let api_id = section.required(
        "api_id",
        "a whole number from 1 to 2147483647, from https://my.telegram.org",
        |value| keys::whole(value).filter(|id| *id > 0),
    );
    let api_hash =
        section.secret("api_hash", "32 hexadecimal digits, from https://my.telegram.org", |value| {
            let hash = keys::text(value)?;
            let fits = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            fits.then(|| hash.to_ascii_lowercase())
        });
    let device_model = shown(&mut section, "device_model", "tgtrunk");
    let system_version = shown(&mut section, "system_version", "Linux");
    let app_version = shown(&mut section, "app_version", env!("CARGO_PKG_VERSION"));
    let lang_code = section
        .optional("lang_code", r#"two or three lowercase letters, as "en""#, |value| {
            let code = keys::text(value)?;
            let fits = (2..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_lowercase());
            fits.then(|| code.to_owned())
        })
        .unwrap_or_else(|| "en".to_owned());
    let proxy = section.judged("proxy", |value| {
        let text = keys::text(value).ok_or_else(|| {
            ("(not a text)".to_owned(), r#"a text, as "socks5://host:1080", or "" for none"#)
        })?;
        Proxy::parse(text).map_err(|error| (error.shown, error.wanted))
    });
    section.finish();
    Some(Telegram {
        api_id: api_id?,
        api_hash: api_hash?,
        device_model,
        system_version,
        app_version,
        lang_code,
        proxy: proxy.flatten(),
    })
}

fn read_gateway(mut section: Section<'_, '_>, file: &Path) -> Gateway {
    let state = section
        .optional("state", "the path of a directory", |value| {
            keys::text(value).filter(|path| !path.is_empty()).map(PathBuf::from)
        })
        .unwrap_or_else(|| PathBuf::from("/var/lib/tgtrunk"));
    let sip_bind = section
        .optional(
            "sip_bind",
            r#"one IP address of this machine, as "127.0.0.1" (the PBX is told it, so not 0.0.0.0 or ::)"#,
            |value| keys::parsed(value).filter(is_own),
        )
        .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let public_address = section
        .optional("public_address", r#"one IP address, as "203.0.113.7", or "" for none"#, |value| {
            keys::or_none(value, |text| text.parse().ok().filter(is_own))
        })
        .flatten();
    if let Some(address) = public_address.filter(|address: &IpAddr| address.is_ipv4() != sip_bind.is_ipv4()) {
        section.clash(
            "public_address",
            format_args!("\"{address}\""),
            "an address of the same family as sip_bind, IPv4 or IPv6",
        );
    }
    let media_addresses = section
        .optional("media_addresses", r#"a list of different IP addresses, as ["192.0.2.10"]"#, |value| {
            let addresses: Vec<IpAddr> = keys::list(value, keys::parsed)?;
            let usable = |(at, address): (usize, &IpAddr)| {
                !address.is_unspecified() && !address.is_multicast() && !addresses[..at].contains(address)
            };
            addresses.iter().enumerate().all(usable).then(|| addresses.clone())
        })
        .unwrap_or_default();
    let place = file.parent().unwrap_or(Path::new(""));
    let mut pem = |key| {
        let path = section.optional(key, r#"the path of a PEM file, or "" for none"#, |value| {
            keys::or_none(value, |text| Some(place.join(text)))
        });
        path.flatten()
    };
    let tls = match (pem("tls_certificate"), pem("tls_key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => {
            section.clash("tls_key", "\"\"", "the path of a PEM file, beside tls_certificate");
            None
        }
        (None, Some(_)) => {
            section.clash("tls_certificate", "\"\"", "the path of a PEM file, beside tls_key");
            None
        }
    };
    let name_servers = section
        .optional(
            "name_servers",
            r#"a list of up to 3 IP addresses, with a port if it is not 53, as ["192.0.2.53"]"#,
            |value| {
                let servers: Vec<SocketAddr> = keys::list(value, |server| {
                    let text = keys::text(server)?;
                    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, 53)))
                })?;
                (servers.len() <= 3).then_some(servers)
            },
        )
        .unwrap_or_default();
    let rtp_ports = section
        .optional(
            "rtp_ports",
            r#"two ports from 1024 to 65535 and at least 8 apart, as "20100-29999""#,
            ports,
        )
        .unwrap_or(PortRange { first: 20_100, last: 29_999 });
    let metrics = section
        .optional("metrics", r#"an address and a port, as "127.0.0.1:9464", or "" for none"#, |value| {
            keys::or_none(value, metrics)
        })
        .flatten();
    let media_tick = section.word("media_tick", &MEDIA_TICKS);
    let media_sockets = section.word("media_sockets", &MEDIA_SOCKETS);
    let dscp_rtp = section.number("dscp_rtp", 46, 0..=63, "");
    let dscp_sip = section.number("dscp_sip", 24, 0..=63, "");
    let opus_complexity = section.number("opus_complexity", 5, 0..=10, "");
    let (log, log_level) = log::read(&mut section);
    let shutdown_grace = section.seconds("shutdown_grace_s", 30, 0..=3_600);
    let records_days = section.number("records_days", 90, 0..=3_650, " (days)");
    let most_calls = section.number("max_calls", 1_000, 1..=10_000, "");
    let new_calls_per_second = section.number("max_new_calls_per_s", 100, 1..=1_000, "");
    let most_lag = Duration::from_millis(section.number("max_lag_ms", 10, 0..=1_000, " (milliseconds)"));
    let options_interval = section.seconds("options_interval_s", 30, 5..=3_600);
    let default_agent = concat!("tgtrunk/", env!("CARGO_PKG_VERSION"));
    let user_agent = shown(&mut section, "user_agent", default_agent);
    section.finish();
    Gateway {
        state: place.join(state),
        sip_bind,
        public_address,
        media_addresses,
        tls,
        name_servers,
        rtp_ports,
        metrics,
        media_tick,
        media_sockets,
        dscp_rtp,
        dscp_sip,
        opus_complexity,
        log,
        log_level,
        shutdown_grace,
        records_days,
        most_calls,
        new_calls_per_second,
        most_lag,
        options_interval,
        user_agent,
    }
}

/// A port alone is one of loopback: what the page tells is nobody else's business.
fn metrics(text: &str) -> Option<SocketAddr> {
    let alone = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let address = text.parse().ok().or_else(|| text.parse().ok().map(alone));
    address.filter(|address| address.port() != 0)
}

/// Whether an address can be one machine's own: neither all of its addresses, nor a group's, nor a whole network's.
fn is_own(address: &IpAddr) -> bool {
    let address = address.to_canonical();
    !address.is_unspecified() && !address.is_multicast() && address != IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// A text that other people's programs will show: printable ASCII, so that no header and no terminal breaks on it.
fn shown(section: &mut Section<'_, '_>, key: &'static str, default: &str) -> String {
    section
        .optional(key, "1 to 64 printable ASCII characters", |value| {
            let text = keys::text(value)?;
            let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            ((1..=64).contains(&text.len()) && printable && text.trim() == text).then(|| text.to_owned())
        })
        .unwrap_or_else(|| default.to_owned())
}

fn ports(value: &DeValue<'_>) -> Option<PortRange> {
    let (first, last) = keys::text(value)?.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first >= 1024 && last >= first && last - first >= 8).then_some(PortRange { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "[telegram]\napi_id = 12345\napi_hash = \"0123456789abcdef0123456789ABCDEF\"\n";

    #[test]
    fn the_smallest_file_is_two_keys_and_the_rest_has_defaults() {
        let settings = parse(SMALLEST).unwrap();
        assert_eq!(settings.telegram.api_id, 12345);
        assert_eq!(settings.telegram.api_hash, "0123456789abcdef0123456789abcdef");
        assert_eq!(settings.gateway.state, Path::new("/var/lib/tgtrunk"));
        assert_eq!(settings.gateway.sip_bind.to_string(), "127.0.0.1");
        assert_eq!(settings.gateway.rtp_ports, PortRange { first: 20_100, last: 29_999 });
        assert_eq!(settings.gateway.log_level, LogLevel::Info);
        assert_eq!(settings.gateway.shutdown_grace, Duration::from_secs(30));
        assert_eq!(settings.gateway.records_days, 90);
    }

    #[test]
    fn the_shipped_example_holds_every_key_and_each_at_its_default() {
        let example = include_str!("../example.toml");
        let settings = parse(example).unwrap();
        let mut smallest = parse(SMALLEST).unwrap();
        smallest.telegram.api_hash.clone_from(&settings.telegram.api_hash);
        smallest.telegram.api_id = settings.telegram.api_id;
        assert_eq!(settings, smallest);
        let table: toml::Table = example.parse().unwrap();
        for (section, key) in every_key() {
            assert!(table[section].get(key).is_some(), "config/example.toml lacks {section}.{key}");
        }
        for key in ["url", "listen"] {
            assert!(
                table["bot"]["webhook"].get(key).is_some(),
                "config/example.toml lacks bot.webhook.{key}"
            );
        }
        for key in ["listen", "queue_hours", "webhook_timeout_s"] {
            assert!(table["bot"]["api"].get(key).is_some(), "config/example.toml lacks bot.api.{key}");
        }
    }

    #[test]
    fn a_wrong_file_gives_what_can_be_read_of_it_and_defaults_for_the_rest() {
        let at = |text: &str| Footing::parse(text, Path::new("/etc/tgtrunk/tgtrunk.toml"));
        let wrong = at("[telegram]\napi = 1\n[gateway]\nstate = \"state\"\nrtp_ports = 1\nlog = \"json\"\n");
        assert_eq!(wrong.gateway.state, Path::new("/etc/tgtrunk/state"));
        assert_eq!(wrong.gateway.rtp_ports, PortRange { first: 20_100, last: 29_999 });
        assert_eq!(wrong.bot.log, LogFormat::Json);
        let Settings { gateway, client, bot, page, .. } = parse(SMALLEST).unwrap();
        assert_eq!(at("no = TOML = at all\n"), Footing { gateway, client, bot, page });
    }

    #[test]
    fn a_relative_state_directory_starts_at_the_settings_file() {
        let text = format!("{SMALLEST}[gateway]\nstate = \"state\"\n");
        let settings = Settings::parse(&text, Path::new("/etc/tgtrunk/tgtrunk.toml")).unwrap();
        assert_eq!(settings.gateway.state, Path::new("/etc/tgtrunk/state"));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_line_key_value_and_what_is_allowed() {
        let text = "[telegram]\napi_id = \"12345\"\napi_hsah = \"x\"\n\n[gateway]\nsip_bind = \"localhost\"\nrtp_ports = 20000\nlog = \"xml\"\noptions_interval_s = 4\nshutdown_grace_s = 1.5\n";
        assert_eq!(
            errors(text),
            [
                "t.toml:1: telegram.api_hash is missing: want 32 hexadecimal digits, from https://my.telegram.org",
                r#"t.toml:2: telegram.api_id = "12345": want a whole number from 1 to 2147483647, from https://my.telegram.org"#,
                r#"t.toml:3: unknown key telegram.api_hsah = "x": want one of api_id, api_hash, device_model, system_version, app_version, lang_code, proxy"#,
                r#"t.toml:6: gateway.sip_bind = "localhost": want one IP address of this machine, as "127.0.0.1" (the PBX is told it, so not 0.0.0.0 or ::)"#,
                r#"t.toml:7: gateway.rtp_ports = 20000: want two ports from 1024 to 65535 and at least 8 apart, as "20100-29999""#,
                r#"t.toml:8: gateway.log = "xml": want one of "plain", "json""#,
                "t.toml:9: gateway.options_interval_s = 4: want a whole number from 5 to 3600 (seconds)",
                "t.toml:10: gateway.shutdown_grace_s = 1.5: want a whole number from 0 to 3600 (seconds)",
            ]
        );
    }

    #[test]
    fn a_wrong_secret_is_not_printed() {
        let text = "[telegram]\napi_id = 1\napi_hash = \"secret-but-too-short\"\n";
        let told = errors(text);
        assert_eq!(
            told,
            [
                "t.toml:3: telegram.api_hash = (20 characters, not shown): want 32 hexadecimal digits, from https://my.telegram.org"
            ]
        );
        assert!(!format!("{:?}", parse(SMALLEST).unwrap()).contains("0123456789abcdef"));
    }

    #[test]
    fn an_empty_file_tells_both_missing_secrets() {
        let told = errors("");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("telegram.api_id is missing"), "{told:?}");
    }

    #[test]
    fn sections_that_nobody_reads_are_refused_by_name() {
        let told = errors(&format!("{SMALLEST}\n[bots]\nlog = \"plain\"\n"));
        assert_eq!(
            told,
            ["t.toml:5: unknown key bots = […]: want one of telegram, gateway, client, bot, page, api"]
        );
        let told = errors(&format!("gateway = 1\n{SMALLEST}"));
        assert_eq!(told, ["t.toml:1: gateway = 1: want a section, as [gateway]"]);
    }

    #[test]
    fn text_that_is_not_toml_is_told_with_its_line() {
        let told = errors("[telegram]\napi_id = \n");
        assert!(told[0].starts_with("t.toml:2: not TOML: "), "{told:?}");
        let told = errors("[telegram]\napi_id = 1\napi_id = 2\n");
        assert!(told[0].starts_with("t.toml:3: not TOML: duplicate key"), "{told:?}");
    }

    #[test]
    fn media_addresses_are_different_and_can_be_sent_to() {
        let told = |list| errors(&format!("{SMALLEST}[gateway]\nmedia_addresses = {list}\n"));
        assert_eq!(told("[\"192.0.2.1\", \"2001:db8::1\"]"), Vec::<String>::new());
        for wrong in ["[\"0.0.0.0\"]", "[\"192.0.2.1\", \"192.0.2.1\"]", "\"192.0.2.1\"", "[1]"] {
            assert_eq!(
                told(wrong),
                [format!(
                    "t.toml:5: gateway.media_addresses = {wrong}: want a list of different IP addresses, as [\"192.0.2.10\"]"
                )]
            );
        }
    }

    #[test]
    fn a_proxy_is_told_without_its_secrets() {
        let told = |line: &str| errors(&format!("{SMALLEST}{line}\n"));
        let settings = parse(&format!("{SMALLEST}proxy = \"socks5://anna:hidden@[::1]:1080\"\n")).unwrap();
        assert_eq!(settings.telegram.proxy.as_ref().unwrap().url(), "socks5://anna:hidden@[::1]:1080");
        assert!(!format!("{settings:?}").contains("hidden"));
        assert_eq!(
            told(r#"proxy = "tg://proxy?server=h&port=443&secret=hidden""#),
            [
                r#"t.toml:4: telegram.proxy = "tg://…proxy…": want a SOCKS5 proxy, as "socks5://user:password@host:1080": this is an MTProxy, which carries no calls, and tgtrunk speaks SOCKS5 only"#
            ]
        );
        for line in [
            r#"proxy = "http://anna:hidden@h:1""#,
            r#"proxy = ["socks5://anna:hidden@h:1"]"#,
            r#"proxi = "socks5://anna:hidden@h:1""#,
        ] {
            let told = told(line);
            assert!(told.len() == 1 && !told[0].contains("hidden"), "{told:?}");
        }
    }

    #[test]
    fn the_public_address_is_of_the_family_of_the_line() {
        let told = |lines: &str| errors(&format!("{SMALLEST}[gateway]\n{lines}\n"));
        let none = Vec::<String>::new();
        assert_eq!(told("public_address = \"203.0.113.7\""), none);
        assert_eq!(told("sip_bind = \"::1\"\npublic_address = \"2001:db8::7\""), none);
        assert_eq!(
            told("public_address = \"2001:db8::7\""),
            [
                r#"t.toml:5: gateway.public_address = "2001:db8::7": want an address of the same family as sip_bind, IPv4 or IPv6"#
            ]
        );
        for wrong in ["\"0.0.0.0\"", "\"pbx.example\"", "7"] {
            assert_eq!(
                told(&format!("public_address = {wrong}")),
                [format!(
                    r#"t.toml:5: gateway.public_address = {wrong}: want one IP address, as "203.0.113.7", or "" for none"#
                )]
            );
        }
    }

    #[test]
    fn the_page_of_figures_is_off_or_on_loopback_unless_told_otherwise() {
        let page = |value: &str| {
            let settings = parse(&format!("{SMALLEST}[gateway]\nmetrics = \"{value}\"\n"));
            settings.map(|settings| settings.gateway.metrics.map(|address| address.to_string()))
        };
        assert_eq!(page("").unwrap(), None);
        assert_eq!(page("9464").unwrap().as_deref(), Some("127.0.0.1:9464"));
        assert_eq!(page("[::]:9464").unwrap().as_deref(), Some("[::]:9464"));
        for wrong in ["localhost:9464", "127.0.0.1", "127.0.0.1:0", "0", "70000"] {
            assert_eq!(
                page(wrong).unwrap_err().to_string(),
                format!(
                    r#"t.toml:5: gateway.metrics = "{wrong}": want an address and a port, as "127.0.0.1:9464", or "" for none"#
                )
            );
        }
    }

    #[test]
    fn code_points_and_complexity_have_their_ranges() {
        let told =
            errors(&format!("{SMALLEST}[gateway]\ndscp_rtp = 64\ndscp_sip = -1\nopus_complexity = 11\n"));
        assert_eq!(
            told,
            [
                "t.toml:5: gateway.dscp_rtp = 64: want a whole number from 0 to 63",
                "t.toml:6: gateway.dscp_sip = -1: want a whole number from 0 to 63",
                "t.toml:7: gateway.opus_complexity = 11: want a whole number from 0 to 10",
            ]
        );
    }

    #[test]
    fn threads_tick_of_themselves_or_never() {
        let of =
            |text: &str| parse(&format!("{SMALLEST}[gateway]\n{text}\n")).map(|it| it.gateway.media_tick);
        assert_eq!(of("").unwrap(), MediaTick::Auto);
        assert_eq!(of("media_tick = \"never\"").unwrap(), MediaTick::Never);
        let told = of("media_tick = \"always\"").unwrap_err().to_string();
        assert_eq!(told, r#"t.toml:5: gateway.media_tick = "always": want one of "auto", "never""#);
    }

    #[test]
    fn calls_share_sockets_or_have_their_own() {
        let of =
            |text: &str| parse(&format!("{SMALLEST}[gateway]\n{text}\n")).map(|it| it.gateway.media_sockets);
        assert_eq!(of("").unwrap(), MediaSockets::Shared);
        assert_eq!(of("media_sockets = \"own\"").unwrap(), MediaSockets::Own);
        let told = of("media_sockets = \"one\"").unwrap_err().to_string();
        assert_eq!(told, r#"t.toml:5: gateway.media_sockets = "one": want one of "shared", "own""#);
    }

    #[test]
    fn sip_is_bound_to_one_address_that_the_pbx_can_be_told() {
        let told = |address| errors(&format!("{SMALLEST}[gateway]\nsip_bind = {address:?}\n"));
        for right in ["127.0.0.1", "192.0.2.10", "::1", "2001:db8::1"] {
            assert_eq!(told(right), Vec::<String>::new(), "{right}");
        }
        for wrong in
            ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "239.1.2.3", "ff02::1", "255.255.255.255"]
        {
            assert_eq!(
                told(wrong),
                [format!(
                    "t.toml:5: gateway.sip_bind = {wrong:?}: want one IP address of this machine, as \"127.0.0.1\" (the PBX is told it, so not 0.0.0.0 or ::)"
                )]
            );
        }
    }

    #[test]
    fn a_user_agent_cannot_smuggle_a_header() {
        let told = errors(&format!("{SMALLEST}[gateway]\nuser_agent = \"a\\r\\nVia: x\"\n"));
        assert_eq!(
            told,
            [r#"t.toml:5: gateway.user_agent = "a\r\nVia: x": want 1 to 64 printable ASCII characters"#]
        );
    }

    #[test]
    fn a_missing_file_is_named_with_the_way_out() {
        let error = Settings::load(Path::new("no/such.toml")).unwrap_err().to_string();
        assert!(error.starts_with("no/such.toml: ") && error.contains("--config FILE"), "{error}");
    }

    fn parse(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse(text, Path::new("t.toml"))
    }

    fn errors(text: &str) -> Vec<String> {
        match parse(text) {
            Ok(_) => Vec::new(),
            Err(error) => error.to_string().lines().map(str::to_owned).collect(),
        }
    }

    /// The keys as the reader itself lists them when it meets one that it does not know.
    fn every_key() -> Vec<(&'static str, &'static str)> {
        let mut keys = Vec::new();
        for section in ["telegram", "gateway", "client", "bot", "page", "api"] {
            let Err(SettingsError::Wrong(problems)) = parse(&format!("[{section}]\nno_such_key = 1\n"))
            else {
                panic!("an unknown key was taken")
            };
            let allowed = problems.into_iter().find_map(|problem| match problem.fault {
                keys::Fault::Unknown { allowed, .. } => Some(allowed),
                _ => None,
            });
            keys.extend(allowed.unwrap().into_iter().map(|key| (section, key)));
        }
        keys
    }
}
