//! What the samples show: lines in every state, calls, records, bots.

use tgtrunk_config::control::{
    BotCheck, BotPerson, CallEnd, CallInfo, CallRecord, CallResult, CallState, Check, CheckName, Direction,
    Ender, Found, LegQuality, LogLine, LogTail, LoginInfo, LoginStage, MediaPath, Muted, Peer, Quality,
    RecordFilter,
};
use tgtrunk_config::{
    BotStatus, CallId, ClientStatus, GatewayStatus, Lamp, Language, Light, LinePause, MenuRow, PauseReason,
    Phone, Said, StrangerBudget, TextKey, UserId, Words,
};

use super::NOW_MS;
use crate::calls::{Fault, Waits, Webhook};
use crate::page::model::*;
use crate::page::view::preview;

pub(super) fn lines_page() -> LinesPage {
    let mut sales = card("+79066660000", "Отдел продаж", 30_001);
    sales.calls = vec![talking(0xa1, "+79066660000"), ringing(0xa2, "+79066660000")];
    sales.gateway.calls = 2;
    sales.gateway.strangers = Some(StrangerBudget { used: 7, limit: 20, resets_ms: NOW_MS + 35_700_000 });
    let mut support = card("+74950000001", "Поддержка", 30_002);
    support.client.telegram = Light {
        since_ms: NOW_MS - 40_000,
        ..Light::new(
            Lamp::Orange,
            Said::new("connecting to Telegram again in 8 s", "соединяемся с Telegram снова через 8 с"),
            NOW_MS,
        )
    };
    let mut store = card("+78120000002", "Склад", 30_003);
    let dead = Light {
        since_ms: NOW_MS - 8_580_000,
        ..Light::new(
            Lamp::Red,
            Said::new(
                "the session was ended from another device: log in again",
                "сеанс завершён с другого устройства: войдите заново",
            ),
            NOW_MS,
        )
    };
    store.gateway.telegram = dead.clone();
    store.client.telegram = dead;
    (store.bot, store.bot_name) = (None, None);
    let mut resting = card("+73430000003", "", 30_004);
    resting.enabled = false;
    for light in [
        &mut resting.gateway.telegram,
        &mut resting.gateway.sip,
        &mut resting.client.telegram,
        &mut resting.client.keypad,
    ] {
        *light = Light::new(Lamp::Off, Said::new("switched off", "выключено"), NOW_MS);
    }
    let today = Today { calls: 148, unanswered: 3, mos_hundredths: Some(428) };
    LinesPage { lines: vec![sales, support, store, resting], today: Some(today) }
}

pub(super) fn card(number: &str, name: &str, port: u16) -> LineCard {
    let line: Phone = number.parse().unwrap();
    let green = Light { since_ms: NOW_MS - 93_600_000, ..Light::new(Lamp::Green, "", NOW_MS) };
    let mut gateway = GatewayStatus::waiting(line.clone(), 1, NOW_MS);
    let mut client = ClientStatus::waiting(line.clone(), 1, NOW_MS);
    (gateway.telegram, gateway.sip) = (green.clone(), green.clone());
    (client.telegram, client.keypad) = (green.clone(), green);
    LineCard {
        phone: line,
        name: name.into(),
        enabled: true,
        sip: format!("127.0.0.1:{port}"),
        pbx: "127.0.0.1:5060".into(),
        gateway,
        client,
        bot_name: Some("acme_bot".parse().unwrap()),
        bot: Some(bot()),
        calls: Vec::new(),
        problem: None,
    }
}

pub(super) fn bot() -> BotStatus {
    let mut bot = BotStatus::waiting("acme_bot".parse().unwrap(), 1, NOW_MS);
    let green = Light { since_ms: NOW_MS - 93_600_000, ..Light::new(Lamp::Green, "", NOW_MS) };
    (bot.telegram, bot.gateway) = (green.clone(), green);
    bot.id = UserId::new(7_000_000_001).ok();
    bot.name = Some("Акме".into());
    bot.lines = vec!["+79066660000".parse().unwrap(), "+74950000001".parse().unwrap()];
    bot
}

pub(super) fn account() -> Peer {
    Peer {
        id: UserId::new(5_123_456_789).ok(),
        name: Some("Акме".into()),
        username: Some("acme".into()),
        phone: Some("79066660000".into()),
    }
}

