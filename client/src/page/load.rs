//! What each page shows, gathered: from the hub where it is known, by a question where it is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, Local, NaiveDate, TimeZone as _};
use serde_json::Value;
use tgtrunk_config::control::{Answer, Ask, CallResult, Direction, LogTail, RecordFilter};
use tgtrunk_config::{CodecName, DtmfWay, Language, Phone, Said, TextKey, Texts, Words, written};
use tokio::time::{sleep, timeout};

use super::fields::Fields;
use super::hub::Snapshot;
use super::model::{
    BotCard, BotsPage, CallsPage, LineBotPage, LineCard, LinePage, LineSettingsPage, LinesPage, LogPage,
    Part, PbxPage, SessionsPage, StepsPage, SystemPage, TextEntry, TextsPage, Today, TokenForm, Typed,
};
use super::office::{Looked, Office};
use super::programs::odd;
use super::setting::{Group, Kind, LINE, SYSTEM};
use super::view::preview;
use crate::clock::unix_ms;

/// For so long a page waits for what Telegram has to tell; it comes later by itself.
const SOON: Duration = Duration::from_millis(1_500);
const POLL: Duration = Duration::from_millis(30);
/// Records on one page.
pub(crate) const RECORDS: u32 = 50;
/// What stands for a password that is not shown.
pub(crate) const VEIL: &str = "••••";

impl Office {
    pub(crate) async fn lines_page(&self, snapshot: &Snapshot) -> LinesPage {
        let lines = snapshot.phones().iter().filter_map(|phone| snapshot.card(phone)).collect();
        LinesPage { lines, today: self.today(snapshot).await }
    }

    pub(crate) async fn line_page(self: &Arc<Self>, card: LineCard) -> LinePage {
        let found = self.checks_of(&card.phone).await;
        let (checks, checks_problem) = match found {
            Some(Ok(checks)) => (checks, None),
            Some(Err(said)) => (Vec::new(), Some(said)),
            None => (Vec::new(), None),
        };
        let webhook = match self.core.api() {
            Ok(api) => api.calls().webhook(&card.phone).await,
            Err(_) => None,
        };
        LinePage { card, checks, checks_problem, webhook }
    }

    /// What a line needs, as far as it is found soon. What comes later is kept, and told to whoever watches.
    pub(crate) async fn checks_of(self: &Arc<Self>, phone: &Phone) -> Option<Looked> {
        if let Some(known) = self.known_checks(phone) {
            return Some(known);
        }
        if self.may_look(phone) {
            let (office, phone) = (Arc::clone(self), phone.clone());
            tokio::spawn(async move {
                let found = office.find_checks(&phone).await;
                office.keep_checks(&phone, Some(found));
                office.has_looked(&phone);
            });
        }
        let found = async {
            loop {
                if let Some(known) = self.known_checks(phone) {
                    break known;
                }
                sleep(POLL).await;
            }
        };
        timeout(SOON, found).await.ok()
    }

    /// Has gateway and client look at what a line needs.
    async fn find_checks(&self, phone: &Phone) -> Looked {
        let ask = |part| self.ask(part, Ask::Checks { line: phone.clone() });
        let (gateway, client) = tokio::join!(ask(Part::Gateway), ask(Part::Client));
        let checks = |answer| match answer {
            Ok(Answer::Checks(checks)) => Ok(checks),
            Ok(_) => Err(odd(Part::Gateway)),
            Err(said) => Err(said),
        };
        match (checks(gateway), checks(client)) {
            (Ok(mut gateway), Ok(client)) => {
                gateway.extend(client);
                Ok(gateway)
            }
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            (Err(said), Err(_)) => Err(said),
        }
    }

    pub(crate) async fn sessions_page(&self, card: LineCard) -> SessionsPage {
        let phone = card.phone.clone();
        let logins =
            async { tokio::join!(self.login_of(Part::Gateway, &phone), self.login_of(Part::Client, &phone)) };
        let (gateway, client) = timeout(SOON, logins).await.unwrap_or_default();
        let writers = self.writers(Some(&phone), None).await;
        SessionsPage { card, gateway, client, writers }
    }

