//! What the place "Access" shows in the samples.

use maud::Markup;
use tgtrunk_config::control::{ActionTokenInfo, InstanceInfo};
use tgtrunk_config::{Password, Said};

use super::NOW_MS;
use crate::api::directory::{Life, NotificationFace, OrganisationFace, RecipientFace, SeenKey, SenderChoice};
use crate::page::model::access::*;
use crate::page::model::{Frame, Typed};
use crate::page::view::access::{notifications, organisations, partner, people, tokens};

const NOW_S: i64 = 1_795_691_100;

/// Every page of the place.
pub(super) fn pages(frame: &Frame) -> Vec<(&'static str, Markup)> {
    let made = TokensPage { made: Some(secret()), ..tokens_page() };
    let empty = TokensPage { is_served: false, tokens: Vec::new(), ..tokens_page() };
    let partner_page = PartnerPage {
        since_ms: Some(NOW_MS - 86_400_000),
        instances: vec![instance("authorized"), instance("notAuthorized")],
        address: "http://127.0.0.1:8091".into(),
        is_served: true,
        ..PartnerPage::default()
    };
    let waits = NotificationsPage { rows: Vec::new(), ..NotificationsPage::default() };
    vec![
        ("access-tokens", tokens::page(frame, &tokens_page())),
        ("access-tokens-made", tokens::page(frame, &made)),
        ("access-tokens-empty", tokens::page(frame, &empty)),
        ("access-organisations", organisations::page(frame, &organisations_page())),
        ("access-organisations-empty", organisations::page(frame, &OrganisationsPage::default())),
        ("access-organisation", organisations::card(frame, &organisation_page())),
        ("access-organisation-new", organisations::card(frame, &OrganisationPage::default())),
        ("access-people", people::page(frame, &people_page())),
        ("access-person", people::card(frame, &person_page())),
        ("access-notifications", notifications::page(frame, &notifications_page())),
        ("access-notifications-empty", notifications::page(frame, &waits)),
        ("access-partner", partner::page(frame, &partner_page)),
        ("access-partner-none", partner::page(frame, &PartnerPage::default())),
    ]
}

fn secret() -> Secret {
    let token = Password::new("tga.Zk3XbQ9rTf7vY2mP8sLw1nHd6cJg4aUe0oRi");
    Secret { name: "1C".into(), token, address: "http://127.0.0.1:8091".into() }
}

fn senders() -> Vec<SenderChoice> {
    let line = |number: &str, name: &str, standing| SenderChoice {
        value: number.into(),
        phone: number.parse().ok(),
        name: name.into(),
        is_line: true,
        standing,
    };
    let instance = SenderChoice {
        value: "4100000001".into(),
        phone: None,
        name: "Acme".into(),
        is_line: false,
        standing: "notAuthorized",
    };
    vec![
        line("+79066660000", "Отдел продаж", "authorized"),
        line("+78120000002", "Склад", "starting"),
        instance,
    ]
}

fn tokens_page() -> TokensPage {
    let token = |number, label: &str, line: Option<&str>| ActionTokenInfo {
        number,
        instance: line.map(|_| 4_100_000_002),
        line: line.and_then(|line| line.parse().ok()),
        label: label.into(),
        created_s: NOW_S - 800_000,
        last_used_s: Some(NOW_S - 60),
        revoked_s: None,
    };
    let old = ActionTokenInfo { revoked_s: Some(NOW_S - 90_000), last_used_s: None, ..token(1, "CRM", None) };
    TokensPage {
        tokens: vec![old, token(2, "1C", None), token(3, "Zabbix", Some("+79066660000"))],
        senders: senders(),
        address: "http://127.0.0.1:8091".into(),
        is_served: true,
        ..TokensPage::default()
    }
}

fn organisation(id: i64, name: &str, sender: Option<&str>) -> OrganisationFace {
    OrganisationFace {
        id,
        name: name.into(),
        sender: sender.map(str::to_owned),
        phone: sender.and_then(|sender| sender.parse().ok()),
        standing: sender.map(|_| "authorized"),
        shared_with: Vec::new(),
        bot: None,
        channel: None,
        api_id: None,
        has_api_hash: false,
        people: 12,
        warnings: Vec::new(),
    }
}

fn organisations_page() -> OrganisationsPage {
    let mut main = organisation(1, "Акме", Some("+79066660000"));
    let mut branch = organisation(2, "Акме Склад", Some("+79066660000"));
    main.shared_with = vec!["Акме Склад".into()];
    branch.shared_with = vec!["Акме".into()];
    (branch.api_id, branch.has_api_hash, branch.people) = (Some(7), true, 1);
    branch.warnings = vec![Said::new(
        "api_id = 7 differs from telegram.api_id = 12345 of tgtrunk.toml",
        "api_id = 7 отличается от telegram.api_id = 12345 в tgtrunk.toml",
    )];
    let mut lone = organisation(3, "Поддержка", None);
    lone.warnings = vec![Said::new("it has no sender", "отправителя нет")];
    OrganisationsPage { organisations: vec![main, branch, lone], problem: None }
}

