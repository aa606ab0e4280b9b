//! Whom a call of the PBX means, and whether the line's lists still let it through once it is known who that is: the same
//! person has a number, a name and an id, and whoever is denied by one of them is not to be reached by another.

use std::sync::Arc;

use tgtrunk_bridge::Cause;
use tgtrunk_bridge::policy::{AccessList, Subject};
use tgtrunk_telegram::{Account, Person, Resolved};

/// Somebody who is called.
#[derive(Debug, Clone)]
pub(crate) struct Callee {
    pub(crate) person: Person,
    /// What the PBX dialled, without what people write into numbers.
    dialled: Option<String>,
    list: Arc<AccessList>,
}

impl Callee {
    /// Somebody whom the line's lists are asked about.
    pub(super) fn new(person: Person, dialled: Option<String>, list: Arc<AccessList>) -> Self {
        Self { person, dialled, list }
    }

    /// Somebody whom no list keeps away.
    pub(super) fn anybody(person: Person) -> Self {
        Self::new(person, None, Arc::default())
    }

    /// Whether they may be called, now that Telegram said who they are.
    ///
    /// # Errors
    /// The cause that the PBX is told.
    pub(crate) fn judge(&self, account: &Account, found: &Resolved) -> Result<(), Cause> {
        if self.admits(found, account.is_contact(&Person::Id(found.id))) {
            return Ok(());
        }
        tracing::info!(
            "a call was refused by the line's lists: whoever has what was dialled is not to be called"
        );
        Err(Cause::NotAllowed)
    }

    fn admits(&self, found: &Resolved, is_contact: bool) -> bool {
        let name = full_name(found);
        let dialled = self.dialled.as_deref();
        let as_dialled = Subject { is_contact, ..subject(&self.person, Some(found), &name, dialled) };
        // One person may have several names: what they were dialled by, and the one that Telegram tells.
        let as_told = Subject {
            phone: found.phone.as_deref().or(as_dialled.phone),
            username: found.username.as_deref().or(as_dialled.username),
            ..as_dialled
        };
        self.list.admits(&as_dialled) && !self.list.denies(&as_told)
    }
}

/// A person as lists are asked about them: by what they are dialled, and else by what is known.
pub(super) fn subject<'a>(
    person: &'a Person,
    known: Option<&'a Resolved>,
    name: &'a str,
    dialled: Option<&'a str>,
) -> Subject<'a> {
    let (phone, username, id) = match person {
        Person::Phone(phone) => (Some(phone.as_str()), None, None),
        Person::Username(name) => (None, Some(name.trim_start_matches('@')), None),
        Person::Id(id) => (None, None, Some(*id)),
    };
    Subject {
        phone: phone.or_else(|| known.and_then(|known| known.phone.as_deref())),
        username: username.or_else(|| known.and_then(|known| known.username.as_deref())),
        id: id.or_else(|| known.map(|known| known.id)),
        name: (!name.is_empty()).then_some(name),
        dialled,
        is_contact: false,
    }
}

/// First and last name, as far as there are any.
pub(super) fn full_name(person: &Resolved) -> String {
    let names = [person.first_name.as_deref(), person.last_name.as_deref()];
    names.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use tgtrunk_bridge::policy::{Glob, Pattern};

    use super::*;

    #[test]
    fn whoever_is_denied_by_one_of_their_names_is_not_reached_by_another() {
        let patterns = [
            Pattern::Id(5),
            Pattern::Username(Glob::new("anna_*")),
            Pattern::Number(Glob::new("+7916*")),
            Pattern::Name(Glob::new("*kim*")),
        ];
        for pattern in patterns {
            let denied = AccessList { deny: vec![pattern.clone()], allow: vec![] };
            for person in every_way() {
                assert!(!callee(&person, &denied).admits(&anna(), false), "{pattern:?} and {person:?}");
                let other = Resolved {
                    id: 6,
                    phone: None,
                    username: Some("bob".into()),
                    first_name: Some("Bob".into()),
                    last_name: None,
                    ..anna()
                };
                let bob = callee(&Person::Username("bobby".into()), &denied);
                assert!(bob.admits(&other, false), "{pattern:?}");
            }
        }
    }

    #[test]
    fn a_second_name_of_a_person_does_not_hide_the_one_that_is_denied_and_what_was_dialled_still_allows() {
        let anna_k = Pattern::Username(Glob::new("anna_k"));
        let denied = AccessList { deny: vec![anna_k.clone()], allow: vec![] };
        assert!(!callee(&Person::Username("other_name".into()), &denied).admits(&anna(), false));
        let allowed = AccessList { deny: vec![], allow: vec![Pattern::Number(Glob::new("8916*"))] };
        let hidden = Resolved { phone: None, ..anna() };
        let person = Person::Phone("+79161234567".into());
        let dialled = Callee::new(person, Some("89161234567".into()), Arc::new(allowed));
        assert!(dialled.admits(&hidden, false));
        let strangers = AccessList { deny: vec![], allow: vec![Pattern::Strangers] };
        let dialled = callee(&Person::Username("other_name".into()), &strangers);
        assert!(dialled.admits(&anna(), false) && !dialled.admits(&anna(), true));
        let contacts = AccessList { deny: vec![Pattern::Contacts], allow: vec![] };
        let dialled = callee(&Person::Username("other_name".into()), &contacts);
        assert!(dialled.admits(&anna(), false) && !dialled.admits(&anna(), true));
    }

    fn every_way() -> [Person; 3] {
        [Person::Phone("+79161234567".into()), Person::Username("@anna_k".into()), Person::Id(5)]
    }

    fn callee(person: &Person, list: &AccessList) -> Callee {
        Callee::new(person.clone(), None, Arc::new(list.clone()))
    }

    fn anna() -> Resolved {
        Resolved {
            id: 5,
            access_hash: 1,
            phone: Some("79161234567".into()),
            username: Some("anna_k".into()),
            first_name: Some("Anna".into()),
            last_name: Some("Kim".into()),
        }
    }
}
