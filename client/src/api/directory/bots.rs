//! What the bot program is asked: whom its bots know, whose a token is, and to write to somebody.

use std::time::Duration;

use serde_json::{Value, json};
use tgtrunk_config::control::{Answer as Told, Ask, BotPerson, BotReport, Refusal, RefusalCode};
use tgtrunk_config::{BotName, BotToken, Lamp};
use tgtrunk_messages::Grant;
use tgtrunk_shell::asking;
use tokio::net::UnixStream;

use super::answer::{Answer, Failed};
use super::door::Call;
use super::fields::Fields;
use super::{Directory, time, within};

/// How long the bot may look into its own store.
const SOON: Duration = Duration::from_secs(5);
/// How long it may ask Telegram.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the bot did not do what it was asked.
#[derive(Debug)]
pub(super) enum BotTrouble {
    /// It does not run.
    Absent,
    /// It did not answer, or nobody understands what.
    Silent(String),
    /// It refuses.
    Refused(Refusal),
}

impl BotTrouble {
    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Absent => "tgtrunk-bot does not run: systemctl start tgtrunk-bot".to_owned(),
            Self::Silent(cause) => format!("tgtrunk-bot does not answer: {cause}"),
            Self::Refused(refusal) => refusal.message.clone(),
        }
    }

    /// What a program hears of it.
    pub(super) fn failed(self) -> Failed {
        let text = self.text();
        let Self::Refused(refusal) = self else { return Failed::no_bot_program(text) };
        match refusal.code {
            RefusalCode::BadToken => Failed::bad(format!("the token is wrong: {text}")),
            RefusalCode::Unreachable => Failed::no_telegram(format!("no connection to Telegram: {text}")),
            RefusalCode::UnknownBot | RefusalCode::UnknownPerson => Failed::missing(text),
            RefusalCode::Limit | RefusalCode::Stopping => Failed::full(text),
            _ => Failed::bot_program(text),
        }
    }
}

impl Call {
    /// The keys that bots gave to people.
    pub(super) async fn keys(self) -> Answer {
        let mut said = Fields::of(self.query.clone(), &["bot"])?;
        let wanted = said.text("bot", 33)?.flatten();
        let wanted = wanted.map(|bot| bot.trim_start_matches('@').parse::<BotName>()).transpose();
        let wanted = wanted.map_err(|error| Failed::bad(format!("bot: {error}")))?;
        let directory = &self.directory;
        let bots = directory.bots().await.map_err(BotTrouble::failed)?;
        let mut bots: Vec<BotName> = bots.bots.into_iter().map(|bot| bot.bot).collect();
        if let Grant::Instance(id) = self.grant {
            let own =
                directory.lines().into_iter().filter(|line| directory.line_instance(&line.phone) == Some(id));
            let own: Vec<BotName> = own.filter_map(|line| line.chat.bot).collect();
            bots.retain(|bot| own.contains(bot));
        }
        if let Some(wanted) = wanted {
            bots.retain(|bot| *bot == wanted);
            if bots.is_empty() {
                return Err(Failed::missing(format!(
                    "there is no bot @{wanted} that this token is good for"
                )));
            }
        }
        let organisations = directory.store()?.organisations().await?;
        let mut keys = Vec::new();
        for bot in bots {
            for person in directory.people(&bot).await.map_err(BotTrouble::failed)? {
                let known = match &person.key {
                    Some(key) => directory.store()?.recipient_by_key(key).await?,
                    None => None,
                };
                let known = known.filter(|known| directory.knows(self.grant, known, &organisations));
                keys.push(shown(&bot, &person, known.map(|known| known.id)));
            }
        }
        Ok(Value::Array(keys))
    }

    /// Whose a token is.
    pub(super) async fn check_token(self) -> Answer {
        let mut said = Fields::read(&self.body, &["token"])?;
        let want = "token: want a bot's token as @BotFather gives it, 123456789:AA…";
        let token = match said.take("token") {
            Some(Value::String(token)) => token.trim().parse::<BotToken>().map_err(|_| Failed::bad(want))?,
            _ => return Err(Failed::bad(want)),
        };
        let told = self.directory.ask_bot(Ask::CheckBot { token }, PATIENCE).await;
        let check = match told.map_err(BotTrouble::failed)? {
            Told::Bot(check) => check,
            other => return Err(BotTrouble::Silent(format!("{other:?}")).failed()),
        };
        let bots = self.directory.bots().await.unwrap_or_default();
        let at_work = bots.bots.iter().find(|bot| bot.bot == check.bot);
        let troubles: Vec<&str> = check.troubles.iter().map(|trouble| trouble.en.as_str()).collect();
        Ok(json!({
            "title": check.name,
            "username": check.bot,
            "id": check.id,
            "description": check.description,
            "inline": check.inline,
            "active": at_work.is_some_and(|bot| bot.telegram.lamp == Lamp::Green),
            "added": at_work.is_some(),
            "warnings": troubles,
        }))
    }
}

impl Directory {
    /// Asks the bot program.
    pub(super) async fn ask_bot(&self, ask: Ask, limit: Duration) -> Result<Told, BotTrouble> {
        let socket = self.state.bot_socket();
        if UnixStream::connect(&socket).await.is_err() {
            return Err(BotTrouble::Absent);
        }
        match within(limit, asking::ask(&socket, ask)).await {
            Some(Ok(told)) => Ok(told),
            Some(Err(error)) => Err(match error.downcast::<Refusal>() {
                Ok(refusal) => BotTrouble::Refused(refusal),
                Err(error) => BotTrouble::Silent(error.to_string()),
            }),
            None => Err(BotTrouble::Silent(format!("nothing within {} s", limit.as_secs()))),
        }
    }

    /// The bots that run.
    pub(super) async fn bots(&self) -> Result<BotReport, BotTrouble> {
        match self.ask_bot(Ask::Status, SOON).await? {
            Told::Bots(report) => Ok(report),
            other => Err(BotTrouble::Silent(format!("{other:?}"))),
        }
    }

    /// Whom a bot knows, the latest first.
    pub(super) async fn people(&self, bot: &BotName) -> Result<Vec<BotPerson>, BotTrouble> {
        match self.ask_bot(Ask::People { bot: bot.clone() }, SOON).await? {
            Told::People(people) => Ok(people),
            other => Err(BotTrouble::Silent(format!("{other:?}"))),
        }
    }

    /// Whom all bots know, each with their bot.
    pub(super) async fn all_people(&self) -> Result<Vec<(BotName, BotPerson)>, BotTrouble> {
        let mut all = Vec::new();
        for bot in self.bots().await?.bots {
            let people = self.people(&bot.bot).await?;
            all.extend(people.into_iter().map(|person| (bot.bot.clone(), person)));
        }
        Ok(all)
    }
}

fn shown(bot: &BotName, person: &BotPerson, recipient: Option<i64>) -> Value {
    json!({
        "bot": bot,
        "key": person.key,
        "name": person.name,
        "username": person.username,
        "blocked": person.blocked,
        "first_seen": person.since_ms.map(time_ms),
        "last_seen": person.last_ms.map(time_ms),
        "recipient": recipient,
    })
}

/// Seconds since 1970 of a program's milliseconds.
pub(super) fn seconds(ms: u64) -> i64 {
    i64::try_from(ms / 1000).unwrap_or(i64::MAX)
}

fn time_ms(ms: u64) -> String {
    time(seconds(ms))
}
