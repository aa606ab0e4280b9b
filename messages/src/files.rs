//! Bodies of files: taken in from programs, fetched from Telegram or from the web, given away by links that nobody guesses.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, Response, Url};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::clock;
use crate::content::{Attachment, FileKind};
use crate::instance::{Options, Refused, StoredFile};
use crate::messenger::Failure;
use crate::post::sources;
use crate::reach::{self, ReachError, Web};
use crate::space::Space;
use crate::store::{FileRow, Store};

/// Longest file that is taken in.
pub(crate) const MOST_BYTES: u64 = 100 * 1024 * 1024;
const MB: u64 = 1024 * 1024;
/// After so many bytes it is looked again whether the disk has room.
const LOOK_BYTES: i64 = 4 * 1024 * 1024;
/// How often it is looked whether the disk has room.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long whoever gives a file on the web may be silent.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);
/// Bytes a second that a file on the web comes with at least, after a while.
const SLOWEST: u32 = 64 * 1024;
/// How long the files of a message may take to be fetched, however fast they come.
const FETCH_LIMIT: Duration = Duration::from_secs(900);
/// How often whoever asks for a file may be sent on.
const REDIRECTS: usize = 5;
/// Longest name of a file, in characters.
const NAME_CHARACTERS: usize = 200;

/// Where the bodies are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    folder: PathBuf,
    /// What links begin with.
    base: String,
    /// Ports of this program, of which it asks nothing.
    own_ports: Vec<u16>,
    /// How long whoever gives a file may be slower than [`SLOWEST`].
    patience: Duration,
    /// What is left free on the disk, in bytes.
    reserve_bytes: u64,
    held: Arc<Held>,
}

/// How much the bodies hold together.
#[derive(Debug)]
struct Held {
    most_bytes: u64,
    bytes: AtomicU64,
    /// It is more than allowed.
    too_much: Notify,
    /// What the disk had room for, when that was last looked at.
    seen: Mutex<Option<(Instant, Space)>>,
}

/// A file that is being taken in.
#[derive(Debug)]
pub struct FileWriter {
    store: Store,
    files: Files,
    row: FileRow,
    file: File,
    path: PathBuf,
    is_finished: bool,
}

/// How the files of a message come from the web, which are given time together.
#[derive(Debug)]
pub(crate) struct Coming {
    began: Instant,
    bytes: u64,
}

impl Coming {
    pub(crate) fn now() -> Self {
        Self { began: Instant::now(), bytes: 0 }
    }

    /// When the next bytes are to be here.
    fn until(&self, patience: Duration) -> Instant {
        let so_far = Duration::from_millis(self.bytes.saturating_mul(1000) / u64::from(SLOWEST));
        self.began + (patience + so_far).min(FETCH_LIMIT)
    }
}

