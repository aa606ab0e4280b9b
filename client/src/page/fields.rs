//! What somebody typed into a form: bounded, and without characters that nobody types.

use std::collections::BTreeMap;

use tgtrunk_config::Said;

/// Longest form, in bytes.
pub(crate) const LONGEST_BYTES: usize = 256 * 1024;
/// Fields of one form.
const FIELDS: usize = 500;
/// Longest field, in characters.
const FIELD_CHARS: usize = 16 * 1024;

/// The fields of one form, or of an address. Of fields with one name the last counts, but for [`Fields::all`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    /// Takes fields as they came.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Result<Self, Said> {
        if pairs.len() > FIELDS {
            return Err(Said::new("The form has too many fields.", "В форме слишком много полей."));
        }
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in pairs {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            if value.chars().count() > FIELD_CHARS {
                return Err(Said::new(
                    format!("The field {shown} is too long."),
                    format!("Поле {shown} слишком длинное."),
                ));
            }
            let is_strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
            if name.len() > 64 || name.chars().any(char::is_control) || value.chars().any(is_strange) {
                return Err(Said::new(
                    format!("The field {shown} holds characters that cannot be typed."),
                    format!("В поле {shown} есть знаки, которых нет на клавиатуре."),
                ));
            }
            // Browsers end lines as mail does (HTML, form submission).
            fields.entry(name).or_default().push(value.replace("\r\n", "\n"));
        }
        Ok(Self(fields))
    }

    /// A field as it was typed; empty where there is none.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.get(name).and_then(|values| values.last()).map_or("", String::as_str)
    }

    /// A field of one line without spaces around it; empty where there is none.
    pub(crate) fn line(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field if it is there.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.last()).map(String::as_str)
    }

    /// Every field with this name.
    pub(crate) fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// A place on this page, out of what a browser sent; the lines where it is anything else.
pub(crate) fn local(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= 512
        && path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    if is_local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_counts_and_lines_end_as_here() {
        let fields = Fields::new(pairs(&[("a", "false"), ("a", " true "), ("text", "x\r\ny")])).unwrap();
        assert_eq!((fields.line("a"), fields.raw("text"), fields.raw("b")), ("true", "x\ny", ""));
        assert_eq!((fields.all("a").len(), fields.given("b")), (2, None));
    }

    #[test]
    fn too_much_and_what_nobody_types_is_refused_with_a_sentence() {
        let told = |all: Vec<(String, String)>| Fields::new(all).unwrap_err().en;
        assert_eq!(told(vec![("a".into(), "b".into()); 501]), "The form has too many fields.");
        assert_eq!(told(pairs(&[("a", &"я".repeat(16 * 1024 + 1))])), "The field a is too long.");
        for value in ["x\0", "\u{1b}[31m", "\u{85}"] {
            let told = told(pairs(&[("pbx", value)]));
            assert_eq!(told, "The field pbx holds characters that cannot be typed.");
        }
    }

    #[test]
    fn only_places_on_this_page_are_gone_on_to() {
        assert_eq!(local("/calls?page=2"), "/calls?page=2");
        for wrong in ["", "calls", "//evil.example", "https://evil.example", "/\\evil.example", "/a b", "/\n"]
        {
            assert_eq!(local(wrong), "/", "{wrong:?}");
        }
    }

    fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}