fn organisation_page() -> OrganisationPage {
    let face = organisations_page().organisations.remove(1);
    let mut typed = Typed::default();
    typed.set("name", face.name.as_str());
    typed.set("sender", "+79066660000");
    typed.set("bot", "gone_bot");
    typed.set("api_id", "seven");
    typed.refuse(
        "api_id",
        Said::new("api_id = \"seven\": want a whole number", "api_id = \"seven\": нужно целое число"),
    );
    OrganisationPage {
        face: Some(face),
        senders: senders(),
        bots: vec!["acme_bot".into()],
        typed,
        problem: None,
    }
}

fn person(id: i64, title: &str) -> RecipientFace {
    RecipientFace {
        id,
        title: title.into(),
        key: None,
        phone: Some("+79001112233".into()),
        dialog: None,
        organisation: Some(1),
        is_by_bot: false,
        is_notified: true,
        is_blocked: false,
        is_key_known: None,
        last_seen_ms: None,
    }
}

fn people_page() -> PeoplePage {
    let by_key = RecipientFace {
        key: Some("5123456789".into()),
        phone: None,
        is_by_bot: true,
        is_key_known: Some(false),
        ..person(2, "Пётр")
    };
    let off = RecipientFace { is_notified: false, organisation: None, ..person(3, "Анна") };
    let blocked =
        RecipientFace { is_blocked: true, last_seen_ms: Some(NOW_MS - 7_200_000), ..person(4, "Склад") };
    let key = SeenKey {
        bot: "acme_bot".parse().unwrap(),
        key: "5987654321".into(),
        name: Some("Анна & Пётр".into()),
        is_blocked: true,
        recipient: None,
    };
    PeoplePage {
        people: vec![person(1, "Анна"), by_key, off, blocked],
        organisations: vec![(1, "Акме".into())],
        keys: Ok(vec![key]),
        text: "Анна".into(),
        organisation: Some(1),
        page: 2,
        found: 120,
        total: 121,
        problem: None,
    }
}

fn person_page() -> PersonPage {
    let mut typed = Typed::default();
    typed.set("title", "Анна");
    typed.set("key", "5123456789");
    typed.set("notify", "false");
    typed.refuse(
        "key",
        Said::new(
            "key = \"5123456789\": recipient 2 (\"Пётр\") has it already",
            "key = \"5123456789\": уже есть у получателя 2 (\"Пётр\")",
        ),
    );
    let (organisations, keys) = (people_page().organisations, people_page().keys);
    PersonPage { face: Some(person(1, "Анна")), organisations, keys, typed, problem: None }
}

fn notifications_page() -> NotificationsPage {
    let one = |id, life| NotificationFace {
        id,
        life,
        is_read: id == 5,
        is_handed_over: id == 2,
        reason: None,
        title: Some("Анна".into()),
        recipient: Some(1),
        target: "+79001112233".into(),
        organisation: Some("Акме".into()),
        is_by_bot: false,
        sender: Some("4100000002".into()),
        text: "Invoice 7 waits for you".into(),
        created_ms: NOW_MS - 120_000,
        updated_ms: NOW_MS,
        may_repeat: matches!(life, Life::Failed),
        may_skip: id == 1,
    };
    let mut failed = one(4, Life::Failed);
    failed.reason = Some(Said::new("the person has blocked the bot", "человек заблокировал бота"));
    (failed.title, failed.recipient, failed.is_by_bot) = (None, None, true);
    failed.text = "Invoice ".repeat(60);
    let mut skipped = one(3, Life::Skipped);
    skipped.reason = Some(Said::new("switched off", "получение уведомлений выключено"));
    NotificationsPage {
        rows: vec![one(5, Life::Sent), failed, skipped, one(2, Life::Waiting), one(1, Life::Waiting)],
        counts: [(Life::Waiting, 2), (Life::Sent, 1), (Life::Failed, 1), (Life::Skipped, 1)].into(),
        life: None,
        is_older: true,
        next: Some(1),
        problem: None,
    }
}

fn instance(standing: &str) -> InstanceInfo {
    InstanceInfo {
        instance: 4_100_000_001,
        line: None,
        bot: None,
        phone: "+79161111100".parse().ok(),
        name: "Acme".into(),
        standing: standing.into(),
        has_token: true,
        outgoing: 2,
        notifications: 0,
        dropped: 0,
    }
}
