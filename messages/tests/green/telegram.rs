//! Telegram as the test plays it: it notes what it is told to do, and has one person, one group and one message.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tgtrunk_messages::{
    Account, Address, Attachment, Chat, ChatId, ChatKind, Content, Door, Entity, Failure, FileKind, Found,
    Group, GroupChange, GroupMember, GroupRights, LoginStep, LoginTokenPicture, Messenger, NewGroup,
    NewlyMade, Order, Person, PersonKind, Received, Sent, Signin, Standing, TypingKind,
};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Notify;
use tokio::time::sleep;

/// Anna's number, the account's and the group's.
pub(crate) const ANNA: i64 = 10_000_000;
pub(crate) const OFFICE: i64 = 555;
pub(crate) const GROUP: i64 = -1_001_234_567_890;

/// Telegram as the test plays it.
#[derive(Default)]
pub(crate) struct Played {
    standing: Mutex<Option<Standing>>,
    changed: Notify,
    did: Mutex<Vec<String>>,
    orders: Mutex<Vec<Order>>,
    refusal: Mutex<Option<Failure>>,
    step: Mutex<Option<LoginStep>>,
    downloads: AtomicUsize,
}

impl Played {
    pub(crate) fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap() = Some(standing);
        self.changed.notify_waiters();
    }

    /// What is asked next is refused so.
    pub(crate) fn refuses(&self, failure: Failure) {
        *self.refusal.lock().unwrap() = Some(failure);
    }

    /// What the login does next.
    pub(crate) fn steps(&self, step: LoginStep) {
        *self.step.lock().unwrap() = Some(step);
    }

    /// What it was told to do since it was last asked.
    pub(crate) fn did(&self) -> Vec<String> {
        std::mem::take(&mut *self.did.lock().unwrap())
    }

    pub(crate) fn orders(&self) -> Vec<Order> {
        self.orders.lock().unwrap().clone()
    }

    /// How often a file was fetched.
    pub(crate) fn downloads(&self) -> usize {
        self.downloads.load(Ordering::Relaxed)
    }

    fn notes(&self, what: String) -> Result<(), Failure> {
        self.did.lock().unwrap().push(what);
        self.refusal.lock().unwrap().take().map_or(Ok(()), Err)
    }
}

pub(crate) fn anna() -> Person {
    Person {
        id: ChatId(ANNA),
        kind: PersonKind::User,
        name: "Анна Б".to_owned(),
        contact_name: Some("Анна, бухгалтерия".to_owned()),
        username: Some("anna_b".to_owned()),
        phone: Some("79000000001".to_owned()),
    }
}

pub(crate) fn chat(id: i64) -> Chat {
    let is_person = id > 0;
    Chat {
        id: ChatId(id),
        kind: if is_person { ChatKind::User } else { ChatKind::Supergroup },
        title: if is_person { "Анна Б" } else { "Отдел" }.to_owned(),
        username: None,
        phone: is_person.then(|| "79000000001".to_owned()),
        is_archived: false,
    }
}

/// A message of Anna's.
pub(crate) fn from_anna(tg_id: i32, content: Content) -> Received {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Received {
        chat: chat(ANNA),
        tg_id,
        sender: Some(anna()),
        is_ours: false,
        date_s: i64::try_from(since.as_secs()).unwrap(),
        edited_s: None,
        content,
        quoted: None,
        is_forwarded: false,
        is_silent: false,
        album: None,
    }
}

pub(crate) fn text(text: &str) -> Content {
    Content::plain(text)
}

/// A picture that lies at Telegram.
pub(crate) fn picture() -> Content {
    let file = Attachment {
        is_plain: false,
        kind: FileKind::Image,
        name: "фото.jpg".to_owned(),
        mime: "image/jpeg".to_owned(),
        size: 7,
        stored: None,
        url: None,
        remote: Some("remote-picture".to_owned()),
        thumbnail: None,
    };
    Content::file(file, "word")
}

const RIGHTS: GroupRights = GroupRights {
    send_messages: true,
    send_media: true,
    send_polls: true,
    send_other: true,
    add_web_page_previews: true,
    edit_settings: false,
    add_members: true,
    pin_messages: false,
};

#[async_trait]
impl Door for Played {
    async fn sign_in(&self, word: Signin) -> LoginStep {
        let word = match word {
            Signin::Qr => "qr".to_owned(),
            Signin::Phone(phone) => format!("phone {phone}"),
            Signin::Code { code, password } => format!("code {code} {password:?}"),
            Signin::Password(password) => format!("password {password}"),
            Signin::LogOut => "log out".to_owned(),
        };
        let scan =
            LoginTokenPicture { link: "tg://login?token=x".to_owned(), png: "iVBORw0KGgo=".to_owned() };
        self.did.lock().unwrap().push(word);
        self.step.lock().unwrap().take().unwrap_or(LoginStep::Scan(scan))
    }
}

#[async_trait]
impl Messenger for Played {
    fn standing(&self) -> Standing {
        self.standing.lock().unwrap().unwrap_or(Standing::Authorized)
    }

    async fn standing_changed(&self) {
        self.changed.notified().await;
    }

    fn account(&self) -> Account {
        Account {
            id: Some(ChatId(OFFICE)),
            phone: "79000000000".to_owned(),
            name: "Организация".to_owned(),
            username: None,
        }
    }

    fn door(&self) -> &dyn Door {
        self
    }

    async fn send(&self, order: &Order) -> Result<Sent, Failure> {
        let mut orders = self.orders.lock().unwrap();
        orders.push(order.clone());
        let tg_id = 100 + i32::try_from(orders.len()).unwrap();
        Ok(Sent { chat: chat(ANNA), tg_id, date_s: from_anna(1, text("")).date_s })
    }

