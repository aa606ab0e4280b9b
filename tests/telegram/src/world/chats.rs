//! What a test sees in the users' chats, and does there in a user's name.

use grammers_tl_types as tl;
use serde::Serialize;

use super::call::Ending;
use super::error::RpcError;
use super::handle::World;
use super::letters::Letter;
use super::messages::mailbox::Filed;
use super::messages::post::box_of;
use super::peers::{dialog, is_channel};
use super::state::State;

/// A message in a user's box, told to a test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageInfo {
    /// Its number in this box.
    pub id: i32,
    /// The number of the other copy, in the other user's box.
    pub twin: Option<i32>,
    /// The other user of the chat, or the group.
    pub chat: i64,
    /// Who sent it.
    pub from: i64,
    /// Who got it: a user or a group.
    pub to: i64,
    /// The owner of the box sent it.
    pub out: bool,
    /// Unix time.
    pub date: i32,
    /// Unix time of the last change.
    pub edited: Option<i32>,
    /// Text or caption.
    pub text: String,
    /// How parts of it look.
    pub entities: Vec<EntityInfo>,
    /// The bot that made it.
    pub via_bot: Option<i64>,
    /// Rows of buttons.
    pub buttons: Vec<Vec<ButtonInfo>>,
    /// The schema's word for what hangs on it: `messageMediaContact`, `messageMediaPhoto`, `messageMediaDocument`,
    /// `messageMediaGeo`, `messageMediaVenue`.
    pub media: Option<&'static str>,
    /// Number of its photo or document.
    pub file: Option<i64>,
    /// Its contact.
    pub contact: Option<ContactInfo>,
    /// Its place.
    pub place: Option<PlaceInfo>,
    /// Its poll.
    pub poll: Option<PollInfo>,
    /// The line about a call.
    pub call: Option<CallLine>,
    /// The schema's word for what a line tells that nobody wrote: `messageActionChatAddUser`.
    pub action: Option<&'static str>,
    /// The album to which it belongs.
    pub album: Option<i64>,
    /// Who wrote it first, where it was forwarded.
    pub forwarded_from: Option<i64>,
    /// The title of the page whose preview is shown.
    pub preview: Option<String>,
    /// The message of this box that it answers.
    pub reply_to: Option<i32>,
    /// Sent without a sound.
    pub silent: bool,
    /// Pinned in the chat.
    pub pinned: bool,
    /// What users and bots feel about it.
    pub reactions: Vec<ReactionInfo>,
    /// The one who got it has read it.
    pub read: bool,
    /// The owner of the box sees it no more.
    pub deleted: bool,
}

/// How a part of a text looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityInfo {
    /// The schema's word: `messageEntityBold`.
    pub kind: &'static str,
    /// UTF-16 code units before it.
    pub offset: i32,
    /// In UTF-16 code units.
    pub length: i32,
    /// Where a link leads, the language of code, the number of a user or an emoji.
    pub of: String,
}

/// A button below a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ButtonInfo {
    /// What stands on it.
    pub text: String,
    /// What its press tells the bot, read as UTF-8.
    pub data: Option<String>,
    /// What it opens.
    pub url: Option<String>,
}

/// A contact that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactInfo {
    /// As it was sent.
    pub phone: String,
    /// Shown first.
    pub first_name: String,
    /// Shown second.
    pub last_name: String,
    /// The card, whole.
    pub vcard: String,
    /// The user with this number, or 0.
    pub user: i64,
}

/// A reaction to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReactionInfo {
    /// Whose.
    pub from: i64,
    /// The emoji.
    pub emoji: String,
}

/// A poll that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PollInfo {
    /// What is asked.
    pub question: String,
    /// What may be answered, and who did.
    pub answers: Vec<(String, Vec<i64>)>,
    /// No more votes are taken.
    pub closed: bool,
}

/// A chat in a user's list, told to a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ChatInfo {
    /// The other user, or the group.
    pub chat: i64,
    /// Messages that the user has not read.
    pub unread: i32,
    /// In the archive.
    pub archived: bool,
}

/// A place that was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceInfo {
    /// Degrees to the north.
    pub latitude: f64,
    /// Degrees to the east.
    pub longitude: f64,
    /// A venue's name.
    pub title: Option<String>,
    /// A venue's address.
    pub address: Option<String>,
}

