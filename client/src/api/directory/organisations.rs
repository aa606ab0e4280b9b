//! Organisations: in whose name people are notified, and whose account and bot write for it. Many may share one account,
//! which is logged in once.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tgtrunk_config::{BotName, Said};
use tgtrunk_messages::{Grant, InstanceId};

use super::answer::{Answer, Failed};
use super::door::Call;
use super::fields::Fields;
use super::senders::{Look, Sender};
use super::store::{Channel, Organisation};
use super::{Directory, time};
use crate::clock;

pub(super) const FIELDS: [&str; 7] = ["id", "name", "sender", "bot", "channel", "api_id", "api_hash"];
/// Longest name, in characters.
const NAME: usize = 100;
/// Organisations at most.
const MOST: usize = 10_000;

impl Call {
    /// Those that the token is good for.
    pub(super) async fn organisations(self) -> Answer {
        Fields::of(self.query.clone(), &[])?;
        let all = self.directory.store()?.organisations().await?;
        let shown = all.iter().filter(|one| self.directory.is_for(self.grant, one));
        Ok(shown.map(|one| self.directory.shown(one, &all)).collect())
    }

    /// One of them.
    pub(super) async fn organisation(self) -> Answer {
        let id = self.id.unwrap_or_default();
        let all = self.directory.store()?.organisations().await?;
        let one = all.iter().find(|one| one.id == id).filter(|one| self.directory.is_for(self.grant, one));
        let one = one.ok_or_else(|| Failed::missing(format!("there is no organisation {id}")))?;
        Ok(self.directory.shown(one, &all))
    }

    /// Makes one, or changes the one whose number is said: what is not said stays, null takes away.
    pub(super) async fn keep_organisation(self) -> Answer {
        self.manages("organisations")?;
        let (kept, all) = self.directory.change_organisation(Fields::read(&self.body, &FIELDS)?).await?;
        Ok(self.directory.shown(&kept, &all))
    }

    /// Forgets one.
    pub(super) async fn forget_organisation(self) -> Answer {
        self.manages("organisations")?;
        let id = self.id.unwrap_or_default();
        self.directory.remove_organisation(id).await?;
        Ok(json!({"id": id, "deleted": true}))
    }
}

impl Directory {
    /// Makes an organisation, or changes the one whose number is said; it, and all as they are then.
    pub(super) async fn change_organisation(
        &self,
        mut said: Fields,
    ) -> Result<(Organisation, Vec<Organisation>), Failed> {
        let store = self.store()?;
        let _one = self.changing.lock().await;
        let mut all = store.organisations().await?;
        let mut kept = match said.number("id", 1..=i64::MAX)?.flatten() {
            Some(id) => all.iter().find(|one| one.id == id).cloned().ok_or_else(|| {
                missing(id, format!("id = {id}: there is no such organisation; leave id out to make one"))
            })?,
            None if all.len() >= MOST => {
                let failed = Failed::taken(format!("there are {MOST} organisations already"));
                return Err(failed.in_russian(format!("организаций уже {MOST}")));
            }
            None => Organisation {
                id: 0,
                name: String::new(),
                sender: None,
                bot: None,
                channel: None,
                api_id: None,
                api_hash_sha256: None,
                created_s: clock::unix_s(),
            },
        };
        let name = said.text("name", NAME)?;
        if name == Some(None) || (name.is_none() && kept.id == 0) {
            let failed = Failed::bad(format!("name is missing: want a text of 1 to {NAME} characters"));
            return Err(failed.of("name").in_russian(format!("нужно название от 1 до {NAME} знаков")));
        }
        kept.name = name.flatten().unwrap_or(kept.name);
        if let Some(sender) = said.word("sender", 32)? {
            kept.sender = sender.map(|text| self.existing_sender(&text)).transpose()?;
        }
        if let Some(bot) = said.text("bot", 33)? {
            kept.bot = bot.map(|text| bot_name(&text)).transpose()?;
        }
        if let Some(channel) = said.take("channel") {
            kept.channel = usual_channel(&channel)?;
        }
        if let Some(api_id) = said.number("api_id", 1..=i64::from(i32::MAX))? {
            kept.api_id = api_id;
        }
        match said.take("api_hash") {
            None => {}
            Some(Value::Null) => kept.api_hash_sha256 = None,
            Some(Value::String(hash)) if is_api_hash(&hash) => {
                kept.api_hash_sha256 = Some(fingerprint(&hash))
            }
            // Nobody shall read it in an answer or a log.
            Some(_) => {
                return Err(Failed::bad("api_hash: want 32 hexadecimal digits, or null")
                    .of("api_hash")
                    .in_russian("api_hash: нужны 32 шестнадцатеричные цифры"));
            }
        }
        self.refuse_doubles(&kept, &all)?;
        kept.id = store.keep_organisation(&kept).await?;
        all.retain(|one| one.id != kept.id);
        all.push(kept.clone());
        Ok((kept, all))
    }

