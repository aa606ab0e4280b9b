//! What is sent: one call, one message, or several that are in the queue all or none.

use serde_json::Value;

use super::buttons;
use super::error::{Code, Failed};
use super::said::{Said, Styled, plain};
use crate::chat::Address;
use crate::clock;
use crate::content::{Attachment, Content, FileKind, LeftOut, Place, VCard, has_link};
use crate::entity::{Entity, EntityKind};
use crate::id::MessageId;
use crate::instance::{Draft, Instance, Manner, is_link, with_end_of};

/// Longest name or title: characters.
const WORD: usize = 255;
/// Longest link.
const LINK: usize = 4096;
/// Most files of one call.
const FILES: usize = 10;
/// How far ahead something may be sent: milliseconds of a year.
const AHEAD_MS: i64 = 366 * 86_400_000;

/// The messages that a call wants to have sent.
pub(super) async fn drafts(
    instance: &Instance,
    action: &'static str,
    said: Said<'_>,
) -> Result<Vec<Draft>, Failed> {
    let to = said.dialog("dialog")?;
    let draft = |content| -> Result<Draft, Failed> {
        Ok(Draft {
            to: to.clone(),
            content,
            quoted: said.message("reply_to_message_id")?,
            forward: None,
            typing: None,
            manner: manner(said)?,
            buttons: None,
            method: action,
            request: said.request(),
        })
    };
    match action {
        "send_message" => {
            let buttons = buttons::read(instance, said, false)?;
            let content = message(instance, said).await?;
            if buttons.is_some() && content.files().count() > 1 {
                let sentence = "'buttons' go with a text or one file: Telegram takes none with several";
                return Err(Failed::bad(sentence));
            }
            Ok(vec![Draft { buttons, ..draft(content)? }])
        }
        "send_location" => Ok(vec![draft(location(said)?)?]),
        "send_contact" => Ok(vec![draft(contact(said)?)?]),
        _ => forwarded(instance, said, draft(Content::plain(""))?).await,
    }
}

/// How it is sent.
fn manner(said: Said<'_>) -> Result<Manner, Failed> {
    let fails_late = said.word("past", &["send", "error"])? == Some("error");
    let not_before_ms = match said.time("schedule_at")? {
        None => 0,
        Some(at_ms) => {
            let ahead_ms = at_ms - clock::unix_ms();
            if ahead_ms > AHEAD_MS {
                let want = "must be at most 366 days ahead";
                return Err(Failed::wrong("schedule_at", want, said.value("schedule_at")));
            }
            if ahead_ms <= 0 && fails_late {
                let want = "must be ahead, as \"past\" is \"error\"";
                return Err(Failed::wrong("schedule_at", want, said.value("schedule_at")));
            }
            if ahead_ms <= 0 { 0 } else { at_ms }
        }
    };
    Ok(Manner {
        is_silent: said.flag("silent")?.unwrap_or(false),
        hides_author: said.flag("hide_author")?.unwrap_or(false),
        needs_quoted: !said.flag("allow_without_reply")?.unwrap_or(false),
        takes_some: said.flag("partial")?.unwrap_or(false),
        not_before_ms,
    })
}

async fn message(instance: &Instance, said: Said<'_>) -> Result<Content, Failed> {
    let may_be_long = said.flag("split")?.unwrap_or(false);
    let styled = said.styled(may_be_long)?;
    let (mut files, left_out) = attachments(instance, said).await?;
    match (styled, files.is_empty()) {
        (None, true) => {
            let is = said.value("text").map_or("missing", |_| "empty");
            Err(Failed::bad(format!("'text' must be a text, as there are no 'attachments'; it is {is}")))
        }
        (Some(Styled { text, entities }), true) => {
            let is_wanted = said.flag("link_preview")?.unwrap_or(true);
            let has_preview = is_wanted && (has_link(&text) || entities.iter().any(is_linked));
            Ok(Content::Text { text, has_preview, entities })
        }
        (styled, false) => {
            let Styled { text: caption, entities } =
                styled.unwrap_or(Styled { text: String::new(), entities: Vec::new() });
            Ok(Content::File { file: files.remove(0), more: files, left_out, caption, entities })
        }
    }
}

/// Whether a link is behind other words.
fn is_linked(entity: &Entity) -> bool {
    matches!(entity.kind, EntityKind::TextLink { .. })
}

