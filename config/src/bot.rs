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
    section.finish();
    Bot { log, log_level, api_url, proxy, poll_timeout, webhook }
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