    pub(crate) async fn steps_page(&self, card: LineCard, part: Part) -> StepsPage {
        let info = timeout(SOON, self.login_of(part, &card.phone)).await.unwrap_or_default();
        let writers = self.writers(Some(&card.phone), None).await;
        StepsPage { card, part, info, writers }
    }

    pub(crate) fn line_bot_page(&self, snapshot: &Snapshot, card: LineCard, token: TokenForm) -> LineBotPage {
        let bots = snapshot.bot.keys().map(|bot| snapshot.bot_of(bot)).collect();
        LineBotPage { card, bots, token }
    }

    pub(crate) fn texts_page(&self, snapshot: &Snapshot, card: LineCard, language: Language) -> TextsPage {
        let loaded = Texts::load(&self.state, &card.phone);
        let problem = loaded.as_ref().err().and_then(|problems| problems.first()).map(Said::from);
        let own = loaded.unwrap_or_default();
        let mut texts: Vec<TextEntry> = TextKey::ALL
            .into_iter()
            .map(|key| TextEntry {
                key,
                own: own.own(key, language).unwrap_or_default().to_owned(),
                problem: None,
            })
            .collect();
        if let (Some(first), Some(problem)) = (texts.first_mut(), problem) {
            first.problem = Some(problem);
        }
        let line = snapshot.lines.get(&card.phone).and_then(|line| line.as_ref().ok());
        TextsPage {
            language,
            texts,
            words: preview::example(line.map(|line| Words::of_line(line)).unwrap_or_default(), language),
            menu: line.map(|line| line.chat.menu.clone()).unwrap_or_default(),
            call_back: line.is_some_and(|line| line.chat.call_back.is_some()),
            card,
        }
    }

    pub(crate) fn pbx_page(&self, snapshot: &Snapshot, card: LineCard) -> PbxPage {
        let line = snapshot.lines.get(&card.phone).and_then(|line| line.as_ref().ok());
        let pbx_user = line.map_or_else(|| card.phone.to_string(), |line| line.pbx_user.clone());
        let audio = line.map(|line| &line.audio);
        PbxPage {
            card,
            pbx_user,
            codecs: audio.map_or_else(|| CodecName::ALL.to_vec(), |audio| audio.codecs.clone()),
            dtmf: audio.map_or(DtmfWay::Auto, |audio| audio.dtmf),
        }
    }

    pub(crate) fn line_settings_page(&self, card: LineCard) -> LineSettingsPage {
        let (typed, problem) = typed_of(&self.state.line_file(&card.phone), LINE);
        let problem = card.problem.clone().or(problem);
        LineSettingsPage { card, typed, problem }
    }

    /// Calls by an address's filter.
    pub(crate) async fn calls_page(&self, snapshot: &Snapshot, asked: &Fields) -> CallsPage {
        let (filter, days) = filter(asked);
        let answer = self.ask(Part::Gateway, Ask::Records { filter: filter.clone() }).await;
        let (records, total, problem) = match answer {
            Ok(Answer::Records { records, total }) => (records, total, None),
            Ok(_) => (Vec::new(), 0, Some(odd(Part::Gateway))),
            Err(said) => (Vec::new(), 0, Some(said)),
        };
        let mut page = self.live_page(snapshot);
        (page.filter, page.days) = (filter, days);
        (page.records, page.total, page.problem) = (records, total, problem);
        page
    }

    /// The calls that are up, and no records.
    pub(crate) fn live_page(&self, snapshot: &Snapshot) -> CallsPage {
        let mut live: Vec<_> = snapshot.calls.values().cloned().collect();
        live.sort_by_key(|call| call.started_ms);
        let name = |phone: &Phone| snapshot.card(phone).map(|card| card.name).unwrap_or_default();
        let lines = snapshot.phones().into_iter().map(|phone| (phone.clone(), name(&phone))).collect();
        CallsPage {
            live,
            lines,
            filter: RecordFilter::default(),
            days: (String::new(), String::new()),
            records: Vec::new(),
            total: 0,
            problem: None,
        }
    }

