//! `settings.ini` of tg2sip, as the program itself reads it: sections, `key=value`, `;` and `#` begin comments.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use tgtrunk_config::{Phone, Said};

use super::former::{Application, Former, FormerLine};

/// Keys that mean something here. What others say is told as not taken over, if it was not the default.
const TAKEN: [&str; 11] = [
    "telegram.api_id",
    "telegram.api_hash",
    "telegram.use_proxy",
    "telegram.proxy_address",
    "telegram.proxy_port",
    "telegram.proxy_username",
    "telegram.proxy_password",
    "sip.port",
    "sip.callback_uri",
    "sip.id_uri",
    // Their number is in id_uri, if anywhere; where their session is does not matter.
    "telegram.database_folder",
];

/// Every key by its section, as `sip.port`.
type Keys = BTreeMap<String, String>;

/// Reads the file. `phone` is its account's number, where the file does not tell.
///
/// # Errors
/// When it cannot be read, is no such file, or no number is known.
pub(super) fn read(file: &Path, phone: Option<Phone>) -> anyhow::Result<Former> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    understand(&keys(&text), phone).with_context(|| file.display().to_string())
}

fn understand(keys: &Keys, phone: Option<Phone>) -> anyhow::Result<Former> {
    let value = |key: &str| keys.get(key).map(String::as_str).filter(|value| !value.is_empty());
    if !keys.keys().any(|key| key.starts_with("telegram.") || key.starts_with("sip.")) {
        bail!("this is no settings.ini of tg2sip: it has neither [sip] nor [telegram]");
    }
    let phone = phone.or_else(|| value("sip.id_uri").and_then(user).and_then(|user| number(&user)));
    let phone = phone.context("the file does not tell the account's number: add --phone +79060000000")?;
    let mut left = vec![Said::new(
        "the Telegram session itself cannot be taken over: log in once on the page, or by tgtrunk-gateway login",
        "саму сессию Telegram перенести нельзя: войдите один раз на странице или командой tgtrunk-gateway login",
    )];
    let pbx = value("sip.callback_uri").and_then(host);
    if pbx.is_none() {
        left.push(Said::new(
            "callback_uri names no PBX: 127.0.0.1:5060 is taken",
            "в callback_uri нет АТС: взято 127.0.0.1:5060",
        ));
    }
    let mut line = FormerLine::new(phone, pbx.unwrap_or_else(|| "127.0.0.1:5060".to_owned()));
    line.sip_port = value("sip.port").and_then(|port| port.parse().ok()).filter(|port| *port >= 1024);
    for (key, written) in keys.iter().filter(|(key, _)| !TAKEN.contains(&key.as_str())) {
        if !written.is_empty() && !key.starts_with("logging.") {
            left.push(Said::new(
                format!("{key} = {written} has no counterpart here and is left out"),
                format!("{key} = {written}: здесь такого нет, не переносится"),
            ));
        }
    }
    Ok(Former {
        application: application(value("telegram.api_id"), value("telegram.api_hash")),
        proxy: proxy(&value),
        lines: vec![line],
        left,
    })
}

/// Who the program was to Telegram, if both values are what Telegram gives.
pub(super) fn application(api_id: Option<&str>, api_hash: Option<&str>) -> Option<Application> {
    let api_id = api_id?.trim().parse().ok().filter(|id| *id > 0)?;
    let api_hash = api_hash?.trim();
    let fits = api_hash.len() == 32 && api_hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| Application { api_id, api_hash: api_hash.to_ascii_lowercase() })
}

/// A phone number however it is written: `+7 906 000-00-00`, `79060000000`.
pub(super) fn number(text: &str) -> Option<Phone> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let others = text.chars().filter(|c| !c.is_ascii_digit()).all(|c| "+-() .".contains(c));
    format!("+{digits}").parse().ok().filter(|_| others)
}

/// Host and port of a SIP URI, with 5060 where it names none.
pub(super) fn host(uri: &str) -> Option<String> {
    let rest = uri.trim().trim_start_matches('<').trim_end_matches('>').strip_prefix("sip:")?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = rest.split([';', '?']).next().filter(|host| !host.is_empty())?;
    let address: tgtrunk_config::PbxAddress = host.parse().ok()?;
    Some(address.to_string())
}

