//! The keys of `tgtrunk.toml` as a form.

use super::{Group, Kind, Setting};

const SECONDS: Kind = Kind::Number(["с", "s"]);
const COUNT: Kind = Kind::Number(["", ""]);
const LOG: Kind = Kind::Choice(&[
    ("plain", ["Для людей", "For people"]),
    ("json", ["JSON для программ", "JSON for programs"]),
]);
const OTHER_LOG: Kind = Kind::Choice(&[
    ("", ["Как у шлюза", "As the gateway’s"]),
    ("plain", ["Для людей", "For people"]),
    ("json", ["JSON для программ", "JSON for programs"]),
]);
const LEVEL: Kind = Kind::Choice(&[
    ("error", ["Ошибки", "Errors"]),
    ("warn", ["Предупреждения", "Warnings"]),
    ("info", ["Главное", "What matters"]),
    ("debug", ["Подробно, с номерами", "Details, with numbers"]),
    ("trace", ["Всё", "Everything"]),
]);
const OTHER_LEVEL: Kind = Kind::Choice(&[
    ("", ["Как у шлюза", "As the gateway’s"]),
    ("error", ["Ошибки", "Errors"]),
    ("warn", ["Предупреждения", "Warnings"]),
    ("info", ["Главное", "What matters"]),
    ("debug", ["Подробно, с номерами", "Details, with numbers"]),
    ("trace", ["Всё", "Everything"]),
]);
const LOG_FORM: [&str; 2] = ["Вид журнала", "Form of the log"];
const LOG_LEVEL: [&str; 2] = ["Подробность журнала", "How much is logged"];
const NOTHING: [&str; 2] = ["", ""];

