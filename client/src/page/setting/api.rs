//! The keys of `[api]` in `tgtrunk.toml` as a form.

use super::{Group, Kind, Setting};

const NOTHING: [&str; 2] = ["", ""];

/// The messages of the lines for programs.
pub(super) const API: Group = Group {
    label: ["Сообщения для программ", "Messages for programs"],
    is_rare: true,
    settings: &[
        Setting {
            section: "api",
            key: "listen",
            kind: Kind::Text,
            default: "127.0.0.1:8091",
            label: ["Слушать на", "Listen on"],
            hint: ["Адрес и порт; off: без API.", "Address and port; off: no API."],
        },
        Setting {
            section: "api",
            key: "tls_listen",
            kind: Kind::Text,
            default: "",
            label: ["Слушать с TLS на", "Listen with TLS on"],
            hint: [
                "Адрес и порт. Коннектору 1С нужен порт 443 с TLS.",
                "Address and port. The connector for 1C needs port 443 with TLS.",
            ],
        },
        Setting {
            section: "api",
            key: "certificate",
            kind: Kind::Text,
            default: "",
            label: ["Сертификат TLS", "TLS certificate"],
            hint: [
                "Файл PEM. Пусто: самоподписанный, создаётся один раз.",
                "A PEM file. Empty: a self-signed one, made once.",
            ],
        },
        Setting {
            section: "api",
            key: "key",
            kind: Kind::Text,
            default: "",
            label: ["Ключ сертификата", "Key of the certificate"],
            hint: NOTHING,
        },
        Setting {
            section: "api",
            key: "public_url",
            kind: Kind::Text,
            default: "",
            label: ["Адрес для ссылок на файлы", "Address in links to files"],
            hint: [
                "По какому адресу API доступен программам, если не по адресу выше.",
                "By which address programs reach the API, if not by the one above.",
            ],
        },
        Setting {
            section: "api",
            key: "journal_days",
            kind: Kind::Number(["дней", "days"]),
            default: "30",
            label: ["Хранить журнал сообщений", "Keep the journal of messages"],
            hint: NOTHING,
        },
        Setting {
            section: "api",
            key: "file_hours",
            kind: Kind::Number(["часов", "hours"]),
            default: "24",
            label: ["Хранить файлы", "Keep files"],
            hint: [
                "0: не дольше, чем нужно для отправки или получения.",
                "0: no longer than sending or fetching takes.",
            ],
        },
        Setting {
            section: "api",
            key: "files_total_mb",
            kind: Kind::Number(["МБ", "MB"]),
            default: "5000",
            label: ["Места для файлов каждой линии", "Room for the files of each line"],
            hint: ["Самые старые уступают место новым.", "The oldest give way to new ones."],
        },
        Setting {
            section: "api",
            key: "disk_reserve_mb",
            kind: Kind::Number(["МБ", "MB"]),
            default: "200",
            label: ["Оставлять свободным на диске", "Leave free on the disk"],
            hint: [
                "Если свободно меньше, файлы не сохраняются; если меньше половины этого, то и тексты журнала. Очереди работают.",
                "With less, files are not kept; with less than half of it, texts of the journal neither. Queues go on.",
            ],
        },
        Setting {
            section: "api",
            key: "queue_hours",
            kind: Kind::Number(["часов", "hours"]),
            default: "24",
            label: ["Уведомления ждут программу", "Notifications wait for the program"],
            hint: NOTHING,
        },
        Setting {
            section: "api",
            key: "outgoing_hours",
            kind: Kind::Number(["часов", "hours"]),
            default: "24",
            label: ["Сообщения ждут отправки", "Messages wait to be sent"],
            hint: ["До 168.", "Up to 168."],
        },
        Setting {
            section: "api",
            key: "notification_limit",
            kind: Kind::Number(["", ""]),
            default: "100000",
            label: ["Уведомлений в очереди линии", "Notifications in the queue of a line"],
            hint: [
                "Если их больше, самые старые отбрасываются: кто пишет линии, чья программа не работает, не заполнит диск.",
                "With more, the oldest are dropped: whoever writes to a line whose program does not run fills no disk.",
            ],
        },
        Setting {
            section: "api",
            key: "long_texts",
            kind: Kind::Choice(&[
                ("split", ["Отправлять частями", "Send as several"]),
                ("refuse", ["Отказывать (400)", "Refuse (400)"]),
            ]),
            default: "split",
            label: ["Тексты длиннее 4096 знаков", "Texts of more than 4096 characters"],
            hint: ["В методах GREEN-API.", "In methods of GREEN-API."],
        },
        Setting {
            section: "api",
            key: "phone_checks_per_day",
            kind: Kind::Number(["в день", "a day"]),
            default: "100",
            label: ["Проверок номеров на линию", "Checks of numbers for each line"],
            hint: [
                "Telegram ограничивает аккаунты, которые спрашивают о многих номерах.",
                "Telegram limits accounts that ask for many numbers.",
            ],
        },
        Setting {
            section: "api",
            key: "webhook_timeout_s",
            kind: Kind::Number(["с", "s"]),
            default: "30",
            label: ["Ждать ответа вебхука", "Wait for a webhook's answer"],
            hint: NOTHING,
        },
        Setting {
            section: "api",
            key: "partner_instances",
            kind: Kind::Number(["", ""]),
            default: "20",
            label: ["Инстансов партнёра", "A partner's instances"],
            hint: [
                "Аккаунты без линии, которые программа партнёра заводит методом createInstance. Токен: tgtrunk-client partner-token",
                "Accounts without a line that a partner's program makes by createInstance. The token: tgtrunk-client partner-token",
            ],
        },
        Setting {
            section: "api",
            key: "call_webhook_url",
            kind: Kind::Text,
            default: "",
            label: ["Вебхук звонков", "Webhook of calls"],
            hint: [
                "Адрес программы, которая узнаёт о каждом звонке. Пусто: никуда.",
                "The address of a program that hears of every call. Empty: none.",
            ],
        },
        Setting {
            section: "api",
            key: "call_webhook_secret",
            kind: Kind::Secret,
            default: "",
            label: ["Секрет вебхука звонков", "Secret of the webhook of calls"],
            hint: [
                "16–128 знаков: им подписано каждое событие. Пусто: без подписи.",
                "16 to 128 characters, which every event is signed with. Empty: no signature.",
            ],
        },
        Setting {
            section: "api",
            key: "call_webhook_secret_file",
            kind: Kind::Text,
            default: "",
            label: ["Или файл с ним", "Or a file with it"],
            hint: NOTHING,
        },
    ],
};
