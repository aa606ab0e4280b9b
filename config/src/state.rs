//! The state directory: where everything is, who may read it, and how a file is replaced.
//!
//! ```text
//! <state>/                          0700
//!   gateway.sock  gateway.lock      the gateway's control socket; one gateway per state directory
//!   client.sock   client.lock       the same of the client
//!   bot.sock      bot.lock          the same of the bot
//!   page.db                         the operator's page: its password, who is logged in
//!   page-password.txt               its first password, until somebody has logged in with it
//!   directory.db  directory.db.lock what has no number: action tokens, organisations, recipients, what was sent to them
//!   dc-seed.json                    data centres for fresh sessions, if somebody put it there
//!   +79060000000/                   0700, one folder per number, named by it
//!     line.toml                     the line's settings
//!     gateway.db  gateway.db.lock   the gateway's session and records of calls; one process per session
//!     gateway.calls                 records on their way there; empty when they have come
//!     gateway.status.json           what the gateway says about the line
//!     client.db  client.db.lock     the client's session, and what it has sent
//!     client.status.json            what the client says about the line
//!     texts.toml                    the line's own texts, if it has some
//!   bots/acme_bot/                  0700, one folder per bot, named by it in small letters
//!     bot.toml                      the bot's token and settings
//!     bot.db  bot.db.lock           people, their keys, what was told
//!     bot.status.json               what the bot says about itself
//!   instances/                      0700
//!     register.json                 the instances that a partner's program made, and those that were
//!     partner-token.sha256          by what the partner's token is known
//!     4100000001/                   0700, one folder per instance, named by its number
//!       client.db  client.db.lock   its session, and its messages
//!       unfinished                  as long as it is being made
//! ```
//!
//! Files are 0600. Deleting a number's folder forgets the number.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::said::Said;
use crate::trouble::Trouble;
use crate::units::Phone;

mod bots;
mod instances;

/// Longest path of a Unix socket, in bytes, without its closing zero (unix(7), `sun_path`).
const LONGEST_SOCKET_PATH: usize = 107;

/// The state directory of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

/// A lock that holds as long as this value lives, and that the system drops with the process.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// A file or folder that others on this machine may read. Its text is the command that mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is open to other users (mode {mode:04o}): chmod {wanted:o} {}", path.display(), path.display())]
pub struct TooOpen {
    /// What is too open.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// What they should be.
    pub wanted: u32,
}

/// The state directory could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// With which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has the lock.
    #[error("{} is held by another running process: stop it first (one gateway, one client and one bot per state directory, one program per session)", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The control socket would not fit into a socket address.
    #[error("{} is too long for a Unix socket ({bytes} bytes): want a state directory with a shorter path, so that it has at most 107", path.display())]
    SocketPath {
        /// The socket's path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
}

/// The same in both languages.
impl From<&StateError> for Said {
    fn from(error: &StateError) -> Self {
        if let StateError::Io { path, source, .. } = error
            && let Some(trouble) = Trouble::of_file(source, path)
        {
            return trouble.into();
        }
        let ru = match error {
            StateError::Io { doing, path, source } => {
                format!("не удаётся {} {}: {source}", in_russian(doing), path.display())
            }
            StateError::Locked { path } => format!(
                "{} держит другой работающий процесс: сначала остановите его (на папку состояния один шлюз, один клиент и один бот, на сессию одна программа)",
                path.display()
            ),
            StateError::SocketPath { path, bytes } => format!(
                "{}: путь слишком длинный для сокета Unix ({bytes} байт): нужна папка состояния с более коротким путём, чтобы было не больше 107",
                path.display()
            ),
        };
        Self::new(error.to_string(), ru)
    }
}

/// What was tried, as a Russian verb.
fn in_russian(doing: &str) -> &str {
    match doing {
        "list" => "прочитать папку",
        "lock" => "запереть",
        "make" => "создать",
        "open" => "открыть",
        "remove" => "удалить",
        "write" => "записать",
        other => other,
    }
}

impl StateDir {
    /// Names a state directory without touching it.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Opens a state directory, making it (0700) if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`] when it cannot be made, [`StateError::SocketPath`] when its path is too long.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StateError> {
        let state = Self::at(root);
        let socket = state.gateway_socket();
        let bytes = socket.as_os_str().as_bytes().len();
        if bytes > LONGEST_SOCKET_PATH {
            return Err(StateError::SocketPath { path: socket, bytes });
        }
        make_private_dir(&state.root)?;
        Ok(state)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The gateway's control socket.
    pub fn gateway_socket(&self) -> PathBuf {
        self.root.join("gateway.sock")
    }

