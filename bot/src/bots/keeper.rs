//! Keeps one bot at work: opens its store, has it hear from Telegram, and ends it cleanly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::{BotFile, BotName, Lamp, Language, Said, Words};
use tgtrunk_shell::caught::{Broke, broken, caught};
use tgtrunk_shell::status_file;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::House;
use super::served::Served;
use crate::admission;
use crate::bot::{self, Bot, Desk};
use crate::clock;
use crate::errands::{self, Errand};
use crate::keys;
use crate::languages::Languages;
use crate::messenger::BotMessenger;
use crate::programs::{self, Queue, Standing};
use crate::roster::Roster;
use crate::status::{self, Lamps};
use crate::store::{Store, StoreError};
use crate::telegram::{Api, Door, Failure, Poll, poll};

/// Updates on their way, notes, and messages.
const POLLS: usize = 16;
const NOTES: usize = 4_096;
const LETTERS: usize = 64;
/// Between two looks at who the bot is: while that is in order, and while it is not.
const WELL: Duration = Duration::from_secs(600);
const ILL: Duration = Duration::from_secs(20);
/// Until it is looked whether a token is good that Telegram did not know at one call.
const DOUBT: Duration = Duration::from_secs(1);
/// With a webhook nothing else tells that Telegram can be reached.
const WITH_WEBHOOK: Duration = Duration::from_secs(30);
/// Until a store that cannot be opened is tried again.
const STORE: Duration = Duration::from_secs(10);

/// One bot and what it needs.
pub(crate) struct Keeper {
    pub(crate) house: House,
    pub(crate) bot: BotName,
    pub(crate) file: BotFile,
    pub(crate) roster: watch::Receiver<Arc<Roster>>,
    pub(crate) errands: mpsc::Receiver<Errand>,
    pub(crate) lamps: Lamps,
    /// Where other programs find it.
    pub(crate) standing: Standing,
}

impl Keeper {
    /// Works until it is told to stop, or breaks. What `before` was doing with the same files ends first.
    ///
    /// # Errors
    /// What broke it; all of it has ended then.
    pub(crate) async fn run(
        mut self,
        before: Option<JoinHandle<()>>,
        mut stop: oneshot::Receiver<()>,
    ) -> Result<(), Broke> {
        if let Some(before) = before {
            before.await.ok();
        }
        let file =
            tokio::spawn(status_file::keep(self.house.state.clone(), self.lamps.follow(), status::put));
        let bot = loop {
            match self.open().await {
                Ok(bot) => break bot,
                Err(reason) => {
                    self.lamps.turn(Lamp::Orange, reason);
                    tokio::select! {
                        () = sleep(STORE) => {}
                        _ = &mut stop => return Ok(()),
                    }
                }
            }
        };
        let (bot, desk, notes) = bot;
        let served = desk.queue.clone().map(|queue| {
            let (house, both) = (self.house.clone(), (desk.api.clone(), desk.store.clone()));
            let who = (self.bot.clone(), self.file.clone());
            Arc::new(Served::new(who, house, both, queue, self.standing.clone()))
        });
        let mut opening = JoinSet::new();
        if let Some(served) = &served
            && !served.open().await
        {
            opening.spawn(Arc::clone(served).keep_opening());
        }
        let store = desk.store.clone();
        let (news, polled) = mpsc::channel(POLLS);
        let (letters, written) = mpsc::channel(LETTERS);
        // Whoever sends an errand when the bot has gone hears that at once.
        let (_, none) = mpsc::channel(1);
        let errands = std::mem::replace(&mut self.errands, none);
        let writing = errands::serve(desk.clone(), errands, letters.clone());
        let mut beside = bot::beside(&desk, &self.file, &self.house.state, letters, &self.bot);
        let mut notes = tokio::spawn(notes);
        beside.spawn(writing);
        self.listen(&desk, served.as_deref(), news, &mut beside);
        let ended = whole(bot.run(polled, written, stop), &mut beside, &mut notes).await;
        if let Err(broke) = &ended {
            tracing::error!(%broke, "the bot is opened anew");
            self.lamps.turn(Lamp::Orange, broke.into());
        }
        opening.shutdown().await;
        if let Some(served) = &served {
            served.end().await;
        }
        self.house.doors.send_if_modified(|doors| doors.remove(&self.bot.folder()).is_some());
        beside.shutdown().await;
        drop((desk, served));
        // Whoever still makes notes, a late answer perhaps, has none that matter.
        if !notes.is_finished() {
            tokio::time::timeout(Duration::from_secs(1), notes).await.ok();
        }
        store.close().await;
        drop(self.lamps);
        file.await.ok();
        ended
    }