    pub(crate) async fn bots_page(&self, snapshot: &Snapshot, token: TokenForm) -> BotsPage {
        let mut bots = Vec::new();
        for bot in snapshot.bot.keys() {
            let people = timeout(SOON, self.ask(Part::Bot, Ask::People { bot: bot.clone() })).await;
            let people = match people {
                Ok(Ok(Answer::People(people))) => Some(people),
                _ => None,
            };
            bots.push(BotCard { status: snapshot.bot_of(bot), people });
        }
        let problems = snapshot.side(Part::Bot).problems.clone();
        BotsPage { bots, token, problems }
    }

    pub(crate) async fn system_page(&self, snapshot: &Snapshot) -> SystemPage {
        let (typed, problem) = typed_of(&self.settings_file, SYSTEM);
        let problem = self.trouble.borrow().first().cloned().or(problem);
        SystemPage {
            health: self.health(snapshot).await,
            typed,
            problem,
            password: Typed::default(),
            settings_file: self.settings_file.display().to_string(),
            state_dir: self.state.root().display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            layer: tgtrunk_telegram::tl::LAYER,
        }
    }

    pub(crate) async fn log_page(&self, part: Part) -> LogPage {
        match self.listen(part, 0, Duration::ZERO).await {
            Ok(Answer::Log(tail)) => LogPage { part, tail, problem: None },
            Ok(_) => LogPage { part, tail: LogTail::default(), problem: Some(odd(part)) },
            Err(said) => LogPage { part, tail: LogTail::default(), problem: Some(said) },
        }
    }

    /// Calls since midnight here.
    pub(crate) async fn today(&self, snapshot: &Snapshot) -> Option<Today> {
        if let Some(known) = self.known_today(snapshot.ended) {
            return Some(known);
        }
        if !snapshot.side(Part::Gateway).is_up {
            return None;
        }
        let from_ms = Some(midnight_ms(day(unix_ms())?));
        let filter =
            |result, limit| RecordFilter { from_ms, result, limit: Some(limit), ..RecordFilter::default() };
        let ask = |filter| self.ask(Part::Gateway, Ask::Records { filter });
        let asked = async {
            tokio::join!(
                ask(filter(None, 1)),
                ask(filter(Some(CallResult::Answered), 100)),
                ask(filter(Some(CallResult::Running), 1))
            )
        };
        let (all, answered, running) = timeout(SOON, asked).await.ok()?;
        let records = |answer| match answer {
            Ok(Answer::Records { records, total }) => Some((records, total)),
            _ => None,
        };
        let (all, answered, running) = (records(all)?.1, records(answered)?, records(running)?.1);
        let scores: Vec<u32> = answered
            .0
            .iter()
            .filter_map(|record| {
                let quality = record.quality.as_ref()?;
                [quality.telegram.mos_hundredths, quality.pbx.mos_hundredths].into_iter().flatten().min()
            })
            .collect();
        let many = u32::try_from(scores.len()).unwrap_or(u32::MAX);
        let figures = Today {
            calls: u32::try_from(all).unwrap_or(u32::MAX),
            unanswered: u32::try_from(all.saturating_sub(answered.1 + running)).unwrap_or(u32::MAX),
            mos_hundredths: scores.iter().sum::<u32>().checked_div(many),
        };
        self.keep_today(snapshot.ended, figures);
        Some(figures)
    }
}

