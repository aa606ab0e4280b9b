//! Notifying people: whom, in whose name, by which way. What is taken is on the disk before it is answered, under the
//! request's own key where it has one.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tgtrunk_config::UserId;
use tgtrunk_messages::actions::LONGEST_KEY;
use tgtrunk_messages::{Address, ChatId, Grant, phone_hint};

use super::answer::{Answer, Failed};
use super::door::Call;
use super::fields::Fields;
use super::recipients::{dialog_of, organisation_of, phone_of};
use super::store::{Channel, MOST_OPEN, NewNotification, Notification, Organisation, Recipient, State};
use super::{Directory, time};
use crate::clock;

const FIELDS: [&str; 5] = ["recipient", "text", "organisation", "channel", "idempotency_key"];
/// Longest text, in UTF-16 units: Telegram takes so many in a message. An account sends longer ones as several.
const UNITS: usize = 4_096;
const UNITS_OF_SEVERAL: usize = 20_000;
/// How many are shown at once.
const PAGE: i64 = 500;

/// Who is to be notified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Target {
    row: Option<Recipient>,
    key: Option<String>,
    /// By phone, or in a chat.
    address: Option<String>,
    /// They are not to be notified.
    is_off: bool,
}

/// Who asks, and what there is of organisations: people of others are nobody to a token of one line.
#[derive(Clone, Copy)]
struct Asker<'o> {
    grant: Grant,
    organisations: &'o [Organisation],
}

impl Call {
    /// Notifies somebody.
    pub(super) async fn notify(self) -> Answer {
        let mut said = Fields::read(&self.body, &FIELDS)?;
        let directory = &self.directory;
        let store = directory.store()?;
        let scope = match self.grant {
            Grant::All => "all".to_owned(),
            Grant::Instance(id) => id.to_string(),
        };
        let idem_key = said.word("idempotency_key", LONGEST_KEY)?.flatten();
        let text = text(said.take("text"))?;
        let wanted = said.take("recipient").unwrap_or_default();
        let asked = asked(&wanted, &text);
        if let Some(key) = &idem_key
            && let Some(known) = store.notification_by_key(&scope, key, clock::unix_s()).await?
        {
            same(&known, key, &asked)?;
            return directory.told(&directory.followed(known).await?).await;
        }
        let organisations = store.organisations().await?;
        let asker = Asker { grant: self.grant, organisations: &organisations };
        let target = directory.target(&wanted, asker).await?;
        let organisation = match said.take("organisation").filter(|named| !named.is_null()) {
            Some(named) => match organisation_of(&organisations, &named) {
                Ok(found) => found.cloned(),
                // Whoever names nobody is told of their own alone.
                Err(_) => {
                    let own = organisations.iter().filter(|one| directory.is_for(self.grant, one));
                    let own: Vec<Organisation> = own.cloned().collect();
                    organisation_of(&own, &named)?.cloned()
                }
            },
            None => directory.usual(self.grant, target.row.as_ref(), &organisations)?,
        };
        if organisation.as_ref().is_some_and(|one| !directory.is_for(self.grant, one)) {
            return Err(Failed::forbidden(
                "this token is for one line, and the organisation has another sender",
            ));
        }
        let usual = organisation.as_ref().and_then(|one| one.channel);
        let channel = channel(said.take("channel"), &target, usual)?;
        let (sender, to) = match channel {
            Channel::User => {
                let sender = directory.account(self.grant, organisation.as_ref())?;
                (
                    Some(sender),
                    target
                        .address
                        .clone()
                        .or_else(|| by_id(&target))
                        .ok_or_else(|| no_way(&wanted, channel))?,
                )
            }
            Channel::Bot => {
                let key = target.key.clone().ok_or_else(|| no_way(&wanted, channel))?;
                if person(&key).is_none() {
                    return Err(Failed::bad(format!(
                        "key = {key:?}: no bot gave it, so no bot can write to it; keys of bots are numbers"
                    )));
                }
                directory
                    .bot_of(&scope, organisation.as_ref())
                    .map_err(|lacks| Failed::bad(format!("{lacks}{}", phone_hint(&key))))?;
                (None, key)
            }
        };
        let units = text.encode_utf16().count();
        let most = if channel == Channel::Bot { UNITS } else { UNITS_OF_SEVERAL };
        if units > most {
            let message = format!("text has {units} UTF-16 units: want 1 to {most}");
            return Err(Failed::too_long(message));
        }
        let row = target.row.as_ref();
        let off = target.is_off.then(|| match row {
            Some(row) => {
                format!("switched off: {:?} (recipient {}) is not to be notified", row.title, row.id)
            }
            None => "switched off: this person is not to be notified".to_owned(),
        });
        let new = NewNotification {
            scope,
            idem_key: idem_key.clone(),
            asked,
            recipient: row.map(|row| row.id),
            organisation: organisation.map(|one| one.id),
            channel,
            sender,
            target: to,
            text,
            state: if off.is_some() { State::Skipped } else { State::Waiting },
            reason: off,
        };
        let kept = store.add_notification(&new, clock::unix_s()).await?;
        let (kept, is_new) = kept.ok_or_else(|| {
            Failed::full(format!(
                "{MOST_OPEN} notifications are on their way already: ask again when some are sent"
            ))
        })?;
        let kept = match idem_key.filter(|_| !is_new) {
            Some(key) => same(&kept, &key, &new.asked).map(|()| kept)?,
            None => directory.hand_over(kept).await?,
        };
        directory.told(&kept).await
    }

