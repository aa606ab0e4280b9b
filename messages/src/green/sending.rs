//! What is sent. A message is in the outgoing queue, and on the disk, before its number is told.

use serde_json::{Value, json};

use super::answer::Answer;
use super::arguments::{self, plain};
use super::call::Call;
use super::error::Failed;
use super::limits;
use crate::chat::Address;
use crate::content::{Content, Place, Poll, VCard, has_link};
use crate::id::MessageId;
use crate::instance::{Draft, Manner, Refused, is_link, kept, name_in};
use crate::outbox::TEXT_UNITS;

/// A text.
pub(super) async fn send_message(call: Call) -> Answer {
    let text = call.arguments.text("message", limits::MESSAGE)?;
    let units = text.encode_utf16().count();
    if units > TEXT_UNITS && call.instance.refuses_long_texts() {
        let want = format!("must be a text of 1 to {TEXT_UNITS} characters (UTF-16 code units)");
        return Err(Failed::validation(&format!("'message' {want}; it has {units}")));
    }
    let has_preview = has_link(&text) && call.arguments.flag("linkPreview")?.unwrap_or(true);
    queue(&call, "sendMessage", Content::Text { text, has_preview, entities: Vec::new() }).await
}

/// A link, shown with a picture of where it leads.
pub(super) async fn send_link(call: Call) -> Answer {
    let text = call.arguments.text("urlLink", limits::LINK)?;
    queue(&call, "sendMessage", Content::Text { text, has_preview: true, entities: Vec::new() }).await
}

/// A file that comes with the call.
pub(super) async fn send_file_by_upload(mut call: Call) -> Answer {
    let draft = draft(&call, "sendFileByUpload", placeholder())?;
    let caption = call.arguments.optional_text("caption", limits::CAPTION)?.unwrap_or_default();
    let name = call.arguments.optional_text("fileName", limits::WORD)?;
    let upload = call.upload.take().ok_or_else(|| Failed::wrong("file", "must be a file", None))?;
    let stored = upload.finish().await?;
    let url = stored.url.clone();
    let content = Content::file(kept(stored, name), caption);
    let accepted = call.instance.send(Draft { content, ..draft }).await?;
    Ok(json!({"idMessage": accepted.id.to_string(), "urlFile": url}))
}

/// A file that is fetched before it is sent.
pub(super) async fn send_file_by_url(call: Call) -> Answer {
    let url = call.arguments.text("urlFile", limits::LINK)?.trim().to_owned();
    if !is_link(&url) {
        let want = "must be a link that begins with http:// or https://";
        return Err(Failed::wrong("urlFile", want, call.arguments.value("urlFile")));
    }
    let said = call.arguments.optional_text("fileName", limits::WORD)?;
    let name = said.or_else(|| name_in(&url)).ok_or_else(|| {
        Failed::wrong("fileName", "must be the file's name with its extension, as \"price.pdf\"", None)
    })?;
    let caption = call.arguments.optional_text("caption", limits::CAPTION)?.unwrap_or_default();
    let file = call.instance.attachment(&url, Some(name)).await.map_err(|refused| {
        Failed::from(Refused::Bad(format!("'urlFile' must be a file that can be fetched: {refused}")))
    })?;
    queue(&call, "sendFileByUrl", Content::file(file, caption)).await
}

/// Lays a file down, to be sent by its link.
pub(super) async fn upload_file(mut call: Call) -> Answer {
    let upload = call.upload.take().ok_or_else(|| Failed::wrong("file", "must be a file", None))?;
    let stored = upload.finish().await?;
    Ok(json!({"urlFile": stored.url}))
}

/// A place.
pub(super) async fn send_location(call: Call) -> Answer {
    let said = &call.arguments;
    let place = Place {
        latitude: said.degrees("latitude", 90.0)?,
        longitude: said.degrees("longitude", 180.0)?,
        name: said.optional_text("nameLocation", limits::WORD)?.unwrap_or_default(),
        address: said.optional_text("address", limits::CAPTION)?.unwrap_or_default(),
    };
    queue(&call, "sendLocation", Content::Location(place)).await
}