pub(super) fn talking(id: u64, line: &str) -> CallInfo {
    CallInfo {
        call: CallId(id),
        line: line.parse().unwrap(),
        direction: Direction::TelegramToPbx,
        state: CallState::Answered,
        peer: Peer {
            id: UserId::new(5_123_456_700).ok(),
            name: Some("Анна К.".into()),
            username: Some("anna".into()),
            phone: Some("79161234567".into()),
        },
        dialled: None,
        extension: None,
        refused_by: None,
        telegram_call: Some(7),
        emoji: Some("🦊🌲🎈🍋".into()),
        trunk: Default::default(),
        ringing_ms: None,
        recording: None,
        started_ms: NOW_MS - 205_000,
        answered_ms: Some(NOW_MS - 192_000),
        duration_ms: None,
        end: None,
        quality: Some(Box::new(quality(431))),
        muted: Muted::default(),
        pbx: None,
    }
}

pub(super) fn ringing(id: u64, line: &str) -> CallInfo {
    CallInfo {
        direction: Direction::PbxToTelegram,
        state: CallState::Ringing,
        peer: Peer { username: Some("petr_ivanov_from_the_far_north".into()), ..Peer::default() },
        dialled: Some("+79031234567".into()),
        emoji: None,
        trunk: Default::default(),
        ringing_ms: None,
        recording: None,
        answered_ms: None,
        quality: None,
        ..talking(id, line)
    }
}

pub(super) fn quality(mos: u32) -> Quality {
    let telegram = LegQuality {
        codec: "opus".into(),
        ptime_ms: 20,
        packets_in: 9_600,
        packets_out: 9_600,
        lost: 4,
        jitter_ms: 3,
        round_trip_ms: Some(38),
        mos_hundredths: Some(mos),
        path: Some(MediaPath::Direct),
        ..LegQuality::default()
    };
    let pbx = LegQuality { codec: "PCMA".into(), mos_hundredths: Some(441), ..telegram.clone() };
    Quality { telegram, pbx: LegQuality { path: None, lost: 0, ..pbx } }
}

pub(super) fn new_page() -> NewLinePage {
    let mut typed = Typed::default();
    typed.set("phone", "+7906");
    typed.refuse(
        "phone",
        Said::new(
            "want + and 7 to 15 digits with the country code first, as +79060000000",
            "нужны + и от 7 до 15 цифр, сначала код страны, например +79060000000",
        ),
    );
    typed.set("pbx", "127.0.0.1:5060");
    typed.set("sip_port", "30005");
    NewLinePage { typed, problem: None }
}

pub(super) fn line_page() -> LinePage {
    let check =
        |check, found, can_fix, en: &str, ru: &str| Check { check, found, can_fix, said: Said::new(en, ru) };
    let mut card = lines_page().lines.remove(0);
    card.gateway.pause = Some(LinePause { reason: PauseReason::Flood, until_ms: NOW_MS + 600_000 });
    LinePage {
        card,
        checks: vec![
            check(
                CheckName::PbxAnswers,
                Found::Good,
                false,
                "the PBX answers OPTIONS",
                "АТС отвечает на OPTIONS",
            ),
            check(
                CheckName::PhoneVisible,
                Found::Bad,
                true,
                "only contacts see the number, so strangers see no caller’s number either",
                "номер видят только контакты: незнакомые не узнают, кто звонит",
            ),
            check(
                CheckName::CallsFromEverybody,
                Found::Good,
                true,
                "everybody may call",
                "звонить может каждый",
            ),
            check(
                CheckName::PeerToPeer,
                Found::Good,
                true,
                "calls may go directly",
                "звонки могут идти напрямую",
            ),
            check(
                CheckName::OpusAllowed,
                Found::Unknown,
                false,
                "no call has shown it yet",
                "ещё не было звонка, который бы это показал",
            ),
            check(CheckName::InlineMode, Found::Good, false, "inline mode is on", "inline-режим включён"),
            check(CheckName::BotDialog, Found::Good, true, "the dialog is open", "диалог открыт"),
        ],
        checks_problem: None,
        webhook: Some(Webhook {
            url: "https://user:word@example.org/calls?key=secret".into(),
            waiting: 3,
            taken_ms: Some(NOW_MS - 900_000),
            fault: Some(Fault {
                cause: "it answers 500 Internal Server Error".into(),
                since_ms: NOW_MS - 700_000,
                at_ms: NOW_MS - 4_000,
                attempts: 14,
                next_ms: NOW_MS + 56_000,
                is_over: false,
            }),
            head: Some(Waits {
                seq: 7,
                kind: "call.start".into(),
                call: "00000000000000a1".into(),
                since_ms: NOW_MS - 800_000,
            }),
        }),
    }
}

