//! The place "Messages" with something of everything on it.

use maud::Markup;
use serde_json::json;
use tgtrunk_config::control::ApiTokenInfo;
use tgtrunk_config::{BotPrograms, BotUpdate, BotWebhook, BotWebhookFault};
use tgtrunk_messages::{
    Attachment, Bookmark, Browse, ChatId, ChatKind, Content, Direction, Dropped, FileKind, Head, LoginStep,
    LoginTokenPicture, MessageId, Origin, Person, PersonKind, Reason, Record, Rest, RestKind, SendStatus,
    Settings, Standing, Waiting, WebhookFault, WebhookState,
};

use super::NOW_MS;
use crate::page::model::Frame;
use crate::page::model::Typed;
use crate::page::model::access::Secret;
use crate::page::model::messages::*;
use crate::page::view::messages as view;

const NASTY: &str = "<script>alert(1)</script>\"'&";

pub(super) fn pages(frame: &Frame) -> Vec<(&'static str, Markup)> {
    let mut refused = Typed::default();
    refused.set("webhookUrl", "ftp://x");
    refused.refuse(
        "webhookUrl",
        crate::page::messages::setting_problem("webhookUrl", "ftp://x", "must be an address"),
    );
    let settings = |typed| {
        let settings = Settings { webhook_token: "secret".to_owned(), ..Settings::default() };
        InstanceSettingsPage { card: card(), settings, typed, problem: None }
    };
    let access = |token: Option<&str>| AccessPage { token: token.map(str::to_owned), ..access_page() };
    let signin = |way, step| SigninPage {
        card: InstanceCard { standing: Standing::NotAuthorized, line: None, ..card() },
        way,
        step,
    };
    let picture = LoginTokenPicture { link: "tg://login?token=AAAA".into(), png: String::new() };
    vec![
        (
            "messages",
            view::page(frame, &MessagesPage { instances: vec![card(), other(), of_bot()], problem: None }),
        ),
        ("messages-none", view::page(frame, &MessagesPage { instances: Vec::new(), problem: None })),
        ("instance", view::instance::page(frame, &instance())),
        ("instance-limited", view::instance::page(frame, &limited())),
        ("instance-without-line", view::instance::page(frame, &InstancePage { card: other(), ..instance() })),
        ("bot-instance", view::instance::page(frame, &bot_instance(false))),
        ("bot-instance-well", view::instance::page(frame, &bot_instance(true))),
        ("bot-journal", view::journal::page(frame, &JournalPage { card: of_bot(), ..journal(50, false) })),
        ("bot-access", view::bots::access(frame, &bot_access(None))),
        (
            "bot-access-made",
            view::bots::access(frame, &bot_access(Some("42:AAabcdefghijklmnopqrstuvwxyz0123_-x"))),
        ),
        ("journal", view::journal::page(frame, &journal(50, false))),
        ("file-fetching", view::journal::fetching(frame, "/messages/4100000001/journal")),
        ("chat", view::journal::page(frame, &journal(9, true))),
        ("instance-settings", view::settings::page(frame, &settings(refused))),
        ("access", view::access::page(frame, &access(None))),
        ("access-new", view::access::page(frame, &access(Some("0123456789abcdef")))),
        ("signin", view::signin::page(frame, &signin(None, None))),
        ("signin-qr", view::signin::page(frame, &signin(Some(Way::Qr), Some(LoginStep::Scan(picture))))),
        ("signin-code", view::signin::page(frame, &signin(Some(Way::Code), Some(LoginStep::Code)))),
    ]
}