impl Files {
    /// Opens the folder; bodies that are not among the `known` are of nobody.
    pub(crate) fn open(options: &Options, known: &BTreeSet<String>) -> io::Result<Self> {
        let folder = options.files.clone();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        // What was being taken in when the program ended has no row.
        let mut bytes = 0;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if known.contains(&*entry.file_name().to_string_lossy()) {
                bytes += entry.metadata()?.len();
            } else if entry.file_type()?.is_file() {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            folder,
            base: options.base.clone(),
            own_ports: options.own_ports.clone(),
            patience: options.fetch_patience,
            reserve_bytes: options.disk_reserve_bytes,
            held: Arc::new(Held {
                most_bytes: options.files_most_bytes,
                bytes: AtomicU64::new(bytes),
                too_much: Notify::new(),
                seen: Mutex::default(),
            }),
        })
    }

    /// What the disk has room for, or had a moment ago: a disk on a network may take long to say it.
    pub(crate) fn space(&self) -> Space {
        let mut seen = self.held.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, space)) = *seen
            && at.elapsed() < LOOK_EVERY
        {
            return space;
        }
        let space = Space::of(&self.folder, self.reserve_bytes);
        *seen = Some((Instant::now(), space));
        space
    }

    /// Whether a body may be written.
    pub(crate) fn check_space(&self) -> Result<(), Refused> {
        if self.space() == Space::Plenty {
            return Ok(());
        }
        Err(Refused::NoRoom(format!(
            "less than {} MB are free on the disk ([api] disk_reserve_mb): no files are kept until there is room",
            self.reserve_bytes / MB
        )))
    }

    /// A body is there.
    pub(crate) fn holds(&self, size: u64) {
        let before = self.held.bytes.fetch_add(size, Ordering::Relaxed);
        if before.saturating_add(size) > self.held.most_bytes {
            self.held.too_much.notify_one();
        }
    }

    /// Bytes by which the bodies hold more than they may, by what the database knows of them.
    pub(crate) fn excess(&self, bytes: u64) -> u64 {
        self.held.bytes.store(bytes, Ordering::Relaxed);
        bytes.saturating_sub(self.held.most_bytes)
    }

    /// Returns when they hold more than they may.
    pub(crate) async fn too_much(&self) {
        self.held.too_much.notified().await;
    }

    pub(crate) fn path(&self, secret: &str) -> PathBuf {
        self.folder.join(secret)
    }

    /// Where a body lies that is not whole yet; another one each time.
    pub(crate) fn part(&self, secret: &str) -> PathBuf {
        self.folder.join(format!("{secret}.{}.part", hex::encode(clock::random::<4>())))
    }

    /// Puts a body that is whole where it belongs. It is on the disk when this returns, and so is its name, which some file
    /// systems see to only when they are told.
    pub(crate) async fn put(&self, part: &Path, secret: &str) -> io::Result<()> {
        File::open(part).await?.sync_all().await?;
        tokio::fs::rename(part, self.path(secret)).await?;
        File::open(&self.folder).await?.sync_all().await
    }

    pub(crate) fn link(&self, secret: &str, name: &str) -> String {
        format!("{}/files/{secret}/{}", self.base, encoded(name))
    }

    /// A link to a file that will be fetched from Telegram when somebody asks for it.
    pub(crate) fn promise(&self, file: &mut Attachment) -> FileRow {
        let secret = secret();
        file.stored = Some(secret.clone());
        file.name = tidy(&file.name);
        FileRow {
            secret,
            name: file.name.clone(),
            mime: file.mime.clone(),
            size: i64::try_from(file.size).unwrap_or(i64::MAX),
            remote: file.remote.clone(),
            is_here: false,
            created_s: clock::unix_s(),
        }
    }

    /// The same for the file of a message that was changed. One that is as `before` keeps its link, and what is known of
    /// it: none.
    pub(crate) fn renew(&self, file: &mut Attachment, before: &Attachment) -> Option<FileRow> {
        // A journal without room has no small pictures.
        let pictures = file.thumbnail.as_ref().zip(before.thumbnail.as_ref());
        let is_same = (file.kind, &file.mime, file.size) == (before.kind, &before.mime, before.size)
            && tidy(&file.name) == before.name
            && pictures.is_none_or(|(now, before)| now == before);
        // What was sent from here is called otherwise at Telegram, which says no more than that.
        if is_same || before.remote.is_none() {
            file.clone_from(before);
            return None;
        }
        Some(self.promise(file))
    }

    pub(crate) async fn create(
        &self,
        store: &Store,
        name: &str,
        mime: Option<&str>,
    ) -> Result<FileWriter, Refused> {
        self.check_space()?;
        let name = clean(name);
        let mime =
            mime.map(str::trim).filter(|mime| is_useful(mime)).map_or_else(|| mime_of(&name), str::to_owned);
        let secret = secret();
        let path = self.part(&secret);
        let file = private(&path).await?;
        let row =
            FileRow { secret, name, mime, size: 0, remote: None, is_here: true, created_s: clock::unix_s() };
        Ok(FileWriter { store: store.clone(), files: self.clone(), row, file, path, is_finished: false })
    }

    /// Fetches a file from the web, as `name` if one is given.
    pub(crate) async fn fetch(
        &self,
        store: &Store,
        web: &Web,
        url: &str,
        name: &str,
        coming: &mut Coming,
    ) -> Result<StoredFile, Failure> {
        let refused = |sentence: String| Failure::Refused { word: "attachment_failed", sentence };
        let slow = |_| {
            Failure::Undone(format!(
                "the file cannot be fetched: it comes with less than {} kB/s",
                SLOWEST / 1024
            ))
        };
        let asked = timeout_at(coming.until(self.patience), ask(web, url)).await;
        let mut answer = asked.map_err(slow)??;
        if answer.status().is_server_error() {
            return Err(Failure::Unknown(format!("the file cannot be fetched: {}", answer.status())));
        }
        if !answer.status().is_success() {
            return Err(refused(format!("the file cannot be fetched: {}", answer.status())));
        }
        let mime = answer.headers().get("content-type").and_then(|mime| mime.to_str().ok());
        let mime = mime.and_then(|mime| mime.split(';').next()).map(str::to_owned);
        let storage = |error: Refused| match error {
            Refused::Bad(sentence) => Failure::Refused { word: "attachment_too_large", sentence },
            error => Failure::Unknown(error.to_string()),
        };
        let named = mime_of(name) != OCTETS;
        let mut writer =
            self.create(store, name, mime.as_deref().filter(|_| !named)).await.map_err(storage)?;
        loop {
            let chunk = timeout_at(coming.until(self.patience), answer.chunk()).await;
            let Some(chunk) = chunk.map_err(slow)?.map_err(unfetched)? else { break };
            coming.bytes += chunk.len() as u64;
            writer.write(&chunk).await.map_err(storage)?;
        }
        writer.finish().await.map_err(storage)
    }

    /// Whether the host of a file that is to be fetched is there; else a sentence.
    pub(crate) async fn knock(&self, url: &str) -> Result<(), String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        reach::knock(&url, &self.own_ports).await.map_err(|error| error.to_string())
    }
}

