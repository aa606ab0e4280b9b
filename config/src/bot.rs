//! `[bot]` of `tgtrunk.toml`: how the bot runs and reaches the Bot API. A bot's own settings are in [`crate::BotFile`].

use std::net::SocketAddr;
use std::time::Duration;

use crate::keys::{self, Section};
use crate::log::{self, LogFormat, LogLevel};
use crate::proxy::Proxy;
use crate::settings::Gateway;

/// How the bot runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    /// Shape of the log; the gateway's unless it is given.
    pub log: LogFormat,
    /// How much is logged; what the gateway logs unless it is given.
    pub log_level: LogLevel,
    /// Where the Bot API is, without a slash at the end.
    pub api_url: String,
    /// The proxy in front of it; the one of `[telegram]` unless it is given.
    pub proxy: Option<Proxy>,
    /// How long one question for news may wait for some.
    pub poll_timeout: Duration,
    /// Where Telegram brings news, instead of being asked for it.
    pub webhook: Option<Webhook>,
    /// The bots' own Bot API for other programs.
    pub api: BotApi,
}

/// `[bot.api]`: other programs lead the same bots by the Bot API of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotApi {
    /// Where it is served, plain HTTP; nowhere without it. Port 0 is any free one, which the log names.
    pub listen: Option<SocketAddr>,
    /// How long updates wait to be fetched.
    pub queue: Duration,
    /// How long a program's webhook may think.
    pub webhook_timeout: Duration,
}

/// `[bot.webhook]`: Telegram calls us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where we listen, plain HTTP: TLS is the business of what stands in front.
    pub listen: SocketAddr,
    /// What Telegram calls; each bot's own path is added to it.
    pub url: String,
}

const OFFICIAL: &str = "https://api.telegram.org";

pub(crate) fn read(mut section: Section<'_, '_>, gateway: &Gateway, telegram: Option<&Proxy>) -> Bot {
    let (log, log_level) = log::read_as(&mut section, (gateway.log, gateway.log_level));
    let api_url = section
        .optional(
            "api_url",
            r#"an address as "https://api.telegram.org" or "http://127.0.0.1:8081""#,
            |value| keys::text(value).and_then(url),
        )
        .unwrap_or_else(|| OFFICIAL.to_owned());
    let proxy = section
        .judged("proxy", |value| match keys::text(value) {
            Some("") => Ok(telegram.cloned()),
            Some("off") => Ok(None),
            Some(text) => Proxy::parse(text).map_err(|error| (error.shown, error.wanted)),
            None => Err((
                "(not a text)".to_owned(),
                r#"a text, as "socks5://host:1080", "" for the one of [telegram], or "off" for none"#,
            )),
        })
        .unwrap_or_else(|| telegram.cloned());
    let poll_timeout = section.seconds("poll_timeout_s", 10, 1..=50);
    let webhook = read_webhook(section.section("webhook"), api_url == OFFICIAL);
    let api = read_api(section.section("api"));
    section.finish();
    Bot { log, log_level, api_url, proxy, poll_timeout, webhook, api }
}

fn read_api(mut section: Section<'_, '_>) -> BotApi {
    let listen = section
        .optional("listen", r#"an address and a port, as "127.0.0.1:8092", or "" for none"#, |value| {
            keys::or_none(value, |text| text.parse().ok())
        })
        .flatten();
    let queue = Duration::from_secs(section.number("queue_hours", 24, 1..=720, " (hours)") * 3600);
    let webhook_timeout = section.seconds("webhook_timeout_s", 30, 1..=180);
    section.finish();
    BotApi { listen, queue, webhook_timeout }
}

fn read_webhook(mut section: Section<'_, '_>, official: bool) -> Option<Webhook> {
    let address = section
        .optional(
            "url",
            r#"an address that Telegram can reach, as "https://example.org/tgtrunk", or "" for none"#,
            |value| {
                keys::or_none(value, |text| url(text).filter(|url| url.starts_with("https://") || !official))
            },
        )
        .flatten();
    let listen = section
        .optional("listen", r#"an address and a port, as "127.0.0.1:8443""#, |value| {
            keys::parsed(value).filter(|listen: &SocketAddr| listen.port() != 0)
        })
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8443)));
    section.finish();
    address.map(|url| Webhook { listen, url })
}

