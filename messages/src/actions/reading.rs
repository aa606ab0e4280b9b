//! What is asked: chats, cards, messages. Messages that are told are in the journal from then on, and have a number there.

use serde_json::{Value, json};

use super::error::{Code, Failed};
use super::said::Said;
use super::shape;
use crate::chat::{Address, Chat};
use crate::instance::{Instance, InstanceKind};
use crate::messenger::{Failure, Search};

/// Most chats that are looked through.
const DIALOGS: i64 = 2_000;
/// Most messages that are told at once.
const MESSAGES: i64 = 100;
/// Where what is told comes from, if not from Telegram.
const JOURNAL: &str = "journal";
/// How many are told if nobody says.
const USUAL: i64 = 20;

/// Whether what is asked can be so.
pub(super) fn check(action: &str, said: Said<'_>) -> Result<(), Failed> {
    match action {
        "get_dialogs" => read_dialogs(said).map(drop),
        "get_profile" => read_profile(said).map(drop),
        _ => read_messages(said).map(drop),
    }
}

struct Dialogs {
    limit: usize,
    offset: usize,
    query: String,
    kind: Option<&'static str>,
}

fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn read_dialogs(said: Said<'_>) -> Result<Dialogs, Failed> {
    Ok(Dialogs {
        limit: size(said.integer("limit", 1..=500)?.unwrap_or(50)),
        offset: size(said.integer("offset", 0..=DIALOGS)?.unwrap_or(0)),
        query: said.text("query", 255)?.unwrap_or_default().to_lowercase(),
        kind: said.word("type", &["private", "bot", "group", "supergroup", "channel"])?,
    })
}

/// The account's chats, those with the newest messages first.
pub(super) async fn dialogs(instance: &Instance, said: Said<'_>) -> Result<Value, Failed> {
    let Dialogs { limit, offset, query, kind } = read_dialogs(said)?;
    let is_filtered = !query.is_empty() || kind.is_some();
    let count = if is_filtered { size(DIALOGS) } else { offset + limit + 1 };
    let fits = |chat: &Chat| {
        let names = || [Some(&chat.title), chat.username.as_ref(), chat.phone.as_ref()].into_iter().flatten();
        kind.is_none_or(|kind| shape::kind(chat.kind) == kind)
            && (query.is_empty() || names().any(|name| name.to_lowercase().contains(&query)))
    };
    match instance.messenger().dialogs(count).await {
        Err(Failure::Unsupported(_)) => {
            let mut all = instance.known_chats(count).await?;
            all.retain(|(chat, _)| fits(chat));
            let next = (all.len() > offset + limit).then_some(offset + limit);
            let page = all.iter().skip(offset).take(limit);
            let dialogs: Vec<_> = page.map(|(chat, last)| shape::known_chat(instance, chat, last)).collect();
            Ok(json!({"dialogs": dialogs, "next": next, "source": JOURNAL}))
        }
        told => {
            let mut all = told?;
            all.retain(|dialog| fits(&dialog.chat));
            let next = (all.len() > offset + limit).then_some(offset + limit);
            let page = instance.with_last(all.into_iter().skip(offset).take(limit).collect()).await?;
            let dialogs: Vec<_> =
                page.iter().map(|(dialog, last)| shape::dialog(instance, dialog, last.as_ref())).collect();
            Ok(json!({"dialogs": dialogs, "next": next}))
        }
    }
}

/// Nobody else than the account itself is called so: names have five letters and more.
fn read_profile(said: Said<'_>) -> Result<Option<Address>, Failed> {
    match said.value("dialog") {
        None => Ok(None),
        Some(value) if value == "self" || value == "me" => Ok(None),
        Some(_) => said.dialog("dialog").map(Some),
    }
}

/// The card of a person, a group or a channel.
pub(super) async fn profile(instance: &Instance, said: Said<'_>) -> Result<Value, Failed> {
    let Some(of) = read_profile(said)? else { return Ok(shape::own_profile(instance)) };
    let chat = instance.chat(&of).await?;
    let messenger = instance.messenger();
    if chat.is_person() {
        return Ok(shape::profile(&messenger.info(&Address::Chat(chat)).await?));
    }
    Ok(shape::group(&messenger.group(chat).await?))
}

enum Messages {
    Numbers(Vec<crate::id::MessageId>),
    Search(Search),
}

fn read_messages(said: Said<'_>) -> Result<(Address, Messages), Failed> {
    let of = said.dialog("dialog")?;
    if said.value("ids").is_some() {
        return Ok((of, Messages::Numbers(said.messages("ids")?)));
    }
    let seconds = |key| said.time(key).map(|time| time.map(|ms| ms / 1000));
    let search = Search {
        query: said.text("query", 255)?.unwrap_or_default(),
        before: said.message("from_id")?.and_then(|id| i32::try_from(id.get()).ok()),
        since_s: seconds("since")?,
        until_s: seconds("until")?,
        count: size(said.integer("limit", 1..=MESSAGES)?.unwrap_or(USUAL)),
    };
    Ok((of, Messages::Search(search)))
}

/// Messages of a chat, the newest first, or those with certain numbers.
pub(super) async fn messages(instance: &Instance, said: Said<'_>) -> Result<Value, Failed> {
    let (of, asked) = read_messages(said)?;
    let (records, next) = match asked {
        Messages::Numbers(ids) => {
            let records = instance.messages(&of, &ids).await?;
            if records.is_empty() {
                return Err(Failed::new(
                    Code::MessageNotFound,
                    "none of the messages in 'ids' is in this chat",
                ));
            }
            (records, None)
        }
        Messages::Search(mut search) => {
            // Ours has the number of Telegram's in the journal.
            if let Some(from) = said.message("from_id")?.filter(|_| search.before.is_none()) {
                let record = instance.message(&of, from).await?;
                search.before = record.tg_id;
            }
            let records = instance.search(&of, &search).await?;
            let last = records.last().and_then(|record| record.tg_id);
            (records.clone(), last.filter(|_| records.len() >= search.count))
        }
    };
    let shown: Vec<_> = records.iter().map(|record| shape::message(instance, record)).collect();
    let mut told = json!({"messages": shown, "next": next});
    if instance.kind() == InstanceKind::Bot {
        // Telegram tells a bot nothing of what was.
        told["source"] = JOURNAL.into();
    }
    Ok(told)
}