    /// Forgets an organisation; its people stay.
    pub(super) async fn remove_organisation(&self, id: i64) -> Result<(), Failed> {
        let _one = self.changing.lock().await;
        match self.store()?.forget_organisation(id).await? {
            true => Ok(()),
            false => Err(missing(id, format!("there is no organisation {id}"))),
        }
    }

    /// Whether a token is good for an organisation.
    pub(super) fn is_for(&self, grant: Grant, organisation: &Organisation) -> bool {
        match grant {
            Grant::All => true,
            Grant::Instance(id) => self.sender_instance(organisation) == Some(id),
        }
    }

    /// The instance that writes for it, once that is known.
    pub(super) fn sender_instance(&self, organisation: &Organisation) -> Option<InstanceId> {
        self.look_at(organisation.sender.as_deref()).and_then(|(_, look)| look.instance)
    }

    /// Who is named, as it is kept.
    fn existing_sender(&self, text: &str) -> Result<String, Failed> {
        let want = Said::new(
            "want a line's phone number, as \"+79060000000\", or an instance's number",
            "нужен номер линии, например \"+79060000000\", или номер инстанса",
        );
        let value = Value::String(text.to_owned());
        let sender = Sender::read(text).ok_or_else(|| Failed::wrong("sender", &value, &want))?;
        let look = self.look(&sender);
        if !look.is_there {
            let there = self.possible_senders();
            let want = want.within(
                |want| format!("there is no such line; {want}: {there}"),
                |want| format!("такой линии нет; {want}: {there}"),
            );
            return Err(Failed::wrong("sender", &value, &want));
        }
        // An instance that is a line is named by its number, which stays when it is removed and added again.
        let line =
            look.instance.and_then(|id| look.phone.filter(|phone| self.line_instance(phone) == Some(id)));
        Ok(line.map_or_else(|| sender.text(), |phone| phone.to_string()))
    }

    fn refuse_doubles(&self, kept: &Organisation, all: &[Organisation]) -> Result<(), Failed> {
        let others = || all.iter().filter(|one| one.id != kept.id);
        if let Some(other) = others().find(|one| one.name.to_lowercase() == kept.name.to_lowercase()) {
            let (name, id) = (&kept.name, other.id);
            return Err(Failed::taken(format!("name = {name:?}: organisation {id} is called so already"))
                .of("name")
                .in_russian(format!("name = {name:?}: так уже называется организация {id}")));
        }
        let (Some(api_id), Some(sender)) = (kept.api_id, &kept.sender) else { return Ok(()) };
        let shared = others().filter(|one| self.share(one, kept));
        if let Some((other, theirs)) =
            shared.filter_map(|one| Some((one, one.api_id?))).find(|(_, theirs)| *theirs != api_id)
        {
            return Err(Failed::taken(format!(
                "api_id = {api_id} of organisation {:?}: organisation {:?} ({}) has api_id = {theirs} for the same sender {sender}, and Telegram attaches one api_id to a number: make both the same",
                kept.name, other.name, other.id
            ))
            .of("api_id")
            .in_russian(format!(
                "api_id = {api_id} организации {:?}: у организации {:?} ({}) для того же отправителя {sender} указан api_id = {theirs}, а Telegram привязывает к номеру один api_id: укажите одинаковые",
                kept.name, other.name, other.id
            )));
        }
        Ok(())
    }

    /// Whether two organisations have the same sender.
    pub(super) fn share(&self, one: &Organisation, other: &Organisation) -> bool {
        let (Some(left), Some(right)) = (&one.sender, &other.sender) else { return false };
        let instance = self.sender_instance(one);
        left == right || (instance.is_some() && instance == self.sender_instance(other))
    }

    /// An organisation as programs see it.
    pub(super) fn shown(&self, one: &Organisation, all: &[Organisation]) -> Value {
        let look = self.look_at(one.sender.as_deref()).map(|(_, look)| look);
        let shared: Vec<&str> = all
            .iter()
            .filter(|other| other.id != one.id && self.share(one, other))
            .map(|other| other.name.as_str())
            .collect();
        let note = look.as_ref().and_then(|look| look.phone.as_ref()).map(|phone| {
            let with =
                if shared.is_empty() { String::new() } else { format!(", as {} does", shared.join(", ")) };
            format!("uses the authorization of {phone}{with}")
        });
        json!({
            "id": one.id,
            "name": one.name,
            "sender": one.sender,
            "sender_state": look.as_ref().map(|look| json!({
                "present": look.is_there,
                "standing": look.standing,
                "instance": look.instance.map(|id| id.to_string()),
                "phone": look.phone,
            })),
            "shared_with": shared,
            "note": note,
            "bot": one.bot,
            "channel": one.channel.map(Channel::as_str),
            "api_id": one.api_id,
            "api_hash_set": one.api_hash_sha256.is_some(),
            "created": time(one.created_s),
            "warnings": english(&self.warnings(one, look.as_ref())),
        })
    }

