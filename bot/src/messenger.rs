//! A bot as the core of messages knows it: what it sends, changes and asks, over the Bot API.
//!
//! Telegram knows no message of a bot that it is handed twice, and tells a bot nothing of what was: one is handed over once,
//! and the journal answers for the past.

mod content;
mod failure;
mod received;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tgtrunk_config::BotName;
use tgtrunk_messages::{
    Account, Address, Chat, ChatId, Door, Entity, Failure, Found, Group, GroupChange, GroupMember,
    GroupRights, LoginStep, Messenger, NewGroup, NewlyMade, Order, Person, PersonKind, Received, Sent,
    Signin, Standing, TypingKind,
};
use tokio::sync::{Notify, watch};

pub(crate) use received::news;

use self::content::{Request, fields};
use self::failure::{judge, refused, unsupported};
use crate::store::Store;
use crate::telegram::{Api, Miss, Profile};

const JOURNAL: &str = "Telegram tells a bot nothing of what was: its journal does";
const NO_PHONE: &str =
    "a bot reaches nobody by a phone number: name the dialog by its number, or by its @name";
const NO_CONTACTS: &str = "a bot has no contacts";
const NO_ARCHIVE: &str = "a bot has no archive";
const NO_READ: &str = "a bot marks nothing read";
const NO_GROUPS: &str = "a bot makes and changes no groups here";
const NO_PICTURE: &str = "a bot's picture is changed at @BotFather (/setuserpic)";
const FOR_ALL: &str = "a bot deletes messages for everybody alone: 'for_everyone' must be true";

/// What is done where somebody would log in.
const LOGIN: LoginDoor = LoginDoor;

/// A bot at Telegram.
pub(crate) struct BotMessenger {
    api: Api,
    store: Store,
    account: RwLock<Account>,
    standing: watch::Sender<Standing>,
    /// Telegram has said of one call that it does not know the token.
    doubt: Notify,
}

struct LoginDoor;

#[async_trait]
impl Door for LoginDoor {
    async fn sign_in(&self, _: Signin) -> LoginStep {
        LoginStep::Failed {
            word: "authorization_not_started",
            sentence: "a bot has no login: its token is in bot.toml".to_owned(),
            russian: "у бота нет входа: его токен стоит в bot.toml".to_owned(),
        }
    }
}

impl BotMessenger {
    /// A bot of which nobody knows yet whether its token is good.
    pub(crate) fn new(api: Api, store: Store, bot: &BotName, id: Option<i64>) -> Arc<Self> {
        let account = Account {
            id: id.map(ChatId),
            phone: String::new(),
            name: format!("@{bot}"),
            username: Some(bot.to_string()),
        };
        let (account, standing) = (RwLock::new(account), watch::Sender::new(Standing::Starting));
        Arc::new(Self { api, store, account, standing, doubt: Notify::new() })
    }

    /// Telegram has told who the bot is.
    pub(crate) fn is_well(&self, profile: &Profile) {
        let mut account = self.account.write().unwrap_or_else(PoisonError::into_inner);
        account.id = Some(ChatId(profile.id.number()));
        account.name.clone_from(&profile.name);
        account.username = Some(profile.username.clone());
        drop(account);
        self.stands(Standing::Authorized);
    }

    /// Telegram does not know its token.
    pub(crate) fn is_stranger(&self) {
        self.stands(Standing::NotAuthorized);
    }

    /// Waits until Telegram says so where it knew the token before: that may be of the one call alone.
    pub(crate) async fn is_doubted(&self) {
        self.doubt.notified().await;
    }

    /// Whether that is something new.
    fn stands(&self, standing: Standing) -> bool {
        self.standing.send_if_modified(|before| std::mem::replace(before, standing) != standing)
    }

    async fn call(&self, method: &str, params: Value, chat: Option<i64>) -> Result<Value, Failure> {
        let done = self.api.call(method, &fields(params), &[]).await;
        done.map_err(|miss| self.missed(miss, chat))
    }

    fn missed(&self, miss: Miss, chat: Option<i64>) -> Failure {
        let failure = judge(miss, chat);
        if failure == Failure::Unauthorized && self.stands(Standing::NotAuthorized) {
            self.doubt.notify_one();
        }
        failure
    }

