//! What pages say to people: the advice, reasons and buttons that they are there for.

use std::collections::BTreeSet;

use tgtrunk_config::control::{LoginInfo, LoginStage};
use tgtrunk_config::{Lamp, Language, Light, Said, TextKey};

use super::made::*;
use super::{frame, lines, new_line, sessions, steps, system, texts};
use crate::page::model::*;
use crate::page::view::words::{phone, since};
use crate::page::view::{bots, lamp, line, line_bot, log};

/// Looks for words in what is drawn in each language: Russian first.
fn says(draw: impl Fn(&Frame) -> maud::Markup, wanted: [&[&str]; 2]) {
    for (language, words) in [Language::Russian, Language::English].into_iter().zip(wanted) {
        let drawn = draw(&frame(language)).into_string();
        for word in words {
            assert!(drawn.contains(word), "no {word:?} in {drawn}");
        }
    }
}

fn connected() -> LineCard {
    card("+79066660000", "Отдел продаж", 30_001)
}

#[test]
fn whoever_adds_a_number_is_told_which_one_to_take() {
    says(
        |frame| new_line::page(frame, &new_page()),
        [
            &["Отдельный, не личный", "он должен работать", "Уже зарегистрированный в Telegram"],
            &["One of its own", "it must be alive", "One that is in Telegram already"],
        ],
    );
}

#[test]
fn an_installation_without_lines_shows_the_first_steps() {
    says(
        |frame| lines::page(frame, &LinesPage { lines: Vec::new(), today: None }),
        [
            &["Три шага до первого звонка", "Добавьте номер", "Введите код", "Подключите АТС", "/lines/new"],
            &[
                "Three steps to the first call",
                "Add a number",
                "Enter the code",
                "Connect the PBX",
                "/lines/new",
            ],
        ],
    );
}

#[test]
fn the_page_says_that_everything_stays_on_this_machine() {
    let words: [&[&str]; 2] = [
        &["Все ключи и сообщения остаются на этой машине", "только с Telegram"],
        &["All keys and messages stay on this machine", "nobody but Telegram"],
    ];
    says(|frame| lines::page(frame, &LinesPage { lines: Vec::new(), today: None }), words);
    says(|frame| system::page(frame, &system_page()), words);
}

#[test]
fn the_key_of_the_application_says_where_it_is_had_and_is_typed_unseen() {
    let words = ["my.telegram.org", "name=\"telegram.api_id\"", "name=\"telegram.api_hash\""];
    says(|frame| system::page(frame, &system_page()), [&words, &words]);
    let drawn = system::page(&frame(Language::English), &system_page()).into_string();
    let field = drawn.split('<').find(|tag| tag.contains("name=\"telegram.api_hash\"")).unwrap();
    assert!(field.contains("type=\"password\""), "{field}");
    let link: &[&str] = &["href=\"https://my.telegram.org\""];
    says(|frame| system::page(frame, &system_page()), [link, link]);
}

/// Also where no field is that it could stand under.
#[test]
fn why_telegram_lets_nobody_in_is_told_at_the_step_where_it_happened() {
    for stage in [LoginStage::Start, LoginStage::Password { hint: None }] {
        let draw = |frame: &Frame| {
            let problem = Some(Said::new(
                "Telegram wants a pause of 31 seconds",
                "Telegram просит подождать 31 секунду",
            ));
            let info = LoginInfo { line: connected().phone, stage: stage.clone(), problem };
            steps::page(
                frame,
                &StepsPage { card: connected(), part: Part::Gateway, info: Some(info), writers: Vec::new() },
            )
        };
        says(draw, [&["подождать 31 секунду"], &["pause of 31 seconds"]]);
    }
}

