//! The rules of a line as a form: who may call whom, whose calls are whose, and when.

use super::{Group, Kind, Setting};

const COUNT: Kind = Kind::Number(["", ""]);
const HOURS_LONG: Kind = Kind::Number(["ч", "h"]);
const SECONDS: Kind = Kind::Number(["с", "s"]);

/// What a caller gets instead of the PBX.
const ANSWERS: [(&str, [&str; 2]); 4] = [
    ("busy", ["Занято", "Busy"]),
    ("decline", ["Звонок отклонён", "The call is declined"]),
    ("extension", ["Другой номер АТС", "Another number of the PBX"]),
    ("ignore", ["Гудки без ответа", "It rings on"]),
];

/// Who sees the number of the account at Telegram.
pub(super) const PHONE_VISIBLE: Setting = Setting {
    section: "",
    key: "phone_visible",
    kind: Kind::Switch,
    default: "true",
    label: ["Номер телефона аккаунта виден всем", "Everybody sees the account’s phone number"],
    hint: [
        "Выключите для аккаунта, который только пишет сотрудникам: посторонние его не найдут. Проверки линии сделают так в Telegram.",
        "Switch it off for an account that only writes to staff: strangers do not find it. The line’s checks set it so at Telegram.",
    ],
};

/// Whose calls from Telegram reach the PBX.
pub(super) const FROM_TELEGRAM: Group = Group {
    label: ["Кто может звонить из Telegram", "Who may call from Telegram"],
    is_rare: true,
    settings: &[
        Setting {
            section: "from_telegram",
            key: "allow",
            kind: Kind::Lines,
            default: "",
            label: ["Только эти", "Only these"],
            hint: [
                "По одному на строке: +7495*, @acme_*, id:12345, name:*имя*, contacts (контакты), strangers (остальные), anonymous (номер скрыт). Пусто: все.",
                "One on each line: +7495*, @acme_*, id:12345, name:*word*, contacts, strangers (everybody else), anonymous (no number shown). Empty: everybody.",
            ],
        },
        Setting {
            section: "from_telegram",
            key: "deny",
            kind: Kind::Lines,
            default: "",
            label: ["Никогда эти", "Never these"],
            hint: ["Так же; важнее разрешения.", "The same; it outweighs what is allowed."],
        },
        Setting {
            section: "from_telegram",
            key: "refused",
            kind: Kind::Choice(&ANSWERS),
            default: "busy",
            label: ["Что получают остальные", "What the others get"],
            hint: [
                "Гудки без ответа оставляют звонок другим устройствам аккаунта.",
                "While it rings on, other devices of the account may take the call.",
            ],
        },
        Setting {
            section: "from_telegram",
            key: "refused_extension",
            kind: Kind::Text,
            default: "",
            label: ["Другой номер АТС", "The other number of the PBX"],
            hint: ["", ""],
        },
        Setting {
            section: "from_telegram",
            key: "refused_message",
            kind: Kind::Switch,
            default: "false",
            label: ["Отправлять им сообщение", "Send them a message"],
            hint: ["Текст — среди текстов линии.", "The text is among the line’s texts."],
        },
        Setting {
            section: "from_telegram",
            key: "message_every_h",
            kind: HOURS_LONG,
            default: "24",
            label: ["Не чаще, чем раз в", "At most once per"],
            hint: [
                "Одному человеку; считая и сообщения о нерабочем времени.",
                "To the same person, messages outside hours included.",
            ],
        },
        Setting {
            section: "from_telegram",
            key: "calls_per_minute",
            kind: COUNT,
            default: "120",
            label: ["Звонков из Telegram в минуту", "Calls from Telegram in a minute"],
            hint: ["Сверх этого — «занято». 0: сколько угодно.", "Above it “busy”. 0: any number."],
        },
    ],
};

