//! People who are notified: by the key that their bot gave them, by their phone, or in a chat.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tgtrunk_config::Said;
use tgtrunk_config::control::BotPerson;
use tgtrunk_messages::{Address, Grant};

use super::answer::{Answer, Failed};
use super::bots::seconds;
use super::door::Call;
use super::fields::Fields;
use super::organisations::english;
use super::store::{Organisation, Recipient};
use super::{Directory, time};
use crate::clock;

pub(super) const FIELDS: [&str; 8] =
    ["id", "key", "title", "phone", "dialog", "organisation", "notify", "blocked"];
/// Longest title and key, in characters.
const TITLE: usize = 100;
const KEY: usize = 64;
/// How many are shown at once.
const PAGE: i64 = 1_000;

/// A recipient who was kept.
pub(super) struct Changed {
    pub(super) kept: Recipient,
    /// Whom bots know, by their keys.
    pub(super) seen: BTreeMap<String, BotPerson>,
    pub(super) warnings: Vec<Said>,
}

impl Call {
    /// Those that the token is good for.
    pub(super) async fn recipients(self) -> Answer {
        let mut said = Fields::of(self.query.clone(), &["organisation", "after", "limit"])?;
        let organisation = said.number("organisation", 1..=i64::MAX)?.flatten();
        let after = said.number("after", 0..=i64::MAX)?.flatten().unwrap_or(0);
        let limit = said.number("limit", 1..=PAGE)?.flatten().unwrap_or(PAGE);
        let directory = &self.directory;
        let store = directory.store()?;
        let organisations = store.organisations().await?;
        let seen = directory.seen().await.unwrap_or_default();
        let mut shown = Vec::new();
        for one in store.recipients().await? {
            let is_wanted = organisation.is_none_or(|organisation| one.organisation == Some(organisation));
            if one.id <= after || !is_wanted || !directory.knows(self.grant, &one, &organisations) {
                continue;
            }
            if i64::try_from(shown.len()).is_ok_and(|count| count >= limit) {
                break;
            }
            shown.push(shown_of(&one, &seen, &[]));
        }
        Ok(Value::Array(shown))
    }

    /// One of them.
    pub(super) async fn recipient(self) -> Answer {
        let directory = &self.directory;
        let (id, store) = (self.id.unwrap_or_default(), directory.store()?);
        let organisations = store.organisations().await?;
        let one = store.recipient(id).await?.filter(|one| directory.knows(self.grant, one, &organisations));
        let one = one.ok_or_else(|| Failed::missing(format!("there is no recipient {id}")))?;
        Ok(shown_of(&one, &directory.seen().await.unwrap_or_default(), &[]))
    }

    /// Keeps a new one, or changes the one whose number is said: what is not said stays, null takes away.
    pub(super) async fn keep_recipient(self) -> Answer {
        self.manages("recipients")?;
        let changed = self.directory.change_recipient(Fields::read(&self.body, &FIELDS)?).await?;
        Ok(shown_of(&changed.kept, &changed.seen, &changed.warnings))
    }

    /// Forgets one.
    pub(super) async fn forget_recipient(self) -> Answer {
        self.manages("recipients")?;
        let id = self.id.unwrap_or_default();
        self.directory.remove_recipient(id).await?;
        Ok(json!({"id": id, "deleted": true}))
    }
}

