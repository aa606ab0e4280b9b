//! `keys`: the people who wrote to a bot.

use tgtrunk_config::{BotName, Language, StateDir};
use tgtrunk_shell::keyboard::say;
use tgtrunk_shell::language;

use crate::acquaintances;
use crate::clock;
use crate::store::Seen;

/// Prints people and their keys, the latest first.
///
/// # Errors
/// When there is no such bot, or its store cannot be read.
pub(crate) async fn list(state: &StateDir, bot: &BotName, json: bool) -> anyhow::Result<()> {
    let seen = acquaintances::seen(state, bot).await?;
    if json {
        let people: Vec<_> = seen.iter().map(to_json).collect();
        say(&serde_json::to_string_pretty(&people)?);
    } else if seen.is_empty() {
        say(&match language() {
            Language::English => format!("nobody wrote to @{bot} yet"),
            Language::Russian => format!("боту @{bot} ещё никто не писал"),
        });
    }
    for person in seen.iter().filter(|_| !json) {
        say(&shown(person, language()));
    }
    Ok(())
}

fn shown(person: &Seen, tongue: Language) -> String {
    let Seen { id, name, username, language, first_ms, last_ms, blocked } = person;
    let username = username.as_ref().map_or_else(String::new, |username| format!(" @{username}"));
    let language = language.map_or("-", |language| language.as_str());
    let (first, last) = (clock::date(*first_ms), clock::date(*last_ms));
    match tongue {
        Language::English => {
            let blocked = if *blocked { ", has blocked the bot" } else { "" };
            format!("{id} {name}{username} ({language}): first {first}, last {last}{blocked}")
        }
        Language::Russian => {
            let blocked = if *blocked { ", бот заблокирован" } else { "" };
            format!("{id} {name}{username} ({language}): впервые {first}, последний раз {last}{blocked}")
        }
    }
}

fn to_json(seen: &Seen) -> serde_json::Value {
    serde_json::json!({
        "key": seen.id, "name": seen.name, "username": seen.username, "language": seen.language,
        "first_ms": seen.first_ms, "last_ms": seen.last_ms, "blocked": seen.blocked,
    })
}
