//! All kinds of things that people send: as an account's programs are told of them, and as they find them in the chat.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tgtrunk_test_telegram::world::{GroupKind, Hung, Letter, NewGroup};

use crate::program::{Program, json_of};
use crate::support::{Scene, line, phone};

/// A picture of one pixel: PNG.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=";
const CARD: &str = "BEGIN:VCARD\nVERSION:3.0\nFN:Boris Ivanov\nORG:Acme\nTEL:+79990000000\nEND:VCARD";

/// Something that people send.
struct Sent {
    what: Hung,
    /// Its bytes, where it is a file.
    contents: Option<Vec<u8>>,
    /// Its `typeMessage`.
    kind: &'static str,
    /// Some keys of what is told of it, and their values.
    told: Value,
    /// The same of what the chat shows: of its attachment, where it is a file.
    shown: Value,
}

impl Sent {
    fn file(
        what: fn(String) -> Hung,
        contents: &[u8],
        kind: &'static str,
        told: Value,
        shown: Value,
    ) -> Self {
        Self { what: what(STANDARD.encode(contents)), contents: Some(contents.to_vec()), kind, told, shown }
    }

    fn plain(what: Hung, kind: &'static str, told: Value, shown: Value) -> Self {
        Self { what, contents: None, kind, told, shown }
    }

    /// What goes under it: stickers and what is no file have no words.
    fn words(&self) -> &'static str {
        if self.contents.is_some() && self.kind != "stickerMessage" { "words" } else { "" }
    }

    fn letter(&self, to: i64) -> Letter {
        Letter { media: vec![self.what.clone()], ..Letter::text(to, self.words()) }
    }

    /// Where the data of its kind is.
    fn key(&self) -> String {
        if self.contents.is_some() { "fileMessageData".to_owned() } else { format!("{}Data", self.kind) }
    }
}

