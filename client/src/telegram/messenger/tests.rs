//! An account's messages on the test Telegram.

use std::path::PathBuf;
use std::time::Duration;

use tgtrunk_messages::{Attachment, Content, EntityKind, FileKind, Search};
use tgtrunk_telegram::{Database, Notice, Options, Stage, Status};
use tgtrunk_test_telegram::world::{Action, GroupKind, Match, MessageInfo, NewGroup as Founded, World};
use tgtrunk_test_telegram::{NewUser, TestTelegram};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;

const COMPANY: &str = "79060000000";

/// A company's account, and Anna.
struct Scene {
    telegram: TestTelegram,
    folder: tempfile::TempDir,
    company: i64,
    anna: i64,
    us: Correspondent,
    _notices: mpsc::Receiver<Notice>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_text_goes_along_and_comes_back() {
    let scene = Scene::new().await;
    let entities = vec![
        entity(0, 5, EntityKind::Bold),
        entity(3, 2, EntityKind::Code),
        entity(6, 2, EntityKind::TextLink { url: "https://a.example/".to_owned() }),
        entity(9, 4, EntityKind::TextMention { user: scene.anna }),
        entity(9, 4, EntityKind::ExpandableBlockquote),
    ];
    let content = Content::Text {
        text: "Заказ 👍 Анна".to_owned(),
        has_preview: false,
        entities: [&entities[..], &[entity(0, 1, EntityKind::TextMention { user: 4_242 })]].concat(),
    };
    let sent = scene.us.send(&Order { is_silent: true, ..scene.order(content, 1) }).await.unwrap();
    let seen = scene.seen().pop().unwrap();
    assert!(seen.silent);
    let told: Vec<_> =
        seen.entities.iter().map(|it| (it.kind, it.offset, it.length, it.of.clone())).collect();
    assert_eq!(
        told,
        [
            ("messageEntityBold", 0, 5, String::new()),
            ("messageEntityCode", 3, 2, String::new()),
            ("messageEntityTextUrl", 6, 2, "https://a.example/".to_owned()),
            ("messageEntityMentionName", 9, 4, scene.anna.to_string()),
            ("messageEntityBlockquote", 9, 4, "collapsed".to_owned()),
        ]
    );
    let read = scene.us.message(chat(scene.anna), sent.tg_id).await.unwrap().unwrap();
    assert!(read.is_silent);
    assert!(matches!(read.content, Content::Text { entities: read, .. } if read == entities));

    let file = scene.file("a.txt", FileKind::Document, b"1,2").await;
    let entities = vec![entity(0, 3, EntityKind::Spoiler)];
    let content = Content::File {
        file,
        more: Vec::new(),
        left_out: Vec::new(),
        caption: "abc".to_owned(),
        entities: entities.clone(),
    };
    let sent = scene.us.send(&scene.order(content, 2)).await.unwrap();
    let read = scene.us.message(chat(scene.anna), sent.tg_id).await.unwrap().unwrap();
    assert!(matches!(read.content, Content::File { entities: read, .. } if read == entities));
    let wrong = vec![entity(2, 7, EntityKind::Bold)];
    let content = Content::Text { text: "abc".to_owned(), has_preview: false, entities: wrong };
    assert_eq!(word(scene.us.send(&scene.order(content, 3)).await), "markup_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_is_one_message_of_several_files_and_is_there_once() {
    let scene = Scene::new().await;
    let files = vec![
        scene.file("1.png", FileKind::Image, &png(1)).await,
        scene.file("2.mp4", FileKind::Video, b"film").await,
        scene.file("3.png", FileKind::Image, &png(3)).await,
    ];
    let order = Order { is_silent: true, ..scene.album(files, 10) };
    let sent = scene.us.send_album(&order).await.unwrap();
    let seen = scene.seen();
    let media: Vec<_> = seen.iter().filter_map(|one| one.media).collect();
    assert_eq!(media, ["messageMediaPhoto", "messageMediaDocument", "messageMediaPhoto"]);
    assert!(seen.iter().all(|one| one.silent && one.album.is_some() && one.album == seen[0].album));
    assert_eq!(seen.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["all three", "", ""]);
    assert_eq!(seen[0].entities.len(), 1);
    let twins: Vec<_> = seen.iter().filter_map(|one| one.twin).collect();
    assert_eq!(sent.iter().map(|one| one.tg_id).collect::<Vec<_>>(), twins);
    let read = scene.us.messages(chat(scene.anna), &twins).await.unwrap();
    assert!(read.iter().all(|one| one.album == seen[0].album));
    assert_eq!(scene.world().file(seen[1].file.unwrap()).unwrap(), b"film");

    assert_eq!(scene.us.send_album(&order).await, Err(Failure::Repeated));
    let lost = Match::method("messages.sendMultiMedia").once();
    scene.world().add_fault(lost, Action::LoseAnswer);
    let files = vec![
        scene.file("a.csv", FileKind::Document, b"1").await,
        scene.file("b.png", FileKind::Image, &png(2)).await,
    ];
    let files = files.into_iter().map(|file| Attachment { is_plain: true, ..file }).collect();
    let order = scene.album(files, 20);
    assert!(matches!(scene.us.send_album(&order).await, Err(Failure::Unknown(_))));
    let uploads = || scene.world().count(scene.company, "messages.uploadMedia");
    let before = uploads();
    assert_eq!(scene.us.send_album(&order).await, Err(Failure::Repeated));
    assert_eq!(uploads(), before);
    let seen = scene.seen();
    assert_eq!(seen.len(), 5);
    assert!(seen[3..].iter().all(|one| one.media == Some("messageMediaDocument")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_of_which_telegram_does_not_take_a_picture_goes_as_files() {
    let scene = Scene::new().await;
    let files = vec![
        scene.file("1.png", FileKind::Image, &png(1)).await,
        scene.file("2.png", FileKind::Image, b"no picture").await,
    ];
    scene.us.send_album(&scene.album(files, 1)).await.unwrap();
    let seen = scene.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|one| one.media == Some("messageMediaDocument")));

    let music = scene.file("1.mp3", FileKind::Audio, b"music").await;
    let files = vec![music.clone(), scene.file("2.csv", FileKind::Document, b"1").await];
    assert_eq!(word(scene.us.send_album(&scene.album(files, 5)).await), "bad_request");
    let empty = scene.file("2.mp3", FileKind::Audio, b"").await;
    let told = scene.us.send_album(&scene.album(vec![music, empty], 7)).await;
    assert!(told.as_ref().unwrap_err().to_string().contains("2.mp3"), "{told:?}");
    assert_eq!(word(told), "attachment_failed");
    assert_eq!(scene.seen().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_to_be_a_file_is_one() {
    let scene = Scene::new().await;
    let picture = scene.file("скан.png", FileKind::Image, &png(5)).await;
    let picture = Attachment { is_plain: true, ..picture };
    let sent = scene.us.send(&scene.order(Content::file(picture, ""), 1)).await.unwrap();
    assert_eq!(scene.seen()[0].media, Some("messageMediaDocument"));
    let read = scene.us.message(chat(scene.anna), sent.tg_id).await.unwrap().unwrap();
    let Content::File { file, .. } = read.content else { panic!("no file") };
    assert_eq!((file.kind, file.name.as_str()), (FileKind::Document, "скан.png"));
    let caption = "я".repeat(1025);
    let file = scene.file("a.txt", FileKind::Document, b"1").await;
    assert_eq!(word(scene.us.send(&scene.order(Content::file(file, caption), 2)).await), "too_long");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_message_may_hide_its_author_and_not_leave_a_protected_chat() {
    let scene = Scene::new().await;
    let group = scene.group(GroupKind::Supergroup);
    let said = scene.world().say(scene.anna, group, "news").unwrap();
    let forward = |random_id, hides_author| Order {
        forward: Some((ChatId(group), said.id)),
        hides_author,
        is_silent: hides_author,
        ..scene.order(Content::plain(""), random_id)
    };
    scene.us.send(&forward(1, false)).await.unwrap();
    scene.us.send(&forward(2, true)).await.unwrap();
    let seen = scene.seen();
    assert_eq!(seen.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["news", "news"]);
    assert_eq!((seen[0].forwarded_from, seen[0].silent), (Some(scene.anna), false));
    assert_eq!((seen[1].forwarded_from, seen[1].silent), (None, true));
    scene.world().set_protected(group, true).unwrap();
    assert_eq!(word(scene.us.send(&forward(3, false)).await), "privacy_restricted");
    let missing = Order { forward: Some((chat(scene.anna), 4_242)), ..forward(4, false) };
    assert_eq!(word(scene.us.send(&missing).await), "message_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reason_why_a_message_is_not_changed_has_its_word() {
    let scene = Scene::new().await;
    let anna = chat(scene.anna);
    let ours = scene.us.send(&scene.order(Content::plain("one"), 1)).await.unwrap().tg_id;
    let bold = [entity(0, 3, EntityKind::Bold)];
    scene.us.edit(anna, ours, "two", &bold, None).await.unwrap();
    let seen = scene.seen().pop().unwrap();
    assert_eq!((seen.text.as_str(), seen.entities[0].kind), ("two", "messageEntityBold"));
    assert_eq!(word(scene.us.edit(anna, ours, "two", &bold, None).await), "not_modified");
    scene.us.edit(anna, ours, "two", &[], None).await.unwrap();
    assert!(scene.seen()[0].entities.is_empty());
    assert_eq!(word(scene.us.edit(anna, ours, &"я".repeat(4097), &[], None).await), "too_long");
    assert_eq!(
        word(scene.us.edit(anna, ours, "two", &[entity(1, 9, EntityKind::Bold)], None).await),
        "markup_error"
    );
    assert_eq!(word(scene.us.edit(anna, 4_242, "two", &[], None).await), "message_not_found");
    let theirs = scene.world().say(scene.anna, scene.company, "hers").unwrap().twin.unwrap();
    assert_eq!(word(scene.us.edit(anna, theirs, "mine", &[], None).await), "not_editable");
    let group = scene.group(GroupKind::Channel);
    let post = scene.world().say(scene.anna, group, "news").unwrap().id;
    scene.us.chats(10).await.unwrap();
    scene.world().add_fault(
        Match::method("messages.editMessage").once(),
        Action::Error { code: 400, message: "CHAT_ADMIN_REQUIRED".to_owned() },
    );
    assert_eq!(word(scene.us.edit(ChatId(group), post, "other news", &[], None).await), "not_editable");
    scene.world().configure(|settings| settings.edit_time_s = 0);
    assert_eq!(word(scene.us.edit(anna, ours, "three", &[], None).await), "not_editable");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_asked_for_together_and_looked_for_by_words_and_days() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for number in 0..120 {
        let word = if number % 3 == 0 { "счёт" } else { "заказ" };
        let said = scene.world().say(scene.anna, scene.company, &format!("{word} {number}")).unwrap();
        ids.push(said.twin.unwrap());
    }
    let anna = chat(scene.anna);
    scene.us.chats(1).await.unwrap();
    let asked = |method| scene.world().count(scene.company, method);
    let before = asked("messages.getMessages");
    let found = scene.us.messages(anna, &[ids[0], 4_242, ids[5], ids[3]]).await.unwrap();
    assert_eq!(texts(&found), ["счёт 0", "заказ 5", "счёт 3"]);
    assert_eq!(asked("messages.getMessages"), before + 1);

    let date_s = found[0].date_s;
    let search = |query: &str, count| Search { query: query.to_owned(), count, ..Search::default() };
    let found = scene.us.search(anna, &search("счёт", 3)).await.unwrap();
    assert_eq!(texts(&found), ["счёт 117", "счёт 114", "счёт 111"]);
    let older = Search { before: Some(found[2].tg_id), ..search("счёт", 200) };
    let found = scene.us.search(anna, &older).await.unwrap();
    assert_eq!((found.len(), texts(&found)[0], texts(&found)[36]), (37, "счёт 108", "счёт 0"));
    assert_eq!(scene.us.search(anna, &search("", 115)).await.unwrap().len(), 115);
    let older = Search { before: Some(ids[10]), ..search("", 200) };
    assert_eq!(texts(&scene.us.search(anna, &older).await.unwrap())[0], "счёт 9");

    for query in ["", "счёт"] {
        let of = |since_s, until_s| Search { since_s, until_s, ..search(query, 200) };
        let all = scene.us.search(anna, &search(query, 200)).await.unwrap().len();
        for (since_s, until_s, wanted) in [
            (Some(date_s), None, all),
            (Some(date_s + 600), None, 0),
            (None, Some(date_s), 0),
            (Some(date_s), Some(date_s + 600), all),
        ] {
            let found = scene.us.search(anna, &of(since_s, until_s)).await.unwrap();
            assert_eq!(found.len(), wanted, "{query:?} {since_s:?} {until_s:?} at {date_s}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_chats_tells_what_is_new_in_them() {
    let scene = Scene::new().await;
    for number in 0..104 {
        let phone = format!("7911{number:07}");
        let person = scene.world().add_user(NewUser::new(phone, format!("P{number}"))).unwrap();
        scene.world().say(person, scene.company, "hello").unwrap();
    }
    let group = scene.group(GroupKind::Supergroup);
    scene.world().say(scene.anna, group, "to all").unwrap();
    for text in ["one", "two"] {
        scene.world().say(scene.anna, scene.company, text).unwrap();
    }
    let dialogs = scene.us.dialogs(1_000).await.unwrap();
    assert_eq!(dialogs.len(), 106);
    let of = |id| dialogs.iter().find(|dialog| dialog.chat.id == id).unwrap();
    let last = |dialog: &Dialog| texts(dialog.last.as_slice()).first().map(|text| (*text).to_owned());
    let anna = of(chat(scene.anna));
    assert_eq!((anna.unread, anna.chat.title.as_str(), last(anna)), (2, "Anna", Some("two".to_owned())));
    assert_eq!(
        (of(ChatId(group)).chat.kind, last(of(ChatId(group)))),
        (tgtrunk_messages::ChatKind::Supergroup, Some("to all".to_owned()))
    );
    assert!(dialogs.iter().all(|dialog| dialog.last.is_some()));
    assert_eq!(scene.us.dialogs(5).await.unwrap().len(), 5);
    assert_eq!(scene.us.chats(1_000).await.unwrap().len(), 106);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_only_read_has_a_card_without_its_readers() {
    let scene = Scene::new().await;
    let channel = scene.group(GroupKind::Channel);
    scene.us.chats(10).await.unwrap();
    let card = scene.us.group(ChatId(channel)).await.unwrap();
    assert_eq!((card.chat.title.as_str(), card.members.len()), ("Office", 0));
    assert_eq!(scene.world().count(scene.company, "channels.getParticipants"), 0);
    let group = scene.group(GroupKind::Supergroup);
    scene.us.chats(10).await.unwrap();
    assert_eq!(scene.us.group(ChatId(group)).await.unwrap().members.len(), 2);
}

/// The account hears of it by what Telegram refuses alone: nothing of what came along is read here.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_a_group_that_became_a_supergroup_is_done_there() {
    let scene = Scene::new().await;
    let (us, world) = (&scene.us, scene.world());
    let founded = |title: &str| Founded {
        creator: scene.company,
        title: title.to_owned(),
        members: vec![scene.anna],
        kind: GroupKind::Basic,
        username: None,
    };
    let moved = async |title: &str| {
        let old = world.add_group(founded(title)).unwrap();
        let sent = us.send(&to(old, scene.order(Content::plain("before"), old))).await.unwrap();
        let request = tl::functions::messages::MigrateChat { chat_id: -old };
        us.account.invoke(&request, Policy::call()).await.unwrap();
        (old, world.group(old).unwrap().migrated_to.unwrap(), sent.tg_id)
    };
    let seen = |group| {
        let seen = world.chat(scene.anna, group).into_iter().filter(|one| one.action.is_none());
        seen.map(|one| (one.text, one.reply_to)).collect::<Vec<_>>()
    };
    let (old, new, tg_id) = moved("texts").await;
    let asked = || world.count(scene.company, "messages.getChats");
    for (text, random_id) in [("one", 1), ("two", 2)] {
        // What is answered has no number there.
        let order = Order { reply_to: Some(tg_id), ..scene.order(Content::plain(text), random_id) };
        let sent = us.send(&to(old, order)).await.unwrap();
        assert_eq!((sent.chat.id, sent.chat.title.as_str()), (ChatId(new), "texts"));
    }
    assert_eq!(asked(), 1, "it is asked once");
    assert_eq!(seen(new), [("one".to_owned(), None), ("two".to_owned(), None)]);
    assert_eq!(seen(old).len(), 1);
    let again = us.send(&to(old, scene.order(Content::plain("two"), 2))).await;
    assert_eq!(again.unwrap_err(), Failure::Repeated);
    let own = us.last_own(&Address::Chat(ChatId(old))).await.unwrap();
    assert_eq!(texts(&own[..2]), ["two", "one"], "where it is looked for");
    us.typing(&Address::Chat(ChatId(old)), TypingKind::Text).await.unwrap();

    let (old, new, _) = moved("files").await;
    let files = vec![
        scene.file("1.txt", FileKind::Document, b"1").await,
        scene.file("2.txt", FileKind::Document, b"2").await,
    ];
    let sent = us.send_album(&to(old, scene.album(files, 10))).await.unwrap();
    assert!(sent.iter().all(|one| one.chat.id == ChatId(new)));
    assert_eq!(seen(new).len(), 2);

    let (old, new, _) = moved("changes").await;
    us.change_group(ChatId(old), &GroupChange::Title("renamed".to_owned())).await.unwrap();
    assert_eq!(world.group(new).unwrap().title, "renamed");
    let (old, new, _) = moved("shown").await;
    let card = us.group(ChatId(old)).await.unwrap();
    assert_eq!((card.chat.id, card.members.len()), (ChatId(new), 2));

    // Whoever is not in it is told where it is.
    world.take_out(new, scene.anna, scene.company).unwrap();
    let refused = us.send(&to(old, scene.order(Content::plain("never"), 20))).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("the group is a supergroup now: its dialog is {new}"));
    // A group that is still one is asked for once, and refuses as before.
    let group = world.add_group(founded("closed")).unwrap();
    let member = Match::method("messages.sendMessage").user(scene.company).once();
    world.add_fault(member, Action::Error { code: 403, message: "CHAT_WRITE_FORBIDDEN".into() });
    let refused = us.send(&to(group, scene.order(Content::plain("never"), 21))).await;
    assert_eq!(word(refused), "privacy_restricted");
}

fn to(group: i64, order: Order) -> Order {
    Order { to: Address::Chat(ChatId(group)), ..order }
}

impl Scene {
    async fn new() -> Self {
        let telegram = TestTelegram::start(tgtrunk_test_telegram::Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        telegram.write_dc_seed(folder.path(), 8).unwrap();
        let company = telegram.world().add_user(NewUser::new(COMPANY, "Company")).unwrap();
        let anna = telegram.world().add_user(NewUser::new("79001112233", "Anna").username("anna")).unwrap();
        let database = Database::open(folder.path().join("client.db")).await.unwrap();
        let mut options = Options::new(database, 12_345, "0123456789abcdef0123456789abcdef");
        options.seed = Some(folder.path().join("dc-seed.json"));
        let (account, notices) = Account::open(options).await.unwrap();
        let login = account.login();
        login.send_code(COMPANY).await.unwrap();
        let code = telegram.world().pending_login_code(COMPANY).unwrap();
        let stage = login.enter_code(&code).await.unwrap();
        assert!(matches!(stage, Stage::Done(_)), "{stage:?}");
        let mut status = account.status();
        let green = status.wait_for(|status| matches!(status, Status::Green { .. }));
        timeout(Duration::from_secs(20), green).await.unwrap().unwrap();
        let phone: Phone = format!("+{COMPANY}").parse().unwrap();
        let desk = LoginDesk::open(account.clone(), phone.clone(), ()).await;
        let us = Correspondent::new(account, Some(phone), desk);
        let scene = Self { telegram, folder, company, anna, us, _notices: notices };
        let met = scene.us.find(&Address::Username("anna".to_owned())).await.unwrap();
        assert_eq!(met.unwrap().id, chat(anna));
        scene
    }

    fn world(&self) -> &World {
        self.telegram.world()
    }

    /// What Anna sees of the chat.
    fn seen(&self) -> Vec<MessageInfo> {
        self.world().chat(self.anna, self.company)
    }

    /// A group that Anna made, with the company in it.
    fn group(&self, kind: GroupKind) -> i64 {
        let members = vec![self.company];
        let new = Founded { creator: self.anna, title: "Office".to_owned(), members, kind, username: None };
        self.world().add_group(new).unwrap()
    }

    fn order(&self, content: Content, random_id: i64) -> Order {
        let path = |file: &Attachment| self.path(&file.name);
        let paths = match &content {
            Content::File { file, more, .. } => [file].into_iter().chain(more).map(path).collect(),
            _ => Vec::new(),
        };
        Order {
            buttons: None,
            to: Address::Chat(chat(self.anna)),
            random_id,
            content,
            paths,
            reply_to: None,
            forward: None,
            hides_author: false,
            is_silent: false,
        }
    }

    fn album(&self, mut files: Vec<Attachment>, random_id: i64) -> Order {
        let more = files.split_off(1);
        let file = files.pop().unwrap();
        let entities = vec![entity(0, 3, EntityKind::Bold)];
        self.order(
            Content::File { file, more, left_out: Vec::new(), caption: "all three".to_owned(), entities },
            random_id,
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn file(&self, name: &str, kind: FileKind, bytes: &[u8]) -> Attachment {
        tokio::fs::write(self.path(name), bytes).await.unwrap();
        let mime = match kind {
            FileKind::Image => "image/png",
            FileKind::Video => "video/mp4",
            FileKind::Audio => "audio/mpeg",
            FileKind::Document | FileKind::Sticker => "text/csv",
        };
        Attachment {
            kind,
            is_plain: false,
            name: name.to_owned(),
            mime: mime.to_owned(),
            size: 0,
            stored: None,
            url: None,
            remote: None,
            thumbnail: None,
        }
    }
}

fn chat(user: i64) -> ChatId {
    ChatId::of_user(user)
}

fn entity(offset: u32, length: u32, kind: EntityKind) -> Entity {
    Entity { offset, length, kind }
}

/// The beginning of a PNG file (ISO/IEC 15948 section 11.2.2).
fn png(width: u8) -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 0, width, 0, 0, 0, 1, 8, 2, 0, 0, 0]);
    png
}

fn texts(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(text).collect()
}

fn text(message: &Received) -> &str {
    match &message.content {
        Content::Text { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

fn word<T: std::fmt::Debug>(told: Result<T, Failure>) -> &'static str {
    match told {
        Err(Failure::Refused { word, .. }) => word,
        told => panic!("{told:?}"),
    }
}