/// A line about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallLine {
    /// Number of the call.
    pub id: i64,
    /// Why it ended.
    pub ending: Option<Ending>,
    /// Seconds.
    pub duration: Option<i32>,
}

/// A message that was written in a user's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Its number in the writer's box.
    pub id: i32,
    /// Its number in the reader's box; none in the chat with oneself.
    pub twin: Option<i32>,
}

impl World {
    /// A user's box, oldest first, with what was deleted.
    pub fn messages(&self, user: i64) -> Vec<MessageInfo> {
        self.lock().box_seen_by(user, user)
    }

    /// A user's chats, the one with the newest message first.
    pub fn chats(&self, user: i64) -> Vec<ChatInfo> {
        let told = |(chat, unread, archived)| ChatInfo { chat, unread, archived };
        self.lock().chats_of(user).into_iter().map(told).collect()
    }

    /// What a user sees of the chat with another, or of a group, oldest first.
    pub fn chat(&self, user: i64, other: i64) -> Vec<MessageInfo> {
        let mut messages = self.chat_whole(user, other);
        messages.retain(|message| !message.deleted);
        messages
    }

    /// The same, with what was deleted.
    pub fn chat_whole(&self, user: i64, other: i64) -> Vec<MessageInfo> {
        let state = self.lock();
        let hidden = state.groups.group(other).is_some_and(|group| !group.basic() && !group.open_to(user));
        if hidden {
            return Vec::new();
        }
        let mut messages = state.box_seen_by(user, box_of(user, other));
        messages.retain(|message| message.chat == other);
        messages
    }

    /// A user writes to another, or into a group; all devices are told.
    ///
    /// # Errors
    /// What `messages.sendMessage` refuses with.
    pub fn say(&self, from: i64, to: i64, text: &str) -> Result<Said, RpcError> {
        let said = self.write(from, Letter::text(to, text))?;
        said.first().copied().ok_or_else(|| RpcError::bad_request("MESSAGE_EMPTY"))
    }

    /// A user changes a text of their own.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID`, `MESSAGE_AUTHOR_REQUIRED`, `MESSAGE_NOT_MODIFIED`.
    pub fn edit_text(&self, owner: i64, id: i32, text: &str) -> Result<(), RpcError> {
        self.edit_text_in(owner, owner, id, text)
    }

    /// The same in a supergroup or channel, which counts its messages itself.
    ///
    /// # Errors
    /// As [`World::edit_text`].
    pub fn edit_text_in(&self, user: i64, chat: i64, id: i32, text: &str) -> Result<(), RpcError> {
        let mut state = self.lock();
        let owner = box_of(user, chat);
        if state.filed(owner, id).is_some_and(|filed| filed.author != user) {
            return Err(RpcError::forbidden("MESSAGE_AUTHOR_REQUIRED"));
        }
        state.edit(owner, id, None, |message| {
            text.clone_into(&mut message.message);
            message.entities = None;
        })?;
        Ok(())
    }

    /// A user deletes messages, with `revoke` for all. Returns how many the user saw until now.
    pub fn delete_messages(&self, owner: i64, ids: &[i32], revoke: bool) -> i32 {
        self.lock().delete(owner, ids, revoke, None).1
    }

    /// A user deletes messages of a supergroup or channel.
    pub fn delete_messages_in(&self, chat: i64, ids: &[i32]) -> i32 {
        self.lock().delete(chat, ids, true, None).1
    }

    /// A user has read all of a chat. False if there was nothing new.
    pub fn read(&self, reader: i64, other: i64) -> bool {
        let mut state = self.lock();
        let before = state.dialog(reader, other).read_inbox_max_id;
        state.read_history(reader, other, i32::MAX, None);
        state.dialog(reader, other).read_inbox_max_id > before
    }

    /// A user is seen typing to another, or in a group.
    pub fn show_typing(&self, from: i64, to: i64) {
        self.lock().show_action(from, to, &tl::enums::SendMessageAction::SendMessageTypingAction);
    }

    /// The contents of a file that was sent, by the number of its photo or document.
    pub fn file(&self, id: i64) -> Option<Vec<u8>> {
        self.lock().files.contents(id).map(<[u8]>::to_vec)
    }