/// An address of a web server (RFC 3986, as far as it is needed), without a slash at its end.
fn url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let rest = rest.trim_end_matches('/');
    let plain = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&byte));
    let host = rest.split('/').next().unwrap_or_default();
    let sound = matches!(scheme, "http" | "https") && plain && !host.is_empty() && !host.starts_with(':');
    (sound && text.len() <= 256).then(|| format!("{scheme}://{rest}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::{Settings, SettingsError};

    #[test]
    fn the_bot_asks_the_official_api_for_news_unless_it_is_told_otherwise() {
        let bot = bot("").unwrap();
        assert_eq!((bot.api_url.as_str(), bot.poll_timeout.as_secs()), ("https://api.telegram.org", 10));
        assert_eq!((bot.proxy, bot.webhook, bot.api.listen), (None, None, None));
    }

    #[test]
    fn every_key_is_read() {
        let bot = bot(
            "[bot]\nlog = \"json\"\nlog_level = \"debug\"\napi_url = \"http://127.0.0.1:8081/\"\npoll_timeout_s = 50\n\
             [bot.webhook]\nurl = \"https://example.org/tgtrunk/\"\nlisten = \"[::1]:8443\"\n\
             [bot.api]\nlisten = \"127.0.0.1:8092\"\nqueue_hours = 48\nwebhook_timeout_s = 60\n",
        )
        .unwrap();
        assert_eq!((bot.log, bot.log_level), (LogFormat::Json, LogLevel::Debug));
        assert_eq!((bot.api_url.as_str(), bot.poll_timeout.as_secs()), ("http://127.0.0.1:8081", 50));
        let webhook = bot.webhook.unwrap();
        assert_eq!(webhook.url, "https://example.org/tgtrunk");
        assert_eq!(webhook.listen.to_string(), "[::1]:8443");
        assert_eq!(bot.api.listen.unwrap().to_string(), "127.0.0.1:8092");
        assert_eq!((bot.api.queue.as_secs(), bot.api.webhook_timeout.as_secs()), (48 * 3600, 60));
    }

    #[test]
    fn the_log_is_the_gateways_unless_the_program_has_its_own() {
        let settings =
            settings("[gateway]\nlog = \"json\"\nlog_level = \"warn\"\n[client]\nlog = \"\"\n").unwrap();
        assert_eq!((settings.client.log, settings.client.log_level), (LogFormat::Json, LogLevel::Warn));
        assert_eq!((settings.bot.log, settings.bot.log_level), (LogFormat::Json, LogLevel::Warn));
        let settings = self::settings("[gateway]\nlog = \"json\"\n[client]\nlog = \"plain\"\n").unwrap();
        assert_eq!((settings.client.log, settings.bot.log), (LogFormat::Plain, LogFormat::Json));
    }

    #[test]
    fn the_proxy_is_telegrams_or_its_own_or_none() {
        let place = |bot: &str| {
            let text = format!("proxy = \"socks5://anna:hidden@10.0.0.1:1080\"\n{bot}");
            let settings = settings(&text).unwrap();
            assert!(!format!("{settings:?}").contains("hidden"));
            settings.bot.proxy.map(|proxy| proxy.place())
        };
        assert_eq!(place("").as_deref(), Some("10.0.0.1:1080"));
        assert_eq!(place("[bot]\nproxy = \"\"\n").as_deref(), Some("10.0.0.1:1080"));
        assert_eq!(place("[bot]\nproxy = \"socks5://[::1]:9\"\n").as_deref(), Some("[::1]:9"));
        assert_eq!(place("[bot]\nproxy = \"off\"\n"), None);
    }

    #[test]
    fn every_mistake_is_told_with_line_key_value_and_what_is_allowed() {
        assert_eq!(
            errors(
                "[bot]\nlog = \"xml\"\nlog_level = \"all\"\napi_url = \"api.telegram.org\"\nproxy = 5\npoll_timeout_s = 51\n\
                 [bot.webhook]\nurl = \"http://example.org\"\nlisten = \"8443\"\nport = 1\n[bot.api]\nlisten = \"8092\"\nqueue_hours = 0\n[client]\nlogs = \"\"\n"
            ),
            [
                r#"t.toml:5: bot.log = "xml": want one of "", "plain", "json""#,
                r#"t.toml:6: bot.log_level = "all": want one of "", "info", "error", "warn", "debug", "trace""#,
                r#"t.toml:7: bot.api_url = "api.telegram.org": want an address as "https://api.telegram.org" or "http://127.0.0.1:8081""#,
                r#"t.toml:8: bot.proxy = (not a text): want a text, as "socks5://host:1080", "" for the one of [telegram], or "off" for none"#,
                "t.toml:9: bot.poll_timeout_s = 51: want a whole number from 1 to 50 (seconds)",
                r#"t.toml:11: bot.webhook.url = "http://example.org": want an address that Telegram can reach, as "https://example.org/tgtrunk", or "" for none"#,
                r#"t.toml:12: bot.webhook.listen = "8443": want an address and a port, as "127.0.0.1:8443""#,
                "t.toml:13: unknown key bot.webhook.port = 1: want one of url, listen",
                r#"t.toml:15: bot.api.listen = "8092": want an address and a port, as "127.0.0.1:8092", or "" for none"#,
                "t.toml:16: bot.api.queue_hours = 0: want a whole number from 1 to 720 (hours)",
                r#"t.toml:18: unknown key client.logs = "": want one of log, log_level"#,
            ]
        );
    }

    #[test]
    fn an_address_is_one_of_a_web_server_and_only_a_server_of_our_own_is_reached_in_the_open() {
        for wrong in
            ["", "ftp://h", "https://", "https://:1", "https://a b", "https://h/?x=1", "https://u:p@h"]
        {
            assert_eq!(errors(&format!("[bot]\napi_url = \"{wrong}\"\n")).len(), 1, "{wrong}");
        }
        let own = "[bot]\napi_url = \"http://127.0.0.1:8081\"\n[bot.webhook]\nurl = \"http://127.0.0.1:1\"\n";
        assert_eq!(bot(own).unwrap().webhook.unwrap().url, "http://127.0.0.1:1");
    }

    #[test]
    fn a_token_in_the_wrong_file_is_not_printed() {
        let told = errors("[bot]\ntoken = \"123456789:AAabcdefghijklmnopqrstuvwxyz0123456\"\n");
        assert_eq!(
            told,
            [
                "t.toml:5: unknown key bot.token = (47 characters, not shown: it may hold a password): want one of log, log_level, api_url, proxy, poll_timeout_s, webhook, api"
            ]
        );
    }

    fn settings(text: &str) -> Result<Settings, SettingsError> {
        let telegram = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        Settings::parse(&format!("{telegram}{text}"), Path::new("t.toml"))
    }

    fn bot(text: &str) -> Result<Bot, SettingsError> {
        settings(text).map(|settings| settings.bot)
    }

    fn errors(text: &str) -> Vec<String> {
        settings(text).unwrap_err().to_string().lines().map(str::to_owned).collect()
    }
}
