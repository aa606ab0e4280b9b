//! A test Telegram, and accounts opened on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tgtrunk_telegram::{Account, Database, Notice, Options, Stage, Status, tl};
pub(crate) use tgtrunk_test_telegram::canary::API_HASH;
use tgtrunk_test_telegram::world::{Puppet, World};
use tgtrunk_test_telegram::{NewUser, TestTelegram};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

/// What anything on this machine may take when it is busy.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const API_ID: i32 = 12345;
pub(crate) const ANNA: &str = "79001112233";
pub(crate) const BORIS: &str = "79004445566";

/// A test Telegram with two users, and a state directory with seeds.
pub(crate) struct Scene {
    pub(crate) telegram: TestTelegram,
    pub(crate) anna: i64,
    pub(crate) boris: i64,
    folder: tempfile::TempDir,
}

/// An open account.
pub(crate) struct Open {
    pub(crate) account: Account,
    pub(crate) notices: mpsc::Receiver<Notice>,
    database: Database,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let telegram = TestTelegram::start(tgtrunk_test_telegram::Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        telegram.write_dc_seed(folder.path(), 8).unwrap();
        let anna =
            telegram.world().add_user(NewUser::new(ANNA, "Anna").username("anna_k").last_name("K")).unwrap();
        let boris = telegram.world().add_user(NewUser::new(BORIS, "Boris").username("boris")).unwrap();
        Self { telegram, anna, boris, folder }
    }

    pub(crate) fn world(&self) -> &World {
        self.telegram.world()
    }

    pub(crate) fn seed(&self) -> PathBuf {
        self.folder.path().join("dc-seed.json")
    }

    pub(crate) fn database(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("gateway.db")
    }

    /// Quick limits, so that tests end soon.
    pub(crate) async fn options(&self, name: &str) -> Options {
        let database = Database::open(self.database(name)).await.unwrap();
        let mut options = Options::new(database, API_ID, API_HASH);
        options.seed = Some(self.seed());
        options.ping_every = Duration::from_millis(500);
        options.difference_limit = Duration::from_secs(2);
        options
    }

    pub(crate) async fn open(&self, name: &str) -> Open {
        Open::with(self.options(name).await).await
    }

    /// Anna's account, logged in and green.
    pub(crate) async fn anna(&self) -> Open {
        self.logged_in(self.options("anna").await).await
    }

    pub(crate) async fn logged_in(&self, options: Options) -> Open {
        let open = Open::with(options).await;
        self.log_in(&open.account, ANNA).await;
        open.until_green().await;
        open
    }

    pub(crate) async fn log_in(&self, account: &Account, phone: &str) {
        let login = account.login();
        login.send_code(phone).await.unwrap();
        let code = self.world().pending_login_code(phone).unwrap();
        let stage = login.enter_code(&code).await.unwrap();
        assert!(matches!(stage, Stage::Done(_)), "{stage:?}");
    }

    /// Boris's other device, led by hand.
    pub(crate) fn boris_device(&self) -> Puppet {
        Puppet::new(self.world(), self.boris).unwrap()
    }

    pub(crate) fn key_of(&self, user: i64) -> i64 {
        let keys = self.world().keys_of(user);
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys[0]
    }

    pub(crate) fn connections_of(&self, user: i64) -> u32 {
        self.world().keys().iter().filter(|key| key.user == Some(user)).map(|key| key.connections).sum()
    }
}

impl Open {
    pub(crate) async fn with(options: Options) -> Self {
        let database = options.database.clone();
        let (account, notices) = Account::open(options).await.unwrap();
        Self { account, notices, database }
    }

    /// Closes everything, so that the same files may be opened again.
    pub(crate) async fn close(self) {
        let Self { account, notices, database } = self;
        account.shutdown().await;
        drop((account, notices));
        database.close().await;
    }

    pub(crate) fn lamp(&self) -> Status {
        self.account.status().borrow().clone()
    }

    pub(crate) async fn until_green(&self) {
        self.until("green", |status| matches!(status, Status::Green { .. })).await;
    }

    pub(crate) async fn until_red(&self) {
        self.until("red", |status| matches!(status, Status::Red { .. })).await;
    }

    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&Status) -> bool) {
        let mut status = self.account.status();
        let found = timeout(SOON, status.wait_for(|status| wanted(status))).await.is_ok();
        assert!(found, "not {what} but {:?}", self.lamp());
    }

    /// The next notice that is not about the connection.
    pub(crate) async fn next_call_news(&mut self) -> Notice {
        let search = async {
            loop {
                match self.notices.recv().await.expect("the account is open") {
                    Notice::Connected | Notice::Disconnected => {}
                    notice => return notice,
                }
            }
        };
        timeout(SOON, search).await.expect("no notice")
    }

    /// All notices about calls that come within a time.
    pub(crate) async fn call_news_within(&mut self, time: Duration) -> Vec<Notice> {
        let end = Instant::now() + time;
        let mut found = Vec::new();
        while let Ok(Some(notice)) = tokio::time::timeout_at(end, self.notices.recv()).await {
            if matches!(notice, Notice::PhoneCall { .. } | Notice::Signaling { .. }) {
                found.push(notice);
            }
        }
        found
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A short name of a call's state: `requested`, `discarded` ...
pub(crate) fn state(notice: &Notice) -> &'static str {
    match notice {
        Notice::PhoneCall { call, .. } => match call {
            tl::enums::PhoneCall::Empty(_) => "empty",
            tl::enums::PhoneCall::Waiting(_) => "waiting",
            tl::enums::PhoneCall::Requested(_) => "requested",
            tl::enums::PhoneCall::Accepted(_) => "accepted",
            tl::enums::PhoneCall::Call(_) => "active",
            tl::enums::PhoneCall::Discarded(_) => "discarded",
        },
        Notice::Signaling { .. } => "signaling",
        Notice::Revoked { .. } => "revoked",
        Notice::Connected => "connected",
        Notice::Disconnected => "disconnected",
    }
}

/// One value out of a database that no account has open.
pub(crate) async fn stored<T>(path: &Path, query: &'static str) -> T
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let database = Database::open(path).await.unwrap();
    let (value,): (T,) = sqlx::query_as(query).fetch_one(database.pool()).await.unwrap();
    database.close().await;
    value
}
