//! Bots as instances: what tgtrunk-bot tells of their queues and journals, shown as those of accounts are.

pub(crate) mod access;
pub(crate) mod files;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::response::Response;
use tgtrunk_config::control::{Answer, Ask};
use tgtrunk_config::{BotName, Language, Said};
use tgtrunk_messages::{Asked, Bookmark, Browse, ChatId, Glance, InstanceId, MessageId, Standing, Told};
use tgtrunk_shell::clock::now;
use tokio::sync::Mutex;

use super::act::cancelled;
use super::{Begin, browse, of_chat, queue};
use crate::page::answer::{self, Done, Stop};
use crate::page::model::Part;
use crate::page::model::messages::{InstanceCard, InstancePage, JournalPage, LETTERS, QUEUE_LINES};
use crate::page::office::Office;
use crate::page::programs::odd;
use crate::page::view::messages as view;
use crate::page::visit::{Posted, Visit};

type Here = State<Arc<Office>>;
type Answered = Result<Response, Stop>;

/// For so long what a bot said of itself holds for everybody who looks.
const LASTS: Duration = Duration::from_millis(900);

/// A bot's number, and what changes whenever it may look another way; none where it does not tell.
type Revision = (i64, Option<u64>);

/// What bots said of themselves lately. Whoever asks holds it; the others wait for the answer.
#[derive(Debug, Default)]
pub(crate) struct Revisions(Mutex<BTreeMap<BotName, (Instant, Revision)>>);

impl Revisions {
    async fn of(&self, bot: &BotName, ask: impl AsyncFnOnce() -> Revision) -> Revision {
        let mut known = self.0.lock().await;
        if let Some((at, revision)) = known.get(bot)
            && now().duration_since(*at) < LASTS
        {
            return *revision;
        }
        let revision = ask().await;
        known.insert(bot.clone(), (now(), revision));
        revision
    }
}

impl Office {
    /// The bots that keep messages: those that programs lead.
    fn led_bots(&self) -> Vec<BotName> {
        let snapshot = self.hub.snapshot();
        let led = |bot: &&BotName| snapshot.bot_of(bot).programs.is_some();
        snapshot.bot.keys().filter(led).cloned().collect()
    }

    /// Whether there is such a bot.
    pub(crate) fn has_bot(&self, bot: &BotName) -> bool {
        self.hub.snapshot().bot.contains_key(bot)
    }

    /// Asks a bot's instance.
    async fn ask_instance(&self, bot: &BotName, asked: &Asked) -> Result<Told, Said> {
        let asked = serde_json::to_value(asked).map_err(|_| odd(Part::Bot))?;
        match self.ask(Part::Bot, Ask::BotMessages { bot: bot.clone(), asked }).await {
            Ok(Answer::BotMessages(told)) => serde_json::from_value(told).map_err(|_| odd(Part::Bot)),
            Ok(_) => Err(odd(Part::Bot)),
            Err(said) if said.ru.is_empty() || said.ru == said.en => Err(in_russian(said)),
            Err(said) => Err(said),
        }
    }

    /// Has tgtrunk-bot do something.
    async fn told_done(&self, ask: Ask) -> Result<(), Said> {
        match self.ask(Part::Bot, ask).await {
            Ok(Answer::Done) => Ok(()),
            Ok(_) => Err(odd(Part::Bot)),
            Err(said) if said.ru.is_empty() || said.ru == said.en => Err(in_russian(said)),
            Err(said) => Err(said),
        }
    }

    /// All bots at a glance.
    pub(super) async fn bot_cards(&self) -> Vec<InstanceCard> {
        let mut cards = Vec::new();
        for bot in self.led_bots() {
            cards.push(self.bot_card(&bot).await);
        }
        cards
    }

    /// A bot at a glance.
    pub(crate) async fn bot_card(&self, bot: &BotName) -> InstanceCard {
        let glance = match self.ask_instance(bot, &Asked::Glance).await {
            Ok(Told::Glance(glance)) => Ok(glance),
            Ok(_) => Err(odd(Part::Bot)),
            Err(said) => Err(said),
        };
        self.card_of(bot, glance)
    }

    /// What changes whenever a bot may look another way, as [`Office::messages_revision`].
    pub(crate) async fn bots_revision(&self, of: Option<&BotName>) -> Vec<(i64, Option<u64>)> {
        let bots = match of {
            Some(bot) => vec![bot.clone()],
            None => self.led_bots(),
        };
        let mut revisions = Vec::new();
        for bot in bots {
            revisions.push(self.bot_revision(&bot).await);
            // What the bot tells by itself.
            let mut told = DefaultHasher::new();
            format!("{:?}", self.hub.snapshot().bot_of(&bot).programs).hash(&mut told);
            revisions.push((0, Some(told.finish())));
        }
        revisions
    }

