//! Who is let through: what is denied never is, and where anything is allowed, nothing else is.

use super::pattern::{Pattern, Subject};

/// Two lists of patterns. Empty ones let everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessList {
    /// Only these are let; everybody, if it is empty.
    pub allow: Vec<Pattern>,
    /// These are not, though they may be allowed.
    pub deny: Vec<Pattern>,
}

impl AccessList {
    /// Whether somebody is let through.
    pub fn admits(&self, who: &Subject<'_>) -> bool {
        let is_allowed = self.allow.is_empty() || self.allow.iter().any(|pattern| pattern.matches(who));
        is_allowed && !self.denies(who)
    }

    /// Whether somebody is denied by name.
    pub fn denies(&self, who: &Subject<'_>) -> bool {
        self.deny.iter().any(|pattern| pattern.matches(who))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Glob;

    #[test]
    fn deny_wins_over_allow_and_an_empty_allow_is_everybody() {
        let moscow = Pattern::Number(Glob::new("+7495*"));
        let one = Pattern::Number(Glob::new("+74951234567"));
        let person = |phone| Subject { phone: Some(phone), ..Subject::default() };
        let (bad, good, other) = (person("+74951234567"), person("+74957654321"), person("+79161234567"));
        let list = AccessList { allow: vec![], deny: vec![one.clone()] };
        assert_eq!([bad, good, other].map(|who| list.admits(&who)), [false, true, true]);
        assert_eq!([bad, good].map(|who| list.denies(&who)), [true, false]);
        let list = AccessList { allow: vec![moscow.clone()], deny: vec![one.clone()] };
        assert_eq!([bad, good, other].map(|who| list.admits(&who)), [false, true, false]);
        let list = AccessList { allow: vec![one.clone()], deny: vec![one] };
        assert!(!list.admits(&bad), "both");
        let list = AccessList { allow: vec![moscow, Pattern::Contacts], deny: vec![] };
        assert!(list.admits(&Subject { is_contact: true, ..other }));
        assert!(AccessList::default().admits(&Subject::default()));
    }
}
