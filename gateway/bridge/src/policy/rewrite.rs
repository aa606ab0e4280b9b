//! What is dialled, written anew before it is understood: a pattern and what takes its place.

use regex_lite::{Regex, RegexBuilder};

/// Room of one pattern, in bytes: an expression of one line has a hundredth of it.
const SIZE_LIMIT: usize = 256 * 1_024;

/// Rules, of which the first that fits is used.
#[derive(Debug, Clone, Default)]
pub struct Rewrites(Vec<(Regex, String)>);

/// No pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern: {why}")]
pub struct RewriteError {
    pattern: String,
    why: String,
}

impl Rewrites {
    /// Rules from patterns and what takes their place, in their order.
    ///
    /// # Errors
    /// [`RewriteError`] names the first that is none.
    pub fn new<'a>(rules: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RewriteError> {
        let rule = |(pattern, to): (&str, &str)| {
            let read = |text: &str| RegexBuilder::new(text).size_limit(SIZE_LIMIT).build();
            // By itself first: what closes brackets that it never opened would fit into ours.
            let whole = read(pattern).and_then(|_| read(&format!("^(?:{pattern})$")));
            let wrong = |error: regex_lite::Error| RewriteError {
                pattern: pattern.to_owned(),
                why: error.to_string(),
            };
            Ok((whole.map_err(wrong)?, to.to_owned()))
        };
        rules.into_iter().map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// What stands in the place of what was dialled; `None` where no rule fits.
    pub fn apply(&self, dialled: &str) -> Option<String> {
        let (pattern, to) = self.0.iter().find(|(pattern, _)| pattern.is_match(dialled))?;
        Some(pattern.replace(dialled, to.as_str()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_all_of_what_was_dialled_is_used() {
        let rules = [(r"8(\d{10})", "+7$1"), (r"9(.*)", "$1"), (r"9.*", "never"), ("reception", "tg#acme")];
        let rules = Rewrites::new(rules).unwrap();
        for (dialled, written) in [
            ("89161234567", Some("+79161234567")),
            ("9100", Some("100")),
            ("reception", Some("tg#acme")),
            ("891612345678", None),
            ("receptionist", None),
            ("", None),
        ] {
            assert_eq!(rules.apply(dialled).as_deref(), written, "{dialled}");
        }
        assert_eq!(Rewrites::default().apply("9100"), None);
    }

    #[test]
    fn a_pattern_stays_whole_whatever_stands_in_it() {
        let rules = Rewrites::new([("1|2", "x")]).unwrap();
        assert_eq!(rules.apply("12"), None);
        assert_eq!(rules.apply("2").as_deref(), Some("x"));
    }

    #[test]
    fn what_is_no_pattern_or_a_huge_one_is_refused() {
        for wrong in ["(", "[", r"\", "a{1000}{1000}", "x)("] {
            assert!(Rewrites::new([(wrong, "")]).is_err(), "{wrong}");
        }
    }
}
