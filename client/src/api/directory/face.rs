//! What the operator's page sees of tokens, organisations, people and notifications, and does with them: by the functions
//! that answer programs, as somebody who may do everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use tgtrunk_config::control::{ActionTokenInfo, BotPerson, NewActionToken};
use tgtrunk_config::{BotName, Phone, Said};
use tgtrunk_messages::{Instance, InstanceId};

use super::Directory;
use super::answer::Failed;
use super::fields::Fields;
use super::notify::way;
use super::organisations::FIELDS as OF_ORGANISATION;
use super::reasons::{self, SKIPPED, SKIPPED_IN_DOUBT};
use super::recipients::{FIELDS as OF_RECIPIENT, note};
use super::senders::Sender;
use super::store::{Channel, Notification, Organisation, Recipient, State};
use crate::clock;

/// Notifications of one state that are counted.
pub(crate) const COUNTED: i64 = 10_000;
/// Longest name of a token, in characters.
const LABEL: usize = 100;

/// Why something was not done, and by which field, where one is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) field: Option<&'static str>,
    pub(crate) said: Said,
}

/// For what a token is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenFor {
    All,
    Line(Phone),
    Instance(InstanceId),
}

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrganisationFace {
    pub(crate) id: i64,
    pub(crate) name: String,
    /// A line's phone number, or an instance's number.
    pub(crate) sender: Option<String>,
    /// Its sender's number, once it has one.
    pub(crate) phone: Option<Phone>,
    /// How its sender stands with Telegram: GREEN-API's word, or `missing`; none without a sender.
    pub(crate) standing: Option<&'static str>,
    /// Who else writes by that sender.
    pub(crate) shared_with: Vec<String>,
    pub(crate) bot: Option<String>,
    /// By which way it writes to whom both are known, in the API's word.
    pub(crate) channel: Option<&'static str>,
    pub(crate) api_id: Option<i64>,
    pub(crate) has_api_hash: bool,
    pub(crate) people: usize,
    pub(crate) warnings: Vec<Said>,
}

/// An account that may write for an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SenderChoice {
    /// As an organisation names it.
    pub(crate) value: String,
    pub(crate) phone: Option<Phone>,
    pub(crate) name: String,
    /// Whether it is a line.
    pub(crate) is_line: bool,
    pub(crate) standing: &'static str,
}

/// Somebody who is notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecipientFace {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) key: Option<String>,
    /// With `+`.
    pub(crate) phone: Option<String>,
    /// A chat's number, or `@name`.
    pub(crate) dialog: Option<String>,
    pub(crate) organisation: Option<i64>,
    /// Whether a bot writes to them; else an account does.
    pub(crate) is_by_bot: bool,
    pub(crate) is_notified: bool,
    pub(crate) is_blocked: bool,
    /// Whether a bot knows the key; none where no bot tells, or there is no key.
    pub(crate) is_key_known: Option<bool>,
    /// Milliseconds since 1970.
    pub(crate) last_seen_ms: Option<u64>,
}

/// A key that a bot gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenKey {
    pub(crate) bot: BotName,
    pub(crate) key: String,
    pub(crate) name: Option<String>,
    pub(crate) is_blocked: bool,
    /// Who has it: a recipient's number.
    pub(crate) recipient: Option<i64>,
}

/// The keys that bots gave, or why they do not tell.
pub(crate) type Keys = Result<Vec<SeenKey>, Said>;

/// How far a notification is, as people tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    Waiting,
    Sent,
    Failed,
    Skipped,
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotificationFace {
    pub(crate) id: i64,
    pub(crate) life: Life,
    /// Whether they have read it.
    pub(crate) is_read: bool,
    /// Whether somebody else has it already: the account's queue, or the bot.
    pub(crate) is_handed_over: bool,
    /// Why it is not sent, or not yet.
    pub(crate) reason: Option<Said>,
    /// Whom the page knows it is for.
    pub(crate) title: Option<String>,
    pub(crate) recipient: Option<i64>,
    pub(crate) target: String,
    pub(crate) organisation: Option<String>,
    /// Whether a bot writes it; else an account does.
    pub(crate) is_by_bot: bool,
    /// The instance's number, or the bot's name.
    pub(crate) sender: Option<String>,
    pub(crate) text: String,
    /// Milliseconds since 1970.
    pub(crate) created_ms: u64,
    pub(crate) updated_ms: u64,
    pub(crate) may_repeat: bool,
    pub(crate) may_skip: bool,
}