impl Directory {
    /// Keeps a new recipient, or changes the one whose number is said.
    pub(super) async fn change_recipient(&self, mut said: Fields) -> Result<Changed, Failed> {
        let store = self.store()?;
        let _one = self.changing.lock().await;
        let mut kept = match said.number("id", 1..=i64::MAX)?.flatten() {
            Some(id) => store.recipient(id).await?.ok_or_else(|| {
                missing(id, format!("id = {id}: there is no such recipient; leave id out to make one"))
            })?,
            None => Recipient {
                id: 0,
                key: None,
                title: String::new(),
                phone: None,
                dialog: None,
                organisation: None,
                is_notified: true,
                is_blocked: false,
                first_seen_s: None,
                last_seen_s: None,
                created_s: clock::unix_s(),
            },
        };
        let title = said.text("title", TITLE)?;
        if title == Some(None) || (title.is_none() && kept.id == 0) {
            let failed = Failed::bad(format!("title is missing: want a text of 1 to {TITLE} characters"));
            return Err(failed.of("title").in_russian(format!("нужно имя от 1 до {TITLE} знаков")));
        }
        kept.title = title.flatten().unwrap_or(kept.title);
        let before = kept.key.clone();
        if let Some(key) = said.word("key", KEY)? {
            kept.key = key;
        }
        if let Some(phone) = said.word("phone", 32)? {
            kept.phone = phone.map(|text| phone_of(&text)).transpose()?;
        }
        if let Some(dialog) = said.word("dialog", 64)? {
            kept.dialog = dialog.map(|text| dialog_of(&text)).transpose()?;
        }
        if let Some(named) = said.take("organisation") {
            let all = store.organisations().await?;
            kept.organisation = organisation_of(&all, &named)?.map(|organisation| organisation.id);
        }
        kept.is_notified = said.flag("notify")?.unwrap_or(kept.is_notified);
        kept.is_blocked = said.flag("blocked")?.unwrap_or(kept.is_blocked && before == kept.key);
        if kept.key.is_none() && kept.phone.is_none() && kept.dialog.is_none() {
            return Err(Failed::bad(
                "a recipient needs one of key (that a bot gave), phone (as \"+79001112233\") and dialog (as \"@anna\")",
            )
            .of("phone")
            .in_russian("нужно хотя бы одно: ключ, который выдал бот, телефон (+79001112233) или чат (@anna)"));
        }
        self.refuse_same(&kept).await?;
        let (mut warnings, seen) = (Vec::new(), self.seen().await);
        if let Some(key) = &kept.key {
            match &seen {
                Ok(seen) => match seen.get(key) {
                    Some(person) => note(&mut kept, person),
                    None => warnings.push(Said::new(
                        format!(
                            "key = {key:?}: no bot has given this key to anybody that it remembers; it is kept all the same"
                        ),
                        format!("key = {key:?}: боты не помнят, чтобы выдавали такой ключ; он всё равно сохранён"),
                    )),
                },
                Err(why) => warnings.push(Said::new(
                    format!("whether key = {key:?} is known cannot be looked up: {why}"),
                    format!("не удалось узнать, знают ли боты key = {key:?}: {why}"),
                )),
            }
        }
        if let Some(phone) = &kept.phone
            && let Some(organisation) = kept.organisation
            && let Some(organisation) = store.organisation(organisation).await?
            && organisation.sender.is_none()
        {
            let name = organisation.name;
            warnings.push(Said::new(
                format!("{phone} is not notified as long as organisation {name:?} has no sender"),
                format!("{phone} не получит уведомлений, пока у организации {name:?} нет отправителя"),
            ));
        }
        kept.id = store.keep_recipient(&kept).await?;
        Ok(Changed { kept, seen: seen.unwrap_or_default(), warnings })
    }

    /// Forgets a recipient.
    pub(super) async fn remove_recipient(&self, id: i64) -> Result<(), Failed> {
        let _one = self.changing.lock().await;
        match self.store()?.forget_recipient(id).await? {
            true => Ok(()),
            false => Err(missing(id, format!("there is no recipient {id}"))),
        }
    }

    /// Whether a token is good for somebody.
    pub(super) fn knows(&self, grant: Grant, one: &Recipient, organisations: &[Organisation]) -> bool {
        let own = organisations.iter().find(|organisation| Some(organisation.id) == one.organisation);
        grant == Grant::All || own.is_some_and(|own| self.is_for(grant, own))
    }

    /// Whom bots know, by their keys; or why nobody can tell.
    pub(super) async fn seen(&self) -> Result<BTreeMap<String, BotPerson>, String> {
        let people = self.all_people().await.map_err(|trouble| trouble.text())?;
        Ok(people.into_iter().filter_map(|(_, person)| Some((person.key.clone()?, person))).collect())
    }

    async fn refuse_same(&self, kept: &Recipient) -> Result<(), Failed> {
        let store = self.store()?;
        let mut found = Vec::new();
        if let Some(key) = &kept.key {
            found.push(("key", key, store.recipient_by_key(key).await?));
        }
        if let Some(phone) = &kept.phone {
            found.push(("phone", phone, store.recipient_by_phone(phone).await?));
        }
        if let Some(dialog) = &kept.dialog {
            found.push(("dialog", dialog, store.recipient_by_dialog(dialog).await?));
        }
        for (what, value, other) in found {
            if let Some(other) = other.filter(|other| other.id != kept.id) {
                let (id, title) = (other.id, other.title);
                return Err(Failed::taken(format!(
                    "{what} = {value:?}: recipient {id} ({title:?}) has it already"
                ))
                .of(what)
                .in_russian(format!("{what} = {value:?}: уже есть у получателя {id} ({title:?})")));
            }
        }
        Ok(())
    }
}

fn missing(id: i64, message: String) -> Failed {
    Failed::missing(message).in_russian(format!("получателя {id} нет: его удалили"))
}

