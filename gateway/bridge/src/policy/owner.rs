//! One account for the line and for its owner's own phone: who has which calls.

use std::time::Duration;

use super::pattern::Subject;

/// Which calls the owner of the account takes on other devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// None: the PBX gets every call at once.
    Nothing,
    /// The owner may answer any call; after so long the PBX gets it.
    First(Duration),
    /// The same for calls of contacts; other calls reach the PBX at once.
    ContactsFirst(Duration),
    /// Calls of contacts ring on the owner's devices alone.
    Contacts,
    /// All do: the line only calls.
    Everything,
}

impl Owner {
    /// Whether a call is the owner's alone.
    pub(super) fn has_alone(self, caller: &Subject<'_>) -> bool {
        match self {
            Self::Contacts => caller.is_contact,
            Self::Everything => true,
            Self::Nothing | Self::First(_) | Self::ContactsFirst(_) => false,
        }
    }

    /// How long the PBX waits for the owner.
    pub(super) fn wait(self, caller: &Subject<'_>) -> Option<Duration> {
        match self {
            Self::First(wait) => Some(wait),
            Self::ContactsFirst(wait) => caller.is_contact.then_some(wait),
            Self::Nothing | Self::Contacts | Self::Everything => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_has_what_the_setting_says_and_the_pbx_the_rest() {
        let wait = Duration::from_secs(9);
        for (owner, contact, stranger) in [
            (Owner::Nothing, (false, None), (false, None)),
            (Owner::First(wait), (false, Some(wait)), (false, Some(wait))),
            (Owner::ContactsFirst(wait), (false, Some(wait)), (false, None)),
            (Owner::Contacts, (true, None), (false, None)),
            (Owner::Everything, (true, None), (true, None)),
        ] {
            for (is_contact, wanted) in [(true, contact), (false, stranger)] {
                let caller = Subject { is_contact, ..Subject::default() };
                assert_eq!((owner.has_alone(&caller), owner.wait(&caller)), wanted, "{owner:?} {is_contact}");
            }
        }
    }
}
