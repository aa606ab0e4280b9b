//! What an error says to a person, in both languages where whoever made it knew both.

use tgtrunk_config::{Said, SettingsError, StateError};

/// The error's sentence. One that was made of a [`Said`] (`anyhow::Error::msg`) says that, and so do settings and the
/// state directory; any other is told in English.
pub fn said(error: &anyhow::Error) -> Said {
    let known = error.downcast_ref::<Said>().cloned();
    let state = || error.downcast_ref::<StateError>().map(Said::from);
    let settings = || error.downcast_ref::<SettingsError>().map(Said::from);
    known.or_else(state).or_else(settings).unwrap_or_else(|| format!("{error:#}").into())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[test]
    fn an_error_says_what_it_knows_in_both_languages_and_all_of_it_in_english() {
        let both = Said::new("the port is taken", "порт занят");
        assert_eq!(said(&anyhow::Error::msg(both.clone())), both);
        assert_eq!(said(&anyhow!("broken pipe").context("not sent")), Said::from("not sent: broken pipe"));
        let state = StateError::Locked { path: "gateway.lock".into() };
        assert!(said(&state.into()).ru.starts_with("gateway.lock держит"));
        assert_eq!(said(&None::<()>.context("nobody").unwrap_err()), Said::from("nobody"));
    }
}