    /// A bot's own number and its instance's revision: one question for all pages that are open.
    async fn bot_revision(&self, bot: &BotName) -> Revision {
        let ask = async || match self.ask_instance(bot, &Asked::Revision).await {
            Ok(Told::Revision { id, revision }) => (id.get(), Some(revision)),
            _ => (0, None),
        };
        self.revisions.of(bot, ask).await
    }

    fn card_of(&self, bot: &BotName, glance: Result<Glance, Said>) -> InstanceCard {
        let status = self.hub.snapshot().bot_of(bot);
        let programs = status.programs.unwrap_or_default();
        let fault = programs.webhook.and_then(|webhook| webhook.fault).filter(|fault| !fault.is_over);
        let mut card = InstanceCard {
            id: 0,
            line: None,
            bot: Some(bot.clone()),
            phone: String::new(),
            username: Some(bot.to_string()),
            name: status.name.unwrap_or_default(),
            standing: Standing::Starting,
            suspended_until_ms: None,
            has_token: true,
            outgoing: 0,
            notifications: programs.waiting,
            last_ms: None,
            stuck: None,
            problem: programs.trouble.filter(|_| fault.is_none()),
            webhook_fails: fault.map(|fault| fault.message),
            webhook_is_example: false,
            left: None,
            rests: Vec::new(),
        };
        match glance {
            Ok(glance) => {
                card.id = InstanceId::get(glance.id);
                card.standing = glance.standing;
                queue(&mut card, glance);
            }
            // What the bot tells of itself says it in both languages.
            Err(said) => drop(card.problem.get_or_insert(said)),
        }
        card
    }

    /// A bot with its queue; `number` is the page, from 1.
    pub(crate) async fn bot_page(&self, bot: &BotName, number: u32) -> InstancePage {
        let page = number.clamp(1, 100_000) - 1;
        let asked = Asked::Queue { skip: page * QUEUE_LINES, count: QUEUE_LINES };
        let seen = match self.ask_instance(bot, &asked).await {
            Ok(Told::Queue(seen)) => Ok(seen),
            Ok(_) => Err(odd(Part::Bot)),
            Err(said) => Err(said),
        };
        let mut shown = InstancePage {
            card: self.card_of(bot, seen.as_ref().map(|seen| seen.glance.clone()).map_err(Clone::clone)),
            page,
            waiting: Vec::new(),
            queue_limit: 0,
            most: 0,
            dropped: Default::default(),
            head: None,
            webhook: String::new(),
            webhook_state: Default::default(),
            checks: (0, 0),
            delay_ms: 0,
            writers: Vec::new(),
            programs: self.hub.snapshot().bot_of(bot).programs,
        };
        if let Ok(seen) = seen {
            shown.waiting = seen.waiting;
            shown.queue_limit = seen.limit;
            shown.checks = seen.checks;
            shown.delay_ms = seen.delay_ms;
        }
        shown
    }

    /// A bot's journal, or what is of one chat.
    pub(crate) async fn bot_journal_page(
        &self,
        bot: &BotName,
        browse: Browse,
        from: Begin,
        is_of_chat: bool,
    ) -> JournalPage {
        let before = from.before();
        let mut page = JournalPage {
            card: self.bot_card(bot).await,
            browse,
            before,
            letters: Vec::new(),
            older: None,
            seen: None,
            chat_title: None,
            problem: None,
        };
        let asked = Asked::Journal {
            browse: page.browse.clone(),
            before: before.unwrap_or(Bookmark::NEWEST),
            count: u32::try_from(LETTERS).unwrap_or(u32::MAX),
            seen: match from {
                Begin::Seen(seen) => Some(seen),
                Begin::Newest | Begin::Before(_) => None,
            },
        };
        match self.ask_instance(bot, &asked).await {
            Ok(Told::Journal(leaf)) => {
                page.seen = leaf.seen();
                (page.letters, page.older) = (leaf.records, leaf.older);
            }
            Ok(_) => page.problem = Some(odd(Part::Bot)),
            Err(said) => page.problem = Some(said),
        }
        if is_of_chat {
            let named = page.letters.iter().find(|letter| !letter.chat_title.is_empty());
            page.chat_title = Some(named.map(|letter| letter.chat_title.clone()).unwrap_or_default());
        }
        page
    }
}

/// What tgtrunk-bot says in English alone.
fn in_russian(said: Said) -> Said {
    let russian = match said.en.as_str() {
        "the bot is starting" => "бот запускается".to_owned(),
        "the bot keeps no messages: set listen in [bot.api] in tgtrunk.toml" => {
            "бот не хранит сообщений: задайте listen в разделе [bot.api] в tgtrunk.toml".to_owned()
        }
        english if english.starts_with("the bot's messages cannot be opened") => {
            "сообщения бота не открываются: причина на странице бота и в журнале tgtrunk-bot".to_owned()
        }
        english => view::words::cause(Language::Russian, english),
    };
    Said::new(said.en, russian)
}