/// Asks for a file, and whomever else it is sent on to.
async fn ask(web: &Web, url: &str) -> Result<Response, Failure> {
    let refused = |sentence: String| Failure::Refused { word: "attachment_failed", sentence };
    let mut url = Url::parse(url).map_err(|error| refused(format!("the link cannot be read: {error}")))?;
    for _ in 0..=REDIRECTS {
        let request = match web.request(Method::GET, &url).await {
            Ok(request) => request,
            Err(error @ ReachError::Unknown { .. }) => {
                return Err(Failure::Unknown(format!("the file cannot be fetched: {error}")));
            }
            Err(error) => return Err(refused(format!("the file is not fetched: {error}"))),
        };
        let answer = request.send().await.map_err(unfetched)?;
        let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
        let Some(location) = location else { return Ok(answer) };
        let next = location.to_str().ok().and_then(|location| url.join(location).ok());
        url =
            next.ok_or_else(|| refused("the file cannot be fetched: it is said to be nowhere".to_owned()))?;
    }
    Err(refused(format!("the file cannot be fetched: it is somewhere else more than {REDIRECTS} times")))
}

fn unfetched(error: reqwest::Error) -> Failure {
    // The address may hold a secret.
    Failure::Unknown(format!("the file cannot be fetched: {}", sources(&error.without_url())))
}