/// The settings of a file as a form shows them: what stands in it, right or wrong.
fn typed_of(file: &Path, groups: &[Group]) -> (Typed, Option<Said>) {
    let mut typed = Typed::default();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let said = Said::new(
                format!("{} cannot be read: {error}", file.display()),
                format!("Не удалось прочитать {}: {error}", file.display()),
            );
            return (typed, Some(said));
        }
    };
    let found = match written(&text, file) {
        Ok(found) => found,
        Err(problems) => return (typed, problems.first().map(Said::from)),
    };
    for (name, value) in as_typed(&found, groups) {
        typed.set(&name, value);
    }
    // Of a secret it is told that there is one.
    let secrets =
        groups.iter().flat_map(|group| group.settings).filter(|one| matches!(one.kind, Kind::Secret));
    for name in secrets.map(|one| one.name()).filter(|name| found.contains_key(name)) {
        typed.set(&name, String::new());
    }
    (typed, None)
}

/// Values of a file, each as it would be typed. Secrets are left out.
pub(crate) fn as_typed(found: &BTreeMap<String, Value>, groups: &[Group]) -> Vec<(String, String)> {
    let settings = groups.iter().flat_map(|group| group.settings);
    let typed = settings.filter_map(|setting| {
        let value = found.get(&setting.name())?;
        let text = match (setting.kind, value) {
            (Kind::Secret, _) => return None,
            (Kind::Proxy, value) => veiled(&plain(value)),
            (Kind::List, Value::Array(list)) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
            (Kind::Lines, Value::Array(list)) => list.iter().map(plain).collect::<Vec<_>>().join("\n"),
            (Kind::Menu, Value::Array(rows)) => rows
                .iter()
                .map(|row| {
                    let part = |key| row.get(key).map(plain).unwrap_or_default();
                    format!("{} = {}", part("name"), part("extension"))
                })
                .collect::<Vec<_>>()
                .join("\n"),
            (_, value) => plain(value),
        };
        Some((setting.name(), text))
    });
    typed.collect()
}

/// The address of a proxy without its password.
fn veiled(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let Some((who, place)) = rest.rsplit_once('@') else { return address.to_owned() };
    let who = who.split_once(':').map_or_else(|| who.to_owned(), |(user, _)| format!("{user}:{VEIL}"));
    if scheme.is_empty() { format!("{who}@{place}") } else { format!("{scheme}://{who}@{place}") }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What an address asks for, and its days as they were typed.
pub(crate) fn filter(asked: &Fields) -> (RecordFilter, (String, String)) {
    let day = |name| NaiveDate::parse_from_str(asked.line(name), "%Y-%m-%d").ok();
    let shown = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
    let (from, to) = (day("from"), day("to"));
    let page: u32 = asked.line("page").parse().unwrap_or(1).clamp(1, 100_000);
    let text: String = asked.line("text").chars().take(100).collect();
    let filter = RecordFilter {
        line: asked.line("line").parse().ok(),
        from_ms: from.map(midnight_ms),
        to_ms: to.and_then(|day| day.checked_add_days(Days::new(1))).map(midnight_ms),
        direction: word::<Direction>(asked.line("direction")),
        result: word::<CallResult>(asked.line("result")),
        text: (!text.is_empty()).then_some(text),
        cause: None,
        skip: (page - 1) * RECORDS,
        limit: Some(RECORDS),
    };
    (filter, (shown(from), shown(to)))
}

/// A word of the contract.
pub(crate) fn word<T: serde::de::DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

/// When a day begins here, in milliseconds since 1970 (UTC).
fn midnight_ms(day: NaiveDate) -> u64 {
    let midnight = day.and_time(chrono::NaiveTime::MIN);
    let here = Local.from_local_datetime(&midnight).earliest();
    let ms = here.map_or_else(|| midnight.and_utc().timestamp_millis(), |here| here.timestamp_millis());
    u64::try_from(ms).unwrap_or(0)
}

/// The day that it is here.
fn day(unix_ms: u64) -> Option<NaiveDate> {
    let ms = i64::try_from(unix_ms).ok()?;
    Local.timestamp_millis_opt(ms).single().map(|time| time.date_naive())
}
