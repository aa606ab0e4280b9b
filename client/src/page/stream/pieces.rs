//! The elements of each page that change by themselves, and how it is seen that one has changed.

mod messages;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_config::control::CallInfo;
use tgtrunk_config::{BotName, Light, Phone};
use tgtrunk_messages::{Browse, Seen};
use tgtrunk_shell::clock::now;

use crate::page::fields::Fields;
use crate::page::hub::Snapshot;
use crate::page::messages::Begin;
use crate::page::model::{Frame, LineCard, Part, TokenForm};
use crate::page::office::Office;
use crate::page::view;

/// How often what costs more is looked at.
const SLOW: Duration = Duration::from_secs(2);
/// How often instances are looked at that say that nothing has changed.
const LATEST: Duration = Duration::from_secs(5);
/// How often a journal is looked through for what is rare in it. In between only what is new is looked at.
const WHOLE: Duration = Duration::from_secs(30);

/// Which page is open.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Lines,
    Line(Phone),
    Sessions(Phone),
    Steps(Phone, Part),
    Bot(Phone),
    /// Any other page of a line.
    OfLine(Phone),
    Calls(Fields),
    Messages,
    /// The queues of an instance, and which page of the outgoing one.
    Instance(i64, u32),
    /// The journal of an instance, or one of its chats.
    Journal(i64, Fields),
    Chat(i64, i64, Fields),
    Signin(i64, Fields),
    /// The queue of a bot, and which page of it.
    BotInstance(BotName, u32),
    /// The journal of a bot, or one of its chats.
    BotJournal(BotName, Fields),
    BotChat(BotName, i64, Fields),
    /// Any other page of an instance.
    OfInstance(i64),
    Bots,
    System,
    Log(Part),
    Other,
}

/// Numbers of instances, and what changes with how each looks.
type Instances = Vec<(i64, Option<u64>)>;

/// What was asked for, and is not asked for again without need.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How many calls had ended when the records were read.
    records: Option<u64>,
    /// How the instances looked.
    messages: Option<(Instant, Instances)>,
    /// When the whole journal was looked through, and what is shown of it.
    letters: Option<(Instant, Seen)>,
    /// When the slower things were looked at.
    looked: Option<Instant>,
    /// When they are to be looked at again, since something changed too soon after they were.
    owed: Option<Instant>,
}

/// One element.
pub(super) struct Piece<'a> {
    pub(super) id: String,
    /// Changes with what it shows.
    pub(super) key: u64,
    /// The element that holds it.
    pub(super) part_of: Option<String>,
    pub(super) html: Box<dyn Fn() -> String + Send + Sync + 'a>,
}

impl Place {
    /// The page at an address of this page.
    pub(super) fn of(path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(
            &format!("/?{query}").parse().unwrap_or_default(),
        );
        let asked = Fields::new(pairs.map(|pairs| pairs.0).unwrap_or_default()).unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let part = |word: &str| Part::ALL.into_iter().find(|part| part.word() == word);
        match parts[..] {
            [""] => Self::Lines,
            ["calls"] => Self::Calls(asked),
            ["messages", ref rest @ ..] => Self::of_messages(rest, asked),
            ["bots"] => Self::Bots,
            ["bots", bot, "messages", ref rest @ ..] => match (bot.parse(), rest) {
                (Ok(bot), []) => Self::BotInstance(bot, asked.line("page").parse().unwrap_or(1)),
                (Ok(bot), ["journal"]) => Self::BotJournal(bot, asked),
                (Ok(bot), ["chats", chat]) => {
                    chat.parse().map_or(Self::Other, |chat| Self::BotChat(bot, chat, asked))
                }
                _ => Self::Other,
            },
            ["system"] => Self::System,
            ["system", "log"] => Self::Log(part(asked.line("part")).unwrap_or(Part::Gateway)),
            ["lines", phone, ref rest @ ..] => match (phone.parse(), rest) {
                (Err(_), _) => Self::Other,
                (Ok(phone), []) => Self::Line(phone),
                (Ok(phone), ["login"]) => Self::Sessions(phone),
                (Ok(phone), ["login", "gateway"]) => Self::Steps(phone, Part::Gateway),
                (Ok(phone), ["login", "client"]) => Self::Steps(phone, Part::Client),
                (Ok(phone), ["login", "bot"]) => Self::Bot(phone),
                (Ok(phone), _) => Self::OfLine(phone),
            },
            _ => Self::Other,
        }
    }

    /// A page of the place "Messages".
    fn of_messages(parts: &[&str], asked: Fields) -> Self {
        let (Some(id), rest) = (parts.first(), parts.get(1..).unwrap_or_default()) else {
            return Self::Messages;
        };
        let Ok(id) = id.parse() else { return Self::Other };
        match rest {
            [] => Self::Instance(id, asked.line("page").parse().unwrap_or(1)),
            ["journal"] => Self::Journal(id, asked),
            ["chats", chat] => chat.parse().map_or(Self::Other, |chat| Self::Chat(id, chat, asked)),
            ["login"] => Self::Signin(id, asked),
            _ => Self::OfInstance(id),
        }
    }

