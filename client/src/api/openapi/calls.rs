//! Calls.

use tgtrunk_messages::openapi::{Field, Kind, Route};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: "post",
        path: "/api/v1/calls",
        name: "place_call",
        tag: "calls",
        en: "Ring an extension and join it to a person",
        ru: "Позвонить внутреннему номеру и соединить с человеком",
        query: &[],
        body: &[
            Field::needed(
                "to",
                Kind::Named,
                "\"+79990000000\", \"@name\" or a Telegram id",
                "\"+79990000000\", \"@имя\" или id Telegram",
            ),
            Field::needed(
                "extension",
                Kind::Named,
                "an extension or a queue of the PBX",
                "внутренний номер или очередь АТС",
            ),
            Field::of("line", Kind::Text, "needed with a token of all lines", "нужно с токеном на все линии"),
            Field::of(
                "idempotency_key",
                Kind::Text,
                "under the same key one call in 24 hours",
                "с тем же ключом один звонок за 24 часа",
            ),
        ],
    },
    Route {
        method: "get",
        path: "/api/v1/calls",
        name: "calls",
        tag: "calls",
        en: "The calls that are up",
        ru: "Идущие звонки",
        query: &[],
        body: &[],
    },
    Route {
        method: "get",
        path: "/api/v1/calls/{call_id}",
        name: "call",
        tag: "calls",
        en: "How a call is",
        ru: "Как идёт звонок",
        query: &[],
        body: &[],
    },
    Route {
        method: "delete",
        path: "/api/v1/calls/{call_id}",
        name: "end_call",
        tag: "calls",
        en: "Hang up",
        ru: "Завершить",
        query: &[],
        body: &[],
    },
];