    /// What became of one.
    pub(super) async fn notification(self) -> Answer {
        let (id, directory) = (self.id.unwrap_or_default(), &self.directory);
        let found = directory.store()?.notification(id).await?.filter(|one| is_own(self.grant, one));
        let found = found.ok_or_else(|| Failed::missing(format!("there is no notification {id}")))?;
        directory.told(&directory.followed(found).await?).await
    }

    /// The last ones, the latest first.
    pub(super) async fn notifications(self) -> Answer {
        let mut said = Fields::of(self.query.clone(), &["before", "limit"])?;
        let before = said.number("before", 1..=i64::MAX)?.flatten().unwrap_or(i64::MAX);
        let limit = said.number("limit", 1..=PAGE)?.flatten().unwrap_or(100);
        let own = match self.grant {
            Grant::All => None,
            Grant::Instance(id) => Some(id.to_string()),
        };
        let directory = &self.directory;
        let mut shown = Vec::new();
        for one in directory.store()?.notifications(before, limit, own.as_deref()).await? {
            shown.push(directory.told(&one).await?);
        }
        Ok(Value::Array(shown))
    }
}

impl Directory {
    /// Whom a request names: by the number of a recipient, a key, a phone number, a chat.
    async fn target(&self, wanted: &Value, asker: Asker<'_>) -> Result<Target, Failed> {
        let store = self.store()?;
        let want = "want a key, a phone number as \"+79001112233\", @name, the number of a recipient, \
             or {\"id\" | \"key\" | \"phone\" | \"dialog\": …}";
        let wrong = || Failed::wrong("recipient", wanted, &want.into());
        let said = match wanted {
            Value::Null => return Err(Failed::bad(format!("recipient is missing: {want}"))),
            Value::Object(said) => {
                let mut entries = said.iter();
                let (Some((by, value)), None) = (entries.next(), entries.next()) else { return Err(wrong()) };
                let value = plain(value).ok_or_else(wrong)?;
                let (row, bare) = match by.as_str() {
                    "id" => {
                        let row = match value.parse() {
                            Ok(id) => store.recipient(id).await?,
                            Err(_) => None,
                        };
                        let row = row.filter(|row| self.knows(asker.grant, row, asker.organisations));
                        return row.map(Target::of).ok_or_else(|| {
                            Failed::nobody(format!("recipient.id = {value}: there is no such recipient"))
                        });
                    }
                    "key" => (store.recipient_by_key(&value).await?, Target::by_key(value)),
                    "phone" => {
                        let phone = phone_of(&value)?;
                        (store.recipient_by_phone(&phone).await?, Target::at(phone))
                    }
                    "dialog" => {
                        let dialog = dialog_of(&value)?;
                        (store.recipient_by_dialog(&dialog).await?, Target::at(dialog))
                    }
                    _ => return Err(wrong()),
                };
                return Ok(self.seen_by(asker, row, bare));
            }
            plain_value => plain(plain_value).ok_or_else(wrong)?,
        };
        if said.starts_with('+') {
            let phone = phone_of(&said).map_err(|_| wrong())?;
            let row = store.recipient_by_phone(&phone).await?;
            return Ok(self.seen_by(asker, row, Target::at(phone)));
        }
        if said.starts_with('@') || said.starts_with('-') {
            let dialog = dialog_of(&said).map_err(|_| wrong())?;
            let row = store.recipient_by_dialog(&dialog).await?;
            return Ok(self.seen_by(asker, row, Target::at(dialog)));
        }
        if let Some(row) = store.recipient_by_key(&said).await? {
            return Ok(self.seen_by(asker, Some(row), Target::by_key(said)));
        }
        if let Ok(id) = said.parse()
            && let Some(row) = store.recipient(id).await?
            && self.knows(asker.grant, &row, asker.organisations)
        {
            return Ok(Target::of(row));
        }
        // Whether its bot knows it the bot says when it is asked to write.
        if person(&said).is_some() {
            return Ok(Target::by_key(said));
        }
        Err(Failed::nobody(format!("recipient = {said:?}: nobody has this key or number; {want}")))
    }

