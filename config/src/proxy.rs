//! A SOCKS5 proxy (RFC 1928, RFC 1929) in front of Telegram: the only kind that the client library speaks.

use std::fmt;

use crate::line::PbxAddress;

/// Where the proxy is and who we are to it. Nothing but [`Proxy::url`] and [`Proxy::password`] gives the password out.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// IP address (without brackets) or host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User, when the proxy asks for one.
    pub user: Option<String>,
    password: String,
}

/// Not a proxy that can be used. `shown` is the value without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown}: want {wanted}")]
pub struct ProxyError {
    pub(crate) shown: String,
    pub(crate) wanted: &'static str,
}

const WANTED: &str =
    r#"a SOCKS5 proxy, as "socks5://host:1080" or "socks5://user:password@host:1080", or "" for none"#;
const NO_MTPROXY: &str = r#"a SOCKS5 proxy, as "socks5://user:password@host:1080": this is an MTProxy, which carries no calls, and tgtrunk speaks SOCKS5 only"#;
const NO_HTTP: &str = r#"a SOCKS5 proxy, as "socks5://user:password@host:1080": this is an HTTP proxy, and tgtrunk speaks SOCKS5 only"#;
const PLAIN_USER: &str = "user and password of 1 to 255 letters, digits and - . _ ~ ! $ & ' ( ) * + , only: others would have to be written as %40 and the like, which is not read";

impl Proxy {
    /// Reads `socks5://[user:password@]host:port`. `None` for the empty text, which means no proxy.
    ///
    /// # Errors
    /// [`ProxyError`] for any other kind of proxy, each with its reason, and for what is no address.
    pub fn parse(text: &str) -> Result<Option<Self>, ProxyError> {
        let wrong = |wanted| Err(ProxyError { shown: shown(text), wanted });
        if text.is_empty() {
            return Ok(None);
        }
        let lower = text.to_ascii_lowercase();
        if is_mtproxy(&lower) {
            return wrong(NO_MTPROXY);
        }
        if lower.starts_with("http://") || lower.starts_with("https://") {
            return wrong(NO_HTTP);
        }
        let Some(rest) = text.get(9..).filter(|_| lower.starts_with("socks5://")) else {
            return wrong(WANTED);
        };
        let (account, address) = match rest.rsplit_once('@') {
            Some((account, address)) => (Some(account), address),
            None => (None, rest),
        };
        let address = address.strip_suffix('/').unwrap_or(address);
        // Without brackets or a port it would be read as one of a PBX, with 5060.
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
        let Some(place) = address.parse::<PbxAddress>().ok().filter(|_| has_port && !bare_ipv6) else {
            return wrong(WANTED);
        };
        let (user, password) = match account.map(|account| account.split_once(':').unwrap_or((account, ""))) {
            Some((user, password)) if is_plain(user) && (password.is_empty() || is_plain(password)) => {
                (Some(user.to_owned()), password.to_owned())
            }
            Some(_) => return wrong(PLAIN_USER),
            None => (None, String::new()),
        };
        Ok(Some(Self { host: place.host, port: place.port.unwrap_or(5060), user, password }))
    }

    /// The password; empty without a user.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The whole address, password included, for whoever connects.
    pub fn url(&self) -> String {
        let account =
            self.user.as_ref().map_or_else(String::new, |user| format!("{user}:{}@", self.password));
        format!("socks5://{account}{}", self.place())
    }

    /// Host and port, as `proxy.example:1080` or `[::1]:1080`.
    pub fn place(&self) -> String {
        PbxAddress { host: self.host.clone(), port: Some(self.port) }.to_string()
    }
}

impl fmt::Display for Proxy {
    /// Leaves user and password out: this ends up in statuses.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "socks5://{}", self.place())
    }
}

impl fmt::Debug for Proxy {
    /// Leaves the password out: settings end up in logs.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// The links that Telegram's apps make for MTProxy, and the bare `host:port:secret` that its servers print.
fn is_mtproxy(lower: &str) -> bool {
    let schemes = ["mtproto://", "mtproxy://", "tg://proxy", "tg:proxy"];
    let web = lower.trim_start_matches("https://").trim_start_matches("http://");
    let links = ["t.me/proxy", "telegram.me/proxy", "telegram.dog/proxy"];
    let last = lower.rsplit([':', '/', '@']).next().unwrap_or_default();
    let secret = last.len() >= 32 && last.bytes().all(|byte| byte.is_ascii_hexdigit());
    schemes.iter().any(|scheme| lower.starts_with(scheme))
        || links.iter().any(|link| web.starts_with(link))
        || lower.contains("secret=")
        || secret
}

/// What neither a URL nor the library changes on its way to the proxy.
fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,".contains(&byte);
    (1..=255).contains(&word.len()) && word.bytes().all(plain)
}