    async fn open(&self) -> Result<(Bot, Desk, impl Future<Output = ()> + Send + 'static + use<>), Said> {
        let settings = &self.house.settings.bot;
        let has_programs = settings.api.listen.is_some();
        let new = if has_programs { Api::for_programs } else { Api::new };
        let api =
            new(&settings.api_url, settings.proxy.as_ref(), self.file.token.as_str()).map_err(|error| {
                Said::new(error, "api_url или proxy в разделе [bot] не годятся: проверьте tgtrunk.toml")
            })?;
        let told = |error: StoreError| stuck(&error);
        let store = Store::open(&self.house.state.bot_db(&self.bot)).await.map_err(told)?;
        let languages = Languages::new(store.languages().await.map_err(told)?);
        let accounts: BTreeMap<_, _> = store.accounts().await.map_err(told)?;
        let queue = match has_programs {
            true => Some(Queue::open(store.clone(), settings.api.queue).await.map_err(told)?),
            false => None,
        };
        let (notes, noted) = mpsc::channel(NOTES);
        let desk = Desk {
            api,
            store: store.clone(),
            gateway: self.house.gateway.clone(),
            roster: self.roster.clone(),
            languages,
            language: self.file.language,
            lamps: self.lamps.clone(),
            accounts: Arc::new(accounts),
            operators: Arc::new(self.file.operators.clone()),
            notes,
            queue,
        };
        let bot = Bot::new(desk.clone()).await.map_err(told)?;
        Ok((bot, desk, crate::notes::keep(store, noted)))
    }

    /// Has updates come in, by polling or by webhook, and looks now and then whether the bot is what it should be.
    fn listen(
        &self,
        desk: &Desk,
        served: Option<&Served>,
        news: mpsc::Sender<Poll>,
        tasks: &mut JoinSet<()>,
    ) {
        let settings = &self.house.settings.bot;
        match &settings.webhook {
            None => {
                tasks.spawn(poll(desk.api.clone(), settings.poll_timeout, news, desk.queue.clone()));
            }
            Some(webhook) => {
                let url = format!("{}/{}", webhook.url, self.bot.folder());
                let (desk, house, bot) = (desk.clone(), self.house.clone(), self.bot.folder());
                tasks.spawn(async move { hook(desk, house, bot, url, news).await });
            }
        }
        if let Some(served) = served {
            let (lamps, queue) = (self.lamps.clone(), &served.queue);
            tasks.spawn(queue.clone().tend(move |programs| lamps.programs(programs)));
            let limit = settings.api.webhook_timeout;
            tasks.spawn(programs::deliver(
                queue.clone(),
                desk.api.clone(),
                self.house.offices.web.clone(),
                limit,
            ));
        }
        let (desk, bot, webhook) = (desk.clone(), self.bot.clone(), settings.webhook.is_some());
        let messenger = served.map(|served| Arc::clone(&served.messenger));
        tasks.spawn(async move { look(desk, messenger, bot, webhook).await });
    }
}

/// Does a bot's work until it ends, or until a part breaks without which the bot, or its programs, would be deaf.
async fn whole(
    work: impl Future<Output = ()>,
    beside: &mut JoinSet<()>,
    notes: &mut JoinHandle<()>,
) -> Result<(), Broke> {
    tokio::select! {
        ended = caught(work) => ended,
        broke = broken(beside) => Err(broke),
        Err(error) = notes => Err(error.into()),
    }
}