    async fn last_own(&self, _: &Address) -> Result<Vec<Received>, Failure> {
        Ok(Vec::new())
    }

    async fn typing(&self, to: &Address, kind: TypingKind) -> Result<(), Failure> {
        self.notes(format!("typing {} {kind:?}", to.text()))
    }

    async fn edit(
        &self,
        chat: ChatId,
        tg_id: i32,
        text: &str,
        _: &[Entity],
        _: Option<&Value>,
    ) -> Result<(), Failure> {
        self.notes(format!("edit {chat} {tg_id} {text}"))
    }

    async fn delete(&self, chat: ChatId, tg_ids: &[i32], is_for_everyone: bool) -> Result<(), Failure> {
        self.notes(format!("delete {chat} {tg_ids:?} {is_for_everyone}"))
    }

    async fn mark_read(&self, chat: ChatId, up_to: Option<i32>) -> Result<(), Failure> {
        self.notes(format!("read {chat} {up_to:?}"))
    }

    async fn history(&self, chat: ChatId, _: Option<i32>, count: usize) -> Result<Vec<Received>, Failure> {
        self.notes(format!("history {chat} {count}"))?;
        Ok(vec![from_anna(2, text("last")), from_anna(1, text("first"))])
    }

    async fn message(&self, _: ChatId, tg_id: i32) -> Result<Option<Received>, Failure> {
        Ok((tg_id == 2).then(|| from_anna(2, text("last"))))
    }

    async fn download(&self, remote: &str, path: &Path, _: u64) -> Result<(), Failure> {
        self.downloads.fetch_add(1, Ordering::Relaxed);
        let written = async {
            let mut file = tokio::fs::File::create(path).await?;
            let (head, tail) = remote.as_bytes().split_at(remote.len() / 2);
            file.write_all(head).await?;
            file.flush().await?;
            sleep(Duration::from_millis(200)).await;
            file.write_all(tail).await?;
            file.flush().await
        };
        written.await.map_err(|error: std::io::Error| Failure::Unknown(error.to_string()))
    }

    async fn find(&self, who: &Address) -> Result<Option<Person>, Failure> {
        self.notes(format!("find {}", who.text()))?;
        Ok(["+79000000001", "@anna_b"].contains(&who.text().as_str()).then(anna))
    }

    async fn info(&self, who: &Address) -> Result<Found, Failure> {
        self.notes(format!("info {}", who.text()))?;
        Ok(Found { person: anna(), last_seen_s: Some(1_763_115_112), about: "about".to_owned() })
    }

    async fn avatar_key(&self, of: &Address) -> Result<Option<String>, Failure> {
        Ok((of.text() != GROUP.to_string()).then(|| format!("{}:{}", of.text(), self.orders().len())))
    }

    async fn avatar(&self, of: &Address, path: &Path) -> Result<bool, Failure> {
        self.downloads.fetch_add(1, Ordering::Relaxed);
        tokio::fs::write(path, of.text()).await.map_err(|error| Failure::Unknown(error.to_string()))?;
        Ok(of.text() != GROUP.to_string())
    }

    async fn set_avatar(&self, path: &Path) -> Result<(), Failure> {
        let picture = tokio::fs::read(path).await.map_err(|error| Failure::Unknown(error.to_string()))?;
        self.notes(format!("avatar {}", String::from_utf8_lossy(&picture)))
    }

    async fn contacts(&self) -> Result<Vec<Person>, Failure> {
        self.notes("contacts".to_owned())?;
        Ok(vec![anna(), anna()])
    }

    async fn add_contact(&self, who: &Address, first: &str, last: &str) -> Result<Person, Failure> {
        self.notes(format!("contact {} {first} {last}", who.text()))?;
        Ok(anna())
    }

    async fn delete_contact(&self, who: &Address) -> Result<(), Failure> {
        self.notes(format!("no contact {}", who.text()))
    }

    async fn chats(&self, count: usize) -> Result<Vec<Chat>, Failure> {
        self.notes(format!("chats {count}"))?;
        Ok(vec![chat(ANNA), chat(GROUP)])
    }

    async fn archive(&self, chat: ChatId, is_archived: bool) -> Result<(), Failure> {
        self.notes(format!("archive {chat} {is_archived}"))
    }

    async fn create_group(&self, group: &NewGroup) -> Result<NewlyMade, Failure> {
        self.notes(format!("group {group:?}"))?;
        let missing = (group.title == "Закрытая").then(|| "5 does not let the account add them".to_owned());
        Ok(NewlyMade { chat: chat(GROUP), link: "https://t.me/+abc".to_owned(), missing })
    }

    async fn group(&self, id: ChatId) -> Result<Group, Failure> {
        self.notes(format!("group {id}"))?;
        Ok(Group {
            chat: chat(GROUP),
            about: "about".to_owned(),
            owner: Some(ChatId(OFFICE)),
            created_s: 1_763_115_112,
            invite_link: "https://t.me/+abc".to_owned(),
            rights: RIGHTS,
            members: vec![GroupMember { person: anna(), is_admin: true, is_owner: false }],
        })
    }

    async fn change_group(&self, chat: ChatId, change: &GroupChange) -> Result<(), Failure> {
        let what = match change {
            GroupChange::Picture(path) => {
                let picture = tokio::fs::read(path).await.unwrap_or_default();
                format!("picture {}", String::from_utf8_lossy(&picture))
            }
            change => format!("{change:?}"),
        };
        self.notes(format!("change {chat} {what}"))
    }
}