/// Who was kept, and what is to be known of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) id: i64,
    pub(crate) warnings: Vec<Said>,
}

impl Life {
    /// In the order in which they are shown.
    pub(crate) const ALL: [Self; 4] = [Self::Waiting, Self::Sent, Self::Failed, Self::Skipped];

    /// The word for it in addresses.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    const fn states(self) -> &'static [State] {
        match self {
            Self::Waiting => &[State::Waiting, State::Sending, State::Queued],
            Self::Sent => &[State::Sent, State::Read],
            Self::Failed => &[State::Failed],
            Self::Skipped => &[State::Skipped],
        }
    }

    fn of(state: State) -> Self {
        match state {
            State::Waiting | State::Sending | State::Queued => Self::Waiting,
            State::Sent | State::Read => Self::Sent,
            State::Failed => Self::Failed,
            State::Skipped => Self::Skipped,
        }
    }
}

impl Directory {
    /// Where programs call, and whether anybody listens there.
    pub(crate) fn address(&self) -> (&str, bool) {
        let api = &self.settings.api;
        (&self.base, api.listen.is_some() || api.tls_listen.is_some())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// Which field is wrong, or why there can be none.
    pub(crate) async fn give_token(&self, whom: TokenFor, label: &str) -> Result<NewActionToken, Wrong> {
        let label = label_of(label)?;
        let gone = || Wrong {
            field: Some("scope"),
            said: Said::new(
                "It is not there any more, or starting: choose another one, or try again in a moment.",
                "Её больше нет, или она ещё запускается: выберите другую или повторите чуть позже.",
            ),
        };
        let made = match &whom {
            TokenFor::All => self.make_token_for(None, label).await,
            TokenFor::Line(line) => {
                let id = self.called(line).ok_or_else(gone)?;
                self.make_token_for(Some((id, Some(line))), label).await
            }
            TokenFor::Instance(id) => {
                let row = self.tenants.rows().into_iter().find(|row| row.id == *id).ok_or_else(gone)?;
                self.make_token_for(Some((row.id, row.phone.as_ref())), label).await
            }
        };
        made.map_err(|refusal| Wrong { field: None, said: refusal.said() })
    }

    /// The tokens that hold, and those that were revoked lately.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn all_tokens(&self) -> Result<Vec<ActionTokenInfo>, Wrong> {
        self.tokens().await.map_err(|refusal| Wrong { field: None, said: refusal.said() })
    }

    /// Calls a token otherwise.
    ///
    /// # Errors
    /// The name cannot be so, or the token does not hold any more.
    pub(crate) async fn rename_token(&self, number: i64, label: &str) -> Result<(), Wrong> {
        let label = label_of(label)?;
        match self.store()?.rename_token(number, label).await.map_err(Failed::from)? {
            true => Ok(()),
            false => Err(no_token(number)),
        }
    }

    /// Ends a token.
    ///
    /// # Errors
    /// It does not hold any more, or that cannot be written.
    pub(crate) async fn end_token(&self, number: i64) -> Result<(), Wrong> {
        let ended = self.book.revoke(self.store()?, number, clock::unix_s()).await;
        match ended.map_err(Failed::from)? {
            true => {
                tracing::info!(token = number, "a token is revoked");
                Ok(())
            }
            false => Err(no_token(number)),
        }
    }