/// The settings of the installation, in the order of the page.
pub(crate) const SYSTEM: &[Group] = &[
    Group {
        label: ["Telegram", "Telegram"],
        is_rare: false,
        settings: &[
            Setting {
                section: "telegram",
                key: "api_id",
                kind: COUNT,
                default: "",
                label: ["api_id", "api_id"],
                hint: [
                    "С my.telegram.org, «API development tools».",
                    "From my.telegram.org, “API development tools”.",
                ],
            },
            Setting {
                section: "telegram",
                key: "api_hash",
                kind: Kind::Secret,
                default: "",
                label: ["api_hash", "api_hash"],
                hint: [
                    "Оттуда же, 32 знака. Никому не показывайте.",
                    "From there too, 32 characters. Keep it to yourself.",
                ],
            },
            Setting {
                section: "telegram",
                key: "proxy",
                kind: Kind::Proxy,
                default: "",
                label: ["Прокси SOCKS5", "SOCKS5 proxy"],
                hint: [
                    "Как socks5://узел:1080. Пусто: напрямую. Звонки тогда идут через ретрансляторы по TCP.",
                    "As socks5://host:1080. Empty: none. Calls then go through relays, over TCP.",
                ],
            },
            Setting {
                section: "telegram",
                key: "device_model",
                kind: Kind::Text,
                default: "tgtrunk",
                label: ["Имя устройства", "Device name"],
                hint: [
                    "Так шлюз назван в списке устройств аккаунта.",
                    "What the account’s list of devices shows.",
                ],
            },
            Setting {
                section: "telegram",
                key: "system_version",
                kind: Kind::Text,
                default: "Linux",
                label: ["Система", "System"],
                hint: NOTHING,
            },
            Setting {
                section: "telegram",
                key: "app_version",
                kind: Kind::Text,
                default: env!("CARGO_PKG_VERSION"),
                label: ["Версия приложения", "Version of the application"],
                hint: NOTHING,
            },
            Setting {
                section: "telegram",
                key: "lang_code",
                kind: Kind::Text,
                default: "en",
                label: ["Язык служебных сообщений", "Language of service texts"],
                hint: NOTHING,
            },
        ],
    },
    Group {
        label: ["Эта страница", "This page"],
        is_rare: true,
        settings: &[
            Setting {
                section: "page",
                key: "listen",
                kind: Kind::Text,
                default: "127.0.0.1:8090",
                label: ["Слушать на", "Listen on"],
                hint: ["Адрес и порт; off: без страницы.", "Address and port; off: no page."],
            },
            Setting {
                section: "page",
                key: "hosts",
                kind: Kind::List,
                default: "",
                label: ["Другие имена страницы", "Other names of the page"],
                hint: [
                    "Под какими именами её открывают, если не по адресу.",
                    "By which names it is opened, if not by its address.",
                ],
            },
            Setting {
                section: "page",
                key: "behind_proxy",
                kind: Kind::Switch,
                default: "false",
                label: ["За обратным прокси", "Behind a reverse proxy"],
                hint: [
                    "Тогда адрес и https берутся из его заголовков.",
                    "Its headers then tell the address and https.",
                ],
            },
            Setting {
                section: "page",
                key: "language",
                kind: Kind::Choice(&[("ru", ["Русский", "Russian"]), ("en", ["Английский", "English"])]),
                default: "en",
                label: ["Язык, если браузер не сообщает свой", "Language of a browser that tells none"],
                hint: NOTHING,
            },
        ],
    },
    Group {
        label: ["Сеть", "Network"],
        is_rare: true,
        settings: &[
            Setting {
                section: "gateway",
                key: "sip_bind",
                kind: Kind::Text,
                default: "127.0.0.1",
                label: ["Адрес SIP-портов", "Address of the SIP ports"],
                hint: ["Один адрес этой машины.", "One address of this machine."],
            },
            Setting {
                section: "gateway",
                key: "public_address",
                kind: Kind::Text,
                default: "",
                label: ["Внешний адрес для АТС", "Address from outside, for the PBX"],
                hint: ["Если АТС в другой сети за маршрутизатором.", "Where a router stands before the PBX."],
            },
            Setting {
                section: "gateway",
                key: "media_addresses",
                kind: Kind::List,
                default: "",
                label: ["Адреса для звука", "Addresses for audio"],
                hint: ["Пусто: все, кроме 127.0.0.1.", "Empty: all but loopback."],
            },
            Setting {
                section: "gateway",
                key: "rtp_ports",
                kind: Kind::Text,
                default: "20100-29999",
                label: ["UDP-порты для звука", "UDP ports for audio"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "dscp_rtp",
                kind: COUNT,
                default: "46",
                label: ["DSCP звука", "DSCP of audio"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "dscp_sip",
                kind: COUNT,
                default: "24",
                label: ["DSCP сигнализации", "DSCP of signalling"],
                hint: NOTHING,
            },
        ],
    },
    Group {
        label: ["Шлюз", "Gateway"],
        is_rare: true,
        settings: &[
            Setting {
                section: "gateway",
                key: "state",
                kind: Kind::Text,
                default: "/var/lib/tgtrunk",
                label: ["Папка состояния", "State folder"],
                hint: ["Меняется перезапуском.", "Takes a restart."],
            },
            Setting {
                section: "gateway",
                key: "records_days",
                kind: Kind::Number(["дн.", "days"]),
                default: "90",
                label: ["Хранить журнал звонков", "Keep call records for"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "opus_complexity",
                kind: COUNT,
                default: "5",
                label: ["Тщательность Opus", "Effort of Opus"],
                hint: ["От 0 (быстрее) до 10 (лучше).", "0 (least work) to 10 (best)."],
            },
            Setting {
                section: "gateway",
                key: "options_interval_s",
                kind: SECONDS,
                default: "30",
                label: ["Проверять АТС каждые", "Ask the PBX every"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "shutdown_grace_s",
                kind: SECONDS,
                default: "30",
                label: ["При остановке ждать звонки до", "At a stop, wait for calls up to"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "metrics",
                kind: Kind::Text,
                default: "",
                label: ["Показатели для Prometheus", "Figures for Prometheus"],
                hint: ["Адрес и порт; пусто: нет.", "Address and port; empty for none."],
            },
            Setting {
                section: "gateway",
                key: "user_agent",
                kind: Kind::Text,
                default: concat!("tgtrunk/", env!("CARGO_PKG_VERSION")),
                label: ["Имя шлюза в SIP", "Name of the gateway in SIP"],
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "log",
                kind: LOG,
                default: "plain",
                label: LOG_FORM,
                hint: NOTHING,
            },
            Setting {
                section: "gateway",
                key: "log_level",
                kind: LEVEL,
                default: "info",
                label: LOG_LEVEL,
                hint: NOTHING,
            },
        ],
    },
    Group {
        label: ["Клиент", "Client"],
        is_rare: true,
        settings: &[
            Setting {
                section: "client",
                key: "log",
                kind: OTHER_LOG,
                default: "",
                label: LOG_FORM,
                hint: NOTHING,
            },
            Setting {
                section: "client",
                key: "log_level",
                kind: OTHER_LEVEL,
                default: "",
                label: LOG_LEVEL,
                hint: NOTHING,
            },
        ],
    },
    Group {
        label: ["Бот", "Bot"],
        is_rare: true,
        settings: &[
            Setting {
                section: "bot",
                key: "api_url",
                kind: Kind::Text,
                default: "https://api.telegram.org",
                label: ["Адрес Bot API", "Address of the Bot API"],
                hint: NOTHING,
            },
            Setting {
                section: "bot",
                key: "proxy",
                kind: Kind::Proxy,
                default: "",
                label: ["Прокси SOCKS5", "SOCKS5 proxy"],
                hint: ["Пусто: как у Telegram, off: без него.", "Empty: Telegram’s, off: none."],
            },
            Setting {
                section: "bot",
                key: "poll_timeout_s",
                kind: SECONDS,
                default: "10",
                label: ["Ждать новостей", "Wait for news"],
                hint: NOTHING,
            },
            Setting {
                section: "bot.webhook",
                key: "url",
                kind: Kind::Text,
                default: "",
                label: ["Адрес вебхука", "Address of the webhook"],
                hint: ["Пусто: бот сам спрашивает новости.", "Empty: the bot asks for news."],
            },
            Setting {
                section: "bot.webhook",
                key: "listen",
                kind: Kind::Text,
                default: "127.0.0.1:8443",
                label: ["Вебхук слушает", "The webhook listens on"],
                hint: NOTHING,
            },
            Setting {
                section: "bot",
                key: "log",
                kind: OTHER_LOG,
                default: "",
                label: LOG_FORM,
                hint: NOTHING,
            },
            Setting {
                section: "bot",
                key: "log_level",
                kind: OTHER_LEVEL,
                default: "",
                label: LOG_LEVEL,
                hint: NOTHING,
            },
        ],
    },
];