fn user(uri: &str) -> Option<String> {
    let rest = uri.trim().trim_start_matches('<').strip_prefix("sip:")?;
    Some(rest.split_once('@')?.0.to_owned())
}

fn proxy<'k>(value: &impl Fn(&str) -> Option<&'k str>) -> Option<String> {
    value("telegram.use_proxy").filter(|used| ["true", "1", "yes", "on"].contains(used))?;
    let address = value("telegram.proxy_address")?;
    let port = value("telegram.proxy_port")?;
    let account = match (value("telegram.proxy_username"), value("telegram.proxy_password")) {
        (Some(user), Some(password)) => format!("{user}:{password}@"),
        _ => String::new(),
    };
    Some(format!("socks5://{account}{address}:{port}"))
}

/// Takes the text apart.
pub(super) fn keys(text: &str) -> Keys {
    let mut keys = Keys::new();
    let mut section = String::new();
    for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            section = name.0.trim().to_ascii_lowercase();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with([';', '#'])) {
            let value = value.split(" ;").next().unwrap_or_default().trim();
            keys.insert(format!("{section}.{}", key.trim().to_ascii_lowercase()), value.to_owned());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the program ships it, with values filled in.
    const FILE: &str = "[logging]\ncore=2\nsip_messages=true\n\n[sip]\n; public address\npublic_address=127.0.0.1\nport=30001\nid_uri=sip:79060000000@127.0.0.1:5060\ncallback_uri=sip:tg@192.0.2.7:5160\nraw_pcm=false\n\n[telegram]\napi_id=12345\napi_hash=0123456789ABCDEF0123456789abcdef\n;udp_p2p=true\nuse_proxy=true\nproxy_address=192.0.2.9\nproxy_port=1080\nproxy_username=u\nproxy_password=p\n\n[other]\nextra_wait_time=30\n";

    #[test]
    fn a_file_gives_its_application_line_and_proxy_and_what_has_no_counterpart_is_told() {
        let former = understand(&keys(FILE), None).unwrap();
        let api_hash = "0123456789abcdef0123456789abcdef".to_owned();
        assert_eq!(former.application, Some(Application { api_id: 12345, api_hash }));
        assert_eq!(former.proxy.as_deref(), Some("socks5://u:p@192.0.2.9:1080"));
        let line = &former.lines[0];
        assert_eq!((line.phone.as_str(), line.sip_port), ("+79060000000", Some(30001)));
        assert_eq!(line.pbx, "192.0.2.7:5160");
        let left: Vec<&str> = former.left.iter().map(|said| said.en.as_str()).collect();
        assert!(left[0].contains("log in once"), "{left:?}");
        assert!(left.iter().any(|said| said.starts_with("sip.raw_pcm = false")), "{left:?}");
        assert!(left.iter().any(|said| said.starts_with("other.extra_wait_time = 30")), "{left:?}");
        assert!(!left.iter().any(|said| said.contains("logging") || said.contains("udp_p2p")), "{left:?}");
    }

    #[test]
    fn without_a_number_it_is_asked_for_and_another_file_is_told_apart() {
        let text = "[sip]\nid_uri=sip:localhost\n[telegram]\napi_id=0\n";
        let told = understand(&keys(text), None).unwrap_err().to_string();
        assert!(told.contains("--phone"), "{told}");
        let former = understand(&keys(text), "+79060000001".parse().ok()).unwrap();
        assert_eq!((former.application, former.lines[0].pbx.as_str()), (None, "127.0.0.1:5060"));
        let told = understand(&keys("[mysqld]\nport=3306\n"), None).unwrap_err().to_string();
        assert!(told.contains("neither [sip] nor [telegram]"), "{told}");
    }

    #[test]
    fn numbers_and_addresses_are_read_in_every_form() {
        for text in ["79060000000", "+7 906 000-00-00", "+7(906)0000000"] {
            assert_eq!(number(text).unwrap().as_str(), "+79060000000");
        }
        assert_eq!(number("tg_account"), None);
        assert_eq!(host("sip:100@pbx.example.org;transport=udp").as_deref(), Some("pbx.example.org"));
        assert_eq!(host("<sip:[::1]:5062>").as_deref(), Some("[::1]:5062"));
        assert_eq!(host("tel:100"), None);
    }
}
