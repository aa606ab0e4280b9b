//! Who is who, and what else can be done to chats and messages.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::Answer;
use super::call::Call;
use super::error::Failed;
use super::limits;
use super::shape;
use crate::chat::{Address, ChatId};
use crate::instance::Refused;
use crate::messenger::Failure;

/// How long Telegram shows that somebody is typing; it is told anew before.
const SHOWN: Duration = Duration::from_secs(5);

/// Marks a chat read, up to a message or whole.
pub(super) async fn read_chat(call: Call) -> Answer {
    let (chat, id) = (call.arguments.chat()?, call.arguments.optional_message("idMessage")?);
    call.instance.mark_read(&chat, id).await?;
    Ok(json!({"setRead": true}))
}

/// Whether somebody has Telegram.
pub(super) async fn check_account(call: Call) -> Answer {
    let (found, is_known) = check(&call).await?;
    Ok(json!({"exist": found.is_some(), "chatId": text(found), "fromCache": is_known}))
}

/// The same for clients of another messenger.
pub(super) async fn check_whatsapp(call: Call) -> Answer {
    let (found, is_known) = check(&call).await?;
    let is = found.is_some();
    Ok(json!({"existsWhatsapp": is, "exist": is, "chatId": text(found), "fromCache": is_known}))
}

async fn check(call: &Call) -> Result<(Option<ChatId>, bool), Failed> {
    let said = &call.arguments;
    let name = said.optional_text("username", limits::WORD)?;
    let who = match (said.value("phoneNumber"), name, said.chat_value()) {
        (None, Some(name), _) => {
            let name = format!("@{}", name.trim().trim_start_matches('@'));
            Address::read(&name).map_err(|_| {
                Failed::wrong("username", "must be a name as \"@anna\"", said.value("username"))
            })?
        }
        (None, None, Some(value)) => match said.chat()? {
            Address::Chat(_) => {
                let want = "must be a phone number as \"79991234567@c.us\", or a name as \"@anna\"";
                return Err(Failed::wrong("chatId", want, Some(value)));
            }
            who => who,
        },
        (_, _, _) => Address::Phone(said.phone("phoneNumber")?),
    };
    let is_fresh = said.flag("force")?.unwrap_or(false);
    Ok(call.instance.check(&who, is_fresh).await?)
}

fn text(chat: Option<ChatId>) -> String {
    chat.map(|chat| chat.to_string()).unwrap_or_default()
}

/// The link to a chat's picture.
pub(super) async fn avatar(call: Call) -> Answer {
    let chat = call.arguments.chat()?;
    Ok(json!({"urlAvatar": call.instance.avatar_link(&chat).await?}))
}

/// The account's contacts.
pub(super) async fn contacts(call: Call) -> Answer {
    let count = call.arguments.integer("count", limits::COUNT)?.unwrap_or(*limits::COUNT.end());
    let contacts = call.instance.messenger().contacts().await?;
    let most = usize::try_from(count).unwrap_or_default();
    Ok(contacts.iter().take(most).map(shape::contact).collect::<Vec<Value>>().into())
}

/// What is known of somebody.
pub(super) async fn contact_info(call: Call) -> Answer {
    let who = call.arguments.chat()?;
    if matches!(&who, Address::Chat(id) if !id.is_person()) {
        let value = call.arguments.chat_value();
        return Err(Failed::wrong("chatId", "must be a person's number, not a group's", value));
    }
    let who = call.instance.named(&who).await?;
    let found = call.instance.messenger().info(&who).await?;
    let avatar = call.instance.avatar_link(&Address::Chat(found.person.id)).await.unwrap_or_default();
    Ok(shape::contact_info(&found, &avatar))
}

/// The account's chats, those with the newest messages first.
pub(super) async fn chats(call: Call) -> Answer {
    let count = call.arguments.integer("count", limits::COUNT)?.unwrap_or(limits::CHATS);
    let chats = call.instance.messenger().chats(usize::try_from(count).unwrap_or_default()).await?;
    Ok(chats.iter().map(shape::chat).collect::<Vec<Value>>().into())
}

/// Changes a message of the account's own.
pub(super) async fn edit_message(call: Call) -> Answer {
    let (chat, id) = (call.arguments.chat()?, call.arguments.message("idMessage")?);
    let text = call.arguments.text("message", limits::EDITED)?;
    call.instance.edit(&chat, id, &text, &[], None).await?;
    Ok(json!({"idMessage": id.to_string()}))
}

/// Deletes a message, for everybody unless the call says otherwise.
pub(super) async fn delete_message(call: Call) -> Answer {
    let (chat, id) = (call.arguments.chat()?, call.arguments.message("idMessage")?);
    let is_for_me = call.arguments.flag("onlySenderDelete")?.unwrap_or(false);
    call.instance.delete(&chat, id, !is_for_me).await.map_err(|refused| match refused {
        Refused::Telegram(Failure::Unsupported(sentence)) => {
            Failed::bad_data(&format!("{sentence}: call it without 'onlySenderDelete'"))
        }
        refused => refused.into(),
    })?;
    Ok(json!({}))
}

/// Puts a chat into the archive.
pub(super) async fn archive_chat(call: Call) -> Answer {
    archive(&call, true).await
}

/// Takes a chat out of the archive.
pub(super) async fn unarchive_chat(call: Call) -> Answer {
    archive(&call, false).await
}

async fn archive(call: &Call, is_archived: bool) -> Answer {
    let chat = call.instance.chat(&call.arguments.chat()?).await?;
    call.instance.messenger().archive(chat, is_archived).await?;
    Ok(json!({}))
}

/// Shows that the account is writing, and goes on showing it for as long as the call says.
pub(super) async fn send_typing(call: Call) -> Answer {
    let said = call.arguments.chat()?;
    let kind = call.arguments.typing_kind()?;
    let ms = call.arguments.typing()?.map_or(0, |typing| typing.ms);
    let (chat, messenger) = (call.instance.named(&said).await?, call.instance.messenger());
    messenger.typing(&chat, kind).await?;
    let until = Instant::now() + Duration::from_millis(u64::from(ms));
    if until > Instant::now() + SHOWN {
        tokio::spawn(async move {
            while Instant::now() + SHOWN < until {
                sleep(SHOWN).await;
                if messenger.typing(&chat, kind).await.is_err() {
                    return;
                }
            }
        });
    }
    Ok(json!({}))
}

/// Puts somebody among the contacts.
pub(super) async fn add_contact(call: Call) -> Answer {
    contact(&call, "addContact").await
}

/// Changes what a contact is called.
pub(super) async fn edit_contact(call: Call) -> Answer {
    contact(&call, "editContact").await
}

async fn contact(call: &Call, key: &str) -> Answer {
    let said = &call.arguments;
    let who = said.chat()?;
    let first = said.text("firstName", 1..=limits::WORD)?;
    let last = said.optional_text("lastName", limits::WORD)?.unwrap_or_default();
    let who = call.instance.named(&who).await?;
    let person = call.instance.messenger().add_contact(&who, &first, &last).await?;
    Ok(json!({key: true, "chatId": person.id.to_string()}))
}

/// Takes somebody from among the contacts.
pub(super) async fn delete_contact(call: Call) -> Answer {
    let who = call.instance.named(&call.arguments.chat()?).await?;
    call.instance.messenger().delete_contact(&who).await?;
    Ok(json!({"deleteContact": true}))
}
