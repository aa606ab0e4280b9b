//! One bot at work: what Telegram tells it goes to whoever deals with it.
//!
//! Presses come first. A press is handed to the gateway as soon as it was read; everything that is slow (answers,
//! the store, messages) happens beside that, in tasks of its own.

mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_config::control::CallInfo;
use tgtrunk_config::{BotFile, BotName, CallId, Digits, Language, Phone, StateDir, UserId, Words};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::call_back;
use crate::cards;
use crate::clock;
use crate::data::{Pressed, Wanted};
use crate::face::Face;
use crate::flood::FloodGuard;
use crate::gateway::Gateway;
use crate::in_order::{InOrder, Turn};
use crate::keys::{self, Wish};
use crate::languages::{Languages, in_english};
use crate::lead;
use crate::letters;
use crate::notes::Note;
use crate::operators;
use crate::press::{self, Verdict};
use crate::programs::Queue;
use crate::query;
use crate::recent::Recent;
use crate::roster::{Roster, Served};
use crate::status::Lamps;
use crate::store::{Asked, Letter, Store, StoreError};
use crate::telegram::{Api, Batch, Failure, News, Open, Person, Poll, Press, Said};
use orders::Order;

/// Between two call-backs of one person.
const CALL_BACK_PAUSE: Duration = Duration::from_secs(10);
/// People whose presses are served at once, and presses of each that wait. As many again for messages.
const PEOPLE: usize = 2_000;
const PRESSES: usize = 64;
const LETTERS: usize = 64;
/// Messages of one person that are answered at once. More are somebody's play.
const SAID: usize = 2;
/// And those that ask for something: answers may wait for as long as Telegram has them wait.
const WISHES: usize = 16;
/// Jobs of other kinds at once.
const JOBS: usize = 2_000;
/// How long an answer to a press is of interest.
const ANSWER: Duration = Duration::from_secs(8);
const ANSWER_PAUSE: Duration = Duration::from_millis(200);
/// How long what is under way may go on when the program ends.
const GRACE: Duration = Duration::from_secs(2);

/// What all of a bot's tasks share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) api: Api,
    pub(crate) store: Store,
    pub(crate) gateway: Gateway,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) languages: Languages,
    /// The bot's own, where no line's counts.
    pub(crate) language: Language,
    pub(crate) lamps: Lamps,
    /// Whose the lines were when the program began, for when the gateway cannot tell.
    pub(crate) accounts: Arc<BTreeMap<Phone, UserId>>,
    /// Who leads all lines, beside each line's own account.
    pub(crate) operators: Arc<Vec<UserId>>,
    pub(crate) notes: mpsc::Sender<Note>,
    /// The updates of other programs that lead the bot, where there may be some.
    pub(crate) queue: Option<Queue>,
}

/// A press of the keypad under way.
struct Job {
    update: u32,
    press: Press,
    call: CallId,
    digits: Digits,
    /// Whether the person leads the call's line; else they must be the caller.
    leads: bool,
    arrived: Instant,
    open: Open,
}

/// What a task of ours was for.
enum Done {
    Told,
    Pressed(UserId),
    /// A person is owed an answer.
    Owed(Letter),
    Delivered(UserId),
    /// Somebody ordered a call, and it is to be placed if they still wait for it.
    Ordered {
        asker: UserId,
        asked: Box<Asked>,
        is_waited_for: bool,
    },
    /// A call-back is over, and its message does not show it yet.
    CalledBack(Box<Asked>, Face),
}

/// One bot.
pub(crate) struct Bot {
    desk: Desk,
    presses: InOrder<Job>,
    letters: InOrder<Letter>,
    orders: InOrder<Order>,
    /// Who is being called back.
    calling: BTreeSet<UserId>,
    /// Messages that are told how a call-back ended.
    showing: BTreeMap<String, AbortHandle>,
    flood: FloodGuard,
    recent: Recent,
    work: JoinSet<Done>,
}

