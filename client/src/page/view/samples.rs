//! Every page with something on it, in both languages and themes, written to `page-samples` in the target folder to be
//! looked at.

mod access;
mod made;
pub(crate) mod messages;
mod told;

use std::fs;
use std::path::PathBuf;

use maud::Markup;
use tgtrunk_config::control::{CodeVia, LoginInfo, LoginStage};
use tgtrunk_config::{CodecName, DtmfWay, Language, LoginToken, Said};

use super::{
    bots, calls, entry, error, line, line_bot, lines, log, new_line, pbx, sessions, settings, steps, system,
    texts,
};
use crate::page::assets;
use crate::page::model::*;
use made::*;

const NOW_MS: u64 = 1_795_691_100_000;

#[test]
fn every_page_is_drawn_in_both_languages_and_themes() {
    let place = place();
    fs::create_dir_all(place.join("assets")).unwrap();
    for asset in assets::ALL {
        fs::write(place.join("assets").join(asset.name), asset.text).unwrap();
    }
    for language in Language::ALL {
        for theme in [Theme::Light, Theme::Dark] {
            let frame = Frame { theme, ..frame(language) };
            for (name, page) in pages(&frame) {
                let page = page.into_string();
                assert!(!page.contains(" style="), "{name}: a style that the policy forbids");
                assert!(!page.contains("<script>"), "{name}: a script that the policy forbids");
                let weight = page.len() + assets::ALL.iter().map(|asset| asset.text.len()).sum::<usize>();
                assert!(weight < 150_000, "{name} weighs {weight} bytes with its assets");
                let file = format!("{name}-{}-{}.html", language.as_str(), theme.word());
                fs::write(place.join(file), page).unwrap();
            }
        }
    }
}

#[test]
fn no_page_says_in_english_what_it_says_in_russian() {
    let cyrillic = |text: &str| text.chars().any(|letter| ('а'..='я').contains(&letter));
    for (name, page) in pages(&Frame { notice: None, ..frame(Language::English) }) {
        let page = page.into_string();
        let ours = page.replace("Русский", "");
        let theirs =
            ["Анна", "Отдел продаж", "Акме", "Пётр", "Поддержка", "Продажи", "Склад", "Техподдержка", "кот"];
        let ours = theirs.iter().fold(ours, |text, word| text.replace(word, ""));
        let at = ours.find(|letter| ('а'..='я').contains(&letter));
        let near: String = at.map(|at| ours[at..].chars().take(60).collect()).unwrap_or_default();
        assert!(!cyrillic(&ours), "{name}: {near}");
    }
}

#[test]
fn everything_a_stranger_wrote_stays_text() {
    let frame = frame(Language::English);
    let mut page = lines_page();
    let nasty = "<script>alert(1)</script>\"'&";
    page.lines[0].name = nasty.into();
    page.lines[0].calls[0].peer.name = Some(nasty.into());
    page.lines[2].gateway.telegram.reason = nasty.into();
    let drawn = lines::page(&frame, &page).into_string();
    assert!(!drawn.contains("<script>alert"), "{drawn}");
    assert!(drawn.contains("&lt;script&gt;alert"));
}

/// The frame of all samples: 26 November 2026, 14:05 in Moscow.
pub(crate) fn frame(language: Language) -> Frame {
    Frame {
        language,
        theme: Theme::Auto,
        csrf: "2c6f8a".into(),
        now_ms: NOW_MS,
        offset_s: |_| 3 * 3_600,
        path: "/".into(),
        notice: None,
        alerts: Vec::new(),
    }
}

fn place() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target
        .unwrap_or_else(|| [env!("CARGO_MANIFEST_DIR"), "..", "target"].iter().collect())
        .join("page-samples")
}

fn pages(frame: &Frame) -> Vec<(&'static str, Markup)> {
    let card = || lines_page().lines.remove(0);
    let steps_of = |stage, problem: Option<Said>| {
        let card = card();
        let info = LoginInfo { line: card.phone.clone(), stage, problem };
        steps::page(frame, &StepsPage { card, part: Part::Gateway, info: Some(info), writers: Vec::new() })
    };
    let code = LoginStage::Code {
        via: CodeVia::App,
        length: Some(5),
        next: Some(CodeVia::Sms),
        resend_ms: Some(NOW_MS + 42_000),
        sent_ms: NOW_MS - 18_000,
    };
    let wrong = Said::new("The code is wrong: look at it again", "Код неверный: посмотрите ещё раз");
    let qr = LoginStage::Qr { token: LoginToken::new(&[0x5a; 34]).unwrap(), expires_ms: NOW_MS + 25_000 };
    let alert = Alert {
        said: Said::new(
            "tgtrunk.toml:14: gateway.rtp_port is no key",
            "tgtrunk.toml:14: нет ключа gateway.rtp_port",
        ),
        fix: Some(("/system#settings".into(), Said::new("Open the settings", "Открыть настройки"))),
    };
    let alarmed = Frame {
        alerts: vec![alert],
        notice: Some(Notice {
            is_good: true, said: Said::new("The texts are saved", "Тексты сохранены")
        }),
        ..frame.clone()
    };
    let mut pages = messages::pages(frame);
    pages.extend(vec![
        ("login", entry::page(frame, &LoginPage { next: "/".into(), problem: None, wait_s: None })),
        (
            "login-wrong",
            entry::page(
                frame,
                &LoginPage {
                    next: "/".into(),
                    problem: Some(Said::new("The password is wrong", "Пароль неверный")),
                    wait_s: Some(30),
                },
            ),
        ),
        ("lines", lines::page(frame, &lines_page())),
        ("lines-alert", lines::page(&alarmed, &lines_page())),
        ("lines-empty", lines::page(frame, &LinesPage { lines: Vec::new(), today: None })),
        ("new", new_line::page(frame, &new_page())),
        ("line", line::page(frame, &line_page())),
        ("sessions", sessions::page(frame, &sessions_page())),
        ("steps-start", steps_of(LoginStage::Start, None)),
        ("steps-code", steps_of(code.clone(), None)),
        ("steps-wrong", steps_of(code, Some(wrong))),
        ("steps-qr", steps_of(qr, None)),
        ("steps-password", steps_of(LoginStage::Password { hint: Some("кот".into()) }, None)),
        ("steps-done", steps_of(LoginStage::Done { account: account() }, None)),
        ("line-bot", line_bot::page(frame, &bot_page())),
        ("texts", texts::page(frame, &texts_page(frame.language))),
        (
            "pbx",
            pbx::page(
                frame,
                &PbxPage {
                    card: card(),
                    pbx_user: "+79066660000".into(),
                    codecs: CodecName::ALL.to_vec(),
                    dtmf: DtmfWay::Auto,
                },
            ),
        ),
        ("settings", settings::page(frame, &settings_page())),
        ("calls", calls::page(frame, &calls_page())),
        ("bots", bots::page(frame, &bots_page())),
        ("system", system::page(frame, &system_page())),
        ("log", log::page(frame, &log_page())),
        (
            "error",
            error::page(
                frame,
                &ErrorPage {
                    status: 404,
                    said: Said::new("There is no line +79000000000 here", "Линии +79000000000 здесь нет"),
                },
            ),
        ),
    ]);
    pages.extend(access::pages(frame));
    pages
}