/// Whom the PBX may call.
pub(super) const TO_TELEGRAM: Group = Group {
    label: ["Кому можно звонить в Telegram", "Who may be called at Telegram"],
    is_rare: true,
    settings: &[
        Setting {
            section: "to_telegram",
            key: "allow",
            kind: Kind::Lines,
            default: "",
            label: ["Только этим", "Only these"],
            hint: [
                "По одному на строке: +7495*, 8800*, @acme_*, id:12345, contacts, strangers. Пусто: всем.",
                "One on each line: +7495*, 8800*, @acme_*, id:12345, contacts, strangers. Empty: everybody.",
            ],
        },
        Setting {
            section: "to_telegram",
            key: "deny",
            kind: Kind::Lines,
            default: "",
            label: ["Никогда этим", "Never these"],
            hint: ["Так же; важнее разрешения.", "The same; it outweighs what is allowed."],
        },
        Setting {
            section: "to_telegram",
            key: "calls_per_minute",
            kind: COUNT,
            default: "60",
            label: ["Звонков в Telegram в минуту", "Calls to Telegram in a minute"],
            hint: [
                "Сверх этого АТС получает 503 и Retry-After. 0: сколько угодно.",
                "Above it the PBX gets 503 and Retry-After. 0: any number.",
            ],
        },
        Setting {
            section: "to_telegram",
            key: "calls_per_hour",
            kind: COUNT,
            default: "1200",
            label: ["Звонков в Telegram в час", "Calls to Telegram in an hour"],
            hint: [
                "Если не указано — в 20 раз больше, чем в минуту. 0: сколько угодно.",
                "Unless given, 20 times those in a minute. 0: any number.",
            ],
        },
        Setting {
            section: "to_telegram",
            key: "minutes_per_day",
            kind: COUNT,
            default: "0",
            label: ["Минут разговора с Telegram в день", "Minutes of calls to Telegram in a day"],
            hint: [
                "Всех звонков вместе; идущие не обрываются. 0: сколько угодно.",
                "Of all calls together; running ones go on. 0: any number.",
            ],
        },
    ],
};

/// The account's owner.
pub(super) const OWNER: Group = Group {
    label: ["Владелец аккаунта и его телефон", "The account’s owner and their phone"],
    is_rare: true,
    settings: &[
        Setting {
            section: "owner",
            key: "takes",
            kind: Kind::Choice(&[
                ("nothing", ["Все звонки сразу в АТС", "The PBX gets every call at once"]),
                ("first", ["Сначала владелец, потом АТС", "The owner first, then the PBX"]),
                ("contacts_first", ["Контакты: сначала владелец", "Contacts: the owner first"]),
                ("contacts", ["Контакты: только владелец", "Contacts: the owner alone"]),
                ("everything", ["Все только владельцу", "The owner gets every call"]),
            ]),
            default: "nothing",
            label: ["Кто отвечает", "Who answers"],
            hint: [
                "Если аккаунт открыт и на чьём-то телефоне.",
                "Where the account is on somebody’s phone, too.",
            ],
        },
        Setting {
            section: "owner",
            key: "seconds",
            kind: SECONDS,
            default: "15",
            label: ["Сколько АТС ждёт владельца", "How long the PBX waits for the owner"],
            hint: ["От 1 до 60.", "1 to 60."],
        },
    ],
};

/// Hours.
pub(super) const HOURS: Group = Group {
    label: ["Часы работы", "Hours"],
    is_rare: true,
    settings: &[
        Setting {
            section: "hours",
            key: "time_zone",
            kind: Kind::Text,
            default: "",
            label: ["Часовой пояс", "Time zone"],
            hint: [
                "Например, Europe/Moscow. Пусто: пояс этой машины.",
                "As Europe/Moscow. Empty: this machine’s.",
            ],
        },
        Setting {
            section: "hours",
            key: "work",
            kind: Kind::Lines,
            default: "",
            label: ["Рабочее время", "Working hours"],
            hint: [
                "По одному на строке: mon-fri 09:00-18:00. Пусто: всегда.",
                "One on each line: mon-fri 09:00-18:00. Empty: always.",
            ],
        },
        Setting {
            section: "hours",
            key: "holidays",
            kind: Kind::List,
            default: "",
            label: ["Нерабочие дни", "Days without work"],
            hint: ["2026-12-31 или каждый год: 01-01.", "2026-12-31, or every year: 01-01."],
        },
        Setting {
            section: "hours",
            key: "outside",
            kind: Kind::Choice(&[
                ("ring", ["Как в рабочее", "As in working hours"]),
                ANSWERS[0],
                ANSWERS[1],
                ANSWERS[2],
                ANSWERS[3],
            ]),
            default: "ring",
            label: ["Что получают в другое время", "What callers get at other times"],
            hint: ["", ""],
        },
        Setting {
            section: "hours",
            key: "outside_extension",
            kind: Kind::Text,
            default: "",
            label: ["Другой номер АТС", "The other number of the PBX"],
            hint: ["", ""],
        },
        Setting {
            section: "hours",
            key: "outside_message",
            kind: Kind::Switch,
            default: "false",
            label: ["Отправлять им сообщение", "Send them a message"],
            hint: ["Текст — среди текстов линии.", "The text is among the line’s texts."],
        },
        Setting {
            section: "hours",
            key: "quiet",
            kind: Kind::Lines,
            default: "",
            label: ["Когда не звонить в Telegram", "When nobody is called at Telegram"],
            hint: [
                "Так же: daily 22:00-08:00. АТС получает 480 и Retry-After.",
                "The same: daily 22:00-08:00. The PBX gets 480 and Retry-After.",
            ],
        },
    ],
};