pub(super) fn sessions_page() -> SessionsPage {
    let card = lines_page().lines.remove(0);
    let line = card.phone.clone();
    let done =
        LoginInfo { line: line.clone(), stage: LoginStage::Done { account: account() }, problem: None };
    let password = LoginInfo { line, stage: LoginStage::Password { hint: None }, problem: None };
    SessionsPage { card, gateway: Some(done), client: Some(password), writers: Vec::new() }
}

pub(super) fn bot_page() -> LineBotPage {
    LineBotPage { card: lines_page().lines.remove(0), bots: vec![bot()], token: token_form(false) }
}

pub(super) fn token_form(inline: bool) -> TokenForm {
    TokenForm {
        token: "123456789:AAabcdefghijklmnopqrstuvwxyz0123".into(),
        problem: None,
        found: Some(BotCheck {
            bot: "acme_support_bot".parse().unwrap(),
            id: UserId::new(7_000_000_002).unwrap(),
            name: "Техподдержка Акме".into(),
            description: None,
            inline,
            troubles: vec![Said::new(
                "another program asks for news with this token: stop it",
                "другая программа спрашивает новости с этим токеном: остановите её",
            )],
        }),
    }
}

pub(super) fn texts_page(language: Language) -> TextsPage {
    let entry = |key| TextEntry { key, own: String::new(), problem: None };
    let mut texts = TextKey::ALL.map(entry).to_vec();
    texts[0].own = match language {
        Language::Russian => "Здравствуйте, {name}! Введите внутренний номер или выберите отдел.".into(),
        Language::English => "Hello {name}! Enter an extension or choose a department.".into(),
    };
    texts[4].problem = Some(Said::new("want no other places than {company}, {line}", "нет места {compnay}"));
    let words = Words { company: "Акме".into(), line: "+79066660000".into(), ..Words::default() };
    let menu = [("Продажи", "101"), ("Поддержка", "102")]
        .map(|(name, extension)| MenuRow { name: name.into(), extension: extension.parse().unwrap() });
    TextsPage {
        card: lines_page().lines.remove(0),
        language,
        texts,
        words: preview::example(words, language),
        menu: menu.to_vec(),
        call_back: true,
    }
}

pub(super) fn settings_page() -> LineSettingsPage {
    let mut typed = Typed::default();
    for (name, value) in [
        ("company", "Отдел продаж"),
        ("language", "ru"),
        ("pbx", "127.0.0.1:"),
        ("sip_port", "30001"),
        ("bot", "acme_bot"),
        ("menu", "Продажи = 101\nПоддержка = 102"),
        ("auto_answer", "true"),
        ("call_back", "2001"),
    ] {
        typed.set(name, value);
    }
    typed.refuse(
        "pbx",
        Said::new(
            "want an IP address or a host name, with a port if it is not 5060",
            "нужен IP-адрес или имя, с портом, если он не 5060",
        ),
    );
    LineSettingsPage { card: lines_page().lines.remove(0), typed, problem: None }
}

pub(super) fn calls_page() -> CallsPage {
    let record = |id: u64, back_min: u64, lasted_s: u64, result, mos: &[u8]| {
        let call = talking(id, "+79066660000");
        let started_ms = NOW_MS - back_min * 60_000;
        let talked = result == CallResult::Answered;
        CallRecord {
            call: call.call,
            line: call.line,
            direction: if id.is_multiple_of(2) { Direction::TelegramToPbx } else { Direction::PbxToTelegram },
            peer: if id.is_multiple_of(3) {
                Peer { id: UserId::new(5_000_000_000 + i64::try_from(id).unwrap()).ok(), ..Peer::default() }
            } else {
                call.peer
            },
            dialled: Some("+79161234567".into()),
            extension: None,
            telegram_call: None,
            emoji: None,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            started_ms,
            answered_ms: talked.then_some(started_ms + 8_000),
            ended_ms: Some(started_ms + 8_000 + lasted_s * 1_000),
            result,
            end: (!talked).then(|| CallEnd {
                by: Ender::Telegram,
                cause: "no answer".into(),
                sip_status: Some(480),
                q850: Some(19),
            }),
            quality: talked.then(|| Box::new(quality(410))),
            mos_tenths: mos.to_vec(),
            pbx: None,
        }
    };
    let good = [44, 43, 44, 42, 43, 44, 44, 43, 41, 44, 44];
    let poor = [44, 41, 30, 22, 27, 35, 19, 24, 31, 28, 33];
    CallsPage {
        live: vec![talking(0xa1, "+79066660000"), ringing(0xa2, "+74950000001")],
        lines: vec![
            ("+79066660000".parse().unwrap(), "Отдел продаж".into()),
            ("+74950000001".parse().unwrap(), "Поддержка".into()),
        ],
        filter: RecordFilter::default(),
        days: (String::new(), String::new()),
        records: vec![
            record(8, 4, 312, CallResult::Answered, &good),
            record(7, 21, 0, CallResult::Missed, &[]),
            record(6, 38, 65, CallResult::Answered, &poor),
            record(5, 900, 3_725, CallResult::Answered, &good[..5]),
            record(4, 2_000, 0, CallResult::Busy, &[]),
            record(3, 9_000, 0, CallResult::Failed, &[]),
            record(2, 20_000, 0, CallResult::Interrupted, &[]),
        ],
        total: 148,
        problem: None,
    }
}