    /// A user accepts a login token, as with `auth.acceptLoginToken`.
    ///
    /// # Errors
    /// `AUTH_TOKEN_INVALID`, `AUTH_TOKEN_EXPIRED`, `AUTH_TOKEN_ALREADY_ACCEPTED`, `AUTH_TOKEN_EXCEPTION`.
    pub fn accept_login_token(&self, user: i64, token: &[u8]) -> Result<(), RpcError> {
        self.lock().accept_token(user, token).map(|_| ())
    }
}

impl State {
    fn box_seen_by(&self, viewer: i64, owner: i64) -> Vec<MessageInfo> {
        let Some(mailbox) = self.mailbox(owner) else { return Vec::new() };
        mailbox.all().map(|(id, filed)| self.info(viewer, owner, id, filed)).collect()
    }

    fn info(&self, viewer: i64, owner: i64, id: i32, filed: &Filed) -> MessageInfo {
        let out = if is_channel(owner) { filed.author == viewer } else { filed.out() };
        let to = if filed.peer < 0 || out { filed.peer } else { owner };
        let marks = self.dialog(viewer, filed.peer);
        let read = if out { marks.read_outbox_max_id } else { marks.read_inbox_max_id };
        let twin = filed.copies.iter().find(|(other, _)| filed.peer > 0 && *other != owner);
        let mut info = MessageInfo {
            id,
            twin: twin.map(|(_, id)| *id),
            chat: filed.peer,
            from: filed.author,
            to,
            out,
            date: filed.date(),
            edited: None,
            text: String::new(),
            entities: Vec::new(),
            via_bot: None,
            buttons: Vec::new(),
            media: None,
            file: None,
            contact: None,
            place: None,
            poll: None,
            call: None,
            action: None,
            album: None,
            forwarded_from: None,
            preview: None,
            reply_to: None,
            silent: false,
            pinned: false,
            reactions: Vec::new(),
            read: id <= read,
            deleted: filed.deleted,
        };
        match &filed.message {
            tl::enums::Message::Message(message) => self.fill_message(&mut info, message),
            tl::enums::Message::Service(message) => {
                info.reply_to = message.reply_to.as_ref().and_then(replied);
                info.action = Some(word(&message.action));
                if let tl::enums::MessageAction::PhoneCall(call) = &message.action {
                    let ending = call.reason.clone().map(Ending::from_tl);
                    info.call = Some(CallLine { id: call.call_id, ending, duration: call.duration });
                }
            }
            tl::enums::Message::Empty(_) => {}
        }
        info
    }

    fn fill_message(&self, info: &mut MessageInfo, message: &tl::types::Message) {
        info.edited = message.edit_date;
        info.text.clone_from(&message.message);
        info.entities = message.entities.iter().flatten().map(entity).collect();
        info.via_bot = message.via_bot_id;
        info.silent = message.silent;
        info.pinned = message.pinned;
        info.album = message.grouped_id;
        info.forwarded_from = message.fwd_from.as_ref().and_then(|header| {
            let tl::enums::MessageFwdHeader::Header(header) = header;
            header.from_id.as_ref().map(dialog)
        });
        info.reactions = message.reactions.as_ref().map(reactions).unwrap_or_default();
        info.buttons = message.reply_markup.as_ref().map(buttons).unwrap_or_default();
        info.reply_to = message.reply_to.as_ref().and_then(replied);
        if let Some(media) = &message.media {
            fill(info, media);
        }
        if let Some(tl::enums::MessageMedia::Poll(media)) = &message.media {
            let tl::enums::Poll::Poll(poll) = &media.poll;
            let tl::enums::TextWithEntities::Entities(question) = &poll.question;
            let (answers, closed) = self.polls.votes(poll.id);
            info.poll = Some(PollInfo { question: question.text.clone(), answers, closed });
        }
    }
}

fn replied(header: &tl::enums::MessageReplyHeader) -> Option<i32> {
    match header {
        tl::enums::MessageReplyHeader::Header(header) => header.reply_to_msg_id,
        _ => None,
    }
}