#[test]
fn what_people_write_in_messages_stays_text() {
    let frame = super::frame(tgtrunk_config::Language::English);
    let mut page = instance();
    page.waiting[0].content = Content::plain(NASTY);
    page.waiting[0].to = NASTY.to_owned();
    page.waiting[0].last_error = Some(NASTY.to_owned());
    page.head.as_mut().unwrap().body = json!({ "text": NASTY });
    let mut journal = journal(3, false);
    journal.letters[0].content = Content::plain(NASTY);
    journal.letters[1].chat_title = NASTY.to_owned();
    journal.letters[2].content = file(NASTY);
    journal.browse.text = NASTY.to_owned();
    for drawn in [view::instance::page(&frame, &page), view::journal::page(&frame, &journal)] {
        let drawn = drawn.into_string();
        assert!(!drawn.contains("<script>alert"), "{drawn}");
        assert!(drawn.contains("&lt;script&gt;alert"));
    }
}

#[test]
fn a_bots_journal_has_its_table_and_its_files() {
    let frame = super::frame(tgtrunk_config::Language::English);
    let drawn = view::journal::page(&frame, &JournalPage { card: of_bot(), ..journal(9, false) });
    let drawn = drawn.into_string();
    for address in ["journal.csv", "files/0123456789abcdef0123456789abcdef"] {
        assert!(drawn.contains(&format!("href=\"/bots/acme_bot/messages/{address}")), "{address}");
    }
}

#[test]
fn a_bots_token_is_on_the_page_once_and_what_it_is_called_stays_text() {
    let frame = super::frame(tgtrunk_config::Language::English);
    let secret = "42:AAabcdefghijklmnopqrstuvwxyz0123_-x";
    let drawn = view::bots::access(&frame, &bot_access(Some(secret))).into_string();
    assert!(drawn.contains(&format!("curl http://127.0.0.1:8092/bot{secret}/getMe")));
    assert!(drawn.contains("action=\"/bots/acme_bot/messages/access/2/revoke\""));
    assert!(drawn.contains("without a name") && !drawn.contains("<script>alert"));
    assert!(!view::bots::access(&frame, &bot_access(None)).into_string().contains("42:AA"));
}

#[test]
fn a_stuck_head_is_told_with_its_cause_in_both_languages() {
    for (language, words, left) in [
        (
            tgtrunk_config::Language::Russian,
            "Telegram просит подождать 300\u{a0}с",
            "уведомление 7 раз и не удаляет",
        ),
        (
            tgtrunk_config::Language::English,
            "Telegram asks to wait 300 s",
            "notification 7 times and does not delete",
        ),
    ] {
        let frame = super::frame(language);
        let drawn = view::instance::page(&frame, &instance()).into_string();
        let at = drawn.find("data-position=\"1\"").unwrap();
        assert!(drawn[at..].starts_with("data-position=\"1\" data-stuck=\"yes\""), "{}", &drawn[at..at + 60]);
        assert!(drawn.contains(words));
        let drawn_left = drawn.replace('\u{a0}', " ");
        assert_eq!(drawn_left.matches(left).count(), 2, "once above, once at the head");
        assert!(drawn.contains("HTTP\u{a0}500"));
        assert!(drawn.contains("data-dropped=\"12\""));
    }
}

#[test]
fn of_very_many_notifications_it_is_said_that_there_are_more() {
    for (language, many, words) in [
        (tgtrunk_config::Language::English, COUNTED + 1, "more than 10,000<"),
        (tgtrunk_config::Language::Russian, COUNTED + 1, "больше 10\u{202f}000<"),
        (tgtrunk_config::Language::English, COUNTED, ">10,000<"),
    ] {
        let frame = super::frame(language);
        let page = InstancePage { card: InstanceCard { notifications: many, ..card() }, ..instance() };
        assert!(view::instance::page(&frame, &page).into_string().contains(words), "{words}");
    }
}

#[test]
fn why_a_qr_code_is_not_there_is_said_in_the_readers_language() {
    for (language, words) in [
        (tgtrunk_config::Language::English, "Telegram asks to wait"),
        (tgtrunk_config::Language::Russian, "Telegram просит подождать"),
    ] {
        let step = LoginStep::Failed {
            word: "rate_limit_exceeded",
            sentence: "Telegram asks to wait 31 seconds".into(),
            russian: "Telegram просит подождать 31 секунду".into(),
        };
        let page = SigninPage { card: other(), way: Some(Way::Qr), step: Some(step) };
        assert!(view::signin::page(&super::frame(language), &page).into_string().contains(words));
    }
}