    /// What hinders an organisation, or may.
    pub(super) fn warnings(&self, one: &Organisation, look: Option<&Look>) -> Vec<Said> {
        let mut warnings = Vec::new();
        match (look, &one.sender) {
            (Some(look), Some(sender)) if !look.is_there => warnings.push(Said::new(
                format!("its sender {sender} is not there any more: nobody is notified by it"),
                format!("отправителя {sender} больше нет: от её имени никто не получит уведомлений"),
            )),
            (Some(look), Some(sender)) if !look.is_authorized() => warnings.push(Said::new(
                format!(
                    "its sender {sender} is {}: notifications wait until it is authorized",
                    look.standing
                ),
                format!("отправитель {sender}: {}; уведомления ждут его авторизации", look.standing),
            )),
            (Some(_), _) => {}
            (None, _) => warnings.push(Said::new(
                "it has no sender: nobody is notified by an account in its name",
                "отправителя нет: отправка от имени аккаунта отклоняется",
            )),
        }
        if let Some(bot) = &one.bot
            && bot.parse().is_ok_and(|bot: BotName| !self.state.bot_file(&bot).exists())
        {
            warnings.push(Said::new(
                format!("there is no bot @{bot} here: tgtrunk-bot add"),
                format!("бота @{bot} здесь нет: добавьте его на странице ботов или командой tgtrunk-bot add"),
            ));
        }
        let telegram = &self.settings.telegram;
        if let Some(api_id) = one.api_id.filter(|api_id| *api_id != i64::from(telegram.api_id)) {
            let main = telegram.api_id;
            warnings.push(Said::new(
                format!("api_id = {api_id} differs from telegram.api_id = {main} of tgtrunk.toml, which accounts are logged in with"),
                format!("api_id = {api_id} отличается от telegram.api_id = {main} в tgtrunk.toml, с которым авторизуются аккаунты"),
            ));
        }
        if one.api_hash_sha256.as_ref().is_some_and(|kept| *kept != fingerprint(&telegram.api_hash)) {
            warnings.push(Said::new(
                "api_hash differs from telegram.api_hash of tgtrunk.toml, which accounts are logged in with",
                "api_hash отличается от telegram.api_hash в tgtrunk.toml, с которым авторизуются аккаунты",
            ));
        }
        if one.api_id.is_some() != one.api_hash_sha256.is_some() {
            warnings.push(Said::new(
                "api_id and api_hash belong together: one of them is missing",
                "api_id и api_hash нужны вместе: одного из них нет",
            ));
        }
        warnings
    }
}

/// Sentences as programs read them.
pub(super) fn english(all: &[Said]) -> Vec<&str> {
    all.iter().map(|said| said.en.as_str()).collect()
}

fn missing(id: i64, message: String) -> Failed {
    Failed::missing(message).in_russian(format!("организации {id} нет: её удалили"))
}

fn bot_name(text: &str) -> Result<String, Failed> {
    let bot = text.trim_start_matches('@').parse::<BotName>();
    bot.map(|bot| bot.folder()).map_err(|error| {
        Failed::bad(format!("bot: {error}"))
            .of("bot")
            .in_russian(format!("bot = {text:?}: нужно имя бота, например acme_bot"))
    })
}

fn usual_channel(said: &Value) -> Result<Option<Channel>, Failed> {
    let read = |word: &str| Channel::read(word).map(Some);
    let channel = if said.is_null() { Some(None) } else { said.as_str().and_then(read) };
    let want = Said::new("want \"user\", \"bot\" or null", "нужно \"user\", \"bot\" или null");
    channel.ok_or_else(|| Failed::wrong("channel", said, &want))
}

fn is_api_hash(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What is kept of an `api_hash`: enough to see whether two are the same.
fn fingerprint(api_hash: &str) -> String {
    hex::encode(Sha256::digest(api_hash.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_hash_is_told_from_others_whatever_its_case_and_is_not_kept() {
        let hash = "0123456789ABCDEF0123456789abcdef";
        assert!(is_api_hash(hash) && !is_api_hash("0123") && !is_api_hash(&"g".repeat(32)));
        assert_eq!(fingerprint(hash), fingerprint(&hash.to_lowercase()));
        assert!(!fingerprint(hash).contains(&hash.to_lowercase()));
    }
}