impl FileWriter {
    /// The next bytes.
    ///
    /// # Errors
    /// [`Refused::Bad`] when it grows beyond 100 MB, [`Refused::NoRoom`], [`Refused::Storage`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let looks = self.row.size / LOOK_BYTES;
        self.row.size += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if self.row.size / LOOK_BYTES > looks {
            self.files.check_space()?;
        }
        if u64::try_from(self.row.size).is_ok_and(|size| size > MOST_BYTES) {
            return Err(Refused::Bad(format!("'file' must be no larger than {MOST_BYTES} bytes (100 MB)")));
        }
        Ok(self.file.write_all(bytes).await?)
    }

    /// That was all.
    ///
    /// # Errors
    /// [`Refused::NoRoom`], [`Refused::Storage`].
    pub async fn finish(mut self) -> Result<StoredFile, Refused> {
        self.file.flush().await?;
        self.settle().await
    }

    /// Where somebody else writes it, who finds it again by `remote`.
    pub(crate) fn place(&mut self, remote: String) -> &Path {
        self.row.remote = Some(remote);
        &self.path
    }

    /// Somebody else has written it.
    pub(crate) async fn settle(mut self) -> Result<StoredFile, Refused> {
        let size = tokio::fs::metadata(&self.path).await?.len();
        self.row.size = i64::try_from(size).unwrap_or(i64::MAX);
        self.files.put(&self.path, &self.row.secret).await?;
        self.is_finished = true;
        self.store.keep_file(&self.row).await?;
        self.files.holds(size);
        Ok(StoredFile {
            key: self.row.secret.clone(),
            name: self.row.name.clone(),
            mime: self.row.mime.clone(),
            size: u64::try_from(self.row.size).unwrap_or(0),
            url: self.files.link(&self.row.secret, &self.row.name),
        })
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let path = std::mem::take(&mut self.path);
        let remove = move || std::fs::remove_file(path).ok();
        match Handle::try_current() {
            Ok(handle) => drop(handle.spawn_blocking(remove)),
            Err(_) => drop(remove()),
        }
    }
}

/// What a file is to those who look at it, by its media type.
#[must_use]
pub fn kind_of(mime: &str) -> FileKind {
    match mime.split('/').next().unwrap_or_default() {
        // Telegram shows these as pictures, and other pictures as files.
        "image" if ["image/jpeg", "image/png", "image/webp"].contains(&mime) => FileKind::Image,
        "video" => FileKind::Video,
        "audio" => FileKind::Audio,
        _ => FileKind::Document,
    }
}

/// Media type of bytes of which nothing is known.
const OCTETS: &str = "application/octet-stream";

/// Media types by the ends of names (RFC 6838 registrations), those that offices send.
pub(crate) fn mime_of(name: &str) -> String {
    let end = name.rsplit_once('.').map_or(String::new(), |(_, end)| end.to_ascii_lowercase());
    let mime = match end.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" | "m4v" => "video/mp4",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "wav" => "audio/wav",
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "xml" => "application/xml",
        "json" => "application/json",
        "zip" => "application/zip",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "ppt" => "application/vnd.ms-powerpoint",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "vcf" => "text/vcard",
        _ => OCTETS,
    };
    mime.to_owned()
}

fn is_useful(mime: &str) -> bool {
    let is_plain = mime.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte));
    is_plain && mime.contains('/') && mime.len() <= 100 && mime != OCTETS && mime != "multipart/form-data"
}

/// The last part of a path, without what a file system or a header could stumble over.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control() && !"\"<>|:*?".contains(*c)).collect();
    let clean = clean.trim().trim_start_matches('.');
    if clean.is_empty() { "file".to_owned() } else { clean.chars().take(NAME_CHARACTERS).collect() }
}

/// The same for one that strangers gave, under which programs keep a file; none stays none.
fn tidy(name: &str) -> String {
    if name.is_empty() { String::new() } else { clean(name) }
}

/// A name in a link (RFC 3986 section 2.1).
fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn secret() -> String {
    hex::encode(clock::random::<16>())
}

async fn private(path: &Path) -> io::Result<File> {
    let options: OpenOptions =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned().into();
    options.open(path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_lead_elsewhere() {
        for (name, expected) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Отчёты\\счёт.pdf", "счёт.pdf"),
            ("..", "file"),
            (".bashrc", "bashrc"),
            ("a\r\nb\".txt", "ab.txt"),
            ("", "file"),
        ] {
            assert_eq!(clean(name), expected, "{name}");
        }
        assert_eq!(encoded("счёт 1.pdf"), "%D1%81%D1%87%D1%91%D1%82%201.pdf");
    }

    #[test]
    fn what_a_file_is_is_told_by_its_type_and_that_by_its_name() {
        assert_eq!(kind_of(&mime_of("a.JPG")), FileKind::Image);
        assert_eq!(kind_of(&mime_of("a.gif")), FileKind::Document);
        assert_eq!(kind_of(&mime_of("a.mp4")), FileKind::Video);
        assert_eq!(mime_of("a"), OCTETS);
    }
}
