//! A session beside the account's own one. A login that begins while somebody is logged in leaves the old session at
//! work until the new one is in; whoever gives it up has lost nothing.

use std::path::{Path, PathBuf};

use tracing::warn;

use crate::account::Account;
use crate::database::{Database, DatabaseError};
use crate::login::{Login, LoginError, Stage};
use crate::pool::Keys;
use crate::session::Standing;

/// What the file of the session beside is called, after the first part of the account's own.
const EXTENSION: &str = "login.db";

/// The session that is being logged in.
#[derive(Debug)]
pub(crate) struct Beside {
    account: Account,
    database: Database,
}

impl Beside {
    /// Opens it, or begins it.
    pub(crate) async fn open(main: &Account) -> Result<Self, LoginError> {
        let database = Database::open(path(main)).await?;
        let options = main.core.settings.beside(database.clone());
        match Account::open(options).await {
            Ok((account, _)) => Ok(Self { account, database }),
            Err(error) => Err(LoginError::Local { cause: error.to_string() }),
        }
    }

    /// Opens the one that was at work when the program ended, if it was.
    pub(crate) async fn left(main: &Account) -> Result<Option<Self>, LoginError> {
        if !path(main).exists() {
            return Ok(None);
        }
        let beside = Self::open(main).await?;
        let is_under_way = beside.login().step().await?.is_some();
        if is_under_way || beside.account.core.session.standing() == Standing::Authorized {
            return Ok(Some(beside));
        }
        beside.close().await;
        Ok(None)
    }

    pub(crate) fn login(&self) -> Login {
        self.account.login()
    }

    /// Whether nothing is under way there.
    pub(crate) async fn is_idle(&self) -> bool {
        matches!(self.login().stage().await, Ok(Stage::Phone) | Err(_))
    }

    /// Closes it. Its keys are good for the next login.
    pub(crate) async fn close(self) {
        self.account.shutdown().await;
        self.database.close().await;
    }

    /// Closes it for good; a session that somebody is logged in with is ended at Telegram.
    pub(crate) async fn remove(self) {
        if self.account.is_in()
            && let Err(error) = self.account.log_out().await
        {
            warn!(%error, "a session that is not wanted could not be noted as over");
        }
        self.account.shutdown().await;
        let path = self.database.path().to_path_buf();
        self.database.close().await;
        unlink(&path);
    }

    /// Puts it into the place of the account's own session, which is ended at Telegram.
    pub(crate) async fn take_over(self, main: &Account) -> Result<(), LoginError> {
        self.account.shutdown().await;
        let me = self.account.me();
        let session = &self.account.core.session;
        // They are the same if the program ended before the file was taken away.
        if session.home_key() != main.core.session.home_key() {
            if let Err(error) = main.core.tell_log_out().await {
                warn!(%error, "Telegram was not told that the old session is over");
            }
            main.core.replace(Keys::Of(Box::new(session.memory()))).await?;
        }
        if let Some(me) = me {
            main.core.peers.remember(&format!("id:{}", me.id), &me).await?;
        }
        let path = self.database.path().to_path_buf();
        self.database.close().await;
        unlink(&path);
        main.core.kick.notify_one();
        Ok(())
    }
}

/// Forgets a session beside that nobody has open.
pub(crate) fn forget(main: &Account) {
    unlink(&path(main));
}

fn path(main: &Account) -> PathBuf {
    main.core.settings.database.path().with_extension(EXTENSION)
}

fn unlink(path: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                warn!(%error, "the file of a login could not be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl From<DatabaseError> for LoginError {
    fn from(error: DatabaseError) -> Self {
        Self::Local { cause: error.to_string() }
    }
}