    /// Whom somebody who asks means: what is known of them, or no more than the request says where they are not theirs. That
    /// people are switched off holds for everybody.
    fn seen_by(&self, asker: Asker<'_>, row: Option<Recipient>, said: Target) -> Target {
        match row {
            Some(row) if self.knows(asker.grant, &row, asker.organisations) => Target::of(row),
            Some(row) => Target { is_off: !row.is_notified, ..said },
            None => said,
        }
    }

    /// In whose name somebody is notified where the request does not say: that of the recipient's organisation, or of the
    /// only one there is. A token of one line needs none.
    fn usual(
        &self,
        grant: Grant,
        row: Option<&Recipient>,
        all: &[Organisation],
    ) -> Result<Option<Organisation>, Failed> {
        if let Some(own) = row.and_then(|row| row.organisation) {
            return Ok(all.iter().find(|one| one.id == own).cloned());
        }
        match (grant, all) {
            (Grant::Instance(_), _) => Ok(None),
            (Grant::All, [only]) => Ok(Some(only.clone())),
            (Grant::All, _) => organisation_of(all, &Value::String(String::new()))
                .map(Option::<&Organisation>::cloned)
                .map_err(|failed| {
                    Failed::bad(failed.message.replacen("organisation = \"\"", "organisation is missing", 1))
                }),
        }
    }

    /// The number of the instance that sends.
    fn account(&self, grant: Grant, organisation: Option<&Organisation>) -> Result<String, Failed> {
        let organisation = match (organisation, grant) {
            (Some(organisation), _) => organisation,
            (None, Grant::Instance(id)) => return Ok(id.to_string()),
            (None, Grant::All) => return Err(Failed::bad("organisation is missing")),
        };
        let name = &organisation.name;
        let Some((sender, look)) = self.look_at(organisation.sender.as_deref()) else {
            return Err(Failed::no_sender(format!(
                "organisation {name:?} ({}) has no sender: give it one by POST /api/v1/organisations {{\"id\":{},\"sender\":\"+…\"}}",
                organisation.id, organisation.id
            )));
        };
        if !look.is_there {
            let message =
                format!("organisation {name:?}: its sender {} is not there any more", sender.text());
            return Err(Failed::no_sender(message));
        }
        look.instance.map(|id| id.to_string()).ok_or_else(|| {
            let sender = sender.text();
            Failed::starting(format!(
                "organisation {name:?}: its sender {sender} is starting, or switched off"
            ))
        })
    }

