//! Instances as the operator's page has them: whose each is, and the instance itself where it works.

use tgtrunk_config::Phone;
use tgtrunk_messages::{House, Instance, InstanceId, Refused, Starting};

use super::Api;

/// An instance, working or not.
#[derive(Clone)]
pub(crate) struct Owned {
    /// Its number.
    pub(crate) id: InstanceId,
    /// The line whose account it is; none for one that a partner's program made.
    pub(crate) line: Option<Phone>,
    /// The account's number, where it has one.
    pub(crate) phone: Option<Phone>,
    /// What its program calls it; empty for a line's.
    pub(crate) name: String,
    /// Whether it has a token, as far as that is known.
    pub(crate) has_token: bool,
    /// Itself; none while it is starting.
    pub(crate) instance: Option<Instance>,
}

impl Api {
    /// All instances: those of lines in the order of their numbers, then the others.
    pub(crate) fn all_owned(&self) -> Vec<Owned> {
        let lines =
            self.owned().into_iter().map(|(id, line)| (id, Some(line.clone()), Some(line), String::new()));
        let others = self.tenants.rows().into_iter().map(|row| (row.id, None, row.phone, row.name));
        let (there, starting) = self.house.all();
        let mut all: Vec<Owned> = lines
            .chain(others)
            .filter_map(|(id, line, phone, name)| {
                let instance = there.iter().find(|one| one.id() == id).cloned();
                let starts = starting.iter().find(|one| one.id == id);
                // A line that has just been closed is none.
                let is_one = instance.is_some() || starts.is_some() || line.is_none();
                let has_token = match &instance {
                    Some(instance) => instance.has_token(),
                    None => starts.is_none_or(Starting::has_token),
                };
                is_one.then_some(Owned { id, line, phone, name, has_token, instance })
            })
            .collect();
        all.sort_by_key(|one| (one.line.is_none(), one.line.clone(), one.id));
        all
    }

    /// One instance.
    pub(crate) fn one_owned(&self, id: InstanceId) -> Option<Owned> {
        self.all_owned().into_iter().find(|one| one.id == id)
    }

    /// Opens an instance's connection to Telegram anew.
    pub(crate) async fn reboot(&self, id: InstanceId) -> Result<(), Refused> {
        self.house.office().reboot(id).await
    }

    /// Deletes an instance without a line, with all that it keeps; its account is logged out.
    pub(crate) async fn delete(&self, id: InstanceId) -> Result<(), Refused> {
        self.house.office().delete(id).await
    }

    /// Where files are found by their links.
    pub(crate) fn house(&self) -> &House {
        &self.house
    }

    /// What the addresses of the API begin with.
    pub(crate) fn base(&self) -> &str {
        &self.terms.base
    }

    /// Whether programs can call it at all.
    pub(crate) fn is_served(&self) -> bool {
        self.terms.settings.api.listen.is_some() || self.terms.settings.api.tls_listen.is_some()
    }
}