#[test]
fn messages_that_wait_for_somebody_to_do_something_say_so() {
    let frame = super::frame(tgtrunk_config::Language::English);
    for (standing, words) in [
        (Standing::NotAuthorized, Some("102 messages wait for the login")),
        (Standing::PendingPassword, Some("102 messages wait for the account’s password")),
        (Standing::Blocked, Some("102 messages wait: Telegram has closed the account")),
        (Standing::Authorized, None),
        (Standing::Suspended, None),
    ] {
        let drawn = view::warnings(&frame, &InstanceCard { standing, ..card() }).into_string();
        assert_eq!(drawn.contains("data-warning=\"login\""), words.is_some(), "{standing:?}");
        assert!(words.is_none_or(|words| drawn.replace('\u{a0}', " ").contains(words)), "{drawn}");
    }
}

#[test]
fn what_rests_why_and_how_long_is_said_in_both_languages() {
    for (language, rests, causes, until, checks) in [
        (
            tgtrunk_config::Language::Russian,
            [
                "Действия программ отдыхают",
                "Поиск по номерам и именам отдыхает",
                "Сообщения незнакомым отдыхают",
            ],
            ["Сегодня Telegram уже спросили о стольких номерах", "Telegram ограничил аккаунт за сообщения"],
            "не говорит, до каких пор. Следующая попытка 28 ноября в 14:05.",
            "100 из 100",
        ),
        (
            tgtrunk_config::Language::English,
            ["Actions of programs rest", "Looking up numbers and names rests", "Messages to strangers rest"],
            ["Telegram was asked for as many numbers and names", "Telegram limits the account for writing"],
            "does not say for how long. Next try 28 Nov, 14:05.",
            "100 of 100",
        ),
    ] {
        let frame = super::frame(language);
        let drawn = view::instance::page(&frame, &limited()).into_string().replace('\u{a0}', " ");
        let (standing, budgets) = drawn.split_once("id=\"budgets\"").unwrap();
        assert!(standing.contains(until) && budgets.contains(checks), "{drawn}");
        for (what, left) in rests.into_iter().zip(["0:31", "9:54:00", "48:00:00"]) {
            for part in [standing, budgets] {
                let (_, after) = part.split_once(what).unwrap_or_else(|| panic!("{what}: {part}"));
                let (left_there, _) = after.split_once("</span>").unwrap();
                assert!(left_there.ends_with(&format!(">{left}")), "{what}: {left_there}");
            }
        }
        assert!(causes.iter().all(|cause| budgets.contains(cause)), "{budgets}");
        let all = view::page(&frame, &MessagesPage { instances: vec![limited().card], problem: None });
        assert_eq!(all.into_string().matches("data-warning=\"rest\"").count(), 3);
        // Once it may write again, or nobody knows until when it may not.
        let (standing, until_ms) = (Standing::Authorized, limited().card.suspended_until_ms);
        for (standing, suspended_until_ms) in [(standing, until_ms), (Standing::Suspended, None)] {
            let card = InstanceCard { standing, suspended_until_ms, ..limited().card };
            let drawn = view::instance::page(&frame, &InstancePage { card, ..limited() }).into_string();
            assert!(!drawn.replace('\u{a0}', " ").contains(until), "{drawn}");
        }
    }
}

#[test]
fn a_webhook_that_is_the_example_of_1c_is_flagged() {
    for (language, words) in [
        (tgtrunk_config::Language::English, "nothing is sent there"),
        (tgtrunk_config::Language::Russian, "туда ничего не посылается"),
    ] {
        for webhook_is_example in [true, false] {
            let card = InstanceCard { webhook_is_example, ..other() };
            let drawn = view::warnings(&super::frame(language), &card).into_string();
            assert_eq!(drawn.contains("data-warning=\"example\""), webhook_is_example, "{drawn}");
            assert_eq!(drawn.contains(words), webhook_is_example, "{drawn}");
        }
    }
}