    /// A notification as programs see it.
    async fn told(&self, one: &Notification) -> Answer {
        let store = self.store()?;
        let recipient = match one.recipient {
            Some(id) => store.recipient(id).await?,
            None => None,
        };
        let organisation = match one.organisation {
            Some(id) => store.organisation(id).await?,
            None => None,
        };
        let state = match one.state {
            State::Waiting | State::Sending => State::Queued,
            state => state,
        };
        let message = one.message.map(|message| message.to_string());
        let is_user = one.channel == Channel::User;
        Ok(json!({
            "id": one.id,
            "state": state.as_str(),
            "reason": one.reason,
            "code": one.code,
            "channel": one.channel.as_str(),
            "recipient": one.recipient,
            "title": recipient.map(|row| row.title),
            "organisation": one.organisation,
            "organisation_name": organisation.map(|row| row.name),
            "instance": one.sender.as_ref().filter(|_| is_user),
            "bot": one.sender.as_ref().filter(|_| !is_user),
            "to": one.target,
            "id_message": message.as_ref().filter(|_| is_user),
            "message_id": one.message.filter(|_| !is_user),
            "text": one.text,
            "created": time(one.created_s),
            "updated": time(one.updated_s),
        }))
    }
}

impl Target {
    fn of(row: Recipient) -> Self {
        let address = row.phone.clone().or_else(|| row.dialog.clone());
        Self { key: row.key.clone(), address, is_off: !row.is_notified, row: Some(row) }
    }

    fn by_key(key: String) -> Self {
        Self { key: Some(key), ..Self::default() }
    }

    fn at(address: String) -> Self {
        Self { address: Some(address), ..Self::default() }
    }
}

/// Whose a notification is: of the token's scope, or sent by its line.
fn is_own(grant: Grant, one: &Notification) -> bool {
    match grant {
        Grant::All => true,
        Grant::Instance(id) => {
            let id = id.to_string();
            one.scope == id || (one.channel == Channel::User && one.sender.as_ref() == Some(&id))
        }
    }
}

/// What is kept of whom a request names and of its text, to know it again.
fn asked(wanted: &Value, text: &str) -> String {
    let value = |value: &Value| plain(value).unwrap_or_else(|| value.to_string());
    let whom = match wanted {
        Value::Object(said) => said.iter().map(|(by, said)| format!("{by}={};", value(said))).collect(),
        other => value(other),
    };
    hex::encode(Sha256::digest(format!("{}:{whom}{text}", whom.len())))
}

/// Refuses a key that stands for something else.
fn same(known: &Notification, key: &str, asked: &str) -> Result<(), Failed> {
    if known.asked == asked {
        return Ok(());
    }
    Err(Failed::taken(format!(
        "idempotency_key = {key:?}: notification {} was asked for under it, to another recipient or with another text; \
         each notification wants its own",
        known.id
    )))
}

/// A text that may have been written as a number.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => number.as_i64().map(|number| number.to_string()),
        _ => None,
    }
}

fn text(said: Option<Value>) -> Result<String, Failed> {
    match said {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        Some(other) => Err(Failed::wrong("text", &other, &"want a text of 1 to 4096 UTF-16 units".into())),
        None => Err(Failed::bad("text is missing: want a text of 1 to 4096 UTF-16 units")),
    }
}

/// By which way: as the request says, else as is usual.
fn channel(said: Option<Value>, target: &Target, usual: Option<Channel>) -> Result<Channel, Failed> {
    match said {
        None | Some(Value::Null) => Ok(way(usual, target.address.is_some(), target.key.is_some())),
        Some(value) => {
            let channel = value.as_str().and_then(Channel::read);
            channel.ok_or_else(|| Failed::wrong("channel", &value, &"want \"user\" or \"bot\"".into()))
        }
    }
}

