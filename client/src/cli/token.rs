//! `token`, `instances` and `partner-token`: what a program needs to send and read an account's messages.

use anyhow::bail;
use tgtrunk_config::control::{Answer, Ask, InstanceInfo, NewToken};
use tgtrunk_config::{BotName, Language, Phone, StateDir};
use tgtrunk_messages::{Asked, Standing, Told};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::{asking, language};

use super::ask;
use crate::api::partner;

/// Makes a line's instance another token and shows it this once.
///
/// # Errors
/// When no client runs, or it has no such line.
pub(crate) async fn renew(state: &StateDir, phone: Phone) -> anyhow::Result<()> {
    match ask::answer(state, Ask::RenewToken { line: phone }).await? {
        Answer::NewToken(token) => say(&shown(&token, language())),
        _ => bail!("the client answered something else"),
    }
    Ok(())
}

/// Lists all instances.
///
/// # Errors
/// When no client runs.
pub(crate) async fn list(state: &StateDir, json: bool) -> anyhow::Result<()> {
    let Answer::Instances(mut instances) = ask::answer(state, Ask::Instances).await? else {
        bail!("the client answered something else")
    };
    instances.extend(bots(state).await);
    if json {
        say(&serde_json::to_string_pretty(&instances)?);
        return Ok(());
    }
    if instances.is_empty() {
        say(match language() {
            Language::Russian => "линий нет: tgtrunk-gateway lines add +79060000000 --pbx 127.0.0.1:5060",
            Language::English => "no lines: tgtrunk-gateway lines add +79060000000 --pbx 127.0.0.1:5060",
        });
    }
    for one in &instances {
        let (instance, whose, standing) = (one.instance, whose(one, language()), &one.standing);
        let (outgoing, notifications, dropped) = (one.outgoing, one.notifications, dropped(one, language()));
        say(&match language() {
            Language::Russian => {
                let token = if one.has_token { "" } else { ", токена нет: tgtrunk-client token" };
                format!(
                    "{instance} {whose} {standing}: к отправке {outgoing}, уведомлений {notifications}{dropped}{token}"
                )
            }
            Language::English => {
                let token = if one.has_token { "" } else { ", no token: tgtrunk-client token" };
                format!(
                    "{instance} {whose} {standing}: {outgoing} to send, {notifications} notifications{dropped}{token}"
                )
            }
        });
    }
    Ok(())
}

/// The bots that programs lead, where tgtrunk-bot runs.
async fn bots(state: &StateDir) -> Vec<InstanceInfo> {
    let ask = async |ask| asking::ask(&state.bot_socket(), ask).await;
    let Ok(Answer::Bots(report)) = ask(Ask::Status).await else { return Vec::new() };
    let mut infos = Vec::new();
    for bot in report.bots {
        let Some(programs) = bot.programs else { continue };
        let asked = serde_json::to_value(Asked::Glance).unwrap_or_default();
        let told = ask(Ask::BotMessages { bot: bot.bot.clone(), asked }).await;
        let glance = match told {
            Ok(Answer::BotMessages(told)) => serde_json::from_value(told).ok(),
            _ => None,
        };
        infos.push(of_bot(bot.bot, glance, programs.waiting));
    }
    infos
}

/// A bot as an instance; without a glance it is still being opened.
fn of_bot(bot: BotName, glance: Option<Told>, updates: u64) -> InstanceInfo {
    let glance = match glance {
        Some(Told::Glance(glance)) => Some(glance),
        _ => None,
    };
    let standing = glance.as_ref().map_or(Standing::Starting, |glance| glance.standing);
    InstanceInfo {
        instance: glance.as_ref().map_or(0, |glance| glance.id.get()),
        line: None,
        bot: Some(bot),
        phone: None,
        name: glance.as_ref().map(|glance| glance.name.clone()).unwrap_or_default(),
        standing: standing.as_str().to_owned(),
        // Its own.
        has_token: true,
        outgoing: glance.map_or(0, |glance| glance.outgoing),
        notifications: updates,
        dropped: 0,
    }
}

/// How many notifications gave way because nobody fetched them.
fn dropped(one: &InstanceInfo, language: Language) -> String {
    match (one.dropped, language) {
        (0, _) => String::new(),
        (count, Language::Russian) => format!(" (отброшено {count})"),
        (count, Language::English) => format!(" ({count} dropped)"),
    }
}

