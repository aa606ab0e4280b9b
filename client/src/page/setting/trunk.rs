//! The keys of `line.toml` by which a line and its PBX prove themselves to each other, and find each other.

use super::{Group, Kind, Setting};

/// Passwords and registration.
pub(super) const TRUNK: Group = Group {
    label: ["Пароли и регистрация на АТС", "Passwords and registration at the PBX"],
    is_rare: true,
    settings: &[
        Setting {
            section: "trunk",
            key: "digest_user",
            kind: Kind::Text,
            default: "",
            label: ["Имя линии на АТС", "The line’s user at the PBX"],
            hint: [
                "Если АТС спрашивает имя и пароль у линии. Пусто: не спрашивает.",
                "Where the PBX asks the line for a user and a password. Empty: it does not.",
            ],
        },
        Setting {
            section: "trunk",
            key: "digest_password",
            kind: Kind::Secret,
            default: "",
            label: ["Пароль линии на АТС", "The line’s password at the PBX"],
            hint: ["", ""],
        },
        Setting {
            section: "trunk",
            key: "digest_password_file",
            kind: Kind::Text,
            default: "",
            label: ["Или файл с этим паролем", "Or a file with that password"],
            hint: [
                "Путь на машине шлюза, например к credential systemd; другим он должен быть недоступен.",
                "A path on the gateway’s machine, of a systemd credential say; others must not be able to read it.",
            ],
        },
        Setting {
            section: "trunk",
            key: "register",
            kind: Kind::Switch,
            default: "false",
            label: ["Регистрироваться на АТС", "Register at the PBX"],
            hint: [
                "Для АТС, которые узнают линию по регистрации, а не по адресу.",
                "For PBXs that know a line by its registration instead of its address.",
            ],
        },
        Setting {
            section: "trunk",
            key: "register_expires_s",
            kind: Kind::Number(["с", "s"]),
            default: "600",
            label: ["Срок регистрации", "Registration lasts"],
            hint: ["Обновляется вдвое чаще.", "Refreshed twice as often."],
        },
        Setting {
            section: "trunk",
            key: "domain",
            kind: Kind::Text,
            default: "",
            label: ["Домен АТС", "Domain of the PBX"],
            hint: [
                "Что стоит после @ в адресах. Пусто: адрес АТС.",
                "What stands behind the @ in addresses. Empty: the address of the PBX.",
            ],
        },
        Setting {
            section: "trunk",
            key: "auth_user",
            kind: Kind::Text,
            default: "",
            label: ["Имя, с которым звонит АТС", "The user that the PBX calls with"],
            hint: [
                "Тогда звонки с АТС принимаются только с именем и паролем. Пусто: достаточно её адреса.",
                "Calls of the PBX are then taken with this user and the password only. Empty: its address is enough.",
            ],
        },
        Setting {
            section: "trunk",
            key: "auth_password",
            kind: Kind::Secret,
            default: "",
            label: ["Пароль, с которым звонит АТС", "The password that the PBX calls with"],
            hint: ["Не короче 8 знаков.", "8 characters or more."],
        },
        Setting {
            section: "trunk",
            key: "auth_algorithm",
            kind: Kind::Choice(&[
                ("auto", ["SHA-256 или MD5", "SHA-256 or MD5"]),
                ("sha-256", ["SHA-256", "SHA-256"]),
                ("md5", ["MD5", "MD5"]),
            ]),
            default: "auto",
            label: ["Как АТС доказывает пароль", "How the PBX proves the password"],
            hint: ["MD5: если АТС иначе не звонит.", "MD5: where the PBX does not call otherwise."],
        },
        Setting {
            section: "trunk",
            key: "any_source",
            kind: Kind::Switch,
            default: "false",
            label: ["АТС звонит с любого адреса", "The PBX calls from any address"],
            hint: [
                "Если её адрес меняется; только вместе с именем и паролем выше.",
                "Where its address changes; only with the user and password above.",
            ],
        },
        Setting {
            section: "trunk",
            key: "failover_s",
            kind: Kind::Number(["с", "s"]),
            default: "4",
            label: ["Ждать ответа одного из адресов АТС", "Wait for one of the PBX’s addresses"],
            hint: ["Потом звонок идёт на следующий.", "Then the call goes to the next one."],
        },
    ],
};