fn everything() -> Vec<Sent> {
    let place = |title: &str, address: &str| Hung::Place {
        latitude: 55.75,
        longitude: 37.61,
        title: title.to_owned(),
        address: address.to_owned(),
    };
    let contact = Hung::Contact {
        phone: "79990000000".to_owned(),
        first_name: "Boris".to_owned(),
        last_name: "Ivanov".to_owned(),
        vcard: CARD.to_owned(),
    };
    let poll = Hung::Poll {
        question: "When?".to_owned(),
        answers: vec!["now".to_owned(), "later".to_owned()],
        multiple: true,
    };
    vec![
        Sent::file(
            |base64| Hung::Photo { base64 },
            &STANDARD.decode(PIXEL).unwrap(),
            "imageMessage",
            json!({"fileName": "photo.jpg", "mimeType": "image/jpeg"}),
            json!({"kind": "photo", "file_name": "photo.jpg"}),
        ),
        Sent::file(
            |base64| Hung::Video { base64, duration: 2.0, round: false },
            b"a film",
            "videoMessage",
            json!({"fileName": "video.mp4", "mimeType": "video/mp4"}),
            json!({"kind": "video", "mime": "video/mp4"}),
        ),
        Sent::file(
            |base64| Hung::Video { base64, duration: 2.0, round: true },
            b"a film in a circle",
            "videoMessage",
            json!({"fileName": "video.mp4", "mimeType": "video/mp4"}),
            json!({"kind": "video", "mime": "video/mp4"}),
        ),
        Sent::file(
            |base64| Hung::Voice { base64, duration: 3 },
            b"a voice",
            "audioMessage",
            json!({"fileName": "audio.ogg", "mimeType": "audio/ogg"}),
            json!({"kind": "audio", "file_name": "audio.ogg"}),
        ),
        Sent::file(
            |base64| Hung::Audio { base64, duration: 3, title: "song.mp3".to_owned() },
            b"a song",
            "audioMessage",
            json!({"fileName": "song.mp3", "mimeType": "audio/mpeg"}),
            json!({"kind": "audio", "file_name": "song.mp3"}),
        ),
        Sent::file(
            |base64| Hung::Sticker { base64, emoji: "👍".to_owned() },
            b"a sticker",
            "stickerMessage",
            json!({"fileName": "sticker.webp", "mimeType": "image/webp", "isAnimated": false}),
            json!({"kind": "sticker", "mime": "image/webp"}),
        ),
        Sent::file(
            |base64| Hung::Document {
                base64, name: "заказ.csv".to_owned(), mime: "text/csv".to_owned()
            },
            b"oak;7",
            "documentMessage",
            json!({"fileName": "заказ.csv", "mimeType": "text/csv"}),
            json!({"kind": "document", "file_name": "заказ.csv", "size": 5}),
        ),
        Sent::plain(
            place("", ""),
            "locationMessage",
            json!({"latitude": 55.75, "longitude": 37.61, "nameLocation": "", "address": ""}),
            json!({"location": {"latitude": 55.75, "longitude": 37.61, "title": "", "address": ""}}),
        ),
        Sent::plain(
            place("Office", "1, Main street"),
            "locationMessage",
            json!({"latitude": 55.75, "longitude": 37.61, "nameLocation": "Office", "address": "1, Main street"}),
            json!({"location": {
                "latitude": 55.75, "longitude": 37.61, "title": "Office", "address": "1, Main street",
            }}),
        ),
        Sent::plain(
            contact,
            "contactMessage",
            json!({"displayName": "Boris Ivanov", "vcard": CARD}),
            json!({"contact": {
                "phone": "79990000000", "first_name": "Boris", "last_name": "Ivanov", "company": "Acme",
            }}),
        ),
        Sent::plain(
            poll,
            "pollMessage",
            json!({
                "name": "When?", "options": [{"optionName": "now"}, {"optionName": "later"}],
                "multipleAnswers": true, "isAnonymous": true,
            }),
            json!({"poll": {
                "question": "When?", "options": ["now", "later"], "multiple": true, "anonymous": true,
            }}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_people_send_is_told_by_its_kind() {
    let scene = Scene::new(line()).await;
    let gateway = scene.gateway();
    let all = everything();
    // What came before the account was logged in is in no journal: it is read from Telegram.
    for sent in &all {
        scene.world().write(scene.anna, sent.letter(scene.company)).unwrap();
    }
    scene.log_in().await;
    drop(gateway);
    let _client = scene.client().await;
    let program = Program::new(&scene).await;
    let mut first = None;
    for sent in &all {
        let said = scene.world().write(scene.anna, sent.letter(scene.company)).unwrap();
        let body = program.next().await;
        assert_eq!(body["typeWebhook"], "incomingMessageReceived");
        is_told(&program, sent, &body).await;
        assert_eq!(body["messageData"][sent.key()]["isForwarded"], false, "{body}");
        first.get_or_insert((said[0], body));
    }

    // The first of them, a photo, with its small picture, passed on, answered, and in a group.
    let (said, body) = first.unwrap();
    let thumbnail = body["messageData"]["fileMessageData"]["jpegThumbnail"].as_str().unwrap();
    let thumbnail = STANDARD.decode(thumbnail).unwrap();
    assert!(thumbnail.starts_with(&[0xff, 0xd8]) && thumbnail.ends_with(&[0xff, 0xd9]), "no JPEG: {body}");
    scene.world().forward(scene.anna, scene.company, said.id, scene.company).unwrap();
    let forwarded = program.next().await;
    is_told(&program, &all[0], &forwarded).await;
    assert_eq!(forwarded["messageData"]["fileMessageData"]["isForwarded"], true, "{forwarded}");
    let answer = Letter { reply_to: Some(said.id), ..Letter::text(scene.company, "like this one") };
    scene.world().write(scene.anna, answer).unwrap();
    let answer = program.next().await;
    let data = &answer["messageData"];
    assert_eq!(data["typeMessage"], "extendedTextMessage", "{answer}");
    assert_eq!(data["extendedTextMessageData"]["text"], "like this one", "{answer}");
    let quoted = json!({
        "stanzaId": body["idMessage"], "participant": scene.anna.to_string(), "typeMessage": "imageMessage",
    });
    has(&data["quotedMessage"], &quoted);
    let new = NewGroup {
        creator: scene.anna,
        title: "Orders".to_owned(),
        members: vec![scene.company],
        kind: GroupKind::Basic,
        username: None,
    };
    let group = scene.world().add_group(new).unwrap();
    scene.world().write(scene.anna, all[0].letter(group)).unwrap();
    let posted =
        program.until("a photo in the group", |body| body["messageData"]["typeMessage"] == all[0].kind);
    let posted = posted.await;
    is_told(&program, &all[0], &posted).await;
    has(&posted["senderData"], &json!({"chatId": group.to_string(), "sender": scene.anna.to_string()}));

    let (url, token) = scene.action_token(phone().as_str(), "kinds").await;
    let request = program.http.post(format!("{url}/api/v1/actions/get_messages")).bearer_auth(token);
    let chat = json!({"dialog": scene.anna, "limit": 100}).to_string();
    let chat = request.header("content-type", "application/json").body(chat).send().await.unwrap();
    let chat = json_of(chat).await;
    let shown: Vec<&Value> = chat["result"]["messages"].as_array().unwrap().iter().rev().collect();
    assert_eq!(shown.len(), all.len() * 2 + 2, "{chat:#}");
    for (sent, shown) in all.iter().chain(&all).zip(shown) {
        let Some(contents) = &sent.contents else {
            has(shown, &sent.shown);
            continue;
        };
        let file = &shown["attachments"][0];
        has(file, &sent.shown);
        has(shown, &json!({"text": sent.words()}));
        assert_eq!(fetched(&program, &file["download_url"]).await, *contents, "{shown}");
    }
}

/// A notification is of what was sent, and its link leads to it.
async fn is_told(program: &Program, sent: &Sent, body: &Value) {
    assert_eq!(body["messageData"]["typeMessage"], sent.kind, "{body}");
    let data = &body["messageData"][sent.key()];
    has(data, &sent.told);
    if let Some(contents) = &sent.contents {
        has(data, &json!({"caption": sent.words()}));
        assert_eq!(fetched(program, &data["downloadUrl"]).await, *contents, "{body}");
    }
}

async fn fetched(program: &Program, link: &Value) -> Vec<u8> {
    let answer = program.http.get(link.as_str().unwrap_or_else(|| panic!("no link: {link}"))).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200, "{link}");
    answer.bytes().await.unwrap().to_vec()
}

/// Something has these keys with these values.
fn has(told: &Value, wanted: &Value) {
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(told[key], *value, "{key} of {told:#}");
    }
}
