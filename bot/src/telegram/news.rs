//! What Telegram tells a bot (core.telegram.org/bots/api#update), as far as this program listens.

use serde_json::Value;
use teloxide::types::{ChatMemberKind, Update, UpdateKind, User};
use tgtrunk_config::{Language, UserId};

/// The kinds of updates that are asked for.
pub(super) const WANTED: [&str; 4] = ["message", "inline_query", "callback_query", "my_chat_member"];
/// All kinds that there are, where other programs choose among them.
pub(super) const EVERYTHING: [&str; 23] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
];

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Somebody pressed a button under a message.
    Press(Press),
    /// Somebody asks, by the bot's name in another chat.
    Query(Query),
    /// Somebody wrote to the bot.
    Said(Said),
    /// Somebody blocked the bot, or no longer does.
    Blocked {
        /// Who.
        person: Person,
        /// Whether they block it now.
        blocked: bool,
    },
}

/// A person, as Telegram shows them to a bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    /// The language of their app, where Telegram tells it.
    pub(crate) language: Option<Language>,
}

/// A pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Press {
    /// Telegram's name for this press, which the answer carries.
    pub(crate) id: String,
    pub(crate) person: Person,
    /// What the button holds.
    pub(crate) data: String,
    /// The message under which it is, if an account sent that by way of the bot.
    pub(crate) message: Option<String>,
    /// The message under which it is, if that is the bot's own in the person's chat with it.
    pub(crate) own: Option<i32>,
}

/// An inline query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// Telegram's name for it, which the answer carries.
    pub(crate) id: String,
    pub(crate) person: Person,
    pub(crate) text: String,
}

/// A text that a person wrote to the bot in their own chat with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) person: Person,
    /// Empty for what is no text.
    pub(crate) text: String,
}

/// An update's number, and what it tells where that is of interest. None for what has no number.
pub(super) fn read(update: Value) -> Option<(u32, Option<News>)> {
    let id = u32::try_from(update.get("update_id")?.as_u64()?).ok()?;
    // Whatever Telegram may add one day is passed over, but its number counts. The library reads kinds from text alone.
    let news = serde_json::from_str::<Update>(&update.to_string()).ok().and_then(|update| heard(update.kind));
    Some((id, news))
}

fn heard(kind: UpdateKind) -> Option<News> {
    match kind {
        UpdateKind::CallbackQuery(query) => Some(News::Press(Press {
            id: query.id.0,
            person: person(&query.from)?,
            data: query.data?,
            message: query.inline_message_id,
            own: query
                .message
                .as_ref()
                .filter(|message| message.chat().is_private())
                .map(|message| message.id().0),
        })),
        UpdateKind::InlineQuery(query) => {
            Some(News::Query(Query { id: query.id.0, person: person(&query.from)?, text: query.query }))
        }
        UpdateKind::Message(message) if message.chat.is_private() => {
            let from = message.from.as_ref().filter(|from| !from.is_bot)?;
            // Calls, pins and the like are nothing that a person said.
            if message.via_bot.is_some() || !is_said(&message.kind) {
                return None;
            }
            let text = message.text().unwrap_or_default().to_owned();
            Some(News::Said(Said { person: person(from)?, text }))
        }
        UpdateKind::MyChatMember(change) if change.chat.is_private() => {
            let blocked = matches!(change.new_chat_member.kind, ChatMemberKind::Banned(_));
            Some(News::Blocked { person: person(&change.from)?, blocked })
        }
        _ => None,
    }
}

fn is_said(kind: &teloxide::types::MessageKind) -> bool {
    matches!(kind, teloxide::types::MessageKind::Common(_))
}

fn person(user: &User) -> Option<Person> {
    Some(Person {
        id: i64::try_from(user.id.0).ok().and_then(|id| UserId::new(id).ok())?,
        name: user.full_name(),
        username: user.username.clone(),
        language: user.language_code.as_deref().map(Language::from_code),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_press_under_a_message_sent_by_way_of_the_bot_is_read() {
        let (id, news) = read(json!({"update_id": 7, "callback_query": {
            "id": "99", "from": anna(), "inline_message_id": "AgAB", "chat_instance": "1", "data": "d:1:5"
        }}))
        .unwrap();
        let Some(News::Press(press)) = news else { panic!("{news:?}") };
        assert_eq!((id, press.id.as_str(), press.data.as_str()), (7, "99", "d:1:5"));
        assert_eq!(
            (press.message.as_deref(), press.person.language),
            (Some("AgAB"), Some(Language::Russian))
        );
        assert_eq!((press.person.id.number(), press.person.name.as_str()), (5_000_000_001, "Анна К"));
    }

    #[test]
    fn texts_and_what_is_no_text_are_read_in_private_chats_alone() {
        let said = |chat: Value, rest: Value| {
            let mut message = json!({"message_id": 1, "date": 1_700_000_000, "from": anna(), "chat": chat});
            message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            read(json!({"update_id": 8, "message": message})).unwrap().1
        };
        let private = json!({"id": 5_000_000_001_i64, "type": "private", "first_name": "Анна"});
        let group = json!({"id": -5, "type": "group", "title": "g"});
        let text = said(private.clone(), json!({"text": "/start"}));
        assert!(matches!(text, Some(News::Said(Said { ref text, .. })) if text == "/start"), "{text:?}");
        let place = said(private.clone(), json!({"location": {"latitude": 1.0, "longitude": 2.0}}));
        assert!(matches!(place, Some(News::Said(Said { ref text, .. })) if text.is_empty()), "{place:?}");
        assert_eq!(said(group, json!({"text": "/start"})), None);
        assert_eq!(
            said(
                private,
                json!({"pinned_message": {"message_id": 0, "date": 0, "chat": {"id": 1, "type": "private"}}})
            ),
            None
        );
    }

    #[test]
    fn blocking_and_unblocking_are_told_apart() {
        let change = |status: &str| {
            let bot = json!({"id": 42, "is_bot": true, "first_name": "b"});
            let member = |status: &str| match status {
                "kicked" => json!({"user": bot, "status": status, "until_date": 0}),
                _ => json!({"user": bot, "status": status}),
            };
            let chat = json!({"id": 5_000_000_001_i64, "type": "private", "first_name": "Анна"});
            let update = json!({"update_id": 9, "my_chat_member": {
                "chat": chat, "from": anna(), "date": 1, "old_chat_member": member("member"),
                "new_chat_member": member(status)
            }});
            read(update).unwrap().1
        };
        assert!(matches!(change("kicked"), Some(News::Blocked { blocked: true, .. })));
        assert!(matches!(change("member"), Some(News::Blocked { blocked: false, .. })));
    }

    #[test]
    fn what_nobody_knows_keeps_its_number_and_what_has_none_is_passed_over() {
        assert_eq!(read(json!({"update_id": 10, "thing": {"of": "tomorrow"}})), Some((10, None)));
        assert_eq!(read(json!({"update_id": 11, "callback_query": {"id": "x"}})), Some((11, None)));
        assert_eq!(read(json!({"update_id": 12, "message": {"from": {"id": -1}}})), Some((12, None)));
        assert_eq!(read(json!({"message": {}})), None);
        assert_eq!(read(json!({"update_id": 99_999_999_999_u64})), None);
    }

    fn anna() -> Value {
        json!({"id": 5_000_000_001_i64, "is_bot": false, "first_name": "Анна", "last_name": "К", "language_code": "ru-RU"})
    }
}