/// Has Telegram send updates to us.
async fn hook(desk: Desk, house: House, bot: String, url: String, news: mpsc::Sender<Poll>) {
    let secret = match desk.store.secret("webhook", hex::encode(clock::random::<32>())).await {
        Ok(secret) => secret,
        Err(error) => {
            desk.lamps.turn(Lamp::Orange, stuck(&error));
            return;
        }
    };
    let door = Door { secret: secret.clone(), out: news, queue: desk.queue.clone() };
    house.doors.send_modify(|doors| drop(doors.insert(bot, door)));
    while let Err(failure) = desk.api.set_webhook(&url, &secret).await {
        desk.lamps.telegram(Err(&failure));
        sleep(rest(&failure)).await;
    }
    desk.lamps.telegram(Ok(()));
}

/// Looks who the bot is, and names its commands once.
async fn look(desk: Desk, messenger: Option<Arc<BotMessenger>>, bot: BotName, webhook: bool) {
    let mut named = false;
    loop {
        let pause = match desk.api.profile().await {
            Ok(profile) => {
                desk.lamps.profile(&profile);
                if let Some(messenger) = &messenger {
                    messenger.is_well(&profile);
                }
                let other = profile.username.parse::<BotName>().ok().filter(|name| *name != bot);
                let fault = match (other, profile.inline) {
                    (Some(other), _) => Some((
                        Lamp::Red,
                        Said::new(
                            format!("the token is one of @{other}: give this bot its own"),
                            format!("это токен бота @{other}: укажите токен этого бота"),
                        ),
                    )),
                    (None, false) => Some((Lamp::Orange, admission::inline_off())),
                    (None, true) => None,
                };
                let well = fault.is_none();
                desk.lamps.fault(fault);
                if !named {
                    named = name_commands(&desk).await.is_ok();
                }
                match (well, webhook) {
                    (false, _) => ILL,
                    (true, true) => WITH_WEBHOOK,
                    (true, false) => WELL,
                }
            }
            Err(failure) => {
                if let (Failure::Token, Some(messenger)) = (&failure, &messenger) {
                    messenger.is_stranger();
                }
                if webhook {
                    desk.lamps.telegram(Err(&failure));
                }
                rest(&failure)
            }
        };
        let doubt = async {
            match &messenger {
                Some(messenger) => messenger.is_doubted().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = doubt => sleep(DOUBT).await,
        }
    }
}

async fn name_commands(desk: &Desk) -> Result<(), Failure> {
    // They may be another program's.
    if desk.queue.is_some() && desk.api.has_commands().await? {
        return Ok(());
    }
    let served = desk.voice();
    for code in [None, Some("ru"), Some("uk"), Some("be"), Some("kk"), Some("ky")] {
        let language = code.map_or(Language::English, Language::from_code);
        let commands = keys::COMMANDS.map(|(word, key)| (word, served.say(key, language, Words::default())));
        desk.api.name_commands(code, &commands).await?;
    }
    Ok(())
}

fn stuck(error: &StoreError) -> Said {
    Said::new(
        error.to_string(),
        "база данных бота bot.db не открывается: проверьте место на диске и права на папку",
    )
}

fn rest(failure: &Failure) -> Duration {
    if let Failure::Flood { wait } = failure { *wait } else { ILL }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_bot_breaks_with_each_of_its_parts_and_with_none_that_ends() {
        let (mut beside, mut notes) = (JoinSet::new(), tokio::spawn(async {}));
        beside.spawn(async {});
        let on = std::future::pending();
        let whole_for = timeout(Duration::from_millis(100), whole(on, &mut beside, &mut notes));
        assert!(whole_for.await.is_err(), "it goes on");
        beside.spawn(async { panic!("as polling may") });
        let (on, mut notes) = (std::future::pending(), tokio::spawn(std::future::pending()));
        assert_eq!(whole(on, &mut beside, &mut notes).await, Err(Broke::of("as polling may")));
        let mut breaks = tokio::spawn(async { panic!("as notes may") });
        let on = std::future::pending();
        assert_eq!(whole(on, &mut beside, &mut breaks).await, Err(Broke::of("as notes may")));
        let work = async { panic!("as presses may") };
        assert_eq!(whole(work, &mut beside, &mut notes).await, Err(Broke::of("as presses may")));
        assert_eq!(whole(async {}, &mut beside, &mut notes).await, Ok(()));
    }
}