#[test]
fn an_instance_without_a_line_alone_can_be_deleted() {
    let frame = super::frame(tgtrunk_config::Language::English);
    for (card, is_so) in [(other(), true), (card(), false), (of_bot(), false)] {
        let drawn = view::instance::page(&frame, &InstancePage { card, ..instance() }).into_string();
        assert_eq!(drawn.contains("/delete\""), is_so);
    }
}

#[test]
fn why_a_message_was_not_sent_is_said_in_russian_by_its_sentence_or_by_its_code() {
    let frame = super::frame(tgtrunk_config::Language::Russian);
    let mut page = journal(2, false);
    for (failure, word, told) in [
        (
            "example.org takes no connection: refused",
            "attachment_failed",
            "example.org не принимает соединение: refused",
        ),
        (
            "something new",
            "privacy_restricted",
            "Настройки приватности не позволяют написать (something new)",
        ),
        ("something new", "odd", "Something new"),
    ] {
        page.letters[1].failure = Some(failure.into());
        let word = word.to_owned();
        page.letters[1].reason = Some(Reason { word, item: None, retry_after_s: None, may_be_sent: false });
        assert!(view::journal::page(&frame, &page).into_string().contains(told), "{told}");
    }
}

#[test]
fn a_bots_pages_lead_to_its_own_addresses_and_to_nothing_that_it_has_not() {
    let frame = super::frame(tgtrunk_config::Language::English);
    let queue = view::instance::page(&frame, &bot_instance(false));
    let journal = view::journal::page(&frame, &JournalPage { card: of_bot(), ..journal(9, false) });
    for drawn in [queue.into_string(), journal.into_string()] {
        assert!(drawn.contains("/bots/acme_bot/messages"));
        let wrong = ["/messages/4100000003", "messages/settings"];
        for wrong in wrong {
            assert!(!drawn.contains(wrong), "{wrong}");
        }
    }
}

/// What programs need to call the first one.
pub(crate) fn access_page() -> AccessPage {
    AccessPage { card: card(), base: "http://127.0.0.1:8091".into(), is_served: true, token: None }
}

fn bot_access(token: Option<&str>) -> BotAccessPage {
    let one = |number, label: &str, used_ms| ApiTokenInfo {
        number,
        label: label.to_owned(),
        made_ms: NOW_MS - 800_000_000,
        used_ms,
    };
    let made = token.map(|token| Secret {
        name: "1C".into(),
        token: tgtrunk_config::Password::new(token),
        address: "http://127.0.0.1:8092".into(),
    });
    let mut typed = Typed::default();
    typed.set("label", NASTY);
    let tokens = vec![one(1, "", None), one(2, "1C", Some(NOW_MS - 60_000)), one(3, NASTY, None)];
    BotAccessPage { card: of_bot(), tokens, typed, made, problem: None }
}

fn card() -> InstanceCard {
    InstanceCard {
        id: 4_100_000_001,
        line: "+79066660000".parse().ok(),
        bot: None,
        phone: "+79066660000".into(),
        username: Some("acme_sales".into()),
        name: String::new(),
        standing: Standing::Authorized,
        suspended_until_ms: None,
        has_token: true,
        outgoing: 102,
        notifications: 4,
        last_ms: Some(NOW_MS - 61_000),
        stuck: Some("Telegram asks to wait 300 s".into()),
        webhook_fails: Some("it answers 500 Internal Server Error".into()),
        webhook_is_example: false,
        left: Some(7),
        rests: vec![
            rest(RestKind::All, "Telegram asks to wait 300 s"),
            rest(RestKind::Chat(ChatId(-42)), "Telegram asks to wait 300 s"),
        ],
        problem: None,
    }
}

fn other() -> InstanceCard {
    InstanceCard {
        id: 4_100_000_002,
        line: None,
        phone: String::new(),
        username: None,
        name: "shop".into(),
        standing: Standing::NotAuthorized,
        stuck: None,
        webhook_fails: None,
        left: None,
        rests: Vec::new(),
        last_ms: None,
        ..card()
    }
}