#[test]
fn whoever_logs_an_account_out_is_told_first_who_else_writes_by_it() {
    let words: [&[&str]; 2] = [
        &[
            "Через него пишут организации «Head office», «Branch». Уведомления людям через этот аккаунт прекратятся",
        ],
        &[
            "Organisations that write by it: “Head office”, “Branch”. Notifications of people by this account stop",
        ],
    ];
    let writers = || vec!["Head office".to_owned(), "Branch".to_owned()];
    for part in [Part::Gateway, Part::Client] {
        let draw = |frame: &Frame| {
            let stage = LoginStage::Done { account: account() };
            let info = LoginInfo { line: connected().phone, stage, problem: None };
            let info = Some(info);
            steps::page(frame, &StepsPage { card: connected(), part, info, writers: writers() })
        };
        if part == Part::Client {
            says(draw, words);
        } else {
            let drawn = draw(&frame(Language::English)).into_string();
            assert!(!drawn.contains(words[1][0]), "the gateway writes nothing: {drawn}");
        }
    }
    let mut page = sessions_page();
    page.client = page.gateway.clone();
    page.writers = writers();
    says(|frame| sessions::page(frame, &page), words);
    // Nobody else writes by it, and very many do.
    for (writers, told) in [
        (0, "keypads and cards stop until the next login. notifications of people by this account stop"),
        (12, "“9”, “10” and 2 more. notifications"),
    ] {
        page.writers = (1..=writers).map(|number| number.to_string()).collect();
        let drawn = sessions::page(&frame(Language::English), &page).into_string();
        assert!(drawn.to_lowercase().contains(told), "{writers}");
    }
}

#[test]
fn a_login_that_is_done_says_so_and_whose_account_it_is() {
    let draw = |frame: &Frame| {
        let info = LoginInfo {
            line: connected().phone,
            stage: LoginStage::Done { account: account() },
            problem: None,
        };
        steps::page(
            frame,
            &StepsPage { card: connected(), part: Part::Gateway, info: Some(info), writers: Vec::new() },
        )
    };
    let number = phone("+79066660000");
    says(draw, [&["вход выполнен", "Акме", &number], &["logged in", "Акме", &number]]);
}

#[test]
fn a_light_says_in_words_how_it_is_why_and_since_when() {
    let dead = lines_page().lines.remove(2);
    let began_ms = dead.gateway.telegram.since_ms;
    for (language, words) in [
        (Language::Russian, ["нужен вход", "Сеанс завершён с другого устройства"]),
        (Language::English, ["login needed", "The session was ended from another device"]),
    ] {
        let frame = frame(language);
        let since = since(&frame, began_ms);
        for drawn in [line::lights(&frame, &dead), lines::card(&frame, &dead)] {
            let drawn = drawn.into_string();
            assert!(drawn.contains(&since) && drawn.contains(words[0]), "{since}: {drawn}");
            assert!(drawn.to_lowercase().contains(&words[1].to_lowercase()), "{drawn}");
        }
    }
}

#[test]
fn each_colour_has_a_shape_and_a_word_of_its_own() {
    for language in Language::ALL {
        let frame = frame(language);
        let all = [Lamp::Red, Lamp::Orange, Lamp::Green, Lamp::Off];
        let shapes: BTreeSet<String> = all.iter().map(|one| lamp::shape(*one).draw().into_string()).collect();
        let words: BTreeSet<&str> = all.iter().map(|one| lamp::word(&frame, *one)).collect();
        let classes: BTreeSet<&str> = all.iter().map(|one| lamp::class(*one)).collect();
        assert_eq!((shapes.len(), words.len(), classes.len()), (4, 4, 4), "{words:?}");
        for one in all {
            let mut card = connected();
            card.gateway.telegram = Light::new(one, "x", 1);
            let drawn = lamp::row(&frame, &card).into_string();
            let shape = lamp::shape(one).draw().into_string();
            assert!(drawn.contains(&shape) && drawn.contains(lamp::word(&frame, one)), "{one:?}: {drawn}");
        }
    }
}

#[test]
fn one_label_says_whether_all_lines_are_connected_not_all_or_off() {
    let draw = |lines: Vec<LineCard>| {
        move |frame: &Frame| lines::overall(frame, &LinesPage { lines: lines.clone(), today: None })
    };
    let [_, waits, _, off]: [LineCard; 4] = lines_page().lines.try_into().unwrap();
    says(draw(vec![connected(), off.clone()]), [&["Линии подключены"], &["Lines connected"]]);
    says(draw(vec![connected(), waits]), [&["Не все линии подключены"], &["Not all lines connected"]]);
    says(draw(vec![off]), [&["Модуль отключён"], &["Module switched off"]]);
}

#[test]
fn each_program_of_a_line_is_logged_in_on_its_own() {
    let links = ["gateway", "client", "bot"].map(|part| format!("href=\"/lines/+79066660000/login/{part}\""));
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    says(|frame| lines::card(frame, &connected()), [&links, &links]);
}