impl Desk {
    /// The lines of the bot, as they are now.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.borrow())
    }

    /// In whose name the bot speaks where it is about no line.
    pub(crate) fn voice(&self) -> Served {
        self.roster().voice(self.language)
    }

    /// Whether a line is this person's own account.
    pub(crate) fn is_account(&self, line: &Phone, person: UserId) -> bool {
        let told = self.gateway.calls().account(line);
        told.or_else(|| self.accounts.get(line).copied()) == Some(person)
    }

    /// Whether a person leads a line: it is their account, or `bot.toml` names them.
    pub(crate) fn leads(&self, line: &Phone, person: UserId) -> bool {
        self.operators.contains(&person) || self.is_account(line, person)
    }

    /// Tells of a store that did not do its part; what it is for goes on without it.
    pub(crate) fn kept(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::error!(%error, "not written");
        }
    }

    /// Whether another program deals with what is not ours.
    fn is_attended(&self) -> bool {
        self.queue.as_ref().is_some_and(Queue::is_attended)
    }

    fn note(&self, note: Note) {
        if self.notes.try_send(note).is_err() {
            tracing::warn!("a note is lost: the disk is too slow");
        }
    }

    /// Answers a press, and tells whether anybody waited for that: a press may have lain at Telegram for hours. It
    /// counts also where nobody can tell.
    async fn is_waited_for(&self, press: &str, text: &str) -> bool {
        let Err(failure) = self.api.answer_press(press, text, false).await else { return true };
        if failure.passes() {
            let (desk, press, text) = (self.clone(), press.to_owned(), text.to_owned());
            let rest = if let Failure::Flood { wait } = failure { wait } else { ANSWER_PAUSE };
            tokio::spawn(async move {
                if rest < ANSWER {
                    sleep(rest).await;
                    desk.answer(&press, &text, false).await;
                }
            });
        }
        !failure.is_too_late()
    }

    /// Answers a press, as long as anybody waits for that.
    pub(crate) async fn answer(&self, press: &str, text: &str, alarm: bool) {
        let limit = clock::now() + ANSWER;
        while let Err(failure) = self.api.answer_press(press, text, alarm).await {
            let rest = if let Failure::Flood { wait } = failure { wait } else { ANSWER_PAUSE };
            if !failure.passes() || clock::now() + rest > limit {
                // Telegram refuses when nobody waits for it any more.
                tracing::warn!(%failure, "a press is not answered; its keys are not touched by that");
                return;
            }
            sleep(rest).await;
        }
    }
}

impl Bot {
    /// Prepares a bot: reads what it has to go on with.
    ///
    /// # Errors
    /// When its store cannot be read.
    pub(crate) async fn new(desk: Desk) -> Result<Self, StoreError> {
        let recent = Recent::new(desk.store.taken().await?);
        let mut bot = Self {
            desk,
            presses: InOrder::new(PEOPLE, PRESSES),
            letters: InOrder::new(PEOPLE, LETTERS),
            orders: InOrder::new(PEOPLE, PRESSES),
            calling: BTreeSet::new(),
            showing: BTreeMap::new(),
            flood: FloodGuard::new(CALL_BACK_PAUSE),
            recent,
            work: JoinSet::new(),
        };
        for letter in bot.desk.store.owed().await? {
            bot.send(letter);
        }
        for asked in bot.desk.store.asked().await? {
            if asked.outcome.is_some() {
                let face = call_back::face(&bot.desk, &asked);
                bot.show(asked, face);
            } else {
                bot.call_back(asked);
            }
        }
        Ok(bot)
    }