    /// Lock file of the gateway as a program.
    pub fn gateway_lock(&self) -> PathBuf {
        self.root.join("gateway.lock")
    }

    /// The client's control socket.
    pub fn client_socket(&self) -> PathBuf {
        self.root.join("client.sock")
    }

    /// Lock file of the client as a program.
    pub fn client_lock(&self) -> PathBuf {
        self.root.join("client.lock")
    }

    /// The bot's control socket.
    pub fn bot_socket(&self) -> PathBuf {
        self.root.join("bot.sock")
    }

    /// Lock file of the bot as a program.
    pub fn bot_lock(&self) -> PathBuf {
        self.root.join("bot.lock")
    }

    /// What the operator's page keeps: its password and who is logged in (SQLite).
    pub fn page_db(&self) -> PathBuf {
        self.root.join("page.db")
    }

    /// The page's first password, for whoever sets the installation up; gone once it was used.
    pub fn page_password(&self) -> PathBuf {
        self.root.join("page-password.txt")
    }

    /// What the client keeps that belongs to no number: action tokens, organisations, recipients, notifications (SQLite).
    pub fn directory_db(&self) -> PathBuf {
        self.root.join("directory.db")
    }

    /// The certificate that lines on TLS show where the settings name none. A PBX may be told to trust it.
    pub fn tls_certificate(&self) -> PathBuf {
        self.root.join("tls-certificate.pem")
    }

    /// Its private key.
    pub fn tls_key(&self) -> PathBuf {
        self.root.join("tls-key.pem")
    }

    /// The certificate that the messages' API shows where the settings name none.
    pub fn api_certificate(&self) -> PathBuf {
        self.root.join("api-certificate.pem")
    }

    /// Its private key.
    pub fn api_key(&self) -> PathBuf {
        self.root.join("api-key.pem")
    }

    /// Data centres for fresh sessions.
    pub fn dc_seed(&self) -> PathBuf {
        self.root.join("dc-seed.json")
    }

    /// A number's folder.
    pub fn phone_dir(&self, phone: &Phone) -> PathBuf {
        self.root.join(phone.as_str())
    }

    /// A line's settings.
    pub fn line_file(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("line.toml")
    }

    /// The gateway's session with Telegram for a number (SQLite).
    pub fn gateway_db(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("gateway.db")
    }

    /// What the gateway says about a line.
    pub fn gateway_status(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("gateway.status.json")
    }

    /// The client's session with Telegram for a number, and what it has sent (SQLite).
    pub fn client_db(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("client.db")
    }

    /// What the client says about a line.
    pub fn client_status(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("client.status.json")
    }

    /// A line's own texts.
    pub fn texts_file(&self, phone: &Phone) -> PathBuf {
        self.phone_dir(phone).join("texts.toml")
    }

    /// Makes a number's folder (0700) if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn make_phone_dir(&self, phone: &Phone) -> Result<PathBuf, StateError> {
        let dir = self.phone_dir(phone);
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// The numbers that have a folder, in the order of their digits as text.
    ///
    /// # Errors
    /// [`StateError::Io`] when the directory cannot be listed.
    pub fn phones(&self) -> Result<Vec<Phone>, StateError> {
        let phones = self.folders()?.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(phones)
    }

    /// Names of all folders, sorted.
    pub(crate) fn folders(&self) -> Result<Vec<String>, StateError> {
        Self::folders_in(&self.root)
    }

