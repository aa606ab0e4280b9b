//! What belongs to no number: tokens of the client's own HTTP API, organisations, the people who are notified in their
//! names, and what was sent to them. `/api/v1/{organisations,recipients,notify,bot}`.

mod answer;
mod bots;
mod courier;
mod door;
mod face;
mod fields;
mod notify;
mod organisations;
mod reasons;
mod recipients;
mod senders;
mod store;
mod tokens;

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::routing::any;
use tgtrunk_config::control::{ActionTokenInfo, NewActionToken, Refusal, RefusalCode};
use tgtrunk_config::{Password, Phone, Said, Settings, StateDir};
use tgtrunk_messages::{Denied, Gate, Grant, House, InstanceId};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, info, warn};

pub(crate) use self::face::{
    COUNTED, Keys, Life, Noted, NotificationFace, OrganisationFace, RecipientFace, SeenKey, SenderChoice,
    TokenFor, Wrong,
};

pub(crate) use self::reasons::coded;

use self::answer::Failed;
pub(crate) use self::answer::as_json;
use self::store::{Store, StoreError, TokenRow};
use self::tokens::Book;
use super::tenants::Tenants;
use super::{Owners, Terms};
use crate::clock;

/// How often it is looked what is to be handed over, and what became of the rest.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is looked whether lines are gone, and noted which tokens were used.
const SWEEP: Duration = Duration::from_secs(10);
/// How often what is old is forgotten.
const FORGET: Duration = Duration::from_secs(600);
/// How long a database that cannot be opened is left alone.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a token that was revoked is shown, in seconds.
const MEMORY_S: i64 = 30 * 24 * 3600;
/// Tokens that hold at a time.
const TOKENS: usize = 1_000;

/// All of it.
pub(crate) struct Directory {
    house: House,
    owners: Owners,
    tenants: Arc<Tenants>,
    settings: Arc<Settings>,
    /// What addresses begin with.
    base: Arc<str>,
    state: StateDir,
    /// None as long as it cannot be opened.
    store: OnceLock<Store>,
    book: Book,
    /// Whoever changes organisations or people holds it.
    changing: Mutex<()>,
    /// The notifications that are being handed over.
    held: std::sync::Mutex<BTreeSet<i64>>,
    /// An instance was closed.
    left: Notify,
    /// Something is to be handed over.
    handing: Notify,
}

/// Answers what programs ask, and nothing else: other paths are others' to answer.
pub(super) fn router(directory: Arc<Directory>) -> Router {
    let mut router = Router::new();
    for path in door::PATHS {
        router = router.route(path, any(door::answer));
    }
    router.with_state(directory)
}

impl Directory {
    /// Opens it, if it can be opened.
    pub(super) async fn open(
        house: House,
        owners: Owners,
        tenants: Arc<Tenants>,
        terms: &Terms,
        state: StateDir,
    ) -> Arc<Self> {
        let directory = Self {
            house,
            owners,
            tenants,
            settings: Arc::clone(&terms.settings),
            base: Arc::clone(&terms.base),
            state,
            store: OnceLock::new(),
            book: Book::default(),
            changing: Mutex::default(),
            held: std::sync::Mutex::default(),
            left: Notify::new(),
            handing: Notify::new(),
        };
        if let Err(error) = directory.open_store().await {
            error!("{error}: it is tried again");
        }
        Arc::new(directory)
    }

    async fn open_store(&self) -> Result<(), StoreError> {
        let store = Store::open(&self.state).await?;
        self.book.load(&store).await?;
        self.store.set(store).ok();
        Ok(())
    }

    /// Hands over what is to be sent, and follows what becomes of it, until the task is dropped.
    pub(super) async fn run(self: Arc<Self>, problem: watch::Sender<Option<Said>>) {
        while self.store.get().is_none() {
            match self.open_store().await {
                Ok(()) => break,
                Err(error) => {
                    problem.send_replace(Some(told(&error)));
                    sleep(AGAIN).await;
                }
            }
        }
        problem.send_replace(None);
        let (mut swept, mut forgot) = (None::<Instant>, None::<Instant>);
        let is_due = |last: Option<Instant>, every| last.is_none_or(|last| last.elapsed() >= every);
        loop {
            if is_due(swept, SWEEP) {
                swept = Some(Instant::now());
                self.kept(self.sweep().await);
                self.kept(self.lift().await);
            }
            if is_due(forgot, FORGET) {
                forgot = Some(Instant::now());
                self.kept(self.forget().await);
            }
            self.kept(self.tend().await);
            tokio::select! {
                () = sleep(LOOK) => {}
                () = self.handing.notified() => {}
                () = self.left.notified() => swept = None,
            }
        }
    }

    /// Waits for what is being written.
    pub(super) async fn stop(&self) {
        if let Some(store) = self.store.get().cloned() {
            self.kept(self.book.note(&store).await);
            store.close().await;
        }
    }

    /// An instance was closed; perhaps its line is gone.
    pub(super) fn left(&self) {
        self.left.notify_one();
    }

