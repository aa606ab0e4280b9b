//! What an operator can mend while a program runs: a settings file that became wrong, a full disk, lost permissions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use nix::unistd::{AccessFlags, access};
use tgtrunk_config::{Said, Settings, StateDir, Trouble};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::waiting::language;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// With less room than this, writes begin to fail.
const LEAST_FREE_BYTES: u64 = 1024 * 1024;
/// And with fewer files that can be made: each status is written into one of its own.
const LEAST_FREE_FILES: u64 = 16;

/// What keeps everything from being written in a state directory, now.
pub fn of_state(state: &StateDir) -> Option<Trouble> {
    room(state.root()).or_else(|| rights(state.root()))
}

/// The troubles of now. Clones share them.
#[derive(Clone, Debug)]
pub struct Health {
    found: watch::Receiver<Vec<Trouble>>,
    /// What others have found, by what they looked at.
    noted: watch::Sender<Vec<(&'static str, Trouble)>>,
}

impl Default for Health {
    /// One that nobody looks after.
    fn default() -> Self {
        Self { found: watch::channel(Vec::new()).1, noted: watch::Sender::default() }
    }
}

impl Health {
    /// Looks now, and again and again in a task of its own. `running` are the settings that the program has taken.
    pub fn start(config: &Path, state: &StateDir, running: &Settings) -> Self {
        let mut watched =
            Watched { config: config.to_owned(), state: state.root().to_owned(), running: running.clone() };
        watched.running.gateway.state.clone_from(&watched.state);
        let (shown, found) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !shown.is_closed() {
                looks.tick().await;
                let watched = watched.clone();
                let Ok(found) = tokio::task::spawn_blocking(move || watched.look()).await else { continue };
                shown.send_if_modified(|known| {
                    tell_news(known, &found);
                    let changed = *known != found;
                    *known = found;
                    changed
                });
            }
        });
        Self { found, noted: watch::Sender::default() }
    }

    /// Notes what somebody else has found about `what`, or that it is well.
    pub fn note(&self, what: &'static str, trouble: Option<Trouble>) {
        self.noted.send_if_modified(|noted| {
            let known: Vec<Trouble> =
                noted.iter().filter(|(of, _)| *of == what).map(|(_, known)| known.clone()).collect();
            let now: Vec<Trouble> = trouble.into_iter().collect();
            tell_news(&known, &now);
            noted.retain(|(of, _)| *of != what);
            noted.extend(now.iter().map(|trouble| (what, trouble.clone())));
            known != now
        });
    }

    /// What is wrong now, as sentences for people.
    pub fn problems(&self) -> Vec<Said> {
        let noted: Vec<Trouble> = self.noted.borrow().iter().map(|(_, trouble)| trouble.clone()).collect();
        self.found.borrow().iter().chain(&noted).map(Said::from).collect()
    }

    /// Waits until the settings file holds other settings than the program has taken, and they are right. May be dropped
    /// at any time.
    pub async fn settings_changed(&self) {
        let is_change = |trouble: &Trouble| matches!(trouble, Trouble::SettingsChanged { .. });
        let mut found = self.found.clone();
        let changed = found.wait_for(|found| found.iter().any(is_change)).await;
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Logs what was not known yet, and what is over.
fn tell_news(known: &[Trouble], now: &[Trouble]) {
    let language = language();
    for trouble in now.iter().filter(|trouble| !known.contains(trouble)) {
        tracing::error!("{}", Said::from(trouble).in_language(language));
    }
    for trouble in known.iter().filter(|trouble| !now.contains(trouble)) {
        tracing::info!("no longer: {}", Said::from(trouble).in_language(language));
    }
}

#[derive(Clone)]
struct Watched {
    config: PathBuf,
    state: PathBuf,
    running: Settings,
}

impl Watched {
    fn look(&self) -> Vec<Trouble> {
        self.settings().into_iter().chain(room(&self.state)).chain(rights(&self.state)).collect()
    }

    fn settings(&self) -> Option<Trouble> {
        match Settings::load(&self.config) {
            Ok(mut settings) => {
                settings.gateway.state.clone_from(&self.running.gateway.state);
                let changed = settings != self.running;
                changed.then(|| Trouble::SettingsChanged { file: self.config.clone() })
            }
            Err(error) => Some(Trouble::of_settings(&error)),
        }
    }
}

fn room(state: &Path) -> Option<Trouble> {
    let room = statvfs(state).ok()?;
    let free = room.blocks_available().saturating_mul(room.fragment_size());
    let path = || state.to_owned();
    if free < LEAST_FREE_BYTES {
        return Some(Trouble::DiskFull { path: path() });
    }
    // Where files are not numbered beforehand there are none of them altogether.
    let takes_files = room.files() == 0 || room.files_available() >= LEAST_FREE_FILES;
    (!takes_files).then(|| Trouble::NoFilesLeft { path: path() })
}

/// Whether files can be made where all of them are.
fn rights(state: &Path) -> Option<Trouble> {
    let refused = access(state, AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    Trouble::of_file(&refused.into(), state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: &str = "[telegram]\napi_id = 1\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";

    #[tokio::test]
    async fn what_becomes_wrong_is_told_and_what_is_mended_is_told_no_more() {
        let room = tempfile::tempdir().unwrap();
        let config = room.path().join("tgtrunk.toml");
        std::fs::write(&config, RIGHT).unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let health = Health::start(&config, &state, &Settings::load(&config).unwrap());
        assert_eq!(health.problems(), []);
        std::fs::write(&config, format!("{RIGHT}hash = 1\n")).unwrap();
        until(|| health.problems().iter().any(|said| said.en.contains("unknown key telegram.hash"))).await;
        std::fs::write(&config, RIGHT).unwrap();
        until(|| health.problems().is_empty()).await;
        std::fs::write(&config, RIGHT.replace("api_id = 1", "api_id = 2")).unwrap();
        health.settings_changed().await;
        assert!(health.problems()[0].en.contains("has changed"), "{:?}", health.problems());
    }

    #[tokio::test]
    async fn what_others_find_is_told_beside_it_until_they_find_it_well() {
        let room = tempfile::tempdir().unwrap();
        let config = room.path().join("tgtrunk.toml");
        std::fs::write(&config, RIGHT).unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let health = Health::start(&config, &state, &Settings::load(&config).unwrap());
        health.note("clock", Trouble::of_clock(100));
        assert!(health.problems()[0].en.contains("100 s ahead"));
        health.note("clock", Trouble::of_clock(1));
        assert_eq!(health.problems(), []);
    }

    async fn until(come: impl Fn() -> bool) {
        for _ in 0..100 {
            if come() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it did not come about");
    }
}