/// Enough to recognise the value by: its scheme, and a host where what stands there can be no secret.
fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let scheme: String = scheme.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let host = rest.rsplit('@').next().unwrap_or_default();
    let host: String =
        host.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')).take(40).collect();
    let host = if rest.contains('@') && host.len() < 2 { String::new() } else { host };
    if scheme.is_empty() { format!("\"{host}…\"") } else { format!("\"{scheme}://…{host}…\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socks5_proxy_is_read_in_every_form() {
        for (text, place, user, password) in [
            ("socks5://127.0.0.1:1080", "127.0.0.1:1080", None, ""),
            ("socks5://proxy.example:9050/", "proxy.example:9050", None, ""),
            ("SOCKS5://[::1]:1080", "[::1]:1080", None, ""),
            ("socks5://anna:s3cret!@10.0.0.1:1080", "10.0.0.1:1080", Some("anna"), "s3cret!"),
            ("socks5://anna@10.0.0.1:1080", "10.0.0.1:1080", Some("anna"), ""),
        ] {
            let proxy = Proxy::parse(text).unwrap().unwrap();
            assert_eq!((proxy.place().as_str(), proxy.user.as_deref()), (place, user), "{text}");
            assert_eq!(proxy.password(), password);
        }
        assert_eq!(Proxy::parse("").unwrap(), None);
        let proxy = Proxy::parse("socks5://anna:pw@[::1]:1").unwrap().unwrap();
        assert_eq!(proxy.url(), "socks5://anna:pw@[::1]:1");
    }

    #[test]
    fn an_mtproxy_is_refused_by_name_in_each_of_its_forms() {
        for text in [
            "mtproto://0123456789abcdef0123456789abcdef@host:443",
            "tg://proxy?server=host&port=443&secret=ee0123456789abcdef",
            "https://t.me/proxy?server=host&port=443&secret=dd01",
            "t.me/proxy?server=host&port=443",
            "socks5://host:443?secret=ee01",
            "host:443:dd0123456789abcdef0123456789abcdef",
        ] {
            let told = Proxy::parse(text).unwrap_err().to_string();
            assert!(told.contains("this is an MTProxy, which carries no calls"), "{text}: {told}");
            assert!(!told.contains("0123456789abcdef") && !told.contains("secret"), "{told}");
        }
    }

    #[test]
    fn other_proxies_and_half_addresses_are_refused() {
        for text in ["http://host:3128", "https://user:pw@host:3128"] {
            let told = Proxy::parse(text).unwrap_err().to_string();
            assert!(told.contains("this is an HTTP proxy"), "{told}");
        }
        for text in [
            "socks4://host:1080",
            "host:1080",
            "socks5://host",
            "socks5://:1080",
            "socks5://host:0",
            "socks5://::1",
            "socks5://a b:1",
            "socks5://",
            "socks5:/",
        ] {
            let told = Proxy::parse(text).unwrap_err().to_string();
            assert!(told.ends_with(WANTED), "{text}: {told}");
        }
    }

    #[test]
    fn a_user_that_would_arrive_changed_is_refused() {
        for account in ["an na:pw", "anna:p/w", "anna:p%40w", "анна:pw", ":pw", "anna:p:w"] {
            let told = Proxy::parse(&format!("socks5://{account}@host:1080")).unwrap_err();
            assert_eq!(told.wanted, PLAIN_USER, "{account}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let proxy = Proxy::parse("socks5://anna:hidden@host:1080").unwrap().unwrap();
        assert!(!format!("{proxy} {proxy:?}").contains("hidden"));
        for text in [
            "socks5://anna:hidden@host",
            "http://anna:hidden@host:1",
            "anna:hidden@host:1",
            "socks5://anna:hid/den@host:1",
            "socks5://anna:hid@den@host:1",
        ] {
            let told = Proxy::parse(text).unwrap_err().to_string();
            assert!(!told.contains("hid") && !told.contains("den@"), "{told}");
        }
    }
}
