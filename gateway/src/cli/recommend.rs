//! `recommend`: what a line's account should be set to at Telegram, and setting it so.

use std::process::ExitCode;

use tgtrunk_config::control::{Ask, Check, CheckName, Found};
use tgtrunk_config::{Phone, Said, StateDir};
use tgtrunk_shell::keyboard::say;

use super::checks::{ask, shown};

/// Settings of the account at Telegram, which a person can change there as well.
const RECOMMENDED: [CheckName; 3] =
    [CheckName::CallsFromEverybody, CheckName::PeerToPeer, CheckName::PhoneVisible];

/// Shows how the account is set and what would be changed; `apply` changes it. The exit code is 0 when nothing is left to
/// be changed.
///
/// # Errors
/// When no gateway runs, or it has no such line.
pub(super) async fn run(state: &StateDir, phone: &Phone, apply: bool) -> anyhow::Result<ExitCode> {
    let (language, socket) = (tgtrunk_shell::language(), state.gateway_socket());
    let mut checks = ask(&socket, Ask::Checks { line: phone.clone() }).await?;
    let mut refused = Vec::new();
    for check in amiss(&checks).into_iter().filter(|_| apply) {
        match ask(&socket, Ask::FixCheck { line: phone.clone(), check }).await {
            Ok(now) => checks = now,
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    for check in checks.iter().filter(|check| RECOMMENDED.contains(&check.check)) {
        say(&shown(check, language));
    }
    refused.iter().for_each(|sentence| say(sentence));
    let left = amiss(&checks).len();
    if let Some(sentence) = last(left, apply) {
        say(sentence.in_language(language));
    }
    let all_known = checks.iter().all(|check| check.found != Found::Unknown || is_elsewhere(check));
    Ok(if left == 0 && all_known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_elsewhere(check: &Check) -> bool {
    !RECOMMENDED.contains(&check.check)
}

/// What can be changed from here.
fn amiss(checks: &[Check]) -> Vec<CheckName> {
    let mine = checks.iter().filter(|check| !is_elsewhere(check) && check.can_fix);
    mine.map(|check| check.check).collect()
}

fn last(left: usize, apply: bool) -> Option<Said> {
    match (left, apply) {
        (0, _) => None,
        (_, false) => Some(Said::new(
            "What is amiss is changed at Telegram by the same command with --apply.",
            "Чтобы исправить это в Telegram, добавьте к команде --apply.",
        )),
        (_, true) => Some(Said::new(
            "Some could not be changed. A session that is new may change them a day after its login.",
            "Часть настроек не изменена. Новой сессии Telegram позволяет это через сутки после входа.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_the_account_that_are_amiss_are_changed() {
        let check =
            |check, found| Check { check, found, said: Said::new("", ""), can_fix: found == Found::Bad };
        let checks = [
            check(CheckName::CallsFromEverybody, Found::Bad),
            check(CheckName::PeerToPeer, Found::Good),
            check(CheckName::PhoneVisible, Found::Unknown),
            check(CheckName::PbxAnswers, Found::Bad),
        ];
        assert_eq!(amiss(&checks), [CheckName::CallsFromEverybody]);
        assert_eq!(last(0, true), None);
        assert!(
            last(1, false).is_some_and(|said| said.en.contains("--apply") && said.ru.contains("--apply"))
        );
    }
}