/// A line's number; of an instance that is no line, its account's and what its partner calls it.
fn whose(one: &InstanceInfo, language: Language) -> String {
    if let Some(line) = &one.line {
        return line.to_string();
    }
    if let Some(bot) = &one.bot {
        return format!("@{bot}");
    }
    let number = one.phone.as_ref().map(|phone| format!(" {phone}")).unwrap_or_default();
    let name = if one.name.is_empty() { String::new() } else { format!(" {:?}", one.name) };
    match language {
        Language::Russian => format!("партнёра{number}{name}"),
        Language::English => format!("a partner's{number}{name}"),
    }
}

/// The token, and what a programmer pastes.
fn shown(new: &NewToken, language: Language) -> String {
    let NewToken { instance, token, url } = new;
    let token = token.as_str();
    let [once, shell, sends, python] = match language {
        Language::Russian => [
            "Токен показан один раз; прежний больше не действует.",
            "Состояние:",
            "Отправить сообщение (вместо 79990000000 — номер человека, у которого есть Telegram):",
            "Python (pip install telegram-api-client-python):",
        ],
        Language::English => [
            "The token is shown this once; the one before is dead.",
            "How it stands:",
            "Send a message (in the place of 79990000000 the number of somebody who has Telegram):",
            "Python (pip install telegram-api-client-python):",
        ],
    };
    format!(
        "idInstance: {instance}\napiTokenInstance: {token}\n{once}\n\n{shell}\n  curl {url}/waInstance{instance}/getStateInstance/{token}\n{sends}\n  curl {url}/waInstance{instance}/sendMessage/{token} -d '{{\"chatId\": \"79990000000@c.us\", \"message\": \"Hello\"}}'\n{python}\n  from telegram_api_client_python import API\n  api = API.GreenAPI(\"{instance}\", \"{token}\", host=\"{url}\", media=\"{url}\")\n  api.sending.sendMessage(\"79990000000@c.us\", \"Hello\")\n"
    )
}

/// Makes the partner's token anew and shows it this once, whether the client runs or not; or takes it away.
///
/// # Errors
/// When it cannot be kept.
pub(crate) fn partner(state: &StateDir, is_revoked: bool) -> anyhow::Result<()> {
    if is_revoked {
        let there_was = partner::revoke(state)?;
        say(match (language(), there_was) {
            (Language::Russian, true) => "Токен партнёра больше не действует.",
            (Language::Russian, false) => "Токена партнёра не было.",
            (Language::English, true) => "The partner's token is dead.",
            (Language::English, false) => "There was no partner's token.",
        });
        return Ok(());
    }
    let token = partner::renew(state)?;
    let once = match language() {
        Language::Russian => {
            "Токен показан один раз; прежний больше не действует. Кто его знает, заводит и удаляет инстансы."
        }
        Language::English => {
            "The token is shown this once; the one before is dead. Whoever has it makes and deletes instances."
        }
    };
    say(&format!("partnerToken: {}\n{once}", token.reveal()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Password;

    use super::*;

    #[test]
    fn a_bot_is_listed_by_its_name_whether_it_tells_of_itself_or_not() {
        let silent = of_bot("acme_bot".parse().unwrap(), None, 3);
        assert_eq!((silent.standing.as_str(), silent.notifications), ("starting", 3));
        assert_eq!(whose(&silent, Language::English), "@acme_bot");
        let glance = serde_json::json!({"glance": {
            "id": 4_100_000_003_i64, "standing": "authorized", "name": "Acme", "outgoing": 2, "last_s": null,
            "stuck": null, "rests": [], "revision": 1,
        }});
        let told = serde_json::from_value(glance).unwrap();
        let info = of_bot("acme_bot".parse().unwrap(), Some(told), 0);
        assert_eq!((info.instance, info.outgoing, info.name.as_str()), (4_100_000_003, 2, "Acme"));
    }

    #[test]
    fn a_token_is_shown_with_what_a_programmer_pastes() {
        let new = NewToken {
            instance: 4_100_000_001,
            token: Password::new("abc"),
            url: "http://127.0.0.1:8091".into(),
        };
        let told = shown(&new, Language::English);
        for line in [
            "idInstance: 4100000001",
            "apiTokenInstance: abc",
            "curl http://127.0.0.1:8091/waInstance4100000001/getStateInstance/abc",
            "sendMessage/abc -d '{\"chatId\": \"79990000000@c.us\"",
            "API.GreenAPI(\"4100000001\", \"abc\", host=\"http://127.0.0.1:8091\"",
        ] {
            assert!(told.contains(line), "{told}");
        }
        assert!(shown(&new, Language::Russian).contains("один раз"));
    }
}