/// The schema's word for a value.
fn word(value: &impl tl::Serializable) -> &'static str {
    value.to_bytes().first_chunk::<4>().map_or("", |id| tl::name_for_id(u32::from_le_bytes(*id)))
}

fn entity(entity: &tl::enums::MessageEntity) -> EntityInfo {
    let of = match entity {
        tl::enums::MessageEntity::TextUrl(link) => link.url.clone(),
        tl::enums::MessageEntity::Pre(pre) => pre.language.clone(),
        tl::enums::MessageEntity::MentionName(named) => named.user_id.to_string(),
        tl::enums::MessageEntity::CustomEmoji(emoji) => emoji.document_id.to_string(),
        tl::enums::MessageEntity::Blockquote(quote) if quote.collapsed => "collapsed".to_owned(),
        _ => String::new(),
    };
    EntityInfo { kind: word(entity), offset: entity.offset(), length: entity.length(), of }
}

fn fill(info: &mut MessageInfo, media: &tl::enums::MessageMedia) {
    info.media = Some(word(media));
    match media {
        tl::enums::MessageMedia::WebPage(media) => {
            if let tl::enums::WebPage::Page(page) = &media.webpage {
                info.preview.clone_from(&page.title);
            }
        }
        tl::enums::MessageMedia::Contact(card) => {
            info.contact = Some(ContactInfo {
                phone: card.phone_number.clone(),
                first_name: card.first_name.clone(),
                last_name: card.last_name.clone(),
                vcard: card.vcard.clone(),
                user: card.user_id,
            });
        }
        tl::enums::MessageMedia::Photo(media) => {
            info.file = media.photo.as_ref().map(tl::enums::Photo::id);
        }
        tl::enums::MessageMedia::Document(media) => {
            info.file = media.document.as_ref().map(tl::enums::Document::id);
        }
        tl::enums::MessageMedia::Geo(media) => info.place = place(&media.geo, None),
        tl::enums::MessageMedia::GeoLive(media) => info.place = place(&media.geo, None),
        tl::enums::MessageMedia::Venue(venue) => {
            info.place = place(&venue.geo, Some((&venue.title, &venue.address)));
        }
        _ => {}
    }
}

fn reactions(list: &tl::enums::MessageReactions) -> Vec<ReactionInfo> {
    let tl::enums::MessageReactions::Reactions(list) = list;
    let one = |reaction: &tl::enums::MessagePeerReaction| {
        let tl::enums::MessagePeerReaction::Reaction(it) = reaction;
        let tl::enums::Reaction::Emoji(emoji) = &it.reaction else { return None };
        let tl::enums::Peer::User(user) = &it.peer_id else { return None };
        Some(ReactionInfo { from: user.user_id, emoji: emoji.emoticon.clone() })
    };
    list.recent_reactions.iter().flatten().filter_map(one).collect()
}

fn place(geo: &tl::enums::GeoPoint, venue: Option<(&str, &str)>) -> Option<PlaceInfo> {
    let tl::enums::GeoPoint::Point(point) = geo else { return None };
    let (title, address) = venue.map(|(title, address)| (title.to_owned(), address.to_owned())).unzip();
    Some(PlaceInfo { latitude: point.lat, longitude: point.long, title, address })
}

fn buttons(markup: &tl::enums::ReplyMarkup) -> Vec<Vec<ButtonInfo>> {
    let tl::enums::ReplyMarkup::ReplyInlineMarkup(markup) = markup else { return Vec::new() };
    let row = |row: &tl::enums::KeyboardInlineButtonRow| {
        let tl::enums::KeyboardInlineButtonRow::Row(row) = row;
        row.buttons.iter().map(button).collect()
    };
    markup.rows.iter().map(row).collect()
}

fn button(button: &tl::enums::KeyboardInlineButton) -> ButtonInfo {
    let tl::enums::KeyboardInlineButton::Button(button) = button;
    let (data, url) = match &button.r#type {
        tl::enums::InlineButtonType::Callback(press) => {
            (Some(String::from_utf8_lossy(&press.data).into_owned()), None)
        }
        tl::enums::InlineButtonType::Url(link) => (None, Some(link.url.clone())),
        _ => (None, None),
    };
    ButtonInfo { text: button.text.clone(), data, url }
}