    async fn perform(&self, order: &Order, mut request: Request) -> Result<Value, Failure> {
        let to = chat_id(&order.to)?;
        let chat = to.as_i64();
        let params = &mut request.params;
        params.insert("chat_id".to_owned(), to);
        if order.is_silent {
            params.insert("disable_notification".to_owned(), true.into());
        }
        if let Some(tg_id) = order.reply_to {
            params.insert("reply_parameters".to_owned(), json!({"message_id": tg_id}));
        }
        if let Some(buttons) = &order.buttons {
            params.insert("reply_markup".to_owned(), buttons.clone());
        }
        let done = self.api.call(request.method, params, &request.files).await;
        done.map_err(|miss| self.missed(miss, chat))
    }

    /// Whether Telegram calls a person so now.
    async fn is_called(&self, id: i64, name: &str) -> Result<bool, Failure> {
        match self.chat(&Address::Chat(ChatId(id))).await {
            Ok(told) => {
                let is_it =
                    |value: &Value| value.as_str().is_some_and(|word| word.eq_ignore_ascii_case(name));
                let others = told["active_usernames"].as_array();
                Ok(is_it(&told["username"]) || others.is_some_and(|others| others.iter().any(is_it)))
            }
            Err(Failure::Refused { word: "dialog_not_found", .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn chat(&self, of: &Address) -> Result<Value, Failure> {
        let id = chat_id(of)?;
        let chat = id.as_i64();
        self.call("getChat", json!({"chat_id": id}), chat).await
    }
}

/// A chat as the Bot API names it.
fn chat_id(of: &Address) -> Result<Value, Failure> {
    match of {
        Address::Chat(chat) => Ok(chat.0.into()),
        Address::Username(name) => Ok(format!("@{name}").into()),
        Address::Phone(_) => Err(unsupported(NO_PHONE)),
    }
}

/// It was done, and what it is called nobody can read.
fn unread() -> Failure {
    Failure::Unknown("Telegram's answer cannot be read".to_owned())
}

/// Who a chat is, as somebody who writes.
fn as_person(chat: Chat) -> Person {
    let kind = if chat.id.is_person() { PersonKind::User } else { PersonKind::Channel };
    Person { id: chat.id, kind, name: chat.title, contact_name: None, username: chat.username, phone: None }
}

#[async_trait]
impl Messenger for BotMessenger {
    fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    async fn standing_changed(&self) {
        self.standing.subscribe().changed().await.ok();
    }

    fn account(&self) -> Account {
        self.account.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn door(&self) -> &dyn Door {
        &LOGIN
    }

    fn knows_repeats(&self) -> bool {
        false
    }

    async fn send(&self, order: &Order) -> Result<Sent, Failure> {
        let Some((from, tg_id)) = order.forward else {
            let told = self.perform(order, content::request(&order.content, &order.paths)?).await?;
            return received::sent(&told).ok_or_else(unread);
        };
        let method = if order.hides_author { "copyMessage" } else { "forwardMessage" };
        let params = fields(json!({"from_chat_id": from.0, "message_id": tg_id}));
        let told = self.perform(order, Request { method, params, files: Vec::new() }).await?;
        if let Some(sent) = received::sent(&told) {
            return Ok(sent);
        }
        // A copy is told by its number alone.
        let tg_id = told["message_id"].as_i64().and_then(|id| i32::try_from(id).ok()).ok_or_else(unread)?;
        let chat = received::chat(&self.chat(&order.to).await.unwrap_or_default());
        let chat = match (chat, &order.to) {
            (Some(chat), _) => chat,
            (None, Address::Chat(id)) => bare(*id),
            (None, _) => return Err(unread()),
        };
        let date_s = i64::try_from(crate::clock::unix_ms() / 1000).unwrap_or(0);
        Ok(Sent { chat, tg_id, date_s })
    }

    async fn send_album(&self, order: &Order) -> Result<Vec<Sent>, Failure> {
        let album = |plain| content::album(&order.content, &order.paths, plain);
        let told = match self.perform(order, album(false)?).await {
            // What Telegram does not take as a picture it takes as a file.
            Err(Failure::Refused { word: "attachment_failed", .. }) => {
                self.perform(order, album(true)?).await?
            }
            told => told?,
        };
        let sent = told.as_array().map(|all| all.iter().map(received::sent).collect::<Option<Vec<_>>>());
        sent.flatten().filter(|sent| !sent.is_empty()).ok_or_else(unread)
    }

    async fn last_own(&self, _: &Address) -> Result<Vec<Received>, Failure> {
        Err(Failure::Unsupported(JOURNAL))
    }

    async fn typing(&self, to: &Address, kind: TypingKind) -> Result<(), Failure> {
        let action = match kind {
            TypingKind::Text => "typing",
            TypingKind::RecordVoiceNote => "record_voice",
            TypingKind::UploadVoiceNote => "upload_voice",
            TypingKind::RecordVideoNote => "record_video_note",
            TypingKind::UploadVideoNote => "upload_video_note",
            TypingKind::RecordVideo => "record_video",
            TypingKind::UploadVideo => "upload_video",
            TypingKind::UploadPhoto => "upload_photo",
            TypingKind::UploadDocument | TypingKind::ChooseContact => "upload_document",
            TypingKind::ChooseSticker => "choose_sticker",
            TypingKind::ChooseLocation => "find_location",
        };
        let to = chat_id(to)?;
        self.call("sendChatAction", json!({"chat_id": to, "action": action}), None).await.map(drop)
    }

    async fn edit(
        &self,
        chat: ChatId,
        tg_id: i32,
        text: &str,
        entities: &[Entity],
        buttons: Option<&Value>,
    ) -> Result<(), Failure> {
        let params = |word: &str, looks: &str| {
            let mut params = Map::new();
            params.insert("chat_id".to_owned(), chat.0.into());
            params.insert("message_id".to_owned(), tg_id.into());
            params.insert(word.to_owned(), text.into());
            params.insert(looks.to_owned(), content::shown(entities));
            params.extend(buttons.map(|buttons| ("reply_markup".to_owned(), buttons.clone())));
            Value::Object(params)
        };
        match self.call("editMessageText", params("text", "entities"), Some(chat.0)).await {
            Err(Failure::Refused { word: "not_editable", sentence })
                if sentence.contains("no text in the") =>
            {
                let params = params("caption", "caption_entities");
                self.call("editMessageCaption", params, Some(chat.0)).await.map(drop)
            }
            told => told.map(drop),
        }
    }

    async fn delete(&self, chat: ChatId, tg_ids: &[i32], is_for_everyone: bool) -> Result<(), Failure> {
        if !is_for_everyone {
            return Err(unsupported(FOR_ALL));
        }
        match tg_ids {
            [] => Ok(()),
            [one] => {
                let params = json!({"chat_id": chat.0, "message_id": one});
                self.call("deleteMessage", params, Some(chat.0)).await.map(drop)
            }
            several => {
                let mut several = several.to_vec();
                several.sort_unstable();
                let params = json!({"chat_id": chat.0, "message_ids": several});
                self.call("deleteMessages", params, Some(chat.0)).await.map(drop)
            }
        }
    }

    async fn mark_read(&self, _: ChatId, _: Option<i32>) -> Result<(), Failure> {
        Err(unsupported(NO_READ))
    }

    async fn history(&self, _: ChatId, _: Option<i32>, _: usize) -> Result<Vec<Received>, Failure> {
        Err(Failure::Unsupported(JOURNAL))
    }

    async fn message(&self, _: ChatId, _: i32) -> Result<Option<Received>, Failure> {
        Err(Failure::Unsupported(JOURNAL))
    }

    async fn messages(&self, _: ChatId, _: &[i32]) -> Result<Vec<Received>, Failure> {
        Err(Failure::Unsupported(JOURNAL))
    }

    async fn download(&self, remote: &str, path: &Path, limit: u64) -> Result<(), Failure> {
        let told = self.call("getFile", json!({"file_id": remote}), None).await?;
        let place = received::word(&told, "file_path");
        let place =
            place.ok_or_else(|| refused("attachment_failed", "Telegram does not say where the file is"))?;
        self.api.fetch(&place, path, limit).await.map_err(|failure| match failure.passes() {
            true => Failure::Undone(failure.to_string()),
            false => judge(Miss { failure, may_be_done: false, moved_to: None }, None),
        })
    }

    async fn find(&self, who: &Address) -> Result<Option<Person>, Failure> {
        let Address::Username(name) = who else {
            return self.chat(who).await.map(|told| received::chat(&told).map(as_person));
        };
        // Telegram finds people by their numbers alone.
        let known = self.store.person_called(name).await;
        let known = known.map_err(|error| Failure::Undone(error.to_string()))?;
        // Names are given up and taken by others, who need not have written.
        if let Some((id, title, username)) = known
            && self.is_called(id, name).await?
        {
            return Ok(Some(Person {
                id: ChatId(id),
                kind: PersonKind::User,
                name: title,
                contact_name: None,
                username: Some(username),
                phone: None,
            }));
        }
        match self.chat(who).await {
            Err(Failure::Refused { word: "dialog_not_found", .. }) => {
                let sentence = format!(
                    "no public group or channel is called @{name}, and nobody of that name has written to the bot"
                );
                Err(refused("dialog_not_found", sentence))
            }
            told => Ok(received::chat(&told?).map(as_person)),
        }
    }

    async fn info(&self, who: &Address) -> Result<Found, Failure> {
        let told = self.chat(who).await?;
        let person = received::chat(&told).map(as_person).ok_or_else(unread)?;
        Ok(Found { person, last_seen_s: None, about: received::word(&told, "bio").unwrap_or_default() })
    }

    async fn avatar_key(&self, of: &Address) -> Result<Option<String>, Failure> {
        let told = self.chat(of).await?;
        Ok(told.get("photo").and_then(|photo| received::word(photo, "big_file_unique_id")))
    }

    async fn avatar(&self, of: &Address, path: &Path) -> Result<bool, Failure> {
        /// Telegram makes them small.
        const LIMIT: u64 = 10 * 1024 * 1024;
        let told = self.chat(of).await?;
        match told.get("photo").and_then(|photo| received::word(photo, "big_file_id")) {
            Some(file) => self.download(&file, path, LIMIT).await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn set_avatar(&self, _: &Path) -> Result<(), Failure> {
        Err(unsupported(NO_PICTURE))
    }

    async fn contacts(&self) -> Result<Vec<Person>, Failure> {
        Err(unsupported(NO_CONTACTS))
    }

    async fn add_contact(&self, _: &Address, _: &str, _: &str) -> Result<Person, Failure> {
        Err(unsupported(NO_CONTACTS))
    }

    async fn delete_contact(&self, _: &Address) -> Result<(), Failure> {
        Err(unsupported(NO_CONTACTS))
    }

    async fn chats(&self, _: usize) -> Result<Vec<Chat>, Failure> {
        Err(Failure::Unsupported(JOURNAL))
    }

    async fn archive(&self, _: ChatId, _: bool) -> Result<(), Failure> {
        Err(unsupported(NO_ARCHIVE))
    }

    async fn create_group(&self, _: &NewGroup) -> Result<NewlyMade, Failure> {
        Err(unsupported(NO_GROUPS))
    }

    async fn group(&self, chat: ChatId) -> Result<Group, Failure> {
        let told = self.chat(&Address::Chat(chat)).await?;
        let card = received::chat(&told).ok_or_else(unread)?;
        // Of a channel only its administrators are told who they are; whoever else is in a group no bot is told.
        let admins = self.call("getChatAdministrators", json!({"chat_id": chat.0}), Some(chat.0)).await;
        let admins = admins.ok().and_then(|told| told.as_array().cloned()).unwrap_or_default();
        let member = |told: &Value| {
            let person = received::person(told.get("user")?)?;
            Some(GroupMember { person, is_admin: true, is_owner: told["status"] == "creator" })
        };
        let members: Vec<_> = admins.iter().filter_map(member).collect();
        let owner = members.iter().find(|member| member.is_owner).map(|member| member.person.id);
        let may =
            |key: &str| told.pointer(&format!("/permissions/{key}")).and_then(Value::as_bool) == Some(true);
        Ok(Group {
            chat: card,
            about: received::word(&told, "description").unwrap_or_default(),
            owner,
            created_s: 0,
            invite_link: received::word(&told, "invite_link").unwrap_or_default(),
            rights: GroupRights {
                send_messages: may("can_send_messages"),
                send_media: may("can_send_photos") && may("can_send_documents"),
                send_polls: may("can_send_polls"),
                send_other: may("can_send_other_messages"),
                add_web_page_previews: may("can_add_web_page_previews"),
                edit_settings: may("can_change_info"),
                add_members: may("can_invite_users"),
                pin_messages: may("can_pin_messages"),
            },
            members,
        })
    }

    async fn change_group(&self, _: ChatId, _: &GroupChange) -> Result<(), Failure> {
        Err(unsupported(NO_GROUPS))
    }
}

/// A chat of which only the number is known.
fn bare(id: ChatId) -> Chat {
    use tgtrunk_messages::ChatKind;
    let kind = match (id.channel(), id.group()) {
        (Some(_), _) => ChatKind::Supergroup,
        (None, Some(_)) => ChatKind::Group,
        (None, None) => ChatKind::User,
    };
    Chat { id, kind, title: String::new(), username: None, phone: None, is_archived: false }
}
