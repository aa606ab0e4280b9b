//! A login that is led by words, one at a time: from a page, a terminal or another program (the control contract).
//!
//! The desk knows at every moment what is needed next and tells its house of each change. It refreshes a QR code by
//! itself, goes on after a restart where it stood, and never breaks off what Telegram may have let in.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{Ask, LoginInfo, LoginMethod};
use tgtrunk_config::{LoginCode, LoginToken, Password, Phone, Said};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{Instrument as _, warn};

use crate::account::Account;
use crate::login_work::{Owner, Work};

/// Words that may wait.
const WORDS: usize = 16;
/// How long a step may go on when the desk closes.
const PARTING: Duration = Duration::from_secs(25);

/// What a login is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginWord {
    /// How far is it?
    Look,
    /// Begin, in any state.
    Start(LoginMethod),
    /// Begin with a code that is sent to this number, where the desk is nobody's yet; one of a number takes its own alone.
    StartFor(Phone),
    /// Have the code sent again.
    Resend,
    /// The code that Telegram sent.
    Code(LoginCode),
    /// The account's password.
    Password(Password),
    /// Give the login up.
    Cancel,
    /// End the session at Telegram.
    LogOut,
    /// Forget the session, without asking Telegram.
    Forget,
}

/// Whose login it is.
pub trait LoginHouse: Send + Sync + 'static {
    /// The login moved on.
    fn told(&self, info: &LoginInfo);

    /// The session that is there is about to end: what it has under way may be finished first.
    fn parting(&self) -> impl Future<Output = ()> + Send;
}

/// Nobody's house: no line runs beside the login.
impl LoginHouse for () {
    fn told(&self, _: &LoginInfo) {}

    async fn parting(&self) {}
}

/// How another session of the account accepts a token: it gives the account's password if it knows it, or says why not.
pub type Acceptance = Box<dyn FnOnce(LoginToken) -> Pin<Box<dyn Future<Output = Accepted> + Send>> + Send>;

/// What came of it.
pub type Accepted = Result<Option<Password>, Said>;

/// What the task behind the desk is told.
pub(crate) enum Told {
    Word(LoginWord, oneshot::Sender<LoginInfo>),
    LetIn(Acceptance, oneshot::Sender<LoginInfo>),
    End,
}

/// Where a line's login is led. Clones lead the same one.
#[derive(Debug, Clone)]
pub struct LoginDesk {
    told: mpsc::Sender<Told>,
    shown: watch::Receiver<LoginInfo>,
    late: Arc<Mutex<Option<Password>>>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl LoginWord {
    /// What a question of the control contract says to a login, and whose; none for all others.
    #[must_use]
    pub fn of(ask: &Ask) -> Option<(Phone, Self)> {
        let (line, word) = match ask {
            Ask::Login { line } => (line, Self::Look),
            Ask::StartLogin { line, method } => (line, Self::Start(*method)),
            Ask::ResendCode { line } => (line, Self::Resend),
            Ask::EnterCode { line, code } => (line, Self::Code(code.clone())),
            Ask::EnterPassword { line, password } => (line, Self::Password(password.clone())),
            Ask::CancelLogin { line } => (line, Self::Cancel),
            Ask::LogOut { line } => (line, Self::LogOut),
            Ask::ResetLine { line } => (line, Self::Forget),
            _ => return None,
        };
        Some((line.clone(), word))
    }
}

impl LoginDesk {
    /// Opens the desk of an account; a login that was under way goes on.
    pub async fn open(account: Account, phone: Phone, house: impl LoginHouse) -> Self {
        let owner = Owner::Of(phone.clone());
        Self::begin(account, phone, owner, house).await
    }

    /// Opens the desk of an account that may be anybody's: whoever logs in first. `name` is what [`LoginInfo`] calls it.
    pub async fn open_for_anybody(account: Account, name: Phone, house: impl LoginHouse) -> Self {
        Self::begin(account, name, Owner::Anybody, house).await
    }

    async fn begin(account: Account, name: Phone, owner: Owner, house: impl LoginHouse) -> Self {
        let (told, telling) = mpsc::channel(WORDS);
        let late = Arc::default();
        let work = Work::open(account, (name, owner), house, Arc::clone(&late)).await;
        let shown = work.shown();
        let task = tokio::spawn(work.run(telling).in_current_span());
        Self { told, shown, late, task: Arc::new(Mutex::new(Some(task))) }
    }

    /// What is needed now.
    #[must_use]
    pub fn info(&self) -> LoginInfo {
        self.shown.borrow().clone()
    }

    /// The same, and its changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LoginInfo> {
        self.shown.clone()
    }

    /// Says a word and waits for what comes of it; none once the desk is closed.
    pub async fn say(&self, word: LoginWord) -> Option<LoginInfo> {
        if word == LoginWord::Look {
            return Some(self.info());
        }
        let (answer, answered) = oneshot::channel();
        self.told.send(Told::Word(word, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Looks again, where somebody went on with the login past the desk.
    pub async fn look(&self) {
        let (answer, answered) = oneshot::channel();
        if self.told.send(Told::Word(LoginWord::Look, answer)).await.is_ok() {
            answered.await.ok();
        }
    }

    /// Has another session of the account let this one in, if nobody is logged in and nothing is under way.
    pub async fn let_in(&self, accept: Acceptance) -> Option<LoginInfo> {
        let (answer, answered) = oneshot::channel();
        self.told.send(Told::LetIn(accept, answer)).await.ok()?;
        answered.await.ok()
    }

    /// The password with which somebody logged in a moment ago, for the account's other session.
    #[must_use]
    pub fn late_password(&self) -> Option<Password> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the desk after the step that is under way. To be called before the account is shut down.
    pub async fn end(&self) {
        self.told.send(Told::End).await.ok();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && timeout(PARTING, task).await.is_err()
        {
            warn!("a step of a login did not end");
        }
    }
}
