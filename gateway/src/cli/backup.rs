//! `backup` and `restore`: settings and state as one file, sealed by a passphrase.
//!
//! Inside of the seal ([`crate::sealed`]) is a tar archive (POSIX.1-2001 ustar): `tgtrunk.toml`, and under `state/` every
//! file of the state directory but locks, sockets, statuses and logs of databases. Databases are copies that SQLite
//! made, so that they are whole although programs write to them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use tar::{Archive, Builder, EntryType, Header};
use tgtrunk_config::{Said, Settings, SettingsError, StateDir, Trouble};
use tgtrunk_shell::{clock, keyboard};
use zeroize::Zeroizing;

use crate::sealed::{Opener, Sealer};

/// Where the settings are in the archive, and where the state is.
const SETTINGS: &str = "tgtrunk.toml";
const STATE: &str = "state";
/// Shorter passphrases are guessed too soon.
const SHORTEST: usize = 8;

/// Writes everything into `file`, which must not be there. The programs may run.
///
/// # Errors
/// When something cannot be read or written; no file is left then.
pub(crate) async fn back_up(config: &Path, state: &StateDir, file: &Path) -> anyhow::Result<()> {
    ensure!(!file.exists(), "{} is there already: choose another name", file.display());
    let passphrase = new_passphrase()?;
    seal(config, state, file, &passphrase).await?;
    tell(&Said::new(
        format!("{} holds settings and state; nobody opens it without the passphrase", file.display()),
        format!("{}: настройки и состояние; без парольной фразы его не открыть", file.display()),
    ));
    Ok(())
}

async fn seal(config: &Path, state: &StateDir, file: &Path, passphrase: &str) -> anyhow::Result<()> {
    let copies = Scratch::make(state, ".backup")?;
    let mut whole = Vec::new();
    gather(state.root(), Path::new(STATE), &mut whole)?;
    pack(config, whole, &copies, file, passphrase).await
}

/// Writes what was found. What is gone since then was not meant to last: files of messages come and go.
async fn pack(
    config: &Path,
    whole: Vec<Found>,
    copies: &Scratch,
    file: &Path,
    passphrase: &str,
) -> anyhow::Result<()> {
    let unfinished = Unfinished::begin(file)?;
    let sealer = Sealer::begin(BufWriter::new(&unfinished.file), passphrase, clock::random())?;
    let mut archive = Builder::new(sealer);
    let settings = File::open(config).with_context(|| config.display().to_string())?;
    append(&mut archive, settings, Path::new(SETTINGS))?;
    let copy = copies.folder.join("copy.db");
    for Found { path, name } in whole {
        if path.is_dir() {
            append_folder(&mut archive, &name)?;
        } else if path.extension().is_some_and(|end| end == "db") {
            match tgtrunk_telegram::copy_database(&path, &copy).await {
                Ok(()) => append(&mut archive, File::open(&copy)?, &name)?,
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error.into()),
            }
            unless_gone(fs::remove_file(&copy))?;
        } else if let Some(there) =
            unless_gone(File::open(&path)).with_context(|| path.display().to_string())?
        {
            append(&mut archive, there, &name).with_context(|| path.display().to_string())?;
        }
    }
    archive.into_inner()?.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    unfinished.put_in_place()
}

/// Puts back what [`back_up`] wrote. The programs must not run. What is there is replaced if `force` says so.
///
/// # Errors
/// When programs run, there is something already, or the file or the passphrase is wrong; nothing is changed then.
pub(crate) fn restore(config: &Path, state: &Path, file: &Path, force: bool) -> anyhow::Result<()> {
    // Root's alone, perhaps.
    let sealed = File::open(file).with_context(|| file.display().to_string())?;
    tgtrunk_shell::become_owner(state)?;
    let passphrase = ask(&Said::new("Passphrase:", "Парольная фраза:"))?;
    unseal(config, &StateDir::open(state)?, sealed, &passphrase, force)?;
    tell(&Said::new(
        "restored; start the programs. A session that Telegram has ended since then is red and says why",
        "восстановлено; запустите программы. Сессия, которую Telegram с тех пор завершил, будет красной с причиной",
    ));
    Ok(())
}

fn unseal(
    config: &Path,
    state: &StateDir,
    sealed: File,
    passphrase: &str,
    force: bool,
) -> anyhow::Result<()> {
    let _locks = [state.lock_gateway()?, state.lock_client()?, state.lock_bot()?];
    let taken = !state.phones()?.is_empty() || !state.bots()?.is_empty();
    ensure!(
        force || !taken,
        "{} holds numbers or bots already: --force replaces all of it",
        state.root().display()
    );
    let opener = Opener::begin(BufReader::new(sealed), passphrase)?;
    let fresh = Scratch::make(state, ".restore")?;
    unpack(opener, &fresh.folder)?;
    let former = Scratch::make(state, ".replaced")?;
    for path in entries(state.root())? {
        let name = path.file_name().context("an entry has a name")?;
        if !is_passing(&path) && path != fresh.folder && path != former.folder {
            fs::rename(&path, former.folder.join(name))?;
        }
    }
    let restored = fresh.folder.join(STATE);
    for path in if restored.is_dir() { entries(&restored)? } else { Vec::new() } {
        let name = path.file_name().context("an entry has a name")?;
        fs::rename(&path, state.root().join(name))?;
    }
    restore_settings(config, state, &fresh.folder.join(SETTINGS), force)
}

