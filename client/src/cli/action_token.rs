//! `action-token`: with what programs call the HTTP API `/api/v1/`.

use anyhow::bail;
use chrono::{Local, TimeZone as _};
use tgtrunk_config::control::{ActionTokenInfo, Answer, Ask, NewActionToken};
use tgtrunk_config::{Language, Phone, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::language;

use super::ask;

/// Makes a token for a line, or for all, and shows it this once.
///
/// # Errors
/// When no client runs, or it has no such line.
pub(crate) async fn make(state: &StateDir, line: Option<Phone>, label: String) -> anyhow::Result<()> {
    match ask::answer(state, Ask::MakeActionToken { line: line.clone(), label }).await? {
        Answer::NewActionToken(new) => say(&shown(&new, line.as_ref(), language())),
        _ => bail!("the client answered something else"),
    }
    Ok(())
}

/// Lists the tokens.
///
/// # Errors
/// When no client runs.
pub(crate) async fn list(state: &StateDir, json: bool) -> anyhow::Result<()> {
    let Answer::ActionTokens(tokens) = ask::answer(state, Ask::ActionTokens).await? else {
        bail!("the client answered something else")
    };
    if json {
        say(&serde_json::to_string_pretty(&tokens)?);
        return Ok(());
    }
    if tokens.is_empty() {
        say(match language() {
            Language::Russian => "токенов нет: tgtrunk-client action-token make --all --label 1C",
            Language::English => "no tokens: tgtrunk-client action-token make --all --label 1C",
        });
    }
    for token in &tokens {
        say(&told(token, language()));
    }
    Ok(())
}

/// Ends a token.
///
/// # Errors
/// When no client runs, or there is no such token.
pub(crate) async fn revoke(state: &StateDir, number: i64) -> anyhow::Result<()> {
    ask::answer(state, Ask::RevokeActionToken { number }).await?;
    say(match language() {
        Language::Russian => "Токен больше не действует.",
        Language::English => "The token is dead.",
    });
    Ok(())
}

/// The token, and what a programmer pastes.
fn shown(new: &NewActionToken, line: Option<&Phone>, language: Language) -> String {
    let NewActionToken { number, token, url } = new;
    let token = token.as_str();
    let [whose, once, first] = match (language, line) {
        (Language::Russian, Some(line)) => [
            format!("линия {line}"),
            format!("Токен показан один раз. Отозвать: tgtrunk-client action-token revoke {number}"),
            "Проверка:".to_owned(),
        ],
        (Language::Russian, None) => [
            "все линии".to_owned(),
            format!("Токен показан один раз. Отозвать: tgtrunk-client action-token revoke {number}"),
            "Проверка:".to_owned(),
        ],
        (Language::English, line) => [
            line.map_or_else(|| "all lines".to_owned(), |line| format!("line {line}")),
            format!("The token is shown this once. To end it: tgtrunk-client action-token revoke {number}"),
            "To try it:".to_owned(),
        ],
    };
    format!(
        "actionToken: {token}\n{whose}\n{once}\n\n{first}\n  curl -H \"Authorization: Bearer {token}\" {url}/api/v1/organisations\n"
    )
}

/// One line of the list.
fn told(token: &ActionTokenInfo, language: Language) -> String {
    let ActionTokenInfo { number, line, instance, label, created_s, last_used_s, revoked_s } = token;
    let date = |s: i64| {
        let time = Local.timestamp_opt(s, 0).single();
        time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M").to_string())
    };
    let whose = match (line, instance) {
        (Some(line), _) => Some(line.to_string()),
        (None, instance) => instance.map(|id| id.to_string()),
    };
    let made = date(*created_s);
    match language {
        Language::Russian => {
            let whose = whose.unwrap_or_else(|| "все линии".to_owned());
            let used =
                last_used_s.map_or_else(|| "не применялся".to_owned(), |s| format!("применялся {}", date(s)));
            let end = revoked_s.map_or_else(String::new, |s| format!(", отозван {}", date(s)));
            format!("{number} {label:?} ({whose}): выдан {made}, {used}{end}")
        }
        Language::English => {
            let whose = whose.unwrap_or_else(|| "all lines".to_owned());
            let used =
                last_used_s.map_or_else(|| "never used".to_owned(), |s| format!("last used {}", date(s)));
            let end = revoked_s.map_or_else(String::new, |s| format!(", revoked {}", date(s)));
            format!("{number} {label:?} ({whose}): made {made}, {used}{end}")
        }
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Password;

    use super::*;

    #[test]
    fn a_token_is_shown_with_what_a_programmer_pastes_in_both_languages() {
        let new = NewActionToken {
            number: 7,
            token: Password::new("tga.abc"),
            url: "http://127.0.0.1:8091".to_owned(),
        };
        let line: Phone = "+79060000000".parse().unwrap();
        let english = shown(&new, Some(&line), Language::English);
        for wanted in [
            "actionToken: tga.abc\nline +79060000000\n",
            "action-token revoke 7",
            "curl -H \"Authorization: Bearer tga.abc\" http://127.0.0.1:8091/api/v1/organisations",
        ] {
            assert!(english.contains(wanted), "{english}");
        }
        let russian = shown(&new, None, Language::Russian);
        assert!(russian.contains("все линии") && russian.contains("один раз"), "{russian}");
    }

    #[test]
    fn the_list_says_whose_a_token_is_and_whether_it_holds() {
        let token = ActionTokenInfo {
            number: 7,
            instance: None,
            line: None,
            label: "1C".to_owned(),
            created_s: 1_800_000_000,
            last_used_s: None,
            revoked_s: Some(1_800_000_060),
        };
        let english = told(&token, Language::English);
        assert!(
            english.starts_with("7 \"1C\" (all lines): made 2027-01-1") && english.contains("revoked 2027"),
            "{english}"
        );
        let russian = told(&ActionTokenInfo { revoked_s: None, ..token }, Language::Russian);
        assert!(russian.contains("не применялся") && !russian.contains("отозван"), "{russian}");
    }
}