pub(super) fn bots_page() -> BotsPage {
    let person = |id, name: &str, key: Option<&str>, blocked| BotPerson {
        id: UserId::new(id).unwrap(),
        name: Some(name.into()),
        username: None,
        key: key.map(Into::into),
        blocked,
        since_ms: Some(NOW_MS - 400_000_000),
        last_ms: None,
    };
    let people = vec![
        person(5_123_456_789, "Анна К.", Some("K7PQ-3M"), false),
        person(5_123_456_790, "Пётр", None, true),
    ];
    BotsPage {
        bots: vec![BotCard { status: bot(), people: Some(people) }],
        token: TokenForm::default(),
        problems: Vec::new(),
    }
}

pub(super) fn system_page() -> SystemPage {
    let one = |name: (&str, &str), found, said: (&str, &str)| Health {
        name: Said::new(name.0, name.1),
        found,
        said: Said::new(said.0, said.1),
    };
    let mut typed = Typed::default();
    typed.set("telegram.api_id", "12345");
    typed.set("telegram.api_hash", "•");
    typed.set("gateway.rtp_ports", "20100");
    typed.refuse(
        "gateway.rtp_ports",
        Said::new(
            "want two ports from 1024 to 65535, as 20100-29999",
            "нужны два порта, например 20100-29999",
        ),
    );
    SystemPage {
        health: vec![
            one(
                ("Gateway", "Шлюз"),
                Found::Good,
                ("runs since yesterday, 10:12", "работает со вчера, 10:12"),
            ),
            one(
                ("Client", "Клиент"),
                Found::Good,
                ("runs since yesterday, 10:12", "работает со вчера, 10:12"),
            ),
            one(
                ("Bot", "Бот"),
                Found::Bad,
                ("does not run: systemctl start tgtrunk-bot", "не работает: systemctl start tgtrunk-bot"),
            ),
            one(("Disk", "Диск"), Found::Good, ("41 GB free", "свободно 41 ГБ")),
            one(
                ("Clock", "Часы"),
                Found::Unknown,
                ("Telegram has not told the time yet", "Telegram ещё не сообщил время"),
            ),
        ],
        typed,
        problem: None,
        password: Typed::default(),
        settings_file: "/etc/tgtrunk/tgtrunk.toml".into(),
        state_dir: "/var/lib/tgtrunk".into(),
        version: "0.1.0".into(),
        layer: 214,
    }
}

pub(super) fn log_page() -> LogPage {
    let line = |number, level: &str, text: &str| LogLine {
        number,
        time_ms: NOW_MS - 60_000 + number * 1_500,
        level: level.into(),
        text: text.into(),
    };
    LogPage {
        part: Part::Gateway,
        tail: LogTail {
            lines: vec![
                line(1, "INFO", "line opened line=+7906***00-00 sip=127.0.0.1:30001"),
                line(2, "INFO", "call answered call=00000000000000a1"),
                line(3, "WARN", "OPTIONS unanswered for 64 s line=+7495***00-01"),
                line(4, "ERROR", "the session was ended from another device line=+7812***00-02"),
                line(5, "DEBUG", "path found path=direct rtt_ms=38"),
            ],
            last: 5,
        },
        problem: None,
    }
}
