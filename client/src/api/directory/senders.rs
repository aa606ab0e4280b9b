//! Whose account writes for an organisation: a line's, or one that a partner's program made.

use std::sync::PoisonError;

use tgtrunk_config::{BotName, Lines, Phone};
use tgtrunk_messages::{InstanceId, Standing};

use super::Directory;
use super::store::Organisation;

/// An account that writes, as an organisation names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The line with this number.
    Line(Phone),
    /// The instance with this number.
    Instance(InstanceId),
}

/// How it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Whether it is there at all.
    pub(super) is_there: bool,
    /// Its instance, once it is known.
    pub(super) instance: Option<InstanceId>,
    /// Its number, once it has one.
    pub(super) phone: Option<Phone>,
    /// How it stands with Telegram: GREEN-API's word, or `missing`.
    pub(super) standing: &'static str,
}

impl Sender {
    /// Reads what an organisation says.
    pub(super) fn read(text: &str) -> Option<Self> {
        if let Ok(id) = text.parse() {
            return Some(Self::Instance(id));
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
        format!("+{}", digits.trim_start_matches('+')).parse().ok().map(Self::Line)
    }

    /// As it is kept.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Line(phone) => phone.to_string(),
            Self::Instance(id) => id.to_string(),
        }
    }
}

impl Look {
    /// Whether it can send now.
    pub(super) fn is_authorized(&self) -> bool {
        self.standing == Standing::Authorized.as_str()
    }
}

impl Directory {
    /// The instance of an open line.
    pub(super) fn line_instance(&self, line: &Phone) -> Option<InstanceId> {
        let owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.iter().find(|(_, owner)| *owner == line).map(|(id, _)| *id)
    }

    fn line_of(&self, id: InstanceId) -> Option<Phone> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The instance of a number, whether it is a line's or not.
    pub(super) fn called(&self, phone: &Phone) -> Option<InstanceId> {
        let tenant = || {
            let rows = self.tenants.rows();
            rows.into_iter().find(|row| row.phone.as_ref() == Some(phone)).map(|row| row.id)
        };
        self.line_instance(phone).or_else(tenant)
    }

    /// How an account stands.
    pub(super) fn look(&self, sender: &Sender) -> Look {
        let (is_there, instance, phone) = match sender {
            Sender::Line(phone) => {
                let instance = self.called(phone);
                let is_there = instance.is_some() || self.state.line_file(phone).exists();
                (is_there, instance, Some(phone.clone()))
            }
            Sender::Instance(id) => match self.line_of(*id) {
                Some(line) => (true, Some(*id), Some(line)),
                None => {
                    let row = self.tenants.rows().into_iter().find(|row| row.id == *id);
                    (row.is_some(), row.as_ref().map(|row| row.id), row.and_then(|row| row.phone))
                }
            },
        };
        let standing = match instance.and_then(|id| self.house.instance(id)) {
            Some(instance) => instance.standing().as_str(),
            None if is_there => Standing::Starting.as_str(),
            None => "missing",
        };
        Look { is_there, instance, phone, standing }
    }

    /// How whoever an organisation names stands; none where it names nobody.
    pub(super) fn look_at(&self, sender: Option<&str>) -> Option<(Sender, Look)> {
        let sender = Sender::read(sender?)?;
        let look = self.look(&sender);
        Some((sender, look))
    }

    /// Whose bot writes: the organisation's own, else that of the line that writes for it; where none is named, that of the
    /// token's line. Never another's, which would write in another name. In words, what is lacking.
    pub(super) fn bot_of(&self, scope: &str, organisation: Option<&Organisation>) -> Result<BotName, String> {
        if let Some(bot) = organisation.and_then(|one| one.bot.as_ref()?.parse().ok()) {
            return Ok(bot);
        }
        let look = match organisation {
            Some(one) => self.look_at(one.sender.as_deref()).map(|(_, look)| look),
            None => scope.parse().ok().map(|id| self.look(&Sender::Instance(id))),
        };
        let phone = look.and_then(|look| look.phone);
        let line = self.lines().into_iter().find(|line| Some(&line.phone) == phone.as_ref());
        line.and_then(|line| line.chat.bot).ok_or_else(|| {
            let line = phone.map_or_else(|| "its sender".to_owned(), |phone| format!("line {phone}"));
            match organisation {
                Some(one) => format!(
                    "organisation {:?} ({}) has no bot, and neither has {line}: give it one by POST \
                     /api/v1/organisations {{\"id\":{},\"bot\":\"…\"}}",
                    one.name, one.id, one.id
                ),
                None => format!("{line} has no bot: give it one, or name an organisation that has one"),
            }
        })
    }

    /// The lines as their files say.
    pub(super) fn lines(&self) -> Vec<tgtrunk_config::Line> {
        Lines::load(&self.state).map(|found| found.lines).unwrap_or_default()
    }

    /// Who could be named, for whoever named somebody else.
    pub(super) fn possible_senders(&self) -> String {
        let lines = self.lines().into_iter().map(|line| line.phone.to_string());
        let tenants = self.tenants.rows().into_iter().map(|row| row.id.to_string());
        let all: Vec<String> = lines.chain(tenants).take(20).collect();
        if all.is_empty() { "there is none yet".to_owned() } else { all.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_a_lines_number_or_an_instances() {
        let line = |text: &str| Sender::Line(text.parse().unwrap());
        assert_eq!(Sender::read("+79060000000"), Some(line("+79060000000")));
        assert_eq!(Sender::read("7 906 000-00-00"), Some(line("+79060000000")));
        let id = InstanceId::new(4_100_000_001).unwrap();
        assert_eq!(Sender::read("4100000001"), Some(Sender::Instance(id)));
        for sender in [line("+79060000000"), Sender::Instance(id)] {
            assert_eq!(Sender::read(&sender.text()), Some(sender));
        }
        for wrong in ["", "main", "+7", "@anna"] {
            assert_eq!(Sender::read(wrong), None, "{wrong}");
        }
    }
}