fn of_bot() -> InstanceCard {
    InstanceCard {
        id: 4_100_000_003,
        line: None,
        bot: "acme_bot".parse().ok(),
        phone: String::new(),
        username: Some("acme_bot".into()),
        name: "Acme".into(),
        webhook_fails: None,
        left: None,
        problem: Some(tgtrunk_config::Said::new("the webhook answers 500", "вебхук отвечает 500")),
        ..card()
    }
}

/// One that may write to no strangers, has spent the day's checks, and whose programs have asked for too much.
fn limited() -> InstancePage {
    const DAYS_MS: u64 = 2 * 24 * 3_600_000;
    let rest = |what, after_ms: u64, cause: &str| {
        let until_ms = i64::try_from(NOW_MS + after_ms).unwrap();
        Rest { what, until_ms, cause: cause.to_owned() }
    };
    let spent = "Telegram was asked for as many numbers and names today as the settings allow";
    let flood = "Telegram limits the account for writing to strangers (PEER_FLOOD)";
    let card = InstanceCard {
        standing: Standing::Suspended,
        suspended_until_ms: Some(NOW_MS + DAYS_MS),
        stuck: None,
        webhook_fails: None,
        left: None,
        rests: vec![
            rest(RestKind::Actions, 31_000, ""),
            rest(RestKind::Lookups, 35_640_000, spent),
            rest(RestKind::Strangers, DAYS_MS, flood),
        ],
        ..card()
    };
    InstancePage { card, checks: (100, 100), ..instance() }
}

fn rest(what: RestKind, cause: &str) -> Rest {
    let until_ms = i64::try_from(NOW_MS).unwrap() + 245_000;
    Rest { what, until_ms, cause: cause.to_owned() }
}

fn instance() -> InstancePage {
    let now_ms = i64::try_from(NOW_MS).unwrap();
    let waiting = (1..=50).map(|position| Waiting {
        position,
        id: MessageId::new(1_795_691_000_000 + i64::try_from(position).unwrap()),
        to: if position % 2 == 0 { "+79161111100".into() } else { "@anna".into() },
        chat: None,
        content: if position == 3 {
            file("price.pdf")
        } else {
            Content::plain("Invoice 42 is ready. ".repeat(3))
        },
        method: "sendMessage".into(),
        accepted_ms: now_ms - 120_000,
        attempts: u32::from(position == 1),
        next_ms: if position < 3 { now_ms + 245_000 } else { 0 },
        is_under_way: position == 5,
        rests: (position == 1).then(|| "Telegram asks to wait 300 s".into()),
        last_error: (position == 1).then(|| "Telegram asks to wait 300 s".into()),
    });
    let error = "it answers 500 Internal Server Error";
    InstancePage {
        card: card(),
        page: 0,
        waiting: waiting.collect(),
        queue_limit: 100_000,
        most: 100_000,
        dropped: Dropped { count: 12, last_ms: Some(now_ms - 60_000) },
        head: Some(Head {
            receipt: 7,
            kind: "incomingMessageReceived".into(),
            body: json!({ "typeWebhook": "incomingMessageReceived" }),
            created_ms: now_ms - 700_000,
            attempts: 12,
            last_error: Some(error.into()),
            fetched: 7,
            fetched_ms: Some(now_ms - 300_000),
        }),
        webhook: "https://example.org".into(),
        webhook_state: WebhookState {
            fault: Some(WebhookFault { at_ms: now_ms - 4_000, status: Some(500), sentence: error.into() }),
            taken_ms: Some(now_ms - 900_000),
            next_ms: Some(now_ms + 56_000),
        },
        checks: (37, 100),
        delay_ms: 500,
        writers: vec!["Head office".into(), "Branch".into()],
        programs: None,
    }
}