    /// Whose account may write.
    pub(crate) fn sender_choices(&self) -> Vec<SenderChoice> {
        let standing =
            |instance: Option<Instance>| instance.map_or("starting", |instance| instance.standing().as_str());
        let mut lines = self.lines();
        lines.sort_by_key(|line| line.sip_port);
        let lines = lines.into_iter().map(|line| SenderChoice {
            value: line.phone.to_string(),
            standing: standing(self.line_instance(&line.phone).and_then(|id| self.house.instance(id))),
            name: line.chat.company.clone(),
            phone: Some(line.phone),
            is_line: true,
        });
        let others = self.tenants.rows().into_iter().map(|row| SenderChoice {
            value: row.id.to_string(),
            standing: standing(self.house.instance(row.id)),
            name: row.name,
            phone: row.phone,
            is_line: false,
        });
        lines.chain(others).collect()
    }

    /// All organisations.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn all_organisations(&self) -> Result<Vec<OrganisationFace>, Wrong> {
        let store = self.store()?;
        let all = store.organisations().await.map_err(Failed::from)?;
        let people = store.recipients().await.map_err(Failed::from)?;
        let many = |id| people.iter().filter(|one| one.organisation == Some(id)).count();
        Ok(all.iter().map(|one| self.face(one, &all, many(one.id))).collect())
    }

    fn face(&self, one: &Organisation, all: &[Organisation], people: usize) -> OrganisationFace {
        let look = self.look_at(one.sender.as_deref()).map(|(_, look)| look);
        let others = all.iter().filter(|other| other.id != one.id && self.share(one, other));
        OrganisationFace {
            id: one.id,
            name: one.name.clone(),
            sender: one.sender.clone(),
            standing: look.as_ref().map(|look| look.standing),
            shared_with: others.map(|other| other.name.clone()).collect(),
            bot: one.bot.clone(),
            channel: one.channel.map(Channel::as_str),
            api_id: one.api_id,
            has_api_hash: one.api_hash_sha256.is_some(),
            people,
            warnings: self.warnings(one, look.as_ref()),
            phone: look.and_then(|look| look.phone),
        }
    }

    /// What organisations are called whose sender is an account: by its number, or by its instance's.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn writers(
        &self,
        phone: Option<&Phone>,
        instance: Option<InstanceId>,
    ) -> Result<Vec<String>, Wrong> {
        let instance = instance.or_else(|| self.called(phone?));
        let writes = |one: &Organisation| match one.sender.as_deref().and_then(Sender::read) {
            Some(Sender::Line(sender)) => Some(&sender) == phone,
            Some(Sender::Instance(sender)) => Some(sender) == instance,
            None => false,
        };
        let all = self.store()?.organisations().await.map_err(Failed::from)?;
        Ok(all.into_iter().filter(writes).map(|one| one.name).collect())
    }

    /// Keeps an organisation out of fields as the API has them.
    ///
    /// # Errors
    /// Which field is wrong, or why it is not kept.
    pub(crate) async fn write_organisation(&self, said: Map<String, Value>) -> Result<Noted, Wrong> {
        let (kept, _) = self.change_organisation(Fields::of(said, &OF_ORGANISATION)?).await?;
        let look = self.look_at(kept.sender.as_deref()).map(|(_, look)| look);
        Ok(Noted { id: kept.id, warnings: self.warnings(&kept, look.as_ref()) })
    }

    /// Forgets an organisation.
    ///
    /// # Errors
    /// There is none, or that cannot be written.
    pub(crate) async fn erase_organisation(&self, id: i64) -> Result<(), Wrong> {
        Ok(self.remove_organisation(id).await?)
    }

    /// All people who are notified, and whom the bots know.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn all_recipients(&self) -> Result<(Vec<RecipientFace>, Keys), Wrong> {
        let rows = self.store()?.recipients().await.map_err(Failed::from)?;
        let told = self.all_people().await;
        let seen: Option<BTreeMap<&str, &BotPerson>> = told.as_ref().ok().map(|people| {
            people.iter().filter_map(|(_, person)| Some((person.key.as_deref()?, person))).collect()
        });
        let owners: BTreeMap<&str, i64> =
            rows.iter().filter_map(|row| Some((row.key.as_deref()?, row.id))).collect();
        let keys = match &told {
            Ok(people) => Ok(people
                .iter()
                .filter_map(|(bot, person)| {
                    let key = person.key.clone()?;
                    let recipient = owners.get(key.as_str()).copied();
                    let (name, is_blocked) = (person.name.clone(), person.blocked);
                    Some(SeenKey { bot: bot.clone(), key, name, is_blocked, recipient })
                })
                .collect()),
            Err(trouble) => Err(reasons::told(&trouble.text(), None)),
        };
        let organisations = self.store()?.organisations().await.map_err(Failed::from)?;
        let usual = |id| organisations.iter().find(|one| Some(one.id) == id).and_then(|one| one.channel);
        let face = |row: &Recipient| recipient(row.clone(), seen.as_ref(), usual(row.organisation));
        let faces = rows.iter().map(face).collect();
        Ok((faces, keys))
    }

    /// Keeps somebody out of fields as the API has them.
    ///
    /// # Errors
    /// Which field is wrong, or why they are not kept.
    pub(crate) async fn write_recipient(&self, said: Map<String, Value>) -> Result<Noted, Wrong> {
        let changed = self.change_recipient(Fields::of(said, &OF_RECIPIENT)?).await?;
        Ok(Noted { id: changed.kept.id, warnings: changed.warnings })
    }

    /// Forgets somebody.
    ///
    /// # Errors
    /// There is nobody, or that cannot be written.
    pub(crate) async fn erase_recipient(&self, id: i64) -> Result<(), Wrong> {
        Ok(self.remove_recipient(id).await?)
    }

    /// Notifications before a number, the latest first, and how many there are of each kind: more than [`COUNTED`] where they
    /// are not counted any more.
    ///
    /// # Errors
    /// Why they are not known.
    pub(crate) async fn browse(
        &self,
        before: i64,
        limit: i64,
        life: Option<Life>,
    ) -> Result<(Vec<NotificationFace>, BTreeMap<Life, u64>), Wrong> {
        let store = self.store()?;
        let states = life.map_or(&[] as &[State], Life::states);
        let found = store.browse_notifications(before, limit, states).await.map_err(Failed::from)?;
        let mut counts = BTreeMap::new();
        for (state, many) in store.count_notifications(COUNTED + 1).await.map_err(Failed::from)? {
            *counts.entry(Life::of(state)).or_default() += many;
        }
        let organisations = store.organisations().await.map_err(Failed::from)?;
        let mut faces = Vec::new();
        for one in found {
            let whom = match one.recipient {
                Some(id) => store.recipient(id).await.map_err(Failed::from)?,
                None => None,
            };
            let organisation = organisations.iter().find(|row| Some(row.id) == one.organisation);
            faces.push(notification(one, whom, organisation.map(|row| row.name.clone())));
        }
        Ok((faces, counts))
    }

    /// Has a notification that was not sent wait anew, for whoever writes for its organisation now.
    ///
    /// # Errors
    /// It is not so any more, or that cannot be written.
    pub(crate) async fn repeat(self: &Arc<Self>, id: i64) -> Result<(), Wrong> {
        let store = self.store()?;
        let found = store.notification(id).await.map_err(Failed::from)?;
        let one = found.ok_or_else(|| moved_on(id))?;
        let sender = match (one.channel, one.organisation) {
            // Which bot it is is found when it is told.
            (Channel::Bot, _) => None,
            (Channel::User, None) => one.sender,
            (Channel::User, Some(organisation)) => {
                let organisation = store.organisation(organisation).await.map_err(Failed::from)?;
                let look = self.look_at(organisation.and_then(|one| one.sender).as_deref());
                look.and_then(|(_, look)| look.instance).map(|id| id.to_string()).or(one.sender)
            }
        };
        let is_done = store.repeat_notification(id, sender.as_deref(), clock::unix_s()).await;
        if !is_done.map_err(Failed::from)? {
            return Err(moved_on(id));
        }
        self.handing.notify_one();
        Ok(())
    }

    /// Gives a notification up that waits.
    ///
    /// # Errors
    /// It is being sent already, or that cannot be written.
    pub(crate) async fn skip(&self, id: i64) -> Result<(), Wrong> {
        let skipped = self.store()?.skip_notification(id, SKIPPED, SKIPPED_IN_DOUBT, clock::unix_s()).await;
        match skipped.map_err(Failed::from)? {
            true => Ok(()),
            false => Err(moved_on(id)),
        }
    }
}