/// The settings are put back where there are none that work.
fn restore_settings(config: &Path, state: &StateDir, from: &Path, force: bool) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let fresh = match Settings::load(config) {
        Ok(_) => false,
        Err(SettingsError::Unreadable { source, .. }) => source.kind() == io::ErrorKind::NotFound,
        Err(error) => matches!(Trouble::of_settings(&error), Trouble::NoApplication { .. }),
    };
    if fresh || force {
        return Ok(state.replace(config, &fs::read(from)?)?);
    }
    tell(&Said::new(
        format!("{} is left as it is", config.display()),
        format!("{} оставлен как есть", config.display()),
    ));
    Ok(())
}

/// A file or folder, and its name in the archive.
struct Found {
    path: PathBuf,
    name: PathBuf,
}

/// Everything in a folder that lasts, folders before what is in them.
fn gather(folder: &Path, name: &Path, found: &mut Vec<Found>) -> anyhow::Result<()> {
    let Some(paths) = unless_gone(fs::read_dir(folder)).with_context(|| folder.display().to_string())? else {
        return Ok(());
    };
    for path in sorted(paths)? {
        let Some(metadata) = unless_gone(fs::symlink_metadata(&path))? else { continue };
        if is_passing(&path) || !(metadata.is_file() || metadata.is_dir()) {
            continue;
        }
        let name = name.join(path.file_name().context("an entry has a name")?);
        found.push(Found { path: path.clone(), name: name.clone() });
        if metadata.is_dir() {
            gather(&path, &name, found)?;
        }
    }
    Ok(())
}

/// What there is; none of what has just gone.
fn unless_gone<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    sorted(fs::read_dir(folder).with_context(|| folder.display().to_string())?)
}

fn sorted(read: fs::ReadDir) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Whether something is there only while programs run, or is half done.
fn is_passing(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = [".lock", ".sock", ".status.json", ".db-wal", ".db-shm", ".db-journal", ".calls", ".part"];
    name.starts_with('.') || ends.iter().any(|end| name.ends_with(end))
}

fn append<W: io::Write>(archive: &mut Builder<W>, mut file: File, name: &Path) -> anyhow::Result<()> {
    let size = file.metadata()?.len();
    let mut header = header(EntryType::Regular, 0o600);
    header.set_size(size);
    // A file that grows meanwhile is taken as it was; one that shrinks is no whole entry.
    archive.append_data(&mut header, name, (&mut file).take(size))?;
    Ok(())
}

fn append_folder<W: io::Write>(archive: &mut Builder<W>, name: &Path) -> anyhow::Result<()> {
    Ok(archive.append_data(&mut header(EntryType::Directory, 0o700), name, io::empty())?)
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(clock::unix_ms() / 1_000);
    header.set_size(0);
    header
}

/// Lays the archive out in a folder. The stream is read to its end, which shows that it is whole.
fn unpack(mut opener: Opener<impl io::Read>, folder: &Path) -> anyhow::Result<()> {
    let mut archive = Archive::new(&mut opener);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        ensure!(
            name.components().all(|part| matches!(part, Component::Normal(_))),
            "{} is no name of a backup's file",
            name.display()
        );
        let path = folder.join(&name);
        match entry.header().entry_type() {
            EntryType::Directory => fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?,
            EntryType::Regular => {
                if let Some(parent) = path.parent() {
                    fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
                }
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                io::copy(&mut entry, &mut file)?;
                file.sync_all()?;
            }
            other => bail!("{} is neither a file nor a folder but {other:?}", name.display()),
        }
    }
    io::copy(&mut opener, &mut io::sink())?;
    Ok(())
}

