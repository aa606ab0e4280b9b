//! `dial-test`: how a line understands what a PBX dials, and whether its rules let the call through now.

use std::process::ExitCode;

use anyhow::bail;
use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{CallEnd, Ender};
use tgtrunk_config::{Language, Line, Lines, Phone, Said, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_telegram::Person;

use crate::line::Admission;
use crate::{clock, rules};

/// Prints what becomes of `dialled`, a step on each line. The exit code is 0 where the call would be placed.
///
/// # Errors
/// When there is no such line, or its file is wrong.
pub(super) fn run(state: &StateDir, phone: &Phone, dialled: &str) -> anyhow::Result<ExitCode> {
    let language = tgtrunk_shell::language();
    let lines = Lines::load(state)?;
    if let Some(line) = lines.lines.iter().find(|line| line.phone == *phone) {
        let (steps, is_placed) = steps(line, dialled, clock::unix_ms(), language);
        steps.iter().for_each(|step| say(step));
        return Ok(if is_placed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    match lines.problems.iter().find(|problem| problem.folder == phone.as_str()) {
        Some(problem) => bail!("{}", Said::from(problem).in_language(language)),
        None => {
            let none = Said::new(format!("there is no line {phone}"), format!("линии {phone} нет"));
            bail!("{}", none.in_language(language))
        }
    }
}

fn steps(line: &Line, dialled: &str, now_ms: u64, language: Language) -> (Vec<String>, bool) {
    let step = |name: [&str; 2], what: String| match language {
        Language::English => format!("{:<12}{what}", name[0]),
        Language::Russian => format!("{:<12}{what}", name[1]),
    };
    let either = |en: &'static str, ru: &'static str| match language {
        Language::English => en,
        Language::Russian => ru,
    };
    let admission = Admission::new(line);
    let written = admission.written(dialled);
    let mut steps = vec![step(["dialled", "набрано"], dialled.to_owned())];
    if written != dialled {
        steps.push(step(["rewritten", "переписано"], written.clone()));
    }
    let (understood, refusal) = match rules::dialled(&written, &line.dial) {
        Ok(person) => {
            let understood = match &person {
                Person::Phone(number) => format!("{} {number}", either("phone number", "номер телефона")),
                Person::Username(name) => format!("{} @{name}", either("username", "имя")),
                Person::Id(id) => format!("{} {id}", either("Telegram id", "id в Telegram")),
            };
            (understood, admission.refusal(now_ms, dialled, &person))
        }
        Err(error) => {
            let nobody = either("nobody: neither a number nor a name", "никто: это не номер и не имя");
            (nobody.to_owned(), Some(Cause::from(&error)))
        }
    };
    steps.push(step(["understood", "понято как"], understood));
    let is_placed = refusal.is_none();
    let allowed = match refusal {
        None => either("yes, now", "сейчас можно").to_owned(),
        Some(cause) => {
            let row = cause.row();
            let wait = row.retry_after_s.map(|wait_s| format!(", Retry-After: {wait_s}")).unwrap_or_default();
            let end = CallEnd {
                by: Ender::Gateway,
                cause: cause.words().to_owned(),
                sip_status: Some(row.status),
                q850: Some(row.q850),
            };
            let why = end.words(language);
            format!("{}: {why}; SIP {} {}{wait}", either("no", "нет"), row.status, row.phrase)
        }
    };
    steps.push(step(["call", "звонок"], allowed));
    if admission.wants_contacts() {
        let note = either(
            "contacts are not looked up here: everybody counts as a stranger",
            "контакты здесь не проверяются: все считаются незнакомыми",
        );
        steps.push(step(["", ""], note.to_owned()));
    }
    (steps, is_placed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    // 2026-11-26 20:00 in Moscow.
    const EVENING_MS: u64 = 1_795_712_400_000;

    #[test]
    fn each_step_from_the_dialled_string_to_the_answer_is_told() {
        let line = line(
            "[dial]\nrewrite = ['9(.*) -> $1']\n[to_telegram]\ndeny = [\"+7495*\", \"@spam*\"]\n[hours]\n\
             time_zone = \"Europe/Moscow\"\nquiet = [\"daily 22:00-08:00\"]\n",
        );
        let told = |dialled: &str, now_ms| steps(&line, dialled, now_ms, Language::English);
        assert_eq!(
            told("989161234567", EVENING_MS),
            (
                vec![
                    "dialled     989161234567".to_owned(),
                    "rewritten   89161234567".to_owned(),
                    "understood  phone number +79161234567".to_owned(),
                    "call        yes, now".to_owned(),
                ],
                true
            )
        );
        let (steps, is_placed) = told("tg%23Spammer", EVENING_MS);
        assert!(!is_placed);
        assert_eq!(
            steps[1..],
            [
                "rewritten   tg#Spammer",
                "understood  username @Spammer",
                "call        no: Not allowed by the line's lists; SIP 403 Forbidden"
            ]
        );
        assert!(!told("84951234567", EVENING_MS).1);
        let (steps, _) = told("+79161234567", EVENING_MS + 3 * 3_600_000);
        let wait_s = 9 * 3_600;
        assert_eq!(
            steps.last().unwrap(),
            &format!(
                "call        no: Quiet hours of the line; SIP 480 Temporarily Unavailable, Retry-After: {wait_s}"
            )
        );
        assert!(told("*43", EVENING_MS).0.last().unwrap().ends_with("SIP 484 Address Incomplete"));
    }

    #[test]
    fn it_is_told_in_russian_too_and_says_that_contacts_are_not_known() {
        let line = line("[to_telegram]\nallow = [\"contacts\"]\n");
        let (steps, is_placed) = steps(&line, "tg#anna", EVENING_MS, Language::Russian);
        assert!(!is_placed);
        assert_eq!(steps[1], "понято как  имя @anna");
        assert_eq!(steps[2], "звонок      нет: запрещено списками линии; SIP 403 Forbidden");
        assert!(steps[3].contains("контакты"), "{steps:?}");
    }

    fn line(more: &str) -> Line {
        let text = format!("phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n{more}");
        Line::parse(&text, Path::new("l"), "+79060000000", &BTreeMap::new()).unwrap()
    }
}
