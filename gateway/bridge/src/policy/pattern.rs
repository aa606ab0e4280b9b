//! One pattern of a list: a number, a name, an id, or a word for many people.

/// Somebody at Telegram's end, as far as a line knows them before it does anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Digits, with or without `+`; of a caller only if they show it.
    pub phone: Option<&'a str>,
    /// Without `@`.
    pub username: Option<&'a str>,
    /// Telegram's id.
    pub id: Option<i64>,
    /// First and last name.
    pub name: Option<&'a str>,
    /// What the PBX dialled, as it came.
    pub dialled: Option<&'a str>,
    /// Whether they are in the account's list of contacts.
    pub is_contact: bool,
}

/// Whom an entry of a list means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// A phone number, or what was dialled; `+` may be left out.
    Number(Glob),
    /// A username without `@`.
    Username(Glob),
    /// A Telegram id.
    Id(i64),
    /// First and last name as they are typed.
    Name(Glob),
    /// Whoever is in the account's list of contacts.
    Contacts,
    /// Whoever is not.
    Strangers,
    /// Whoever shows no phone number.
    Anonymous,
}

impl Pattern {
    /// Whether it means them. What is not known of somebody matches nothing.
    pub fn matches(&self, who: &Subject<'_>) -> bool {
        match self {
            Self::Number(glob) => {
                let digits = who.phone.map(|phone| phone.trim_start_matches('+'));
                let international = digits.map(|digits| format!("+{digits}"));
                [international.as_deref(), digits, who.dialled].into_iter().flatten().any(|t| glob.matches(t))
            }
            Self::Username(glob) => who.username.is_some_and(|name| glob.matches(name)),
            Self::Id(id) => who.id == Some(*id),
            Self::Name(glob) => who.name.is_some_and(|name| glob.matches(name)),
            Self::Contacts => who.is_contact,
            Self::Strangers => !who.is_contact,
            Self::Anonymous => who.phone.is_none_or(|phone| !phone.contains(|sign: char| sign != '+')),
        }
    }
}

/// Text in which `*` stands for any signs, also none, and `?` for one. Large and small letters are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(Vec<char>);

impl Glob {
    /// The pattern that this text is.
    pub fn new(text: &str) -> Self {
        Self(lower(text))
    }

    /// Whether all of `text` fits. It takes at most the product of both lengths in steps.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (&self.0, lower(text));
        let (mut at, mut read) = (0, 0);
        // Where the latest star stands, and how far it reaches.
        let mut star: Option<(usize, usize)> = None;
        while read < text.len() {
            if pattern.get(at) == Some(&'*') {
                star = Some((at, read));
                at += 1;
            } else if pattern.get(at).is_some_and(|sign| *sign == '?' || *sign == text[read]) {
                (at, read) = (at + 1, read + 1);
            } else if let Some((place, reach)) = star {
                star = Some((place, reach + 1));
                (at, read) = (place + 1, reach + 1);
            } else {
                return false;
            }
        }
        pattern[at..].iter().all(|sign| *sign == '*')
    }
}

fn lower(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_signs_and_a_question_mark_one() {
        for (pattern, fits, fails) in [
            ("+7495*", &["+7495", "+74951234567"][..], &["+7496", "7495"][..]),
            ("*4567", &["+79161234567", "4567"], &["45678", "456"]),
            ("+7916???4567", &["+79161234567"], &["+7916124567"]),
            ("*spam*", &["SPAM", "Big Spam Ltd", "spam!"], &["spa", "s pam"]),
            ("анна *", &["Анна Ким", "АННА "], &["Анна"]),
            ("a*b*c", &["abc", "axxbxxbxxc"], &["ab", "acb", "abcd"]),
            ("", &[""], &["a"]),
            ("***", &["", "anything"], &[]),
        ] {
            for text in fits {
                assert!(Glob::new(pattern).matches(text), "{pattern} should mean {text}");
            }
            for text in fails {
                assert!(!Glob::new(pattern).matches(text), "{pattern} should not mean {text}");
            }
        }
    }

    #[test]
    fn a_pattern_that_could_take_for_ever_does_not() {
        let glob = Glob::new(&"*a".repeat(32));
        assert!(
            !glob.matches(&"a".repeat(64).replace("aaaa", "aaab")[..63]) || glob.matches(&"a".repeat(64))
        );
        assert!(!glob.matches(&"b".repeat(128)));
    }

    #[test]
    fn each_kind_looks_at_its_own_and_what_is_unknown_matches_nothing() {
        let anna = Subject {
            phone: Some("79161234567"),
            username: Some("Anna_K"),
            id: Some(5),
            name: Some("Анна Ким"),
            dialled: Some("89161234567"),
            is_contact: true,
        };
        let number = |text| Pattern::Number(Glob::new(text));
        for pattern in [
            number("+7916*"),
            number("7916*"),
            number("8916*"),
            Pattern::Username(Glob::new("anna*")),
            Pattern::Id(5),
            Pattern::Name(Glob::new("*ким*")),
            Pattern::Contacts,
        ] {
            assert!(pattern.matches(&anna), "{pattern:?}");
            let nobody = Subject::default();
            assert!(!pattern.matches(&nobody), "{pattern:?} means whom nobody knows");
        }
        for pattern in [Pattern::Strangers, Pattern::Anonymous, Pattern::Id(6)] {
            assert!(!pattern.matches(&anna), "{pattern:?}");
        }
        assert!(Pattern::Anonymous.matches(&Subject { phone: Some(""), ..anna }));
        assert!(Pattern::Strangers.matches(&Subject { is_contact: false, ..anna }));
    }
}