fn bot_instance(is_over: bool) -> InstancePage {
    let fault = BotWebhookFault {
        message: "Wrong response from the webhook: 500 Internal Server Error".into(),
        since_ms: NOW_MS - 700_000,
        at_ms: NOW_MS - 4_000,
        attempts: 14,
        next_ms: (!is_over).then_some(NOW_MS + 56_000),
        is_over,
        update: (!is_over).then(|| BotUpdate { number: 871_234_567, kind: "callback_query".into() }),
    };
    let (site, taken_ms) = ("https://example.org".to_owned(), Some(NOW_MS - 900_000));
    let webhook = Some(BotWebhook { site, taken_ms, fault: Some(fault) });
    InstancePage {
        card: of_bot(),
        programs: Some(BotPrograms { waiting: 3, trouble: None, webhook }),
        ..instance()
    }
}

#[test]
fn a_fault_of_a_bots_webhook_is_told_in_both_languages_until_it_is_over() {
    for (language, words) in [
        (
            tgtrunk_config::Language::Russian,
            [
                "вебхук ответил 500 Internal Server Error",
                "Не принимает с",
                "14 попыток",
                "3 ждут",
                "повтор через",
                "Повторить сейчас",
                "Пропустить это обновление?",
            ],
        ),
        (
            tgtrunk_config::Language::English,
            [
                "Wrong response from the webhook: 500",
                "Takes nothing since",
                "14 attempts",
                "3 wait",
                "tried again in",
                "Try again now",
                "Skip this update?",
            ],
        ),
    ] {
        let frame = super::frame(language);
        let drawn = view::instance::page(&frame, &bot_instance(false)).into_string().replace('\u{a0}', " ");
        for words in words {
            assert!(drawn.contains(words), "{words}: {drawn}");
        }
        let drawn = view::instance::page(&frame, &bot_instance(true)).into_string();
        assert!(drawn.contains("data-fault=\"over\"") && !drawn.contains(words[1]));
    }
}

fn journal(many: i64, is_of_chat: bool) -> JournalPage {
    JournalPage {
        card: card(),
        browse: Browse { chat: is_of_chat.then_some(ChatId(1001)), ..Browse::default() },
        before: None,
        letters: (0..many).map(letter).collect(),
        older: Some(Bookmark { date_s: 1_795_600_000, id: MessageId::new(1_795_600_000_000) }),
        seen: None,
        chat_title: is_of_chat.then(|| "Anna".into()),
        problem: None,
    }
}

fn letter(number: i64) -> Record {
    let is_in = number % 2 == 0;
    Record {
        id: MessageId::new(1_795_691_000_000 + number),
        direction: if is_in { Direction::Incoming } else { Direction::Outgoing },
        origin: if is_in { Origin::Peer } else { Origin::Api },
        chat: Some(ChatId(1001)),
        address: "1001".into(),
        chat_kind: ChatKind::User,
        chat_title: "Anna".into(),
        tg_id: Some(1),
        date_s: i64::try_from(NOW_MS).unwrap() / 1_000 - number * 4_000,
        sender: is_in.then(|| Person {
            id: ChatId(1001),
            kind: PersonKind::User,
            name: "Anna".into(),
            contact_name: None,
            username: None,
            phone: None,
        }),
        content: match number % 7 {
            3 => file("price.pdf"),
            5 => Content::Other { what: "messageMediaGame".into() },
            _ => Content::plain("Good day! Is the order ready? I would come for it in the evening."),
        },
        quoted: None,
        is_forwarded: number % 11 == 2,
        is_silent: false,
        status: if number == 1 { SendStatus::Failed } else { SendStatus::Read },
        failure: (number == 1).then(|| "nobody on Telegram is found by +79990000000".into()),
        reason: None,
        edited_s: (number == 2).then_some(1),
        deleted_s: None,
    }
}

fn file(name: &str) -> Content {
    let file = Attachment {
        kind: FileKind::Document,
        is_plain: false,
        name: name.to_owned(),
        mime: "application/pdf".into(),
        size: 120_000,
        stored: Some("0123456789abcdef0123456789abcdef".into()),
        url: None,
        remote: None,
        thumbnail: None,
    };
    Content::file(file, "")
}
