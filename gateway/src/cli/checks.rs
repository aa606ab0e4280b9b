//! `checks`: what a line needs of its account, its bot and its PBX, and mending what can be mended from here.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, Check, CheckName, Found};
use tgtrunk_config::{Language, Phone, StateDir};
use tgtrunk_shell::asking;
use tgtrunk_shell::keyboard::say;
use tokio::net::UnixStream;

/// Looks at a line through the running gateway, and through the client where it runs; `fix` mends what they can. The exit
/// code is 0 when nothing is amiss.
///
/// # Errors
/// When no gateway runs, or it has no such line.
pub(super) async fn run(state: &StateDir, phone: &Phone, fix: bool) -> anyhow::Result<ExitCode> {
    let language = tgtrunk_shell::language();
    let (gateway, client) = (state.gateway_socket(), state.client_socket());
    let mut well = look(&gateway, phone, fix, language).await?;
    if UnixStream::connect(&client).await.is_ok() {
        well &= match look(&client, phone, fix, language).await {
            Ok(well) => well,
            Err(error) => {
                say(&format!("{error:#}"));
                false
            }
        };
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(socket: &Path, phone: &Phone, fix: bool, language: Language) -> anyhow::Result<bool> {
    let mut checks = ask(socket, Ask::Checks { line: phone.clone() }).await?;
    let amiss: Vec<CheckName> =
        checks.iter().filter(|check| fix && check.can_fix).map(|check| check.check).collect();
    for check in amiss {
        checks = ask(socket, Ask::FixCheck { line: phone.clone(), check }).await?;
    }
    for check in &checks {
        say(&shown(check, language));
    }
    Ok(checks.iter().all(|check| check.found != Found::Bad))
}

/// Has a program look, after mending where that is asked.
pub(super) async fn ask(socket: &Path, ask: Ask) -> anyhow::Result<Vec<Check>> {
    match asking::ask(socket, ask).await? {
        Answer::Checks(checks) => Ok(checks),
        _ => bail!("{}: something else was answered", socket.display()),
    }
}

/// A check as a line in the terminal's language.
pub(super) fn shown(check: &Check, language: Language) -> String {
    let found = match (check.found, language) {
        (Found::Good, Language::English) => "good   ",
        (Found::Bad, Language::English) => "amiss  ",
        (Found::Unknown, Language::English) => "unknown",
        (Found::Good, Language::Russian) => "хорошо    ",
        (Found::Bad, Language::Russian) => "исправить ",
        (Found::Unknown, Language::Russian) => "неизвестно",
    };
    format!("{found}  {}", check.said.in_language(language))
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Said;

    use super::*;

    #[test]
    fn a_check_is_a_line_in_the_terminals_language() {
        let said = Said::new("Everybody may call.", "Звонить могут все.");
        let check = Check { check: CheckName::CallsFromEverybody, found: Found::Bad, said, can_fix: true };
        assert_eq!(shown(&check, Language::English), "amiss    Everybody may call.");
        assert_eq!(shown(&check, Language::Russian), "исправить   Звонить могут все.");
    }
}