/// The files that are named, and those that cannot be had and may be left out.
async fn attachments(instance: &Instance, said: Said<'_>) -> Result<(Vec<Attachment>, Vec<LeftOut>), Failed> {
    let is_plain = said.word("attachments_as", &["media", "documents"])? == Some("documents");
    let Some(value) = said.value("attachments") else { return Ok((Vec::new(), Vec::new())) };
    let want = format!(
        "must be a list of 1 to {FILES} files, as [{{\"title\":\"price.pdf\",\"url\":\"https://example.org/price.pdf\"}}]"
    );
    let all = value.as_array().ok_or_else(|| Failed::wrong("attachments", &want, Some(value)))?;
    if all.len() > FILES {
        return Err(Failed::bad(format!("'attachments' {want}; it has {}", all.len())));
    }
    let takes_some = said.flag("partial")?.unwrap_or(false);
    let (mut files, mut left_out, mut first) = (Vec::with_capacity(all.len()), Vec::new(), None);
    for (number, item) in all.iter().enumerate() {
        match attachment(instance, number, item).await {
            Ok(file) if is_plain => files.push(Attachment { is_plain, kind: FileKind::Document, ..file }),
            Ok(file) => files.push(file),
            Err(failed) if takes_some && failed.code == Code::AttachmentFailed => {
                let name = item.get("title").or_else(|| item.get("url")).and_then(plain).unwrap_or_default();
                let item = failed.item.unwrap_or(0);
                left_out.push(LeftOut { item, name, cause: failed.message.clone() });
                first.get_or_insert(failed);
            }
            Err(failed) => return Err(failed),
        }
    }
    match first {
        Some(failed) if files.is_empty() => Err(failed),
        _ => Ok((files, left_out)),
    }
}

async fn attachment(instance: &Instance, number: usize, item: &Value) -> Result<Attachment, Failed> {
    let key = format!("attachments[{number}]");
    let place = u32::try_from(number).ok();
    let fields = match item {
        Value::Object(fields) => Said::of(fields),
        other => {
            return Err(Failed::wrong(&key, "must be an object with url, and perhaps title", Some(other)));
        }
    };
    if let Value::Object(all) = item
        && let Some(other) = all.keys().find(|key| !["title", "url"].contains(&key.as_str()))
    {
        return Err(Failed::bad(format!("'{other}' means nothing in {key}; it takes title and url")));
    }
    let value = fields.value("url");
    let url = value.and_then(plain).unwrap_or_default();
    if url.len() > LINK || !is_link(&url) {
        let want = "must be a link that begins with http:// or https://";
        return Err(Failed { item: place, ..Failed::wrong(&format!("{key}.url"), want, value) });
    }
    let title = fields.text("title", WORD)?.map(|title| with_end_of(title, &url));
    instance.attachment(&url, title).await.map_err(|refused| {
        let sentence = format!("{key}: {refused}");
        Failed { item: place, ..Failed::new(Code::AttachmentFailed, sentence) }
    })
}

fn location(said: Said<'_>) -> Result<Content, Failed> {
    Ok(Content::Location(Place {
        latitude: said.degrees("latitude", 90.0)?,
        longitude: said.degrees("longitude", 180.0)?,
        name: said.text("title", WORD)?.unwrap_or_default(),
        address: said.text("address", WORD)?.unwrap_or_default(),
    }))
}

fn contact(said: Said<'_>) -> Result<Content, Failed> {
    let phone = said.needed("phone", 32)?;
    if !matches!(Address::read(&format!("+{}", phone.trim_start_matches('+'))), Ok(Address::Phone(_))) {
        let want = "must be a phone number of 5 to 15 digits, as \"+79991234567\"";
        return Err(Failed::wrong("phone", want, said.value("phone")));
    }
    Ok(Content::Contact(VCard {
        phone,
        first_name: said.needed("first_name", WORD)?,
        last_name: said.text("last_name", WORD)?.unwrap_or_default(),
        company: said.text("company", WORD)?.unwrap_or_default(),
        vcard: String::new(),
    }))
}

/// Messages of a chat, forwarded to another.
async fn forwarded(instance: &Instance, said: Said<'_>, whole: Draft) -> Result<Vec<Draft>, Failed> {
    let from = said.dialog("from_dialog")?;
    let ids: Vec<MessageId> = said.messages("message_ids")?;
    let chat = instance.chat(&from).await?;
    let mut drafts = Vec::with_capacity(ids.len());
    for (number, id) in ids.into_iter().enumerate() {
        let record = instance
            .message(&from, id)
            .await
            .map_err(|refused| Failed { item: u32::try_from(number).ok(), ..refused.into() })?;
        drafts.push(Draft { content: record.content, forward: Some((chat, record.id)), ..whole.clone() });
    }
    Ok(drafts)
}