    /// Works until it is told to stop, with updates from `polled` and messages that are written from `letters`.
    pub(crate) async fn run(
        mut self,
        mut polled: mpsc::Receiver<Poll>,
        mut letters: mpsc::Receiver<Letter>,
        mut stop: oneshot::Receiver<()>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some(poll) = polled.recv() => match poll {
                    Poll::Batch(batch) => self.take(batch),
                    Poll::Failed(failure) => self.desk.lamps.telegram(Err(&failure)),
                },
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.finish(done),
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => tracing::error!(%error, "a task broke"),
                },
                Some(letter) = letters.recv() => self.send(letter),
                _ = &mut stop => break,
            }
        }
        let rest = async {
            while let Some(done) = self.work.join_next().await {
                if let Ok(Done::CalledBack(asked, face)) = done {
                    self.show(*asked, face);
                }
            }
        };
        if timeout(GRACE, rest).await.is_err() {
            tracing::debug!("what is still under way goes on at the next start");
        }
    }

    fn take(&mut self, Batch { news, open }: Batch) {
        let arrived = clock::now();
        for (update, news) in news {
            if self.recent.is_new(update) {
                self.hear(update, news, arrived, &open);
            }
        }
        self.desk.lamps.telegram(Ok(()));
    }

    fn hear(&mut self, update: u32, news: News, arrived: Instant, open: &Open) {
        match news {
            News::Press(press) => {
                let person = press.person.clone();
                self.pressed(update, press, arrived, open.clone());
                self.learn(person);
            }
            News::Query(query)
                if Wanted::from_query(query.text.trim()).is_none() && self.desk.is_attended() => {}
            News::Query(query) => {
                let desk = self.desk.clone();
                self.spawn(async move { query::answer(&desk, query, arrived).await });
            }
            News::Said(said) => self.said(update, said, open.clone()),
            News::Blocked { person, blocked } => {
                let (desk, open) = (self.desk.clone(), open.clone());
                self.spawn(async move {
                    desk.kept(desk.store.see(std::slice::from_ref(&person), false, clock::unix_ms()).await);
                    desk.kept(desk.store.block(person.id, blocked).await);
                    drop(open);
                });
            }
        }
    }

    fn pressed(&mut self, update: u32, press: Press, arrived: Instant, open: Open) {
        match Pressed::from_data(&press.data) {
            Some(Pressed::Digits { call, digits }) => {
                self.queue(Job { update, press, call, digits, leads: false, arrived, open });
            }
            Some(Pressed::CallBack { line, person }) => {
                self.wants_call(Order { update, press, line, person, leads: false, open });
            }
            Some(Pressed::Lead { call, digits }) => match self.led(call, press.person.id) {
                Ok(_) => self.queue(Job { update, press, call, digits, leads: true, arrived, open }),
                Err(verdict) => self.answer(press, Some(call), "", verdict),
            },
            Some(Pressed::HangUp { call }) => match self.led(call, press.person.id) {
                Ok(info) => {
                    let (desk, language) = (self.desk.clone(), self.reads(&press.person));
                    self.spawn(async move { lead::hang_up(&desk, &press, info, language).await });
                }
                Err(verdict) => self.answer(press, Some(call), "", verdict),
            },
            Some(Pressed::Again { line, person }) => {
                self.wants_call(Order { update, press, line, person, leads: true, open });
            }
            None if self.desk.is_attended() => {}
            None => self.answer(press, None, "", Verdict::NoCall),
        }
    }

    /// A call that a person leads.
    fn led(&self, call: CallId, person: UserId) -> Result<CallInfo, Verdict> {
        let info = self.desk.gateway.calls().live(call).cloned().ok_or(Verdict::NoCall)?;
        if self.desk.leads(&info.line, person) { Ok(info) } else { Err(Verdict::NotYours) }
    }

    fn reads(&self, person: &Person) -> Language {
        let own = person.language.or_else(|| self.desk.languages.of(person.id));
        own.unwrap_or_else(|| self.desk.voice().chat.language)
    }

    fn queue(&mut self, job: Job) {
        match self.presses.push(job.press.person.id, job) {
            Turn::Now(job) => self.press(job),
            Turn::Waits => {}
            Turn::Full(job) => {
                let verdict = Verdict::NotSent("too many presses wait".to_owned());
                self.answer(job.press, Some(job.call), &job.digits.to_string(), verdict);
            }
        }
    }

    fn press(&mut self, job: Job) {
        let desk = self.desk.clone();
        self.work.spawn(async move {
            let Job { update, press, call, digits, leads, arrived, open } = job;
            let person = press.person.id;
            let caller = (!leads).then_some(person);
            let verdict = press::press(&desk.gateway, call, caller, &digits, &press.id, arrived).await;
            drop(open);
            if verdict == Verdict::Pressed {
                desk.note(Note::Taken(update));
            }
            // The person's next press does not wait for Telegram.
            tokio::spawn(async move { told(&desk, &press, Some(call), &digits.to_string(), verdict).await });
            Done::Pressed(person)
        });
    }

    fn answer(&mut self, press: Press, call: Option<CallId>, digits: &str, verdict: Verdict) {
        let (desk, digits) = (self.desk.clone(), digits.to_owned());
        self.spawn(async move { told(&desk, &press, call, &digits, verdict).await });
    }

    fn said(&mut self, update: u32, Said { person, text }: Said, open: Open) {
        let served = self.desk.voice();
        let wish: Wish = keys::wish(&text, &served.texts);
        let most = if wish == Wish::Unknown && !cards::are_asked(&text) { SAID } else { WISHES };
        if self.letters.waiting(person.id) >= most || self.work.len() >= JOBS {
            tracing::debug!(person = %person.id, "a message is not answered: others of the same person are");
            return;
        }
        self.desk.languages.learn(&person);
        if cards::are_asked(&text)
            && self.desk.roster().phones().iter().any(|line| self.desk.leads(line, person.id))
        {
            let (desk, language) = (self.desk.clone(), self.reads(&person));
            return self.spawn(async move { lead::show(&desk, person.id, language).await });
        }
        if wish == Wish::Unknown && self.desk.is_attended() {
            let desk = self.desk.clone();
            return self.spawn(async move {
                desk.kept(desk.store.see(&[person], true, clock::unix_ms()).await);
                desk.note(Note::Taken(update));
                drop(open);
            });
        }
        let language = self.desk.languages.of(person.id).unwrap_or(served.chat.language);
        let answer = keys::answer(wish, &person, language, &served.texts, &served.chat.company);
        let desk = self.desk.clone();
        self.work.spawn(async move {
            let now_ms = clock::unix_ms();
            let written = desk.store.see_and_owe(&person, &answer.text, Some(&answer.button), now_ms).await;
            desk.note(Note::Taken(update));
            drop(open);
            Done::Owed(written.unwrap_or_else(|error| {
                // The person gets the key all the same.
                tracing::error!(%error, "not written");
                let button = Some(answer.button);
                let (to, text) = (person.id, answer.text);
                Letter { id: 0, to, text, button, made_ms: now_ms, is_errand: false }
            }))
        });
    }

    fn send(&mut self, letter: Letter) {
        match self.letters.push(letter.to, letter) {
            Turn::Now(letter) => self.deliver(letter),
            Turn::Waits => {}
            Turn::Full(_) => tracing::warn!("a message waits for the next start: too many wait already"),
        }
    }

    fn deliver(&mut self, letter: Letter) {
        let desk = self.desk.clone();
        self.work.spawn(async move {
            let person = letter.to;
            letters::deliver(&desk, letter).await;
            Done::Delivered(person)
        });
    }

    fn learn(&self, person: Person) {
        if self.desk.languages.learn(&person) {
            self.desk.note(Note::Person(person));
        }
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Told => {}
            Done::Pressed(person) => {
                if let Some(job) = self.presses.done(person) {
                    self.press(job);
                }
            }
            Done::Owed(letter) => self.send(letter),
            Done::Delivered(person) => {
                if let Some(letter) = self.letters.done(person) {
                    self.deliver(letter);
                }
            }
            Done::Ordered { asker, asked, is_waited_for } => {
                if is_waited_for {
                    self.call_back(*asked);
                } else {
                    self.calling.remove(&asked.person);
                    self.flood.forget(asker);
                }
                if let Some(order) = self.orders.done(asker) {
                    self.order(order);
                }
            }
            Done::CalledBack(asked, face) => {
                self.calling.remove(&asked.person);
                self.show(*asked, face);
            }
        }
    }

    /// Does something beside, unless too much is done already.
    fn spawn(&mut self, job: impl Future<Output = ()> + Send + 'static) {
        if self.work.len() >= JOBS {
            tracing::warn!(JOBS, "something is left undone: too much is under way");
            return;
        }
        self.work.spawn(async move {
            job.await;
            Done::Told
        });
    }
}

