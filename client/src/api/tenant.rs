//! An instance without a line: an account that a partner's program made for its messages alone. Nobody calls it here; its
//! program logs it in, by a code or a QR code.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_config::{Phone, Said, Settings, StateDir};
use tgtrunk_messages::{House, InstanceId, Options};
use tgtrunk_shell::caught::{Broke, broken, caught};
use tgtrunk_shell::said::said;
use tgtrunk_telegram::{Account, Database, LoginDesk, LoginWord, MessageNotice, Notice, Orange, Status};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{Instrument as _, error, info, warn};

use super::register::Register;
use crate::backlog::Backlog;
use crate::correspondence::Correspondence;
use crate::line::DEVICE_SUFFIX;

/// Messages that wait to be read; Telegram keeps the others.
const MESSAGES: usize = 64;
/// How long an instance that cannot be opened is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// How long Telegram may take to be told that the session ends.
const LOG_OUT: Duration = Duration::from_secs(15);
/// How long a login under way may take to be broken off.
const PARTING: Duration = Duration::from_secs(4);

/// The end of an instance's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It goes on later.
    Stop,
    /// Its account is logged out first.
    LogOut,
}

/// The task behind an instance.
pub(super) struct Tenant {
    pub(super) id: InstanceId,
    pub(super) options: Options,
    pub(super) settings: Arc<Settings>,
    pub(super) state: StateDir,
    pub(super) house: House,
    pub(super) register: Arc<Register>,
    /// Whether it can be called.
    pub(super) is_open: watch::Sender<bool>,
}

/// An instance's account, connected.
struct Link {
    account: Account,
    database: Database,
    logins: LoginDesk,
    number: Option<Phone>,
    notices: mpsc::Receiver<Notice>,
    messages: mpsc::Receiver<MessageNotice>,
}

/// An instance at work.
struct Work {
    account: Account,
    database: Database,
    logins: LoginDesk,
    kept: Arc<Correspondence>,
    notices: mpsc::Receiver<Notice>,
    tasks: JoinSet<()>,
}

impl Tenant {
    /// Works until it is told to end.
    pub(super) async fn run(self, mut ends: mpsc::Receiver<End>) {
        loop {
            let problem: Said = match caught(self.open()).await {
                Ok(Ok(mut work)) => {
                    self.house.enter(work.kept.instance().clone());
                    self.is_open.send_replace(true);
                    let served = caught(self.serve(&mut work, &mut ends)).await.flatten();
                    self.is_open.send_replace(false);
                    match served {
                        Ok(end) => {
                            self.house.leave(self.id);
                            return work.end(end).await;
                        }
                        Err(broke) => {
                            // Programs that call meanwhile hear that it is starting.
                            self.house.rest(self.id);
                            work.end(End::Stop).await;
                            Said::from(&broke)
                        }
                    }
                }
                Ok(Err(problem)) => said(&problem),
                Err(broke) => Said::from(&broke),
            };
            error!(retry_s = PAUSE.as_secs(), "an instance does not run: {problem}");
            tokio::select! {
                () = sleep(PAUSE) => {}
                end = ends.recv() => {
                    if end == Some(End::LogOut) {
                        warn_of_session();
                    }
                    return;
                }
            }
        }
    }