    fn folders_in(dir: &Path) -> Result<Vec<String>, StateError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed("list", dir))? {
            let entry = entry.map_err(failed("list", dir))?;
            if entry.path().is_dir() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Forgets a number: its line, its session, its records. Not an error when there is nothing.
    ///
    /// # Errors
    /// [`StateError::Io`] when the folder cannot be removed.
    pub fn forget(&self, phone: &Phone) -> Result<(), StateError> {
        absent_is_fine(fs::remove_dir_all(self.phone_dir(phone)))
            .map_err(failed("remove", &self.phone_dir(phone)))
    }

    /// Takes the line away and keeps the number's sessions, so that the line can come back without a login.
    ///
    /// # Errors
    /// [`StateError::Io`] when the file cannot be removed.
    pub fn retire_line(&self, phone: &Phone) -> Result<(), StateError> {
        for path in [self.line_file(phone), self.gateway_status(phone), self.client_status(phone)] {
            absent_is_fine(fs::remove_file(&path)).map_err(failed("remove", &path))?;
        }
        Ok(())
    }

    /// Replaces a file (0600) as a whole: whoever reads it sees the old text or the new one, also after a power cut.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old file is then untouched.
    pub fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
        swap(path, bytes, File::sync_all)?;
        let folder = path.parent().unwrap_or(&self.root);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("write", folder))
    }

    /// The same without waiting for the disk, for what is written again soon: readers see the old text or the new
    /// one, but a power cut may leave either, or none.
    ///
    /// # Errors
    /// As [`StateDir::replace`].
    pub fn publish(&self, path: &Path, bytes: &[u8]) -> Result<(), StateError> {
        swap(path, bytes, |_| Ok(()))
    }

    /// Takes the lock that lets one gateway run on this state directory.
    ///
    /// # Errors
    /// [`StateError::Locked`] when another process has it, [`StateError::Io`] when it cannot be asked for.
    pub fn lock_gateway(&self) -> Result<Lock, StateError> {
        lock(self.gateway_lock())
    }

    /// Takes the lock that lets one client run on this state directory.
    ///
    /// # Errors
    /// As [`StateDir::lock_gateway`].
    pub fn lock_client(&self) -> Result<Lock, StateError> {
        lock(self.client_lock())
    }

    /// Takes the lock that lets one bot run on this state directory.
    ///
    /// # Errors
    /// As [`StateDir::lock_gateway`].
    pub fn lock_bot(&self) -> Result<Lock, StateError> {
        lock(self.bot_lock())
    }

    /// Everything in here that other users of the machine may read or write.
    ///
    /// # Errors
    /// [`StateError::Io`] when a folder cannot be listed.
    pub fn too_open(&self) -> Result<Vec<TooOpen>, StateError> {
        let mut found: Vec<TooOpen> = [
            self.root.clone(),
            self.dc_seed(),
            self.bots_dir(),
            self.instances_dir(),
            self.instances_file(),
            self.partner_file(),
            self.page_db(),
            self.directory_db(),
            self.page_password(),
            self.tls_key(),
        ]
        .iter()
        .filter_map(|path| too_open(path))
        .collect();
        let lines = self.phones()?.into_iter().map(|phone| self.phone_dir(&phone));
        let bots = self.bots()?.into_iter().map(|bot| self.bot_dir(&bot));
        let instances = self.instance_folders()?.into_iter().map(|folder| self.instances_dir().join(folder));
        for dir in lines.chain(bots).chain(instances) {
            found.extend(too_open(&dir));
            for entry in fs::read_dir(&dir).map_err(failed("list", &dir))? {
                found.extend(too_open(&entry.map_err(failed("list", &dir))?.path()));
            }
        }
        Ok(found)
    }
}

/// Whether a secret file or folder is open to other users. None too when it is not there.
pub fn too_open(path: &Path) -> Option<TooOpen> {
    let metadata = fs::symlink_metadata(path).ok().filter(|metadata| !metadata.is_symlink())?;
    let mode = metadata.permissions().mode() & 0o777;
    let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
    (mode & 0o077 != 0).then(|| TooOpen { path: path.to_owned(), mode, wanted })
}

pub(crate) fn make_private_dir(dir: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make", dir))
}

/// Writes a file beside `path`, settles it, and puts it in its place.
pub(crate) fn swap(path: &Path, bytes: &[u8], settle: fn(&File) -> io::Result<()>) -> Result<(), StateError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = path.with_file_name(format!(".{name}.{}.new", std::process::id()));
    absent_is_fine(fs::remove_file(&fresh)).map_err(failed("remove", &fresh))?;
    let written =
        write_private(&fresh, bytes).and_then(|file| settle(&file)).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|source| {
        // The first error is the one to tell; the leftover is removed by the next write.
        let _ = fs::remove_file(&fresh);
        failed("write", path)(source)
    })
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The mask of the process may have taken bits from the owner.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    Ok(file)
}

fn lock(path: PathBuf) -> Result<Lock, StateError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(StateError::Locked { path }),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path)(source)),
    }
}