pub(crate) async fn instance(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    let asked = visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?;
    let page = office.bot_page(&bot, asked.line("page").parse().unwrap_or(1)).await;
    Ok(answer::page(200, view::instance::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn journal(State(office): Here, visit: Visit, Path(bot): Path<String>) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    let (browse, before) = browse(&visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?);
    let page = office.bot_journal_page(&bot, browse, Begin::at(before), false).await;
    Ok(answer::page(200, view::journal::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn chat(
    State(office): Here,
    visit: Visit,
    Path((bot, chat)): Path<(String, i64)>,
) -> Answered {
    let bot = known(&office, &visit, &bot)?;
    let (_, before) = browse(&visit.0.query().map_err(|said| visit.0.stop(&office, 422, said))?);
    let page = office.bot_journal_page(&bot, of_chat(ChatId(chat)), Begin::at(before), true).await;
    Ok(answer::page(200, view::journal::page(&visit.frame(&office, &office.hub.snapshot()), &page)))
}

pub(crate) async fn cancel(
    State(office): Here,
    Path((bot, message)): Path<(String, i64)>,
    posted: Posted,
) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    let asked = Asked::Cancel { message: MessageId::new(message) };
    let done = match office.ask_instance(&bot, &asked).await {
        Ok(Told::Cancelled(what)) => cancelled(what),
        Ok(_) => Err(odd(Part::Bot)),
        Err(said) => Err(said),
    };
    Ok(whole(&office, &posted, &bot, done).await)
}

pub(crate) async fn clear_queue(State(office): Here, Path(bot): Path<String>, posted: Posted) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    let done = match office.ask_instance(&bot, &Asked::Clear).await {
        Ok(Told::Cleared) => Ok(Done::said("The outgoing queue is empty.", "Очередь отправки очищена.")),
        Ok(_) => Err(odd(Part::Bot)),
        Err(said) => Err(said),
    };
    Ok(whole(&office, &posted, &bot, done).await)
}

/// Has the webhook of the bot's programs tried now.
pub(crate) async fn push(State(office): Here, Path(bot): Path<String>, posted: Posted) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    let done = Done::said("The webhook is tried now.", "Вебхук вызывается сейчас.");
    let done = office.told_done(Ask::BringUpdates { bot: bot.clone() }).await.map(|()| done);
    Ok(whole(&office, &posted, &bot, done).await)
}

/// Has no program told of an update.
pub(crate) async fn skip(
    State(office): Here,
    Path((bot, number)): Path<(String, i64)>,
    posted: Posted,
) -> Answered {
    let bot = known(&office, &posted.visit, &bot)?;
    let done = Done::said("The update is skipped.", "Обновление пропущено.");
    let done = office.told_done(Ask::SkipUpdate { bot: bot.clone(), number }).await.map(|()| done);
    Ok(whole(&office, &posted, &bot, done).await)
}

/// The bot of an address.
fn known(office: &Office, visit: &Visit, bot: &str) -> Result<BotName, Stop> {
    let known = bot.parse().ok().filter(|bot| office.has_bot(bot));
    known.ok_or_else(|| visit.nothing(office))
}

/// The answer to a form, with the parts of the page as they are now.
async fn whole(office: &Office, posted: &Posted, bot: &BotName, done: Result<Done, Said>) -> Response {
    let done = match done {
        Ok(done) => done,
        Err(said) => return answer::failed(posted, &said),
    };
    if !posted.visit.0.is_fragment {
        return done.answer(posted);
    }
    let page = office.bot_page(bot, super::act::page_of(posted)).await;
    let frame = posted.frame(office);
    let parts = view::instance::parts(&frame, &page).into_iter();
    parts.fold(done, |done, (id, markup)| done.fragment(id, markup)).answer(posted)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_many_pages_are_open_a_bot_is_asked_once_in_a_while() {
        let (revisions, asked) = (Revisions::default(), AtomicU64::new(0));
        let bots: [BotName; 2] = ["acme_bot", "other_bot"].map(|bot| bot.parse().unwrap());
        let ask = async || (1, Some(asked.fetch_add(1, Ordering::Relaxed)));
        for bot in &bots {
            let first = revisions.of(bot, ask).await;
            let (one, two) = tokio::join!(revisions.of(bot, ask), revisions.of(bot, ask));
            assert!(one == first && two == first, "{bot}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        revisions.0.lock().await.values_mut().for_each(|(at, _)| *at -= LASTS);
        assert_eq!(revisions.of(&bots[0], ask).await, (1, Some(2)));
    }
}