    /// Logs out what was deleted and could not be before the program ended. Nothing of its queues is sent any more.
    pub(super) async fn depart(self) {
        match self.connect().await {
            Ok(mut link) => {
                tokio::select! {
                    () = log_out(&link.logins) => {}
                    () = pass_over(&mut link.messages, &mut link.notices) => {}
                }
                timeout(PARTING, link.logins.end()).await.ok();
                link.account.shutdown().await;
                link.database.close().await;
            }
            Err(problem) => {
                error!("an instance that was deleted cannot be opened: {}", said(&problem));
                warn_of_session();
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<Link> {
        let id = self.id.get();
        self.state.make_instance_dir(id)?;
        let database = Database::open(self.state.instance_db(id)).await;
        let database = database.map_err(|error| anyhow::Error::msg(Said::from(&error)))?;
        let (send, messages) = mpsc::channel(MESSAGES);
        let (telegram, seed) = (&self.settings.telegram, self.state.dc_seed());
        let mut options =
            tgtrunk_telegram::Options::from_settings(database.clone(), telegram, DEVICE_SUFFIX, seed);
        options.messages = Some(send);
        let (account, notices) = Account::open(options).await.context("the account cannot be opened")?;
        self.note_number(&account).await;
        let number = self.register.row(self.id).and_then(|row| row.phone);
        let logins = match number.clone() {
            Some(number) => LoginDesk::open(account.clone(), number, ()).await,
            None => {
                // It has no number yet; its own stands for it.
                let name: Phone = format!("+{id}").parse()?;
                LoginDesk::open_for_anybody(account.clone(), name, ()).await
            }
        };
        Ok(Link { account, database, logins, number, notices, messages })
    }

    async fn open(&self) -> anyhow::Result<Work> {
        let Link { account, database, logins, number, notices, messages } = self.connect().await?;
        let kept = Correspondence::open(&database, &account, &logins, number, self.options.clone()).await?;
        let kept = Arc::new(kept);
        let mut tasks = JoinSet::new();
        tasks.spawn(kept.get_acquainted().in_current_span());
        tasks.spawn(read(Arc::clone(&kept), messages).in_current_span());
        Ok(Work { account, database, logins, kept, notices, tasks })
    }

    /// Serves until it is told to end, or breaks.
    async fn serve(&self, work: &mut Work, ends: &mut mpsc::Receiver<End>) -> Result<End, Broke> {
        info!("instance opened");
        let mut status = work.account.status();
        status.mark_changed();
        loop {
            tokio::select! {
                end = ends.recv() => return Ok(end.unwrap_or(End::Stop)),
                Ok(()) = status.changed() => {
                    if matches!(*status.borrow_and_update(), Status::Orange { reason: Orange::Broken }) {
                        return Err(Broke::of("the account"));
                    }
                    self.note_number(&work.account).await;
                }
                Some(_) = work.notices.recv() => {}
                // Without it the instance would be deaf.
                broke = broken(&mut work.tasks) => return Err(broke),
            }
        }
    }

    /// Whoever is logged in first is the only one since.
    async fn note_number(&self, account: &Account) {
        let Some(phone) = account.me().and_then(|me| me.phone) else { return };
        let Ok(phone) = format!("+{}", phone.trim_start_matches('+')).parse() else { return };
        if let Err(refused) = self.register.bind(self.id, phone).await {
            warn!("whose an instance is cannot be noted: {refused}");
        }
    }
}

impl Work {
    async fn end(mut self, end: End) {
        if end == End::LogOut {
            // Whoever deletes it wants nothing sent any more.
            self.kept.instance().close();
            log_out(&self.logins).await;
        }
        timeout(PARTING, self.logins.end()).await.ok();
        self.tasks.shutdown().await;
        self.account.shutdown().await;
        drop(self.kept);
        self.database.close().await;
    }
}

async fn log_out(logins: &LoginDesk) {
    if timeout(LOG_OUT, logins.say(LoginWord::LogOut)).await.is_err() {
        warn_of_session();
    }
}

fn warn_of_session() {
    warn!("Telegram was not told that an instance's session ends: end it in the account's list of devices");
}

/// Takes what Telegram tells, for nobody.
async fn pass_over(messages: &mut mpsc::Receiver<MessageNotice>, notices: &mut mpsc::Receiver<Notice>) {
    loop {
        tokio::select! {
            Some(notice) = messages.recv() => notice.taken(),
            Some(_) = notices.recv() => {}
            else => return std::future::pending().await,
        }
    }
}

/// Puts what Telegram tells into queues and journal.
async fn read(kept: Arc<Correspondence>, mut messages: mpsc::Receiver<MessageNotice>) {
    let mut backlog = Backlog::new(Instant::now());
    loop {
        tokio::select! {
            notice = messages.recv(), if backlog.has_room() => {
                let Some(notice) = notice else { return };
                let news = kept.news(&notice);
                backlog.push(notice, news);
            }
            () = sleep_until(backlog.again()), if !backlog.is_empty() => {}
        }
        loop {
            while let Some(notice) = backlog.next_whole() {
                notice.taken();
            }
            let Some(news) = backlog.due(Instant::now()) else { break };
            if kept.keep(news).await {
                backlog.kept();
            } else {
                backlog.refused(Instant::now());
            }
        }
    }
}