#[test]
fn the_address_can_be_copied_while_the_line_is_connected() {
    let copy: &[&str] = &["data-copy=\"127.0.0.1:30001\""];
    says(|frame| lines::address(frame, &connected()), [copy, copy]);
    let mut dead = connected();
    dead.gateway.telegram = Light::new(Lamp::Red, "x", 1);
    let drawn = lines::address(&frame(Language::English), &dead).into_string();
    assert!(drawn.contains("127.0.0.1:30001") && !drawn.contains("data-copy"), "{drawn}");
}

#[test]
fn the_log_that_is_shown_can_be_copied() {
    let copy: &[&str] =
        &["data-copy-from=\"log\"", "id=\"log\"", "the session was ended from another device"];
    says(|frame| log::page(frame, &log_page()), [copy, copy]);
}

#[test]
fn what_is_amiss_with_the_account_has_a_button_that_mends_it() {
    let button: &[&str] = &["action=\"/lines/+79066660000/checks/phone_visible/fix\""];
    says(|frame| line::page(frame, &line_page()), [button, button]);
    let drawn = line::page(&frame(Language::English), &line_page()).into_string();
    assert!(!drawn.contains("/checks/calls_from_everybody/fix"), "what is good needs no mending: {drawn}");
}

#[test]
fn every_text_that_people_read_has_a_field_with_what_it_says_now() {
    for language in Language::ALL {
        let drawn = texts::page(&frame(language), &texts_page(language)).into_string();
        for key in TextKey::ALL {
            let name = format!("<textarea id=\"f-{0}\" name=\"{0}\"", key.word());
            assert!(drawn.contains(&name), "no {name} in {drawn}");
        }
        assert!(drawn.contains(TextKey::Greeting.default_text(language)), "{drawn}");
    }
}

#[test]
fn how_a_bot_is_made_stands_beside_the_field_for_its_token() {
    let words: &[&str] = &["/newbot", "/setinline", "https://t.me/BotFather"];
    says(|frame| line_bot::page(frame, &bot_page()), [words, words]);
    let drawn = line_bot::page(&frame(Language::English), &bot_page()).into_string();
    let field = drawn.split('<').find(|tag| tag.contains("name=\"token\"")).unwrap();
    assert!(field.contains("type=\"password\""), "{field}");
}

#[test]
fn what_telegram_says_of_a_bot_is_shown_and_what_is_amiss_with_how_to_mend_it() {
    let mut found = token_form(false).found.unwrap();
    found.description = Some("Отвечает на звонки".into());
    let words: &[&str] =
        &["Техподдержка Акме", "@acme_support_bot", "7000000002", "Отвечает на звонки", "/setinline"];
    says(|frame| line_bot::found_bot(frame, &found), [words, words]);
    let good = line_bot::found_bot(&frame(Language::English), &token_form(true).found.unwrap()).into_string();
    assert!(!good.contains("/setinline") && good.contains("on"), "{good}");
}

#[test]
fn a_bot_is_shown_with_how_it_is_its_lines_and_its_people() {
    let all = [
        "Акме",
        "@acme_bot",
        "data-lamp=\"green\"",
        "7000000001",
        "href=\"/lines/+79066660000\"",
        "Анна К.",
        "K7PQ-3M",
        "name=\"token\"",
    ];
    let [russian, english] =
        ["заблокировал бота", "blocked the bot"].map(|blocked| [&all[..], &[blocked]].concat());
    says(|frame| bots::page(frame, &bots_page()), [&russian, &english]);
}

#[test]
fn how_the_webhook_of_calls_does_stands_on_the_lines_page_without_its_secrets() {
    let russian: &[&str] = &[
        "Вебхук звонков",
        "отвечает 500 Internal Server Error",
        "Не принимает с",
        "14\u{a0}попыток",
        "3\u{a0}ждут",
    ];
    let english: &[&str] = &[
        "Webhook of calls",
        "it answers 500 Internal Server Error",
        "Takes nothing since",
        "14\u{a0}attempts",
        "3\u{a0}wait",
    ];
    says(|frame| line::page(frame, &line_page()), [russian, english]);
    let drawn = line::page(&frame(Language::English), &line_page()).into_string();
    assert!(
        drawn.contains("example.org") && !drawn.contains("key=secret") && !drawn.contains("word@"),
        "{drawn}"
    );
}