pub(crate) fn absent_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(crate) fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_files_are_made_for_the_owner_alone() {
        let (_room, state) = state();
        let phone = phone();
        state.make_phone_dir(&phone).unwrap();
        state.replace(&state.line_file(&phone), b"x").unwrap();
        let _lock = state.lock_gateway().unwrap();
        assert_eq!(mode(state.root()), 0o700);
        assert_eq!(mode(&state.phone_dir(&phone)), 0o700);
        assert_eq!(mode(&state.line_file(&phone)), 0o600);
        assert_eq!(mode(&state.gateway_lock()), 0o600);
        assert_eq!(state.too_open().unwrap(), []);
    }

    #[test]
    fn a_secret_that_others_can_read_is_told_with_the_command_that_mends_it() {
        let (_room, state) = state();
        let phone = phone();
        state.make_phone_dir(&phone).unwrap();
        let db = state.gateway_db(&phone);
        state.replace(&db, b"x").unwrap();
        fs::set_permissions(&db, Permissions::from_mode(0o644)).unwrap();
        let told: Vec<String> = state.too_open().unwrap().iter().map(TooOpen::to_string).collect();
        let path = db.display();
        assert_eq!(told, [format!("{path} is open to other users (mode 0644): chmod 600 {path}")]);
    }

    #[test]
    fn a_replaced_file_leaves_nothing_beside_it() {
        let (_room, state) = state();
        let file = state.dc_seed();
        state.replace(&file, b"old").unwrap();
        state.replace(&file, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read_dir(state.root()).unwrap().count(), 1);
    }

    #[test]
    fn a_published_file_is_the_owners_alone_and_a_reader_never_sees_half_of_it() {
        let (_room, state) = state();
        state.make_phone_dir(&phone()).unwrap();
        let file = state.gateway_status(&phone());
        let texts = ["a", "b"].map(|letter| letter.repeat(100_000));
        state.publish(&file, texts[0].as_bytes()).unwrap();
        let reader = std::thread::spawn({
            let (file, texts) = (file.clone(), texts.clone());
            move || (0..500).all(|_| texts.contains(&fs::read_to_string(&file).unwrap()))
        });
        for round in 1..200 {
            state.publish(&file, texts[round % 2].as_bytes()).unwrap();
        }
        assert!(reader.join().unwrap());
        assert_eq!(mode(&file), 0o600);
        assert_eq!(fs::read_dir(state.phone_dir(&phone())).unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let (_room, state) = state();
        let blocked = state.root().join("folder");
        fs::create_dir_all(blocked.join("inside")).unwrap();
        for written in [state.replace(&blocked, b"x"), state.publish(&blocked, b"x")] {
            let error = written.unwrap_err().to_string();
            assert!(error.starts_with(&format!("cannot write {}: ", blocked.display())), "{error}");
        }
        assert!(blocked.join("inside").is_dir());
        assert_eq!(fs::read_dir(state.root()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_gateway_on_the_same_state_is_refused_until_the_first_ends() {
        let (_room, state) = state();
        let first = state.lock_gateway().unwrap();
        let error = state.lock_gateway().unwrap_err().to_string();
        assert!(error.contains("gateway.lock is held by another running process"), "{error}");
        drop(first);
        state.lock_gateway().unwrap();
        let (client, bot) = (state.lock_client().unwrap(), state.lock_bot().unwrap());
        assert!(state.lock_client().is_err() && state.lock_bot().is_err());
        drop((client, bot));
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_refused_at_once() {
        let deep = Path::new("/tmp").join("x".repeat(100));
        let error = StateDir::open(deep).unwrap_err().to_string();
        assert!(error.contains("gateway.sock is too long for a Unix socket (118 bytes)"), "{error}");
    }

    #[test]
    fn forgetting_a_number_removes_its_folder_and_retiring_keeps_the_session() {
        let (_room, state) = state();
        let phone = phone();
        state.make_phone_dir(&phone).unwrap();
        for file in [state.line_file(&phone), state.gateway_db(&phone), state.gateway_status(&phone)] {
            state.replace(&file, b"x").unwrap();
        }
        state.retire_line(&phone).unwrap();
        assert!(!state.line_file(&phone).exists() && state.gateway_db(&phone).exists());
        state.forget(&phone).unwrap();
        assert!(!state.phone_dir(&phone).exists());
        state.forget(&phone).unwrap();
        state.retire_line(&phone).unwrap();
    }

    #[test]
    fn only_folders_named_by_a_number_are_numbers() {
        let (_room, state) = state();
        for name in ["+79060000002", "+79060000001", "bots", "79060000003"] {
            fs::create_dir(state.root().join(name)).unwrap();
        }
        fs::write(state.root().join("+79060000009"), "a file").unwrap();
        let phones: Vec<String> = state.phones().unwrap().iter().map(Phone::to_string).collect();
        assert_eq!(phones, ["+79060000001", "+79060000002"]);
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }

    fn phone() -> Phone {
        "+79060000000".parse().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }
}