    /// Whether messages are shown, of which nobody tells but they themselves.
    pub(super) fn has_messages(&self) -> bool {
        matches!(
            self,
            Self::Messages
                | Self::Instance(..)
                | Self::Journal(..)
                | Self::Chat(..)
                | Self::Signin(..)
                | Self::BotInstance(..)
                | Self::BotJournal(..)
                | Self::BotChat(..)
                | Self::OfInstance(_)
        )
    }

    /// Whether calls are shown with their levels.
    pub(super) fn has_calls(&self) -> bool {
        matches!(self, Self::Lines | Self::Line(_) | Self::Calls(_))
    }

    fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Line(phone)
            | Self::Sessions(phone)
            | Self::Steps(phone, _)
            | Self::Bot(phone)
            | Self::OfLine(phone) => Some(phone),
            _ => None,
        }
    }
}

impl Memory {
    /// Whether instances may look another way than they did.
    fn is_other(&mut self, revision: Vec<(i64, Option<u64>)>) -> bool {
        let is_other = self
            .messages
            .as_ref()
            .is_none_or(|(at, before)| *before != revision || now().duration_since(*at) >= LATEST);
        if is_other {
            self.messages = Some((now(), revision));
        }
        is_other
    }

    /// From where the newest page of a journal is read.
    fn letters(&self, browse: &Browse) -> Begin {
        match &self.letters {
            Some((at, seen)) if browse.is_filter() && now().duration_since(*at) < WHOLE => {
                Begin::Seen(seen.clone())
            }
            _ => Begin::Newest,
        }
    }

    /// Such a page is shown now.
    fn shows_letters(&mut self, from: &Begin, seen: Option<Seen>) {
        let before = self.letters.take().map(|(at, _)| at);
        let at = before.filter(|_| matches!(from, Begin::Seen(_))).unwrap_or_else(now);
        self.letters = seen.map(|seen| (at, seen));
    }

    /// Whether it is time for what costs more than a look at what is known.
    fn is_due(&mut self) -> bool {
        let now = now();
        self.owed = self.looked.map(|looked| looked + SLOW).filter(|due| now < *due);
        if self.owed.is_none() {
            self.looked = Some(now);
        }
        self.owed.is_none()
    }

    /// When to look again though nothing more changes: a change that was not looked at is not forgotten.
    pub(super) fn owed(&self) -> Option<Instant> {
        self.owed
    }
}