/// Tells a person what became of their press.
async fn told(desk: &Desk, press: &Press, call: Option<CallId>, digits: &str, verdict: Verdict) {
    let (line, name) = {
        let calls = desk.gateway.calls();
        let info = call.and_then(|call| calls.live(call).or_else(|| calls.over(call)));
        (info.map(|info| info.line.clone()), press.person.name.clone())
    };
    let roster = desk.roster();
    let served = line.and_then(|line| roster.line(&line).cloned()).unwrap_or_else(|| desk.voice());
    let own = press.person.language.or_else(|| desk.languages.of(press.person.id));
    let language: Language = own.unwrap_or(served.chat.language);
    let reason = if let Verdict::NotSent(reason) = &verdict {
        tracing::warn!(reason, "a press did not reach its call");
        in_english(language, reason)
    } else {
        String::new()
    };
    let time = clock::time_of_day(clock::unix_ms());
    let words = Words { name, time, reason, digits: digits.to_owned(), ..Words::default() };
    desk.answer(&press.id, &served.say(verdict.text(), language, words), false).await;
}

/// What runs beside a bot: whoever tells operators, by messages that go to `letters`.
pub(crate) fn beside(
    desk: &Desk,
    file: &BotFile,
    state: &StateDir,
    letters: mpsc::Sender<Letter>,
    bot: &BotName,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (desk, file, state, bot) = (desk.clone(), file.clone(), state.clone(), bot.clone());
    tasks.spawn(async move {
        if let Err(error) = operators::watch(desk, file, state, letters).await {
            tracing::error!(%error, %bot, "operators are told nothing");
        }
    });
    tasks
}