/// An organisation by its number, or its name; none for null.
pub(super) fn organisation_of<'o>(
    all: &'o [Organisation],
    named: &Value,
) -> Result<Option<&'o Organisation>, Failed> {
    let by_id = |id: i64| all.iter().find(|one| one.id == id);
    let found = match named {
        Value::Null => return Ok(None),
        Value::String(text) => {
            let name = text.trim().to_lowercase();
            let by_name = all.iter().find(|one| one.name.to_lowercase() == name);
            by_name.or_else(|| by_id(name.parse().ok()?))
        }
        other => other.as_i64().and_then(by_id),
    };
    found.map(Some).ok_or_else(|| {
        let there: Vec<String> =
            all.iter().take(20).map(|one| format!("{} ({})", one.id, one.name)).collect();
        let there = if there.is_empty() { "there is none yet".to_owned() } else { there.join(", ") };
        let want = format!("want the number or the name of one: {there}");
        Failed::wrong("organisation", named, &want.into()).not_found()
    })
}

/// A phone number as it is kept.
pub(super) fn phone_of(text: &str) -> Result<String, Failed> {
    match Address::read(&format!("+{}", text.trim().trim_start_matches('+'))) {
        Ok(Address::Phone(digits)) => Ok(format!("+{digits}")),
        _ => Err(Failed::bad(format!(
            "phone = {text:?}: want 5 to 15 digits with the country code first, as \"+79001112233\""
        ))
        .of("phone")
        .in_russian(format!(
            "phone = {text:?}: нужно от 5 до 15 цифр с кодом страны, например +79001112233"
        ))),
    }
}

/// A chat as it is kept.
pub(super) fn dialog_of(text: &str) -> Result<String, Failed> {
    match Address::read(text) {
        Ok(Address::Username(name)) => Ok(format!("@{}", name.to_lowercase())),
        Ok(Address::Chat(chat)) => Ok(chat.to_string()),
        Ok(Address::Phone(_)) => {
            Err(Failed::bad(format!("dialog = {text:?}: a phone number belongs into phone"))
                .of("dialog")
                .in_russian(format!("dialog = {text:?}: номер телефона пишется в поле телефона")))
        }
        Err(_) => Err(Failed::bad(format!(
            "dialog = {text:?}: want @name, or a chat's number as \"-1001234567890\""
        ))
        .of("dialog")
        .in_russian(format!("dialog = {text:?}: нужно @имя или номер чата, например -1001234567890"))),
    }
}

/// What the bot knows of somebody.
pub(super) fn note(one: &mut Recipient, person: &BotPerson) {
    one.is_blocked = person.blocked;
    one.first_seen_s = person.since_ms.map(seconds).or(one.first_seen_s);
    one.last_seen_s = person.last_ms.map(seconds).or(one.last_seen_s);
}

fn shown_of(one: &Recipient, seen: &BTreeMap<String, BotPerson>, warnings: &[Said]) -> Value {
    let mut one = one.clone();
    if let Some(person) = one.key.as_ref().and_then(|key| seen.get(key)) {
        note(&mut one, person);
    }
    json!({
        "id": one.id,
        "key": one.key,
        "title": one.title,
        "phone": one.phone,
        "dialog": one.dialog,
        "organisation": one.organisation,
        "notify": one.is_notified,
        "blocked": one.is_blocked,
        "first_seen": one.first_seen_s.map(time),
        "last_seen": one.last_seen_s.map(time),
        "created": time(one.created_s),
        "warnings": english(warnings),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_and_chats_are_kept_in_one_way_however_they_are_written() {
        for text in ["+79001112233", "79001112233", "+7 (900) 111-22-33"] {
            assert_eq!(phone_of(text).unwrap(), "+79001112233");
        }
        assert_eq!(dialog_of("@Anna_B").unwrap(), "@anna_b");
        assert_eq!(dialog_of("-1001234567890").unwrap(), "-1001234567890");
        for wrong in ["", "+7", "anna"] {
            assert!(phone_of(wrong).unwrap_err().message.contains("want 5 to 15 digits"), "{wrong}");
        }
        assert!(dialog_of("+79001112233").unwrap_err().message.contains("belongs into phone"));
        assert!(dialog_of("anna").unwrap_err().message.contains("want @name"));
    }

    #[test]
    fn an_organisation_is_found_by_name_before_number() {
        let one = |id, name: &str| Organisation {
            id,
            name: name.to_owned(),
            sender: None,
            bot: None,
            channel: None,
            api_id: None,
            api_hash_sha256: None,
            created_s: 0,
        };
        let all = [one(1, "2"), one(2, "Филиал")];
        let found = |named: Value| organisation_of(&all, &named).map(|found| found.map(|one| one.id));
        assert_eq!(found(json!("2")), Ok(Some(1)));
        assert_eq!(found(json!(2)), Ok(Some(2)));
        assert_eq!(found(json!(" филиал")), Ok(Some(2)));
        assert_eq!(found(json!("1")), Ok(Some(1)));
        assert_eq!(found(Value::Null), Ok(None));
        for wrong in [json!("x"), json!(3), json!(true)] {
            let missing = found(wrong).unwrap_err();
            assert_eq!(missing, missing.clone().not_found());
            assert!(missing.message.contains("1 (2), 2 (Филиал)"), "{}", missing.message);
        }
    }
}