/// By which way somebody is written to where nobody says it: as their organisation does where it can choose, else by the
/// account where a phone or a chat is known.
pub(super) fn way(usual: Option<Channel>, has_address: bool, has_key: bool) -> Channel {
    match (has_address, has_key) {
        (true, true) => usual.unwrap_or(Channel::User),
        (true, false) => Channel::User,
        (false, _) => Channel::Bot,
    }
}

/// The chat of somebody of whom only the key is known, which is their Telegram id.
fn by_id(target: &Target) -> Option<String> {
    let person = person(target.key.as_deref()?)?;
    Some(Address::Chat(ChatId::of_user(person.number())).text())
}

/// Whose a key is: bots give everybody their own Telegram id.
pub(super) fn person(key: &str) -> Option<UserId> {
    UserId::new(key.parse().ok()?).ok()
}

fn no_way(wanted: &Value, channel: Channel) -> Failed {
    let lacks = match channel {
        Channel::User => "neither a phone nor a dialog is known, which channel = \"user\" needs",
        Channel::Bot => "no key is known, which channel = \"bot\" needs: the person asks the bot for it",
    };
    Failed::wrong("recipient", wanted, &lacks.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_what_the_request_says_and_else_what_is_known() {
        let by_phone = Target { address: Some("+79001112233".to_owned()), ..Target::default() };
        let by_key = Target { key: Some("5".to_owned()), ..Target::default() };
        let both = Target { key: by_key.key.clone(), ..by_phone.clone() };
        assert_eq!(channel(None, &by_phone, None), Ok(Channel::User));
        assert_eq!(channel(Some(Value::Null), &by_key, None), Ok(Channel::Bot));
        assert_eq!(channel(Some(json!("bot")), &by_phone, None), Ok(Channel::Bot));
        assert_eq!(channel(None, &both, None), Ok(Channel::User));
        assert_eq!(channel(None, &both, Some(Channel::Bot)), Ok(Channel::Bot));
        assert_eq!(channel(Some(json!("user")), &both, Some(Channel::Bot)), Ok(Channel::User));
        assert_eq!(channel(None, &by_phone, Some(Channel::Bot)), Ok(Channel::User));
        assert_eq!(channel(None, &by_key, Some(Channel::User)), Ok(Channel::Bot));
        let wrong = channel(Some(json!("sms")), &by_key, None).unwrap_err();
        assert_eq!(wrong.message, "channel = \"sms\": want \"user\" or \"bot\"");
        assert_eq!((by_id(&by_key).as_deref(), by_id(&by_phone)), (Some("5"), None));
    }

    #[test]
    fn a_request_is_known_again_by_whom_it_names_and_by_its_text() {
        let first = asked(&json!("5"), "x");
        assert_eq!(first, asked(&json!(5), "x"));
        assert_eq!(asked(&json!({"key": 5}), "x"), asked(&json!({"key": "5"}), "x"));
        for (wanted, text) in [
            (json!("5"), "y"),
            (json!("6"), "x"),
            (json!({"id": 5}), "x"),
            (json!("5x"), ""),
            (json!(""), "5x"),
        ] {
            assert_ne!(first, asked(&wanted, text), "{wanted} {text}");
        }
    }

    #[test]
    fn keys_of_bots_are_telegram_ids() {
        assert_eq!(person("5123456789").unwrap().number(), 5_123_456_789);
        for wrong in ["", "0", "-5", "K7PQ"] {
            assert!(person(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_description_says_how_long_a_text_may_be() {
        let mut routes = crate::api::openapi::API.routes();
        let notify = routes.find(|route| route.name == "notify").unwrap();
        let text = notify.body.iter().find(|field| field.name == "text").unwrap();
        for described in [text.en.replace(',', ""), text.ru.replace(' ', "")] {
            for units in [UNITS, UNITS_OF_SEVERAL] {
                assert!(described.contains(&units.to_string()), "{units}: {described}");
            }
        }
    }
}
