//! Bots that come and go by the control socket, and what it tells of them.

use tgtrunk_config::control::{Answer, Ask, Event, Heard, Refusal, RefusalCode, Reply, Request, to_line};
use tgtrunk_config::{BotName, BotToken, Lamp};
use tgtrunk_shell::asking::ask;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::time::{Duration, timeout};

use crate::room::Room;
use crate::telegram::TOKEN;

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_checked_without_keeping_it_and_what_is_wrong_is_told() {
    let room = Room::running("", "").await;
    let wrong = "43:abcdefghijklmnopqrstuvwxyz";
    let refused = asked(&room, Ask::CheckBot { token: token(wrong) }).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::BadToken);
    assert!(refused.said().ru.starts_with("Telegram не знает этого токена"), "{refused:?}");
    asked(&room, Ask::RemoveBot { bot: bot() }).await.unwrap();
    room.telegram.has_no_inline_mode();
    room.telegram.fails("GetUpdates", 409, "Conflict: terminated by other getUpdates request", 1);
    let Answer::Bot(check) = asked(&room, Ask::CheckBot { token: token(TOKEN) }).await.unwrap() else {
        panic!("no bot");
    };
    assert_eq!((check.bot, check.id.number(), check.name.as_str(), check.inline), (bot(), 42, "Acme", false));
    assert_eq!(check.description.as_deref(), Some("Answers calls"));
    let troubles: Vec<&str> = check.troubles.iter().map(|trouble| trouble.en.as_str()).collect();
    assert!(troubles[0].contains("/setinline") && troubles[1].contains("stop it"), "{troubles:?}");
    assert!(check.troubles.iter().all(|trouble| !trouble.ru.is_empty()));
    assert!(!room.state().join("bots/acme_bot").exists());
    room.telegram.fails("GetMe", 502, "", 1);
    let refused = asked(&room, Ask::AddBot { token: token(TOKEN) }).await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Unreachable);
    assert!(!room.state().join("bots/acme_bot").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_is_added_and_removed_by_the_socket_and_listeners_follow_its_lamps() {
    let room = Room::running("operators = [600]\n", "").await;
    room.telegram.says(500, "/key");
    room.telegram.hears("SendMessage", |body| body["text"] == "Your key: 500").await;
    let Answer::People(people) = asked(&room, Ask::People { bot: bot() }).await.unwrap() else {
        panic!("no people");
    };
    assert_eq!(people.len(), 1);
    assert_eq!((people[0].key.as_deref(), people[0].name.as_deref()), (Some("500"), Some("P500")));

    let mut news = Listener::to(&room).await;
    asked(&room, Ask::RemoveBot { bot: bot() }).await.unwrap();
    news.hears(|event| *event == Event::BotRemoved { bot: bot() }).await;
    assert!(!room.state().join("bots/acme_bot").exists());
    assert!(room.status().await.is_none());
    for ask in [Ask::RemoveBot { bot: bot() }, Ask::People { bot: bot() }] {
        assert_eq!(asked(&room, ask).await.unwrap_err().code, RefusalCode::UnknownBot);
    }

    let Answer::Bot(check) = asked(&room, Ask::AddBot { token: token(TOKEN) }).await.unwrap() else {
        panic!("no bot");
    };
    assert_eq!((check.bot, check.troubles), (bot(), vec![]));
    let turns = |lamp| move |event: &Event| matches!(event, Event::Bot(shown) if shown.telegram.lamp == lamp);
    news.hears(turns(Lamp::Orange)).await;
    news.hears(turns(Lamp::Green)).await;
    let Answer::People(people) = asked(&room, Ask::People { bot: bot() }).await.unwrap() else {
        panic!("no people");
    };
    assert_eq!(people, []);
}

struct Listener(Lines<BufReader<UnixStream>>);

impl Listener {
    async fn to(room: &Room) -> Self {
        let mut stream = UnixStream::connect(room.state().join("bot.sock")).await.unwrap();
        stream.write_all(to_line(&Request { id: 1, ask: Ask::Subscribe }).as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        while Heard::from_line(&lines.next_line().await.unwrap().unwrap()).unwrap()
            != Heard::Reply(Reply::ok(1, Answer::Done))
        {}
        Self(lines)
    }

    async fn hears(&mut self, fits: impl Fn(&Event) -> bool) {
        let found = async {
            while let Some(line) = self.0.next_line().await.unwrap() {
                if matches!(Heard::from_line(&line).unwrap(), Heard::Event(event) if fits(&event)) {
                    return;
                }
            }
            panic!("no more news");
        };
        timeout(Duration::from_secs(15), found).await.unwrap();
    }
}

async fn asked(room: &Room, question: Ask) -> Result<Answer, Refusal> {
    let answer = ask(&room.state().join("bot.sock"), question).await;
    answer.map_err(|error| error.downcast::<Refusal>().unwrap())
}

fn token(text: &str) -> BotToken {
    text.parse().unwrap()
}

fn bot() -> BotName {
    "acme_bot".parse().unwrap()
}