/// A folder of our own in the state directory; it goes when this value does.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn make(state: &StateDir, name: &str) -> anyhow::Result<Self> {
        let folder = state.root().join(format!("{name}-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// A file that has its name only when it is whole.
struct Unfinished {
    file: File,
    path: PathBuf,
    wanted: PathBuf,
}

impl Unfinished {
    fn begin(wanted: &Path) -> anyhow::Result<Self> {
        let mut name = wanted.as_os_str().to_owned();
        name.push(".new");
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        Ok(Self { file, path, wanted: wanted.to_owned() })
    }

    fn put_in_place(self) -> anyhow::Result<()> {
        self.file.sync_all()?;
        Ok(fs::rename(&self.path, &self.wanted)?)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

fn new_passphrase() -> anyhow::Result<Zeroizing<String>> {
    let passphrase = ask(&Said::new(
        "A passphrase for the file, 8 characters or more:",
        "Парольная фраза для файла, не короче 8 знаков:",
    ))?;
    ensure!(passphrase.chars().count() >= SHORTEST, "the passphrase is shorter than {SHORTEST} characters");
    let again = ask(&Said::new("The same again:", "Ещё раз:"))?;
    ensure!(*passphrase == *again, "the two passphrases differ");
    Ok(passphrase)
}

fn ask(question: &Said) -> anyhow::Result<Zeroizing<String>> {
    tell(question);
    let typed = keyboard::line(true)?.context("no passphrase was typed")?;
    let typed = Zeroizing::new(typed);
    Ok(Zeroizing::new(typed.trim_end_matches(['\r', '\n']).to_owned()))
}

fn tell(said: &Said) {
    keyboard::say(said.in_language(tgtrunk_shell::language()));
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Phone;
    use tgtrunk_telegram::Database;

    use super::*;

    const SETTINGS_TEXT: &str = "[telegram]\napi_id = 7\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";

    #[tokio::test]
    async fn what_was_backed_up_while_in_use_comes_back_whole_and_only_with_the_passphrase() {
        let room = tempfile::tempdir().unwrap();
        let (config, file) = (room.path().join("tgtrunk.toml"), room.path().join("backup"));
        fs::write(&config, SETTINGS_TEXT).unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        state.make_phone_dir(&phone).unwrap();
        state.replace(&state.line_file(&phone), b"a line").unwrap();
        state.replace(&state.gateway_status(&phone), b"passing").unwrap();
        let database = Database::open(state.gateway_db(&phone)).await.unwrap();
        seal(&config, &state, &file, "a passphrase").await.unwrap();
        assert_eq!(fs::read(&file).unwrap()[..17], *b"tgtrunk sealed 1\n");
        database.close().await;

        let other = StateDir::open(room.path().join("other")).unwrap();
        let fresh = room.path().join("fresh.toml");
        let opened = || File::open(&file).unwrap();
        let told = unseal(&fresh, &other, opened(), "another", false).unwrap_err();
        assert!(format!("{told:#}").contains("passphrase is another one"), "{told:#}");
        assert_eq!(other.phones().unwrap(), []);
        unseal(&fresh, &other, opened(), "a passphrase", false).unwrap();
        assert_eq!(fs::read(other.line_file(&phone)).unwrap(), b"a line");
        assert_eq!(fs::read_to_string(&fresh).unwrap(), SETTINGS_TEXT);
        assert!(!other.gateway_status(&phone).exists());
        assert_eq!(other.too_open().unwrap(), []);
        Database::open(other.gateway_db(&phone)).await.unwrap();

        let told = unseal(&fresh, &other, opened(), "a passphrase", false).unwrap_err().to_string();
        assert!(told.contains("--force"), "{told}");
        other.replace(&other.line_file(&phone), b"changed").unwrap();
        unseal(&fresh, &other, opened(), "a passphrase", true).unwrap();
        assert_eq!(fs::read(other.line_file(&phone)).unwrap(), b"a line");
        let names: Vec<PathBuf> = entries(other.root()).unwrap();
        let is_ours = |path: &PathBuf| !path.file_name().unwrap().to_string_lossy().starts_with('.');
        assert!(names.iter().all(is_ours), "{names:?}");
    }

    #[tokio::test]
    async fn a_backup_passes_over_what_goes_meanwhile_and_what_is_half_there() {
        let room = tempfile::tempdir().unwrap();
        let (config, file) = (room.path().join("tgtrunk.toml"), room.path().join("backup"));
        fs::write(&config, SETTINGS_TEXT).unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        state.make_phone_dir(&phone).unwrap();
        state.replace(&state.line_file(&phone), b"a line").unwrap();
        let files = state.phone_dir(&phone).join("files");
        fs::create_dir(&files).unwrap();
        for name in ["kept", "goes", "goes.1f.part", "gone.db"] {
            fs::write(files.join(name), name).unwrap();
        }
        fs::create_dir(files.join("folder")).unwrap();
        let copies = Scratch::make(&state, ".backup").unwrap();
        let mut whole = Vec::new();
        gather(state.root(), Path::new(STATE), &mut whole).unwrap();
        for name in ["goes", "gone.db"] {
            fs::remove_file(files.join(name)).unwrap();
        }
        fs::remove_dir(files.join("folder")).unwrap();
        gather(&files.join("folder"), Path::new(STATE), &mut whole).unwrap();
        pack(&config, whole, &copies, &file, "a passphrase").await.unwrap();

        let other = StateDir::open(room.path().join("other")).unwrap();
        let sealed = File::open(&file).unwrap();
        unseal(&room.path().join("fresh.toml"), &other, sealed, "a passphrase", false).unwrap();
        assert_eq!(fs::read(other.line_file(&phone)).unwrap(), b"a line");
        let names = entries(&other.phone_dir(&phone).join("files")).unwrap();
        assert_eq!(names, [other.phone_dir(&phone).join("files/kept")]);
    }

    #[test]
    fn nothing_is_restored_under_a_running_program() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let _runs = state.lock_bot().unwrap();
        let file = room.path().join("x");
        fs::write(&file, b"x").unwrap();
        let told = unseal(&file, &state, File::open(&file).unwrap(), "x", true).unwrap_err().to_string();
        assert!(told.contains("is held by another running process"), "{told}");
    }
}