/// Somebody's number and name, or somebody whom the account knows.
pub(super) async fn send_contact(call: Call) -> Answer {
    let said = call.arguments.value("contact");
    // A form says the contact as JSON.
    let parsed = said.and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let contact: Value = parsed.or_else(|| said.cloned()).unwrap_or_default();
    let field = |key: &str| {
        let text = contact.get(key).and_then(plain).unwrap_or_default();
        text.trim().chars().take(limits::WORD).collect::<String>()
    };
    let phone = match field("phoneContact") {
        empty if empty.is_empty() => field("phoneNumber"),
        phone => phone,
    };
    let card = match contact.get("chatId").filter(|id| phone.is_empty() && !id.is_null()) {
        Some(id) => known(&call, &arguments::address("contact.chatId", id)?).await?,
        None => {
            if phone.bytes().filter(u8::is_ascii_digit).count() < 3 {
                let want = "must be an object with phoneContact, a phone number, or with chatId";
                return Err(Failed::wrong("contact", want, said));
            }
            VCard {
                first_name: field("firstName"),
                last_name: joined(&field("middleName"), &field("lastName")),
                company: field("company"),
                phone,
                vcard: String::new(),
            }
        }
    };
    queue(&call, "sendContact", Content::Contact(card)).await
}

async fn known(call: &Call, who: &Address) -> Result<VCard, Failed> {
    let who = call.instance.named(who).await?;
    let person = call.instance.messenger().info(&who).await?.person;
    let phone = person.phone.ok_or_else(|| {
        Failed::validation("'contact.chatId' must be somebody whose phone number the account sees")
    })?;
    let name = person.contact_name.unwrap_or(person.name);
    Ok(VCard {
        phone,
        first_name: name,
        last_name: String::new(),
        company: String::new(),
        vcard: String::new(),
    })
}

/// A question to be voted on.
pub(super) async fn send_poll(call: Call) -> Answer {
    let said = &call.arguments;
    let question = said.text("message", limits::QUESTION)?;
    let mut options: Vec<String> = Vec::new();
    for option in said.list("options") {
        let text = option.get("optionName").and_then(plain).or_else(|| plain(&option)).unwrap_or_default();
        if !limits::OPTION.contains(&text.chars().count()) || options.contains(&text) {
            let want = "must have answers of 1 to 100 characters, no two of them the same";
            return Err(Failed::wrong("options", want, Some(&option)));
        }
        options.push(text);
    }
    if !limits::OPTIONS.contains(&options.len()) {
        let want = "must be a list of 2 to 12 answers, as [{\"optionName\":\"Yes\"},{\"optionName\":\"No\"}]";
        return Err(Failed::wrong("options", want, said.value("options")));
    }
    let is_multiple = said.flag("multipleAnswers")?.unwrap_or(false);
    let is_anonymous = said.flag("isAnonymous")?.unwrap_or(true);
    queue(&call, "sendPoll", Content::Poll(Poll { question, options, is_multiple, is_anonymous })).await
}

/// Messages of a chat, forwarded to another. Either all are queued or none.
pub(super) async fn forward_messages(call: Call) -> Answer {
    let from = call.arguments.address("chatIdFrom")?;
    let ids = call.arguments.list("messages");
    if !limits::FORWARDED.contains(&ids.len()) {
        let want = "must be a list of 1 to 100 messages' numbers";
        return Err(Failed::wrong("messages", want, call.arguments.value("messages")));
    }
    let ids: Vec<MessageId> =
        ids.iter().map(|id| arguments::message("messages", id)).collect::<Result<_, _>>()?;
    let whole = draft(&call, "forwardMessages", placeholder())?;
    let chat = call.instance.chat(&from).await?;
    let mut drafts = Vec::new();
    for id in ids {
        let content = call.instance.message(&from, id).await?.content;
        drafts.push(Draft { content, forward: Some((chat, id)), ..whole.clone() });
    }
    let accepted = call.instance.send_all(drafts).await?;
    let ids: Vec<String> = accepted.into_iter().map(|accepted| accepted.id.to_string()).collect();
    Ok(json!({"messages": ids}))
}

async fn queue(call: &Call, method: &'static str, content: Content) -> Answer {
    let accepted = call.instance.send(draft(call, method, content)?).await?;
    Ok(json!({"idMessage": accepted.id.to_string()}))
}

fn draft(call: &Call, method: &'static str, content: Content) -> Result<Draft, Failed> {
    let said = &call.arguments;
    Ok(Draft {
        buttons: None,
        to: said.chat()?,
        content,
        quoted: said.optional_message("quotedMessageId")?,
        forward: None,
        typing: said.typing()?,
        manner: Manner::default(),
        method,
        request: Value::Object(said.named().clone()),
    })
}

/// What stands in a draft until its content is known.
fn placeholder() -> Content {
    Content::plain("")
}

fn joined(first: &str, second: &str) -> String {
    [first, second].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
