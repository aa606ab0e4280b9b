//! What everybody who serves the page shares.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tgtrunk_config::control::Check;
use tgtrunk_config::{PageSettings, Phone, Said, StateDir};
use tgtrunk_shell::clock::now;
use tokio::sync::{Semaphore, watch};

use super::core::Core;
use super::entry::Entry;
use super::guard::Guard;
use super::hub::{Hub, Snapshot};
use super::messages::bots::Revisions;
use super::model::{Alert, Health, Part, Today};
use super::throttle::Throttle;

/// Browsers that may listen for events at once.
pub(crate) const LISTENERS: usize = 1_024;
/// Browsers that may watch a log at once: each keeps a connection to the program.
const LOG_WATCHERS: usize = 8;
/// Questions to programs at once.
const QUESTIONS: usize = 16;
/// For so long what was found is believed to hold, and that nothing could be found.
const CHECKS_LAST: Duration = Duration::from_secs(120);
const TROUBLE_LASTS: Duration = Duration::from_secs(5);
const TODAY_LASTS: Duration = Duration::from_secs(15);
const DISK_LASTS: Duration = Duration::from_secs(3);

/// What was found of a line's account, bot and PBX, or why nothing was.
pub(crate) type Looked = Result<Vec<Check>, Said>;

/// The place behind the page.
#[derive(Debug)]
pub(crate) struct Office {
    /// Where `tgtrunk.toml` is.
    pub(crate) settings_file: PathBuf,
    /// How the page is served.
    pub(crate) settings: PageSettings,
    pub(crate) state: StateDir,
    pub(crate) hub: Hub,
    pub(crate) entry: Entry,
    pub(crate) guard: Guard,
    pub(crate) throttle: Mutex<Throttle>,
    pub(crate) listeners: Arc<Semaphore>,
    pub(crate) log_watchers: Arc<Semaphore>,
    pub(crate) questions: Semaphore,
    /// Why the client itself does not work.
    pub(crate) trouble: watch::Receiver<Vec<Said>>,
    /// The client at work, once it is.
    pub(crate) core: Core,
    checks: Mutex<BTreeMap<Phone, (Instant, Looked)>>,
    /// Lines that are being looked at.
    looking: Mutex<BTreeSet<Phone>>,
    today: Mutex<Option<(Instant, u64, Today)>>,
    /// Whoever looks at the disk holds it; the others wait for what is found.
    disk: tokio::sync::Mutex<Option<(Instant, Vec<Health>)>>,
    /// What bots said of their messages lately.
    pub(crate) revisions: Revisions,
}

impl Office {
    pub(crate) fn new(
        settings_file: PathBuf,
        settings: PageSettings,
        listen: SocketAddr,
        state: StateDir,
        hub: Hub,
        entry: Entry,
        trouble: watch::Receiver<Vec<Said>>,
    ) -> Self {
        Self {
            guard: Guard::new(listen, &settings),
            settings_file,
            settings,
            state,
            hub,
            entry,
            throttle: Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            log_watchers: Arc::new(Semaphore::new(LOG_WATCHERS)),
            questions: Semaphore::new(QUESTIONS),
            trouble,
            core: Core::default(),
            checks: Mutex::default(),
            looking: Mutex::default(),
            today: Mutex::default(),
            disk: tokio::sync::Mutex::default(),
            revisions: Revisions::default(),
        }
    }

    /// What was found lately of a line's account, bot and PBX, or why nothing was.
    pub(crate) fn known_checks(&self, phone: &Phone) -> Option<Looked> {
        let checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        let (found_at, found) = checks.get(phone)?;
        let lasts = if found.is_ok() { CHECKS_LAST } else { TROUBLE_LASTS };
        (now().duration_since(*found_at) < lasts).then(|| found.clone())
    }

    /// Keeps what was found. Nothing makes it looked for anew.
    pub(crate) fn keep_checks(&self, phone: &Phone, found: Option<Looked>) {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Some(found) => drop(checks.insert(phone.clone(), (now(), found))),
            None => drop(checks.remove(phone)),
        }
    }

    /// Whether whoever asks is the one to look at a line; until [`Office::has_looked`] nobody else is.
    pub(crate) fn may_look(&self, phone: &Phone) -> bool {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner).insert(phone.clone())
    }

    /// A line was looked at.
    pub(crate) fn has_looked(&self, phone: &Phone) {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner).remove(phone);
        self.hub.again();
    }

    /// The day's figures, if they were asked for lately and no call has ended since.
    pub(crate) fn known_today(&self, ended: u64) -> Option<Today> {
        let today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, when, today) = (*today)?;
        (when == ended && now().duration_since(at) < TODAY_LASTS).then_some(today)
    }

    /// Keeps the day's figures.
    pub(crate) fn keep_today(&self, ended: u64, figures: Today) {
        *self.today.lock().unwrap_or_else(PoisonError::into_inner) = Some((now(), ended, figures));
    }

    /// What was found of the disk lately; `look` is asked where that was long ago.
    pub(crate) async fn disk(&self, look: impl AsyncFnOnce() -> Vec<Health>) -> Vec<Health> {
        let mut disk = self.disk.lock().await;
        if let Some((at, found)) = disk.as_ref()
            && now().duration_since(*at) < DISK_LASTS
        {
            return found.clone();
        }
        let found = look().await;
        *disk = Some((now(), found.clone()));
        found
    }

    /// What is wrong with more than one line.
    pub(crate) fn alerts(&self, snapshot: &Snapshot) -> Vec<Alert> {
        let settings = || Some(("/system".to_owned(), Said::new("Settings", "Настройки")));
        let mut alerts: Vec<Alert> =
            self.trouble.borrow().iter().map(|said| Alert { said: said.clone(), fix: settings() }).collect();
        for part in Part::ALL {
            let side = snapshot.side(part);
            let is_wanted = match part {
                Part::Gateway => true,
                Part::Client => alerts.is_empty(),
                Part::Bot => snapshot.has_bots(),
            };
            if !side.is_up && is_wanted {
                alerts.push(Alert { said: absent(part), fix: None });
            }
            let lines: Vec<&Said> = snapshot.lines.values().filter_map(|line| line.as_ref().err()).collect();
            for problem in side.problems.iter().filter(|problem| !lines.contains(problem)) {
                if !alerts.iter().any(|alert| alert.said == *problem) {
                    alerts.push(Alert { said: problem.clone(), fix: None });
                }
            }
        }
        alerts
    }
}

/// What is said of a program that does not run.
pub(crate) fn absent(part: Part) -> Said {
    let program = program(part);
    Said::new(
        format!("{program} does not run. Start it: systemctl start {program}"),
        format!("Программа {program} не запущена. Запустите её: systemctl start {program}"),
    )
}

/// A program's name.
pub(crate) fn program(part: Part) -> &'static str {
    match part {
        Part::Gateway => "tgtrunk-gateway",
        Part::Client => "tgtrunk-client",
        Part::Bot => "tgtrunk-bot",
    }
}
