//! What is refused before anybody looks at it: names that are not ours (DNS rebinding), requests that another site sent, and
//! what a browser is told to refuse itself (CSP level 3, Fetch Metadata, RFC 9110 section 7.2).

use std::net::SocketAddr;

use axum::http::header::{
    CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, Method, Response};
use tgtrunk_config::{PageSettings, Said};

/// What a page may load, where its forms may go, and who may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// By which names the page may be called.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    listen: SocketAddr,
    hosts: Vec<String>,
    is_behind_proxy: bool,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Why, and what to do.
    pub(crate) said: Said,
}

impl Guard {
    pub(crate) fn new(listen: SocketAddr, settings: &PageSettings) -> Self {
        Self { listen, hosts: settings.hosts.clone(), is_behind_proxy: settings.behind_proxy }
    }

    /// Looks at a request's name and origin.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn judge(&self, method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().unwrap_or_default().to_ascii_lowercase(),
            _ => String::new(),
        };
        if host.is_empty() {
            let said = Said::new("The request names no host.", "В запросе не указано имя узла.");
            return Err(Refused { status: 400, said });
        }
        if !self.knows(&host) {
            let shown: String = host.chars().take(60).collect();
            return Err(Refused {
                status: 421,
                said: Said::new(
                    format!(
                        "This page is not called {shown}. If it should be, add the name to page.hosts in tgtrunk.toml."
                    ),
                    format!(
                        "Эта страница не отвечает на имя {shown}. Если должна, добавьте его в page.hosts файла tgtrunk.toml."
                    ),
                ),
            });
        }
        let is_reading = method == Method::GET || method == Method::HEAD;
        if is_reading || is_own(headers, &host) {
            return Ok(());
        }
        // A browser that finds the form to be of this page sees another name than the one that arrives.
        let is_renamed = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
        Err(if self.is_behind_proxy && is_renamed { renamed() } else { foreign() })
    }

    fn knows(&self, host: &str) -> bool {
        let port = self.listen.port();
        let (name, asked) = split(host);
        let own_port = asked.unwrap_or(80) == port;
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
        let is_loopback = name == "localhost" || literal.is_some_and(|ip: std::net::IpAddr| ip.is_loopback());
        let own = self.listen.ip();
        // Whoever types an address goes there: only names can be made to point elsewhere.
        let is_own =
            literal.is_some_and(|ip| own.is_unspecified() || ip.to_canonical() == own.to_canonical());
        own_port && (is_loopback || is_own) || self.hosts.iter().any(|known| known == host || known == name)
    }
}

/// What is said to a form of another site.
pub(crate) fn foreign() -> Refused {
    Refused {
        status: 403,
        said: Said::new(
            "This form did not come from this page. Open the page again and repeat.",
            "Эта форма отправлена не с этой страницы. Откройте страницу заново и повторите.",
        ),
    }
}

/// What is said where a proxy in front asks for the page by another name than browsers do.
fn renamed() -> Refused {
    Refused {
        status: 403,
        said: Said::new(
            "This form did not come from this page, or the proxy in front changes the name in Host: have it pass Host on (nginx: proxy_set_header Host $host;).",
            "Эта форма отправлена не с этой страницы, или прокси подменяет имя в Host: пусть передаёт Host дальше (nginx: proxy_set_header Host $host;).",
        ),
    }
}

/// Adds what every answer tells the browser.
pub(crate) fn seal<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    // A file of a stranger's has a stricter one.
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(axum::http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Whether a browser that says where a request comes from says that it comes from here.
fn is_own(headers: &HeaderMap, host: &str) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    if site.is_some_and(|site| site != b"same-origin" && site != b"none") {
        return false;
    }
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

/// A host as browsers write it, taken apart.
fn split(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port.parse().unwrap_or(0))),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_answers_to_loopback_its_address_and_names_it_was_given() {
        let judge = |listen: &str, hosts: &[&str], host: &str| {
            let hosts = hosts.iter().map(ToString::to_string).collect();
            let guard = Guard { listen: listen.parse().unwrap(), hosts, is_behind_proxy: false };
            guard.judge(&Method::GET, &headers(&[("host", host)])).map_err(|refused| refused.status)
        };
        for host in ["127.0.0.1:8090", "localhost:8090", "LOCALHOST:8090", "[::1]:8090"] {
            assert_eq!(judge("127.0.0.1:8090", &[], host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8090",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost.evil.example:8090",
            "10.0.0.5:8090",
            "127.0.0.1:8090:1",
        ] {
            assert_eq!(judge("127.0.0.1:8090", &[], host), Err(421), "{host}");
        }
        assert_eq!(judge("127.0.0.1:8090", &[], ""), Err(400));
        assert_eq!(judge("0.0.0.0:8090", &[], "10.0.0.5:8090"), Ok(()));
        assert_eq!(judge("10.0.0.5:8090", &[], "10.0.0.5:8090"), Ok(()));
        assert_eq!(judge("0.0.0.0:8090", &[], "pbx.example:8090"), Err(421));
        assert_eq!(judge("127.0.0.1:8090", &["pbx.example"], "pbx.example"), Ok(()));
        assert_eq!(judge("127.0.0.1:8090", &["pbx.example"], "pbx.example:8443"), Ok(()));
        assert_eq!(judge("127.0.0.1:8090", &["pbx.example:8443"], "pbx.example"), Err(421));
        assert_eq!(judge("127.0.0.1:80", &[], "127.0.0.1"), Ok(()));
    }

    #[test]
    fn what_another_site_sends_is_refused() {
        let guard =
            Guard { listen: "127.0.0.1:8090".parse().unwrap(), hosts: Vec::new(), is_behind_proxy: false };
        let post = |more: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = [("host", "127.0.0.1:8090")].iter().chain(more).copied().collect();
            guard.judge(&Method::POST, &headers(&all)).map_err(|refused| refused.status)
        };
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("origin", "http://127.0.0.1:8090"), ("sec-fetch-site", "same-origin")]), Ok(()));
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(post(&[(name, value)]), Err(403), "{name}: {value}");
        }
        let twice = headers(&[("host", "127.0.0.1:8090"), ("host", "evil.example")]);
        assert_eq!(guard.judge(&Method::GET, &twice).unwrap_err().status, 400);
    }

    #[test]
    fn a_proxy_that_asks_by_another_name_than_browsers_is_told_what_to_pass_on() {
        let judge = |is_behind_proxy, site| {
            let guard =
                Guard { listen: "127.0.0.1:8090".parse().unwrap(), hosts: Vec::new(), is_behind_proxy };
            let origin = ("origin", "https://trunk.example.com");
            let all = [("host", "127.0.0.1:8090"), origin, ("sec-fetch-site", site)];
            guard.judge(&Method::POST, &headers(&all)).unwrap_err()
        };
        assert!(judge(true, "same-origin").said.en.contains("pass Host on"));
        assert_eq!(judge(true, "cross-site"), foreign());
        assert_eq!(judge(false, "same-origin"), foreign());
    }

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
        }
        headers
    }
}