/// The elements of a page as they are now, each followed by those that it holds. None where the page shows something that
/// is no more.
pub(super) async fn of<'a>(
    office: &'a Arc<Office>,
    place: &'a Place,
    snapshot: &'a Snapshot,
    frame: &'a Frame,
    memory: &mut Memory,
) -> Option<Vec<Piece<'a>>> {
    let card = match place.phone() {
        Some(phone) => Some(snapshot.card(phone)?),
        None => None,
    };
    let mut pieces =
        vec![piece("alerts", &format!("{:?}", frame.alerts), || view::frame::alerts(frame).into_string())];
    if let Some(card) = &card {
        let (key, card) = (still(card), card.clone());
        pieces.push(piece("lamps", &key, move || view::line::lamps(frame, &card).into_string()));
    }
    match place {
        Place::Lines => {
            let page = office.lines_page(snapshot).await;
            let all: Vec<String> = page.lines.iter().map(still).collect();
            let whole = page.clone();
            let key = format!("{all:?}{:?}", page.today);
            pieces.push(piece("overall", &key, move || view::lines::overall(frame, &whole).into_string()));
            let names: Vec<&str> = page.lines.iter().map(|line| line.phone.as_str()).collect();
            let (key, whole) = (format!("{names:?}"), page.clone());
            pieces.push(piece("lines", &key, move || view::lines::list(frame, &whole).into_string()));
            for card in page.lines {
                let id = format!("line-{}", card.phone.digits());
                let (key, shown) = (still(&card), card.clone());
                let html = move || view::lines::card(frame, &shown).into_string();
                pieces.push(inside("lines", piece(id, &key, html)));
                pieces.extend(card.calls.into_iter().map(|call| inside("lines", live(frame, call))));
            }
        }
        Place::Line(_) => {
            let page = office.line_page(card?).await;
            let (key, whole) = (format!("{:?}{:?}", page.checks, page.checks_problem), page.clone());
            pieces.push(piece("checks", &key, move || view::line::checks(frame, &whole).into_string()));
            let (key, shown) = (still(&page.card), page.card.clone());
            pieces.push(piece("lights", &key, move || view::line::lights(frame, &shown).into_string()));
            let (key, whole) = (format!("{:?}", page.card.gateway.strangers), page.clone());
            pieces.push(piece("budget", &key, move || view::line::budget(frame, &whole.card).into_string()));
            let (key, whole) = (format!("{:?}", page.webhook), page.clone());
            pieces
                .push(piece("call-webhook", &key, move || view::line::webhook(frame, &whole).into_string()));
            let (key, whole) = (names(&page.card.calls), page.clone());
            pieces
                .push(piece("line-calls", &key, move || view::line::calls(frame, &whole.card).into_string()));
            let calls = page.card.calls.into_iter();
            pieces.extend(calls.map(|call| inside("line-calls", live(frame, call))));
        }
        Place::Sessions(phone) => {
            let gateway = login(office, snapshot, Part::Gateway, phone).await;
            let client = login(office, snapshot, Part::Client, phone).await;
            let writers = office.writers(Some(phone), None).await;
            let page = crate::page::model::SessionsPage { card: card?, gateway, client, writers };
            let still = still(&page.card);
            let key = format!("{:?}{:?}{still}{:?}", page.gateway, page.client, page.writers);
            pieces
                .push(piece("sessions", &key, move || view::sessions::sessions(frame, &page).into_string()));
        }
        Place::Steps(phone, part) => {
            let info = login(office, snapshot, *part, phone).await;
            pieces.push(parts(frame, card.clone()?, *part));
            let writers = office.writers(Some(phone), None).await;
            let key = format!("{info:?}{writers:?}");
            let page = crate::page::model::StepsPage { card: card?, part: *part, info, writers };
            pieces.push(piece("steps", &key, move || view::steps::steps(frame, &page).into_string()));
        }
        Place::Bot(_) => pieces.push(parts(frame, card?, Part::Bot)),
        Place::Calls(asked) => {
            let page = office.live_page(snapshot);
            let (key, whole) = (names(&page.live), page.clone());
            pieces.push(piece("live", &key, move || view::calls::live(frame, &whole).into_string()));
            pieces.extend(page.live.into_iter().map(|call| inside("live", live(frame, call))));
            if memory.records.replace(snapshot.ended) == Some(snapshot.ended) {
                return Some(pieces);
            }
            let page = office.calls_page(snapshot, asked).await;
            let key = format!("{:?}{}{:?}", page.records, page.total, page.problem);
            pieces.push(piece("records", &key, move || view::calls::records(frame, &page).into_string()));
        }
        place if place.has_messages() => {
            messages::of(office, place, frame, memory, &mut pieces).await?;
        }
        Place::Bots if memory.is_due() => {
            let page = office.bots_page(snapshot, TokenForm::default()).await;
            let lamps: Vec<String> = page
                .bots
                .iter()
                .map(|bot| {
                    format!("{}{}{:?}", light(&bot.status.telegram), light(&bot.status.gateway), bot.people)
                })
                .collect();
            let key = format!("{lamps:?}{:?}", page.problems);
            pieces.push(piece("bots", &key, move || view::bots::list(frame, &page).into_string()));
        }
        Place::System if memory.is_due() => {
            let page = office.system_page(snapshot).await;
            let key = format!("{:?}", page.health);
            pieces.push(piece("health", &key, move || view::system::health(frame, &page).into_string()));
        }
        _ => {}
    }
    Some(pieces)
}

/// How far a login is, as heard; asked where nobody has told.
async fn login(
    office: &Office,
    snapshot: &Snapshot,
    part: Part,
    phone: &Phone,
) -> Option<tgtrunk_config::control::LoginInfo> {
    if !snapshot.side(part).is_up {
        return None;
    }
    match snapshot.logins.get(&(part, phone.clone())) {
        Some(info) => Some(info.clone()),
        None => office.login_of(part, phone).await,
    }
}

fn parts(frame: &Frame, card: LineCard, part: Part) -> Piece<'_> {
    piece("parts", &still(&card), move || view::steps::parts(frame, &card, part).into_string())
}

fn live(frame: &Frame, call: CallInfo) -> Piece<'_> {
    let (id, key) = (format!("call-{}", call.call), format!("{call:?}"));
    piece(id, &key, move || view::calls::live_row(frame, &call).into_string())
}

fn piece<'a>(id: impl Into<String>, key: &str, html: impl Fn() -> String + Send + Sync + 'a) -> Piece<'a> {
    let mut hash = DefaultHasher::new();
    key.hash(&mut hash);
    Piece { id: id.into(), key: hash.finish(), part_of: None, html: Box::new(html) }
}

fn inside<'a>(whole: &str, piece: Piece<'a>) -> Piece<'a> {
    Piece { part_of: Some(whole.to_owned()), ..piece }
}

