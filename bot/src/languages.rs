//! In which language each person reads, as Telegram once told.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tgtrunk_config::{Language, Said, UserId};

use crate::telegram::Person;

/// People of whom a language is kept in memory. The store has the others too, but nobody waits for it.
const MOST: usize = 100_000;

/// A reason that is known in English alone, for texts in `language`: whoever reads another one is better off without.
pub(crate) fn in_english(language: Language, reason: &str) -> String {
    match language {
        Language::English => reason.to_owned(),
        Language::Russian => String::new(),
    }
}

/// A reason in the reader's language, or none where it is known in English alone.
pub(crate) fn in_language(language: Language, reason: &Said) -> String {
    if reason.ru.is_empty() {
        in_english(language, &reason.en)
    } else {
        reason.in_language(language).to_owned()
    }
}

/// Clones share it. Nobody waits while holding it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Languages {
    known: Arc<RwLock<BTreeMap<UserId, Language>>>,
}

impl Languages {
    pub(crate) fn new(known: BTreeMap<UserId, Language>) -> Self {
        Self { known: Arc::new(RwLock::new(known)) }
    }

    /// Notes what Telegram tells of a person. True if it is news.
    pub(crate) fn learn(&self, person: &Person) -> bool {
        let Some(language) = person.language else { return false };
        if self.of(person.id) == Some(language) {
            return false;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST {
            known.insert(person.id, language);
        }
        true
    }

    /// A person's language, if it was ever told.
    pub(crate) fn of(&self, person: UserId) -> Option<Language> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&person).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_in_the_readers_language_or_not_at_all() {
        let (both, english) = (Said::new("log in again", "войдите заново"), Said::from("log in again"));
        assert_eq!(in_language(Language::Russian, &both), "войдите заново");
        assert_eq!(in_language(Language::English, &both), "log in again");
        assert_eq!(in_language(Language::Russian, &english), "");
        assert_eq!(in_language(Language::English, &english), "log in again");
    }

    #[test]
    fn a_language_is_news_once_and_remembered() {
        let languages = Languages::default();
        let id = UserId::new(5).unwrap();
        let person = |language| Person { id, name: String::new(), username: None, language };
        assert!(languages.learn(&person(Some(Language::Russian))));
        assert!(!languages.learn(&person(Some(Language::Russian))));
        assert!(!languages.learn(&person(None)));
        assert_eq!(languages.of(id), Some(Language::Russian));
    }
}