impl From<Failed> for Wrong {
    fn from(failed: Failed) -> Self {
        Self { field: failed.key, said: failed.said() }
    }
}

fn label_of(label: &str) -> Result<&str, Wrong> {
    let label = label.trim();
    if (1..=LABEL).contains(&label.chars().count()) && !label.chars().any(char::is_control) {
        return Ok(label);
    }
    Err(Wrong {
        field: Some("label"),
        said: Said::new(
            format!("want a name of 1 to {LABEL} characters, as 1C or CRM"),
            format!("нужно название от 1 до {LABEL} знаков, например 1С или CRM"),
        ),
    })
}

fn no_token(number: i64) -> Wrong {
    let said = Said::new(
        format!("There is no token {number} that holds: it was revoked already."),
        format!("Токен {number} не действует: он уже отозван."),
    );
    Wrong { field: None, said }
}

fn moved_on(id: i64) -> Wrong {
    let said = Said::new(
        format!("Notification {id} has moved on meanwhile: look at it again."),
        format!("Уведомление {id} тем временем сдвинулось: посмотрите на него ещё раз."),
    );
    Wrong { field: None, said }
}

fn recipient(
    mut row: Recipient,
    seen: Option<&BTreeMap<&str, &BotPerson>>,
    usual: Option<Channel>,
) -> RecipientFace {
    let person = row.key.as_deref().and_then(|key| seen?.get(key));
    let is_key_known = seen.filter(|_| row.key.is_some()).map(|_| person.is_some());
    if let Some(person) = person {
        note(&mut row, person);
    }
    let has_address = row.phone.is_some() || row.dialog.is_some();
    RecipientFace {
        id: row.id,
        is_by_bot: way(usual, has_address, row.key.is_some()) == Channel::Bot,
        title: row.title,
        key: row.key,
        phone: row.phone,
        dialog: row.dialog,
        organisation: row.organisation,
        is_notified: row.is_notified,
        is_blocked: row.is_blocked,
        is_key_known,
        last_seen_ms: row.last_seen_s.map(milliseconds),
    }
}