/// What a card shows apart from how its calls sound.
fn still(card: &LineCard) -> String {
    let lights = [&card.gateway.telegram, &card.gateway.sip, &card.client.telegram, &card.client.keypad];
    let bot = card.bot.as_ref().map(|bot| [light(&bot.telegram), light(&bot.gateway)]);
    let lights = lights.map(light);
    let LineCard { name, enabled, sip, pbx, bot_name, problem, .. } = card;
    let (account, pause, calls) = (card.gateway.account, card.gateway.pause, names(&card.calls));
    format!("{name}{enabled}{sip}{pbx}{bot_name:?}{problem:?}{lights:?}{bot:?}{account:?}{pause:?}{calls}")
}

/// A lamp apart from when it was looked at.
fn light(light: &Light) -> String {
    format!("{:?}{}{}{}", light.lamp, light.reason, light.reason_ru, light.since_ms)
}

fn names(calls: &[CallInfo]) -> String {
    let names: Vec<String> = calls.iter().map(|call| format!("{}{:?}", call.call, call.state)).collect();
    format!("{names:?}")
}

#[cfg(test)]
mod tests {
    use tgtrunk_messages::Bookmark;

    use super::*;

    #[test]
    fn what_changes_right_after_a_look_is_looked_at_later() {
        let mut memory = Memory::default();
        assert!(memory.is_due());
        assert_eq!(memory.owed(), None);
        assert!(!memory.is_due());
        let owed = memory.owed().expect("a look is owed");
        assert_eq!(memory.looked.map(|looked| looked + SLOW), Some(owed));
        memory.looked = memory.looked.map(|looked| looked - SLOW);
        assert!(memory.is_due());
        assert_eq!(memory.owed(), None);
    }

    #[test]
    fn a_journal_is_looked_through_now_and_then_and_in_between_at_what_is_new_alone() {
        let mut memory = Memory::default();
        let (all, some) = (Browse::default(), Browse { text: "bill".to_owned(), ..Browse::default() });
        assert!(matches!(memory.letters(&some), Begin::Newest));
        let seen = Seen { newest: Bookmark::NEWEST, messages: Vec::new(), older: None };
        memory.shows_letters(&Begin::Newest, Some(seen.clone()));
        let again = memory.letters(&some);
        assert!(matches!(&again, Begin::Seen(before) if *before == seen));
        assert!(matches!(memory.letters(&all), Begin::Newest), "that costs nothing");
        memory.letters = Some((now() - WHOLE / 2, seen.clone()));
        memory.shows_letters(&again, Some(seen.clone()));
        assert!(matches!(memory.letters(&some), Begin::Seen(_)));
        memory.letters = memory.letters.map(|(at, seen)| (at - WHOLE / 2, seen));
        assert!(matches!(memory.letters(&some), Begin::Newest), "however often what is new was looked at");
    }

    #[test]
    fn an_address_is_the_page_that_it_shows() {
        let place = |path: &str| format!("{:?}", Place::of(path));
        assert_eq!(place("/"), "Lines");
        assert_eq!(place("/lines/+79060000000"), r#"Line(Phone("+79060000000"))"#);
        assert_eq!(place("/lines/+79060000000/login/client"), r#"Steps(Phone("+79060000000"), Client)"#);
        assert_eq!(place("/lines/+79060000000/login/bot"), r#"Bot(Phone("+79060000000"))"#);
        assert_eq!(place("/lines/+79060000000/texts?language=ru"), r#"OfLine(Phone("+79060000000"))"#);
        assert_eq!(place("/system/log?part=bot"), "Log(Bot)");
        assert_eq!(place("/messages"), "Messages");
        assert_eq!(place("/messages/4100000001?page=2"), "Instance(4100000001, 2)");
        assert!(place("/messages/4100000001/journal?kind=image").starts_with("Journal(4100000001"));
        assert!(place("/messages/4100000001/chats/-42").starts_with("Chat(4100000001, -42"));
        assert_eq!(place("/messages/4100000001/settings"), "OfInstance(4100000001)");
        assert_eq!(place("/bots/acme_bot/messages?page=2"), r#"BotInstance(BotName("acme_bot"), 2)"#);
        assert!(place("/bots/acme_bot/messages/journal").starts_with("BotJournal("));
        assert!(place("/bots/acme_bot/messages/chats/-42").contains("-42"));
        assert_eq!(place("/bots/acme_bot/messages/x"), "Other");
        assert_eq!(place("/messages/x"), "Other");
        assert!(place("/calls?direction=pbx-to-telegram").contains("pbx-to-telegram"));
        for other in ["/lines/new", "/lines/../../etc", "/nothing", ""] {
            assert!(["Other", "Lines"].contains(&place(other).as_str()), "{other}");
        }
    }
}
