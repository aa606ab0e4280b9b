//! `[page]` of `tgtrunk.toml`: where the client serves the operator's page, and to whom.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use crate::keys::{self, Section};
use crate::language::Language;

/// The operator's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageSettings {
    /// Where it is served; nowhere without it. Port 0 is any free one, which the log names.
    pub listen: Option<SocketAddr>,
    /// Further names by which browsers may call it (`Host`), in small letters: those of a proxy in front. Its address and
    /// the names of loopback are always allowed.
    pub hosts: Vec<String>,
    /// Whether a proxy stands in front, whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub behind_proxy: bool,
    /// The language for a browser that tells none.
    pub language: Language,
}

const HOSTS: usize = 20;

impl Default for PageSettings {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8090)),
            hosts: Vec::new(),
            behind_proxy: false,
            language: Language::English,
        }
    }
}

impl PageSettings {
    /// What the text of a settings file says of the page, whatever else is wrong in it; the defaults where that is wrong
    /// too.
    pub fn among(text: &str, file: &Path) -> Self {
        let page = keys::Page::new(file, text);
        page.top().map_or_else(Self::default, |mut top| read(top.section("page")))
    }
}

pub(crate) fn read(mut section: Section<'_, '_>) -> PageSettings {
    let default = PageSettings::default();
    let listen = section
        .optional("listen", r#"an address and a port, as "127.0.0.1:8090", or "off" for no page"#, |value| {
            match keys::text(value)? {
                "off" => Some(None),
                text => text.parse().ok().map(Some),
            }
        })
        .unwrap_or(default.listen);
    let hosts = section
        .optional(
            "hosts",
            r#"a list of up to 20 host names, with a port if browsers say one, as ["pbx.example.org", "10.0.0.5:8443"]"#,
            |value| {
                let hosts: Vec<String> = keys::list(value, |host| keys::text(host).and_then(host_name))?;
                (hosts.len() <= HOSTS).then_some(hosts)
            },
        )
        .unwrap_or_default();
    let behind_proxy = section.switch("behind_proxy", false);
    let languages = [Language::English, Language::Russian];
    let language = section.word("language", &languages.map(|language| (language.as_str(), language)));
    section.finish();
    PageSettings { listen, hosts, behind_proxy, language }
}

/// A host and perhaps a port, as browsers write them (RFC 9110 section 7.2).
fn host_name(text: &str) -> Option<String> {
    let fits = (1..=253).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
    fits.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Settings, SettingsError};

    #[test]
    fn the_page_is_on_loopback_unless_it_is_told_otherwise() {
        let page = page("").unwrap();
        assert_eq!(page, PageSettings::default());
        assert_eq!(page.listen.unwrap().to_string(), "127.0.0.1:8090");
    }

    #[test]
    fn every_key_is_read() {
        let read = page(
            "[page]\nlisten = \"[::1]:80\"\nhosts = [\"PBX.example.org\", \"10.0.0.5:8443\"]\nbehind_proxy = true\nlanguage = \"ru\"\n",
        );
        let read = read.unwrap();
        assert_eq!(read.listen.unwrap().to_string(), "[::1]:80");
        assert_eq!(read.hosts, ["pbx.example.org", "10.0.0.5:8443"]);
        assert_eq!((read.behind_proxy, read.language), (true, Language::Russian));
        assert_eq!(page("[page]\nlisten = \"off\"\n").unwrap().listen, None);
    }

    #[test]
    fn the_page_is_found_among_settings_that_are_wrong() {
        let among = |text: &str| PageSettings::among(text, Path::new("t.toml")).listen.unwrap().to_string();
        assert_eq!(
            among("[telegram]\napi_id = 0\n[page]\nlisten = \"127.0.0.1:9\"\nport = 1\n"),
            "127.0.0.1:9"
        );
        assert_eq!(among("[page]\nlisten = 5\n"), "127.0.0.1:8090");
        assert_eq!(among("[page\n"), "127.0.0.1:8090");
    }

    #[test]
    fn each_mistake_is_told_with_its_key() {
        let told = page(
            "[page]\nlisten = \"8090\"\nhosts = [\"a b\"]\nbehind_proxy = \"yes\"\nlanguage = \"de\"\nport = 1\n",
        )
        .unwrap_err();
        for (line, start) in told.to_string().lines().zip([
            r#"t.toml:5: page.listen = "8090": want an address and a port, as "127.0.0.1:8090", or "off" for no page"#,
            r#"t.toml:6: page.hosts = ["a b"]: want a list of up to 20 host names"#,
            r#"t.toml:7: page.behind_proxy = "yes": want true or false"#,
            r#"t.toml:8: page.language = "de": want one of "en", "ru""#,
            "t.toml:9: unknown key page.port = 1: want one of listen, hosts, behind_proxy, language",
        ]) {
            assert!(line.starts_with(start), "{line}");
        }
    }

    fn page(text: &str) -> Result<PageSettings, SettingsError> {
        let telegram = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        Settings::parse(&format!("{telegram}{text}"), Path::new("t.toml")).map(|settings| settings.page)
    }
}