fn notification(
    one: Notification,
    whom: Option<Recipient>,
    organisation: Option<String>,
) -> NotificationFace {
    let life = Life::of(one.state);
    let is_told = one.reason.is_some() || one.code.is_some();
    NotificationFace {
        id: one.id,
        life,
        is_read: one.state == State::Read,
        is_handed_over: one.state == State::Queued,
        reason: is_told
            .then(|| reasons::told(one.reason.as_deref().unwrap_or_default(), one.code.as_deref())),
        may_repeat: match life {
            Life::Failed => true,
            Life::Skipped => whom.as_ref().is_some_and(|row| row.is_notified),
            Life::Waiting | Life::Sent => false,
        },
        may_skip: one.state == State::Waiting,
        recipient: whom.as_ref().map(|row| row.id),
        title: whom.map(|row| row.title),
        target: one.target,
        organisation,
        is_by_bot: one.channel == Channel::Bot,
        sender: one.sender,
        text: one.text,
        created_ms: milliseconds(one.created_s),
        updated_ms: milliseconds(one.updated_s),
    }
}

fn milliseconds(unix_s: i64) -> u64 {
    u64::try_from(unix_s).unwrap_or_default().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_name_that_people_can_read() {
        assert_eq!(label_of(" 1C "), Ok("1C"));
        for wrong in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert_eq!(label_of(wrong).unwrap_err().field, Some("label"), "{wrong:?}");
        }
    }

    #[test]
    fn every_state_is_of_one_kind() {
        for life in Life::ALL {
            assert!(life.states().iter().all(|state| Life::of(*state) == life));
        }
    }
}