    fn kept(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            warn!("the directory is not kept: {error}");
        }
    }

    fn store(&self) -> Result<&Store, Failed> {
        self.store
            .get()
            .ok_or_else(|| Failed::closed("directory.db cannot be opened yet; the program's log says why"))
    }

    /// Tokens of lines that are gone go with them.
    async fn sweep(&self) -> Result<(), StoreError> {
        let Some(store) = self.store.get() else { return Ok(()) };
        self.book.note(store).await?;
        for row in store.tokens().await? {
            if self.is_orphan(&row) {
                info!(token = row.id, "a token goes with its line");
                self.book.forget(store, row.id).await?;
            }
        }
        Ok(())
    }

    /// Whether a token is for a line or an instance that is gone.
    fn is_orphan(&self, row: &TokenRow) -> bool {
        let Some(id) = row.instance else { return false };
        if self.house.instance(id).is_some() || self.house.rests(id) {
            return false;
        }
        // As long as it cannot be read which partners' instances there are, none of them is gone.
        if self.tenants.problem().is_some() {
            return false;
        }
        if self.tenants.knows(id) {
            return !self.tenants.rows().iter().any(|tenant| tenant.id == id);
        }
        match &row.line {
            // A line that was removed and added again is another instance.
            Some(line) => {
                // A folder that cannot be looked into is there.
                matches!(self.state.client_db(line).try_exists(), Ok(false))
                    || self.line_instance(line).is_some_and(|found| found != id)
            }
            None => true,
        }
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let Some(store) = self.store.get() else { return Ok(()) };
        let life_s = i64::try_from(self.settings.api.journal.as_secs()).unwrap_or(i64::MAX);
        store.forget_tokens(clock::unix_s() - MEMORY_S).await?;
        // Keys are remembered for a day.
        store.forget_notifications(clock::unix_s() - life_s.max(2 * 24 * 3600)).await
    }

    /// Makes a token for a line's instance, or for all.
    pub(crate) async fn make_token(
        &self,
        line: Option<&Phone>,
        label: &str,
    ) -> Result<NewActionToken, Refusal> {
        let whose = match line {
            Some(line) => Some((self.called(line).ok_or_else(|| unknown(line))?, Some(line))),
            None => None,
        };
        self.make_token_for(whose, label).await
    }

    async fn make_token_for(
        &self,
        whose: Option<(InstanceId, Option<&Phone>)>,
        label: &str,
    ) -> Result<NewActionToken, Refusal> {
        let store = self.store().map_err(refusal)?;
        let live = store.tokens().await.map_err(broken)?;
        if live.iter().filter(|row| row.revoked_s.is_none()).count() >= TOKENS {
            let message = format!("there are {TOKENS} tokens already: revoke those that nobody uses");
            return Err(Refusal { code: RefusalCode::Limit, message });
        }
        let made = self.book.make(store, whose, label, clock::unix_s()).await.map_err(broken)?;
        info!(token = made.number, "a token is made");
        Ok(NewActionToken {
            number: made.number,
            token: Password::new(made.reveal()),
            url: self.base.to_string(),
        })
    }

    /// The tokens that hold, and those that were revoked lately.
    pub(crate) async fn tokens(&self) -> Result<Vec<ActionTokenInfo>, Refusal> {
        self.sweep().await.map_err(broken)?;
        let since_s = clock::unix_s() - MEMORY_S;
        let rows = self.store().map_err(refusal)?.tokens().await.map_err(broken)?.into_iter();
        let shown = rows.filter(|row| row.revoked_s.is_none_or(|revoked_s| revoked_s >= since_s));
        let shown = shown.map(|row| ActionTokenInfo {
            number: row.id,
            instance: row.instance.map(InstanceId::get),
            line: row.line,
            label: row.label,
            created_s: row.created_s,
            last_used_s: row.last_used_s,
            revoked_s: row.revoked_s,
        });
        Ok(shown.collect())
    }

    /// For what a token is good. Nothing here waits for a disk.
    pub(super) fn grant(&self, token: &str) -> Option<Grant> {
        self.book.admits(token, clock::unix_s())
    }

    /// Ends a token.
    pub(crate) async fn revoke_token(&self, number: i64) -> Result<(), Refusal> {
        let store = self.store().map_err(refusal)?;
        if self.book.revoke(store, number, clock::unix_s()).await.map_err(broken)? {
            info!(token = number, "a token is revoked");
            return Ok(());
        }
        let message = format!("there is no token {number} that holds: tgtrunk-client action-token list");
        Err(Refusal { code: RefusalCode::BadRequest, message })
    }
}

#[async_trait]
impl Gate for Directory {
    async fn admits(&self, token: &str) -> Result<Grant, Denied> {
        self.grant(token).ok_or(Denied::Nobody)
    }

    fn instance_of(&self, phone: &str) -> Option<InstanceId> {
        let phone = format!("+{}", phone.trim().trim_start_matches('+'));
        self.called(&phone.parse().ok()?)
    }
}

fn told(error: &StoreError) -> Said {
    Said::new(
        format!("{error}: tokens, organisations and notifications do not work"),
        format!("{error}: токены, организации и оповещения не работают"),
    )
}

fn unknown(line: &Phone) -> Refusal {
    let message = format!("the client has no line {line} that runs");
    Refusal { code: RefusalCode::UnknownLine, message }
}

fn refusal(failed: Failed) -> Refusal {
    Refusal { code: RefusalCode::Internal, message: failed.message }
}

fn broken(error: StoreError) -> Refusal {
    Refusal { code: RefusalCode::Internal, message: error.to_string() }
}

/// A time as programs read it (RFC 3339).
fn time(unix_s: i64) -> String {
    use chrono::{DateTime, SecondsFormat};
    let time = DateTime::from_timestamp(unix_s, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What a program is asked, for as long as `limit`.
async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = anyhow::Result<T>>,
) -> Option<anyhow::Result<T>> {
    timeout(limit, asked).await.ok()
}
